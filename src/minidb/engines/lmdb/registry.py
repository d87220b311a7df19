"""The open environments of this process: a data file is opened once, however many ``MiniDB`` objects use it.

LMDB's locks belong to the process and the file, so a second open would share and then drop the first one's. The
registry knows a file by device and inode, counts who uses it, and closes it after the last. In a forked child
every file is opened anew when it is next used, since nothing of LMDB's may be used across a fork.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from minidb.engines.lmdb import data_file
from minidb.engines.lmdb import folder as folders
from minidb.engines.lmdb.commit_log import recovery
from minidb.engines.lmdb.commit_log.commits import LOCK_WAIT_S
from minidb.engines.lmdb.environment import Environment, can_write
from minidb.engines.lmdb.errors import translate_os
from minidb.engines.lmdb.file_lock import FolderLock
from minidb.engines.lmdb.open_lock import OpenLock
from minidb.exceptions import (
    CorruptionError,
    EngineUnavailableError,
    InvalidOptionError,
    UnsupportedFormatError,
    WriteTimeoutError,
)
from minidb.log import Logger
from minidb.options import Options

_FileIdentity = tuple[int, int]

_log = Logger("minidb")


_PAUSE_S: Final = 0.002

SMALLEST_LOGGED_BYTES: Final = 64 * 1024 * 1024
"""A database with a smaller limit has no commit log: the steady snapshot would keep too much of its room."""


class _Entry:
    def __init__(self, environment: Environment, open_lock: OpenLock) -> None:
        self.environment = environment
        self.open_lock = open_lock
        self.users = 0


# Guards _entries and is held while a file is opened, made or closed. Reentrant, since garbage collection may come in
# anywhere, and closing a database that was waited for is one of the things it may end up doing.
_lock = threading.RLock()
_entries: dict[_FileIdentity, _Entry] = {}


def acquire(location: str | os.PathLike[str], options: Options) -> Environment:
    """Return the open environment of a folder, opening or creating it. ``release`` must follow."""
    path = folders.resolve(location)
    deadline = time.monotonic() + options.write_timeout_s
    while True:
        try:
            with _lock:
                environment = _try_acquire(path, options)
        except WriteTimeoutError:  # somebody else is making or replacing the database
            if time.monotonic() > deadline:
                raise
            environment = None
        if environment is not None:
            return environment
        if time.monotonic() > deadline:
            raise EngineUnavailableError(f"The database is being replaced: {path}", path=str(path))
        time.sleep(_PAUSE_S)  # not under the lock, which whoever is waited for may need


def _try_acquire(path: Path, options: Options) -> Environment | None:
    """Return the open environment of a folder; None, or ``WriteTimeoutError``, where it is to be tried again."""
    if not folders.has_database(path):
        _create(path, options)
    open_lock = OpenLock(path)
    entry: _Entry | None = None
    try:
        is_alone = _is_to_be_settled(path, options) and open_lock.try_alone()
        if is_alone:
            _settle(path, options)
        if not open_lock.try_share() or not folders.has_database(path):
            return None
        identity = _identify(path)
        entry = _entries.get(identity)
        if entry is None:
            if not is_alone and recovery.was_cut_short(path):  # it is to be begun again, by one who is alone
                return None
            if not options.read_only:
                _remove_leftovers(path)
            environment = _open(path, options, ends_log=is_alone and not options.commit_log)
            entry = _entries[identity] = _Entry(environment, open_lock)
        elif options.durability != entry.environment.durability and not options.read_only:
            raise InvalidOptionError(
                f"This process has the database open with durability={entry.environment.durability!r}",
                hint="open it with the same durability, or close the other one first",
                option="durability",
            )
        entry.users += 1
        return entry.environment
    finally:
        if entry is None or entry.open_lock is not open_lock:
            open_lock.close()


def _is_to_be_settled(path: Path, options: Options) -> bool:
    """Tell whether something is to be done first, if nobody else has the database open."""
    if not can_write(path):
        if recovery.is_needed(path):
            raise EngineUnavailableError(
                f"The database was not closed, and its folder cannot be written: {path}",
                hint="open it once where it can be written",
                path=str(path),
            )
        return False
    if _is_open_here(path):
        return False
    return recovery.has_log(path) or not (options.commit_log or options.read_only)


def _is_open_here(path: Path) -> bool:
    try:
        return bool(_entries) and _identify(path) in _entries
    except FileNotFoundError:
        return False


def _settle(path: Path, options: Options) -> None:
    """Recover the database. REQUIRES that nobody else has it open."""
    if folders.has_database(path):
        if not recovery.is_settled(path):
            _recover(path)
        if not (options.commit_log or options.read_only):
            _forget(path)


def release(environment: Environment) -> None:
    """Give an environment back; the last one to do so closes the file."""
    environment.rest()  # not under the lock: it waits for a thread in which anything may be collected as garbage
    with _lock:
        for identity, entry in _entries.items():
            if entry.environment is environment:
                entry.users -= 1
                if entry.users == 0:
                    del _entries[identity]
                    _close(environment, entry.open_lock)
                return


def _close(environment: Environment, open_lock: OpenLock) -> None:
    # One after the other: of two that close at the same time each would find the other one there, and leave the log to
    # be replayed.
    try:
        with _without_recovery(environment.folder) as is_sure:
            try:
                environment.close(is_last=is_sure and open_lock.try_alone())
            finally:
                open_lock.close()
    except WriteTimeoutError:  # somebody stands still in the middle of a checkpoint
        environment.close()
        open_lock.close()


def _recover(path: Path) -> None:
    """Recover the database. REQUIRES the open lock alone."""
    with _without_recovery(path):
        data_file.recover(path)


def _forget(path: Path) -> None:
    try:
        recovery.forget(path)
    except OSError as error:
        raise translate_os(error, str(path)) from error


@contextmanager
def _without_recovery(path: Path) -> Iterator[bool]:
    """Keep others from recovering the database meanwhile; False if that cannot be, as in a folder that was removed."""
    try:
        lock = FolderLock(path, folders.CHECKPOINT_LOCK_FILE)
    except EngineUnavailableError:
        yield False
        return
    try:
        hold = lock.acquire(LOCK_WAIT_S)
        try:
            yield True
        finally:
            hold.release()
    finally:
        lock.close()


def close_log(path: Path) -> None:
    """Let the data file of a folder hold all that was committed, whether it is open here or was not closed.

    REQUIRES that it is open nowhere else, that nothing runs on it, and that it is not written before it is opened anew.
    """
    with _lock:
        open_here = [entry.environment for entry in _entries.values() if entry.environment.folder == path]
    if open_here:
        open_here[0].close_log()
        return
    try:
        if folders.has_database(path):
            _recover(path)
            return
    except (CorruptionError, EngineUnavailableError, UnsupportedFormatError) as error:
        _log.warning("The database that is replaced could not be recovered: %s", error, extra={"path": str(path)})
    _forget(path)


def lock_of_only_user(path: Path) -> OpenLock:
    """Return the open lock of a folder that this process has open.

    Raises ``EngineUnavailableError`` where it has it open more than once.
    """
    with _lock:
        entry = _entries[_identify(path)]
        if entry.users > 1:
            raise EngineUnavailableError(
                f"The database is open {entry.users} times in this process: {path}",
                hint="close all other MiniDB objects of it first",
                path=str(path),
                pids=(os.getpid(),),
            )
        return entry.open_lock


def _identify(path: Path) -> _FileIdentity:
    status = os.stat(f"{path}/{folders.DATA_FILE}")
    return status.st_dev, status.st_ino


def _create(path: Path, options: Options) -> None:
    if options.read_only or not options.create:
        raise EngineUnavailableError(
            f"There is no database at {path}", hint="open it without read_only or create=False to make one"
        )
    folders.make_folder(path)
    if not options.allow_network_file_system:
        folders.refuse_network_file_system(path)
    lock = FolderLock(path, folders.WRITE_LOCK_FILE)
    try:
        hold = lock.acquire(0)
        try:
            if not folders.has_database(path):  # another process may have made it while this one waited
                _forget(path)  # of a data file that somebody removed
                folders.build(path, partial(data_file.make, has_log=options.commit_log))
        finally:
            hold.release()
    finally:
        lock.close()


def _remove_leftovers(path: Path) -> None:
    """Remove what a process has left that was killed while it built a database aside.

    Whoever builds one holds the write lock until it is in its place.
    """
    if not os.path.isdir(f"{path}/{folders.NEW_FOLDER}"):
        return
    import shutil

    lock = FolderLock(path, folders.WRITE_LOCK_FILE)
    try:
        hold = lock.acquire(0)
    except WriteTimeoutError:
        return
    else:
        shutil.rmtree(path / folders.NEW_FOLDER, ignore_errors=True)  # of no use; and not of a link
        hold.release()
    finally:
        lock.close()


def _open(path: Path, options: Options, *, ends_log: bool) -> Environment:
    if not options.allow_network_file_system:
        folders.refuse_network_file_system(path)
    is_writable = can_write(path)
    if not is_writable and not options.read_only:
        raise EngineUnavailableError(
            f"The folder cannot be written: {path}", hint="check its owner and mode, or pass read_only=True"
        )
    return Environment(
        path,
        durability=options.durability,
        has_log=options.commit_log and (options.max_size_bytes or SMALLEST_LOGGED_BYTES) >= SMALLEST_LOGGED_BYTES,
        ends_log=ends_log,
        map_bytes=options.max_size_bytes,
        is_writable=is_writable,
        wait_s=options.write_timeout_s,
    )


def _abandon_all_in_child() -> None:
    global _lock  # noqa: PLW0603  # the parent may have held it when it forked
    _lock = threading.RLock()
    for entry in _entries.values():
        entry.environment.abandon_in_child()
        entry.open_lock.renew_in_child()


os.register_at_fork(after_in_child=_abandon_all_in_child)
