"""Reading and writing one transaction's bytes in LMDB. Nothing outlives it: all bytes are copied out."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat, takewhile
from typing import Final

import lmdb

from minidb.engines.lmdb.environment import Environment, Handle, KnownSpaces, keep_inherited
from minidb.engines.lmdb.errors import translate
from minidb.engines.port import Pair, Space
from minidb.engines.write_buffer import SpaceChanges
from minidb.engines.write_lock import Hold
from minidb.exceptions import EngineError, ForkedError, MiniDBError

FIRST_PAGE: Final = 64
LARGEST_PAGE: Final = 1024
"""Pages grow from the first to this: a short scan reads little too much, a long one makes few calls."""

APPLY_WAIT_S: Final = 60.0
"""Seconds to wait for the apply lock. Whoever else takes it holds it for microseconds, to open handles."""


class LmdbSnapshot:
    """A ``ReadTransaction`` over one of LMDB's. Also the committed side of a write transaction, over LMDB's own."""

    __slots__ = ("_environment", "_fork_count", "_handles", "_transaction", "generation")

    def __init__(
        self, environment: Environment, transaction: lmdb.Transaction[bytes] | None, known: KnownSpaces
    ) -> None:
        self._environment = environment
        self._fork_count = environment.fork_count
        self._transaction = transaction
        self._handles = known.handles
        self.generation = known.generation

    def get(self, space: Space, key: bytes) -> bytes | None:
        try:
            return self._transaction.get(key, None, self._handles[space])  # type: ignore[union-attr]  # None: see _failure
        except (lmdb.Error, AttributeError) as error:
            raise self._failure(error) from error

    def get_many(self, space: Space, keys: Sequence[bytes]) -> list[bytes | None]:
        try:
            # A C loop over single reads takes half the time of the cursor's own getmulti.
            return list(map(self._live().get, keys, repeat(None), repeat(self._handles[space])))
        except lmdb.Error as error:
            raise self._failure(error) from error

    def scan(
        self,
        space: Space,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
        first_page: int | None = None,
    ) -> Iterator[list[Pair]]:
        remaining = sys.maxsize if limit is None else limit
        size = FIRST_PAGE if first_page is None else min(first_page, LARGEST_PAGE)
        try:
            cursor = self._live().cursor(self._handles[space])
            if not _place(cursor, start, stop, reverse=reverse):
                return
            pairs = cursor.iterprev() if reverse else cursor.iternext()
            while remaining > 0:
                self._live()  # the transaction may have ended since the last page
                page = list(islice(pairs, min(size, remaining)))
                if not page:
                    return
                last = page[-1][0]
                is_last_page = False
                if reverse and start is not None and last < start:
                    page = [pair for pair in page if pair[0] >= start]
                    is_last_page = True
                elif not reverse and stop is not None and last >= stop:
                    page = [pair for pair in page if pair[0] < stop]
                    is_last_page = True
                if page:
                    yield page
                if is_last_page:
                    return
                remaining -= len(page)
                size = min(size * 2, LARGEST_PAGE)
        except lmdb.Error as error:
            raise self._failure(error) from error

    def scan_keys(
        self,
        space: Space,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        first_page: int | None = None,
    ) -> Iterator[list[bytes]]:
        size = LARGEST_PAGE if first_page is None else min(first_page, LARGEST_PAGE)
        try:
            cursor = self._live().cursor(self._handles[space])
            if not _place(cursor, start, stop, reverse=reverse):
                return
            step = cursor.iterprev if reverse else cursor.iternext
            keys = step(keys=True, values=False)
            bound = start if reverse else stop
            is_inside = None if bound is None else bound.__le__ if reverse else bound.__gt__
            # Who wants them all has one C loop from cursor to list. Who wants so many gets no more than these, most
            # often from far inside the range: then the last of them is asked alone.
            looks_back = is_inside is not None and first_page is not None
            wanted = keys if is_inside is None or looks_back else takewhile(is_inside, keys)
            while page := list(islice(wanted, size)):
                if looks_back and is_inside is not None and not is_inside(page[-1]):
                    page = list(takewhile(is_inside, page))
                    wanted = iter(())
                if page:
                    yield page
                self._live()  # the transaction may have ended since
                size = min(size * 2, LARGEST_PAGE)
        except lmdb.Error as error:
            raise self._failure(error) from error

    def count(self, space: Space) -> int:
        try:
            return self._live().stat(self._handles[space])["entries"]
        except lmdb.Error as error:
            raise self._failure(error) from error

    def spaces(self) -> list[Space]:
        self._live()
        return sorted(self._handles)

    def close(self) -> None:
        if self._transaction is not None:
            if self._fork_count == self._environment.fork_count:
                self._transaction.abort()
            else:
                keep_inherited(self._transaction)
            self._transaction = None

    def switch_to(self, transaction: lmdb.Transaction[bytes], known: KnownSpaces) -> None:
        """Read from another transaction from now on."""
        self._transaction = transaction
        self._handles = known.handles

    @property
    def is_inherited(self) -> bool:
        """Whether the transaction was begun before this process was forked."""
        return self._fork_count != self._environment.fork_count

    def require_live(self) -> None:
        """Raise what a use of an ended or inherited transaction deserves."""
        self._live()

    def _live(self) -> lmdb.Transaction[bytes]:
        if self.is_inherited:
            raise ForkedError(
                "The transaction was begun in the parent process, before this one was forked",
                hint="begin a new one here",
            )
        if self._transaction is None:
            raise EngineError("The snapshot was used after its end")
        return self._transaction

    def _failure(self, error: Exception) -> MiniDBError:
        if isinstance(error, lmdb.Error):
            return translate(error, str(self._environment.folder))
        try:
            self._live()
        except MiniDBError as reason:
            return reason
        raise error


def _place(cursor: lmdb.Cursor[bytes], start: bytes | None, stop: bytes | None, *, reverse: bool) -> bool:
    """Put the cursor on the first pair to yield; False if there is none at or beyond it."""
    if not reverse:
        return cursor.first() if start is None else cursor.set_range(start)
    if stop is not None and cursor.set_range(stop):
        return cursor.prev()  # stop itself is not of the range
    return cursor.last()


class LmdbBase:
    """The ``Base`` of a write transaction.

    It reads from a snapshot until something is applied. LMDB's own write transaction lives only from then to the end,
    so that a program that thinks long between its writes keeps nobody from opening the file.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._thread = threading.current_thread()
        self._holds: list[Hold] = []  # the write lock's; then the apply lock's, from the first thing applied
        self._transaction: lmdb.Transaction[bytes] | None = None
        self._has_changed_spaces = False
        self._used_bytes = 0
        self._known = environment.known
        self.snapshot = LmdbSnapshot(environment, None, self._known)

    def begin(self, timeout_s: float) -> None:
        """Wait for the other writers and begin. Whatever this raises, ``rollback`` must follow."""
        self._holds += (self._environment.write_lock.acquire(timeout_s),)
        snapshot, self._known = self._environment.begin_read()
        self.snapshot = LmdbSnapshot(self._environment, snapshot, self._known)

    def apply(
        self,
        changes: Mapping[Space, SpaceChanges],
        *,
        created: Iterable[Space],
        dropped: Iterable[Space],
        changes_catalog: bool,
    ) -> None:
        self.snapshot.require_live()
        try:
            transaction = self._begin()
            if changes_catalog:
                self._has_changed_spaces = True
                self._known = self._environment.change_spaces(
                    transaction, self._known, created=created, dropped=dropped
                )
                self.snapshot.switch_to(transaction, self._known)
            for space, change in changes.items():
                handle = self._known.handles.get(space)
                if handle is not None:  # None: dropped in this transaction
                    _change(transaction, handle, change)
        except lmdb.Error as error:
            raise translate(error, str(self._environment.folder)) from error

    def _begin(self) -> lmdb.Transaction[bytes]:
        if self._transaction is None:
            self._holds += (self._environment.apply_lock.acquire(APPLY_WAIT_S),)
            self._transaction = self._environment.live().begin(write=True)
            if self._environment.has_limit:
                self._used_bytes = self._environment.used_bytes(self._transaction, self._known)
            self.snapshot.close()
            self.snapshot.switch_to(self._transaction, self._known)
        return self._transaction

    def commit(self) -> None:
        try:
            if self._transaction is not None:
                self.snapshot.require_live()
                if self._environment.has_limit:
                    self._require_room(self._transaction)
                self._transaction.commit()
                if self._has_changed_spaces:
                    self._environment.publish(self._known)
        except lmdb.Error as error:
            raise translate(error, str(self._environment.folder)) from error
        finally:
            self.rollback()  # ends what is left: everything after a failure, nothing but the locks after a commit

    def _require_room(self, transaction: lmdb.Transaction[bytes]) -> None:
        used_bytes = self._environment.used_bytes(transaction, self._known)
        if used_bytes > self._used_bytes:  # what shrinks, or stays as it was, may use the reserve
            self._environment.require_room(used_bytes)

    def rollback(self) -> None:
        """End what is left; may be called again, also after a signal's exception cut it short."""
        if self.snapshot.is_inherited:
            self.snapshot.close()
            return  # the locks are the parent's, too
        if self._transaction is not None:
            if threading.current_thread() is not self._thread and self._thread.is_alive():
                # Collected as garbage by another thread: LMDB's own lock is given back by the thread that took it only.
                self._environment.orphans.append(self.rollback)
                return
            self._transaction.abort()
        self.snapshot.close()
        for hold in reversed(self._holds):
            hold.release()


def _change(transaction: lmdb.Transaction[bytes], handle: Handle, changes: SpaceChanges) -> None:
    if changes.hides_below:
        transaction.drop(handle, delete=False)
    items = changes.items
    if None in items.values():
        for key, value in items.items():
            if value is None:
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
