"""Queries of one shape are planned once: what is kept must fit every value, or not be taken."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from tests.query.people import names

from minidb import MiniDB, Row, Table, where
from minidb.exceptions import SchemaValidationError
from minidb.schema import FloatField, IntegerField, Schema, StringField

LONG = "x" * 400


@pytest.fixture
def things(database: MiniDB) -> Table[Row]:
    """A table with an index of each kind that a recipe may lead to."""
    table = database.create_table(
        "things",
        Schema(
            name=StringField(required=True),
            text=StringField(index=True),
            number=IntegerField(index=True),
            weight=FloatField(index=True, allow_nan=True),
        ),
    )
    database.create_index("things", "number", "text")
    table.insert_many(
        [
            Row(name="a", text="one", number=1, weight=1.0),
            Row(name="b", text=LONG + "b", number=2, weight=inf),
            Row(name="c", text=LONG + "c", number=2, weight=nan),
            Row(name="d"),
            Row(name="e", text="", number=-1, weight=-0.0),
        ]
    )
    return table


CASES: list[tuple[str, list[tuple[Any, list[str]]]]] = [  # Any: of the column's type
    ("text", [("one", ["a"]), (LONG + "b", ["b"]), (LONG + "c", ["c"]), (LONG, []), (None, ["d"]), ("", ["e"])]),
    ("number", [(1, ["a"]), (2, ["b", "c"]), (None, ["d"]), (10**400, []), (-1, ["e"])]),
    ("weight", [(1.0, ["a"]), (1, ["a"]), (inf, ["b"]), (nan, []), (None, ["d"]), (0, ["e"])]),
]


@pytest.mark.parametrize(("column", "questions"), CASES)
def test_each_value_of_an_equality_finds_its_rows(
    things: Table[Row], column: str, questions: list[tuple[Any, list[str]]]
) -> None:
    for _ in range(2):  # the first time the recipe is made, by whichever value comes first
        for value, expected in questions:
            assert names(things.find(**{column: value}).order_by("name").all()) == expected
            assert things.find(**{column: value}).count() == len(expected)


def test_each_value_of_a_range_finds_its_rows(things: Table[Row]) -> None:
    for low, expected in [(1, ["a", "b", "c"]), (2, ["b", "c"]), (-5, ["a", "b", "c", "e"]), (10**400, [])] * 2:
        assert sorted(names(things.find(where("number") >= low))) == expected
    for low, high, expected in [(1, 2, ["a", "b", "c"]), (2, 1, []), (-1, 1, ["a", "e"])] * 2:
        found = things.find(where("number").between(low, high)).order_by("number")
        assert sorted(names(found)) == expected
    for text, expected in [
        ("", ["a", "b", "c", "e"]),
        ("one", ["a", "b", "c"]),
        (LONG, ["b", "c"]),
        (LONG + "c", ["c"]),
    ] * 2:
        assert sorted(names(things.find(where("text") >= text))) == expected
    for weight, expected in [(0.0, ["a", "b"]), (nan, []), (inf, [])] * 2:
        assert sorted(names(things.find(where("weight") > weight))) == expected


def test_a_value_of_another_type_is_refused_the_second_time_too(things: Table[Row]) -> None:
    things.find(text="x").all()
    texts: list[object] = [1, True, b"x", ["x"]]
    for wrong in texts:
        with pytest.raises(SchemaValidationError):
            things.find(text=wrong).all()
    things.find(where("number") > 1).all()
    numbers: list[object] = [True, "1", 1.5, None]
    for wrong in numbers:
        with pytest.raises(SchemaValidationError):
            things.find(where("number") > wrong).all()
    with pytest.raises(SchemaValidationError):
        things.find(text="x").order_by("colour").all()


def test_text_that_is_no_unicode_finds_what_it_found_before(things: Table[Row]) -> None:
    outcomes = []
    for value in ("\ud800", "one", "\ud800"):
        try:
            outcomes.append(str(names(things.find(text=value).all())))
        except SchemaValidationError as error:
            outcomes.append(error.errors[0].code)
    assert outcomes[0] == outcomes[2]
    assert outcomes[1] == "['a']"


def test_an_index_that_is_made_or_dropped_is_taken_or_left_at_once(database: MiniDB, things: Table[Row]) -> None:
    for _ in range(2):
        assert "table scan" in things.find(name="a").explain().tree
    database.create_index("things", "name")
    for _ in range(2):
        assert things.find(name="a").explain().tree.startswith("index name")
    database.drop_index("things", "name")
    database.create_index("things", "name", name="some", where=where("number") == 1)
    for number, way in [(1, "index some"), (2, "index number of"), (1, "index some")]:
        assert way in things.find(name="a", number=number).explain().tree
        assert names(things.find(name="a", number=number)) == ["a"] * (number == 1)
    database.drop_index("things", "some")


def test_the_longest_numbers_are_in_order_behind_nulls_too(database: MiniDB) -> None:
    for name, required in (("with_nulls", False), ("without", True)):
        table = database.create_table(name, Schema(number=IntegerField(required=required, index=True)))
        numbers: list[int | None] = [-(10**400) - step for step in range(40)]
        table.insert_many({"number": number} for number in [*numbers, 1, 2, 3, *([] if required else [None, None])])
        for order in ("number", "-number"):
            found = [row.number for row in table.find().order_by(order)]
            expected = sorted([number for number in found if number is not None], reverse=order == "-number")
            assert [number for number in found if number is not None] == expected
            assert found[:: len(found) - 1].count(None) == (not required)
