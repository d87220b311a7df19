"""The standard library's shelve: pickles in whatever ``dbm`` this Python has, all written out by one ``sync``."""

from __future__ import annotations

import dbm
import shelve
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import rows
from bench.adapters.port import Ability, Answer, Terms
from bench.adapters.rows_by_hand import checked
from bench.rows import Values

NO_TRANSACTIONS = "what is written reaches the file bit by bit"


class Adapter:
    """shelve."""

    version = "shelve"
    terms = Terms(
        lacks={
            Ability.TRANSACTIONS: NO_TRANSACTIONS,
            Ability.SNAPSHOTS: NO_TRANSACTIONS,
            Ability.RELAXED: NO_TRANSACTIONS,
            Ability.INDEXES: "values are found by their key only",
            Ability.COVERING: "no indexes",
            Ability.BACKUP: "no call for it",
            Ability.RECORDS: NO_TRANSACTIONS,
            Ability.RECORD_RANGES: "keys have no order",
        }
    )
    imports = "shelve"

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:
        path = str(folder / "users")
        # Any: a mapping of bytes, which its type does not tell. It is closed by close().
        held: Any = dbm.open(path, "n" if create else "r" if read_only else "w")  # noqa: SIM115  # as above
        self.version = f"shelve on {type(held).__module__}"
        self._shelf: shelve.Shelf[Values] = shelve.Shelf(held)  # what shelve.open does

    def close(self) -> None:
        self._shelf.close()

    def plain(self, answer: Answer) -> tuple[int, Values]:
        row_id, values = answer
        return row_id, values

    def insert_all(self, count: int) -> int:
        shelf = self._shelf
        for row_id, values in enumerate(rows.tuples(count), 1):
            shelf[str(row_id)] = checked(values)
        shelf.sync()
        return 1

    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        shelf = self._shelf
        return [(row_id, shelf[str(row_id)]) for row_id in ids]

    def scan(self) -> tuple[int, int]:
        count = ages = 0
        for _, age, _, _, _ in self._shelf.values():
            count += 1
            ages += age
        return count, ages
