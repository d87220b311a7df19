"""Transactions: begun, nested, committed or rolled back; and which one a call takes part in.

A transaction belongs to the thread, and under asyncio to the task, that began it. Calls made there take part without
being told: the innermost open transaction is *ambient*. It is kept in a context variable, which a new task inherits, so
the owner is compared at each look.

A transaction that the program lets go of without ending it is rolled back, with a ``ResourceWarning``: nothing could
ever commit it, and it would hold the write lock and take in later calls for ever.
"""

from __future__ import annotations

import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Self

from minidb.api.origin import caller
from minidb.api.snapshots import OpenSnapshot
from minidb.engines.port import ReadTransaction
from minidb.exceptions import (
    CommitUnknownError,
    ForkedError,
    MiniDBError,
    ReadOnlyError,
    TransactionClosedError,
    UsageError,
)
from minidb.log import Logger
from minidb.tables import reading
from minidb.tables.catalog import Catalog, TableKey
from minidb.tables.session import WriteSession

if TYPE_CHECKING:
    from minidb.api.calls import Calls
    from minidb.api.pool import Connection

_log = Logger("minidb.transaction")


class _State(Enum):
    OPEN = "open"
    CUT_SHORT = "cut short"
    """Open, but nothing is left but to roll back: a signal's exception came in while it was being changed."""
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"


class Transaction:
    """A transaction, or a savepoint inside one. Made by ``begin_transaction``; it has begun when it is returned.

    As a context manager it commits at the end of the block, and rolls back if the block raises anything at all:

    >>> with db.begin_transaction() as transaction:
    ...     user_id = users.insert(Row(name="Ada", age=36))

    Without ``with``, call ``commit`` or ``rollback``. Only the thread or task that began it may use it; another one's
    call raises ``TransactionClosedError``.
    """

    _snapshot: OpenSnapshot | None = None
    _state = _State.ROLLED_BACK  # until it has begun: what fails to begin needs no end

    def __init__(
        self,
        database: Calls,
        connection: Connection | None,
        outer: Transaction | None,
        *,
        read_only: bool,
        commit_token: bool = False,
    ) -> None:
        """Begin. ``outer`` is what this one is a savepoint of; ``connection`` is given back at the end."""
        self.database = database
        self.read_only = read_only
        self.made_here: set[int] = set()
        """The ids of the tables and indexes that were made in this transaction."""
        self.session: WriteSession | None = None
        self._connection = connection
        self._has_token = commit_token
        self._outer = outer
        self._inner: weakref.ref[Transaction] | None = None
        self._thread = threading.get_ident()
        self._task = _current_task()
        self._epoch = database.epoch
        self._fork_count = database.fork_count
        self._is_in_with = False
        self._has_left = False
        self._began = time.monotonic()
        self._finders: dict[TableKey, reading.Finder] = {}
        self._finders_catalog: Catalog | None = None
        self._place = _Place(self)
        try:
            if outer is None:
                self._begin()
            else:
                self._begin_inside(outer)
            self._state = _State.OPEN
            _ambient.set(self._place)
            if _log.is_debugging:
                _log.debug("%s begun", self._kind(), extra={"read_only": read_only, "nested": outer is not None})
        except BaseException:
            self.abandon()
            self._give_connection_back()
            raise

    def _begin(self) -> None:
        database = self.database
        database.require_open()
        if self.read_only:
            write = None
            self.bytes: ReadTransaction = database.engine.begin_read()
            self._snapshot = database.open_snapshots.begin()
        else:
            write = database.engine.begin_write(database.options.write_timeout_s, caller())
            self.bytes = write
        try:
            self._read_catalog = database.catalog_of(self.bytes)
            if write is not None:
                self.session = WriteSession(write, self._read_catalog, database.engine.allot_ids)
        except BaseException:
            self.bytes.close()
            raise

    def _begin_inside(self, outer: Transaction) -> None:
        outer.require_innermost()
        self.bytes = outer.bytes
        self._read_catalog = outer.catalog
        if not self.read_only:
            self.session = outer.writing()
            self.session.bytes.savepoint()
        outer._inner = weakref.ref(self)

    @property
    def is_open(self) -> bool:
        """Whether the transaction has neither been committed nor rolled back."""
        return self._state is _State.OPEN or self._state is _State.CUT_SHORT

    @property
    def is_nested(self) -> bool:
        """Whether it is a savepoint of another one."""
        return self._outer is not None

    @property
    def is_live(self) -> bool:
        """Whether it is open, and nothing has come since that ends it: neither a fork nor the database's ``close``."""
        return self._state is _State.OPEN and self._epoch == self.database.epoch

    @property
    def catalog(self) -> Catalog:
        """The tables as this transaction sees them."""
        return self._read_catalog if self.session is None else self.session.catalog

    def finder(self, key: TableKey) -> reading.Finder:
        """Return what finds the rows of a table by their ids, as this transaction sees them. Kept, for many rows."""
        catalog = self.catalog
        if catalog is not self._finders_catalog:  # at first, and after a change of the tables in this transaction
            self._finders, self._finders_catalog = {}, catalog
            if self.session is None:  # no such change can come
                self._place.finders = self._finders
        find = self._finders.get(key)
        if find is None:
            table = catalog.table(key)
            find = self._finders[key] = reading.finder(self.bytes.getter(table.space), table)
        return find

    def commit(self) -> None:
        """Make the changes durable and visible to all; of a savepoint: make them part of the outer transaction.

        Raises what the engine raises; the transaction has then been rolled back, unless it is ``CommitUnknownError``.
        """
        self.require_usable()
        self.require_innermost()
        self._finish(_State.COMMITTED)

    def rollback(self) -> None:
        """Undo every change since the beginning, with all that was begun inside. Does nothing if it has ended."""
        if self.is_open:
            self._require_owner()
            self.abandon()

    def __enter__(self) -> Self:
        try:
            self.require_usable()
            self._is_in_with = True
        except MiniDBError:
            raise
        except BaseException:  # a signal's: the block does not begin, so nothing would end the transaction
            self.abandon()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None and self.is_open:
                self.commit()
        finally:
            # The block has ended, so the transaction has, too: also if it could not be committed, or if this is not
            # its own task, as where an asynchronous generator is closed by another one.
            self._is_in_with = False
            self._has_left = True
            try:
                self.abandon()
            except BaseException:  # a signal's, which must not leave the write lock held
                self.abandon()
                raise
            self._leave()

    def __del__(self) -> None:
        if self.is_open:
            text = f"The program let go of {self!r} without committing or rolling it back, so it is rolled back"
            self.abandon()
            if not self.is_inherited:
                warnings.warn(text, ResourceWarning, stacklevel=2, source=self)

    # --- what the tables ask ------------------------------------------------------------------------------------------

    def require_usable(self) -> None:
        """Raise unless a call may take part in this transaction now."""
        self.database.require_open()
        if self.is_inherited:
            raise ForkedError(
                "The transaction was begun in the parent process, before this one was forked",
                hint="begin a new one here",
            )
        if self._state is _State.CUT_SHORT:
            raise TransactionClosedError(
                "The transaction can only be rolled back: an interrupt has cut a write in it short",
                hint="catch interrupts outside of it",
            )
        if not self.is_open:
            raise TransactionClosedError(
                f"The transaction was {self._state.value} before this call",
                hint="begin a new one, or make the call after the with block",
            )
        self._require_owner()

    def require_innermost(self) -> None:
        """Raise ``UsageError`` while a transaction that was begun inside this one is open."""
        inner = None if self._inner is None else self._inner()
        if inner is not None and inner.is_open:
            raise UsageError(
                "A transaction that was begun inside this one is still open", hint="end the inner one first"
            )

    def writing(self) -> WriteSession:
        """Return what writes, or raise ``ReadOnlyError``."""
        if self.session is None:
            raise ReadOnlyError(
                "The transaction was begun as read-only", hint="begin it with begin_transaction() to write"
            )
        return self.session

    def cut_short(self) -> None:
        """Note that a signal's exception has come in while something was written: a half of it may be there."""
        if self.is_open:
            self._state = _State.CUT_SHORT

    def has_made(self, number: int) -> bool:
        """Tell whether a table or an index of this id was made here, or in a transaction around this one."""
        return number in self.made_here or (self._outer is not None and self._outer.has_made(number))

    def abandon(self) -> None:
        """Roll back, with all that was begun inside and left open, if it has not ended. Any thread may call."""
        if self.is_open:
            inner = None if self._inner is None else self._inner()
            if inner is not None:
                inner._has_left |= self._has_left  # no block inside one that has ended is still running
                inner.abandon()
            self._finish(_State.ROLLED_BACK)

    @property
    def is_inherited(self) -> bool:
        """Whether it was begun in the parent process, before this one was forked."""
        return self._fork_count != self.database.fork_count

    def belongs_to_caller(self) -> bool:
        """Whether the thread and task that call now are those that began it."""
        return self._thread == threading.get_ident() and self._task is _current_task()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _finish(self, state: _State) -> None:
        self._state = state
        self._place.database = None  # no call before ``try``: a signal's exception may come out of each
        try:
            if self._outer is not None:
                self._finish_inside(self._outer)
            elif state is _State.COMMITTED and self.session is not None:
                self._commit(self.session)
                self.database.keep(self.session.catalog, self.made_here)
            else:
                self.bytes.close()
        except BaseException:
            self._state = _State.ROLLED_BACK
            if self._outer is None:
                self.bytes.close()  # again, if a signal's exception cut it short
            raise
        finally:
            self._give_connection_back()
            self._place.finders = {}
            if not self._is_in_with:
                self._leave()
            if _log.is_debugging:
                duration_ms = round((time.monotonic() - self._began) * 1000, 3)
                _log.debug("%s %s", self._kind(), self._state.value, extra={"duration_ms": duration_ms})

    def _commit(self, session: WriteSession) -> None:
        tokens = self.database.engine.commit_tokens if self._has_token else None
        token = None if tokens is None else tokens.new()
        try:
            session.bytes.commit(token)
        except CommitUnknownError as error:
            error.facts["token"] = token
            if token is not None:
                error.hint = "ask db.was_committed(error.token)"
            raise

    def _give_connection_back(self) -> None:
        if self._snapshot is not None:
            self.database.open_snapshots.end(self._snapshot)
        connection, self._connection = self._connection, None
        if connection is not None:
            self.database.connection_pool.take_back(connection)

    def _finish_inside(self, outer: Transaction) -> None:
        if self.session is None or not outer.is_open:
            return
        if self._state is _State.COMMITTED:
            try:
                self.session.bytes.release()
            except Exception:
                raise
            except BaseException:
                outer.cut_short()
                raise
            outer.made_here |= self.made_here
        else:
            self.session.bytes.rollback_to_savepoint()
            self.session.catalog = self._read_catalog
            self.session.forget_ids()

    def _leave(self) -> None:
        """Stop being ambient, and with it all that has ended before this one did."""
        self._has_left = True
        place = _ambient.get()
        if place is not None and place.is_left:
            while place is not None and place.is_left:
                place = place.around
            _ambient.set(place)

    def _require_owner(self) -> None:
        if not self.belongs_to_caller():
            raise TransactionClosedError(
                "The transaction belongs to another thread or task",
                hint="begin one in each thread or task that needs it",
            )

    def _kind(self) -> str:
        if self._outer is not None:
            return "savepoint"
        return "read transaction" if self.read_only else "write transaction"

    def __repr__(self) -> str:
        return f"<{self._kind()} of {self.database.location!r}, {self._state.value}>"


class _Place:
    """The place of a transaction among those of its context: what the context variable holds.

    It refers to the transaction weakly, so that one which the program has let go of is not kept alive by it.
    """

    __slots__ = ("_epoch", "_task", "_thread", "around", "database", "finders", "transaction")

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = weakref.ref(transaction)
        self.around = _ambient.get()
        self.finders: dict[TableKey, reading.Finder] = {}
        """Of a read transaction."""
        self.database: Calls | None = transaction.database
        """None once the transaction has ended."""
        self._thread, self._task = transaction._thread, transaction._task
        self._epoch = transaction._epoch

    @property
    def is_left(self) -> bool:
        """Whether the transaction is no longer ambient."""
        transaction = self.transaction()
        return transaction is None or transaction._has_left

    def finder(self, database: Calls, key: TableKey) -> reading.Finder | None:
        """Return what finds rows of a table in the transaction that ``find`` finds; None if it finds none."""
        if (  # ``find``, and all that follows from it, kept: 0.6 of 1.9 µs that a read took in a transaction
            self.database is database
            and self._thread == _get_ident()
            and ("asyncio" not in _modules or self._task is _current_task())
            and self._epoch == database.epoch
            and (kept := self.finders.get(key)) is not None
        ):
            return kept
        transaction = self.find(database)
        return None if transaction is None else transaction.finder(key)

    def find(self, database: Calls) -> Transaction | None:
        """Return the innermost transaction of a database, from this one outwards, that the caller takes part in.

        Raises if it has ended, or can no longer be used for another reason.
        """
        nearest = self.transaction()
        if (  # what nearly always is so, and on the way of every call inside a transaction
            nearest is not None
            and nearest.database is database
            and nearest._state is _State.OPEN
            and nearest._thread == _get_ident()
            and (nearest._task is _current_task() if "asyncio" in _modules else nearest._task is None)
            and nearest._epoch == database.epoch
        ):
            return nearest
        found = self.innermost(database)
        if found is not None and not (found._state is _State.OPEN and found._epoch == database.epoch):
            found.require_usable()
        return found

    def innermost(self, database: Calls) -> Transaction | None:
        """Return what ``find`` does, whatever has become of it."""
        place: _Place | None = self
        while place is not None:
            found = place.transaction()
            if found is not None and found.database is database and not found._has_left and found.belongs_to_caller():
                return found
            place = place.around
        return None

    def transactions(self) -> Iterator[Transaction]:
        """Yield the transactions from this one outwards, of whatever database."""
        place: _Place | None = self
        while place is not None:
            found = place.transaction()
            if found is not None and found.belongs_to_caller():
                yield found
            place = place.around


_ambient: ContextVar[_Place | None] = ContextVar("minidb_transaction", default=None)

ambient_transaction = _ambient.get
"""Return the place of the innermost transaction of the context, of any database, or None. Its ``find`` gives a
database's own."""


_get_ident = threading.get_ident
_modules = sys.modules


def _current_task() -> object:
    """Return the calling task, or None where no event loop runs in this thread."""
    # asyncio is never imported here: a program without it pays nothing. Another thread may be half way through.
    asyncio = _modules.get("asyncio")
    if asyncio is None:
        return None
    running_loop = getattr(asyncio, "_get_running_loop", None)
    if running_loop is None or running_loop() is None:
        return None
    return asyncio.current_task()
