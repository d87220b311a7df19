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


def entries_of(index: IndexBinding, values: Values, row_key: bytes) -> list[Pair] | None:
    """Return the entries that a row must have, each once; None for values that no row can have."""
    try:
        return index.entries_of(values, row_key)
    except UNFIT:
        return None


def entries_of_all(index: IndexBinding, rows: Sequence[tuple[bytes, Values]]) -> list[Pair] | None:
    """Return the entries that rows must have, at half the cost of asking each; None if one has impossible values."""
    keys = [key for key, _ in rows]
    values = [one for _, one in rows]
    try:
        if index.unique:
            return index.entries(values, keys)
        return [(key, b"") for key in index.entry_keys(values, keys)]
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
