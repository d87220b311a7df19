"""The shell: reads lines, and runs each as the verb that it is. ``shell_prompt`` makes the prompt of a terminal."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import typer

from minidb import MiniDB
from minidb.cli import output
from minidb.cli.errors import ENDED, exit_code_of
from minidb.exceptions import UsageError

PROMPT: Final = "minidb> "
GOES_ON: Final = "   ...> "

HELP: Final = """\
rows users --limit 5               any verb of minidb, without the path; VERB --help tells more
query users "age > 40" --order age
\\explain users "age > 40"          how a query is run
.timing                            say how long each verb takes, or no longer
.help                              this
.quit                              leave; so does Ctrl-D

A quote or a backslash that is open at the end of a line goes on in the next one.
Ctrl-C ends what runs, and undoes it."""

_LEAVE: Final = frozenset({".quit", ".exit", "quit", "exit"})


class Shell:
    """Runs lines on one database."""

    def __init__(self, program: Any, path: str) -> None:  # Any: a group of click, which typer may vendor
        self.program = program
        self.path = path
        self.is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self.says_times = self.is_terminal
        self.pager = output.Pager()

    def run(self) -> int:
        """Run lines until there are no more; return the exit code. In a pipe, the first error ends it."""
        with MiniDB(self.path, read_only=True):  # it must be there, and stays open: each verb then opens it at once
            if not self.is_terminal:
                return self._run_script(line.rstrip("\n") for line in sys.stdin)
            typer.echo("MiniDB shell. .help tells what can be typed, .quit leaves.", err=True)
            read = self._reader()
            os.environ.setdefault("LESS", "FRX")  # colours, and no pager for what fits after all
            shown = output.pager_here.set(self.pager)
            try:
                return self._run_lines(read)
            finally:
                output.pager_here.reset(shown)

    def _reader(self) -> Callable[[str], str]:
        try:
            from minidb.cli.shell_prompt import make_prompt
        except ImportError:  # prompt_toolkit, of the extra
            return input
        return make_prompt(self.program, self.path)

    def _run_lines(self, read: Callable[[str], str]) -> int:
        pending = ""
        while True:
            try:
                pending += read(GOES_ON if pending else PROMPT)
                if not is_complete(pending):
                    pending = pending.removesuffix("\\") + "\n"
                    continue
                line, pending = pending.strip(), ""
                if line in _LEAVE:
                    return 0
                code = self.run_line(line)
                if code in ENDED:
                    return code
            except EOFError:
                return 0
            except KeyboardInterrupt:  # at the prompt: the line is given up
                pending = ""
                typer.echo(err=True)

    def _run_script(self, lines: Iterator[str]) -> int:
        pending = ""
        for one in lines:
            pending += one
            if not is_complete(pending):
                pending = pending.removesuffix("\\") + "\n"
                continue
            line, pending = pending.strip(), ""
            if line in _LEAVE:
                break
            code = self.run_line(line)
            if code:
                return code
        if pending:
            raise UsageError("The last line has a quote that is not closed")
        return 0

    def run_line(self, line: str) -> int:
        """Run one line, and return its exit code."""
        if not line or line.startswith("#"):
            return 0
        if line == ".help":
            typer.echo(HELP)
            return 0
        if line == ".timing":
            self.says_times = not self.says_times
            typer.echo(f"Times are {'told' if self.says_times else 'not told'}", err=True)
            return 0
        words = words_of(line)
        if words[:1] == ["shell"]:
            words = ["--help"]
        began, self.pager.read_for_s = time.perf_counter(), 0.0
        arguments = ["--url", self.path, *words]
        code = exit_code_of(lambda: self.program(arguments, prog_name="minidb"), debug=False)
        if self.says_times and not code:
            took_s = time.perf_counter() - began - self.pager.read_for_s
            typer.secho(f"took {took_s * 1000:,.1f} ms", err=True, dim=True)
        return code


def is_complete(text: str) -> bool:
    """Tell whether a line ends where it ends: without an open quote, or a backslash."""
    if text.endswith("\\"):
        return False
    try:
        shlex.split(text.removeprefix("\\"))
    except ValueError:
        return False
    return True


def words_of(line: str) -> list[str]:
    """Return the arguments that a line stands for."""
    name, _, rest = line.partition(" ")
    if name in ("\\explain", ".explain"):
        return ["query", *shlex.split(rest.strip().removeprefix("query ")), "--explain"]
    return shlex.split(line)
