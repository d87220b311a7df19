"""Does one condition follow from others? What a partial index asks before it answers a query.

The answer may be no where yes would be true, never the other way round. Conditions must be bound to one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from minidb.conditions.document import to_document
from minidb.conditions.match import compile_test
from minidb.conditions.predicate import All, Comparison, Condition, Either, OneOf, Operator
from minidb.encoding.untyped import encode_untyped
from minidb.schema import Schema

_UPPER: Final = frozenset({Operator.LESS, Operator.LESS_EQUAL})
_LOWER: Final = frozenset({Operator.GREATER, Operator.GREATER_EQUAL})
_STRICT: Final = frozenset({Operator.LESS, Operator.GREATER})


def conjuncts_of(condition: Condition | None) -> tuple[Condition, ...]:
    """Return the conditions that must all hold."""
    if condition is None:
        return ()
    return condition.conditions if isinstance(condition, All) else (condition,)


def follows(wanted: Condition, given: Sequence[Condition], schema: Schema | None) -> bool:
    """Tell whether ``wanted`` surely holds for every row for which all of ``given`` do."""
    if isinstance(wanted, All):
        return all(follows(one, given, schema) for one in wanted.conditions)
    if any(_follows_from_one(wanted, one, schema) for one in given):
        return True
    return isinstance(wanted, Either) and any(follows(one, given, schema) for one in wanted.conditions)


def _follows_from_one(wanted: Condition, given: Condition, schema: Schema | None) -> bool:
    if isinstance(given, Either):
        return all(follows(wanted, conjuncts_of(branch), schema) for branch in given.conditions)
    if isinstance(wanted, Comparison | OneOf) and isinstance(given, Comparison | OneOf) and wanted.path == given.path:
        values = _values_of(given)
        if values is not None:
            # The row's value is one of these: ask each of them as if it were in a row.
            test = compile_test(wanted, schema, lambda _: lambda column: column)
            return all(test(_column(wanted.path, value)) for value in values)
        if isinstance(wanted, Comparison) and isinstance(given, Comparison) and _narrows(wanted, given):
            return True
    # Compared as bytes: in Python a document of True would equal one of 1.
    return encode_untyped(to_document(wanted)) == encode_untyped(to_document(given))


def _values_of(condition: Comparison | OneOf) -> Sequence[object] | None:
    """Return the only values that a row's field may then have."""
    if isinstance(condition, OneOf):
        return condition.values
    return (condition.value,) if condition.operator is Operator.EQUAL else None


def _column(path: Sequence[str], value: object) -> object:
    """Return a column that has a value at the path, whose first name is the column's own."""
    for key in reversed(path[1:]):
        value = {key: value}
    return value


def _narrows(wanted: Comparison, given: Comparison) -> bool:
    """Tell whether one comparison, that is no equality, lets through only what another one of its field does."""
    if wanted.operator is Operator.NOT_EQUAL and wanted.value is None:
        return given.operator is not Operator.NOT_EQUAL or given.value is None  # no comparison holds for a null
    if wanted.operator is Operator.STARTS_WITH and given.operator is Operator.STARTS_WITH:
        return type(wanted.value) is type(given.value) and given.value.startswith(wanted.value)
    for side, is_narrower in ((_LOWER, bytes.__gt__), (_UPPER, bytes.__lt__)):
        if wanted.operator in side and given.operator in side:
            bound, narrower = encode_untyped(wanted.value), encode_untyped(given.value)
            if bound[0] != narrower[0]:
                return False  # values of different types are never in order
            if bound == narrower:
                return wanted.operator not in _STRICT or given.operator in _STRICT
            return is_narrower(narrower, bound)
    return False
