"""Transactions: begun, nested, committed or rolled back; and which one a call takes part in.

A transaction belongs to the thread, and under asyncio to the task, that began it. Calls made there take part without
being told: the innermost open transaction is *ambient*. It is kept in a context variable, which a new task inherits, so
the owner is compared at each look.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextvars import ContextVar
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Self

from minidb.engines.port import ReadTransaction, WriteTransaction
from minidb.exceptions import ForkedError, ReadOnlyError, TransactionClosedError, UsageError
from minidb.tables.catalog import Catalog
from minidb.tables.session import WriteSession

if TYPE_CHECKING:
    from minidb.api.database import MiniDB
    from minidb.api.pool import Connection

_log = logging.getLogger("minidb.transaction")


class _State(Enum):
    OPEN = "open"
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

    def __init__(
        self, database: MiniDB, connection: Connection | None, outer: Transaction | None, *, read_only: bool
    ) -> None:
        """Begin. ``outer`` is what this one is a savepoint of; ``connection`` is given back at the end."""
        self.database = database
        self.read_only = read_only
        self._connection = connection
        self._outer = outer
        self._thread = threading.get_ident()
        self._task = _current_task()
        self._fork_count = database.fork_count
        self._shadowed = _ambient.get()
        self._is_in_with = False
        self._state = _State.OPEN
        self._began = time.monotonic()
        self.session: WriteSession | None = None
        if outer is not None:
            self.bytes: ReadTransaction = outer.bytes
            self._read_catalog = outer.catalog
            self.session = None if read_only else outer.session
            if self.session is not None:
                self._outer_catalog = self.session.catalog
                self.session.bytes.savepoint()
        elif read_only:
            self.bytes = database.engine.begin_read()
            self._read_catalog = database.catalog_of(self.bytes)
        else:
            write: WriteTransaction = database.engine.begin_write(database.options.write_timeout_s)
            self.bytes = write
            self._read_catalog = database.catalog_of(write)
            self.session = WriteSession(write, self._read_catalog)
        _ambient.set(self)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s begun", self._kind(), extra={"read_only": read_only, "nested": outer is not None})

    @property
    def is_open(self) -> bool:
        """Whether the transaction has neither been committed nor rolled back."""
        return self._state is _State.OPEN

    @property
    def shadowed(self) -> Transaction | None:
        """The transaction that was ambient when this one began, of whatever database."""
        return self._shadowed

    @property
    def catalog(self) -> Catalog:
        """The tables as this transaction sees them."""
        return self._read_catalog if self.session is None else self.session.catalog

    def commit(self) -> None:
        """Make the changes durable and visible to all; of a savepoint: make them part of the outer transaction.

        Raises what the engine raises; the transaction has then been rolled back, unless it is ``CommitUnknownError``.
        """
        self.require_usable()
        self._require_innermost()
        if self.session is not None and self.session.bytes.is_doomed and self._outer is None:
            self._finish(_State.ROLLED_BACK)
            raise _doomed()
        self._finish(_State.COMMITTED)

    def rollback(self) -> None:
        """Undo every change since the beginning. Does nothing if the transaction has ended."""
        if self._state is _State.OPEN:
            self._require_owner()
            self._require_innermost()
            self._finish(_State.ROLLED_BACK)

    def __enter__(self) -> Self:
        self.require_usable()
        self._is_in_with = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._state is _State.OPEN:
                if self._is_inherited():
                    self._finish(_State.ROLLED_BACK)
                    if error is None:
                        raise _forked()
                elif error is None:
                    self.commit()
                else:
                    self._end_inner_ones()
                    self.rollback()
        finally:
            self._leave()

    # --- what the tables ask ------------------------------------------------------------------------------------------

    def require_usable(self) -> None:
        """Raise unless a call may take part in this transaction now."""
        if self._is_inherited():
            raise _forked()
        if self._state is not _State.OPEN:
            raise TransactionClosedError(
                f"The transaction was {self._state.value} before this call",
                hint="begin a new one, or make the call after the with block",
            )
        self._require_owner()

    def writing(self) -> WriteSession:
        """Return what writes, or raise ``ReadOnlyError``."""
        if self.session is None:
            raise ReadOnlyError(
                "The transaction was begun as read-only", hint="begin it with begin_transaction() to write"
            )
        if self.session.bytes.is_doomed:
            raise _doomed()
        return self.session

    def belongs_to_caller(self) -> bool:
        """Whether the thread and task that call now are those that began it."""
        return self._thread == threading.get_ident() and self._task is _current_task()

    def find(self, database: MiniDB) -> Transaction | None:
        """Return the innermost transaction of a database, from this one outwards, that the caller may take part in."""
        found: Transaction | None = self
        while found is not None:
            if found.database is database and found.belongs_to_caller():
                if found._state is not _State.OPEN or found._is_inherited():
                    found.require_usable()
                return found
            found = found._shadowed
        return None

    # --- inside -------------------------------------------------------------------------------------------------------

    def _finish(self, state: _State) -> None:
        self._state = state
        try:
            if self._outer is not None:
                self._finish_savepoint(state)
            elif state is _State.COMMITTED and self.session is not None:
                self.session.bytes.commit()
                self.database.keep_live_schemas(self.session.catalog)
            else:
                self.bytes.close()
        except BaseException:
            self._state = _State.ROLLED_BACK
            raise
        finally:
            if self._connection is not None:
                self.database.connection_pool.take_back(self._connection)
                self._connection = None
            if not self._is_in_with:
                self._leave()
            if _log.isEnabledFor(logging.DEBUG):
                duration_ms = round((time.monotonic() - self._began) * 1000, 3)
                _log.debug("%s %s", self._kind(), self._state.value, extra={"duration_ms": duration_ms})

    def _finish_savepoint(self, state: _State) -> None:
        if self.session is None or self._is_inherited():
            return
        if state is _State.COMMITTED:
            self.session.bytes.release()
        else:
            self.session.bytes.rollback_to_savepoint()
            self.session.catalog = self._outer_catalog
            self.session.forget_ids()

    def _end_inner_ones(self) -> None:
        """Roll back what was begun inside and left open, so that an exception can undo the whole."""
        inner = _ambient.get()
        while inner is not None and inner is not self:
            if inner._is_inside(self) and inner._state is _State.OPEN:
                inner._is_in_with = False
                inner._finish(_State.ROLLED_BACK)
            inner = inner._shadowed

    def _is_inside(self, other: Transaction) -> bool:
        outer = self._outer
        while outer is not None and outer is not other:
            outer = outer._outer
        return outer is other

    def _leave(self) -> None:
        """Stop being ambient."""
        if _ambient.get() is self:
            _ambient.set(self._shadowed)

    def _require_innermost(self) -> None:
        ambient = _ambient.get()
        if ambient is not self and ambient is not None and ambient._is_inside(self) and ambient.is_open:
            raise UsageError(
                "A transaction that was begun inside this one is still open", hint="end the inner one first"
            )

    def _require_owner(self) -> None:
        if not self.belongs_to_caller():
            raise TransactionClosedError(
                "The transaction belongs to another thread or task",
                hint="begin one in each thread or task that needs it",
            )

    def _is_inherited(self) -> bool:
        return self._fork_count != self.database.fork_count

    def _kind(self) -> str:
        if self._outer is not None:
            return "savepoint"
        return "read transaction" if self.read_only else "write transaction"

    def __repr__(self) -> str:
        return f"<{self._kind()} of {self.database.location!r}, {self._state.value}>"


_ambient: ContextVar[Transaction | None] = ContextVar("minidb_transaction", default=None)

ambient_transaction = _ambient.get
"""Return the innermost transaction of the context, of any database, or None. Its ``find`` gives a database's own."""


def _current_task() -> object:
    """Return the calling task, or None where no event loop runs in this thread."""
    asyncio = sys.modules.get("asyncio")  # never imported here: a program without it pays nothing
    if asyncio is None or asyncio._get_running_loop() is None:
        return None
    return asyncio.current_task()


def _forked() -> ForkedError:
    return ForkedError(
        "The transaction was begun in the parent process, before this one was forked", hint="begin a new one here"
    )


def _doomed() -> TransactionClosedError:
    return TransactionClosedError(
        "The transaction can only be rolled back: a part of it failed that was too large to be undone alone",
        hint="roll it back, and run large inserts in transactions of their own",
    )
