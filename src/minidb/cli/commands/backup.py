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
    incremental: Annotated[
        bool, typer.Option("--incremental", help="In a folder, only what was committed since the newest there.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(metavar="BACKUP", help="Only what was committed since this earlier backup.")
    ] = None,
) -> None:
    """Write a backup of everything that is committed, beside readers and writers.

    The file has its name once it is whole, flushed, and read again. Increments need a history: `minidb history start`.

    ```console
    $ minidb backup shop.db shop.minidb
    $ minidb backup shop.db . --compress --keep 7
    $ minidb history start shop.db
    $ minidb backup shop.db backups --incremental
    ```
    """
    if target == "-" and sys.stdout.isatty():
        raise UsageError("A backup is no text for a terminal", hint="name a file, or pass it on by a pipe")
    with MiniDB(path, read_only=True) as database, output.progress_of_total("backing up") as progress:
        file = sys.stdout.buffer if target == "-" else target
        manifest = database.backup(
            file,
            progress,
            compression="gzip" if compress else None,
            keep=keep,
            since=since,
            incremental=incremental,
        )
    if target != "-" and manifest.since is not None:
        is_empty = manifest.since.number == manifest.commit
        commits = "no new commit" if is_empty else f"commits {manifest.since.number + 1} to {manifest.commit}"
        typer.echo(f"{commits} backed up to {manifest.path}")
    elif target != "-":
        typer.echo(f"{arguments.contents_of(manifest.tables, manifest.mappings)} backed up to {manifest.path}")
