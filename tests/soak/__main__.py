"""``python -m tests.soak``: everything at once, for as long as wanted. It says what was done, or what went wrong."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from tests.crash.harness import new_seed
from tests.crash.shim import FAST_FOLDER
from tests.soak.mixed import run_mixed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=8, help="of each process, beside its asyncio loop")
    parser.add_argument("--operations", type=int, default=100_000, help="of all together")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--folder", type=Path, default=FAST_FOLDER, help="where the database is made (default: in memory)"
    )
    parser.add_argument("--control", choices=["torn-transfer"], help="be wrong on purpose, and be caught")
    options = parser.parse_args()
    seed = new_seed() if options.seed is None else options.seed
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="minidb-soak-", dir=options.folder) as folder:
        met = run_mixed(
            Path(folder),
            processes=options.processes,
            threads=options.threads,
            operations=options.operations,
            seed=seed,
            is_torn=options.control is not None,
        )
    print(json.dumps({"seed": seed, "seconds": round(time.monotonic() - begun, 1), "operations": met.total(), **met}))


if __name__ == "__main__":
    main()
