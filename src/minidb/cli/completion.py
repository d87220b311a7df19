"""What the shell proposes behind a verb: names of tables and fields of the database that stands before.

A completion says nothing when it cannot read the database: an error message in the middle of a line would help nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from minidb import MiniDB
from minidb.exceptions import MiniDBError


@contextmanager
def _database(context: typer.Context) -> Iterator[MiniDB | None]:
    location = context.find_root().params.get("url") or context.params.get("path") or os.environ.get("MINIDB_URL")
    if not location:
        yield None
        return
    try:
        database = MiniDB(location, read_only=True)
    except MiniDBError:
        yield None
        return
    with database:
        yield database


def _fields_of(context: typer.Context) -> list[str]:
    with _database(context) as database:
        name: Any = context.params.get("table")  # Any: click keeps parameters of all types
        if database is None or name not in database:
            return []
        schema = database.get_table(name).schema
        return [] if schema is None else list(schema.fields)


def complete_table(ctx: typer.Context, incomplete: str) -> list[str]:
    """Propose the tables of the database."""
    with _database(ctx) as database:
        return [] if database is None else [name for name in database.table_names() if name.startswith(incomplete)]


def complete_index(ctx: typer.Context, incomplete: str) -> list[str]:
    """Propose the indexes of the table."""
    with _database(ctx) as database:
        name: Any = ctx.params.get("table")  # Any: click keeps parameters of all types
        if database is None or name not in database:
            return []
        return [index.name for index in database.indexes(name) if index.name.startswith(incomplete)]


def complete_field(ctx: typer.Context, incomplete: str) -> list[str]:
    """Propose the fields of the table, behind a comma as well."""
    head, comma, begun = incomplete.rpartition(",")
    return [f"{head}{comma}{name}" for name in _fields_of(ctx) if name.startswith(begun)]


def complete_filter(ctx: typer.Context, incomplete: str) -> list[str]:
    """Propose the field that a filter's last word begins."""
    head, blank, begun = incomplete.rpartition(" ")
    return [f"{head}{blank}{name}" for name in _fields_of(ctx) if name.startswith(begun)]
