"""The steady file: which snapshot of the data file is whole on the disk, and where the log goes on from it.

    minidb.steady := live zeros slot slot                       each slot at a multiple of 4096
    live   := segment(8) in_use(1) poisoned(1) broken(1) recovering(1)
    slot   := checksum(4) format(1) sequence(8) is_closed(1) segment(8) offset(8) log_checksum(4) txnid(8) map_bytes(8)
              root_checksum(4) first_meta(512) second_meta(512)

All numbers are little-endian. The checksum is the CRC-32 of all that follows it in the slot. Records go to the two
slots in turns, so that the one before stays whole; the one with the greater sequence counts. The file exists since its
first record was whole, by being renamed to its name.

``live`` is for processes that have the database open at the same time, and read it under the apply lock. It is set
anew by whoever opens the database when nobody else has it open, so nothing in it need survive a power failure.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from minidb.engines.lmdb.commit_log.log import Place
from minidb.engines.lmdb.commit_log.meta_pages import SAVED_BYTES, MetaPages
from minidb.engines.lmdb.folder import make_private, write_whole
from minidb.exceptions import UnsupportedFormatError

FILE: Final = "minidb.steady"

_FORMAT: Final = 1  # Stored on disk: a new number for each new format.
_LIVE: Final = struct.Struct("<Q????")  # Stored on disk: never change.
_LIVE_BYTES: Final = _LIVE.size
_RESET: Final = (False, False, False, False)
_IN_USE_AT: Final = 8
_POISONED_AT: Final = 9
_BROKEN_AT: Final = 10
_RECOVERING_AT: Final = 11
_SLOT: Final = struct.Struct(f"<BQ?QQIQQI{SAVED_BYTES}s{SAVED_BYTES}s")  # Stored on disk: never change.
_SLOT_SPACING: Final = 4096  # Stored on disk: never change.


class Live(NamedTuple):
    """What the processes that have the database open tell each other."""

    segment: int
    is_in_use: bool
    """Commits go through the log."""
    is_poisoned: bool
    """A flush has failed, so nothing may be written until all have closed the database."""
    is_broken: bool
    """A commit without a record is under way, or its process has died. What follows needs a checkpoint first."""
    is_recovering: bool
    """A recovery is under way, or its process has died: nobody may use the data file before it is done."""


class Steady(NamedTuple):
    """A snapshot that is whole on the disk once these meta pages are put back, and where the log goes on from it."""

    sequence: int
    is_closed: bool
    """Whether the data file is this snapshot, and nothing is to be replayed."""
    place: Place
    map_bytes: int
    root_checksum: int
    metas: MetaPages


class SteadyFile:
    """The file of one folder, open in one process."""

    def __init__(self, path: Path, *, is_writable: bool = True) -> None:
        """Open it. Raises ``FileNotFoundError`` where there is none."""
        self.path = path
        flags = os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(path, (os.O_RDWR if is_writable else os.O_RDONLY) | flags)
        self._seen: tuple[bytes, Live] = (b"", Live(0, *_RESET))  # as struct has it

    @classmethod
    def create(cls, path: Path, steady: Steady) -> SteadyFile:
        """Make it with a first record. The caller flushes the folder. REQUIRES the apply lock."""
        new = path.with_name(path.name + ".new")
        descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            make_private(new)
            write_whole(descriptor, bytes(3 * _SLOT_SPACING), 0)
            # In use at once: whoever commits without a log must not do so under a steady snapshot.
            write_whole(descriptor, _LIVE.pack(steady.place.segment, True, False, False, False), 0)  # noqa: FBT003  # as struct has it
            write_whole(descriptor, _encoded(steady), _slot_at(steady.sequence))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.rename(path)
        return cls(path)

    def live(self) -> Live:
        """Return what the processes tell each other. It stays so under the apply lock."""
        stored = os.pread(self._descriptor, _LIVE_BYTES, 0)
        seen, live = self._seen
        if stored != seen:  # as it rarely is, and this is on the way of every commit
            live = Live._make(_LIVE.unpack(stored))
            self._seen = (stored, live)
        return live

    def reset(self, segment: int) -> None:
        """Tell that the log is not in use, and all is well. REQUIRES to be alone."""
        write_whole(self._descriptor, _LIVE.pack(segment, *_RESET), 0)

    def is_reset(self, segment: int) -> bool:
        """Whether ``reset`` was the last to change what the processes tell each other. REQUIRES to be alone."""
        return self.live() == (segment, *_RESET)

    def use_segment(self, segment: int) -> None:
        """Tell where records go from now on. REQUIRES the apply lock and the checkpoint lock."""
        write_whole(self._descriptor, segment.to_bytes(8, "little"), 0)
        write_whole(self._descriptor, b"\1", _IN_USE_AT)

    def poison(self) -> None:
        """Tell that a flush has failed. REQUIRES the apply lock or the checkpoint lock."""
        write_whole(self._descriptor, b"\1", _POISONED_AT)

    def set_broken(self, *, is_broken: bool) -> None:
        """Tell whether the newest transaction may lack a record. REQUIRES the checkpoint lock."""
        write_whole(self._descriptor, bytes([is_broken]), _BROKEN_AT)

    def begin_recovery(self) -> None:
        """Tell that a recovery is under way, until ``reset``. REQUIRES to be alone."""
        write_whole(self._descriptor, b"\1", _RECOVERING_AT)

    def newest(self) -> Steady | None:
        """Return the newest whole record; None if neither is whole."""
        return max(filter(None, map(self._read, (0, 1))), key=lambda steady: steady.sequence, default=None)

    def record(self, steady: Steady) -> None:
        """Write a record over the older one; return when it is on disk. REQUIRES the checkpoint lock, or to be alone.

        Raises ``OSError``.
        """
        write_whole(self._descriptor, _encoded(steady), _slot_at(steady.sequence))
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _read(self, slot: int) -> Steady | None:
        stored = os.pread(self._descriptor, 4 + _SLOT.size, _slot_at(slot))
        if len(stored) < 4 + _SLOT.size or zlib.crc32(stored[4:]) != int.from_bytes(stored[:4], "little"):
            return None
        format_, *fields = _SLOT.unpack_from(stored, 4)
        if format_ != _FORMAT:
            raise UnsupportedFormatError(
                f"A newer version has written the commit log: {self.path}", path=str(self.path)
            )
        sequence, is_closed, segment, offset, checksum, transaction_id, map_bytes, root_checksum, first, second = fields
        if sequence & 1 != slot:
            return None
        place = Place(segment, offset, checksum, transaction_id)
        return Steady(sequence, is_closed, place, map_bytes, root_checksum, MetaPages(first, second))


def _encoded(steady: Steady) -> bytes:
    body = _SLOT.pack(
        _FORMAT,
        steady.sequence,
        steady.is_closed,
        *steady.place,
        steady.map_bytes,
        steady.root_checksum,
        *steady.metas,
    )
    return zlib.crc32(body).to_bytes(4, "little") + body


def _slot_at(sequence: int) -> int:
    return _SLOT_SPACING * (1 + (sequence & 1))
