"""The verb ``drop``: remove a table or a mapping."""

from __future__ import annotations

import typer

from minidb import MiniDB
from minidb.cli import arguments


def drop(
    path: arguments.Path,
    table: arguments.TableOrMapping,
    dry_run: arguments.DryRun = False,
    yes: arguments.Yes = False,
) -> None:
    """Remove a table with its rows and indexes, or a mapping. On a terminal it asks; in a pipe it needs `--yes`.

    ```console
    $ minidb drop shop.db events --dry-run
    $ minidb drop shop.db events --yes
    ```
    """
    with MiniDB(path, read_only=dry_run, create=False) as database:
        is_mapping = table in database.mapping_names()
        if is_mapping:
            thing = f"mapping {table} with {arguments.number_of(len(database.mapping(table)), 'item')}"
        else:
            thing = f"table {table} with {arguments.number_of(len(database.get_table(table)))}"
        if dry_run:
            typer.echo(f"{thing[0].upper()}{thing[1:]} would be dropped")
            return
        arguments.confirm(f"Drop {thing}?", yes=yes)
        if is_mapping:
            database.drop_mapping(table)
        else:
            database.drop_table(table)
    typer.echo(f"{thing[0].upper()}{thing[1:]} dropped")
