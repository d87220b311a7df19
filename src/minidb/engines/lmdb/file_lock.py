"""A lock among all threads of all processes that use a folder, every wait bounded.

LMDB has a lock of its own, but a caller cannot stop waiting for it. So MiniDB takes its own locks first, and meets
LMDB's free. Such a lock is an in-process lock and an advisory lock on a file, taken in this order. The kernel drops the
file's lock when its process dies, however it dies. The holder writes into the file who it is, for the error of whoever
waits in vain.

There are two, taken in this order: the *write lock* for the whole of a write transaction, and the *apply lock* while
LMDB's own write transaction is open, which is the short last part of it (or the rest, once it has spilled).
"""

from __future__ import annotations

import fcntl
import json
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
_LONGEST_PAUSE_S: Final = 0.01
_HOLDER_BYTES: Final = 256


class FolderLock:
    """One lock of a folder, as this process sees it. An open environment has one object for each of its two locks."""

    def __init__(self, folder: Path, file_name: str) -> None:
        self._thread_lock = WriteLock()
        self._descriptor = _open_lock_file(folder / file_name)
        self._unlock_file = partial(fcntl.flock, self._descriptor, fcntl.LOCK_UN)

    def acquire(self, timeout_s: float) -> Hold:
        """Take the lock, waiting at most ``timeout_s`` seconds, or raise ``WriteTimeoutError``."""
        deadline = time.monotonic() + timeout_s
        hold = self._thread_lock.acquire(timeout_s)
        try:
            hold.release_first(self._unlock_file)  # before the file is locked: to unlock a free one does no harm
            self._wait_for_file(timeout_s, deadline)
            self._write_holder()
        except BaseException:
            hold.release()
            raise
        return hold

    def close(self) -> None:
        """Let go of the lock file."""
        os.close(self._descriptor)

    def _wait_for_file(self, timeout_s: float, deadline: float) -> None:
        pause_s = _SHORTEST_PAUSE_S
        while not self._try_lock():
            if time.monotonic() + pause_s > deadline:
                raise self._timeout_error(timeout_s)
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _write_holder(self) -> None:
        holder = {"pid": os.getpid(), "thread": threading.current_thread().name[:60], "since": time.time()}
        text = json.dumps(holder).encode("ascii")
        # Blanks to a fixed length, so that nothing of a longer predecessor is left. A reader copes with half of it.
        os.pwrite(self._descriptor, text.ljust(_HOLDER_BYTES), 0)

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
        )


def _open_lock_file(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        make_private(path)
    except OSError as error:
        raise EngineUnavailableError(
            f"The lock file cannot be opened: {path}: {error.strerror}", path=str(path)
        ) from error
    return descriptor


def _read_holder(descriptor: int) -> tuple[int | None, str | None, float | None]:
    try:
        holder = json.loads(os.pread(descriptor, _HOLDER_BYTES, 0))
        # A clock that was set back must not make a negative age.
        return int(holder["pid"]), str(holder["thread"]), max(0.0, round(time.time() - float(holder["since"]), 3))
    except (ValueError, KeyError, TypeError, OSError):
        return None, None, None
