"""A run of a workload: where it writes, how it opens the database, and what its ledgers say of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal
from unittest.mock import patch

from tests.crash.operations import Author, Hand, Model, Operation, apply_to_model
from tests.crash.shim import Shim

from minidb import MiniDB
from minidb.engines.lmdb import folder
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.maintenance import whole_file
from minidb.maintenance.whole_file import WholeFile
from minidb.options import Durability

WithoutFlush = Literal["contents", "names"]


class Place(StrEnum):
    """The database and its copies, below the folder that is watched, in which nothing is at first."""

    DATABASE = "new/database"
    BACKUP = "new/database.minidb"
    BACKUPS = "new/backups"
    LOADED = "copies/loaded"


@dataclass(frozen=True, slots=True)
class Run:
    """How a workload is run."""

    root: Path
    seed: int
    size: int
    durability: Durability
    acknowledges_early: bool
    without_flush: WithoutFlush | None
    shim: Shim
    has_log: bool = True

    @property
    def folder(self) -> Path:
        """The database's."""
        return self.root / Place.DATABASE

    def open(self) -> MiniDB:
        return MiniDB(self.folder, durability=self.durability, commit_log=self.has_log)

    @property
    def is_relaxed(self) -> bool:
        """Whether what is acknowledged need not be on the disk."""
        return self.durability == "relaxed"

    def with_options(self, *, durability: Durability = "full", has_log: bool = True) -> Run:
        """Return the same run with other options."""
        return replace(self, durability=durability, has_log=has_log)

    def do(
        self, owner: str, operation: Operation, act: Callable[[], Mapping[str, int]], place: Place = Place.DATABASE
    ) -> None:
        """Do an operation, with its entries in the ledger of the place. ``act`` returns the ids of what it leaves."""
        head = {"place": place, "writer": owner}
        self.shim.mark({**head, "try": operation})
        done = {} if self.acknowledges_early else act()
        if place != Place.DATABASE:
            self.shim.mark({**head, "ready": 0})
        self.shim.mark({**head, "done": dict(done)})
        if self.acknowledges_early:
            act()


class Writer:
    """One writer, and what it knows to be in the database."""

    def __init__(self, run: Run, database: MiniDB, owner: str = "0", *, defines: bool = False) -> None:
        self._run = run
        self._owner = owner
        self.model: Model = {}
        author = Author(random.Random(f"{run.seed} {owner}"), owner, defines=defines, most_rows=12, crowded=15)
        self._operations = author.operations(self.model)
        self.open(database)
        run.shim.mark({"place": Place.DATABASE, "writer": owner, "ready": 0, "relaxed": run.is_relaxed})

    def open(self, database: MiniDB) -> None:
        """Go on with the same database, opened again."""
        self._hand = Hand(database, self._owner)

    def write(self, count: int) -> None:
        """Do so many operations."""
        for operation in islice(self._operations, count):
            self._run.do(self._owner, operation, partial(self._hand.do, operation))
            apply_to_model(self.model, operation)

    def synced(self) -> None:
        """Say that all that is done is on the disk."""
        self._run.shim.mark({"place": Place.DATABASE, "writer": self._owner, "synced": True})

    def compact(self, database: MiniDB) -> None:
        """Build the database anew, with all that is in it."""
        self._replace(Place.DATABASE, self.model, database.compact)

    def restore(self, source: Path, model: Model) -> None:
        """Have the closed database replaced with a backup, which holds what the model says."""
        self._replace(Place.DATABASE, model, partial(MiniDB.restore, source, self._run.folder, overwrite=True))
        apply_to_model(self.model, {"kind": "replace", "model": model})

    def copy(self, place: Place, act: Callable[[Path], object]) -> None:
        """Have all that is there copied to a place."""
        self._replace(place, self.model, partial(act, self._run.root / place))

    def _replace(self, place: Place, model: Model, act: Callable[[], object]) -> None:
        def act_and_know() -> Mapping[str, int]:
            with _flaw(self._run.without_flush):
                act()
            return {token: self._hand.ids[token] for token in model if token in self._hand.ids}

        self._run.do(self._owner, {"kind": "replace", "model": dict(model)}, act_and_know, place)


@contextmanager
def _flaw(without_flush: WithoutFlush | None) -> Iterator[None]:
    """Let backups and replacements be wrong on purpose."""
    with ExitStack() as stack:
        if without_flush == "contents":
            stack.enter_context(patch.object(WholeFile, "flush", lambda whole: whole.file.flush()))
            stack.enter_context(patch.object(LmdbEngine, "sync", lambda _: None))
        elif without_flush == "names":
            for module in (whole_file, folder):
                stack.enter_context(patch.object(module, "flush_folder", lambda _: None))
        yield
