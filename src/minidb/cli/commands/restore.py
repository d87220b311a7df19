"""The verb ``restore``: a database made of a backup."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output


def restore(
    path: arguments.Path,
    source: Annotated[
        list[str],
        typer.Argument(help="The backup, or - for standard input; a folder; or a whole backup, then its increments."),
    ],
    at: Annotated[
        str | None,
        typer.Option(metavar="MOMENT", help="As it was then: a time in ISO 8601, or the number of a commit."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Take the place of a database that is there.")] = False,
    dry_run: arguments.DryRun = False,
    max_size: Annotated[
        int | None, typer.Option(min=1, metavar="BYTES", help="How much it may take on disk, whatever the backup says.")
    ] = None,
    yes: arguments.Yes = False,
) -> None:
    """Make a database of a backup. It is checked first; the database is there whole, or not at all.

    With `--overwrite` it takes the place of one that is there: it asks on a terminal, and needs `--yes` in a pipe.
    `--dry-run` checks the backup by restoring it to a temporary folder.

    ```console
    $ minidb restore restored.db shop.minidb
    $ minidb restore restored.db shop.minidb --overwrite --yes
    $ minidb restore as-it-was.db backups --at 0
    ```
    """
    files = [sys.stdin.buffer if one == "-" else one for one in source]
    chain = files[0] if len(files) == 1 else files
    moment = None if at is None else arguments.parse_moment(at)
    if dry_run:
        with TemporaryDirectory() as folder, output.progress_of_total("restoring") as progress:
            manifest = MiniDB.restore(chain, Path(folder) / "restored", progress, at=moment)
        typer.echo(f"{arguments.contents_of(manifest.tables, manifest.mappings)} would be restored to {path}")
        return
    if overwrite and Path(path).exists():
        arguments.confirm(f"Replace the database {path} by the backup?", yes=yes)
    with output.progress_of_total("restoring") as progress:
        manifest = MiniDB.restore(chain, path, progress, at=moment, overwrite=overwrite, max_size_bytes=max_size)
    typer.echo(f"{arguments.contents_of(manifest.tables, manifest.mappings)} restored to {path}")
