"""Who has a folder open: whoever does shares a lock on a file of it, and who replaces the data file has it alone.

LMDB keeps no such account that could be asked without harm, and a process whose data file is replaced under it goes on
writing to the old one. The kernel drops the lock when its process dies, however it dies. Whoever takes it alone holds
the write lock of the folder first, or has the database open to nobody.

The kernel converts a lock by giving it up and taking it anew, and whoever comes in between has it. So whoever wants the
lock alone, or had it alone and shares it now, locks the folder itself for that moment: a lock that is shared stays so.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from minidb.engines.lmdb.folder import OPEN_LOCK_FILE, make_private
from minidb.exceptions import EngineUnavailableError

_CHILD_WAIT_S: Final = 30.0
_CONVERSION_WAIT_S: Final = 5.0
"""Seconds to wait for others to convert their locks, which takes them microseconds."""

_PAUSE_S: Final = 0.005


class OpenLock:
    """The lock of one folder, taken by one open environment, or by a replacement."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._path = f"{folder}/{OPEN_LOCK_FILE}"
        self._descriptor = _open(self._folder, self._path)
        self._kind: int | None = None

    def try_share(self) -> bool:
        """Take the lock with others; False where somebody has it alone. A folder that is not writable may lack it."""
        if self._descriptor is None:
            return True
        if self._kind == fcntl.LOCK_EX:
            self.share_again()
        elif not _try(self._descriptor, fcntl.LOCK_SH):
            return False
        self._kind = fcntl.LOCK_SH
        return self._is_in_place()

    def try_alone(self) -> bool:
        """Take the lock alone; False where others share it. One that was shared is shared still then."""
        if self._descriptor is None:
            return False
        with self._converting() as is_safe:
            if not is_safe:
                return False
            if not _try(self._descriptor, fcntl.LOCK_EX):
                if self._kind is not None:
                    fcntl.flock(self._descriptor, fcntl.LOCK_SH)
                return False
            self._kind = fcntl.LOCK_EX
        return self._is_in_place()

    def share_again(self) -> None:
        """Share what was held alone."""
        if self._descriptor is not None and self._kind == fcntl.LOCK_EX:
            with self._converting():
                fcntl.flock(self._descriptor, fcntl.LOCK_SH)
                self._kind = fcntl.LOCK_SH

    def holders(self) -> list[int]:
        """Return the ids of the processes that have the lock, as far as the host tells."""
        if self._descriptor is None:
            return []
        inode = os.fstat(self._descriptor).st_ino
        try:
            lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        except OSError:
            return []
        # "7: FLOCK  ADVISORY  READ 4711 08:01:131 0 EOF": see proc_locks(5)
        locks = [line.split() for line in lines if " FLOCK " in line]
        pids = {int(lock[4]) for lock in locks if len(lock) > 5 and lock[5].rpartition(":")[2] == str(inode)}
        return sorted(pid for pid in pids if pid > 0)

    def renew_in_child(self) -> None:
        """Have a lock of this process's own, where a fork has left it with a part in its parent's."""
        self.close()
        deadline = time.monotonic() + _CHILD_WAIT_S
        self._descriptor = _open(self._folder, self._path)
        while not self.try_share() and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)

    def close(self) -> None:
        """Give the lock up. A process that shares the descriptor through a fork keeps it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = self._kind = None

    @contextmanager
    def _converting(self) -> Iterator[bool]:
        """Keep others from taking the lock alone; False if somebody else does so for too long."""
        deadline = time.monotonic() + _CONVERSION_WAIT_S
        try:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # it was removed
            yield False
            return
        try:
            while not (is_safe := _try(folder, fcntl.LOCK_EX)) and time.monotonic() < deadline:
                time.sleep(_PAUSE_S)
            yield is_safe
        finally:
            os.close(folder)

    def _is_in_place(self) -> bool:
        """Whether the file is still the one of this name: a restore that failed takes away the folder that it made."""
        assert self._descriptor is not None, "asked by those who have it locked"
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(self._path))
        except FileNotFoundError:
            return False


def _open(folder: str, path: str) -> int | None:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
        make_private(descriptor)
    except OSError as error:
        if os.access(folder, os.W_OK):
            raise EngineUnavailableError(
                f"The lock file cannot be opened: {path}: {error.strerror}", path=path
            ) from error
        try:
            return os.open(path, os.O_RDONLY | flags)
        except OSError:
            return None
    return descriptor


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
