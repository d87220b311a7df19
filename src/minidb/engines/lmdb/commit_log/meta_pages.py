"""LMDB's two meta pages: all in the data file that is ever written in place.

Everything else is written to pages that the newest snapshots do not reach. So a snapshot whose pages are on the disk,
and whose pages nobody uses again, is whole as soon as the meta pages are put back to what they were.

    page := head(16 bytes) magic(4) version(4) address(8) map_bytes(8) free_list(48) main(48) last_page(8) txnid(8)
    free_list, main := page_bytes(4) flags(2) depth(2) branch(8) leaf(8) overflow(8) entries(8) root(8)

That is LMDB 0.9 on a machine with 64 bits, in its own byte order. LMDB never writes to the rest of them again once the
file is made. There, in the first, stands the file's *identity*, 16 random bytes of ours: two files that have had the
same commits are alike otherwise.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from minidb.engines.lmdb.folder import write_whole

SAVED_BYTES: Final = 512
"""Of each page. The rest of it is never used; a disk writes so much at once or not at all."""

IS_SUPPORTED: Final = struct.calcsize("P") == 8
"""Whether this machine lays meta pages out as above."""

_MAGIC: Final = (0xBEEFC0DE).to_bytes(4, sys.byteorder)
_MAGIC_AT: Final = 16
_PAGE_BYTES_AT: Final = 40
_MAIN_ROOT_AT: Final = 128
_TRANSACTION_ID_AT: Final = 144
_IDENTITY_AT: Final = 2048  # Stored on disk: never change.
_IDENTITY_BYTES: Final = 16  # Stored on disk: never change.
_NO_PAGE: Final = 2**64 - 1


class MetaPages(NamedTuple):
    """Both pages, cut to what is used of them."""

    first: bytes
    second: bytes

    @property
    def transaction_id(self) -> int:
        """Of the newest snapshot, whose root stands in one of them."""
        return max(_number(self.first, _TRANSACTION_ID_AT), _number(self.second, _TRANSACTION_ID_AT))

    @property
    def page_bytes(self) -> int:
        """The size of a page."""
        return int.from_bytes(self.first[_PAGE_BYTES_AT : _PAGE_BYTES_AT + 4], sys.byteorder)

    @property
    def are_sound(self) -> bool:
        """Whether they look like meta pages at all."""
        return all(page[_MAGIC_AT : _MAGIC_AT + 4] == _MAGIC for page in self) and 512 <= self.page_bytes <= 65536

    def root_checksum(self, descriptor: int) -> int:
        """Return the CRC-32 of the file's identity and of the root page of the newest snapshot, other at each commit.

        It tells the data file that these pages are of from any other.
        """
        identity = zlib.crc32(os.pread(descriptor, _IDENTITY_BYTES, _IDENTITY_AT))
        newest = max(self, key=lambda page: _number(page, _TRANSACTION_ID_AT))
        root = _number(newest, _MAIN_ROOT_AT)
        if root == _NO_PAGE:
            return identity
        return zlib.crc32(os.pread(descriptor, self.page_bytes, root * self.page_bytes), identity)


def read(descriptor: int) -> MetaPages:
    """Read the pages of a data file. REQUIRES that nobody commits meanwhile."""
    first = os.pread(descriptor, SAVED_BYTES, 0)
    page_bytes = int.from_bytes(first[_PAGE_BYTES_AT : _PAGE_BYTES_AT + 4], sys.byteorder)
    return MetaPages(first, os.pread(descriptor, SAVED_BYTES, page_bytes))


def write(descriptor: int, pages: MetaPages) -> None:
    """Put saved pages back. REQUIRES that nobody has the file open in LMDB."""
    write_whole(descriptor, pages.first, 0)
    write_whole(descriptor, pages.second, pages.page_bytes)


def identify(path: Path) -> None:
    """Give a new data file its identity. REQUIRES that it is closed."""
    with path.open("r+b", buffering=0) as file:
        os.pwrite(file.fileno(), os.urandom(_IDENTITY_BYTES), _IDENTITY_AT)
        os.fdatasync(file.fileno())


def _number(page: bytes, at: int) -> int:
    return int.from_bytes(page[at : at + 8], sys.byteorder)
