"""Group commit: the transactions of this process that have been committed and are on their way to the disk.

A commit puts the transaction's changes at the end of the *line*, lets the next writer begin, and waits until they are
on disk. Whoever finds nobody doing so leads: it flushes all that stand in the line as one, tells them, and calls the
first of those who have come meanwhile to lead the next group. So one flush is shared by all who came during the one
before it. A leader who finds fewer in the line than shared the last flush waits for them, for ``GATHER_S`` at most; a
lone writer leads at once and waits for nobody. There is no thread for it.

Those of a group are called one by one, each by the one before it: called all at once they would wait for the
interpreter's lock instead (8 or 32 threads: a tenth slower, with twice as many switches between threads).

A writer that begins reads what stands in the line (``view``) over a snapshot, so each transaction in it builds on those
before it. If one fails, so do all behind it, with ``ConflictError``: that line is dead, and a new one is begun.
Survivors are always a prefix of the order of commits.

Whoever is in the line cannot leave it, since others build on it. A signal's exception, such as ``KeyboardInterrupt``,
is passed on when the commit is done. Between any two calls the state is such that going on from there, or beginning the
group again, gives the same result: applying changes twice is applying them once.

Locks: the line is appended to by the holder of the write lock only. All else is single steps of C on it and on the
dict that says who leads.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from minidb.engines.write_buffer import Layer
from minidb.exceptions import CommitUnknownError, ConflictError, MiniDBError, StorageFullError
from minidb.waiter import Waiter

if TYPE_CHECKING:
    from minidb.engines.lmdb.environment import KnownSpaces

LOOK_AGAIN_S: Final = 1.0
"""So often does one who waits look for himself. He is always called; this is for a leader that two interrupts ended."""

GATHER_S: Final = 0.0005
"""So long does a leader wait for those who shared the last flush to come back: about one flush. Without it the first to
come back would flush for itself alone, and the others wait twice (8 threads: groups of 4 instead of 7)."""

MOST_SEEN: Final = 64
"""A view keeps so many commits that are on disk already, or as many as are not, before it is made anew."""


class Commit(Waiter):
    """One transaction's place in the line. Done when it has an outcome, or stands in a dead line."""

    __slots__ = ("changes", "failure", "known", "next_ids", "thread_id")

    def __init__(self, changes: Layer, known: KnownSpaces, next_ids: Mapping[int, int]) -> None:
        super().__init__()
        self.changes = changes
        self.known = known
        self.next_ids = next_ids
        self.thread_id = threading.get_ident()
        self.failure: MiniDBError | None = None

    def finish(self, failure: MiniDBError | None = None) -> None:
        """Set the outcome. The failure first: who sees that it is done must see which."""
        self.failure = failure
        self.is_done = True


Line = list[Commit]

Flush = Callable[[Sequence[Commit]], None]
"""Write the changes of some commits, in this order, and return when they are on disk.

``StorageFullError`` and most others say that nothing of it was written, ``CommitUnknownError`` that this is not known.
"""


class View(NamedTuple):
    """What the line looks like as one layer, for who reads over it."""

    layer: Layer
    last: Commit
    size: int


class CommitQueue:
    """The commits of one environment. Any thread may use it, as its methods say."""

    def __init__(self, flush: Flush, *, gather_s: float) -> None:
        """``gather_s`` is how long a leader may wait for company: nothing where a flush costs nothing."""
        self._flush = flush
        self.gather_s = gather_s
        self.line: Line = []
        """Those that are not known to be on disk, in the order of commits. Replaced by a new one when it is dead."""
        self.is_careful = False
        """Whether a commit has failed for want of room, so that the next shall not be built on before it is written."""
        self._leader: dict[None, Commit] = {}  # at most one: taken and left in one step each
        self._view: View | None = None
        self._last_size = 1  # of the last group

    @property
    def is_led_by_caller(self) -> bool:
        """Whether the caller's thread is in the middle of a flush, as in a signal's handler."""
        leader = self._leader.get(None)
        return leader is not None and leader.thread_id == threading.get_ident()

    def view(self) -> tuple[Line, View | None]:
        """Return the line and its changes; None for none. REQUIRES the write lock.

        Take the snapshot to read under it afterwards: one that holds some of these changes already does no harm.
        """
        line = self.line
        commits = line.copy()
        if not commits:
            self._view = None
            return line, None
        view, last = self._view, commits[-1]
        if view is None or view.last is not last:
            is_next = view is not None and len(commits) > 1 and view.last is commits[-2] and view.size > 1
            if view is not None and is_next and view.size < max(2 * len(commits), MOST_SEEN):
                view.layer.absorb(last.changes, keeps_upper=True)  # again, if an interrupt cut it short: no harm
                view = View(view.layer, last, view.size + 1)
            else:
                view = View(as_one(commits), last, len(commits))
            self._view = view
        return line, view

    def finish(self, commit: Commit, line: Line) -> None:
        """Wait until a commit that stands in the line is done. Raises only what a signal's handler raises.

        REQUIRES the thread that made the commit.
        """
        # Calls, and no loops: on Python 3.13.0 a signal's exception that comes in at a jump back passes by.
        try:
            self._work_until_done(commit, line)
            self._call_next()
            commit.call_following()
        except BaseException as error:
            self._finish_interrupted(commit, line, error)
            raise

    def _finish_interrupted(self, commit: Commit, line: Line, error: BaseException) -> None:
        try:
            self._work_until_done(commit, line)
            self._call_next()
            commit.call_following()
        except BaseException:
            if isinstance(error, Exception):  # no interrupt: it would come each time
                for other in line.copy():
                    if not other.is_done:
                        other.finish(CommitUnknownError("The commit failed, and may have happened or not"))
                self._give_up(line)
            if self._leader.get(None) is commit:
                self._leader.clear()
            self._call_next()
            commit.call_following()
            raise

    def wait_until_empty(self, line: Line) -> Commit | None:
        """Wait until nothing that stands in the line is left to do. REQUIRES the write lock.

        Return the place that was taken behind them, if there was anybody.
        """
        commits = line.copy()
        if not commits:
            return None
        last = Commit(Layer(), commits[-1].known, commits[-1].next_ids)
        try:
            line.append(last)
            self.finish(last, line)
        except BaseException:
            if last in line:
                self.finish(last, line)
            raise
        return last

    def require_written(self, line: Line) -> None:
        """Wait until all that stands in the line is on disk. REQUIRES the write lock.

        Raises ``ConflictError`` if a part of it failed.
        """
        last = self.wait_until_empty(line)
        if last is not None:
            self.require_committed(last, line)

    def require_committed(self, commit: Commit, line: Line) -> None:
        """Raise what has kept a commit that is done from being committed."""
        if commit.failure is not None:
            raise commit.failure
        if not commit.is_done and line is not self.line:
            raise ConflictError(
                "Another transaction, whose changes this one has seen, could not be committed, so neither was this one",
                hint="run it again",
            )

    def _is_settled(self, commit: Commit, line: Line) -> bool:
        return commit.is_done or line is not self.line

    def _work_until_done(self, commit: Commit, line: Line) -> None:
        # Who leads goes on, also where an interrupt has cut that short: others wait for what is left of it.
        while not self._is_settled(commit, line) or self._leader.get(None) is commit:
            if self._leader.setdefault(None, commit) is commit:
                if len(self.line) < self._last_size and not commit.changes.is_empty:  # behind such nobody can come
                    commit.wait(self.gather_s)
                self._lead()
                self._leader.clear()
                self._call_next()
            else:
                self._call_gathering_leader()
                commit.wait(LOOK_AGAIN_S)

    def _call_gathering_leader(self) -> None:
        leader = self._leader.get(None)
        if leader is not None and len(self.line) >= self._last_size:
            leader.call()

    def _call_next(self) -> None:
        """Call the first in the line, if nobody leads. Called once too often, it only makes one look in vain."""
        for first in self.line[:1]:
            if not self._leader:
                first.call()

    def _lead(self) -> None:
        """Flush the line. REQUIRES to be the leader."""
        line = self.line
        group = line.copy()
        if [commit for commit in group if commit.failure is not None]:  # an interrupt came before the line was given up
            self._give_up(line)
            return
        waiting = [commit for commit in group if not commit.is_done]
        for commit, following in pairwise(waiting):  # before they are done: who finds that by himself calls on
            commit.following = following
        try:
            self._flush_together(waiting)
        except MiniDBError:
            self._give_up(line)
            return
        was_interrupted = len(waiting) < len(group)  # before those that were done were called
        for commit in group if was_interrupted else group[:1]:
            commit.call()
        self._last_size = len(group)
        del line[: len(group)]  # last: until then an interrupted leader would call them again

    def _flush_together(self, group: Sequence[Commit]) -> None:
        try:
            self._flush(group)
        except StorageFullError as error:
            self.is_careful = True
            if len(group) == 1:
                group[0].finish(error)
                raise
            for commit in group:  # the first that does not fit ends it
                self._flush_together([commit])
        except MiniDBError as error:
            for commit in group:
                failure = copy.copy(error)  # each is raised in a thread of its own
                failure.__cause__ = error.__cause__
                commit.finish(failure)
            raise
        else:
            for commit in group:
                commit.finish()

    def _give_up(self, line: Line) -> None:
        """Begin a new line: those in the old one that have no outcome build on one that failed."""
        if line is self.line:
            self.line = []
        for commit in line.copy():
            commit.call()


def as_one(commits: Sequence[Commit]) -> Layer:
    """Return the changes of some commits as one layer, which nobody may change if it is one's own."""
    if len(commits) == 1:
        return commits[0].changes
    whole = Layer()
    for commit in commits:
        whole.absorb(commit.changes, keeps_upper=True)
    return whole
