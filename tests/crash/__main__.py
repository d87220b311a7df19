"""``python -m tests.crash --processes 4 --cycles 1000``: kill -9, for as long as wanted."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.crash.harness import new_seed, run_cycles
from tests.crash.shim import FAST_FOLDER


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--processes", type=int, default=1, help="that write at once; one of them is killed")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--folder", type=Path, help="an empty folder that is kept (default: a temporary one, in memory)"
    )
    parser.add_argument("--quiet", action="store_true", help="print the tally only")
    options = parser.parse_args()
    seed = new_seed() if options.seed is None else options.seed
    begun = time.monotonic()

    def say(text: str) -> None:
        if not options.quiet:
            print(text, flush=True)

    with tempfile.TemporaryDirectory(prefix="minidb-crash-", dir=FAST_FOLDER) as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        tally = run_cycles(folder, options.cycles, seed, processes=options.processes, say=say)
    print(json.dumps({"seed": seed, "seconds": round(time.monotonic() - begun, 1), **asdict(tally)}))


if __name__ == "__main__":
    main()
