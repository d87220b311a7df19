"""Figures of rows: exact where they can be, of every type, from an index where there is one; and what is refused."""

from __future__ import annotations

import datetime as dt
import enum
import logging
import math
import uuid
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.encoding.test_values import ClockThatGoesBack
from tests.query.test_plan import examined

from minidb import MiniDB, Query, Row, Table, where
from minidb.exceptions import IndexNotFoundError, SchemaValidationError, UsageError
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
from minidb.schema.field import Field


class Size(enum.Enum):
    SMALL = "small"
    TALL = "tall"


def table_of(database: MiniDB, field: Field[Any] | None, values: list[Any]) -> Table[Row]:
    """Return a table of rows that have these values in ``x``."""
    table = database.create_table("values", None if field is None else Schema(x=field))
    table.insert_many({"x": value} for value in values)
    return table


# --- exactness --------------------------------------------------------------------------------------------------------

SUMS: list[tuple[Field[Any] | None, list[Any], Any, Any]] = [
    (IntegerField(), [2**63, 2**63, -1], 2**64 - 1, (2**64 - 1) / 3),
    (IntegerField(), [10**400, -(10**400), 1], 1, 1 / 3),
    (FloatField(), [0.1] * 10, 1.0, 0.1),
    (FloatField(), [1e100, 1.0, -1e100], 1.0, 1.0 / 3),
    (FloatField(), [1.0, 1e100, 1.0, -1e100], 2.0, 0.5),
    (FloatField(), [-0.0], 0.0, 0.0),
    (FloatField(), [0.1] * 10 + [None], 1.0, 0.1),
    (FloatField(allow_nan=True), [math.inf, 1.0], math.inf, math.inf),
    (DecimalField(), [Decimal("0.1")] * 10, Decimal(1), Decimal("0.1")),
    (DecimalField(), [Decimal(1), Decimal(0), Decimal(0)], Decimal(1), Decimal(f"0.{'3' * 29}")),
    (None, [1, 0.5, None], 1.5, 0.75),
    (None, [1, Decimal("0.5")], Decimal("1.5"), Decimal("0.75")),
    (None, [Decimal("Infinity"), 1], Decimal("Infinity"), Decimal("Infinity")),
]


@pytest.mark.parametrize(("field", "values", "total", "mean"), SUMS)
def test_sums_and_means_are_as_exact_as_their_type(
    database: MiniDB, field: Field[Any] | None, values: list[Any], total: Any, mean: Any
) -> None:
    found = table_of(database, field, values).find()
    assert (found.sum("x"), found.avg("x")) == (total, mean)
    assert type(found.sum("x")) is type(total)
    assert type(found.avg("x")) is type(mean)


def test_decimals_of_many_digits_lose_none(database: MiniDB) -> None:
    table = table_of(database, DecimalField(), [Decimal(f"{'7' * 300}.{'3' * 300}"), Decimal("1E-400")])
    assert table.find().sum("x") == Decimal(f"{'7' * 300}.{'3' * 300}{'0' * 99}1")
    table.insert({"x": Decimal(f"-{'7' * 300}.{'3' * 300}")})
    assert table.find().sum("x") == Decimal("1E-400")


def test_decimals_beyond_what_a_default_context_holds_are_summed_up(database: MiniDB) -> None:
    table = table_of(database, DecimalField(), [Decimal("1E+1000005"), Decimal("1E+1000005")])
    assert table.find().sum("x") == Decimal("2E+1000005")
    assert table.find().avg("x") == Decimal("1E+1000005")
    assert str(table.find(where("x") > 0).limit(1).sum("x")) == "1E+1000005"  # no digit that nobody wrote


def test_infinities_of_both_signs_have_no_sum(database: MiniDB) -> None:
    table = database.create_table("infinite")
    table.insert_many([{"f": math.inf, "d": Decimal("Infinity")}, {"f": -math.inf, "d": Decimal("-Infinity")}])
    for field in ("f", "d"):
        for figure in (table.find().sum(field), table.find().avg(field)):
            assert figure != figure  # noqa: PLR0124  # as NaN alone


def test_what_is_too_large_for_a_float_is_an_error_that_says_so(database: MiniDB) -> None:
    table = table_of(database, None, [10**400])
    assert table.find().sum("x") == 10**400
    with pytest.raises(UsageError, match="beyond what a float can hold"):
        table.find().avg("x")
    table.insert({"x": 0.5})
    for figure in (table.find().sum, table.find().avg):
        with pytest.raises(UsageError, match="beyond what a float can hold"):
            figure("x")


@given(st.lists(st.floats(-1e100, 1e100), max_size=50))
def test_sums_of_floats_are_those_of_exact_arithmetic(values: list[float]) -> None:
    with MiniDB(":memory:") as database:
        found = table_of(database, FloatField(), values).find().sum("x")
    exact = sum(map(Fraction, values), Fraction())
    size = sum((abs(Fraction(value)) for value in values), Fraction())
    assert abs(Fraction(found) - exact) <= abs(exact) / 2**52 + size / 2**98


# --- nothing, and nulls -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_schema", [True, False])
def test_figures_of_nothing(database: MiniDB, has_schema: bool) -> None:
    table = table_of(database, IntegerField() if has_schema else None, [None, None])
    for query, rows in ((table.find(), 2), (table.find(where("x") > 0), 0), (table.find().limit(0), 0)):
        assert (query.sum("x"), query.avg("x"), query.min("x"), query.max("x")) == (0, None, None, None)
        assert query.aggregate(rows="count", known=("count", "x")).columns == {"rows": rows, "known": 0}
        assert [row.columns for row in query.group_by("x").count()] == [{"x": None, "count": rows}][: min(rows, 1)]


def test_a_query_cut_short_has_the_figures_of_its_rows(database: MiniDB) -> None:
    table = table_of(database, IntegerField(index=True), [3, 1, None, 2])
    query = table.find().order_by("-x").limit(2)
    assert (query.sum("x"), query.min("x"), query.max("x"), query.avg("x")) == (5, 2, 3, 2.5)
    assert (query.offset(2).min("x"), query.offset(2).max("x"), query.offset(3).min("x")) == (1, 1, None)


# --- every type -------------------------------------------------------------------------------------------------------

EXTREMES: list[tuple[Field[Any], list[Any]]] = [
    (StringField(), ["", "\0", "Z", "a", "é", "\uffff", "\U0001f600"]),
    (StringField(), ["x" * 200, "x" * 200 + "a", "x" * 201]),
    (IntegerField(), [-(2**70), -1, 0, 2**64, 10**400]),
    (FloatField(allow_nan=True), [-math.inf, -1.0, -0.0, 5e-324, math.inf, math.nan]),
    (BooleanField(), [False, True]),
    (BytesField(), [b"", b"\0", b"\xff" * 200]),
    (DateField(), [dt.date.min, dt.date.max]),
    (DateTimeField(timezone=False), [dt.datetime.min, dt.datetime(2024, 1, 1), dt.datetime.max]),
    (DateTimeField(), [dt.datetime.max, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)]),
    (TimeField(), [dt.time.min, dt.time.max]),
    (DecimalField(), [Decimal(-1), Decimal("1E-50"), Decimal("1.10"), Decimal("1E+50")]),
    (UUIDField(), [uuid.UUID(int=0), uuid.UUID(int=2**127), uuid.UUID(int=2**128 - 1)]),
    (EnumField(Size), [Size.SMALL, Size.TALL]),
    (EnumField([1, 2, "a"]), [1, 2, "a"]),
]


@pytest.mark.parametrize(("field", "values"), EXTREMES, ids=lambda part: part.kind if isinstance(part, Field) else "")
@pytest.mark.parametrize("has_index", [False, True])
def test_min_and_max_are_the_ends_of_the_order(
    database: MiniDB, field: Field[Any], values: list[Any], has_index: bool
) -> None:
    table = table_of(database, field, [None, *values[1:], values[0], None])
    if has_index:
        database.create_index("values", "x")
    found = table.find()
    assert found.min("x") == values[0]
    assert repr(found.max("x")) == repr(values[-1])
    both = found.aggregate(least=("min", "x"), most=("max", "x"), known=("count", "x"))
    assert (both.least, repr(both.most), both.known) == (values[0], repr(values[-1]), len(values))
    (grouped,) = table.find(where("x") == values[0]).group_by("x").aggregate(most=("max", "x"), rows="count")
    assert grouped.columns == {"x": values[0], "most": values[0], "rows": 1}
    assert [row.x for row in found.group_by("x").count()][1:-1] == values[:-1]


def test_moments_are_compared_not_clocks(database: MiniDB) -> None:
    first = dt.datetime(2024, 10, 27, 2, 30, tzinfo=ClockThatGoesBack())
    second = first.replace(fold=1)
    table = table_of(database, DateTimeField(timezone=True), [second, first, first.astimezone(dt.UTC)])
    found = table.find()
    assert (found.min("x"), found.max("x")) == (first.astimezone(dt.UTC), second.astimezone(dt.UTC))
    assert [row["count"] for row in found.group_by("x").count()] == [2, 1]
    assert [row.id for row in table.find(x=second)] == [1]
    assert [row.id for row in table.find(where("x") < second)] == [2, 3]
    assert [row.id for row in table.find(where("x") != first)] == [1]


def test_mixed_types_without_a_schema_have_one_order(database: MiniDB) -> None:
    values = [True, -1, 1.5, 2, "a", b"a", dt.date(2024, 1, 1), Decimal(1), uuid.UUID(int=1), [1], {"a": 1}]
    table = table_of(database, None, [*values[::-1], None])
    table.insert({"y": 3})
    found = table.find()
    assert (found.min("x"), found.max("x"), found.max("y"), found.max("z")) == (True, {"a": 1}, 3, None)
    assert [row.x for row in found.group_by("x").count()] == [None, *values]
    assert found.group_by("x").count()[0]["count"] == 2
    database.create_index("values", "x")
    assert (found.min("x"), found.max("x")) == (True, {"a": 1})
    for figure in (found.sum, found.avg):
        with pytest.raises(UsageError, match="something else than numbers"):
            figure("x")


def test_equal_numbers_are_one_group_without_a_schema(database: MiniDB) -> None:
    table = table_of(database, None, [1, 1.0, 0.0, -0.0, math.nan, math.nan, "1", True])
    assert [(repr(row.x), row["count"]) for row in table.find().group_by("x").count()] == [
        ("True", 1),
        ("0.0", 2),
        ("1", 2),
        ("nan", 2),
        ("'1'", 1),
    ]


def test_lists_and_maps_can_be_grouped_by(database: MiniDB) -> None:
    table = database.create_table("rows", Schema(l=ListField(), d=DictField(), j=JSONField()))
    table.insert_many({"l": [{"a": n % 2}, 1.5], "d": {"b": n % 2, "a": 1}, "j": [n % 2]} for n in range(5))
    for name in ("l", "d", "j"):
        groups = table.find().group_by(name).count()
        assert [row["count"] for row in groups] == [3, 2]
        assert [row[name] for row in groups] == [table[1][name], table[2][name]]


# --- groups -----------------------------------------------------------------------------------------------------------


def test_groups_come_in_the_order_of_their_fields(people: Table[Row]) -> None:
    groups = people.find().group_by("city", "age").aggregate(rows="count", first=("min", "name"))
    keys = [(row.city is not None, row.city or "", row.age is not None, row.age or 0) for row in groups]
    assert keys == sorted(keys)
    assert sum(row.rows for row in groups) == len(people)
    assert people.find(where("age") > 10**6).group_by("city").count() == []
    assert [row.columns for row in people.find().group_by("city", "city").count()] == [
        row.columns for row in people.find().group_by("city").count()
    ]


def test_figures_may_have_any_name_but_that_of_a_group(people: Table[Row]) -> None:
    row = people.find().aggregate(self="count", id="count", columns="count", name=("min", "name"))
    assert list(row.columns) == ["self", "id", "columns", "name"]
    (group, *_) = people.find().group_by("city").aggregate(self="count", keys="count")
    assert list(group.columns) == ["city", "self", "keys"]
    for names in ({"city": "count"}, {"age": ("max", "age"), "city": ("min", "city")}):
        with pytest.raises(UsageError, match=r"grouped by: .*city"):
            people.find().group_by("city", "age").aggregate(**names)


def test_a_column_named_count_is_grouped_by_under_another_name(database: MiniDB) -> None:
    table = database.create_table("rows")
    table.insert_many([{"count": 1, "self": 2}, {"count": 1, "self": 3}])
    with pytest.raises(UsageError, match="count"):
        table.find().group_by("count").count()
    assert table.find().group_by("count").aggregate(rows="count")[0].columns == {"count": 1, "rows": 2}
    assert len(table.find().group_by("self").count()) == 2


# --- from an index ----------------------------------------------------------------------------------------------------


def test_min_and_max_by_an_index_read_one_row(location: str, caplog: pytest.LogCaptureFixture) -> None:
    with MiniDB(location, durability="none", slow_query_ms=0) as database:
        table = database.create_table("rows", Schema(n=IntegerField(index=True), m=IntegerField(), k=IntegerField()))
        database.create_index("rows", "m", "k")
        database.create_index("rows", "k", name="some", where=where("m") == 1)
        table.insert_many({"n": n, "m": n % 2, "k": -n} for n in range(3_000))
        table.insert_many({"n": None, "m": 1} for _ in range(10))
        asked: list[tuple[Query[Row], str, int, int]] = [
            (table.find(), "n", 0, 2_999),
            (table.find(where("n") > 5), "n", 6, 2_999),
            (table.find(m=1), "k", -2_999, -1),
        ]
        for query, field, least, most in asked:
            assert (query.min(field), query.max(field)) == (least, most)
            for run in (query.min, query.max):
                assert examined(partial(run, field), caplog) == 1
                assert "index" in caplog.text
                assert "table scan" not in caplog.text
        assert examined(lambda: table.find().max("k"), caplog) == 3_010


def test_min_by_an_index_is_what_require_index_asks_for(people: Table[Row]) -> None:
    assert people.find(require_index=True).max("age") == people.find().max("age")
    with pytest.raises(IndexNotFoundError):
        people.find(require_index=True).max("name")
    with pytest.raises(IndexNotFoundError):
        people.find(require_index=True).sum("age")


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_field_that_there_is_not_is_refused_with_the_nearest(people: Table[Row]) -> None:
    found = people.find()
    for call in (
        lambda: found.sum("agee"),
        lambda: found.min("agee"),
        lambda: found.aggregate(x=("count", "agee")),
        lambda: found.group_by("agee").count(),
        lambda: found.group_by("city").aggregate(x=("max", "agee")),
        lambda: found.limit(1).max("agee"),
    ):
        with pytest.raises(SchemaValidationError, match="did you mean 'age'") as caught:
            call()
        assert [bad.field for bad in caught.value.errors] == ["agee"]
        assert caught.value.table == "people"


@pytest.mark.parametrize(
    "wanted",
    ["maximum", "max", ("maximum", "age"), ("max",), ("max", 3), ("max", "age", 1), None, 3, ("age", "max"), {}],
)
def test_what_is_no_figure_is_refused(people: Table[Row], wanted: Any) -> None:  # Any: wrong on purpose
    for query in (people.find(), people.find().group_by("city")):
        with pytest.raises(UsageError) as caught:
            query.aggregate(x=wanted)
        assert caught.value.hint == "the functions are count, sum, min, max, avg"


def test_what_has_no_sum_or_order_is_refused(database: MiniDB) -> None:
    fields: dict[str, Field[Any]] = {
        "text": StringField(),
        "flag": BooleanField(),
        "day": DateField(),
        "level": EnumField([1, 2]),
        "list": ListField(IntegerField()),
        "map": DictField(),
        "json": JSONField(),
    }
    table = database.create_table("rows", Schema(**fields))
    for name, field in fields.items():
        for figure in ("sum", "avg", *(["min", "max"] if name in ("list", "map", "json") else [])):
            with pytest.raises(SchemaValidationError, match=f"{name}: is {field.noun}, which has no") as caught:
                getattr(table.find(), figure)(name)
            assert [bad.field for bad in caught.value.errors] == [name]
    with pytest.raises(SchemaValidationError) as caught:
        table.find().aggregate(a=("sum", "text"), b=("avg", "flag"), c=("max", "map"), d=("count", "map"))
    assert [bad.field for bad in caught.value.errors] == ["text", "flag", "map"]


def test_floats_and_decimals_have_no_sum_together(database: MiniDB) -> None:
    table = table_of(database, None, [0.5, Decimal("0.5")])
    with pytest.raises(UsageError, match="one is exact"):
        table.find().sum("x")
    assert table.find().max("x") == Decimal("0.5")


@pytest.mark.parametrize("fields", [(), (3,), (None,), (["city"],)])
def test_group_by_takes_names(people: Table[Row], fields: Any) -> None:  # Any: wrong on purpose
    with pytest.raises(UsageError, match="one or more names"):
        people.find().group_by(*fields)


def test_a_figure_shows_no_value_in_the_log(location: str, caplog: pytest.LogCaptureFixture) -> None:
    with MiniDB(location, durability="none", slow_query_ms=0) as database:
        table = database.create_table("rows", Schema(name=StringField(index=True), n=IntegerField()))
        table.insert({"name": "secret", "n": 12345})
        with caplog.at_level(logging.WARNING, "minidb.query"):
            assert table.find(name="secret").sum("n") == 12345
            assert table.find(where("name") >= "secret").max("name") == "secret"
            assert table.find(name="secret").page(1).rows
        assert len(caplog.records) == 3
        assert "secret" not in caplog.text
        assert "12345" not in caplog.text
