"""Tokens of commits: a transaction that wants one leaves it behind when it commits, and whoever has it may ask later.

Where the answer of a commit is lost, asking *settles* the matter: it leaves the token itself, unless the transaction
has. The server lets two insert one key only one after the other, so asking waits for a commit that still runs, and one
that comes later fails on the key.

A token begins with its day, so that old ones are a range of keys and can be removed.
"""

from __future__ import annotations

import random
import time
import uuid
from typing import Final

from minidb.engines.postgres.connections import Connections, ServerConnection
from minidb.engines.postgres.statements import Statements
from minidb.exceptions import CommitUnknownError, EngineUnavailableError, UsageError
from minidb.log import Logger

_log = Logger("minidb.engine")

DAY_S: Final = 86_400
DAY_BYTES: Final = 4
TOKEN_BYTES: Final = DAY_BYTES + 16

ASKED_FOR_DAYS: Final = 3
"""So old may a token be that is asked for."""

KEPT_FOR_DAYS: Final = 10
"""So old does it become on the server. The days between are for clocks that are wrong."""

COMMITTED: Final = b"\x01"  # Stored on the server: never change.
NEVER: Final = b"\x00"  # Stored on the server: never change.

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0


class CommitTokens:
    """The tokens of one database. Safe from any thread."""

    def __init__(self, connections: Connections, statements: Statements, *, timeout_s: float) -> None:
        self._connections = connections
        self._statements = statements
        self._timeout_s = timeout_s

    def new(self) -> str:
        """Return a token that nobody has."""
        return (_today().to_bytes(DAY_BYTES, "big") + uuid.uuid4().bytes).hex()

    def was_committed(self, token: str) -> bool:
        """Tell whether the transaction of a token was committed. If not, it never will be.

        Waits for a server that answers, as after a failover, at most as long as for a lock.
        """
        key = _key_of(token)
        end = time.monotonic() + self._timeout_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return self._settle(key)
            except (EngineUnavailableError, CommitUnknownError) as error:
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                if time.monotonic() + pause_s > end:
                    if isinstance(error, EngineUnavailableError):
                        raise
                    raise EngineUnavailableError(
                        "The server could not be asked whether a transaction was committed",
                        hint="ask again",
                        path=error.path,
                    ) from None
                _log.info("waiting for a server that tells of a commit", extra={"pause_ms": round(pause_s * 1000)})
                time.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311  # no secret

    def _settle(self, key: bytes) -> bool:
        connection = self._connections.open()  # a new one: those that are idle may be lost, too, or lead to a standby
        try:
            # As where ids are allotted: what writes may conflict there.
            return connection.repeat(lambda: self._settle_once(connection, key))
        finally:
            self._connections.give_back(connection)

    def _settle_once(self, connection: ServerConnection, key: bytes) -> bool:
        # What is found is written again, so that this waits for every standby that the commit itself waited for.
        statements = self._statements
        rows = connection.commit([(statements.begin_read_committed, ()), (statements.settle_commit, (key, NEVER))])
        ((value,),) = rows[1]
        return bool(value == COMMITTED)


def oldest_key() -> bytes:
    """Return the key before which all tokens are too old to be kept."""
    return max(0, _today() - KEPT_FOR_DAYS).to_bytes(DAY_BYTES, "big")


def key_of_new(token: str) -> bytes:
    """Return the key of a token that was made by ``new``."""
    return bytes.fromhex(token)


def _key_of(token: str) -> bytes:
    try:
        key = bytes.fromhex(token)
    except (TypeError, ValueError):
        key = b""
    if len(key) != TOKEN_BYTES:
        raise UsageError("This is no token of a commit", hint="pass the token of a CommitUnknownError")
    if int.from_bytes(key[:DAY_BYTES], "big") < _today() - ASKED_FOR_DAYS:
        raise UsageError(f"The token is older than {ASKED_FOR_DAYS} days, and nobody knows any more", token=token)
    return key


def _today() -> int:
    return int(time.time() // DAY_S)
