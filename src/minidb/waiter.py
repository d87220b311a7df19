"""A thread that waits for others to do its work: those of a group are called one by one, each by the one before it."""

from __future__ import annotations

import threading
from typing import Self


class Waiter:
    """What one thread waits for. It looks at what has become of it when it is called."""

    __slots__ = ("_alarm", "following", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self.following: Self | None = None
        """Whom its thread calls when it is done: the next one of its group."""
        self._alarm = threading.Lock()
        self._alarm.acquire()

    def wait(self, timeout_s: float) -> None:
        """Wait until called, but no longer than so many seconds."""
        self._alarm.acquire(timeout=timeout_s)

    def call(self) -> None:
        """Wake its thread, to look at what has become of it."""
        if self._alarm.locked():
            try:
                self._alarm.release()
            except RuntimeError:  # another thread has called it in this moment
                return

    def call_following(self) -> None:
        """Wake the thread of the next one of its group, if there is one."""
        if self.following is not None:
            self.following.call()
