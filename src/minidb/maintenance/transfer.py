"""Copying a database: all that a snapshot holds goes into a new one, on whatever engine, without a file between.

Both engines hold the same spaces of the same bytes, so nothing is decoded on the way. What has arrived is verified
before it counts: each row's checksum, each index with its rows, and that there are as many keys as there were.
"""

from __future__ import annotations

from typing import Final

from minidb.engines.port import Engine, ReadTransaction, Space
from minidb.exceptions import BackupError, EngineUnavailableError
from minidb.maintenance.compact import copy
from minidb.maintenance.contents import Contents
from minidb.maintenance.progress import Progress
from minidb.maintenance.verify import verify
from minidb.tables import catalog as catalogs

_WAIT_S: Final = 30.0


def into_replacement(snapshot: ReadTransaction, engine: Engine, progress: Progress | None) -> Contents:
    """Fill the engine of a ``Replacement``, whose caller throws it away if this raises. ``progress`` counts keys."""
    copy(snapshot, engine, progress)
    arrived = engine.begin_read()
    try:
        return _verified(snapshot, arrived)
    finally:
        arrived.close()


def into_server(snapshot: ReadTransaction, engine: Engine, progress: Progress | None) -> Contents:
    """Fill an engine that many programs may have open, in one transaction. ``progress`` counts keys.

    Raises ``EngineUnavailableError`` where there are tables or mappings already.
    """
    transaction = engine.begin_write(_WAIT_S)
    try:
        if catalogs.is_initialised(transaction):
            found = catalogs.load(transaction, None)
            if found.definitions or found.mappings:
                raise EngineUnavailableError(
                    f"There is already a database at {engine.location}",
                    hint="name another schema in the URL: ?minidb_schema=NAME",
                    path=engine.location,
                )
        _reserve_ids(snapshot, engine)
        counts = {space: snapshot.count(space) for space in snapshot.spaces()}
        done, total = 0, sum(counts.values())
        there = transaction.spaces()
        for space in counts:
            if space in there:
                transaction.clear(space)
            else:
                transaction.create_space(space)
        for space in counts:
            for page in snapshot.scan(space):
                transaction.put_many(space, dict(page))
                done += len(page)
                if progress is not None:
                    progress(done, total)
        contents = _verified(snapshot, transaction)
        transaction.commit()
    finally:
        transaction.close()
    return contents


def _reserve_ids(snapshot: ReadTransaction, engine: Engine) -> None:
    """Let an engine that allots ids begin after those that rows have had."""
    if engine.allot_ids is None:
        return
    catalog = catalogs.load(snapshot, None)
    for name in catalog.definitions:
        table = catalog.table(name)
        last_id = catalogs.last_id_of(snapshot, table) if table.has_automatic_ids else 0
        if last_id:
            engine.allot_ids(table.space, last_id)


def _verified(snapshot: ReadTransaction, arrived: ReadTransaction) -> Contents:
    """Return what has arrived, or raise ``BackupError`` if it is not what was sent."""
    if _counts(snapshot) != _counts(arrived):
        raise BackupError("The copy does not hold what it was made of", hint="run it again", path=None)
    report = verify(arrived)
    if not report.ok:
        raise BackupError(
            f"The copy is damaged, with {report.finding_count} findings",
            hint="verify what it was made of; error.report says what is wrong",
            path=None,
            report=report,
        )
    return Contents(tables=report.tables, mappings=report.mappings)


def _counts(snapshot: ReadTransaction) -> dict[Space, int]:
    return {space: snapshot.count(space) for space in snapshot.spaces()}
