"""The write lock of one process: one writer at a time, every wait bounded, and the holder known."""

from __future__ import annotations

import os
import threading
import time

from minidb.exceptions import WriteTimeoutError


class WriteLock:
    """A lock that one thread holds while it writes.

    It is not reentrant: a thread that asks again while it holds the lock would wait for itself, and is told so at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: tuple[int, str, float] | None = None  # thread id, thread name, monotonic seconds

    def acquire(self, timeout_s: float) -> None:
        """Take the lock, waiting at most ``timeout_s`` seconds, or raise ``WriteTimeoutError``."""
        if not self._lock.acquire(blocking=False):
            holder = self._holder
            if holder is not None and holder[0] == threading.get_ident():
                raise self._timeout_error(
                    "This thread already has a write transaction open on this database, so a second one would wait for "
                    "itself",
                    timeout_s,
                    hint="use the transaction that is open, or end it first",
                )
            if not self._lock.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX)):
                raise self._timeout_error(
                    "Another thread of this process held the database's write lock for too long", timeout_s
                )
        thread = threading.current_thread()
        self._holder = (threading.get_ident(), thread.name, time.monotonic())

    def release(self) -> None:
        """Give the lock back."""
        self._holder = None
        self._lock.release()

    def _timeout_error(self, message: str, timeout_s: float, *, hint: str | None = None) -> WriteTimeoutError:
        holder = self._holder
        thread = None if holder is None else holder[1]
        age_s = None if holder is None else round(time.monotonic() - holder[2], 3)
        if hint is None:
            who = "an unnamed thread" if thread is None else f"thread {thread!r}"
            since = "" if age_s is None else f" for {age_s:.1f} s"
            hint = f"it is held by {who} of process {os.getpid()}{since}; keep write transactions short"
        return WriteTimeoutError(message, hint=hint, timeout_s=timeout_s, pid=os.getpid(), thread=thread, age_s=age_s)
