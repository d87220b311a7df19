"""The write lock of one process: one writer at a time, every wait bounded, and the holder known.

A signal's exception, such as the ``KeyboardInterrupt`` of Ctrl-C, can come between any two calls of the main thread,
and must not leave the lock held for ever. So it is taken and given back in single steps of C that each leave a trace.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain

from minidb.exceptions import WriteTimeoutError


class Hold:
    """A lock that is held. ``release`` may be called again, also after a signal's exception cut it short."""

    __slots__ = ("_steps",)

    def __init__(self, *steps: Callable[[], object]) -> None:
        """``steps`` give the lock back. REQUIRES functions written in C: no exception comes in before they have run."""
        self._steps: Iterator[Callable[[], object]] = iter(steps)

    def release_first(self, *steps: Callable[[], object]) -> None:
        """Add steps, in their order, before all others."""
        self._steps = chain(steps, self._steps)

    def release(self) -> None:
        """Give the lock back."""
        for step in self._steps:  # each is run once, however often this is begun
            step()


class WriteLock:
    """A lock that one thread holds while it writes.

    It is not reentrant: a thread that asks again while it holds the lock would wait for itself, and is told so at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # At most one: thread, monotonic seconds, and where in the program.
        self._holder: list[tuple[threading.Thread, float, object]] = []

    def acquire(self, timeout_s: float, began_at: object = None) -> Hold:
        """Take the lock, waiting at most ``timeout_s`` seconds, or raise ``WriteTimeoutError``.

        The text of ``began_at`` says where in the program this is, for the error of whoever waits in vain.
        """
        hold = Hold(self._holder.clear, self._lock.release)
        outcome: list[bool] = []
        try:
            # The outcome is kept in the same step of C that takes the lock: see above.
            outcome.extend(map(self._lock.acquire, (False,)))
            if not outcome[-1]:
                self._refuse_holder(timeout_s)
                outcome.extend(map(self._lock.acquire, (True,), (min(timeout_s, threading.TIMEOUT_MAX),)))
            if not outcome[-1]:
                raise self._timeout_error(
                    "Another thread of this process held the database's write lock for too long", timeout_s
                )
            self._holder.append((threading.current_thread(), time.monotonic(), began_at))
        except BaseException:
            if any(outcome):
                hold.release()
            raise
        return hold

    def try_acquire(self) -> Hold | None:
        """Take the lock if it is free."""
        hold = Hold(self._lock.release)
        outcome: list[bool] = []
        try:
            outcome.extend(map(self._lock.acquire, (False,)))
        except BaseException:
            if any(outcome):
                hold.release()
            raise
        return hold if outcome[0] else None

    def _refuse_holder(self, timeout_s: float) -> None:
        if any(thread is threading.current_thread() for thread, *_ in self._holder.copy()):
            raise self._timeout_error(
                "This thread already has a write transaction open on this database, so a second one would wait for "
                "itself",
                timeout_s,
                hint="use the transaction that is open, or end it first",
            )

    def _timeout_error(self, message: str, timeout_s: float, *, hint: str | None = None) -> WriteTimeoutError:
        thread, age_s, began_at = None, None, None
        for holder in self._holder.copy():
            holding, began, place = holder
            thread = holding.name
            age_s = round(time.monotonic() - began, 3)
            began_at = None if place is None else str(place)
        if hint is None:
            who = "an unnamed thread" if thread is None else f"thread {thread!r}"
            since = "" if age_s is None else f" for {age_s:.1f} s"
            where = "" if began_at is None else f", since {began_at}"
            hint = f"it is held by {who} of process {os.getpid()}{since}{where}; keep write transactions short"
        return WriteTimeoutError(
            message,
            hint=hint,
            timeout_s=timeout_s,
            pid=os.getpid(),
            thread=thread,
            age_s=age_s,
            began_at=began_at,
        )
