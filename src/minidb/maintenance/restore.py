"""Restore: a database out of a backup, which is believed in nothing that has not been checked.

All of it goes into a new store that nobody sees: each frame's checksum and the order of its keys before a byte of it is
written, the SHA-256 at the end. The indexes are made of the rows; then all rows, indexes and items are verified.
Whatever is wrong is a ``BackupError``, and its caller throws the store away.
"""

from __future__ import annotations

from minidb.engines.port import Engine
from minidb.exceptions import BackupError
from minidb.maintenance.backup_format import Manifest, Reader
from minidb.maintenance.compression import decompressing
from minidb.maintenance.filling import fill
from minidb.maintenance.index_rebuild import build_indexes
from minidb.maintenance.progress import Progress
from minidb.maintenance.streams import Source, name_of, opened
from minidb.maintenance.verify import verify


def restore(source: Source, engine: Engine, progress: Progress | None = None) -> Manifest:
    """Fill a new and empty engine with what a backup holds, and verify it. ``progress`` counts keys."""
    path = name_of(source)
    with opened(source) as file:
        reader = Reader(decompressing(file.read), path)
        manifest = reader.header()
        fill(engine, reader.spaces(manifest.spaces), manifest.spaces, progress)
        manifest.sha256 = reader.end()
        manifest.size_bytes = reader.position
    build_indexes(engine)
    snapshot = engine.begin_read()
    try:
        report = verify(snapshot)
    finally:
        snapshot.close()
    if not report.ok:
        raise BackupError(
            f"The backup holds a database that is damaged, with {report.finding_count} findings",
            hint="use another backup; error.report says what is wrong",
            path=path,
            report=report,
        )
    if report.tables != manifest.tables or report.mappings != manifest.mappings:
        raise BackupError("The backup holds other tables than it says", hint="use another backup", path=path)
    return manifest
