"""The disk is full, then has room again: ``python -m tests.crash.full_disk``.

By itself it runs again under the shim, which gives the files so much room and no more. ``--folder`` names a real place
to fill instead: a small file system of its own, such as a tmpfs of 4 MiB. ``--limit`` fills a database up to its
``max_size_bytes``. Prints how many rows there were at each step, and fails where a step goes wrong: nothing that
deletes may be refused, and what does not fit must be.

Under the shim, two processes then share the full disk, and one that deletes is killed at each write and flush.

The control ``no-reserve`` keeps no room for deleting.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from tests.crash.checker import CheckFailedError, Expected, check, check_open
from tests.crash.faults import KINDS, Kind, is_killed
from tests.crash.operations import DEFINER, TABLE, Hand, Model, is_row, read_model
from tests.crash.shim import FAST_FOLDER, KILL, REPOSITORY, Shim, build, environment

from minidb import MiniDB
from minidb.engines.lmdb import reserve
from minidb.engines.lmdb.folder import RESERVE_FILE
from minidb.exceptions import StorageFullError

ROOM_BYTES: Final = 100_000
LIMIT_BYTES: Final = 1_000_000
MOST_ROWS: Final = 5000
INDEX: Final = f"{DEFINER}-@index"


class Filler:
    """Fills a database until nothing goes in, and knows what is in it."""

    def __init__(self, database: MiniDB) -> None:
        self._database = database
        self._hand = Hand(database, DEFINER)
        self.model = read_model(database)
        self._rows_tried = 0

    @property
    def rows(self) -> list[str]:
        """The tokens of the rows that are there."""
        return [*filter(is_row, self.model)]

    def insert(self) -> bool:
        """Insert a row; return whether there was room."""
        self._rows_tried += 1
        token = f"{DEFINER}-{os.getpid()}-{self._rows_tried}"
        row = {"token": token, "city": "city 1", "number": 1, "text": "x" * (self._rows_tried * 37 % 3000)}
        try:
            self._hand.do({"kind": "insert", "rows": [row]})
        except StorageFullError:
            return False
        self.model[token] = row
        return True

    def fill(self) -> int:
        """Insert until there is no room for three rows in a row. Return how many went in."""
        before = len(self.rows)
        refused = 0
        while refused < 3:
            if len(self.rows) > MOST_ROWS:
                raise CheckFailedError("it never gets full")
            refused += not self.insert()
        self.check()
        return len(self.rows) - before

    def delete_each(self, *, but: int = 0) -> None:
        """Delete all rows but so many, each in a commit of its own."""
        while len(self.rows) > but:
            self.delete_first()
        self.check()

    def delete_first(self) -> None:
        """Delete the oldest row."""
        token = self.rows[0]
        self._hand.do({"kind": "delete", "token": token})
        del self.model[token]

    def delete_many(self) -> None:
        """Delete all rows in one transaction."""
        self._hand.table.delete_many([self._hand.ids.pop(token) for token in self.rows])
        self._forget_rows()

    def clear(self) -> None:
        """Delete all rows by dropping what holds them."""
        self._hand.table.clear()
        self._hand.ids.clear()
        self._forget_rows()

    def create_index(self) -> None:
        """Lay one more index over the rows."""
        self._hand.do({"kind": "create_index", "token": INDEX})
        self.model[INDEX] = {}

    def drop_index(self) -> None:
        """Drop it again."""
        self._hand.do({"kind": "drop_index", "token": INDEX})
        del self.model[INDEX]
        self.check()

    def insert_all_or_nothing(self) -> None:
        """Insert in a transaction what cannot go in, and see that nothing of it did."""
        with suppress(StorageFullError), self._database.begin_transaction():
            for number in range(1000):
                row = {"token": f"{DEFINER}-big-{number}", "city": "city 1", "number": 1, "text": "y" * 3000}
                self._hand.table.insert(row)
        self.check()

    def _forget_rows(self) -> None:
        for token in self.rows:
            del self.model[token]
        self.check()

    def check(self) -> None:
        check_open(self._database, {DEFINER: self.expected()})

    def without(self, rows: int) -> Model:
        """Return what is there when the oldest rows are deleted."""
        gone = self.rows[:rows]
        return {token: columns for token, columns in self.model.items() if token not in gone}

    def expected(self, *possible: Model) -> Expected:
        """Return what must be there: one of these states, or the one that was acknowledged."""
        return Expected(possible or [self.model], frozenset(self.rows), self._hand.ids, is_owed=True)


def run(folder: Path, *, limit: int | None, fill_up: Callable[[], None], free: Callable[[], None]) -> dict[str, int]:
    """Go through it all; return how many rows there were after each step."""
    steps = {}
    with MiniDB(folder, max_size_bytes=limit) as database:
        filler = Filler(database)
        filler.create_index()
        for _ in range(50):
            filler.insert()
        fill_up()
        filler.fill()
        steps["full"] = len(filler.rows)
        filler.insert_all_or_nothing()
        filler.delete_each(but=len(filler.rows) // 2)
        steps["half of them deleted"] = len(filler.rows)
        if filler.fill() == 0:
            raise CheckFailedError("the room of deleted rows is not used again")
        steps["full again"] = len(filler.rows)
        for empty in (filler.delete_each, filler.drop_index, filler.delete_many, filler.clear):
            empty()
            filler.fill()
        steps["emptied and filled"] = len(filler.rows)
        # One goes, others come, for ever: what is lent to the one must not end up with the others.
        for _ in range(100):
            filler.delete_first()
            while filler.insert():
                pass
        steps["exchanged"] = len(filler.rows)
        free()
        for _ in range(20):
            if limit is None and not filler.insert():
                raise CheckFailedError("room came back, and a row does not go in")
        steps["with room again"] = len(filler.rows)
        steps["reserve"] = (folder / RESERVE_FILE).stat().st_size
    check(folder, {DEFINER: filler.expected()})
    return steps


def share(folder: Path, shim: Shim) -> None:
    """Delete in one process, and insert in another all that goes in, again and again."""
    to_child, from_parent = os.pipe()
    to_parent, from_child = os.pipe()
    with MiniDB(folder) as database:
        filler = Filler(database)
        shim.limit_room(ROOM_BYTES)
        filler.fill()
        pid = os.fork()
        if pid == 0:
            os.close(from_parent)
            with MiniDB(folder) as other:
                stranger = Filler(other)
                while os.read(to_child, 1):
                    inserted = 0
                    while stranger.insert():
                        inserted += 1
                    os.write(from_child, bytes([inserted]))
            os._exit(0)
        rows = len(filler.rows)
        for _ in range(50):
            filler.delete_first()
            os.write(from_parent, b"!")
            rows += os.read(to_parent, 1)[0] - 1
            if (found := database.get_table(TABLE).count()) != rows:
                raise CheckFailedError(f"{found} rows, and not {rows}")
        os.close(from_parent)
        os.waitpid(pid, 0)
        shim.limit_room(None)
        model = read_model(database)
    check(folder, {DEFINER: Expected([model], frozenset(filter(is_row, model)), {}, is_owed=True)})


def kill_each(folder: Path, shim: Shim) -> int:
    """Kill a process that deletes on a full disk, at each write and each flush. Return how often it was killed."""
    template = folder / "template"
    with MiniDB(template) as database:
        filler = Filler(database)
        shim.limit_room(ROOM_BYTES)
        filler.fill()
    killed = 0
    for kind in KINDS:
        for number in count(1):
            shim.limit_room(None)
            path = folder / f"killed at {kind} {number}"
            shutil.copytree(template, path)
            told, tell = os.pipe()
            was_killed = is_killed(partial(_delete_and_tell, path, filler.rows[:3], tell, shim, kind, number))
            os.close(tell)
            deleted = len(os.read(told, 10))
            os.close(told)
            states = [filler.without(deleted + more) for more in range(1 + was_killed)]
            with MiniDB(path) as database:  # the disk is still full, and the reserve is where it was when it was killed
                check_open(database, {DEFINER: filler.expected(*states)})
                survivor = Filler(database)
                survivor.delete_each()
            shim.limit_room(None)
            check(path, {DEFINER: survivor.expected()})
            killed += was_killed
            if not was_killed:
                break
    return killed


def _delete_and_tell(folder: Path, tokens: list[str], tell: int, shim: Shim, kind: Kind, number: int) -> None:
    with MiniDB(folder) as database:
        hand = Hand(database, DEFINER)
        shim.limit_room(0)
        with shim.fault(kind, number, KILL):
            for token in tokens:
                hand.do({"kind": "delete", "token": token})
                os.write(tell, b"!")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.full_disk", description=__doc__)
    parser.add_argument("--folder", type=Path, help="an empty file system of a few megabytes")
    parser.add_argument("--limit", action="store_true")
    parser.add_argument("--control", choices=["no-reserve"])
    parser.add_argument("--under-shim", type=Path, metavar="FOLDER", help="how it runs itself")
    options = parser.parse_args()
    if options.control is not None:
        reserve.RESERVE_BYTES = 0  # type: ignore[misc]  # it is Final: that is what the control breaks
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
        share(place / "shared", shim)
        steps["killed"] = kill_each(place, shim)
    else:
        with tempfile.TemporaryDirectory(prefix="minidb-full-", dir=FAST_FOLDER) as folder:
            again = [sys.executable, "-m", "tests.crash.full_disk", *sys.argv[1:], "--under-shim", folder]
            sys.exit(
                subprocess.run(again, cwd=REPOSITORY, env=environment(build(Path(folder))), check=False).returncode
            )
    print(json.dumps(steps))


if __name__ == "__main__":
    main()
