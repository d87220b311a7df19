"""ZODB: a file of pickled objects, with BTrees of tuples for rows and for indexes, made by hand.

One connection, whose cache holds all objects: what was read once is not decoded again. Each commit is flushed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bench import rows
from bench.adapters.port import Ability, Answer, Fields, Terms
from bench.adapters.rows_by_hand import checked
from bench.rows import Values

# Any: types are checked where they are not installed.
ZODB: Any = import_module("ZODB")
FileStorage: Any = import_module("ZODB.FileStorage")
transaction: Any = import_module("transaction")
LOBTree: Any = import_module("BTrees.LOBTree")
OOBTree: Any = import_module("BTrees.OOBTree")
LLBTree: Any = import_module("BTrees.LLBTree")
persistent_list: Any = import_module("persistent.list")

CACHED_OBJECTS: Final = 1_000_000


class Opened:
    """A file, its one connection and the connection's transactions."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        storage = FileStorage.FileStorage(str(folder / "Data.fs"), read_only=read_only)
        self._database = ZODB.DB(storage, cache_size=CACHED_OBJECTS)
        self.transactions = transaction.TransactionManager(explicit=True)
        self.connection = self._database.open(transaction_manager=self.transactions)

    def close(self) -> None:
        self.connection.close()
        self._database.close()


class Adapter:
    """ZODB."""

    version = f"ZODB {version('ZODB')}, BTrees {version('BTrees')}"
    terms = Terms(
        lacks={
            Ability.COVERING: "an index of objects holds no copies of them",
            Ability.RELAXED: "each commit is flushed",
            Ability.BACKUP: "its repozo is a program of its own",
        }
    )
    imports = "ZODB, ZODB.FileStorage, BTrees.LOBTree, BTrees.OOBTree"

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:
        self._opened = Opened(folder, read_only=read_only)
        self._transactions = self._opened.transactions
        self._lock = threading.Lock()
        with self._transactions:
            root = self._opened.connection.root()
            if create:
                root["users"] = LOBTree.BTree()
                root["cities"] = OOBTree.BTree()
            self._users, self._cities = root["users"], root["cities"]
            self._ages = root.get("ages")
            self._next_id = self._users.maxKey() + 1 if self._users else 1

    def close(self) -> None:
        self._opened.close()

    def plain(self, answer: Answer) -> tuple[int, Values]:
        row_id, values = answer
        return row_id, values

    def _insert(self, values: Values) -> None:
        _, age, city, _, _ = checked(values)
        self._users[self._next_id] = values
        _enter(self._cities, city, self._next_id)
        if self._ages is not None:
            _enter(self._ages, age, self._next_id)
        self._next_id += 1

    def insert_all(self, count: int) -> int:
        first_id = self._next_id
        with self._transactions:
            for values in rows.tuples(count):
                self._insert(values)
        return int(first_id)

    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        begin, abort, users = self._transactions.begin, self._transactions.abort, self._users
        answers = []
        for row_id in ids:
            begin()
            answers.append((row_id, users[row_id]))
            abort()
        return answers

    def read_in_transaction(self, ids: Sequence[int]) -> list[Answer]:
        users = self._users
        with self._transactions:
            return [(row_id, users[row_id]) for row_id in ids]

    def _rows(self, ids: Iterable[int]) -> list[Answer]:
        users = self._users
        return [(row_id, users[row_id]) for row_id in ids]

    def rows_in_city(self, city: str) -> Sequence[Answer]:
        return self.find_in_city(city)

    def touch_rows_in_city(self, city: str) -> float:
        total = 0.0
        for _, (name, age, where, score, active) in self.find_in_city(city):
            total += len(name) + age + len(where) + score + active
        return total

    def scan(self) -> tuple[int, int]:
        count = ages = 0
        with self._transactions:
            for _, age, _, _, _ in self._users.values():
                count += 1
                ages += age
        return count, ages

    def update_each(self, changes: Sequence[tuple[int, str]]) -> None:
        users, cities = self._users, self._cities
        with self._transactions:
            for row_id, city in changes:
                name, age, old_city, score, active = users[row_id]
                users[row_id] = checked((name, age, city, score, active))
                cities[old_city].remove(row_id)
                _enter(cities, city, row_id)

    update_many = update_each  # there is one way to change many

    def insert_each(self, first: int, count: int) -> None:
        for values in rows.tuples(count, first):
            with self._lock, self._transactions:
                self._insert(values)

    insert_beside_others = insert_each

    def index_ages(self) -> None:
        with self._transactions:
            self._ages = self._opened.connection.root()["ages"] = LOBTree.BTree()
            for row_id, (_, age, _, _, _) in self._users.items():
                _enter(self._ages, age, row_id)

    def find_in_city(self, city: str, limit: int | None = None) -> Sequence[Answer]:
        with self._transactions:
            return self._rows(islice(self._cities.get(city, ()), limit))

    def count_in_city(self, city: str) -> int:
        with self._transactions:
            return len(self._cities.get(city, ()))

    def find_by_ages(self, low: int, high: int, limit: int) -> Sequence[Answer]:
        with self._transactions:
            ids = (row_id for of_age in self._ages.values(low, high) for row_id in of_age)
            return self._rows(islice(ids, limit))

    def first_by_age(self, limit: int) -> Sequence[Answer]:
        with self._transactions:
            return self._rows(islice((row_id for of_age in self._ages.values() for row_id in of_age), limit))

    def last_by_age(self, limit: int) -> Sequence[Answer]:
        def from_the_last() -> Iterator[int]:  # neither its trees nor its sets can be walked from there
            for age in reversed(self._ages.keys()):
                yield from reversed(self._ages[age].keys())

        with self._transactions:
            return self._rows(islice(from_the_last(), limit))


def _enter(index: Any, value: str | int, row_id: int) -> None:  # Any: a tree
    ids = index.get(value)
    if ids is None:
        ids = index[value] = LLBTree.TreeSet()
    ids.add(row_id)


class Records:
    """ZODB."""

    def __init__(self, folder: Path) -> None:
        self._opened = Opened(folder)
        self._transactions = self._opened.transactions
        with self._transactions:
            self._records = self._opened.connection.root()["records"] = OOBTree.BTree()

    def close(self) -> None:
        self._opened.close()

    def load(self, records: Iterable[tuple[str, Fields]]) -> None:
        with self._transactions:
            for key, fields in records:
                self._records[key] = persistent_list.PersistentList(fields)

    def plain(self, answer: Answer) -> Fields:
        return tuple(answer)

    def read(self, key: str) -> Answer:
        with self._transactions:
            return tuple(self._records[key])

    def update(self, key: str, place: int, value: str) -> None:
        with self._transactions:
            self._records[key][place] = value

    def insert(self, key: str, fields: Fields) -> None:
        with self._transactions:
            self._records[key] = persistent_list.PersistentList(fields)

    def scan(self, key: str, count: int) -> Sequence[Answer]:
        with self._transactions:
            return [tuple(fields) for fields in islice(self._records.values(key), count)]
