"""The disk is full, then has room again: ``python -m tests.crash.full_disk``.

By itself it runs again under the shim, which gives the files so much room and no more. ``--folder`` names a real place
to fill instead: a small file system of its own, such as a tmpfs of 4 MiB. ``--limit`` fills a database up to its
``max_size_bytes``. Prints how many rows there were at each step, and fails where a step goes wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.crash.checker import CheckFailedError, Expected, check, check_open
from tests.crash.operations import DEFINER, Hand, Model
from tests.crash.shim import FAST_FOLDER, REPOSITORY, Shim, build, environment

from minidb import MiniDB
from minidb.exceptions import StorageFullError

ROOM_BYTES: Final = 100_000
LIMIT_BYTES: Final = 1_000_000
MOST_ROWS: Final = 5000


class Filler:
    """Fills a database until nothing goes in, and knows what is in it."""

    def __init__(self, database: MiniDB) -> None:
        self.model: Model = {}
        self._database = database
        self._hand = Hand(database, DEFINER)
        self._rows_tried = 0

    def insert(self) -> bool:
        """Insert a row; return whether there was room."""
        self._rows_tried += 1
        token = f"{DEFINER}-{self._rows_tried}"
        row = {"token": token, "city": "city 1", "number": 1, "text": "x" * (self._rows_tried * 37 % 3000)}
        try:
            self._hand.do({"kind": "insert", "rows": [row]})
        except StorageFullError:
            return False
        self.model[token] = row
        return True

    def fill(self) -> int:
        """Insert until there is no room for three rows in a row. Return how many went in."""
        before = len(self.model)
        refused = 0
        while refused < 3:
            if len(self.model) > MOST_ROWS:
                raise CheckFailedError("it never gets full")
            refused += not self.insert()
        self.check()
        return len(self.model) - before

    def delete(self, rows: int) -> int:
        """Delete rows, each in a commit of its own. Return how many were refused: a delete needs pages, too."""
        refused = 0
        for token in [*self.model][:rows]:
            row_id = self._hand.ids[token]
            try:
                self._hand.do({"kind": "delete", "token": token})
                del self.model[token]
            except StorageFullError:
                self._hand.ids[token] = row_id
                refused += 1
        self.check()
        if refused > rows // 2:
            raise CheckFailedError("most deletes are refused")
        return refused

    def insert_all_or_nothing(self) -> None:
        """Insert in a transaction what cannot go in, and see that nothing of it did."""
        with suppress(StorageFullError), self._database.begin_transaction():
            for number in range(1000):
                row = {"token": f"{DEFINER}-big-{number}", "city": "city 1", "number": 1, "text": "y" * 3000}
                self._hand.table.insert(row)
        self.check()

    def check(self) -> None:
        check_open(self._database, {DEFINER: self.expected()})

    def expected(self) -> Expected:
        return Expected([self.model], frozenset(self.model), self._hand.ids, is_owed=True)


def run(folder: Path, *, limit: int | None, fill_up: Callable[[], None], free: Callable[[], None]) -> dict[str, int]:
    """Go through it all; return how many rows there were after each step."""
    steps = {}
    with MiniDB(folder, max_size_bytes=limit) as database:
        filler = Filler(database)
        for _ in range(50):
            filler.insert()
        fill_up()
        filler.fill()
        steps["full"] = len(filler.model)
        filler.insert_all_or_nothing()
        steps["refused"] = filler.delete(len(filler.model) // 2)
        steps["half of them deleted"] = len(filler.model)
        if filler.fill() == 0:
            raise CheckFailedError("the room of deleted rows is not used again")
        steps["full again"] = len(filler.model)
        steps["refused then"] = filler.delete(len(filler.model))
        filler.fill()
        steps["emptied and filled"] = len(filler.model)
        free()
        for _ in range(20):
            if limit is None and not filler.insert():
                raise CheckFailedError("room came back, and a row does not go in")
        steps["with room again"] = len(filler.model)
    check(folder, {DEFINER: filler.expected()})
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.full_disk", description=__doc__)
    parser.add_argument("--folder", type=Path, help="an empty file system of a few megabytes")
    parser.add_argument("--limit", action="store_true")
    parser.add_argument("--under-shim", type=Path, metavar="FOLDER", help="how it runs itself")
    options = parser.parse_args()
    if options.folder is not None:
        ballast = options.folder / "ballast"

        def fill_up() -> None:
            status = os.statvfs(options.folder)
            ballast.write_bytes(bytes(status.f_bavail * status.f_frsize - ROOM_BYTES))

        steps = run(options.folder / "database", limit=None, fill_up=fill_up, free=ballast.unlink)
    elif options.limit:
        with tempfile.TemporaryDirectory(prefix="minidb-full-", dir=FAST_FOLDER) as folder:
            steps = run(Path(folder), limit=LIMIT_BYTES, fill_up=lambda: None, free=lambda: None)
    elif options.under_shim is not None:
        place = options.under_shim / "place"
        place.mkdir()
        shim = Shim(place)
        steps = run(
            place / "database",
            limit=None,
            fill_up=lambda: shim.limit_room(ROOM_BYTES),
            free=lambda: shim.limit_room(None),
        )
    else:
        with tempfile.TemporaryDirectory(prefix="minidb-full-", dir=FAST_FOLDER) as folder:
            again = [sys.executable, "-m", "tests.crash.full_disk", "--under-shim", folder]
            sys.exit(
                subprocess.run(again, cwd=REPOSITORY, env=environment(build(Path(folder))), check=False).returncode
            )
    print(json.dumps(steps))


if __name__ == "__main__":
    main()
