"""LMDB's own write transaction: begun, given changes, made durable, ended.

It goes with the apply lock, and it is open for the short last part of our write transactions only (or for the rest of
one that spilled), so that a program that thinks long between its writes keeps nobody from opening the file.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

import lmdb

from minidb.engines.lmdb.commit_queue import Commit, as_one
from minidb.engines.lmdb.durable import make_durable
from minidb.engines.lmdb.errors import translate, translate_os
from minidb.engines.port import Pair, Space
from minidb.engines.write_buffer import Layer, SpaceChanges
from minidb.engines.write_lock import Hold
from minidb.exceptions import StorageFullError

if TYPE_CHECKING:
    from minidb.engines.lmdb.environment import Environment, KnownSpaces

APPLY_WAIT_S: Final = 60.0
"""Seconds to wait for the apply lock. Whoever else takes it holds it for microseconds, to open handles."""


class Applying:
    """One write transaction of LMDB, used by the thread that made it."""

    def __init__(self, environment: Environment, known: KnownSpaces, *, is_alone: bool) -> None:
        """``is_alone``: it will not go to the commit log, being too much, or a change of the spaces."""
        self.known = known
        self.transaction: lmdb.Transaction[bytes] | None = None
        self.committed_id: int | None = None
        """The number of the transaction, once it has surely become a state of the database."""
        self._environment = environment
        self._is_alone = is_alone
        self._known_before = known
        self._thread = threading.current_thread()
        self._holds: list[Hold] = []  # the apply lock's
        self._has_changed_spaces = False
        self._has_put = False
        self._lent_bytes = 0  # of the reserve, by an earlier transaction

    def begin(self) -> lmdb.Transaction[bytes]:
        """Begin. Whatever this raises, ``end`` must follow. REQUIRES the folder's write lock for the process."""
        environment = self._environment
        environment.require_sound()
        _, apply_lock, log = environment.writable()
        log.wait_for_room()
        while True:
            if self._is_alone:
                self._holds += (log.lock_checkpoints(),)
            self._holds += (apply_lock.acquire(APPLY_WAIT_S),)
            environment.require_in_place()
            self._lent_bytes = environment.reserve.missing_bytes()
            transaction = self.transaction = environment.live().begin(write=True)
            try:
                if log.admits(transaction.id()):
                    return transaction
                self.end()
                self._holds.clear()
                environment.make_log_ready()
            except OSError as error:
                raise translate_os(error, str(environment.folder)) from error

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
            self._has_put |= change_space(transaction, self.known.handles[space], change)

    def put_sorted(self, space: Space, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Put pairs whose keys come in order. REQUIRES that it has begun."""
        assert self.transaction is not None, "begun"
        self._has_put = True
        _put_in_order(self.transaction, self.known.handles[space], keys, zip(keys, values))  # noqa: B905  # as below

    def commit(self, whole: Layer | None, *, may_lend: bool = True) -> None:
        """Make all that was applied durable and visible. REQUIRES that it has begun; ``end`` must follow.

        ``whole`` is all of it, to be applied once more if the disk is full; None where that is too much to be kept.
        ``may_lend``: whether the reserve may be lent then.
        """
        self._require_room()
        reserve = self._environment.reserve
        if whole is None:
            with nullcontext() if self._grows() else reserve.lent():
                self._commit(None)
            return
        try:
            self._commit(whole)
        except StorageFullError as refusal:
            if isinstance(refusal.__cause__, lmdb.MapFullError) or not may_lend:  # or it is not the disk that is full
                raise
            self._apply_again(whole)
            if self._grows():
                raise
            with reserve.lent():
                self._commit(whole)

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

    def _commit(self, whole: Layer | None) -> None:
        transaction, environment = self.transaction, self._environment
        assert transaction is not None, "begun"
        changes = None
        if not self._is_alone and whole is not None:
            slots = self.known.slots
            changes = [(slots[space], change) for space, change in whole.spaces.items()]
        transaction_id = transaction.id()
        try:
            make_durable(transaction, environment.commit_log, changes)
        except lmdb.Error as error:
            raise environment.commit_failure(error) from error
        except OSError as error:
            raise translate_os(error, str(environment.folder)) from error
        if self._has_changed_spaces:
            environment.publish(self.known)
        elif self._has_put:  # what LMDB finds empty it does not commit: the id is that of the next transaction
            environment.note_commit(transaction_id)
            self.committed_id = transaction_id

    def _apply_again(self, whole: Layer) -> None:
        """Do again what a commit that failed has undone, or not begun."""
        assert self.transaction is not None, "begun"
        self.transaction.abort()
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
    if not changes.is_empty:
        last = group[-1]
        committed_id = write(environment, changes, last.known, is_alone=False)
        if committed_id is not None:
            environment.left_ids = (committed_id, last.next_ids)


def write(environment: Environment, changes: Layer, known: KnownSpaces, *, is_alone: bool) -> int | None:
    """Write changes in a transaction of their own, and return its ``committed_id`` when they are on disk.

    REQUIRES the folder's write lock for the process. ``is_alone``: see ``Applying``.
    """
    log = environment.commit_log
    try:
        return _write_once(environment, changes, known, is_alone=is_alone, may_lend=not log.keeps_room)
    except StorageFullError:
        if not log.keeps_room:
            raise
        environment.make_log_ready()  # what the steady snapshot has kept may be used again after that
        return _write_once(environment, changes, known, is_alone=is_alone, may_lend=True)


def _write_once(
    environment: Environment, changes: Layer, known: KnownSpaces, *, is_alone: bool, may_lend: bool
) -> int | None:
    applying = Applying(environment, known, is_alone=is_alone)
    try:
        applying.begin()
        applying.apply(changes)
        applying.commit(changes, may_lend=may_lend)
        applying.end()
    except BaseException as error:
        _end(applying)
        if isinstance(error, lmdb.Error):
            raise translate(error, str(environment.folder)) from error
        raise
    return applying.committed_id


def _end(applying: Applying) -> None:
    try:
        applying.end()
    except BaseException:  # a signal's, which must not leave the lock held
        applying.end()
        raise


def change_space(transaction: lmdb.Transaction[bytes], handle: lmdb._Database, changes: SpaceChanges) -> bool:
    """Change one space; return whether anything was put."""
    if changes.hides_below:
        transaction.drop(handle, delete=False)
    items = changes.items
    if len(items) == 1:  # as most commits have in each space
        ((key, value),) = items.items()
        if value is None:
            transaction.delete(key, db=handle)
            return False
        cursor = transaction.cursor(handle)
        cursor.put(key, value, append=not cursor.last() or cursor.key() < key)
        return True
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
        _put_in_order(transaction, handle, keys, pairs)  # type: ignore[arg-type]  # no value is None here
    return bool(items)


def _put_in_order(
    transaction: lmdb.Transaction[bytes], handle: lmdb._Database, keys: Sequence[bytes], pairs: Iterable[Pair]
) -> None:
    cursor = transaction.cursor(handle)
    # Appending fills pages to the brim and skips the search: what automatic ids are made of.
    is_append = not cursor.last() or cursor.key() < keys[0]
    cursor.putmulti(pairs, append=is_append)
