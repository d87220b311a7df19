"""The key and the index entries that rows must have, whatever is stored in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from minidb.encoding.integers import decode_integer
from minidb.engines.port import Pair
from minidb.exceptions import MiniDBError
from minidb.tables.binding import TableBinding
from minidb.tables.index_entries import IndexBinding, Values

UNFIT: Final = (TypeError, ValueError, OverflowError, LookupError)
"""What encoding raises for values that no row can have."""


ReadRow = tuple[bytes, Values, bytes]
"""The key of a row, its values, and the bytes that they were read from."""


def entries_of(index: IndexBinding, row: ReadRow) -> list[Pair] | None:
    """Return the entries that a row must have, each once; None for values that no row can have."""
    key, values, data = row
    try:
        return index.entries_of(values, key, data)
    except UNFIT:
        return None


def entries_of_all(index: IndexBinding, rows: Sequence[ReadRow]) -> list[Pair] | None:
    """Return the entries that rows must have, at half the cost of asking each; None if one has impossible values."""
    try:
        return index.entries([row[1] for row in rows], [row[0] for row in rows], [row[2] for row in rows])
    except UNFIT:
        return None


def is_key_of(table: TableBinding, key: bytes, values: Values) -> bool:
    """Tell whether a row is stored at its own key."""
    try:
        if table.has_automatic_ids:
            return decode_integer(key) > 0
        return table.key_of(values) == key
    except (MiniDBError, *UNFIT):
        return False
