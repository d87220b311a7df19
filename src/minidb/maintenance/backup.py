"""Backup: everything that is committed, in one file, while readers and writers go on.

The file is written beside its name, flushed, read again and compared, and only then given its name: whatever fails
before leaves what was there. In a folder of backups each gets a number, one above the highest, so that their order is
that of their making also when a clock was set back.
"""

from __future__ import annotations

import datetime
import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from minidb.engines.port import ReadTransaction
from minidb.exceptions import BackupError, InvalidOptionError
from minidb.maintenance.backup_format import Manifest, Writer, is_kept, is_whole
from minidb.maintenance.compression import SUFFIXES, Compression, compressing, decompressing, require_known
from minidb.maintenance.progress import Progress
from minidb.maintenance.streams import Target, Write, as_path, flush, is_path, writer_of
from minidb.maintenance.whole_file import WholeFile, cannot_write, flush_folder
from minidb.tables import catalog as catalogs
from minidb.version import __version__

SUFFIX: Final = ".minidb"


def backup(
    snapshot: ReadTransaction,
    target: Target,
    progress: Progress | None = None,
    *,
    engine: str,
    name: str,
    compression: Compression | None = None,
    keep: int | None = None,
) -> Manifest:
    """Write a backup of a snapshot. ``progress`` counts the keys of all spaces.

    ``target`` is a path, a binary file object, or a folder, in which the backup gets a name that begins with ``name``;
    ``keep`` is how many of that name stay there, the newest. Raises ``BackupError``.
    """
    require_known(compression)
    _require_keep(keep, target)
    manifest = _describe(snapshot, engine)
    if not is_path(target):
        try:
            _write_all(snapshot, writer_of(target, may_be_text=False), manifest, compression, progress)
            flush(target)
        except OSError as error:
            raise cannot_write(None, error) from error
        return manifest
    path = as_path(target)
    try:
        if keep is not None and not path.is_dir():
            path.mkdir(mode=0o700, exist_ok=True)
            flush_folder(path.parent)  # or the backups would be lost in a power failure with their folder
        if not path.is_dir():
            with WholeFile(path) as file:
                _write_checked(snapshot, file, manifest, compression, progress)
                file.finish()
            manifest.path = str(path)
        else:
            folder = _Folder(path, name, SUFFIXES[compression])
            with WholeFile(folder.next_path(manifest)) as file:
                _write_checked(snapshot, file, manifest, compression, progress)
                manifest.path = str(folder.take_in(file, manifest))
            if keep is not None:
                folder.keep(keep)
    except OSError as error:
        raise cannot_write(path, error) from error
    return manifest


def _require_keep(keep: object, target: Target) -> None:
    if keep is None:
        return
    if not isinstance(keep, int) or isinstance(keep, bool) or keep < 1:
        raise InvalidOptionError("The option keep must be an integer of at least 1", option="keep")
    if not is_path(target) or as_path(target).is_file():
        raise InvalidOptionError("With the option keep, the target must be a folder", option="keep")


def _describe(snapshot: ReadTransaction, engine: str) -> Manifest:
    catalog = catalogs.load(snapshot, None)
    return Manifest(
        minidb_version=__version__,
        engine=engine,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        tables={name: snapshot.count(catalog.definition(name).space) for name in sorted(catalog.definitions)},
        mappings={name: snapshot.count(catalog.mapping(name).space) for name in sorted(catalog.mappings)},
        spaces={space: snapshot.count(space) for space in filter(is_kept, snapshot.spaces())},
    )


def _write_all(
    snapshot: ReadTransaction,
    write: Write,
    manifest: Manifest,
    compression: Compression | None,
    progress: Progress | None,
) -> None:
    done, total = 0, sum(manifest.spaces.values())
    with compressing(write, compression) as write_compressed:
        writer = Writer(write_compressed, manifest)
        for space in manifest.spaces:
            writer.begin_space(space)
            for page in snapshot.scan(space):
                writer.pairs(page)
                done += len(page)
                if progress is not None:
                    progress(done, total)
        manifest.sha256 = writer.end()
        manifest.size_bytes = writer.size_bytes
    if done != total:
        raise BackupError(
            "The database is damaged: it has other keys than it counts", hint="run db.verify()", path=None
        )


def _write_checked(
    snapshot: ReadTransaction,
    file: WholeFile,
    manifest: Manifest,
    compression: Compression | None,
    progress: Progress | None,
) -> None:
    """Write a backup to a file, and compare what is in the file then."""
    _write_all(snapshot, file.write, manifest, compression, progress)
    file.flush()
    file.file.seek(0)
    if not is_whole(decompressing(cast("Callable[[int], bytes]", file.file.read)), manifest.sha256):
        raise BackupError("The file does not hold what was written to it", hint="look at the disk", path=str(file.path))


class _Folder:
    """The backups of one name in a folder: ``mydb-000042-20240229T120000Z.minidb``."""

    def __init__(self, path: Path, name: str, suffix: str) -> None:
        self._path = path
        self._name = re.sub(r"[^\w.-]", "_", name).strip(".") or "database"
        self._suffix = SUFFIX + suffix
        endings = "|".join(map(re.escape, SUFFIXES.values()))
        stamp = rf"-([0-9]{{6,}})-[0-9]{{8}}T[0-9]{{6}}Z{re.escape(SUFFIX)}({endings})"
        self._pattern = re.compile(re.escape(self._name) + stamp)

    def numbered(self) -> list[tuple[int, Path]]:
        """Return the backups that are there with their numbers, the oldest first."""
        found = [(match, path) for path in self._path.iterdir() if (match := self._pattern.fullmatch(path.name))]
        return sorted((int(match[1]), path) for match, path in found if path.is_file() and not path.is_symlink())

    def next_path(self, manifest: Manifest) -> Path:
        """Return the name of one more."""
        numbers = [number for number, _ in self.numbered()]
        moment = re.sub("[-:]", "", manifest.created_at[:19])
        return self._path / f"{self._name}-{max(numbers, default=0) + 1:06d}-{moment}Z{self._suffix}"

    def take_in(self, file: WholeFile, manifest: Manifest) -> Path:
        """Give a file that is written the next number."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # for a moment, so that two at once do not choose the same number
            file.path = self.next_path(manifest)
            if not file.finish(may_replace=False):
                raise BackupError("Something else has taken the backup's name", path=str(file.path))
        finally:
            os.close(descriptor)
        return file.path

    def keep(self, count: int) -> None:
        """Delete all but the newest."""
        for _, path in self.numbered()[:-count]:
            path.unlink(missing_ok=True)
