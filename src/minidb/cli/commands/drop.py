"""The verb ``drop``: remove a table."""

from __future__ import annotations

import typer

from minidb import MiniDB
from minidb.cli import arguments


def drop(
    path: arguments.Path,
    table: arguments.TableName,
    dry_run: arguments.DryRun = False,
    yes: arguments.Yes = False,
) -> None:
    """Remove a table with its rows and indexes. On a terminal it asks; in a pipe it needs `--yes`.

    ```console
    $ minidb drop shop.db events --dry-run
    $ minidb drop shop.db events --yes
    ```
    """
    with MiniDB(path, read_only=dry_run, create=False) as database:
        number = arguments.number_of(len(database.get_table(table)))
        if dry_run:
            typer.echo(f"Table {table} with {number} would be dropped")
            return
        arguments.confirm(f"Drop table {table} with {number}?", yes=yes)
        database.drop_table(table)
    typer.echo(f"Table {table} with {number} dropped")
