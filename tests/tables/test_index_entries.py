"""Index entries: what is written is found again, in order, however long keys and values are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.encoding.test_values import ClockThatGoesBack

from minidb.encoding import type_codes
from minidb.encoding.untyped import encode_untyped
from minidb.tables.definitions import IndexDefinition
from minidb.tables.index_entries import (
    LARGEST_FIELDS_BYTES,
    LARGEST_KEY_BYTES,
    LARGEST_ROW_KEY_BYTES,
    LARGEST_UNCUT_BYTES,
    IndexBinding,
    is_cut,
    row_key_of,
    row_keys_of,
    trailer,
)

ROW_KEY_SIZES = [1, 2, 9, 253, 254, 255, 256, 257, 382, LARGEST_ROW_KEY_BYTES]

row_keys = st.binary(min_size=1, max_size=LARGEST_ROW_KEY_BYTES) | st.builds(
    lambda size, byte: bytes([byte]) * size, st.sampled_from(ROW_KEY_SIZES), st.integers(0, 255)
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
long_texts = texts | st.builds(str.__mul__, st.sampled_from(["a", "ä", "\0", "\U0001f600"]), st.integers(0, 300))
# What a column without a type may hold and be indexed by. NaN is equal to nothing, so it is left out of comparisons.
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | long_texts
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.decimals(allow_nan=False)
    | st.uuids()
)
untyped = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)


def index_on(*fields: str, unique: bool = False, is_typed: bool = True) -> IndexBinding:
    definition = IndexDefinition(id=1, name="index", fields=fields, unique=unique)
    return IndexBinding(definition, range(len(fields)), is_typed=is_typed)


PLAIN = index_on("value")
UNIQUE = index_on("value", unique=True)
UNTYPED = index_on("value", is_typed=False)


# --- row keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ROW_KEY_SIZES)
@pytest.mark.parametrize("last", [0x00, 0x01, 0xFE, 0xFF])
@pytest.mark.parametrize("value", ["", "short", "long" * 500])
def test_a_row_key_of_any_size_is_found_at_the_end_of_its_entry(size: int, last: int, value: str) -> None:
    row_key = bytes(size - 1) + bytes((last,))
    entry_key, stored = PLAIN.entry((value,), row_key)
    assert row_key_of(entry_key) == row_key
    assert row_keys_of([entry_key]) == [row_key]
    assert stored == b""


@given(long_texts, row_keys)
def test_the_row_key_comes_back_from_every_entry(value: str, row_key: bytes) -> None:
    entry_key, _ = PLAIN.entry((value,), row_key)
    assert row_key_of(entry_key) == row_key


@given(long_texts, st.lists(row_keys))
def test_the_row_keys_of_entries_with_the_same_fields_come_back_together(value: str, keys: list[bytes]) -> None:
    entry_keys = PLAIN.entry_keys([(value,)] * len(keys), keys)
    assert row_keys_of(entry_keys) == keys
    fields_bytes = len(PLAIN.encode_fields((value,)))
    short = [(entry, key) for entry, key in zip(entry_keys, keys, strict=True) if len(key) < 255]
    assert row_keys_of([entry for entry, _ in short], fields_bytes=fields_bytes) == [key for _, key in short]


@given(st.lists(st.text(max_size=300)), row_keys)
def test_no_entry_is_longer_than_a_key_may_be(values: list[str], row_key: bytes) -> None:
    index = index_on(*[f"field {number}" for number in range(len(values))])
    entry_key, _ = index.entry(values, row_key)
    assert len(entry_key) <= LARGEST_KEY_BYTES


def test_the_longest_fields_and_row_key_fill_a_key_to_the_last_byte() -> None:
    entry_key, _ = PLAIN.entry(("a" * 1000,), bytes(LARGEST_ROW_KEY_BYTES))
    assert len(entry_key) == LARGEST_KEY_BYTES


@pytest.mark.parametrize("size", [254, 255, 256])
def test_the_trailer_grows_where_one_byte_cannot_hold_the_size(size: int) -> None:
    assert len(trailer(bytes(size))) == (1 if size < 255 else 3)


# --- unique -----------------------------------------------------------------------------------------------------------


def test_two_rows_with_a_unique_value_meet_on_one_key() -> None:
    assert UNIQUE.entry(("a",), b"1")[0] == UNIQUE.entry(("a",), b"2")[0]


def test_a_unique_entry_gives_its_row_key() -> None:
    assert UNIQUE.entry(("a",), b"row")[1] == b"row"
    assert UNIQUE.entry((None,), b"row")[1] == b"row"


def test_nulls_do_not_meet() -> None:
    assert UNIQUE.entry((None,), b"1")[0] != UNIQUE.entry((None,), b"2")[0]


def test_one_null_among_several_fields_is_enough_not_to_meet() -> None:
    index = index_on("first", "second", unique=True)
    assert index.entry(("a", None), b"1")[0] != index.entry(("a", None), b"2")[0]


@given(long_texts, row_keys, row_keys)
def test_a_unique_value_never_meets_a_null(value: str, row_key: bytes, other: bytes) -> None:
    assert UNIQUE.entry((value,), row_key)[0] != UNIQUE.entry((None,), other)[0]


# --- cut values -------------------------------------------------------------------------------------------------------

LONGEST_UNCUT = "a" * (LARGEST_UNCUT_BYTES - 2)  # a type code before it, an end after it


def test_a_value_is_cut_from_the_first_byte_too_many() -> None:
    assert not is_cut(PLAIN.encode_fields((LONGEST_UNCUT,)))
    assert is_cut(PLAIN.encode_fields((LONGEST_UNCUT + "a",)))


@given(st.lists(long_texts | st.integers() | st.none(), min_size=1))
def test_only_what_was_cut_says_that_it_may_have_been(values: list[object]) -> None:
    index = index_on(*[f"field {number}" for number in range(len(values))])
    encoded = index.encode_fields(values)
    assert is_cut(encoded) == (encoded != index.encode_whole(values))


@given(long_texts)
def test_cut_values_are_all_of_one_length(value: str) -> None:
    encoded = PLAIN.encode_fields((LONGEST_UNCUT + "a" + value,))
    assert len(encoded) == LARGEST_FIELDS_BYTES


def test_long_values_that_differ_at_their_end_have_different_entries() -> None:
    encoded = {PLAIN.encode_fields(("long " * 1000 + str(number),)) for number in range(1000)}
    assert len(encoded) == 1000


def test_no_value_begins_the_entry_of_a_longer_one_by_the_chance_of_a_digest() -> None:
    """Of the many long values one has a digest that goes on where a short one ends; each length has its own chance."""
    for length in range(LARGEST_UNCUT_BYTES - 20, LARGEST_FIELDS_BYTES):
        short = "a" * length
        encoded = PLAIN.encode_fields((short,))
        longer = [PLAIN.encode_fields((f"{short}{number:0130}",)) for number in range(500)]
        assert not any(one.startswith(encoded) for one in longer), length


@given(st.lists(long_texts, min_size=2, max_size=2), st.lists(long_texts, min_size=2, max_size=2))
@example(["a", "b"], ["a", "b" * 200])
@example(["a" * 107, ""], ["a" * 108, ""])
def test_no_fields_begin_others(left: list[str], right: list[str]) -> None:
    index = index_on("first", "second")
    one, other = index.encode_fields(left), index.encode_fields(right)
    assert one == other if left == right else not one.startswith(other)


# --- order ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers()))
def test_entries_stand_in_the_order_of_their_values(values: list[int]) -> None:
    keys = [PLAIN.entry((value,), b"row")[0] for value in values]
    assert sorted(keys) == [PLAIN.entry((value,), b"row")[0] for value in sorted(values)]


@given(long_texts, st.lists(row_keys, unique=True).map(lambda keys: [self_delimiting(key) for key in keys]))
def test_entries_of_one_value_stand_in_the_order_of_their_rows(value: str, keys: list[bytes]) -> None:
    entry_keys = sorted(PLAIN.entry((value,), key)[0] for key in keys)
    assert [row_key_of(entry_key) for entry_key in entry_keys] == sorted(keys)


def self_delimiting(key: bytes) -> bytes:
    """Return a key of which no other one is a prefix, as encoded values are."""
    key = key[: LARGEST_ROW_KEY_BYTES - 2]
    return len(key).to_bytes(2, "big") + key


@given(st.text("ab\0", max_size=40), st.text("ab\0", max_size=40))
def test_long_values_that_differ_before_the_cut_stand_in_their_order(left: str, right: str) -> None:
    tail = "z" * 200
    one, other = PLAIN.encode_fields((left + tail,)), PLAIN.encode_fields((right + tail,))
    assert (one < other) == (left + tail < right + tail)


# --- many at once -----------------------------------------------------------------------------------------------------

VALUES_OF_ONE_TYPE: dict[str, st.SearchStrategy[Any]] = {  # Any: each strategy has its own type
    "integer": st.integers(),
    "string": long_texts,
    "float": st.floats(),
    "decimal": st.decimals(allow_nan=False),
    "datetime": st.datetimes(timezones=st.sampled_from([dt.UTC, ClockThatGoesBack(), dt.timezone.max]))
    .filter(lambda moment: 2 < moment.year < 9998)
    .flatmap(lambda moment: st.sampled_from([moment.replace(fold=0), moment.replace(fold=1)])),
}


@pytest.mark.parametrize("kind", VALUES_OF_ONE_TYPE)
@given(data=st.data())
def test_entries_of_many_rows_are_those_of_each(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(VALUES_OF_ONE_TYPE[kind] | st.none()))
    rows = [(value,) for value in values]
    keys = [b"%d" % number for number in range(len(rows))]
    index = index_on("value")
    expected = [index.entry(row, key)[0] for row, key in zip(rows, keys, strict=True)]
    assert index.entry_keys(rows, keys) == expected
    assert index.entry_keys(rows, keys) == expected  # again, with what the first pass has kept
    assert index.entry_keys_of_fields(values, keys) == expected
    unique = index_on("value", unique=True)
    entries = [unique.entry(row, key) for row, key in zip(rows, keys, strict=True)]
    assert unique.entries(rows, keys, [b""] * len(rows)) == entries


def test_entries_of_several_fields_of_many_rows_are_those_of_each() -> None:
    rows = [(f"{number}" * (1 + number % 200), number) for number in range(1000)]
    keys = [b"%d" % number for number in range(1000)]
    index = index_on("one", "two")
    expected = [index.entry(row, key)[0] for row, key in zip(rows, keys, strict=True)]
    assert index.entry_keys_of_fields(rows, keys) == expected


def test_different_values_of_which_none_is_kept_are_cut_as_any() -> None:
    index = index_on("value")
    values = [f"{number}" * (1 + number % 200) for number in range(1000)]
    keys = [b"row"] * len(values)
    expected = [index.entry((value,), b"row")[0] for value in values]
    assert [index.entry_keys_of_fields(values, keys) for _ in range(20)] == [expected] * 20


def test_two_moments_of_an_hour_that_comes_twice_have_two_entries() -> None:
    """In their own zone they are equal, so whatever is looked up by the value itself takes one for the other."""
    first = dt.datetime(2024, 10, 27, 2, 30, tzinfo=ClockThatGoesBack())
    second = first.replace(fold=1)
    assert first == second
    one, other = index_on("value").entry_keys([(first,), (second,)], [b"1", b"1"])
    assert one < other


def test_equal_decimals_have_one_entry() -> None:
    keys = index_on("value").entry_keys([(Decimal("1.0"),), (Decimal("1.00"),)], [b"1", b"1"])
    assert keys[0] == keys[1]


def test_long_values_are_not_kept_in_memory() -> None:
    index = index_on("value")
    index.entry_keys([(f"{number}" * 1000,) for number in range(10)], [b"row"] * 10)
    assert len(index._cache) == 0


def test_what_is_kept_of_different_values_has_a_bound() -> None:
    index = index_on("value")
    for start in range(0, 50_000, 1000):
        index.entry_keys([(number,) for number in range(start, start + 1000)], [b"row"] * 1000)
    assert 0 < len(index._cache) <= 12_000


# --- columns without a type -------------------------------------------------------------------------------------------


@given(untyped, untyped)
@example({"a": 1}, ["a", 1])
@example({}, [])
@example([{}], [[]])
@example(1, True)
@example(0, False)
@example(b"", "")
def test_without_a_type_the_same_bytes_mean_equal_values(left: object, right: object) -> None:
    assert (UNTYPED.encode_fields((left,)) == UNTYPED.encode_fields((right,))) == is_same(left, right)


@given(untyped, untyped)
def test_without_a_type_no_value_begins_another(left: object, right: object) -> None:
    one, other = UNTYPED.encode_fields((left,)), UNTYPED.encode_fields((right,))
    assert one == other or not one.startswith(other)


@given(untyped)
def test_every_storable_value_has_its_place_in_one_order(value: object) -> None:
    assert 0 < len(UNTYPED.encode_fields((value,))) <= LARGEST_FIELDS_BYTES


@pytest.mark.parametrize("value", [1, 2**53, 2**60])
def test_a_whole_float_is_the_integer(value: int) -> None:
    assert UNTYPED.encode_fields((value,)) == UNTYPED.encode_fields((float(value),))


@given(st.lists(st.integers() | st.floats(allow_nan=False)))
def test_integers_and_floats_stand_in_one_order(values: list[float]) -> None:
    assert sorted(values, key=encode_untyped) == sorted(values)


def test_a_map_is_the_same_in_whatever_order_it_was_made() -> None:
    assert encode_untyped({"a": 1, "b": [2]}) == encode_untyped({"b": [2], "a": 1})


def test_a_tuple_is_the_list_that_it_is_stored_as() -> None:
    assert encode_untyped((1, ("a",))) == encode_untyped([1, ["a"]])


def test_the_type_code_of_maps_is_no_other_types() -> None:
    codes = {
        code for name, code in vars(type_codes).items() if name.isupper() and isinstance(code, int) and name != "MAP"
    }
    assert encode_untyped({})[0] not in codes


def is_same(left: object, right: object) -> bool:
    """Tell whether two values are the same to an index: 1 and 1.0 are, 1 and True are not."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_same(item, right[key]) for key, item in left.items())
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(is_same, left, right))
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right))
    return (numbers or type(left) is type(right)) and left == right


# --- on disk ----------------------------------------------------------------------------------------------------------

GOLDEN: Sequence[tuple[IndexBinding, tuple[object, ...], bytes, str, str]] = [
    (PLAIN, ("Ada",), b"\x31\x07", "50 41 64 61 00 31 07 02", ""),
    (PLAIN, (36,), b"\x31\x07", "31 24 31 07 02", ""),
    (PLAIN, (None,), b"\x31\x07", "05 31 07 02", ""),
    (PLAIN, (1.5,), b"\x31\x07", "42 bf f8 00 00 00 00 00 00 31 07 02", ""),
    (UNIQUE, ("Ada",), b"\x31\x07", "50 41 64 61 00", "31 07"),
    (UNIQUE, (None,), b"\x31\x07", "05 31 07 02", "31 07"),
    (UNTYPED, (1,), b"\x31\x07", "40 bf f0 00 00 00 00 00 00 30 31 07 02", ""),
    (UNTYPED, ([1],), b"\x31\x07", "80 40 bf f0 00 00 00 00 00 00 30 00 31 07 02", ""),
    (UNTYPED, ({"a": None},), b"\x31\x07", "88 50 61 00 05 00 31 07 02", ""),
    (index_on("a", "b"), ("Ada", 36), b"\x31\x07", "50 41 64 61 00 31 24 31 07 02", ""),
    (PLAIN, (True,), b"\x31" + bytes(254), "11 31" + " 00" * 254 + " 00 ff ff", ""),
    (PLAIN, (True,), b"\x31" + bytes(255), "11 31" + " 00" * 255 + " 01 00 ff", ""),
    (
        PLAIN,
        ("a" * 108,),
        b"\x31\x07",
        "50" + " 61" * 108 + " 20 74 34 0d 7e a3 6c 35 72 fc cd 29 61 d4 40 ba 31 07 02",
        "",
    ),
]


@pytest.mark.parametrize(("index", "fields", "row_key", "entry_key", "value"), GOLDEN)
def test_entries_are_written_as_they_always_were(
    index: IndexBinding, fields: tuple[object, ...], row_key: bytes, entry_key: str, value: str
) -> None:
    written_key, written_value = index.entry(fields, row_key)
    assert (written_key.hex(" "), written_value.hex(" ")) == (entry_key, value)
