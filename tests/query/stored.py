"""Samples, made: in MiniDB, in SQLite where that has their types, and as plain rows; and what these should find."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Any, Final

from tests.query.questions import Columns, Question, sql_value
from tests.query.samples import KINDS, IndexSample, Sample, make_sample

from minidb import MiniDB, Query, Row, Table

TABLES: Final = int(os.environ.get("MINIDB_DIFFERENTIAL_TABLES", "24"))

Key = Hashable
Order = Sequence[tuple[str, bool]]


def seeded(batch: int) -> Random:
    """Return what chooses for a batch, and print what repeats it."""
    seed = os.environ.get("MINIDB_DIFFERENTIAL_SEED") or str(SystemRandom().randrange(1 << 32))
    print(f"MINIDB_DIFFERENTIAL_SEED={seed} MINIDB_DIFFERENTIAL_TABLES={TABLES}, batch {batch}")
    return Random(f"{seed}, {batch}")


@dataclass(frozen=True)
class Stored:
    """A sample, made: in MiniDB, in SQLite if that has its types, and as plain rows by id."""

    sample: Sample
    table: Table[Row]
    rows: dict[Key, Columns]
    mirror: sqlite3.Connection | None
    """Its column ``number`` is a row's place in ``rows``."""

    def query(self, question: Question | None, order: Order = ()) -> Query[Row]:
        conditions = [] if question is None else [question.condition()]
        return self.table.find(*conditions).order_by(*("-" * down + name for name, down in order))

    def matching(self, question: Question | None) -> dict[Key, Columns]:
        return {key: row for key, row in self.rows.items() if question is None or question.holds(row)}


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
    mirror = stack.enter_context(closing(_mirror(sample, list(rows.values())))) if sample.in_sqlite else None
    return Stored(sample, table, rows, mirror)


def _mirror(sample: Sample, rows: Sequence[Columns]) -> sqlite3.Connection:
    mirror = sqlite3.connect(":memory:")
    # Columns without a type change no value, and compare text by its bytes.
    mirror.execute(f"CREATE TABLE mirror (number, {', '.join(sample.columns)})")
    mirror.execute("CREATE TABLE elements (number, field, element)")
    mirror.executemany(
        f"INSERT INTO mirror VALUES (?{', ?' * len(sample.columns)})",  # noqa: S608  # of this module's words
        ([number, *(sql_value(row[column]) for column in sample.columns)] for number, row in enumerate(rows)),
    )
    mirror.executemany(
        "INSERT INTO elements VALUES (?, ?, ?)",
        (
            (number, column, element)
            for number, row in enumerate(rows)
            for column in sample.columns
            if isinstance(row[column], list)
            for element in row[column]
        ),
    )
    return mirror


def create_indexes(database: MiniDB, name: str, sample: Sample) -> None:
    for index in sample.indexes:
        create_index(database, name, index)


def create_index(database: MiniDB, table: str, index: IndexSample) -> None:
    where = None if index.where is None else index.where.condition()
    include = "*" if index.is_covering else None
    database.create_index(table, *index.fields, name=index.name, unique=index.unique, where=where, include=include)


def new_value(random: Random, sample: Sample, column: str) -> Any:  # Any: of the column's type
    if column in sample.nullable and random.random() < 0.2:
        return None
    return KINDS[sample.columns[column]].value(random)


def make_order(random: Random, sample: Sample) -> Order:
    names = sample.sortable
    chosen = random.sample(names, min(len(names), random.choice([0, 1, 1, 2, 3])))
    if sample.indexes and random.random() < 0.3:
        chosen = [name for name in random.choice(sample.indexes).fields if name in names]
        chosen = chosen[random.choice([0, 0, 1]) :]
    descending: Callable[[], bool] = random.choice([lambda: False, lambda: True, lambda: random.random() < 0.5])
    return [(name, descending()) for name in chosen]


# --- what should be found ---------------------------------------------------------------------------------------------


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


def sorted_keys(rows: Sequence[Columns], order: Order) -> list[tuple[Any, ...]]:  # Any: as above
    """Return what rows are sorted by, in their order."""
    ordered = list(rows)
    for name, is_descending in reversed(order):
        ordered.sort(key=null_first(name), reverse=is_descending)
    return [sort_key(row, order) for row in ordered]


def null_first(name: str) -> Callable[[Columns], tuple[Any, ...]]:  # Any: of the column's type
    return lambda row: (True, row[name]) if row[name] is not None else (False,)


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
