"""What a database is on a server: made when it is absent, checked when it is opened."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import Final

from minidb.engines.port import CATALOG
from minidb.engines.postgres.address import ISOLATION_PARAMETER
from minidb.engines.postgres.connections import Connections, ServerConnection
from minidb.engines.postgres.dialect import SMALLEST_VERSION
from minidb.engines.postgres.statements import FORMAT, Probe, Statements
from minidb.engines.postgres.tokens import oldest_key
from minidb.engines.postgres.wire import Statement
from minidb.exceptions import (
    ConflictError,
    EngineError,
    EngineUnavailableError,
    InvalidOptionError,
    UnsupportedFormatError,
)
from minidb.log import Logger

_log = Logger("minidb.engine")

ATTEMPTS: Final = 10
"""Several programs may make one database at once: all but one find it made."""

ENOUGH_PREDICATE_LOCKS: Final = 1024
"""Of ``max_pred_locks_per_transaction``. With the 64 that a server has by itself, a scan of 32 pages locks a whole
table: 89 % of transactions that scanned 5,000 rows were aborted, and none with 4,096."""

_FORMAT_MARK: Final = "format"  # Stored on the server: never rename.
_SERIALIZABLE_MARK: Final = "serializable"  # Stored on the server: never rename.

DROPPED_FOR_S: Final = 2 * 3600
"""So long is the table of a dropped space kept for the snapshots that may still be reading it."""


def require_version(connection: ServerConnection, shown: str) -> None:
    """Raise ``EngineUnavailableError`` for a server that is too old."""
    row = connection.row("SELECT current_setting('server_version_num')::bigint")
    if row is not None and row[0] < SMALLEST_VERSION and connection.dialect.is_checked_here:
        raise EngineUnavailableError(
            f"The server at {shown} is older than PostgreSQL {SMALLEST_VERSION // 10000}", path=shown
        )


def prepare(connection: ServerConnection, statements: Statements, shown: str, *, create: bool) -> None:
    """Make the database, if it is absent and ``create`` says so, and look whether it is one that we know.

    Raises ``EngineUnavailableError`` where there is none, ``UnsupportedFormatError`` where it is another's.
    """
    for attempt in range(1, ATTEMPTS + 1):
        row = connection.row(statements.is_laid_out, statements.schema)
        has_schema, has_marks = row or (False, False)
        if has_marks:
            break
        if not create:
            raise no_database(statements, shown, "open it without create=False and read_only to make one")
        try:
            _lay_out(connection, statements, has_schema=bool(has_schema))
        except (ConflictError, EngineError):  # another program was quicker, or this one may not
            connection.roll_back()
            if attempt == ATTEMPTS:
                raise
    marks: dict[str, str] = dict(connection.rows(statements.read_marks))
    if marks.get(_FORMAT_MARK) != FORMAT:
        raise UnsupportedFormatError(
            f"The database in schema {statements.schema!r} has a format that this version of MiniDB does not know",
            hint="open it with a newer MiniDB",
            path=shown,
        )


def no_database(statements: Statements, shown: str, hint: str) -> EngineUnavailableError:
    """Return the error of a schema that holds no database."""
    message = f"There is no database in schema {statements.schema!r} of the server"
    return EngineUnavailableError(message, hint=hint, path=shown)


def _lay_out(connection: ServerConnection, statements: Statements, *, has_schema: bool) -> None:
    parts = [*statements.lay_out, *statements.make_space(0), statements.begin_state]
    if not has_schema:
        parts.insert(0, statements.make_schema)
    is_atomic = statements.dialect.has_tables_in_transactions
    connection.run_alone(*(["BEGIN", *parts] if is_atomic else parts))
    last: list[Statement] = [
        (statements.add_space, (CATALOG, 0)),
        (statements.set_mark, (_FORMAT_MARK, FORMAT)),  # by which others know that all is there
    ]
    if is_atomic:
        connection.commit(last)
    else:
        connection.run(last)


def warn_of_settings(connection: ServerConnection, shown: str) -> None:
    """Log what about the server's settings costs speed or safety, and what to set."""
    if not connection.dialect.is_checked_here:
        _log.warning(
            "%s is supported by its documentation only: prove your cluster with minidb conformance",
            connection.dialect.name,
            extra={"location": shown},
        )
    if not connection.dialect.has_predicate_locks:
        return
    row = connection.row(
        "SELECT current_setting('max_pred_locks_per_transaction')::bigint, current_setting('fsync'), "
        "current_setting('full_page_writes')"
    )
    assert row is not None, "a select without a table has one row"
    if row[0] < ENOUGH_PREDICATE_LOCKS:
        _log.warning(
            "the server has max_pred_locks_per_transaction = %d, so that scans conflict with writers without a reason: "
            "set it to 4096 and restart the server",
            row[0],
            extra={"location": shown, "setting": "max_pred_locks_per_transaction"},
        )
    for setting, value in zip(("fsync", "full_page_writes"), row[1:], strict=True):
        if value != "on":
            _log.warning(
                "the server has %s = off, so that a power failure may damage everything: set it to on",
                setting,
                extra={"location": shown, "setting": setting},
            )


def require_serializable(
    connections: Connections, connection: ServerConnection, statements: Statements, shown: str, *, may_be_snapshot: bool
) -> None:
    """Find out whether the server really runs transactions as if one after another, once for each version of it.

    Raises ``InvalidOptionError`` if it does not, unless the URL allows that.
    """
    marks: dict[str, str] = dict(connection.rows(statements.read_marks))
    if may_be_snapshot or connection.is_standby or marks.get(_SERIALIZABLE_MARK) == connection.version:
        return
    other = connections.take()
    try:
        is_serializable = refuses_write_skew(connection, other, statements.probe)
    finally:
        other.roll_back()
        connections.give_back(other)
    if not is_serializable:
        raise InvalidOptionError(
            "The server accepts write skew: its transactions are not serializable",
            hint=f"programs that bear it may add {ISOLATION_PARAMETER}=snapshot to the URL",
            option="path",
            path=shown,
        )
    with suppress(ConflictError):  # with another program that notes the same
        connection.run([(statements.set_mark, (_SERIALIZABLE_MARK, connection.version))])


def refuses_write_skew(one: ServerConnection, two: ServerConnection, probe: Probe) -> bool:
    """Run two transactions of which each reads what the other writes, and tell whether one of them was refused."""
    first, second = uuid.uuid4().bytes, uuid.uuid4().bytes
    one.run([(probe.add, (first, b"0")), (probe.add, (second, b"0"))])
    try:
        one.run_alone(probe.begin)
        two.run_alone(probe.begin)
        one.row(probe.read, first)
        two.row(probe.read, second)
        one.run([(probe.write, (second, b"1"))])
        two.run([(probe.write, (first, b"1"))])
        one.commit([])
        two.commit([])
    except ConflictError:
        return True
    finally:
        one.roll_back()
        two.roll_back()
        one.run([(probe.remove, ([first, second],))])
    return False


def clear_away(connections: Connections, statements: Statements) -> None:
    """Remove old tokens of commits, and the tables of spaces that no snapshot reads, so long ago were they dropped."""
    connection = connections.take()
    try:
        with suppress(ConflictError):  # with another program that does the same
            for (number,) in connection.rows(statements.long_dropped, DROPPED_FOR_S):
                connection.run_alone(statements.drop_space(number))
                connection.run([(statements.forget_dropped, (number,))])
            connection.run([(statements.forget_commits, (oldest_key(),))])
    finally:
        connection.roll_back()
        connections.give_back(connection)
