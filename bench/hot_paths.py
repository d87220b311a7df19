"""The hot paths, each so often that its instructions can be counted: the program that ``bench.instructions`` watches.

A call of ``os.getppid``, which nothing here makes otherwise, stands before and after each: whoever counts begins anew
there. Sections are named, in their order, on the output.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench import rows
from bench.adapters.minidb_adapter import SCHEMA
from minidb import MiniDB

MAX_SIZE_BYTES: Final = 1 << 30
"""Valgrind has no room for the map that a database has otherwise."""

NOTHING: Final = "nothing"
"""The loop around each path: what is counted for it is no path's own."""

_ROWS: Final = 5_000
_ID: Final = 777
_CALLS: Final = 500
_FEW_CALLS: Final = 100
_WARM_UP_CALLS: Final = 50

Count = Callable[[str, int, Callable[[], object]], None]


def walk(count: Count) -> None:
    """Hand each path to ``count``: its name, how often, and one call of it."""
    with tempfile.TemporaryDirectory() as folder, _database(Path(folder)) as database:
        users = database.get_table("users")
        columns = next(rows.dictionaries(1))
        city = next(city for city in rows.CITIES if city != columns["city"])
        count(NOTHING, _CALLS, lambda: None)
        count("point_read", _CALLS, lambda: users.query(_ID))
        with database.begin_transaction(read_only=True):
            count("point_read_in_transaction", _CALLS, lambda: users.query(_ID))
            count("query_by_index", _FEW_CALLS, lambda: database.query_by_index("users", "city", city))
            count("find_and_limit", _FEW_CALLS, lambda: users.find(city=city).limit(5).all())
        with database.begin_transaction():
            count("insert_in_transaction", _FEW_CALLS, lambda: users.insert(columns))
        # At the end: what the commit log's thread does after commits would be counted with what came next.
        count("insert_and_commit", _FEW_CALLS, lambda: users.insert(columns))


@contextmanager
def _database(folder: Path) -> Iterator[MiniDB]:
    with MiniDB(folder / "database", max_size_bytes=MAX_SIZE_BYTES) as database:
        database.create_table("users", SCHEMA).insert_many(rows.dictionaries(_ROWS))
        yield database


def _between_marks(name: str, calls: int, call: Callable[[], object]) -> None:
    for _ in range(_WARM_UP_CALLS):
        call()
    sys.stdout.write(f"{name} {calls}\n")
    # A collection falls into one path or another, and takes as much as a hundred calls.
    gc.collect()
    gc.disable()
    os.getppid()
    for _ in range(calls):
        call()
    os.getppid()
    gc.enable()


if __name__ == "__main__":
    walk(_between_marks)
