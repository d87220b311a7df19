"""``python -m tests.crash --cycles 200``: the kill -9 harness by itself, for as long as wanted."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.crash.harness import new_seed, run_cycles


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--folder", type=Path, help="an empty folder that is kept (default: a temporary one)")
    options = parser.parse_args()
    seed = new_seed() if options.seed is None else options.seed
    print("seed", seed)
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
        print(run_cycles(options.folder, options.cycles, seed, say=print))
    else:
        with tempfile.TemporaryDirectory(prefix="minidb-crash-") as folder:
            print(run_cycles(Path(folder), options.cycles, seed, say=print))


if __name__ == "__main__":
    main()
