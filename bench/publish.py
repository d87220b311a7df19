"""Writes the figures of docs/benchmarks.md: everything is measured, and the page, its chart and its JSON are made anew.

    python -m bench.publish                    # all rivals that are installed, and growth; leave the machine alone
    python -m bench.publish --redraw           # the page and the chart again, of the JSON that is there

``docs/benchmarks.json`` holds every sample, ``docs/benchmarks.svg`` the chart, and the part of the page between two
comments the tables.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench import adapters, chart, growth, report
from bench.goals import GOALS
from bench.run import DEFAULT_ROUNDS, DEFAULT_ROWS, REPOSITORY, Results, machine, measure, rivals_named, run_worker
from bench.workloads import BY_NAME, DURABLE_COMMITS

DOCS: Final = REPOSITORY / "docs"
NAME: Final = "benchmarks"
BEGIN: Final = "<!-- Written by python -m bench.publish. -->\n"
END: Final = "<!-- Until here. -->\n"
BESIDE: Final = ("sqlite3", "limit")
"""Whose ratios stand in the first table."""

QUIET_LOAD: Final = 0.5
"""A machine that does more is not left alone."""

CHARTED: Final = {*GOALS, *(workload.name for workload in DURABLE_COMMITS.values())}
"""Workloads that have bars: of all there would be too many to be seen at once."""

Document = dict[str, Any]  # Any: JSON: date, machine, results of the run, results of each size


def collect(rows: int, rounds: int, rivals: Sequence[str], growth_rounds: int, sizes: Sequence[int]) -> Document:
    """Measure everything."""
    before = machine()

    def say(line: str) -> None:
        report.write(sys.stderr, line)

    with tempfile.TemporaryDirectory(prefix="minidb-bench-bytecode-") as bytecode_folder:
        work = partial(run_worker, bytecode_folder=Path(bytecode_folder))
        results = measure(rows=rows, rounds=rounds, rivals=rivals, wanted=list(BY_NAME), work=work, say=say)
        of_sizes = growth.measure_sizes(sizes, growth_rounds, work, None, say) if growth_rounds else []
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": before,
        "results": report.as_document(results, report.summarise(results)),
        "sizes": [report.as_document(one, report.summarise(one)) for one in of_sizes],
    }


def results_of(document: Document) -> Results:
    """Return results as they were before they became JSON."""
    return Results(**{name: value for name, value in document.items() if name != "summary"})


def write(document: Document, docs: Path) -> None:
    """Write the three files."""
    (docs / f"{NAME}.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
    results = results_of(document["results"])
    title = f"{results.rows:,} rows, median of {results.rounds} rounds, {document['date']}"
    charted = [line for line in report.summarise(results, chart.BASELINE) if line.workload in CHARTED]
    (docs / f"{NAME}.svg").write_text(chart.draw(charted, title))
    page = docs / f"{NAME}.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text("\n".join([before + BEGIN, *page_part(document), END + after]))


def page_part(document: Document) -> Iterator[str]:
    """Yield the lines of the page between the two comments."""
    results = results_of(document["results"])
    lines = report.summarise(results)
    rivals = [rival for rival in adapters.NAMES if rival in results.versions]
    versions = ", ".join(dict.fromkeys(results.versions[rival] for rival in rivals))
    yield f"Measured on {document['date']}: {report.sentence(document['machine'])}; {versions}."
    yield f"{results.rows:,} rows, the median of {results.rounds} rounds."
    if document["machine"]["load"] > QUIET_LOAD:
        yield "Other programs ran on the machine when it began: take these figures for rough ones."
    yield ""
    yield f"![How many times as good as sqlite3 each rival is, by workload]({NAME}.svg)"
    yield ""
    yield "How many times as good MiniDB is, and in brackets what it means to be:"
    yield ""
    beside = [rival for rival in BESIDE if rival in rivals]
    heads = ["workload", "MiniDB", *beside, *(f"MiniDB / {rival}" for rival in beside)]
    yield from _table(
        heads,
        (
            [
                f"`{line.workload}`, {line.unit}",
                *(report.figure(line.medians.get(rival)) for rival in (report.SUBJECT, *beside)),
                *(_with_goal(line, rival) for rival in beside),
            ]
            for line in lines
        ),
    )
    if others := [rival for rival in rivals if rival not in {report.SUBJECT, *beside}]:
        yield "The other rivals:"
        yield ""
        yield from _table(
            ["workload", *others],
            (
                [f"`{line.workload}`, {line.unit}", *(report.figure(line.medians.get(rival)) for rival in others)]
                for line in lines
            ),
        )
        yield from (f"- {reservation}" for reservation in report.reservations(results))
        yield ""
    if document["sizes"]:
        yield "What becomes of the ratios as a table grows; the last two columns say what is left of those to sqlite3:"
        yield ""
        yield growth.table([results_of(one) for one in document["sizes"]])


def _with_goal(line: report.Line, rival: str) -> str:
    goal = GOALS.get(line.workload, {}).get(rival)
    reached = report.ratio(line.ratios.get(rival))
    return reached if goal is None else f"{reached} ({goal:.2f})"


def _table(heads: Sequence[str], lines: Iterator[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|---|{'--:|' * (len(heads) - 1)}"
    for line in lines:
        yield f"| {' | '.join(line)} |"
    yield ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, unless the figures are there; write; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description="Write the figures of the docs.")
    parser.add_argument("--rows", type=int, default=DEFAULT_ROWS, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help="default: %(default)s")
    parser.add_argument("--rivals", type=rivals_named, help="a,b,c; default: all that are installed")
    parser.add_argument(
        "--growth-rounds", type=int, default=growth.DEFAULT_ROUNDS, help="0: no growth; default: %(default)s"
    )
    parser.add_argument("--sizes", default=",".join(map(str, growth.SIZES)), help="of growth; default: %(default)s")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="FOLDER", help="default: the checkout's docs")
    parser.add_argument("--redraw", action="store_true", help="measure nothing: take the JSON that is there")
    options = parser.parse_args(arguments)
    if options.redraw:
        document = json.loads((options.docs / f"{NAME}.json").read_text())
    else:
        document = collect(
            options.rows,
            options.rounds,
            options.rivals or rivals_named("all"),
            options.growth_rounds,
            [int(size) for size in options.sizes.split(",")],
        )
    write(document, options.docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
