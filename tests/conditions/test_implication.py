"""Whether a partial index may answer: never where it could lack a row, and always where anybody can tell."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conditions.values import MOMENTS, OF_FIELD, SCHEMA, TWICE, TYPED, UNTYPED, comparisons, conditions, make_rows

from minidb import Condition, where
from minidb.conditions.implication import conjuncts_of, follows
from minidb.conditions.match import compile_test
from minidb.conditions.predicate import Comparison, Operator
from minidb.exceptions import SchemaValidationError
from minidb.tables.binding import TableBinding

# --- what it says is true ---------------------------------------------------------------------------------------------


ROWS = {
    table: [
        (values, table.decode_record(table.encode(values)))
        for values in map(table.check, make_rows(has_schema=table is TYPED))
    ]
    for table in (TYPED, UNTYPED)
}


def truths(table: TableBinding, condition: Condition) -> list[bool]:
    """Tell for many rows whether a bound condition holds: the same before they are stored and when they are read."""
    test = compile_test(condition, table.schema, table.value_getter)
    test_stored = compile_test(condition, table.schema, table.stored_value_getter)
    read = [test(record) for _, record in ROWS[table]]
    assert [test_stored(values) for values, _ in ROWS[table]] == read, "storing a row changes what is true of it"
    return read


@st.composite
def pairs(draw: st.DrawFn, *, has_schema: bool) -> tuple[Condition, Condition]:
    """Return two conditions. Often one holds the other, or both are of one field."""
    some = comparisons(has_schema=has_schema) if draw(st.booleans()) else conditions(has_schema=has_schema)
    one, other = draw(some), draw(some)
    match draw(st.integers(0, 5)):
        case 0:
            return one, other & one
        case 1:
            return one | other, other
        case 2:
            return one, (one & other) | (one & draw(some))
        case 3 if isinstance(one, Comparison) and isinstance(other, Comparison):
            return one, Comparison(one.path, other.operator, one.value)
        case 4 if isinstance(one, Comparison) and isinstance(other, Comparison):
            operator = draw(st.sampled_from([one.operator, Operator.EQUAL, Operator.NOT_EQUAL, other.operator]))
            return one, Comparison(one.path, operator, draw(values_of(one)))
        case _:
            return one, other


def values_of(comparison: Comparison) -> st.SearchStrategy[object]:
    """Return a strategy for other values that a comparison's field may be asked for."""
    known = [comparison.value] if len(comparison.path) > 1 else OF_FIELD.get(comparison.field, [comparison.value])
    return st.sampled_from(known)


def check_pair(table: TableBinding, pair: tuple[Condition, Condition]) -> None:
    try:
        bound = [table.bind(one) for one in pair]
    except SchemaValidationError:
        return  # an operator that took the place of another one need not fit the value
    for wanted, known in (bound, bound[::-1]):
        if follows(wanted, conjuncts_of(known), table.schema):
            for is_wanted, is_known in zip(truths(table, wanted), truths(table, known), strict=True):
                assert is_wanted or not is_known, (str(wanted), str(known))


@settings(max_examples=250)
@given(pairs(has_schema=True))
def test_what_follows_is_true_with_a_schema(pair: tuple[Condition, Condition]) -> None:
    check_pair(TYPED, pair)


@settings(max_examples=250)
@given(pairs(has_schema=False))
def test_what_follows_is_true_without_a_schema(pair: tuple[Condition, Condition]) -> None:
    check_pair(UNTYPED, pair)


@given(conditions(has_schema=True), conditions(has_schema=True))
def test_a_condition_follows_from_itself_and_from_more(one: Condition, other: Condition) -> None:
    bound = TYPED.bind(one)
    assert follows(bound, conjuncts_of(TYPED.bind(one)), SCHEMA)
    assert follows(bound, conjuncts_of(TYPED.bind(one & other)), SCHEMA)
    assert follows(TYPED.bind(one | other), conjuncts_of(bound), SCHEMA)


# --- what it knows ----------------------------------------------------------------------------------------------------

NOT_A_NUMBER = float("nan")
N, T = where("number"), where("text")

KNOWN = [
    (N >= 5, N >= 5),
    (N >= 5, N > 5),
    (N >= 5, N > 9),
    (N >= 5, N == 5),
    (N >= 5, N.in_([5, 256])),
    (N >= 5, N.in_([])),
    (N >= 5, N.between(5, 6)),
    (N > 5, N > 5),
    (N < 5, N < 4),
    (N <= 5, N < 5),
    (N <= 5, N <= 5),
    (N != None, N > 3),  # noqa: E711  # builds a condition
    (N != None, N == 3),  # noqa: E711  # as above
    (N != None, ~N.is_null()),  # noqa: E711  # as above
    (N != 3, N == 4),
    (N.in_([1, 2, 3]), N.in_([3, 1])),
    (N.in_([1, None]), N.is_null()),
    (N.between(1, 9), N.between(2, 8)),
    (N.between(1, 9), N == 3),
    (N.is_null(), N == None),  # noqa: E711  # as above
    ((N > 1) & (T == "a"), (T == "a") & (N > 2)),
    ((N > 1) | (T == "a"), N > 2),
    ((N > 1) | (T == "a"), (T == "a") & (where("flag") == True)),  # noqa: E712  # as above
    (N > 1, (N == 3) | (N > 7)),
    (N > 1, ((N == 3) & (T == "x")) | ((N > 7) & (T == "y"))),
    (N > 1, ~~(N > 2)),
    (~(N > 1), ~(N > 1)),
    (~(N == 1), N != 1),
    (T.startswith("a"), T.startswith("ab")),
    (T.startswith("a"), T == "abc"),
    (T.contains("b"), T == "abc"),
    (T.contains("b"), T.in_(["abc", "b"])),
    (T != None, T.startswith("")),  # noqa: E711  # as above
    (T != None, T.contains("a")),  # noqa: E711  # as above
    (where("real") > 0.0, where("real") > -0.0),
    (where("real") >= 1, where("real") > 1),
    (where("real") != NOT_A_NUMBER, where("real") > 3.0),
    (where("zoned") > TWICE, where("zoned") >= MOMENTS[1]),
    (where("zoned") == TWICE, where("zoned") == MOMENTS[3]),
    (where("flag") == True, where("flag") == True),  # noqa: E712  # as above
    (where("tags").contains("a"), where("tags").contains("a")),
    (where("tags") != None, where("tags").contains("a")),  # noqa: E711  # as above
    (where("map")["a"]["b"] >= 1, where("map")["a"]["b"] > 1.5),
    (where("map")["a"]["b"] != None, where("map")["a"]["b"] == 3),  # noqa: E711  # as above
    (where("level") == "low", where("level") == "low"),
]


@pytest.mark.parametrize(("wanted", "given_one"), KNOWN, ids=lambda one: one.describe(has_values=False))
def test_what_anybody_would_say_follows(wanted: Condition, given_one: Condition) -> None:
    assert follows(TYPED.bind(wanted), conjuncts_of(TYPED.bind(given_one)), SCHEMA)


UNKNOWN = [
    (N >= 5, N >= 4),
    (N > 5, N >= 5),
    (N != None, N != 5),  # noqa: E711  # null is not 5
    (N != 3, N != 4),
    (N.in_([1, 2]), N.in_([1, 3])),
    (N.in_([1, 2]), N >= 1),
    (N > 3, T == "x"),
    (N > 3, (N > 4) | (T == "x")),
    ((N > 1) & (T == "a"), N > 1),
    (N > 1, ~(N > 0)),
    (~(N > 3), N.in_([5, None])),
    (T.startswith("ab"), T.startswith("a")),
    (where("map")["a"] == 1, where("map")["b"] == 1),
    (where("map")["a"] == 1, where("map") == {"a": 2}),
    (where("map")["a"] == True, where("map")["a"] == 1),  # noqa: E712  # builds a condition
    (where("map")["a"] > 1, where("map")["a"] > "1"),
    (where("either") > MOMENTS[0].replace(tzinfo=None), where("either") > MOMENTS[0]),
    (where("zoned") > MOMENTS[1], where("zoned") > TWICE),
]


@pytest.mark.parametrize(("wanted", "given_one"), UNKNOWN, ids=lambda one: one.describe(has_values=False))
def test_what_does_not_follow_is_not_said_to(wanted: Condition, given_one: Condition) -> None:
    assert not follows(TYPED.bind(wanted), conjuncts_of(TYPED.bind(given_one)), SCHEMA)


def test_every_row_needs_no_condition() -> None:
    every = TYPED.bind(where("real") != NOT_A_NUMBER)
    assert follows(every, (), SCHEMA)
    assert not follows(TYPED.bind(N > 1), conjuncts_of(None), SCHEMA)
    assert not follows(TYPED.bind(N > 1), conjuncts_of(every), SCHEMA)
