"""Programs whose power fails: ``python -m tests.crash.workloads NAME FOLDER TRACE SEED``, under the shim.

Each records what it does below ``FOLDER`` in the trace, and its ledgers among that. An entry names its writer and the
*place* that it is about: the database, or a copy of it, which has a ledger of its own. Three controls are wrong on
purpose: ``--durability none``; ``--acknowledge-early``, which acknowledges before the call; and ``--without-flush``,
which leaves out the flushes of what is copied, or of the names that are given to it.
"""

from __future__ import annotations

import argparse
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal, get_args
from unittest.mock import patch

from tests.crash.ledger import Entry
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
    mark: Callable[[Entry], None]

    @property
    def folder(self) -> Path:
        """The database's."""
        return self.root / Place.DATABASE

    def open(self) -> MiniDB:
        return MiniDB(self.folder, durability=self.durability)

    def do(
        self, owner: str, operation: Operation, act: Callable[[], Mapping[str, int]], place: Place = Place.DATABASE
    ) -> None:
        """Do an operation, with its entries in the ledger of the place. ``act`` returns the ids of what it leaves."""
        head = {"place": place, "writer": owner}
        self.mark({**head, "try": operation})
        done = {} if self.acknowledges_early else act()
        if place != Place.DATABASE:
            self.mark({**head, "ready": 0})
        self.mark({**head, "done": dict(done)})
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
        run.mark({"place": Place.DATABASE, "writer": owner, "ready": 0})

    def open(self, database: MiniDB) -> None:
        """Go on with the same database, opened again."""
        self._hand = Hand(database, self._owner)

    def write(self, count: int) -> None:
        """Do so many operations."""
        for operation in islice(self._operations, count):
            self._run.do(self._owner, operation, partial(self._hand.do, operation))
            apply_to_model(self.model, operation)

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


def create(run: Run) -> None:
    """A database comes into being, in a folder whose parents are not there yet, and gets its first rows."""
    with run.open() as database:
        Writer(run, database).write(run.size)


def commits(run: Run) -> None:
    """One writer: inserts, updates, deletes, transactions, values of several pages."""
    with run.open() as database:
        Writer(run, database).write(run.size)


def definitions(run: Run) -> None:
    """One writer that also makes and drops indexes and tables with rows in them."""
    with run.open() as database:
        Writer(run, database, defines=True).write(run.size)


def threads(run: Run) -> None:
    """Six writers that commit at once."""
    with run.open() as database:
        Hand(database, "0")
        errors: list[BaseException] = []

        def work(owner: str) -> None:
            try:
                Writer(run, database, owner).write(run.size)
            except BaseException as error:
                errors.append(error)
                raise

        workers = [threading.Thread(target=work, args=(str(number),)) for number in range(6)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not errors


def reopen(run: Run) -> None:
    """One writer that closes the database and opens it again between its operations."""
    with run.open() as database:
        writer = Writer(run, database)
    for _ in range(run.size):
        with run.open() as database:
            writer.open(database)
            writer.write(1)


def backup(run: Run) -> None:
    """One writer that makes backups: over the one before, and as the only one kept of a folder that is to be made."""
    with run.open() as database:
        writer = Writer(run, database, defines=True)
        for _ in range(run.size // 2):
            writer.write(2)
            writer.copy(Place.BACKUP, database.backup)
            writer.copy(Place.BACKUPS, partial(database.backup, keep=1))


def restore(run: Run) -> None:
    """One writer whose database is replaced with what it was before the last operation, and written on."""
    with run.open() as database:
        writer = Writer(run, database, defines=True)
    source = run.folder.with_name("source")
    for _ in range(run.size // 2):
        with run.open() as database:
            writer.open(database)
            writer.write(1)
            database.backup(source)
            model = dict(writer.model)
            writer.write(1)
        writer.restore(source, model)


def load(run: Run) -> None:
    """A dump becomes a new database, in a folder whose parents are not there yet."""
    with run.open() as database:
        writer = Writer(run, database, defines=True)
        writer.write(run.size)
        dump = run.folder.with_name("dump")
        database.dump(dump)
    writer.copy(Place.LOADED, partial(MiniDB.load, dump))


def compact(run: Run) -> None:
    """One writer that has its open database compacted between its operations."""
    with run.open() as database:
        writer = Writer(run, database, defines=True)
        for _ in range(run.size // 2):
            writer.write(2)
            writer.compact(database)


WORKLOADS: dict[str, tuple[Callable[[Run], None], int]] = {
    "create": (create, 2),
    "commits": (commits, 25),
    "definitions": (definitions, 20),
    "threads": (threads, 6),
    "reopen": (reopen, 6),
    "backup": (backup, 4),
    "restore": (restore, 4),
    "load": (load, 3),
    "compact": (compact, 4),
}
"""Each with the number of operations, of each writer, that a run of size 1 does."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=WORKLOADS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("trace", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("--size", type=int, default=1)
    parser.add_argument("--durability", choices=get_args(Durability), default="full")
    parser.add_argument("--acknowledge-early", action="store_true")
    parser.add_argument("--without-flush", choices=get_args(WithoutFlush))
    options = parser.parse_args()
    workload, operations = WORKLOADS[options.name]
    shim = Shim(options.folder, options.trace)
    run = Run(
        options.folder,
        options.seed,
        operations * options.size,
        options.durability,
        options.acknowledge_early,
        options.without_flush,
        shim.mark,
    )
    workload(run)


if __name__ == "__main__":
    main()
