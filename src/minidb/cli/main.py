"""The program ``minidb``: its verbs, and what becomes of their errors.

A verb is a function in a module of its own, which knows its arguments and its help; it is named here and nowhere else.
What a verb needs besides (rich, its data) it imports when it runs, so that ``minidb --version`` stays quick.

Exit codes: 0 done; 1 an error of MiniDB, told on standard error; 2 the command line was wrong; 130 interrupted.
"""

from __future__ import annotations

from typing import Annotated

import typer

from minidb import __version__
from minidb.cli.demo import demo
from minidb.exceptions import MiniDBError, SchemaValidationError

app = typer.Typer(
    name="minidb",
    help="MiniDB: a typed, transactional key-value database for Python programs.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # the paragraphs of a docstring are filled, not broken where the source breaks
    pretty_exceptions_enable=False,  # a defect of MiniDB shows Python's own traceback, without the values of variables
)
app.command("demo")(demo)


def run() -> int:
    """Run the command line of this process and return its exit code."""
    try:
        app(prog_name="minidb")
    except MiniDBError as error:
        _tell(error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"minidb {__version__}")
        raise typer.Exit


@app.callback()
def _options_of_the_program(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before the verb."""


def _tell(error: MiniDBError) -> None:
    typer.secho("Error: ", err=True, nl=False, fg=typer.colors.RED, bold=True)
    typer.echo(error.message, err=True)
    if isinstance(error, SchemaValidationError):
        for bad in error.errors:
            typer.echo(f"  {bad.field}: {bad.message}", err=True)
    if error.hint is not None:
        typer.echo(f"Hint: {error.hint}", err=True)
