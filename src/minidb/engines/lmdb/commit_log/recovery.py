"""What the first to open a database does: if nobody closed it, bring back the steady snapshot and replay the log.

It runs when nobody else has the database open, since it changes meta pages under whoever had. Its last step records a
closed state; until then nothing that it does counts, and it can be cut short and begun again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from minidb.engines.lmdb.commit_log import meta_pages
from minidb.engines.lmdb.commit_log.log import Log, Place, file_names
from minidb.engines.lmdb.commit_log.records import decode
from minidb.engines.lmdb.commit_log.steady import FILE, Steady, SteadyFile
from minidb.engines.lmdb.folder import DATA_FILE, flush_folder
from minidb.exceptions import CorruptionError
from minidb.log import Logger

if TYPE_CHECKING:
    import lmdb

    from minidb.engines.write_buffer import SpaceChanges

TOGETHER_BYTES: Final = 8 * 1024 * 1024
"""Records are replayed so many bytes of them in one transaction: fewer pages are copied that way."""

_log = Logger("minidb")

Open = Callable[[Path], "lmdb.Environment"]
"""Opens the data file of a folder, without flushes, and large enough for whatever is in it."""

Apply = Callable[["lmdb.Environment", "lmdb.Transaction[bytes]", int, "SpaceChanges"], None]
"""Makes the changes of one space, given by its slot."""


def has_log(folder: Path) -> bool:
    """Tell whether there is a log, be there something in it or not."""
    return os.path.exists(f"{folder}/{FILE}")


def is_needed(folder: Path) -> bool:
    """Tell whether the database was not closed. REQUIRES that nobody has it open."""
    try:
        file = SteadyFile(folder / FILE, is_writable=False)
    except FileNotFoundError:
        return False
    with closing(file):
        return not _newest(file).is_closed


def is_settled(folder: Path) -> bool:
    """Tell whether ``recover`` has nothing to do. REQUIRES that nobody else has it open, so that nobody writes."""
    try:
        file = SteadyFile(folder / FILE, is_writable=False)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # it says what is wrong
    with closing(file):
        return _is_settled(file, _newest(file))


def was_cut_short(folder: Path) -> bool:
    """Tell whether a recovery was begun and not ended. REQUIRES that none is under way.

    Who is not alone must ask: a process that had the database alone, to recover it, may have died the moment before.
    """
    try:
        file = SteadyFile(folder / FILE, is_writable=False)
    except FileNotFoundError:
        return False
    with closing(file):
        return file.live().is_recovering


def recover(folder: Path, open_data_file: Open, apply: Apply) -> None:
    """Make the database what all acknowledged commits made it. REQUIRES that nobody else has it open.

    Raises ``CorruptionError`` where the data file is not the one that the log is of, ``OSError``, ``lmdb.Error``.
    """
    try:
        file = SteadyFile(folder / FILE)
    except FileNotFoundError:
        return
    with closing(file):
        steady = _newest(file)
        if _is_settled(file, steady):
            return
        # Once more: its process may have been killed, or the disk have failed, before it was flushed.
        file.record(steady)
        if not steady.is_closed:
            file.begin_recovery()
            flush_folder(folder)
            with closing(Log(folder)) as log:
                steady = _recover(folder, file, steady, log, open_data_file, apply)
        file.reset(steady.place.segment)


def forget(folder: Path) -> None:
    """Remove the log of a database that is closed, or of a data file that is not there any more."""
    if (folder / FILE).exists():
        (folder / FILE).unlink()
        flush_folder(folder)  # before its segments: it would have nothing to replay
    for name in file_names():
        (folder / name).unlink(missing_ok=True)


def _is_settled(file: SteadyFile, steady: Steady) -> bool:
    # To reset the file is the last that is done, so the record has been flushed, and nothing was logged since.
    return steady.is_closed and file.is_reset(steady.place.segment)


def _newest(file: SteadyFile) -> Steady:
    steady = file.newest()
    if steady is None or not steady.metas.are_sound:
        raise CorruptionError(
            f"The record of the steady snapshot is damaged: {file.path}", hint="restore a backup", path=str(file.path)
        )
    return steady


def _recover(folder: Path, file: SteadyFile, steady: Steady, log: Log, open_data_file: Open, apply: Apply) -> Steady:
    descriptor = os.open(folder / DATA_FILE, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if steady.metas.root_checksum(descriptor) != steady.root_checksum:
            raise CorruptionError(
                f"The data file is damaged, or not the one that the commit log beside it is of: {folder / DATA_FILE}",
                hint=f"restore a backup; or, if the data file was put there by hand, remove {FILE}",
                path=str(folder),
            )
        meta_pages.write(descriptor, steady.metas)
        with closing(open_data_file(folder)) as raw:
            pin = raw.begin()  # before anything is written: no page of it may be used until all is done
            replayed = _replay(raw, log, steady.place, apply)
            raw.sync(True)  # noqa: FBT003  # the binding's signature
            pin.abort()
            metas = meta_pages.read(descriptor)
            place = steady.place._replace(segment=replayed.segment, transaction_id=metas.transaction_id)
            closed = Steady(
                steady.sequence + 1,
                is_closed=True,
                place=place,
                map_bytes=raw.info()["map_size"],
                root_checksum=metas.root_checksum(descriptor),
                metas=metas,
            )
        file.record(closed)
    finally:
        os.close(descriptor)
    commits = replayed.transaction_id - steady.place.transaction_id
    _log.info(
        "The database had not been closed; the log brought back its last %d commits",
        commits,
        extra={"path": str(folder), "commits": commits},
    )
    return closed


def _replay(raw: lmdb.Environment, log: Log, start: Place, apply: Apply) -> Place:
    place = start
    records = log.all_records(start)
    following = next(records, None)
    while following is not None:
        size = 0
        with raw.begin(write=True) as transaction:
            while following is not None and size < TOGETHER_BYTES:
                changes, place = following
                for slot, change in decode(changes):
                    apply(raw, transaction, slot, change)
                size += len(changes)
                following = next(records, None)
    return place
