"""The verb ``dump``: everything as lines of JSON, for other programs and other versions."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output


def dump(
    path: arguments.Path,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The file, or - for standard output.")] = "-",
) -> None:
    """Write everything that is committed as lines of JSON: schemas, indexes, rows with their ids, mappings.

    ```console
    $ minidb dump shop.db shop.jsonl
    ```
    """
    with MiniDB(path, read_only=True) as database, output.progress_of_total("dumping") as progress:
        contents = database.dump(output.standard_output() if target == "-" else target, progress)
        sys.stdout.flush()
    if target != "-":
        typer.echo(f"{arguments.contents_of(contents.tables, contents.mappings)} dumped to {target}")
