"""Indexes as the verbs of a table keep them: unique or not, with nulls, of values too long for a key."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from tests.encoding.test_values import ClockThatGoesBack

from minidb import MiniDB, Row, Table
from minidb.exceptions import IndexExistsError, IndexNotFoundError, SchemaValidationError, UniqueViolationError
from minidb.schema import (
    BooleanField,
    BytesField,
    DateField,
    DateTimeField,
    DecimalField,
    EnumField,
    Field,
    FloatField,
    IntegerField,
    Schema,
    StringField,
    TimeField,
    UUIDField,
)
from minidb.tables import index_entries
from minidb.tables.index_entries import LARGEST_UNCUT_BYTES

PEOPLE = Schema(email=StringField(unique=True), city=StringField(index=True), age=IntegerField())


class Colour(Enum):
    RED = "red"
    GREEN = "green"


@pytest.fixture(params=["without a schema", "with a schema"])
def people(request: pytest.FixtureRequest, database: MiniDB) -> Table[Row]:
    """A table with a unique index and another one, with a schema and without one."""
    if request.param == "with a schema":
        return database.create_table("people", PEOPLE)
    table = database.create_table("people")
    database.create_index("people", "email", unique=True)
    database.create_index("people", "city")
    return table


def ids_by(database: MiniDB, index: str, value: object) -> list[Any]:  # Any: ids
    return [row.id for row in database.query_by_index("people", index, value)]


# --- kept with the rows -----------------------------------------------------------------------------------------------


def test_rows_are_found_by_a_value_in_the_order_of_their_ids(people: Table[Row], database: MiniDB) -> None:
    people.insert_many({"city": "Rome" if number % 3 else "Oslo"} for number in range(1, 301))
    people.insert({"city": "Rome\0"})
    people.insert({"city": "Rom"})
    assert ids_by(database, "city", "Oslo") == list(range(3, 301, 3))
    assert ids_by(database, "city", "Rome") == [number for number in range(1, 301) if number % 3]
    assert ids_by(database, "city", "Bern") == []


def test_an_updated_row_is_found_by_its_new_value_only(people: Table[Row], database: MiniDB) -> None:
    people.insert({"email": "old", "city": "Rome"})
    people.update(1, email="new", city="Oslo")
    assert [ids_by(database, "email", value) for value in ("old", "new")] == [[], [1]]
    assert [ids_by(database, "city", value) for value in ("Rome", "Oslo")] == [[], [1]]


def test_a_deleted_row_is_found_by_no_value(people: Table[Row], database: MiniDB) -> None:
    people.insert_many([{"email": "a", "city": "Rome"}, {"email": "b", "city": "Rome"}])
    people.delete(1)
    assert (ids_by(database, "email", "a"), ids_by(database, "city", "Rome")) == ([], [2])
    people.insert({"email": "a"})


def test_a_column_that_a_row_lacks_counts_as_null(people: Table[Row], database: MiniDB) -> None:
    people.insert_many([{"city": None}, {"email": "a"}, {"city": "Rome"}])
    assert ids_by(database, "city", None) == [1, 2]
    people.update(1, city="Rome")
    assert ids_by(database, "city", None) == [2]


def test_an_index_is_found_by_its_name_or_its_one_field(people: Table[Row], database: MiniDB) -> None:
    database.create_index("people", "age", name="by age")
    people.insert({"age": 36})
    assert ids_by(database, "by age", 36) == ids_by(database, "age", 36) == [1]
    with pytest.raises(IndexNotFoundError) as caught:
        ids_by(database, "name", 36)
    assert (caught.value.table, caught.value.index) == ("people", "name")


def test_an_index_on_several_fields_is_asked_with_a_tuple(people: Table[Row], database: MiniDB) -> None:
    people.insert_many([{"city": "Rome", "age": 1}, {"city": "Rome", "age": 2}, {"city": "Rome"}])
    database.create_index("people", "city", "age")
    people.insert({"age": 1, "city": "Rome"})
    assert ids_by(database, "city_age", ("Rome", 1)) == [1, 4]
    assert ids_by(database, "city_age", ["Rome", None]) == [3]
    for value in ("Rome", ("Rome",), ("Rome", 1, 1), None, {"city": "Rome"}):
        with pytest.raises(SchemaValidationError):
            ids_by(database, "city_age", value)


@pytest.mark.parametrize(
    "value", ["Rome", 1.0, True, b"36", (36,), {36}, object()], ids=lambda value: type(value).__name__
)
def test_a_value_of_another_type_than_the_fields_is_refused(database: MiniDB, value: object) -> None:
    database.create_table("people", Schema(age=IntegerField(index=True)))
    with pytest.raises(SchemaValidationError) as caught:
        ids_by(database, "age", value)
    assert (caught.value.table, caught.value.errors[0].field) == ("people", "age")


@pytest.mark.parametrize(
    "value",
    [{1}, object(), "\ud800", [object()], {1: 1}, dt.time(1, tzinfo=dt.UTC), 1j, Colour.RED],
    ids=lambda value: type(value).__name__,
)
def test_without_a_schema_a_value_that_no_row_can_have_is_refused(database: MiniDB, value: object) -> None:
    table = database.create_table("people")
    database.create_index("people", "age")
    table.insert({"age": 1})
    with pytest.raises(SchemaValidationError) as caught:
        ids_by(database, "age", value)
    assert (caught.value.table, caught.value.errors[0].field.startswith("age")) == ("people", True)


def test_a_value_beyond_the_limits_of_its_field_is_not_found(database: MiniDB) -> None:
    database.create_table(
        "people", Schema(age=IntegerField(index=True, max_value=10), name=StringField(index=True, max_length=3))
    )
    assert ids_by(database, "age", 99) == []
    assert ids_by(database, "name", "too long") == []


# --- values of every type ---------------------------------------------------------------------------------------------

VALUES: list[tuple[Field[Any], list[Any]]] = [  # Any: values of each field's own type
    (StringField(index=True), ["", "\0", "a", "a\0", "é", "x" * 500, "x" * 501]),
    (IntegerField(index=True), [-(2**70), -1, 0, 1, 2**63, 2**64, 2**70, 10**500]),
    (FloatField(index=True, allow_nan=True), [-math.inf, -1.5, 0.0, 1.0, math.inf, math.nan]),
    (BooleanField(index=True), [False, True]),
    (BytesField(index=True), [b"", b"\0", b"\xff" * 500]),
    (DateField(index=True), [dt.date.min, dt.date.max]),
    (
        DateTimeField(index=True),
        [dt.datetime.min, dt.datetime.max, dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)],
    ),
    (TimeField(index=True), [dt.time.min, dt.time.max]),
    (DecimalField(index=True), [Decimal("-1.5"), Decimal(0), Decimal("1E-50"), Decimal(f"1.{'3' * 500}")]),
    (UUIDField(index=True), [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)]),
    (EnumField(Colour, index=True), list(Colour)),
    (EnumField([1, 2, 300], index=True), [1, 2, 300]),
]


@pytest.mark.parametrize(("field", "values"), VALUES, ids=lambda part: part.kind if isinstance(part, Field) else "")
@pytest.mark.parametrize("has_schema", [False, True])
def test_a_value_of_any_type_is_found(database: MiniDB, field: Field[Any], values: list[Any], has_schema: bool) -> None:
    table = database.create_table("people", Schema(value=field) if has_schema else None)
    if not has_schema:
        database.create_index("people", "value")
        values = [value.value if isinstance(value, Enum) else value for value in values]
    table.insert_many({"value": value} for value in values)
    for value in [*values, None]:
        table.insert({"value": value})
    for place, value in enumerate(values, 1):
        assert ids_by(database, "value", value) == [place, place + len(values)]
    assert ids_by(database, "value", None) == [2 * len(values) + 1]


NESTED: list[Any] = [  # Any: values of every type
    [],
    {},
    [[]],
    [{}],
    ["a", 1],
    {"a": 1},
    {"a": [1]},
    [True],
    [1, None],
    ["x" * 300, 1],
    ["x" * 300, 2],
    {"text": "x" * 300},
    ["text", "x" * 300],
    [dt.datetime(2024, 1, 1, tzinfo=dt.UTC), Decimal("1.5"), b"a" * 300],
]


def test_without_a_schema_nested_values_are_told_apart(database: MiniDB) -> None:
    table = database.create_table("people")
    database.create_index("people", "value", unique=True)
    table.insert_many({"value": value} for value in NESTED)
    for place, value in enumerate(NESTED, 1):
        assert ids_by(database, "value", value) == [place]
    assert ids_by(database, "value", tuple(NESTED[9])) == [10]  # as which it would have been stored


def test_without_a_schema_equal_numbers_are_one_value(database: MiniDB) -> None:
    table = database.create_table("people")
    database.create_index("people", "n", unique=True)
    table.insert_many([{"n": 1}, {"n": True}, {"n": "1"}, {"n": Decimal(1)}, {"n": 2**60}])
    assert ids_by(database, "n", 1.0) == [1]
    assert ids_by(database, "n", 2.0**60) == [5]
    for taken in (1.0, True, 2.0**60):
        with pytest.raises(UniqueViolationError):
            table.insert({"n": taken})


@pytest.mark.parametrize(
    "insert", [lambda table, rows: table.insert_many(rows), lambda table, rows: [table.insert(row) for row in rows]]
)
def test_both_moments_of_an_hour_that_comes_twice_are_found(
    database: MiniDB, insert: Callable[[Table[Row], list[Any]], object]
) -> None:
    first = dt.datetime(2024, 10, 27, 2, 30, tzinfo=ClockThatGoesBack())
    second = first.replace(fold=1)
    table = database.create_table("people", Schema(at=DateTimeField(index=True), text=StringField()))
    database.create_index("people", "text", "at", unique=True)
    insert(table, [{"at": first, "text": "x" * 300}, {"at": second, "text": "x" * 300}])
    assert [ids_by(database, "at", moment) for moment in (first, second)] == [[1], [2]]
    assert [ids_by(database, "text_at", ("x" * 300, moment)) for moment in (first, second)] == [[1], [2]]


# --- unique -----------------------------------------------------------------------------------------------------------


def test_a_taken_value_is_refused_and_its_holder_told(people: Table[Row]) -> None:
    people.insert_many([{"email": "a"}, {"email": "b"}])
    second = people[2]
    second.columns["email"] = "a"
    for call in (
        lambda: people.insert({"email": "a"}),
        lambda: people.insert_many([{"email": "c"}, {"email": "a"}]),
        lambda: people.update(2, email="a"),
        lambda: people.replace(2, {"email": "a"}),
        lambda: people.upsert({"email": "a"}),
        lambda: people.upsert(second),
        lambda: people.update_many({2: {"email": "a"}}),
        lambda: people.upsert_many([{"email": "a"}]),
    ):
        with pytest.raises(UniqueViolationError) as caught:
            call()
        error = caught.value
        assert (error.table, error.index, error.fields, error.value, error.id) == (
            "people",
            "email",
            ("email",),
            "a",
            1,
        )
    assert [row.email for row in people] == ["a", "b"]


def test_a_refusal_inside_a_transaction_leaves_the_row_and_its_entries_alone(
    people: Table[Row], database: MiniDB
) -> None:
    with database.begin_transaction():
        people.insert_many([{"email": "a", "city": "Rome"}, {"email": "b", "city": "Oslo"}])
        for call in (
            lambda: people.insert({"email": "a", "city": "Bern"}),
            lambda: people.update(2, email="a", city="Bern"),
        ):
            with pytest.raises(UniqueViolationError):
                call()
    assert (ids_by(database, "city", "Bern"), ids_by(database, "city", "Oslo")) == ([], [2])


def test_a_row_may_keep_its_own_unique_value(people: Table[Row]) -> None:
    people.insert({"email": "a", "age": 1})
    people.update(1, email="a", age=2)
    people.replace(1, {"email": "a", "age": 3})
    assert people[1].age == 3


def test_a_value_that_was_given_up_is_free(people: Table[Row]) -> None:
    people.insert_many([{"email": "a"}, {"email": "b"}])
    people.update(1, email="c")
    people.update(2, email="a")
    people.delete(2)
    people.insert({"email": "a"})
    people.clear()
    people.insert_many([{"email": "a"}, {"email": "c"}])


def test_a_unique_index_admits_many_nulls(people: Table[Row], database: MiniDB) -> None:
    people.insert_many({"email": None} for _ in range(1500))
    people.insert({"email": None})
    people.insert({})
    people.insert({"email": "a"})
    assert len(ids_by(database, "email", None)) == 1502
    people.update(1503, email=None)
    people.update(1, email="a")
    assert ids_by(database, "email", "a") == [1]
    assert ids_by(database, "email", None) == list(range(2, 1504))


def test_a_unique_index_on_several_fields_admits_rows_where_one_is_null(people: Table[Row], database: MiniDB) -> None:
    database.create_index("people", "city", "age", unique=True)
    people.insert_many([{"city": "Rome", "age": None}, {"city": "Rome", "age": None}, {"city": "Rome", "age": 1}])
    people.insert({"city": "Oslo", "age": 1})
    with pytest.raises(UniqueViolationError) as caught:
        people.update(1, age=1)
    assert (caught.value.fields, caught.value.value, caught.value.id) == (("city", "age"), ("Rome", 1), 3)


def test_values_cannot_be_swapped_since_each_change_is_checked_at_once(people: Table[Row]) -> None:
    people.insert_many([{"email": "a"}, {"email": "b"}])
    with pytest.raises(UniqueViolationError):
        people.update_many({1: {"email": "b"}, 2: {"email": "a"}})
    assert [row.email for row in people] == ["a", "b"]


def test_values_are_swapped_by_way_of_null(people: Table[Row], database: MiniDB) -> None:
    people.insert_many([{"email": "a"}, {"email": "b"}])
    assert people.update_many([(1, {"email": None}), (2, {"email": "a"}), (1, {"email": "b"})]) == 3
    assert [ids_by(database, "email", email) for email in "ab"] == [[2], [1]]


def test_values_may_be_moved_up_in_the_right_order(people: Table[Row]) -> None:
    people.insert_many([{"email": "a"}, {"email": "b"}, {"email": "c"}])
    people.update_many([(3, {"email": "d"}), (2, {"email": "c"}), (1, {"email": "b"})])
    assert [row.email for row in people] == ["b", "c", "d"]


def test_a_unique_index_on_rows_that_repeat_is_not_made(database: MiniDB) -> None:
    table = database.create_table("people")
    table.insert_many([*({"n": number} for number in range(1500)), {"n": 7}])
    with pytest.raises(UniqueViolationError) as caught:
        database.create_index("people", "n", unique=True)
    assert (caught.value.value, caught.value.id) == (7, 8)
    assert database.indexes("people") == []
    database.create_index("people", "n")
    assert ids_by(database, "n", 7) == [8, 1501]


# --- values too long for a key ----------------------------------------------------------------------------------------

LONGEST_UNCUT = "a" * (LARGEST_UNCUT_BYTES - 2)
LONG_TEXTS = [
    LONGEST_UNCUT[:-1],
    LONGEST_UNCUT,
    LONGEST_UNCUT + "a",
    *(LONGEST_UNCUT + "a" * more for more in range(2, 20)),
    LONGEST_UNCUT + "b",
    "a" * 511,
    "a" * 512,
    "a" * 1000 + "b",
    "a" * 1000 + "c",
    "é" * 1000,
    "\0" * 1000,
    "x" * 1_000_000,
]


def test_long_values_are_found_each_by_itself(people: Table[Row], database: MiniDB) -> None:
    people.insert_many({"email": text, "city": text} for text in LONG_TEXTS)
    for place, text in enumerate(LONG_TEXTS, 1):
        assert ids_by(database, "email", text) == ids_by(database, "city", text) == [place]
    assert ids_by(database, "city", "a" * 999) == []


def test_long_values_are_unique_as_a_whole(people: Table[Row]) -> None:
    people.insert_many({"email": text} for text in LONG_TEXTS)
    for place, text in enumerate(LONG_TEXTS, 1):
        with pytest.raises(UniqueViolationError) as caught:
            people.insert({"email": text})
        assert caught.value.id == place
    people.update(1, email="a" * 999)
    people.insert({"email": LONG_TEXTS[0]})


def test_rows_with_one_long_value_are_found_in_the_order_of_their_ids(people: Table[Row], database: MiniDB) -> None:
    people.insert_many({"city": "long" * 1000} for _ in range(1500))
    people.delete(700)
    people.update(3, city="long" * 1000 + "er")
    assert ids_by(database, "city", "long" * 1000) == [n for n in range(1, 1501) if n not in (3, 700)]


def test_a_short_value_is_not_confused_with_a_long_one_that_begins_with_it(
    people: Table[Row], database: MiniDB
) -> None:
    """One digest in 256 goes on where a value of just that length ends."""
    for length in range(LARGEST_UNCUT_BYTES - 4, LARGEST_UNCUT_BYTES + 2):
        short = "a" * length
        people.clear()
        row_id = people.insert({"city": short})
        people.insert_many({"city": f"{short}{number:0200}"} for number in range(2000))
        assert ids_by(database, "city", short) == [row_id]


def test_long_values_whose_digests_are_the_same_are_told_apart_by_their_rows(
    people: Table[Row], database: MiniDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_entries, "_cut", lambda encoded: encoded[:LARGEST_UNCUT_BYTES] + bytes(16))
    people.insert_many({"city": "a" * 200 + str(number % 3)} for number in range(6))
    assert [ids_by(database, "city", "a" * 200 + digit) for digit in "0123"] == [[1, 4], [2, 5], [3, 6], []]
    people.clear()


def test_long_values_of_several_fields_are_told_apart(database: MiniDB) -> None:
    table = database.create_table("people", Schema(a=StringField(), b=StringField(), n=IntegerField()))
    database.create_index("people", "a", "b", unique=True)
    table.insert_many([{"a": "x" * 200, "b": "y"}, {"a": "x" * 200, "b": "z"}, {"a": "x" * 200 + "y", "b": ""}])
    assert ids_by(database, "a_b", ("x" * 200, "z")) == [2]
    with pytest.raises(UniqueViolationError):
        table.insert({"a": "x" * 200, "b": "y"})
    ids = table.insert_many([{"a": "x" * 200, "b": None}] * 2)
    assert ids_by(database, "a_b", ("x" * 200, None)) == list(ids)


# --- making and dropping ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_an_index_that_is_made_later_has_every_row(database: MiniDB, count: int) -> None:
    table = database.create_table("people")
    table.insert_many({"n": number % 3, "own": number} for number in range(count))
    database.create_index("people", "n")
    database.create_index("people", "own", unique=True)
    assert [len(ids_by(database, "n", value)) for value in range(3)] == [len(range(v, count, 3)) for v in range(3)]


def test_an_index_that_is_made_in_a_transaction_has_what_was_written_before_and_after(database: MiniDB) -> None:
    with database.begin_transaction():
        table = database.create_table("people")
        table.insert({"n": 1})
        database.create_index("people", "n")
        table.insert({"n": 1})
        assert ids_by(database, "n", 1) == [1, 2]
    assert ids_by(database, "n", 1) == [1, 2]


def test_an_index_whose_making_is_rolled_back_is_gone(people: Table[Row], database: MiniDB) -> None:
    with database.begin_transaction() as transaction:
        database.create_index("people", "age")
        people.insert({"age": 1})
        transaction.rollback()
    with pytest.raises(IndexNotFoundError):
        ids_by(database, "age", 1)
    row_id = people.insert({"age": 1})
    database.create_index("people", "age")
    assert ids_by(database, "age", 1) == [row_id]


def test_a_dropped_index_no_longer_refuses(people: Table[Row], database: MiniDB) -> None:
    database.drop_index("people", "email")
    people.insert_many([{"email": "a"}, {"email": "a"}])
    with pytest.raises(UniqueViolationError):
        database.create_index("people", "email", unique=True)


def test_an_index_is_not_made_twice(people: Table[Row], database: MiniDB) -> None:
    database.create_index("people", "age")
    with pytest.raises(IndexExistsError):
        database.create_index("people", "age")
    assert database.create_index("people", "age", if_not_exists=True).fields == ("age",)
    assert people.insert({"age": 1}) == 1
