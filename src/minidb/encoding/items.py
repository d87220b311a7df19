"""The bytes of an item of a mapping: its key and its value.

    key   := one value of ``encoding.keys``     every number, in tuples too, as a number: type code 40
    value := a row of ``encoding.rows``         schema version 0, an array of one field

Keys that are equal in Python are the same key: ``1``, ``1.0`` and ``True`` have one encoding, and so has a moment in
every time zone. The exception is ``Decimal``: decimals have an order of their own, apart from the numbers', so
``Decimal(1)`` and ``1`` are two keys. ``tables.mappings`` calls this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from minidb.encoding import type_codes
from minidb.encoding.keys import NESTING_LIMIT, KeyBytes, decode_values, encode_number, encode_value
from minidb.encoding.rows import Record, RowCodec
from minidb.exceptions import CorruptionError

_TUPLE: Final = bytes([type_codes.TUPLE])
_END: Final = bytes([type_codes.END])

_CODEC: Final = RowCodec(0, ("value",), wrapped_positions=(0,))
_value_of: Final = _CODEC.getter("value")


def encode_item_key(key: object) -> KeyBytes:
    """Return the bytes of a key.

    Raises TypeError for a type that has no place in a key, ValueError for a value that has none: text with a lone
    surrogate, a NaN, tuples nested deeper than ``NESTING_LIMIT``.
    """
    return KeyBytes(_encode(key, 0))


def _encode(key: object, depth: int) -> bytes:
    kind = type(key)
    if kind is str:
        return encode_value(key)  # type: ignore[arg-type]  # a str, as the line before says
    if isinstance(key, float):
        if key != key:  # noqa: PLR0124  # NaN, which equals no key, so that nothing could find it
            raise ValueError("A key cannot be NaN.")
        return encode_number(float.__float__(key))
    if isinstance(key, int):
        return encode_number(int.__int__(key))  # True is 1, as in a dict; so is the member of an IntEnum
    if isinstance(key, str):
        return encode_value(str.__str__(key))
    if isinstance(key, tuple):
        if depth == NESTING_LIMIT:
            raise ValueError(f"The tuples of a key cannot be nested more than {NESTING_LIMIT} deep.")
        return _TUPLE + b"".join([_encode(element, depth + 1) for element in key]) + _END
    if isinstance(key, list):  # it would be a tuple to ``encode_value``, and is not hashable
        raise TypeError("A key cannot be made of a list.")
    return encode_value(key)  # type: ignore[arg-type]  # it raises TypeError for what is no key value


def decode_item_key(data: bytes) -> Any:  # Any: what the mapping's keys are, which its user says
    """Return an equal key. Raises ``CorruptionError`` for bytes that no key has."""
    values = decode_values(data)
    if len(values) != 1:
        raise CorruptionError("The key of a mapping holds more or fewer values than one")
    return values[0]


def encode_item_value(value: object) -> bytes:
    """Return the bytes of a value. REQUIRES one that ``schema.storable`` has passed."""
    return _CODEC.encode((value,))


def decode_item_value(data: bytes) -> Any:  # Any: as for keys
    """Return a value. Raises ``ChecksumError``, or another ``CorruptionError``."""
    return _value_of(_CODEC.decode_record(data))


def decode_item_values(data: Sequence[bytes]) -> list[Any]:  # Any: as for keys
    """Return many values. Raises as ``decode_item_value`` does."""
    records: list[Record] = _CODEC.decode_records(data)
    return list(map(_value_of, records))
