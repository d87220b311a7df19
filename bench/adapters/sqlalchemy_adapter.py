"""SQLAlchemy's Core over sqlite3: its fast way, without objects of the ORM.

One connection, SQLite set as in the adapter of sqlite3, statements built once, so that their SQL is cached; many rows
go in one ``execute``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from sqlite3 import connect
from typing import Any

from bench import rows
from bench.adapters import sqlite_sql
from bench.adapters.port import Answer, Fields, Terms
from bench.rows import Values

sql: Any = import_module("sqlalchemy")  # Any: types are checked where it is not installed

METADATA = sql.MetaData()
USERS = sql.Table(
    "users",
    METADATA,
    sql.Column("id", sql.Integer, primary_key=True),
    *(
        sql.Column(name, kind, nullable=False)
        for name, kind in zip(rows.COLUMNS, (sql.Text, sql.Integer, sql.Text, sql.Float, sql.Boolean), strict=True)
    ),
)
INSERT = sql.insert(USERS)
ALL = sql.select(USERS)
BY_ID = ALL.where(USERS.c.id == sql.bindparam("wanted"))
BY_CITY = ALL.where(USERS.c.city == sql.bindparam("wanted"))
BY_CITY_LIMITED = BY_CITY.order_by(USERS.c.id).limit(sql.bindparam("most"))
COUNT_BY_CITY = sql.select(sql.func.count()).select_from(USERS).where(USERS.c.city == sql.bindparam("wanted"))
BY_AGES = (
    ALL.where(USERS.c.age.between(sql.bindparam("low"), sql.bindparam("high")))
    .order_by(USERS.c.age, USERS.c.id)
    .limit(sql.bindparam("most"))
)
FIRST_BY_AGE = ALL.order_by(USERS.c.age, USERS.c.id).limit(sql.bindparam("most"))
LAST_BY_AGE = ALL.order_by(USERS.c.age.desc(), USERS.c.id.desc()).limit(sql.bindparam("most"))
UPDATE = sql.update(USERS).where(USERS.c.id == sql.bindparam("wanted")).values(city=sql.bindparam("new_city"))

FIELDS = tuple(f"field{place}" for place in range(10))
RECORDS = sql.Table(
    "records",
    METADATA,
    sql.Column("key", sql.Text, primary_key=True),
    *(sql.Column(name, sql.Text, nullable=False) for name in FIELDS),
)
INSERT_RECORD = sql.insert(RECORDS)
RECORD = sql.select(*(RECORDS.c[name] for name in FIELDS)).where(RECORDS.c.key == sql.bindparam("wanted"))
RECORDS_FROM = (
    sql.select(*(RECORDS.c[name] for name in FIELDS))
    .where(RECORDS.c.key >= sql.bindparam("wanted"))
    .order_by(RECORDS.c.key)
    .limit(sql.bindparam("most"))
)
UPDATE_RECORD = tuple(
    sql.update(RECORDS).where(RECORDS.c.key == sql.bindparam("wanted")).values({name: sql.bindparam("text")})
    for name in FIELDS
)


def connection_to(folder: Path, *, is_relaxed: bool = False) -> Any:  # Any: SQLAlchemy's connection
    """Open the one connection to the file."""
    path = folder / sqlite_sql.FILE_NAME

    def open_file() -> object:
        # SQLAlchemy says BEGIN itself, by the event below: the driver's way to begin would not cover reads.
        raw = connect(path, isolation_level=None, check_same_thread=False)
        for statement in sqlite_sql.settings(is_relaxed=is_relaxed):
            raw.execute(statement).fetchall()
        return raw

    engine = sql.create_engine("sqlite://", creator=open_file, poolclass=sql.pool.StaticPool)
    sql.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine.connect()


class Adapter:
    """SQLAlchemy."""

    version = f"SQLAlchemy {sql.__version__}"
    terms = Terms()
    imports = "sqlalchemy"

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:  # noqa: ARG002  # one way suits both
        self._connection = connection_to(folder)
        self._execute = self._connection.execute
        self._lock = threading.Lock()
        if create:
            self._run(sqlite_sql.CREATE_TABLE, sqlite_sql.CREATE_INDEX)

    def _run(self, *statements: str) -> None:
        for statement in statements:
            self._connection.connection.driver_connection.execute(statement)

    def close(self) -> None:
        self._connection.engine.dispose()

    def plain(self, answer: Answer) -> tuple[int, Values]:
        return answer.id, (answer.name, answer.age, answer.city, answer.score, answer.active)

    def insert_all(self, count: int) -> int:
        with self._connection.begin():
            self._execute(INSERT, list(rows.dictionaries(count)))
            return int(self._execute(sql.select(sql.func.min(USERS.c.id))).scalar_one())

    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        execute, begin = self._execute, self._connection.begin
        answers = []
        for row_id in ids:
            with begin():
                answers.append(execute(BY_ID, {"wanted": row_id}).one())
        return answers

    def read_in_transaction(self, ids: Sequence[int]) -> list[Answer]:
        execute = self._execute
        with self._connection.begin():
            return [execute(BY_ID, {"wanted": row_id}).one() for row_id in ids]

    def _all(self, statement: object, **parameters: object) -> Sequence[Answer]:
        with self._connection.begin():
            answers: Sequence[Answer] = self._execute(statement, parameters).all()
            return answers

    def rows_in_city(self, city: str) -> Sequence[Answer]:
        return self._all(BY_CITY, wanted=city)

    def touch_rows_in_city(self, city: str) -> float:
        total = 0.0
        for _, name, age, where, score, active in self._all(BY_CITY, wanted=city):
            total += len(name) + age + len(where) + score + active
        return total

    def scan(self) -> tuple[int, int]:
        count = ages = 0
        with self._connection.begin():
            for _, _, age, _, _, _ in self._execute(ALL):
                count += 1
                ages += age
        return count, ages

    def update_each(self, changes: Sequence[tuple[int, str]]) -> None:
        execute = self._execute
        with self._connection.begin():
            for row_id, city in changes:
                execute(UPDATE, {"wanted": row_id, "new_city": city})

    def update_many(self, changes: Sequence[tuple[int, str]]) -> None:
        with self._connection.begin():
            self._execute(UPDATE, [{"wanted": row_id, "new_city": city} for row_id, city in changes])

    def insert_each(self, first: int, count: int) -> None:
        execute, begin = self._execute, self._connection.begin
        for columns in rows.dictionaries(count, first):
            with begin():
                execute(INSERT, columns)

    def insert_beside_others(self, first: int, count: int) -> None:
        execute, begin, lock = self._execute, self._connection.begin, self._lock
        for columns in rows.dictionaries(count, first):
            with lock, begin():
                execute(INSERT, columns)

    def relax(self) -> None:
        self._run("PRAGMA synchronous = NORMAL")

    def index_ages(self) -> None:
        self._run(sqlite_sql.CREATE_AGE_INDEX)

    def cover(self) -> None:
        self._run(*sqlite_sql.COVER)

    def find_in_city(self, city: str, limit: int | None = None) -> Sequence[Answer]:
        return self._all(BY_CITY, wanted=city) if limit is None else self._all(BY_CITY_LIMITED, wanted=city, most=limit)

    def count_in_city(self, city: str) -> int:
        with self._connection.begin():
            return int(self._execute(COUNT_BY_CITY, {"wanted": city}).scalar_one())

    def find_by_ages(self, low: int, high: int, limit: int) -> Sequence[Answer]:
        return self._all(BY_AGES, low=low, high=high, most=limit)

    def first_by_age(self, limit: int) -> Sequence[Answer]:
        return self._all(FIRST_BY_AGE, most=limit)

    def last_by_age(self, limit: int) -> Sequence[Answer]:
        return self._all(LAST_BY_AGE, most=limit)

    def back_up(self, folder: Path) -> None:
        with closing(connect(folder / sqlite_sql.FILE_NAME, isolation_level=None)) as target:
            self._connection.connection.driver_connection.backup(target)

    def scan_backup(self, folder: Path) -> tuple[int, int]:
        with closing(type(self)(folder, create=False)) as copy:
            return copy.scan()


class Records:
    """SQLAlchemy."""

    def __init__(self, folder: Path) -> None:
        self._connection = connection_to(folder, is_relaxed=True)
        self._execute = self._connection.execute
        self._connection.connection.driver_connection.execute(sqlite_sql.CREATE_RECORDS)

    def close(self) -> None:
        self._connection.engine.dispose()

    def load(self, records: Iterable[tuple[str, Fields]]) -> None:
        with self._connection.begin():
            self._execute(INSERT_RECORD, [_columns(key, fields) for key, fields in records])

    def plain(self, answer: Answer) -> Fields:
        return tuple(answer)

    def read(self, key: str) -> Answer:
        with self._connection.begin():
            return self._execute(RECORD, {"wanted": key}).one()

    def update(self, key: str, place: int, value: str) -> None:
        with self._connection.begin():
            self._execute(UPDATE_RECORD[place], {"wanted": key, "text": value})

    def insert(self, key: str, fields: Fields) -> None:
        with self._connection.begin():
            self._execute(INSERT_RECORD, _columns(key, fields))

    def scan(self, key: str, count: int) -> Sequence[Answer]:
        with self._connection.begin():
            answers: Sequence[Answer] = self._execute(RECORDS_FROM, {"wanted": key, "most": count}).all()
            return answers


def _columns(key: str, fields: Fields) -> dict[str, str]:
    return {"key": key, **dict(zip(FIELDS, fields, strict=True))}
