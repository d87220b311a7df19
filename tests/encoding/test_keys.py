"""The key encoding: round trip, order, self-delimiting, one spelling, and the bytes that are on disk."""

from __future__ import annotations

import datetime as dt
import enum
import math
import re
import struct
from collections.abc import Callable
from decimal import Decimal, localcontext
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from minidb.encoding import type_codes
from minidb.encoding.keys import (
    NESTING_LIMIT,
    KeyValue,
    decode_integer,
    decode_values,
    encode_integer,
    encode_number,
    encode_value,
    encode_values,
    successor,
)
from minidb.exceptions import CorruptionError

GOLDEN = Path(__file__).with_name("golden_keys.txt")
KEY_FORMAT = Path(__file__).parents[2] / "docs" / "design" / "key-format.md"

FIRST_MOMENT = dt.datetime.min
LAST_MOMENT = dt.datetime.max
LEAP_DAY = dt.datetime(2024, 2, 29)

# --- values -----------------------------------------------------------------------------------------------------------

# Powers of two and of 256 with their neighbours are where the length of an integer changes.
edges_of_integers = st.builds(
    lambda power, step, sign: sign * ((1 << power) + step),
    st.integers(0, 1100),
    st.integers(-1, 1),
    st.sampled_from([-1, 1]),
)
integers = st.integers() | edges_of_integers | st.integers(-(2**2048), 2**2048)
floats = st.floats(allow_nan=False)
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text(alphabet="\x00\x01\x02a\u00ff\U0010ffff")
byte_strings = st.binary() | st.binary().map(lambda data: bytes(byte % 4 for byte in data))
zones = st.timedeltas(dt.timedelta(hours=-24, microseconds=1), dt.timedelta(hours=24, microseconds=-1)).map(dt.timezone)
naive_datetimes = st.datetimes()
aware_datetimes = st.datetimes(timezones=zones)
decimals = (
    st.decimals(allow_nan=False)
    | st.builds(
        lambda sign, digits, exponent: Decimal((sign, tuple(digits), exponent)),
        st.integers(0, 1),
        st.lists(st.integers(0, 9), min_size=1, max_size=60),
        st.integers(-400, 400) | st.integers(-(10**17), 10**17),
    )
)  # fmt: skip

OF_ONE_TYPE: dict[str, SearchStrategy[Any]] = {  # Any: each strategy has its own type
    "null": st.none(),
    "boolean": st.booleans(),
    "integer": integers,
    "float": floats,
    "string": texts,
    "bytes": byte_strings,
    "date": st.dates(),
    "naive datetime": naive_datetimes,
    "aware datetime": aware_datetimes,
    "time": st.times(),
    "decimal": decimals,
    "uuid": st.uuids(),
}
pairs_of_one_type = st.one_of([st.tuples(strategy, strategy) for strategy in OF_ONE_TYPE.values()])
scalars = st.one_of(list(OF_ONE_TYPE.values()))
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=12)
keys = st.lists(values, max_size=4)
numbers = floats | integers | st.integers(-2, 2).flatmap(lambda step: floats.map(lambda number: beside(number, step)))


def beside(number: float, step: int) -> float:
    """Return an int next to a float: the pairs that a detour through float would confuse."""
    return int(number) + step if math.isfinite(number) else number


def rank(value: object) -> int:
    """Return where the type of a value stands in the order across types."""
    kinds: list[Callable[[object], bool]] = [
        lambda value: value is None,
        lambda value: isinstance(value, bool),
        lambda value: isinstance(value, int),
        lambda value: isinstance(value, float),
        lambda value: isinstance(value, str),
        lambda value: isinstance(value, bytes),
        lambda value: isinstance(value, dt.date) and not isinstance(value, dt.datetime),
        lambda value: isinstance(value, dt.datetime) and value.utcoffset() is None,
        lambda value: isinstance(value, dt.datetime),
        lambda value: isinstance(value, dt.time),
        lambda value: isinstance(value, Decimal),
        lambda value: isinstance(value, UUID),
        lambda value: isinstance(value, tuple),
    ]
    return next(place for place, is_kind in enumerate(kinds) if is_kind(value))


def compare(left: Any, right: Any) -> int:  # Any: values of one rank are comparable, which no type can say
    """Return -1, 0 or 1: the order that keys must have, said without any bytes."""
    if rank(left) != rank(right):
        return -1 if rank(left) < rank(right) else 1
    if left is None:
        return 0
    if isinstance(left, tuple):
        for left_element, right_element in zip(left, right, strict=False):
            if order := compare(left_element, right_element):
                return order
        return (len(left) > len(right)) - (len(left) < len(right))
    return int(left > right) - int(left < right)


def order_of(left: bytes, right: bytes) -> int:
    return (left > right) - (left < right)


def plain(value: object) -> object:
    return tuple(plain(element) for element in value) if isinstance(value, list | tuple) else value


# --- round trip -------------------------------------------------------------------------------------------------------


@given(keys)
@example([FIRST_MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=23, minutes=59)))])
@example([LAST_MOMENT.replace(tzinfo=dt.timezone(-dt.timedelta(hours=23, minutes=59)))])
@example([dt.date.min, dt.date.max, FIRST_MOMENT, LAST_MOMENT, dt.time.min, dt.time.max])
@example([1.7976931348623157e308, 5e-324, -5e-324, math.inf, -math.inf])
@example([Decimal("9.99E+999999999999999999"), Decimal("-1E-1999999999999999997"), Decimal("-0E+5")])
@example([(), ((),), ((), ()), ("", b"", None)])
def test_a_key_decodes_to_the_values_it_was_made_of(key: list[KeyValue]) -> None:
    decoded = decode_values(encode_values(key))
    assert decoded == tuple(key)
    assert [type(value) for value in decoded] == [type(value) for value in key]


@given(integers)
def test_the_fast_path_for_integers_makes_the_bytes_of_encode_value(value: int) -> None:
    encoding = encode_integer(value)
    assert encoding == encode_value(value) == encode_values([value])
    assert decode_integer(encoding) == value
    assert decode_values(encoding) == (value,)


@given(numbers)
def test_a_number_decodes_to_an_equal_number(value: float) -> None:
    (decoded,) = decode_values(encode_number(value))
    assert decoded == value
    assert isinstance(decoded, float | int)
    assert isinstance(decoded, int) == (isinstance(value, int) or value.is_integer())


def test_a_nan_comes_back_as_a_nan() -> None:
    for encoding in (encode_value(math.nan), encode_number(math.nan)):
        (decoded,) = decode_values(encoding)
        assert isinstance(decoded, float)
        assert math.isnan(decoded)


def test_a_list_comes_back_as_a_tuple() -> None:
    assert decode_values(encode_value(["a", [1, ()]])) == (("a", (1, ())),)


@given(aware_datetimes)
def test_an_aware_datetime_comes_back_in_utc(value: dt.datetime) -> None:
    (decoded,) = decode_values(encode_value(value))
    assert isinstance(decoded, dt.datetime)
    try:
        assert decoded == value.astimezone(dt.UTC)
        assert decoded.tzinfo is dt.UTC
    except OverflowError:  # no datetime in UTC can name this moment
        assert decoded == value


def test_a_datetime_whose_zone_gives_no_offset_counts_as_naive() -> None:
    class Nowhere(dt.tzinfo):
        def utcoffset(self, _: dt.datetime | None) -> None:
            return None

        def dst(self, _: dt.datetime | None) -> None:
            return None

        def tzname(self, _: dt.datetime | None) -> None:
            return None

    assert encode_value(LEAP_DAY.replace(tzinfo=Nowhere())) == encode_value(LEAP_DAY)


def test_the_hour_that_a_clock_shows_twice_is_two_moments() -> None:
    first = dt.datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Paris"))
    again = first.replace(fold=1)
    assert encode_value(first) == encode_value(dt.datetime(2024, 10, 27, 0, 30, tzinfo=dt.UTC))
    assert encode_value(again) == encode_value(dt.datetime(2024, 10, 27, 1, 30, tzinfo=dt.UTC))


# --- order ------------------------------------------------------------------------------------------------------------


@given(pairs_of_one_type)
def test_within_a_type_the_bytes_sort_as_the_values_do(pair: tuple[KeyValue, KeyValue]) -> None:
    left, right = pair
    assert order_of(encode_value(left), encode_value(right)) == compare(left, right)


@given(edges_of_integers, edges_of_integers)
def test_integers_of_any_length_sort_by_value(left: int, right: int) -> None:
    assert order_of(encode_integer(left), encode_integer(right)) == (left > right) - (left < right)


@given(st.lists(numbers, min_size=2, max_size=8))
@example([2**53, 2.0**53, 2**53 + 1, 2**53 + 2.0])
@example([-(10**400), -math.inf, -1.7976931348623157e308, 10**400, math.inf, 10**401])
@example([int(1.7976931348623157e308), 1.7976931348623157e308, int(1.7976931348623157e308) + 1, 2**1024])
@example([0, 0.0, -0.0, 5e-324, -5e-324])
def test_ints_and_floats_share_one_order_as_numbers(mixed: list[float]) -> None:
    for left in mixed:
        for right in mixed:
            assert order_of(encode_number(left), encode_number(right)) == (left > right) - (left < right)


@given(keys, keys)
def test_compound_keys_sort_as_tuples_of_their_values(left: list[KeyValue], right: list[KeyValue]) -> None:
    assert order_of(encode_values(left), encode_values(right)) == compare(tuple(left), tuple(right))


@given(values, values)
def test_mixed_types_sort_as_their_type_codes_do(left: KeyValue, right: KeyValue) -> None:
    assert order_of(encode_value(left), encode_value(right)) == compare(left, right)


@given(texts, texts)
def test_a_string_sorts_before_the_longer_ones_that_begin_with_it(stem: str, rest: str) -> None:
    assert order_of(encode_values([stem, "\U0010ffff"]), encode_values([stem + rest, ""])) == (-1 if rest else 1)


def test_nan_sorts_after_every_other_float_and_number() -> None:
    assert encode_value(math.nan) > encode_value(math.inf)
    assert encode_number(math.nan) > encode_number(math.inf) > encode_number(10**1000)


# --- one spelling, self-delimiting ------------------------------------------------------------------------------------


@given(values, values)
def test_no_encoding_is_a_proper_prefix_of_another(left: KeyValue, right: KeyValue) -> None:
    left_bytes, right_bytes = encode_value(left), encode_value(right)
    assert left_bytes == right_bytes or not right_bytes.startswith(left_bytes)


@given(pairs_of_one_type)
@example(("a", "a\x00"))
@example((b"a", b"a\x00"))
@example((Decimal(1), Decimal("1.0")))
def test_within_a_type_only_equal_values_share_a_beginning(pair: tuple[KeyValue, KeyValue]) -> None:
    left, right = pair
    assert encode_value(right).startswith(encode_value(left)) == (left == right)


@given(numbers, numbers)
def test_no_number_is_a_proper_prefix_of_another(left: float, right: float) -> None:
    assert encode_number(right).startswith(encode_number(left)) == (left == right)


@given(texts, texts)
def test_the_open_end_of_a_string_begins_all_strings_that_begin_with_it(stem: str, other: str) -> None:
    open_end = encode_value(stem)[:-1]
    assert encode_value(stem + other).startswith(open_end)
    assert encode_value(other).startswith(open_end) == other.startswith(stem)


@given(decimals, st.integers(0, 30))
def test_equal_decimals_have_equal_bytes(value: Decimal, zeros: int) -> None:
    sign, digits, exponent = value.as_tuple()
    if isinstance(exponent, int) and exponent > -(10**17):
        longer = Decimal((sign, digits + (0,) * zeros, exponent - zeros))
        assert encode_value(longer) == encode_value(value)


def test_a_decimal_ignores_the_precision_of_the_decimal_context() -> None:
    long = Decimal("123456789.123456789")
    expected = encode_value(long)
    with localcontext() as context:
        context.prec = 3
        assert encode_value(long) == expected
        assert decode_values(expected) == (long,)


def test_the_zeros_are_one_zero() -> None:
    assert encode_value(-0.0) == encode_value(0.0)
    assert encode_number(-0.0) == encode_number(0) == encode_number(0.0)
    assert encode_value(Decimal("-0")) == encode_value(Decimal("0.00")) == encode_value(Decimal("0E+9"))


def test_every_nan_has_the_same_bytes() -> None:
    (signalling,) = struct.unpack(">d", bytes.fromhex("fff0000000000001"))
    assert encode_value(signalling) == encode_value(math.nan)
    assert encode_number(signalling) == encode_number(-math.nan)


# --- plain values of subclasses, and refusals -------------------------------------------------------------------------


class LoudText(str):
    """A string whose overrides would corrupt a key that they reach."""

    __slots__ = ()

    def __format__(self, _: str) -> str:
        return "overridden"

    def __str__(self) -> str:
        return "overridden"

    def replace(self, *_: object) -> str:
        return "overridden"


class LoudInteger(int):
    def __add__(self, _: object) -> int:
        return 0

    def __int__(self) -> int:
        return 0


class Kilometres(float):
    pass


class Blob(bytes):
    pass


class Stamp(dt.datetime):
    pass


class Day(dt.date):
    pass


class Money(Decimal):
    pass


class Pair(tuple[int, int]):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "equivalent"),
    [
        (LoudText("a\x00b"), "a\x00b"),
        (LoudInteger(700), 700),
        (Kilometres(1.5), 1.5),
        (Blob(b"\x01"), b"\x01"),
        (Stamp(2024, 2, 29), LEAP_DAY),
        (Day(2024, 2, 29), dt.date(2024, 2, 29)),
        (Money("1.50"), Decimal("1.5")),
        (Pair((1, 2)), (1, 2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_subclass_encodes_as_the_type_it_extends(value: KeyValue, equivalent: KeyValue) -> None:
    expected = encode_value(equivalent)
    assert encode_value(value) == encode_values([value]) == expected
    assert encode_value((value, value)) == encode_value((equivalent, equivalent))
    assert {type(decoded) for decoded in decode_values(encode_value(value))} == {type(equivalent)}


def test_numbers_of_subclasses_encode_as_plain_numbers() -> None:
    assert encode_number(LoudInteger(700)) == encode_number(700)
    assert encode_number(Kilometres(1.5)) == encode_number(1.5)


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Name(enum.StrEnum):
    ADA = "ada"


@pytest.mark.parametrize(
    "value",
    [Colour.RED, Level.LOW, Name.ADA, {}, {1}, object(), bytearray(b"a"), memoryview(b"a"), 1j, range(3), Decimal],
    ids=lambda value: type(value).__name__,
)
def test_a_type_without_a_place_in_a_key_is_a_type_error_that_names_it(value: Any) -> None:  # Any: wrong on purpose
    name = re.escape(type(value).__qualname__)
    for refused in (value, [value], (("a", value),)):
        with pytest.raises(TypeError, match=rf"\b{name}\b"):
            encode_value(refused)
    with pytest.raises(TypeError, match=rf"\b{name}\b"):
        encode_values([1, value])


@pytest.mark.parametrize(
    "value", [True, Level.LOW, "1", None, Decimal(1), b"1"], ids=lambda value: type(value).__name__
)
def test_what_is_no_int_and_no_float_is_no_number(value: Any) -> None:  # Any: wrong on purpose
    with pytest.raises(TypeError, match=type(value).__qualname__):
        encode_number(value)


@pytest.mark.parametrize("value", ["1", None, 1.0, Decimal(1), b"1", (1,)], ids=lambda value: type(value).__name__)
def test_the_fast_path_for_integers_refuses_other_types(value: Any) -> None:  # Any: wrong on purpose
    with pytest.raises(TypeError, match=f"made of a value of type {type(value).__qualname__}"):
        encode_integer(value)


def test_a_time_with_a_zone_is_refused() -> None:
    with pytest.raises(TypeError, match="time zone"):
        encode_value(dt.time(12, tzinfo=dt.UTC))


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb", ("ok", "\udc00")])
def test_a_lone_surrogate_is_a_value_error(value: KeyValue) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        encode_value(value)


@pytest.mark.parametrize("spelling", ["NaN", "-NaN", "sNaN", "NaN123"])
def test_a_decimal_nan_is_a_value_error(spelling: str) -> None:
    with pytest.raises(ValueError, match="NaN"):
        encode_value(Decimal(spelling))


def nested(depth: int) -> KeyValue:
    value: KeyValue = ()
    for _ in range(depth - 1):
        value = (value,)
    return value


def test_tuples_may_be_nested_up_to_the_limit() -> None:
    deepest = nested(NESTING_LIMIT)
    assert decode_values(encode_value(deepest)) == (deepest,)
    with pytest.raises(ValueError, match="nested"):
        encode_value(nested(NESTING_LIMIT + 1))


def test_a_list_that_holds_itself_is_a_value_error() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested"):
        encode_value(endless)


# --- bytes that no encoding made --------------------------------------------------------------------------------------


def only_corruption_or_the_same_bytes(data: bytes) -> None:
    """Check that ``data`` is refused, or is the one spelling of what it decodes to."""
    try:
        decoded = decode_values(data)
    except CorruptionError:
        return
    number_free = bytes([type_codes.NUMBER]) not in data
    assert not number_free or encode_values(decoded) == data


@given(st.binary(max_size=40))
def test_random_bytes_are_refused_or_are_a_key(data: bytes) -> None:
    only_corruption_or_the_same_bytes(data)


@given(keys, st.data())
def test_a_damaged_key_is_refused_or_is_another_key(key: list[KeyValue], data: st.DataObject) -> None:
    encoding = bytearray(encode_values(key))
    if encoding:
        position = data.draw(st.integers(0, len(encoding) - 1))
        encoding[position] = data.draw(st.integers(0, 255))
    only_corruption_or_the_same_bytes(bytes(encoding))


@given(values)
def test_a_key_cut_short_within_a_value_is_refused(value: KeyValue) -> None:
    encoding = encode_value(value)
    for size in range(1, len(encoding)):
        with pytest.raises(CorruptionError):
            decode_values(encoding[:size])


@given(numbers)
def test_a_number_cut_short_is_refused(value: float) -> None:
    encoding = encode_number(value)
    for size in range(1, len(encoding)):
        with pytest.raises(CorruptionError):
            decode_values(encoding[:size])


@given(numbers, st.data())
def test_a_damaged_number_is_refused_or_is_another_number(value: float, data: st.DataObject) -> None:
    encoding = bytearray(encode_number(value))
    position = data.draw(st.integers(1, len(encoding) - 1))
    encoding[position] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_values(bytes(encoding))
    except CorruptionError:
        return
    assert encode_number(decoded[0]) == encoding[: len(encode_number(decoded[0]))]  # type: ignore[arg-type]  # a number


@pytest.mark.parametrize(
    ("spelling", "reason"),
    [
        ("00", "an end without a tuple"),
        ("ff", "a code that is never a type"),
        ("06", "a code without a type"),
        ("31 00", "an integer with a leading zero"),
        ("32 00 ff", "an integer longer than it need be"),
        ("2f ff", "a negative zero"),
        ("2e ff 00", "a negative integer longer than it need be"),
        ("39 00 00 00 08 01 02 03 04 05 06 07 08", "a big integer that would fit a short one"),
        ("39 00 00 00 09 00 02 03 04 05 06 07 08 09", "a big integer with a leading zero"),
        ("27 ff ff ff f6 ff 02 03 04 05 06 07 08 09", "a big negative integer with a leading zero"),
        ("39 ff ff ff ff 01", "a big integer without its bytes"),
        ("39 00 00", "a length without its bytes"),
        ("42 7f ff ff ff ff ff ff ff", "a negative zero float"),
        ("42 ff f8 00 00 00 00 00 01", "a NaN that is not the one"),
        ("42 00 07 ff ff ff ff ff ff", "a negative NaN"),
        ("40 bf f0 00 00 00 00 00 00 31 01", "a 2 spelled as the float 1 and a rest of 1"),
        ("40 bf f8 00 00 00 00 00 00 31 01", "a fraction with a rest"),
        ("40 ff f0 00 00 00 00 00 00 30", "an infinity with a rest of zero"),
        ("40 ff f0 00 00 00 00 00 00 20", "an infinity with the mark of the other"),
        ("40 bf f0 00 00 00 00 00 00 3f", "a finite number with the mark of infinity"),
        ("40 bf f0 00 00 00 00 00 00 50", "a number whose rest is no integer"),
        ("50 ff 00", "a string that is not UTF-8"),
        ("50 ed a0 80 00", "a lone surrogate"),
        ("50 c0 af 00", "UTF-8 longer than it need be"),
        ("58 01 03 00", "an unknown escape"),
        ("58 01 00", "an escape cut short"),
        ("58 61", "a byte string that does not end"),
        ("60 00 00 00", "day zero"),
        ("60 37 ba dc", "the day after the last"),
        ("62 ff ff ff ff ff ff ff ff", "a datetime beyond the calendar"),
        ("64 00 00 00 00 00 00 00 00", "a moment before the calendar"),
        ("64 ff ff ff ff ff ff ff ff", "a moment beyond the calendar"),
        ("66 14 1d d7 60 00", "midnight of the next day"),
        ("70 06", "a decimal of no known class"),
        ("70 04", "a decimal without an exponent"),
        ("70 04 50 31 00", "a decimal whose exponent is no integer"),
        ("70 04 30 00", "a decimal without digits"),
        ("70 04 30 31", "a decimal that does not end"),
        ("70 04 30 31 30 00", "a decimal with a zero at its end"),
        ("70 04 30 30 31 00", "a decimal with a zero at its beginning"),
        ("70 04 30 61 00", "a decimal with a letter"),
        ("70 04 38 7f ff ff ff ff ff ff ff 31 00", "an exponent beyond what decimals can be"),
        ("70 02 30 ce ff", "a negative decimal whose exponent is not complemented"),
        ("78 00 01", "a UUID cut short"),
        ("80 31 01", "a tuple that does not end"),
        ("80 00 00", "one end too many"),
        ("80 " * (NESTING_LIMIT + 1) + "00 " * (NESTING_LIMIT + 1), "tuples nested too deep"),
        ("80 " * 100_000, "tuples nested without end"),
    ],
    ids=lambda part: part if len(part) < 60 and not re.fullmatch(r"[0-9a-f ]*", part) else "",
)
def test_bytes_that_no_encoding_made_are_corruption(spelling: str, reason: str) -> None:
    assert reason
    with pytest.raises(CorruptionError):
        decode_values(bytes.fromhex(spelling))


def test_a_decimal_beyond_limits_is_corruption_also_where_the_context_does_not_trap() -> None:
    with localcontext() as context:
        context.clear_traps()
        with pytest.raises(CorruptionError):
            decode_values(bytes.fromhex("70 04 38 7f ff ff ff ff ff ff ff 31 00"))


@given(st.binary(max_size=16))
@example(b"")
@example(bytes.fromhex("31 00"))
@example(bytes.fromhex("2f ff"))
@example(bytes.fromhex("30 30"))
@example(encode_values([1, 2]))
@example(encode_number(5))
@example(encode_integer(2**80) + b"\x00")
@example(encode_integer(-(2**80))[:-1])
def test_decode_integer_takes_one_integer_and_nothing_else(data: bytes) -> None:
    try:
        value = decode_integer(data)
    except CorruptionError:
        assert not is_one_integer(data)
    else:
        assert encode_integer(value) == data


def is_one_integer(data: bytes) -> bool:
    try:
        decoded = decode_values(data)
    except CorruptionError:
        return False
    return [type(value) for value in decoded] == [int] and data[0] != type_codes.NUMBER


@given(values)
def test_messages_about_corruption_hold_no_value(value: KeyValue) -> None:
    with pytest.raises(CorruptionError) as refused:
        decode_values(encode_value(("a secret", value))[:-1])
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


# --- successor --------------------------------------------------------------------------------------------------------


@given(st.binary(), st.binary(), st.binary())
@example(b"\xff\xff", b"", b"")
@example(b"a\xff", b"\xff", b"b")
@example(b"", b"a", b"")
def test_the_successor_is_the_least_bound_of_all_keys_with_a_prefix(prefix: bytes, rest: bytes, other: bytes) -> None:
    bound = successor(prefix)
    if bound is None:
        assert not prefix.strip(b"\xff")
        return
    assert prefix + rest < bound
    assert (prefix <= other < bound) == other.startswith(prefix)
    # Nothing smaller would do: whatever is below the bound is reached by the prefix and enough 0xFF.
    if other < bound:
        assert other <= prefix + b"\xff" * (len(other) + 1)


@given(values, st.lists(values, max_size=2), values)
def test_a_prefix_range_holds_just_the_keys_that_begin_with_the_value(
    first: KeyValue, rest: list[KeyValue], other: KeyValue
) -> None:
    start = encode_value(first)
    stop = successor(start)
    assert stop is not None
    assert start <= encode_values([first, *rest]) < stop
    assert (start <= encode_values([other, *rest]) < stop) == (encode_value(other) == start)


# --- bytes on disk ----------------------------------------------------------------------------------------------------


class Number:
    """Marks, in the golden file and the document, what ``encode_number`` encodes."""

    def __init__(self, value: float) -> None:
        self.value = value


WORDS: dict[str, object] = {
    "datetime": dt,
    "Decimal": Decimal,
    "UUID": UUID,
    "number": Number,
    "inf": math.inf,
    "nan": math.nan,
}


def from_repr(text: str) -> Any:  # Any: whatever the line of the golden file spells
    return eval(text, {"__builtins__": {}}, dict(WORDS))  # noqa: S307  our own file, and reprs are Python


def encode_marked(value: Any) -> bytes:  # Any: as in from_repr
    return encode_number(value.value) if isinstance(value, Number) else encode_value(value)


def golden_lines() -> list[tuple[bytes, str]]:
    lines = [line for line in GOLDEN.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return [(bytes.fromhex(spelled), text) for spelled, text in (line.split(" = ", 1) for line in lines)]


def test_the_golden_keys_are_still_written_byte_for_byte() -> None:
    lines = golden_lines()
    assert len(lines) > 100
    assert [(encode_marked(from_repr(text)).hex(" "), text) for _, text in lines] == [
        (data.hex(" "), text) for data, text in lines
    ]


def test_the_golden_keys_are_still_read() -> None:
    for data, text in golden_lines():
        expected = from_repr(text)
        expected = expected.value if isinstance(expected, Number) else plain(expected)
        (decoded,) = decode_values(data)
        assert decoded == expected or (decoded != decoded and expected != expected), text  # noqa: PLR0124  a NaN


def test_the_golden_keys_stand_in_their_order() -> None:
    for (left, left_text), (right, right_text) in pairwise(golden_lines()):
        assert left < right, (left_text, right_text)


CODES = {
    name: number
    for name, number in vars(type_codes).items()
    if name.isupper() and not name.startswith("DECIMAL_") and not name.endswith("_REST")
}


def covered_codes(column: str) -> set[int]:
    """Return the codes of a table's first column: ``0x50``, ``0x10, 0x11``, ``0x28..0x2F``."""
    codes: set[int] = set()
    for part in column.split(","):
        first, _, last = part.strip().partition("..")
        codes.update(range(int(first, 16), int(last or first, 16) + 1))
    return codes


def documented_register() -> list[tuple[set[int], str, str]]:
    """Return codes, value and bytes of each row of the document's register."""
    section = KEY_FORMAT.read_text("utf-8").split("## The register", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `0x")]
    return [
        (covered_codes(codes.strip("` ")), value.strip("` "), spelled.strip("` ")) for codes, _, value, spelled in rows
    ]


def test_each_worked_example_of_the_document_is_what_the_code_writes() -> None:
    examples = [row for row in documented_register() if row[1] != "—"]
    assert examples
    for codes, text, spelled in examples:
        encoding = encode_marked(from_repr(text))
        assert encoding.hex(" ") == spelled, text
        assert encoding[0] in codes, text


def test_the_document_gives_every_type_code_an_example() -> None:
    documented = [code for codes, _, _ in documented_register() for code in codes]
    assert sorted(documented) == sorted(set(documented))
    assert set(CODES.values()) <= set(documented)
    without = {code for codes, text, _ in documented_register() if text == "—" for code in codes}
    assert without == {type_codes.END, type_codes.MAP, 0xFF}


def test_the_register_in_the_source_has_the_codes_of_the_document() -> None:
    assert type_codes.__doc__ is not None
    columns = re.findall(r"^    (0x\w\w(?:(?:, |\.\.)0x\w\w)*) ", type_codes.__doc__, flags=re.MULTILINE)
    in_source = [code for column in columns for code in covered_codes(column)]
    assert sorted(in_source) == sorted(code for codes, _, _ in documented_register() for code in codes)


def test_no_two_types_share_a_code_and_none_is_an_end() -> None:
    codes = [number for name, number in CODES.items() if name != "END"]
    assert len(codes) == len(set(codes))
    assert not {0x00, 0xFF} & set(codes)


def test_every_type_code_decodes() -> None:
    seen = {data[0] for data, _ in golden_lines()}
    integers_by_length = set(range(type_codes.NEGATIVE_BIG_INTEGER, type_codes.POSITIVE_BIG_INTEGER + 1))
    assert seen == (set(CODES.values()) - {type_codes.END, type_codes.MAP}) | integers_by_length
