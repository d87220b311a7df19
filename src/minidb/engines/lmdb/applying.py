"""LMDB's own write transaction: begun, given changes, made durable, ended.

It goes with the apply lock, and it is open for the short last part of our write transactions only (or for the rest of
one that spilled), so that a program that thinks long between its writes keeps nobody from opening the file.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import lmdb

from minidb.engines.lmdb.commit_queue import Commit, as_one
from minidb.engines.lmdb.durable import make_durable
from minidb.engines.lmdb.errors import translate
from minidb.engines.write_buffer import Layer, SpaceChanges
from minidb.engines.write_lock import Hold
from minidb.exceptions import StorageFullError

if TYPE_CHECKING:
    from minidb.engines.lmdb.environment import Environment, Handle, KnownSpaces

APPLY_WAIT_S: Final = 60.0
"""Seconds to wait for the apply lock. Whoever else takes it holds it for microseconds, to open handles."""


class Applying:
    """One write transaction of LMDB, used by the thread that made it."""

    def __init__(self, environment: Environment, known: KnownSpaces) -> None:
        self.known = known
        self.transaction: lmdb.Transaction[bytes] | None = None
        self._environment = environment
        self._known_before = known
        self._thread = threading.current_thread()
        self._holds: list[Hold] = []  # the apply lock's
        self._has_changed_spaces = False
        self._has_put = False
        self._lent_bytes = 0  # of the reserve, by an earlier transaction

    def begin(self) -> lmdb.Transaction[bytes]:
        """Begin. Whatever this raises, ``end`` must follow. REQUIRES the folder's write lock for the process."""
        self._environment.require_sound()
        self._holds += (self._environment.apply_lock.acquire(APPLY_WAIT_S),)
        self._environment.require_in_place()
        self._lent_bytes = self._environment.reserve.missing_bytes()
        transaction = self.transaction = self._environment.live().begin(write=True)
        return transaction

    def apply(self, changes: Layer) -> None:
        """Write changes. REQUIRES that it has begun."""
        transaction = self.transaction
        assert transaction is not None, "begun"
        if changes.changes_catalog:
            self._has_changed_spaces = True
            self.known = self._environment.change_spaces(
                transaction, self.known, created=sorted(changes.created), dropped=sorted(changes.dropped)
            )
        for space, change in changes.spaces.items():
            if change.hides_below and space not in self.known.handles:  # dropped in this transaction
                continue
            self._has_put |= _change(transaction, self.known.handles[space], change)

    def commit(self, whole: Layer | None) -> None:
        """Make all that was applied durable and visible. REQUIRES that it has begun; ``end`` must follow.

        ``whole`` is all of it, to be applied once more if the disk is full; None where that is too much to be kept.
        """
        self._require_room()
        reserve = self._environment.reserve
        if whole is None:
            with nullcontext() if self._grows() else reserve.lent():
                self._commit()
            return
        try:
            self._commit()
        except StorageFullError as refusal:
            if isinstance(refusal.__cause__, lmdb.MapFullError):  # it is not the disk that is full
                raise
            self._apply_again(whole)
            if self._grows():
                raise
            with reserve.lent():
                self._commit()

    def _require_room(self) -> None:
        environment, transaction = self._environment, self.transaction
        assert transaction is not None, "begun"
        if environment.has_limit or self._lent_bytes:
            used_bytes = environment.used_bytes(transaction, self.known)
            refusal = environment.lack_of_room(used_bytes, lent_bytes=self._lent_bytes)
            if refusal is not None and self._grows():
                raise refusal

    def _grows(self) -> bool:
        """Tell whether this takes more room than before. What does not may use the reserves.

        To delete takes a page more at times, where a longer key moves up into a full page (0.03 % of deletes of long
        keys, none of short ones).
        """
        environment, transaction = self._environment, self.transaction
        assert transaction is not None, "begun"
        return self._has_put and environment.used_bytes(transaction, self.known) > environment.committed_bytes()

    def _commit(self) -> None:
        assert self.transaction is not None, "begun"
        try:
            make_durable(self.transaction)
        except lmdb.Error as error:
            raise self._environment.commit_failure(error) from error
        if self._has_changed_spaces:
            self._environment.publish(self.known)

    def _apply_again(self, whole: Layer) -> None:
        """Do again what a commit that failed has undone."""
        self.known = self._known_before
        self._has_changed_spaces = self._has_put = False
        self.transaction = self._environment.live().begin(write=True)
        self.apply(whole)

    def end(self) -> bool:
        """End what is left: everything after a failure, nothing but the lock after a commit. May be called again.

        False where another thread calls than its own: then it is left to that one, as an orphan.
        """
        if self.transaction is not None:
            if threading.current_thread() is not self._thread and self._thread.is_alive():
                # LMDB's own lock is given back by the thread that took it only.
                return False
            self.transaction.abort()
        for hold in self._holds:
            hold.release()
        return True


def flush(environment: Environment, group: Sequence[Commit]) -> None:
    """Write the changes of some commits as one, and return when they are on disk. See ``commit_queue.Flush``."""
    changes = as_one(group)
    if changes.is_empty:
        return
    applying = Applying(environment, group[-1].known)
    try:
        applying.begin()
        applying.apply(changes)
        applying.commit(changes)
        applying.end()
    except BaseException as error:
        _end(applying)
        if isinstance(error, lmdb.Error):
            raise translate(error, str(environment.folder)) from error
        raise


def _end(applying: Applying) -> None:
    try:
        applying.end()
    except BaseException:  # a signal's, which must not leave the lock held
        applying.end()
        raise


def _change(transaction: lmdb.Transaction[bytes], handle: Handle, changes: SpaceChanges) -> bool:
    """Change one space; return whether anything was put."""
    if changes.hides_below:
        transaction.drop(handle, delete=False)
    items = changes.items
    if None in items.values():
        # In order, a page is emptied before the next is copied: to delete all of 60 000 rows takes 8 pages, not 478.
        for key in sorted(key for key, value in items.items() if value is None):
            transaction.delete(key, db=handle)
        items = {key: value for key, value in items.items() if value is not None}
    if items:
        keys = sorted(items)
        # Rows with automatic ids come in order. Others are looked up again, which costs less than sorting pairs.
        is_in_order = keys == list(items)
        pairs = items.items() if is_in_order else zip(keys, map(items.__getitem__, keys))  # noqa: B905  # strict is slow
        cursor = transaction.cursor(handle)
        # Appending fills pages to the brim and skips the search: what automatic ids are made of.
        is_append = not cursor.last() or cursor.key() < keys[0]
        cursor.putmulti(pairs, append=is_append)  # type: ignore[arg-type]  # no value is None here
    return bool(items)
