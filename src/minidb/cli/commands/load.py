"""The verb ``load``: a database made of what ``dump`` wrote."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output


def load(
    path: arguments.Path,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="What dump wrote, or - for standard input.")],
) -> None:
    """Make a new database of a dump. Every row is checked; the database is there whole, or not at all.

    ```console
    $ minidb load loaded.db shop.jsonl
    ```
    """
    with output.progress_of_total("loading") as progress:
        contents = MiniDB.load(sys.stdin.buffer if source == "-" else source, path, progress)
    typer.echo(f"{arguments.contents_of(contents.tables, contents.mappings)} loaded into {path}")
