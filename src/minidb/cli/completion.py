"""What the shell proposes behind a verb: names of tables and fields of the database that stands before.

A completion says nothing when it cannot read the database: an error message in the middle of a line would help nobody.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import typer

from minidb import MiniDB
from minidb.exceptions import MiniDBError

_SPECIAL: Final = re.compile(r"[^\w@%+=:,./-]")
"""What a shell does not take for part of a word."""


def _argument(context: typer.Context, name: str, place: int) -> Any:  # Any: click keeps parameters of all types
    """Return an argument of the verb; where an option waits for its value, click has not given them their names."""
    value = context.params.get(name)
    return context.args[place] if value is None and len(context.args) > place else value


@contextmanager
def _database(context: typer.Context) -> Iterator[MiniDB | None]:
    location = _argument(context, "path", 0)
    try:
        database = MiniDB(location, read_only=True)
    except MiniDBError:
        yield None
        return
    with database:
        yield database


def _fields_of(context: typer.Context) -> list[str]:
    name = _argument(context, "table", 1)
    with _database(context) as database:
        if database is None or name not in database:
            return []
        schema = database.get_table(name).schema
        if schema is None:
            return []
        return list(schema.fields if schema.primary_key else {"id": None, **schema.fields})


def _proposed(names: Iterable[str], incomplete: str) -> list[str]:
    """Return the names that begin as a word does: as bash wants them, which takes each for what shall be typed."""
    found = [name for name in names if name.startswith(incomplete)]
    is_bash = os.environ.get("_MINIDB_COMPLETE") == "complete_bash"
    return [_SPECIAL.sub(r"\\\g<0>", name) for name in found] if is_bash else found


def complete_table(ctx: typer.Context, incomplete: str) -> list[str]:
    """Propose the tables of the database."""
    with _database(ctx) as database:
        return [] if database is None else _proposed(database.table_names(), incomplete)


def complete_table_or_mapping(ctx: typer.Context, incomplete: str) -> list[str]:
    """Propose the tables and mappings of the database."""
    with _database(ctx) as database:
        names = [] if database is None else [*database.table_names(), *database.mapping_names()]
    return _proposed(names, incomplete)


def complete_index(ctx: typer.Context, incomplete: str) -> list[str]:
    """Propose the indexes of the table."""
    with _database(ctx) as database:
        name = _argument(ctx, "table", 1)
        if database is None or name not in database:
            return []
        return _proposed([index.name for index in database.indexes(name)], incomplete)


def complete_field(ctx: typer.Context, incomplete: str) -> list[str]:
    """Propose the fields of the table, behind a comma as well."""
    head, comma, begun = incomplete.rpartition(",")
    return [f"{head}{comma}{name}" for name in _fields_of(ctx) if name.startswith(begun)]


def complete_filter(ctx: typer.Context, incomplete: str) -> list[str]:
    """Propose the field that a filter's last word begins."""
    head, blank, begun = incomplete.rpartition(" ")
    return [f"{head}{blank}{name}" for name in _fields_of(ctx) if name.startswith(begun)]
