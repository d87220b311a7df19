"""A copy on another engine is the same database, and is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.maintenance.conftest import fill, names_in

from minidb import MiniDB
from minidb.engines.port import CATALOG
from minidb.exceptions import BackupError, EngineUnavailableError, InvalidOptionError
from minidb.maintenance import transfer
from minidb.tables.catalog import SEQUENCES


def dumped(database: MiniDB, folder: Path) -> bytes:
    file = folder / "dumped"
    database.dump(file)
    return file.read_bytes()


@pytest.mark.slow
def test_a_database_goes_to_a_server_and_back(folder_database: MiniDB, postgres_url: str, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    contents = folder_database.copy(postgres_url, lambda done, total: told.append((done, total)))
    assert (contents.tables["people"], contents.mappings["cache"]) == (299, 5)
    assert told[-1][0] == told[-1][1]
    with MiniDB(postgres_url, durability="none") as server:
        assert server.verify().ok
        assert dumped(server, tmp_path) == dumped(folder_database, tmp_path)
        assert server.copy(tmp_path / "back") == contents
        with MiniDB(tmp_path / "back") as back:
            assert back.verify().ok
            assert dumped(back, tmp_path) == dumped(folder_database, tmp_path)
            assert back.get_table("people").insert({"name": "next"}) == 301
        people = server.get_table("people")
        assert people.insert({"name": "next"}) == 301  # 300 was given out, and its row deleted
        assert people.find(name="next").explain().examined == 1
        with pytest.raises(EngineUnavailableError, match="already a database"):
            folder_database.copy(postgres_url)


@pytest.mark.slow
def test_a_copy_to_a_server_that_fails_leaves_an_empty_database(folder_database: MiniDB, postgres_url: str) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            folder_database.copy(postgres_url, interrupt)
        with MiniDB(postgres_url, durability="none") as server:
            assert (server.table_names(), server.mapping_names()) == ([], [])
            assert server.verify().ok
    assert folder_database.copy(postgres_url).tables["people"] == 299


def test_a_copy_of_any_engine_is_the_same_database(database: MiniDB, tmp_path: Path) -> None:
    contents = database.copy(tmp_path / "copy")
    assert contents.tables == {"empty": 0, "notes": 3, "parts": 40, "people": 299}
    with MiniDB(tmp_path / "copy") as copy:
        assert copy.verify().ok
        assert dumped(copy, tmp_path) == dumped(database, tmp_path)


def test_a_copy_that_fails_leaves_nothing(folder_database: MiniDB, tmp_path: Path) -> None:
    def refuse(_done: int, _total: int) -> None:
        raise RuntimeError

    before = names_in(tmp_path)
    with pytest.raises(RuntimeError):
        folder_database.copy(tmp_path / "copy", refuse)
    assert names_in(tmp_path) == before
    with pytest.raises(InvalidOptionError):
        folder_database.copy(":memory:")
    folder_database.copy(tmp_path / "copy")
    with pytest.raises(EngineUnavailableError, match="already a database"):
        folder_database.copy(tmp_path / "copy")


def test_what_does_not_arrive_is_found(folder_database: MiniDB) -> None:
    with MiniDB(":memory:") as other:
        fill(other)
        snapshot, arrived = folder_database.engine.begin_read(), other.engine.begin_write(1.0)
        try:
            space = next(one for one in arrived.spaces() if one not in (CATALOG, SEQUENCES) and arrived.count(one))
            page = next(arrived.scan(space))
            arrived.put_many(space, {page[0][0]: page[1][1][:-1] + b"?"})
            with pytest.raises(BackupError, match="is damaged"):
                transfer._verified(snapshot, arrived)
            arrived.delete_many(space, [page[0][0]])
            with pytest.raises(BackupError, match="does not hold"):
                transfer._verified(snapshot, arrived)
        finally:
            arrived.close()
            snapshot.close()
