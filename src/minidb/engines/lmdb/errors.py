"""LMDB's exceptions, translated at the edge of the engine."""

from __future__ import annotations

import errno
import os

import lmdb

from minidb.exceptions import (
    CorruptionError,
    DatabaseClosedError,
    EngineError,
    EngineUnavailableError,
    KeyTooLargeError,
    MiniDBError,
    StorageFullError,
    UnsupportedFormatError,
)

_FULL_BYTES = 64 * 1024
"""A disk with less room than this is full: a commit may need more pages."""

_CLOSED = "closed/deleted/dropped"  # what the binding says of a handle whose environment is gone


def translate(error: lmdb.Error, path: str) -> MiniDBError:
    """Return the error of ours that says what this one of LMDB's means. The caller raises it ``from`` the cause."""
    if isinstance(error, lmdb.MapFullError):
        return full(path)
    code = getattr(error, "code", None)
    if (
        isinstance(error, lmdb.DiskError)
        or code in (errno.ENOSPC, errno.EDQUOT)
        or (code == errno.EIO and is_full(path))
    ):
        return disk_full(path)
    if isinstance(error, lmdb.PanicError):
        return EngineUnavailableError(
            "The disk failed during an earlier commit, and LMDB refuses to go on",
            hint="close the database, in every place of this process that has it open, and open it again",
            path=path,
        )
    if isinstance(error, lmdb.BadValsizeError):
        return KeyTooLargeError("A key is empty or longer than the engine allows", path=path)
    if isinstance(error, lmdb.CorruptedError | lmdb.PageNotFoundError):
        return CorruptionError("The data file is damaged", hint="stop writing and restore a backup", path=path)
    if isinstance(error, lmdb.InvalidError | lmdb.VersionMismatchError):
        return UnsupportedFormatError("The data file is not one that this version can read", path=path)
    if isinstance(error, lmdb.LockError | lmdb.ReadersFullError | lmdb.ReadonlyError | lmdb.MemoryError):
        return EngineUnavailableError(f"The database cannot be used at the moment: {_plain(error)}", path=path)
    if code in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
        return EngineUnavailableError(f"The data file cannot be opened: {_plain(error)}", path=path)
    if _CLOSED in str(error):
        return DatabaseClosedError("The database was closed while this call was running")
    return EngineError(f"The storage engine failed: {_plain(error)}", path=path)


def translate_os(error: OSError, path: str) -> MiniDBError:
    """Return the error of ours that says what a failure to write beside LMDB means."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path)
    return EngineError(f"The disk failed: {error.strerror}", hint="look at the host's log", path=path)


def is_surely_undone(error: lmdb.Error) -> bool:
    """Tell whether a commit failed before the disk was asked for anything that it may have half done.

    LMDB's own refusals have negative codes, and are found before the meta page is written; so is a full disk, which
    leaves the environment usable. After any other error of the operating system nothing is certain: a flush that failed
    may have dropped what it should have written, and must not be tried again.
    """
    code = getattr(error, "code", None)
    is_panic = isinstance(error, lmdb.PanicError)
    return code is not None and (code < 0 or code in (errno.ENOSPC, errno.EDQUOT)) and not is_panic


def is_full(path: str) -> bool:
    """Tell whether the disk has no room: the last write before it was full is cut short, which LMDB calls EIO."""
    try:
        status = os.statvfs(path)
    except OSError:
        return False
    return status.f_bavail * status.f_frsize < _FULL_BYTES


def disk_full(path: str) -> StorageFullError:
    """Return the error of a database whose disk has no room left."""
    return StorageFullError("The disk is full", hint="delete rows, or free some space, and run it again", path=path)


def full(path: str) -> StorageFullError:
    """Return the error of a database that has no room left below its limit."""
    return StorageFullError(
        "The database has reached its greatest size",
        hint="delete rows, or open it with a larger max_size_bytes",
        path=path,
    )


def _plain(error: lmdb.Error) -> str:
    """LMDB's own words, which hold a path and a reason but never data."""
    return str(error).strip().rstrip(".")
