"""A row: its columns, and the id it is stored under."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Any

from minidb.encoding.rows import Record
from minidb.tables.binding import TableBinding
from minidb.tables.reading import FoundMany


class Row:
    """A row of a table, by names.

    >>> row = Row(name="Ada", age=36)
    >>> row.name, row["age"], row.columns, row.id
    ('Ada', 36, {'name': 'Ada', 'age': 36}, None)

    A row is a value: changing one changes nothing stored; ``table.update`` does. Rows are equal if their columns are.
    """

    __slots__ = ("_columns", "_id", "_key", "_record", "_table")

    # A stored row keeps its record as it was read, and makes the dict or the id when one is first asked for: a program
    # that reads one column pays for no more.

    _columns: dict[str, Any] | None  # Any: a column has the type that its field declares
    _key: bytes | None
    _record: Record
    _table: TableBinding

    def __init__(self, /, **columns: Any) -> None:
        self._columns = columns
        self._key = None
        self._id = None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns: a dict of the row's own."""
        columns = self._columns
        if columns is None:
            columns = self._columns = self._table.columns_of(self._record)
        return columns

    @property
    def id(self) -> Any:
        """What the row is stored under: an int, or the value of the primary key. None for a row that is not stored."""
        key = self._key
        if key is not None:
            self._id = self._table.id_of(key)
            self._key = None
        return self._id

    def with_id(self, row_id: Any) -> Row:
        """Return a row with the same columns and this id."""
        row = Row(**self.columns)
        row._id = row_id
        return row

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):  # copy and pickle look for such names before there are any columns
            try:
                return self.columns[name]
            except KeyError:
                pass
        raise AttributeError(f"The row has no column {name!r}", name=name, obj=self)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the columns, as a mapping does."""
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def keys(self) -> Any:
        """Return the names of the columns; with ``row[name]`` this makes ``dict(row)`` and ``f(**row)`` work."""
        return self.columns.keys()

    def __eq__(self, other: object) -> bool:
        return self.columns == other.columns if isinstance(other, Row) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # columns may change, so a row cannot be a key

    def __repr__(self) -> str:
        columns = ", ".join(f"{name}={value!r}" for name, value in self.columns.items())
        return f"Row({columns})"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.columns]

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.columns, self.id)

    def __copy__(self) -> Row:
        return _rebuild(self.columns.copy(), self.id)


class StoredRow(Row):
    """A row as it was found. Users see a ``Row``."""

    __slots__ = ()

    def __init__(self, table: TableBinding, key: bytes, record: Record) -> None:
        self._columns = None
        self._table = table
        self._key = key
        self._record = record


def make_rows(table: TableBinding, found: FoundMany) -> list[Row]:
    """Return the rows that were found."""
    return list(map(StoredRow, repeat(table), *found))


def columns_of(row: Row | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the columns of what a user gives as a row. Raises ``TypeError`` for anything else."""
    if type(row) is dict:  # an isinstance against Mapping costs ten times this
        return row
    if isinstance(row, Row):
        return row.columns
    if isinstance(row, Mapping):
        return row
    raise TypeError(f"A row is given as a Row or a mapping of columns, not as {type(row).__name__}")


def _rebuild(columns: dict[str, Any], row_id: Any) -> Row:
    return Row(**columns).with_id(row_id)
