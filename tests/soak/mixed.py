"""Everything at once: forked processes, threads and asyncio loops on one folder, and money that must not get lost.

Each worker transfers money between accounts, and inserts, changes, finds and deletes rows of its own. The sum of all
balances is the same in every snapshot, by the rows and by the index. No call may fail but with what its operation asks
for, or with a ``WriteTimeoutError`` that names the holder of the lock. In the end every row and every counted visit is
where its worker's account of it says.

``is_torn`` is the negative control: a transfer is then two commits, and a snapshot must catch money on its way.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from minidb import MiniDB, Row, Table, where
from minidb.exceptions import UniqueViolationError, WriteTimeoutError
from minidb.schema import IntegerField, Schema, StringField

ACCOUNTS = 60
BRANCHES = 5
BALANCE = 100
ACCOUNT = Schema(branch=IntegerField(required=True, index=True), balance=IntegerField(required=True))
ITEM = Schema(
    name=StringField(required=True, unique=True),
    owner=StringField(required=True, index=True),
    size=IntegerField(required=True),
)
TASKS = 4
"""Of one asyncio loop, which counts as one more thread."""


class BrokenInvariantError(AssertionError):
    """What must hold in every snapshot did not hold in one."""


class CancelledTransferError(Exception):
    """Raised inside a transfer that is meant to be rolled back."""


class Worker:
    """One thread or task. It alone touches its items."""

    def __init__(self, database: MiniDB, name: str, seed: int, *, is_torn: bool) -> None:
        self.met: Counter[str] = Counter()
        """How often each operation was done, and ``WriteTimeoutError`` was met."""
        self._database = database
        self._name = name
        self._draw = random.Random(f"{seed} {name}")
        self._is_torn = is_torn
        self._accounts: Table[Row] = database.table("accounts", ACCOUNT)
        self._items: Table[Row] = database.table("items", ITEM)
        self._mine: dict[int, Row] = {}
        self._items_named = 0

    def step(self) -> None:
        """Do one operation, drawn at random."""
        operations: list[Callable[[], None]] = [self.transfer, self.audit, self.insert, self.change, self.find]
        operations += [self.delete, self.insert_twice, self.visit, self.insert_many]
        (operation,) = self._draw.choices(operations, (6, 4, 4, 3, 3, 4, 1, 2, 1))
        try:
            operation()
        except WriteTimeoutError as error:
            if error.pid is None:
                raise
            self.met["WriteTimeoutError"] += 1
        else:
            self.met[operation.__name__] += 1

    def transfer(self) -> None:
        source, target = self._draw.sample(range(1, ACCOUNTS + 1), 2)
        amount = self._draw.randint(1, 20)
        if self._is_torn:
            self._accounts.update(source, balance=self._accounts.query(source)["balance"] - amount)
            self._accounts.update(target, balance=self._accounts.query(target)["balance"] + amount)
            return
        try:
            with self._database.begin_transaction():
                self._add(source, -amount)
                try:
                    with self._database.begin_transaction():  # a savepoint
                        self._add(target, 2 * amount)
                        if self._draw.random() < 0.5:
                            raise CancelledTransferError
                        self._add(target, -amount)
                except CancelledTransferError:
                    self._add(target, amount)
                if self._draw.random() < 0.2:
                    raise CancelledTransferError
        except CancelledTransferError:
            pass

    def _add(self, account: int, amount: int) -> None:
        self._accounts.update(account, balance=self._accounts.query(account)["balance"] + amount)

    def audit(self) -> None:
        with self._database.begin_transaction(read_only=True):
            by_rows = sum(row["balance"] for row in self._accounts.scan())
            by_branch = [
                row for branch in range(BRANCHES) for row in self._database.query_by_index("accounts", "branch", branch)
            ]
        _require(by_rows == ACCOUNTS * BALANCE, "money was lost or made")
        _require(sum(row["balance"] for row in by_branch) == by_rows, "the index and the rows are not of one snapshot")

    def insert(self) -> None:
        row = self._new_item()
        self._mine[self._items.insert(row)] = row

    def insert_many(self) -> None:
        rows = [self._new_item() for _ in range(20)]
        self._mine.update(zip(self._items.insert_many(rows), rows, strict=True))

    def insert_twice(self) -> None:
        if self._mine:
            try:
                self._items.insert(self._draw.choice(list(self._mine.values())))
            except UniqueViolationError:
                return
            raise BrokenInvariantError("a unique value was taken twice")

    def change(self) -> None:
        if self._mine:
            item = self._draw.choice(list(self._mine))
            self._mine[item] = self._items.update(item, size=self._draw.randint(0, 1000))

    def delete(self) -> None:
        for item in self._draw.sample(list(self._mine), min(len(self._mine), 5)):
            self._items.delete(item)
            del self._mine[item]

    def find(self) -> None:
        size = self._draw.randint(0, 1000)
        found = self._items.find(where("size") >= size, owner=self._name).all()
        _require(
            {row.id for row in found} == {item for item, row in self._mine.items() if row["size"] >= size},
            "a query does not find what its worker has written",
        )

    def visit(self) -> None:
        self._database.mapping("visits").increment(self._draw.choice("abc"))

    def check_own(self) -> None:
        """Check all that this worker has written."""
        found = {row.id: row.columns for row in self._database.query_by_index("items", "owner", self._name)}
        _require(found == {item: row.columns for item, row in self._mine.items()}, "a worker's rows are not as written")

    def _new_item(self) -> Row:
        self._items_named += 1
        return Row(name=f"{self._name} {self._items_named}", owner=self._name, size=self._draw.randint(0, 1000))


def _require(is_right: bool, what: str) -> None:
    if not is_right:
        raise BrokenInvariantError(what)


def _work_in_process(
    database: MiniDB, process: int, threads: int, operations: int, seed: int, *, is_torn: bool
) -> tuple[Counter[str], list[str]]:
    """Run the threads of one process, the last of them an asyncio loop. Return what was met, and what went wrong."""
    workers = [Worker(database, f"{process}.{number}", seed, is_torn=is_torn) for number in range(threads + TASKS)]
    errors: list[str] = []

    def guard(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException:  # noqa: BLE001  # told to whoever waits for the process
            errors.append(traceback.format_exc())

    def run(worker: Worker) -> None:
        for _ in range(operations):
            worker.step()
        worker.check_own()

    async def run_task(worker: Worker) -> None:
        for number in range(operations // TASKS):
            if number % 2:
                await asyncio.to_thread(worker.step)
            else:
                worker.step()
                await asyncio.sleep(0)
        worker.check_own()

    async def run_loop() -> None:
        await asyncio.gather(*map(run_task, workers[threads:]))

    bodies: list[Callable[[], object]] = [lambda: asyncio.run(run_loop())]
    bodies += [partial(run, worker) for worker in workers[:threads]]
    running = [threading.Thread(target=guard, args=(body,)) for body in bodies]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum((worker.met for worker in workers), Counter()), errors


def run_mixed(
    folder: Path, *, processes: int, threads: int, operations: int, seed: int, is_torn: bool = False
) -> Counter[str]:
    """Do about so many operations in all, and return how often each was done. Raises ``BrokenInvariantError``.

    REQUIRES a process without other threads: it forks, with the database open.
    """
    path = folder / "database"
    with MiniDB(path, max_connections=threads + TASKS + 10) as database:
        accounts = database.create_table("accounts", ACCOUNT)
        accounts.insert_many(Row(branch=number % BRANCHES, balance=BALANCE) for number in range(ACCOUNTS))
        items = database.create_table("items", ITEM)
        each = max(TASKS, operations // (processes * (threads + 1)))
        children = []
        for process in range(processes):
            pid = os.fork()
            if pid == 0:
                met, errors = Counter[str](), ["the process did not get so far"]
                try:
                    met, errors = _work_in_process(database, process, threads, each, seed, is_torn=is_torn)
                finally:
                    (folder / f"met-{process}").write_text(json.dumps([met, errors]))
                    os._exit(0)
            children.append(pid)
        for pid in children:
            os.waitpid(pid, 0)
        met = Counter[str]()
        for process in range(processes):
            of_process, errors = json.loads((folder / f"met-{process}").read_text())
            met.update(of_process)
            _require(not errors, "\n".join(errors))
        _require(sum(database.mapping("visits").values()) == met["visit"], "a counted visit was lost")
        _require(sum(row["balance"] for row in accounts.scan()) == ACCOUNTS * BALANCE, "money was lost or made")
        _require(database.verify().ok, "verify has findings")
        _require(items.count() == len(list(items.scan())), "count is not the number of rows")
    return met
