"""The database: what ``MiniDB(path)`` opens. It owns an engine, a pool, and the catalog as it was last seen."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, overload

from minidb.api import retry
from minidb.api.care import Care
from minidb.api.index import Begin, Building, Index, begin_building, finish_building, prepare_building, rows_by_index
from minidb.api.mapping import PersistentMapping
from minidb.api.models import ModelSchemas
from minidb.api.pool import Connection, ConnectionPool
from minidb.api.snapshots import OpenSnapshots
from minidb.api.table import Table
from minidb.api.transaction import Transaction, ambient_transaction
from minidb.conditions.predicate import Condition
from minidb.engines.locate import conceal, open_engine
from minidb.exceptions import ConflictError, TableExistsError, UsageError
from minidb.log import Logger
from minidb.options import Durability, Options
from minidb.schema import ModelSchema, Schema
from minidb.structs import replace
from minidb.tables import catalog as catalogs
from minidb.tables import definition_changes
from minidb.tables.catalog import Catalog
from minidb.tables.definitions import IndexDefinition
from minidb.tables.row import Row
from minidb.tables.session import WriteSession
from minidb.version import __version__

_log = Logger("minidb")

Result = TypeVar("Result")
RowType = TypeVar("RowType")
Parameters = ParamSpec("Parameters")


class MiniDB(Care):
    """An open database. Safe from any thread; may be opened many times in one process, and by many processes.

    ``location`` is the path of a folder, which is created when absent, ``":memory:"`` for a database that lives as long
    as this object, or a server's URL, as in ``docs/how-to/cluster.md``. The options and what follows from them are
    those of ``minidb.options.Options``.

    >>> with MiniDB("mydb") as db:
    ...     users = db.create_table("users")
    ...     user_id = users.insert(Row(name="Ada"))

    Close it when done, or use it as a context manager. Raises ``InvalidOptionError``, ``EngineUnavailableError``,
    ``UnsupportedFormatError``, or ``WriteTimeoutError`` if another process is in the middle of a large commit.
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        *,
        max_connections: int = 10,
        pool_timeout_s: float = 30.0,
        write_timeout_s: float = 30.0,
        durability: Durability = "full",
        commit_log: bool = True,
        read_only: bool = False,
        create: bool = True,
        max_size_bytes: int | None = None,
        slow_query_ms: float | None = None,
        snapshot_warning_s: float | None = 60.0,
        allow_network_file_system: bool = False,
    ) -> None:
        place = conceal(location)
        del location  # a URL has a password in it, and there are tracebacks that show what is local
        self.options = Options(
            max_connections=max_connections,
            pool_timeout_s=pool_timeout_s,
            write_timeout_s=write_timeout_s,
            durability=durability,
            commit_log=commit_log,
            read_only=read_only,
            create=create,
            max_size_bytes=max_size_bytes,
            slow_query_ms=slow_query_ms,
            snapshot_warning_s=snapshot_warning_s,
            allow_network_file_system=allow_network_file_system,
        )
        self.engine = open_engine(place, self.options)
        self.fork_count = 0
        self.epoch = 0
        self._is_closed = False
        self._made_here = set()
        self._models = ModelSchemas()
        self._catalog = Catalog(-1, {}, {})
        self._catalog_lock = threading.Lock()
        self.open_snapshots = OpenSnapshots(snapshot_warning_s)
        self.make_shared_writes()
        try:
            self._prepare()
        except BaseException:
            self.engine.close()
            raise
        self.connection_pool = ConnectionPool(self, max_connections=max_connections, timeout_s=pool_timeout_s)
        _open_databases.add(self)
        _log.info("database opened", extra={"location": self.location, "engine": self.engine.capabilities.name})

    def _prepare(self) -> None:
        """Read the catalog, beginning it in a new database."""
        snapshot = self.engine.begin_read()
        try:
            is_initialised = catalogs.is_initialised(snapshot)
            if is_initialised:
                self.catalog_of(snapshot)
        finally:
            snapshot.close()
        if not is_initialised and not self.options.read_only:
            try:
                self._initialise()
            except ConflictError:  # another program was quicker
                self._prepare()

    def _initialise(self) -> None:
        transaction = self.engine.begin_write(self.options.write_timeout_s)
        try:
            if not catalogs.is_initialised(transaction):  # another process may have been quicker
                catalogs.initialise(transaction, __version__)
                transaction.commit()
        finally:
            transaction.close()

    # --- tables -------------------------------------------------------------------------------------------------------

    @overload
    def create_table(  # type: ignore[overload-overlap]  # a ModelSchema is a Schema, and this is the overload for it
        self, name: str, schema: type[RowType] | ModelSchema[RowType], *, if_not_exists: bool = False
    ) -> Table[RowType]: ...
    @overload
    def create_table(self, name: str, schema: Schema | None = None, *, if_not_exists: bool = False) -> Table[Row]: ...
    def create_table(
        self, name: str, schema: Schema | type[Any] | None = None, *, if_not_exists: bool = False
    ) -> Table[Any]:  # Any: what the overloads say
        """Make a table, with the indexes that its schema asks for, and return it. None: a table that takes any columns.

        In the place of a schema may stand a model, as in ``docs/how-to/models.md``; then rows are its objects.

        So that a script can be run again, a table that an earlier run made with the same schema is returned as it is.
        Raises ``TableExistsError`` if its schema is another one, or if this object has made it before; with
        ``if_not_exists`` only if the schema is another, as ``SchemaMismatchError``.
        """
        definition_changes.require_name(name, "table")
        schema = self._models.schema_of(schema)
        for building in self._repeat(lambda: self._create_table(name, schema, if_not_exists=if_not_exists)):
            finish_building(self, building)
        return Table(self, name, schema=schema)

    def _create_table(self, name: str, schema: Schema | None, *, if_not_exists: bool) -> list[Building]:
        with self._changing() as (session, made_here):
            existing = session.catalog.definitions.get(name)
            if existing is None:
                definition_changes.create_table(session, name, schema)
                made_here.add(session.catalog.definition(name).id)
                _log.info("table created", extra={"table": name})
                return []
            if not if_not_exists:
                from minidb.tables.schema_changes import are_alike

                if self._has_made(existing.id) or not are_alike(existing.schema, schema):
                    raise TableExistsError(
                        f"There is already a table named {name!r}",
                        hint="get it with db.get_table or db.table, or pass if_not_exists=True",
                        table=name,
                    )
                made_here.add(existing.id)  # as in the run that made it: a second call is refused in every run
            return self._use_schema(session, name, schema, ())

    @overload
    def table(  # type: ignore[overload-overlap]  # as above
        self, name: str, schema: type[RowType] | ModelSchema[RowType], *, drop_fields: Collection[str] = ()
    ) -> Table[RowType]: ...
    @overload
    def table(self, name: str, schema: Schema | None = None, *, drop_fields: Collection[str] = ()) -> Table[Row]: ...
    def table(
        self, name: str, schema: Schema | type[Any] | None = None, *, drop_fields: Collection[str] = ()
    ) -> Table[Any]:  # Any: what the overloads say
        """Return a table, making it if it is absent, and giving it the schema if it has another one.

        >>> users = db.table("users", User)

        That is done at once, whatever the number of rows, where every stored row is a row of the new schema as it
        stands: fields that are new and may be None or have a default, looser limits, new names by ``renamed_from``,
        integers that become floats, new indexes. A field that is to go with its values is named in ``drop_fields``. Any
        other change is refused by ``SchemaMismatchError``, which lists what is different and what to do. A program
        whose schema is one that the table had before may only read it. No schema means whatever it has.
        """
        schema = self._models.schema_of(schema)
        with self._catalog_now() as catalog:
            is_there = isinstance(name, str) and name in catalog.definitions
        if not is_there:
            return self.create_table(name, schema, if_not_exists=True)
        if schema is None:
            return self.get_table(name)
        from minidb.tables import schema_changes

        attached = schema_changes.attach_schema(catalog, name, schema, drop_fields)
        if (
            attached is not None
            and self.current_transaction() is None
            and not schema_changes.missing_indexes(attached, name, schema)
        ):  # nothing to write: no need to wait for another writer
            self.keep(attached, set())
            return Table(self, name, schema=schema)
        for building in self._repeat(lambda: self._change_table(name, schema, drop_fields)):
            finish_building(self, building)
        return Table(self, name, schema=schema)

    def _change_table(self, name: str, schema: Schema, drop_fields: Collection[str]) -> list[Building]:
        with self._changing() as (session, _):
            return self._use_schema(session, name, schema, drop_fields)

    def _use_schema(
        self, session: WriteSession, name: str, schema: Schema | None, drop_fields: Collection[str]
    ) -> list[Building]:
        """Let a table that is there have a schema, and the indexes that it asks for; return those yet to be built."""
        from minidb.tables import schema_changes

        attached = schema_changes.attach_schema(session.catalog, name, schema, drop_fields)
        if attached is not None:
            session.catalog = attached
        elif schema is not None:
            schema_changes.change_schema(session, name, schema, drop_fields)
        missing = [] if schema is None else schema_changes.missing_indexes(session.catalog, name, schema)
        if not self._is_nested():
            return [begin_building(self, session, name, wanted) for wanted in missing]
        for wanted in missing:
            definition_changes.create_index(session, name, wanted)
        return []

    def get_table(self, name: str) -> Table[Row]:
        """Return a table. Raises ``TableNotFoundError``.

        It checks rows by the stored schema. What cannot be stored, validators and default factories, is known only
        after the schema was passed to ``create_table`` or ``table``; if it has such, a warning is logged until then.
        """
        return self.table_on(None, name)

    def table_on(self, connection: Connection | None, name: str) -> Table[Row]:
        """Return a table whose calls outside a transaction run on a connection."""
        with self.snapshot(connection) as (_, catalog):
            definition = catalog.definition(name)
            fields = definition.fields_with_code
            if fields and not catalog.has_live_schema(definition):
                _log.warning(
                    "table %r is used without its validators, default factories and other code: "
                    "pass its schema to db.table",
                    name,
                    extra={"table": name, "fields": fields},
                )
        return Table(self, name, connection)

    def drop_table(self, name: str) -> None:
        """Remove a table with its rows and indexes. Raises ``TableNotFoundError``."""
        with self._changing() as (session, _):
            definition_changes.drop_table(session, name)
        _log.info("table dropped", extra={"table": name})

    def rename_table(self, old: str, new: str) -> None:
        """Give a table another name. Raises ``TableNotFoundError`` or ``TableExistsError``.

        A ``Table`` object of the old name does not follow.
        """
        with self._changing() as (session, _):
            definition_changes.rename_table(session, old, new)
        _log.info("table renamed", extra={"table": old, "new_name": new})

    def table_names(self) -> list[str]:
        """Return the names of the tables, sorted."""
        with self._catalog_now() as catalog:
            return sorted(catalog.definitions)

    def __contains__(self, name: object) -> bool:
        with self._catalog_now() as catalog:
            return isinstance(name, str) and name in catalog.definitions

    # --- mappings -----------------------------------------------------------------------------------------------------

    def mapping(self, name: str) -> PersistentMapping[Any, Any]:  # Any: what keys and values are, the caller says
        """Return a mapping, making it if it is absent: keys and values that stay, without schema or columns.

        >>> cache: PersistentMapping[str, int] = db.mapping("cache")
        >>> cache["answer"] = 42

        Raises ``CatalogError`` if a table has the name.
        """
        with self._catalog_now() as catalog:
            is_there = isinstance(name, str) and name in catalog.mappings
        if not is_there:
            with self._changing() as (session, _):
                is_made = definition_changes.create_mapping(session, name)
            if is_made:
                _log.info("mapping created", extra={"mapping": name})
        return PersistentMapping(self, name)

    def drop_mapping(self, name: str) -> None:
        """Remove a mapping with its items. Raises ``MappingNotFoundError``, or ``CatalogError`` for a table's name."""
        with self._changing() as (session, _):
            definition_changes.drop_mapping(session, name)
        _log.info("mapping dropped", extra={"mapping": name})

    def mapping_names(self) -> list[str]:
        """Return the names of the mappings, sorted."""
        with self._catalog_now() as catalog:
            return sorted(catalog.mappings)

    # --- indexes ------------------------------------------------------------------------------------------------------

    def create_index(
        self,
        table: str,
        *fields: str,
        name: str | None = None,
        unique: bool = False,
        where: Condition | None = None,
        include: str | None = None,
        if_not_exists: bool = False,
        progress: Callable[[int, int], object] | None = None,
    ) -> Index:
        """Make an index on one or several fields, from the rows that are there, and return what it is.

        On a list field it has an entry for each element. With ``where``, a condition, it has entries for the rows only
        for which that holds, and a unique one is unique among these. With ``include="*"`` an entry holds its whole row:
        queries by it need not look the rows up, but every update writes the row there, too. ``progress`` is called with
        the number of rows that are done and of all; what it raises ends the work, and there is no index.

        Outside a transaction others write while it is built; a unique one refuses from the first on what it can see.
        Nothing reads it before it is whole. If the program dies meanwhile, the next call for the same index goes on
        where it was left; until then every write keeps it, and ``drop_index`` removes it. Inside a transaction, in it.

        Its name is that of its fields joined by ``_``, if none is given. As with ``create_table``, the same index of an
        earlier run is returned as it is; ``if_not_exists`` returns any of this name. Raises ``TableNotFoundError``,
        ``IndexExistsError``, ``SchemaDefinitionError`` for a field that there is not or an ``include`` that cannot be,
        ``SchemaValidationError`` for a condition that does not fit the table, or ``UniqueViolationError``.
        """
        if where is not None and not isinstance(where, Condition):
            raise UsageError("The where of an index must be a condition, such as where('age') >= 18")
        define = partial(definition_changes.define_index, table=table, fields=fields, name=name, unique=unique)
        define = partial(define, where=where, include=include)
        begin = prepare_building(self, table, define)
        made, building = self._repeat(partial(self._begin_index, table, define, if_not_exists, progress, begin))
        if building is not None:
            finish_building(self, building, progress)
        return Index(table, replace(made, is_building=False))

    def _begin_index(
        self,
        table: str,
        define: Callable[[Catalog], IndexDefinition],
        if_not_exists: bool,  # noqa: FBT001  # called once, above
        progress: Callable[[int, int], object] | None,
        begin: Begin,
    ) -> tuple[IndexDefinition, Building | None]:
        """Make an index, or find it; return what is left to do after the commit."""
        with self._changing() as (session, made_here):
            definition = session.catalog.definition(table)
            wanted = define(session.catalog)
            existing = definition_changes.existing_index(definition, wanted.name)
            if existing is not None and not existing.is_building:
                if not if_not_exists:
                    if not wanted.is_like(existing) or self._has_made(existing.id):
                        raise definition_changes.index_exists(table, existing)
                    made_here.add(existing.id)  # as in the run that made it
                return existing, None
            building = None if self._is_nested() else begin(session, table, wanted)
            if building is None:
                made = definition_changes.create_index(session, table, wanted, progress)
            else:
                made = building.definition
            made_here.add(made.id)
        _log.info("index created", extra={"table": table, "index": made.name})
        return made, building

    def drop_index(self, table: str, name: str) -> None:
        """Remove an index, by its name or by its one field. Raises ``TableNotFoundError`` or ``IndexNotFoundError``."""
        with self._changing() as (session, _):
            dropped = definition_changes.drop_index(session, table, name)
        _log.info("index dropped", extra={"table": table, "index": dropped.name})

    def indexes(self, table: str) -> list[Index]:
        """Return the indexes of a table. Raises ``TableNotFoundError``."""
        with self._catalog_now() as catalog:
            return [Index(table, index) for index in catalog.definition(table).indexes]

    @overload
    def query_by_index(self, table: Table[RowType], index: str, value: Any) -> list[RowType]: ...
    @overload
    def query_by_index(self, table: str, index: str, value: Any) -> list[Row]: ...
    def query_by_index(self, table: str | Table[Any], index: str, value: Any) -> list[Any]:  # Any: the overloads say
        """Return the rows whose indexed field has a value, in order of id.

        ``table`` is a table, or its name; rows of a model come of a table only. ``index`` is an index's name or its one
        field; for an index on several fields ``value`` is a tuple. Raises
        ``TableNotFoundError``, ``IndexNotFoundError``, or ``SchemaValidationError`` for a value of another type.
        """
        if isinstance(table, Table):
            return table.query_by_index(index, value)
        return rows_by_index(self, None, table, index, value)

    # --- transactions -------------------------------------------------------------------------------------------------

    def begin_transaction(
        self,
        read_only: bool = False,  # noqa: FBT001, FBT002  # a promised name
        *,
        commit_token: bool = False,
    ) -> Transaction:
        """Begin a transaction; inside another one of this thread or task, a savepoint of it.

        Use it in a ``with`` block: it commits at the end, and rolls back if the block raises. Calls on tables inside
        take part without being told. A read-only one sees one snapshot and waits for nobody. With ``commit_token`` a
        ``CommitUnknownError`` has a ``token`` that ``was_committed`` takes. Raises ``PoolTimeoutError``,
        ``WriteTimeoutError``, or ``ReadOnlyError`` where nothing may be written.
        """
        outer = self._transaction_around()
        if outer is not None:
            return Transaction(self, None, outer, read_only=read_only)
        self._require_beginning(read_only=read_only)
        connection = self.connection_pool.lend(self.options.pool_timeout_s)
        return Transaction(self, connection, None, read_only=read_only, commit_token=commit_token)

    def begin_on_lent(self, *, read_only: bool, commit_token: bool) -> Transaction:
        """Begin a transaction that takes no connection, for the holder of one."""
        outer = self._transaction_around()
        if outer is None:
            self._require_beginning(read_only=read_only)
        return Transaction(self, None, outer, read_only=read_only, commit_token=commit_token)

    @overload
    def run(self, body: Callable[[], Result], *, commit_token: bool = False) -> Result: ...
    @overload
    def run(self, body: Callable[[Transaction], Result], *, commit_token: bool = False) -> Result: ...
    def run(self, body: Callable[..., Result], *, commit_token: bool = False) -> Result:
        """Run a function in a transaction, commit, and return its result; run it again after a ``ConflictError``.

        It is given the transaction if it has a parameter for it. It may run more than once: what it does besides the
        database should bear that. With ``commit_token``, a commit whose answer was lost is asked for by
        ``was_committed``, and the function is run again if it was not committed.
        """
        retry.require_plain(body)
        if retry.takes_transaction(body):
            return retry.run(self, body, commit_token=commit_token)
        return retry.run(self, lambda _: body(), commit_token=commit_token)

    def was_committed(self, token: str) -> bool:
        """Tell whether a transaction was committed whose ``CommitUnknownError`` had this token.

        If not, it never will be, so that it may be run again. Waits for a server that answers at most
        ``write_timeout_s``. A token may be asked for by any program, for three days. Raises ``UsageError`` for what is
        no token, or where no commit is ever unknown; ``EngineUnavailableError`` or ``WriteTimeoutError`` when it has
        waited in vain: ask again.
        """
        self.require_open()
        if self.engine.commit_tokens is None:
            raise UsageError("This database has no tokens of commits: the answer of a commit cannot be lost")
        return self.engine.commit_tokens.was_committed(token)

    def transactional(self, body: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        """Make every call of a function one transaction, as ``run`` does. A decorator."""
        return retry.transactional(self, body)

    # --- care ---------------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Return when everything that was acknowledged before is on disk, whatever the durability level.

        With ``durability="full"`` it is already. With the others this is the way to make a moment safe: after a batch
        of commits, before telling somebody. A transaction that is open is not a part of it. Raises ``EngineError`` if
        the disk failed: what was not on it may be lost.
        """
        held = self.connection_pool.hold()
        try:
            self.require_open()
            self.engine.sync()
        finally:
            self.connection_pool.take_back(held)

    def stats(self) -> dict[str, Any]:  # Any: figures, and dicts of figures
        """Return figures: of the store, and of the pool under ``"pool"``.

        ``"tables"`` are the rows of each table, ``"mappings"`` the items of each mapping. ``"open_snapshots"`` are the
        read transactions and unfinished iterations of this object, ``"oldest_snapshot_age_s"`` the age of the oldest.
        ``"is_stale"``: reads are from a standby, which may lag.
        """
        with self.snapshot(None) as (snapshot, catalog):
            rows = {name: snapshot.count(one.space) for name, one in sorted(catalog.definitions.items())}
            items = {name: snapshot.count(one.space) for name, one in sorted(catalog.mappings.items())}
        return {
            "location": self.location,
            "engine": self.engine.capabilities.name,
            "is_stale": self.engine.capabilities.is_stale,
            **self.engine.statistics(),
            **self.open_snapshots.statistics(),
            "tables": rows,
            "mappings": items,
            "pool": self.connection_pool.stats(),
        }

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._is_closed

    def close(self) -> None:
        """Close the database; may be called again. The caller's open transactions of this database are rolled back.

        What other threads have begun ends with ``DatabaseClosedError`` at its next call; the files are let go of when
        the last of it has ended.
        """
        if self._is_closed:
            return
        ambient = ambient_transaction()
        for transaction in () if ambient is None else ambient.transactions():
            if transaction.database is self:
                transaction.abandon()
        self._is_closed = True
        self.epoch += 1
        _open_databases.discard(self)
        self.connection_pool.close()
        _log.info("database closed", extra={"location": self.location})

    def __enter__(self) -> Self:
        self.require_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if "engine" not in vars(self):
            return "<MiniDB that could not be opened>"  # in the traceback that says why
        return f"<MiniDB at {self.location!r}{', closed' if self._is_closed else ''}>"

    def close_engine(self) -> None:
        """Let go of the files. Called by the pool when nothing is in use any more."""
        self.engine.close()

    # --- the catalog --------------------------------------------------------------------------------------------------

    @contextmanager
    def _changing(self) -> Iterator[tuple[WriteSession, set[int]]]:
        """Yield a write session for a change of the catalog, and the set that ids of what is made must be added to."""
        outer = self._transaction_around()
        held = None
        if outer is None:
            self._require_beginning(read_only=False)
            held = self.connection_pool.hold()
        with Transaction(self, held, outer, read_only=False) as transaction:
            yield transaction.writing(), transaction.made_here

    def _has_made(self, number: int) -> bool:
        transaction = self.current_transaction()
        return number in self._made_here or (transaction is not None and transaction.has_made(number))

    def _repeat(self, change: Callable[[], Result]) -> Result:
        """Make a change of the catalog; outside a transaction make it again after a conflict."""
        return change() if self.current_transaction() is not None else retry.repeat(change)

    def _is_nested(self) -> bool:
        """Tell whether the change of the catalog that is being made is a part of the caller's transaction."""
        transaction = self.current_transaction()
        return transaction is not None and transaction.is_nested

    @contextmanager
    def _catalog_now(self) -> Iterator[Catalog]:
        with self.snapshot(None) as (_, catalog):
            yield catalog

    def after_fork_in_child(self) -> None:
        """Begin anew in a forked child: the engine has opened its file again, and the pool is empty."""
        self.fork_count += 1
        self.epoch += 1
        self._catalog_lock = threading.Lock()
        self.open_snapshots = OpenSnapshots(self.options.snapshot_warning_s)
        self.make_shared_writes()
        self.connection_pool.forget_parent()


_open_databases: weakref.WeakSet[MiniDB] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for database in list(_open_databases):
        database.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
