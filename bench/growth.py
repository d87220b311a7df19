"""How ratios change while a database grows: the same workloads at several sizes.

    python -m bench.growth                     # 10,000, 100,000 and 1,000,000 rows; about a quarter of an hour
    python -m bench.growth --largest           # and 10,000,000, which takes some GB of disk and much longer

Each size is a run of ``bench.run`` with MiniDB, sqlite3 and the limit. Some slow-down is LMDB's or the processor's: so
MiniDB's ratio to sqlite3 is set beside the limit's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bench import report
from bench.run import MIN_ROWS, Results, Work, machine, measure, run_worker

SIZES: Final = (10_000, 100_000, 1_000_000)
LARGEST: Final = 10_000_000
DEFAULT_ROUNDS: Final = 3
RIVALS: Final = ("minidb", "sqlite3", "limit")
BASELINE: Final = "sqlite3"
CEILING: Final = "limit"
WORKLOADS: Final = (
    "bulk_insert",
    "disk_size",
    "point_read",
    "point_read_in_transaction",
    "index_rows",
    "scan",
    "update_each",
    "add_index",
    "query_range",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """One workload at all sizes: two ratios for each, and what is left of the first one's at the last one."""

    workload: str
    minidb: Sequence[float]
    """MiniDB's to sqlite3."""

    limit: Sequence[float]
    """The limit's to sqlite3."""

    of_limit: Sequence[float]
    """MiniDB's to the limit."""

    @property
    def minidb_left(self) -> float:
        """What is left of MiniDB's ratio to sqlite3."""
        return self.minidb[-1] / self.minidb[0]

    @property
    def limit_left(self) -> float:
        """What is left of the limit's ratio to sqlite3."""
        return self.limit[-1] / self.limit[0]


def measure_sizes(
    sizes: Sequence[int], rounds: int, work: Work, folder: Path | None, say: Callable[[str], None]
) -> list[Results]:
    """Return the results of each size."""
    results = []
    for size in sizes:
        say(f"{size:,} rows")
        results.append(
            measure(rows=size, rounds=rounds, rivals=RIVALS, wanted=WORKLOADS, work=work, parent_folder=folder, say=say)
        )
    return results


def compare(results: Sequence[Results]) -> Iterator[Growth]:
    """Yield how each workload's ratios change from the first size to the last one."""
    of_minidb = [{line.workload: line.ratios for line in report.summarise(one)} for one in results]
    of_limit = [{line.workload: line.ratios for line in report.summarise(one, CEILING)} for one in results]
    for workload in WORKLOADS:
        yield Growth(
            workload=workload,
            minidb=[ratios[workload][BASELINE] for ratios in of_minidb],
            limit=[ratios[workload][BASELINE] for ratios in of_limit],
            of_limit=[ratios[workload][CEILING] for ratios in of_minidb],
        )


def table(results: Sequence[Results]) -> str:
    """Return the comparison as a table of Markdown."""
    sizes = [f"{one.rows:,}" for one in results]
    heads = [
        "workload",
        *(f"MiniDB / sqlite3, {size}" for size in sizes),
        *(f"limit / sqlite3, {size}" for size in sizes),
        *(f"MiniDB / limit, {size}" for size in sizes),
        "MiniDB's left",
        "limit's left",
    ]
    lines = [f"| {' | '.join(heads)} |", f"|---|{'--:|' * (len(heads) - 1)}"]
    for one in compare(results):
        cells = [*one.minidb, *one.limit, *one.of_limit, one.minidb_left, one.limit_left]
        lines.append(f"| `{one.workload}` | {' | '.join(map(report.ratio, cells))} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description="Measure at several sizes.")
    parser.add_argument("--sizes", help="a,b,c; default: " + ",".join(map(str, SIZES)))
    parser.add_argument("--largest", action="store_true", help=f"and {LARGEST:,} rows, in one round")
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help="default: %(default)s")
    parser.add_argument("--folder", type=Path, help="where the databases are made (default: the temporary folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample to this file")
    options = parser.parse_args(arguments)
    sizes = [int(size) for size in options.sizes.split(",")] if options.sizes else list(SIZES)
    if min(sizes) < MIN_ROWS or options.rounds < 1:
        parser.error(f"--sizes must be at least {MIN_ROWS}, --rounds at least 1")
    with tempfile.TemporaryDirectory(prefix="minidb-bench-bytecode-") as bytecode_folder:
        work = partial(run_worker, bytecode_folder=Path(bytecode_folder))

        def say(line: str) -> None:
            report.write(sys.stderr, line)

        results = measure_sizes(sizes, options.rounds, work, options.folder, say)
        if options.largest:
            results += measure_sizes([LARGEST], 1, work, options.folder, say)
    if options.json is not None:
        sizes_document = [report.as_document(one, report.summarise(one)) for one in results]
        options.json.write_text(json.dumps({"machine": machine(), "sizes": sizes_document}) + "\n")
    sys.stdout.write(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
