"""One process of a benchmark: one rival, one database, one of four phases. Prints its samples as JSON.

``fill`` makes the database, so that the peak of its memory is that of the bulk insert alone; ``use`` opens it in a
fresh process, checks the answers, and measures what needs one index. ``query`` makes a database with two indexes, in an
empty folder, and does the same with what needs these; ``cover`` does so with two indexes that hold the rows.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
import time
from pathlib import Path
from typing import Final

from bench import adapters, workloads
from bench.answers import check_answers, check_inserted, check_more_inserts, check_queries, check_writes
from bench.workloads import make_plan

STATUS: Final = Path("/proc/self/status")
BYTES_PER_MB: Final = 1_000_000
BLOCK_BYTES: Final = 512
"""``st_blocks`` counts these, whatever the file system's own blocks are."""


def peak_memory_bytes() -> int:
    """Return the largest resident set that this process had.

    On Linux ``ru_maxrss`` begins with what the process that started this one had; the high-water mark in /proc begins
    with the program.
    """
    if STATUS.exists():
        status = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(status["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)


def disk_size_bytes(folder: Path) -> int:
    """Return what the files below a folder take on disk; a sparse file counts with what it really holds."""
    return sum(path.stat().st_blocks * BLOCK_BYTES for path in folder.rglob("*") if path.is_file())


def fill(rival_name: str, folder: Path, count: int) -> dict[str, object]:
    """Make the database and measure that."""
    rival = adapters.load_rival(rival_name)(folder, create=True)
    start = time.perf_counter()
    first_id = rival.insert_all(count)
    elapsed_s = time.perf_counter() - start
    peak = peak_memory_bytes()
    rival.close()
    return {
        "first_id": first_id,
        "version": rival.version,
        "samples": {
            workloads.BULK_INSERT.name: count / elapsed_s,
            workloads.BULK_INSERT_PEAK.name: peak / BYTES_PER_MB,
            workloads.DISK_SIZE.name: disk_size_bytes(folder) / BYTES_PER_MB,
        },
    }


def use(rival_name: str, folder: Path, count: int, first_id: int, wanted: set[str]) -> dict[str, object]:
    """Open the database, check the answers, and measure the wanted workloads."""
    samples: dict[str, float] = {}

    start = time.perf_counter()
    rival_type = adapters.load_rival(rival_name)
    rival = rival_type(folder, create=False)
    rival.read_each([first_id])
    samples[workloads.IMPORT_OPEN_READ.name] = (time.perf_counter() - start) * 1000
    rival.close()

    start = time.perf_counter()
    rival = rival_type(folder, create=False)
    rival.read_each([first_id])
    samples[workloads.OPEN_READ.name] = (time.perf_counter() - start) * 1000

    plan = make_plan(count, first_id)
    digest = check_answers(rival, plan) + check_writes(rival, plan)
    for workload, measure in workloads.USING.items():
        if workload.name in wanted:
            samples[workload.name] = measure(rival, plan)
    if workloads.DURABLE_INSERT.name in wanted:
        check_inserted(rival, plan)
    rival.close()
    return {"digest": digest, "samples": samples}


def query(rival_name: str, folder: Path, count: int, wanted: set[str], *, is_covered: bool) -> dict[str, object]:
    """Make a database with two indexes, open it anew, check the answers, and measure the wanted workloads."""
    rival_type = adapters.load_rival(rival_name)
    rival = rival_type(folder, create=True)
    first_id = rival.insert_all(count)
    if is_covered:
        rival.cover()
    else:
        rival.index_ages()
    rival.close()

    rival = rival_type(folder, create=False)
    plan = make_plan(count, first_id)
    digest = check_queries(rival, plan)
    samples = {
        workload.name: measure(rival, plan)
        for workload, measure in (workloads.COVERING if is_covered else workloads.QUERYING).items()
        if workload.name in wanted
    }
    counts = [inserted(plan) for name, inserted in workloads.INSERTED.items() if name in samples]
    if counts:
        check_more_inserts(rival, plan, counts)
    rival.close()
    return {"digest": digest, "samples": samples}


def main() -> None:
    """Run one phase, as ``bench.run`` asks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=("fill", "use", "query", "cover"))
    parser.add_argument("--rival", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--first-id", type=int, default=0)
    parser.add_argument("--workloads", default="")
    options = parser.parse_args()
    if options.phase == "fill":
        outcome = fill(options.rival, options.folder, options.rows)
    elif options.phase == "use":
        outcome = use(options.rival, options.folder, options.rows, options.first_id, set(options.workloads.split(",")))
    else:
        wanted = set(options.workloads.split(","))
        outcome = query(options.rival, options.folder, options.rows, wanted, is_covered=options.phase == "cover")
    json.dump(outcome, sys.stdout)


if __name__ == "__main__":
    main()
