"""Plans for queries of one shape, of which only the values differ: chosen once, then filled in.

To choose among the ways to the rows takes 10 to 20 µs, more than reading the few rows that most queries find. So the
choice is kept with the table for queries of the commonest shape: comparisons that must all hold. What depends on more
than the shape is chosen each time: what asks for nulls, values so long that an index cuts them, indexes on some rows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from minidb.conditions.implication import conjuncts_of
from minidb.conditions.predicate import Comparison, Condition, Operator
from minidb.encoding.keys import successor
from minidb.exceptions import SchemaValidationError
from minidb.query.plan import Candidate, IndexScan, Order, Plan, Range, TableScan, best_candidate, narrow, plan_by
from minidb.query.plan import encode as encode_field
from minidb.structs import Struct
from minidb.tables.binding import TableBinding
from minidb.tables.index_entries import LARGEST_UNCUT_BYTES, IndexBinding

_MOST_RECIPES: Final = 1000
"""Shapes that are kept for one table. A program has a few."""

_OPERATORS: Final = frozenset(
    {Operator.EQUAL, Operator.LESS, Operator.LESS_EQUAL, Operator.GREATER, Operator.GREATER_EQUAL}
)

_PLAIN: Final = {"string": str, "integer": int, "boolean": bool, "bytes": bytes}
"""Kinds of fields whose values are stored as they are, where they are of just this type."""


class _OtherwiseError(Exception):
    """The values of a query ask for more than its shape tells."""


def plan_for(table: TableBinding, condition: Condition | None, order: Order, limit: int | None, offset: int) -> Plan:
    """Return the plan of a query. Raises ``SchemaValidationError`` for one that does not fit the table."""
    conjuncts = conjuncts_of(condition)
    shape = _shape(table, conjuncts, order)
    recipe = None if shape is None else table.recipes.get(shape)
    if recipe is not None:
        assert isinstance(recipe, Recipe), "nothing else is kept there"
        plan = recipe.plan(table, condition, conjuncts, limit, offset)
        if plan is not None:
            return plan
    table.require_fields([name for name, _ in order], or_id=True)
    bound = None if condition is None else table.bind(condition)
    best = best_candidate(table, bound, order)
    if shape is not None and recipe is None and len(table.recipes) < _MOST_RECIPES:
        recipe = _recipe(table, best, bound, order)
        if recipe is not None:
            table.recipes[shape] = recipe
    return plan_by(best, bound, order, limit, offset)


def _shape(table: TableBinding, conjuncts: Sequence[Condition], order: Order) -> Hashable:
    """Return what queries have in common that differ in their values only; None for one that has no recipe."""
    shape: list[Hashable] = [order]
    for one in conjuncts:
        if type(one) is not Comparison or one.operator not in _OPERATORS or one.path[0] == table.id_name:
            return None
        shape += (one.path, one.operator)
    return tuple(shape)


def _recipe(table: TableBinding, best: Candidate, bound: Condition | None, order: Order) -> Recipe | None:
    """Return how queries like one that takes a way are planned; None if that depends on their values."""
    if table.schema is None or any(index.definition.where is not None for index in table.indexes):
        return None
    conjuncts = conjuncts_of(bound)
    used = [one for one in best.reasons if isinstance(one, Comparison)]
    if best.others or best.was_cut or len(best.ranges) != 1 or len(used) < len(best.reasons):
        return None
    direction = best.gives(order)
    equal = best.rank[1]
    steps = [
        _Step(conjuncts.index(one), one.operator, _encoder(table, best, min(number, equal), one.path[0]))
        for number, one in enumerate(used)
    ]
    return Recipe(
        best.index,
        tuple(steps[:equal]),
        tuple(steps[equal:]),
        best.is_exact,
        bool(direction),
        order if direction is None else (),
        () if direction is None or best.index is None else order,
    )


def _encoder(table: TableBinding, way: Candidate, place: int, name: str) -> Callable[[Any], bytes]:  # Any: as the field
    """Return a function from a value that a field is compared with to its bytes in a key."""
    assert table.schema is not None, "recipes are for tables with one"
    plain = _PLAIN.get(table.schema.fields[name].kind)

    def encoded(value: Any) -> bytes:  # Any: as above
        if type(value) is not plain:
            value = table.stored_value(name, value)
            if value is None or value != value:  # noqa: PLR0124  # NaN
                raise _OtherwiseError
        return encode_field(table, way.index, place, value)

    return encoded


class _Step(Struct, frozen=True):
    number: int
    """The place of a comparison among those that must hold."""

    operator: Operator
    encode: Callable[[Any], bytes]  # Any: what the field's type admits


class Recipe(Struct, frozen=True):
    """How queries of one shape are planned."""

    index: IndexBinding | None
    equalities: Sequence[_Step]
    limits: Sequence[_Step]
    is_exact: bool
    reverse: bool
    sort: Order
    order: Order

    def plan(
        self,
        table: TableBinding,
        condition: Condition | None,
        conjuncts: Sequence[Any],  # Any: comparisons, as the shape tells
        limit: int | None,
        offset: int,
    ) -> Plan | None:
        """Return the plan for a query; None where its values decide it."""
        try:
            prefix = b"".join([step.encode(conjuncts[step.number].value) for step in self.equalities])
            limits = [(step.operator, step.encode(conjuncts[step.number].value)) for step in self.limits]
        except (_OtherwiseError, SchemaValidationError, UnicodeEncodeError):
            return None
        part = narrow(prefix, limits) if limits else Range(prefix or None, successor(prefix))
        start, stop = part.start, part.stop
        if (start is not None and len(start) > LARGEST_UNCUT_BYTES) or (
            stop is not None and (len(stop) > LARGEST_UNCUT_BYTES or (start is not None and start >= stop))
        ):
            return None
        reasons = tuple([conjuncts[step.number] for step in (*self.equalities, *self.limits)])
        access: TableScan | IndexScan
        if self.index is None:
            access = TableScan((part,), self.reverse, reasons)
        else:
            is_point = len(self.equalities) == len(self.index.positions)
            access = IndexScan(self.index, (part,), self.reverse, reasons, is_point, may_repeat=False)
        rest = None if self.is_exact or condition is None else table.bind(condition)
        return Plan(access, rest, self.sort, self.order, limit, offset)
