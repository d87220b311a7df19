from __future__ import annotations

import datetime as dt
import json
import math
import struct
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidb.encoding.json_values import decode_line, encode_line, from_json, key_from_json, to_json
from minidb.exceptions import CorruptionError

TEXT = st.text(max_size=8) | st.text(max_size=4).map("!".__add__)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | TEXT
    | st.binary(max_size=8)
    | st.dates()
    | st.datetimes().map(lambda moment: moment.replace(fold=0))  # as moments are stored
    | st.datetimes(timezones=st.just(dt.UTC)).map(lambda moment: moment.replace(fold=0))
    | st.times().map(lambda clock: clock.replace(fold=0))
    | st.decimals(allow_nan=False)
    | st.uuids()
)
KEYS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT | st.binary(max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXT | st.sampled_from(["!set", "!map", "!frozenset"]), inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.sets(SCALARS, max_size=3)
        | st.frozensets(SCALARS, max_size=3)
    ),
    max_leaves=12,
)


def through(value: object) -> Any:
    return from_json(decode_line(encode_line(to_json(value))))


def shape(value: object) -> object:
    """Return what tells values apart that are equal and yet not the same."""
    match value:
        case float():
            return ("float", struct.pack(">d", value))
        case list():
            return list(map(shape, value))
        case dict():
            return {repr(shape(key)): shape(item) for key, item in value.items()}
        case set() | frozenset():
            return (type(value), sorted(repr(shape(one)) for one in value))
        case _:
            return (type(value), repr(value))


@given(VALUES)
def test_every_storable_value_comes_back_the_same(value: object) -> None:
    assert shape(through(value)) == shape(value)


@given(VALUES)
def test_a_line_is_json_without_line_ends_that_any_program_reads(value: object) -> None:
    line = encode_line(to_json(value))
    assert b"\n" not in line
    assert json.loads(line) == decode_line(line)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("plain", '"plain"'),
        ("!bang", '"!str:!bang"'),
        (2**63 - 1, "9223372036854775807"),
        (2**63, '"!int:8000000000000000"'),
        (-(2**70), '"!int:-400000000000000000"'),
        (math.nan, '"!float:nan"'),
        (-math.inf, '"!float:-inf"'),
        (-0.0, "-0.0"),
        (b"\x00\xff", '"!bytes:00ff"'),
        (Decimal("1.50"), '"!decimal:1.50"'),
        (Decimal("-Infinity"), '"!decimal:-Infinity"'),
        (dt.date(2024, 2, 29), '"!date:2024-02-29"'),
        (dt.datetime(2024, 2, 29, 12), '"!datetime:2024-02-29T12:00:00"'),
        (dt.datetime(1, 1, 1, tzinfo=dt.UTC), '"!datetime:0001-01-01T00:00:00+00:00"'),
        (dt.time(12, 0, 0, 1), '"!time:12:00:00.000001"'),
        (uuid.UUID(int=1), '"!uuid:00000000-0000-0000-0000-000000000001"'),
        ({"b", "a"}, '{"!set":["a","b"]}'),
        (frozenset(), '{"!frozenset":[]}'),
        ({1: "a"}, '{"!map":[[1,"a"]]}'),
        ({"!map": 1}, '{"!str:!map":1}'),
        ((1, (2,)), "[1,[2]]"),
    ],
)
def test_the_form_of_each_value_stays_as_it_is(value: object, line: str) -> None:
    assert encode_line(to_json(value)).decode() == line


def test_a_nan_of_other_bits_keeps_them() -> None:
    odd = struct.unpack(">d", bytes.fromhex("fff8000000000123"))[0]
    assert to_json(odd) == "!nan:fff8000000000123"
    assert struct.pack(">d", through(odd)) == bytes.fromhex("fff8000000000123")


def test_the_lists_of_a_key_are_tuples() -> None:
    assert key_from_json([1, [2, "!bytes:00"]]) == (1, (2, b"\x00"))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"nul",
        b"NaN",
        b"1 2",
        b'"\xff"',
        b'"\\ud800"',
        b"1e999",
        b"9" * 5000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_json_is_refused(line: bytes) -> None:
    with pytest.raises(CorruptionError):
        decode_line(line)


@pytest.mark.parametrize(
    "document",
    [
        "!",
        "!unknown:1",
        "!int:",
        "!int:xyz",
        "!float:1.5",
        "!nan:00",
        "!decimal:one",
        "!decimal:1E999999999999999999999",
        "!date:2024-02-30",
        "!bytes:0",
        "!uuid:1",
        {"!set": 1},
        {"!set": [{"a": 1}]},
        {"!frozenset": "a"},
        {"!map": {"a": 1}},
        {"!map": [[1]]},
        {"!map": [[{"a": 1}, 1]]},
        {"!other": 1},
        {"!set": [], "b": 1},
        {"!int:1": 1},
    ],
)
def test_what_no_value_is_written_as_is_refused(document: object) -> None:
    with pytest.raises(CorruptionError):
        from_json(document)


def test_nesting_is_limited() -> None:
    deep: object = 1
    for _ in range(300):
        deep = [deep]
    with pytest.raises(CorruptionError, match="nested too deep"):
        from_json(deep)


def test_what_cannot_be_stored_is_refused() -> None:
    with pytest.raises(TypeError, match="complex"):
        to_json(1j)
