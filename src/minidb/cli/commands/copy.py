"""The verb ``copy``: everything into a new database, at another place or on another engine."""

from __future__ import annotations

from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output


def copy(
    path: arguments.Path,
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="Where the new database shall be: a folder, or the URL of a server.")
    ],
) -> None:
    """Copy everything that is committed into a new database: tables with their ids, indexes, mappings.

    It goes from one to the other without a file between, from a folder to a server and back as well, beside readers and
    writers. The new database is verified, and is there whole or not at all: after an interruption, begin anew.

    ```console
    $ minidb copy shop.db copy.db
    ```

    To a server: `minidb copy shop.db postgresql://me@host/app`.
    """
    with MiniDB(path, read_only=True) as database, output.progress_of_total("copying") as progress:
        contents = database.copy(target, progress)
        place = "the server" if "://" in target else target  # a URL may hold a password
    typer.echo(f"{arguments.contents_of(contents.tables, contents.mappings)} copied to {place}")
