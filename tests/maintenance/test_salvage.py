"""What can be read of a damaged database is in the new one, which is sound, and the damaged one is only read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.maintenance.conftest import fill, names_in
from tests.maintenance.test_verify import (
    DAMAGES,
    Damage,
    codes,
    damage_a_definition,
    flip_a_bit_of_a_row,
    index_a_field_that_is_not_there,
    plant,
    store_a_row_that_does_not_fit,
    store_a_value_twice_that_must_be_unique,
)

from minidb import MiniDB
from minidb.engines.memory import _MemorySnapshot
from minidb.exceptions import CorruptionError, EngineUnavailableError

KEPT_ALL_THE_SAME: dict[Damage, set[str]] = {
    store_a_row_that_does_not_fit: {"row-invalid"},
    store_a_value_twice_that_must_be_unique: {"entry-wrong"},
}
"""Damage of rows that can be read: they are kept, and what is wrong with them is told."""


def rows_of(database: MiniDB, table: str) -> dict[Any, dict[str, Any]]:
    return {row.id: row.columns for row in database.get_table(table).scan()}


@pytest.mark.parametrize(("damage", "expected"), DAMAGES, ids=[damage.__name__ for damage, _ in DAMAGES])
def test_of_each_kind_of_damage_a_sound_database_is_made(
    folder_database: MiniDB, tmp_path: Path, damage: Damage, expected: set[str]
) -> None:
    whole = {name: rows_of(folder_database, name) for name in folder_database.table_names()}
    plant(folder_database, damage)
    data = (tmp_path / "database" / "data.mdb").read_bytes()
    folder_database.close()
    report = MiniDB.repair(tmp_path / "database", tmp_path / "salvaged")
    assert codes(report) == expected
    salvaged = report.salvaged
    assert salvaged is not None
    remaining = KEPT_ALL_THE_SAME.get(damage, set())
    assert {finding.code for finding in salvaged.remaining} == remaining
    with MiniDB(tmp_path / "salvaged", create=False) as made:
        assert codes(made.verify()) == remaining
        for name in made.table_names():
            if name in whole and not remaining:
                found = rows_of(made, name)
                assert all(whole[name].get(row_id, columns) == columns for row_id, columns in found.items())
                assert len(found) >= len(whole[name]) - 2
        made.create_table("after").insert({"a": 1})
    assert (tmp_path / "database" / "data.mdb").read_bytes() == data
    json.dumps(report.to_dict())


def test_a_sound_database_is_salvaged_whole(database: MiniDB, tmp_path: Path) -> None:
    database.start_history()
    report = database.verify(repair=tmp_path / "salvaged")
    assert report.ok
    assert report.salvaged is not None
    assert report.salvaged.is_whole
    assert report.salvaged.tables == report.tables
    assert report.salvaged.mappings == report.mappings
    assert "lost: nothing" in str(report)
    with MiniDB(tmp_path / "salvaged") as made:
        assert made.verify().indexes == report.indexes
        assert made.get_table("people").insert({"name": "next"}) == 301
        assert made.history() is None


def test_what_is_lost_is_told(database: MiniDB, tmp_path: Path) -> None:
    plant(database, flip_a_bit_of_a_row)
    plant(database, index_a_field_that_is_not_there)
    report = database.verify(repair=tmp_path / "salvaged")
    assert report.salvaged is not None
    assert not report.salvaged.is_whole
    assert sum(report.salvaged.lost_rows.values()) == 1
    assert report.salvaged.lost_definitions == 1
    assert "lost: 1 rows of table" in str(report)
    assert report.to_dict()["salvaged"]["lost_definitions"] == 1


def test_a_database_that_cannot_be_opened_is_salvaged(folder_database: MiniDB, tmp_path: Path) -> None:
    plant(folder_database, damage_a_definition)
    folder_database.close()
    with pytest.raises(CorruptionError):
        MiniDB(tmp_path / "database")
    report = MiniDB.repair(tmp_path / "database", tmp_path / "salvaged")
    assert report.salvaged is not None
    assert report.salvaged.lost_definitions == 1
    with MiniDB(tmp_path / "salvaged", create=False) as made:
        assert made.verify().ok
        assert made.table_names() == ["empty", "parts", "people"]


@pytest.mark.parametrize("after_pages", [0, 1, 2])
def test_a_space_that_cannot_be_read_to_its_end_is_read_from_its_other_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_pages: int
) -> None:
    read = _MemorySnapshot._pages

    def stop_in_the_middle(self: _MemorySnapshot, space: Any, *arguments: Any, **options: Any) -> Any:
        for number, page in enumerate(read(self, space, *arguments, **options)):
            if space == "rows/1" and number >= after_pages:
                raise CorruptionError("A page cannot be read")
            yield page

    with MiniDB(":memory:") as database:
        fill(database)
        people = database.get_table("people")
        people.insert_many({"name": f"more {number}"} for number in range(6000))
        monkeypatch.setattr(_MemorySnapshot, "_pages", stop_in_the_middle)
        report = database.verify(repair=tmp_path / "salvaged")
        monkeypatch.undo()
        assert "unreadable" in codes(report)
        assert report.salvaged is not None
        kept = report.salvaged.tables["people"]
        assert kept == 2 * after_pages * 1024
        assert report.salvaged.lost_rows == {"people": 6299 - kept}
        whole = rows_of(database, "people")
    with MiniDB(tmp_path / "salvaged") as made:
        assert rows_of(made, "people").items() <= whole.items()
        assert made.verify().ok


def test_nothing_is_salvaged_over_another_database(database: MiniDB, tmp_path: Path) -> None:
    with MiniDB(tmp_path / "there") as there:
        there.create_table("mine")
    with pytest.raises(EngineUnavailableError, match="already a database"):
        database.verify(repair=tmp_path / "there")
    with MiniDB(tmp_path / "there") as there:
        assert there.table_names() == ["mine"]


def test_nothing_is_made_of_what_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError):
        MiniDB.repair(tmp_path / "nothing", tmp_path / "salvaged")
    assert names_in(tmp_path) == set()


def test_progress_ends_a_salvage_and_leaves_nothing(database: MiniDB, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) > 1 and done < calls[-2][0]:  # verify has ended, and the salvage begun
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.verify(stop, repair=tmp_path / "salvaged")
    assert "salvaged" not in names_in(tmp_path)
