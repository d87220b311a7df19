"""The verb ``backup``: one file with everything, made beside readers and writers."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output
from minidb.exceptions import UsageError


def backup(
    path: arguments.Path,
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="The file, a folder in which it gets a name, or - for standard output."),
    ],
    compress: Annotated[bool, typer.Option("--compress", help="Compress it by gzip.")] = False,
    keep: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="In a folder, delete all but the newest so many.")
    ] = None,
) -> None:
    """Write a backup of everything that is committed, beside readers and writers.

    The file has its name once it is whole, flushed, and read again.

    ```console
    $ minidb backup shop.db shop.minidb
    $ minidb backup shop.db . --compress --keep 7
    ```
    """
    if target == "-" and sys.stdout.isatty():
        raise UsageError("A backup is no text for a terminal", hint="name a file, or pass it on by a pipe")
    with MiniDB(path, read_only=True) as database, output.progress_of_total("backing up") as progress:
        file = sys.stdout.buffer if target == "-" else target
        manifest = database.backup(file, progress, compression="gzip" if compress else None, keep=keep)
    if target != "-":
        typer.echo(f"{arguments.contents_of(manifest.tables, manifest.mappings)} backed up to {manifest.path}")
