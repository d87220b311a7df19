"""Floats, and numbers (ints and floats in one order), as bytes. Part of the key format: see ``minidb.encoding.keys``.

    float    = 42 double
    double   = octet{8}          IEEE 754 big endian; the sign bit flipped, or all bits if negative; -0.0 is 0.0,
                                 every NaN is the one quiet NaN after +infinity
    number   = 40 double rest    the nearest float
    rest     = integer           what is missing to the number: zero for a float
             | 20 | 3F           the number is -infinity, +infinity

An int beyond the largest float has the double of the infinity and itself as the rest, which sorts before 3F.
"""

from __future__ import annotations

import math
import struct
from enum import Enum
from typing import Final

from minidb.encoding import type_codes
from minidb.encoding.integers import decode_integer, encode_integer, integer_end
from minidb.exceptions import CorruptionError

_SIGN_BIT: Final = 1 << 63
_ALL_BITS: Final = (1 << 64) - 1
_FLOAT: Final = type_codes.FLOAT << 64
_NUMBER_HEAD: Final = 9  # bytes of type code and double before the rest

_pack_double = struct.Struct(">d").pack
_unpack_double = struct.Struct(">d").unpack

_ZERO: Final = _SIGN_BIT
_NAN: Final = _SIGN_BIT | 0x7FF8 << 48
_NO_REST: Final = encode_integer(0)
_INFINITE_RESTS: Final = {
    math.inf: bytes([type_codes.POSITIVE_INFINITY_REST]),
    -math.inf: bytes([type_codes.NEGATIVE_INFINITY_REST]),
}


def encode_float(value: float) -> bytes:
    return (_FLOAT + _ordered_bits(value)).to_bytes(9, "big")


def decode_float(encoding: bytes) -> float:
    bits = int.from_bytes(encoding[1:], "big")
    bits ^= _SIGN_BIT if bits & _SIGN_BIT else _ALL_BITS
    value: float = _unpack_double(bits.to_bytes(8, "big"))[0]
    if encode_float(value) != encoding:
        raise CorruptionError("A stored key holds a float in a spelling that MiniDB does not write.")
    return value


def encode_number(value: float) -> bytes:
    """Return an encoding in which ints and floats share one order, and ``1`` and ``1.0`` the same bytes.

    For columns without a declared type. No digit is lost: ``2**53`` and ``2**53 + 1`` differ. Raises TypeError for
    anything but an int or a float; neither a bool nor an ``Enum`` is a number here.

    >>> encode_number(1) == encode_number(1.0) < encode_number(1.5) < encode_number(2)
    True
    """
    kind: type = type(value)
    if kind is float:
        nearest = value
        rest = _INFINITE_RESTS.get(nearest, _NO_REST)
    elif kind is int:
        whole = int(value)
        try:
            nearest = float(whole)
        except OverflowError:  # beyond the largest float
            nearest = math.inf if whole > 0 else -math.inf
            rest = encode_integer(whole)
        else:
            rest = encode_integer(whole - int(nearest))
    else:
        return encode_number(_plain_number(value))
    return ((type_codes.NUMBER << 64) + _ordered_bits(nearest)).to_bytes(_NUMBER_HEAD, "big") + rest


def _plain_number(value: object) -> float:
    """Return the number that an instance of a subclass is, free of what the subclass overrides."""
    if not isinstance(value, bool | Enum):
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, int):
            return int.__int__(value)
    raise TypeError(f"A key number cannot be made of a value of type {type(value).__qualname__}.")


def decode_number(encoding: bytes) -> float:
    """Return the number: an int if it is whole, since ``1`` and ``1.0`` have one encoding."""
    nearest = decode_float(bytes([type_codes.FLOAT]) + encoding[1:_NUMBER_HEAD])
    rest = encoding[_NUMBER_HEAD:]
    value: float = nearest
    if rest not in _INFINITE_RESTS.values():
        missing = decode_integer(rest)
        if math.isinf(nearest):
            value = missing
        elif nearest.is_integer():
            value = int(nearest) + missing
    if encode_number(value) != encoding:
        raise CorruptionError("A stored key holds a number in a spelling that MiniDB does not write.")
    return value


def number_end(data: bytes, start: int) -> int:
    """Return the position after the number that begins at ``start``. Raises CorruptionError where it has no rest."""
    rest = start + _NUMBER_HEAD
    if data[rest : rest + 1] in _INFINITE_RESTS.values():
        return rest + 1
    return integer_end(data, rest)


def _ordered_bits(value: float) -> int:
    """Return the 64 bits of a double, so changed that they sort as numbers do."""
    if value > 0:
        return _SIGN_BIT | int.from_bytes(_pack_double(value), "big")
    if value < 0:
        return _ALL_BITS ^ int.from_bytes(_pack_double(value), "big")
    return _ZERO if value == 0 else _NAN
