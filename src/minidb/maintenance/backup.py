"""Backup: everything that is committed, in one file, while readers and writers go on.

The file is written beside its name, flushed, read again and compared, and only then given its name: whatever fails
before leaves what was there. An increment holds what the history has of the commits since an earlier backup.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from minidb.engines.port import Pair, ReadTransaction, Space
from minidb.exceptions import BackupError, InvalidOptionError
from minidb.maintenance.backup_folder import BackupFolder
from minidb.maintenance.backup_format import Writer, is_whole, read_manifest
from minidb.maintenance.compression import Compression, compressing, decompressing, require_known
from minidb.maintenance.manifest import Manifest, is_kept
from minidb.maintenance.progress import Progress
from minidb.maintenance.streams import Source, Target, Write, as_path, flush, is_path, writer_of
from minidb.maintenance.whole_file import WholeFile, cannot_write, flush_folder
from minidb.tables import catalog as catalogs
from minidb.tables import history
from minidb.tables.history import HISTORY, Point
from minidb.version import __version__


def backup(
    snapshot: ReadTransaction,
    target: Target,
    progress: Progress | None = None,
    *,
    engine: str,
    name: str,
    compression: Compression | None = None,
    keep: int | None = None,
    since: Source | Manifest | None = None,
    incremental: bool = False,
) -> Manifest:
    """Write a backup of a snapshot. ``progress`` counts the keys of all spaces.

    ``target`` is a path, a binary file object, or a folder, in which the backup gets a name that begins with ``name``;
    ``keep`` is how many of that name stay there, the newest. ``since`` is an earlier backup, which an increment is to
    follow; ``incremental`` means the newest of the folder, or a whole backup if there is none. Raises ``BackupError``.
    """
    require_known(compression)
    folder = _folder_of(target, name, keep=keep, incremental=incremental)
    if incremental and folder is not None:
        since = next((one.path for one in reversed(folder.backups())), None)
    manifest = _describe(snapshot, engine, None if since is None else _point_of(since))
    if not is_path(target):
        try:
            _write_all(snapshot, writer_of(target, may_be_text=False), manifest, compression, progress)
            flush(target)
        except OSError as error:
            raise cannot_write(None, error) from error
        return manifest
    path = as_path(target)
    try:
        if folder is None:
            with WholeFile(path) as file:
                _write_checked(snapshot, file, manifest, compression, progress)
                file.finish()
            manifest.path = str(path)
        else:
            with WholeFile(folder.next_path(manifest, compression)) as file:
                _write_checked(snapshot, file, manifest, compression, progress)
                manifest.path = str(folder.take_in(file, manifest, compression))
            if keep is not None:
                folder.keep(keep)
    except OSError as error:
        raise cannot_write(path, error) from error
    return manifest


def _folder_of(target: Target, name: str, *, keep: object, incremental: bool) -> BackupFolder | None:
    """Return the folder that a target names, making it where it must be one; None for a file."""
    must_be_folder = {"keep": keep is not None, "incremental": incremental}
    if keep is not None and (not isinstance(keep, int) or isinstance(keep, bool) or keep < 1):
        raise InvalidOptionError("The option keep must be an integer of at least 1", option="keep")
    for option, is_given in must_be_folder.items():
        if is_given and (not is_path(target) or as_path(target).is_file()):
            raise InvalidOptionError(f"With the option {option}, the target must be a folder", option=option)
    if not is_path(target):
        return None
    path = as_path(target)
    if any(must_be_folder.values()) and not path.is_dir():
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            flush_folder(path.parent)  # or the backups would be lost in a power failure with their folder
        except OSError as error:
            raise cannot_write(path, error) from error
    return BackupFolder(path, name) if path.is_dir() else None


def _point_of(since: Source | Manifest) -> Point:
    """Return the newest commit that a backup holds. Raises ``BackupError`` where it says none."""
    manifest = since if isinstance(since, Manifest) else read_manifest(since)
    if manifest.history is None:
        raise BackupError(
            "No increment can follow this backup: its database kept no history then",
            hint="call db.start_history(), and make a whole backup first",
            path=manifest.path,
        )
    return manifest.history


def _describe(snapshot: ReadTransaction, engine: str, since: Point | None) -> Manifest:
    created_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    catalog = catalogs.load(snapshot, None)
    head = history.head(snapshot) if catalog.keeps_history else None
    if since is None:
        spaces = {space: snapshot.count(space) for space in filter(is_kept, snapshot.spaces())}
    else:
        head = _require_continued(snapshot, head, since)
        spaces = {HISTORY: history.count_records(snapshot, since.number, head.number)}
    return Manifest(
        minidb_version=__version__,
        engine=engine,
        created_at=created_at,
        tables={name: snapshot.count(catalog.definition(name).space) for name in sorted(catalog.definitions)},
        mappings={name: snapshot.count(catalog.mapping(name).space) for name in sorted(catalog.mappings)},
        spaces=spaces,
        history=head,
        since=since,
    )


def _require_continued(snapshot: ReadTransaction, head: Point | None, since: Point) -> Point:
    """Return the head of a history that goes on from a point. Raises ``BackupError``."""
    if head is None:
        reason = "the database keeps no history"
    elif since.number > head.number:
        reason = f"it holds commit {since.number}, and the database has none after {head.number}"
    elif since.number < (oldest := history.tail(snapshot).number):
        reason = f"it ends with commit {since.number}, and the history begins after {oldest}"
    elif history.chain_at(snapshot, since.number) != since.chain:
        reason = f"it is of another database, or of a copy that went on apart before commit {since.number}"
    else:
        return head
    raise BackupError(
        f"No increment can follow the earlier backup: {reason}", hint="make a whole backup", commit=since.number
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
            for count in _write_space(snapshot, space, manifest, writer):
                done += count
                if progress is not None:
                    progress(done, total)
        manifest.sha256 = writer.end()
        manifest.size_bytes = writer.size_bytes
    if done != total:
        raise BackupError(
            "The database is damaged: it has other keys than it counts", hint="run db.verify()", path=None
        )


def _write_space(snapshot: ReadTransaction, space: Space, manifest: Manifest, writer: Writer) -> Iterator[int]:
    """Write the pairs of a space, and yield how many they are, some at a time."""
    packed = None if manifest.is_increment or snapshot.scan_packed is None else snapshot.scan_packed(space)
    if packed is None:
        for page in _pages(snapshot, space, manifest):
            writer.pairs(page)
            yield len(page)
    else:
        for count, body in packed:
            writer.packed(body)
            yield count


def _pages(snapshot: ReadTransaction, space: Space, manifest: Manifest) -> Iterator[list[Pair]]:
    if manifest.since is None or manifest.history is None:
        return snapshot.scan(space)
    return history.records(snapshot, manifest.since.number, manifest.history.number)


def _write_checked(
    snapshot: ReadTransaction,
    file: WholeFile,
    manifest: Manifest,
    compression: Compression | None,
    progress: Progress | None,
) -> None:
    """Write a backup to a file, and compare what is in the file then."""
    _write_all(snapshot, file.write, manifest, compression, progress)
    with file.flushing() as read:  # the disk takes as long as the comparison, and both at once no longer
        try:
            is_right = is_whole(decompressing(read), manifest.sha256)
        except EOFError:  # cut within what is compressed
            is_right = False
    if not is_right:
        raise BackupError("The file does not hold what was written to it", hint="look at the disk", path=str(file.path))
