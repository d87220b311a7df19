"""The language of filters: what it says in the words of ``where``, and where it goes wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from minidb import Condition, where
from minidb.cli.filter_language import FilterError, parse_filter
from minidb.schema import (
    BooleanField,
    DateField,
    DateTimeField,
    DecimalField,
    DictField,
    EnumField,
    FloatField,
    IntegerField,
    ListField,
    Schema,
    StringField,
)

SCHEMA = Schema(
    {
        "name": StringField(),
        "first name": StringField(),
        "age": IntegerField(),
        "score": FloatField(),
        "price": DecimalField(),
        "day": DateField(),
        "at": DateTimeField(timezone=True),
        "is_new": BooleanField(),
        "tags": ListField(StringField()),
        "days": ListField(DateField()),
        "address": DictField(),
        "level": EnumField([1, 2]),
    }
)

MEANINGS: dict[str, Condition] = {
    "age = 18": where("age") == 18,
    "age == 18": where("age") == 18,
    "age != -18": where("age") != -18,
    "age <> 18": where("age") != 18,
    "age<18": where("age") < 18,
    "age <= 18": where("age") <= 18,
    "age > 18": where("age") > 18,
    "age>=18": where("age") >= 18,
    "score > 1.5e3": where("score") > 1500.0,
    "score > .5": where("score") > 0.5,
    "price = 1.50": where("price") == Decimal("1.50"),
    "price = '1.50'": where("price") == Decimal("1.50"),
    "name = 'it''s'": where("name") == "it's",
    r"name = 'it\'s'": where("name") == "it's",
    'name = "Paris"': where("name") == "Paris",
    "name = ''": where("name") == "",
    "name = '日本'": where("name") == "日本",
    "`first name` startswith 'A'": where("first name").startswith("A"),
    "is_new = true and is_new != FALSE": (where("is_new") == True) & (where("is_new") != False),  # noqa: E712  # conditions
    "day >= '2024-02-29'": where("day") >= date(2024, 2, 29),
    "at < '2024-01-01T00:00:00Z'": where("at") < datetime(2024, 1, 1, tzinfo=UTC),
    "day between '2024-01-01' and '2024-01-31' and age = 1": where("day").between(date(2024, 1, 1), date(2024, 1, 31))
    & (where("age") == 1),
    "age in (1, 2, 3)": where("age").in_([1, 2, 3]),
    "age in [1]": where("age").in_([1]),
    "age not in (1)": ~where("age").in_([1]),
    "age not between 1 and 2": ~where("age").between(1, 2),
    "name is null": where("name").is_null(),
    "name is not null": ~where("name").is_null(),
    "name = null": where("name").is_null(),
    "name.startswith('A')": where("name").startswith("A"),
    "name contains 'A'": where("name").contains("A"),
    "tags contains 'red'": where("tags").contains("red"),
    "days contains '2024-01-01'": where("days").contains(date(2024, 1, 1)),
    "address.city = 'Paris'": where("address")["city"] == "Paris",
    "address.`a b`.c startswith 'x'": where("address")["a b"]["c"].startswith("x"),
    "level = 1": where("level") == 1,
    "age = 1 or age = 2 and name = 'x'": (where("age") == 1) | ((where("age") == 2) & (where("name") == "x")),
    "(age = 1 or age = 2) and name = 'x'": ((where("age") == 1) | (where("age") == 2)) & (where("name") == "x"),
    "NOT age = 1 AND name = 'x'": ~(where("age") == 1) & (where("name") == "x"),
    "not (age = 1 and name = 'x')": ~((where("age") == 1) & (where("name") == "x")),
}


@pytest.mark.parametrize("text", MEANINGS)
def test_a_filter_means_a_condition(text: str) -> None:
    assert str(parse_filter(text, SCHEMA)) == str(MEANINGS[text])


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "Here the name of a field should stand, not the end"),
        ("age", 4, "operator such as"),
        ("age >=", 7, "Here a value should stand, not the end"),
        ("age >= 18 and", 14, "the name of a field"),
        ("agee = 1", 1, "There is no field 'agee'"),
        ("age = 1 nmae = 2", 9, "'and', 'or' or the end"),
        ("name = Paris", 8, "A text stands in quotes: 'Paris'"),
        ("name = 'Paris", 8, "The text has no end"),
        ("age = 1 ; drop", 9, "This sign means nothing"),
        ("(age = 1", 9, "')'"),
        ("age in 1", 8, "values in parentheses"),
        ("age in (1, 2", 13, "')'"),
        ("age between 1 2", 15, "'and'"),
        ("age is 3", 8, "'null' or 'not null'"),
        ("day = 'tomorrow'", 7, "This text is not a date"),
        ("address. = 1", 10, "the name of a field"),
        ("age = 12abc", 7, "This sign means nothing"),
    ],
)
def test_a_wrong_filter_is_told_with_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text, SCHEMA)
    assert message in caught.value.message
    assert (caught.value.column, caught.value.filter) == (column, text)


def test_without_a_schema_every_name_and_value_is_taken_as_it_stands() -> None:
    condition = (where("anything")["at all"] == "2024-01-01") | (where("x") == 1)
    assert str(parse_filter("anything.`at all` = '2024-01-01' or x = 1", None)) == str(condition)
