"""What the verbs write on: a terminal or a pipe, of any width.

On a terminal there are colours (not with ``NO_COLOR``) and a progress bar. In a pipe the same words come as plain text.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, ParamSpec, TypeVar

from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Item = TypeVar("Item")

CODE_WIDTH: Final = 76
"""Columns that code takes where something stands beside it. The steps of the demo keep to it."""

SIDE_BY_SIDE_WIDTH: Final = 150
"""From so many columns on, a step's result stands beside its code."""


class Screen:
    """Tells a story in numbered steps. ``last_duration_s`` is how long the code of the last one took."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = Console(highlight=False) if console is None else console
        self.last_duration_s = 0.0
        self._steps = 0

    def say(self, *sentences: str) -> None:
        """Write a paragraph."""
        # Not left to rich, which ends wrapped lines with a blank. A path longer than a line stays in one piece.
        width = self.console.width
        lines = textwrap.wrap(" ".join(sentences), width, break_long_words=False, break_on_hyphens=False)
        self.console.print(Text("\n".join(lines)), soft_wrap=True)

    def headline(self, title: str) -> None:
        """Begin a part of the story."""
        self.console.print()
        self.console.print(Rule(Text(title, style="bold"), align="left"))

    def show_code(self, source: str, *, may_wrap: bool = True) -> None:
        """Write Python source, with an empty line before it and after it. What is to be copied must not be wrapped."""
        self.console.print()
        self.console.print(_highlight(source), soft_wrap=not may_wrap)
        self.console.print()

    def step(
        self,
        title: str,
        reason: str,
        show: Callable[[Result], RenderableType],
        function: Callable[Parameters, Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Run a function; show its code, what ``show`` makes of its result, and how long it took. Return its result."""
        self._steps += 1
        self.headline(f"{self._steps}. {title}")
        self.say(reason)
        began = time.perf_counter()
        result = function(*arguments, **named)
        self.last_duration_s = time.perf_counter() - began
        if self.console.width >= SIDE_BY_SIDE_WIDTH:
            grid = Table.grid(padding=(0, 2))
            grid.add_column(width=CODE_WIDTH)
            grid.add_column()
            grid.add_row(_highlight(body_of(function)), show(result))
            self.console.print()
            self.console.print(grid)
        else:
            self.show_code(body_of(function))
            self.console.print(show(result))
        self.console.print(Text(f"took {duration_of(self.last_duration_s)}", style="dim"))
        return result

    def watch(self, rows: Sequence[Item], name: str) -> Iterator[Item]:
        """Yield the rows, with a progress bar on a terminal."""
        if not self.console.is_terminal:
            yield from rows
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            yield from progress.track(rows, description=name)


def body_of(function: Callable[..., object]) -> str:
    """Return the source of a function's body, without its docstring and without a ``return`` at its end."""
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    if not isinstance(definition, ast.FunctionDef):
        raise TypeError(f"{function!r} is no function that def made")
    body = definition.body
    if ast.get_docstring(definition) is not None:
        body = body[1:]
    if isinstance(body[-1], ast.Return) and len(body) > 1:
        body = body[:-1]
    lines = source.splitlines()[body[0].lineno - 1 : body[-1].end_lineno]
    return textwrap.dedent("\n".join(lines))


def table_of(rows: Iterable[Sequence[object]], *names: str) -> Table:
    """Return a table; numbers stand to the right, None is an empty cell."""
    kept = [list(row) for row in rows]
    table = Table(box=box.ROUNDED, header_style="bold")
    for position, name in enumerate(names):
        are_numbers = all(isinstance(row[position], int | float) for row in kept)
        table.add_column(name, justify="right" if are_numbers else "left", overflow="fold")
    for row in kept:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    return table


def _highlight(source: str) -> Text:
    # The colours of the reader's own terminal. As a Text, because a Syntax fills its lines with blanks, also in a pipe.
    highlighted = Syntax("", "python", theme="ansi_dark", background_color="default").highlight(source)
    highlighted.rstrip()
    return Text("\n").join(Text("  ") + line if line else line for line in highlighted.split("\n"))


def duration_of(duration_s: float) -> str:
    """Return a duration in words. ASCII only: it must be printable everywhere."""
    if duration_s >= 1:
        return f"{duration_s:.2f} s"
    if duration_s >= 0.001:
        return f"{duration_s * 1000:.1f} ms"
    return f"{duration_s * 1_000_000:.0f} us"
