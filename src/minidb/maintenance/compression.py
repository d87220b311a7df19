"""Compressing what is written and seeing by its first bytes how what is read was compressed."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, cast, get_args

from minidb.exceptions import BackupError, InvalidOptionError
from minidb.maintenance.streams import Read, Write

Compression = Literal["gzip"]

SUFFIXES: Final = {None: "", "gzip": ".gz"}

SURELY_BEARABLE_BYTES: Final = 1024 * 1024 * 1024
LARGEST_RATIO: Final = 100
"""Times its size that a backup may have unpacked. Rows come to 2 to 20 times, zeros to 230."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP_LEVEL: Final = 1
"""The fastest: a backup holds a snapshot for as long as it takes, and what it saves beyond this is little."""


def require_known(compression: object) -> None:
    """Raise ``InvalidOptionError`` for a compression that there is not."""
    if compression is not None and compression not in get_args(Compression):
        raise InvalidOptionError("The option compression must be None or 'gzip'", option="compression")


@contextmanager
def compressing(write: Write, compression: Compression | None) -> Iterator[Write]:
    """Yield what writes compressed."""
    if compression is None:
        yield write
        return
    # No name and no time in it: equal data makes equal bytes.
    with gzip.GzipFile("", "wb", _GZIP_LEVEL, cast("Any", _Sink(write)), mtime=0) as file:
        yield file.write


class _Sink(io.RawIOBase):
    def __init__(self, write: Write) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # Any: a buffer of whatever kind
        self._write(bytes(data))
        return len(data)


class UnpacksTooMuchError(OSError):
    """The compressed data is most likely made to fill the disk of whoever unpacks it."""


def decompressing(read: Read, *, may_be_huge: bool = True) -> Read:
    """Return what reads decompressed. Damage of the compression is an ``OSError``, ``EOFError`` or ``ValueError``.

    Unless it ``may_be_huge``, more than ``SURELY_BEARABLE_BYTES`` that were so small as to make no sense is
    ``UnpacksTooMuchError``.
    """
    source = _Source(read)
    if not source.begins_with(_GZIP_MAGIC):
        return source.read
    file = gzip.GzipFile(fileobj=cast("Any", source), mode="rb")
    unpacked = 0

    def read_some(size: int) -> bytes:
        nonlocal unpacked
        try:
            data = file.read(size)
        except zlib.error as error:
            raise OSError("The compressed data is damaged") from error
        unpacked += len(data)
        if not may_be_huge and unpacked > max(SURELY_BEARABLE_BYTES, LARGEST_RATIO * source.read_bytes):
            raise UnpacksTooMuchError
        return data

    return read_some


class _Source(io.RawIOBase):
    """A source that has been looked at. Each read but the last gives at least one byte, as a pipe's does."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._seen = b""
        self.read_bytes = 0

    def begins_with(self, magic: bytes) -> bool:
        while len(self._seen) < len(magic):
            more = self._read(len(magic) - len(self._seen))
            if not isinstance(more, bytes):
                raise BackupError("A backup is read from a binary file, and this is none", path=None)
            if not more:
                break
            self._seen += more
        return self._seen == magic

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._seen and size != 0:
            size = len(self._seen) if size < 0 else size
            data, self._seen = self._seen[:size], self._seen[size:]
        else:
            data = self._read(size)
        self.read_bytes += len(data)
        return data
