"""Writes that come from several threads at a time, made in one transaction by one of them.

A call that writes a row is a transaction of its own. While one thread makes its own, others arrive. One of them leads
the next time: it begins a transaction, runs all calls that are waiting one after the other, and commits; the others
only wait. A call that is refused has written nothing, and hinders none of the others. Nobody can tell this from one
transaction after the other, but that each takes a fraction of the time.

What is not shared: calls within a transaction; those of the main thread, where a signal's exception may come in at any
point; those that run code of the program, such as validators, which is to run in the thread that called; and those of
a database that keeps a history, where each is a state to go back to.

    lead := begin, take those that wait, run each, commit, tell them, call the next in the line to lead

Those of a group are called one by one, each by the one before it, as in ``engines.lmdb.commit_queue``, and why.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

from minidb.engines.port import WriteTransaction
from minidb.exceptions import CommitUnknownError, StorageFullError, WriteTimeoutError
from minidb.tables.session import WriteSession
from minidb.waiter import Waiter

GATHER_S: Final = 0.0005
"""So long does a leader wait for the next of those who shared the last transaction to come back. Without it 8 threads
take half as long again, 32 twice, also where nothing is flushed: a leader who commits while others come hands them the
interpreter's lock at each call of LMDB's."""

LONGEST_GATHER_S: Final = 0.002
"""So long does he wait for all of them."""

MOST_WRITES: Final = 64
"""So many at most are made in one transaction: it stays one that shares a flush with others."""

LOOK_AGAIN_S: Final = 1.0
"""So often does one who waits look for himself. He is always called; this is for a leader that was killed."""

Operation = Callable[[WriteSession], Any]  # Any: what the caller is to get
"""Writes in a transaction that others share. REQUIRES that it writes nothing before its last check."""


class SharedWrite(Waiter):
    """What one thread wants to be written, and what has come of it."""

    __slots__ = ("deadline", "failure", "operation", "result", "thread_id")

    def __init__(self, operation: Operation, deadline: float) -> None:
        super().__init__()
        self.operation = operation
        self.deadline = deadline
        self.thread_id = threading.get_ident()
        self.result: Any = None  # Any: as above
        self.failure: BaseException | None = None

    def run(self, session: WriteSession) -> None:
        """Run it; what it raises is for its caller."""
        try:
            self.result, self.failure = self.operation(session), None
        except Exception as error:  # noqa: BLE001  # raised where it was called
            self.failure = error


class SharedWrites:
    """The writes of one database that wait to be made. Any thread may call ``make``, but the main thread."""

    def __init__(
        self,
        begin: Callable[[float], WriteTransaction],
        session_of: Callable[[WriteTransaction], WriteSession],
        *,
        timeout_s: float,
        gathers: bool,
    ) -> None:
        """``begin`` begins a transaction, waiting for so many seconds; ``session_of`` makes it one of the tables.

        ``gathers``: a leader may wait for company. Not where a commit costs nothing.
        """
        self._begin = begin
        self._session_of = session_of
        self._timeout_s = timeout_s
        self._waiting: deque[SharedWrite] = deque()
        self._leader: dict[None, SharedWrite] = {}  # at most one: taken, with its thread, and left in one step each
        self._gathers = gathers
        self._gathering: SharedWrite | None = None
        self._expected = 1  # those of the last group, and who waited when it was done

    @property
    def is_led_by_caller(self) -> bool:
        """Whether the caller's thread is in the middle of leading, as in a finalizer that the collector runs there."""
        leader = self._leader.get(None)
        return leader is not None and leader.thread_id == threading.get_ident()

    def make(self, operation: Operation) -> Any:  # Any: what the operation returns
        """Run an operation, and return its result when that is committed. Raises as both do.

        REQUIRES that the caller's thread does not lead: it would wait for itself.
        """
        write = SharedWrite(operation, time.monotonic() + self._timeout_s)
        self._waiting.append(write)
        while not write.is_done:
            if self._leader.setdefault(None, write) is write:
                try:
                    if not write.is_done:
                        self._lead(write)
                finally:
                    self._leader.clear()
                    self._call_next()
            else:
                self._call_gathering()
                write.wait(LOOK_AGAIN_S)
        write.call_following()
        if write.failure is not None:
            raise write.failure
        return write.result

    def _call_next(self) -> None:
        """Call the first who waits, if anybody does. Called once too often, he only looks in vain."""
        try:
            self._waiting[0].call()
        except IndexError:
            return

    def _gather(self, own: SharedWrite) -> None:
        """Wait for those who are expected, as long as they keep coming."""
        latest, seen = time.monotonic() + LONGEST_GATHER_S, 0
        self._gathering = own
        while seen < len(self._waiting) < self._expected and time.monotonic() < latest:
            seen = len(self._waiting)
            own.wait(GATHER_S)
        self._gathering = None

    def _call_gathering(self) -> None:
        gathering = self._gathering
        if gathering is not None and len(self._waiting) >= self._expected:
            gathering.call()

    def _lead(self, own: SharedWrite) -> None:
        """Make those that wait, the leader's own among them, or at least the first ones. REQUIRES to be the leader."""
        if self._gathers and len(self._waiting) < self._expected:
            self._gather(own)
        alone = None
        try:
            alone = self._begin(max(0.0, own.deadline - time.monotonic()))
            session = self._session_of(alone)
        except BaseException as error:
            self._waiting.remove(own)  # the others wait for as long as they may, each led by the next
            if alone is not None:
                alone.close()
            if isinstance(error, WriteTimeoutError):
                error.facts["timeout_s"] = self._timeout_s  # it began to wait before it led
            raise
        group = [self._waiting.popleft()]
        while self._waiting and len(group) < MOST_WRITES and not session.catalog.keeps_history:
            group.append(self._waiting.popleft())
        try:
            self._make_together(group, alone, session)
        finally:
            self._expected = min(MOST_WRITES, len(group) + len(self._waiting))
            if own in group:
                group.remove(own)
                group.insert(0, own)  # it is awake
            for write, following in pairwise(group):  # before they are done: who finds that by himself calls on
                write.following = following
            for write in group:
                write.is_done = True
            if group[0] is not own:
                group[0].call()

    def _make_together(self, group: Sequence[SharedWrite], alone: WriteTransaction, session: WriteSession) -> None:
        try:
            for write in group:
                write.run(session)
                if alone.is_doomed and write.failure is not None:  # it found no room, and took from the others theirs
                    raise write.failure
            if any(write.failure is None for write in group):
                alone.commit()
        except StorageFullError as error:
            if len(group) == 1:
                _fail(group, error)
                return
            alone.close()
            self._make_each(group)
        except Exception as error:  # noqa: BLE001  # raised where it was asked for
            _fail(group, error)
        except BaseException:
            _fail(group, CommitUnknownError("The commit failed, and may have happened or not"))
            raise
        finally:
            alone.close()

    def _make_each(self, group: Sequence[SharedWrite]) -> None:
        """Make each in a transaction of its own: together they found no room, and some of them may."""
        for number, write in enumerate(group):
            try:
                alone = self._begin(self._timeout_s)
                try:
                    write.run(self._session_of(alone))
                    if write.failure is None:
                        alone.commit()
                finally:
                    alone.close()
            except Exception as error:  # noqa: BLE001  # as above
                write.failure = error
            except BaseException:
                for other in group[number:]:  # what they have is of the transaction that was undone
                    other.failure = CommitUnknownError("The commit failed, and may have happened or not")
                raise


def _fail(group: Sequence[SharedWrite], error: Exception) -> None:
    """Let an error be that of all which were not refused anyway."""
    for write in group:
        if write.failure is None:
            import copy

            failure = copy.copy(error)  # each is raised in a thread of its own
            failure.__cause__ = error.__cause__
            write.failure = failure
