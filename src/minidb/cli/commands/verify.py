"""The verb ``verify``: read and check everything that is stored."""

from __future__ import annotations

from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output
from minidb.cli.cells import json_of


def verify(
    path: arguments.Path,
    repair: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Make a new database there of all that can be read."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the report as JSON.")] = False,
) -> None:
    """Read and check everything that is stored: rows, indexes, mappings, the catalog. Exit code 1 if anything is wrong.

    Readers and writers go on meanwhile.

    ```console
    $ minidb verify shop.db
    $ minidb verify shop.db --json
    $ minidb verify shop.db --repair salvaged.db
    ```
    """
    with output.progress_of_total("verifying") as progress:
        if repair is not None:
            report = MiniDB.repair(path, repair, progress)
        else:
            with MiniDB(path, read_only=True) as database:
                report = database.verify(progress)
    typer.echo(json_of(report.to_dict(), indent=2) if as_json else str(report))
    if not report.ok:
        raise typer.Exit(1)
