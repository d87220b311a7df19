"""The verbs of a table: on one row, on many, on all; with a schema and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.encoding.test_values import plain, storable, texts

from minidb import MiniDB, Row, Table
from minidb.encoding.integers import encode_integer
from minidb.exceptions import (
    ChecksumError,
    ReadOnlyError,
    RowExistsError,
    RowNotFoundError,
    SchemaValidationError,
    TableNotFoundError,
    UsageError,
)
from minidb.schema import IntegerField, ListField, Schema, StringField

PEOPLE = Schema(name=StringField(required=True, max_length=20), age=IntegerField(min_value=0, index=True))
STOCK = Schema(code=StringField(primary_key=True), shelf=IntegerField(index=True), label=StringField(default="none"))
PLACES = Schema(
    country=StringField(primary_key=True), zip=IntegerField(primary_key=True), name=StringField(required=True)
)

SCHEMAS = {"without a schema": None, "with a schema": PEOPLE}

Id = Any  # an int or the value of a primary key


@pytest.fixture(params=SCHEMAS)
def people(request: pytest.FixtureRequest, database: MiniDB) -> Table[Row]:
    """A table with automatic ids, with a schema and without one."""
    return database.create_table("people", SCHEMAS[request.param])


@pytest.fixture
def stock(database: MiniDB) -> Table[Row]:
    """A table with a primary key of one field."""
    return database.create_table("stock", STOCK)


@pytest.fixture
def places(database: MiniDB) -> Table[Row]:
    """A table with a primary key of two fields, and some rows."""
    table = database.create_table("places", PLACES)
    table.insert_many({"country": country, "zip": zip_, "name": f"{country}{zip_}"} for country, zip_ in CODES)
    return table


CODES = [("", 1), ("A", 1), ("A", 2), ("A", 300), ("B", -5), ("B", 0), ("B\0", 7), ("Ä", 1)]
"""In the order of their keys."""


def contents(table: Table[Row]) -> dict[Id, dict[str, Any]]:  # Any: columns are of any type
    return {row.id: row.columns for row in table}


# --- insert, query, get -----------------------------------------------------------------------------------------------


def test_an_inserted_row_is_found_by_the_id_that_insert_returned(people: Table[Row]) -> None:
    row_id = people.insert(Row(name="Ada", age=36))
    assert people.query(row_id).columns == {"name": "Ada", "age": 36}
    assert people[row_id] == people.get(row_id) == Row(name="Ada", age=36)
    assert people[row_id].id == row_id


def test_insert_takes_a_mapping(people: Table[Row]) -> None:
    assert people[people.insert({"name": "Ada", "age": 36})] == Row(name="Ada", age=36)


def test_insert_copies_what_it_is_given(database: MiniDB) -> None:
    for name, schema in [("plain", None), ("checked", Schema(tags=ListField()))]:
        table = database.create_table(name, schema)
        given = {"tags": ["a"]}
        with database.begin_transaction():
            row_id = table.insert(given)
            given["tags"].append("b")
            assert table[row_id].tags == ["a"]


def test_a_row_that_is_not_there_is_not_found(people: Table[Row]) -> None:
    with pytest.raises(RowNotFoundError) as caught:
        people.query(99)
    assert (caught.value.table, caught.value.id) == ("people", 99)
    with pytest.raises(KeyError):
        people[99]


def test_get_gives_the_default_for_a_row_that_is_not_there(people: Table[Row]) -> None:
    default = object()
    assert people.get(99) is None
    assert people.get(99, default) is default
    assert people.get(99, default=default) is default


def name_of(value: object) -> str:
    """Return a name for a parameter that is the same in every process: the text of an object has its address."""
    return (
        type(value).__name__
        if isinstance(value, list | dict | set | Row) or type(value) is object
        else ascii(value)[:20]
    )


STRANGE_IDS = [
    0,
    -1,
    2**63 - 1,
    2**63,
    2**200,
    True,
    1.0,
    "1",
    None,
    b"\x01",
    (1,),
    [1],
    {"id": 1},
    {1},
    object(),
    Row(),
]


@pytest.mark.parametrize("row_id", STRANGE_IDS, ids=name_of)
def test_an_id_that_no_row_can_have_is_not_found(people: Table[Row], row_id: Id) -> None:
    people.insert({"name": "Ada"})
    assert people.get(row_id) is None
    assert row_id not in people
    assert people.get_many([row_id, 1]) == [None, people[1]]
    assert people.delete_many([row_id]) == 0
    for call in (people.query, people.delete, people.update):
        with pytest.raises(RowNotFoundError):
            call(row_id)
    assert people.count() == 1


STRANGE_KEYS = [0, True, 1.5, None, b"a", ("a",), ["a"], ("a", "b"), (), {"code": "a"}, object(), "\ud800", "a" * 5000]


@pytest.mark.parametrize("row_id", STRANGE_KEYS, ids=name_of)
def test_a_key_that_no_row_can_have_is_not_found(stock: Table[Row], row_id: Id) -> None:
    stock.insert({"code": "a"})
    assert stock.get(row_id) is None
    assert row_id not in stock
    assert stock.get_many([row_id]) == [None]
    assert stock.delete_many([row_id]) == 0
    for call in (stock.query, stock.delete, stock.update):
        with pytest.raises(RowNotFoundError):
            call(row_id)


@pytest.mark.parametrize("row_id", ["A", ("A",), ("A", 1, 1), ("A", "1"), ("A", None), (None, None), 1, {"A": 1}])
def test_a_compound_key_that_no_row_can_have_is_not_found(places: Table[Row], row_id: Id) -> None:
    assert places.get(row_id) is None
    assert row_id not in places


def test_a_list_is_as_good_as_a_tuple_for_a_compound_key(places: Table[Row]) -> None:
    assert places[["A", 2]].name == "A2"


def test_a_taken_primary_key_is_refused(stock: Table[Row]) -> None:
    stock.insert({"code": "a", "shelf": 1})
    with pytest.raises(RowExistsError) as caught:
        stock.insert({"code": "a", "shelf": 2})
    assert (caught.value.table, caught.value.id) == ("stock", "a")
    assert contents(stock) == {"a": {"code": "a", "shelf": 1, "label": "none"}}


def test_a_row_that_the_schema_refuses_is_not_written(stock: Table[Row]) -> None:
    with pytest.raises(SchemaValidationError) as caught:
        stock.insert({"code": 1, "shelf": "1", "colour": "red"})
    assert [error.field for error in caught.value.errors] == ["code", "shelf", "colour"]
    assert (caught.value.table, caught.value.row_number) == ("stock", None)
    assert stock.count() == 0


@pytest.mark.parametrize("columns", [{"": 1}, {1: 1}, {"a": {1}}, {"a": object()}, {"a": {"b": [{2: 3}]}}])
def test_without_a_schema_a_row_that_cannot_be_stored_is_refused(
    database: MiniDB, columns: dict[Any, Any]
) -> None:  # Any: whatever a program gives
    table = database.create_table("rows")
    with pytest.raises(SchemaValidationError) as caught:
        table.insert(columns)
    assert caught.value.table == "rows"
    assert table.count() == 0


@pytest.mark.parametrize("given", [None, 1, "text", [("name", "Ada")], object()], ids=name_of)
def test_something_that_is_no_mapping_is_refused(
    people: Table[Row], given: Any
) -> None:  # Any: whatever a program gives
    people.insert({"name": "Ada"})
    for call in (people.insert, people.upsert, lambda row: people.replace(1, row)):
        with pytest.raises(TypeError, match="mapping of columns"):
            call(given)
    for call_many in (people.insert_many, people.upsert_many):
        with pytest.raises(TypeError, match="mapping of columns"):
            call_many([{"name": "Bob"}, given])
    assert people.count() == 1


# --- get_many ---------------------------------------------------------------------------------------------------------


def test_many_rows_come_in_the_order_asked(people: Table[Row]) -> None:
    people.insert_many({"name": name} for name in "abc")
    rows = people.get_many(iter([3, 99, 1, 3]))
    assert [row and (row.id, row.name) for row in rows] == [(3, "c"), None, (1, "a"), (3, "c")]


def test_no_ids_are_no_rows(people: Table[Row]) -> None:
    assert people.get_many([]) == []


# --- update -----------------------------------------------------------------------------------------------------------


def test_update_changes_the_columns_named_and_no_others(people: Table[Row]) -> None:
    row_id = people.insert({"name": "Ada", "age": 36})
    updated = people.update(row_id, age=37)
    assert updated == people[row_id] == Row(name="Ada", age=37)
    assert updated.id == row_id


def test_update_without_changes_returns_the_row(people: Table[Row]) -> None:
    row_id = people.insert({"name": "Ada", "age": 36})
    assert people.update(row_id) == Row(name="Ada", age=36)


def test_update_changes_columns_of_any_name(database: MiniDB) -> None:
    table = database.create_table("rows")
    row_id = table.insert({"row_id": 1})
    assert table.update(row_id, **{"row_id": 2, "self": 3, "a b": 4}).columns == {"row_id": 2, "self": 3, "a b": 4}


def test_update_adds_a_column_where_there_is_no_schema(database: MiniDB) -> None:
    table = database.create_table("rows")
    assert table.update(table.insert({"a": 1}), b=2) == Row(a=1, b=2)


def test_update_refuses_what_the_schema_refuses(stock: Table[Row]) -> None:
    stock.insert({"code": "a", "shelf": 1})
    for changes in ({"shelf": "2"}, {"colour": "red"}, {"code": None}):
        with pytest.raises(SchemaValidationError) as caught:
            stock.update("a", **changes)
        assert caught.value.table == "stock"
    assert stock["a"] == Row(code="a", shelf=1, label="none")


def test_the_primary_key_cannot_be_changed(places: Table[Row]) -> None:
    with pytest.raises(SchemaValidationError) as caught:
        places.update(("A", 1), zip=9)
    assert {(error.field, error.code) for error in caught.value.errors} == {
        ("country", "primary_key"),
        ("zip", "primary_key"),
    }
    with pytest.raises(SchemaValidationError):
        places.replace(("A", 1), {"country": "A", "zip": 2, "name": "another"})
    assert places[("A", 1)].name == "A1"
    assert places[("A", 2)].name == "A2"


def test_the_primary_key_may_be_written_as_it_is(places: Table[Row]) -> None:
    assert places.update(("A", 1), country="A", zip=1, name="new").name == "new"


def test_update_finds_no_row_that_was_deleted(people: Table[Row]) -> None:
    row_id = people.insert({"name": "Ada"})
    people.delete(row_id)
    with pytest.raises(RowNotFoundError):
        people.update(row_id, age=1)


# --- replace and upsert -----------------------------------------------------------------------------------------------


def test_replace_leaves_nothing_of_the_old_row(people: Table[Row]) -> None:
    row_id = people.insert({"name": "Ada", "age": 36})
    replaced = people.replace(row_id, {"name": "Bob"})
    assert replaced.id == row_id
    assert people[row_id] == replaced
    assert {name: value for name, value in replaced.columns.items() if value is not None} == {"name": "Bob"}


def test_replace_finds_no_row_that_is_not_there(people: Table[Row]) -> None:
    with pytest.raises(RowNotFoundError):
        people.replace(1, {"name": "Bob"})


def test_replace_needs_every_required_column(stock: Table[Row]) -> None:
    stock.insert({"code": "a"})
    with pytest.raises(SchemaValidationError, match="code: is required"):
        stock.replace("a", {"shelf": 1})


def test_upsert_inserts_and_then_replaces(stock: Table[Row]) -> None:
    assert stock.upsert({"code": "a", "shelf": 1, "label": "new"}) == "a"
    assert stock.upsert({"code": "a"}) == "a"
    assert contents(stock) == {"a": {"code": "a", "shelf": None, "label": "none"}}


def test_upsert_returns_the_id_of_several_fields(places: Table[Row]) -> None:
    assert places.upsert({"country": "A", "zip": 1, "name": "new"}) == ("A", 1)
    assert places.upsert({"country": "C", "zip": 1, "name": "C1"}) == ("C", 1)
    assert places.count() == len(CODES) + 1


def test_upsert_without_a_primary_key_inserts_what_is_new(people: Table[Row]) -> None:
    assert people.upsert({"name": "Ada"}) == 1
    assert people.upsert(Row(name="Ada")) == 2


def test_upsert_without_a_primary_key_replaces_a_row_that_was_read(people: Table[Row]) -> None:
    people.insert({"name": "Ada", "age": 36})
    row = people[1]
    row.columns["age"] = 37
    assert people.upsert(row) == 1
    assert people[1].age == 37


def test_upsert_of_a_row_that_has_been_deleted_is_refused(people: Table[Row]) -> None:
    people.insert({"name": "Ada"})
    row = people[1]
    people.delete(1)
    with pytest.raises(RowNotFoundError):
        people.upsert(row)
    assert people.count() == 0


def test_upsert_asks_a_default_factory_for_the_key_once(database: MiniDB) -> None:
    numbers: Iterator[int] = iter(range(10))
    schema = Schema(code=IntegerField(primary_key=True, default_factory=lambda: next(numbers)), text=StringField())
    table = database.create_table("rows", schema)
    table.insert({"code": 0, "text": "old"})
    assert table.upsert({"text": "new"}) == 0
    assert contents(table) == {0: {"code": 0, "text": "new"}}
    assert table.upsert({"text": "next"}) == 1
    assert next(numbers) == 2


def test_upsert_many_replaces_and_inserts(stock: Table[Row]) -> None:
    stock.insert({"code": "a", "shelf": 1})
    assert stock.upsert_many([{"code": "b"}, Row(code="a", shelf=2), {"code": "b", "shelf": 3}]) == ["b", "a", "b"]
    assert {code: row["shelf"] for code, row in contents(stock).items()} == {"a": 2, "b": 3}


# --- delete, count, clear ---------------------------------------------------------------------------------------------


def test_a_deleted_row_is_gone(people: Table[Row]) -> None:
    people.insert_many([{"name": "Ada"}, {"name": "Bob"}])
    people.delete(1)
    del people[2]
    assert people.count() == len(people) == 0
    for row_id in (1, 2):
        with pytest.raises(RowNotFoundError):
            people.delete(row_id)


def test_delete_many_counts_the_rows_that_there_were(people: Table[Row]) -> None:
    people.insert_many({"name": name} for name in "abcd")
    assert people.delete_many(iter([1, 99, 3, 1])) == 2
    assert list(contents(people)) == [2, 4]


def test_delete_many_may_draw_ids_from_the_table_itself(people: Table[Row]) -> None:
    people.insert_many({"name": str(number)} for number in range(3000))
    assert people.delete_many(row.id for row in people if int(row.name) % 2) == 1500
    assert people.count() == 1500


def test_clear_leaves_an_empty_table(people: Table[Row], database: MiniDB) -> None:
    database.create_index("people", "name", unique=True)
    people.insert_many({"name": name} for name in "abc")
    people.clear()
    people.clear()
    assert (people.count(), list(people), database.query_by_index("people", "name", "a")) == (0, [], [])
    people.insert({"name": "a"})


def test_a_table_is_a_collection_of_rows(people: Table[Row]) -> None:
    assert not list(people)
    assert people  # also when it is empty: it is there
    people.insert({"name": "Ada"})
    assert 1 in people
    assert 2 not in people
    assert [row.id for row in people] == [1]


# --- update_many ------------------------------------------------------------------------------------------------------


def test_update_many_takes_a_mapping_or_pairs(people: Table[Row]) -> None:
    people.insert_many({"name": name, "age": 1} for name in "ab")
    assert people.update_many({1: {"age": 2}, 2: {"age": 3}}) == 2
    assert [row.age for row in people] == [2, 3]
    assert people.update_many((row.id, {"age": row.age + 1}) for row in people) == 2
    assert [row.age for row in people] == [3, 4]


def test_update_many_changes_a_row_once_for_each_time_it_is_named(people: Table[Row]) -> None:
    people.insert({"name": "Ada", "age": 1})
    assert people.update_many([(1, {"age": 2}), (1, {"name": "Bob"})]) == 2
    assert people[1] == Row(name="Bob", age=2)


@pytest.mark.parametrize("is_inside", [False, True])
def test_many_changes_are_all_done_or_none(people: Table[Row], database: MiniDB, is_inside: bool) -> None:
    people.insert_many({"name": name, "age": 1} for name in "abc")
    gone = people[3]
    people.delete(3)
    before = contents(people)

    def change() -> None:
        with pytest.raises(RowNotFoundError):
            people.update_many([(1, {"age": 2}), (99, {"age": 2})])
        with pytest.raises(RowNotFoundError):
            people.upsert_many([Row(name="new"), gone])
        with pytest.raises(ZeroDivisionError):
            people.delete_many(1 // (2 - number) for number in (1, 2))

    if is_inside:
        with database.begin_transaction():
            change()
            assert contents(people) == before
    else:
        change()
    assert contents(people) == before


def test_an_index_that_is_made_while_rows_are_changed_has_their_entries(database: MiniDB) -> None:
    table = database.create_table("rows")
    table.insert_many({"n": number} for number in range(4))

    def changes() -> Iterator[tuple[int, dict[str, int]]]:
        yield 1, {"n": 10}
        database.create_index("rows", "n")
        yield 2, {"n": 10}

    def rows() -> Iterator[Row]:
        for row_id in (3, 4):
            row = table[row_id]
            row.columns["n"] = 10
            yield row
            database.create_index("rows", "n", name=f"after {row_id}")

    def ids() -> Iterator[int]:
        yield 1
        database.create_index("rows", "n", name="third")
        yield 2

    with database.begin_transaction():
        table.update_many(changes())
        table.upsert_many(rows())
        table.delete_many(ids())
    for index in ("n", "after 3", "after 4", "third"):
        assert [row.id for row in database.query_by_index("rows", index, 10)] == [3, 4]


# --- scan -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def numbers(database: MiniDB) -> Table[Row]:
    """Rows 1 to 3000, several pages of a scan, without those that 7 divides."""
    table = database.create_table("numbers")
    table.insert_many({"n": number} for number in range(1, 3001))
    table.delete_many(range(7, 3001, 7))
    return table


IDS = [number for number in range(1, 3001) if number % 7]


@pytest.mark.parametrize(
    ("start", "stop"),
    [(None, None), (1, None), (None, 1), (7, 14), (8, 13), (5, 5), (9, 3), (-10, 10**30), (2999, None), (3001, None)],
)
def test_a_scan_gives_the_rows_from_start_to_before_stop(
    numbers: Table[Row], start: int | None, stop: int | None
) -> None:
    expected = [n for n in IDS if (start is None or n >= start) and (stop is None or n < stop)]
    for limit in (None, 0, 1, 2, 1024, 1025, 5000):
        for reverse in (False, True):
            rows = list(numbers.scan(start, stop, reverse=reverse, limit=limit))
            assert [row.id for row in rows] == (expected[::-1] if reverse else expected)[:limit]
            assert [row.n for row in rows] == [row.id for row in rows]


def test_a_scan_in_a_transaction_sees_what_it_has_written(numbers: Table[Row], database: MiniDB) -> None:
    deleted = [1, 2, 3, 1500, 2998, 2999]
    with database.begin_transaction():
        numbers.delete_many(deleted)
        added = numbers.insert({"n": 0})
        expected = [number for number in IDS if number not in deleted] + [added]
        for limit in (None, 1, 3, 2000, 5000):
            assert [row.id for row in numbers.scan(limit=limit)] == expected[:limit]
            assert [row.id for row in numbers.scan(limit=limit, reverse=True)] == expected[::-1][:limit]


@pytest.mark.parametrize(
    ("start", "stop", "first", "last"),
    [
        (("A",), ("B",), 1, 4),
        (("A", 2), ("B",), 2, 4),
        (("A",), ("A", 300), 1, 3),
        (("B",), ("B\0",), 4, 6),
        (("B",), ("C",), 4, 7),
        (None, ("A",), 0, 1),
        (("B\0",), None, 6, 8),
        (["A", 1], ["A", 2], 1, 2),
        (("A", -(10**30)), ("A", 10**30), 1, 4),
        (("A" * 5000,), None, 4, 8),
        (None, ("A" * 5000,), 0, 4),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_may_be_bounded_by_the_first_fields_of_a_key(
    places: Table[Row], start: Id, stop: Id, first: int, last: int, reverse: bool
) -> None:
    ids = [row.id for row in places.scan(start, stop, reverse=reverse)]
    assert (ids[::-1] if reverse else ids) == CODES[first:last]


@pytest.mark.parametrize("bound", ["1", 1.0, True, (1,), b"", object()], ids=name_of)
def test_a_bound_that_is_no_automatic_id_is_refused(people: Table[Row], bound: Id) -> None:
    with pytest.raises(SchemaValidationError, match="id: must be an integer"):
        list(people.scan(bound))
    with pytest.raises(SchemaValidationError):
        list(people.scan(stop=bound))


@pytest.mark.parametrize("bound", ["A", (), ("A", 1, 1), (1,), ("A", "1"), 7, ("\ud800",)])
def test_a_bound_that_is_no_key_is_refused(places: Table[Row], bound: Id) -> None:
    with pytest.raises(SchemaValidationError):
        list(places.scan(bound))


@pytest.mark.parametrize("limit", [-1, 1.0, True, "1"])
def test_a_limit_that_cannot_be_is_refused_at_once(
    people: Table[Row], limit: Any
) -> None:  # Any: whatever a program gives
    with pytest.raises(UsageError):
        people.scan(limit=limit)


def test_a_scan_goes_on_in_the_snapshot_that_it_began_in(numbers: Table[Row]) -> None:
    rows = numbers.scan()
    first = next(rows)
    numbers.clear()
    numbers.insert({"n": "new"})
    assert [first.id, *(row.id for row in rows)] == IDS


def test_a_scan_in_a_transaction_goes_on_as_it_began(numbers: Table[Row], database: MiniDB) -> None:
    with database.begin_transaction():
        numbers.insert({"n": 3001})
        rows = numbers.scan()
        first = next(rows)
        for row in rows:
            numbers.update(row.id, n=-row.n)
            numbers.insert({"n": "new"})
        assert first.n == 1
        assert numbers.count() == 2 * (len(IDS) + 1) - 1


def test_a_scan_that_is_not_finished_holds_nothing_for_ever(location: str) -> None:
    with MiniDB(location, durability="none", max_connections=1, pool_timeout_s=0) as database:
        table = database.create_table("rows")
        table.insert_many([{}, {}])
        rows = table.scan()
        next(rows)
        del rows
        assert table.count() == 2


# --- in transactions --------------------------------------------------------------------------------------------------


def test_every_verb_takes_part_in_a_transaction(people: Table[Row], database: MiniDB) -> None:
    people.insert_many({"name": name, "age": 1} for name in "abcd")
    before = contents(people)
    with database.begin_transaction() as transaction:
        people.insert({"name": "e"})
        people.insert_many([{"name": "f"}])
        people.update(1, age=2)
        people.update_many({2: {"age": 3}})
        people.replace(3, {"name": "z"})
        people.upsert({"name": "g"})
        people.upsert_many([{"name": "h"}])
        people.delete(4)
        people.delete_many([1])
        assert [row.name for row in people] == ["b", "z", "e", "f", "g", "h"]
        assert (people.count(), 4 in people, people.get(1)) == (6, False, None)
        assert [row and row.id for row in people.get_many([2, 4, 5])] == [2, None, 5]
        people.clear()
        assert people.count() == 0
        transaction.rollback()
    assert contents(people) == before


def test_no_verb_writes_in_a_read_only_transaction(people: Table[Row], database: MiniDB) -> None:
    people.insert({"name": "Ada"})
    with database.begin_transaction(read_only=True):
        for call in (
            lambda: people.insert({"name": "Bob"}),
            lambda: people.insert_many([{"name": "Bob"}]),
            lambda: people.update(1, age=1),
            lambda: people.update_many({1: {"age": 1}}),
            lambda: people.replace(1, {"name": "Bob"}),
            lambda: people.upsert({"name": "Bob"}),
            lambda: people.upsert_many([{"name": "Bob"}]),
            lambda: people.delete(1),
            lambda: people.delete_many([1]),
            people.clear,
        ):
            with pytest.raises(ReadOnlyError):
                call()
        assert people.count() == 1


def test_no_verb_finds_a_table_that_was_dropped(people: Table[Row], database: MiniDB) -> None:
    database.drop_table("people")
    for call in (
        lambda: people.insert({"name": "Bob"}),
        lambda: people.insert_many([{"name": "Bob"}]),
        lambda: people.query(1),
        lambda: people.get_many([1]),
        lambda: people.delete_many([1]),
        lambda: list(people.scan()),
        lambda: 1 in people,
        lambda: people.schema,
        people.count,
        people.clear,
    ):
        with pytest.raises(TableNotFoundError):
            call()


# --- values -----------------------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(columns=st.dictionaries(texts.filter(bool), storable, max_size=4))
def test_every_storable_row_is_stored_without_a_schema(
    database: MiniDB, columns: dict[str, Any]
) -> None:  # Any: columns are of any type
    table = database.table("rows")
    assert plain(table[table.insert(columns)].columns) == plain(columns)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "a\0b",
        "\x01\x02",
        "é",
        "e\u0301",  # the same to the eye, another string
        "\u05d0\u05d1",
        "\u200b",
        "\ufeff",
        "\uffff",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0010ffff",
        "".join(map(chr, range(0x20, 0x3000))),
    ],
    ids=ascii,
)
def test_every_kind_of_text_is_stored_found_and_is_a_key(database: MiniDB, text: str) -> None:
    people = database.create_table("people", Schema(name=StringField(index=True)))
    row_id = people.insert({"name": text})
    assert people[row_id].name == text
    assert database.query_by_index("people", "name", text) == [people[row_id]]
    plain_rows = database.create_table("plain")
    assert plain_rows[plain_rows.insert({"text": text, f"name {text}": text})].columns == {
        "text": text,
        f"name {text}": text,
    }
    if len(text) < 100:
        stock = database.create_table("stock", STOCK)
        assert stock.insert({"code": text}) == text
        assert stock[text].id == text


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\udc00\ud800", "é\ud83d"], ids=ascii)
def test_a_lone_surrogate_is_refused_wherever_it_stands(database: MiniDB, text: str) -> None:
    table = database.create_table("rows")
    stock = database.create_table("stock", STOCK)
    stock.insert({"code": "a"})
    for call, field in (
        (lambda: table.insert({"text": text}), "text"),
        (lambda: table.insert({"tags": [{"deep": text}]}), "tags[0].deep"),
        (lambda: table.insert({"tags": [{text: 1}]}), "tags[0]"),
        (lambda: table.insert_many([{"text": text}]), "text"),
        (lambda: stock.insert({"code": text}), "code"),
        (lambda: stock.insert({"code": "b", "label": text}), "label"),
        (lambda: stock.insert_many([{"code": text}]), "code"),
        (lambda: stock.insert_many([{"code": "b", "label": text}]), "label"),
        (lambda: stock.upsert({"code": text}), "code"),
        (lambda: stock.upsert({"code": "a", "label": text}), "label"),
        (lambda: stock.update("a", label=text), "label"),
        (lambda: stock.replace("a", {"code": "a", "label": text}), "label"),
    ):
        with pytest.raises(SchemaValidationError) as caught:
            call()
        assert [(error.field, error.code) for error in caught.value.errors] == [(field, "unicode")]
        str(caught.value).encode()  # the message itself can be printed
    with pytest.raises(SchemaValidationError):
        table.insert({text: 1})
    assert (table.count(), contents(stock)) == (0, {"a": {"code": "a", "shelf": None, "label": "none"}})


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_value_of_ten_megabytes_is_stored(database: MiniDB, name: str) -> None:
    schema = None if SCHEMAS[name] is None else Schema(text=StringField())
    table = database.create_table("rows", schema)
    text = "0123456789" * 1_000_000
    row_id = table.insert({"text": text})
    assert table[row_id].text == text
    table.update(row_id, text="short")
    assert table[row_id].text == "short"
    assert table.insert_many([{"text": text}, {"text": ""}]) == range(2, 4)
    assert [len(row.text) for row in table] == [5, 10_000_000, 0]


# --- damage -----------------------------------------------------------------------------------------------------------


def damage(database: MiniDB, table: str, row_id: int) -> bytes:
    """Flip a bit of a row as a bad disk would; return what its bytes were."""
    with database.begin_transaction() as transaction:
        session = transaction.writing()
        space = session.catalog.table(table).space
        data = session.bytes.get(space, encode_integer(row_id))
        assert data is not None
        session.bytes.put_many(space, {encode_integer(row_id): data[:-6] + bytes((data[-6] ^ 1,)) + data[-5:]})
    return data


def test_every_verb_that_reads_a_damaged_row_says_which_it_is(database: MiniDB) -> None:
    people = database.create_table("people", PEOPLE)
    people.insert_many({"name": name, "age": 1} for name in "abc")
    row = people[2]
    data = damage(database, "people", 2)
    for call in (
        lambda: people.query(2),
        lambda: people.get(2),
        lambda: people.get_many([1, 2]),
        lambda: list(people),
        lambda: people.update(2, age=2),
        lambda: people.replace(2, {"name": "d"}),
        lambda: people.delete(2),
        lambda: people.delete_many([1, 2]),
        lambda: people.upsert(row),
        lambda: database.query_by_index("people", "age", 1),
        lambda: database.create_index("people", "name"),
    ):
        with pytest.raises(ChecksumError) as caught:
            call()
        assert (caught.value.table, caught.value.id) == ("people", 2)
    assert people[1].name == "a"
    with database.begin_transaction() as transaction:
        session = transaction.writing()
        session.bytes.put_many(session.catalog.table("people").space, {encode_integer(2): data})
