"""The verb ``index``: list, make and drop indexes."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output
from minidb.cli.completion import complete_field, complete_index
from minidb.exceptions import IndexNotFoundError

app = typer.Typer(help="List, create and drop indexes.", no_args_is_help=True, rich_markup_mode="markdown")


@app.command("list", cls=arguments.DatabaseVerb)
def list_indexes(
    path: arguments.Path,
    table: arguments.OptionalTableName = None,
    as_json: output.AsJson = False,
    as_lines: output.AsLines = False,
    as_csv: output.AsCsv = False,
) -> None:
    """List the indexes of a table, or of all.

    ```console
    $ minidb index list shop.db
    $ minidb index list shop.db users
    ```
    """
    form = output.choose_form(as_json=as_json, as_lines=as_lines, as_csv=as_csv)
    with MiniDB(path, read_only=True) as database:
        names = database.table_names() if table is None else [table]
        indexes = [index for name in names for index in database.indexes(name)]
    rows = [[index.table, index.name, ", ".join(index.fields), index.unique] for index in indexes]
    output.show(("table", "index", "fields", "unique"), rows, form)


@app.command("create", cls=arguments.DatabaseVerb)
def create_index(
    path: arguments.Path,
    table: arguments.TableName,
    fields: Annotated[
        list[str], typer.Argument(metavar="FIELD…", help="Its fields, in order.", autocompletion=complete_field)
    ],
    name: Annotated[str | None, typer.Option(help="Its name; otherwise that of its fields.")] = None,
    unique: Annotated[bool, typer.Option("--unique", help="No two rows may have the same value.")] = False,
    include: Annotated[
        str | None, typer.Option(metavar="'*'", help="Keep whole rows in it, for faster queries and slower writes.")
    ] = None,
    dry_run: arguments.DryRun = False,
) -> None:
    """Make an index on one or several fields, while others go on writing. A query finds it by itself.

    ```console
    $ minidb index create shop.db users city age
    $ minidb index create shop.db people name --unique
    ```
    """
    with MiniDB(path, create=False) as database, output.progress_of_total("indexing", "rows") as progress:
        make = partial(database.create_index, table, *fields, name=name, unique=unique, include=include)
        if dry_run:  # made all the same: whether the rows allow it shows only then
            with database.begin_transaction() as transaction:
                made = make(progress=progress)
                transaction.rollback()
        else:  # in short steps, between which others write
            made = make(progress=progress)
    typer.echo(f"Index {made.name} of {table} {'would be ' if dry_run else ''}created")


@app.command("drop", cls=arguments.DatabaseVerb)
def drop_index(
    path: arguments.Path,
    table: arguments.TableName,
    index: Annotated[str, typer.Argument(metavar="INDEX", help="Its name.", autocompletion=complete_index)],
    dry_run: arguments.DryRun = False,
    yes: arguments.Yes = False,
) -> None:
    """Remove an index; the rows stay. On a terminal it asks; in a pipe it needs `--yes`.

    ```console
    $ minidb index drop shop.db users city_age --yes
    ```
    """
    with MiniDB(path, read_only=dry_run, create=False) as database:
        if index not in {one.name for one in database.indexes(table)}:
            raise IndexNotFoundError(f"Table {table!r} has no index named {index!r}", table=table, index=index)
        if dry_run:
            typer.echo(f"Index {index} of {table} would be dropped")
            return
        arguments.confirm(f"Drop index {index} of {table}?", yes=yes)
        database.drop_index(table, index)
    typer.echo(f"Index {index} of {table} dropped")
