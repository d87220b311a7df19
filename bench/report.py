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

HEADS: Final = ["workload", "unit"]
MOST_BESIDE_RATIOS: Final = 4
"""With more rivals, their ratios are a table of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One workload: the median of each rival, half its interquartile range, and how many times as good the subject."""

    workload: str
    unit: str
    medians: dict[str, float]
    spreads: dict[str, float]
    ratios: dict[str, float]


def summarise(results: Results, subject: str = SUBJECT) -> list[Line]:
    """Return a line for each workload that was measured, in the order of the table."""
    return [
        _summarise_one(workload, results.samples[name], subject)
        for name, workload in BY_NAME.items()
        if name in results.samples
    ]


def _summarise_one(workload: Workload, samples: dict[str, list[float]], subject: str) -> Line:
    return Line(
        workload=workload.name,
        unit=workload.unit,
        medians={rival: median(figures) for rival, figures in samples.items()},
        spreads={rival: _half_quartile_range(figures) for rival, figures in samples.items()},
        ratios={
            rival: median(
                _times_as_good(workload, ours, theirs) for ours, theirs in zip(samples[subject], figures, strict=True)
            )
            for rival, figures in samples.items()
            if subject in samples and rival != subject
        },
    )


def _times_as_good(workload: Workload, ours: float, theirs: float) -> float:
    """Above 1, the first is better, also where less is better."""
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
        **asdict(results),
        "samples": {
            workload: {rival: [float(f"{figure:.5g}") for figure in figures] for rival, figures in by_rival.items()}
            for workload, by_rival in results.samples.items()
        },
        "summary": [asdict(line) for line in summary],
    }


def print_table(results: Results, summary: Sequence[Line], machine: dict[str, object]) -> None:
    """Print the summary: with rich on a terminal, where it is installed, else as plain text."""
    rivals = [rival for rival in results.rivals if rival in results.versions]
    compared = [rival for rival in rivals if SUBJECT in rivals and rival != SUBJECT]
    write(sys.stdout, f"{results.rows:,} rows, median of {results.rounds} rounds; {sentence(machine)}")
    write(sys.stdout, ", ".join(f"{rival}: {results.versions[rival]}" for rival in rivals))
    for reservation in reservations(results):
        write(sys.stdout, reservation)
    if compared:
        write(sys.stdout, "Ratios say how many times as good MiniDB is: above 1 is better, also where less is better.")
    names = [[line.workload, line.unit] for line in summary]
    figures = [[figure(line.medians.get(rival)) for rival in rivals] for line in summary]
    ratios = [[ratio(line.ratios.get(rival)) for rival in compared] for line in summary]
    ratio_heads = [f"{SUBJECT}/{rival}" for rival in compared]
    if len(rivals) <= MOST_BESIDE_RATIOS:
        lines = zip(names, figures, ratios, strict=True)
        _print(HEADS + rivals + ratio_heads, [name + some + more for name, some, more in lines])
        return
    _print(HEADS + rivals, [name + some for name, some in zip(names, figures, strict=True)])
    if compared:
        write(sys.stdout, "")
        _print(HEADS + ratio_heads, [name + some for name, some in zip(names, ratios, strict=True)])


def _print(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
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
    return f"{value:.2g}" if value < 0.1 else f"{value:.2f}" if value < 100 else f"{value:,.0f}"


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


def sentence(machine: dict[str, object]) -> str:
    """Return what is known of the machine."""
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def write(stream: TextIO, line: str) -> None:
    """Write one line."""
    stream.write(line + "\n")
    stream.flush()
