"""The pool of connections: at most so many operations and transactions at once, and every wait bounded.

On a file a connection costs nothing to make; what the pool gives is the bound, and figures of who waits. Taking a
connection and giving it back are single operations on a deque, which need no lock (0.1 µs together). The lock is for
those who must wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from minidb.exceptions import DatabaseClosedError, InvalidOptionError, PoolTimeoutError, UsageError

if TYPE_CHECKING:
    from minidb.api.database import MiniDB
    from minidb.api.table import Table
    from minidb.api.transaction import Transaction

_log = logging.getLogger("minidb.pool")


class Connection:
    """A place among those that work at once. Lent by ``db.connection_pool.get_connection()``.

    A table got from it, and a transaction begun on it, use this connection and take no other. One thread at a time.
    """

    __slots__ = ("_database", "_transaction", "is_lent", "uses")

    def __init__(self, database: MiniDB) -> None:
        self._database = database
        self._transaction: Transaction | None = None
        self.is_lent = False
        self.uses = 0

    def begin_transaction(self, *, read_only: bool = False) -> Transaction:
        """Begin a transaction on this connection; see ``MiniDB.begin_transaction``."""
        self.require_lent()
        self._transaction = self._database.begin_on_lent(read_only=read_only)
        return self._transaction

    def get_table(self, name: str) -> Table[Any]:
        """Return a table whose calls use this connection. Raises ``TableNotFoundError``."""
        self.require_lent()
        return self._database.table_on(self, name)

    def end_transaction(self) -> None:
        """Roll back a transaction that was begun here and left open."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None and transaction.is_open:
            _log.warning("a connection was given back with a transaction open, which is rolled back")
            transaction.rollback()

    def require_lent(self) -> None:
        """Raise ``UsageError`` once the connection has been given back."""
        if not self.is_lent:
            raise UsageError(
                "The connection was used after it went back to the pool",
                hint="use it inside its with block",
            )


class ConnectionPool:
    """The connections of one database. Safe from any thread."""

    def __init__(self, database: MiniDB, *, max_connections: int, timeout_s: float) -> None:
        self._database = database
        self._timeout_s = timeout_s
        self._changed = threading.Condition()  # guards what follows, but for the deque itself
        self._idle: deque[Connection] = deque()
        self._all: list[Connection] = []
        self._max_connections = max_connections
        self._lent_to: dict[int, int] = {}
        self._waiting = 0
        self._queued = 0
        self._wait_s = 0.0
        self._errors = 0
        self._needs_care = False  # someone waits, or there are connections too many, or the pool is closed
        self._is_closed = False

    # --- the short path -----------------------------------------------------------------------------------------------

    def take(self) -> Connection:
        """Take a connection for one call, waiting at most the pool's timeout."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._wait(self._timeout_s)
        connection.uses += 1
        return connection

    def give_back(self, connection: Connection) -> None:
        """Give back what ``take`` took."""
        self._idle.append(connection)
        if self._needs_care:
            self._care()

    # --- the public face ----------------------------------------------------------------------------------------------

    @contextmanager
    def get_connection(self, timeout_s: float | None = None) -> Iterator[Connection]:
        """Lend a connection for a ``with`` block.

        Waits at most ``timeout_s`` seconds (the pool's own timeout if None), then raises ``PoolTimeoutError``.

        >>> with db.connection_pool.get_connection() as connection:
        ...     connection.get_table("users").count()
        0
        """
        connection = self.lend(self._timeout_s if timeout_s is None else timeout_s)
        try:
            yield connection
        finally:
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
        with self._changed:
            return {
                "pool_max": self._max_connections,
                "pool_size": len(self._all),
                "pool_available": len(self._idle),
                "requests_num": sum(connection.uses for connection in self._all),
                "requests_queued": self._queued,
                "requests_wait_ms": round(self._wait_s * 1000),
                "requests_errors": self._errors,
                "requests_waiting": self._waiting,
            }

    def resize(self, max_connections: int) -> None:
        """Change how many connections there may be. Those too many go as they are given back."""
        if not isinstance(max_connections, int) or isinstance(max_connections, bool) or max_connections < 1:
            raise InvalidOptionError(
                "The option max_connections must be an integer of at least 1", option="max_connections"
            )
        with self._changed:
            self._max_connections = max_connections
            self._settle()

    # --- lending ------------------------------------------------------------------------------------------------------

    def lend(self, timeout_s: float) -> Connection:
        """Lend a connection until ``take_back``."""
        me = threading.get_ident()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._wait(timeout_s)
        connection.uses += 1
        connection.is_lent = True
        with self._changed:
            self._lent_to[me] = self._lent_to.get(me, 0) + 1
        return connection

    def take_back(self, connection: Connection) -> None:
        """Take a lent connection back. REQUIRES the thread that it was lent to."""
        me = threading.get_ident()
        connection.is_lent = False
        with self._changed:
            self._lent_to[me] = self._lent_to.get(me, 1) - 1
            if self._lent_to[me] <= 0:
                del self._lent_to[me]
        self.give_back(connection)

    def _wait(self, timeout_s: float) -> Connection:
        with self._changed:
            if self._is_closed:
                raise DatabaseClosedError("The database is closed")
            if len(self._all) < self._max_connections:
                connection = Connection(self._database)
                self._all.append(connection)
                return connection
            if self._lent_to.get(threading.get_ident(), 0) >= self._max_connections:
                self._errors += 1
                raise PoolTimeoutError(
                    "This thread holds every connection of the pool, so it would wait for itself",
                    hint="use the connection or transaction that it has, or open with a larger max_connections",
                    timeout_s=timeout_s,
                    max_connections=self._max_connections,
                )
            return self._wait_for_idle(timeout_s)

    def _wait_for_idle(self, timeout_s: float) -> Connection:
        began = time.monotonic()
        self._queued += 1
        self._waiting += 1
        self._needs_care = True  # before the deque is looked at again: whoever gives back now will see it
        try:
            while True:
                try:
                    return self._idle.pop()
                except IndexError:
                    remaining_s = began + timeout_s - time.monotonic()
                if remaining_s <= 0:
                    break
                self._changed.wait(min(remaining_s, threading.TIMEOUT_MAX))
                if self._is_closed:
                    raise DatabaseClosedError("The database was closed while this call waited for a connection")
            self._errors += 1
            _log.warning(
                "no connection came free within %.3f s",
                timeout_s,
                extra={"timeout_s": timeout_s, "max_connections": self._max_connections, "waiting": self._waiting},
            )
            raise PoolTimeoutError(
                f"All {self._max_connections} connections of the pool were in use for {timeout_s:g} s",
                hint="end transactions and scans sooner, or open with a larger max_connections",
                timeout_s=timeout_s,
                max_connections=self._max_connections,
            )
        finally:
            self._waiting -= 1
            self._wait_s += time.monotonic() - began
            self._settle()

    def _care(self) -> None:
        with self._changed:
            self._changed.notify()
            self._settle()

    def _settle(self) -> None:
        """Let go of idle connections too many, and note whether anything is left to care for. REQUIRES the lock."""
        while len(self._all) > self._max_connections:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            self._all.remove(connection)
        self._needs_care = self._is_closed or self._waiting > 0 or len(self._all) > self._max_connections
        if self._is_closed and len(self._idle) == len(self._all):
            self._all.clear()
            self._idle.clear()
            self._database.close_engine()

    # --- ends ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Lend nothing more, and close the engine once nothing is in use: now, or when the last is given back."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            self._settle()

    def forget_parent(self) -> None:
        """Begin anew in a forked child: what other threads of the parent held never comes back here."""
        self._changed = threading.Condition()
        self._idle = deque()
        self._all = []
        self._lent_to = {}
        self._waiting = 0
