"""Programs whose power fails: ``python -m tests.crash.workloads NAME FOLDER TRACE SEED``, under the shim.

Each records what it does to the database in ``FOLDER`` in the trace, and its ledgers beside it; an entry names its
writer. Two controls are wrong on purpose: ``--durability none``, and ``--acknowledge-early``, which acknowledges before
the call.
"""

from __future__ import annotations

import argparse
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from tests.crash.ledger import Entry
from tests.crash.operations import Author, Hand, Model, Operation, apply_to_model
from tests.crash.shim import Shim

from minidb import MiniDB
from minidb.options import Durability


@dataclass(frozen=True, slots=True)
class Run:
    """How a workload is run."""

    folder: Path
    seed: int
    size: int
    durability: Durability
    acknowledges_early: bool
    mark: Callable[[Entry], None]

    def open(self) -> MiniDB:
        return MiniDB(self.folder, durability=self.durability)

    def write(self, database: MiniDB, owner: str, *, defines: bool = False) -> None:
        """Be one writer, for as many operations as the size says."""
        hand = Hand(database, owner)
        self.mark({"writer": owner, "ready": 0})
        draw = random.Random(f"{self.seed} {owner}")
        model: Model = {}
        author = Author(draw, owner, defines=defines, most_rows=12, crowded=15)
        for _, operation in zip(range(self.size), author.operations(model), strict=False):
            self.do(hand, owner, operation)
            apply_to_model(model, operation)

    def do(self, hand: Hand, owner: str, operation: Operation) -> None:
        """Do an operation, with its entries in the ledger."""
        self.mark({"writer": owner, "try": operation})
        if self.acknowledges_early:
            self.mark({"writer": owner, "done": {}})
            hand.do(operation)
        else:
            self.mark({"writer": owner, "done": hand.do(operation)})


def create(run: Run) -> None:
    """A database comes into being, in a folder whose parents are not there yet, and gets its first rows."""
    with run.open() as database:
        hand = Hand(database, "0")
        run.mark({"writer": "0", "ready": 0})
        author = Author(random.Random(run.seed), "0")
        model: Model = {}
        for _, operation in zip(range(2), author.operations(model), strict=False):
            run.do(hand, "0", operation)
            apply_to_model(model, operation)


def commits(run: Run) -> None:
    """One writer: inserts, updates, deletes, transactions, values of several pages."""
    with run.open() as database:
        run.write(database, "0")


def definitions(run: Run) -> None:
    """One writer that also makes and drops indexes and tables with rows in them."""
    with run.open() as database:
        run.write(database, "0", defines=True)


def threads(run: Run) -> None:
    """Six writers that commit at once."""
    with run.open() as database:
        Hand(database, "0")
        errors: list[BaseException] = []

        def work(owner: str) -> None:
            try:
                run.write(database, owner)
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
    hand_of: Model = {}
    author = Author(random.Random(run.seed), "0", most_rows=12, crowded=15)
    operations = author.operations(hand_of)
    for number in range(run.size):
        with run.open() as database:
            hand = Hand(database, "0")
            if number == 0:
                run.mark({"writer": "0", "ready": 0})
            operation = next(operations)
            run.do(hand, "0", operation)
            apply_to_model(hand_of, operation)


WORKLOADS: dict[str, tuple[Callable[[Run], None], int]] = {
    "create": (create, 1),
    "commits": (commits, 25),
    "definitions": (definitions, 20),
    "threads": (threads, 6),
    "reopen": (reopen, 6),
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
    options = parser.parse_args()
    workload, operations = WORKLOADS[options.name]
    shim = Shim(options.folder, options.trace)
    run = Run(
        options.folder / "new" / "database",
        options.seed,
        operations * options.size,
        options.durability,
        options.acknowledge_early,
        shim.mark,
    )
    workload(run)


if __name__ == "__main__":
    main()
