"""Advisory locks on files of the folder: what keeps processes from writing at the same time, every wait bounded.

LMDB has a lock of its own, but a caller cannot stop waiting for it. So MiniDB takes its own locks first, and meets
LMDB's free. The kernel drops the lock on a file when its process dies, however it dies. The holder writes into the file
who it is, for the error of whoever waits in vain.

There are two that matter, taken in this order: the write lock (``write_turn``), and the *apply lock*, a ``FolderLock``,
while LMDB's own write transaction is open.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from functools import partial
from pathlib import Path
from typing import Final

from minidb.engines.lmdb.folder import make_private
from minidb.engines.write_lock import Hold, WriteLock
from minidb.exceptions import EngineUnavailableError, WriteTimeoutError

_SHORTEST_PAUSE_S: Final = 0.0002
_LONGEST_PAUSE_S: Final = 0.002
"""One process at a time waits for the write lock itself, so it may look often; the others wait behind it."""

_HOLDER_BYTES: Final = 256


class LockFile:
    """A file that one process has locked at a time. Locking it again, or unlocking it when it is free, does no harm."""

    def __init__(self, path: str) -> None:
        self._descriptor = _open_lock_file(path)
        self._named_thread = ""
        self._holder_start = b""
        self.unlock = partial(fcntl.flock, self._descriptor, fcntl.LOCK_UN)
        """Unlock, in one step of C."""

    def try_lock(self) -> bool:
        """Lock it if no other process has."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lock(self, timeout_s: float, deadline: float, holder: LockFile | None = None) -> None:
        """Lock it, waiting until the deadline, or raise ``WriteTimeoutError`` that names who is in ``holder``."""
        pause_s = _SHORTEST_PAUSE_S
        while not self.try_lock():
            if time.monotonic() + pause_s > deadline:
                raise (holder or self)._timeout_error(timeout_s)
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def write_holder(self) -> None:
        """Say in the file that this thread has it. REQUIRES the lock."""
        name = threading.current_thread().name
        if name != self._named_thread:  # what stays the same is kept: this is on the way of every commit
            from json.encoder import encode_basestring_ascii as quote  # here, as who only reads does without: 2 ms

            self._holder_start = f'{{"pid": {os.getpid()}, "thread": {quote(name[:60])}, "since": '.encode("ascii")
            self._named_thread = name
        # Blanks to a fixed length, so that nothing of a longer predecessor is left. A reader copes with half of it.
        text = b"%s%.6f}" % (self._holder_start, time.time())
        try:
            os.pwrite(self._descriptor, text.ljust(_HOLDER_BYTES), 0)
        except OSError:  # such as a full disk: who holds the lock is good to know, but nothing depends on it
            return

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _timeout_error(self, timeout_s: float) -> WriteTimeoutError:
        pid, thread, age_s = _read_holder(self._descriptor)
        who = "another process" if pid is None else f"thread {thread!r} of process {pid}"
        since = "" if age_s is None else f", for {age_s:.1f} s"
        return WriteTimeoutError(
            "Another process held the database's write lock for too long",
            hint=f"it is held by {who}{since}; keep write transactions short",
            timeout_s=timeout_s,
            pid=pid,
            thread=thread,
            age_s=age_s,
            began_at=None,
        )


class FolderLock:
    """A lock among all threads of all processes: an in-process lock and then a file, taken and given back together."""

    def __init__(self, folder: Path, file_name: str, *, names_holder: bool = True) -> None:
        """``names_holder``: say in the file who has it, which is of use where one may have it for long."""
        self._thread_lock = WriteLock()
        self._file = LockFile(f"{folder}/{file_name}")
        self._names_holder = names_holder

    def acquire(self, timeout_s: float) -> Hold:
        """Take the lock, waiting at most ``timeout_s`` seconds, or raise ``WriteTimeoutError``."""
        deadline = time.monotonic() + timeout_s
        hold = self._thread_lock.acquire(timeout_s)
        try:
            hold.release_first(self._file.unlock)  # before the file is locked: to unlock a free one does no harm
            self._file.lock(timeout_s, deadline)
            if self._names_holder:
                self._file.write_holder()
        except BaseException:
            hold.release()
            raise
        return hold

    def close(self) -> None:
        """Let go of the lock file."""
        self._file.close()


def _open_lock_file(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        make_private(descriptor)
    except OSError as error:
        raise EngineUnavailableError(f"The lock file cannot be opened: {path}: {error.strerror}", path=path) from error
    return descriptor


def _read_holder(descriptor: int) -> tuple[int | None, str | None, float | None]:
    import json

    try:
        holder = json.loads(os.pread(descriptor, _HOLDER_BYTES, 0))
        # A clock that was set back must not make a negative age.
        return int(holder["pid"]), str(holder["thread"]), max(0.0, round(time.time() - float(holder["since"]), 3))
    except (ValueError, KeyError, TypeError, OSError):
        return None, None, None
