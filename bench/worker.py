"""One process of a benchmark: one rival, one database, one phase. Prints its samples as JSON.

``fill`` makes the database, so that the peak of its memory is that of the bulk insert alone; ``use`` opens it in a
fresh process, checks the answers, and measures what needs one index. ``query`` makes a database with two indexes, in
an empty folder, and does the same with what needs these; ``cover`` does so with two indexes that hold the rows, and
``mix`` with records.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from bench import adapters, workloads, ycsb
from bench.adapters.port import Ability, Rival
from bench.answers import check_answers, check_backup, check_inserted, check_more_inserts, check_queries, check_writes
from bench.measuring import INSERTED, measure
from bench.plan import Plan, make_plan
from bench.readers import read_in_processes

STATUS: Final = Path("/proc/self/status")
BYTES_PER_MB: Final = 1_000_000
BLOCK_BYTES: Final = 512
"""``st_blocks`` counts these, whatever the file system's own blocks are."""

IMPORTS: Final = 5


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


def import_time_ms(modules: str) -> float:
    """Return what importing these takes in a process that has imported nothing yet: the median of some."""
    program = f"import time; start = time.perf_counter(); import {modules}; print(time.perf_counter() - start)"
    return 1000 * median(
        float(subprocess.check_output([sys.executable, "-c", program], text=True))  # noqa: S603  # names of our adapters
        for _ in range(IMPORTS)
    )


def fill(rival_name: str, folder: Path, count: int) -> dict[str, object]:
    """Make the database and measure that. Says on what terms the rival takes part."""
    rival_type = adapters.load_rival(rival_name)
    rival = rival_type(folder, create=True)
    start = time.perf_counter()
    first_id = rival.insert_all(count)
    elapsed_s = time.perf_counter() - start
    peak = peak_memory_bytes()
    rival.close()
    return {
        "first_id": first_id,
        "version": rival.version,
        "lacks": dict(rival.terms.lacks),
        "share": rival.terms.share,
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
    rival.close()

    if workloads.IMPORT_TIME.name in wanted:
        samples[workloads.IMPORT_TIME.name] = import_time_ms(rival_type.imports)
    terms = rival_type.terms
    if workloads.PROCESSES_READ.name in wanted and Ability.PROCESSES not in terms.lacks:
        samples[workloads.PROCESSES_READ.name] = read_in_processes(
            rival_name, folder, count, first_id, workloads.PROCESSES
        )

    rival = rival_type(folder, create=False)
    plan = make_plan(count, first_id, terms.share)
    digests = check_answers(rival, plan)
    if {workloads.BACKUP.name, workloads.BACKUP_TIME.name} & wanted and Ability.BACKUP not in terms.lacks:
        samples |= measure_backup(rival, plan, folder)
    digests |= check_writes(rival, plan)
    samples |= measure(rival, plan, workloads.USING, wanted)
    if workloads.DURABLE_INSERT.name in samples:
        check_inserted(rival, plan)
    rival.close()
    return {"digests": digests, "samples": samples}


def measure_backup(rival: Rival, plan: Plan, beside: Path) -> dict[str, float]:
    """Copy the database twice: the first copy is looked at, the second one timed."""
    make_folder = partial(tempfile.TemporaryDirectory, prefix="minidb-bench-copy-", dir=beside.parent)
    with make_folder() as checked, make_folder() as timed:
        rival.back_up(Path(checked))
        check_backup(rival, plan, Path(checked))
        start = time.perf_counter()
        rival.back_up(Path(timed))
        elapsed_s = time.perf_counter() - start
    size_bytes = disk_size_bytes(beside)
    return {
        workloads.BACKUP.name: size_bytes / BYTES_PER_MB / elapsed_s,
        workloads.BACKUP_TIME.name: elapsed_s * 1000,
    }


def query(rival_name: str, folder: Path, count: int, wanted: set[str], *, is_covered: bool) -> dict[str, object]:
    """Make a database with two indexes, open it anew, check the answers, and measure the wanted workloads."""
    samples: dict[str, float] = {}
    rival_type = adapters.load_rival(rival_name)
    rival = rival_type(folder, create=True)
    first_id = rival.insert_all(count)
    if is_covered:
        rival.cover()
    else:
        start = time.perf_counter()
        rival.index_ages()
        samples[workloads.ADD_INDEX.name] = count / (time.perf_counter() - start)
    rival.close()

    rival = rival_type(folder, create=False)
    plan = make_plan(count, first_id, rival.terms.share)
    digests = check_queries(rival, plan)
    samples |= measure(rival, plan, workloads.COVERING if is_covered else workloads.QUERYING, wanted)
    counts = [inserted(plan) for name, inserted in INSERTED.items() if name in samples]
    if counts:
        check_more_inserts(rival, plan, counts)
    rival.close()
    return {"digests": digests, "samples": samples}


def mix(rival_name: str, folder: Path, count: int, wanted: set[str]) -> dict[str, object]:
    """Make a database of records and measure the mixed workloads."""
    rival_type = adapters.load_rival(rival_name)
    records = adapters.load_records(rival_name)(folder)
    samples = ycsb.measure(records, rival_type.terms, count, wanted)
    records.close()
    return {"digests": {}, "samples": samples}


def main() -> None:
    """Run one phase, as ``bench.run`` asks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=("fill", "use", "query", "cover", "mix"))
    parser.add_argument("--rival", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--first-id", type=int, default=0)
    parser.add_argument("--workloads", default="")
    options = parser.parse_args()
    wanted = set(options.workloads.split(","))
    if options.phase == "fill":
        outcome = fill(options.rival, options.folder, options.rows)
    elif options.phase == "use":
        outcome = use(options.rival, options.folder, options.rows, options.first_id, wanted)
    elif options.phase == "mix":
        outcome = mix(options.rival, options.folder, options.rows, wanted)
    else:
        outcome = query(options.rival, options.folder, options.rows, wanted, is_covered=options.phase == "cover")
    json.dump(outcome, sys.stdout)


if __name__ == "__main__":
    main()
