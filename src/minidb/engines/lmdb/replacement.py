"""A database that is built aside and takes the place of another one, or of none, as its last step.

It is built in ``.new/`` of the folder that it is for, flushed, and moved to its name. So at each moment, also when the
power fails, there is the old database or the whole new one. Nobody else may have the folder open meanwhile.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from minidb.engines.lmdb import folder as folders
from minidb.engines.lmdb import registry
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.lmdb.file_lock import FolderLock
from minidb.engines.lmdb.open_lock import OpenLock
from minidb.engines.write_lock import Hold
from minidb.exceptions import EngineUnavailableError, StorageFullError
from minidb.options import Options


class LmdbReplacement:
    """A ``Replacement`` in a folder."""

    engine: LmdbEngine

    def __init__(
        self, location: str | os.PathLike[str], options: Options, *, overwrite: bool, is_open_here: bool
    ) -> None:
        """Begin; what this raises has left nothing behind.

        ``is_open_here``: the caller has the database open, once, and lets nothing run on it meanwhile.
        """
        self._path = folders.resolve(location)
        self._has_made_folder = not self._path.exists()
        self._locks: list[FolderLock | OpenLock] = []
        self._hold: Hold | None = None
        self._shared_lock: OpenLock | None = None
        self._is_open = False
        folders.make_folder(self._path)
        try:
            if not options.allow_network_file_system:
                folders.refuse_network_file_system(self._path)
            self._begin(options, overwrite=overwrite, is_open_here=is_open_here)
        except BaseException:
            self.close()
            raise

    def _begin(self, options: Options, *, overwrite: bool, is_open_here: bool) -> None:
        write_lock = FolderLock(self._path, folders.WRITE_LOCK_FILE)
        self._locks.append(write_lock)
        self._hold = write_lock.acquire(options.write_timeout_s)
        self._take_open_lock(is_open_here=is_open_here)
        if not overwrite and os.path.lexists(self._path / folders.DATA_FILE):
            raise EngineUnavailableError(
                f"There is already a database at {self._path}",
                hint="name another folder, or pass overwrite=True",
                path=str(self._path),
            )
        self._aside = folders.make_aside(self._path)
        # Nothing is acknowledged before the end, and then all is flushed at once.
        self.engine = LmdbEngine(
            self._aside,
            Options(
                durability="none",
                commit_log=options.commit_log,
                max_size_bytes=options.max_size_bytes,
                allow_network_file_system=True,
            ),
        )
        self._is_open = True

    def _take_open_lock(self, *, is_open_here: bool) -> None:
        if is_open_here:
            lock = registry.lock_of_only_user(self._path)
            self._shared_lock = lock
        else:
            lock = OpenLock(self._path)
            self._locks.append(lock)
        if not lock.try_alone():
            raise in_use(self._path, lock)

    def require_room(self, size_bytes: int) -> None:
        """Raise ``StorageFullError`` where the disk has not so much room for the new database."""
        free_bytes = shutil.disk_usage(self._path).free
        if free_bytes < size_bytes:
            raise StorageFullError(
                f"The disk has {free_bytes} bytes free, and {size_bytes} are needed: {self._path}",
                hint="free some space and run it again",
                path=str(self._path),
            )

    def finish(self) -> None:
        """Put the new database in its place. The old one is gone then."""
        self.engine.sync()
        self.engine.close()
        self._is_open = False
        registry.close_log(self._path)  # or the log of the old one would be replayed over the new one
        folders.move_into_place(self._aside, self._path)
        self._has_made_folder = False

    def close(self) -> None:
        """Let go of the folder. Without ``finish``, nothing of the new database is left."""
        if self._is_open:
            self._is_open = False
            self.engine.close()
        if self._hold is not None:  # only then is what stands aside ours
            shutil.rmtree(self._path / folders.NEW_FOLDER, ignore_errors=True)
            if self._has_made_folder:
                folders.remove_made(self._path)
            if self._shared_lock is not None:
                self._shared_lock.share_again()
            self._hold.release()
            self._hold = None
        for lock in self._locks:
            lock.close()
        self._locks.clear()


def in_use(path: Path, lock: OpenLock) -> EngineUnavailableError:
    """Return the error for a folder that somebody has open, saying who."""
    pids = lock.holders()
    others = [pid for pid in pids if pid != os.getpid()]
    who = "by this process" if pids else "elsewhere"
    if others:
        who = f"by process {', '.join(map(str, others))}"
    return EngineUnavailableError(
        f"The database is open {who}: {path}",
        hint="close it everywhere else first",
        path=str(path),
        pids=tuple(pids),
    )
