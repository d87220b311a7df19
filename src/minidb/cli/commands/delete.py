"""The verb ``delete``: delete the rows for which a filter is true."""

from __future__ import annotations

import typer

from minidb import MiniDB
from minidb.cli import arguments
from minidb.cli.ids import ids_of
from minidb.exceptions import UsageError


def delete(
    path: arguments.Path,
    table: arguments.TableName,
    condition: arguments.Filter = None,
    ids: arguments.Ids = None,
    dry_run: arguments.DryRun = False,
    yes: arguments.Yes = False,
) -> None:
    """Delete the rows for which a filter is true. The filter `""` means every row.

    All of them are deleted, or none. On a terminal it asks; in a pipe it needs `--yes`.

    ```console
    $ minidb delete shop.db users "age < 18" --dry-run
    $ minidb delete shop.db users "age < 18" --yes
    $ minidb delete shop.db users --id 1 --id 3 --yes
    ```
    """
    with MiniDB(path, read_only=dry_run, create=False) as database:
        if (condition is None) == (not ids):
            raise UsageError("Say which rows: by a filter, or by --id")
        found = database.get_table(table)
        query = arguments.query_of(database, table, condition)
        row_ids = ids_of(found, ids or [])
        number = arguments.number_of(len(row_ids) if ids else query.count())
        if dry_run:
            typer.echo(f"{number} of {table} would be deleted")
            return
        arguments.confirm(f"Delete {number} of {table}?", yes=yes)
        deleted = found.delete_many(row_ids) if ids else query.delete()
        typer.echo(f"{arguments.number_of(deleted)} of {table} deleted")
