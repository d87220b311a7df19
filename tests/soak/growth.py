"""``python -m tests.soak.growth --updates 1000000``: the data file does not grow without bound.

Until the next checkpoint the steady snapshot of the commit log keeps pages that could be used again without it. So many
small updates of the same rows must leave the file of a size that depends on the checkpoints and not on their number.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Final, get_args

from minidb import MiniDB
from minidb.options import Durability
from minidb.schema import IntegerField, Schema, StringField

ROWS: Final = 1000
MOST_BYTES: Final = 250_000_000
"""Where 1,000,000 updates may leave the file."""

SCHEMA: Final = Schema(
    name=StringField(required=True, index=True), number=IntegerField(required=True, index=True), text=StringField()
)


def update(folder: Path, updates: int, *, durability: Durability, batch: int) -> dict[str, object]:
    """Make so many updates of single rows, ``batch`` in a transaction; return what the file has come to."""
    largest = 0
    with MiniDB(folder, durability=durability) as database:
        table = database.create_table("rows", SCHEMA)
        ids = table.insert_many({"name": f"name {one}", "number": one, "text": "x" * 50} for one in range(ROWS))
        begun = time.monotonic()
        for first in range(0, updates, batch):
            with database.begin_transaction() if batch > 1 else nullcontext():
                for one in range(first, min(first + batch, updates)):
                    table.update(ids[one * 7919 % ROWS], number=one)
            if first // batch % 1000 == 0:
                largest = max(largest, (folder / "data.mdb").stat().st_size)
        seconds = time.monotonic() - begun
        largest = max(largest, (folder / "data.mdb").stat().st_size)
    return {
        "durability": durability,
        "batch": batch,
        "updates": updates,
        "seconds": round(seconds, 1),
        "megabytes": round(largest / 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.growth", description=__doc__)
    parser.add_argument("--updates", type=int, default=1_000_000)
    parser.add_argument("--durability", choices=get_args(Durability), default="relaxed")
    parser.add_argument("--batch", type=int, default=1, help="updates in one transaction")
    parser.add_argument("--folder", type=Path, help="an empty folder on the disk to be used")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="minidb-growth-", dir=options.folder) as folder:
        figures = update(Path(folder), options.updates, durability=options.durability, batch=options.batch)
    print(json.dumps(figures))
    sys.exit(float(str(figures["megabytes"])) * 1e6 > MOST_BYTES)


if __name__ == "__main__":
    main()
