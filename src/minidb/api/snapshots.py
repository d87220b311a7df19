"""The snapshots that the program holds open: read transactions and unfinished iterations, and how old they are.

As long as a snapshot is open, the room of everything deleted or replaced since cannot be used again, and the file
grows. So one that is open for long is told of in a warning. Single calls are not counted: they end by themselves.
"""

from __future__ import annotations

import threading
import time

from minidb.api.origin import caller
from minidb.log import Logger

_log = Logger("minidb.transaction")


class OpenSnapshot:
    """One snapshot that is open. Ended by ``OpenSnapshots.end``."""

    __slots__ = ("began", "began_at", "is_reported", "thread")

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.began_at = caller()
        self.thread = threading.current_thread().name
        self.is_reported = False


class OpenSnapshots:
    """Those of one database. Safe from any thread: single operations on a set."""

    def __init__(self, warning_s: float | None) -> None:
        self._warning_s = warning_s
        self._open: set[OpenSnapshot] = set()

    def begin(self) -> OpenSnapshot:
        """Note a snapshot that begins now."""
        snapshot = OpenSnapshot()
        self._open.add(snapshot)
        return snapshot

    def end(self, snapshot: OpenSnapshot) -> None:
        """Forget a snapshot, with a warning if it was open for too long. May be called again."""
        if snapshot in self._open:
            self._open.discard(snapshot)
            self._warn(snapshot, "was")

    def statistics(self) -> dict[str, int | float]:
        """Return how many there are and the age of the oldest, in seconds; warn of those that are too old."""
        snapshots = self._open.copy()
        for snapshot in snapshots:
            self._warn(snapshot, "is")
        now = time.monotonic()
        oldest_s = max((now - snapshot.began for snapshot in snapshots), default=0.0)
        return {"open_snapshots": len(snapshots), "oldest_snapshot_age_s": round(oldest_s, 3)}

    def _warn(self, snapshot: OpenSnapshot, verb: str) -> None:
        age_s = time.monotonic() - snapshot.began
        if self._warning_s is None or age_s <= self._warning_s or snapshot.is_reported:
            return
        snapshot.is_reported = True
        began_at = str(snapshot.began_at)
        _log.warning(
            "a snapshot %s open for %.1f s, so the file grows: thread %r, since %s",
            verb,
            age_s,
            snapshot.thread,
            began_at,
            extra={"age_s": round(age_s, 3), "thread_of_snapshot": snapshot.thread, "began_at": began_at},
        )
