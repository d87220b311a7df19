"""How verbs show rows: a table on a terminal, tab-separated text in a pipe, or JSON, JSON Lines, CSV where asked.

What goes into a pipe is stable, whole, and written row by row. A table on a terminal is cut to what fits.
"""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from enum import Enum
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO, TypeAlias, cast

import typer

from minidb.cli.cells import json_of, text_of
from minidb.structs import Struct

if TYPE_CHECKING:
    from rich.console import Console

Values: TypeAlias = Sequence[Any]  # Any: the values of a row, of the types that its fields declare

TERMINAL_ROWS: Final = 100
"""Rows that a terminal is shown if nobody says how many."""

WIDEST_CELL: Final = 40
_NARROWEST_CELL: Final = 8
_MARK: Final = "…"

PLAIN_TYPES: Final = frozenset({str, int, float, type(None)})
"""Types that ``csv`` writes as ``text_of`` does."""


class Pager(Struct):
    """The pager, by which a table is shown that is higher than the terminal."""

    read_for_s: float = 0.0
    """How long somebody has been reading in it."""


pager_here: Final[ContextVar[Pager | None]] = ContextVar("minidb_pager", default=None)
"""The pager, where there is one: in the shell."""

_CONTROLS: Final = (*range(32), *range(127, 160))
# Signs that turn the direction of a line, or end it, would show a reader other text than there is.
_TURNS: Final = (*range(0x200E, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0x061C, 0xFEFF)
_ESCAPES: Final = {
    **{sign: f"\\x{sign:02x}" for sign in _CONTROLS},
    **{sign: f"\\u{sign:04x}" for sign in (*_TURNS, *range(0xD800, 0xE000))},  # half a pair is no text
    9: "\\t",
    10: "\\n",
    13: "\\r",
}
_LINE_ESCAPES: Final = {sign: escape for sign, escape in _ESCAPES.items() if sign not in (9, 10)}
_TAB_ESCAPES: Final = {9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\"}

AsJson = Annotated[bool, typer.Option("--json", help="Write a JSON array.", rich_help_panel="Output")]
AsLines = Annotated[bool, typer.Option("--nl", help="Write JSON Lines: an object a line.", rich_help_panel="Output")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Write CSV.", rich_help_panel="Output")]


class Form(Enum):
    """The form in which rows are written."""

    TABLE = "table"
    TEXT = "text"
    JSON = "json"
    LINES = "nl"
    CSV = "csv"
    TSV = "tsv"


def choose_form(*, as_json: bool, as_lines: bool, as_csv: bool) -> Form:
    """Return what was asked for, or else what suits standard output."""
    asked = [form for form, is_asked in ((Form.JSON, as_json), (Form.LINES, as_lines), (Form.CSV, as_csv)) if is_asked]
    if len(asked) > 1:
        raise typer.BadParameter("only one of --json, --nl and --csv can be had")
    return asked[0] if asked else Form.TABLE if sys.stdout.isatty() else Form.TEXT


class _SafeTerminal(io.TextIOBase):
    """Standard output where it is a terminal: the lines that are written there cannot steer it."""

    def write(self, text: str) -> int:
        return sys.stdout.write(safe_lines(text))


def standard_output() -> TextIO:
    """Return standard output, for lines that hold what is stored."""
    return cast("TextIO", _SafeTerminal()) if sys.stdout.isatty() else sys.stdout


def show(
    names: Sequence[str], rows: Iterable[Values], form: Form, *, most: int | None = None, noun: str = "row"
) -> None:
    """Write rows to standard output. On a terminal at most ``most`` of them, with a word about the others."""
    if form is Form.TABLE:
        _show_table(names, rows, most, noun)
    else:
        write(standard_output(), names, rows, form)
        sys.stdout.flush()


def show_facts(facts: Mapping[str, object], form: Form) -> None:
    """Write names and values: below each other, or as the one object that they are."""
    if form is Form.TABLE:
        _show_facts(facts)
    elif form is Form.JSON:
        standard_output().write(json_of(dict(facts), indent=2) + "\n")
    elif form is Form.TEXT:
        for name, value in facts.items():
            sys.stdout.write(f"{name}\t{text_of(value).translate(_TAB_ESCAPES)}\n")
    else:
        write(standard_output(), list(facts), [list(facts.values())], form)
    sys.stdout.flush()


def write(file: TextIO, names: Sequence[str], rows: Iterable[Values], form: Form, *, null: str = "") -> None:
    """Write rows to a file, one by one. ``null`` is what a cell of CSV without a value holds."""
    remaining = iter(rows)
    rows = chain(list(islice(remaining, 1)), remaining)  # what hinders the first one is told before anything is written
    match form:
        case Form.JSON:
            _write_json(file, names, rows)
        case Form.LINES:
            file.writelines(json_of(dict(zip(names, row, strict=True))) + "\n" for row in rows)
        case Form.CSV | Form.TSV:
            writer = csv.writer(file, delimiter="," if form is Form.CSV else "\t", lineterminator="\n")
            writer.writerow(names)
            plain = PLAIN_TYPES
            for row in rows:
                cells = [value if type(value) in plain else text_of(value) for value in row]
                writer.writerow([null if value is None else value for value in cells] if null else cells)
        case Form.TEXT | Form.TABLE:
            for row in chain([names], rows):
                file.write("\t".join(text_of(value).translate(_TAB_ESCAPES) for value in row) + "\n")


def _write_json(file: TextIO, names: Sequence[str], rows: Iterable[Values]) -> None:
    separator = "["
    for row in rows:
        file.write(f"{separator}{json_of(dict(zip(names, row, strict=True)))}")
        separator = ",\n "
    file.write("[]\n" if separator == "[" else "]\n")


# --- on a terminal ----------------------------------------------------------------------------------------------------


def console(*, is_error: bool = False) -> Console:
    """Return what writes on the terminal: standard output, or standard error."""
    from rich.console import Console

    return Console(stderr=is_error, highlight=False, soft_wrap=True)


def safe_text(value: object) -> str:
    """Return the text of a value in one line, in which nothing can steer the terminal."""
    return text_of(value).translate(_ESCAPES)


def safe_lines(text: str) -> str:
    """Return a text of lines in which nothing can steer the terminal."""
    return text.translate(_LINE_ESCAPES)


def glimpse(value: object) -> str:
    """Return the text of a value, cut to what a glance takes in. It may be one that no row can have."""
    text = text_of(value)[: WIDEST_CELL + 1].encode(errors="replace").decode()
    return text if len(text) <= WIDEST_CELL else text[: WIDEST_CELL - 1] + _MARK


def _show_table(names: Sequence[str], rows: Iterable[Values], most: int | None, noun: str) -> None:
    from rich import box
    from rich.cells import cell_len, set_cell_size
    from rich.table import Table
    from rich.text import Text

    iterator = iter(rows)
    kept = [list(row) for row in islice(iterator, most)]
    has_more = most is not None and next(iterator, None) is not None
    texts = [["null" if value is None else safe_text(value) for value in row] for row in kept]
    out = console()
    widths = _fit([max(map(cell_len, column)) for column in zip([*map(safe_text, names)], *texts, strict=True)], out)
    table = Table(box=box.ROUNDED, header_style="bold")
    for position, name in enumerate(names[: len(widths)]):
        are_numbers = all(isinstance(row[position], int | float) or row[position] is None for row in kept)
        table.add_column(
            Text(_cut(safe_text(name), widths[position], cell_len, set_cell_size)),
            justify="right" if are_numbers and kept else "left",
            no_wrap=True,
        )
    for row, cells in zip(kept, texts, strict=True):
        table.add_row(
            *(
                Text(_cut(text, width, cell_len, set_cell_size), style="dim" if value is None else "")
                for value, text, width in zip(row, cells, widths, strict=False)
            )
        )
    hidden = len(names) - len(widths)
    notes = [
        f"{len(kept):,} {noun if len(kept) == 1 else noun + 's'}"
        + (" shown, there are more: --limit" if has_more else ""),
        *([f"{hidden} {'column' if hidden == 1 else 'columns'} left out: --fields, --json"] if hidden else []),
    ]
    pager = pager_here.get() if len(kept) + 5 > out.height else None
    began = time.perf_counter()
    with nullcontext() if pager is None else out.pager(styles=True):
        out.print(table, soft_wrap=False)
        out.print(Text(", ".join(notes), style="dim"))
    if pager is not None:
        pager.read_for_s += time.perf_counter() - began


def _show_facts(facts: Mapping[str, object]) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts.items():
        told = Text("null", style="dim") if value is None else Text(_grouped(value))
        grid.add_row(Text(safe_text(name), style="bold"), told)
    console().print(grid, soft_wrap=False)


def _grouped(value: object) -> str:
    is_count = type(value) is int and abs(value) >= 10_000
    return f"{value:,}" if is_count else safe_text(value)


def _fit(natural: Sequence[int], out: Console) -> list[int]:
    """Return the widths of as many columns as fit, the wide ones cut; of at least one."""
    room = out.width - 1
    frame = 3  # a line and a blank on either side of a cell
    widths = [min(width, WIDEST_CELL) for width in natural]
    if sum(natural) + frame * len(natural) <= room:
        return list(natural)
    while sum(widths) + frame * len(widths) > room:
        widest = max(widths)
        if widest > _NARROWEST_CELL:
            widths[widths.index(widest)] -= 1
        elif len(widths) > 1:
            widths.pop()
        else:
            return [max(1, room - frame)]
    return widths


def _cut(text: str, width: int, cell_len: Callable[[str], int], resize: Callable[[str, int], str]) -> str:
    if cell_len(text) <= width:
        return text
    return resize(text, width - 1).rstrip() + _MARK


# --- progress ---------------------------------------------------------------------------------------------------------


def _show_nothing(_completed: float, _count: int) -> None:
    """Stand where a bar would be."""


@contextmanager
def progress(description: str, total: float | None, unit: str = "rows") -> Iterator[Callable[[float, int], None]]:
    """Show a progress bar with rate and time left on a terminal; yield what tells it how far, and how many rows."""
    if not sys.stderr.isatty():
        yield _show_nothing
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(is_error=True), transient=True) as bar:
        task = bar.add_task(description, total=total, told="")

        def advance(completed: float, count: int) -> None:
            elapsed_s = bar.tasks[0].elapsed or 0
            rate = f", {count / elapsed_s:,.0f}/s" if elapsed_s > 0.5 else ""
            bar.update(task, completed=completed, told=f"{count:,} {unit}{rate}")

        yield advance


@contextmanager
def progress_of_total(description: str, unit: str = "keys") -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar; yield what the library tells how much is done, and of how much."""
    with progress(description, 1, unit) as advance:
        yield lambda done, total: advance(done / max(1, total), done)
