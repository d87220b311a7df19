"""The pool of connections: at most so many operations and transactions at once, and every wait bounded.

On a file a connection costs nothing to make; what the pool gives is the bound, and figures of who waits. Taking a
connection and giving it back are single operations on a deque, which need no lock (0.1 µs together) and which no signal
can cut in two. The lock is for those who must wait.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from minidb.exceptions import DatabaseClosedError, InvalidOptionError, PoolTimeoutError, UsageError
from minidb.log import Logger

if TYPE_CHECKING:
    from minidb.api.database import MiniDB
    from minidb.api.table import Table
    from minidb.api.transaction import Transaction

_log = Logger("minidb.pool")


class Connection:
    """A place among those that work at once. Lent by ``db.connection_pool.get_connection()``.

    A table got from it, and a transaction begun on it, use this connection and take no other. One thread at a time.
    """

    __slots__ = ("__weakref__", "_database", "_transaction", "holder", "home", "is_lent", "uses")

    def __init__(self, database: MiniDB, home: deque[Connection]) -> None:
        """``home`` is where it goes when it is given back."""
        self._database = database
        self._transaction: Transaction | None = None
        self.home = home
        self.holder: int | None = None
        """The thread that has it, where that is known: not while a call has it that runs no code of the program's."""
        self.is_lent = False
        self.uses = 0

    def begin_transaction(self, *, read_only: bool = False, commit_token: bool = False) -> Transaction:
        """Begin a transaction on this connection; see ``MiniDB.begin_transaction``."""
        self.require_lent()
        transaction = self._database.begin_on_lent(read_only=read_only, commit_token=commit_token)
        if self._transaction is None or not self._transaction.is_open:
            self._transaction = transaction  # the outermost: ending it ends those inside
        return transaction

    def get_table(self, name: str) -> Table[Any]:
        """Return a table whose calls use this connection. Raises ``TableNotFoundError``."""
        self.require_lent()
        return self._database.table_on(self, name)

    def end_transaction(self) -> None:
        """Roll back a transaction that was begun here and left open."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None and transaction.is_open:
            _log.warning("a connection was given back with a transaction open, which is rolled back")
            transaction.abandon()

    def require_lent(self) -> None:
        """Raise ``UsageError`` once the connection has been given back."""
        if not self.is_lent:
            raise UsageError(
                "The connection was used after it went back to the pool",
                hint="use it inside its with block",
            )


HANDOVER_AFTER_S: Final = 0.01
"""So long may others be quicker than a thread that waits. Then the next connection is handed to it: fair from the
beginning would switch threads at each call (127,000 reads a second by 16 threads on 10 connections, against 590,000),
and never fair would let one busy thread keep all others out."""


class _Waiter:
    """A thread in the line. All but ``alarm`` is guarded by the pool's lock."""

    __slots__ = ("alarm", "began", "connection", "is_called", "thread_id")

    def __init__(self) -> None:
        self.thread_id = threading.get_ident()
        self.began = time.monotonic()
        self.connection: Connection | None = None
        self.is_called = False  # and has not looked yet
        self.alarm = threading.Lock()
        self.alarm.acquire()

    def served(self) -> Connection | None:
        """Return the connection that the thread has been given."""
        return self.connection

    def call(self) -> None:
        """Wake the thread, to look at what there is."""
        if not self.is_called:
            self.is_called = True
            self.alarm.release()


class ConnectionPool:
    """The connections of one database. Safe from any thread.

    A thread that holds a connection, by ``get_connection``, a transaction or an unfinished scan, never waits for
    another one in a call outside a transaction: where none is free, the call shares what the thread holds. To get a
    second connection or transaction it must wait, and is refused at once where it would wait for ever: where it holds
    all that there may be, or where all who hold one wait for another one.
    """

    def __init__(self, database: MiniDB, *, max_connections: int, timeout_s: float) -> None:
        self._database = database
        self._timeout_s = timeout_s
        self._max_connections = max_connections
        self._is_closed = False
        self._begin_empty()

    def _begin_empty(self) -> None:
        # Guards what follows but for the deques. Reentrant, since garbage collection may come in anywhere and end a
        # transaction.
        self._lock = threading.RLock()
        self.idle: deque[Connection] = deque()
        """Those that nobody has."""
        # Weakly: a connection that a signal's exception has lost on its way is then missed, and replaced.
        self._all: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._shares: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._ended_shares: deque[Connection] = deque()
        self._waiters: deque[_Waiter] = deque()
        self._uses_before = 0  # of connections that are gone
        self._errors = 0
        self._queued = 0
        self._wait_s = 0.0
        self.needs_care = self._is_closed  # giving back is not enough: see _settle

    # --- the short path -----------------------------------------------------------------------------------------------

    def take(self) -> Connection:
        """Take a connection for one call that runs no code of the program's, waiting at most the pool's timeout."""
        try:
            connection = self.idle.pop()
        except IndexError:
            connection = self._wait(self._timeout_s, may_share=True)
        connection.uses += 1
        return connection

    def give_back(self, connection: Connection) -> None:
        """Give back what ``take`` took."""
        connection.home.append(connection)
        if self.needs_care:
            self.settle()

    # --- the public face ----------------------------------------------------------------------------------------------

    @contextmanager
    def get_connection(self, timeout_s: float | None = None) -> Iterator[Connection]:
        """Lend a connection for a ``with`` block.

        Waits at most ``timeout_s`` seconds (the pool's own timeout if None), then raises ``PoolTimeoutError``.

        >>> with db.connection_pool.get_connection() as connection:
        ...     connection.get_table("users").count()
        0
        """
        if timeout_s is not None and not (isinstance(timeout_s, int | float) and timeout_s >= 0):
            raise InvalidOptionError("The timeout must be a number of seconds of at least 0", option="timeout_s")
        connection = self.lend(self._timeout_s if timeout_s is None else timeout_s)
        try:
            connection.is_lent = True
            yield connection
        finally:
            connection.is_lent = False
            try:
                connection.end_transaction()
            finally:
                self.take_back(connection)

    def stats(self) -> dict[str, int]:
        """Return figures, in the words of psycopg's pool.

        ``pool_max``, ``pool_size`` (made), ``pool_available`` (idle), ``requests_num`` (calls and loans), and of these
        ``requests_queued`` (had to wait), ``requests_wait_ms`` (for so long in all), ``requests_errors`` (in vain);
        ``requests_waiting`` (waiting now).
        """
        with self._lock:
            uses = sum(connection.uses for connection in (*self._all, *self._shares))
            return {
                "pool_max": self._max_connections,
                "pool_size": len(self._all),
                "pool_available": len(self.idle),
                "requests_num": self._uses_before + uses + self._errors,
                "requests_queued": self._queued,
                "requests_wait_ms": round(self._wait_s * 1000),
                "requests_errors": self._errors,
                "requests_waiting": len(self._waiters),
            }

    def resize(self, max_connections: int) -> None:
        """Change how many connections there may be. Those too many go as they are given back."""
        if not isinstance(max_connections, int) or isinstance(max_connections, bool) or max_connections < 1:
            raise InvalidOptionError(
                "The option max_connections must be an integer of at least 1", option="max_connections"
            )
        with self._lock:
            self._max_connections = max_connections
            self._settle()

    # --- lending ------------------------------------------------------------------------------------------------------

    def hold(self) -> Connection:
        """Take a connection for one call, which may run code of the program's, until ``take_back``."""
        connection = self.take()
        connection.holder = threading.get_ident()
        return connection

    def lend(self, timeout_s: float) -> Connection:
        """Lend a connection until ``take_back``."""
        try:
            connection = self.idle.pop()
        except IndexError:
            connection = self._wait(timeout_s, may_share=False)
        connection.uses += 1
        connection.holder = threading.get_ident()
        return connection

    def take_back(self, connection: Connection) -> None:
        """Take back what was held or lent, from whatever thread."""
        connection.holder = None
        self.give_back(connection)

    @contextmanager
    def all_held(self, timeout_s: float) -> Iterator[None]:
        """Hold every connection for the block, so that nothing else of the database runs. REQUIRES no transaction."""
        held: list[Connection] = []
        deadline = time.monotonic() + timeout_s
        try:
            while len(held) < self._max_connections:
                held.append(self.lend(max(0.0, deadline - time.monotonic())))
            with self._lock:
                self._settle()
                if self._shares:
                    raise PoolTimeoutError(
                        "A call of another thread is not over, such as a scan",
                        hint="end scans and transactions first",
                        timeout_s=timeout_s,
                        max_connections=self._max_connections,
                    )
            yield
        finally:
            for connection in held:
                self.take_back(connection)

    def _wait(self, timeout_s: float, *, may_share: bool) -> Connection:
        with self._lock:
            if self._is_closed:
                raise DatabaseClosedError("The database is closed", hint="open it again: MiniDB(path)")
            me = threading.get_ident()
            held = sum(connection.holder == me for connection in self._all)
            if held and may_share and len(self._all) >= self._max_connections:
                self.needs_care = True
                connection = Connection(self._database, self._ended_shares)
                self._shares.add(connection)
                return connection
            if held >= self._max_connections:
                self._errors += 1
                raise PoolTimeoutError(
                    "This thread holds every connection of the pool, so it would wait for itself",
                    hint="use the connection or transaction that it has, or open with a larger max_connections",
                    timeout_s=timeout_s,
                    max_connections=self._max_connections,
                )
            if held and self._is_deadlock(me):
                self._errors += 1
                raise PoolTimeoutError(
                    "Every connection of the pool is held by a thread that waits for another one, as this one would",
                    hint="use the connection or transaction that it has, or open with a larger max_connections",
                    timeout_s=timeout_s,
                    max_connections=self._max_connections,
                )
            waiter = _Waiter()
            self._waiters.append(waiter)
            self._settle()  # makes a connection where there may be one more
            if waiter.connection is not None:
                return waiter.connection
        try:
            self._stand_in_line(waiter, timeout_s)
        except BaseException:  # such as KeyboardInterrupt
            self._leave_line(waiter)
            if (unused := waiter.served()) is not None:
                self.give_back(unused)
            raise
        self._leave_line(waiter)
        if (served := waiter.served()) is not None:
            return served
        if self._is_closed:
            raise DatabaseClosedError("The database was closed while this call waited for a connection")
        with self._lock:
            self._errors += 1
            waiting = len(self._waiters)
        _log.warning(
            "no connection came free within %.3f s",
            timeout_s,
            extra={"timeout_s": timeout_s, "max_connections": self._max_connections, "waiting": waiting},
        )
        raise PoolTimeoutError(
            f"All {self._max_connections} connections of the pool were in use for {timeout_s:g} s",
            hint="end transactions and scans sooner, or open with a larger max_connections",
            timeout_s=timeout_s,
            max_connections=self._max_connections,
        )

    def _is_deadlock(self, me: int) -> bool:
        """Whether nothing would ever come free if this thread waited, too. REQUIRES the lock."""
        waiting = {waiter.thread_id for waiter in self._waiters if waiter.connection is None} | {me}
        holders = {connection.holder for connection in self._all}
        return len(self._all) >= self._max_connections and not self.idle and holders <= waiting

    def _stand_in_line(self, waiter: _Waiter, timeout_s: float) -> None:
        while True:
            remaining_s = waiter.began + timeout_s - time.monotonic()
            waiter.alarm.acquire(timeout=max(0, min(remaining_s, threading.TIMEOUT_MAX)))
            with self._lock:
                self._look_for(waiter)
                if waiter.served() is not None or self._is_closed or remaining_s <= 0:
                    return

    def _look_for(self, waiter: _Waiter) -> None:
        """Give a waiter what is idle, if nobody was quicker. REQUIRES the lock."""
        if waiter.connection is None:
            waiter.connection = self._pop_idle()
        if waiter.is_called:
            waiter.is_called = False
            waiter.alarm.acquire(blocking=False)  # set again, if the waiter looks for another reason

    def _leave_line(self, waiter: _Waiter) -> None:
        with self._lock:
            self._queued += 1
            self._wait_s += time.monotonic() - waiter.began
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            self._settle()

    def settle(self) -> None:
        """Do what is left to do after a connection was given back while ``needs_care``."""
        with self._lock:
            self._settle()

    def _settle(self) -> None:
        """Do what giving back leaves to be done. REQUIRES the lock.

        Let go of shares that have ended and of idle connections too many, hand idle ones to those who wait, and close
        the engine once nothing is in use of a pool that is closed.
        """
        self.needs_care = True  # first: whoever gives back from here on comes here again
        while self._ended_shares:
            share = self._ended_shares.popleft()
            self._uses_before += share.uses
            self._shares.discard(share)
        while len(self._all) > (0 if self._is_closed else self._max_connections):
            surplus = self._pop_idle()
            if surplus is None:
                break
            self._uses_before += surplus.uses
            self._all.discard(surplus)
        if self._is_closed:
            for waiter in self._waiters:
                waiter.call()
            if not self._all and not self._shares:
                self._database.close_engine()
            return
        self._serve()
        self.needs_care = bool(self._waiters or self._shares) or len(self._all) > self._max_connections

    def _serve(self) -> None:
        """Hand what may be had to those who have waited long, and call as many others as there is something for."""
        while self._waiters and len(self._all) < self._max_connections:
            connection = Connection(self._database, self.idle)
            self._all.add(connection)
            self._hand(connection)
        while self._waiters and time.monotonic() - self._waiters[0].began > HANDOVER_AFTER_S:
            idle = self._pop_idle()
            if idle is None:
                return
            self._hand(idle)
        for waiter in islice(self._waiters, len(self.idle)):
            waiter.call()

    def _hand(self, connection: Connection) -> None:
        waiter = self._waiters.popleft()
        waiter.connection = connection
        waiter.call()

    def _pop_idle(self) -> Connection | None:
        try:
            return self.idle.pop()
        except IndexError:
            return None

    # --- ends ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Lend nothing more, and close the engine once nothing is in use: now, or when the last is given back."""
        with self._lock:
            self._is_closed = True
            self._settle()

    def forget_parent(self) -> None:
        """Begin anew in a forked child: what other threads of the parent held never comes back here.

        What this thread holds goes back to the deque of the parent's time, where nobody looks for it.
        """
        self._begin_empty()
