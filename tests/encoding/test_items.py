"""The bytes of a mapping's items: keys that are one key where Python says they are equal, and values of one field."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidb.encoding.items import (
    decode_item_key,
    decode_item_value,
    decode_item_values,
    encode_item_key,
    encode_item_value,
)
from minidb.encoding.keys import encode_number, encode_value
from minidb.exceptions import ChecksumError, CorruptionError

ROW_FORMAT = Path(__file__).parents[2] / "docs" / "design" / "row-format.md"

numbers = st.integers() | st.floats(allow_nan=False) | st.booleans()
keys = st.recursive(
    numbers | st.text(st.characters(codec="utf-8"), max_size=10) | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)
elements = st.recursive(
    numbers | st.none() | st.text(st.characters(codec="utf-8"), max_size=5) | st.uuids() | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)


@given(keys)
def test_a_key_comes_back_equal(key: object) -> None:
    assert decode_item_key(encode_item_key(key)) == key


@given(keys, keys)
def test_two_keys_have_the_same_bytes_just_if_they_are_equal(one: object, other: object) -> None:
    assert (encode_item_key(one) == encode_item_key(other)) == (one == other)


@given(st.lists(numbers, max_size=3).map(tuple), st.lists(numbers, max_size=3).map(tuple))
def test_keys_sort_as_numbers_and_tuples_of_numbers_do(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    assert (encode_item_key(one) < encode_item_key(other)) == (one < other)


@given(keys, keys)
def test_no_key_begins_another(one: object, other: object) -> None:
    if one != other:
        assert not encode_item_key(one).startswith(encode_item_key(other))


def test_the_bytes_of_keys_are_those_of_the_key_format() -> None:
    assert encode_item_key("a") == encode_value("a")
    assert encode_item_key(1) == encode_item_key(True) == encode_number(1)
    assert encode_item_key((1, "a")) == b"\x80" + encode_number(1) + encode_value("a") + b"\x00"


@pytest.mark.parametrize("key", [[], (1, []), object(), {1}, 1j])
def test_a_key_of_another_type_is_a_type_error(key: object) -> None:
    with pytest.raises(TypeError):
        encode_item_key(key)


@pytest.mark.parametrize("key", [math.nan, (1, math.nan), "\ud800", Decimal("NaN")])
def test_a_key_that_nothing_could_find_is_a_value_error(key: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        encode_item_key(key)


@pytest.mark.parametrize("data", [b"", b"\x01", encode_value(1) * 2, b"\x80" + encode_value(1)])
def test_bytes_that_are_no_key_are_corruption(data: bytes) -> None:
    with pytest.raises(CorruptionError):
        decode_item_key(data)


@given(st.sets(elements, max_size=5) | st.frozensets(elements, max_size=5))
def test_a_set_comes_back_equal_and_of_its_type(value: Any) -> None:
    read = decode_item_value(encode_item_value(value))
    assert read == value
    assert type(read) is type(value)
    assert decode_item_values([encode_item_value(value)] * 2) == [value, value]


@given(st.lists(st.integers() | st.text(st.characters(codec="utf-8"), max_size=3), max_size=8, unique=True))
def test_sets_have_the_same_bytes_in_whatever_order_they_were_made(items: list[object]) -> None:
    reordered: set[object] = set()
    reordered.update(items[::-1])
    assert encode_item_value(set(items)) == encode_item_value(reordered)


def test_a_value_that_was_changed_is_a_checksum_error() -> None:
    data = bytearray(encode_item_value("value"))
    data[5] ^= 1
    with pytest.raises(ChecksumError):
        decode_item_value(bytes(data))


def test_the_example_of_the_design_page_is_what_is_written() -> None:
    example = ROW_FORMAT.read_text().partition('`cache["a"] = {2, 1}`')[2].split("```")[1]
    key, _, value = example.removeprefix("text\n").partition("\n\n")
    assert bytes.fromhex(key.partition("  ")[0]) == encode_item_key("a")
    assert bytes.fromhex("".join(line.partition("  ")[0] for line in value.splitlines())) == encode_item_value({2, 1})
