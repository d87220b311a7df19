"""Reading and writing one transaction's bytes in LMDB. Nothing outlives it: all bytes are copied out."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from io import FileIO
from itertools import islice, repeat, takewhile
from typing import Final

import lmdb

from minidb.engines.lmdb.applying import Applying, write
from minidb.engines.lmdb.commit_queue import Commit, Line
from minidb.engines.lmdb.environment import Environment, KnownSpaces, keep_inherited
from minidb.engines.lmdb.errors import translate, translate_os
from minidb.engines.lmdb.leaves import Tree, packed, tree_of
from minidb.engines.port import Get, Pair, Space
from minidb.engines.write_buffer import Layer
from minidb.engines.write_lock import Hold
from minidb.exceptions import EngineError, ForkedError, MiniDBError, WriteTimeoutError

FIRST_PAGE: Final = 64
LARGEST_PAGE: Final = 1024
"""Pages grow from the first to this: a short scan reads little too much, a long one makes few calls."""

GROUP_BYTES: Final = 1024 * 1024
"""A transaction with more than this commits alone: a flush more is little beside it, and others need not wait for it
nor keep it in memory."""


MOST_LEFT_IDS: Final = 100
"""Of more tables the next ids are not handed on: to copy them would take longer than to look one up."""


class LmdbSnapshot:
    """A ``ReadTransaction`` over one of LMDB's. Also the committed side of a write transaction, over LMDB's own."""

    __slots__ = ("_environment", "_fork_count", "_handles", "_transaction", "generation")

    scan_joined = None

    def __init__(
        self, environment: Environment, transaction: lmdb.Transaction[bytes] | None, known: KnownSpaces
    ) -> None:
        self._environment = environment
        self._fork_count = environment.fork_count
        self._transaction = transaction
        self._handles = known.handles
        self.generation = known.generation

    @property
    def state_id(self) -> int:
        """See ``ReadTransaction``. Every commit has a number, the next one."""
        try:
            return self._live().id()
        except lmdb.Error as error:
            raise self._failure(error) from error

    def get(self, space: Space, key: bytes) -> bytes | None:
        try:
            return self._transaction.get(key, None, self._handles[space])  # type: ignore[union-attr]  # None: see _failure
        except (lmdb.Error, AttributeError) as error:
            raise self._failure(error) from error

    def getter(self, space: Space) -> Get:
        get, handle = self._live().get, self._handles[space]

        def get_value(key: bytes) -> bytes | None:
            try:
                return get(key, None, handle)
            except lmdb.Error as error:
                raise self._failure(error) from error

        return get_value

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
            bound = start if reverse else stop
            if bound is not None:  # no pair beyond it is read but one; a tuple is compared by its first part
                pairs = takewhile((bound,).__le__ if reverse else (bound,).__gt__, pairs)
            while page := list(islice(pairs, min(size, remaining))):
                yield page
                self._live()  # the transaction may have ended since
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

    def scan_packed(self, space: Space) -> Iterator[tuple[int, bytes]] | None:
        environment = self._environment
        try:
            tree = tree_of(environment.record_of(self._live(), space), environment.page_bytes)
            file = None if tree is None else environment.open_file()
        except lmdb.Error as error:
            raise self._failure(error) from error
        return None if tree is None or file is None else self._scan_packed(file, tree)

    def _scan_packed(self, file: FileIO, tree: Tree) -> Iterator[tuple[int, bytes]]:
        with file:
            try:
                for some in packed(file.fileno(), tree):
                    yield some
                    self._live()
            except OSError as error:
                raise translate_os(error, str(self._environment.folder)) from error

    def last_key(self, space: Space) -> bytes | None:
        try:
            cursor = self._live().cursor(self._handles[space])
            return cursor.key() if cursor.last() else None
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
        self.generation = known.generation

    @property
    def is_inherited(self) -> bool:
        """Whether the transaction was begun before this process was forked."""
        return self._fork_count != self._environment.fork_count

    def require_live(self) -> None:
        """Raise what a use of an ended or inherited transaction deserves."""
        self._live()

    def _live(self) -> lmdb.Transaction[bytes]:
        if self._fork_count != self._environment.fork_count:
            raise ForkedError(
                "The transaction was begun in the parent process, before this one was forked",
                hint="begin a new one here",
            )
        if self._transaction is None:
            raise EngineError("The snapshot was used after its end")
        return self._transaction

    def _failure(self, error: Exception) -> MiniDBError:
        try:
            self._live()
        except MiniDBError as reason:
            return reason
        if isinstance(error, lmdb.Error):
            return translate(error, str(self._environment.folder))
        raise error


class DeferredSnapshot(LmdbSnapshot):
    """One whose transaction begins with the first read: over what stands in the line, many writers need none.

    A call of LMDB's lets go of the interpreter's lock, which among many threads costs more than the call.
    """

    __slots__ = ("_is_awaited",)

    def __init__(self, environment: Environment, known: KnownSpaces) -> None:
        super().__init__(environment, None, known)
        self._is_awaited = True

    def get(self, space: Space, key: bytes) -> bytes | None:
        self._live()
        return super().get(space, key)

    def close(self) -> None:
        self._is_awaited = False
        super().close()

    def switch_to(self, transaction: lmdb.Transaction[bytes], known: KnownSpaces) -> None:
        self._is_awaited = False
        super().switch_to(transaction, known)

    def require_live(self) -> None:
        if self.is_inherited or not self._is_awaited:
            super().require_live()

    def _live(self) -> lmdb.Transaction[bytes]:
        if self._is_awaited and not self.is_inherited:
            try:
                self._transaction, _ = self._environment.begin_read()
            except lmdb.Error as error:
                raise translate(error, str(self._environment.folder)) from error
            self._is_awaited = False
        return super()._live()


def _place(cursor: lmdb.Cursor[bytes], start: bytes | None, stop: bytes | None, *, reverse: bool) -> bool:
    """Put the cursor on the first pair to yield; False if there is none at or beyond it."""
    if not reverse:
        return cursor.first() if start is None else cursor.set_range(start)
    if stop is not None and cursor.set_range(stop):
        return cursor.prev()  # stop itself is not of the range
    return cursor.last()


class LmdbBase:
    """The ``Base`` of a write transaction.

    It reads from a snapshot, under what stands in the line of commits, until something is applied. Small changes are
    committed by standing in that line, so that several transactions share a flush. A change of the spaces or the
    catalog, and what is large, is applied and committed alone, when the line is empty and before the next body begins.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._holds: list[Hold] = []  # the write lock's
        self._applying: Applying | None = None
        self._known = environment.known
        self._line: Line = []
        self.pending: Layer | None = None
        self._left_ids: Mapping[int, int] = {}
        self._next_ids: dict[int, int] = {}
        self.snapshot = LmdbSnapshot(environment, None, self._known)

    def begin(self, timeout_s: float, began_at: object) -> None:
        """Wait for the other writers and begin. Whatever this raises, ``rollback`` must follow."""
        environment = self._environment
        turn, queue = environment.writable().write_turn, environment.commits
        environment.require_sound()
        if queue.is_led_by_caller:
            raise WriteTimeoutError(
                "This thread is committing another transaction, so a second one would wait for itself",
                hint="do not write in a signal's handler",
                timeout_s=timeout_s,
                pid=os.getpid(),
                thread=threading.current_thread().name,
                age_s=None,
                began_at=None,
            )
        self._holds += (turn.acquire(timeout_s, began_at, self._require_line_written),)
        self._line, view = queue.view()  # first: a snapshot that has some of it already does no harm
        if view is not None:
            self.pending = view.layer
            self._known = view.last.known  # whoever changes spaces waits until nobody stands in the line
            self.snapshot = DeferredSnapshot(environment, self._known)
            self._left_ids = view.last.next_ids
        else:
            snapshot, self._known = environment.begin_read()
            self.snapshot.switch_to(snapshot, self._known)
            transaction_id, left_ids = environment.left_ids
            if transaction_id == snapshot.id():
                self._left_ids = left_ids

    def inherit_ids(self) -> dict[int, int]:
        left, self._left_ids = self._left_ids, {}
        if len(left) <= MOST_LEFT_IDS:
            self._next_ids.update(left)
        return self._next_ids

    def _require_line_written(self) -> None:
        queue = self._environment.commits
        queue.wait_until_empty(queue.line)

    def apply(self, changes: Layer) -> None:
        self.snapshot.require_live()
        try:
            self._apply(changes)
        except lmdb.Error as error:
            raise translate(error, str(self._environment.folder)) from error

    def _apply(self, changes: Layer) -> Applying:
        applying = self._applying
        if applying is None:
            self._environment.commits.require_written(self._line)
            applying = self._applying = Applying(self._environment, self._known, is_alone=True)
            transaction = applying.begin()
            self.snapshot.close()
            self.snapshot.switch_to(transaction, self._known)
        applying.apply(changes)
        if changes.changes_catalog:
            assert applying.transaction is not None, "begun"
            self.snapshot.switch_to(applying.transaction, applying.known)
        return applying

    def put_sorted(self, space: Space, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        assert self._applying is not None, "something was applied"
        try:
            self._applying.put_sorted(space, keys, values)
        except lmdb.Error as error:
            raise translate(error, str(self._environment.folder)) from error

    def commit(self, changes: Layer) -> None:
        queue = self._environment.commits
        is_read_only = changes.is_empty and self._applying is None
        try:
            if not is_read_only:
                self.snapshot.require_live()
            if is_read_only:
                if self._line:  # what it has seen must be on disk, before it may be told
                    self._stand_in_line(changes)
            elif self._applying is not None:
                self._apply(changes).commit(None)
            elif changes.changes_catalog or changes.size_bytes > GROUP_BYTES or queue.is_careful:
                self._write_alone(changes)
                queue.is_careful = False
            else:
                self._stand_in_line(changes)
        except lmdb.Error as error:
            raise translate(error, str(self._environment.folder)) from error
        finally:
            self.rollback()  # ends what is left: everything after a failure, nothing but the locks after a commit

    def _write_alone(self, changes: Layer) -> None:
        environment = self._environment
        environment.commits.require_written(self._line)
        self.snapshot.close()
        is_logged = changes.size_bytes <= GROUP_BYTES and not changes.changes_catalog
        write(environment, changes, self._known, is_alone=not is_logged)

    def _stand_in_line(self, changes: Layer) -> None:
        queue, line = self._environment.commits, self._line
        commit = Commit(changes, self._known, self._next_ids)
        self.snapshot.close()
        try:
            line.append(commit)  # from here on it will be committed, whatever comes in
            self._end_body()
            queue.finish(commit, line)
        except BaseException:
            if commit.is_done or commit in line:
                self._end_body()
                queue.finish(commit, line)
            raise
        queue.require_committed(commit, line)

    def _end_body(self) -> None:
        while self._holds:  # there is one; an interrupt may have come in before it was taken out
            self._holds[-1].release()
            self._holds.pop()

    def rollback(self) -> None:
        """End what is left; may be called again, also after a signal's exception cut it short."""
        if self.snapshot.is_inherited:
            self.snapshot.close()
            return  # the locks are the parent's, too
        if self._applying is not None and not self._applying.end():
            self._environment.orphans.append(self.rollback)  # collected as garbage by another thread than its own
            return
        self.snapshot.close()
        self._end_body()
        self._environment.give_back_file()
