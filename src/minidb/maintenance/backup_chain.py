"""Which backups of a folder lead to a moment: a whole one, and the increments that follow it without a gap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minidb.exceptions import BackupError
from minidb.maintenance.backup_folder import backups_in
from minidb.maintenance.backup_format import read_manifest
from minidb.maintenance.manifest import Manifest
from minidb.maintenance.replay import Limit


def chain_in(folder: Path, limit: Limit) -> list[Path]:
    """Return the files of a folder that lead to a limit, in their order. Raises ``BackupError`` where none do."""
    backups = backups_in(folder)
    names = sorted({one.name for one in backups})
    if not names:
        raise BackupError(f"There is no backup in the folder: {folder}", path=str(folder))
    if len(names) > 1:
        raise BackupError(
            f"The folder has backups of {len(names)} databases: {', '.join(names)}",
            hint="name the files instead: a whole backup, then its increments",
            path=str(folder),
        )
    manifests = [read_manifest(one.path) for one in backups]
    begin = _newest_whole(manifests, limit)
    if begin is None:
        raise BackupError(
            "No whole backup in the folder is as old as that", hint="name a later moment", path=str(folder)
        )
    return _followed(manifests, begin, limit)


def _newest_whole(manifests: Sequence[Manifest], limit: Limit) -> int | None:
    """Return the place of the whole backup from which the least is to be done again."""
    for place in range(len(manifests) - 1, -1, -1):
        manifest = manifests[place]
        if not manifest.is_increment and (
            limit == Limit()
            or (manifest.history is not None and limit.admits(manifest.history.number, manifest.history.time_us))
        ):
            return place
    return None


def _followed(manifests: Sequence[Manifest], begin: int, limit: Limit) -> list[Path]:
    chosen = [manifests[begin]]
    point = manifests[begin].history
    for manifest in manifests[begin + 1 :]:
        if manifest.since is None or manifest.history is None or point is None:
            continue
        if not limit.admits(point.number + 1, point.time_us + 1):
            break
        if manifest.history.number > point.number or manifest.since.number == point.number:
            chosen.append(manifest)  # also one that leaves a gap, which is refused where it is taken in
            point = manifest.history
    return [Path(manifest.path) for manifest in chosen if manifest.path is not None]
