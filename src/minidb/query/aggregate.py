"""Figures of many rows, by groups, in one pass: count, sum, min, max, avg.

Nulls do not count. The sum of no values is 0; their min, max and avg are null. Sums of integers are exact, those of
floats are compensated, so that they do not depend on how many there are; those of decimals keep 1,000 digits. The order
for min and max is that of ``order_by``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from math import isfinite
from typing import Any, Final, Protocol

from minidb.conditions.match import has_one_type
from minidb.encoding.untyped import encode_untyped
from minidb.exceptions import FieldError, SchemaValidationError, UsageError
from minidb.query.run import sort_key
from minidb.tables.binding import TableBinding
from minidb.tables.reading import Found

FUNCTIONS: Final = ("count", "sum", "min", "max", "avg")

_NUMBER_KINDS: Final = frozenset({"integer", "float", "decimal"})
_DECIMALS: Final = Context(prec=1000)
_MORE_DIGITS: Final = 28
"""Digits that a decimal average has, beyond those of the sum."""

Value = Any  # what the field's type admits


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A figure that is asked for."""

    function: str
    field: str | None
    """None: the rows themselves are counted."""


def parse(named: Mapping[str, object]) -> dict[str, Aggregate]:
    """Return what is meant by ``people="count", oldest=("max", "age")``. Raises ``UsageError``."""
    return {name: _parse(wanted) for name, wanted in named.items()}


def _parse(wanted: object) -> Aggregate:
    match wanted:
        case "count":
            return Aggregate("count", None)
        case (str(function), str(field)) if function in FUNCTIONS:
            return Aggregate(function, field)
    raise UsageError(
        "An aggregate is 'count', or a pair of a function and a field, such as ('max', 'age')",
        hint=f"the functions are {', '.join(FUNCTIONS)}",
    )


def aggregate(
    table: TableBinding, rows: Iterable[Found], groups: Sequence[str], wanted: Mapping[str, Aggregate]
) -> list[dict[str, Value]]:
    """Return a dict for each group, in the order of their fields: these, then the figures.

    Without fields to group by, all rows are the one group, even if there are none. REQUIRES known fields; raises
    ``SchemaValidationError`` for a function that does not fit a field.
    """
    _require_fit(table, wanted)
    group_of = sort_key(table, tuple((name, False) for name in groups))
    group_getters = [table.value_getter(name) for name in groups]
    getters = [None if one.field is None else table.value_getter(one.field) for one in wanted.values()]
    makers = [_maker(table, one) for one in wanted.values()]
    members: dict[bytes, tuple[list[Value], list[_Figure]]] = {}
    if not groups:
        members[b""] = ([], [make() for make in makers])
    for found in rows:
        mark = group_of(found)
        member = members.get(mark)
        if member is None:
            member = members[mark] = ([get(found[1]) for get in group_getters], [make() for make in makers])
        for get, figure in zip(getters, member[1], strict=True):
            if get is None:
                figure.add(None)
            elif (value := get(found[1])) is not None:
                figure.add(value)
    return [
        {name: table.restored(name, value) for name, value in zip(groups, values, strict=True)}
        | {name: figure.result() for name, figure in zip(wanted, figures, strict=True)}
        for _, (values, figures) in sorted(members.items())
    ]


def _require_fit(table: TableBinding, wanted: Mapping[str, Aggregate]) -> None:
    if table.schema is None:
        return
    errors = []
    for one in wanted.values():
        if one.field is None or one.function == "count":
            continue
        field = table.schema.fields[one.field]
        if one.function in ("sum", "avg") and field.kind not in _NUMBER_KINDS:
            errors.append(FieldError(one.field, "type", f"is {field.noun}, which has no {one.function}"))
        if one.function in ("min", "max") and not field.is_key_value:
            errors.append(FieldError(one.field, "type", f"is {field.noun}, which has no order"))
    if errors:
        raise SchemaValidationError(
            f"The aggregates do not fit table {table.name!r}", errors=errors, table=table.name, row_number=None
        )


class _Figure(Protocol):
    def add(self, value: Value) -> None: ...
    def result(self) -> Value: ...


def _maker(table: TableBinding, wanted: Aggregate) -> Callable[[], _Figure]:
    if wanted.function == "count":
        return _Count
    assert wanted.field is not None, "counting alone needs no field"
    if wanted.function == "sum":
        return _Sum
    if wanted.function == "avg":
        return _Average
    field, is_before = wanted.field, _is_before(table, wanted.field)
    if wanted.function == "min":
        return lambda: _Extreme(is_before, lambda value: table.restored(field, value))
    return lambda: _Extreme(lambda value, best: is_before(best, value), lambda value: table.restored(field, value))


def _is_before(table: TableBinding, field: str) -> Callable[[Value, Value], bool]:
    """Return a function that tells whether one value comes before another one in the order of keys."""
    if not has_one_type(table.schema, (field,)):
        return lambda one, other: encode_untyped(one) < encode_untyped(other)
    assert table.schema is not None, "else there is no one type"
    if table.schema.fields[field].kind == "float":
        return lambda one, other: one < other or (other != other and one == one)  # noqa: PLR0124  # NaN comes last
    return lambda one, other: bool(one < other)


class _Count:
    def __init__(self) -> None:
        self._count = 0

    def add(self, value: Value) -> None:  # noqa: ARG002  # whatever it is, it counts
        self._count += 1

    def result(self) -> int:
        return self._count


class _Extreme:
    def __init__(self, is_better: Callable[[Value, Value], bool], restore: Callable[[Value], Value]) -> None:
        self._is_better = is_better
        self._restore = restore
        self._best: Value = None

    def add(self, value: Value) -> None:
        if self._best is None or self._is_better(value, self._best):
            self._best = value

    def result(self) -> Value:
        return self._restore(self._best)


class _Sum:
    def __init__(self) -> None:
        self.count = 0
        self._integers = 0
        self._floats: float | None = None
        self._lost = 0.0  # what rounding has taken from the sum of the floats (Neumaier's method)
        self._decimals: Decimal | None = None

    def add(self, value: Value) -> None:
        self.count += 1
        if isinstance(value, float):
            before = self._floats or 0.0
            total = self._floats = before + value
            self._lost += (before - total) + value if abs(before) >= abs(value) else (value - total) + before
        elif isinstance(value, Decimal):
            self._decimals = value if self._decimals is None else _DECIMALS.add(self._decimals, value)
        elif isinstance(value, int) and not isinstance(value, bool):
            self._integers += value
        else:
            raise UsageError("A column that is summed up holds something else than numbers")

    def result(self) -> int | float | Decimal:
        if self._floats is not None and self._decimals is not None:
            raise UsageError("Floats and decimals cannot be summed up together: one is exact, the other is not")
        if self._floats is not None:
            exact = self._floats + self._lost if isfinite(self._floats) else self._floats
            return exact + self._integers
        if self._decimals is not None:
            return _DECIMALS.add(self._decimals, Decimal(self._integers))
        return self._integers


class _Average(_Sum):
    def result(self) -> float | Decimal | None:  # type: ignore[override]  # null where there are no values
        if not self.count:
            return None
        total = super().result()
        if isinstance(total, Decimal):
            digits = len(total.as_tuple().digits) + _MORE_DIGITS
            return Context(prec=digits).divide(total, Decimal(self.count))
        return total / self.count
