"""A bit of a row that has changed in the data file is noticed by whatever reads the row, and never served."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.crash.operations import CITIES, SCHEMA, TABLE

from minidb import MiniDB, Row, where
from minidb.engines.locate import open_engine
from minidb.exceptions import CorruptionError
from minidb.options import Options
from minidb.tables.catalog import load

FLIPS = int(os.environ.get("MINIDB_BIT_FLIPS", "500"))
ROWS = 200

READS: dict[str, Callable[[MiniDB, Row], object]] = {
    "query": lambda db, row: db.get_table(TABLE).query(row.id).columns,
    "get_many": lambda db, row: [one and one.columns for one in db.get_table(TABLE).get_many([row.id])],
    "scan": lambda db, _: [one.columns for one in db.get_table(TABLE).scan()],
    "scan back": lambda db, _: [one.columns for one in db.get_table(TABLE).scan(reverse=True)],
    "index": lambda db, row: [one.columns for one in db.query_by_index(TABLE, "city", row["city"])],
    "unique index": lambda db, row: [one.columns for one in db.query_by_index(TABLE, "token", row["token"])],
    "find by index": lambda db, row: [one.columns for one in db.get_table(TABLE).find(city=row["city"]).all()],
    "find by scan": lambda db, row: db.get_table(TABLE).find(where("number") == row["number"]).all(),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row], list[bytes]]:
    """A database that was written once, its rows, and the bytes of each as they stand in the file."""
    folder = tmp_path_factory.mktemp("rot") / "database"
    with MiniDB(folder) as database:
        table = database.create_table(TABLE, SCHEMA)
        table.insert_many(
            Row(
                token=f"token {number:03}",
                city=CITIES[number % 12],
                number=number,
                text=f"text {number:03} " * (number // 24 * 97),
            )
            for number in range(ROWS)
        )
        rows = list(table.scan())
    engine = open_engine(folder, Options())
    snapshot = engine.begin_read()
    space = load(snapshot, None).definition(TABLE).space
    values = [value for page in snapshot.scan(space) for _, value in page]
    snapshot.close()
    engine.close()
    return folder, rows, values


@contextmanager
def changed(file: Path, offset: int, new: bytes) -> Iterator[None]:
    """Change bytes of the file for a while."""
    with file.open("r+b", buffering=0) as opened:
        old = os.pread(opened.fileno(), len(new), offset)
        os.pwrite(opened.fileno(), new, offset)
        try:
            yield
        finally:
            os.pwrite(opened.fileno(), old, offset)


def ways_that_serve(folder: Path, row: Row) -> list[str]:
    """Return the reads of a row that raise nothing."""
    served = []
    with MiniDB(folder, read_only=True) as database:
        for name, read in READS.items():
            try:
                read(database, row)
            except CorruptionError:
                continue
            served.append(name)
    return served


@pytest.mark.slow
def test_no_read_serves_a_row_with_a_changed_bit(written: tuple[Path, list[Row], list[bytes]]) -> None:
    folder, rows, values = written
    content = (folder / "data.mdb").read_bytes()
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    draw = random.Random(seed)
    for _ in range(FLIPS):
        number = draw.randrange(ROWS)
        assert content.count(values[number]) == 1
        offset = content.index(values[number]) + draw.randrange(len(values[number]))
        flipped = bytes([content[offset] ^ 1 << draw.randrange(8)])
        with changed(folder / "data.mdb", offset, flipped):
            assert ways_that_serve(folder, rows[number]) == [], (number, offset)
            with MiniDB(folder, read_only=True) as database:  # the others are none the worse
                other = rows[number - 1]
                assert database.get_table(TABLE).query(other.id) == other


def test_a_row_whose_bits_are_right_is_served_by_every_read(written: tuple[Path, list[Row], list[bytes]]) -> None:
    """The negative control: were a changed row served, it would be seen. This one is changed into another right one."""
    folder, rows, values = written
    content = (folder / "data.mdb").read_bytes()
    number, twin = next(
        (one, other)
        for one in range(ROWS)
        for other in range(one + 1, ROWS)
        if len(values[one]) == len(values[other]) and rows[one]["city"] == rows[other]["city"]
    )
    assert ways_that_serve(folder, rows[number]) == list(READS)
    with changed(folder / "data.mdb", content.index(values[number]), values[twin]):
        assert {"query", "scan", "index"} <= set(ways_that_serve(folder, rows[number]))
