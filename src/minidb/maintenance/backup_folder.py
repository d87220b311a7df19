"""A folder of backups: ``mydb-000042-20240229T120000Z.minidb``, and ``….increment.minidb`` for increments.

Each gets a number, one above the highest, so that their order is that of their making also when a clock was set back.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path
from typing import Final

from minidb.exceptions import BackupError
from minidb.maintenance.compression import SUFFIXES, Compression
from minidb.maintenance.manifest import Manifest
from minidb.maintenance.whole_file import WholeFile
from minidb.structs import Struct

SUFFIX: Final = ".minidb"
_INCREMENT: Final = ".increment"
_ENDINGS: Final = "|".join(re.escape(suffix) for suffix in SUFFIXES.values())
_NAME: Final = re.compile(
    rf"(.+)-([0-9]{{6,}})-[0-9]{{8}}T[0-9]{{6}}Z({re.escape(_INCREMENT)})?{re.escape(SUFFIX)}({_ENDINGS})"
)


class Numbered(Struct, frozen=True, order=True):
    """A backup in a folder, as its name says."""

    number: int
    name: str
    path: Path
    is_increment: bool


def backups_in(folder: Path) -> list[Numbered]:
    """Return the backups of a folder, of whatever database, the oldest first. Links are none."""
    found = [(match, path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return sorted(
        Numbered(int(match[2]), match[1], path, match[3] is not None)
        for match, path in found
        if path.is_file() and not path.is_symlink()
    )


class BackupFolder:
    """The backups of one database in a folder."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = re.sub(r"[^\w.-]", "_", name).strip(".") or "database"

    def backups(self) -> list[Numbered]:
        """Return those that are there, the oldest first."""
        return [one for one in backups_in(self._path) if one.name == self._name]

    def next_path(self, manifest: Manifest, compression: Compression | None) -> Path:
        """Return the name of one more."""
        number = max((one.number for one in self.backups()), default=0) + 1
        moment = re.sub("[-:]", "", manifest.created_at[:19])
        suffix = (_INCREMENT if manifest.is_increment else "") + SUFFIX + SUFFIXES[compression]
        return self._path / f"{self._name}-{number:06d}-{moment}Z{suffix}"

    def take_in(self, file: WholeFile, manifest: Manifest, compression: Compression | None) -> Path:
        """Give a file that is written the next number."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # for a moment, so that two at once do not choose the same number
            file.path = self.next_path(manifest, compression)
            if not file.finish(may_replace=False):
                raise BackupError("Something else has taken the backup's name", path=str(file.path))
        finally:
            os.close(descriptor)
        return file.path

    def keep(self, count: int) -> None:
        """Delete all but the newest whole backups, and of the increments those that follow none of them."""
        backups = self.backups()
        whole = [one.number for one in backups if not one.is_increment]
        if len(whole) > count:
            for one in backups:
                if one.number < whole[-count]:
                    one.path.unlink(missing_ok=True)
