"""The changes of one commit, or of a part of it: what the history of a database holds.

changes := a msgpack array of
           time       microseconds since 1970, UTC
           dropped    names of spaces
           created    names of spaces
           cleared    names of spaces
           items      a map: name of a space to a map of keys to values; nil for a key that is deleted
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

import msgspec

from minidb.exceptions import CorruptionError
from minidb.structs import Struct


class StoredChanges(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is stored of a commit, or of a part of it."""

    time_us: int
    dropped: list[str]
    created: list[str]
    cleared: list[str]
    items: Mapping[str, Mapping[bytes, bytes | None]]


_write: Final = msgspec.msgpack.Encoder().encode


@cache
def _decoder() -> msgspec.msgpack.Decoder[StoredChanges]:
    return msgspec.msgpack.Decoder(StoredChanges)


def encode_changes(changes: StoredChanges) -> bytes:
    """Return the bytes of changes."""
    return _write(changes)


def decode_changes(data: bytes) -> StoredChanges:
    """Return the changes. Raises ``CorruptionError``."""
    try:
        return _decoder().decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptionError("It holds no changes of a commit") from error
