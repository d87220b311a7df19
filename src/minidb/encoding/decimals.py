"""Decimals of any size as bytes that sort as they do. Part of the key format: see ``minidb.encoding.keys``.

    decimal  = 70 class
    class    = 01                        -infinity
             | 02 complement(scaled)     negative: every bit of what follows flipped
             | 03                        zero, whatever its sign and exponent
             | 04 scaled                 positive
             | 05                        +infinity
    scaled   = integer 30..39* 00        the power of ten of the first digit; the digits in ASCII, the last not zero

Equal decimals have equal bytes: 1.0, 1.00 and 1 are all ``70 04 30 31 00``.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from minidb.encoding import type_codes
from minidb.encoding.integers import decode_integer, encode_integer, integer_end
from minidb.exceptions import CorruptionError

_COMPLEMENT: Final = bytes(range(255, -1, -1))  # for bytes.translate
_TO_ASCII: Final = b"0123456789".ljust(256, b"\x00")  # for bytes.translate
_HEAD: Final = 2  # bytes of type code and class
_END: Final = bytes([type_codes.END])

_CONSTANTS: Final = {
    type_codes.DECIMAL_NEGATIVE_INFINITY: Decimal("-Infinity"),
    type_codes.DECIMAL_ZERO: Decimal(0),
    type_codes.DECIMAL_POSITIVE_INFINITY: Decimal("Infinity"),
}


def encode_decimal(value: Decimal) -> bytes:
    sign, digits, _ = value.as_tuple()
    if not value.is_finite():
        if value.is_nan():
            raise ValueError("A key cannot hold a decimal NaN: it has no place in the order.")
        infinity = type_codes.DECIMAL_NEGATIVE_INFINITY if sign else type_codes.DECIMAL_POSITIVE_INFINITY
        return bytes([type_codes.DECIMAL, infinity])
    if not value:
        return bytes([type_codes.DECIMAL, type_codes.DECIMAL_ZERO])
    # Not normalize(): it rounds to the precision of the caller's decimal context.
    scaled = encode_integer(value.adjusted()) + bytes(digits).rstrip(b"\x00").translate(_TO_ASCII) + _END
    if sign:
        return bytes([type_codes.DECIMAL, type_codes.DECIMAL_NEGATIVE]) + scaled.translate(_COMPLEMENT)
    return bytes([type_codes.DECIMAL, type_codes.DECIMAL_POSITIVE]) + scaled


def decode_decimal(encoding: bytes) -> Decimal:
    """Return the decimal, without zeros after its last digit."""
    decimal_class = encoding[1]
    if decimal_class in _CONSTANTS:
        return _CONSTANTS[decimal_class]
    scaled = _scaled(encoding, 0)
    digits_start = integer_end(scaled, 0)
    digits = scaled[digits_start:-1]
    if digits.isdigit():
        exponent = decode_integer(scaled[:digits_start]) - len(digits) + 1
        sign = "-" if decimal_class == type_codes.DECIMAL_NEGATIVE else ""
        try:
            value = Decimal(f"{sign}{digits.decode()}E{exponent}")  # exact, whatever the decimal context
        except InvalidOperation:
            raise CorruptionError("A stored key holds a decimal beyond what decimals can be.") from None
        if value.is_finite() and encode_decimal(value) == encoding:
            return value
    raise CorruptionError("A stored key holds a decimal in a spelling that MiniDB does not write.")


def decimal_end(data: bytes, start: int) -> int:
    """Return the position after the decimal that begins at ``start``. Raises CorruptionError where it does not end."""
    if data[start + 1 : start + _HEAD] in _CONSTANT_CLASSES:
        return start + _HEAD
    scaled = _scaled(data, start)
    digits_end = scaled.find(_END, integer_end(scaled, 0))
    if digits_end < 0:
        raise CorruptionError("A stored key holds a decimal that does not end.")
    return start + _HEAD + digits_end + 1


_CONSTANT_CLASSES: Final = tuple(bytes([constant]) for constant in _CONSTANTS)


def _scaled(data: bytes, start: int) -> bytes:
    """Return exponent, digits and what follows, as a positive decimal would have them."""
    rest = data[start + _HEAD :]
    match data[start + 1 : start + _HEAD]:
        case b"\x04":
            return rest
        case b"\x02":
            return rest.translate(_COMPLEMENT)
        case _:
            raise CorruptionError("A stored key holds a decimal of no known class.")
