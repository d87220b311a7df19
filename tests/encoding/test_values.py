"""Column values in msgpack: every type comes back as it was, and bytes that nothing wrote are refused."""

from __future__ import annotations

import datetime as dt
import math
from contextlib import suppress
from decimal import Decimal
from typing import cast

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from minidb.encoding import values
from minidb.encoding.values import unwrap, wrap
from minidb.exceptions import CorruptionError

_write = msgspec.msgpack.Encoder().encode
_read = msgspec.msgpack.Decoder(ext_hook=unwrap).decode

LONGEST_OFFSET = dt.timedelta(hours=24, microseconds=-1)

zones = st.timedeltas(-LONGEST_OFFSET, LONGEST_OFFSET).map(dt.timezone)
# A moment that UTC cannot name is refused before it is stored: the schema's tests show that.
aware_datetimes = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=zones)
integers = (
    st.integers()
    | st.integers(-(2**2048), 2**2048)
    | st.builds(lambda power, step: 2**power + step, st.integers(7, 65), st.integers(-1, 1))
    | st.builds(lambda power, step: -(2**power) + step, st.integers(7, 65), st.integers(-1, 1))
)
decimals = st.decimals(allow_nan=False) | st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(digits), exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=60),
    st.integers(-400, 400) | st.integers(-(10**17), 10**17),
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = (
    st.none()
    | st.booleans()
    | integers
    | st.floats()
    | texts
    | st.binary()
    | st.dates()
    | st.datetimes()
    | aware_datetimes
    | st.times()
    | decimals
    | st.uuids()
)
storable = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(texts, inner), max_leaves=12
)


def plain(value: object) -> object:
    """Return what a value comes back as, in a form that ``==`` compares with its type, and NaN with NaN."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value.hex())
    if isinstance(value, Decimal):
        return ("decimal", value.as_tuple())
    if isinstance(value, dt.datetime):
        return ("datetime", value.tzinfo is not None, value if value.tzinfo is None else value.astimezone(dt.UTC))
    return (type(value).__name__, value)


class ClockThatGoesBack(dt.tzinfo):
    """A zone in which one hour comes twice: first at two hours from UTC, then at one."""

    def utcoffset(self, moment: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(hours=2 - (0 if moment is None else moment.fold))

    def dst(self, _: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(0)

    def tzname(self, _: dt.datetime | None) -> str:
        return "back"


# --- round trip -------------------------------------------------------------------------------------------------------


@given(storable)
@example(2**63)
@example(2**64 - 1)
@example(2**64)
@example(-(2**63))
@example(-(2**63) - 1)
@example(-0.0)
@example(Decimal("-0.00"))
@example(Decimal("sNaN123"))
@example(dt.datetime.min)
@example(dt.datetime.max)
@example(dt.datetime.min.replace(tzinfo=dt.UTC))
@example(dt.datetime.max.replace(tzinfo=dt.UTC))
@example([[[{"": [2**70, {"\0": dt.date.max}]}]]])
def test_every_value_comes_back_as_it_was(value: object) -> None:
    assert plain(_read(_write(wrap(value)))) == plain(value)


@given(aware_datetimes)
def test_an_aware_datetime_comes_back_in_utc(moment: dt.datetime) -> None:
    back = _read(_write(wrap(moment)))
    assert (back, back.tzinfo) == (moment, dt.UTC)


@pytest.mark.parametrize("fold", [0, 1])
def test_an_hour_that_comes_twice_keeps_which_one_it_was(fold: int) -> None:
    moment = dt.datetime(2024, 10, 27, 2, 30, tzinfo=ClockThatGoesBack(), fold=fold)
    assert _read(_write(wrap(moment))) == dt.datetime(2024, 10, 27, fold, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize("value", [dt.datetime(2024, 10, 27, 2, 30, fold=1), dt.time(2, 30, fold=1)])
def test_without_a_zone_the_fold_is_forgotten(value: dt.datetime | dt.time) -> None:
    assert _read(_write(wrap(value))).fold == 0


@given(st.lists(storable).map(tuple))
def test_a_tuple_comes_back_as_a_list(value: tuple[object, ...]) -> None:
    assert plain(_read(_write(wrap(value)))) == plain(list(value))


@pytest.mark.parametrize("value", [None, True, 0, -(2**63), 2**64 - 1, 1.5, "text", b"bytes"])
def test_a_value_that_msgpack_knows_is_not_touched(value: object) -> None:
    assert wrap(value) is value


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
def test_an_integer_beyond_64_bits_is_an_extension(value: int) -> None:
    assert isinstance(wrap(value), Ext)


@pytest.mark.parametrize("value", [2**64, 2**71 - 1, 2**71, -(2**63) - 1, -(2**71), -(2**71) - 1])
def test_a_big_integer_has_room_for_its_sign(value: int) -> None:
    wrapped = cast("Ext", wrap(value))
    assert unwrap(wrapped.code, memoryview(wrapped.data)) == value


def test_wrapping_leaves_the_container_as_it_was() -> None:
    inner = [2**70]
    value = {"list": inner}
    wrap(value)
    assert value == {"list": [2**70]}
    assert value["list"] is inner


# --- bytes that nothing wrote -----------------------------------------------------------------------------------------


@given(st.integers(0, 9), st.binary(max_size=40) | st.text("0123456789-:.+TWZeEnN ", max_size=30).map(str.encode))
@example(values.DATE, b"2024-02-30")
@example(values.NAIVE_DATETIME, b"25:00")
@example(values.TIME, b"24:00:01")
@example(values.DECIMAL, b"1E+99999999999999999999999")
@example(values.UUID, b"too short")
def test_an_extension_is_read_or_refused_as_corruption(code: int, payload: bytes) -> None:
    with suppress(CorruptionError):
        unwrap(code, memoryview(payload))


@pytest.mark.parametrize(
    ("code", "payload"),
    [
        (values.DATE, b"2024-02-30"),
        (values.DATE, "2024\u066002-01".encode()),
        (values.NAIVE_DATETIME, b"noon"),
        (values.TIME, b"25:00:00"),
        (values.DECIMAL, b"one"),
        (values.UUID, b"\x00" * 15),
        (values.SET, b""),
        (values.SET, b"\x01"),
        (values.SET, b"\x92\x01"),
        (values.SET, b"\x91\x80"),
        (values.SET, b"\x91\xc7\x01\x07\x90"),
        (values.FROZENSET, b"\x91\xd4\x63\x00"),
        (99, b""),
    ],
)
def test_an_extension_that_nothing_wrote_is_corruption(code: int, payload: bytes) -> None:
    with pytest.raises(CorruptionError):
        unwrap(code, memoryview(payload))


def test_the_codes_are_those_on_disk() -> None:
    assert (values.DATE, values.NAIVE_DATETIME, values.TIME) == (1, 2, 3)
    assert (values.DECIMAL, values.UUID, values.BIG_INTEGER) == (4, 5, 6)
    assert (values.SET, values.FROZENSET) == (7, 8)
