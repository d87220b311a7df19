"""The open environments of this process: a data file is opened once, however many ``MiniDB`` objects use it.

LMDB's locks belong to the process and the file, so a second open would share and then drop the first one's. The
registry knows a file by device and inode, counts who uses it, and closes it after the last. In a forked child
every file is opened anew when it is next used, since nothing of LMDB's may be used across a fork.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from minidb.engines.lmdb import folder as folders
from minidb.engines.lmdb.environment import Environment, can_write, make_data_file
from minidb.engines.lmdb.file_lock import FolderLock
from minidb.exceptions import EngineUnavailableError, InvalidOptionError
from minidb.options import Options

_FileIdentity = tuple[int, int]


class _Entry:
    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.users = 0


# Guards _entries and is held while a file is opened, made or closed. Reentrant, since garbage collection may come in
# anywhere, and closing a database that was waited for is one of the things it may end up doing.
_lock = threading.RLock()
_entries: dict[_FileIdentity, _Entry] = {}


def acquire(location: str | os.PathLike[str], options: Options) -> Environment:
    """Return the open environment of a folder, opening or creating it. ``release`` must follow."""
    path = folders.resolve(location)
    with _lock:
        if not folders.has_database(path):
            _create(path, options)
        identity = _identify(path)
        entry = _entries.get(identity)
        if entry is None:
            entry = _entries[identity] = _Entry(_open(path, options))
        elif options.durability != entry.environment.durability and not options.read_only:
            raise InvalidOptionError(
                f"This process has the database open with durability={entry.environment.durability!r}",
                hint="open it with the same durability, or close the other one first",
                option="durability",
            )
        entry.users += 1
        return entry.environment


def release(environment: Environment) -> None:
    """Give an environment back; the last one to do so closes the file."""
    with _lock:
        for identity, entry in _entries.items():
            if entry.environment is environment:
                entry.users -= 1
                if entry.users == 0:
                    del _entries[identity]
                    environment.close()
                return


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
        hold = lock.acquire(options.write_timeout_s)
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


os.register_at_fork(after_in_child=_abandon_all_in_child)
