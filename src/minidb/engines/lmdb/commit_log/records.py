"""A commit's changes as bytes: what replaying needs to make the same changes again.

    changes := space*
    space   := slot(4) clears(4) deleted(4) put(4) key_size(4)*deleted key_size(4)*put value_size(4)*put
               deleted_key* key* value*

All numbers are little-endian. The slot is the number in the name of the space's named database. A space that is cleared
is so before anything is put.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from typing import Final

from minidb.engines.write_buffer import SpaceChanges

_SPACE: Final = struct.Struct("<IIII")  # Stored on disk: never change.
_ONE_DELETED: Final = struct.Struct("<IIIII")
_ONE_PUT: Final = struct.Struct("<IIIIII")


def encode(changes: Iterable[tuple[int, SpaceChanges]]) -> bytes:
    """Return the changes of some spaces, given by their slots."""
    parts: list[bytes] = []
    for slot, change in changes:
        items = change.items
        if len(items) == 1:  # as most commits have in each space
            ((key, value),) = items.items()
            if value is None:
                parts += (_ONE_DELETED.pack(slot, change.hides_below, 1, 0, len(key)), key)
            else:
                parts += (_ONE_PUT.pack(slot, change.hides_below, 0, 1, len(key), len(value)), key, value)
            continue
        if None in items.values():
            deleted = [key for key, value in items.items() if value is None]
            items = {key: value for key, value in items.items() if value is not None}
        else:
            deleted = []
        values: list[bytes] = list(items.values())  # type: ignore[arg-type]  # no value is None here
        sizes = array("I", map(len, deleted))
        sizes.extend(map(len, items))
        sizes.extend(map(len, values))
        if sys.byteorder == "big":
            sizes.byteswap()
        parts += (_SPACE.pack(slot, change.hides_below, len(deleted), len(items)), sizes.tobytes())
        parts += deleted
        parts += items
        parts += values
    return b"".join(parts)


def decode(changes: bytes) -> Iterator[tuple[int, SpaceChanges]]:
    """Yield the slot and the changes of each space."""
    at = 0
    while at < len(changes):
        slot, clears, deleted, put = _SPACE.unpack_from(changes, at)
        at += _SPACE.size
        sizes = struct.unpack_from(f"<{deleted + 2 * put}I", changes, at)
        at += 4 * len(sizes)
        pieces = [changes[start:stop] for start, stop in pairwise(accumulate(sizes, initial=at))]
        at += sum(sizes)
        space = SpaceChanges(hides_below=bool(clears))
        space.items = dict.fromkeys(pieces[:deleted])
        space.items.update(zip(pieces[deleted : deleted + put], pieces[deleted + put :], strict=True))
        yield slot, space
