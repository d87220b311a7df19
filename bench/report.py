"""From samples to a table: medians, and ratios that are taken within a round before their median is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Final, TextIO

from bench.workloads import BY_NAME, Workload

if TYPE_CHECKING:
    from bench.run import Results

SUBJECT: Final = "minidb"
"""Whom the ratios are about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One workload: the median of each rival, half its interquartile range, and how many times as good MiniDB is."""

    workload: str
    unit: str
    medians: dict[str, float]
    spreads: dict[str, float]
    ratios: dict[str, float]


def summarise(results: Results) -> list[Line]:
    """Return a line for each workload that was measured, in the order of the table."""
    return [_summarise_one(BY_NAME[name], results.samples[name]) for name in BY_NAME if name in results.samples]


def _summarise_one(workload: Workload, samples: dict[str, list[float]]) -> Line:
    return Line(
        workload=workload.name,
        unit=workload.unit,
        medians={rival: median(figures) for rival, figures in samples.items()},
        spreads={rival: _half_quartile_range(figures) for rival, figures in samples.items()},
        ratios={
            rival: median(
                _times_as_good(workload, ours, theirs) for ours, theirs in zip(samples[SUBJECT], figures, strict=True)
            )
            for rival, figures in samples.items()
            if SUBJECT in samples and rival != SUBJECT
        },
    )


def _times_as_good(workload: Workload, ours: float, theirs: float) -> float:
    """Above 1, MiniDB is better, also where less is better."""
    better, other = (ours, theirs) if workload.is_more_better else (theirs, ours)
    return better / other


def _half_quartile_range(figures: Sequence[float]) -> float:
    if len(figures) < 2:
        return 0.0
    low, _, high = quantiles(figures, n=4)
    return (high - low) / 2


def as_document(results: Results, summary: Sequence[Line]) -> dict[str, object]:
    """Return everything as JSON can hold it."""
    return {
        "rows": results.rows,
        "rounds": results.rounds,
        "versions": results.versions,
        "lacks": results.lacks,
        "shares": results.shares,
        "summary": [asdict(line) for line in summary],
        "samples": results.samples,
    }


def print_table(results: Results, summary: Sequence[Line], machine: dict[str, object]) -> None:
    """Print the summary: with rich on a terminal, where it is installed, else as plain text."""
    rivals = [rival for rival in results.rivals if rival in results.versions]
    compared = [rival for rival in rivals if SUBJECT in rivals and rival != SUBJECT]
    heads = ["workload", "unit", *rivals, *(f"{SUBJECT}/{rival}" for rival in compared)]
    cells = [
        [
            line.workload,
            line.unit,
            *(figure(line.medians.get(rival)) for rival in rivals),
            *(ratio(line.ratios.get(rival)) for rival in compared),
        ]
        for line in summary
    ]
    write(sys.stdout, f"{results.rows:,} rows, median of {results.rounds} rounds; {_sentence(machine)}")
    write(sys.stdout, ", ".join(f"{rival}: {results.versions[rival]}" for rival in rivals))
    for sentence in reservations(results):
        write(sys.stdout, sentence)
    if compared:
        write(sys.stdout, "Ratios say how many times as good MiniDB is: above 1 is better, also where less is better.")
    if not (sys.stdout.isatty() and _print_rich(heads, cells)):
        _print_plain(heads, cells)


def _print_plain(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for row in (heads, ["-" * width for width in widths], *cells):
        # The first two columns are words, the others figures.
        aligned = [
            text.ljust(width) if place < 2 else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        write(sys.stdout, "  ".join(aligned).rstrip())


def _print_rich(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
    try:
        from rich.console import Console  # only where there is a terminal
        from rich.table import Table
    except ImportError:
        return False
    table = Table()
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place < 2 else "right")
    for row in cells:
        table.add_row(*row)
    Console().print(table)
    return True


def figure(value: float | None) -> str:
    """Return a median as the table has it; a dash where a rival has none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def ratio(value: float | None) -> str:
    """Return a ratio as the table has it."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def reservations(results: Results) -> list[str]:
    """Return a sentence for each rival that did less than the others: what it lacks, and does fewer of."""
    sentences = []
    for rival in results.versions:
        parts = []
        if results.shares[rival] < 1:
            parts.append(f"does {results.shares[rival]:g} of the operations")
        parts += [f"no {ability} ({why})" for ability, why in results.lacks[rival].items()]
        if parts:
            sentences.append(f"{rival}: {'; '.join(parts)}")
    return sentences


def _sentence(machine: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def write(stream: TextIO, line: str) -> None:
    """Write one line."""
    stream.write(line + "\n")
    stream.flush()
