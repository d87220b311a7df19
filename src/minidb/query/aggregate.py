"""Figures of many rows, by groups, in one pass: count, sum, min, max, avg.

Nulls do not count. The sum of no values is 0; their min, max and avg are null. Sums of integers are exact, those of
floats are rounded once for each thousand or so rows and once at the end; those of decimals keep 1,000 digits. The order
for min and max is that of ``order_by``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import partial
from math import fsum, nan
from typing import Any, Final, Protocol

from minidb.conditions.match import has_one_type
from minidb.encoding.rows import Record
from minidb.encoding.untyped import encode_untyped
from minidb.exceptions import FieldError, SchemaValidationError, UsageError
from minidb.query.plan import may_be_nan
from minidb.query.run import sort_key
from minidb.structs import Struct
from minidb.tables.binding import TableBinding
from minidb.tables.reading import FoundMany

FUNCTIONS: Final = ("count", "sum", "min", "max", "avg")

_NUMBER_KINDS: Final = frozenset({"integer", "float", "decimal"})
_MOST_PARTS: Final = 100
_DECIMALS: Final = Context(prec=1000, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])  # opposite infinities: NaN, as of floats
_MORE_DIGITS: Final = 28
"""Digits that a decimal average has, beyond those of the sum."""

Value = Any  # what the field's type admits


class Aggregate(Struct, frozen=True):
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
    table: TableBinding, pages: Iterable[FoundMany], groups: Sequence[str], wanted: Mapping[str, Aggregate]
) -> list[dict[str, Value]]:
    """Return a dict for each group, in the order of their fields: these, then the figures.

    Without fields to group by, all rows are the one group, even if there are none. REQUIRES known fields; raises
    ``SchemaValidationError`` for a function that does not fit a field.
    """
    _require_fit(table, wanted)
    mark_of = _mark(table, groups)
    makers = [_maker(table, one) for one in wanted.values()]
    getters = [None if one.field is None else table.value_getter(one.field) for one in wanted.values()]
    members: dict[Hashable, tuple[Record, list[_Figure]]] = {}
    everything = [make() for make in makers]
    for _, records in pages:
        parts: dict[Hashable, list[Record]] = defaultdict(list)
        if mark_of is None:
            _add(everything, getters, records)
            continue
        for mark, record in zip(map(mark_of, records), records, strict=True):
            parts[mark].append(record)
        for mark, part in parts.items():
            if mark not in members:
                members[mark] = (part[0], [make() for make in makers])
            _add(members[mark][1], getters, part)
    if mark_of is None:
        return [_results(wanted, everything)]
    order = sort_key(table, tuple((name, False) for name in groups))
    group_getters = [(name, table.value_getter(name)) for name in groups]
    return [
        {name: table.restored(name, get(first)) for name, get in group_getters} | _results(wanted, figures)
        for first, figures in sorted(members.values(), key=lambda member: order((b"", member[0])))
    ]


def _results(wanted: Mapping[str, Aggregate], figures: Sequence[_Figure]) -> dict[str, Value]:
    return {name: figure.result() for name, figure in zip(wanted, figures, strict=True)}


def _add(
    figures: Sequence[_Figure], getters: Sequence[Callable[[Record], Value] | None], records: Sequence[Record]
) -> None:
    for figure, get in zip(figures, getters, strict=True):
        values = records if get is None else [value for value in map(get, records) if value is not None]
        if values:
            figure.add(values)


def _mark(table: TableBinding, groups: Sequence[str]) -> Callable[[Record], Hashable] | None:
    """Return a function from a row to what rows of its group have in common; None where there is one group."""
    if not groups:
        return None
    if all(has_one_type(table.schema, (name,)) and not may_be_nan(table, name) for name in groups):
        getters = [table.value_getter(name) for name in groups]  # values of one type are equal as their keys are
        return getters[0] if len(getters) == 1 else lambda record: tuple([get(record) for get in getters])
    order = sort_key(table, tuple((name, False) for name in groups))
    return lambda record: order((b"", record))


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
        if one.function in ("min", "max") and not (field.is_key_value and field.is_indexable):
            errors.append(FieldError(one.field, "type", f"is {field.noun}, which has no order"))
    if errors:
        raise SchemaValidationError(
            f"The aggregates do not fit table {table.name!r}", errors=errors, table=table.name, row_number=None
        )


class _Figure(Protocol):
    def add(self, values: Sequence[Value]) -> None: ...  # at least one, none of them null
    def result(self) -> Value: ...


def _maker(table: TableBinding, wanted: Aggregate) -> Callable[[], _Figure]:
    field = wanted.field
    if wanted.function == "count" or field is None:
        return _Count
    if wanted.function == "sum":
        return _Sum
    if wanted.function == "avg":
        return _Average
    choose = partial(min if wanted.function == "min" else max, key=_order(table, field))
    return lambda: _Extreme(choose, lambda value: table.restored(field, value))


def _order(table: TableBinding, field: str) -> Callable[[Value], Any] | None:  # Any: what can be compared
    """Return what values are compared by, so that they are in the order of keys; None for the values themselves."""
    if not has_one_type(table.schema, (field,)):
        return encode_untyped
    return (lambda value: (value != value, value)) if may_be_nan(table, field) else None  # noqa: PLR0124  # NaN is last


class _Count:
    def __init__(self) -> None:
        self._count = 0

    def add(self, values: Sequence[Value]) -> None:
        self._count += len(values)

    def result(self) -> int:
        return self._count


class _Extreme:
    def __init__(self, choose: Callable[[Sequence[Value]], Value], restore: Callable[[Value], Value]) -> None:
        self._choose = choose
        self._restore = restore
        self._best: list[Value] = []

    def add(self, values: Sequence[Value]) -> None:
        self._best = [self._choose([*self._best, *values])]

    def result(self) -> Value:
        return self._restore(self._best[0]) if self._best else None


class _Sum:
    def __init__(self) -> None:
        self.count = 0
        self._integers = 0
        self._floats: list[float] = []  # sums of parts, each rounded once
        self._decimals: Decimal | None = None

    def add(self, values: Sequence[Value]) -> None:
        self.count += len(values)
        kinds = set(map(type, values))
        if kinds == {int}:
            self._integers += sum(values)
        elif kinds == {float}:
            self._floats.append(_float_sum(values))
            if len(self._floats) > _MOST_PARTS:
                self._floats = [_float_sum(self._floats)]
        elif kinds == {Decimal}:
            for value in values:
                self._decimals = value if self._decimals is None else _DECIMALS.add(self._decimals, value)
        elif kinds <= {int, float, Decimal}:
            for kind in kinds:
                self.add([value for value in values if type(value) is kind])
            self.count -= len(values)
        else:
            raise UsageError("A column that is summed up holds something else than numbers")

    def result(self) -> int | float | Decimal:
        if self._floats and self._decimals is not None:
            raise UsageError("Floats and decimals cannot be summed up together: one is exact, the other is not")
        if self._floats:
            return _float_sum([*self._floats, self._integers])
        if self._decimals is not None:
            return _DECIMALS.add(self._decimals, Decimal(self._integers)) if self._integers else self._decimals
        return self._integers


def _float_sum(values: Sequence[float]) -> float:
    try:
        return fsum(values)
    except ValueError:  # infinities of both signs
        return nan
    except OverflowError:  # on the way, at least
        return _as_float(lambda: sum(map(float, values)))


def _as_float(compute: Callable[[], float]) -> float:
    try:
        return compute()
    except OverflowError:
        raise UsageError("The figure is beyond what a float can hold") from None


class _Average(_Sum):
    def result(self) -> float | Decimal | None:  # type: ignore[override]  # null where there are no values
        if not self.count:
            return None
        total = super().result()
        if isinstance(total, Decimal):
            digits = len(total.as_tuple().digits) + _MORE_DIGITS
            return Context(prec=digits, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[]).divide(total, Decimal(self.count))
        return _as_float(lambda: total / self.count)
