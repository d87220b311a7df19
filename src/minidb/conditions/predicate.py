"""Conditions: which rows a person means, before anybody thinks of an index.

    condition  := comparison | condition & condition | condition | condition | ~condition
    comparison := where(field) operator value

A condition is a value that knows no table. ``conditions.binding`` fits it to one, ``conditions.match`` decides for a
single row, and ``query.plan`` finds the way to the rows.

Logic has two values: a comparison with a null is false, except ``== None``, ``is_null`` and ``!=``; ``~`` turns exactly
that around. So a query gives the rows for which the same Python expression is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Generic, NoReturn, TypeVar

from minidb.exceptions import UsageError
from minidb.structs import Struct

Value = TypeVar("Value")
"""The type of a field's values."""


class Operator(Enum):
    """What a comparison asks of the value in a row."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="
    STARTS_WITH = "startswith"
    CONTAINS = "contains"

    __hash__ = object.__hash__  # in C: there is one of each. Enum's own hashes the name, in Python


class Condition(Struct, frozen=True, eq=False):
    """A condition. Combine conditions by ``&``, ``|`` and ``~``, each comparison in parentheses of its own."""

    def describe(self, *, has_values: bool) -> str:
        """Return the condition in words. Without values it may stand in a log."""
        return describe(self, has_values=has_values)

    def __str__(self) -> str:
        return describe(self, has_values=True)

    def __and__(self, other: Condition) -> Condition:
        return All((*_parts_of(self, All), *_parts_of(other, All)))

    def __or__(self, other: Condition) -> Condition:
        return Either((*_parts_of(self, Either), *_parts_of(other, Either)))

    def __invert__(self) -> Condition:
        return Not(self)

    def __repr__(self) -> str:
        return f"<condition {self}>"

    def __bool__(self) -> NoReturn:
        raise UsageError(
            "A condition has no truth of its own",
            hint="combine conditions by & | ~ and not by and, or, not; and write (where('a') > 1) & (where('a') < 9)",
        )


class Comparison(Condition, frozen=True, eq=False):
    """The value of a field, compared with another one."""

    path: tuple[str, ...]
    """The field, and the keys that lead into it where it holds maps."""

    operator: Operator
    value: Any  # Any: what the field's type admits, which binding checks

    @property
    def field(self) -> str:
        return self.path[0]


class OneOf(Condition, frozen=True, eq=False):
    """The value of a field is one of several."""

    path: tuple[str, ...]
    values: tuple[Any, ...]  # Any: as in Comparison

    @property
    def field(self) -> str:
        return self.path[0]


class All(Condition, frozen=True, eq=False):
    """Every one of the conditions; true if there is none."""

    conditions: tuple[Condition, ...]


class Either(Condition, frozen=True, eq=False):
    """At least one of the conditions."""

    conditions: tuple[Condition, ...]


class Not(Condition, frozen=True, eq=False):
    """Not the condition."""

    condition: Condition


class where(Generic[Value]):  # noqa: N801  # reads as the word that it is
    """A field of a row, to be compared.

    >>> (where("age") >= 18) & (where("city") == "Paris")
    <condition age >= 18 and city == 'Paris'>
    >>> where("address")["city"].startswith("P")
    <condition address.city.startswith('P')>
    """

    __slots__ = ("_path",)

    def __init__(self: where[Any], field: str) -> None:  # Any: by its name alone, nobody knows the type of a field
        """Name a field. Keys that lead into a field of maps follow in brackets."""
        self._path: tuple[str, ...] = (field,)

    def __getitem__(self, key: str) -> where[Any]:  # Any: as above
        if not isinstance(key, str):
            raise UsageError("The keys that lead into a field of maps are text")
        deeper = where(self._path[0])
        deeper._path = (*self._path, key)
        return deeper

    def __eq__(self, value: Value) -> Condition:  # type: ignore[override]  # builds a condition, as its users expect
        return Comparison(self._path, Operator.EQUAL, value)

    def __ne__(self, value: Value) -> Condition:  # type: ignore[override]  # as above
        return Comparison(self._path, Operator.NOT_EQUAL, value)

    def __lt__(self, value: Value) -> Condition:
        return Comparison(self._path, Operator.LESS, value)

    def __le__(self, value: Value) -> Condition:
        return Comparison(self._path, Operator.LESS_EQUAL, value)

    def __gt__(self, value: Value) -> Condition:
        return Comparison(self._path, Operator.GREATER, value)

    def __ge__(self, value: Value) -> Condition:
        return Comparison(self._path, Operator.GREATER_EQUAL, value)

    __hash__ = None  # type: ignore[assignment]  # equality builds a condition

    def in_(self, values: Iterable[Value]) -> Condition:
        """Be one of several values."""
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise UsageError("in_ takes several values, such as a list of them")
        return OneOf(self._path, tuple(values))

    def between(self, low: Value, high: Value) -> Condition:
        """Lie between two values, or be one of them."""
        limits = Comparison(self._path, Operator.GREATER_EQUAL, low), Comparison(self._path, Operator.LESS_EQUAL, high)
        return All(limits)

    def startswith(self, prefix: str | bytes) -> Condition:
        """Begin with some text, or bytes."""
        return Comparison(self._path, Operator.STARTS_WITH, prefix)

    def contains(self, item: Any) -> Condition:
        """Hold some text, bytes, or, of a list, an element."""
        return Comparison(self._path, Operator.CONTAINS, item)

    def is_null(self) -> Condition:
        """Be null."""
        return Comparison(self._path, Operator.EQUAL, None)


class _Reader:
    """Stands for a row, and notes what is read of it."""

    __slots__ = ("_path",)

    def __init__(self, path: tuple[str, ...]) -> None:
        self._path = path

    __iter__ = None

    def __bool__(self) -> NoReturn:
        raise TypeError("what is read has no value here")

    def __getattr__(self, name: str) -> _Reader:
        return _Reader((*self._path, name))

    def __getitem__(self, key: str) -> _Reader:
        return _Reader((*self._path, key))


def where_read(read: Callable[[Any], Any]) -> where[Any]:  # Any: the row and the field, which the caller has types for
    """Return the field that a function reads of a row, as ``lambda row: row.name`` does."""
    try:
        found = read(_Reader(()))
    except TypeError:
        found = None
    path = found._path if isinstance(found, _Reader) else ()
    if not path or not all(isinstance(key, str) for key in path):
        raise UsageError(
            "The function must do no more than to read one field of the row",
            hint="write where(lambda user: user.age) >= 18",
        )
    field = where(path[0])
    field._path = path
    return field


def _parts_of(condition: Condition, kind: type[All | Either]) -> tuple[Condition, ...]:
    if not isinstance(condition, Condition):
        raise UsageError("A condition can be combined with another condition only")
    return condition.conditions if isinstance(condition, kind) else (condition,)


def describe(condition: Condition, *, has_values: bool) -> str:
    """Return a condition in words, with a question mark in place of each value if it shall have none."""

    def word(value: object) -> str:
        return repr(value) if has_values else "?"

    def inner(one: Condition, kind: type[Condition]) -> str:
        text = describe(one, has_values=has_values)
        return f"({text})" if isinstance(one, kind) else text

    match condition:
        case Comparison(path, Operator.STARTS_WITH | Operator.CONTAINS as operator, value):
            return f"{'.'.join(path)}.{operator.value}({word(value)})"
        case Comparison(path, operator, value):
            return f"{'.'.join(path)} {operator.value} {word(value)}"
        case OneOf(path, values):
            return f"{'.'.join(path)} in [{', '.join(map(word, values))}]"
        case All(conditions):
            return " and ".join(inner(one, Either) for one in conditions) or "every row"
        case Either(conditions):
            return " or ".join(inner(one, All) for one in conditions)
        case Not(negated):
            return f"not ({describe(negated, has_values=has_values)})"
    raise AssertionError(f"no such condition: {type(condition)}")
