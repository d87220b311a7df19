"""Each field by itself: what it accepts, what it makes of it, what it refuses, and which declarations are none."""

from __future__ import annotations

import copy
import datetime
import doctest
import enum
import inspect
import pickle
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import minidb.schema
from minidb.exceptions import SchemaDefinitionError
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
    StringField,
    TimeField,
    UUIDField,
    container_fields,
    fields,
    schema,
    validation,
)
from minidb.schema.field import AnyField, Errors

UTC = datetime.UTC
NOON = datetime.datetime(2024, 2, 29, 12, tzinfo=UTC)
NAIVE_NOON = datetime.datetime(2024, 2, 29, 12)  # naive on purpose
DAY = datetime.date(2024, 2, 29)
FIRST_MOMENT = datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
LAST_MOMENT = datetime.datetime(9999, 12, 31, 23, 59, tzinfo=datetime.timezone(datetime.timedelta(hours=-1)))
SURROGATE = "\ud800"
MIXED: list[str | int] = ["a", 1]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Letter(enum.StrEnum):
    A = "a"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


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


class Moment(datetime.datetime):
    pass


class Day(datetime.date):
    pass


class Clock(datetime.time):
    pass


class Exact(Decimal):
    pass


class Identity(uuid.UUID):
    pass


class NotATime(datetime.datetime):
    """As the NaT of pandas: a datetime by its type, without a year."""

    @property
    def year(self) -> Any:
        return float("nan")


class NoOffset(datetime.tzinfo):
    """A time zone that does not say what it is."""

    def utcoffset(self, _: datetime.datetime | None, /) -> datetime.timedelta | None:
        return None

    def dst(self, _: datetime.datetime | None, /) -> datetime.timedelta | None:
        return None

    def tzname(self, _: datetime.datetime | None, /) -> str | None:
        return None


def checked(field: AnyField, value: object) -> Any:
    errors: Errors = []
    result = field.check(value, "f", errors)
    assert errors == []
    return result


def codes(field: AnyField, value: object) -> list[str]:
    errors: Errors = []
    assert field.check(value, "f", errors) is None
    return [error.code for error in errors]


def paths(field: AnyField, value: object) -> list[tuple[str, str]]:
    errors: Errors = []
    field.check(value, "f", errors)
    return [(error.field, error.code) for error in errors]


# --- what is accepted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (StringField(), ""),
        (StringField(), "héllo\0"),
        (StringField(min_length=2, max_length=2), "é😀"),
        (StringField(pattern="a+"), "aaa"),
        (StringField(pattern=re.compile("A+", re.IGNORECASE)), "aAa"),
        (StringField(choices=["a", "b"]), "b"),
        (IntegerField(), 2**200),
        (IntegerField(min_value=0, max_value=0), 0),
        (IntegerField(min_value=2**70, max_value=2**80), 2**75),
        (IntegerField(choices=[1, 2]), 2),
        (FloatField(), -1.5),
        (FloatField(min_value=1, max_value=2), 2.0),
        (FloatField(allow_nan=True), float("-inf")),
        (BooleanField(), False),
        (BytesField(), b""),
        (BytesField(min_length=1, max_length=3), b"abc"),
        (DateTimeField(), NOON),
        (DateTimeField(), NAIVE_NOON),
        (DateTimeField(timezone=True, min_value=NOON, max_value=NOON), NOON),
        (DateTimeField(timezone=False), NAIVE_NOON),
        (DateField(min_value=DAY, max_value=DAY), DAY),
        (TimeField(min_value=datetime.time(1)), datetime.time(1)),
        (DecimalField(), Decimal("1e-999999")),
        (DecimalField(max_digits=3, decimal_places=2), Decimal("1.25")),
        (DecimalField(max_digits=3, decimal_places=2), Decimal("1.250000")),
        (DecimalField(max_digits=3, decimal_places=3), Decimal("0.025")),
        (DecimalField(max_digits=1, decimal_places=0), Decimal("0E-10")),
        (DecimalField(max_digits=3), Decimal("1E+2")),
        (UUIDField(), uuid.UUID(int=5)),
        (EnumField(Color), Color.RED),
        (EnumField(MIXED), 1),
        (ListField(), [None, 1, "a", b"", DAY, [Decimal(1)], {"k": uuid.UUID(int=1)}]),
        (ListField(IntegerField(min_value=0), min_length=1, max_length=2), [0, 1]),
        (ListField(IntegerField(nullable=True)), [None, 1]),
        (ListField(ListField(StringField())), [["a"], []]),
        (DictField(max_length=2), {"a": NOON, "b": {"c": [b"1"]}}),
        (JSONField(), {"a": [1, 1.5, True, None, "x", {}]}),
        (JSONField(), "text"),
    ],
)
def test_a_good_value_is_taken_as_it_is(field: AnyField, value: object) -> None:
    assert checked(field, value) == value


@pytest.mark.parametrize(
    ("field", "value", "plain"),
    [
        (StringField(), Text("a"), "a"),
        (StringField(), Letter.A, "a"),
        (IntegerField(), Whole(3), 3),
        (IntegerField(), Whole(2**70), 2**70),
        (IntegerField(), Level.HIGH, 2),
        (FloatField(), Real(1.5), 1.5),
        (FloatField(), 1, 1.0),
        (FloatField(), Level.LOW, 1.0),
        (BytesField(), Octets(b"a"), b"a"),
        (BytesField(), bytearray(b"a"), b"a"),
        (BytesField(), memoryview(b"abcd")[::2], b"ac"),
        (DateTimeField(), Moment(2024, 2, 29, 12, tzinfo=UTC), NOON),
        (DateField(), Day(2024, 2, 29), DAY),
        (TimeField(), Clock(1, 2, 3, 4), datetime.time(1, 2, 3, 4)),
        (DecimalField(), Exact("1.5"), Decimal("1.5")),
        (DecimalField(), 7, Decimal(7)),
        (UUIDField(), Identity(int=5), uuid.UUID(int=5)),
        (EnumField(Color), "red", Color.RED),
        (EnumField(Level), 2, Level.HIGH),
        (EnumField(["red"]), Text("red"), "red"),
        (EnumField([1, 2]), Level.HIGH, 2),
        (ListField(), (1, (2,)), [1, [2]]),
        (ListField(FloatField()), (1, 2.5), [1.0, 2.5]),
        (DictField(), {Text("a"): (Text("b"), bytearray(b"c"))}, {"a": ["b", b"c"]}),
        (JSONField(), (Whole(1), Real(1.5), Text("a")), [1, 1.5, "a"]),
    ],
)
def test_a_value_of_a_kindred_type_becomes_the_plain_one(field: AnyField, value: object, plain: object) -> None:
    result = checked(field, value)
    assert result == plain
    assert exact_types(result) == exact_types(plain)


def exact_types(value: object) -> object:
    if isinstance(value, list):
        return [list, *map(exact_types, value)]
    if isinstance(value, dict):
        return {key: (type(key), exact_types(item)) for key, item in value.items()}
    return type(value)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "values"),
    [
        (StringField(), [b"a", 1, True, Color.RED, ["a"]]),
        (IntegerField(), [True, 1.0, "1", Decimal(1), Color.RED]),
        (FloatField(), [True, "1.5", Decimal("1.5"), 1j]),
        (BooleanField(), [0, 1, "true", 1.0]),
        (BytesField(), ["a", [1, 2]]),
        (DateTimeField(), [DAY, "2024-02-29", 0, NotATime(2024, 1, 1)]),
        (DateField(), [NOON, "2024-02-29", 0]),
        (TimeField(), [NOON, "12:00", 0]),
        (DecimalField(), [1.5, "1.5", True]),
        (UUIDField(), [str(uuid.UUID(int=5)), b"x" * 16, 5]),
        (ListField(), ["ab", {1}, {"a": 1}, frozenset()]),
        (ListField(IntegerField()), ["ab", {1}, range(3)]),
        (DictField(), [[("a", 1)], "a"]),
        (JSONField(), [b"a", DAY, Decimal(1), {1}, object()]),
    ],
)
def test_a_value_of_another_type_is_refused(field: AnyField, values: list[object]) -> None:
    assert [codes(field, value) for value in values] == [["type"]] * len(values)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (StringField(min_length=2), "a", ["min_length"]),
        (StringField(max_length=1), "ab", ["max_length"]),
        (StringField(max_length=1, pattern="a"), "ab", ["max_length", "pattern"]),
        (StringField(pattern="a"), "a\n", ["pattern"]),
        (StringField(pattern="a|b"), "ab", ["pattern"]),
        (StringField(choices=["a"]), "b", ["choices"]),
        (StringField(), SURROGATE, ["unicode"]),
        (IntegerField(min_value=0), -1, ["min_value"]),
        (IntegerField(max_value=0), 2**70, ["max_value"]),
        (IntegerField(min_value=2**70), 2**70 - 1, ["min_value"]),
        (IntegerField(choices=[1]), 2, ["choices"]),
        (FloatField(min_value=0), -0.5, ["min_value"]),
        (FloatField(max_value=0), 1, ["max_value"]),
        (FloatField(), float("nan"), ["finite"]),
        (FloatField(), float("inf"), ["finite"]),
        (FloatField(), 10**400, ["finite"]),
        (FloatField(allow_nan=True, max_value=5), float("inf"), ["max_value"]),
        (BytesField(min_length=1), b"", ["min_length"]),
        (BytesField(max_length=1), bytearray(2), ["max_length"]),
        (DateTimeField(timezone=True), NAIVE_NOON, ["timezone"]),
        (DateTimeField(timezone=False), NOON, ["timezone"]),
        (DateTimeField(min_value=NOON), NAIVE_NOON, ["timezone"]),
        (DateTimeField(max_value=NAIVE_NOON), NOON, ["timezone"]),
        (DateTimeField(min_value=NOON), NOON - datetime.timedelta(1), ["min_value"]),
        (DateTimeField(max_value=NOON), NOON + datetime.timedelta(1), ["max_value"]),
        (DateTimeField(), FIRST_MOMENT, ["unstorable"]),
        (DateTimeField(), LAST_MOMENT, ["unstorable"]),
        (DateTimeField(), NAIVE_NOON.replace(tzinfo=NoOffset()), ["unstorable"]),
        (DateField(min_value=DAY), DAY - datetime.timedelta(1), ["min_value"]),
        (TimeField(max_value=datetime.time(1)), datetime.time(2), ["max_value"]),
        (TimeField(), datetime.time(1, tzinfo=UTC), ["timezone"]),
        (DecimalField(), Decimal("NaN"), ["finite"]),
        (DecimalField(), Decimal("sNaN"), ["finite"]),
        (DecimalField(), Decimal("-Infinity"), ["finite"]),
        (DecimalField(min_value=0), Decimal("-0.1"), ["min_value"]),
        (DecimalField(max_digits=2), Decimal("12.5"), ["max_digits"]),
        (DecimalField(max_digits=2), Decimal("1E+2"), ["max_digits"]),
        (DecimalField(decimal_places=1), Decimal("0.05"), ["decimal_places"]),
        (DecimalField(max_digits=3, decimal_places=2), Decimal(12), ["max_digits"]),
        (DecimalField(max_digits=2, decimal_places=1), Decimal("1.25"), ["decimal_places", "max_digits"]),
        (EnumField(Color), "green", ["enum"]),
        (EnumField(Color), Level.LOW, ["enum"]),
        (EnumField([1, 2]), True, ["enum"]),
        (EnumField([1, 2]), 1.0, ["enum"]),
        (EnumField(["a"]), [], ["enum"]),
        (EnumField(Access), Access.READ | Access.WRITE, ["enum"]),
        (ListField(max_length=1), [1, 2], ["max_length"]),
        (ListField(min_length=1), (), ["min_length"]),
        (DictField(max_length=1), {"a": 1, "b": 2}, ["max_length"]),
        (JSONField(), float("nan"), ["finite"]),
    ],
)
def test_a_value_beyond_a_limit_is_refused(field: AnyField, value: object, expected: list[str]) -> None:
    assert codes(field, value) == expected


def test_none_needs_a_nullable_field() -> None:
    assert codes(IntegerField(required=True), None) == ["null"]
    assert codes(IntegerField(nullable=False), None) == ["null"]
    assert checked(IntegerField(), None) is None
    assert checked(IntegerField(required=True, nullable=True), None) is None


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (ListField(IntegerField(min_value=0)), [1, -1, "x"], [("f[1]", "min_value"), ("f[2]", "type")]),
        (ListField(ListField(StringField())), [["a"], ["b", 3]], [("f[1][1]", "type")]),
        (ListField(StringField()), ["a", None], [("f[1]", "null")]),
        (ListField(), [1, {"k": [object()]}], [("f[1].k[0]", "unstorable")]),
        (ListField(), [SURROGATE], [("f[0]", "unicode")]),
        (DictField(), {"a": {"b": {1, 2}}}, [("f.a.b", "unstorable")]),
        (DictField(), {"a": {5: 1}}, [("f.a", "type")]),
        (DictField(), {SURROGATE: 1}, [("f", "unicode")]),
        (DictField(), {"a": datetime.time(1, tzinfo=UTC)}, [("f.a", "unstorable")]),
        (DictField(), {"a": FIRST_MOMENT, "b": 1j}, [("f.a", "unstorable"), ("f.b", "unstorable")]),
        (DictField(), {"a": NotATime(2024, 1, 1)}, [("f.a", "unstorable")]),
        (JSONField(), {"a": [1, DAY]}, [("f.a[1]", "type")]),
        (JSONField(), {"a": [float("inf")]}, [("f.a[0]", "finite")]),
    ],
)
def test_an_error_inside_a_value_tells_its_path(
    field: AnyField, value: object, expected: list[tuple[str, str]]
) -> None:
    assert paths(field, value) == expected


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize("field", [ListField(), JSONField()])
def test_values_nest_64_deep_and_no_deeper(field: AnyField) -> None:
    assert checked(field, nested(64)) == nested(64)
    assert paths(field, nested(65)) == [("f" + "[0]" * 64, "unstorable")]


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = [1]
    loop += [loop, {"again": loop}]
    assert paths(ListField(), loop) == [("f[1]", "unstorable"), ("f[2].again", "unstorable")]


def test_a_part_that_stands_twice_in_a_value_is_no_loop() -> None:
    part = [1]
    assert checked(ListField(), [part, part]) == [[1], [1]]


@pytest.mark.parametrize(
    ("field", "value"), [(ListField(), [[1]]), (ListField(IntegerField()), [1]), (DictField(), {"a": [1]})]
)
def test_lists_and_dicts_are_copied(field: AnyField, value: Any) -> None:
    result = checked(field, value)
    assert result == value
    assert result is not value


def test_a_message_holds_no_value_of_the_row() -> None:
    secret = "correct horse"  # noqa: S105  # it is looked for in messages
    errors: Errors = []
    StringField(max_length=1, pattern="x", choices=["x"]).check(secret, "f", errors)
    IntegerField().check(secret, "f", errors)
    EnumField(Color).check(secret, "f", errors)
    ListField(StringField(max_length=1)).check([secret], "f", errors)
    JSONField().check({"a": secret.encode()}, "f", errors)
    assert len(errors) == 7
    assert not any(secret in error.message for error in errors)
    assert errors[0].value == secret


# --- validators -------------------------------------------------------------------------------------------------------


def is_even(value: int) -> bool:
    return value % 2 == 0


def refuse_seven(value: int) -> None:
    if value == 7:
        raise ValueError("seven is taken")
    if value == 8:
        raise AssertionError
    if value == 9:
        raise AssertionError("nine is taken too")


def test_validators_refuse_by_a_false_answer_or_by_raising() -> None:
    field = IntegerField(validators=[is_even, refuse_seven])
    errors: Errors = []
    for value in (2, 7, 8, 9):
        field.check(value, str(value), errors)
    assert [(error.field, error.code, error.message.rpartition(".")[2]) for error in errors] == [
        ("7", "validator", "is_even"),
        ("7", "validator", "seven is taken"),
        ("8", "validator", "refuse_seven"),
        ("9", "validator", "is_even"),
        ("9", "validator", "nine is taken too"),
    ]


def test_validators_see_checked_values_only() -> None:
    seen: list[object] = []
    field = FloatField(min_value=0, validators=[seen.append])
    for value in (1, -1, "x", None):
        field.check(value, "f", [])
    assert seen == [1.0]
    assert isinstance(seen[0], float)


def test_the_validators_of_an_enum_field_see_members() -> None:
    seen: list[Color] = []
    checked(EnumField(Color, validators=[seen.append]), "red")
    assert seen == [Color.RED]


def test_another_exception_of_a_validator_is_not_hidden() -> None:
    field = StringField(validators=[lambda text: text.no_such_method()])  # type: ignore[attr-defined]  # the point
    with pytest.raises(AttributeError):
        field.check("a", "f", [])


# --- stored values ----------------------------------------------------------------------------------------------------


def test_enum_members_are_stored_as_plain_values_and_restored() -> None:
    field = ListField(ListField(EnumField(Color, nullable=True)))
    stored = field.to_stored([[Color.RED, None], []])
    assert stored == [["red", None], []]
    assert field.from_stored(stored) == [[Color.RED, None], []]
    assert field.is_restored
    assert not ListField(ListField(EnumField(["red"]))).is_restored


def test_a_stored_value_that_the_class_has_lost_stays_plain() -> None:
    assert EnumField(Color).from_stored("green") == "green"


def test_an_enum_value_of_a_subclass_is_stored_plain() -> None:
    class Odd(enum.Enum):
        A = Text("a")

    stored = EnumField(Odd).to_stored(Odd.A)
    assert stored == "a"
    assert type(stored) is str


# --- declarations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field_class", "options"),
    [
        (StringField, {"min_length": 2, "max_length": 1}),
        (StringField, {"min_length": -1}),
        (StringField, {"max_length": 1.0}),
        (StringField, {"max_length": True}),
        (StringField, {"max_length": 2**64}),
        (StringField, {"pattern": "("}),
        (StringField, {"pattern": 5}),
        (StringField, {"pattern": re.compile(b"a")}),
        (StringField, {"choices": []}),
        (StringField, {"choices": "abc"}),
        (StringField, {"choices": 5}),
        (StringField, {"choices": [1]}),
        (StringField, {"choices": [None]}),
        (StringField, {"choices": ["long"], "max_length": 1}),
        (StringField, {"default": 5}),
        (StringField, {"default": "long", "max_length": 1}),
        (StringField, {"default": None, "required": True}),
        (StringField, {"default": "a", "default_factory": str}),
        (StringField, {"default_factory": "a"}),
        (StringField, {"default": "a", "validators": [str.isupper]}),
        (StringField, {"validators": [5]}),
        (StringField, {"validators": str.isupper}),
        (StringField, {"required": 1}),
        (StringField, {"unique": None}),
        (StringField, {"nullable": "no"}),
        (StringField, {"primary_key": True, "nullable": True}),
        (IntegerField, {"min_value": 2, "max_value": 1}),
        (IntegerField, {"min_value": 1.0}),
        (IntegerField, {"choices": [True]}),
        (FloatField, {"min_value": float("nan")}),
        (FloatField, {"max_value": float("inf"), "allow_nan": True}),
        (FloatField, {"allow_nan": 1}),
        (FloatField, {"allow_nan": True, "primary_key": True}),
        (BytesField, {"min_length": "1"}),
        (DateTimeField, {"min_value": NOON, "max_value": NAIVE_NOON}),
        (DateTimeField, {"min_value": NOON, "timezone": False}),
        (DateTimeField, {"max_value": NAIVE_NOON, "timezone": True}),
        (DateTimeField, {"timezone": "UTC"}),
        (DateTimeField, {"min_value": DAY}),
        (DateField, {"min_value": NOON}),
        (TimeField, {"min_value": datetime.time(1, tzinfo=UTC)}),
        (DecimalField, {"max_digits": 0}),
        (DecimalField, {"decimal_places": -1}),
        (DecimalField, {"max_digits": 1, "decimal_places": 2}),
        (DecimalField, {"min_value": 0.5}),
        (EnumField, {"values": []}),
        (EnumField, {"values": "abc"}),
        (EnumField, {"values": 5}),
        (EnumField, {"values": str}),
        (EnumField, {"values": [1.5]}),
        (EnumField, {"values": [True]}),
        (EnumField, {"values": [SURROGATE]}),
        (EnumField, {"values": enum.Enum("Nothing", [])}),
        (EnumField, {"values": enum.Enum("Odd", {"A": [1]})}),
        (EnumField, {"values": ["a"], "default": "b"}),
        (ListField, {"item": str}),
        (ListField, {"item": StringField}),
        (ListField, {"item": StringField(default="a")}),
        (ListField, {"item": StringField(index=True)}),
        (ListField, {"item": StringField(primary_key=True)}),
        (ListField, {"primary_key": True}),
        (DictField, {"unique": True}),
        (DictField, {"default": {1: 2}}),
        (JSONField, {"index": True}),
        (JSONField, {"default": b""}),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(field_class: Any, options: dict[str, Any]) -> None:
    with pytest.raises(SchemaDefinitionError) as caught:
        field_class(**options)
    assert caught.value.field is None
    assert field_class.__name__ in caught.value.message


def test_a_primary_key_is_required() -> None:
    field = StringField(primary_key=True)
    assert field.required
    assert not field.is_nullable


def test_a_field_never_changes() -> None:
    with pytest.raises(AttributeError):
        StringField().max_length = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # the point


class OriginField(StringField):
    """A field of a program's own, which remembers something besides."""

    def __init__(self, origin: str) -> None:
        super().__init__(max_length=5)
        self.origin = origin


def test_a_field_of_a_program_may_have_attributes_of_its_own_but_keeps_its_options() -> None:
    field = OriginField("form")
    assert (field.origin, field.max_length, field.min_length) == ("form", 5, None)
    with pytest.raises(AttributeError):
        field.max_length = 6  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # the point
    with pytest.raises(AttributeError):
        del field.max_length  # pyright: ignore[reportAttributeAccessIssue]  # as above


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StringField("a"), "takes by position: nothing"),  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
        (lambda: ListField(StringField(), item=StringField()), "each option once"),  # type: ignore[misc]  # pyright: ignore[reportCallIssue]
        (EnumField, "EnumField needs the option values"),
        (lambda: StringField(size=3), "StringField has no option size"),  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ],
)
def test_a_field_is_declared_by_its_own_options(make: Callable[[], AnyField], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_help_shows_the_options_of_a_field() -> None:
    assert str(inspect.signature(StringField)).startswith("(*, required=False, default=UNSET, ")
    assert str(inspect.signature(ListField)).startswith("(item=None, *, required=False, ")
    assert str(inspect.signature(EnumField)).startswith("(values, *, required=False, ")
    assert str(inspect.signature(OriginField)) == "(origin: 'str') -> 'None'"


def test_options_may_be_given_by_position_where_the_class_says_so() -> None:
    item = StringField()
    assert ListField(item).item is ListField(item=item).item is item
    assert pickle.loads(pickle.dumps(ListField(item, max_length=3))).max_length == 3  # noqa: S301  # our own
    assert copy.copy(ListField(item)).item is item


def test_limits_and_defaults_take_their_plain_form() -> None:
    assert type(FloatField(min_value=1).min_value) is float
    assert type(DecimalField(max_value=1).max_value) is Decimal
    assert StringField(choices=iter(["a"])).choices == ("a",)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert ListField(default=(1, 2)).default == [1, 2]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert EnumField(Color, default="red").default is Color.RED


def test_the_limits_of_a_datetime_field_decide_its_timezone() -> None:
    assert DateTimeField(min_value=NOON).timezone is True
    assert DateTimeField(max_value=NAIVE_NOON).timezone is False
    assert DateTimeField().timezone is None


def test_the_repr_shows_the_options_that_were_given() -> None:
    assert repr(StringField()) == "StringField()"
    assert repr(IntegerField(required=True, min_value=0)) == "IntegerField(required=True, min_value=0)"
    assert repr(StringField(default=None)) == "StringField(default=None)"
    assert repr(ListField(BooleanField(nullable=True))) == "ListField(BooleanField(nullable=True))"


def test_a_field_can_be_pickled() -> None:
    field = pickle.loads(pickle.dumps(EnumField(Color, default=Color.RED)))  # noqa: S301  # our own bytes
    assert repr(field) == repr(EnumField(Color, default=Color.RED))
    assert checked(field, "red") is Color.RED


@pytest.mark.parametrize("module", [fields, container_fields, schema, validation])
def test_the_examples_in_the_docstrings_run(module: Any) -> None:
    names = {name: getattr(minidb.schema, name) for name in minidb.schema.__all__}
    results = doctest.testmod(module, extraglobs=names)
    assert results.attempted > 0
    assert results.failed == 0
