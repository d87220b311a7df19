"""Filling a new store with the keys and values of another one, or of a backup, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from minidb.engines.port import CATALOG, Engine, Pair, ReadTransaction, Space, WriteTransaction
from minidb.maintenance.progress import Progress

_WAIT_S: Final = 30.0
_BATCH_BYTES: Final = 8 * 1024 * 1024


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
    with writing(engine) as transaction:
        for space in counts:
            if space != CATALOG:
                transaction.create_space(space)
    for space, pages in spaces:
        for batch in _batches(pages):
            with writing(engine) as transaction:
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
def writing(engine: Engine) -> Iterator[WriteTransaction]:
    """Yield a write transaction that is committed at the end of the block."""
    transaction = engine.begin_write(_WAIT_S)
    try:
        yield transaction
        transaction.commit()
    finally:
        transaction.close()
