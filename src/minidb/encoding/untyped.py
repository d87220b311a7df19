"""The order of columns that may hold values of any type: in tables without a schema, and inside lists and maps.

    untyped := number                          an int or a float: one order for both, so that 1 and 1.0 are one value
             | 0x80 untyped* 0x00              a list
             | 0x88 (string untyped)* 0x00     a map, by its keys in their order
             | any other value of a key

As ``encoding.keys`` for everything else. Values of different types sort by their type codes.
"""

from __future__ import annotations

from typing import Final

from minidb.encoding import type_codes
from minidb.encoding.keys import encode_number, encode_value

_LIST: Final = bytes((type_codes.TUPLE,))
_MAP: Final = bytes((type_codes.MAP,))
_END: Final = bytes((type_codes.END,))


def encode_untyped(value: object) -> bytes:
    """Encode any storable value."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return encode_number(value)
    if isinstance(value, dict):
        # No order of maps is a natural one; this one is total, and equal maps are equal in it.
        return _MAP + b"".join(encode_untyped(item) for pair in sorted(value.items()) for item in pair) + _END
    if isinstance(value, list | tuple):
        return _LIST + b"".join(map(encode_untyped, value)) + _END
    return encode_value(value)  # type: ignore[arg-type]  # storable, and neither number, list nor map: a key value
