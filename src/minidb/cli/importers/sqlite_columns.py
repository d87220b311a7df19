"""The columns of an SQLite table: which field each becomes, by its values, and the default that it has."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any, Final, TypeAlias

from minidb.cli.cells import AnyField
from minidb.cli.inference import Column as TextColumn
from minidb.exceptions import UsageError
from minidb.schema import (
    BooleanField,
    BytesField,
    DateField,
    DateTimeField,
    FloatField,
    IntegerField,
    JSONField,
    StringField,
)
from minidb.structs import Struct

_MOST_EXACT: Final = 2**53  # up to here each integer is a float

Type: TypeAlias = tuple[Callable[..., AnyField], Callable[[Any], object]]
"""What makes a field, and what makes its values of SQLite's. Any: a value has the type that SQLite gave it."""

_DATE_TYPES: Final[Mapping[str, Type]] = {
    "date": (DateField, date.fromisoformat),
    "datetime": (partial(DateTimeField, timezone=False), datetime.fromisoformat),
    "moment": (partial(DateTimeField, timezone=True), datetime.fromisoformat),
}


_GENERATED: Final = (2, 3)
_HIDDEN: Final = 1
_NUMBER: Final = re.compile(r"[+-]?\s*(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
_CONSTANTS: Final[Mapping[str, object]] = {"null": None, "true": 1, "false": 0}


class Column(Struct, frozen=True):
    """A column as SQLite declares it."""

    name: str
    declared: str
    is_required: bool
    key_place: int
    """Its place in the primary key, from 1; 0 for none."""

    default: str | None
    """The expression that SQLite has for it."""

    is_generated: bool


def columns_of(source: sqlite3.Connection, table: str) -> list[Column]:
    """Return the columns of a table that have values."""
    return [
        Column(name, declared.upper(), bool(required), place, default, hidden in _GENERATED)
        for _, name, declared, required, default, place, hidden in source.execute(f"PRAGMA table_xinfo({quote(table)})")
        if hidden != _HIDDEN
    ]


def default_of(expression: str) -> object:
    """Return the value that the expression of a default is. Raises ``ValueError`` where it is no constant."""
    text = expression.strip()
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _NUMBER.fullmatch(text):
        number = text.replace(" ", "")
        return float(number) if set(number) & set(".eE") else int(number)
    if re.fullmatch(r"'(?:[^']|'')*'", text):
        return text[1:-1].replace("''", "'")
    if re.fullmatch(r"[xX]'(?:[0-9a-fA-F]{2})*'", text):
        return bytes.fromhex(text[2:-1])
    raise ValueError("an expression")


def types_of(source: sqlite3.Connection, table: str, column: str) -> set[str]:
    """Return the words of SQLite for the types that the values of a column have."""
    return {kind for (kind,) in source.execute(f"SELECT DISTINCT typeof({quote(column)}) FROM {quote(table)}")}


def type_of(source: sqlite3.Connection, table: str, column: Column) -> Type:
    """Return what makes the field of a column, and what makes its values."""
    found = types_of(source, table, column.name) - {"null"} or {_affinity_of(column.declared)}
    if found == {"integer"}:
        if "BOOL" in column.declared and _all_are(source, table, column.name, "IN (0, 1)"):
            return BooleanField, bool
        return IntegerField, _same
    if found <= {"integer", "real"}:
        largest = f"BETWEEN -{_MOST_EXACT} AND {_MOST_EXACT} OR typeof({quote(column.name)}) = 'real'"
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
        found = source.execute(f"SELECT DISTINCT {quote(column.name)} FROM {quote(table)}")
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
    query = f"SELECT 1 FROM {quote(table)} WHERE NOT ({quote(column)} {condition}) LIMIT 1"
    return source.execute(query).fetchone() is None


def quote(name: str) -> str:
    """Return a name as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'


def _same(value: object) -> object:
    return value
