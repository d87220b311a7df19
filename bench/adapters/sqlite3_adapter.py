"""The standard library's sqlite3, as an expert would use it.

Write-ahead log, ``synchronous=FULL``, a STRICT table whose CHECKs do what the schema does in MiniDB, statements from
the connection's cache, transactions by hand, tuples for rows. SQLite has no booleans: ``active`` is 1 or 0.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench import rows
from bench.adapters.port import Answer
from bench.rows import Values

CACHE_KIB: Final = 64 * 1024
"""Measured: index queries are half as fast again as with the default of 2 MB; a memory map adds nothing to this."""

CREATE_TABLE: Final = f"""
    CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND {rows.MAX_NAME_LENGTH}),
        age INTEGER NOT NULL CHECK (age >= 0),
        city TEXT NOT NULL,
        score REAL NOT NULL,
        active INTEGER NOT NULL CHECK (active IN (0, 1))
    ) STRICT
"""
CREATE_INDEX: Final = "CREATE INDEX users_city ON users (city)"
CREATE_AGE_INDEX: Final = "CREATE INDEX users_age ON users (age)"
INSERT: Final = "INSERT INTO users (name, age, city, score, active) VALUES (?, ?, ?, ?, ?)"
BY_ID: Final = "SELECT id, name, age, city, score, active FROM users WHERE id = ?"
BY_CITY: Final = "SELECT id, name, age, city, score, active FROM users WHERE city = ?"
ALL: Final = "SELECT id, name, age, city, score, active FROM users"
BY_CITY_LIMITED: Final = f"{BY_CITY} ORDER BY id LIMIT ?"
COUNT_BY_CITY: Final = "SELECT count(*) FROM users WHERE city = ?"
BY_AGES: Final = f"{ALL} WHERE age BETWEEN ? AND ? ORDER BY age, id LIMIT ?"
FIRST_BY_AGE: Final = f"{ALL} ORDER BY age, id LIMIT ?"
LAST_BY_AGE: Final = f"{ALL} ORDER BY age DESC, id DESC LIMIT ? OFFSET 0"
UPDATE: Final = "UPDATE users SET city = ? WHERE id = ?"


class Adapter:
    """sqlite3."""

    version = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, folder: Path, *, create: bool) -> None:
        # No implicit BEGIN: each statement commits by itself unless a transaction was begun by hand.
        # Threads share the connection under a lock: one each, they would wait for the file's lock by sleeping.
        self._connection = sqlite3.connect(folder / "users.sqlite3", isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        self._execute = self._connection.execute
        self._execute("PRAGMA journal_mode = WAL")
        self._execute("PRAGMA synchronous = FULL")
        self._execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if create:
            self._execute(CREATE_TABLE)
            self._execute(CREATE_INDEX)

    def close(self) -> None:
        self._connection.close()

    def plain(self, answer: Answer) -> tuple[int, Values]:
        row_id, name, age, city, score, active = answer
        return row_id, (name, age, city, score, bool(active))

    def insert_all(self, count: int) -> int:
        self._execute("BEGIN IMMEDIATE")
        # Measured: named parameters from dicts take a quarter longer than these.
        self._connection.executemany(INSERT, rows.tuples(count))
        self._execute("COMMIT")
        (first_id,) = self._execute("SELECT min(id) FROM users").fetchone()
        return int(first_id)

    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        execute = self._execute
        return [execute(BY_ID, (row_id,)).fetchone() for row_id in ids]

    def read_in_transaction(self, ids: Sequence[int]) -> list[Answer]:
        execute = self._execute
        execute("BEGIN")
        answers = [execute(BY_ID, (row_id,)).fetchone() for row_id in ids]
        execute("COMMIT")
        return answers

    def rows_in_city(self, city: str) -> Sequence[Answer]:
        return self._execute(BY_CITY, (city,)).fetchall()

    def touch_rows_in_city(self, city: str) -> float:
        total = 0.0
        for _, name, age, where, score, active in self._execute(BY_CITY, (city,)):
            total += len(name) + age + len(where) + score + active
        return total

    def scan(self) -> tuple[int, int]:
        count = ages = 0
        for _, _, age, _, _, _ in self._execute(ALL):
            count += 1
            ages += age
        return count, ages

    def update_each(self, changes: Sequence[tuple[int, str]]) -> None:
        execute = self._execute
        execute("BEGIN IMMEDIATE")
        for row_id, city in changes:
            execute(UPDATE, (city, row_id))
        execute("COMMIT")

    def update_many(self, changes: Sequence[tuple[int, str]]) -> None:
        self._execute("BEGIN IMMEDIATE")
        self._connection.executemany(UPDATE, ((city, row_id) for row_id, city in changes))
        self._execute("COMMIT")

    def insert_each(self, first: int, count: int) -> None:
        execute = self._execute
        for values in rows.tuples(count, first):
            execute(INSERT, values)

    def insert_beside_others(self, first: int, count: int) -> None:
        execute, lock = self._execute, self._lock
        for values in rows.tuples(count, first):
            with lock:
                execute(INSERT, values)

    def relax(self) -> None:
        self._execute("PRAGMA synchronous = NORMAL")

    def index_ages(self) -> None:
        self._execute(CREATE_AGE_INDEX)

    def cover(self) -> None:
        self._execute("DROP INDEX users_city")
        self._execute("CREATE INDEX users_city ON users (city, id, name, age, score, active)")
        self._execute("CREATE INDEX users_age ON users (age, id, name, city, score, active)")

    def find_in_city(self, city: str, limit: int | None = None) -> Sequence[Answer]:
        if limit is None:
            return self._execute(BY_CITY, (city,)).fetchall()
        return self._execute(BY_CITY_LIMITED, (city, limit)).fetchall()

    def count_in_city(self, city: str) -> int:
        (count,) = self._execute(COUNT_BY_CITY, (city,)).fetchone()
        return int(count)

    def find_by_ages(self, low: int, high: int, limit: int) -> Sequence[Answer]:
        return self._execute(BY_AGES, (low, high, limit)).fetchall()

    def first_by_age(self, limit: int) -> Sequence[Answer]:
        return self._execute(FIRST_BY_AGE, (limit,)).fetchall()

    def last_by_age(self, limit: int) -> Sequence[Answer]:
        return self._execute(LAST_BY_AGE, (limit,)).fetchall()
