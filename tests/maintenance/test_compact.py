"""Compacting gives space back, loses nothing, and lets nobody in."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.maintenance.conftest import names_in

import minidb
from minidb import MiniDB
from minidb.engines.lmdb.replacement import LmdbReplacement
from minidb.exceptions import (
    DatabaseClosedError,
    EngineUnavailableError,
    PoolTimeoutError,
    ReadOnlyError,
    StorageFullError,
    UsageError,
)

SOURCE = Path(minidb.__file__).parents[1]

HOLD_IT = """
import sys
from minidb import MiniDB
database = MiniDB(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def everything(database: MiniDB) -> dict[str, Any]:
    tables = {name: [(row.id, row) for row in database.get_table(name).scan()] for name in database.table_names()}
    mappings = {name: dict(database.mapping(name)) for name in database.mapping_names()}
    return {**tables, **mappings}


def make_holes(database: MiniDB) -> None:
    table = database.create_table("large")
    table.insert_many({"text": "x" * 2000} for _ in range(2000))
    table.delete_many(range(1, 1900))


def test_compacting_gives_space_back_and_loses_nothing(folder_database: MiniDB) -> None:
    make_holes(folder_database)
    before = everything(folder_database)
    people = folder_database.get_table("people")
    report = folder_database.compact()
    assert report.after_bytes < report.before_bytes / 4
    assert (Path(folder_database.location) / "data.mdb").stat().st_size == report.after_bytes
    assert everything(folder_database) == before
    assert folder_database.verify().findings == []
    assert people.insert({"name": "next"}) == 301  # a table object, and the ids, live on
    assert ".new" not in names_in(Path(folder_database.location))
    folder_database.close()
    with MiniDB(folder_database.location, create=False) as again:
        assert again.get_table("people").query(301)["name"] == "next"
        assert again.compact().before_bytes


def test_the_catalog_is_followed_after_compacting(folder_database: MiniDB) -> None:
    # The new store counts its generations anew: no catalog of before may be taken for one of after.
    for number in range(5):
        folder_database.create_table(f"before {number}")
    folder_database.compact()
    for number in range(8):
        folder_database.create_table(f"after {number}").insert({"a": number})
        assert f"after {number}" in folder_database
    folder_database.drop_table("before 0")
    assert "before 0" not in folder_database
    assert folder_database.verify().ok


def test_what_the_program_gave_with_a_schema_is_kept(database_path: Path) -> None:
    from minidb.exceptions import SchemaValidationError
    from minidb.schema import IntegerField, Schema

    def refuse_odd(value: int) -> None:
        if value % 2:
            raise ValueError("must be even")

    with MiniDB(database_path) as database:
        table = database.create_table("numbers", Schema(number=IntegerField(validators=[refuse_odd])))
        table.insert({"number": 2})
        database.compact()
        with pytest.raises(SchemaValidationError, match="even"):
            table.insert({"number": 3})


def test_a_database_in_memory_has_nothing_to_give_back() -> None:
    with MiniDB(":memory:") as database:
        database.create_table("a").insert({"b": 1})
        report = database.compact()
        assert report.before_bytes == report.after_bytes > 0


def test_who_else_has_it_open_is_said(folder_database: MiniDB) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", HOLD_IT, folder_database.location]
    with subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            with pytest.raises(EngineUnavailableError, match=f"open by process {process.pid}"):
                folder_database.compact()
        finally:
            process.kill()
    folder_database.get_table("people").insert({"name": "still here"})
    folder_database.compact()


def test_another_object_of_this_process_is_in_the_way(folder_database: MiniDB) -> None:
    with MiniDB(folder_database.location, durability="none") as other:
        with pytest.raises(EngineUnavailableError, match="2 times in this process"):
            folder_database.compact()
        assert other.get_table("people").count() == 299
    folder_database.compact()


def test_calls_of_other_threads_wait_and_then_go_on(folder_database: MiniDB) -> None:
    make_holes(folder_database)
    people = folder_database.get_table("people")
    stop = threading.Event()
    inserted: list[int] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            while not stop.is_set():
                inserted.append(people.insert({"name": "busy"}))
                assert people.query(inserted[-1])["name"] == "busy"
        except Exception as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            folder_database.compact()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert people.count() == 299 + len(inserted)
    assert folder_database.verify().findings == []


def test_a_scan_that_does_not_end_is_not_waited_for_for_ever(database_path: Path) -> None:
    with MiniDB(database_path, pool_timeout_s=0.05) as database:
        table = database.create_table("a")
        table.insert_many({"b": number} for number in range(5))
        scan = table.scan()
        next(scan)
        with pytest.raises(PoolTimeoutError):
            database.compact()
        assert len(list(scan)) == 4
        database.compact()


def test_compacting_is_refused_where_it_cannot_be(folder_database: MiniDB) -> None:
    with folder_database.begin_transaction(), pytest.raises(UsageError, match="transaction"):
        folder_database.compact()
    with MiniDB(folder_database.location, read_only=True) as reader, pytest.raises(ReadOnlyError):
        reader.compact()
    folder_database.close()
    with pytest.raises(DatabaseClosedError):
        folder_database.compact()


def test_too_little_room_is_said_before_the_work(folder_database: MiniDB, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: LmdbReplacement, size_bytes: int) -> None:
        assert size_bytes == folder_database.stats()["used_bytes"]
        raise StorageFullError("The disk has too little room")

    monkeypatch.setattr(LmdbReplacement, "require_room", refuse)
    with pytest.raises(StorageFullError):
        folder_database.compact()
    assert folder_database.get_table("people").insert({"name": "still here"}) == 301
    assert ".new" not in names_in(Path(folder_database.location))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_progress_raises_leaves_all_as_it_was(folder_database: MiniDB, error: type[BaseException]) -> None:
    def stop(*_: int) -> None:
        raise error

    before = everything(folder_database)
    with pytest.raises(error):
        folder_database.compact(progress=stop)
    assert everything(folder_database) == before
    assert ".new" not in names_in(Path(folder_database.location))
    told: list[tuple[int, int]] = []
    folder_database.compact(progress=lambda *one: told.append(one))
    assert told[-1][0] == told[-1][1]


def test_the_figures_say_what_there_is_to_give_back(folder_database: MiniDB) -> None:
    make_holes(folder_database)
    figures = folder_database.stats()
    assert figures["used_bytes"] < figures["size_bytes"] / 4
    folder_database.compact()
    figures = folder_database.stats()
    assert figures["size_bytes"] / 2 < figures["used_bytes"] <= figures["size_bytes"]
