"""Looking after a database as a whole: verify, dump and load, backup and restore, compact."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from minidb.api.history import HistoryKeeping
from minidb.engines.locate import begin_replacement, conceal, is_on_server, open_engine
from minidb.engines.port import Engine, ReadTransaction
from minidb.exceptions import UsageError
from minidb.log import Logger
from minidb.options import Options
from minidb.structs import replace
from minidb.tables import catalog as catalogs
from minidb.tables.catalog import Catalog

if TYPE_CHECKING:
    from minidb.maintenance.compact import CompactReport
    from minidb.maintenance.compression import Compression
    from minidb.maintenance.contents import Contents
    from minidb.maintenance.manifest import Manifest
    from minidb.maintenance.progress import Progress
    from minidb.maintenance.report import Salvaged, VerifyReport
    from minidb.maintenance.restore import At, Sources
    from minidb.maintenance.streams import Source, Target

# What does a job is imported by it: a program that looks after nothing starts sooner.

Filled = TypeVar("Filled")

_log = Logger("minidb")
_backup_log = Logger("minidb.backup")


class Care(HistoryKeeping):
    """The whole-database jobs of ``MiniDB``, which is made on it."""

    def verify(self, progress: Progress | None = None, *, repair: str | os.PathLike[str] | None = None) -> VerifyReport:
        """Examine all that is committed, beside readers and writers, and return a report.

        Each row and item is read and checked, each index compared with its rows both ways, the catalog with both.
        ``report.ok`` says whether nothing is wrong, ``report.findings`` what is. ``progress(done, total)`` counts rows,
        entries and items; what it raises ends the call. It holds a snapshot for as long as it takes.

        ``repair`` is where a new database is made of all that can be read, whether anything is wrong or not: rows and
        items as they are, indexes anew. This one is only read. ``report.salvaged`` says what was kept and what lost.

        >>> print(db.verify())
        ok: 1 tables with 0 rows, 0 indexes with 0 entries, 0 mappings with 0 items
        """
        from minidb.maintenance.verify import verify

        with self.committed() as snapshot:
            report = verify(snapshot, progress)
            if repair is not None:
                report.salvaged = _salvaged(snapshot, repair, progress)
        if report.ok:
            _log.info("database verified", extra={"location": self.location})
        else:
            facts = {"location": self.location, "finding_count": report.finding_count}
            _log.error("the database is damaged: verify has %d findings", report.finding_count, extra=facts)
        return report

    @staticmethod
    def repair(
        source: str | os.PathLike[str], target: str | os.PathLike[str], progress: Progress | None = None
    ) -> VerifyReport:
        """Make a new database at ``target`` of all that can be read of the one at ``source``, which is only read.

        ``verify(repair=…)`` for a database whose catalog is so damaged that it cannot be opened. Raises
        ``EngineUnavailableError`` where there is a database at the target already.
        """
        from minidb.maintenance.verify import verify

        engine = open_engine(conceal(source), Options(read_only=True, create=False))
        try:
            snapshot = engine.begin_read()
            try:
                report = verify(snapshot, progress)
                report.salvaged = _salvaged(snapshot, target, progress)
            finally:
                snapshot.close()
        finally:
            engine.close()
        return report

    def dump(self, target: Target, progress: Progress | None = None) -> Contents:
        """Write all that is committed as lines of JSON: to a path, or to a text or binary file object.

        For other programs and other versions; ``MiniDB.load`` makes a database of it. It holds one snapshot, beside
        readers and writers. The file has its name once it is whole. ``progress(done, total)`` counts rows and items;
        what it raises ends the call, and leaves no file. Raises ``BackupError``, or ``ChecksumError`` for a row that is
        damaged.

        >>> db.dump("people.jsonl").tables
        {'users': 0}
        """
        from minidb.maintenance.dump import dump

        with self.committed() as snapshot:
            contents = dump(snapshot, target, progress)
        _backup_log.info("database dumped", extra={"location": self.location})
        return contents

    @staticmethod
    def load(source: Source, target: str | os.PathLike[str], progress: Progress | None = None) -> Contents:
        """Make a new database at ``target`` of a dump: a path, or a text or binary file object.

        All rows are checked, and have the ids that they had. The database is there once it is whole, or not at all.
        ``progress`` is that of ``dump``. Raises ``BackupError`` naming the line that is wrong, and
        ``EngineUnavailableError`` if there is a database already. A dump may come from anybody, but for the patterns of
        its schemas, which may take very long to compare.
        """
        from minidb.maintenance.load import load

        replacement = begin_replacement(target, Options(), overwrite=False)
        try:
            contents = load(source, replacement.engine, progress)
            replacement.finish()
        finally:
            replacement.close()
        _backup_log.info("database loaded", extra={"location": os.fspath(target)})
        return contents

    def backup(
        self,
        target: Target,
        progress: Progress | None = None,
        *,
        compression: Compression | None = None,
        keep: int | None = None,
        since: Source | Manifest | None = None,
        incremental: bool = False,
    ) -> Manifest:
        """Write a backup of all that is committed, beside readers and writers, and return what it says of itself.

        ``target`` is a path, a binary file object, or a folder: there each backup gets a name of its own, in their
        order, and ``keep=7`` deletes all but the newest seven of this database. The file, of mode 0600, has its name
        once it is whole, flushed, and read again; whatever fails before leaves what was there. ``compression`` is None
        or ``"gzip"``. ``progress(done, total)`` counts keys; what it raises ends the call. Raises ``BackupError``.

        Where the database keeps a history, ``since``, an earlier backup or what it returned, makes an increment: only
        what was committed since. In a folder, ``incremental=True`` means since the newest there; the first is whole.

        >>> db.backup("mydb.minidb").tables
        {'users': 0}
        """
        from pathlib import Path

        from minidb.maintenance.backup import backup

        name = Path(self.location).name if self.engine.capabilities.is_durable else "memory"
        with self.committed() as snapshot:
            engine = self.engine.capabilities.name
            manifest = backup(
                snapshot,
                target,
                progress,
                engine=engine,
                name=name,
                compression=compression,
                keep=keep,
                since=since,
                incremental=incremental,
            )
        facts = {"location": self.location, "path": manifest.path, "size_bytes": manifest.size_bytes}
        _backup_log.info("database backed up", extra=facts)
        return manifest

    @staticmethod
    def restore(
        source: Sources,
        target: str | os.PathLike[str],
        progress: Progress | None = None,
        *,
        at: At | None = None,
        overwrite: bool = False,
        max_size_bytes: int | None = None,
    ) -> Manifest:
        """Make a database at ``target`` of a backup: a path, or a binary file object; return what it says of itself.

        The backup is checked, and then all that was restored verified, before the database is there: whole, or not at
        all. With ``overwrite`` it takes the place of one that is there, which nobody may have open, at one moment. A
        backup may come from anybody; ``max_size_bytes`` limits what it may take on disk. Without it, a backup that
        unpacks to more than 1 GiB and 100 times its size is refused. Raises ``BackupError`` naming the place that is
        wrong, ``EngineUnavailableError``, or ``StorageFullError``.

        ``source`` may be a list, a whole backup and the increments that follow it, or a folder of backups. ``at``, the
        number of a commit or a datetime with a time zone, ends with the last commit by then; a clock that went back
        counts as one that stood still.
        """
        from minidb.maintenance.restore import restore

        replacement = begin_replacement(target, Options(max_size_bytes=max_size_bytes), overwrite=overwrite)
        try:
            may_be_huge = max_size_bytes is not None
            manifest = restore(source, replacement.engine, progress, at=at, may_be_huge=may_be_huge)
            replacement.finish()
        finally:
            replacement.close()
        _backup_log.info("database restored", extra={"location": os.fspath(target), "path": manifest.path})
        return manifest

    def copy(self, target: str | os.PathLike[str], progress: Progress | None = None) -> Contents:
        """Copy all that is committed into a new database at ``target``, a path or a server's URL.

        It holds one snapshot, beside readers and writers, and needs room for nothing between the two. Rows have the
        ids that they had; what has arrived is verified. The database is there whole, or not at all. At a URL there may
        be one that holds nothing. ``progress(done, total)`` counts keys; what it raises ends the call. Raises
        ``EngineUnavailableError`` where there are tables or mappings already, or ``StorageFullError``.

        >>> db.copy("copy of mydb").tables
        {'users': 0}
        """
        from minidb.maintenance import transfer

        with self.committed() as snapshot:
            if is_on_server(target):
                engine = open_engine(conceal(target), Options())
                try:
                    contents = transfer.into_server(snapshot, engine, progress)
                finally:
                    engine.close()
            else:
                replacement = begin_replacement(target, Options(), overwrite=False)
                try:
                    contents = transfer.into_replacement(snapshot, replacement.engine, progress)
                    replacement.finish()
                finally:
                    replacement.close()
        _backup_log.info("database copied", extra={"location": self.location})
        return contents

    def compact(self, progress: Progress | None = None) -> CompactReport:
        """Give the space back that deleted rows have left, and return how many bytes the data took and takes.

        The database is built anew beside itself, which needs room for what it holds, and takes its own place at one
        moment. Calls of other threads wait meanwhile; nobody else may have the database open, in this process or
        another. Raises ``EngineUnavailableError`` saying who has it, ``PoolTimeoutError`` where calls of other threads
        do not end, ``UsageError`` inside a transaction, or ``StorageFullError``.
        """
        from minidb.maintenance.compact import CompactReport

        with self._held_alone("compacted"):
            before = self.engine.statistics()
            if self.engine.capabilities.is_durable:
                self._replace(lambda engine: self._copy(engine, progress), room_bytes=before["used_bytes"])
                self._read_catalog(self._catalog)
            report = CompactReport(
                before_bytes=before["size_bytes"], after_bytes=self.engine.statistics()["size_bytes"]
            )
        _log.info("database compacted", extra={"location": self.location, "size_bytes": report.after_bytes})
        return report

    def restore_from(self, source: Sources, progress: Progress | None = None, *, at: At | None = None) -> Manifest:
        """Put what backups hold in the place of all that is in this database, which stays open.

        ``source``, ``at`` and what is checked are as in ``restore``; whatever fails, all is as it was. Calls of other
        threads wait meanwhile; nobody else may have the database open, in this process or another. Raises
        ``BackupError`` naming the place that is wrong, ``EngineUnavailableError`` saying who has it open,
        ``PoolTimeoutError`` where calls of other threads do not end, ``UsageError`` inside a transaction, or
        ``StorageFullError``.
        """
        from minidb.maintenance.restore import restore

        with self._held_alone("restored"):
            given = self._catalog
            if self.engine.capabilities.is_durable:
                manifest = self._replace(lambda engine: restore(source, engine, progress, at=at))
            else:
                engine = open_engine(self.location, self.options)
                manifest = restore(source, engine, progress, at=at)
                self.engine = engine
            self._made_here = set()
            self._read_catalog(None)
            with self._catalog_lock:
                self._catalog = self._catalog.with_live_schemas_by_name(given)
        _backup_log.info("database restored", extra={"location": self.location, "path": manifest.path})
        return manifest

    @contextmanager
    def _held_alone(self, done: str) -> Iterator[None]:
        """Let no other call of this object run during the block."""
        self._require_beginning(read_only=False)
        if self.current_transaction() is not None:
            raise UsageError(f"A database cannot be {done} inside a transaction", hint="commit it first")
        with self.connection_pool.all_held(self.options.pool_timeout_s):
            self.require_open()
            yield

    def _replace(self, fill: Callable[[Engine], Filled], *, room_bytes: int = 0) -> Filled:
        """Put a store that a function fills in the place of this one. REQUIRES that nothing runs on it."""
        replacement = begin_replacement(self.location, self.options, overwrite=True, is_open_here=True)
        try:
            replacement.require_room(room_bytes)
            filled = fill(replacement.engine)
            replacement.finish()
            self.engine.close()
        finally:
            replacement.close()
        self.engine = open_engine(self.location, replace(self.options, create=False))
        return filled

    def _copy(self, engine: Engine, progress: Progress | None) -> None:
        from minidb.maintenance import compact

        snapshot = self.engine.begin_read()
        try:
            compact.copy(snapshot, engine, progress)
        finally:
            snapshot.close()

    def _read_catalog(self, previous: Catalog | None) -> None:
        """Read the catalog of a new store, which counts its generations anew."""
        snapshot = self.engine.begin_read()
        try:
            with self._catalog_lock:
                self._catalog = catalogs.load(snapshot, previous)
        finally:
            snapshot.close()


def _salvaged(snapshot: ReadTransaction, target: str | os.PathLike[str], progress: Progress | None) -> Salvaged:
    """Make a new database of all that can be read of a snapshot."""
    from minidb.maintenance.salvage import salvage
    from minidb.maintenance.verify import verify

    replacement = begin_replacement(target, Options(), overwrite=False)
    try:
        salvaged = salvage(snapshot, replacement.engine, progress)
        salvaged.path = os.fspath(target)
        made = replacement.engine.begin_read()
        try:
            salvaged.remaining = verify(made).findings
        finally:
            made.close()
        replacement.finish()
    finally:
        replacement.close()
    _log.warning("database salvaged", extra={"location": salvaged.path})
    return salvaged
