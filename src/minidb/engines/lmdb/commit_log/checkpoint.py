"""Making the newest snapshot the steady one.

The order is what keeps the steady snapshot whole at each moment, whatever the disk has of the rest:

1. under the apply lock: pin the newest snapshot with a read transaction, copy the meta pages, begin a new segment;
2. flush the data file: whatever writers do meanwhile, the pages of the pinned snapshot are on the disk then;
3. record it in the steady file, and flush that;
4. let go of the pin before; the segment before is free.

A pin keeps LMDB from using a page of its snapshot again. LMDB may clear the pin of another process, once that is dead,
at any time. So a process writes only while it has a pin of its own that is no newer than the steady snapshot.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from minidb.engines.lmdb.commit_log import meta_pages, write_back
from minidb.engines.lmdb.commit_log.log import FlushFailedError, Log, Place
from minidb.engines.lmdb.commit_log.steady import FILE, Live, Steady, SteadyFile
from minidb.engines.lmdb.folder import DATA_FILE, flush_folder
from minidb.exceptions import CorruptionError

if TYPE_CHECKING:
    import lmdb


class Begun(NamedTuple):
    """A checkpoint whose first step is done."""

    pin: lmdb.Transaction[bytes]
    place: Place
    metas: meta_pages.MetaPages
    sequence: int


class Checkpoints:
    """The checkpoints of one open environment. All methods REQUIRE the checkpoint lock if not said otherwise."""

    def __init__(self, folder: Path, raw: lmdb.Environment) -> None:
        self._folder = folder
        self._raw = raw
        self._data = os.open(folder / DATA_FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self.log: Log | None = None
        self.steady: SteadyFile | None = None
        self.pin: lmdb.Transaction[bytes] | None = None
        self._pinned_id = -1  # its transaction; to ask it is not safe, since another thread may end it meanwhile
        self._lasting = -1  # the newest record of the steady file that this process knows to be on the disk

    def live(self) -> Live | None:
        """Return what the processes tell each other; None where there has never been a log. REQUIRES the apply lock."""
        steady = self.steady
        if steady is None:
            try:
                steady = SteadyFile(self._folder / FILE)
            except FileNotFoundError:
                return None
            self.log = Log(self._folder)
            self.steady = steady
        return steady.live()

    def begin(self) -> Begun:
        """Do the first step. REQUIRES the apply lock, too. Raises ``OSError``."""
        live = self.live()
        log = self.log
        if log is None:
            log = self.log = Log(self._folder)
        pin = self._raw.begin()
        metas = meta_pages.read(self._data)
        # The pin's own, or one more, of a process that was killed as its commit was about to become visible.
        newest_id = metas.transaction_id
        if live is None or self.steady is None:
            log.reserve()
            return Begun(pin, self._begin_segment(log, 0, newest_id), metas, 0)
        recorded = self.steady.newest()
        if recorded is None:
            raise CorruptionError("The record of the steady snapshot is damaged", path=str(self.steady.path))
        if recorded.sequence != self._lasting:  # the process that wrote it may have been killed before it was flushed
            self.steady.record(recorded)
            flush_folder(self._folder)
            self._lasting = recorded.sequence
        number = live.segment if live.is_in_use else recorded.place.segment
        if not live.is_in_use or recorded.place.segment == number:
            place = self._begin_segment(log, number + 1, newest_id)
        else:  # a checkpoint was cut short: both files are needed still
            if not log.find(number, newest_id + 1):  # what follows must wait until this checkpoint is recorded
                self.steady.set_broken(is_broken=True)
            assert log.end is not None, "the segment in use was begun"
            place = log.end._replace(transaction_id=newest_id)
            log.start_at(place)
        return Begun(pin, place, metas, recorded.sequence + 1)

    def _begin_segment(self, log: Log, number: int, newest_id: int) -> Place:
        place = log.begin_segment(number, newest_id)
        if self.steady is not None:
            self.steady.use_segment(number)
        log.start_at(place)
        return place

    def write_back(self, is_hurried: Callable[[], bool]) -> None:
        """Prepare for the other steps, so that commits do not wait for all of it at once; less if it is hurried."""
        write_back.gently(self._data, is_hurried)

    def finish(self, begun: Begun, *, is_closed: bool = False) -> None:
        """Do the other steps. Raises ``OSError`` and ``lmdb.Error``."""
        self._raw.sync(True)  # noqa: FBT003  # the binding's signature
        if self.is_poisoned:
            raise FlushFailedError(errno.EIO, "another flush has failed meanwhile")
        steady = Steady(
            begun.sequence,
            is_closed,
            begun.place,
            self._raw.info()["map_size"],
            begun.metas.root_checksum(self._data),
            begun.metas,
        )
        if self.steady is None:
            self.steady = SteadyFile.create(self._folder / FILE, steady)
            flush_folder(self._folder)
        else:
            self.steady.record(steady)
            self.steady.set_broken(is_broken=False)
        self._lasting = steady.sequence
        before, self.pin, self._pinned_id = self.pin, begun.pin, begun.place.transaction_id
        if before is not None:
            before.abort()

    @property
    def is_poisoned(self) -> bool:
        """Whether a flush has failed, of this process or of another one. REQUIRES no lock."""
        return self.steady is not None and self.steady.live().is_poisoned

    @property
    def is_pin_outdated(self) -> bool:
        """Whether another process has a newer steady snapshot, so that the pin keeps room from being used again."""
        steady = self.steady
        if self.pin is None or steady is None:
            return False
        newest = steady.newest()
        return newest is not None and newest.place.transaction_id > self._pinned_id

    def reset(self, begun: Begun) -> None:
        """Tell that no log is in use. REQUIRES to be alone, and that the checkpoint was recorded as closed."""
        if self.steady is not None:
            self.steady.reset(begun.place.segment)

    def unpin(self) -> None:
        """Let go of the pin. REQUIRES the apply lock, or that nothing is written any more."""
        pin, self.pin = self.pin, None
        if pin is not None:
            pin.abort()

    def close(self) -> None:
        """Let go of everything."""
        self.unpin()
        os.close(self._data)
        if self.log is not None:
            self.log.close()
        if self.steady is not None:
            self.steady.close()
