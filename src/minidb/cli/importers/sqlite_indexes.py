"""The indexes of an SQLite table, and the conditions of those that are on some rows only."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Final

from minidb import Condition
from minidb.cli.filter_language import parse_filter
from minidb.cli.importers.sqlite_columns import quote
from minidb.exceptions import UsageError
from minidb.schema import Schema
from minidb.structs import Struct

_WHERE: Final = re.compile(r"\)\s*WHERE\b(.*)", re.IGNORECASE | re.DOTALL)
_OTHER_LOGIC: Final = re.compile(r"!=|<>|\bNOT\b(?!\s+NULL\b)", re.IGNORECASE)
"""What SQLite finds unknown for a null, and MiniDB true."""

_PARTS: Final = re.compile(
    r"""'(?:[^']|'')*'|"(?P<quoted>(?:[^"]|"")*)"|\[(?P<bracketed>[^\]]*)\]|(?P<notnull>\bNOTNULL\b)""", re.IGNORECASE
)


class Index(Struct, frozen=True):
    """An index as SQLite has it."""

    name: str
    columns: list[str | None]
    """None stands for an expression."""

    is_unique: bool
    condition: str | None
    """What SQLite says that a row must be; None: nothing."""

    ignores_case: bool


def indexes_of(source: sqlite3.Connection, table: str) -> Iterator[Index]:
    """Yield the indexes of a table, the first made first."""
    listed = source.execute(f"PRAGMA index_list({quote(table)})").fetchall()
    for _, name, unique, origin, is_partial in reversed(listed):
        parts = source.execute(f"PRAGMA index_xinfo({quote(name)})").fetchall()
        columns = [column for _, _, column, _, _, is_key in parts if is_key]
        collations = {collation for _, _, _, _, collation, is_key in parts if is_key}
        own_name = name if origin == "c" else "_".join(map(str, columns))
        condition = None
        if is_partial:
            (sql,) = source.execute(
                "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?", (name,)
            ).fetchone()
            found = _WHERE.search(sql)
            condition = "" if found is None else found[1].strip()
        yield Index(own_name, columns, bool(unique), condition, collations != {"BINARY"})


def condition_of(text: str, schema: Schema) -> Condition:
    """Return the condition that SQLite's text says. Raises ``UsageError`` where MiniDB has no such one."""
    outside = re.sub(r"'(?:[^']|'')*'", "''", text)
    if _OTHER_LOGIC.search(outside):
        raise UsageError("SQLite takes nulls in it otherwise")
    if any(field.kind == "json" and name in outside for name, field in schema.fields.items()):
        raise UsageError("a column of it holds values of several types")
    translated = _PARTS.sub(_translated, text)
    for name in (name for name, field in schema.fields.items() if field.kind == "boolean"):
        said = rf"(`{re.escape(name)}`|\b{re.escape(name)}\b)"
        translated = re.sub(rf"{said}\s*==?\s*([01])\b", _with_truth, translated)
        translated = re.sub(rf"^\s*{said}\s*$", r"\1 = true", translated)
    return parse_filter(translated, schema)


def _with_truth(part: re.Match[str]) -> str:
    return f"{part[1]} = {'true' if part[2] == '1' else 'false'}"


def _translated(part: re.Match[str]) -> str:
    if part["notnull"] is not None:
        return "IS NOT NULL"
    name = part["bracketed"] if part["quoted"] is None else part["quoted"].replace('""', '"')
    return part[0] if name is None else f"`{name}`"
