"""psycopg's exceptions, translated at the edge of the engine by the server's own codes.

What is raised here has no cause: the frames behind psycopg's error hold passwords and values of rows, and its details
quote keys. The code and, where nothing better is known, the server's sentence are kept as facts.
"""

from __future__ import annotations

from typing import Final

import psycopg

from minidb.exceptions import (
    CommitUnknownError,
    ConflictError,
    EngineError,
    EngineUnavailableError,
    KeyTooLargeError,
    MiniDBError,
    ReadOnlyError,
    StorageFullError,
    WriteTimeoutError,
)

UNDEFINED_TABLE: Final = "42P01"

CONFLICTS: Final = {
    "40001",  # serialization failure
    "40P01",  # deadlock
    "23505",  # two transactions made the same space, which the catalog's own checks exclude in one
    UNDEFINED_TABLE,  # one that another transaction has dropped, of which this one's snapshot still knows
    "25P02",  # a statement after the one that failed
}

FULL: Final = {"53100"}
LOST: Final = {"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"}
"""The server has ended the session, or is about to."""


def is_lost(error: psycopg.Error) -> bool:
    """Tell whether the connection is gone, and with it the answer."""
    code = error.sqlstate
    if code is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return code.startswith("08") or code in LOST


def translate(error: psycopg.Error, shown: str, *, timeout_s: float | None = None) -> MiniDBError:
    """Return the error of ours that says what this one means, for a transaction that was surely not committed."""
    code = error.sqlstate
    if code in CONFLICTS:
        return ConflictError("The transaction met another one and was not committed", sqlstate=code)
    if code == "55P03":
        return WriteTimeoutError(
            "Another transaction held what this one wants to write",
            hint="run it again, or open with a larger write_timeout_s",
            timeout_s=timeout_s,
            pid=None,
            thread=None,
            age_s=None,
        )
    if code in FULL:
        return StorageFullError("The disk of the server is full", path=shown, sqlstate=code)
    if code == "25006":
        return ReadOnlyError(
            "The server takes no writes: it is a standby, or set to read only",
            hint="add target_session_attrs=read-write and all hosts to the URL",
        )
    if code == "54000":
        return KeyTooLargeError("A key is longer than the server allows", sqlstate=code)
    if code in ("25P03", "25P04"):
        return EngineUnavailableError(
            "The server has ended a transaction that was open for too long", hint="end transactions sooner", path=shown
        )
    if is_lost(error):
        return EngineUnavailableError(f"The connection to {shown} was lost", path=shown, sqlstate=code)
    if code is not None and code.startswith("53"):
        return EngineUnavailableError(f"The server at {shown} has no room for this: {_sentence(error)}", path=shown)
    return EngineError(f"The server failed: {_sentence(error)}", path=shown, sqlstate=code)


def translate_commit(error: psycopg.Error, shown: str, *, timeout_s: float | None = None) -> MiniDBError:
    """Return the error for a transaction whose commit had been sent."""
    if is_lost(error) or error.sqlstate == "40003":
        return CommitUnknownError(
            "The connection was lost during the commit: the transaction may have been committed, or not",
            hint="look whether what it wrote is there before it is run again, or begin such with commit_token=True",
            path=shown,
            sqlstate=error.sqlstate,
        )
    return translate(error, shown, timeout_s=timeout_s)


def refusal(error: psycopg.Error, shown: str) -> EngineUnavailableError:
    """Return the error of a connection that could not be opened. libpq's own text may quote the URL, so none of it."""
    code = error.sqlstate
    if code in ("28P01", "28000"):
        hint = "look at the user and the password, and at the server's pg_hba.conf"
    elif code == "3D000":
        hint = "there is no database of this name on the server: create it with createdb"
    elif code == "53300":
        hint = "the server has as many connections as it allows"
    elif "certificate" in str(error):
        hint = "its certificate is not what sslmode and sslrootcert of the URL ask for: look at host name and authority"
    else:
        hint = "look whether the server runs and can be reached, and at host, port and TLS parameters of the URL"
    return EngineUnavailableError(f"The server at {shown} cannot be connected to", hint=hint, path=shown, sqlstate=code)


def _sentence(error: psycopg.Error) -> str:
    """The server's one sentence. What it says of single keys and values stands in its detail, which is left out."""
    return error.diag.message_primary or f"psycopg raised {type(error).__name__}"
