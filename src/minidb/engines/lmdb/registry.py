"""The open environments of this process: a data file is opened once, however many ``MiniDB`` objects use it.

LMDB's locks belong to the process and the file, so a second open would share and then drop the first one's. The
registry knows a file by device and inode, counts who uses it, and closes it after the last. In a forked child
every file is opened anew when it is next used, since nothing of LMDB's may be used across a fork.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Final

from minidb.engines.lmdb import folder as folders
from minidb.engines.lmdb.environment import Environment, can_write, make_data_file
from minidb.engines.lmdb.file_lock import FolderLock
from minidb.engines.lmdb.open_lock import OpenLock
from minidb.exceptions import EngineUnavailableError, InvalidOptionError, WriteTimeoutError
from minidb.options import Options

_FileIdentity = tuple[int, int]


_PAUSE_S: Final = 0.005


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
        if not open_lock.try_share() or not folders.has_database(path):
            return None
        identity = _identify(path)
        entry = _entries.get(identity)
        if entry is None:
            entry = _entries[identity] = _Entry(_open(path, options), open_lock)
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


def release(environment: Environment) -> None:
    """Give an environment back; the last one to do so closes the file."""
    with _lock:
        for identity, entry in _entries.items():
            if entry.environment is environment:
                entry.users -= 1
                if entry.users == 0:
                    del _entries[identity]
                    environment.close()
                    entry.open_lock.close()
                return


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
    status = (path / folders.DATA_FILE).stat()
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
                folders.build(path, make_data_file)
        finally:
            hold.release()
    finally:
        lock.close()


def _open(path: Path, options: Options) -> Environment:
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
