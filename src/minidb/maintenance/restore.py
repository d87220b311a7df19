"""Restore: a database out of backups, which are believed in nothing that has not been checked.

All of it goes into a new store that nobody sees: each frame's checksum and the order of its keys before a byte of it is
written, the SHA-256 at the end. The commits of increments are done again; the indexes are made of the rows; then all
rows, indexes and items are verified. Whatever is wrong is a ``BackupError``, and its caller throws the store away.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, cast

from minidb.engines.port import Engine, Pair
from minidb.exceptions import BackupError, InvalidOptionError
from minidb.maintenance.backup_chain import chain_in
from minidb.maintenance.backup_format import Reader
from minidb.maintenance.compression import decompressing
from minidb.maintenance.filling import fill, writing
from minidb.maintenance.index_rebuild import build_indexes
from minidb.maintenance.manifest import Manifest, moment_of
from minidb.maintenance.progress import Progress
from minidb.maintenance.replay import Limit, Refusals, Replay
from minidb.maintenance.streams import Source, as_path, is_path, name_of, opened
from minidb.maintenance.verify import verify
from minidb.tables import history

Sources = Source | Sequence[Source]
"""A backup; or a whole one and its increments, in their order; or a folder of backups."""

At = int | datetime.datetime
"""The number of a commit, or a moment."""

_EPOCH: Final = datetime.datetime.fromtimestamp(0, datetime.UTC)


def restore(
    source: Sources,
    engine: Engine,
    progress: Progress | None = None,
    *,
    at: At | None = None,
    may_be_huge: bool = False,
) -> Manifest:
    """Fill a new and empty engine with what backups hold, and verify it. ``progress`` counts keys and commits.

    ``may_be_huge`` is as in ``compression.decompressing``: there is another limit.

    Return what the last one that was needed says of itself, and which commit the database now ends with.
    """
    limit = _limit_of(at)
    restorer = _Restorer(engine, limit, progress, may_be_huge=may_be_huge)
    for one in _in_order(source, limit):
        restorer.take(one)
        if restorer.has_ended:
            break
    return restorer.finish()


def _limit_of(at: At | None) -> Limit:
    match at:
        case None:
            return Limit()
        case bool():
            pass
        case int() if at >= 0:
            return Limit(number=at)
        case datetime.datetime() if at.tzinfo is not None:
            return Limit(time_us=(at - _EPOCH) // datetime.timedelta(microseconds=1))
    raise InvalidOptionError(
        "The option at must be the number of a commit, or a datetime with a time zone", option="at"
    )


def _in_order(source: Sources, limit: Limit) -> Sequence[Source]:
    if isinstance(source, list | tuple):
        if not source:
            raise InvalidOptionError("The source must be at least one backup", option="source")
        return source
    if is_path(source) and (path := as_path(source)).is_dir():
        return chain_in(path, limit)
    return [cast("Source", source)]


class _Restorer:
    def __init__(self, engine: Engine, limit: Limit, progress: Progress | None, *, may_be_huge: bool) -> None:
        self._engine = engine
        self._may_be_huge = may_be_huge
        self._limit = limit
        self._progress = progress
        self._done = self._total = 0
        self._replay: Replay | None = None
        self._manifest: Manifest | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be taken in."""
        return self._replay is not None and self._replay.has_ended

    def take(self, source: Source) -> None:
        """Take in a backup: a whole one first, then increments."""
        with opened(source) as file:
            reader = Reader(decompressing(file.read, may_be_huge=self._may_be_huge), name_of(source))
            manifest = reader.header()
            self._total += sum(manifest.spaces.values())
            if self._manifest is None:
                self._take_whole(manifest, reader)
            else:
                self._take_increment(manifest, reader)
            if not self.has_ended:
                manifest.sha256 = reader.end()
            manifest.size_bytes = reader.position
        self._manifest = manifest

    def _take_whole(self, manifest: Manifest, reader: Reader) -> None:
        if manifest.is_increment:
            raise reader.unfit("it is an increment, and the whole backup that it follows must come first")
        if self._limit != Limit() and manifest.history is None:
            raise reader.unfit("its database kept no history, so that only all of it can be restored")
        if manifest.history is not None and not self._limit.admits(manifest.history.number, manifest.history.time_us):
            raise reader.unfit(f"it holds what was committed later: it ends with {_named(manifest)}")
        done = self._done
        fill(self._engine, reader.spaces(manifest.spaces), manifest.spaces, self._tell_of_all(done))
        self._done += sum(manifest.spaces.values())
        if manifest.history is not None:
            self._replay = Replay(self._engine, manifest.history, self._limit)

    def _take_increment(self, manifest: Manifest, reader: Reader) -> None:
        if not manifest.is_increment:
            raise reader.unfit("it is a whole backup, and an increment must follow the one before it")
        if self._replay is None:
            raise reader.unfit("no increment can follow the whole backup, whose database kept no history")
        for _, pages in reader.spaces(manifest.spaces):
            self._replay.take(manifest, self._counted(pages), Refusals(reader.refusal, reader.unfit))

    def _counted(self, pages: Iterable[list[Pair]]) -> Iterator[list[Pair]]:
        for page in pages:
            yield page
            self._done += len(page)
            if self._progress is not None:
                self._progress(self._done, self._total)

    def _tell_of_all(self, before: int) -> Progress | None:
        progress = self._progress
        return None if progress is None else lambda done, _: progress(before + done, self._total)

    def finish(self) -> Manifest:
        """Make the indexes, verify all of it, and return what the last backup says."""
        manifest = self._manifest
        assert manifest is not None, "one was taken in"
        self._require_reached(manifest)
        has_all = self._replay is None or self._replay.point == manifest.history
        if self._replay is not None:
            with writing(self._engine) as transaction:
                history.begin(transaction, self._replay.point)
            manifest.history = self._replay.point
        build_indexes(self._engine)
        snapshot = self._engine.begin_read()
        try:
            report = verify(snapshot)
        finally:
            snapshot.close()
        if not report.ok:
            raise BackupError(
                f"The backup holds a database that is damaged, with {report.finding_count} findings",
                hint="use another backup; error.report says what is wrong",
                path=manifest.path,
                report=report,
            )
        if has_all and (report.tables != manifest.tables or report.mappings != manifest.mappings):
            raise BackupError(
                "The backup holds other tables than it says", hint="use another backup", path=manifest.path
            )
        manifest.tables, manifest.mappings = report.tables, report.mappings
        return manifest

    def _require_reached(self, manifest: Manifest) -> None:
        """Raise ``BackupError`` where the backups end before the limit."""
        if self.has_ended or manifest.history is None:
            return
        number, time_us = self._limit.number, self._limit.time_us
        if (number is not None and number > manifest.history.number) or (
            time_us is not None and time_us > manifest.until_us
        ):
            raise BackupError(
                f"The backups reach no further than {_named(manifest)}, made by {manifest.created_at}",
                hint="add the increments that follow, or name an earlier moment",
                path=manifest.path,
            )


def _named(manifest: Manifest) -> str:
    assert manifest.history is not None, "asked of such"
    return f"commit {manifest.history.number} of {moment_of(manifest.history.time_us).isoformat()}"
