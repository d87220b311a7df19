"""A table: the verbs on its rows.

Inside a transaction each call takes part in it. Outside, each call is a transaction of its own: it takes a connection
of the pool, reads one snapshot or commits durably, and gives the connection back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from minidb.api.index import rows_by_index
from minidb.api.query import Query, combine
from minidb.api.streaming import stream
from minidb.api.transaction import ambient_transaction
from minidb.conditions import predicate
from minidb.conditions.predicate import Condition
from minidb.engines.port import ReadTransaction
from minidb.exceptions import UsageError
from minidb.schema import ModelSchema, Schema
from minidb.tables import reading, writing
from minidb.tables.binding import TableBinding, row_not_found
from minidb.tables.catalog import TableKey
from minidb.tables.row import Row
from minidb.tables.session import WriteSession

if TYPE_CHECKING:
    from minidb.api.database import MiniDB
    from minidb.api.pool import Connection

Default = TypeVar("Default")
Result = TypeVar("Result")
Value = TypeVar("Value")
RowType = TypeVar("RowType")
"""The type of a table's rows: ``Row``, or a model."""

Columns = Mapping[str, Any]  # Any: a column has the type that its field declares
_Rewrite = Callable[[WriteSession, TableBinding, object, Any, int | None], tuple[bytes, bytes]]  # Any: row or changes
Id = Any  # an int, or the value of the primary key: what the table's schema says, which no type can


class Table(Generic[RowType]):
    """A table of a database, by its name. Safe from any thread; valid for as long as the table is there.

    Got from ``create_table``, ``get_table`` or ``table``. Every method raises ``TableNotFoundError`` once the table was
    dropped and ``DatabaseClosedError`` once the database was closed.
    """

    __slots__ = ("_connection", "_database", "_key", "_name")

    def __init__(
        self, database: MiniDB, name: str, connection: Connection | None = None, *, schema: Schema | None = None
    ) -> None:
        """``connection`` is what calls outside a transaction run on; None: one of the pool for each call.

        Where ``schema`` is a model's, rows are its objects.
        """
        self._database = database
        self._name = name
        self._key: TableKey = (name, schema.rows) if isinstance(schema, ModelSchema) else name
        self._connection = connection

    @property
    def name(self) -> str:
        return self._name

    @property
    def schema(self) -> Schema | None:
        """What rows must be; None for a table that takes any columns."""
        return self._database.read(self._connection, self._key, _schema_of)

    # --- one row ------------------------------------------------------------------------------------------------------

    @overload
    def insert(self: Table[Row], row: Row | Columns) -> Id: ...
    @overload
    def insert(self, row: RowType) -> Id: ...
    def insert(self, row: object) -> Id:
        """Insert a row and return its id: an automatic integer, or the value of the primary key.

        Raises ``SchemaValidationError`` (every bad field at once), ``RowExistsError``, ``UniqueViolationError`` or
        ``KeyTooLargeError``; nothing is then written.
        """
        return self._database.write(self._connection, self._key, writing.insert, row)

    def query(self, row_id: Id) -> RowType:
        """Return the row that has this id. Raises ``RowNotFoundError``."""
        ambient = ambient_transaction()
        if ambient is None or (find := ambient.finder(self._database, self._key)) is None:
            row: RowType | None = self._database.find_alone(self._connection, self._key, row_id)
        else:
            row = find(row_id)
        if row is None:
            raise row_not_found(self._name, row_id)
        return row

    @overload
    def get(self, row_id: Id) -> RowType | None: ...
    @overload
    def get(self, row_id: Id, default: Default) -> RowType | Default: ...
    def get(self, row_id: Id, default: Default | None = None) -> RowType | Default | None:
        """Return the row that has this id, or ``default``."""
        ambient = ambient_transaction()
        if ambient is None or (find := ambient.finder(self._database, self._key)) is None:
            row: RowType | None = self._database.find_alone(self._connection, self._key, row_id)
        else:
            row = find(row_id)
        return default if row is None else row

    def update(
        self, row_id: Id, /, *, if_version: Any = None, **changes: Any
    ) -> RowType:  # Any: an int; of the changes' type, so that a program can give them by ``**``
        """Change columns of a row and return the new row. Raises ``RowNotFoundError`` and what ``insert`` raises.

        >>> users.update(user_id, age=37).age
        37

        With ``if_version``, only if it still has that version: else ``VersionConflictError``, which nothing runs again.
        It needs a field that counts them: ``IntegerField(version=True)``.
        """
        return self._write_row(writing.update, row_id, changes, if_version)

    @overload
    def replace(self: Table[Row], row_id: Id, row: Row | Columns, *, if_version: int | None = None) -> Row: ...
    @overload
    def replace(self, row_id: Id, row: RowType, *, if_version: int | None = None) -> RowType: ...
    def replace(self, row_id: Id, row: object, *, if_version: int | None = None) -> Any:  # Any: what the overloads say
        """Put another row in a row's place, under the same id, and return it. Raises as ``update`` does."""
        return self._write_row(writing.replace, row_id, row, if_version)

    @overload
    def upsert(self: Table[Row], row: Row | Columns) -> Id: ...
    @overload
    def upsert(self, row: RowType) -> Id: ...
    def upsert(self, row: object) -> Id:
        """Insert a row, or replace the one that has its id; return the id.

        The id is the primary key's value. In a table with automatic ids it is ``row.id``: a row that was read is
        replaced, and raises ``RowNotFoundError`` if it has been deleted since; any other row is inserted.
        """
        return self._database.write(self._connection, self._key, _upsert, row)

    def delete(self, row_id: Id, *, if_version: int | None = None) -> None:
        """Delete a row. Raises ``RowNotFoundError``; with ``if_version``, ``VersionConflictError`` as ``update``."""
        self._database.write(self._connection, self._key, writing.delete, row_id, if_version)

    # --- many rows ----------------------------------------------------------------------------------------------------

    @overload
    def insert_many(self: Table[Row], rows: Iterable[Row | Columns]) -> Sequence[Id]: ...
    @overload
    def insert_many(self, rows: Iterable[RowType]) -> Sequence[Id]: ...
    def insert_many(self, rows: Iterable[object]) -> Sequence[Id]:
        """Insert rows from any iterable, in constant memory: all of them, or none if one is refused.

        Returns their ids: a ``range`` where they are automatic, unless the iterable itself inserts into the table.
        Raises as ``insert`` does; ``SchemaValidationError.row_number`` is the bad row's place, counted from 0.

        Inside a transaction this is a savepoint of it. One so large that it does not fit the write buffer cannot be
        undone alone: if it then fails, the transaction can only be rolled back.
        """
        return self._database.write_many(self._connection, self._key, writing.insert_many, rows)

    def get_many(self, row_ids: Iterable[Id]) -> list[RowType | None]:
        """Return the rows that have these ids, in the order asked, with None where there is none."""
        return self._database.read(self._connection, self._key, _get_many, row_ids)

    def update_many(self, changes: Mapping[Id, Mapping[str, Any]] | Iterable[tuple[Id, Mapping[str, Any]]]) -> int:
        """Change columns of many rows, given as ``{id: {column: value}}`` or pairs of such; return how many.

        All or none, as ``insert_many``. Raises as ``update`` does.
        """
        pairs = changes.items() if isinstance(changes, Mapping) else changes
        return self._database.write_many(self._connection, self._key, _update_many, pairs)

    @overload
    def upsert_many(self: Table[Row], rows: Iterable[Row | Columns]) -> list[Id]: ...
    @overload
    def upsert_many(self, rows: Iterable[RowType]) -> list[Id]: ...
    def upsert_many(self, rows: Iterable[object]) -> list[Id]:
        """``upsert`` many rows; return their ids. All or none, as ``insert_many``."""
        return self._database.write_many(self._connection, self._key, _upsert_many, rows)

    def delete_many(self, row_ids: Iterable[Id]) -> int:
        """Delete the rows that have these ids; return how many there were. An id that no row has is no error."""
        return self._database.write_many(self._connection, self._key, writing.delete_many, row_ids)

    def clear(self) -> None:
        """Delete every row. Automatic ids go on where they were."""
        self._database.write(self._connection, self._key, writing.clear)

    # --- all rows -----------------------------------------------------------------------------------------------------

    def count(self) -> int:
        """Return the number of rows, without reading them."""
        return self._database.read(self._connection, self._key, reading.count)

    def scan(
        self, start: Id = None, stop: Id = None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[RowType]:
        """Iterate over the rows with ids of ``[start, stop)`` in order of id; None is the open end.

        With a primary key of several fields, the bounds may be tuples of the first few. ``reverse`` begins at the end.
        All rows are of one snapshot: outside a transaction, of the moment when the first is asked for, and a connection
        is in use until the last one was; inside a write transaction, with what it has written until then.
        """
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
            raise UsageError("The limit must be an integer of at least 0, or None")

        def pages(transaction: ReadTransaction, table: TableBinding) -> Iterator[list[RowType]]:
            for page in reading.scan(transaction, table, start, stop, reverse, limit):
                yield table.rows(*page)

        return self.stream(pages)

    def find(self, *conditions: Condition, require_index: bool = False, **equalities: Any) -> Query[RowType]:
        """Return a query for the rows for which every condition holds; of all rows if there is none.

        >>> users.find(where("age") >= 18, name="Ada").count()
        1

        ``require_index=True`` refuses to run it as a table scan.
        """
        return Query(self, combine(conditions, equalities), require_index=require_index)

    def where(self, read: Callable[[RowType], Value]) -> predicate.where[Value]:
        """Return a field to be compared, named by a function that reads it: type checkers know the field and its type.

        >>> users.find(users.where(lambda user: user.age) >= 18)

        It is ``where("age")`` otherwise. Raises ``UsageError`` for a function that does more than to read a field.
        """
        return predicate.where_read(read)

    def query_by_index(self, index: str, value: Any) -> list[RowType]:
        """Return the rows whose indexed field has a value, as ``MiniDB.query_by_index`` does."""
        return rows_by_index(self._database, self._connection, self._key, index, value)

    # --- what queries ask ---------------------------------------------------------------------------------------------

    @property
    def database(self) -> MiniDB:
        """The database that the table is in."""
        return self._database

    def stream(self, pages: Callable[[ReadTransaction, TableBinding], Iterator[Iterable[Result]]]) -> Iterator[Result]:
        """Return the rows of the pages that a function yields, in the caller's transaction or a snapshot of its own."""
        key = self._key
        return stream(self._database, self._connection, lambda snapshot, catalog: pages(snapshot, catalog.table(key)))

    def read(self, operation: Callable[..., Result], *arguments: Any) -> Result:
        """Run an operation that reads; see ``MiniDB.read``."""
        return self._database.read(self._connection, self._key, operation, *arguments)

    def write_many(self, operation: Callable[..., Result], *arguments: Any) -> Result:
        """Run an operation that writes many rows; see ``MiniDB.write_many``."""
        return self._database.write_many(self._connection, self._key, operation, *arguments)

    # --- as a collection ----------------------------------------------------------------------------------------------

    def __getitem__(self, row_id: Id) -> RowType:
        return self.query(row_id)

    def __delitem__(self, row_id: Id) -> None:
        self.delete(row_id)

    def __contains__(self, row_id: object) -> bool:
        return self._database.read(self._connection, self._key, reading.exists, row_id)

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True  # a table is there, however few rows it has: ``if table`` must not ask the database

    def __iter__(self) -> Iterator[RowType]:
        return self.scan()

    def __repr__(self) -> str:
        return f"<table {self._name!r} of {self._database.location!r}>"

    def _write_row(self, operation: _Rewrite, row_id: Id, given: object, if_version: int | None) -> RowType:
        table, (key, data) = self._database.write(
            self._connection, self._key, _with_table, operation, row_id, given, if_version
        )
        row: RowType = table.row(key, table.decode_record(data))
        return row


def _schema_of(_: ReadTransaction, table: TableBinding) -> Schema | None:
    return table.schema


def _get_many(transaction: ReadTransaction, table: TableBinding, row_ids: Iterable[Id]) -> list[Any]:
    return [None if found is None else table.row(*found) for found in reading.find_many(transaction, table, row_ids)]


def _with_table(
    session: WriteSession,
    table: TableBinding,
    operation: _Rewrite,
    row_id: Id,
    given: object,
    if_version: int | None,
) -> tuple[TableBinding, tuple[bytes, bytes]]:
    return table, operation(session, table, row_id, given, if_version)


def _upsert(session: WriteSession, table: TableBinding, row: object) -> Id:
    if not table.has_automatic_ids:
        return writing.upsert(session, table, row)
    row_id = table.given_id(row)
    if row_id is None:
        return writing.insert(session, table, row)
    writing.replace(session, table, row_id, row)
    return row_id


def _upsert_many(session: WriteSession, table: TableBinding, rows: Iterable[object]) -> list[Id]:
    return [_upsert(session, session.current(table), row) for row in rows]


def _update_many(session: WriteSession, table: TableBinding, pairs: Iterable[tuple[Id, Mapping[str, Any]]]) -> int:
    number = 0
    for row_id, changes in pairs:
        writing.update(session, session.current(table), row_id, changes)
        number += 1
    return number
