"""Conditions on values of every type: in typed fields, in maps and lists, and in tables without a schema."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from minidb import Condition, MiniDB, Query, Row, Table, where
from minidb.exceptions import (
    SchemaValidationError,
)
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

# --- fields of every type ---------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)

TYPES: dict[str, tuple[Callable[..., Any], list[Any]]] = {  # Any: fields of every type, and their values in order
    "enum": (lambda **options: EnumField(Colour, **options), [Colour.BLUE, Colour.GREEN, Colour.RED]),
    "enum of integers": (lambda **options: EnumField(Level, **options), [Level.LOW, Level.HIGH]),
    "choices": (lambda **options: EnumField(["a", "b", "c"], **options), ["a", "b", "c"]),
    "decimal": (DecimalField, [Decimal("-1E+30"), Decimal("-0.1"), Decimal(0), Decimal("1.0"), Decimal("1.01")]),
    "uuid": (UUIDField, [uuid.UUID(int=0), uuid.UUID(int=1), uuid.UUID(int=2**127)]),
    "date": (DateField, [date.min, date(1969, 12, 31), date(1970, 1, 1), date.max]),
    "time": (TimeField, [time.min, time(0, 0, 0, 1), time(12), time.max]),
    "datetime": (lambda **options: DateTimeField(timezone=False, **options), [datetime.min, datetime.max]),
    "zoned datetime": (
        lambda **options: DateTimeField(timezone=True, **options),
        [NOON - timedelta(microseconds=1), NOON.astimezone(timezone(timedelta(hours=9))), NOON + timedelta(hours=1)],
    ),
    "float": (FloatField, [-1.7e308, -5e-324, 0.0, 5e-324, 0.1, 1.7e308]),
    "integer": (IntegerField, [-(2**80), -(2**63), -1, 0, 1, 2**63 - 1, 2**63, 2**80]),
    "boolean": (BooleanField, [False, True]),
    "bytes": (BytesField, [b"", b"\0", b"\0\0", b"\0\xff", b"a", b"\xff", b"\xff\xff"]),
    "string": (StringField, ["", "\0", "\0a", "a", "a\0", "aa", "é", "\uffff", "\U0001f600"]),
}


@pytest.mark.parametrize("has_index", [True, False], ids=["index", "no index"])
@pytest.mark.parametrize("kind", TYPES)
def test_a_field_of_any_type_is_compared_and_sorted(database: MiniDB, kind: str, has_index: bool) -> None:
    make_field, values = TYPES[kind]
    table = database.create_table("t", Schema(value=make_field(index=has_index)))
    table.insert_many({"value": value} for value in [*values[::-1], None])

    def found(*conditions: Condition) -> list[Any]:  # Any: as the field has them
        rows = table.find(*conditions, require_index=has_index).order_by("value")
        assert table.find(*conditions).count() == len(rows.all())
        return [row.value for row in rows]

    for place, value in enumerate(values):
        assert found(where("value") == value) == found(where("value").in_([value])) == [value]
        assert found(where("value") < value) == values[:place]
        assert found(where("value") <= value) == values[: place + 1]
        assert found(where("value") > value) == values[place + 1 :]
        assert found(where("value") >= value) == values[place:]
        assert found(where("value").between(value, values[-1])) == values[place:]
        without = [None, *values[:place], *values[place + 1 :]]
        assert [row.value for row in table.find(where("value") != value).order_by("value")] == without
    assert [row.value for row in table.find().order_by("value").limit(50)] == [None, *values]
    assert [row.value for row in table.find().order_by("-value").limit(50)] == [*values[::-1], None]


def test_zero_has_no_sign_and_equal_decimals_are_one(database: MiniDB) -> None:
    table = database.create_table("t", Schema(amount=DecimalField(index=True), ratio=FloatField(index=True)))
    table.insert({"amount": Decimal("1.00"), "ratio": -0.0})
    assert table.find(amount=Decimal("1.0")).count() == table.find(where("amount") <= Decimal("1E0")).count() == 1
    assert (
        table.find(ratio=0.0).count() == table.find(where("ratio") >= 0.0).count() == table.find(ratio=0).count() == 1
    )
    assert table.find(where("ratio") < 0.0).count() == 0


@pytest.mark.parametrize("has_index", [True, False], ids=["index", "no index"])
def test_nan_is_equal_to_nothing_and_in_no_range(database: MiniDB, has_index: bool) -> None:
    table = database.create_table("t", Schema(ratio=FloatField(allow_nan=True, index=has_index)))
    nan, infinity = float("nan"), float("inf")
    table.insert_many({"ratio": ratio} for ratio in (nan, infinity, 1.0, -infinity, None))
    assert table.find(where("ratio") >= -infinity).count() == 3
    assert table.find(where("ratio") <= infinity).count() == 3
    assert table.find(where("ratio") > 0.0).count() == 2
    assert table.find(where("ratio") == nan).count() == 0
    assert table.find(where("ratio") != nan).count() == 5
    assert table.find(where("ratio") != 1.0).count() == 4


def test_an_enum_is_asked_for_by_member_or_value(database: MiniDB) -> None:
    table = database.create_table("t", Schema(colour=EnumField(Colour, index=True)))
    table.insert_many({"colour": colour} for colour in Colour)
    assert table.find(colour=Colour.RED).one().colour is Colour.RED
    assert [row.colour for row in table.find().order_by("colour")] == [Colour.BLUE, Colour.GREEN, Colour.RED]
    with pytest.raises(SchemaValidationError):
        table.find(colour="purple").all()


# --- maps and lists ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=["dict", "json", "no schema"])
def maps(request: pytest.FixtureRequest, database: MiniDB) -> Table[Row]:
    """A table with maps in a column."""
    schemas = {"dict": Schema(meta=DictField()), "json": Schema(meta=JSONField()), "no schema": None}
    table = database.create_table("maps", schemas[request.param])
    for meta in (
        {"size": 1, "tags": ["a", "b"], "of": {"name": "one"}},
        {"size": 2.5, "tags": ["b"], "of": {"name": "two", "deep": {"er": True}}},
        {"size": "large", "tags": [], "of": "text"},
        {"size": None},
        {},
        None,
    ):
        table.insert({"meta": meta})
    return table


def sizes(query: Query[Row]) -> list[object]:
    return [None if row.meta is None else row.meta.get("size") for row in query]


def test_a_path_leads_into_maps(maps: Table[Row]) -> None:
    meta = where("meta")
    assert sizes(maps.find(meta["size"] == 1)) == [1]
    assert sizes(maps.find(meta["of"]["name"] == "two")) == [2.5]
    assert sizes(maps.find(meta["of"]["deep"]["er"] == True)) == [2.5]  # noqa: E712  # builds a condition
    assert sizes(maps.find(meta["of"]["name"].startswith("o"))) == [1]
    assert sizes(maps.find(meta["size"].startswith("l"))) == ["large"]
    assert sizes(maps.find(meta["tags"].contains("b"))) == [1, 2.5]
    assert sizes(maps.find(meta.contains("of"))) == [1, 2.5, "large"]
    assert sizes(maps.find(meta["size"].in_([1, "large"]))) == [1, "large"]


def test_a_path_that_leads_nowhere_is_null(maps: Table[Row]) -> None:
    assert maps.find(where("meta")["size"].is_null()).count() == 3
    assert maps.find(where("meta")["of"]["name"].is_null()).count() == 4
    assert maps.find(where("meta")["nothing"]["at"]["all"] != None).count() == 0  # noqa: E711  # builds a condition
    assert maps.find(where("meta").is_null()).count() == 1


def test_values_of_several_types_at_a_path_are_compared_with_their_own(maps: Table[Row]) -> None:
    assert sizes(maps.find(where("meta")["size"] > 0)) == [1, 2.5]
    assert sizes(maps.find(where("meta")["size"] > 1.5)) == [2.5]
    assert sizes(maps.find(where("meta")["size"] > "")) == ["large"]
    assert sizes(maps.find(~(where("meta")["size"] > 0))) == ["large", None, None, None]


def test_contains_asks_a_list_for_an_element(database: MiniDB) -> None:
    table = database.create_table("t", Schema(tags=ListField(StringField()), colours=ListField(EnumField(Colour))))
    table.insert({"tags": ["new", "old"], "colours": [Colour.RED]})
    table.insert({"tags": ["newer"], "colours": []})
    table.insert({"tags": None, "colours": None})
    assert table.find(where("tags").contains("new")).one().tags == ["new", "old"]
    assert table.find(where("colours").contains(Colour.RED)).one().colours == [Colour.RED]
    assert table.find(~where("tags").contains("new")).count() == 2
    with pytest.raises(SchemaValidationError):
        table.find(where("tags").contains(1)).all()


# --- tables without a schema ------------------------------------------------------------------------------------------

MIXED: list[Any] = [  # Any: values of every type, in the order of keys
    None,
    False,
    True,
    -(2**70),
    -1.5,
    0,
    1,
    1.5,
    2**53,
    2**53 + 1,
    1e300,
    "",
    "a",
    "b",
    b"",
    b"a",
    date(2024, 1, 1),
    datetime(2024, 1, 1),
    datetime(2024, 1, 1, tzinfo=UTC),
    time(12),
    Decimal("1.5"),
    uuid.UUID(int=7),
]


@pytest.fixture(params=["index", "no index"])
def mixed(request: pytest.FixtureRequest, database: MiniDB) -> Table[Row]:
    """A table without a schema, of a column with values of every type."""
    table = database.create_table("mixed")
    if request.param == "index":
        database.create_index("mixed", "value")
    table.insert_many({"value": value, "place": place} for place, value in reversed(list(enumerate(MIXED))))
    return table


def test_values_of_all_types_have_one_order(mixed: Table[Row]) -> None:
    upwards = list(range(len(MIXED)))
    assert [row.place for row in mixed.find().order_by("value").limit(50)] == upwards
    assert [row.place for row in mixed.find().order_by("-value").limit(50)] == upwards[::-1]


def test_a_value_is_compared_with_values_of_its_own_type_only(mixed: Table[Row]) -> None:
    def found(condition: Condition) -> list[Any]:  # Any: as above
        assert mixed.find(condition).count() == len(mixed.find(condition).all())
        return [row.value for row in mixed.find(condition).order_by("value")]

    assert found(where("value") >= 1) == [1, 1.5, 2**53, 2**53 + 1, 1e300]
    assert found(where("value") < 1.0) == [-(2**70), -1.5, 0]
    assert found(where("value") > 2**53) == [2**53 + 1, 1e300]
    assert found(where("value") >= "a") == ["a", "b"]
    assert found(where("value") <= b"a") == [b"", b"a"]
    assert found(where("value") >= False) == [False, True]
    assert found(where("value") < datetime(2025, 1, 1)) == [datetime(2024, 1, 1)]
    assert found(where("value") > Decimal(1)) == [Decimal("1.5")]
    assert found(where("value").startswith("")) == ["", "a", "b"]
    assert found(where("value").contains(b"a")) == [b"a"]


def test_numbers_that_are_equal_are_one_value_and_a_truth_is_no_number(mixed: Table[Row]) -> None:
    assert mixed.find(value=1.0).one().value == 1
    assert mixed.find(value=1).one().value is not True
    assert mixed.find(value=True).one().value is True
    assert mixed.find(where("value").in_([0.0, "a", None])).count() == 3
    assert mixed.find(where("value") != 1.0).count() == len(MIXED) - 1


def test_a_column_that_a_row_does_not_have_is_null(database: MiniDB) -> None:
    table = database.create_table("loose")
    database.create_index("loose", "size")
    table.insert_many([{"size": 1}, {"name": "x"}, {"size": None}, {}])
    assert table.find(size=None).count() == 3
    assert table.find(where("name") == "x").one().columns == {"name": "x"}
    assert table.find(where("nowhere").is_null()).count() == 4
    assert [row.columns.get("size") for row in table.find().order_by("-size").limit(2)] == [1, None]
