"""Random conditions and random rows for one table with a schema and one without, where much is alike on purpose."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from math import inf, nan
from random import Random
from typing import Any, Final

from hypothesis import strategies as st
from tests.encoding.test_values import ClockThatGoesBack

from minidb import Condition, where
from minidb.schema import (
    BooleanField,
    BytesField,
    DateField,
    DateTimeField,
    DecimalField,
    DictField,
    EnumField,
    FloatField,
    IntegerField,
    JSONField,
    ListField,
    Schema,
    StringField,
    TimeField,
    UUIDField,
)
from minidb.tables.binding import TableBinding
from minidb.tables.definitions import TableDefinition

Values = dict[str, Any]  # Any: values of every type

TWICE: Final = dt.datetime(2024, 10, 27, 2, 30, tzinfo=ClockThatGoesBack())
MOMENTS: Final = [
    TWICE,
    TWICE.replace(fold=1),
    TWICE.replace(minute=40),
    dt.datetime(2024, 10, 27, 0, 30, tzinfo=dt.UTC),
]
TEXTS: Final = ["", "a", "ab", "abc", "b", "\0", "é", "x" * 200, "x" * 201]

SCHEMA: Final = Schema(
    text=StringField(),
    number=IntegerField(),
    real=FloatField(allow_nan=True),
    flag=BooleanField(),
    data=BytesField(),
    day=DateField(),
    clock=TimeField(),
    zoned=DateTimeField(timezone=True),
    plain=DateTimeField(timezone=False),
    either=DateTimeField(),
    money=DecimalField(),
    token=UUIDField(),
    level=EnumField(["low", "high", 1, 2]),
    tags=ListField(StringField(nullable=True)),
    mixed=ListField(),
    map=DictField(),
    document=JSONField(),
)


def bound_table(schema: Schema | None) -> TableBinding:
    return TableBinding(TableDefinition(1, "table", schema, 0 if schema is None else 1), schema)


TYPED = bound_table(SCHEMA)
UNTYPED = bound_table(None)

_REALS: Final = [0.0, -0.0, 1.0, 1.5, -1.5, inf, -inf, nan]
_NUMBERS: Final = [-1, 0, 1, 2, 3, 255, 256, 2**53, 2**53 + 1, 2**70, -(2**70)]
_SCALARS: Final[list[Any]] = [  # Any: values of every type
    None,
    True,
    False,
    *_REALS,
    *_NUMBERS,
    *TEXTS[:5],
    b"",
    b"a",
    b"ab",
    dt.date(2024, 1, 1),
    dt.datetime(2024, 1, 1),
    *MOMENTS,
    dt.time(12),
    Decimal(1),
    Decimal("1.5"),
    Decimal("Infinity"),
    uuid.UUID(int=1),
]
_NESTED: Final[list[Any]] = [  # Any: as above
    [],
    {},
    [1],
    [1.0],
    [True],
    [None],
    ["a", 1],
    [[1], [2]],
    [nan],
    [{"a": 1}],
    {"a": 1},
    {"a": 1.0},
    {"a": 2, "b": None},
    {"a": {"b": 1}},
    {"a": {"b": 1.5}, "b": "ab"},
    {"a": {"b": None}},
    {"a": {"b": [1, "a"]}},
    {"a": {"a": TWICE}},
    {"b": "a"},
    {"b": TWICE},
    {"b": [b"a", Decimal("1.5")]},
]
_ANYTHING: Final = [*_SCALARS, *_NESTED]

OF_FIELD: Final[dict[str, list[Any]]] = {  # Any: as above
    "text": TEXTS,
    "number": _NUMBERS,
    "real": _REALS,
    "flag": [True, False],
    "data": [b"", b"a", b"ab", b"\0", b"\xff"],
    "day": [dt.date.min, dt.date(2024, 1, 1), dt.date(2024, 1, 2)],
    "clock": [dt.time.min, dt.time(12), dt.time.max],
    "zoned": MOMENTS,
    "plain": [dt.datetime.min, dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 0, 1)],
    "either": [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2), *MOMENTS],
    "money": [Decimal(1), Decimal("1.0"), Decimal("1.10"), Decimal(-3), Decimal("1E+40")],
    "token": [uuid.UUID(int=0), uuid.UUID(int=1), uuid.UUID(int=2**127)],
    "level": ["low", "high", 1, 2],
    "tags": [[], ["a"], ["a", None], ["b", "a", "a"], [""], ["x" * 200, "b"]],
    "mixed": [one for one in _NESTED if isinstance(one, list)],
    "map": [one for one in _NESTED if isinstance(one, dict)],
    "document": [True, 0, 1, 1.0, 1.5, "a", "ab", [1], ["a"], {"a": 1}, {"a": {"b": 1}}, {"a": {"b": "ab"}}],
}
_COLUMNS: Final = ["p", "q"]
"""Those of the table without a schema."""


def make_rows(*, has_schema: bool) -> list[Values]:
    """Return the columns of many rows, always the same: with every value, and what none has been given."""
    random = Random(7)
    if has_schema:
        return [{name: random.choice([None, *values, *values]) for name, values in OF_FIELD.items()} for _ in range(60)]
    singles = [{"p": value, "q": random.choice(_ANYTHING)} for value in _ANYTHING]
    return [*singles, *({"q": one["p"]} for one in singles), {}]


_ORDERS: Final[dict[str, Callable[[where[Any], Any], Condition]]] = {  # Any: as above
    "<": where.__lt__,
    "<=": where.__le__,
    ">": where.__gt__,
    ">=": where.__ge__,
}


@st.composite
def comparisons(draw: st.DrawFn, *, has_schema: bool) -> Condition:
    """Return a condition on one field that the table admits."""
    field = draw(st.sampled_from(list(OF_FIELD) if has_schema else _COLUMNS))
    values = st.sampled_from(OF_FIELD[field] if has_schema else _ANYTHING)
    asked = where(field)
    has_keys = field in ("map", "document") or not has_schema
    if has_keys and draw(st.booleans()):
        for key in draw(st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2)):
            asked = asked[key]
        values = st.sampled_from(_ANYTHING)
    not_null = values.filter(_is)
    is_text = field in ("text", "data")
    operators = ["==", "!=", "==", "<", "<=", ">", ">=", "in", "between", "null"]
    if is_text or has_keys:
        operators += ["startswith"]
    if is_text or has_keys or field in ("tags", "mixed"):
        operators += ["contains", "contains"]
    match draw(st.sampled_from(operators)):
        case "==":
            return asked == draw(st.none() | values)
        case "!=":
            return asked != draw(st.none() | values)
        case "<" | "<=" | ">" | ">=" as operator:
            return _ORDERS[operator](asked, draw(not_null))
        case "in":
            return asked.in_(draw(st.lists(st.none() | values, max_size=3)))
        case "between":
            return asked.between(draw(not_null), draw(not_null))
        case "startswith":
            return asked.startswith(draw(values if is_text else st.sampled_from(["", "a", "ab", b"", b"a"])))
        case "contains":
            if field in ("tags", "mixed"):
                elements = ["", "a", "b"] if field == "tags" else _ANYTHING[1:]
                return asked.contains(draw(st.sampled_from(elements)))
            return asked.contains(draw(not_null))
        case _:
            return asked.is_null()


def conditions(*, has_schema: bool) -> st.SearchStrategy[Condition]:
    """Return a strategy for conditions, some of which hold others."""
    return st.recursive(
        comparisons(has_schema=has_schema),
        lambda inner: (
            st.builds(lambda left, right: left & right, inner, inner)
            | st.builds(lambda left, right: left | right, inner, inner)
            | st.builds(lambda one: ~one, inner)
        ),
        max_leaves=4,
    )


def _is(value: object) -> bool:
    return value is not None
