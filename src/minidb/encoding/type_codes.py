"""The first byte of every encoded value: the register of type codes.

A code says which type follows, and the order of the codes is the order of the types in a key. ``minidb.encoding.keys``
is the one reader; ``docs/design/key-format.md`` holds the same register with a worked example for each code.

    code         what follows
    ----         ------------
    0x00         (never a type) ends a string, a byte string, a tuple
    0x05         null: nothing
    0x10, 0x11   false, true: nothing
    0x27         integer below -(2**64 - 1): the complement of length (4 bytes) and magnitude
    0x28..0x2F   negative integer: the complement of a magnitude of 8..1 bytes
    0x30         integer zero: nothing
    0x31..0x38   positive integer: a magnitude of 1..8 bytes
    0x39         integer above 2**64 - 1: length (4 bytes) and magnitude
    0x40         number: nearest float (8 bytes), then what is missing to the number, as an integer
    0x42         float: 8 bytes
    0x50         string: escaped UTF-8, 0x00
    0x58         byte string: escaped bytes, 0x00
    0x60         date: days (3 bytes)
    0x62         datetime without a time zone: microseconds since year 1 (8 bytes)
    0x64         datetime with a time zone: microseconds since 1970 in UTC (8 bytes)
    0x66         time: microseconds since midnight (5 bytes)
    0x70         decimal: class, exponent, digits, terminator
    0x78         UUID: 16 bytes
    0x80         tuple: its elements, 0x00
    0x88         map: its keys and values by turns, in the order of the keys, 0x00; in index entries only
    0xFF         (never a type) so that a key plus 0xFF lies above every longer key that begins with it

A new type takes a free code; a code that was ever released is never given to another type.
"""

from __future__ import annotations

from typing import Final

END: Final = 0x00  # Stored on disk: never renumber.

NULL: Final = 0x05  # Stored on disk: never renumber.
FALSE: Final = 0x10  # Stored on disk: never renumber.
TRUE: Final = 0x11  # Stored on disk: never renumber.

NEGATIVE_BIG_INTEGER: Final = 0x27  # Stored on disk: never renumber.
INTEGER_ZERO: Final = 0x30  # Stored on disk: never renumber. Plus or minus the bytes of the magnitude, 1 to 8.
POSITIVE_BIG_INTEGER: Final = 0x39  # Stored on disk: never renumber.

NUMBER: Final = 0x40  # Stored on disk: never renumber.
FLOAT: Final = 0x42  # Stored on disk: never renumber.

STRING: Final = 0x50  # Stored on disk: never renumber.
BYTES: Final = 0x58  # Stored on disk: never renumber.

DATE: Final = 0x60  # Stored on disk: never renumber.
NAIVE_DATETIME: Final = 0x62  # Stored on disk: never renumber.
AWARE_DATETIME: Final = 0x64  # Stored on disk: never renumber.
TIME: Final = 0x66  # Stored on disk: never renumber.

DECIMAL: Final = 0x70  # Stored on disk: never renumber.
UUID: Final = 0x78  # Stored on disk: never renumber.
TUPLE: Final = 0x80  # Stored on disk: never renumber.
MAP: Final = 0x88  # Stored on disk: never renumber.

# Inside a number (after its 8 bytes), where an integer code would stand: the infinities, beyond every integer.
NEGATIVE_INFINITY_REST: Final = 0x20  # Stored on disk: never renumber.
POSITIVE_INFINITY_REST: Final = 0x3F  # Stored on disk: never renumber.

# Inside a decimal (after its type code): the class, which sorts before size does.
DECIMAL_NEGATIVE_INFINITY: Final = 0x01  # Stored on disk: never renumber.
DECIMAL_NEGATIVE: Final = 0x02  # Stored on disk: never renumber.
DECIMAL_ZERO: Final = 0x03  # Stored on disk: never renumber.
DECIMAL_POSITIVE: Final = 0x04  # Stored on disk: never renumber.
DECIMAL_POSITIVE_INFINITY: Final = 0x05  # Stored on disk: never renumber.
