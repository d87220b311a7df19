"""An index, as a person is told of it, and the look-up of one value in it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from minidb.engines.port import ReadTransaction
from minidb.tables import reading
from minidb.tables.binding import TableBinding
from minidb.tables.definitions import IndexDefinition
from minidb.tables.row import Row

if TYPE_CHECKING:
    from minidb.api.database import MiniDB

_log = logging.getLogger("minidb.query")


class Index:
    """An index of a table, as ``create_index`` and ``indexes`` describe it."""

    __slots__ = ("each", "fields", "name", "table", "unique", "where")

    def __init__(self, table: str, definition: IndexDefinition) -> None:
        self.table = table
        self.name = definition.name
        self.fields = definition.fields
        self.unique = definition.unique
        self.each = definition.each
        """The field of lists whose elements have an entry each; None if there is none among the fields."""
        self.where = definition.where
        """The condition for a row to be in the index; None: all rows are."""

    def __repr__(self) -> str:
        fields = ", ".join(f"each of {field}" if field == self.each else field for field in self.fields)
        unique = ", unique" if self.unique else ""
        where = "" if self.where is None else f", where {self.where}"
        return f"<index {self.name!r} of table {self.table!r} on {fields}{unique}{where}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Index) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self._facts())

    def _facts(self) -> tuple[object, ...]:
        return self.table, self.name, self.fields, self.unique, self.each, str(self.where)


def rows_by_index(database: MiniDB, table: str, index: str, value: Any) -> list[Row]:  # Any: what the field's type is
    """Do what ``MiniDB.query_by_index`` promises, and say so in the log if it takes long."""
    limit_ms = database.options.slow_query_ms
    if limit_ms is None:
        return database.read(None, table, _look_up, index, value)
    began = time.perf_counter()
    rows = database.read(None, table, _look_up, index, value)
    duration_ms = (time.perf_counter() - began) * 1000
    if duration_ms >= limit_ms:
        _log.warning(
            "slow query: index %r of table %r, %d rows, %.1f ms",
            index,
            table,
            len(rows),
            duration_ms,
            extra={"table": table, "index": index, "rows": len(rows), "duration_ms": round(duration_ms, 3)},
        )
    return rows


def _look_up(transaction: ReadTransaction, table: TableBinding, index: str, value: Any) -> list[Row]:  # Any: as above
    return table.rows(*reading.find_by_index(transaction, table, table.index(index), value))
