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
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The backup, or - for standard input.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Take the place of a database that is there.")] = False,
    dry_run: arguments.DryRun = False,
    yes: arguments.Yes = False,
) -> None:
    """Make a database of a backup. It is checked first; the database is there whole, or not at all.

    With `--overwrite` it takes the place of one that is there: it asks on a terminal, and needs `--yes` in a pipe.
    `--dry-run` checks the backup by restoring it to a temporary folder.

    ```console
    $ minidb restore restored.db shop.minidb
    $ minidb restore restored.db shop.minidb --overwrite --yes
    ```
    """
    file = sys.stdin.buffer if source == "-" else source
    if dry_run:
        with TemporaryDirectory() as folder, output.progress_of_total("restoring") as progress:
            manifest = MiniDB.restore(file, Path(folder) / "restored", progress)
        typer.echo(f"{arguments.contents_of(manifest.tables, manifest.mappings)} would be restored to {path}")
        return
    if overwrite and Path(path).exists():
        arguments.confirm(f"Replace the database {path} by the backup?", yes=yes)
    with output.progress_of_total("restoring") as progress:
        manifest = MiniDB.restore(file, path, progress, overwrite=overwrite)
    typer.echo(f"{arguments.contents_of(manifest.tables, manifest.mappings)} restored to {path}")
