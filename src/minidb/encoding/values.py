"""Column values inside a row: msgpack, with an extension type for each Python type that msgpack has none for.

value     := any msgpack value without extensions: nil, bool, 64-bit int, float 64, str, bin, array, map
           | timestamp extension (-1)            an aware datetime, in UTC
           | extension (code, payload)           see the register
date      := ASCII, ISO 8601                     all payloads are text, so that any msgpack reader can show them
datetime  := ASCII, ISO 8601, without offset     a naive one
time      := ASCII, ISO 8601, without offset
decimal   := ASCII, as ``str(Decimal)``
uuid      := 16 bytes
integer   := two's complement, big endian        one that 64 bits do not hold
set       := a msgpack array of values           in the order of their bytes, so that equal sets have equal bytes
frozenset := the same
"""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Final

from msgspec import MsgspecError, Raw
from msgspec.msgpack import Decoder, Encoder, Ext

from minidb.exceptions import CorruptionError

# Stored on disk: never renumber.
DATE: Final = 1
NAIVE_DATETIME: Final = 2
TIME: Final = 3
DECIMAL: Final = 4
UUID: Final = 5
BIG_INTEGER: Final = 6
SET: Final = 7
FROZENSET: Final = 8

_SMALLEST_INT64: Final = -(2**63)
_LARGEST_UINT64: Final = 2**64 - 1


def wrap(value: object) -> object:
    """Return a value that msgpack can write: the same one, or an extension, or a container rebuilt of such."""
    kind = type(value)
    if kind is str or kind is float or kind is bool or value is None or kind is bytes:
        return value
    if isinstance(value, int):
        if _SMALLEST_INT64 <= value <= _LARGEST_UINT64:
            return value
        return Ext(BIG_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if isinstance(value, dict):
        return {key: wrap(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [wrap(item) for item in value]
    if isinstance(value, datetime.datetime):
        if value.utcoffset() is not None:
            return value
        return Ext(NAIVE_DATETIME, value.replace(tzinfo=None, fold=0).isoformat().encode("ascii"))
    if isinstance(value, datetime.date):
        return Ext(DATE, value.isoformat().encode("ascii"))
    if isinstance(value, datetime.time):
        return Ext(TIME, value.isoformat().encode("ascii"))
    if isinstance(value, Decimal):
        return Ext(DECIMAL, str(value).encode("ascii"))
    if isinstance(value, uuid.UUID):
        return Ext(UUID, value.bytes)
    if isinstance(value, set | frozenset):
        elements = sorted([_write(wrap(element)) for element in value])
        return Ext(SET if isinstance(value, set) else FROZENSET, _write(list(map(Raw, elements))))
    return value  # a subclass of a plain type, or something that the writer refuses


def unwrap(code: int, payload: memoryview) -> object:
    """Return the value of an extension. Raises ``CorruptionError`` for one that ``wrap`` never makes."""
    data = bytes(payload)
    try:
        if code == UUID:
            return uuid.UUID(bytes=data)
        if code == BIG_INTEGER:
            return int.from_bytes(data, "big", signed=True)
        if code == SET:
            return set(map(hashable, _read_array(data)))
        if code == FROZENSET:
            return frozenset(map(hashable, _read_array(data)))
        text = data.decode("ascii")
        if code == DATE:
            return datetime.date.fromisoformat(text)
        if code == NAIVE_DATETIME:
            return datetime.datetime.fromisoformat(text)
        if code == TIME:
            return datetime.time.fromisoformat(text)
        if code == DECIMAL:
            return Decimal(text)
    except (ValueError, ArithmeticError, TypeError, MsgspecError) as error:
        raise CorruptionError("A stored value cannot be read", code=code) from error
    raise CorruptionError("A stored value is of a type that this version does not know", code=code)


def hashable(value: object) -> object:
    """Return the element of a set that stands for a value: lists, which tuples are stored as, become tuples."""
    return tuple(map(hashable, value)) if isinstance(value, list) else value


_write: Final = Encoder().encode
_read_array: Final = Decoder(list[object], ext_hook=unwrap).decode
