"""What becomes of an error: a sentence and a hint on standard error, and an exit code.

Exit codes: 0 done; 1 an error, or a question that was answered with no; 2 the command line was wrong; 130 interrupted,
143 terminated, 129 hung up.
Where the reader of a pipe goes away, as ``| head`` does, a verb ends quietly, with 1.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import typer

from minidb.cli.filter_language import FilterError
from minidb.cli.insertion import describe
from minidb.cli.loading import BadRowsError
from minidb.cli.output import safe_lines
from minidb.exceptions import (
    EngineUnavailableError,
    IndexExistsError,
    IndexNotFoundError,
    MiniDBError,
    RowExistsError,
    SchemaValidationError,
    TableExistsError,
    TableNotFoundError,
)

INTERRUPTED: Final = 130

ENDED: Final = frozenset({128 + signal.SIGTERM, 128 + signal.SIGHUP})
"""What a program ends with that somebody has ended."""


def exit_code_of(verb: Callable[[], object], *, debug: bool) -> int:
    """Run a verb, tell its error, and return the exit code. A defect of MiniDB shows Python's own traceback."""
    try:
        verb()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
        return _tell_interrupt() if code == INTERRUPTED else code
    except (MiniDBError, OSError) as error:
        if isinstance(error, BrokenPipeError) or isinstance(error.__cause__, BrokenPipeError):
            _give_up_standard_output()
            return 1
        if debug:
            traceback.print_exc()
        _tell(error if isinstance(error, MiniDBError) else _as_minidb_error(error))
        return 1
    except KeyboardInterrupt:
        return _tell_interrupt()
    return 0


def _tell_interrupt() -> int:
    typer.echo("Interrupted: what it had not committed is undone", err=True)
    return INTERRUPTED


def _give_up_standard_output() -> None:
    """Let what is still to be written go nowhere: nobody reads, and Python would complain of it when it ends."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _as_minidb_error(error: OSError) -> MiniDBError:
    reason = error.strerror or str(error)
    return MiniDBError(f"{reason}: {error.filename}" if error.filename else reason)


def _tell(error: MiniDBError) -> None:
    if isinstance(error, BadRowsError):
        for bad in error.bad_rows:
            typer.echo(describe(error.file, bad), err=True)
    is_plain = bool(os.environ.get("NO_COLOR"))
    typer.secho("Error: ", err=True, nl=False, fg=typer.colors.RED, bold=True, color=False if is_plain else None)
    typer.echo(safe_lines(error.message), err=True)
    if isinstance(error, FilterError):
        _tell_place(error)
    if isinstance(error, SchemaValidationError):
        for bad in error.errors:
            typer.echo(safe_lines(f"  {bad.field}: {bad.message}"), err=True)
    hint = _hint_of(error)
    if hint is not None:
        typer.echo(safe_lines(f"Hint: {hint}"), err=True)


def _tell_place(error: FilterError) -> None:
    """Show the line of a filter that is wrong, and where in it."""
    before = error.filter[: error.column - 1]
    line = before.count("\n")
    shown = safe_lines(error.filter.split("\n")[line])
    column = len(safe_lines(before.rpartition("\n")[2]))
    typer.echo(f"  {shown}\n  {' ' * column}^", err=True)


def _hint_of(error: MiniDBError) -> str | None:
    """Return the remedy. Where the library's is a call, the verb that does it stands in its place."""
    if isinstance(error, EngineUnavailableError) and error.message.startswith("There is no database"):
        return "check the path; minidb insert PATH TABLE FILE makes a database"
    if isinstance(error, EngineUnavailableError) and error.message.startswith("There is already a database"):
        return "name another place; minidb restore has --overwrite"
    if error.message.startswith("The folder cannot be written"):
        return "check its owner and mode; verbs that only read need neither"
    if isinstance(error, TableNotFoundError) and error.hint is not None and error.hint.startswith("it is a mapping"):
        return "it is a mapping: minidb rows and minidb export show its items"
    return next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), error.hint)


_HINTS: Final[Mapping[type[MiniDBError], str]] = {
    IndexNotFoundError: "minidb index list PATH shows which indexes there are",
    IndexExistsError: "drop it first, or pass another --name",
    TableExistsError: "minidb drop PATH TABLE removes it",
    RowExistsError: "pass --upsert to replace such rows, or --ignore to leave them out",
}
