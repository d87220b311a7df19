"""sqlitedict: a dict of pickles in SQLite, asked by a thread of its own.

Write-ahead log, commits by hand, no stacks kept for errors. It turns ``synchronous`` off; here it is turned on again,
as otherwise nothing that was committed would be durable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import count as count_from
from pathlib import Path
from typing import Any

from bench import rows
from bench.adapters.port import Ability, Answer, Fields, Terms
from bench.adapters.rows_by_hand import checked
from bench.rows import Values

sqlitedict: Any = import_module("sqlitedict")  # Any: types are checked where it is not installed


def _open(folder: Path, synchronous: str) -> Any:  # Any: sqlitedict's dict
    opened = sqlitedict.SqliteDict(str(folder / "users.sqlite"), journal_mode="WAL", outer_stack=False)
    opened.conn.select_one(f"PRAGMA synchronous = {synchronous}")
    return opened


class Adapter:
    """sqlitedict."""

    version = f"sqlitedict {sqlitedict.__version__}"
    terms = Terms(
        lacks={
            Ability.SNAPSHOTS: "no read transactions",
            Ability.INDEXES: "values are found by their key only",
            Ability.COVERING: "no indexes",
            Ability.BACKUP: "no call for it",
            Ability.RECORD_RANGES: "keys have no order",
        },
        share=0.25,
    )
    imports = "sqlitedict"

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:  # noqa: ARG002  # one way suits all
        self._rows = _open(folder, "FULL")
        self._next_id = len(self._rows) + 1

    def close(self) -> None:
        self._rows.close()

    def plain(self, answer: Answer) -> tuple[int, Values]:
        row_id, values = answer
        return row_id, values

    def insert_all(self, count: int) -> int:
        first_id = self._next_id
        self._rows.update(zip(count_from(first_id), map(checked, rows.tuples(count)), strict=False))
        self._rows.commit()
        self._next_id += count
        return first_id

    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        held = self._rows
        return [(row_id, held[row_id]) for row_id in ids]

    def scan(self) -> tuple[int, int]:
        count = ages = 0
        for _, age, _, _, _ in self._rows.values():
            count += 1
            ages += age
        return count, ages

    def update_each(self, changes: Sequence[tuple[int, str]]) -> None:
        held = self._rows
        for row_id, city in changes:
            name, age, _, score, active = held[row_id]
            held[row_id] = checked((name, age, city, score, active))
        held.commit()

    update_many = update_each  # there is one way to change many

    def insert_each(self, first: int, count: int) -> None:
        held = self._rows
        for values in rows.tuples(count, first):
            held[self._next_id] = checked(values)
            self._next_id += 1
            held.commit()


class Records:
    """sqlitedict."""

    def __init__(self, folder: Path) -> None:
        self._records = _open(folder, "NORMAL")

    def close(self) -> None:
        self._records.close()

    def load(self, records: Iterable[tuple[str, Fields]]) -> None:
        self._records.update(records)
        self._records.commit()

    def plain(self, answer: Answer) -> Fields:
        return tuple(answer)

    def read(self, key: str) -> Answer:
        return self._records[key]

    def update(self, key: str, place: int, value: str) -> None:
        fields = [*self._records[key]]
        fields[place] = value
        self.insert(key, tuple(fields))

    def insert(self, key: str, fields: Fields) -> None:
        self._records[key] = fields
        self._records.commit()
