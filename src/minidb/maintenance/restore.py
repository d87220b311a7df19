"""Restore: a database out of a backup, which is believed in nothing that has not been checked.

All of it goes into a new store that nobody sees: each frame's checksum and the order of its keys before a byte of it is
written, the SHA-256 at the end; then all rows, indexes and items are verified. Whatever is wrong is a ``BackupError``,
and its caller throws the store away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from minidb.engines.port import CATALOG, Engine, Pair, ReadTransaction, Space, WriteTransaction
from minidb.exceptions import BackupError
from minidb.maintenance.backup_format import Manifest, Reader
from minidb.maintenance.compression import decompressing
from minidb.maintenance.progress import Progress
from minidb.maintenance.streams import Source, name_of, opened
from minidb.maintenance.verify import verify

_WAIT_S: Final = 30.0
_BATCH_BYTES: Final = 8 * 1024 * 1024


def restore(source: Source, engine: Engine, progress: Progress | None = None) -> Manifest:
    """Fill a new and empty engine with what a backup holds, and verify it. ``progress`` counts keys."""
    path = name_of(source)
    with opened(source) as file:
        reader = Reader(decompressing(file.read), path)
        manifest = reader.header()
        fill(engine, reader.spaces(manifest.spaces), manifest.spaces, progress)
        manifest.sha256 = reader.end()
        manifest.size_bytes = reader.position
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


def spaces_of(snapshot: ReadTransaction) -> Iterator[tuple[Space, Iterator[list[Pair]]]]:
    """Yield each space of a snapshot with its pairs."""
    for space in snapshot.spaces():
        yield space, snapshot.scan(space)


def fill(
    engine: Engine,
    spaces: Iterable[tuple[Space, Iterator[list[Pair]]]],
    counts: dict[Space, int],
    progress: Progress | None,
) -> None:
    """Put pairs into the spaces of a new and empty engine, in constant memory."""
    done, total = 0, sum(counts.values())
    with _writing(engine) as transaction:
        for space in counts:
            if space != CATALOG:
                transaction.create_space(space)
    for space, pages in spaces:
        for batch in _batches(pages):
            with _writing(engine) as transaction:
                transaction.put_many(space, dict(batch))
            done += len(batch)
            if progress is not None:
                progress(done, total)


def _batches(pages: Iterator[list[Pair]]) -> Iterator[list[Pair]]:
    batch: list[Pair] = []
    size = 0
    for page in pages:
        batch += page
        size += sum(len(value) + 100 for _, value in page)
        if size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@contextmanager
def _writing(engine: Engine) -> Iterator[WriteTransaction]:
    transaction = engine.begin_write(_WAIT_S)
    try:
        yield transaction
        transaction.commit()
    finally:
        transaction.close()
