"""Pairs come back from either form, and no bytes of a page lead out of it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidb.encoding.pairs import ONE_PAIR, decode_pairs, encode_pairs, unpack_pairs
from minidb.exceptions import CorruptionError

PAGE_BYTES = 512

PACKED = bytes.fromhex(
    "00020000"  # pages of 512 bytes
    "050000000000000000000200" + "1400" + "e201"  # of number 5: two offsets, nodes from 482
    "e201f401"  # at 482 and 500
    "0500000000000300" + b"keyvalue".hex() + "0000"  # a value of 5 bytes, a key of 3, and what fills up
    "0000000000000100" + b"z".hex() + "000000"
)
"""Stored in backups so: never change."""


def test_packed_pairs_are_read_as_they_are_documented() -> None:
    assert unpack_pairs(PACKED) == [(b"key", b"value"), (b"z", b"")]
    assert unpack_pairs(PACKED + PACKED[4:]) == 2 * [(b"key", b"value"), (b"z", b"")]
    assert unpack_pairs(PACKED[:4]) == []


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=300))))
def test_pairs_come_back(pairs: list[tuple[bytes, bytes]]) -> None:
    assert decode_pairs(encode_pairs(pairs)) == pairs
    assert (encode_pairs(pairs)[0] == ONE_PAIR) == (len(pairs) == 1)


def test_each_cut_of_packed_pairs_is_refused() -> None:
    for size in set(range(len(PACKED))) - {4}:
        with pytest.raises(CorruptionError):
            unpack_pairs(PACKED[:size])


@given(st.binary(max_size=2 * PAGE_BYTES), st.integers(0, 2**17))
def test_any_bytes_are_refused_or_are_pairs_of_no_more_bytes(data: bytes, page_bytes: int) -> None:
    whole = struct.pack("<I", page_bytes) + data
    try:
        pairs = unpack_pairs(whole)
    except CorruptionError:
        return
    assert sum(len(key) + len(value) for key, value in pairs) <= len(data)


@given(st.lists(st.tuples(st.integers(0, len(PACKED) - 1), st.integers(0, 255)), max_size=4))
def test_changed_bytes_are_refused_or_are_pairs_of_no_more_bytes(changes: list[tuple[int, int]]) -> None:
    spoilt = bytearray(PACKED)
    for place, byte in changes:
        spoilt[place] = byte
    try:
        pairs = unpack_pairs(bytes(spoilt))
    except CorruptionError:
        return
    assert sum(len(key) + len(value) for key, value in pairs) <= len(PACKED)
