"""Questions that three can answer: MiniDB by a condition, SQLite by SQL, and Python itself. All must say the same.

    question := Compare | Between | In | Prefix | Contains | HasElement | IsNull | Both | OneOrBoth | Not

SQL knows a third truth, unknown. Each leaf makes it false by ``COALESCE``, so that ``NOT`` means what Python means.
"""

from __future__ import annotations

import operator as python
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Protocol

from minidb import Condition, where

Value = Any
"""What a column holds: its field declares the type."""

Columns = Mapping[str, Value]

_EPOCH: Final = datetime(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)

_COMPARISONS: Final[Mapping[str, Callable[[Value, Value], Any]]] = {  # Any: a condition of MiniDB, or a bool of Python
    "<": python.lt,
    "<=": python.le,
    ">": python.gt,
    ">=": python.ge,
    "==": python.eq,
    "!=": python.ne,
}


class Question(Protocol):
    """What may be asked of a row."""

    def condition(self) -> Condition:
        """Return the question to MiniDB."""
        ...

    def sql(self, parameters: list[object]) -> str:
        """Return the question to SQLite, and append its parameters."""
        ...

    def holds(self, columns: Columns) -> bool:
        """Answer it for one row."""
        ...


def sql_value(value: Value) -> object:
    """Return what stands for a value in SQLite: of the same order, in a type that it has."""
    match value:
        case bool():
            return int(value)
        case datetime():
            naive = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
            return (naive - _EPOCH) // _MICROSECOND
        case date():
            return value.toordinal()
        case list():
            return repr(value)  # only ever asked whether it is the same
        case _:
            return value


@dataclass(frozen=True)
class Compare:
    """The value of a column compared with another one."""

    field: str
    operator: str
    value: Value

    def condition(self) -> Condition:
        condition = _COMPARISONS[self.operator](where(self.field), self.value)
        assert isinstance(condition, Condition)
        return condition

    def sql(self, parameters: list[object]) -> str:
        parameters.append(sql_value(self.value))
        if self.operator == "!=":
            return f"{self.field} IS NOT ?"
        if self.value is None:
            return f"{self.field} IS ?"
        return f"COALESCE({self.field} {self.operator} ?, 0)"

    def holds(self, columns: Columns) -> bool:
        found = columns[self.field]
        if self.operator in ("==", "!="):
            return bool(_COMPARISONS[self.operator](found, self.value))
        return found is not None and bool(_COMPARISONS[self.operator](found, self.value))


@dataclass(frozen=True)
class Between:
    """The value of a column from one value to another one."""

    field: str
    low: Value
    high: Value

    def condition(self) -> Condition:
        return where(self.field).between(self.low, self.high)

    def sql(self, parameters: list[object]) -> str:
        parameters += [sql_value(self.low), sql_value(self.high)]
        return f"COALESCE({self.field} BETWEEN ? AND ?, 0)"

    def holds(self, columns: Columns) -> bool:
        found = columns[self.field]
        return found is not None and bool(self.low <= found <= self.high)


@dataclass(frozen=True)
class In:
    """The value of a column is one of several; null may be among them."""

    field: str
    values: tuple[Value, ...]

    def condition(self) -> Condition:
        return where(self.field).in_(self.values)

    def sql(self, parameters: list[object]) -> str:
        wanted = [sql_value(value) for value in self.values if value is not None]
        parameters += wanted
        found = f"COALESCE({self.field} IN ({', '.join('?' * len(wanted))}), 0)"
        return f"({found} OR {self.field} IS NULL)" if None in self.values else found

    def holds(self, columns: Columns) -> bool:
        return columns[self.field] in self.values


@dataclass(frozen=True)
class Prefix:
    """A column of text or bytes begins so."""

    field: str
    value: str | bytes

    def condition(self) -> Condition:
        return where(self.field).startswith(self.value)

    def sql(self, parameters: list[object]) -> str:
        # As bytes: the functions of SQLite on text end at a NUL. And they make null of an empty blob.
        data = _bytes(self.value)
        if not data:
            return f"{self.field} IS NOT NULL"
        parameters += [len(data), data]
        return f"COALESCE(substr(CAST({self.field} AS BLOB), 1, ?) = ?, 0)"

    def holds(self, columns: Columns) -> bool:
        found = columns[self.field]
        return found is not None and bool(found.startswith(self.value))


@dataclass(frozen=True)
class Contains:
    """A column of text or bytes has this in it."""

    field: str
    value: str | bytes

    def condition(self) -> Condition:
        return where(self.field).contains(self.value)

    def sql(self, parameters: list[object]) -> str:
        data = _bytes(self.value)
        if not data:
            return f"{self.field} IS NOT NULL"
        parameters.append(data)
        return f"COALESCE(instr(CAST({self.field} AS BLOB), ?) > 0, 0)"

    def holds(self, columns: Columns) -> bool:
        found = columns[self.field]
        return found is not None and self.value in found


@dataclass(frozen=True)
class HasElement:
    """A column of lists has one with this in it."""

    field: str
    value: Value

    def condition(self) -> Condition:
        return where(self.field).contains(self.value)

    def sql(self, parameters: list[object]) -> str:
        parameters += [self.field, sql_value(self.value)]
        return (
            "EXISTS (SELECT 1 FROM elements WHERE elements.number = mirror.number AND elements.field = ?"
            " AND elements.element = ?)"
        )

    def holds(self, columns: Columns) -> bool:
        found = columns[self.field]
        return found is not None and self.value in found


@dataclass(frozen=True)
class IsNull:
    """A column holds nothing."""

    field: str

    def condition(self) -> Condition:
        return where(self.field).is_null()

    def sql(self, parameters: list[object]) -> str:  # noqa: ARG002  # as every question
        return f"{self.field} IS NULL"

    def holds(self, columns: Columns) -> bool:
        return columns[self.field] is None


@dataclass(frozen=True)
class Both:
    """One question and the other."""

    left: Question
    right: Question

    def condition(self) -> Condition:
        return self.left.condition() & self.right.condition()

    def sql(self, parameters: list[object]) -> str:
        return f"({self.left.sql(parameters)} AND {self.right.sql(parameters)})"

    def holds(self, columns: Columns) -> bool:
        return self.left.holds(columns) and self.right.holds(columns)


@dataclass(frozen=True)
class OneOrBoth:
    """One question or the other."""

    left: Question
    right: Question

    def condition(self) -> Condition:
        return self.left.condition() | self.right.condition()

    def sql(self, parameters: list[object]) -> str:
        return f"({self.left.sql(parameters)} OR {self.right.sql(parameters)})"

    def holds(self, columns: Columns) -> bool:
        return self.left.holds(columns) or self.right.holds(columns)


@dataclass(frozen=True)
class Not:
    """Just the rows for which a question does not hold."""

    question: Question

    def condition(self) -> Condition:
        return ~self.question.condition()

    def sql(self, parameters: list[object]) -> str:
        return f"(NOT {self.question.sql(parameters)})"

    def holds(self, columns: Columns) -> bool:
        return not self.question.holds(columns)


def parts_of(question: Question | None) -> list[Question]:
    """Return the questions that must all be answered with yes."""
    if question is None:
        return []
    if isinstance(question, Both):
        return [*parts_of(question.left), *parts_of(question.right)]
    return [question]


def narrowed_fields(question: Question | None) -> set[str]:
    """Return the columns whose values are kept to one, to a few or to a range in every row that a question asks for."""
    fields = set()
    for part in parts_of(question):
        match part:
            case Between(field) | In(field) | Prefix(field) | IsNull(field):
                fields.add(field)
            case Compare(field, operator) if operator != "!=":
                fields.add(field)
            case _:
                pass
    return fields


def contained_fields(question: Question | None) -> set[str]:
    """Return the columns of lists that an element is asked for in every row that a question asks for."""
    return {part.field for part in parts_of(question) if isinstance(part, HasElement)}


def fields_of(question: Question) -> set[str]:
    """Return the columns that a question is about."""
    match question:
        case Both(left, right) | OneOrBoth(left, right):
            return fields_of(left) | fields_of(right)
        case Not(inner):
            return fields_of(inner)
        case Compare(field) | Between(field) | In(field) | Prefix(field) | Contains(field) | IsNull(field):
            return {field}
        case HasElement(field):
            return {field}
    raise AssertionError(f"no such question: {question}")


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
