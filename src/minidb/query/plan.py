"""The plan of a query: which way leads to its rows. A pure function of a table's definition and the condition.

A plan is one *access*, and what is left to do with the rows that it finds: filter, sort, cut. Ranges are half-open
ranges of keys, of the rows' own space or of an index. A range may hold more than the condition asks for, never less:
the filter has the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from minidb.conditions.implication import conjuncts_of, follows
from minidb.conditions.match import has_one_type
from minidb.conditions.predicate import Comparison, Condition, Either, OneOf, Operator
from minidb.encoding import type_codes
from minidb.encoding.keys import encode_value, successor
from minidb.encoding.untyped import encode_untyped
from minidb.structs import Struct
from minidb.tables.binding import TableBinding
from minidb.tables.index_entries import (
    LARGEST_KEY_BYTES,
    LARGEST_UNCUT_BYTES,
    IndexBinding,
)

Order = tuple[tuple[str, bool], ...]
"""Fields to sort by, and whether descending."""

MOST_RANGES: Final = 1000
"""Ranges that one access may have. A condition with more values is looked for in a wider range and filtered."""

_NULL: Final = bytes((type_codes.NULL,))


class Range(Struct, frozen=True):
    """A half-open range of keys; None is the open end."""

    start: bytes | None
    stop: bytes | None


_WHOLE: Final = Range(None, None)


class TableScan(Struct, frozen=True):
    """Rows in order of their keys: all of them, or those of ranges of the primary key."""

    ranges: tuple[Range, ...]
    reverse: bool
    reasons: tuple[Condition, ...]

    @property
    def is_whole(self) -> bool:
        return self.ranges == (_WHOLE,)


class IndexScan(Struct, frozen=True):
    """Rows in the order of an index."""

    index: IndexBinding
    ranges: tuple[Range, ...]
    reverse: bool
    reasons: tuple[Condition, ...]
    is_point: bool
    """Whether each range is that of one value for all fields of the index."""

    may_repeat: bool
    """Whether a row may be met twice: by elements of a list that begin so alike that they were cut."""


class Union(Struct, frozen=True):
    """The rows of several accesses, each once."""

    accesses: tuple[Access, ...]


Access = TableScan | IndexScan | Union


class Plan(Struct, frozen=True):
    """How a query is run."""

    access: Access
    filter: Condition | None
    """What rows must still be asked; None if the access finds just the right ones."""

    sort: Order
    """What to sort by; empty if the access finds the rows in order."""

    order: Order
    """The same, if an index finds the rows in order, but for values that it has cut."""

    limit: int | None
    offset: int


def make_plan(table: TableBinding, condition: Condition | None, order: Order, limit: int | None, offset: int) -> Plan:
    """Return the cheapest plan that is known. REQUIRES a bound condition."""
    return plan_by(best_candidate(table, condition, order), condition, order, limit, offset)


def plan_by(best: Candidate, condition: Condition | None, order: Order, limit: int | None, offset: int) -> Plan:
    """Return the plan that takes a way, for the condition and the order that it was found for."""
    direction = best.gives(order)
    return Plan(
        access=best.access(reverse=bool(direction)),
        filter=None if condition is None or best.is_exact else condition,
        sort=order if direction is None else (),
        order=() if direction is None or best.index is None else order,
        limit=limit,
        offset=offset,
    )


def best_candidate(table: TableBinding, condition: Condition | None, order: Order) -> Candidate:
    """Return the way to the rows that narrows the search most.

    Of equals it is one that finds them in order, and of these one that has the rows themselves.
    """
    return max(
        _candidates(table, condition, order),
        key=lambda one: (one.rank, one.gives(order) is not None, one.index is None or one.index.is_covering),
    )


# --- candidates -------------------------------------------------------------------------------------------------------

_NO_RANK: Final = (0, 0, 0)


class Candidate(Struct, frozen=True):
    """One way to the rows."""

    index: IndexBinding | None
    """None: the rows' own space."""

    fields: tuple[str | None, ...]
    """What the keys are sorted by, as far as it goes; None stands for the elements of a list."""

    fixed: tuple[int, ...]
    """The places of the fields that have one value in all ranges."""

    ranges: tuple[Range, ...]
    rank: tuple[int, int, int]
    """How much it narrows the search: finds at most one row, fields that are equal to something, has a range."""

    is_exact: bool
    """Whether the ranges hold just the rows that the condition asks for."""

    reasons: tuple[Condition, ...]
    was_cut: bool = False
    """Whether ranges were widened, as keys are not as long as what is looked for."""

    others: tuple[Candidate, ...] = ()
    """The branches, where the way is a union."""

    def gives(self, order: Order) -> bool | None:
        """Return whether the keys must be read backwards to come in an order; None if they do not come so at all."""
        if not order:
            return False
        remaining, directions = map(list, zip(*order, strict=True))
        if self.others or len(set(directions)) > 1:
            return None
        for place, field in enumerate(self.fields):
            if field == remaining[0]:
                del remaining[0]
                if not remaining:
                    return bool(directions[0])
            elif place not in self.fixed:
                break
        return None

    def access(self, *, reverse: bool) -> Access:
        if self.others:
            return Union(tuple(one.access(reverse=False) for one in self.others))
        ranges = self.ranges[::-1] if reverse else self.ranges
        if self.index is None:
            return TableScan(ranges, reverse, self.reasons)
        may_repeat = self.index.each is not None and self.was_cut
        is_point = self.rank[1] == len(self.fields) and not self.was_cut
        return IndexScan(self.index, ranges, reverse, self.reasons, is_point, may_repeat)


def _candidates(table: TableBinding, condition: Condition | None, order: Order) -> list[Candidate]:
    """Return every way that may be of use, the table scan first: of equals, ``max`` takes the first."""
    conjuncts = conjuncts_of(condition)
    key = table.definition.primary_key if table.id_name is None else (table.id_name,)
    ways = [_way(table, None, key, conjuncts)]
    asked = {one.path for one in conjuncts if isinstance(one, Comparison | OneOf)}
    asked.update((name,) for name, _ in order[:1])
    for index in table.indexes:
        definition = index.definition
        if definition.fields[:1] not in asked and definition.where is None:
            continue  # an index on all rows helps by its first field, or not at all
        way = _way_by_index(table, index, conjuncts)
        if way is not None:
            ways.append(way)
    for conjunct in conjuncts:
        if isinstance(conjunct, Either):
            branches = tuple(best_candidate(table, branch, ()) for branch in conjunct.conditions)
            if all(branch.rank > _NO_RANK for branch in branches):
                worst = min(branch.rank for branch in branches)
                ways.append(
                    Candidate(None, (), (), (), (0, worst[1], worst[2]), is_exact=False, reasons=(), others=branches)
                )
    return ways


def _way_by_index(table: TableBinding, index: IndexBinding, conjuncts: Sequence[Condition]) -> Candidate | None:
    """Return the way by an index; None if the index may lack a row that the condition asks for."""
    where = index.definition.where
    if where is not None and not follows(where, conjuncts, table.schema):
        return None
    way = _way(table, index, index.definition.fields, conjuncts)
    if index.each is not None and way.rank[1] <= index.each:
        return None  # nothing asks for an element: a row has as many entries as it has elements, maybe none
    return way


def _way(
    table: TableBinding, index: IndexBinding | None, fields: tuple[str, ...], conjuncts: Sequence[Condition]
) -> Candidate:
    """Return the way by one index, or by the primary key: equalities first, then one range."""
    if not fields:  # automatic ids that no condition can be about
        is_exact = not conjuncts and table.schema is not None
        return Candidate(None, (), (), (_WHOLE,), _NO_RANK, is_exact, ())
    prefixes: list[bytes] = [b""]
    used: list[Condition] = []
    equal = 0
    fixed: list[int] = []
    is_exact = True
    each = None if index is None else index.each
    for place, field in enumerate(fields):
        found = _contained(conjuncts, field) if place == each else _equality(conjuncts, field)
        if found is None:
            break
        values = _values(found)
        if len(prefixes) * len(values) > MOST_RANGES:
            break
        encoded = sorted({encode(table, index, place, value) for value in values})
        prefixes = [prefix + one for prefix in prefixes for one in encoded]
        if len(encoded) == 1:
            fixed.append(place)
        equal += 1
        used.append(found)
    ranges = [Range(prefix or None, successor(prefix)) for prefix in prefixes]
    narrows = 0
    if equal < len(fields) and equal != each:
        field = fields[equal]
        limits = [one for one in conjuncts if isinstance(one, Comparison) and _limits(one, field)]
        # That it is no null leaves nearly all: a shorter way through the index, but no reason to take it.
        not_null = [] if index is None else [one for one in conjuncts if _is_not_null(one, field)]
        if limits or not_null:
            narrows = int(bool(limits))
            bounds = [(one.operator, encode(table, index, equal, one.value)) for one in limits]
            ranges = [narrow(prefix, bounds) for prefix in prefixes]
            used += [*limits, *not_null]
            is_exact = has_one_type(table.schema, (field,)) and not may_be_nan(table, field)
    is_unique = equal == len(fields) > 0 and (index is None or index.unique) and len(prefixes) == 1
    ranges, was_cut = _cut(ranges, LARGEST_KEY_BYTES if index is None else LARGEST_UNCUT_BYTES)
    where = None if index is None else index.definition.where
    if where is not None:
        narrows += 1  # by what the index leaves out
        used += [one for one in conjuncts if one not in used and follows(one, conjuncts_of(where), table.schema)]
    return Candidate(
        index,
        tuple(None if place == each else field for place, field in enumerate(fields)),
        tuple(fixed),
        tuple([one for one in ranges if one.stop is None or one.start is None or one.start < one.stop]),
        (int(is_unique), equal, narrows),
        is_exact=is_exact and not was_cut and len(used) == len(conjuncts) and table.schema is not None,
        reasons=tuple(used),
        was_cut=was_cut,
    )


def _equality(conjuncts: Iterable[Condition], field: str) -> Comparison | OneOf | None:
    for one in conjuncts:
        if isinstance(one, OneOf) and one.path == (field,):
            return one
        if isinstance(one, Comparison) and one.path == (field,) and one.operator is Operator.EQUAL:
            return one
    return None


def _contained(conjuncts: Iterable[Condition], field: str) -> Comparison | None:
    for one in conjuncts:
        if isinstance(one, Comparison) and one.path == (field,) and one.operator is Operator.CONTAINS:
            return one
    return None


def _values(condition: Comparison | OneOf) -> tuple[Any, ...]:  # Any: what the field's type admits
    return condition.values if isinstance(condition, OneOf) else (condition.value,)


_LIMITS: Final = frozenset(
    {Operator.LESS, Operator.LESS_EQUAL, Operator.GREATER, Operator.GREATER_EQUAL, Operator.STARTS_WITH}
)


def _limits(comparison: Comparison, field: str) -> bool:
    return comparison.path == (field,) and comparison.operator in _LIMITS


def _is_not_null(condition: Condition, field: str) -> bool:
    return (
        isinstance(condition, Comparison)
        and condition.path == (field,)
        and condition.operator is Operator.NOT_EQUAL
        and condition.value is None
    )


def narrow(prefix: bytes, limits: Iterable[tuple[Operator, bytes]]) -> Range:
    """Return the part of the keys with a prefix in which the next value keeps within limits. Nulls never do."""
    start = prefix + _NULL + b"\xff"  # beyond nulls: no type's code is below theirs
    stop: bytes | None = successor(prefix)
    for operator, value in limits:
        low: bytes | None = None
        high: bytes | None = None
        encoded = prefix + value
        if operator is Operator.GREATER_EQUAL:
            low = encoded
        elif operator is Operator.LESS_EQUAL:
            high = successor(encoded)
        elif operator is Operator.GREATER:
            low = successor(encoded) or encoded
        elif operator is Operator.LESS:
            high = encoded
        else:  # begins with: all but the byte that ends the text
            low, high = encoded[:-1], successor(encoded[:-1])
        if low is not None and low > start:
            start = low
        if high is not None and (stop is None or high < stop):
            stop = high
    return Range(start, stop)


def _cut(ranges: list[Range], length: int) -> tuple[list[Range], bool]:
    """Widen ranges to bounds that keys can have. Return also whether any was widened.

    Long values are cut in an index, so that a bound that is longer says nothing beyond the cut.
    """
    if max((len(bound) for one in ranges for bound in (one.start, one.stop) if bound), default=0) <= length:
        return ranges, False
    cut = []
    for one in ranges:
        start = one.start if one.start is None else one.start[:length]
        stop = one.stop if one.stop is None or len(one.stop) <= length else successor(one.stop[:length])
        cut.append(Range(start, stop))
    # Values that begin alike share one range once it is cut: their rows must not come twice.
    return list(dict.fromkeys(cut)), ranges != cut


def encode(table: TableBinding, index: IndexBinding | None, place: int, value: Any) -> bytes:  # Any: as above
    """Return the encoding of a value of one of an index's fields, or of the primary key's."""
    if index is not None:
        return index.encode_field(place, value)
    return encode_untyped(value) if table.schema is None else encode_value(value)


def may_be_nan(table: TableBinding, field: str) -> bool:
    """Tell whether NaN may stand in a column, which is less and greater than nothing, but has a place among keys."""
    if field == table.id_name:
        return False
    return table.schema is None or table.schema.fields[field].kind == "float"
