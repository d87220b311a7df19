"""The verbs ``history``: keep what each commit changes, look at it, trim it."""

from __future__ import annotations

from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output
from minidb.cli.arguments import DatabaseVerb

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Keep what each commit changes, for increments and restores to a moment.",
)


@app.command("show", cls=DatabaseVerb)
def show(
    path: arguments.Path,
    as_json: output.AsJson = False,
    as_lines: output.AsLines = False,
    as_csv: output.AsCsv = False,
) -> None:
    """Show which commits are kept.

    ```console
    $ minidb history show shop.db
    ```
    """
    with MiniDB(path, read_only=True) as database:
        kept = database.history()
    facts: dict[str, object] = {"kept": kept is not None}
    if kept is not None:
        facts |= {"commits": kept.commits, "after": kept.after, "after_at": kept.after_at}
        facts |= {"commit": kept.commit, "committed_at": kept.committed_at}
    output.show_facts(facts, output.choose_form(as_json=as_json, as_lines=as_lines, as_csv=as_csv))


@app.command("start", cls=DatabaseVerb)
def start(path: arguments.Path) -> None:
    """Keep what each commit changes from now on. Make a whole backup next.

    ```console
    $ minidb history start shop.db
    ```
    """
    with MiniDB(path, create=False) as database:
        database.start_history()
    typer.echo("every commit is kept from now on")


@app.command("stop", cls=DatabaseVerb)
def stop(path: arguments.Path, yes: arguments.Yes = False) -> None:
    """Delete what is kept, and keep nothing from now on.

    ```console
    $ minidb history stop shop.db --yes
    ```
    """
    arguments.confirm(f"Delete the history of {path}?", yes=yes)
    with MiniDB(path, create=False) as database:
        database.stop_history()
    typer.echo("no commit is kept from now on")


@app.command("trim", cls=DatabaseVerb)
def trim(
    path: arguments.Path,
    before: Annotated[
        str, typer.Argument(metavar="MOMENT", help="The last commit to delete: its number, or a time in ISO 8601.")
    ],
) -> None:
    """Delete what is kept of the commits up to one: those that are in a backup.

    ```console
    $ minidb history start shop.db
    $ minidb history trim shop.db 2024-02-29T12:00:00Z
    ```
    """
    with MiniDB(path, create=False) as database:
        deleted = database.trim_history(arguments.parse_moment(before))
    typer.echo(f"{deleted} {'commit' if deleted == 1 else 'commits'} deleted from the history")
