"""Are histories of many transactions at once serializable? ``python -m tests.isolation.list_append``.

Transactions append numbers, each used once, to lists and read lists. So a list that was read tells which transactions
wrote it, and in which order; from all of them follows who must have come before whom:

- ww: who appended the next element came after who appended the one before;
- wr: who read a list came after who appended its last element;
- rw: who appended the next element came after who read the list without it;
- and whoever began after another had ended, by the clock of the machine, came after it.

A circle in this graph is a history that no serial order explains. This is the method of Kingsbury and Alvaro, "Elle:
Inferring Isolation Anomalies from Experimental Observations" (2020).

``--control stale-reads`` lets transactions read from an earlier snapshot than they write to: circles must be found.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.crash.harness import new_seed
from tests.crash.shim import FAST_FOLDER

from minidb import MiniDB, Row, Table
from minidb.exceptions import ConflictError
from minidb.schema import IntegerField, ListField, Schema

KEYS = 6
LISTS = Schema(key=IntegerField(primary_key=True), elements=ListField(IntegerField(), required=True))


@dataclass(frozen=True, slots=True)
class Done:
    """A transaction that was committed, or rolled back, as by a conflict: what it read and appended, and when it ran.

    ``reads`` are the lists before its own appends, by key.
    """

    reads: Mapping[int, Sequence[int]]
    appends: Mapping[int, int]
    begun_ns: int
    ended_ns: int
    is_committed: bool = True


# --- the checker ------------------------------------------------------------------------------------------------------


def faults_of(history: Sequence[Done], final: Mapping[int, Sequence[int]]) -> list[str]:
    """Say what is wrong with a history, given the lists as they are in the end. Nothing: it is serializable."""
    committed = [one for one in history if one.is_committed]
    writers = {element: place for place, one in enumerate(committed) for element in one.appends.values()}
    faults = []
    for key, elements in final.items():
        appended = {one.appends[key] for one in committed if key in one.appends}
        if set(elements) != appended or len(elements) != len(appended):
            faults.append(f"list {key} has lost appends, or has some that were rolled back, or has some twice")
    for one in committed:
        for key, elements in one.reads.items():
            if list(elements) != list(final[key][: len(elements)]):
                faults.append(f"list {key} was read as it never was")
    if faults:
        return faults
    edges = [sorted({*after}) for after in _edges(committed, final, writers)]
    return [f"{len(circle)} transactions in a circle" for circle in _circles(edges)]


def _edges(
    committed: Sequence[Done], final: Mapping[int, Sequence[int]], writers: Mapping[int, int]
) -> list[list[int]]:
    """Return for each transaction those that must come after it."""
    after: list[list[int]] = [[] for _ in committed]

    def add(first: int, second: int) -> None:
        if first != second:
            after[first].append(second)

    for elements in final.values():
        for element, following in pairwise(elements):
            add(writers[element], writers[following])
    for place, one in enumerate(committed):
        for key, elements in one.reads.items():
            if elements:
                add(writers[elements[-1]], place)
            if len(elements) < len(final[key]):
                add(place, writers[final[key][len(elements)]])
    last_ended: set[int] = set()  # enough of those that have ended: the others come before one of them
    moments = [(one.begun_ns, 1, place) for place, one in enumerate(committed)]
    moments += [(one.ended_ns, 0, place) for place, one in enumerate(committed)]
    for _, is_beginning, place in sorted(moments):
        if is_beginning:
            for ended in last_ended:
                add(ended, place)
        else:
            last_ended = {one for one in last_ended if committed[one].ended_ns >= committed[place].begun_ns}
            last_ended.add(place)
    return after


def _circles(after: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yield the strongly connected components of more than one node (Tarjan's algorithm, without recursion)."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    for root in range(len(after)):
        if root in index:
            continue
        work = [(root, iter(after[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, following = work[-1]
            for one in following:
                if one not in index:
                    index[one] = low[one] = len(index)
                    stack.append(one)
                    on_stack.add(one)
                    work.append((one, iter(after[one])))
                    break
                if one in on_stack:
                    low[node] = min(low[node], index[one])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component: list[int] = []
                    while not component or component[-1] != node:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                    if len(component) > 1:
                        yield component


# --- the run ----------------------------------------------------------------------------------------------------------


class Client:
    """One thread that runs transactions and notes down what they did."""

    def __init__(self, database: MiniDB, number: int, seed: int, *, reads_stale: bool) -> None:
        self.history: list[Done] = []
        self._database = database
        self._table: Table[Row] = database.table("lists", LISTS)
        self._draw = random.Random(f"{seed} {number}")
        self._next = number * 1_000_000
        self._reads_stale = reads_stale

    def run(self, transactions: int) -> None:
        for _ in range(transactions):
            self._run_one()

    def _run_one(self) -> None:
        draw = self._draw
        keys = draw.sample(range(KEYS), draw.randint(1, 3))
        to_append = [key for key in keys if draw.random() < 0.5]
        is_committed = draw.random() < 0.9 or not to_append
        appends = {}
        begun_ns = time.monotonic_ns()
        reads = self._read(keys) if self._reads_stale else {}
        try:
            with self._database.begin_transaction(read_only=not to_append) as transaction:
                if not self._reads_stale:
                    reads = self._read(keys)
                for key in to_append:
                    self._next += 1
                    appends[key] = self._next
                    self._table.update(key, elements=[*self._table.query(key)["elements"], self._next])
                if not is_committed:
                    transaction.rollback()
        except ConflictError:  # where many write at once: surely not committed
            is_committed = False
        self.history.append(Done(reads, appends, begun_ns, time.monotonic_ns(), is_committed))

    def _read(self, keys: Sequence[int]) -> dict[int, list[int]]:
        return {key: self._table.query(key)["elements"] for key in keys}


def run(
    location: str,
    folder: Path,
    *,
    processes: int,
    threads: int,
    transactions: int,
    seed: int,
    reads_stale: bool = False,
) -> tuple[list[Done], dict[int, list[int]]]:
    """Run transactions in so many threads of so many processes; return the history, and the lists in the end.

    ``folder`` is for notes. REQUIRES a process without other threads: it forks, but for a database in memory.
    """
    with MiniDB(location, max_connections=threads + 2, durability="none") as database:
        table = database.create_table("lists", LISTS)
        table.insert_many([Row(key=key, elements=[]) for key in range(KEYS)])
        each = transactions // (processes * threads)
        if location == ":memory:":
            history = _run_threads(database, 0, threads, each, seed, reads_stale=reads_stale)
        else:
            history = []
            for part in _fork(database, folder, processes, threads, each, seed, reads_stale=reads_stale):
                history += part
        return history, {row["key"]: row["elements"] for row in table.scan()}


def _run_threads(
    database: MiniDB, process: int, threads: int, each: int, seed: int, *, reads_stale: bool
) -> list[Done]:
    clients = [
        Client(database, process * threads + number + 1, seed, reads_stale=reads_stale) for number in range(threads)
    ]
    running = [threading.Thread(target=client.run, args=(each,)) for client in clients]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert all(len(client.history) == each for client in clients), "a client failed"
    return [one for client in clients for one in client.history]


def _fork(
    database: MiniDB, folder: Path, processes: int, threads: int, each: int, seed: int, *, reads_stale: bool
) -> Iterator[list[Done]]:
    children = []
    for process in range(processes):
        pid = os.fork()
        if pid == 0:
            try:
                history = _run_threads(database, process, threads, each, seed, reads_stale=reads_stale)
                facts = [
                    [list(one.reads.items()), list(one.appends.items()), one.begun_ns, one.ended_ns, one.is_committed]
                    for one in history
                ]
                (folder / f"history-{process}").write_text(json.dumps(facts))
            finally:
                os._exit(0)
        children.append(pid)
    for process, pid in enumerate(children):
        os.waitpid(pid, 0)
        facts = json.loads((folder / f"history-{process}").read_text())
        yield [Done(dict(reads), dict(appends), *rest) for reads, appends, *rest in facts]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.isolation.list_append", description=__doc__)
    parser.add_argument("--location", default="", help="a server's URL, or :memory:; otherwise a new folder")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--transactions", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--control", choices=["stale-reads"])
    options = parser.parse_args()
    seed = new_seed() if options.seed is None else options.seed
    with tempfile.TemporaryDirectory(prefix="minidb-lists-", dir=FAST_FOLDER) as folder:
        history, final = run(
            options.location or str(Path(folder) / "database"),
            Path(folder),
            processes=1 if options.location == ":memory:" else options.processes,
            threads=options.threads,
            transactions=options.transactions,
            seed=seed,
            reads_stale=options.control is not None,
        )
    faults = faults_of(history, final)
    committed = sum(one.is_committed for one in history)
    facts = {"seed": seed, "transactions": len(history), "committed": committed, "faults": len(faults)}
    print(json.dumps({**facts, "first_faults": faults[:5]}))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
