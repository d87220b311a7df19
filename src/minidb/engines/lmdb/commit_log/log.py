"""The log: the records of all commits since the steady snapshot, in two files that take turns.

    minidb.log.0, minidb.log.1   the segments with even and with odd numbers
    segment := magic(8) number(8) txnid(8) salt(8) checksum(4) zeros(28) record*
    record  := size(4) txnid(8) checksum(4) changes(size bytes)

All numbers are little-endian. The txnid of a segment is that of the newest transaction when it was begun. The checksum
of a head is the CRC-32 of what stands before it. That of a record is the
CRC-32 of its size, txnid and changes, continued from the checksum before it: so what is left of overwritten records,
or of an earlier segment in the same file, never reads as a record of this one.

Where a record goes is ruled by the id of the LMDB transaction that it is of: behind the last record with a smaller one.
A record whose transaction never came about, because its process was killed between the two, is overwritten that way.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from minidb.engines.lmdb.folder import make_private, write_whole

_MAGIC: Final = b"MDBlog\x00\x01"  # Stored on disk: a new number for each new format.
_HEAD: Final = struct.Struct("<8sQQ8s")  # Stored on disk: never change.
_HEAD_BYTES: Final = 64  # Stored on disk: never change.
_RECORD: Final = struct.Struct("<IQ")  # Stored on disk: never change.
_CHECKSUM_BYTES: Final = 4
_RECORD_HEAD_BYTES: Final = _RECORD.size + _CHECKSUM_BYTES

STEP_BYTES: Final = 256 * 1024
"""A file grows by so many zeros at a time: to flush a record into bytes that are there already takes 115 µs, and 160
where the file grows."""

KEPT_BYTES: Final = 16 * 1024 * 1024
"""A segment's file that has grown larger is cut to this before it is used again."""


class FlushFailedError(OSError):
    """What was to be flushed may never be on the disk, whatever the kernel says of it from now on."""


class Place(NamedTuple):
    """A place between two records, and the transaction that all before it have led to."""

    segment: int
    offset: int
    checksum: int
    transaction_id: int


class Log:
    """The two files of one folder, open in one process. REQUIRES the apply lock, but for ``flush``."""

    def __init__(self, folder: Path) -> None:
        """Open the files, making them where they are not there."""
        self._descriptors: list[int] = []
        try:
            for name in file_names():
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                self._descriptors.append(os.open(folder / name, flags, 0o600))
                make_private(folder / name)
        except BaseException:
            self.close()
            raise
        # One assignment changes all, so that an interrupt leaves them right.
        self._known = _Known(None, None, is_committed=True)

    @property
    def end(self) -> Place | None:
        """Behind the last record that this process knows of."""
        return self._known.end

    def start_at(self, place: Place) -> None:
        """Let the next record go to a place, or behind what follows there."""
        self._known = _Known(None, place, is_committed=True)

    def find(self, segment: int, transaction_id: int) -> bool:
        """Find the place for the record of a transaction in the segment in use; False if there is a gap before it."""
        before, end, is_committed = self._known
        wanted = transaction_id - 1
        if end is None or end.segment != segment:
            end = self._head(segment)
            if end is None:
                return False
        elif end.transaction_id == wanted and is_committed:
            return True
        elif before is not None and before.transaction_id == wanted:  # the last one changed nothing
            self.start_at(before)
            return True
        elif before is not None and not is_committed:  # another process may have written over it
            end = before
        if end.transaction_id > wanted:
            end = self._head(segment)
            if end is None:
                return False
        for _, behind in self.records(end):
            if behind.transaction_id > wanted:
                break
            end = behind
        self.start_at(end)
        return end.transaction_id == wanted

    def append(self, transaction_id: int, changes: bytes) -> int:
        """Write a record, not flushed, and return its segment. REQUIRES that ``find`` has found its place.

        ``confirm`` follows when its transaction has been committed, ``take_back`` when it will never be. Raises
        ``OSError``; then what was written does not read as a record.
        """
        before = self._known.end
        assert before is not None, "found"
        head = _RECORD.pack(len(changes), transaction_id)
        checksum = zlib.crc32(changes, zlib.crc32(head, before.checksum))
        record = head + checksum.to_bytes(_CHECKSUM_BYTES, "little") + changes
        descriptor = self._descriptor(before.segment)
        end = before.offset + len(record)
        self._grow(descriptor, end)
        write_whole(descriptor, record, before.offset)
        self._known = _Known(before, Place(before.segment, end, checksum, transaction_id), is_committed=False)
        return before.segment

    def confirm(self) -> None:
        """Take note that the transaction of the last record was committed, so that nobody writes over it."""
        self._known = self._known._replace(is_committed=True)

    def take_back(self) -> None:
        """Unwrite the last record and flush that: its transaction will not come about. Raises ``OSError``."""
        before, end, _ = self._known
        assert before is not None, "just appended"
        assert end is not None, "just appended"
        descriptor = self._descriptor(before.segment)
        write_whole(descriptor, bytes(min(_RECORD_HEAD_BYTES, end.offset - before.offset)), before.offset)
        _flush(descriptor)
        self.start_at(before)

    def flush(self, segment: int) -> None:
        """Return when all records of a segment are on disk. Any thread may call it. Raises ``FlushFailedError``."""
        _flush(self._descriptor(segment))

    def begin_segment(self, number: int, transaction_id: int) -> Place:
        """Begin a segment over the one before last, and return where its records start. Raises ``OSError``.

        The last one is flushed: what is flushed in this one must not be lost with what came before it.
        """
        descriptor = self._descriptor(number)
        if number:
            self.flush(number - 1)
        if os.lseek(descriptor, 0, os.SEEK_END) > KEPT_BYTES:
            os.ftruncate(descriptor, KEPT_BYTES)
        head = _HEAD.pack(_MAGIC, number, transaction_id, os.urandom(8))
        checksum = zlib.crc32(head)
        write_whole(descriptor, (head + checksum.to_bytes(4, "little")).ljust(_HEAD_BYTES, b"\0"), 0)
        return Place(number, _HEAD_BYTES, checksum, transaction_id)

    def records(self, start: Place) -> Iterator[tuple[bytes, Place]]:
        """Yield the changes of each record from a place to the end of its segment, and the place behind it."""
        descriptor = self._descriptor(start.segment)
        place = start
        while True:
            head = os.pread(descriptor, _RECORD_HEAD_BYTES, place.offset)
            if len(head) < _RECORD_HEAD_BYTES:
                return
            size, transaction_id = _RECORD.unpack_from(head)
            if not size or size > os.lseek(descriptor, 0, os.SEEK_END) - place.offset:
                return
            changes = os.pread(descriptor, size, place.offset + _RECORD_HEAD_BYTES)
            checksum = zlib.crc32(changes, zlib.crc32(head[: _RECORD.size], place.checksum))
            if checksum != int.from_bytes(head[_RECORD.size :], "little") or len(changes) < size:
                return
            place = Place(place.segment, place.offset + _RECORD_HEAD_BYTES + size, checksum, transaction_id)
            yield changes, place

    def all_records(self, start: Place) -> Iterator[tuple[bytes, Place]]:
        """Yield what ``records`` does, through the segments, as far as each follows the transaction before it.

        A segment may end with the record of a transaction that never came about, as its process was killed, and that
        was not written over, as the next segment was begun before the next commit. So where that one has a record, this
        one ends with the transaction which that one begins behind. Where it has none it may never have been used.
        """
        place = start
        while True:
            following = self._head(place.segment + 1)
            last_id = None
            if following is not None and any(True for _ in self.records(following)):
                last_id = following.transaction_id
            for changes, behind in self.records(place):
                if place.transaction_id == last_id:
                    break
                if behind.transaction_id != place.transaction_id + 1:
                    return
                place = behind
                yield changes, behind
            if following is None or following.transaction_id != place.transaction_id:
                return
            place = following

    def reserve(self) -> None:
        """Let both files have room for some records, so that a full disk can be written to. Raises ``OSError``.

        What an earlier log may have left in them does not read as a segment afterwards.
        """
        for descriptor in self._descriptors:
            self._grow(descriptor, STEP_BYTES)
            write_whole(descriptor, bytes(_HEAD_BYTES), 0)
            _flush(descriptor)

    def size_bytes(self) -> int:
        """Return how much room the files take."""
        return sum(os.lseek(descriptor, 0, os.SEEK_END) for descriptor in self._descriptors)

    def close(self) -> None:
        """Let go of the files."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _descriptor(self, segment: int) -> int:
        return self._descriptors[segment & 1]

    def _head(self, segment: int) -> Place | None:
        """Return where the records of a segment start; None if it was not begun."""
        head = os.pread(self._descriptor(segment), _HEAD_BYTES, 0)
        if len(head) < _HEAD_BYTES:
            return None
        magic, number, transaction_id, _ = _HEAD.unpack_from(head)
        checksum = zlib.crc32(head[: _HEAD.size])
        if magic != _MAGIC or number != segment or checksum.to_bytes(4, "little") != head[_HEAD.size : _HEAD.size + 4]:
            return None
        return Place(segment, _HEAD_BYTES, checksum, transaction_id)

    def _grow(self, descriptor: int, needed_bytes: int) -> None:
        size_bytes = os.lseek(descriptor, 0, os.SEEK_END)
        if size_bytes < needed_bytes:
            write_whole(descriptor, bytes(needed_bytes + -needed_bytes % STEP_BYTES - size_bytes), size_bytes)


class _Known(NamedTuple):
    """What one process knows of the end of the log."""

    before: Place | None
    """Before the last record, where this process has written it."""

    end: Place | None
    is_committed: bool
    """Whether the transaction of the last record surely was."""


def _flush(descriptor: int) -> None:
    try:
        os.fdatasync(descriptor)
    except OSError as error:
        raise FlushFailedError(error.errno, error.strerror) from error


def file_names() -> tuple[str, str]:
    """Return the names of the two files."""
    return "minidb.log.0", "minidb.log.1"
