"""A write transaction as the tables see it: bytes to write, the catalog as it stands, and the ids given out."""

from __future__ import annotations

from collections.abc import Callable

from minidb.encoding.integers import decode_integer, encode_integer
from minidb.engines.port import Space, WriteTransaction
from minidb.exceptions import MigrationError
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import SEQUENCES, Catalog, TableKey
from minidb.tables.definitions import TableDefinition


class WriteSession:
    """What the functions of ``tables.writing`` share within one transaction. One thread uses it."""

    __slots__ = ("_allot_ids", "_next_ids", "bytes", "catalog")

    def __init__(
        self, transaction: WriteTransaction, catalog: Catalog, allot_ids: Callable[[Space, int], range] | None = None
    ) -> None:
        """``allot_ids`` is what the engine offers for many writers; None: ids are those after the highest."""
        self.bytes = transaction
        self.catalog = catalog
        self._allot_ids = allot_ids
        self._next_ids = transaction.inherit_ids()
        if catalog.keeps_history:
            from minidb.tables.history import Recorder

            transaction.record(Recorder(transaction))

    def table(self, key: TableKey) -> TableBinding:
        """Return a table that the program may write to.

        Raises ``TableNotFoundError``, ``SchemaMismatchError`` where the program knows an older schema only, or
        ``MigrationError`` while a migration writes its rows anew.
        """
        table = self.catalog.table(key)
        if table.is_outdated:
            raise self.catalog.outdated(table.name)
        require_settled(table.definition)
        return table

    def current(self, table: TableBinding) -> TableBinding:
        """Return a table as it is now. Raises as ``table``.

        Asked after each look into an iterable of the caller's, which may have made an index, or dropped the table.
        """
        return self.table(table.key)

    def next_id(self, table: TableBinding) -> int:
        """Return the automatic id that the table's next row gets."""
        next_id = self._next_ids.get(table.definition.id)
        if next_id is None:
            if self._allot_ids is not None:
                next_id = self._allot_ids(table.definition.ids_space, 1).start
            else:
                next_id = max(self._last_id(table), self._mark(table)) + 1
            self._next_ids[table.definition.id] = next_id
        return next_id

    def take_ids(self, table: TableBinding, count: int) -> range:
        """Give out ids."""
        if self._allot_ids is not None:
            seen = self._next_ids.pop(table.definition.id, None)
            if seen is not None and count == 1:
                return range(seen, seen + 1)
            return self._allot_ids(table.definition.ids_space, count)
        first = self.next_id(table)
        self._next_ids[table.definition.id] = first + count
        return range(first, first + count)

    def keep_from_reuse(self, table: TableBinding, row_id: int) -> None:
        """Note that a row is being deleted, so that its id is not given out again."""
        if self._allot_ids is not None:
            return
        if row_id == self.next_id(table) - 1 and self._mark(table) < row_id:
            self.bytes.put_many(SEQUENCES, {encode_integer(table.definition.id): encode_integer(row_id)})

    def keep_all_from_reuse(self, table: TableBinding) -> None:
        """Note that every row is being deleted."""
        if self._allot_ids is None and self.next_id(table) > 1:
            self.keep_from_reuse(table, self.next_id(table) - 1)

    def forget_table(self, table_id: int) -> None:
        """Delete what is kept of a table that is being dropped: its id is never used again."""
        self._next_ids.pop(table_id, None)
        self.bytes.delete_many(SEQUENCES, [encode_integer(table_id)])

    def forget_ids(self) -> None:
        """Look the ids up again: a savepoint was rolled back, and rows that had some are gone."""
        self._next_ids.clear()

    def _last_id(self, table: TableBinding) -> int:
        key = self.bytes.last_key(table.space)
        return 0 if key is None else decode_integer(key)

    def _mark(self, table: TableBinding) -> int:
        stored = self.bytes.get(SEQUENCES, encode_integer(table.definition.id))
        return 0 if stored is None else decode_integer(stored)


def require_settled(definition: TableDefinition) -> None:
    """Raise ``MigrationError`` while a migration step writes the rows of a table anew."""
    if definition.rewriting is not None:
        raise MigrationError(
            f"Table {definition.name!r} is in the middle of migration step {definition.rewriting.step}, "
            "and only reads until that is done",
            hint="wait, or apply the migrations again if nobody does",
            step=definition.rewriting.step,
            table=definition.name,
        )
