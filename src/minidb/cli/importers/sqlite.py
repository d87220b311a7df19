"""SQLite files: tables with their primary keys, defaults and indexes. A column has the type of its values."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

from minidb import MiniDB
from minidb.cli.cells import BAD_TEXT, AnyField
from minidb.cli.filter_language import FilterError
from minidb.cli.importers.report import ImportReport, insert_in_batches, require_new
from minidb.cli.importers.sqlite_columns import Column, Type, columns_of, default_of, quote, type_of, types_of
from minidb.cli.importers.sqlite_indexes import Index, condition_of, indexes_of
from minidb.exceptions import MiniDBError, SchemaError, UsageError
from minidb.schema import Schema

Watch: TypeAlias = Callable[[str, int, Iterable[Any]], Iterator[Any]]  # Any: what is counted

_CHECK: Final = re.compile(r"\bCHECK\s*\(", re.IGNORECASE)


def import_sqlite(database: MiniDB, path: Path, only: list[str], watch: Watch, report: ImportReport) -> None:
    """Import tables. Raises ``UsageError`` for what is no SQLite file."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as source:
            _import_all(database, source, only, watch, report)
    except sqlite3.Error as error:
        raise UsageError(f"SQLite cannot read {path}: {error}") from error


def _import_all(
    database: MiniDB, source: sqlite3.Connection, only: list[str], watch: Watch, report: ImportReport
) -> None:
    master = source.execute("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    things = master.fetchall()
    virtual = [name for kind, name, sql in things if kind == "table" and sql.upper().startswith("CREATE VIRTUAL")]
    shadows = {f"{name}_{part}" for name in virtual for part in ("content", "data", "idx", "docsize", "config", "stat")}
    tables = [name for kind, name, _ in things if kind == "table" and name not in virtual and name not in shadows]
    unknown = [name for name in only if name not in tables]
    if unknown:
        raise UsageError(f"There is no table named {unknown[0]!r} in the file", hint=f"there are {', '.join(tables)}")
    for name in only or tables:
        _import_table(database, source, name, watch, report)
    left_out = [f"{kind} {name}" for kind, name, _ in things if kind in ("view", "trigger")]
    left_out += [f"virtual table {name}" for name in virtual]
    report.notes += [f"{what} was left out" for what in ([] if only else left_out)]


def _import_table(database: MiniDB, source: sqlite3.Connection, table: str, watch: Watch, report: ImportReport) -> None:
    require_new(database, table)
    columns = columns_of(source, table)
    key = sorted((one for one in columns if one.key_place), key=lambda one: one.key_place)
    if any(types_of(source, table, one.name) & {"null"} for one in key):
        report.notes.append(f"the primary key of {table} has nulls, so {table} has automatic ids")
        key = []
    types = {one.name: type_of(source, table, one) for one in columns}
    fields = {one.name: _field_of(table, one, types[one.name], report, is_key=one in key) for one in columns}
    if [one for one in columns if one in key] != key:
        report.notes.append(f"the primary key of {table} is in the order of its columns now")
    schema = Schema(fields)
    made = database.create_table(table, schema)
    # Before the rows, which go in by batches: an index of rows that are there would be made in one go.
    for index in indexes_of(source, table):
        if index.columns != [one.name for one in key] or index.condition is not None:
            _import_index(database, table, index, schema, report)
    names = list(fields)
    converters = [types[name][1] for name in names]
    (count,) = source.execute(f"SELECT count(*) FROM {quote(table)}").fetchone()
    rows = source.execute(f"SELECT {', '.join(map(quote, names))} FROM {quote(table)}")
    insert_in_batches(
        made,
        (
            {
                name: None if value is None else convert(value)
                for name, convert, value in zip(names, converters, row, strict=True)
            }
            for row in watch(table, count, rows)
        ),
    )
    report.tables[table] = count
    _tell_the_rest(source, table, columns, report)


def _field_of(table: str, column: Column, kind: Type, report: ImportReport, *, is_key: bool) -> AnyField:
    """Return the field that a column becomes."""
    make, convert = kind
    options: dict[str, Any] = {
        "required": column.is_required or is_key,
        "primary_key": is_key,
    }  # Any: as the field has them
    if column.default is not None:
        try:
            value = default_of(column.default)
            if value is not None:
                return make(**options, default=convert(value))
        except (SchemaError, TypeError, *BAD_TEXT):
            report.notes.append(f"the default of {table}.{column.name} was left out: {column.default}")
    return make(**options)


def _import_index(database: MiniDB, table: str, index: Index, schema: Schema, report: ImportReport) -> None:
    names = [name for name in index.columns if name is not None]
    if len(names) < len(index.columns):
        report.notes.append(f"index {index.name} of {table} is on an expression, and was left out")
        return
    try:
        where = None if index.condition is None else condition_of(index.condition, schema)
        database.create_index(table, *names, name=index.name, unique=index.is_unique, where=where)
    except MiniDBError as error:
        if index.condition is None:
            raise
        is_ours = isinstance(error, UsageError) and not isinstance(error, FilterError)
        reason = error.message if is_ours else "MiniDB has no such condition"
        report.notes.append(f"index {index.name} of {table}, WHERE {index.condition}, was left out: {reason}")
        return
    if index.ignores_case:
        report.notes.append(f"index {index.name} of {table} compares texts letter by letter now, capitals too")


def _tell_the_rest(source: sqlite3.Connection, table: str, columns: Sequence[Column], report: ImportReport) -> None:
    """Note what else SQLite kept watch of in a table."""
    keys: dict[int, list[tuple[str, str, str | None]]] = {}
    for number, _, other, field, other_field, *_ in source.execute(f"PRAGMA foreign_key_list({quote(table)})"):
        keys.setdefault(number, []).append((other, field, other_field))
    for parts in reversed(keys.values()):
        here = ", ".join(field for _, field, _ in parts)
        there = ", ".join(field for _, _, field in parts if field is not None)
        target = f"{parts[0][0]} ({there})" if there else parts[0][0]
        report.notes.append(f"the foreign key of {table} ({here}) to {target} is not checked any more")
    (sql,) = source.execute("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)).fetchone()
    if _CHECK.search(sql):
        report.notes.append(f"the CHECK of {table} is not made any more")
    report.notes += [
        f"{table}.{one.name} was generated, and is a column like any other now" for one in columns if one.is_generated
    ]
