"""peewee over sqlite3: models, as its users write them, and tuples where it offers them for speed.

SQLite is set as in the adapter of sqlite3. Rows come as tuples (``.tuples()``): its objects take half as long again.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bench import rows
from bench.adapters import sqlite_sql
from bench.adapters.port import Answer, Fields, Terms
from bench.rows import Values

peewee: Any = import_module("peewee")  # Any: types are checked where it is not installed

BATCH_ROWS: Final = 1000
FIELDS: Final = tuple(f"field{place}" for place in range(10))


def database_in(folder: Path, *, is_relaxed: bool = False) -> Any:  # Any: peewee's database
    """Open the database, with one connection for all threads."""
    pragmas = [
        statement.removeprefix("PRAGMA ").split(" = ") for statement in sqlite_sql.settings(is_relaxed=is_relaxed)
    ]
    database = peewee.SqliteDatabase(
        str(folder / sqlite_sql.FILE_NAME), pragmas=pragmas, thread_safe=False, check_same_thread=False
    )
    database.connect()
    return database


def model(database: object, table: str, /, **fields: object) -> Any:  # Any: a class of a class that is not installed
    """Make the class of a table."""
    meta = type("Meta", (), {"database": database, "table_name": table, "legacy_table_names": False})
    return type(table.title(), (peewee.Model,), {"Meta": meta, **fields})


class Adapter:
    """peewee."""

    version = f"peewee {peewee.__version__}"
    terms = Terms(share=0.5)
    imports = "peewee"

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:  # noqa: ARG002  # one way suits both
        self._database = database_in(folder)
        self._lock = threading.Lock()
        self._users = model(
            self._database,
            "users",
            name=peewee.TextField(),
            age=peewee.IntegerField(),
            city=peewee.TextField(),
            score=peewee.FloatField(),
            active=peewee.BooleanField(),
        )
        if create:
            self._database.execute_sql(sqlite_sql.CREATE_TABLE)
            self._database.execute_sql(sqlite_sql.CREATE_INDEX)

    def close(self) -> None:
        self._database.close()

    def plain(self, answer: Answer) -> tuple[int, Values]:
        row_id, name, age, city, score, active = answer
        return row_id, (name, age, city, score, active)

    def insert_all(self, count: int) -> int:
        users = self._users
        source = rows.tuples(count)
        fields = [users.name, users.age, users.city, users.score, users.active]
        with self._database.atomic():
            while batch := list(islice(source, BATCH_ROWS)):
                users.insert_many(batch, fields=fields).execute()
        return int(users.select(peewee.fn.MIN(users.id)).scalar())

    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        users = self._users
        return [users.select().where(users.id == row_id).tuples().get() for row_id in ids]

    def read_in_transaction(self, ids: Sequence[int]) -> list[Answer]:
        with self._database.atomic():
            return self.read_each(ids)

    def rows_in_city(self, city: str) -> Sequence[Answer]:
        users = self._users
        return list(users.select().where(users.city == city).tuples())

    def touch_rows_in_city(self, city: str) -> float:
        total = 0.0
        for _, name, age, where, score, active in self.rows_in_city(city):
            total += len(name) + age + len(where) + score + active
        return total

    def scan(self) -> tuple[int, int]:
        count = ages = 0
        for _, _, age, _, _, _ in self._users.select().tuples().iterator():
            count += 1
            ages += age
        return count, ages

    def update_each(self, changes: Sequence[tuple[int, str]]) -> None:
        users = self._users
        with self._database.atomic():
            for row_id, city in changes:
                users.update(city=city).where(users.id == row_id).execute()

    update_many = update_each  # bulk_update takes objects, and makes a CASE of them: it is slower

    def insert_each(self, first: int, count: int) -> None:
        create = self._users.insert
        for columns in rows.dictionaries(count, first):
            create(columns).execute()

    def insert_beside_others(self, first: int, count: int) -> None:
        create, lock = self._users.insert, self._lock
        for columns in rows.dictionaries(count, first):
            with lock:
                create(columns).execute()

    def relax(self) -> None:
        self._database.execute_sql("PRAGMA synchronous = NORMAL")

    def index_ages(self) -> None:
        self._database.execute_sql(sqlite_sql.CREATE_AGE_INDEX)

    def cover(self) -> None:
        for statement in sqlite_sql.COVER:
            self._database.execute_sql(statement)

    def find_in_city(self, city: str, limit: int | None = None) -> Sequence[Answer]:
        users = self._users
        query = users.select().where(users.city == city)
        return list((query if limit is None else query.order_by(users.id).limit(limit)).tuples())

    def count_in_city(self, city: str) -> int:
        users = self._users
        return int(users.select().where(users.city == city).count())

    def find_by_ages(self, low: int, high: int, limit: int) -> Sequence[Answer]:
        users = self._users
        return list(
            users.select().where(users.age.between(low, high)).order_by(users.age, users.id).limit(limit).tuples()
        )

    def first_by_age(self, limit: int) -> Sequence[Answer]:
        users = self._users
        return list(users.select().order_by(users.age, users.id).limit(limit).tuples())

    def last_by_age(self, limit: int) -> Sequence[Answer]:
        users = self._users
        return list(users.select().order_by(users.age.desc(), users.id.desc()).limit(limit).tuples())

    def back_up(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder / sqlite_sql.FILE_NAME, isolation_level=None)) as target:
            self._database.connection().backup(target)

    def scan_backup(self, folder: Path) -> tuple[int, int]:
        with closing(type(self)(folder, create=False)) as copy:
            return copy.scan()


class Records:
    """peewee."""

    def __init__(self, folder: Path) -> None:
        self._database = database_in(folder, is_relaxed=True)
        self._database.execute_sql(sqlite_sql.CREATE_RECORDS)
        texts = {name: peewee.TextField() for name in FIELDS}
        self._records = model(self._database, "records", key=peewee.TextField(primary_key=True), **texts)
        self._wanted = [getattr(self._records, name) for name in FIELDS]

    def close(self) -> None:
        self._database.close()

    def load(self, records: Iterable[tuple[str, Fields]]) -> None:
        source: Iterator[tuple[str, ...]] = ((key, *fields) for key, fields in records)
        columns = [self._records.key, *self._wanted]
        with self._database.atomic():
            while batch := list(islice(source, BATCH_ROWS)):
                self._records.insert_many(batch, fields=columns).execute()

    def plain(self, answer: Answer) -> Fields:
        return tuple(answer)

    def read(self, key: str) -> Answer:
        return self._records.select(*self._wanted).where(self._records.key == key).tuples().get()

    def update(self, key: str, place: int, value: str) -> None:
        self._records.update({FIELDS[place]: value}).where(self._records.key == key).execute()

    def insert(self, key: str, fields: Fields) -> None:
        self._records.insert({"key": key, **dict(zip(FIELDS, fields, strict=True))}).execute()

    def scan(self, key: str, count: int) -> Sequence[Answer]:
        records = self._records
        query = records.select(*self._wanted).where(records.key >= key).order_by(records.key).limit(count)
        return list(query.tuples())
