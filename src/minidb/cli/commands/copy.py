"""The verb ``copy``: everything into a new database, at another place or on another engine."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output


def copy(
    path: arguments.Path,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Where the new database shall be.")],
) -> None:
    """Copy everything that is committed into a new database: tables with their ids, indexes, mappings.

    ```console
    $ minidb copy shop.db copy.db
    ```
    """
    with TemporaryDirectory() as folder:
        between = Path(folder) / "copy.minidb"
        with MiniDB(path, read_only=True) as database, output.progress_of_total("reading") as progress:
            database.backup(between, progress)
        with output.progress_of_total("writing") as progress:
            manifest = MiniDB.restore(between, target, progress)
    typer.echo(f"{arguments.contents_of(manifest.tables, manifest.mappings)} copied to {target}")
