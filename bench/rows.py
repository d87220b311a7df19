"""The rows that every rival stores: a function of their number, and next to free to make.

Row ``number`` (from 0) holds the values of one of ``POOL_SIZE`` people who were drawn once from a seeded generator, so
that any answer can be foretold without a database, and so that a bulk insert measures the insert and not the making of
names.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Final

Values = tuple[str, int, str, float, bool]
"""Name, age, city, score, active."""

COLUMNS: Final = ("name", "age", "city", "score", "active")
MAX_NAME_LENGTH: Final = 100

_SEED: Final = 20_240_229
POOL_SIZE: Final = 10_007
"""Prime, so that no workload that walks the rows in steps meets the same few people."""

CITIES: Final = tuple(f"city {number:03d}" for number in range(500))


def _draw_people() -> tuple[Values, ...]:
    draw = random.Random(_SEED)  # noqa: S311  # the same rows in each process, no secret
    letters = "abcdefghijklmnopqrstuvwxyz"
    return tuple(
        (
            "".join(draw.choices(letters, k=draw.randint(4, 9))).title()
            + " "
            + "".join(draw.choices(letters, k=draw.randint(5, 14))).title(),
            draw.randint(0, 99),
            draw.choice(CITIES),
            draw.random() * 1000,
            draw.random() < 0.5,
        )
        for _ in range(POOL_SIZE)
    )


_PEOPLE: Final = _draw_people()


def row(number: int) -> Values:
    """Return the values of one row."""
    return _PEOPLE[number % POOL_SIZE]


def tuples(count: int, first: int = 0) -> Iterator[Values]:
    """Yield the values of ``count`` rows from row ``first`` on."""
    yield from islice(cycle(_PEOPLE), first % POOL_SIZE, first % POOL_SIZE + count)


def dictionaries(count: int, first: int = 0) -> Iterator[dict[str, object]]:
    """Yield ``count`` rows from row ``first`` on, each as a new dict of its columns."""
    for name, age, city, score, active in islice(cycle(_PEOPLE), first % POOL_SIZE, first % POOL_SIZE + count):
        yield {"name": name, "age": age, "city": city, "score": score, "active": active}
