"""Files that released versions wrote are opened, checked and written to by this one."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.api.consistency import check_consistency
from tests.compat.release_files import (
    ANY_ROWS,
    BACKUP,
    CHANGED,
    CHANGED_ROWS,
    DATABASE,
    DUMP,
    EVERY_ROW,
    EVERY_TYPE,
    KEYED_ROWS,
    MAPPING,
    MIGRATED_ROWS,
    RELEASES,
    write,
)

from minidb import MiniDB, where
from minidb.exceptions import UniqueViolationError

Opening = Callable[[Path, Path], None]
"""Makes a database at a place of the files in a folder."""


def unpack(folder: Path, place: Path) -> None:
    with tarfile.open(folder / DATABASE) as packed:
        packed.extractall(place, filter="data")


def restore(folder: Path, place: Path) -> None:
    MiniDB.restore(folder / BACKUP, place)


def load(folder: Path, place: Path) -> None:
    MiniDB.load(folder / DUMP, place)


OPENINGS = pytest.mark.parametrize("opening", [unpack, restore, load])
FOLDERS = sorted(RELEASES.iterdir())


def test_there_are_files_of_releases() -> None:
    assert [folder.name for folder in FOLDERS][:1] == ["0.1.0"]
    assert all({path.name for path in folder.iterdir()} == {DATABASE, BACKUP, DUMP} for folder in FOLDERS)


@OPENINGS
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_a_released_version_wrote_is_read_and_written(folder: Path, opening: Opening, tmp_path: Path) -> None:
    check(folder, opening, tmp_path / "database")


@OPENINGS
def test_what_this_version_writes_is_as_the_test_expects(opening: Opening, tmp_path: Path) -> None:
    write(tmp_path / "release")
    check(tmp_path / "release", opening, tmp_path / "database")


def check(folder: Path, opening: Opening, place: Path) -> None:
    opening(folder, place)
    with MiniDB(place, durability="none") as database:
        assert database.verify().ok
        check_consistency(database)
        every = database.table("every", EVERY_TYPE)
        assert {row.id: row.columns for row in every} == EVERY_ROW
        assert {index.name for index in database.indexes("every")} == {
            *("text", "number", "real", "data", "moment", "day", "amount", "key", "tags"),
            *("several", "some", "one_high"),
        }
        assert [row.id for row in every.find(where("tags").contains("green"), require_index=True)] == [1, 4]
        assert [row.id for row in every.find(number=2**70, require_index=True)] == [1]
        assert [row["name"] for row in database.get_table("keyed")] == [row["name"] for row in KEYED_ROWS]
        assert database.get_table("keyed").query(("B", -1)).name == "B-1"
        assert {row.id: row.columns for row in database.get_table("any")} == ANY_ROWS
        changed = database.table("changed", CHANGED)
        assert {row.id: row.columns for row in changed} == CHANGED_ROWS
        assert changed.find(size=7.0, require_index=True).one().label == "old"
        assert {row.id: row.columns for row in database.get_table("migrated")} == MIGRATED_ROWS
        assert [row.number for row in database.get_table("minidb_migrations")] == [1]
        assert dict(database.mapping("mapping")) == MAPPING

        assert every.insert({"text": "new", "number": 1}) == 6
        with pytest.raises(UniqueViolationError):
            every.insert({"text": "two are high", "level": "high"})
        every.update(1, tags=["blue"])
        changed.update(1, city="Rome")
        every.find(where("number") < 0).delete()
        check_consistency(database)
        assert database.verify().ok
