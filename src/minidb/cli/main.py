"""The program ``minidb``: its verbs, and what becomes of their errors.

A verb is a function in a module of its own, which knows its arguments and its help; it is named here and nowhere else.
What a verb needs besides (rich, its data) it imports when it runs, so that ``minidb --version`` stays quick.

Exit codes: 0 done; 1 an error, told on standard error, or a question that was answered with no; 2 the command line was
wrong; 130 interrupted. Where the reader of a pipe goes away, as ``| head`` does, it ends quietly, with 1.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from typing import Annotated, Final

import typer

from minidb import __version__
from minidb.cli.arguments import DatabaseVerb
from minidb.cli.commands import import_data, index, schema
from minidb.cli.commands.delete import delete
from minidb.cli.commands.drop import drop
from minidb.cli.commands.export import export
from minidb.cli.commands.get import get
from minidb.cli.commands.info import info
from minidb.cli.commands.insert import insert
from minidb.cli.commands.query import query
from minidb.cli.commands.rows import rows
from minidb.cli.commands.stats import stats
from minidb.cli.commands.tables import tables
from minidb.cli.commands.update import update
from minidb.cli.demo import demo
from minidb.cli.filter_language import FilterError
from minidb.cli.insertion import describe
from minidb.cli.loading import BadRowsError
from minidb.exceptions import (
    EngineUnavailableError,
    IndexExistsError,
    IndexNotFoundError,
    MiniDBError,
    RowExistsError,
    SchemaValidationError,
    TableExistsError,
)

LOOK: Final = "Look"
MOVE: Final = "Move data"
CHANGE: Final = "Change"

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
app.command("insert", cls=DatabaseVerb, rich_help_panel=MOVE)(insert)
app.command("export", cls=DatabaseVerb, rich_help_panel=MOVE)(export)
app.add_typer(import_data.app, name="import", rich_help_panel=MOVE)
app.command("update", cls=DatabaseVerb, rich_help_panel=CHANGE)(update)
app.command("delete", cls=DatabaseVerb, rich_help_panel=CHANGE)(delete)
app.add_typer(index.app, name="index", rich_help_panel=CHANGE)
app.command("drop", cls=DatabaseVerb, rich_help_panel=CHANGE)(drop)


def run() -> int:
    """Run the command line of this process and return its exit code."""
    arguments = _options_first(sys.argv[1:])
    try:
        app(arguments, prog_name="minidb")
    except (MiniDBError, OSError) as error:
        if "--debug" in arguments:
            traceback.print_exc()
        _tell(error if isinstance(error, MiniDBError) else _as_minidb_error(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


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


def _as_minidb_error(error: OSError) -> MiniDBError:
    return MiniDBError(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))


def _tell(error: MiniDBError) -> None:
    if isinstance(error, BadRowsError):
        for bad in error.bad_rows:
            typer.echo(describe(error.file, bad), err=True)
    is_plain = bool(os.environ.get("NO_COLOR"))
    typer.secho("Error: ", err=True, nl=False, fg=typer.colors.RED, bold=True, color=False if is_plain else None)
    typer.echo(error.message, err=True)
    if isinstance(error, FilterError):
        typer.echo(f"  {error.filter}\n  {' ' * (error.column - 1)}^", err=True)
    if isinstance(error, SchemaValidationError):
        for bad in error.errors:
            typer.echo(f"  {bad.field}: {bad.message}", err=True)
    hint = _hint_of(error)
    if hint is not None:
        typer.echo(f"Hint: {hint}", err=True)


def _hint_of(error: MiniDBError) -> str | None:
    """Return the remedy. Where the library's is a call, the verb that does it stands in its place."""
    if isinstance(error, EngineUnavailableError) and error.message.startswith("There is no database"):
        return "check the path; minidb insert PATH TABLE FILE makes a database"
    return next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), error.hint)


_HINTS: Final[Mapping[type[MiniDBError], str]] = {
    IndexNotFoundError: "minidb index list PATH shows which indexes there are",
    IndexExistsError: "drop it first, or pass another --name",
    TableExistsError: "minidb drop PATH TABLE removes it",
    RowExistsError: "pass --upsert to replace such rows, or --ignore to leave them out",
}
