"""The commit log of one open environment, as its write transactions see it.

A transaction that may write (``admits``) ends in one of three ways. Its changes are appended to the log, and flushed
there, before LMDB commits them without a flush (``commit``). Or, when there is too much of them to be written twice,
LMDB commits them and a checkpoint makes that the steady snapshot (``commit_with_checkpoint``). Or the database has no
log in use, and LMDB commits and flushes as it does by itself.

Locks, in this order: the checkpoint lock, then the apply lock.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lmdb

from minidb.engines.lmdb.commit_log.checkpoint import Begun, Checkpoints
from minidb.engines.lmdb.commit_log.keeper import Keeper
from minidb.engines.lmdb.commit_log.log import FlushFailedError, Log
from minidb.engines.lmdb.commit_log.records import encode
from minidb.engines.lmdb.commit_log.steady import FILE, Live, SteadyFile
from minidb.engines.lmdb.errors import disk_full, translate_os
from minidb.engines.lmdb.file_lock import FolderLock
from minidb.engines.lmdb.folder import CHECKPOINT_LOCK_FILE
from minidb.exceptions import CommitUnknownError, EngineUnavailableError, MiniDBError
from minidb.log import Logger
from minidb.options import Durability

if TYPE_CHECKING:
    from minidb.engines.write_buffer import SpaceChanges
    from minidb.engines.write_lock import Hold

MOST_COMMITS: Final = 1000
MOST_KEYS: Final = 8000
MOST_BYTES: Final = 4 * 1024 * 1024
"""So much may be in the log before the next checkpoint is due. While a snapshot is pinned each commit takes new pages,
and each key a page at worst: this is what the data file grows by."""

LOCK_WAIT_S: Final = 60.0
"""Seconds to wait for the locks of a checkpoint. Whoever has them has them for one, or to hand bytes to LMDB."""

QUIET_S: Final = 1.0
"""After so long without a commit a checkpoint is made, so that little is left to replay."""

IDLE_S: Final = 10.0
"""After so long the pin is let go of, and the thread ends. The next commit begins with a checkpoint."""

_log = Logger("minidb.transaction")


class CommitLog:
    """The commit log of one open environment. Any thread may use it, as its methods say."""

    def __init__(
        self,
        folder: Path,
        raw: lmdb.Environment,
        apply_lock: FolderLock,
        *,
        is_wanted: bool,
        durability: Durability,
        is_undone: Callable[[lmdb.Error], bool],
    ) -> None:
        """``is_wanted``: begin to use a log where none is in use. One that is in use by others is used all the same.

        ``is_undone`` tells of a commit of LMDB's that failed whether surely nothing of it is left.
        """
        self.is_used = False
        """Whether the transaction under the apply lock goes through the log."""
        self.checkpointed_s: float | None = None
        """When the last checkpoint of this process ended, by the monotonic clock."""
        self._folder = folder
        self._durability = durability
        self._is_wanted = is_wanted
        self._is_undone = is_undone
        self._apply_lock = apply_lock
        self._checkpoint_lock = FolderLock(folder, CHECKPOINT_LOCK_FILE)
        self._checkpoints = Checkpoints(folder, raw)
        self._has_room = threading.Condition()
        self._commits = self._keys = self._bytes = 0  # since the last checkpoint, of this process
        self._is_unflushed = False
        self._is_poisoned = False
        self._is_hurried = False  # somebody waits for the checkpoint that is under way
        self._began_s = 0.0
        self._keeper = Keeper(self.tend)

    # --- a transaction ------------------------------------------------------------------------------------------------

    def admits(self, transaction_id: int) -> bool:
        """Tell whether the transaction that has begun may write; if not, ``make_ready`` is to be called without it.

        REQUIRES the apply lock. Raises ``EngineUnavailableError`` after a failed flush.
        """
        checkpoints = self._checkpoints
        live = checkpoints.live()
        if live is None or not live.is_in_use:
            self.is_used = False
            return not self._is_wanted
        self.is_used = True
        self._require_sound(live)
        log = checkpoints.log
        assert log is not None, "opened with the steady file"
        return checkpoints.pin is not None and not live.is_broken and log.find(live.segment, transaction_id)

    def commit(self, transaction: lmdb.Transaction[bytes], changes: Sequence[tuple[int, SpaceChanges]]) -> None:
        """Write the record, flush it, and commit. REQUIRES that the transaction was admitted.

        Raises ``OSError`` or ``lmdb.Error`` where nothing of it is left, else ``CommitUnknownError``.
        """
        record = encode(changes)
        log = self._checkpoints.log
        assert log is not None, "admitted"
        segment = log.append(transaction.id(), record)
        if self._durability == "full":
            try:
                log.flush(segment)
            except OSError as error:
                raise self._poisoned() from error
        try:
            transaction.commit()
        except lmdb.Error as error:
            if not self._is_undone(error):
                raise self._poisoned() from error
            try:
                log.take_back()
            except OSError as failure:
                raise self._poisoned() from failure
            raise
        log.confirm()
        self._is_unflushed = self._durability != "full"
        self._commits += 1
        self._bytes += len(record)
        for _, change in changes:
            self._keys += len(change.items)
        self._keeper.note(is_due=self.is_due)

    def commit_with_checkpoint(self, transaction: lmdb.Transaction[bytes]) -> None:
        """Commit, and make that the steady snapshot. REQUIRES that it was admitted, and both locks.

        Others see it some moments before it is on disk. Raises ``lmdb.Error`` where nothing of it is left, else
        ``CommitUnknownError``.
        """
        steady = self._checkpoints.steady
        assert steady is not None, "admitted"
        steady.set_broken(is_broken=True)
        try:
            transaction.commit()
        except lmdb.Error as error:
            if not self._is_undone(error):
                raise self._poisoned() from error
            raise
        try:
            self._finish(self._begin())
        except CommitUnknownError:
            raise
        except MiniDBError as error:  # such as a full disk: others see the commit, and nobody may build on it
            raise self._poisoned() from error
        self._keeper.note(is_due=False)

    def lock_checkpoints(self) -> Hold:
        """Keep others from making checkpoints."""
        self._is_hurried = True
        return self._checkpoint_lock.acquire(LOCK_WAIT_S)

    def wait_for_room(self) -> None:
        """Wait for a checkpoint while the log is twice as long as it should be. REQUIRES no lock."""
        if self._commits < 2 * MOST_COMMITS and self._keys < 2 * MOST_KEYS and self._bytes < 2 * MOST_BYTES:
            return
        if self._keeper.is_running:
            with self._has_room:
                if self.is_due:
                    self._has_room.wait(1.0)
        else:
            self.checkpoint()

    # --- checkpoints --------------------------------------------------------------------------------------------------

    @property
    def keeps_room(self) -> bool:
        """Whether a checkpoint would let room be used again that the steady snapshot keeps."""
        return self._commits > 0

    @property
    def is_due(self) -> bool:
        """Whether a checkpoint should be made."""
        return self._commits >= MOST_COMMITS or self._keys >= MOST_KEYS or self._bytes >= MOST_BYTES

    def make_ready(self) -> None:
        """Make the newest snapshot the steady one, so that the next transaction may write. REQUIRES no lock."""
        hold = self.lock_checkpoints()
        try:
            apply_hold = self._apply_lock.acquire(LOCK_WAIT_S)
            try:
                self._finish(self._begin())
            finally:
                apply_hold.release()
        finally:
            hold.release()

    def checkpoint(self) -> None:
        """Make the newest snapshot the steady one, while others go on. REQUIRES no lock."""
        hold = self.lock_checkpoints()
        self._is_hurried = False
        try:
            apply_hold = self._apply_lock.acquire(LOCK_WAIT_S)
            try:
                begun = self._begin()
            finally:
                apply_hold.release()
            self._checkpoints.write_back(lambda: self._is_hurried or self.is_due)
            self._finish(begun)
        finally:
            hold.release()

    def _begin(self) -> Begun:
        self._began_s = time.monotonic()
        try:
            live = self._checkpoints.live()
            if live is not None:
                self._require_sound(live)
            begun = self._checkpoints.begin()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT) and not isinstance(error, FlushFailedError):
                raise disk_full(str(self._folder)) from error
            raise self._poisoned() from error
        self._commits = self._keys = self._bytes = 0
        return begun

    def _finish(self, begun: Begun, *, is_closed: bool = False) -> None:
        try:
            self._checkpoints.finish(begun, is_closed=is_closed)
        except (OSError, lmdb.Error) as error:
            raise self._poisoned() from error
        self.checkpointed_s = time.monotonic()
        with self._has_room:
            self._has_room.notify_all()
        _log.debug(
            "Checkpoint of transaction %d in %.1f ms",
            begun.place.transaction_id,
            (self.checkpointed_s - self._began_s) * 1000,
            extra={"path": str(self._folder), "transaction_id": begun.place.transaction_id},
        )

    def _poisoned(self) -> CommitUnknownError:
        """Forbid all writes until every process has closed the database, and return the error of this commit.

        What the kernel could not write it may have dropped, and call written. The steady snapshot and the log before
        it are good, so recovery is.
        """
        self._is_poisoned = True
        if self._checkpoints.steady is not None:
            with suppress(OSError):  # into a page that is in memory; if even that fails, others find out by themselves
                self._checkpoints.steady.poison()
        return CommitUnknownError(
            "The disk failed while a commit was being written, so it may have happened or not",
            hint="close the database, in every program that has it open, open it again, and look",
            path=str(self._folder),
        )

    # --- in the background --------------------------------------------------------------------------------------------

    def flush(self) -> bool:
        """Return when all that was committed through the log is on disk; False if none is in use. REQUIRES no lock."""
        self._is_unflushed = False
        log, steady = self._checkpoints.log, self._checkpoints.steady
        if log is not None and steady is not None:
            return self._flush(log, steady)
        try:
            steady = SteadyFile(self._folder / FILE)  # this process has not written; others may have
        except FileNotFoundError:
            return False
        with closing(steady), closing(Log(self._folder)) as log:
            return self._flush(log, steady)

    def _flush(self, log: Log, steady: SteadyFile) -> bool:
        live = steady.live()  # under no lock: who begins another segment meanwhile flushes this one
        if not live.is_in_use:
            return False
        self._require_sound(live)  # a flush that failed may succeed when it is tried again, without what it has lost
        try:
            log.flush(live.segment)
        except OSError as error:
            raise self._poisoned() from error
        return True

    def flush_unflushed(self) -> None:
        """Flush what this process has left unflushed. REQUIRES no lock."""
        if self._is_unflushed:
            self.flush()

    def rest(self) -> None:
        """Let nothing run in the background until the next commit."""
        self._is_hurried = True
        self._keeper.stop()

    def tend(self, *, quiet_s: float) -> bool:
        """Do what is to be done in the background; False when nothing will be, before the next commit.

        ``quiet_s``: seconds since the last commit of this process. REQUIRES no lock.
        """
        if self._checkpoints.is_poisoned:
            return False
        self.flush_unflushed()
        if self.is_due or (self._commits and (quiet_s > QUIET_S or self._checkpoints.is_pin_outdated)):
            self.checkpoint()
        if self._commits or not (quiet_s > IDLE_S or self._checkpoints.is_pin_outdated):
            return True
        hold = self._apply_lock.acquire(LOCK_WAIT_S)
        try:
            if self.keeps_room:  # meanwhile
                return True
            self._checkpoints.unpin()
            self._keeper.forget()
            return False
        finally:
            hold.release()

    # --- ends ---------------------------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, int]:
        """Return how long the log is, and how old the last checkpoint of this process."""
        log = self._checkpoints.log
        figures = {
            "log_bytes": 0 if log is None else log.size_bytes(),
            "log_commits": self._commits,
            "log_pins": int(self._checkpoints.pin is not None),
        }
        if self.checkpointed_s is not None:
            figures["checkpoint_age_ms"] = round((time.monotonic() - self.checkpointed_s) * 1000)
        return figures

    def close(self, *, is_last: bool) -> None:
        """Let go of everything. ``is_last``: nobody else has the database open, so leave nothing to be replayed."""
        self.rest()
        try:
            if is_last:
                self.close_cleanly()
            else:
                self.flush_unflushed()
        except MiniDBError as error:  # nothing is lost: who opens it next replays the log
            _log.warning("The database could not be closed cleanly: %s", error, extra={"path": str(self._folder)})
        finally:
            self._checkpoints.close()
            self._checkpoint_lock.close()

    def close_cleanly(self) -> None:
        """Let the data file hold all that was committed. REQUIRES that nobody else has the database open."""
        live = self._checkpoints.live()
        if live is None or not live.is_in_use:
            return
        begun = self._begin()
        self._finish(begun, is_closed=True)
        try:
            self._checkpoints.reset(begun)
        except OSError as error:  # who opens it next will find it closed, and do this
            raise translate_os(error, str(self._folder)) from error

    def _require_sound(self, live: Live) -> None:
        if live.is_poisoned or self._is_poisoned:
            raise EngineUnavailableError(
                "The disk failed during an earlier commit, so nothing more is written",
                hint="close the database, in every program that has it open, and open it again",
                path=str(self._folder),
            )

    def abandon_in_child(self) -> object:
        """Let go of what a forked child has inherited; return what must never be touched again."""
        pin = self._checkpoints.pin
        self._checkpoints.pin = None
        self._checkpoints.close()
        self._checkpoint_lock.close()
        return pin
