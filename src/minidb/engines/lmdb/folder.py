"""The folder of a database: what may be opened, and how one comes into being.

    mydb/               0700, when MiniDB makes it
      data.mdb          0600  LMDB's one file of data
      lock.mdb          0600  LMDB's table of readers. Never open it by other means: closing it would drop LMDB's locks
      minidb.lock       0600  taken by the process that writes at the moment, and while the database is being made
      gate.lock         0600  taken by the process that waits for it
      apply.lock        0600  taken while bytes are handed to LMDB, the short last part of a write transaction
      checkpoint.lock   0600  taken while a checkpoint is made (``commit_log``)
      minidb.steady     0600  which snapshot is whole on the disk, and where the log goes on from it
      minidb.log.0/.1   0600  the log: what was committed since
      open.lock         0600  shared by all who have the database open; held alone while its data file is replaced
      minidb.reserve    0600  half a mebibyte of nothing, lent to what deletes rows when the disk is full (``reserve``)
      .new/             there only while the database is being made

A database is made aside, flushed, and moved to its name as the last step, so that a power failure leaves either no
database or a whole one.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from minidb.exceptions import (
    EngineError,
    EngineUnavailableError,
    InvalidOptionError,
    StorageFullError,
    UnsupportedFormatError,
)

DATA_FILE: Final = "data.mdb"
READERS_FILE: Final = "lock.mdb"
WRITE_LOCK_FILE: Final = "minidb.lock"
GATE_LOCK_FILE: Final = "gate.lock"
APPLY_LOCK_FILE: Final = "apply.lock"
CHECKPOINT_LOCK_FILE: Final = "checkpoint.lock"
OPEN_LOCK_FILE: Final = "open.lock"
RESERVE_FILE: Final = "minidb.reserve"
NEW_FOLDER: Final = ".new"
_SMALLEST_DATA_FILE_BYTES: Final = 2 * 4096  # LMDB's two meta pages

_MAGIC: Final = (0xBEEFC0DE).to_bytes(4, sys.byteorder)  # of LMDB's meta page, behind the page's head
_MAGIC_WITHIN_BYTES: Final = 64

_MOUNT_TABLE: Final = Path("/proc/self/mountinfo")
_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "coda", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "gfs2", "lustre", "ncpfs"}
    | {"nfs", "nfs4", "ocfs2", "smb3", "smbfs", "virtiofs", "vboxsf"}
)
_NETWORK_MOUNT: Final = re.compile(
    rb" - (?:%s) " % b"|".join(re.escape(kind.encode()) for kind in _NETWORK_FILE_SYSTEMS)
)


def resolve(location: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a database's folder, or raise ``InvalidOptionError``."""
    text = os.fspath(location)
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidOptionError("The path of a database must be text, not empty, without NUL", option="path")
    path = Path(text).expanduser().absolute()
    if path.exists() and not path.is_dir():  # in this order: another process may be making it
        raise EngineUnavailableError(
            f"A database is a folder, and this is a file: {path}", hint="name a folder, or one that is not there yet"
        )
    return path


def has_database(path: Path) -> bool:
    """Tell whether a database stands in the folder. Raises where its file is not one that LMDB may be given."""
    data_file = f"{path}/{DATA_FILE}"  # a string: to make a Path takes as long as to look at the file
    try:
        status = os.lstat(data_file)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise EngineUnavailableError(f"The folder cannot be read: {path}: {error.strerror}", path=str(path)) from error
    if not stat.S_ISREG(status.st_mode):
        raise EngineUnavailableError(
            f"The data file is a link or no regular file: {data_file}", hint="open the folder it really lies in"
        )
    if status.st_size < _SMALLEST_DATA_FILE_BYTES:
        raise UnsupportedFormatError(
            f"The data file is cut short: {data_file}", hint="restore a backup", path=str(path)
        )
    descriptor = os.open(data_file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _MAGIC not in os.read(descriptor, _MAGIC_WITHIN_BYTES):  # before LMDB leaves a lock file beside a stranger's
            raise UnsupportedFormatError(f"The data file is not LMDB's: {data_file}", path=str(path))
    finally:
        os.close(descriptor)
    return True


def make_folder(path: Path) -> None:
    """Make the folder, and its parents, where it is absent. An existing folder keeps its mode.

    The name of each is flushed: a database would be lost in a power failure with any of the folders above it.
    """
    try:
        for folder in reversed([folder for folder in (path, *path.parents) if not folder.exists()]):
            try:
                folder.mkdir(mode=0o700 if folder == path else 0o777)
            except FileExistsError:  # another process was quicker
                continue
            if folder == path:
                folder.chmod(0o700)  # whatever the umask
            flush_folder(folder.parent)
    except OSError as error:
        raise EngineUnavailableError(f"The folder cannot be made: {path}: {error.strerror}", path=str(path)) from error


def build(path: Path, make_data_file: Callable[[Path], None]) -> None:
    """Bring a database into being. REQUIRES the lock of ``minidb.lock``.

    ``make_data_file`` is given an empty folder and leaves a flushed and closed ``data.mdb`` in it.
    """
    try:
        aside = make_aside(path)
        make_data_file(aside)
    except OSError as error:
        raise _cannot_make(path, error) from error
    move_into_place(aside, path)


def make_aside(path: Path) -> Path:
    """Make the empty folder in which a database is built. REQUIRES the lock of ``minidb.lock``."""
    import shutil  # here, as it is for the one time that a database is made: 1.5 ms

    aside = path / NEW_FOLDER
    try:
        if aside.exists():  # left by a process that was killed while it held the lock that we hold now
            shutil.rmtree(aside)
        aside.mkdir(mode=0o700)
        aside.chmod(0o700)
    except OSError as error:
        raise _cannot_make(path, error) from error
    return aside


def move_into_place(aside: Path, path: Path) -> None:
    """Give a flushed and closed data file its name, over what has it, and remove the folder that it was built in."""
    import shutil

    try:
        (aside / DATA_FILE).chmod(0o600)
        flush_folder(aside)
        (aside / DATA_FILE).rename(path / DATA_FILE)
        flush_folder(path)
        flush_folder(path.parent)
        shutil.rmtree(aside)
    except OSError as error:
        raise _cannot_make(path, error) from error


def remove_made(path: Path) -> None:
    """Remove a folder in which no database has come into being, if nothing but our locks is in it."""
    try:
        for name in (WRITE_LOCK_FILE, OPEN_LOCK_FILE):
            (path / name).unlink(missing_ok=True)
        path.rmdir()
    except OSError:  # somebody else has begun to use it
        return


def _cannot_make(path: Path, error: OSError) -> EngineError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError("The disk is full", hint="free some space and run it again", path=str(path))
    return EngineUnavailableError(f"The database cannot be made: {path}: {error.strerror}", path=str(path))


def make_private(file: Path | str | int) -> None:
    """Give a file of ours, by its path or its descriptor, the mode 0600 where the umask has made it less."""
    if os.stat(file).st_mode & 0o600 != 0o600:
        os.chmod(file, 0o600)


def write_whole(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of it, also where the system takes it in pieces. Raises ``OSError``."""
    written = os.pwrite(descriptor, data, offset)
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], offset + written)


def flush_folder(path: Path) -> None:
    """Make the names in a folder survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_network_file_system(path: Path, mount_table: Path = _MOUNT_TABLE) -> None:
    """Raise ``EngineUnavailableError`` where the folder lies on a file system whose locks cannot be relied on."""
    mounts = _mounts(mount_table)
    if not _NETWORK_MOUNT.search(mounts):
        return  # nearly always, and in a third of the time
    kind = _file_system(path, mounts)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise EngineUnavailableError(
            f"The folder lies on a network file system ({kind}), whose locks cannot be relied on: {path}",
            hint="use a local disk, or pass allow_network_file_system=True and open it on one machine only",
            path=str(path),
        )


def _mounts(mount_table: Path) -> bytes:
    """Return the table of mounts; nothing where the host does not tell."""
    try:
        return mount_table.read_bytes()
    except OSError:
        return b""


def _file_system(path: Path, mounts: bytes) -> str | None:
    """Return the name of the file system that holds a path, or None where the host does not tell."""
    found: tuple[int, str] | None = None
    real = os.path.realpath(path)
    for line in mounts.decode("utf-8", "surrogateescape").splitlines():
        # "36 35 98:0 /root /mount/point options … - type source superoptions": see proc_pid_mountinfo(5)
        left, _, right = line.partition(" - ")
        mount_point = left.split(" ")[4].encode("latin-1", "surrogateescape").decode("unicode_escape")
        is_above = real == mount_point or real.startswith(mount_point.rstrip("/") + "/")
        if is_above and (found is None or len(mount_point) >= found[0]):  # of two equal ones the later mount is on top
            found = (len(mount_point), right.split(" ")[0])
    return None if found is None else found[1]
