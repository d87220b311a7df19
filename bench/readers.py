"""Several processes that read by id at once: each opens the database itself, and all begin together.

    python -m bench.readers --rival sqlite3 --folder … --rows … --first-id …

is one of them: it says that it is ready, waits for a line, reads, and reports when it began and ended.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench import adapters, rows
from bench.answers import require
from bench.plan import READS_PER_BATCH, make_plan

TIMEOUT_S: Final = 600


def read_in_processes(rival: str, folder: Path, count: int, first_id: int, processes: int) -> float:
    """Return the reads a second of all processes together, from when the first began until the last had ended."""
    command = [sys.executable, "-m", "bench.readers", "--rival", rival, "--folder", str(folder)]
    command += ["--rows", str(count), "--first-id", str(first_id)]
    readers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own module
        for _ in range(processes)
    ]
    try:
        for reader in readers:
            assert reader.stdout is not None, "it is a pipe"
            if reader.stdout.readline() != "ready\n":
                raise RuntimeError("A reading process ended early")
        for reader in readers:
            assert reader.stdin is not None, "it is a pipe"
            reader.stdin.write("begin\n")
            reader.stdin.flush()
        reports = [json.loads(reader.communicate(timeout=TIMEOUT_S)[0]) for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
            reader.communicate()
    start_s = min(report["start_s"] for report in reports)
    end_s = max(report["end_s"] for report in reports)
    return float(sum(report["reads"] for report in reports) / (end_s - start_s))


def main() -> None:
    """Be one of the processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rival", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--first-id", type=int, required=True)
    options = parser.parse_args()
    rival_type = adapters.load_rival(options.rival)
    rival = rival_type(options.folder, create=False, read_only=True)
    plan = make_plan(options.rows, options.first_id, rival.terms.share)
    for row_id, answer in zip(plan.id_batches[0], rival.read_each(plan.id_batches[0]), strict=True):
        require(rival.plain(answer) == (row_id, rows.row(row_id - plan.first_id)), "a read beside other processes")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    # The clock is the machine's: what one process reads from it, another may compare.
    start_s = time.monotonic()
    for ids in plan.id_batches:
        rival.read_each(ids)
    end_s = time.monotonic()
    rival.close()
    json.dump({"start_s": start_s, "end_s": end_s, "reads": READS_PER_BATCH * len(plan.id_batches)}, sys.stdout)


if __name__ == "__main__":
    main()
