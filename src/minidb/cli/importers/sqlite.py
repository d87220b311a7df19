"""SQLite files: tables with their primary keys and indexes. The types of columns are those of their values."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from minidb import MiniDB
from minidb.cli.importers.report import ImportReport
from minidb.cli.inference import Column as TextColumn
from minidb.exceptions import UsageError
from minidb.schema import (
    BooleanField,
    BytesField,
    DateField,
    DateTimeField,
    Field,
    FloatField,
    IntegerField,
    JSONField,
    Schema,
    StringField,
)

_MOST_EXACT: Final = 2**53  # up to here each integer is a float

AnyField: TypeAlias = Field[Any]  # Any: a field of whatever type
Type: TypeAlias = tuple[Callable[..., AnyField], Callable[[Any], object]]
"""What makes a field, and what makes its values of SQLite's. Any: a value has the type that SQLite gave it."""

_DATE_TYPES: Final[Mapping[str, Type]] = {
    "date": (DateField, date.fromisoformat),
    "datetime": (partial(DateTimeField, timezone=False), datetime.fromisoformat),
    "moment": (partial(DateTimeField, timezone=True), datetime.fromisoformat),
}

Watch: TypeAlias = Callable[[str, int, Iterable[Any]], Iterator[Any]]  # Any: what is counted


@dataclass(frozen=True, slots=True)
class Column:
    """A column as SQLite declares it."""

    name: str
    declared: str
    is_required: bool
    key_place: int
    """Its place in the primary key, from 1; 0 for none."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index as SQLite has it."""

    name: str
    columns: list[str | None]
    is_unique: bool
    is_partial: bool


def import_sqlite(database: MiniDB, path: Path, only: list[str], watch: Watch, report: ImportReport) -> None:
    """Import tables. REQUIRES a transaction around it. Raises ``UsageError`` for what is no SQLite file."""
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
    columns = [
        Column(name, declared.upper(), bool(required), place)
        for _, name, declared, required, _, place, hidden in source.execute(f"PRAGMA table_xinfo({_quote(table)})")
        if hidden != 1
    ]
    key = sorted((one for one in columns if one.key_place), key=lambda one: one.key_place)
    if any(_types_of(source, table, one.name) & {"null"} for one in key):
        report.notes.append(f"the primary key of {table} has nulls, so {table} has automatic ids")
        key = []
    fields: dict[str, AnyField] = {}
    converters: list[Callable[[Any], object]] = []
    for column in columns:
        make, convert = _type_of(source, table, column)
        fields[column.name] = make(required=column.is_required or column in key, primary_key=column in key)
        converters.append(convert)
    made = database.create_table(table, Schema(fields))
    names = list(fields)
    (count,) = source.execute(f"SELECT count(*) FROM {_quote(table)}").fetchone()
    rows = source.execute(f"SELECT {', '.join(map(_quote, names))} FROM {_quote(table)}")
    made.insert_many(
        {
            name: None if value is None else convert(value)
            for name, convert, value in zip(names, converters, row, strict=True)
        }
        for row in watch(table, count, rows)
    )
    report.tables[table] = count
    for index in _indexes_of(source, table):
        if index.is_partial or None in index.columns:
            report.notes.append(f"index {index.name} of {table} is partial or on an expression, and was left out")
        elif index.columns != [one.name for one in key]:
            fields_of_index = [name for name in index.columns if name is not None]
            database.create_index(table, *fields_of_index, name=index.name, unique=index.is_unique)
    if source.execute(f"PRAGMA foreign_key_list({_quote(table)})").fetchone() is not None:
        report.notes.append(f"foreign keys of {table} are not checked any more")


def _indexes_of(source: sqlite3.Connection, table: str) -> Iterator[Index]:
    listed = source.execute(f"PRAGMA index_list({_quote(table)})").fetchall()
    for _, name, unique, origin, partial_ in reversed(listed):
        columns = [one for _, _, one in source.execute(f"PRAGMA index_info({_quote(name)})")]
        own_name = name if origin == "c" else "_".join(map(str, columns))
        yield Index(own_name, columns, bool(unique), bool(partial_))


def _types_of(source: sqlite3.Connection, table: str, column: str) -> set[str]:
    """Return the words of SQLite for the types that the values of a column have."""
    return {kind for (kind,) in source.execute(f"SELECT DISTINCT typeof({_quote(column)}) FROM {_quote(table)}")}


def _type_of(source: sqlite3.Connection, table: str, column: Column) -> Type:
    """Return what makes the field of a column, and what makes its values."""
    found = _types_of(source, table, column.name) - {"null"} or {_affinity_of(column.declared)}
    if found == {"integer"}:
        if "BOOL" in column.declared and _all_are(source, table, column.name, "IN (0, 1)"):
            return BooleanField, bool
        return IntegerField, _same
    if found <= {"integer", "real"}:
        largest = f"BETWEEN -{_MOST_EXACT} AND {_MOST_EXACT} OR typeof({_quote(column.name)}) = 'real'"
        if found == {"real"} or _all_are(source, table, column.name, largest):
            return partial(FloatField, allow_nan=not column.key_place), float
    if found == {"text"}:
        return _text_type(source, table, column)
    if found == {"blob"}:
        return BytesField, _same
    if "blob" in found:
        raise UsageError(
            f"Column {column.name!r} of {table!r} holds blobs and values of other types",
            hint="no type of MiniDB does: name the tables to import with --table, or mend the column",
        )
    return JSONField, _same


def _text_type(source: sqlite3.Connection, table: str, column: Column) -> Type:
    """Return the type of a column of texts: text, unless it is declared as dates and every text is one."""
    if "DATE" in column.declared or "TIME" in column.declared:
        seen = TextColumn(column.name)
        found = source.execute(f"SELECT DISTINCT {_quote(column.name)} FROM {_quote(table)}")
        texts = [text for (text,) in found if text is not None]
        seen.see_texts(texts, texts)
        if seen.type_name in _DATE_TYPES:
            return _DATE_TYPES[seen.type_name]
    return StringField, _same


def _affinity_of(declared: str) -> str:
    """Return the type that a column without a value is declared to have, by SQLite's own rules."""
    if "INT" in declared or "BOOL" in declared:
        return "integer"
    if any(word in declared for word in ("CHAR", "CLOB", "TEXT", "DATE", "TIME")):
        return "text"
    if "BLOB" in declared or not declared:
        return "blob"
    return "real"


def _all_are(source: sqlite3.Connection, table: str, column: str, condition: str) -> bool:
    query = f"SELECT 1 FROM {_quote(table)} WHERE NOT ({_quote(column)} {condition}) LIMIT 1"
    return source.execute(query).fetchone() is None


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _same(value: object) -> object:
    return value
