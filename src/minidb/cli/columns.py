"""The columns of a table as verbs show and export them: their names, and the rows as sequences of values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from minidb import Row, Table
from minidb.cli.output import Values
from minidb.exceptions import UsageError

ID = "id"


class Columns:
    """Which columns of a table are shown, in which order. The id is one where it is automatic and wanted."""

    def __init__(self, table: Table[Row], chosen: Sequence[str] | None, *, with_ids: bool) -> None:
        """``chosen`` are names, in lists parted by commas. REQUIRES a transaction around this and the rows."""
        schema = table.schema
        self.own = list(schema.fields) if schema is not None else list(_names_in(table))
        self._has_id = (schema is None or not schema.primary_key) and ID not in self.own
        names = [name for one in chosen or () for name in one.split(",")]
        known = [ID, *self.own] if self._has_id else self.own
        for name in names:
            if name not in known:
                raise UsageError(f"Table {table.name!r} has no column {name!r}", hint=f"there are {', '.join(known)}")
        self.names = names or (known if with_ids else self.own)

    def of(self, rows: Iterable[Row]) -> Iterator[Values]:
        """Yield the values of rows."""
        names = self.names
        if self._has_id and ID in names:
            for row in rows:
                columns = {ID: row.id, **row.columns}
                yield [columns.get(name) for name in names]
        else:
            for row in rows:
                get = row.columns.get
                yield [get(name) for name in names]


def _names_in(table: Table[Row]) -> dict[str, None]:
    """Return the names that occur in a table without a schema, in order of appearance. It reads every row."""
    names: dict[str, None] = {}
    for row in table:
        if not row.columns.keys() <= names.keys():
            names |= dict.fromkeys(row.columns)
    return names
