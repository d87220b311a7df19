"""A thread that tends the log in the background: checkpoints, and the flushes of relaxed commits.

It begins with a commit and ends when there was none for a while, so that an idle program has no thread of ours. Nothing
that it does is needed for an acknowledged commit to last; if the program ends under it, the log is replayed.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Final, Protocol

from minidb.exceptions import MiniDBError
from minidb.log import Logger

POLL_S: Final = 0.2
"""Seconds between two looks. A relaxed commit is on disk after so many, and the time of the flush."""

_log = Logger("minidb.transaction")


class Tend(Protocol):
    """Does what is to be done; False when nothing will be, before the next commit."""

    def __call__(self, *, quiet_s: float) -> bool: ...


class Keeper:
    """The thread of one commit log."""

    def __init__(self, tend: Tend) -> None:
        self._tend = tend
        self._wake = threading.Event()
        self._is_stopped = False
        self._committed_s = 0.0
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether it will do what is due."""
        thread = self._thread
        return thread is not None and thread.is_alive() and thread is not threading.current_thread()

    def note(self, *, is_due: bool) -> None:
        """Take note of a commit, and whether there is something to do now. REQUIRES the apply lock."""
        self._committed_s = time.monotonic()
        if self._thread is None or not self._thread.is_alive():
            self._is_stopped = False
            self._thread = threading.Thread(target=self._run, name="minidb-keeper", daemon=True)
            with suppress(RuntimeError):  # the interpreter is ending: whoever opens the database next does the rest
                self._thread.start()
        if is_due:
            self._wake.set()

    def forget(self) -> None:
        """Let the next commit begin a new thread. REQUIRES the apply lock, and to be the thread that ends."""
        self._thread = None

    def stop(self) -> None:
        """End the thread, and wait until it has ended. The next commit begins a new one."""
        self._is_stopped = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while self._is_awake():
            try:
                if not self._tend(quiet_s=time.monotonic() - self._committed_s):
                    return
            except MiniDBError as error:  # nothing is lost; the next commit meets what is wrong, and tells
                _log.warning("The database could not be tended in the background: %s", error)
                time.sleep(POLL_S)

    def _is_awake(self) -> bool:
        """Wait for the next look; False when there shall be none."""
        self._wake.wait(POLL_S)
        self._wake.clear()
        return not self._is_stopped
