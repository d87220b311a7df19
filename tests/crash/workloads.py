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
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import get_args

from tests.crash.log_flaws import FLAWS, planted
from tests.crash.log_workloads import LOG_WORKLOADS, little_thresholds, recover
from tests.crash.operations import Hand
from tests.crash.run import Place, Run, WithoutFlush, Writer
from tests.crash.shim import Shim

from minidb import MiniDB
from minidb.options import Durability


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


def history(run: Run) -> None:
    """One writer whose commits are kept in a history, which is trimmed, and compacted with the rest."""
    with run.open() as database:
        database.start_history()
        writer = Writer(run, database, defines=True)
        for number in range(run.size // 4):
            writer.write(4)
            if number % 2:
                kept = database.history()
                assert kept is not None
                database.trim_history(kept.commit - 2)
            else:
                writer.compact(database)


LITTLE_SHARE = 0.5
"""So many of the runs of other workloads than those of the log meet what comes once in a thousand commits, too."""

BASIC: dict[str, tuple[Callable[[Run], None], int]] = {
    "create": (create, 2),
    "commits": (commits, 25),
    "definitions": (definitions, 20),
    "threads": (threads, 6),
    "reopen": (reopen, 6),
    "backup": (backup, 4),
    "restore": (restore, 4),
    "load": (load, 3),
    "compact": (compact, 4),
    "history": (history, 12),
}
WORKLOADS = {**BASIC, **LOG_WORKLOADS}
"""Each with the number of operations, of each writer, that a run of size 1 does."""

RECOVERY = "recovery"
"""What is done to a state that was found after a power failure, so that the power may fail in that, too."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=(*WORKLOADS, RECOVERY))
    parser.add_argument("folder", type=Path)
    parser.add_argument("trace", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("--size", type=int, default=1)
    parser.add_argument("--durability", choices=get_args(Durability), default="full")
    parser.add_argument("--acknowledge-early", action="store_true")
    parser.add_argument("--without-flush", choices=get_args(WithoutFlush))
    parser.add_argument("--flaw", choices=FLAWS)
    options = parser.parse_args()
    workload, operations = {**WORKLOADS, RECOVERY: (recover, 0)}[options.name]
    shim = Shim(options.folder, options.trace)
    run = Run(
        options.folder,
        options.seed,
        operations * options.size,
        options.durability,
        options.acknowledge_early,
        options.without_flush,
        shim,
    )
    draw = random.Random(f"{options.seed} thresholds")
    with ExitStack() as stack:
        stack.enter_context(planted(options.flaw))
        if options.name not in BASIC or draw.random() < LITTLE_SHARE:
            stack.enter_context(little_thresholds(draw))
        workload(run)


if __name__ == "__main__":
    main()
