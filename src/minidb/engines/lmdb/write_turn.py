"""The write lock of a folder: which thread, of all threads of all processes, may run the body of a write transaction.

Its two parts have different lengths. The in-process part is held while a body runs. The lock on the file is held as
long as this process has anything that other processes cannot see yet: while a body runs, and until every commit that
stands in the line (``commit_queue``) is on disk. Both are taken, and the file is given back, by the holder of the
in-process part only.

A process may keep the file, or take it again, for ``TURN_S`` at most while others wait. They wait at a *gate*, a second
file: whoever wants the write lock and has no turn locks the gate first, then the file, then opens the gate again. So
one process at a time waits for the file, its turn comes next, and whoever had one before must wait behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from minidb.engines.lmdb.file_lock import LockFile
from minidb.engines.lmdb.folder import GATE_LOCK_FILE, WRITE_LOCK_FILE
from minidb.engines.write_lock import Hold, WriteLock

TURN_S: Final = 0.01
"""Seconds. Handing over costs the others a pause of up to two milliseconds."""


class WriteTurn:
    """The write lock as this process sees it. An open environment has one."""

    def __init__(self, folder: Path) -> None:
        self._thread_lock = WriteLock()
        self._file = LockFile(f"{folder}/{WRITE_LOCK_FILE}")
        self._gate = LockFile(f"{folder}/{GATE_LOCK_FILE}")
        self._turn_ends = 0.0
        self._is_locked = False  # never true of a file that is not
        self._may_be_locked: list[bool] = []  # never empty where the file is locked: emptied in one step of C

    def acquire(self, timeout_s: float, began_at: object, require_written: Callable[[], object]) -> Hold:
        """Take both parts, waiting at most ``timeout_s`` seconds, or raise ``WriteTimeoutError``.

        The text of ``began_at`` says where in the program. ``require_written`` returns when nothing is left that other
        processes cannot see. The hold gives back the in-process part; ``give_back_file`` must follow, whatever happens.
        """
        now = time.monotonic()
        deadline = now + timeout_s
        hold = self._thread_lock.acquire(timeout_s, began_at)
        try:
            if self._is_locked and now > self._turn_ends and self._is_awaited():
                require_written()
                self._unlock()
            if not self._is_locked:
                self._lock(timeout_s, deadline)
                self._file.write_holder()
        except BaseException:
            hold.release()
            raise
        return hold

    def give_back_file(self, is_idle: Callable[[], bool]) -> None:
        """Give the file back, unless a body runs or the process is not idle: then whoever ends that will."""
        # Again and again: who ends the last thing meanwhile finds the in-process part taken, and relies on us.
        while self._may_be_locked and is_idle():
            hold = self._thread_lock.try_acquire()
            if hold is None:
                return
            try:
                if is_idle():
                    self._is_locked = False
                    hold.release_first(self._file.unlock, self._may_be_locked.clear)
                hold.release()
            except BaseException:
                hold.release()
                raise

    def close(self) -> None:
        """Let go of the files."""
        self._file.close()
        self._gate.close()

    def _is_awaited(self) -> bool:
        if not self._gate.try_lock():
            return True
        self._gate.unlock()
        self._turn_ends = time.monotonic() + TURN_S
        return False

    def _unlock(self) -> None:
        self._is_locked = False
        self._file.unlock()
        self._may_be_locked.clear()

    def _lock(self, timeout_s: float, deadline: float) -> None:
        self._may_be_locked.append(True)
        if time.monotonic() < self._turn_ends and self._file.try_lock():
            self._is_locked = True
            return
        if not self._gate.try_lock():
            self._file.unlock()  # which an interrupt may have left locked: who stands at the gate waits for it
        try:
            self._gate.lock(timeout_s, deadline, self._file)
            self._file.lock(timeout_s, deadline)
            self._is_locked = True
            self._turn_ends = time.monotonic() + TURN_S
        finally:
            self._gate.unlock()
