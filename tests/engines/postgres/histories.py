"""List-append: random transactions of many processes, and whether some order of them explains what they saw.

Each transaction reads lists and appends numbers of its own to some. The lists that are there at the end give the order
of the appends; what was read then says which transaction came before which. A circle means that no order explains it.

``python -m tests.engines.postgres.histories URL SEED TRANSACTIONS`` is one such process; it prints a line for each
transaction.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from minidb import MiniDB
from minidb.exceptions import ConflictError

KEYS = [f"k{number}" for number in range(6)]


class Committed(NamedTuple):
    """What a transaction did, in its order: ``("read", key, list)`` or ``("append", key, number)``."""

    steps: list[tuple[str, str, list[int] | int]]


def work(url: str, seed: int, transactions: int) -> None:
    """Run random transactions, and print those that were committed."""
    chance = random.Random(seed)
    with MiniDB(url, durability="none") as database:
        lists = database.mapping("lists")
        for number in range(transactions):
            plan = [
                (chance.choice(("read", "append")), chance.choice(KEYS), seed * 1_000_000 + number * 10 + place)
                for place in range(chance.randrange(1, 5))
            ]

            def body(plan: list[tuple[str, str, int]] = plan) -> list[tuple[str, str, list[int] | int]]:
                steps: list[tuple[str, str, list[int] | int]] = []
                for what, key, mine in plan:
                    found = lists.get(key, [])
                    if what == "read":
                        steps.append((what, key, found))
                    else:
                        lists[key] = [*found, mine]
                        steps.append((what, key, mine))
                return steps

            try:
                steps = database.run(body)
            except ConflictError:
                continue  # ten times in vain: it was surely not committed
            print(json.dumps(steps), flush=True)


def what_is_wrong(history: Iterable[Committed], final: Mapping[str, list[int]]) -> str | None:
    """Return what no order of the transactions explains, or None."""
    transactions = list(history)
    writers = {
        (key, value): place
        for place, one in enumerate(transactions)
        for what, key, value in one.steps
        if what == "append" and isinstance(value, int)
    }
    for key, number in writers:
        if final.get(key, []).count(number) != 1:
            return f"an append to {key} is lost"
    if sum(map(len, final.values())) != len(writers):
        return "an append of nobody is there"
    after: dict[int, set[int]] = {place: set() for place in range(len(transactions))}

    def comes_first(first: int, second: int) -> None:
        if first != second:
            after[first].add(second)

    for key, values in final.items():
        for earlier, later in pairwise(values):
            comes_first(writers[key, earlier], writers[key, later])
    for place, one in enumerate(transactions):
        for _, key, value in one.steps:
            if isinstance(value, int):
                continue
            values = final.get(key, [])
            if value != values[: len(value)]:
                return f"a list of {key} was read that never was"
            if value:
                comes_first(writers[key, value[-1]], place)
            if len(value) < len(values):
                comes_first(place, writers[key, values[len(value)]])
    return "the transactions form a circle" if _has_circle(after) else None


def _has_circle(after: Mapping[int, set[int]]) -> bool:
    waits = dict.fromkeys(after, 0)
    for followers in after.values():
        for one in followers:
            waits[one] += 1
    free = [one for one, count in waits.items() if count == 0]
    done = 0
    while free:
        done += 1
        for one in after[free.pop()]:
            waits[one] -= 1
            if waits[one] == 0:
                free.append(one)
    return done < len(after)


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
