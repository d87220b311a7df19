"""The verb ``compact``: give back the space that deleted rows have left."""

from __future__ import annotations

import typer

from minidb import MiniDB
from minidb.cli import arguments, output


def compact(path: arguments.Path) -> None:
    """Build the database anew in as few bytes as it needs. Nobody else may have it open.

    ```console
    $ minidb compact shop.db
    ```
    """
    with MiniDB(path, create=False) as database, output.progress_of_total("compacting") as progress:
        report = database.compact(progress)
    typer.echo(f"{report.before_bytes:,} bytes before, {report.after_bytes:,} bytes now")
