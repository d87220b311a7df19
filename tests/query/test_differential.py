"""Queries against SQLite and against Python itself: random tables, random indexes, random questions, one answer.

``MINIDB_DIFFERENTIAL_SEED`` repeats the tables and questions of a run, whose seed is printed when it fails;
``MINIDB_DIFFERENTIAL_TABLES`` makes more of them in each batch.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, Final

import pytest
from tests.api.consistency import check_consistency
from tests.query.questions import Columns, Question, narrowed_fields, sql_value
from tests.query.samples import KINDS, Sample, make_question, make_sample

from minidb import MiniDB, Row, Table

TABLES: Final = int(os.environ.get("MINIDB_DIFFERENTIAL_TABLES", "24"))
BATCHES: Final = 8
QUESTIONS: Final = 16

Key = Hashable
Order = Sequence[tuple[str, bool]]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_queries_find_what_sqlite_and_python_find(batch: int, database_path: Path) -> None:
    random = seeded(batch)
    # Most of what can go wrong is the same on every engine, and memory is faster.
    with MiniDB(database_path if batch % 4 == 0 else ":memory:", durability="none") as database:
        asked = sum(ask(random, database, f"table_{number}") for number in range(TABLES))
        check_consistency(database)
    assert asked == TABLES * QUESTIONS


@pytest.mark.parametrize("batch", range(2))
def test_queries_delete_and_update_what_python_finds(batch: int, database_path: Path) -> None:
    random = seeded(batch)
    with MiniDB(database_path if batch == 0 else ":memory:", durability="none") as database:
        changed = sum(change(random, database, f"table_{number}") for number in range(TABLES * 2))
        check_consistency(database)
    assert changed > 0


def seeded(batch: int) -> Random:
    """Return what chooses for a batch, and print what repeats it."""
    seed = os.environ.get("MINIDB_DIFFERENTIAL_SEED") or str(SystemRandom().randrange(1 << 32))
    print(f"MINIDB_DIFFERENTIAL_SEED={seed} MINIDB_DIFFERENTIAL_TABLES={TABLES}, batch {batch}")
    return Random(f"{seed}, {batch}")


# --- asking -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """A sample, made: in MiniDB, in SQLite if that has its types, and as plain rows by id."""

    sample: Sample
    table: Table[Row]
    rows: dict[Key, Columns]
    numbers: dict[Key, int]
    """What stands for an id in SQLite."""

    mirror: sqlite3.Connection | None


def ask(random: Random, database: MiniDB, name: str) -> int:
    """Make a table and ask it questions. Return how many."""
    with ExitStack() as stack:
        stored = store(random, database, name, stack)
        for _ in range(QUESTIONS):
            question = None if random.random() < 0.05 else make_question(random, stored.sample)
            order = make_order(random, stored.sample)
            limit = random.choice([None, None, 0, 1, 3, 10, 100])
            offset = random.choice([0, 0, 0, 1, 5])
            with told(stored.sample, question, f"order {order}, limit {limit}, offset {offset}"):
                check(stored, question, order, limit, offset)
    return QUESTIONS


def store(random: Random, database: MiniDB, name: str, stack: ExitStack) -> Stored:
    """Make a sample: its indexes before its rows or after, the rows at once or with changes, committed or not."""
    sample = make_sample(random)
    table = database.create_table(name, sample.schema)
    is_indexed_first = random.random() < 0.5
    if is_indexed_first:
        create_indexes(database, name, sample)
        if random.random() < 0.3:
            stack.enter_context(database.begin_transaction())
    ids = list(table.insert_many(sample.rows))
    rows: dict[Key, Columns] = dict(zip(ids, sample.rows, strict=True))
    if random.random() < 0.3:
        for row_id in random.sample(ids, len(ids) // 4):
            del rows[row_id]
            table.delete(row_id)
        for row_id in random.sample(list(rows), len(rows) // 4):
            changes = {column: new_value(random, sample, column) for column in sample.free_columns}
            rows[row_id] = {**rows[row_id], **changes}
            table.update(row_id, **changes)
    if not is_indexed_first:
        create_indexes(database, name, sample)
    numbers = {row_id: number for number, row_id in enumerate(rows)}
    mirror = None
    if sample.in_sqlite:
        mirror = stack.enter_context(closing(sqlite3.connect(":memory:")))
        # Columns without a type change no value, and compare text by its bytes.
        mirror.execute(f"CREATE TABLE mirror (number, {', '.join(sample.columns)})")
        mirror.executemany(
            f"INSERT INTO mirror VALUES (?{', ?' * len(sample.columns)})",  # noqa: S608  # of this module's words
            ([numbers[key], *(sql_value(row[column]) for column in sample.columns)] for key, row in rows.items()),
        )
    return Stored(sample, table, rows, numbers, mirror)


def create_indexes(database: MiniDB, name: str, sample: Sample) -> None:
    for fields, unique in sample.indexes:
        database.create_index(name, *fields, unique=unique)


def new_value(random: Random, sample: Sample, column: str) -> Any:  # Any: of the column's type
    if column in sample.nullable and random.random() < 0.2:
        return None
    return KINDS[sample.columns[column]].value(random)


def make_order(random: Random, sample: Sample) -> Order:
    names = list(sample.columns)
    chosen = random.sample(names, min(len(names), random.choice([0, 1, 1, 2, 3])))
    if sample.indexes and random.random() < 0.3:
        chosen = list(random.choice(sample.indexes)[0])
    descending: Callable[[], bool] = random.choice([lambda: False, lambda: True, lambda: random.random() < 0.5])
    return [(name, descending()) for name in chosen]


# --- checking ---------------------------------------------------------------------------------------------------------


def check(stored: Stored, question: Question | None, order: Order, limit: int | None, offset: int) -> None:
    """Compare what a query gives with what Python and SQLite find. Rows that tie may come in any order."""
    matching = {key: row for key, row in stored.rows.items() if question is None or question.holds(row)}
    stop = None if limit is None else offset + limit
    expected = sorted_keys(matching, order)[offset:stop]
    if stored.mirror is not None:
        assert ask_sqlite(stored, question, [], None, 0).keys() == matching.keys(), "SQLite and Python disagree"
        found = ask_sqlite(stored, question, order, limit, offset)
        assert [sort_key(row, order) for row in found.values()] == expected, (
            "SQLite and Python disagree about the order"
        )

    conditions = [] if question is None else [question.condition()]
    query = stored.table.find(*conditions).order_by(*("-" * down + name for name, down in order))
    assert {row.id for row in query} == matching.keys()
    query = query.limit(limit).offset(offset)
    rows = query.all()
    assert [sort_key(row.columns, order) for row in rows] == expected
    assert len({row.id for row in rows}) == len(rows), "a row came twice"
    for row in rows:
        # A column that was never given is not there in a table without a schema: here all are given.
        assert row.columns == matching[row.id]
    assert [row.id for row in query] == [row.id for row in rows], "iterating is not all()"
    assert query.count() == len(expected)
    assert query.exists() == bool(expected)
    first = query.first()
    assert ([] if first is None else [sort_key(first.columns, order)]) == expected[:1]
    assert first is None or first.id in matching
    explanation = query.explain()
    assert explanation.returned == len(expected)
    if question is not None and narrowed_fields(question) & stored.sample.leading_fields:
        assert "table scan" not in explanation.tree, explanation.tree


def ask_sqlite(
    stored: Stored, question: Question | None, order: Order, limit: int | None, offset: int
) -> dict[Key, Columns]:
    assert stored.mirror is not None
    parameters: list[object] = []
    statement = f"SELECT number FROM mirror WHERE {'1' if question is None else question.sql(parameters)}"  # noqa: S608  # of this module's words
    if order:
        statement += " ORDER BY " + ", ".join(name + " DESC" * down for name, down in order)
    parameters += [-1 if limit is None else limit, offset]
    by_number = list(stored.rows)
    found = stored.mirror.execute(f"{statement} LIMIT ? OFFSET ?", parameters)
    return {by_number[number]: stored.rows[by_number[number]] for (number,) in found}


def sort_key(row: Columns, order: Order) -> tuple[Any, ...]:  # Any: of the columns' types
    return tuple((row[name] is not None, row[name]) for name, _ in order)


def sorted_keys(rows: dict[Key, Columns], order: Order) -> list[tuple[Any, ...]]:  # Any: as above
    ordered = list(rows.values())
    for name, is_descending in reversed(order):
        get = null_first(name)
        ordered.sort(key=get, reverse=is_descending)
    return [sort_key(row, order) for row in ordered]


def null_first(name: str) -> Callable[[Columns], tuple[Any, ...]]:  # Any: of the column's type
    return lambda row: (True, row[name]) if row[name] is not None else (False,)


# --- changing ---------------------------------------------------------------------------------------------------------


def change(random: Random, database: MiniDB, name: str) -> int:
    """Make a table, change and delete rows of it by queries. Return how many."""
    with ExitStack() as stack:
        stored = store(random, database, name, stack)
        rows, changed = dict(stored.rows), 0
        for _ in range(4):
            question = make_question(random, stored.sample, 1)
            matching = [key for key, row in rows.items() if question.holds(row)]
            query = stored.table.find(question.condition())
            columns = random.sample(stored.sample.free_columns, min(len(stored.sample.free_columns), 2))
            with told(stored.sample, question, f"update of {columns}, or a delete"):
                if columns and random.random() < 0.7:
                    # To one value for all: rows move within the very index that leads to them.
                    changes = {column: new_value(random, stored.sample, column) for column in columns}
                    assert query.update(**changes) == len(matching)
                    rows |= {key: {**rows[key], **changes} for key in matching}
                else:
                    assert query.delete() == len(matching)
                    rows = {key: row for key, row in rows.items() if key not in matching}
                assert {row.id: row.columns for row in stored.table} == rows
            changed += len(matching)
    return changed


@contextmanager
def told(sample: Sample, question: Question | None, what: str) -> Iterator[None]:
    """Tell with a failure what was asked of which table."""
    try:
        yield
    except Exception as error:
        for note in (
            f"columns {sample.columns}, nullable {sorted(sample.nullable)}, schema: {sample.has_schema}",
            f"primary key {sample.primary_key}, indexes {sample.indexes}",
            f"question {question}",
            what,
        ):
            error.add_note(note)
        raise
