"""Whole rows: what is stored of a row, every error of a bad one, and that the fast way and the careful way agree."""

from __future__ import annotations

import collections
import contextlib
import datetime
import enum
import itertools
import math
import re
import threading
import types
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidb.exceptions import FieldError, SchemaValidationError
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
from minidb.schema.fast_path import FastRow, LaterFastRow
from minidb.schema.field import AnyField, Errors
from minidb.schema.validation import RowChecker, check_columns

UTC = datetime.UTC
NOON = datetime.datetime(2024, 2, 29, 12, tzinfo=UTC)
NAIVE_NOON = datetime.datetime(2024, 2, 29, 12)  # naive on purpose
DAY = datetime.date(2024, 2, 29)
FIRST_MOMENT = datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
LAST_MOMENT = datetime.datetime(9999, 12, 31, 23, 59, tzinfo=datetime.timezone(datetime.timedelta(hours=-1)))
SURROGATE = "\ud800"


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Letter(enum.StrEnum):
    A = "a"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Real(float):
    pass


class Octets(bytes):
    pass


class Exact(Decimal):
    pass


class Identity(uuid.UUID):
    pass


class Moment(datetime.datetime):
    pass


class NoOffset(datetime.tzinfo):
    """A time zone that does not say what it is."""

    def utcoffset(self, _: datetime.datetime | None, /) -> datetime.timedelta | None:
        return None

    def dst(self, _: datetime.datetime | None, /) -> datetime.timedelta | None:
        return None

    def tzname(self, _: datetime.datetime | None, /) -> str | None:
        return None


PERSON = Schema(
    name=StringField(required=True, max_length=100),
    age=IntegerField(required=True, min_value=0),
    score=FloatField(),
    active=BooleanField(default=True),
    note=StringField(max_length=5),
)
ADA = {"name": "Ada", "age": 36, "score": 1.5, "active": True, "note": None}


def errors_of(check: Callable[[], object]) -> list[tuple[str, str]]:
    with pytest.raises(SchemaValidationError) as caught:
        check()
    assert caught.value.table is None
    return [(error.field, error.code) for error in caught.value.errors]


# --- good rows --------------------------------------------------------------------------------------------------------


def test_the_values_come_in_the_order_of_the_schema() -> None:
    checker = RowChecker(PERSON)
    assert checker.names == ("name", "age", "score", "active", "note")
    assert tuple(checker.check(dict(reversed(ADA.items())))) == ("Ada", 36, 1.5, True, None)


def test_missing_columns_take_their_defaults_or_none() -> None:
    assert tuple(RowChecker(PERSON).check({"name": "Ada", "age": 36})) == ("Ada", 36, None, True, None)


def test_a_schema_of_one_field_is_checked_too() -> None:
    checker = RowChecker(Schema(a=IntegerField(min_value=0)))
    assert tuple(checker.check({"a": 1})) == (1,)
    assert errors_of(lambda: checker.check({"a": -1})) == [("a", "min_value")]


@pytest.mark.parametrize("name", ["first name", 'say "a"', "back\\slash", "naïve", "self", "column_0"])
def test_columns_may_have_any_name(name: str) -> None:
    checker = RowChecker(Schema({name: IntegerField(required=True)}, b=IntegerField()))
    assert tuple(checker.check({name: 1})) == (1, None)
    assert [tuple(row) for row in checker.check_many([{name: 1}, {name: 2, "b": 3}])] == [(1, None), (2, 3)]
    assert errors_of(lambda: checker.check({"b": 1})) == [(name, "required")]


@pytest.mark.parametrize(
    "columns",
    [
        types.MappingProxyType(ADA),
        collections.ChainMap[str, object]({"name": "Ada"}, dict(ADA)),
        collections.UserDict(ADA),
        collections.OrderedDict(ADA),
        {Text(name): value for name, value in ADA.items()},
    ],
)
def test_a_row_may_be_any_mapping(columns: Mapping[str, object]) -> None:
    checker = RowChecker(PERSON)
    assert tuple(checker.check(columns)) == ("Ada", 36, 1.5, True, None)
    assert [tuple(row) for row in checker.check_many([columns])] == [("Ada", 36, 1.5, True, None)]


def test_a_mapping_that_makes_up_values_is_not_asked_to() -> None:
    columns: dict[str, object] = collections.defaultdict(int, name="Ada")
    assert errors_of(lambda: RowChecker(PERSON).check(columns)) == [("age", "required")]
    assert errors_of(lambda: RowChecker(PERSON).check_many([columns])) == [("age", "required")]
    assert columns == {"name": "Ada"}


def test_a_default_factory_is_called_once_for_each_row_that_needs_it() -> None:
    count = itertools.count(1)
    checker = RowChecker(
        Schema(id=IntegerField(primary_key=True, default_factory=lambda: next(count)), name=StringField())
    )
    assert tuple(checker.check({"name": "a"})) == (1, "a")
    assert tuple(checker.check({"name": Text("a")})) == (2, "a")  # by the careful way
    assert tuple(checker.check({"id": 77})) == (77, None)
    many = checker.check_many([{"name": "a"}, {"id": 78}, {"name": Text("a")}])
    assert [tuple(row) for row in many] == [(3, "a"), (78, None), (4, "a")]
    assert next(count) == 5


def test_the_value_of_a_default_factory_is_checked() -> None:
    checker = RowChecker(Schema(a=IntegerField(default_factory=lambda: -1, min_value=0)))
    assert errors_of(lambda: checker.check({})) == [("a", "min_value")]
    unset = RowChecker(Schema(a=IntegerField(required=True, default_factory=lambda: None)))
    assert errors_of(lambda: unset.check({})) == [("a", "null")]


@pytest.mark.parametrize(
    ("field", "default"),
    [
        (ListField(default=[[1]]), [[1]]),
        (ListField(IntegerField(), default=[1]), [1]),
        (DictField(default={"a": [1]}), {"a": [1]}),
        (JSONField(default=[{}]), [{}]),
    ],
)
def test_a_mutable_default_is_copied_for_each_row(field: AnyField, default: object) -> None:
    checker = RowChecker(Schema(a=field, b=IntegerField()))
    stored: list[Any] = [
        checker.check({})[0],
        checker.check({"b": Whole(1)})[0],
        *[row[0] for row in checker.check_many([{}, {}])],
    ]
    assert stored == [default] * 4
    assert len({id(value) for value in [*stored, field.default]}) == 5


def test_defaults_are_stored_in_their_stored_form() -> None:
    checker = RowChecker(
        Schema(color=EnumField(Color, default=Color.RED), ratio=FloatField(default=1), names=ListField(default=("a",)))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a tuple
    )
    values = checker.check({})
    assert values == ("red", 1.0, ["a"])
    assert type(values[1]) is float


def test_what_is_returned_can_be_written_as_msgpack() -> None:
    values = RowChecker(PERSON).check(ADA)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(values)) == list(ADA.values())
    assert (len(values), values[0], list(values)) == (5, "Ada", list(ADA.values()))


def test_a_row_that_is_checked_is_not_changed() -> None:
    columns: dict[str, object] = {"name": "Ada", "age": Level.LOW}
    RowChecker(PERSON).check(columns)
    assert columns == {"name": "Ada", "age": Level.LOW}
    assert type(columns["age"]) is Level


# --- bad rows ---------------------------------------------------------------------------------------------------------


BAD = {"name": 5, "age": -1, "scores": 1.0, "active": 1, "note": "too long"}
BAD_ERRORS = [
    ("name", "type"),
    ("age", "min_value"),
    ("active", "type"),
    ("note", "max_length"),
    ("scores", "unknown_field"),
]


def test_every_bad_field_is_reported() -> None:
    assert errors_of(lambda: RowChecker(PERSON).check(BAD)) == BAD_ERRORS


@pytest.mark.parametrize(
    ("field", "columns", "code"),
    [
        (StringField(required=True), {}, "required"),
        (StringField(nullable=False), {}, "required"),
        (StringField(required=True, nullable=True), {}, "required"),
        (StringField(primary_key=True), {}, "required"),
        (StringField(required=True), {"a": None}, "null"),
        (StringField(default="x", nullable=False), {"a": None}, "null"),
        (JSONField(required=True), {"a": None}, "null"),
        (EnumField(Color, required=True), {"a": None}, "null"),
        (ListField(required=True), {"a": None}, "null"),
        (DateField(required=True), {"a": None}, "null"),
    ],
)
def test_missing_columns_and_nulls_are_told_apart(field: AnyField, columns: dict[str, object], code: str) -> None:
    checker = RowChecker(Schema(a=field))
    assert errors_of(lambda: checker.check(columns)) == [("a", code)]
    assert errors_of(lambda: checker.check_many([columns])) == [("a", code)]


def test_an_unknown_column_names_the_nearest_field() -> None:
    with pytest.raises(SchemaValidationError) as caught:
        RowChecker(PERSON).check({**ADA, "nmae": 1, "zzz": 2, 5: 3})  # type: ignore[dict-item]  # the point
    assert [(error.field, error.message) for error in caught.value.errors] == [
        ("nmae", "is no field of the schema; did you mean 'name'?"),
        ("zzz", "is no field of the schema"),
        ("5", "is no field of the schema"),
    ]


def test_a_message_holds_no_value_of_the_row() -> None:
    with pytest.raises(SchemaValidationError) as caught:
        RowChecker(PERSON).check({**ADA, "note": "hunter2", "age": "hunter2", "password": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert [error.value for error in caught.value.errors] == ["hunter2"] * 3


def test_a_single_row_has_no_number() -> None:
    with pytest.raises(SchemaValidationError) as caught:
        RowChecker(PERSON).check({})
    assert caught.value.row_number is None


@pytest.mark.parametrize("bad", [BAD, {"name": "Ada", "age": -1}, {**ADA, "extra": 1}, {}])
def test_the_first_bad_row_of_many_is_numbered(bad: dict[str, object]) -> None:
    checker = RowChecker(PERSON)
    with pytest.raises(SchemaValidationError) as caught:
        checker.check_many([ADA, {"name": "Bob", "age": 1}, bad, BAD])
    assert caught.value.row_number == 2
    assert list(caught.value.errors) == list(checker_errors(checker, bad))


def checker_errors(checker: RowChecker, columns: dict[str, object]) -> tuple[object, ...]:
    found = checker.explain(columns)
    assert found is not None
    return found.errors


def test_no_rows_are_no_values() -> None:
    assert list(RowChecker(PERSON).check_many([])) == []


def test_many_rows_may_be_of_different_shapes() -> None:
    rows: list[dict[str, object]] = [dict(ADA), {"name": "Bob", "age": Level.LOW}, {"name": Text("C"), "age": 2}]
    checker = RowChecker(PERSON)
    many = [tuple(values) for values in checker.check_many(rows)]
    assert many == [tuple(checker.check(row)) for row in rows]
    assert [type(values[1]) for values in many] == [int, int, int]
    assert [type(values[0]) for values in many] == [str, str, str]


def test_explain_finds_what_check_leaves_to_the_encoder() -> None:
    checker = RowChecker(Schema(a=StringField(), b=ListField(StringField())))
    row = {"a": SURROGATE, "b": ["x", SURROGATE]}
    with pytest.raises(UnicodeEncodeError):
        msgspec.msgpack.encode(checker.check(row))
    found = checker.explain(row)
    assert found is not None
    assert [(error.field, error.code) for error in found.errors] == [("a", "unicode"), ("b[1]", "unicode")]


def test_explain_has_nothing_to_say_of_a_good_row() -> None:
    assert RowChecker(PERSON).explain({"name": "Ada", "age": 36}) is None


# --- positions, enum members, lookups ---------------------------------------------------------------------------------


def test_wrapped_positions_are_those_of_types_that_msgpack_lacks() -> None:
    schema = Schema(
        a=StringField(), b=DateField(), c=IntegerField(), d=EnumField(Color), e=DecimalField(), f=FloatField(),
        g=UUIDField(), h=BooleanField(), i=ListField(StringField()), j=BytesField(), k=DictField(), l=JSONField(),
        m=DateTimeField(), n=TimeField(),
    )  # fmt: skip
    checker = RowChecker(schema)
    assert [checker.names[position] for position in checker.wrapped_positions] == list("begiklmn")


def test_enum_members_are_stored_plain_and_restored() -> None:
    checker = RowChecker(
        Schema(a=EnumField(Color), b=IntegerField(), c=ListField(EnumField(Level)), d=EnumField(Color))
    )
    stored = checker.check({"a": Color.RED, "b": 1, "c": [Level.LOW, 2]})
    assert stored == ("red", 1, [1, 2], None)
    assert checker.restore is not None
    values: list[object] = list(stored)
    assert checker.restore(values) is values
    assert values == [Color.RED, 1, [Level.LOW, Level.HIGH], None]


def test_nothing_is_restored_without_an_enum_class() -> None:
    assert RowChecker(Schema(a=EnumField(["a"]), b=ListField(DateField()))).restore is None


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        (FloatField(), 1, 1.0),
        (EnumField(Color), Color.RED, "red"),
        (EnumField(Color), "red", "red"),
        (IntegerField(max_value=5), 10, 10),
        (StringField(max_length=1, required=True), "long", "long"),
        (StringField(required=True), None, None),
        (BytesField(), bytearray(b"a"), b"a"),
        (IntegerField(), Level.LOW, 1),
    ],
)
def test_a_value_to_look_for_takes_its_stored_form(field: AnyField, value: object, stored: object) -> None:
    result = RowChecker(Schema(a=field)).stored_value("a", value)
    assert result == stored
    assert type(result) is type(stored)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("a", "1", "type"), ("a", True, "type"), ("b", 1, "unknown_field"), ("b", None, "unknown_field")],
)
def test_a_value_of_another_type_cannot_be_looked_for(name: str, value: object, code: str) -> None:
    checker = RowChecker(Schema(a=IntegerField()))
    assert errors_of(lambda: checker.stored_value(name, value)) == [(name, code)]


# --- the fast way and the careful way ---------------------------------------------------------------------------------


def is_even(value: int) -> bool:
    return value % 2 == 0


def is_red(value: Color) -> bool:
    return value is Color.RED


class ShoutingField(StringField):
    """A field of a program's own, with a rule that our fast path cannot know."""

    def check_limits(self, value: str, path: str, errors: Errors) -> None:
        super().check_limits(value, path, errors)
        if not value.isupper():
            errors.append(FieldError(path, "shouting", "must be in capitals", value))


FIELDS: list[AnyField] = [
    StringField(),
    StringField(required=True, min_length=1, max_length=3),
    StringField(pattern="[a-c]+"),
    StringField(pattern=re.compile("a.b", re.DOTALL)),
    StringField(choices=["a", "b"]),
    StringField(validators=[str.islower]),
    ShoutingField(),
    ListField(ShoutingField()),
    IntegerField(),
    IntegerField(required=True, min_value=0, max_value=10),
    IntegerField(min_value=2**63, max_value=2**70),
    IntegerField(min_value=-(2**70), max_value=-(2**63) - 1),
    IntegerField(max_value=2**63 - 1, min_value=-(2**63)),
    IntegerField(min_value=2**64),
    IntegerField(choices=[1, 2, 2**70]),
    IntegerField(validators=[is_even]),
    FloatField(),
    FloatField(required=True, min_value=0, max_value=10.5),
    FloatField(min_value=-1),
    FloatField(max_value=5),
    FloatField(allow_nan=True),
    FloatField(allow_nan=True, min_value=0),
    FloatField(validators=[float.is_integer]),
    BooleanField(),
    BooleanField(required=True, validators=[bool]),
    BytesField(),
    BytesField(required=True, min_length=1, max_length=2),
    DateTimeField(),
    DateTimeField(timezone=True),
    DateTimeField(timezone=True, min_value=NOON),
    DateTimeField(timezone=False),
    DateTimeField(timezone=False, max_value=NAIVE_NOON, required=True),
    DateField(),
    DateField(min_value=DAY, max_value=DAY, required=True),
    TimeField(),
    TimeField(min_value=datetime.time(1), required=True),
    DecimalField(),
    DecimalField(min_value=0, max_value=10, required=True),
    DecimalField(max_digits=3, decimal_places=1, min_value=0),
    UUIDField(),
    UUIDField(required=True),
    EnumField(Color),
    EnumField(Level, required=True),
    EnumField(Letter),
    EnumField(Access),
    EnumField(Color, validators=[is_red]),
    EnumField(["a", 1]),
    EnumField([1, 2], required=True, validators=[is_even]),
    ListField(),
    ListField(required=True, min_length=1, max_length=2),
    ListField(StringField(max_length=2)),
    ListField(StringField(nullable=True, pattern="[a-c]*"), max_length=2),
    ListField(IntegerField(min_value=0)),
    ListField(FloatField()),
    ListField(BooleanField(nullable=True)),
    ListField(DateField()),
    ListField(DecimalField(min_value=0)),
    ListField(EnumField(Color)),
    ListField(EnumField(["a", 1])),
    ListField(ListField(IntegerField())),
    ListField(IntegerField(), validators=[bool]),
    ListField(IntegerField(validators=[is_even])),
    DictField(),
    DictField(required=True, min_length=1, max_length=1),
    JSONField(),
    JSONField(required=True),
]

SCALAR_POOL: list[object] = [
    None, True, False, -1, 0, 1, 2, 3, 10, 11, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**70, 2**71,
    -(2**63), -(2**63) - 1, -(2**70), -(2**71), 2**1024 - 1, 2**1024, 10**400,
    Whole(1), Whole(-1), Whole(2**70), Whole(-(2**70)), Level.LOW, Level.HIGH,
    -1.0, -0.0, 0.5, 1.0, 2.0, 10.5, 11.0, 1e308, math.inf, -math.inf, math.nan, Real(1.0), 1j,
    "", "a", "ab", "abc", "abcd", "A", "AB", "a\n", "a\nb", "aé", "red", "green", Text("a"), Text("AB"), Letter.A,
    "2024-02-29", "2024-02-29T12:00:00Z", "12:00:00", "1.5", "YWI=", str(uuid.UUID(int=1)),
    b"", b"a", b"abc", bytearray(b"a"), memoryview(b"abcd")[::2], Octets(b"a"), b"x" * 16,
    NOON, NAIVE_NOON, NOON - datetime.timedelta(1), NAIVE_NOON + datetime.timedelta(1), FIRST_MOMENT, LAST_MOMENT,
    datetime.datetime.max, Moment(2024, 2, 29), Moment(2024, 3, 1, tzinfo=UTC), NAIVE_NOON.replace(tzinfo=NoOffset()),
    DAY, DAY + datetime.timedelta(1), DAY - datetime.timedelta(1), datetime.timedelta(1),
    datetime.time(0), datetime.time(1), datetime.time(1, tzinfo=UTC),
    Decimal(1), Decimal("1.50"), Decimal("0.05"), Decimal(-1), Decimal(100), Decimal("1E+3"), Decimal("NaN"),
    Decimal("sNaN"), Decimal("Infinity"), Decimal("-Infinity"), Exact(1),
    uuid.UUID(int=1), Identity(int=1), *Color, *Access, Access.READ | Access.WRITE, object(), Color, str,
]  # fmt: skip
POOL: list[object] = [
    *SCALAR_POOL,
    *([value] for value in SCALAR_POOL),
    *((value, value) for value in SCALAR_POOL),
    *({"k": value} for value in SCALAR_POOL),
    *([[value]] for value in SCALAR_POOL),
    [], (), {}, set(), {1}, frozenset("a"), range(2), {"a": 1, "b": 2}, {1: 2}, {Text("a"): 1}, [1, 2, 3], ["a", None],
    [{1}], [{"k": {1}}], collections.OrderedDict(a=1), collections.deque([1]), iter([1]),
]  # fmt: skip
"""Everything that one way might take for something else than the other does."""

OFFSETS = st.integers(-1439, 1439).map(lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes)))
SCALARS = st.one_of(
    st.sampled_from(SCALAR_POOL),
    st.integers(),
    st.floats(),
    st.text("abcAé", max_size=4),
    st.text(),
    st.binary(max_size=3),
    st.datetimes(timezones=st.none() | OFFSETS),
    st.dates(),
    st.times(timezones=st.sampled_from([None, UTC])),
    st.decimals(min_value=-100, max_value=100, places=2),
    st.decimals(),
    st.uuids(),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.lists(
        st.integers(-1, 5) | st.sampled_from(["a", Color.RED, "red", 1.5, None, Whole(1), Decimal(1)]), max_size=3
    ),
    st.lists(st.text("abc", max_size=3), max_size=3),
    st.lists(SCALARS, max_size=3).map(tuple),
    st.lists(st.lists(st.integers(-1, 5) | SCALARS, max_size=2), max_size=2),
    st.frozensets(st.integers(0, 5) | st.text("abc", max_size=2), max_size=2),
    st.dictionaries(st.text("abc", max_size=2) | st.integers(), SCALARS, max_size=2),
    st.dictionaries(st.text("abc", max_size=2), st.lists(SCALARS, max_size=2), max_size=2),
)


def carefully(schema: Schema, columns: Mapping[str, object]) -> tuple[object, ...] | None:
    errors: Errors = []
    values = RowChecker(schema)._collect(columns, errors)
    return None if errors else values


def is_identical(one: object, other: object) -> bool:
    """Tell whether values are equal and of the same exact types all the way down; NaN is NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(is_identical, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(is_identical(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return repr(one) == repr(other) or one == other


def refuse_disagreement(schema: Schema, fast: FastRow, value: object) -> None:
    columns = {"a": value}
    careful = carefully(schema, columns)
    for found in (fast.check(columns), *(fast.check_many([columns]) or ())):
        assert found is None or (careful is not None and is_identical(found, careful)), repr(value)


@pytest.mark.parametrize("field", FIELDS)
def test_the_fast_way_and_the_careful_way_agree_on_every_odd_value(field: AnyField) -> None:
    schema = Schema(a=field)
    fast = FastRow(schema.fields)
    for value in POOL:
        refuse_disagreement(schema, fast, value)


@settings(max_examples=500)
@given(st.sampled_from(FIELDS), VALUES)
def test_the_fast_way_and_the_careful_way_agree(field: AnyField, value: object) -> None:
    schema = Schema(a=field)
    refuse_disagreement(schema, FastRow(schema.fields), value)


ROW = Schema({f"c{number}": field for number, field in enumerate(FIELDS[:30:3])})


@settings(max_examples=200)
@given(st.lists(st.dictionaries(st.sampled_from([*ROW.fields, "unknown"]), VALUES, max_size=5), max_size=3))
def test_many_rows_are_checked_as_each_alone(rows: list[dict[str, object]]) -> None:
    schema = Schema({name: (field if not field.required else StringField()) for name, field in ROW.fields.items()})
    checker = RowChecker(schema)
    found = [checker.explain(row) for row in rows]
    first_bad = next((number for number, error in enumerate(found) if error is not None), None)
    if first_bad is None:
        alone = [checker.check(row) for row in rows]
        assert is_identical([tuple(values) for values in checker.check_many(rows)], alone)
        return
    with pytest.raises(SchemaValidationError) as caught:
        checker.check_many(rows)
    assert caught.value.row_number == first_bad
    assert str(caught.value) == str(found[first_bad])


USUAL: list[tuple[AnyField, object]] = [
    (StringField(required=True, max_length=5, pattern="a+", choices=["a"], validators=[str.islower]), "a"),
    (IntegerField(min_value=0), 5),
    (IntegerField(min_value=2**65, max_value=2**70), None),
    (FloatField(min_value=0), 1),
    (FloatField(allow_nan=True), float("inf")),
    (BooleanField(), True),
    (BytesField(max_length=3), b"abc"),
    (DateTimeField(timezone=True, min_value=NOON), NOON),
    (DateField(), DAY),
    (TimeField(), datetime.time(1)),
    (DecimalField(max_digits=3, min_value=0), Decimal("1.5")),
    (UUIDField(), uuid.UUID(int=1)),
    (EnumField(Color), Color.RED),
    (EnumField(Color), "red"),
    (EnumField(["a", 1]), 1),
    (ListField(StringField(max_length=2)), ["a"]),
    (ListField(FloatField()), [1.5, 2]),
    (ListField(), (1, "a")),
    (DictField(), {"a": NOON}),
    (JSONField(), {"a": [1]}),
]


@pytest.mark.parametrize(("field", "value"), USUAL)
def test_the_usual_values_of_every_field_go_the_fast_way(field: AnyField, value: object) -> None:
    schema = Schema(a=field, b=IntegerField())
    fast = FastRow(schema.fields)
    found = fast.check({"a": value})
    assert found is not None
    assert is_identical(found, carefully(schema, {"a": value}))
    assert fast.check_many([{"a": value}, {"a": value, "b": 1}]) is not None


def test_a_checker_may_be_used_by_many_threads() -> None:
    checker = RowChecker(PERSON)
    results: list[bool] = []

    def work(number: int) -> None:
        good: dict[str, object] = {"name": f"n{number}", "age": number}
        for _ in range(200):
            right = checker.check(good)[:2] == (f"n{number}", number)
            results.append(right and checker.explain({"age": number}) is not None)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 800


# --- tables without a schema ------------------------------------------------------------------------------------------


def test_columns_without_a_schema_take_everything_that_can_be_stored() -> None:
    columns = {
        "null": None, "truth": True, "whole": 2**100, "real": float("inf"), "text": "é", "octets": b"\0", "day": DAY,
        "moment": NOON, "naive": NAIVE_NOON, "clock": datetime.time(1), "exact": Decimal("1.5"),
        "id": uuid.UUID(int=1), "list": [1, [DAY]], "dict": {"a": {"b": [None]}}, "naïve": 1, "": None,
    }  # fmt: skip
    del columns[""]
    assert check_columns(columns) == columns


def test_columns_without_a_schema_become_plain() -> None:
    plain = check_columns({"a": Text("x"), Text("b"): (Whole(1), bytearray(b"y")), "c": Level.LOW, "d": Letter.A})
    assert is_identical(plain, {"a": "x", "b": [1, b"y"], "c": 1, "d": "a"})
    assert {type(name) for name in plain} == {str}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"a": object(), "b": {1}, "c": 1}, [("a", "unstorable"), ("b", "unstorable")]),
        ({"a": Color.RED}, [("a", "unstorable")]),
        ({"a": [1, {"k": 1j}]}, [("a[1].k", "unstorable")]),
        ({"a": {1: 2}}, [("a", "type")]),
        ({"a": SURROGATE}, [("a", "unicode")]),
        ({"a": datetime.time(1, tzinfo=UTC)}, [("a", "unstorable")]),
        ({"a": FIRST_MOMENT}, [("a", "unstorable")]),
        ({"a": Decimal("NaN"), "b": [Decimal("sNaN")]}, [("a", "unstorable"), ("b[0]", "unstorable")]),
        ({"": 1}, [("", "min_length")]),
        ({5: 1}, [("5", "type")]),
        ({SURROGATE: 1}, [(SURROGATE, "unicode")]),
    ],
)
def test_columns_that_cannot_be_stored_are_refused(columns: Any, expected: list[tuple[str, str]]) -> None:
    assert errors_of(lambda: check_columns(columns)) == expected


def test_columns_may_nest_64_deep() -> None:
    value: list[Any] = []
    for _ in range(63):
        value = [value]
    assert check_columns({"a": value}) == {"a": value}
    assert errors_of(lambda: check_columns({"a": [value]})) == [("a" + "[0]" * 64, "unstorable")]


@given(st.dictionaries(st.text(min_size=1), VALUES, max_size=4))
def test_checked_columns_are_checked_for_good(columns: dict[str, object]) -> None:
    with contextlib.suppress(SchemaValidationError):
        plain = check_columns(columns)
        assert is_identical(check_columns(plain), plain)


def test_a_check_is_compiled_for_the_first_row_and_kept() -> None:
    def made_ready() -> RowChecker:
        checker = RowChecker(Schema(age=IntegerField(min_value=0)))
        assert isinstance(checker._fast, LaterFastRow)
        return checker

    checks: list[Callable[[RowChecker], object]] = [
        lambda checker: checker.check({"age": 1}),
        lambda checker: checker.check_values((1,)),
        lambda checker: checker.check_many([{"age": 1}])[0],
        lambda checker: checker.check_many_values([(1,)])[0],
    ]
    for check in checks:
        checker = made_ready()
        assert check(checker) == (1,)
        assert isinstance(checker._fast, FastRow)
