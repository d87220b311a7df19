"""What the shim has recorded: every change below the folder, every flush, and the ledger's entries among them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_HEAD = struct.Struct("=cBHHHQQQ")  # struct head of shim.c

Kind = Literal["create", "mkdir", "write", "truncate", "flush", "rename", "link", "unlink", "rmdir", "mark"]
_KINDS: dict[bytes, Kind] = {
    b"C": "create",
    b"D": "mkdir",
    b"W": "write",
    b"T": "truncate",
    b"S": "flush",
    b"R": "rename",
    b"L": "link",
    b"U": "unlink",
    b"X": "rmdir",
    b"K": "mark",
}

UNSEEN_FILES = {"lock.mdb"}
"""Changed through a map, which no shim can see. What stands in them after a power failure must not matter."""


@dataclass(frozen=True, slots=True)
class Event:
    """One call that was done. A file is known by its inode, a name by its absolute path."""

    kind: Kind
    inode: int = 0
    path: str = ""
    target: str = ""
    offset: int = 0
    data: bytes = b""
    is_synced: bool = False
    """Whether the write had reached the disk when it returned."""

    @property
    def entry(self) -> dict[str, Any]:  # Any: JSON
        """The ledger's entry of a mark."""
        entry: dict[str, Any] = json.loads(self.data)
        return entry


def read_trace(path: Path) -> list[Event]:
    """Read a trace. Raises ``ValueError`` where a file was changed in a way that cannot be seen."""
    return list(_events(path.read_bytes()))


def _events(trace: bytes) -> Iterator[Event]:
    names: dict[int, str] = {}
    place = 0
    while place < len(trace):
        letter, is_synced, path_bytes, target_bytes, _, inode, offset, length = _HEAD.unpack_from(trace, place)
        place += _HEAD.size
        path = trace[place : place + path_bytes].decode()
        place += path_bytes
        target = trace[place : place + target_bytes].decode()
        place += target_bytes
        data = trace[place : place + length]
        place += length
        if letter == b"C":
            names[inode] = Path(path).name
        if letter == b"M":
            if names.get(inode) not in UNSEEN_FILES:
                raise ValueError(f"a file is changed through a map, which cannot be seen: {names.get(inode)}")
        else:
            yield Event(_KINDS[letter], inode, path, target, offset, data, bool(is_synced))
