"""Where the time of one point read and of one insert goes: each step alone, in nanoseconds of the thread's own time.

    PYTHONPATH=src python -m bench.steps

The figures of docs/design/performance.md are its output. Steps are timed by calling them as the calls above them do, so
that each holds what the calls below it take; the last column of that page says of what it is a part.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final
from zlib import crc32

from bench import rows
from bench.adapters.minidb_adapter import SCHEMA
from minidb import MiniDB
from minidb.api.transaction import ambient_transaction
from minidb.encoding.integers import encode_integer
from minidb.encoding.rows import BODY, KEY, set_attribute
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.tables import reading, writing

_CALLS: Final = 1000
_ROUNDS: Final = 60
_ROWS: Final = 100_000
_ID: Final = 77_777

Step = tuple[str, float]


def time_of(call: Callable[[], object]) -> float:
    """Return what a call takes, in nanoseconds: the least of many rounds, less what the loop itself takes."""

    def least(call: Callable[[], object]) -> float:
        best = float("inf")
        for _ in range(_ROUNDS):
            start = time.thread_time_ns()
            for _ in range(_CALLS):
                call()
            best = min(best, time.thread_time_ns() - start)
        return best / _CALLS

    return least(call) - least(lambda: None)


def read_steps(database: MiniDB) -> Iterator[Step]:
    """Yield the steps of a point read, the whole first."""
    users = database.get_table("users")
    engine, pool = database.engine, database.connection_pool
    assert isinstance(engine, LmdbEngine), "it is in a folder"

    def take_and_give() -> None:
        taken = pool.take()
        taken.home.append(taken)

    yield "table.query(id), alone", time_of(lambda: users.query(_ID))
    with database.begin_transaction(read_only=True):
        yield "table.query(id), in a read transaction", time_of(lambda: users.query(_ID))
        ambient = ambient_transaction()
        assert ambient is not None, "it has just begun"
        yield "find the transaction and its table", time_of(lambda: ambient.finder(database, "users"))
    yield "look for an ambient transaction", time_of(ambient_transaction)
    yield "take a connection, give it back", time_of(take_and_give)
    with database.snapshot(None) as (snapshot, catalog):
        table = catalog.table("users")
        key = encode_integer(_ID)
        data = snapshot.get(table.space, key) or b""
        body = data[BODY]
        record, whole = table.codec.read_body(body), table.codec.whole
        get, get_newest = snapshot.getter(table.space), engine.newest_getter(snapshot.generation, table.space)
        find = reading.finder(get, table)
        yield "begin a snapshot, get the bytes, end it", time_of(lambda: get_newest(key))
        yield "find the row", time_of(lambda: find(_ID))
        yield "id to key", time_of(lambda: encode_integer(_ID))
        yield "get the bytes", time_of(lambda: get(key))
        yield "checksum", time_of(lambda: crc32(data, whole))
        yield "cut the body out", time_of(lambda: data[BODY])
        yield "body to row", time_of(lambda: table.codec.read_body(body))
        yield "note the key in the row", time_of(lambda: set_attribute(record, KEY, key))


def insert_steps(database: MiniDB) -> Iterator[Step]:
    """Yield the steps of an insert in a transaction, the whole first."""
    users = database.get_table("users")
    columns = next(rows.dictionaries(1))
    with database.begin_transaction() as transaction:
        yield "table.insert(columns), in a transaction", time_of(lambda: users.insert(columns))
        session = transaction.writing()
        table = session.table("users")
        values = table.check(columns)
        data = table.encode(values)
        key = encode_integer(_ID)
        (index,) = table.written_indexes
        entry, _ = index.entries_of(values, key, data)[0]
        yield "writing.insert", time_of(lambda: writing.insert(session, table, columns))
        yield "check the columns", time_of(lambda: table.check(columns))
        yield "values to bytes", time_of(lambda: table.encode(values))
        yield "take an id", time_of(lambda: (session.next_id(table), session.take_ids(table, 1)))
        yield "id to key", time_of(lambda: encode_integer(_ID))
        yield "index entry", time_of(lambda: index.entries_of(values, key, data))
        yield "put the row", time_of(lambda: session.bytes.put_many(table.space, {key: data}))
        yield "put the entry", time_of(lambda: session.bytes.put_many(index.space, {entry: b""}))
        transaction.rollback()
    inserts = iter(rows.dictionaries(_CALLS, _ROWS))

    def insert_some() -> None:
        with database.begin_transaction():
            for one in islice(inserts, _CALLS):
                users.insert(one)

    start = time.thread_time_ns()
    insert_some()
    yield "the same, its share of a commit of 1,000 included", (time.thread_time_ns() - start) / _CALLS


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder, MiniDB(Path(folder) / "database", durability="none") as database:
        database.create_table("users", SCHEMA).insert_many(rows.dictionaries(_ROWS))
        for title, steps in (("A point read", read_steps(database)), ("An insert", insert_steps(database))):
            sys.stdout.write(f"{title}\n")
            for what, nanoseconds in steps:
                sys.stdout.write(f"  {what:55} {nanoseconds:8,.0f} ns\n")


if __name__ == "__main__":
    main()
