"""``insert_many``: all rows or none, whatever they are drawn from and wherever it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from tests.api.conftest import ONE_WRITER

from minidb import MiniDB, Row, Table
from minidb.exceptions import (
    RowExistsError,
    SchemaValidationError,
    TableNotFoundError,
    UniqueViolationError,
    WriteTimeoutError,
)
from minidb.schema import IntegerField, Schema, StringField
from minidb.tables.writing import BATCH_ROWS

NUMBERS = Schema(n=IntegerField(required=True, unique=True), group=IntegerField(index=True))
KEYED = Schema(n=IntegerField(primary_key=True), group=IntegerField(index=True))

SCHEMAS = {"without a schema": None, "with a schema": NUMBERS, "with a primary key": KEYED}

Columns = dict[str, Any]  # Any: columns are of any type


@pytest.fixture(params=SCHEMAS)
def numbers(request: pytest.FixtureRequest, database: MiniDB) -> Table[Row]:
    """A table with automatic ids, without a schema and with one, and a table with a primary key."""
    return database.create_table("numbers", SCHEMAS[request.param])


@pytest.fixture(params=["alone", "in a transaction", "in a savepoint"])
def around(request: pytest.FixtureRequest, database: MiniDB) -> Callable[[], Any]:  # Any: a context manager of whatever
    """What a call may stand in."""
    return nullcontext if request.param == "alone" else database.begin_transaction


def rows(count: int) -> list[Columns]:
    return [{"n": number, "group": number % 3} for number in range(count)]


SIZES = [0, 1, BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1, 2 * BATCH_ROWS + 1]


@pytest.mark.parametrize("count", SIZES)
def test_many_rows_are_inserted_and_their_ids_returned(numbers: Table[Row], count: int) -> None:
    numbers.insert({"n": -1})
    ids = numbers.insert_many(rows(count))
    assert len(ids) == count
    assert numbers.count() == count + 1
    assert [row and row.n for row in numbers.get_many(ids)] == list(range(count))


@pytest.mark.parametrize("count", SIZES)
def test_automatic_ids_are_a_range(database: MiniDB, count: int) -> None:
    table = database.create_table("rows")
    table.insert({})
    ids = table.insert_many({} for _ in range(count))
    assert isinstance(ids, range)
    assert list(ids) == list(range(2, count + 2))


def test_ids_of_a_primary_key_are_in_the_order_of_the_rows(database: MiniDB) -> None:
    table = database.create_table("rows", KEYED)
    assert table.insert_many([Row(n=3), {"n": 1}, Row(n=2)]) == [3, 1, 2]


@pytest.mark.parametrize("number", [0, 1, BATCH_ROWS - 1, BATCH_ROWS, 2 * BATCH_ROWS + 5])
def test_one_bad_row_refuses_all_and_its_place_is_told(
    database: MiniDB, around: Callable[[], Any], number: int
) -> None:
    given = rows(2 * BATCH_ROWS + 10)
    bad: list[tuple[Schema | None, object]] = [
        (NUMBERS, "1"),
        (KEYED, None),
        (NUMBERS, {}),
        (None, {1}),
        (None, "\ud800"),
    ]
    for place, (schema, value) in enumerate(bad):
        table = database.create_table(f"table {place}", schema)
        kept = table.insert({"n": -1})
        with around():
            with pytest.raises(SchemaValidationError) as caught:
                table.insert_many([*given[:number], {"n": value}, *given[number:]])
            assert (caught.value.row_number, caught.value.table) == (number, table.name)
            assert [error.field for error in caught.value.errors] == ["n"]
            assert [row.id for row in table] == [kept]


@pytest.mark.parametrize("field", ["group", "text"])
def test_a_lone_surrogate_among_many_is_found(database: MiniDB, field: str) -> None:
    table = database.create_table("rows", Schema(text=StringField(index=True), group=StringField()))
    with pytest.raises(SchemaValidationError) as caught:
        table.insert_many([{"text": "é"}, {field: "\ud800"}, {"text": "e"}])
    assert (caught.value.row_number, caught.value.errors[0].field, table.count()) == (1, field, 0)


def test_a_key_that_is_taken_refuses_all(database: MiniDB, around: Callable[[], Any]) -> None:
    table = database.create_table("rows", KEYED)
    table.insert({"n": 1500})
    with around():
        with pytest.raises(RowExistsError) as caught:
            table.insert_many(rows(2000))
        assert (caught.value.table, caught.value.id) == ("rows", 1500)
        assert [row.id for row in table] == [1500]


@pytest.mark.parametrize("distance", [1, BATCH_ROWS, BATCH_ROWS + 1])
def test_a_key_that_stands_twice_among_the_rows_refuses_all(
    database: MiniDB, around: Callable[[], Any], distance: int
) -> None:
    table = database.create_table("rows", KEYED)
    given = [*rows(distance), {"n": 0}]
    with around():
        with pytest.raises(RowExistsError) as caught:
            table.insert_many(given)
        assert caught.value.id == 0
        assert table.count() == 0


@pytest.mark.parametrize("distance", [1, BATCH_ROWS, BATCH_ROWS + 1])
def test_a_unique_value_that_stands_twice_among_the_rows_refuses_all(
    database: MiniDB, around: Callable[[], Any], distance: int
) -> None:
    table = database.create_table("rows", NUMBERS)
    with around():
        with pytest.raises(UniqueViolationError) as caught:
            table.insert_many([*rows(distance), {"n": 0}])
        error = caught.value
        assert (error.table, error.index, error.fields, error.value, error.id) == ("rows", "n", ("n",), 0, 1)
        assert table.count() == 0


def test_what_stands_around_many_rows_that_were_refused_is_kept(numbers: Table[Row], database: MiniDB) -> None:
    with database.begin_transaction():
        before = numbers.insert({"n": -1})
        with pytest.raises((SchemaValidationError, TypeError)):
            numbers.insert_many([*rows(1500), {"n": {1}}])
        after = numbers.insert({"n": -2})
    assert {row.id for row in numbers} == {before, after}


# --- what rows are drawn from -----------------------------------------------------------------------------------------


def test_a_generator_that_raises_leaves_nothing(numbers: Table[Row], around: Callable[[], Any]) -> None:
    def given() -> Iterator[Columns]:
        yield from rows(1500)
        raise ZeroDivisionError

    with around():
        with pytest.raises(ZeroDivisionError):
            numbers.insert_many(given())
        assert numbers.count() == 0


@pytest.mark.parametrize("given", [None, 1, rows(1)[0], "text", [1], [rows(1)]])
def test_something_that_yields_no_rows_is_refused(
    numbers: Table[Row], given: Any
) -> None:  # Any: whatever a program gives
    with pytest.raises(TypeError):
        numbers.insert_many(given)
    assert numbers.count() == 0


def test_rows_may_be_drawn_from_the_table_itself(numbers: Table[Row], around: Callable[[], Any]) -> None:
    numbers.insert_many(rows(2500))
    with around():
        ids = numbers.insert_many({**row, "n": row.n + 2500} for row in numbers)
        assert len(ids) == 2500
        assert sorted(row.n for row in numbers) == list(range(5000))


def test_a_generator_sees_what_was_inserted_before_its_batch(numbers: Table[Row], database: MiniDB) -> None:
    seen: list[int] = []

    def given() -> Iterator[Columns]:
        for columns in rows(2 * BATCH_ROWS + 1):
            if columns["n"] % BATCH_ROWS == 0:
                seen.append(numbers.count())
            yield columns

    with database.begin_transaction():
        numbers.insert_many(given())
    assert seen == [0, BATCH_ROWS, 2 * BATCH_ROWS]


def test_a_generator_outside_a_transaction_sees_what_is_committed(numbers: Table[Row]) -> None:
    numbers.insert({"n": -1})
    assert len(numbers.insert_many({"n": numbers.count() + number} for number in range(1500))) == 1500
    assert sorted(row.n for row in numbers) == [-1, *range(1, 1501)]


@ONE_WRITER
def test_a_generator_that_writes_outside_a_transaction_is_refused_at_once(numbers: Table[Row]) -> None:
    """It would wait for the call that draws from it, and that for it."""
    with pytest.raises(WriteTimeoutError):
        numbers.insert_many({"n": numbers.insert({"n": number + 10})} for number in range(3))
    assert numbers.count() == 0


@pytest.mark.parametrize("every", [1, 7, BATCH_ROWS, 1700])
def test_a_generator_may_insert_into_the_same_table(numbers: Table[Row], database: MiniDB, every: int) -> None:
    own: list[Any] = []  # ids

    def given() -> Iterator[Columns]:
        for columns in rows(2500):
            if columns["n"] % every == 0:
                own.append(numbers.insert({"n": -1 - columns["n"]}))
            yield columns

    with database.begin_transaction():
        ids = numbers.insert_many(given())
    assert [row and row.n for row in numbers.get_many(ids)] == list(range(2500))
    assert len(ids) == 2500
    assert {*ids, *own} == {row.id for row in numbers}
    assert len(ids) + len(own) == numbers.count()


def test_a_generator_may_change_and_delete_rows_of_the_same_table(numbers: Table[Row], database: MiniDB) -> None:
    first = numbers.insert({"n": -1, "group": 0})
    second = numbers.insert({"n": -2, "group": 0})

    def given() -> Iterator[Columns]:
        for columns in rows(2500):
            if columns["n"] == 1500:
                numbers.update(first, group=1500)
                numbers.delete(second)
            yield columns

    with database.begin_transaction():
        numbers.insert_many(given())
    assert (numbers[first].group, second in numbers, numbers.count()) == (1500, False, 2501)


def test_a_generator_may_undo_what_it_has_inserted_itself(numbers: Table[Row], database: MiniDB) -> None:
    def given() -> Iterator[Columns]:
        for columns in rows(2500):
            if columns["n"] % 500 == 0:
                with database.begin_transaction() as savepoint:
                    numbers.insert({"n": -1 - columns["n"]})
                    savepoint.rollback()
            yield columns

    with database.begin_transaction():
        ids = numbers.insert_many(given())
    assert [row and row.n for row in numbers.get_many(ids)] == list(range(2500))
    assert numbers.count() == 2500


def test_an_index_that_is_made_while_rows_are_inserted_has_their_entries(numbers: Table[Row], database: MiniDB) -> None:
    def given() -> Iterator[Columns]:
        for columns in rows(2500):
            if columns["n"] == 1500:
                database.create_index("numbers", "group", name="made meanwhile")
            yield columns

    with database.begin_transaction():
        numbers.insert_many(given())
    assert len(database.query_by_index("numbers", "made meanwhile", 0)) == 834


def test_an_index_that_is_dropped_while_rows_are_inserted_is_gone(database: MiniDB) -> None:
    numbers = database.create_table("numbers", NUMBERS)

    def given() -> Iterator[Columns]:
        for columns in rows(2500):
            if columns["n"] == 1500:
                database.drop_index("numbers", "group")
            yield columns

    with database.begin_transaction():
        numbers.insert_many(given())
    assert [index.name for index in database.indexes("numbers")] == ["n"]
    assert numbers.count() == 2500


def test_a_table_that_is_dropped_while_rows_are_inserted_is_not_found(numbers: Table[Row], database: MiniDB) -> None:
    def given() -> Iterator[Columns]:
        for columns in rows(2500):
            if columns["n"] == 1500:
                database.drop_table("numbers")
            yield columns

    with database.begin_transaction():
        with pytest.raises(TableNotFoundError):
            numbers.insert_many(given())
        assert numbers.count() == 0  # the savepoint brought it back, as it was
