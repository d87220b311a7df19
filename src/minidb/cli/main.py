"""The program ``minidb``: its verbs, and what becomes of their errors.

A verb is a function in a module of its own, which knows its arguments and its help; it is named here and nowhere else.
What a verb needs besides (rich, its data) it imports when it runs, so that ``minidb --version`` stays quick.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from minidb import __version__
from minidb.cli.arguments import DatabaseVerb
from minidb.cli.commands import history, import_data, index, schema
from minidb.cli.commands.backup import backup
from minidb.cli.commands.compact import compact
from minidb.cli.commands.conformance import conformance
from minidb.cli.commands.copy import copy
from minidb.cli.commands.delete import delete
from minidb.cli.commands.drop import drop
from minidb.cli.commands.dump import dump
from minidb.cli.commands.export import export
from minidb.cli.commands.get import get
from minidb.cli.commands.info import info
from minidb.cli.commands.insert import insert
from minidb.cli.commands.load import load
from minidb.cli.commands.migrate import migrate
from minidb.cli.commands.query import query
from minidb.cli.commands.restore import restore
from minidb.cli.commands.rows import rows
from minidb.cli.commands.shell import shell
from minidb.cli.commands.stats import stats
from minidb.cli.commands.tables import tables
from minidb.cli.commands.update import update
from minidb.cli.commands.verify import verify
from minidb.cli.demo import demo
from minidb.cli.errors import exit_code_of

LOOK: Final = "Look"
MOVE: Final = "Move data"
CHANGE: Final = "Change"
CARE: Final = "Care"

app = typer.Typer(
    name="minidb",
    help="MiniDB: a typed, transactional key-value database for Python programs.",
    no_args_is_help=True,
    rich_markup_mode="markdown",  # the paragraphs of a docstring are filled, not broken where the source breaks
    pretty_exceptions_enable=False,  # a defect of MiniDB shows Python's own traceback, without the values of variables
)
app.command("demo")(demo)
app.command("info", cls=DatabaseVerb, rich_help_panel=LOOK)(info)
app.command("tables", cls=DatabaseVerb, rich_help_panel=LOOK)(tables)
app.add_typer(schema.app, name="schema", rich_help_panel=LOOK)
app.command("stats", cls=DatabaseVerb, rich_help_panel=LOOK)(stats)
app.command("rows", cls=DatabaseVerb, rich_help_panel=LOOK)(rows)
app.command("get", cls=DatabaseVerb, rich_help_panel=LOOK)(get)
app.command("query", cls=DatabaseVerb, rich_help_panel=LOOK)(query)
app.command("shell", cls=DatabaseVerb, rich_help_panel=LOOK)(shell)
app.command("insert", cls=DatabaseVerb, rich_help_panel=MOVE)(insert)
app.command("export", cls=DatabaseVerb, rich_help_panel=MOVE)(export)
app.add_typer(import_data.app, name="import", rich_help_panel=MOVE)
app.command("update", cls=DatabaseVerb, rich_help_panel=CHANGE)(update)
app.command("delete", cls=DatabaseVerb, rich_help_panel=CHANGE)(delete)
app.add_typer(index.app, name="index", rich_help_panel=CHANGE)
app.command("migrate", cls=DatabaseVerb, rich_help_panel=CHANGE)(migrate)
app.command("drop", cls=DatabaseVerb, rich_help_panel=CHANGE)(drop)
app.command("verify", cls=DatabaseVerb, rich_help_panel=CARE)(verify)
app.command("backup", cls=DatabaseVerb, rich_help_panel=CARE)(backup)
app.command("restore", cls=DatabaseVerb, rich_help_panel=CARE)(restore)
app.add_typer(history.app, name="history", rich_help_panel=CARE)
app.command("compact", cls=DatabaseVerb, rich_help_panel=CARE)(compact)
app.command("dump", cls=DatabaseVerb, rich_help_panel=CARE)(dump)
app.command("load", cls=DatabaseVerb, rich_help_panel=CARE)(load)
app.command("copy", cls=DatabaseVerb, rich_help_panel=CARE)(copy)
app.command("conformance", rich_help_panel=CARE)(conformance)


def run() -> int:
    """Run the command line of this process and return its exit code."""
    arguments = _options_first(sys.argv[1:])
    with _ending_in_order():
        return exit_code_of(lambda: app(arguments, prog_name="minidb"), debug="--debug" in arguments)


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let who ends the program, or closes its terminal, have it clean up as after an error: no half file stays."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    numbers = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]  # not nohup's
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _options_first(arguments: list[str]) -> list[str]:
    """Return the arguments with ``--url`` and ``--debug`` in front: the program takes them, wherever they stand."""
    first: list[str] = []
    others: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            others += [argument, *remaining]
        elif argument == "--debug" or argument.startswith("--url="):
            first.append(argument)
        elif argument == "--url":
            first += [argument, *([following] if (following := next(remaining, None)) is not None else [])]
        else:
            others.append(argument)
    return first + others


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"minidb {__version__}")
        raise typer.Exit


@app.callback()
def _options_of_the_program(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(envvar="MINIDB_URL", help="The database, in place of the path of each verb.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Take the options that may stand before the verb."""
