"""MiniDB, as its documentation says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import minidb
from bench import rows
from bench.adapters.port import Answer, Fields, Terms
from bench.rows import Values
from minidb import MiniDB, where
from minidb.schema import BooleanField, FloatField, IntegerField, Schema, StringField

SCHEMA = Schema(
    name=StringField(required=True, min_length=1, max_length=rows.MAX_NAME_LENGTH),
    age=IntegerField(required=True, min_value=0),
    city=StringField(required=True, index=True),
    score=FloatField(required=True),
    active=BooleanField(required=True),
)

MAX_CONNECTIONS: Final = 32
"""One for each of the most threads that a workload has."""


class Adapter:
    """MiniDB."""

    version = f"MiniDB {minidb.__version__}"
    terms = Terms()
    imports = "minidb"

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:  # noqa: ARG002  # one way suits both
        self._folder = folder
        self._database = MiniDB(folder / "database", create=create, max_connections=MAX_CONNECTIONS)
        self._users = self._database.create_table("users", SCHEMA) if create else self._database.get_table("users")

    def close(self) -> None:
        self._database.close()

    def plain(self, answer: Answer) -> tuple[int, Values]:
        return answer.id, (answer.name, answer.age, answer.city, answer.score, answer.active)

    def insert_all(self, count: int) -> int:
        return int(self._users.insert_many(rows.dictionaries(count))[0])

    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        query = self._users.query
        return [query(row_id) for row_id in ids]

    def read_in_transaction(self, ids: Sequence[int]) -> list[Answer]:
        query = self._users.query
        with self._database.begin_transaction(read_only=True):
            return [query(row_id) for row_id in ids]

    def rows_in_city(self, city: str) -> Sequence[Answer]:
        return self._database.query_by_index("users", "city", city)

    def touch_rows_in_city(self, city: str) -> float:
        total = 0.0
        for row in self._database.query_by_index("users", "city", city):
            total += len(row.name) + row.age + len(row.city) + row.score + row.active
        return total

    def scan(self) -> tuple[int, int]:
        count = ages = 0
        for row in self._users.scan():
            count += 1
            ages += row.age
        return count, ages

    def update_each(self, changes: Sequence[tuple[int, str]]) -> None:
        update = self._users.update
        with self._database.begin_transaction():
            for row_id, city in changes:
                update(row_id, city=city)

    def update_many(self, changes: Sequence[tuple[int, str]]) -> None:
        self._users.update_many((row_id, {"city": city}) for row_id, city in changes)

    def insert_each(self, first: int, count: int) -> None:
        insert = self._users.insert
        for columns in rows.dictionaries(count, first):
            insert(columns)

    insert_beside_others = insert_each

    def relax(self) -> None:
        self.close()
        self._database = MiniDB(self._folder / "database", durability="relaxed", create=False)
        self._users = self._database.get_table("users")

    def index_ages(self) -> None:
        self._database.create_index("users", "age")

    def cover(self) -> None:
        self._database.drop_index("users", "city")
        self._database.create_index("users", "city", include="*")
        self._database.create_index("users", "age", include="*")

    def find_in_city(self, city: str, limit: int | None = None) -> Sequence[Answer]:
        return self._users.find(city=city).limit(limit).all()

    def count_in_city(self, city: str) -> int:
        return self._users.find(city=city).count()

    def find_by_ages(self, low: int, high: int, limit: int) -> Sequence[Answer]:
        return self._users.find(where("age").between(low, high)).order_by("age").limit(limit).all()

    def first_by_age(self, limit: int) -> Sequence[Answer]:
        return self._users.find().order_by("age").limit(limit).all()

    def last_by_age(self, limit: int) -> Sequence[Answer]:
        return self._users.find().order_by("-age").offset(0).limit(limit).all()

    def back_up(self, folder: Path) -> None:
        self._database.backup(folder / "backup")

    def scan_backup(self, folder: Path) -> tuple[int, int]:
        MiniDB.restore(folder / "backup", folder / "database")
        with closing(type(self)(folder, create=False)) as copy:
            return copy.scan()


FIELDS: Final = tuple(f"field{place}" for place in range(10))
RECORD_SCHEMA: Final = Schema(
    {"key": StringField(primary_key=True), **{name: StringField(required=True) for name in FIELDS}}
)


class Records:
    """MiniDB."""

    def __init__(self, folder: Path) -> None:
        self._database = MiniDB(folder / "database", durability="relaxed")
        self._records = self._database.create_table("records", RECORD_SCHEMA)

    def close(self) -> None:
        self._database.close()

    def load(self, records: Iterable[tuple[str, Fields]]) -> None:
        self._records.insert_many(_columns(key, fields) for key, fields in records)

    def plain(self, answer: Answer) -> Fields:
        return tuple(answer[name] for name in FIELDS)

    def read(self, key: str) -> Answer:
        return self._records.query(key)

    def update(self, key: str, place: int, value: str) -> None:
        self._records.update(key, **{FIELDS[place]: value})

    def insert(self, key: str, fields: Fields) -> None:
        self._records.insert(_columns(key, fields))

    def scan(self, key: str, count: int) -> Sequence[Answer]:
        return list(self._records.scan(key, limit=count))


def _columns(key: str, fields: Fields) -> dict[str, str]:
    return {"key": key, **dict(zip(FIELDS, fields, strict=True))}
