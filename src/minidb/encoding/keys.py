"""Keys: bytes that sort as the values they stand for.

    key      = value*
    value    = null | boolean | integer | number | float | string | bytes
             | date | datetime | time | decimal | uuid | tuple
    null     = 05
    boolean  = 10 | 11                                     false, true
    integer  = 27..39 ...                                  minidb.encoding.integers
    number   = 40 ...                                      minidb.encoding.floats
    float    = 42 ...                                      minidb.encoding.floats
    string   = 50 escaped* 00                              UTF-8
    bytes    = 58 escaped* 00
    escaped  = 01 01 | 01 02 | 02..FF                      01 01 stands for 00, 01 02 for 01
    date     = 60 ...                                      minidb.encoding.moments
    datetime = 62 ... | 64 ...                             minidb.encoding.moments
    time     = 66 ...                                      minidb.encoding.moments
    decimal  = 70 ...                                      minidb.encoding.decimals
    uuid     = 78 octet{16}
    tuple    = 80 value* 00

The rules that every caller may lean on:

- Order: within a type the bytes sort as the values do; between types, as the type codes do.
- One value, one encoding: equal values of a type have equal bytes, and decoding refuses any other spelling.
- Self-delimiting: no encoding is a proper prefix of another. So encodings can be put one after the other, and the keys
  that begin with an encoded value are exactly those whose first value it is.
- The encoding of a string without its last byte begins the encodings of exactly those strings that begin with it.

Pure functions, safe from any thread; ``tables`` and ``query`` call them. Why the format is so, with a worked example
for each type code: ``docs/design/key-format.md``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum
from typing import Any, Final, NewType, TypeAlias
from uuid import UUID

from minidb.encoding import type_codes
from minidb.encoding.decimals import decimal_end, decode_decimal, encode_decimal
from minidb.encoding.floats import decode_float, decode_number, encode_float, encode_number, number_end
from minidb.encoding.integers import decode_integer, encode_integer, integer_end
from minidb.encoding.moments import (
    decode_aware_datetime,
    decode_date,
    decode_naive_datetime,
    decode_time,
    encode_date,
    encode_datetime,
    encode_time,
)
from minidb.exceptions import CorruptionError

__all__ = [
    "NESTING_LIMIT",
    "KeyBytes",
    "KeyValue",
    "decode_integer",
    "decode_values",
    "encode_integer",
    "encode_number",
    "encode_text",
    "encode_value",
    "encode_values",
    "successor",
]

KeyBytes = NewType("KeyBytes", bytes)
"""Encoded values, one after the other, or a bound of such keys."""

KeyValue: TypeAlias = (
    bool
    | int
    | float
    | str
    | bytes
    | dt.date
    | dt.datetime
    | dt.time
    | Decimal
    | UUID
    | tuple["KeyValue", ...]
    | list[Any]  # Any: a list is invariant, so list[KeyValue] would refuse a list[int]
    | None
)

NESTING_LIMIT: Final = 64
"""How deep tuples may lie in one another."""

_END: Final = bytes([type_codes.END])
_NULL: Final = bytes([type_codes.NULL])
_FALSE: Final = bytes([type_codes.FALSE])
_TRUE: Final = bytes([type_codes.TRUE])
_STRING: Final = chr(type_codes.STRING)
_BYTES: Final = bytes([type_codes.BYTES])
_UUID: Final = bytes([type_codes.UUID])
_TUPLE: Final = bytes([type_codes.TUPLE])


# --- encoding ---------------------------------------------------------------------------------------------------------


def encode_value(value: KeyValue) -> bytes:
    """Return the encoding of one value.

    Subclasses encode as the type they extend. Raises TypeError for a type that has no place in a key (an ``Enum``
    and a ``time`` with a time zone among them), ValueError for a value that has none: a string with a lone surrogate,
    a decimal NaN, tuples nested deeper than ``NESTING_LIMIT``.

    >>> encode_value("Ada").hex(" ")
    '50 41 64 61 00'
    """
    return _encoder_of(type(value), _encode_subclass)(value)


def encode_values(values: Iterable[KeyValue]) -> KeyBytes:
    """Return the encodings of several values, one after the other: a compound key. Raises as ``encode_value`` does.

    >>> encode_values(["Ada", 36]).hex(" ")
    '50 41 64 61 00 31 24'
    """
    # Most keys have one to three values: for them this loop takes two thirds of the time of a comprehension joined.
    data = b""
    for value in values:
        data += _encoder_of(type(value), _encode_subclass)(value)
    return data  # type: ignore[return-value]  # KeyBytes(data) would be a call at run time, 40 of the 220 ns


def successor(prefix: bytes) -> KeyBytes | None:
    """Return the smallest key greater than every key that starts with ``prefix``, or None where there is none.

    ``[prefix, successor(prefix))`` is the range of all keys that start with it.

    >>> successor(bytes.fromhex("31 07")).hex(" "), successor(bytes.fromhex("31 ff")).hex(" ")
    ('31 08', '32')
    """
    stem = prefix.rstrip(b"\xff")
    if not stem:
        return None
    return KeyBytes(stem[:-1] + bytes([stem[-1] + 1]))


def _encode_null(_: None) -> bytes:
    return _NULL


def _encode_boolean(value: bool) -> bytes:
    return _TRUE if value else _FALSE


def encode_text(value: str) -> bytes:
    """Return the encoding of a string: ``encode_value`` where the type is known."""
    if "\x00" in value or "\x01" in value:
        value = value.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")
    # One string built and then encoded takes 60 ns, three byte strings joined 90.
    return f"{_STRING}{value}\x00".encode()


def _encode_bytes(value: bytes) -> bytes:
    return _BYTES + _escape(value) + _END


def _escape(data: bytes) -> bytes:
    return data.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01")


def _encode_uuid(value: UUID) -> bytes:
    return _UUID + value.bytes


def _encode_tuple(elements: Iterable[KeyValue], depth: int = 1) -> bytes:
    if depth > NESTING_LIMIT:
        raise ValueError(f"A key cannot hold tuples nested deeper than {NESTING_LIMIT}.")
    encodings = [
        _encode_tuple(element, depth + 1) if isinstance(element, tuple | list) else encode_value(element)
        for element in elements
    ]
    return _TUPLE + b"".join(encodings) + _END


def _encode_subclass(value: object) -> bytes:
    if not isinstance(value, Enum):
        for kind, make_plain, encoder in _SUBCLASSES:
            if isinstance(value, kind):
                return encoder(make_plain(value))
    raise TypeError(f"A key cannot hold a value of type {type(value).__qualname__}.")


_Encoder: TypeAlias = Callable[[Any], bytes]  # Any: each encoder takes the one type that its table names


_ENCODERS: Final[dict[type, _Encoder]] = {
    type(None): _encode_null,
    bool: _encode_boolean,
    int: encode_integer,
    float: encode_float,
    str: encode_text,
    bytes: _encode_bytes,
    dt.date: encode_date,
    dt.datetime: encode_datetime,
    dt.time: encode_time,
    Decimal: encode_decimal,
    UUID: _encode_uuid,
    tuple: _encode_tuple,
    list: _encode_tuple,
}
_encoder_of: Final = _ENCODERS.get


def _itself(value: object) -> object:
    return value


# What an instance of a subclass may override (__format__, replace, ...) must not reach the bytes, so the plain value is
# taken first, by the method of the type itself. A datetime is a date, so it comes before.
_SUBCLASSES: Final[tuple[tuple[type, Callable[[Any], object], _Encoder], ...]] = (  # Any: as in _Encoder
    (int, int.__int__, encode_integer),
    (float, float.__float__, encode_float),
    (str, str.__str__, encode_text),
    (bytes, bytes.__bytes__, _encode_bytes),
    (dt.datetime, _itself, encode_datetime),
    (dt.date, _itself, encode_date),
    (dt.time, _itself, encode_time),
    (Decimal, Decimal, encode_decimal),
    (UUID, _itself, _encode_uuid),
    (tuple, _itself, _encode_tuple),
    (list, _itself, _encode_tuple),
)


# --- decoding ---------------------------------------------------------------------------------------------------------


def decode_values(data: bytes) -> tuple[KeyValue, ...]:
    """Return the values that a key was made of.

    They are equal to those encoded, in plain types: a list comes back as a tuple, an aware datetime in UTC, a decimal
    without trailing zeros, a whole number (``encode_number``) as an int. Raises CorruptionError for bytes that no
    encoding made.

    >>> decode_values(encode_values(["Ada", 36]))
    ('Ada', 36)
    """
    values: list[KeyValue] = []
    enclosing: list[list[KeyValue]] = []  # what came before each tuple that is still open
    position = 0
    while position < len(data):
        type_code = data[position]
        if type_code in _DECODERS:
            measure, decoder = _DECODERS[type_code]
            end = position + measure if isinstance(measure, int) else measure(data, position)
            if end > len(data):
                raise CorruptionError("A stored key ends within a value.")
            values.append(decoder(data[position:end]))
            position = end
        elif type_code == type_codes.TUPLE and len(enclosing) < NESTING_LIMIT:
            enclosing.append(values)
            values = []
            position += 1
        elif type_code == type_codes.END and enclosing:
            elements = tuple(values)
            values = enclosing.pop()
            values.append(elements)
            position += 1
        else:
            raise CorruptionError("A stored key holds a value of no known type.")
    if enclosing:
        raise CorruptionError("A stored key holds a tuple that does not end.")
    return tuple(values)


def _string_end(data: bytes, start: int) -> int:
    end = data.find(_END, start)
    if end < 0:
        raise CorruptionError("A stored key holds a string that does not end.")
    return end + 1


def _decode_string(encoding: bytes) -> str:
    try:
        return _decode_bytes(encoding).decode()
    except UnicodeDecodeError:
        # Without its cause, which would show the bytes of the row.
        raise CorruptionError("A stored key holds a string that is not UTF-8.") from None


def _decode_bytes(encoding: bytes) -> bytes:
    escaped = encoding[1:-1]
    if b"\x01" not in escaped:
        return escaped
    value = escaped.replace(b"\x01\x01", b"\x00").replace(b"\x01\x02", b"\x01")
    if _escape(value) != escaped:
        raise CorruptionError("A stored key holds a string in a spelling that MiniDB does not write.")
    return value


def _decode_uuid(encoding: bytes) -> UUID:
    return UUID(bytes=encoding[1:])


# How long an encoding is (or, where its type code does not tell, where the one that begins at a position ends), and
# what its bytes, type code included, stand for.
_DECODERS: Final[dict[int, tuple[int | Callable[[bytes, int], int], Callable[[bytes], KeyValue]]]] = {
    type_codes.NULL: (1, lambda _: None),
    type_codes.FALSE: (1, lambda _: False),
    type_codes.TRUE: (1, lambda _: True),
    type_codes.NEGATIVE_BIG_INTEGER: (integer_end, decode_integer),
    **{type_codes.INTEGER_ZERO - size: (1 + size, decode_integer) for size in range(1, 9)},
    **{type_codes.INTEGER_ZERO + size: (1 + size, decode_integer) for size in range(9)},
    type_codes.POSITIVE_BIG_INTEGER: (integer_end, decode_integer),
    type_codes.NUMBER: (number_end, decode_number),
    type_codes.FLOAT: (9, decode_float),
    type_codes.STRING: (_string_end, _decode_string),
    type_codes.BYTES: (_string_end, _decode_bytes),
    type_codes.DATE: (4, decode_date),
    type_codes.NAIVE_DATETIME: (9, decode_naive_datetime),
    type_codes.AWARE_DATETIME: (9, decode_aware_datetime),
    type_codes.TIME: (6, decode_time),
    type_codes.DECIMAL: (decimal_end, decode_decimal),
    type_codes.UUID: (17, _decode_uuid),
}
