"""A row: its columns, and the id it is stored under.

A program makes rows by ``Row(name=…)``. Rows that are found have other forms, which behave the same and which nobody
need tell apart: for most tables a struct that the decoder fills in C, with the columns as attributes (0.2 µs a row; a
Python object made for each would cost as much again), for the others an object that holds the decoded values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

from minidb.encoding.rows import COLUMNS, columns_of_struct, set_attribute


class Row:
    """A row of a table, by names.

    >>> row = Row(name="Ada", age=36)
    >>> row.name, row["age"], row.columns, row.id
    ('Ada', 36, {'name': 'Ada', 'age': 36}, None)

    A row is a value: it cannot be assigned to, and changing its ``columns`` changes nothing stored; ``table.update``
    and ``table.replace`` do. (The attributes of a row that was found keep what was read.) Rows are equal if their
    columns are.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # each form has its own

        @property
        def columns(self) -> dict[str, Any]:  # Any: a column has the type that its field declares
            """The columns: a dict of the row's own."""
            raise NotImplementedError

        @property
        def id(self) -> Any:
            """What it is stored under: an int, or the value of the primary key. None for a row that is not stored."""
            raise NotImplementedError

    def __new__(cls, /, **columns: Any) -> Row:  # noqa: PYI034  # it returns a form of a row, not one of any subclass
        """Make a row that is not stored."""
        return plain_row(columns, None)

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):  # copy and pickle look for such names
            try:
                return self.columns[name]
            except KeyError:
                pass
        raise AttributeError(f"The row has no column {name!r}", name=name, obj=self)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"A row is a value, and {name!r} cannot be assigned to: use table.update, or make a new Row",
            name=name,
            obj=self,
        )

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the columns, as a mapping does."""
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def keys(self) -> KeysView[str]:
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
        return plain_row, (self.columns, self.id)

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        yield from self.columns.items()

    def __replace__(self, /, **changes: Any) -> Row:
        """Return a row with other columns, which is not stored; ``copy.replace`` calls it."""
        return plain_row({**self.columns, **changes}, None)

    def __copy__(self) -> Row:
        return plain_row(self.columns.copy(), self.id)


class PlainRow(Row):
    """A row that a program made, or that was found in a table whose columns a struct cannot have."""

    __slots__ = ("_columns", "_id")

    _columns: dict[str, Any]
    _id: Any

    @property
    def columns(self) -> dict[str, Any]:
        return self._columns

    @property
    def id(self) -> Any:
        return self._id


def plain_row(columns: dict[str, Any], row_id: Any) -> Row:
    """Make a row of a dict, which is the row's own from now on, and an id."""
    row = object.__new__(PlainRow)
    object.__setattr__(row, "_columns", columns)
    object.__setattr__(row, "_id", row_id)
    return row


class StructRow(Row):
    """The base of the structs. Each table has a subclass of its own, with its ``_id_of``.

    The struct has two fields behind its columns: the row's key, and the dict of its columns once they were asked for.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # what ``struct_base`` and the decoder's struct add; msgspec would evaluate what stands outside
        _id_of: ClassVar[Callable[[bytes], Any]]
        _key: bytes
        _columns: dict[str, Any] | None

    @property
    def columns(self) -> dict[str, Any]:
        columns = self._columns
        if columns is None:
            columns = columns_of_struct(self)
            set_attribute(self, COLUMNS, columns)
        return columns

    @property
    def id(self) -> Any:
        return type(self)._id_of(self._key)


def struct_base(names: Iterable[str], id_of: Callable[[bytes], Any]) -> type[StructRow] | None:
    """Return what the struct of a table derives from; None if its columns cannot be attributes of a row."""
    if any(hasattr(StructRow, name) for name in names):
        return None
    return type("Row", (StructRow,), {"__slots__": (), "_id_of": staticmethod(id_of), "__module__": Row.__module__})


RowLike: TypeAlias = object
"""What a user gives as a row: a ``Row``, a mapping of columns, or an object of the table's model. Nobody but a table's
binding looks inside, and it refuses all else."""


def columns_of(row: RowLike) -> Mapping[str, Any]:  # Any: a column has the type that its field declares
    """Return the columns of what a user gives as a row. Raises ``TypeError`` for anything else."""
    if type(row) is dict:  # an isinstance against Mapping costs ten times this
        return cast("Mapping[str, Any]", row)
    if isinstance(row, Row):
        return row.columns
    if isinstance(row, Mapping):
        return row
    raise TypeError(f"A row is given as a Row or a mapping of columns, not as {type(row).__name__}")
