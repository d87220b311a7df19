"""Connections to the server: opened when none is idle, kept when they come back clean.

How many are in use is bounded above the engine, by the pool of the database: a second queue here could only add waiting
to waiting. So this is a heap of idle connections, and no pool: it has neither limit nor timeouts nor threads, which a
fork would leave behind. Beside those that the pool counts there may be one for a moment that allots ids, and one for
each call that shares its thread's place in the pool.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Final, TypeVar

import psycopg
from psycopg.pq.abc import PGresult

from minidb.engines.postgres.address import Address
from minidb.engines.postgres.dialect import POSTGRESQL, dialect_of
from minidb.engines.postgres.errors import refusal, translate, translate_commit
from minidb.engines.postgres.parameters import Parameter
from minidb.engines.postgres.wire import Line, Statement, Wire
from minidb.exceptions import CommitUnknownError, ConflictError, MiniDBError
from minidb.log import Logger
from minidb.options import Options

_log = Logger("minidb.engine")

Result = TypeVar("Result")

ATTEMPTS: Final = 20
"""Where the transactions are short, and many begin at once."""

LONGEST_IDLE_S: Final = 3600
"""So long may a transaction do nothing before the server ends it. It keeps the server from clearing up what is old."""

SETTINGS: Final[Mapping[str, str]] = {
    "search_path": "pg_catalog, pg_temp",
    "default_transaction_isolation": "serializable",
    "idle_in_transaction_session_timeout": f"{LONGEST_IDLE_S}s",
    # A timeout that comes while a commit waits for a standby would end the wait, and call the commit a success.
    "statement_timeout": "0",
}


class ServerConnection:
    """One session on the server. One thread at a time."""

    __slots__ = (
        "__weakref__",
        "_connection",
        "_has_warned",
        "_shown",
        "_wire",
        "dialect",
        "is_at_work",
        "is_standby",
        "server",
        "timeout_s",
        "version",
    )

    def __init__(self, connection: psycopg.Connection[Line], shown: str, *, timeout_s: float) -> None:
        """``shown`` is what messages call the server; ``timeout_s`` what they say a lock was waited for."""
        self._connection = connection
        self._wire = Wire(connection)
        self._shown = shown
        self._has_warned = False
        self.is_at_work = False
        """Whether a statement runs; also for ever after a signal's exception has cut one short."""
        self.timeout_s = timeout_s
        self.version = ""
        """What the server says that it is."""
        self.dialect = POSTGRESQL
        self.is_standby = False
        self.server = ""
        """What tells the server apart from others, and from itself before it was started again."""
        connection.add_notice_handler(self._notice)

    @property
    def is_clean(self) -> bool:
        """Whether the next transaction may use it."""
        return not self.is_at_work and self._wire.is_idle

    def begin(self, statement: str, read_state: str) -> tuple[int, int]:
        """Begin a transaction, and return the state that it begins on: the generation, and the next space's number."""
        _, ((generation, next_space),) = self.run([(statement, ()), (read_state, ())])
        return generation, next_space

    def rows(self, statement: str, *parameters: Parameter) -> list[Line]:
        """Run a statement, and return the rows of its answer."""
        return self.run([(statement, parameters)])[0]

    def row(self, statement: str, *parameters: Parameter) -> Line | None:
        """Run a statement, and return the first row of its answer."""
        rows = self.rows(statement, *parameters)
        return rows[0] if rows else None

    def read_newest(self, statement: str, key: bytes) -> tuple[int, bytes | None] | None:
        """Return a generation and a value by a statement that asks for both; None if that failed."""
        answer = self._wire.ask_at_once(statement, key)
        generation = None if answer is None else answer.get_value(0, 0)
        if answer is None or generation is None:
            return None
        return int.from_bytes(generation, "big"), answer.get_value(0, 1)

    def run_alone(self, *statements: str) -> None:
        """Run statements one after another, each a transaction of its own unless they say otherwise."""
        for statement in statements:
            self.run([(statement, ())])

    def is_still_standby(self) -> bool:
        """Ask whether the server follows another one. One that did may have been promoted."""
        self.is_standby = self.row("SELECT pg_is_in_recovery()") == (True,)
        return self.is_standby

    def wait_for_locks(self, timeout_s: float) -> None:
        """Wait no longer for a lock in the rest of the transaction."""
        self.row("SELECT set_config('lock_timeout', $1::text, true)", _milliseconds(timeout_s))

    def run(self, statements: Iterable[Statement]) -> list[list[Line]]:
        """Run statements, all in one pipeline, and return the rows of each. After the first that fails, none runs."""
        return list(map(self._wire.lines, self._run(statements, self._failure)))

    def commit(self, statements: Iterable[Statement]) -> list[list[Line]]:
        """Run statements and commit, all in one pipeline. Raises ``CommitUnknownError`` where no answer came."""
        self._has_warned = False
        answers = self._run(chain(statements, [("COMMIT", ())]), self._commit_failure)
        if answers[-1].command_status == b"ROLLBACK":  # so it answers where a statement had failed before
            raise ConflictError("The transaction had met another one before, and was not committed")
        if self._has_warned:
            raise CommitUnknownError(
                "The server warned while it committed: a standby may not have the transaction yet",
                hint="somebody has ended its wait for the standby; the transaction is committed on the primary",
                path=self._shown,
            )
        return list(map(self._wire.lines, answers))

    def roll_back(self) -> None:
        """End the transaction, if one is open; a connection on which that cannot be done is closed."""
        if self.is_at_work:
            self.close()  # the server rolls back what it finds open
        elif not self.is_clean:
            try:
                self.run_alone("ROLLBACK")
            except MiniDBError:
                self.close()  # nothing of the transaction is left on the server either

    def repeat(self, run_once: Callable[[], Result]) -> Result:
        """Call what runs one short transaction here, and after a conflict again, at most ``ATTEMPTS`` times."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return run_once()
            except ConflictError:
                if attempt == ATTEMPTS:
                    raise
            finally:
                self.roll_back()
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the session. May be called again."""
        self._connection.close()

    def _run(
        self, statements: Iterable[Statement], translated: Callable[[psycopg.Error], MiniDBError]
    ) -> list[PGresult]:
        # An error is raised where psycopg's own is no longer handled, and from a list: held by a variable of the frame
        # that raises it, it would keep that frame alive, and with it the whole engine.
        failures: list[MiniDBError] = []
        self.is_at_work = True  # and stays so where a signal's exception cuts it short: nobody knows what comes next
        try:
            answers = self._wire.exchange(statements)
        except psycopg.Error as error:
            failures.append(translated(error))
        else:
            self.is_at_work = False
            return answers
        self.is_at_work = False
        raise failures.pop()

    def _failure(self, error: psycopg.Error) -> MiniDBError:
        return translate(error, self._shown, timeout_s=self.timeout_s)

    def _commit_failure(self, error: psycopg.Error) -> MiniDBError:
        return translate_commit(error, self._shown, timeout_s=self.timeout_s)

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        self._has_warned |= diagnostic.severity_nonlocalized == "WARNING"


class Connections:
    """The connections of one engine. Safe from any thread: each operation is a single one on a deque or a set."""

    def __init__(self, address: Address, options: Options) -> None:
        self._address = address
        self._options = options
        self._idle: deque[ServerConnection] = deque()
        # So that a transaction which is garbage ends its connection itself: psycopg would warn of it first.
        self._lent: set[ServerConnection] = set()
        self._server: str | None = None
        self.fork_count = 0
        self.era = 0
        """Raised when a connection leads to another server than the one before, or to one that was started again."""

    def take(self) -> ServerConnection:
        """Return an idle connection, or a new one. Raises ``EngineUnavailableError``."""
        try:
            connection = self._idle.pop()
        except IndexError:
            return self.open()
        self._lent.add(connection)
        return connection

    def give_back(self, connection: ServerConnection) -> None:
        """Keep a connection for the next one, if no transaction is open on it and it is whole."""
        if connection.is_clean:
            self._idle.append(connection)
        else:
            connection.close()
        self._lent.discard(connection)

    def open(self) -> ServerConnection:
        """Return a new connection with its settings made."""
        connection = self._connect()
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        if connection.server != self._server:
            self._server = connection.server
            self.era += 1
        self._lent.add(connection)
        _log.debug("connected", extra={"location": str(self._address)})
        return connection

    def _connect(self) -> ServerConnection:
        shown, timeout_s = str(self._address), self._options.write_timeout_s
        failures: list[MiniDBError] = []  # as in ServerConnection
        try:
            return ServerConnection(self._address.connect(), shown, timeout_s=timeout_s)
        except psycopg.Error as error:
            failures.append(refusal(error, shown))
        raise failures.pop()

    def _prepare(self, connection: ServerConnection) -> None:
        """Ask what the server is, and set what must not depend on its configuration."""
        row = connection.row("SELECT version(), current_setting('synchronous_commit', true)")
        assert row is not None, "a select without a table has one row"
        version, synchronous_commit = row
        connection.version = version
        connection.dialect = dialect_of(version)
        settings = {
            **SETTINGS,
            **connection.dialect.settings,
            "lock_timeout": _milliseconds(self._options.write_timeout_s),
        }
        if connection.dialect.has_standbys:
            row = connection.row("SELECT pg_postmaster_start_time()::text")
            connection.server = "" if row is None else row[0]
            if connection.is_still_standby():
                settings["default_transaction_isolation"] = "repeatable read"  # more is refused there
        if connection.dialect.has_relaxed_commit:
            if self._options.durability != "full":
                settings["synchronous_commit"] = "off"
            elif synchronous_commit == "off":
                settings["synchronous_commit"] = "on"  # what is stronger stays as the server has it
        places = range(1, 2 * len(settings), 2)
        calls = ", ".join(f"set_config(${place}::text, ${place + 1}::text, false)" for place in places)
        connection.row(f"SELECT {calls}", *chain.from_iterable(settings.items()))

    def forget_idle(self) -> None:
        """Close the idle connections: one was found to be lost, and so are most others."""
        while self._idle:
            try:
                self._idle.pop().close()
            except IndexError:
                break

    def close(self) -> None:
        """Close every connection."""
        self.forget_idle()
        while self._lent:
            try:
                self._lent.pop().close()
            except KeyError:
                break

    def abandon_in_child(self) -> None:
        """Give up what a forked child has inherited. To close it would end the parent's sessions."""
        _inherited.append((self._idle, self._lent))
        self._idle = deque()
        self._lent = set()
        self.fork_count += 1


def _milliseconds(seconds: float) -> str:
    # 0 would mean: for ever.
    return f"{min(max(1, round(seconds * 1000)), 2**31 - 1)}ms"


_inherited: list[object] = []


def keep_inherited(connection: ServerConnection) -> None:
    """Keep a connection of the parent process from being closed by this child's garbage collector."""
    _inherited.append(connection)
