"""DuckDB, made for analysis: columns, and an index (ART) where one is asked for.

Many rows are inserted as lists of columns, which is a hundred times as fast as ``executemany``. Each commit is flushed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bench import rows
from bench.adapters.port import Ability, Answer, Fields, Terms
from bench.adapters.sql_records import COLUMNS, SqlRecords
from bench.rows import Values

duckdb: Any = import_module("duckdb")  # Any: types are checked where it is not installed

BATCH_ROWS: Final = 20_000
FILE_NAME: Final = "users.duckdb"
CREATE_TABLE: Final = f"""
    CREATE TABLE users (
        id BIGINT PRIMARY KEY DEFAULT nextval('user_ids'),
        name VARCHAR NOT NULL CHECK (length(name) BETWEEN 1 AND {rows.MAX_NAME_LENGTH}),
        age INTEGER NOT NULL CHECK (age >= 0),
        city VARCHAR NOT NULL,
        score DOUBLE NOT NULL,
        active BOOLEAN NOT NULL
    )
"""
INSERT: Final = "INSERT INTO users (name, age, city, score, active) VALUES (?, ?, ?, ?, ?)"
INSERT_COLUMNS: Final = """
    INSERT INTO users (name, age, city, score, active)
    SELECT
        unnest($1::VARCHAR[]), unnest($2::INTEGER[]), unnest($3::VARCHAR[]), unnest($4::DOUBLE[]), unnest($5::BOOLEAN[])
"""
ALL: Final = "SELECT id, name, age, city, score, active FROM users"
BY_ID: Final = f"{ALL} WHERE id = ?"
BY_CITY: Final = f"{ALL} WHERE city = ?"
UPDATE: Final = "UPDATE users SET city = ? WHERE id = ?"

CREATE_RECORDS: Final = f"""
    CREATE TABLE records (key VARCHAR PRIMARY KEY, {", ".join(f"{name} VARCHAR NOT NULL" for name in COLUMNS)})
"""
_UNNESTED: Final = ", ".join(f"unnest(${place}::VARCHAR[])" for place in range(1, 2 + len(COLUMNS)))
LOAD_RECORDS: Final = f"INSERT INTO records SELECT {_UNNESTED}"


class Adapter:
    """DuckDB."""

    version = f"DuckDB {duckdb.__version__}"
    terms = Terms(
        lacks={
            Ability.COVERING: "its indexes hold no rows",
            Ability.RELAXED: "each commit is flushed",
        },
        share=0.05,
    )
    imports = "duckdb"

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:
        self._connection = duckdb.connect(str(folder / FILE_NAME), read_only=read_only)
        self._execute = self._connection.execute
        if create:
            self._execute("CREATE SEQUENCE user_ids")
            self._execute(CREATE_TABLE)
            self._execute("CREATE INDEX users_city ON users (city)")

    def close(self) -> None:
        self._connection.close()

    def plain(self, answer: Answer) -> tuple[int, Values]:
        row_id, *values = answer
        return row_id, tuple(values)

    def insert_all(self, count: int) -> int:
        source = rows.tuples(count)
        self._execute("BEGIN")
        while batch := list(islice(source, BATCH_ROWS)):
            self._execute(INSERT_COLUMNS, [list(column) for column in zip(*batch, strict=True)])
        self._execute("COMMIT")
        (first_id,) = self._execute("SELECT min(id) FROM users").fetchone()
        return int(first_id)

    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        execute = self._execute
        return [execute(BY_ID, (row_id,)).fetchone() for row_id in ids]

    def read_in_transaction(self, ids: Sequence[int]) -> list[Answer]:
        self._execute("BEGIN")
        answers = self.read_each(ids)
        self._execute("COMMIT")
        return answers

    def _all(self, statement: str, *parameters: object) -> Sequence[Answer]:
        answers: Sequence[Answer] = self._execute(statement, parameters).fetchall()
        return answers

    def rows_in_city(self, city: str) -> Sequence[Answer]:
        return self._all(BY_CITY, city)

    def touch_rows_in_city(self, city: str) -> float:
        total = 0.0
        for _, name, age, where, score, active in self._all(BY_CITY, city):
            total += len(name) + age + len(where) + score + active
        return total

    def scan(self) -> tuple[int, int]:
        count = ages = 0
        cursor = self._execute(ALL)
        while page := cursor.fetchmany(BATCH_ROWS):
            for _, _, age, _, _, _ in page:
                count += 1
                ages += age
        return count, ages

    def update_each(self, changes: Sequence[tuple[int, str]]) -> None:
        execute = self._execute
        execute("BEGIN")
        for row_id, city in changes:
            execute(UPDATE, (city, row_id))
        execute("COMMIT")

    def update_many(self, changes: Sequence[tuple[int, str]]) -> None:
        self._execute("BEGIN")
        self._execute(
            "UPDATE users SET city = new.city"
            " FROM (SELECT unnest($1::BIGINT[]) AS id, unnest($2::VARCHAR[]) AS city) AS new WHERE users.id = new.id",
            [list(column) for column in zip(*changes, strict=True)],
        )
        self._execute("COMMIT")

    def insert_each(self, first: int, count: int) -> None:
        execute = self._execute
        for values in rows.tuples(count, first):
            execute(INSERT, values)

    def insert_beside_others(self, first: int, count: int) -> None:
        with self._connection.cursor() as own:  # a connection for this thread
            for values in rows.tuples(count, first):
                own.execute(INSERT, values)

    def index_ages(self) -> None:
        self._execute("CREATE INDEX users_age ON users (age)")

    def find_in_city(self, city: str, limit: int | None = None) -> Sequence[Answer]:
        return self._all(BY_CITY, city) if limit is None else self._all(f"{BY_CITY} ORDER BY id LIMIT ?", city, limit)

    def count_in_city(self, city: str) -> int:
        (count,) = self._execute("SELECT count(*) FROM users WHERE city = ?", (city,)).fetchone()
        return int(count)

    def find_by_ages(self, low: int, high: int, limit: int) -> Sequence[Answer]:
        return self._all(f"{ALL} WHERE age BETWEEN ? AND ? ORDER BY age, id LIMIT ?", low, high, limit)

    def first_by_age(self, limit: int) -> Sequence[Answer]:
        return self._all(f"{ALL} ORDER BY age, id LIMIT ?", limit)

    def last_by_age(self, limit: int) -> Sequence[Answer]:
        return self._all(f"{ALL} ORDER BY age DESC, id DESC LIMIT ?", limit)

    def back_up(self, folder: Path) -> None:
        source = Path(self._execute("SELECT current_database()").fetchone()[0])
        self._execute(f"ATTACH '{folder / FILE_NAME}' AS copy")
        self._execute(f"COPY FROM DATABASE {source} TO copy")
        self._execute("DETACH copy")  # with a checkpoint

    def scan_backup(self, folder: Path) -> tuple[int, int]:
        with closing(type(self)(folder, create=False)) as copy:
            return copy.scan()


class Records(SqlRecords):
    """DuckDB."""

    def __init__(self, folder: Path) -> None:
        super().__init__(duckdb.connect(str(folder / FILE_NAME)))
        self._execute(CREATE_RECORDS)

    def load(self, records: Iterable[tuple[str, Fields]]) -> None:
        source = ((key, *fields) for key, fields in records)
        self._execute("BEGIN")
        while batch := list(islice(source, BATCH_ROWS)):
            self._execute(LOAD_RECORDS, [list(column) for column in zip(*batch, strict=True)])
        self._execute("COMMIT")
