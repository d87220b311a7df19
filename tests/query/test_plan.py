"""The way to the rows: which index a query takes, how many rows it reads for it, and that no way loses or adds one."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from tests.query.people import NAMES, names

from minidb import Condition, MiniDB, Query, Row, Table, where
from minidb.encoding.rows import RowCodec
from minidb.exceptions import (
    IndexNotFoundError,
)
from minidb.schema import (
    BooleanField,
    IntegerField,
    Schema,
    StringField,
)


def examined(run: Callable[[], object], caplog: pytest.LogCaptureFixture) -> int:
    """Run a query, and return how many rows or entries that took, as a database tells that logs every query."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, "minidb.query"):
        run()
    [record] = caplog.records
    return int(vars(record)["examined"])


# --- which way leads to the rows --------------------------------------------------------------------------------------


def test_a_limit_reads_no_more_rows_than_it_returns(numbers: Table[Row]) -> None:
    for query in (
        numbers.find(),
        numbers.find(where("number") >= 1_500),
        numbers.find(where("number") >= 1_500, where("tens") > 0),
        numbers.find().order_by("number"),
        numbers.find().order_by("-number"),
        numbers.find().order_by("tens", "number"),
        numbers.find(where("tens") >= 100).order_by("-tens", "-number"),
    ):
        explanation = query.limit(5).explain()
        assert (explanation.examined, explanation.returned) == (5, 5)
        explanation = query.limit(70).offset(30).explain()
        assert (explanation.examined, explanation.returned) == (100, 70)


def test_first_one_and_exists_read_few_rows(location: str, caplog: pytest.LogCaptureFixture) -> None:
    with MiniDB(location, durability="none", slow_query_ms=0) as database:
        table = database.create_table("numbers", Schema(number=IntegerField(index=True)))
        table.insert_many({"number": number} for number in range(5_000))
        query = table.find(where("number") >= 7)
        assert examined(query.order_by("number").first, caplog) == 1
        assert examined(query.exists, caplog) == 1
        assert examined(table.find(number=7).one, caplog) == 1


def test_an_index_gives_the_order_forwards_and_backwards(numbers: Table[Row]) -> None:
    forwards, backwards = numbers.find().order_by("number").limit(3), numbers.find().order_by("-number").limit(3)
    assert [row.number for row in forwards] == [0, 1, 2]
    assert [row.number for row in backwards] == [2_999, 2_998, 2_997]
    for query in (forwards, backwards):
        assert "index number of numbers" in query.explain().tree
        assert "sort" not in query.explain().tree
    assert "backwards" in backwards.explain().tree
    assert "backwards" not in forwards.explain().tree


def test_a_compound_index_gives_the_order_behind_what_is_equal(numbers: Table[Row]) -> None:
    downwards = numbers.find(tens=7).order_by("-number")
    assert [row.number for row in downwards] == list(range(79, 69, -1))
    explanation = downwards.explain()
    assert "sort" not in explanation.tree
    assert explanation.examined == 10


def test_orders_that_no_index_gives_are_sorted(numbers: Table[Row]) -> None:
    for order in (("-tens", "number"), ("number", "-tens")):
        query = numbers.find(where("number") < 100).order_by(*order)
        assert "sort by" in query.explain().tree
        assert query.explain().examined == 100
    assert [row.number for row in numbers.find(where("number") < 25).order_by("-tens", "number").limit(6)] == [
        *range(20, 25),
        10,
    ]


def test_an_index_reads_the_rows_of_its_range_only(numbers: Table[Row]) -> None:
    for query, number in (
        (numbers.find(number=5), 1),
        (numbers.find(where("number").in_([5, 500, 9_000])), 2),
        (numbers.find(where("number").between(10, 19)), 10),
        (numbers.find(where("number") < 10), 10),
        (numbers.find(where("number") > 2_989), 10),
        (numbers.find(where("tens") == 3), 10),
        (numbers.find(where("tens") == 3, where("number") >= 35), 5),
        (numbers.find(where("tens").in_([3, 5]), where("number") >= 55), 5),
        (numbers.find((where("number") < 10) | (where("number") >= 2_990)), 20),
        (numbers.find(where("number").in_([])), 0),
        (numbers.find(where("number") > 10, where("number") < 10), 0),
    ):
        explanation = query.explain()
        assert (explanation.examined, explanation.returned) == (number, number)
        assert "table scan" not in explanation.tree


def test_a_query_without_a_fitting_index_scans_the_table(people: Table[Row]) -> None:
    explanation = people.find(name="Ada").explain()
    assert "table scan of people" in explanation.tree
    assert (explanation.examined, explanation.returned) == (len(NAMES), 1)


def test_an_explanation_is_for_people(people: Table[Row]) -> None:
    explanation = people.find(where("age") > 40, where("name") < "E").order_by("name").limit(5).explain()
    assert str(explanation).splitlines() == [
        "limit 5",
        "└─ sort by name",
        "   └─ filter age > 40 and name < 'E'",
        "      └─ index age of people: age > 40",
        "examined 5 rows, returned 1",
    ]


def test_a_union_gives_each_row_once(numbers: Table[Row]) -> None:
    query = numbers.find((where("number") < 30) | (where("tens") == 2) | (where("number").in_([25, 26])))
    assert sorted(row.number for row in query) == list(range(30))
    assert query.count() == 30
    assert query.explain().returned == 30
    assert "union, each row once" in query.explain().tree
    assert [row.number for row in query.order_by("-number").limit(3)] == [29, 28, 27]


def test_one_branch_without_an_index_makes_a_table_scan_of_a_union(people: Table[Row]) -> None:
    query = people.find((where("age") == 20) | (where("name") == "Ada"))
    assert "table scan" in query.explain().tree
    assert sorted(names(query)) == ["Ada", "Evariste"]


def test_require_index_refuses_a_table_scan(people: Table[Row]) -> None:
    for query in (
        people.find(require_index=True),
        people.find(where("name") == "Ada", require_index=True),
        people.find(where("age") != 3, require_index=True),
        people.find((where("age") == 3) | (where("name") == "Ada"), require_index=True).limit(1).order_by("name"),
    ):
        for run in (query.all, query.count, query.first, query.delete, query.explain, lambda query=query: list(query)):
            with pytest.raises(IndexNotFoundError) as caught:
                run()
            assert caught.value.table == "people"
    assert len(people) == len(NAMES)


def test_require_index_admits_what_an_index_leads_to(people: Table[Row]) -> None:
    assert names(people.find(where("age") == 36, require_index=True)) == ["Ada"]
    assert names(people.find(where("age").in_([]), require_index=True)) == []
    assert people.find(where("city").is_null(), require_index=True).count() == 1
    assert people.find((where("age") > 60) | (where("city") == "London"), require_index=True).count() == 3


def test_a_new_index_is_used_at_once_and_a_dropped_one_no_more(database: MiniDB, people: Table[Row]) -> None:
    query = people.find(name="Ada")
    database.create_index("people", "name", unique=True)
    assert "index name of people: name == 'Ada'" in query.explain().tree
    assert query.one().age == 36
    database.drop_index("people", "name")
    assert "table scan" in query.explain().tree
    assert query.one().age == 36


def test_a_condition_of_more_values_than_ranges_are_worth_finds_its_rows(numbers: Table[Row]) -> None:
    wanted = range(0, 3_000, 2)
    query = numbers.find(where("number").in_(wanted))
    assert sorted(row.number for row in query) == list(wanted)
    assert query.count() == len(wanted)


def test_an_index_finds_no_null_by_a_range(people: Table[Row]) -> None:
    assert "Diophantus" not in names(people.find(where("age") < 100))
    assert "Diophantus" not in names(people.find(where("age") > -(2**70)))
    assert people.find(where("age") < 100).count() == len(NAMES) - 1


def test_a_unique_index_finds_every_null(database: MiniDB) -> None:
    table = database.create_table("unique", Schema(code=StringField(unique=True), place=IntegerField()))
    table.insert_many({"code": code, "place": place} for place, code in enumerate([None, "b", None, "a", None]))
    assert sorted(row.place for row in table.find(code=None)) == [0, 2, 4]
    assert table.find(code=None).count() == 3
    assert table.find(where("code").in_([None, "a"])).count() == 4
    assert [row.code for row in table.find().order_by("-code").limit(4)] == ["b", "a", None, None]


# --- counting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (where("number").between(10, 19), 10),
        (where("number") == 5, 1),
        (where("tens").in_([1, 2]), 20),
        ((where("tens") == 1) & (where("number") > 12), 7),
        (where("number") < 0, 0),
    ],
    ids=str,
)
def test_count_reads_no_row_where_an_index_knows(
    numbers: Table[Row], monkeypatch: pytest.MonkeyPatch, condition: Condition, expected: int
) -> None:
    assert numbers.find(condition).count() == expected

    def refuse(*_: object) -> None:
        raise AssertionError("a row was read")

    monkeypatch.setattr(RowCodec, "decode_records", refuse)
    assert numbers.find(condition).count() == expected
    assert numbers.find(condition).exists() == bool(expected)
    assert numbers.find().count() == 3_000
    with pytest.raises(AssertionError, match="a row was read"):
        numbers.find(where("number") != 3).count()


def test_a_limit_of_filtered_rows_goes_on_reading_until_it_is_reached(numbers: Table[Row]) -> None:
    query = numbers.find(where("number") < 2_900, where("tens") != 0).order_by("number").limit(10)
    assert [row.number for row in query] == list(range(10, 20))
    assert query.explain().examined >= 20


def test_count_tells_how_many_entries_it_examined(location: str, caplog: pytest.LogCaptureFixture) -> None:
    with MiniDB(location, durability="none", slow_query_ms=0) as database:
        table = database.create_table("numbers", Schema(number=IntegerField(index=True), odd=BooleanField()))
        table.insert_many({"number": number, "odd": number % 2 == 1} for number in range(100))
        assert examined(table.find(where("number") < 30).count, caplog) == 30
        assert examined(table.find(where("number") < 30).limit(5).count, caplog) == 5
        assert examined(table.find(where("number") < 30, odd=True).count, caplog) == 30
        assert examined(table.find(odd=True).count, caplog) == 100
        assert examined(table.find().count, caplog) == 0  # the engine knows


# --- long values ------------------------------------------------------------------------------------------------------

LONG = "x" * 450
LONG_VALUES = ["", LONG[:-1], LONG, LONG + "\0", LONG + "a", LONG + "b", LONG + "b\U0001f600", "y"]
"""In order; most begin alike for longer than an index tells them apart."""


@pytest.fixture(params=["text", "text and number", "unique"])
def long_values(request: pytest.FixtureRequest, database: MiniDB) -> Table[Row]:
    """A table of texts that an index must cut."""
    table = database.create_table("long", Schema(text=StringField(), number=IntegerField(required=True)))
    fields = ["text", "number"] if request.param == "text and number" else ["text"]
    database.create_index("long", *fields, unique=request.param == "unique")
    order = [5, 2, 7, 0, 4, 1, 6, 3]
    table.insert_many({"text": LONG_VALUES[number], "number": number} for number in order)
    table.insert({"text": None, "number": -1})
    return table


def places(query: Query[Row]) -> list[int]:
    """Return the places of the texts that a query finds, which are in the order of the texts."""
    found = [row.number for row in query]
    assert query.count() == len(found)
    return found


def test_equality_tells_long_values_apart(long_values: Table[Row]) -> None:
    for place, text in enumerate(LONG_VALUES):
        assert places(long_values.find(text=text)) == [place]
    assert places(long_values.find(text=LONG + "c")) == []


def test_one_of_several_long_values_that_begin_alike_comes_once(long_values: Table[Row]) -> None:
    query = long_values.find(where("text").in_([LONG, LONG + "a", LONG + "b", "y", LONG + "z"]))
    assert sorted(places(query)) == [2, 4, 5, 7]
    assert "table scan" not in query.explain().tree


def test_ranges_tell_long_values_apart(long_values: Table[Row]) -> None:
    everything = list(range(len(LONG_VALUES)))
    for place, text in enumerate(LONG_VALUES):
        assert sorted(places(long_values.find(where("text") < text))) == everything[:place]
        assert sorted(places(long_values.find(where("text") <= text))) == everything[: place + 1]
        assert sorted(places(long_values.find(where("text") > text))) == everything[place + 1 :]
        assert sorted(places(long_values.find(where("text") >= text))) == everything[place:]
    assert sorted(places(long_values.find(where("text").between(LONG + "\0", LONG + "b")))) == [3, 4, 5]


def test_prefixes_tell_long_values_apart(long_values: Table[Row]) -> None:
    assert sorted(places(long_values.find(where("text").startswith("x")))) == [1, 2, 3, 4, 5, 6]
    assert sorted(places(long_values.find(where("text").startswith(LONG)))) == [2, 3, 4, 5, 6]
    assert sorted(places(long_values.find(where("text").startswith(LONG + "b")))) == [5, 6]


def test_an_index_that_cuts_long_values_gives_their_order_all_the_same(long_values: Table[Row]) -> None:
    upwards = list(range(-1, len(LONG_VALUES)))
    for count in (None, 1, 3, 6, 50):
        assert places(long_values.find().order_by("text").limit(count)) == upwards[:count]
        assert places(long_values.find().order_by("-text").limit(count)) == upwards[::-1][:count]
        assert places(long_values.find(where("text") > "").order_by("text").limit(count)) == upwards[2:][:count]
        assert places(long_values.find(where("text") > "").order_by("-text").limit(count)) == upwards[:1:-1][:count]


# --- primary keys -----------------------------------------------------------------------------------------------------

TOWNS = [("", 1), ("A", -1), ("A", 1), ("A", 300), ("B", 0), ("B\0", 7), ("Ä", 1)]
"""In the order of their keys."""


@pytest.fixture
def towns(database: MiniDB) -> Table[Row]:
    """A table with a primary key of two fields."""
    schema = Schema(
        country=StringField(primary_key=True), code=IntegerField(primary_key=True), name=StringField(required=True)
    )
    table = database.create_table("towns", schema)
    table.insert_many({"country": country, "code": code, "name": f"{country}{code}"} for country, code in TOWNS[::-1])
    return table


def test_the_primary_key_leads_to_rows(towns: Table[Row]) -> None:
    for condition, expected, examined in (
        (where("country") == "A", TOWNS[1:4], 3),
        ((where("country") == "A") & (where("code") >= 1), TOWNS[2:4], 2),
        ((where("country") == "A") & (where("code") == 1), TOWNS[2:3], 1),
        ((where("country").in_(["A", "B"])) & (where("code") <= 0), [TOWNS[1], TOWNS[4]], 2),
        (where("country") > "A", TOWNS[4:], 3),
        (where("country").startswith("B"), TOWNS[4:6], 2),
        ((where("country") == "") | (where("country") == "Ä"), [TOWNS[0], TOWNS[6]], 2),
    ):
        query = towns.find(condition, require_index=True)
        assert sorted(row.id for row in query) == expected
        assert query.count() == len(expected)
        explanation = query.explain()
        assert "primary key of towns" in explanation.tree
        assert explanation.examined == examined


def test_the_primary_key_gives_the_order(towns: Table[Row]) -> None:
    upwards, downwards = towns.find().order_by("country", "code"), towns.find().order_by("-country", "-code")
    assert [row.id for row in upwards.limit(50)] == TOWNS
    assert [row.id for row in downwards.limit(50)] == TOWNS[::-1]
    assert [row.id for row in towns.find(country="A").order_by("-code")] == TOWNS[3:0:-1]
    for query in (upwards, downwards, towns.find(country="A").order_by("-code")):
        assert "sort" not in query.explain().tree


def test_the_second_field_of_a_primary_key_leads_nowhere(towns: Table[Row]) -> None:
    query = towns.find(code=1)
    assert sorted(row.id for row in query) == [("", 1), ("A", 1), ("Ä", 1)]
    assert "table scan" in query.explain().tree


def test_rows_are_deleted_and_updated_by_their_primary_key(towns: Table[Row]) -> None:
    assert towns.find(country="A").update(name="new") == 3
    assert towns.find(where("country") == "A", where("code") > 0).delete() == 2
    assert [(row.id, row.name) for row in towns.find(country="A")] == [(("A", -1), "new")]
