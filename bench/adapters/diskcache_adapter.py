"""diskcache, kept from forgetting: no eviction, everything in its SQLite file, ``synchronous=FULL``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from bench import rows
from bench.adapters.port import Ability, Answer, Fields, Terms
from bench.adapters.rows_by_hand import checked
from bench.rows import Values

diskcache: Any = import_module("diskcache")  # Any: types are checked where it is not installed

FULL: Final = 2
NORMAL: Final = 1
NO_LIMIT_BYTES: Final = 1 << 40


def _open(folder: Path, synchronous: int) -> Any:  # Any: diskcache's cache
    return diskcache.Cache(
        str(folder),
        sqlite_synchronous=synchronous,
        eviction_policy="none",
        cull_limit=0,
        size_limit=NO_LIMIT_BYTES,
    )


class Adapter:
    """diskcache."""

    version = f"diskcache {diskcache.__version__}"
    terms = Terms(
        lacks={
            Ability.INDEXES: "values are found by their key only",
            Ability.COVERING: "no indexes",
            Ability.BACKUP: "no call for it",
            Ability.RECORD_RANGES: "keys have no order",
        },
        share=0.5,
    )
    imports = "diskcache"

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:  # noqa: ARG002  # one way suits all
        self._cache = _open(folder, FULL)
        self._next_id = len(self._cache) + 1

    def close(self) -> None:
        self._cache.close()

    def plain(self, answer: Answer) -> tuple[int, Values]:
        row_id, values = answer
        return row_id, values

    def insert_all(self, count: int) -> int:
        first_id = self._next_id
        with self._cache.transact():
            self._insert(0, count)
        return first_id

    def _insert(self, first: int, count: int) -> None:
        put = self._cache.set
        for values in rows.tuples(count, first):
            put(self._next_id, checked(values))
            self._next_id += 1

    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        cache = self._cache
        return [(row_id, cache[row_id]) for row_id in ids]

    def read_in_transaction(self, ids: Sequence[int]) -> list[Answer]:
        with self._cache.transact():
            return self.read_each(ids)

    def scan(self) -> tuple[int, int]:
        count = ages = 0
        cache = self._cache
        for row_id in cache:
            _, age, _, _, _ = cache[row_id]
            count += 1
            ages += age
        return count, ages

    def update_each(self, changes: Sequence[tuple[int, str]]) -> None:
        cache = self._cache
        with cache.transact():
            for row_id, city in changes:
                name, age, _, score, active = cache[row_id]
                cache[row_id] = checked((name, age, city, score, active))

    update_many = update_each  # there is one way to change many

    def insert_each(self, first: int, count: int) -> None:
        self._insert(first, count)


class Records:
    """diskcache."""

    def __init__(self, folder: Path) -> None:
        self._cache = _open(folder, NORMAL)

    def close(self) -> None:
        self._cache.close()

    def load(self, records: Iterable[tuple[str, Fields]]) -> None:
        with self._cache.transact():
            for key, fields in records:
                self._cache[key] = fields

    def plain(self, answer: Answer) -> Fields:
        return tuple(answer)

    def read(self, key: str) -> Answer:
        return self._cache[key]

    def update(self, key: str, place: int, value: str) -> None:
        fields = [*self._cache[key]]
        fields[place] = value
        self._cache[key] = tuple(fields)

    def insert(self, key: str, fields: Fields) -> None:
        self._cache[key] = fields
