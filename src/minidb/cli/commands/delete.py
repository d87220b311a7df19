"""The verb ``delete``: delete the rows for which a filter is true."""

from __future__ import annotations

import typer

from minidb import MiniDB
from minidb.cli import arguments


def delete(
    path: arguments.Path,
    table: arguments.TableName,
    condition: arguments.RequiredFilter,
    dry_run: arguments.DryRun = False,
    yes: arguments.Yes = False,
) -> None:
    """Delete the rows for which a filter is true. The filter `""` means every row.

    All of them are deleted, or none. On a terminal it asks; in a pipe it needs `--yes`.

    ```console
    $ minidb delete shop.db users "age < 18" --dry-run
    $ minidb delete shop.db users "age < 18" --yes
    ```
    """
    with MiniDB(path, read_only=dry_run, create=False) as database:
        found = arguments.query_of(database, table, condition)
        number = arguments.number_of(found.count())
        if dry_run:
            typer.echo(f"{number} of {table} would be deleted")
            return
        arguments.confirm(f"Delete {number} of {table}?", yes=yes)
        typer.echo(f"{arguments.number_of(found.delete())} of {table} deleted")
