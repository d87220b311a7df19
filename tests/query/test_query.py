"""Queries, through the public API: what may be asked, which rows come and when, and what is refused."""

from __future__ import annotations

import logging
import threading
from decimal import Decimal
from typing import Any

import pytest
from tests.query.people import NAMES, PEOPLE, names

from minidb import Condition, MiniDB, Query, Row, Table, where
from minidb.exceptions import (
    ReadOnlyError,
    RowNotFoundError,
    SchemaValidationError,
    TableNotFoundError,
    TransactionClosedError,
    UniqueViolationError,
    UsageError,
)
from minidb.schema import (
    IntegerField,
    Schema,
)

# --- conditions -------------------------------------------------------------------------------------------------------

CONDITIONS: list[tuple[Condition, list[str]]] = [
    (where("age") == 20, ["Evariste"]),
    (where("age") != 20, ["Ada", "Blaise", "Carl", "Diophantus", "Emmy", "Hypatia", "Sophie", "Thales"]),
    (where("age") < 39, ["Ada", "Evariste"]),
    (where("age") <= 39, ["Ada", "Blaise", "Evariste"]),
    (where("age") > 77, ["Thales"]),
    (where("age") >= 77, ["Carl", "Thales"]),
    (where("age").in_([20, 36, 99]), ["Ada", "Evariste"]),
    (where("age").in_([20, 20]), ["Evariste"]),
    (where("age").in_([20, None]), ["Diophantus", "Evariste"]),
    (where("age").in_([]), []),
    (where("age").between(36, 45), ["Ada", "Blaise", "Hypatia"]),
    (where("age").between(45, 36), []),
    (where("age").is_null(), ["Diophantus"]),
    (where("age") == None, ["Diophantus"]),  # noqa: E711  # builds a condition
    ((where("age") != None) & (where("age") < 30), ["Evariste"]),  # noqa: E711  # as above
    (where("name").startswith("E"), ["Emmy", "Evariste"]),
    (where("name").startswith(""), [name for name, _, _ in NAMES]),
    (where("city").startswith(""), [name for name, _, city in NAMES if city is not None]),
    (where("name").contains("a"), ["Ada", "Blaise", "Carl", "Diophantus", "Evariste", "Hypatia", "Thales"]),
    ((where("city") == "Paris") & (where("age") > 30), ["Blaise", "Sophie"]),
    ((where("city") == "London") | (where("age") > 77), ["Ada", "Thales"]),
    (~(where("age") >= 39), ["Ada", "Diophantus", "Evariste"]),
    (~((where("age") >= 39) | (where("city") == "Paris")), ["Ada", "Diophantus"]),
    (~~(where("age") == 20), ["Evariste"]),
    ((where("age") == 20) & (where("age") == 36), []),
    ((where("age") > 50) & (where("age") > 60) & (where("age") < 78), ["Carl"]),
]


@pytest.mark.parametrize("number", range(len(CONDITIONS)))
def test_a_condition_finds_the_rows_for_which_it_holds(people: Table[Row], number: int) -> None:
    condition, expected = CONDITIONS[number]
    assert sorted(names(people.find(condition))) == expected
    assert people.find(condition).count() == len(expected)


@pytest.mark.parametrize("number", range(len(CONDITIONS)))
def test_a_condition_finds_the_same_rows_without_an_index(database: MiniDB, people: Table[Row], number: int) -> None:
    database.drop_index("people", "age")
    database.drop_index("people", "city")
    condition, expected = CONDITIONS[number]
    assert sorted(names(people.find(condition))) == expected
    assert people.find(condition).count() == len(expected)


def test_find_without_a_condition_finds_every_row(people: Table[Row]) -> None:
    assert sorted(names(people.find())) == [name for name, _, _ in NAMES]
    assert people.find().count() == len(NAMES)


def test_find_takes_several_conditions_and_fields_by_name(people: Table[Row]) -> None:
    assert names(people.find(where("age") > 30, where("age") < 50, city="Paris")) == ["Blaise"]
    assert names(people.find(city=None)) == ["Thales"]


def test_a_condition_may_be_asked_of_several_tables(database: MiniDB, people: Table[Row]) -> None:
    other = database.create_table("other")
    other.insert({"age": 99})
    old = where("age") > 77
    assert (people.find(old).count(), other.find(old).count()) == (1, 1)


def test_a_condition_shows_what_it_asks() -> None:
    condition = (where("age") >= 18) & ((where("city") == "Paris") | ~where("meta")["key"].is_null())
    assert str(condition) == "age >= 18 and (city == 'Paris' or not (meta.key == None))"
    assert repr(condition) == f"<condition {condition}>"


def test_a_query_shows_what_it_asks(people: Table[Row]) -> None:
    shown = repr(people.find(where("age") >= 18).order_by("-age", "name"))
    assert shown == "<query on 'people' where age >= 18 order by -age, name>"


# --- what is refused --------------------------------------------------------------------------------------------------


def errors_of(query: Query[Row]) -> list[tuple[str, str]]:
    """Return the field and the code of each thing that is wrong with a query."""
    with pytest.raises(SchemaValidationError) as caught:
        query.all()
    assert caught.value.table == "people"
    for run in (query.count, query.exists, query.first, query.one, query.explain, query.delete, lambda: list(query)):
        with pytest.raises(SchemaValidationError):
            run()
    return [(error.field, error.code) for error in caught.value.errors]


def test_an_unknown_field_is_refused_naming_the_nearest(people: Table[Row]) -> None:
    assert errors_of(people.find(where("agee") > 1)) == [("agee", "unknown_field")]
    assert errors_of(people.find(agee=1)) == [("agee", "unknown_field")]
    with pytest.raises(SchemaValidationError) as caught:
        people.find(agee=1).all()
    assert "did you mean 'age'?" in caught.value.errors[0].message


def test_an_unknown_field_to_sort_by_is_refused_naming_the_nearest(people: Table[Row]) -> None:
    assert errors_of(people.find().order_by("-nam")) == [("nam", "unknown_field")]
    with pytest.raises(SchemaValidationError) as caught:
        people.find().order_by("nam").all()
    assert "did you mean 'name'?" in caught.value.errors[0].message


def test_every_error_of_a_condition_is_told_at_once(people: Table[Row]) -> None:
    condition = (where("agee") == 1) | ~((where("age") == "20") & where("city").in_([1, "Paris", b""]))
    assert errors_of(people.find(condition)) == [
        ("agee", "unknown_field"),
        ("age", "type"),
        ("city", "type"),
        ("city", "type"),
    ]


@pytest.mark.parametrize("wrong", ["36", 36.0, True, b"36", [36], Decimal(36)], ids=repr)
def test_a_value_of_another_type_is_refused(people: Table[Row], wrong: object) -> None:
    assert errors_of(people.find(where("age") == wrong)) == [("age", "type")]
    assert errors_of(people.find(where("age") < wrong)) == [("age", "type")]
    assert errors_of(people.find(where("age").in_([wrong]))) == [("age", "type")]


@pytest.mark.parametrize(
    "condition",
    [where("age") < None, where("age") <= None, where("age") > None, where("age") >= None],
    ids=str,
)
def test_none_has_no_place_in_an_order(people: Table[Row], condition: Condition) -> None:
    assert errors_of(people.find(condition)) == [("age", "null")]


def test_none_is_no_limit_of_between_and_no_beginning(people: Table[Row]) -> None:
    assert errors_of(people.find(where("age").between(1, None))) == [("age", "null")]
    none: Any = None  # wrong on purpose
    assert errors_of(people.find(where("name").startswith(none))) == [("name", "null")]
    assert errors_of(people.find(where("name").contains(None))) == [("name", "null")]


def test_startswith_and_contains_ask_text_for_text(people: Table[Row]) -> None:
    assert errors_of(people.find(where("age").startswith("3"))) == [("age", "type")]
    assert errors_of(people.find(where("age").contains(3))) == [("age", "type")]
    assert errors_of(people.find(where("name").startswith(b"A"))) == [("name", "type")]
    assert errors_of(people.find(where("name").contains(1))) == [("name", "type")]


def test_text_that_cannot_be_stored_is_refused(people: Table[Row]) -> None:
    for condition in (
        where("name") == "\ud800",
        where("name") < "\ud800",
        where("name").in_(["\ud800"]),
        where("name").startswith("\ud800"),
        where("name").contains("\ud800"),
    ):
        assert errors_of(people.find(condition)) == [("name", "unicode")]


def test_a_field_that_holds_no_map_has_no_keys(people: Table[Row]) -> None:
    assert errors_of(people.find(where("name")["first"] == "Ada")) == [("name.first", "type")]


def test_the_message_of_a_refusal_has_no_value_in_it(people: Table[Row]) -> None:
    with pytest.raises(SchemaValidationError) as caught:
        people.find(where("age") == "secret").all()
    assert "secret" not in str(caught.value)


def test_a_refused_query_changes_nothing(people: Table[Row]) -> None:
    with pytest.raises(SchemaValidationError):
        people.find(where("agee") > 1).delete()
    with pytest.raises(SchemaValidationError):
        people.find(where("agee") > 1).update(age=1)
    assert people.find(age=1).count() == 0
    assert len(people) == len(NAMES)


def test_a_condition_has_no_truth_of_its_own() -> None:
    condition: Any = where("age") > 1  # Any: type checkers refuse all of this, too
    for misuse in (
        lambda: 1 if condition else 2,
        lambda: condition and (where("age") < 9),
        lambda: condition or (where("age") < 9),
        lambda: not condition,
        lambda: 1 < where("age") < 9,  # Python makes an ``and`` of it
        lambda: bool(condition),
    ):
        with pytest.raises(UsageError, match="no truth of its own") as caught:
            misuse()
        assert "&" in str(caught.value.hint)


def test_conditions_are_combined_with_conditions_only() -> None:
    other: Any = True  # wrong on purpose
    with pytest.raises(UsageError):
        _ = (where("age") > 1) & other
    with pytest.raises(UsageError):
        _ = (where("age") > 1) | other


def test_find_refuses_what_is_no_condition(people: Table[Row]) -> None:
    wrong: Any = "age > 1"  # wrong on purpose
    with pytest.raises(UsageError):
        people.find(wrong)
    wrong = where("age")
    with pytest.raises(UsageError):
        people.find(wrong)


@pytest.mark.parametrize("wrong", [-1, 1.0, True, "1"], ids=repr)
def test_limit_and_offset_are_integers_of_at_least_0(people: Table[Row], wrong: Any) -> None:  # Any: wrong on purpose
    with pytest.raises(UsageError):
        people.find().limit(wrong)
    with pytest.raises(UsageError):
        people.find().offset(wrong)


@pytest.mark.parametrize("wrong", ["", "-", 1, None], ids=repr)
def test_order_by_takes_names(people: Table[Row], wrong: Any) -> None:  # Any: wrong on purpose
    with pytest.raises(UsageError):
        people.find().order_by("age", wrong)


def test_a_query_of_a_dropped_table_is_refused(database: MiniDB, people: Table[Row]) -> None:
    query = people.find()
    database.drop_table("people")
    for run in (query.all, query.count, query.delete, query.explain, lambda: list(query)):
        with pytest.raises(TableNotFoundError):
            run()


# --- order, limit, offset ---------------------------------------------------------------------------------------------


def test_order_by_sorts_by_the_first_field_first(people: Table[Row]) -> None:
    ordered = [(row.city, row.age) for row in people.find().order_by("city", "-age")]
    assert ordered == [
        (None, 78),
        ("Alexandria", 45),
        ("Alexandria", None),
        ("Braunschweig", 77),
        ("Erlangen", 53),
        ("London", 36),
        ("Paris", 55),
        ("Paris", 39),
        ("Paris", 20),
    ]


def test_nulls_come_first_and_downwards_last(people: Table[Row]) -> None:
    assert names(people.find().order_by("age"))[0] == "Diophantus"
    assert names(people.find().order_by("-age"))[-1] == "Diophantus"


def test_a_query_is_immutable_and_runs_again_and_again(people: Table[Row]) -> None:
    everyone = people.find()
    oldest = everyone.order_by("-age").limit(1)
    assert names(oldest) == names(oldest) == ["Thales"]
    assert len(everyone.all()) == len(NAMES)
    assert names(oldest.limit(None).offset(7)) == ["Evariste", "Diophantus"]
    assert names(oldest.order_by("name")) == ["Ada"]
    people.insert({"name": "Jeanne", "age": 122})
    assert names(oldest) == ["Jeanne"]


def test_limit_and_offset_cut_a_part_out_of_the_order(people: Table[Row]) -> None:
    by_name = people.find().order_by("name")
    assert names(by_name.limit(2)) == ["Ada", "Blaise"]
    assert names(by_name.offset(7)) == ["Sophie", "Thales"]
    assert names(by_name.offset(1).limit(2)) == names(by_name.limit(2).offset(1)) == ["Blaise", "Carl"]
    assert names(by_name.limit(0)) == names(by_name.offset(9)) == names(by_name.offset(99).limit(1)) == []


def test_count_and_exists_keep_to_limit_and_offset(people: Table[Row]) -> None:
    for query in (people.find(), people.find(where("age") > 0), people.find(where("name") > "A")):
        total = query.count()
        assert query.limit(3).count() == 3
        assert query.offset(2).count() == total - 2
        assert query.offset(total - 1).limit(5).count() == 1
        assert query.offset(total).count() == query.offset(99).limit(2).count() == query.limit(0).count() == 0
        assert query.exists()
        assert query.offset(total - 1).exists()
        assert not query.offset(total).exists()
        assert not query.limit(0).exists()


def test_first_is_the_first_row_or_none(people: Table[Row]) -> None:
    by_age = people.find().order_by("age")
    first = by_age.offset(1).first()
    assert first is not None
    assert first.name == "Evariste"
    assert by_age.offset(9).first() is None
    assert by_age.limit(0).first() is None
    assert people.find(name="Zeno").first() is None


def test_one_is_the_only_row(people: Table[Row]) -> None:
    assert people.find(name="Ada").one().age == 36
    with pytest.raises(RowNotFoundError) as caught:
        people.find(name="Zeno").one()
    assert caught.value.table == "people"
    with pytest.raises(UsageError, match="more than one row"):
        people.find(city="Paris").one()
    assert people.find(city="Paris").order_by("age").limit(1).one().name == "Evariste"


def test_rows_of_a_query_have_ids_and_columns(people: Table[Row]) -> None:
    row = people.find(name="Ada").one()
    assert row == people[row.id] == Row(name="Ada", age=36, city="London")


# --- snapshots and transactions ---------------------------------------------------------------------------------------


def test_iterating_reads_one_snapshot_while_rows_change(numbers: Table[Row]) -> None:
    rows = iter(numbers.find(where("number") >= 0).order_by("number"))
    seen = [next(rows).number]
    numbers.find(where("number") > 1_500).delete()
    numbers.insert({"number": 5})
    numbers.find(number=7).update(number=7_000)
    seen += [row.number for row in rows]
    assert seen == list(range(3_000))
    assert numbers.find().count() == 1_502


def test_iterating_begins_its_snapshot_with_the_first_row(people: Table[Row]) -> None:
    rows = iter(people.find(city="Paris"))
    people.find(name="Blaise").delete()
    assert sorted(row.name for row in rows) == ["Evariste", "Sophie"]


def test_an_iteration_that_is_left_gives_its_connection_back(location: str) -> None:
    with MiniDB(location, durability="none", max_connections=1, pool_timeout_s=0) as database:
        table = database.create_table("t", Schema(number=IntegerField(index=True)))
        table.insert_many({"number": number} for number in range(5_000))
        for row in table.find(where("number") >= 0):
            assert row.number == 0
            break
        assert table.find().count() == 5_000


def test_a_query_in_a_transaction_sees_what_the_transaction_has_written(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction():
        people.insert({"name": "Ada", "age": 12, "city": "Paris"})
        people.find(name="Carl").update(age=12)
        people.find(name="Emmy").delete()
        assert sorted(names(people.find(age=12))) == ["Ada", "Carl"]
        assert names(people.find(where("age") < 37).order_by("-age", "name")) == ["Ada", "Evariste", "Ada", "Carl"]
        assert people.find(name="Emmy").first() is None
        assert people.find(where("age") == 53).count() == 0


def test_a_rollback_undoes_what_queries_changed(database: MiniDB, people: Table[Row]) -> None:
    before = sorted(map(str, (row.columns for row in people)))
    with database.begin_transaction() as transaction:
        assert people.find(city="Paris").update(age=1) == 3
        assert people.find(where("age") > 50).delete() == 3
        transaction.rollback()
    assert sorted(map(str, (row.columns for row in people))) == before


def test_another_thread_does_not_see_what_is_not_committed(database: MiniDB, people: Table[Row]) -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(people.find(city="Paris").count())

    with database.begin_transaction():
        people.find(city="Paris").delete()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(30)
    look()
    assert seen == [3, 0]


def test_a_read_transaction_keeps_to_its_snapshot_and_refuses_to_write(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction(read_only=True):
        writer = threading.Thread(target=people.find(city="Paris").delete)
        writer.start()
        writer.join(30)
        assert people.find(city="Paris").count() == 3
        with pytest.raises(ReadOnlyError):
            people.find(city="Paris").delete()
        with pytest.raises(ReadOnlyError):
            people.find(city="Paris").update(age=1)
    assert people.find(city="Paris").count() == 0


def test_rows_may_be_deleted_and_changed_while_iterating_in_their_transaction(
    database: MiniDB, numbers: Table[Row]
) -> None:
    for condition in (where("number") != -1, where("number") >= 0):  # by a table scan, and by the index
        with database.begin_transaction() as transaction:
            seen: list[int] = []
            for row in numbers.find(condition):
                if not seen:
                    numbers.find(where("number") > 2_000).delete()
                    numbers.find(where("number").between(1_500, 2_000)).update(number=-1)
                seen.append(row.number)
            transaction.rollback()
        assert len(seen) == len(set(seen))
        assert -1 not in seen
        assert set(range(1_500)) <= set(seen) <= set(range(3_000))


def test_an_iteration_ends_with_its_transaction(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction():
        rows = iter(people.find().order_by("age"))
        next(rows)
    with pytest.raises(TransactionClosedError):
        next(rows)


# --- changing and deleting --------------------------------------------------------------------------------------------


def test_delete_deletes_what_is_found_and_returns_how_many(people: Table[Row]) -> None:
    assert people.find(city="Paris").delete() == 3
    assert people.find(city="Paris").delete() == 0
    assert len(people) == len(NAMES) - 3
    assert people.find().delete() == len(NAMES) - 3
    assert len(people) == 0


def test_delete_keeps_to_order_limit_and_offset(people: Table[Row]) -> None:
    assert people.find().order_by("-age").offset(1).limit(2).delete() == 2
    assert sorted({name for name, _, _ in NAMES} - set(names(people.find()))) == ["Carl", "Sophie"]


def test_update_changes_what_is_found_and_returns_how_many(people: Table[Row]) -> None:
    assert people.find(city="Paris").update(city="Lutetia", age=None) == 3
    assert people.find(city="Paris").count() == 0
    assert sorted(names(people.find(city="Lutetia", age=None))) == ["Blaise", "Evariste", "Sophie"]


def test_update_meets_no_row_twice_that_it_moves_in_its_own_index(numbers: Table[Row]) -> None:
    # Each of them moves behind the place where the scan of the index stands.
    assert numbers.find(where("number") >= 2_000).update(number=3_000) == 1_000
    assert numbers.find(number=3_000).count() == 1_000
    assert numbers.find(where("number") < 3_000).order_by("number").update(number=9_000) == 2_000
    assert numbers.find(number=9_000).count() == 2_000


def test_update_meets_no_row_twice_in_a_transaction(database: MiniDB, numbers: Table[Row]) -> None:
    with database.begin_transaction():
        assert numbers.find(where("number") >= 0).order_by("number").update(number=9_000) == 3_000
        assert numbers.find(where("number") == 9_000).update(number=-1) == 3_000
    assert numbers.find(number=-1).count() == 3_000


def test_a_refused_update_changes_no_row(database: MiniDB, people: Table[Row]) -> None:
    database.create_index("people", "name", unique=True)
    with pytest.raises(UniqueViolationError):
        people.find(city="Paris").update(name="Same")
    with pytest.raises(SchemaValidationError):
        people.find(city="Paris").update(age="old")
    with pytest.raises(SchemaValidationError):
        people.find(city="Paris").update(agee=1)
    assert sorted(names(people.find(city="Paris"))) == ["Blaise", "Evariste", "Sophie"]
    assert people.find(name="Same").count() == 0


# --- the log ----------------------------------------------------------------------------------------------------------


def test_a_slow_query_is_logged_with_its_plan(location: str, caplog: pytest.LogCaptureFixture) -> None:
    with MiniDB(location, durability="none", slow_query_ms=0) as database:
        table = database.create_table("people", PEOPLE)
        table.insert_many({"name": name, "age": age} for name, age, _ in NAMES)
        with caplog.at_level(logging.WARNING, "minidb.query"):
            table.find(where("age") > 50).order_by("name").all()
    [record] = caplog.records
    assert (record.name, record.levelname) == ("minidb.query", "WARNING")
    assert (vars(record)["table"], vars(record)["examined"]) == ("people", 4)
    assert vars(record)["duration_ms"] >= 0
    assert "index age of people" in record.getMessage()
    assert "sort by name" in record.getMessage()


def test_a_slow_query_is_logged_without_the_values_that_it_asked_for(
    location: str, caplog: pytest.LogCaptureFixture
) -> None:
    with MiniDB(location, durability="none", slow_query_ms=0) as database:
        table = database.create_table("people", PEOPLE)
        table.insert({"name": "secret", "city": "secret", "age": 4711})
        with caplog.at_level(logging.INFO, "minidb.query"):
            assert len(table.find(where("name") == "secret", where("city") == "secret").all()) == 1
            assert len(table.find(where("age").in_([4711, 4712])).all()) == 1
    assert len(caplog.records) == 2
    assert "secret" not in caplog.text
    assert "471" not in caplog.text


def test_no_query_is_logged_without_the_option_or_below_it(location: str, caplog: pytest.LogCaptureFixture) -> None:
    for limit_ms in (None, 3_600_000):
        with MiniDB(location, durability="none", slow_query_ms=limit_ms) as database:
            table = database.table("people", PEOPLE)
            with caplog.at_level(logging.DEBUG, "minidb.query"):
                table.find(where("age") > 50).all()
    assert not caplog.records
