"""The reserve: room on the disk that is kept so that rows can be deleted when the disk is full.

LMDB writes pages anew before it can use the old ones again, so a full disk would refuse also what makes room. The
reserve is a file that holds nothing but its place on the disk. A commit that found the disk full, and does not make the
database larger, is done once more while the place is *lent*: given back to the file system, where LMDB finds it. What
then is left of it is taken back at once, the rest when the disk has room again. Until then as much must stay free in
the data file (``Environment.lack_of_room``), so that what grows never gets the reserve, neither now nor later.

The length of the file says how much is kept, to every process. Where it cannot be made (a disk too full to begin with,
a stranger's file in its place) there is none, and nothing else is different.

Figures: to delete a row copies 7 pages in a small table, and 22 where five indexes lie over 100 000 rows. Copied pages
are free again two commits later. So three such deletes in a row take 264 KiB.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from minidb.engines.lmdb.folder import NEW_FOLDER, RESERVE_FILE, make_private

RESERVE_BYTES: Final = 512 * 1024
STEP_BYTES: Final = 64 * 1024
"""It is taken in such pieces, so that all but one of what the disk has can be had."""


class Reserve:
    """The reserve of one folder. All methods REQUIRE the apply lock, but ``close``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RESERVE_FILE
        self._descriptor: int | None = None

    def missing_bytes(self) -> int:
        """Take back what is lent, and return how much of it still is. Nothing where there is no reserve."""
        if self._descriptor is None:
            return self._open()
        # The one call on the way of every commit, a quarter of a microsecond: another process may have lent it.
        kept_bytes = os.lseek(self._descriptor, 0, os.SEEK_END)
        return 0 if kept_bytes >= RESERVE_BYTES else self._take(self._descriptor)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Give its place back to the file system, and take what is left of it at the end."""
        try:
            if self._descriptor is not None:
                os.ftruncate(self._descriptor, 0)
            yield
        finally:
            self.missing_bytes()

    def close(self) -> None:
        """Let go of the file, which keeps its place."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        is_aside = self._path.parent.name == NEW_FOLDER  # where nothing is deleted, and all may be needed
        if is_aside or not hasattr(os, "posix_fallocate"):  # as on macOS
            return 0
        is_new = not self._path.exists()
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return 0
        with suppress(OSError):
            make_private(self._path)
        missing_bytes = self._take(descriptor)
        if is_new and missing_bytes:  # it was never there: what is missing of it is not lent
            os.close(descriptor)
            self._path.unlink(missing_ok=True)
            return 0
        self._descriptor = descriptor
        return missing_bytes

    def _take(self, descriptor: int) -> int:
        for start in range(0, RESERVE_BYTES, STEP_BYTES):
            try:
                os.posix_fallocate(descriptor, start, STEP_BYTES)  # costs nothing where it is kept already
            except OSError:
                return RESERVE_BYTES - start
        return 0
