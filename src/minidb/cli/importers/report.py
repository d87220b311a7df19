"""Running an importer, and telling what it has done and what it left out. The verb ``import`` calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import typer

from minidb import MiniDB, Row, Table
from minidb.cli import output
from minidb.cli.arguments import number_of
from minidb.cli.new_database import is_absent, new_database
from minidb.cli.sources import BATCH_ROWS
from minidb.exceptions import UsageError
from minidb.structs import Struct, field

TOLD_EVERY: Final = 1000  # rows or items


class ImportReport(Struct):
    """What was imported, by the name of the table or mapping, and what was not."""

    tables: dict[str, int] = field(default_factory=dict)
    """The rows of each table."""

    mappings: dict[str, int] = field(default_factory=dict)
    """The items of each mapping."""

    notes: list[str] = field(default_factory=list)
    """A sentence for each thing that MiniDB has no place for."""


def run_import(path: str, import_into: Callable[[MiniDB, ImportReport], None], *, dry_run: bool) -> None:
    """Import all or nothing, and tell what was imported: into a new database bit by bit, else in one transaction."""
    report = ImportReport()
    if is_absent(path):
        with new_database(path, dry_run=dry_run) as database:
            import_into(database, report)
    else:
        with MiniDB(path) as database, database.begin_transaction() as transaction:
            import_into(database, report)
            if dry_run:
                transaction.rollback()
    if dry_run:
        typer.echo("A dry run: nothing was imported", err=True)
    for name, rows in report.tables.items():
        typer.echo(f"table {name}: {number_of(rows)}")
    for name, items in report.mappings.items():
        typer.echo(f"mapping {name}: {number_of(items, 'item')}")
    for note in report.notes:
        typer.echo(f"Note: {note}", err=True)


def watch(name: str, total: int, things: Iterable[Any]) -> Iterator[Any]:  # Any: rows of any kind
    """Yield things, with a progress bar on a terminal."""
    with output.progress(name, total) as advance:
        for number, thing in enumerate(things):
            if not number % TOLD_EVERY:
                advance(number, number)
            yield thing


def require_new(database: MiniDB, name: str) -> None:
    """Raise ``UsageError`` where what would be imported would mix with what is there."""
    if name in database.table_names() or name in database.mapping_names():
        raise UsageError(
            f"There is already a table or a mapping named {name!r}",
            hint="drop it first, or import into another database",
        )


def insert_in_batches(table: Table[Row], rows: Iterable[Mapping[str, Any]]) -> None:  # Any: as the fields declare
    """Insert rows a batch at a time, each in a transaction of its own unless there is one around it."""
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH_ROWS)):
        table.insert_many(batch)
