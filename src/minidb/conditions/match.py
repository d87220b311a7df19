"""Deciding for one row whether a bound condition holds.

Fields of one type are compared as Python compares them. Where a column may hold values of several types, the order of
keys decides, as it does in an index; values of different types are never less or greater than one another.
"""

from __future__ import annotations

import operator as python
from collections.abc import Callable
from math import isnan
from typing import Any, Final

from minidb.conditions.predicate import All, Comparison, Condition, Either, Not, OneOf, Operator
from minidb.encoding.untyped import encode_untyped
from minidb.schema import DateTimeField, Schema

Row = Any  # whatever form the caller has its rows in: only the getters that it makes look inside
Test = Callable[[Row], bool]
Getter = Callable[[Row], Any]  # Any: a column has the type that its field declares
MakeGetter = Callable[[str], Getter]
"""Returns, for the name of a column, what gets its stored value from a row; None where the row has none."""

_ORDER: Final = {
    Operator.LESS: python.lt,
    Operator.LESS_EQUAL: python.le,
    Operator.GREATER: python.gt,
    Operator.GREATER_EQUAL: python.ge,
}
_ONE_TYPE: Final = frozenset({"string", "integer", "float", "boolean", "bytes", "date", "time", "decimal", "uuid"})


def compile_test(condition: Condition, schema: Schema | None, make_getter: MakeGetter) -> Test:
    """Return a function that tells for a row whether the condition holds. REQUIRES a bound condition."""
    match condition:
        case All(conditions):
            tests = [compile_test(one, schema, make_getter) for one in conditions]
            return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)
        case Either(conditions):
            tests = [compile_test(one, schema, make_getter) for one in conditions]
            return lambda row: any(test(row) for test in tests)
        case Not(inner):
            test = compile_test(inner, schema, make_getter)
            return lambda row: not test(row)
        case OneOf(path, values):
            get = getter(make_getter, path)
            keys = frozenset(map(encode_untyped, values))
            return lambda row: encode_untyped(get(row)) in keys
        case Comparison():
            return _compile_comparison(condition, schema, make_getter)
    raise AssertionError(f"no such condition: {type(condition)}")


def getter(make_getter: MakeGetter, path: tuple[str, ...]) -> Getter:
    """Return a function from a row to the stored value at a path; None where there is none."""
    get = make_getter(path[0])
    if len(path) == 1:
        return get

    def descend(row: Row) -> Any:
        value = get(row)
        for key in path[1:]:
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    return descend


def has_one_type(schema: Schema | None, path: tuple[str, ...]) -> bool:
    """Whether all values at a path are of one type, so that Python's order of them is that of their keys."""
    if schema is None or len(path) != 1:
        return False
    (name,) = path
    field = schema.fields.get(name)
    if field is None:
        return True  # the automatic id
    return field.kind in _ONE_TYPE or (isinstance(field, DateTimeField) and field.timezone is not None)


def _compile_comparison(comparison: Comparison, schema: Schema | None, make_getter: MakeGetter) -> Test:
    get, operator, value = getter(make_getter, comparison.path), comparison.operator, comparison.value
    if value is None:
        if operator is Operator.EQUAL:
            return lambda row: get(row) is None
        return lambda row: get(row) is not None
    if operator is Operator.STARTS_WITH:
        kind = type(value)
        return lambda row: isinstance(found := get(row), kind) and found.startswith(value)
    if operator is Operator.CONTAINS:
        return _compile_contains(get, value)
    if has_one_type(schema, comparison.path):
        if operator is Operator.EQUAL:
            return lambda row: get(row) == value
        if operator is Operator.NOT_EQUAL:
            return lambda row: get(row) != value
        compare = _ORDER[operator]
        return lambda row: (found := get(row)) is not None and compare(found, value)
    key = encode_untyped(value)
    if operator is Operator.EQUAL:
        return lambda row: encode_untyped(get(row)) == key
    if operator is Operator.NOT_EQUAL:
        return lambda row: encode_untyped(get(row)) != key
    compare = _ORDER[operator]
    code = _type_of(key)

    def is_in_order(row: Row) -> bool:
        found = get(row)
        if isinstance(found, float) and isnan(found):
            return False
        encoded = encode_untyped(found)
        return _type_of(encoded) == code and bool(compare(encoded, key))

    return is_in_order


def _compile_contains(get: Getter, value: Any) -> Test:
    key = encode_untyped(value)

    def contains(row: Row) -> bool:
        found = get(row)
        if isinstance(found, str | bytes):
            return isinstance(value, type(found)) and value in found  # type: ignore[operator]  # both text or both bytes
        if isinstance(found, list):
            return any(encode_untyped(item) == key for item in found)
        return isinstance(found, dict) and isinstance(value, str) and value in found

    return contains


def _type_of(key: bytes) -> int:
    return key[0] & 0xFE  # false and true are the two codes of one type
