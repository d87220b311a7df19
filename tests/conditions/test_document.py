"""Conditions as documents: what is stored is read as the same condition, anything else refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conditions.values import TYPED, UNTYPED, conditions, make_rows

from minidb import Condition, where
from minidb.conditions.document import from_document, to_document
from minidb.conditions.match import compile_test
from minidb.encoding.rows import decode_document, encode_document
from minidb.encoding.untyped import encode_untyped
from minidb.exceptions import CorruptionError
from minidb.tables.binding import TableBinding
from minidb.tables.definitions import IndexDefinition

ROWS = {table: make_rows(has_schema=table is TYPED) for table in (TYPED, UNTYPED)}
RECORDS = {table: [table.decode_record(table.encode(table.check(row))) for row in rows] for table, rows in ROWS.items()}


def check_round_trip(table: TableBinding, condition: Condition) -> None:
    bound = table.bind(condition)
    data = encode_document({"where": to_document(bound)})
    again = from_document(decode_document(data)["where"])
    assert encode_document({"where": to_document(again)}) == data
    assert encode_untyped(to_document(again)) == encode_untyped(to_document(bound))
    assert again.describe(has_values=False) == bound.describe(has_values=False)
    tests = [compile_test(one, table.schema, table.value_getter) for one in (bound, again)]
    assert [tests[0](record) for record in RECORDS[table]] == [tests[1](record) for record in RECORDS[table]]


@settings(max_examples=200)
@given(conditions(has_schema=True))
def test_a_stored_condition_is_read_as_the_same_with_a_schema(condition: Condition) -> None:
    check_round_trip(TYPED, condition)


@settings(max_examples=200)
@given(conditions(has_schema=False))
def test_a_stored_condition_is_read_as_the_same_without_one(condition: Condition) -> None:
    check_round_trip(UNTYPED, condition)


@given(conditions(has_schema=True))
def test_an_index_is_read_with_its_condition(condition: Condition) -> None:
    bound = TYPED.bind(condition)
    index = IndexDefinition(7, "index", ("number", "tags"), unique=True, each="tags", where=bound)
    again = IndexDefinition.from_document(decode_document(encode_document(index.to_document())))
    assert again == index
    assert again.is_like(index)
    assert again.where is not None
    assert encode_untyped(to_document(again.where)) == encode_untyped(to_document(bound))


def test_an_index_without_condition_is_not_like_one_with_another() -> None:
    plain = IndexDefinition(7, "index", ("number",), unique=False)
    some = IndexDefinition(7, "index", ("number",), unique=False, where=TYPED.bind(where("number") > 1))
    others = IndexDefinition(7, "index", ("number",), unique=False, where=TYPED.bind(where("number") > 2))
    assert not plain.is_like(some)
    assert not some.is_like(others)
    assert IndexDefinition.from_document(plain.to_document()).where is None


@pytest.mark.parametrize(
    "document",
    [
        [],
        [3],
        ["all", 3],
        ["any", ["all"], "x"],
        ["not"],
        ["not", ["all"], ["all"]],
        ["in", ["a"]],
        ["in", ["a"], 3],
        ["in", 3, [3]],
        ["==", 3, 3],
        ["==", ["a"]],
        ["==", ["a"], 1, 2],
        ["is", ["a"], 1],
        "all",
        None,
        {"all": []},
    ],
    ids=str,
)
def test_what_is_no_condition_is_refused(document: Any) -> None:  # Any: wrong on purpose
    with pytest.raises(CorruptionError):
        from_document(document)


@given(st.recursive(st.none() | st.text(max_size=3) | st.integers(), lambda inner: st.lists(inner, max_size=4)))
def test_any_document_is_read_or_refused(document: Any) -> None:  # Any: as above
    read = None
    with suppress(CorruptionError):
        read = from_document(document)
    assert read is None or isinstance(read, Condition)
