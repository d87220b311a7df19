"""``python -m bench.server URL``: the same work on a PostgreSQL server by MiniDB and by psycopg, written by hand.

Each round does both, one after the other, and the medians of the rounds' ratios are printed. By hand are: a read of the
same bytes by key; ten native rows and a commit in one pipeline; and ``executemany`` into a native table with the same
index. The schema ``minidb_bench`` is made anew, and removed at the end.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import psycopg

from bench import rows
from bench.adapters.minidb_adapter import SCHEMA
from minidb import MiniDB

SCHEMA_NAME: Final = "minidb_bench"
ROWS_IN_A_WRITE: Final = 10

_INSERT = f"INSERT INTO {SCHEMA_NAME}.native VALUES (%s, %s, %s, %s, %s, %s)"  # noqa: S608  # a constant of this module


class Result(NamedTuple):
    """The medians of one kind of work, in seconds, and of the rounds' ratios."""

    work: str
    minidb_s: float
    by_hand_s: float
    ratio: float


def measure(url: str, *, rows_count: int, rounds: int) -> list[Result]:
    """Measure all work on a server, at whose URL nothing but the schema of this module is touched."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA_NAME} CASCADE")
        try:
            separator = "&" if "?" in url else "?"
            with MiniDB(f"{url}{separator}minidb_schema={SCHEMA_NAME}") as database:
                return _measure_all(database, connection, rows_count=rows_count, rounds=rounds)
        finally:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA_NAME} CASCADE")


def _measure_all(
    database: MiniDB, connection: psycopg.Connection[Any], *, rows_count: int, rounds: int
) -> list[Result]:
    users = database.create_table("users", SCHEMA)
    connection.execute(
        f"CREATE TABLE {SCHEMA_NAME}.native (id bigint PRIMARY KEY, name text NOT NULL, age bigint NOT NULL, "
        "city text NOT NULL, score float8 NOT NULL, active boolean NOT NULL)"
    )
    connection.execute(f"CREATE INDEX ON {SCHEMA_NAME}.native (city)")
    ids, source = count(1), rows.tuples(10**9)
    cursor = connection.cursor()

    def load() -> None:
        users.insert_many(rows.dictionaries(rows_count))

    def load_by_hand() -> None:
        with connection.transaction():
            cursor.executemany(_INSERT, [(next(ids), *values) for values in rows.tuples(rows_count)])

    bulk = [_race(load, load_by_hand) for _ in range(max(1, rounds // 20))]

    found = connection.execute(f"SELECT number FROM {SCHEMA_NAME}.spaces WHERE name LIKE 'rows/%'").fetchone()  # noqa: S608  # as above
    assert found is not None, "the table was made above"
    same = f"{SCHEMA_NAME}.space_{found[0]}"
    key_and_value = f"SELECT value FROM {same} WHERE key = %b".encode()  # noqa: S608  # as above
    (key,) = connection.execute(f"SELECT min(key) FROM {same}".encode()).fetchone() or (b"",)  # noqa: S608  # as above

    def read() -> None:
        for _ in range(100):
            users.query(1)

    def read_by_hand() -> None:
        for _ in range(100):
            connection.execute(key_and_value, (key,), prepare=True, binary=True).fetchone()

    def write() -> None:
        with database.begin_transaction():
            for values in islice(source, ROWS_IN_A_WRITE):
                users.insert(dict(zip(SCHEMA.fields, values, strict=True)))

    def write_by_hand() -> None:
        with connection.pipeline():
            cursor.execute("BEGIN ISOLATION LEVEL SERIALIZABLE", prepare=True)
            for values in islice(source, ROWS_IN_A_WRITE):
                cursor.execute(_INSERT, (next(ids), *values), prepare=True)
            cursor.execute("COMMIT", prepare=True)

    for warm_up in (read, read_by_hand, write, write_by_hand):
        warm_up()
    return [
        _result("read a row by id, 100 times", [_race(read, read_by_hand) for _ in range(rounds)]),
        _result(
            f"write {ROWS_IN_A_WRITE} rows in a transaction", [_race(write, write_by_hand) for _ in range(5 * rounds)]
        ),
        _result(f"insert {rows_count:,} rows", bulk),
    ]


def _race(one: Callable[[], None], other: Callable[[], None]) -> tuple[float, float]:
    began = time.perf_counter()
    one()
    between = time.perf_counter()
    other()
    return between - began, time.perf_counter() - between


def _result(work: str, races: list[tuple[float, float]]) -> Result:
    ratio = statistics.median(one / other for one, other in races)
    return Result(
        work, statistics.median(one for one, _ in races), statistics.median(other for _, other in races), ratio
    )


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.server", description="MiniDB and psycopg on one server")
    parser.add_argument("url", help="such as postgresql://postgres@127.0.0.1:5432/postgres")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    logging.getLogger("minidb").setLevel(logging.ERROR)
    print("| work | MiniDB, ms | by hand, ms | MiniDB / by hand |\n|---|--:|--:|--:|")  # noqa: T201  # what it is for
    for one in measure(options.url, rows_count=options.rows, rounds=options.rounds):
        line = f"| {one.work} | {one.minidb_s * 1000:.2f} | {one.by_hand_s * 1000:.2f} | {one.ratio:.2f} |"
        print(line)  # noqa: T201  # as above


if __name__ == "__main__":
    main()
