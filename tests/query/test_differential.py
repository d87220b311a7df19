"""Queries against SQLite and against Python itself: random tables, random indexes, random questions, one answer.

``MINIDB_DIFFERENTIAL_SEED`` repeats the tables and questions of a run, whose seed is printed when it fails;
``MINIDB_DIFFERENTIAL_TABLES`` makes more of them in each batch.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from decimal import Context, Decimal
from math import fsum, inf, isclose, isfinite
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from tests.api.consistency import check_consistency
from tests.query.questions import Both, Columns, Question, sql_value
from tests.query.samples import IndexSample, make_index, make_question, make_row
from tests.query.stored import (
    TABLES,
    Key,
    Order,
    Stored,
    ask_sqlite,
    create_index,
    make_order,
    new_value,
    seeded,
    sort_key,
    sorted_keys,
    store,
    told,
)

from minidb import MiniDB, Row
from minidb.exceptions import RowExistsError, UniqueViolationError

BATCHES: Final = 8
ON_A_SERVER: Final = 5
QUESTIONS: Final = 16
WALKS: Final = 4
FIGURES: Final = 5


@pytest.fixture
def place(batch: int, request: pytest.FixtureRequest) -> Path | str:
    """Where the tables of a batch are: most of what can go wrong is the same on every engine, and memory is faster."""
    if batch % 4 == 0:
        path: Path = request.getfixturevalue("database_path")
        return path
    return str(request.getfixturevalue("postgres_url")) if batch == ON_A_SERVER else ":memory:"


@pytest.mark.parametrize("batch", range(BATCHES))
def test_queries_find_what_sqlite_and_python_find(batch: int, place: Path | str) -> None:
    random = seeded(batch)
    with MiniDB(place, durability="none") as database:
        asked = sum(ask(random, database, f"table_{number}") for number in range(TABLES))
        check_consistency(database)
    assert asked == TABLES * QUESTIONS


@pytest.mark.parametrize("batch", range(4))
def test_pages_are_what_is_found_in_pieces(batch: int, place: Path | str) -> None:
    random = seeded(batch)
    with MiniDB(place, durability="none") as database:
        pages = sum(walk_table(random, database, f"table_{number}") for number in range(TABLES))
        check_consistency(database)
    assert pages >= TABLES * WALKS


@pytest.mark.parametrize("batch", range(4))
def test_pages_miss_and_repeat_no_row_whatever_changes_between_them(batch: int, place: Path | str) -> None:
    random = seeded(batch)
    with MiniDB(place, durability="none") as database:
        changed = sum(walk_changing_table(random, database, f"table_{number}") for number in range(TABLES))
        check_consistency(database)
    assert changed > 0


@pytest.mark.parametrize("batch", range(4))
def test_figures_are_those_of_sqlite_and_python(batch: int, place: Path | str) -> None:
    random = seeded(batch)
    with MiniDB(place, durability="none") as database:
        for number in range(TABLES):
            with ExitStack() as stack:
                stored = store(random, database, f"table_{number}", stack)
                for _ in range(FIGURES):
                    ask_figures(random, stored)


@pytest.mark.parametrize("batch", range(2))
def test_queries_delete_and_update_what_python_finds(batch: int, place: Path | str) -> None:
    random = seeded(batch)
    with MiniDB(place, durability="none") as database:
        changed = sum(change(random, database, f"table_{number}") for number in range(TABLES * 2))
        check_consistency(database)
    assert changed > 0


# --- asking -----------------------------------------------------------------------------------------------------------


def ask(random: Random, database: MiniDB, name: str) -> int:
    """Make a table and ask it questions. Return how many."""
    with ExitStack() as stack:
        stored = store(random, database, name, stack)
        for _ in range(QUESTIONS):
            question = ask_for_some(random, stored)
            order = make_order(random, stored.sample)
            limit = random.choice([None, None, 0, 1, 3, 10, 100])
            offset = random.choice([0, 0, 0, 1, 5])
            with told(stored.sample, question, f"order {order}, limit {limit}, offset {offset}"):
                check(stored, question, order, limit, offset)
    return QUESTIONS


def ask_for_some(random: Random, stored: Stored) -> Question | None:
    """Return a question, often one that only a partial index answers, or None for every row."""
    if random.random() < 0.05:
        return None
    question = make_question(random, stored.sample)
    partial = [index.where for index in stored.sample.indexes if index.where is not None]
    if partial and random.random() < 0.4:
        where = random.choice(partial)
        question = random.choice([where, Both(where, question), Both(question, where)])
    return question


# --- checking ---------------------------------------------------------------------------------------------------------


def check(stored: Stored, question: Question | None, order: Order, limit: int | None, offset: int) -> None:
    """Compare what a query gives with what Python and SQLite find. Rows that tie may come in any order."""
    matching = stored.matching(question)
    stop = None if limit is None else offset + limit
    expected = sorted_keys(list(matching.values()), order)[offset:stop]
    if stored.mirror is not None:
        assert ask_sqlite(stored, question, [], None, 0).keys() == matching.keys(), "SQLite and Python disagree"
        found = ask_sqlite(stored, question, order, limit, offset)
        assert [sort_key(row, order) for row in found.values()] == expected, (
            "SQLite and Python disagree about the order"
        )

    query = stored.query(question, order)
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
    if stored.sample.has_way_to(question):
        assert "table scan" not in explanation.tree, explanation.tree


# --- pages ------------------------------------------------------------------------------------------------------------


def walk_table(random: Random, database: MiniDB, name: str) -> int:
    """Make a table and walk through pages of it. Return how many there were."""
    with ExitStack() as stack:
        stored = store(random, database, name, stack)
        pages = 0
        for _ in range(WALKS):
            question, order = ask_for_some(random, stored), make_order(random, stored.sample)
            with told(stored.sample, question, f"pages in the order {order}"):
                matching = stored.matching(question)
                query, token, rows = stored.query(question, order), None, list[Row]()
                while True:
                    size = random.choice([1, 2, 3, 7, 20, 100])
                    page = query.page(size, after=token)
                    rows += page.rows
                    token = page.token
                    pages += 1
                    assert len(page.rows) == size or token is None
                    if token is None:
                        break
                    assert page.rows
                assert [sort_key(row.columns, order) for row in rows] == sorted_keys(list(matching.values()), order)
                assert len({row.id for row in rows}) == len(rows), "a row came twice"
                assert {row.id: row.columns for row in rows} == matching
                whole = query.page(len(rows) + 1)
                assert [row.id for row in whole.rows] == [row.id for row in rows], "pages have another order than one"
        return pages


def walk_changing_table(random: Random, database: MiniDB, name: str) -> int:
    """Walk through pages while rows and indexes come, go and change. Return how many changes there were."""
    with ExitStack() as stack:
        stored = store(random, database, name, stack)
        question, order = ask_for_some(random, stored), make_order(random, stored.sample)
        rows, changed = dict(stored.rows), 0
        throughout = set(stored.matching(question))
        inserted: set[Key] = set()
        query, token, seen = stored.query(question, order), None, list[Row]()
        with told(stored.sample, question, f"changing pages in the order {order}"):
            while True:
                page = query.page(random.choice([1, 2, 3, 7]), after=token)
                seen += page.rows
                token = page.token
                if token is None:
                    break
                for _ in range(random.choice([0, 1, 3])):
                    changed += 1
                    form = random.random()
                    if form < 0.3:
                        _insert(random, stored, rows, inserted)
                    elif form < 0.5 and rows:
                        row_id = random.choice(list(rows))
                        stored.table.delete(row_id)
                        del rows[row_id]
                        throughout.discard(row_id)
                    elif form < 0.8 and rows and stored.sample.free_columns:
                        row_id = random.choice(list(rows))
                        column = random.choice(stored.sample.free_columns)
                        rows[row_id] = {**rows[row_id], column: new_value(random, stored.sample, column)}
                        stored.table.update(row_id, **{column: rows[row_id][column]})
                        throughout.discard(row_id)
                        inserted.discard(row_id)  # it may have moved to a page that is still to come
                    else:
                        _change_indexes(random, database, stored)
            ids = [row.id for row in seen]
            kept = [row for row in seen if row.id in throughout]
            assert sorted(map(repr, (row.id for row in kept))) == sorted(map(repr, throughout)), "missed, or came twice"
            assert all(ids.count(row_id) <= 1 for row_id in inserted)
            assert [sort_key(row.columns, order) for row in kept] == sorted_keys([row.columns for row in kept], order)
        return changed


def _insert(random: Random, stored: Stored, rows: dict[Key, Columns], inserted: set[Key]) -> None:
    row = make_row(random, stored.sample)
    try:
        row_id = stored.table.insert(row)
    except (RowExistsError, UniqueViolationError):
        return
    rows[row_id] = row
    inserted.add(row_id)


def _change_indexes(random: Random, database: MiniDB, stored: Stored) -> None:
    name = stored.table.name
    indexes = database.indexes(name)
    if indexes and random.random() < 0.5:
        database.drop_index(name, random.choice(indexes).name)
        return
    made: IndexSample = make_index(random, stored.sample, unique=False)
    if made.name not in [index.name for index in indexes]:
        create_index(database, name, made)


# --- figures ----------------------------------------------------------------------------------------------------------

EXACT: Final = Context(prec=5_000)


def ask_figures(random: Random, stored: Stored) -> None:
    """Ask for figures of groups, or of all rows that a question finds."""
    sample = stored.sample
    question = ask_for_some(random, stored)
    groups = random.sample(sample.sortable, min(len(sample.sortable), random.choice([0, 1, 1, 2])))
    wanted: dict[str, tuple[str, str]] = {}
    for name in random.sample(sample.sortable, min(len(sample.sortable), 3)):
        functions = ["count", "min", "max"]
        if sample.columns[name] in ("integer", "huge integer", "float", "decimal"):
            functions += ["sum", "avg"] * 2
        wanted[f"figure_{len(wanted)}"] = (random.choice(functions), name)
    with told(sample, question, f"groups {groups}, figures {wanted}"):
        members: dict[tuple[Any, ...], list[Columns]] = {} if groups else {(): []}  # Any: of the columns' types
        for row in stored.matching(question).values():
            members.setdefault(tuple(row[name] for name in groups), []).append(row)
        query = stored.query(question)
        if groups:
            found = query.group_by(*groups).aggregate(rows="count", **wanted)
        else:
            found = [query.aggregate(rows="count", **wanted)]
        order = [(name, False) for name in groups]
        first_of = [dict(zip(groups, values, strict=True)) for values in members]
        assert [sort_key(row.columns, order) for row in found] == sorted_keys(first_of, order)
        for group in found:
            rows = members[tuple(group[name] for name in groups)]
            assert group["rows"] == len(rows)
            for figure, (function, field) in wanted.items():
                values = [one[field] for one in rows if one[field] is not None]
                assert is_figure(group[figure], function, values), (figure, group[figure], values)
            assert list(group.columns) == [*groups, "rows", *wanted]
        if stored.mirror is not None:
            compare_with_sqlite(stored, question, groups, wanted, found)
        if not groups:
            for figure, (function, field) in wanted.items():
                alone = query.count() if function == "count" else getattr(query, function)(field)
                assert function == "count" or repr(alone) == repr(found[0][figure]) or alone == found[0][figure]


def is_figure(found: Any, function: str, values: list[Any]) -> bool:  # Any: of the column's type
    """Tell whether a figure is that of these values, none of which is null."""
    if function == "count":
        return bool(found == len(values))
    if function in ("min", "max"):
        expected = None if not values else min(values) if function == "min" else max(values)
        return bool(found == expected)
    if not values:
        return found is None if function == "avg" else found == 0
    if isinstance(values[0], float):
        return is_close(found * (len(values) if function == "avg" else 1), values)
    if isinstance(values[0], Decimal):
        total = Decimal(0)
        for value in values:
            total = EXACT.add(total, value)
        if function == "sum":
            return bool(found == total)
        return bool(abs(EXACT.subtract(EXACT.multiply(found, Decimal(len(values))), total)) <= abs(total) / 10**25)
    return bool(found == (sum(values) if function == "sum" else sum(values) / len(values)))


def is_close(found: float, values: list[float]) -> bool:
    """Tell whether this is the sum of floats, but for rounding."""
    size = fsum(abs(value) / 2**60 for value in values) * 2**60 if values else 0.0
    if not isfinite(size) or size > 1e307:
        return True  # floats have no room for it, or for some sum on the way to it
    smallest = len(values) * 5e-324  # a mean below the smallest float is none, and is multiplied by so many
    return isclose(found, fsum(values), rel_tol=1e-15, abs_tol=size * 1e-15 + smallest)


def compare_with_sqlite(
    stored: Stored, question: Question | None, groups: list[str], wanted: dict[str, tuple[str, str]], found: list[Row]
) -> None:
    assert stored.mirror is not None
    parameters: list[object] = []
    figures = ["COUNT(*)", *(f"{function.upper()}({field})" for function, field in wanted.values())]
    statement = f"SELECT {', '.join([*groups, *figures])} FROM mirror"  # noqa: S608  # of this module's words
    statement += f" WHERE {'1' if question is None else question.sql(parameters)}"
    if groups:
        statement += f" GROUP BY {', '.join(groups)} ORDER BY {', '.join(groups)}"
    try:
        expected = stored.mirror.execute(statement, parameters).fetchall()
    except sqlite3.OperationalError as error:
        assert "integer overflow" in str(error)  # noqa: PT017  # its sums of integers have 64 bits, ours are exact
        return
    assert len(found) == len(expected)
    for row, (*values, count) in zip(found, [(*one, one[len(groups)]) for one in expected], strict=True):
        assert row["rows"] == count
        assert [sql_value(row[name]) for name in groups] == values[: len(groups)]
        for (name, (function, field)), theirs in zip(wanted.items(), values[len(groups) + 1 :], strict=True):
            ours: Any = sql_value(row[name])  # Any: as in SQLite
            if function in ("sum", "avg"):
                size = max((abs(one[field] or 0) for one in stored.rows.values()), default=0)
                if not isfinite(size * 100) or ours in (inf, -inf):
                    continue
                assert isclose(ours or 0, theirs or 0, rel_tol=1e-9, abs_tol=float(size) * 1e-12 + 1e-300), (
                    ours,
                    theirs,
                )
            else:
                assert ours == theirs


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
