"""How much of each workload is done on a database: drawn from one seed, the same for every rival and in every round."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from bench import rows

Item = TypeVar("Item")

Changes = Sequence[tuple[int, str]]
"""Ids, and the cities that they are to have."""

_SEED: Final = 4_711
READS_PER_BATCH: Final = 1000
FEW_ROWS: Final = 20
PAGE_ROWS: Final = 100
AGES_ASKED: Final = 10
"""The width of the ranges of ages."""

THREADS: Final = (1, 8, 32)
UPDATES_PER_TRANSACTION: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of each is done on a database of ``count`` rows whose ids begin at ``first_id``.

    Drawn from one seed: every rival, in every round, is asked for the same rows.
    """

    count: int
    first_id: int
    id_batches: Sequence[Sequence[int]]
    cities: Sequence[str]
    changes: Sequence[Changes]
    more_changes: Sequence[Changes]
    """Others: changes that were made once would be no changes when they are made again."""

    age_ranges: Sequence[tuple[int, int]]
    """First and last age of each."""

    scans: int
    commits: int
    shared_commits: int
    """By all threads together."""

    lone_commits: int
    """By one thread: so many that checkpoints run meanwhile."""


def make_plan(count: int, first_id: int, share: float = 1.0) -> Plan:
    """Return the plan for a database of this size; small ones are for trying out.

    ``share`` is how much of it a slow rival does: the first part of what the others do.
    """
    draw = random.Random(_SEED)  # noqa: S311  # the same plan in each process, no secret
    is_small = count < 10_000
    ids = range(first_id, first_id + count)

    def draw_changes() -> list[Changes]:
        return [
            [(row_id, draw.choice(rows.CITIES)) for row_id in draw.sample(ids, k=min(UPDATES_PER_TRANSACTION, count))]
            for _ in range(2 if is_small else 10)
        ]

    def part(items: list[Item]) -> list[Item]:
        return items[: max(2, round(len(items) * share))]

    def some(number: int) -> int:
        return max(10, round(number * share))

    return Plan(
        count=count,
        first_id=first_id,
        id_batches=part([draw.choices(ids, k=READS_PER_BATCH) for _ in range(2 if is_small else 20)]),
        cities=part(draw.sample(rows.CITIES, k=20 if is_small else 300)),
        changes=part(draw_changes()),
        more_changes=part(draw_changes()),
        age_ranges=part(
            [(low, low + AGES_ASKED - 1) for low in draw.choices(range(100 - AGES_ASKED), k=20 if is_small else 300)]
        ),
        scans=1 if is_small else 2,
        commits=some(10 if is_small else 500),
        shared_commits=THREADS[-1] * max(1, round((1 if is_small else 100) * share)),
        lone_commits=some(10 if is_small else 3000),
    )
