"""A database that is open takes in a backup in the place of what it has, whole or not at all."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.maintenance.conftest import fill, names_in
from tests.maintenance.test_compact import HOLD_IT, SOURCE, everything

from minidb import MiniDB
from minidb.exceptions import (
    BackupError,
    EngineUnavailableError,
    InvalidOptionError,
    PoolTimeoutError,
    ReadOnlyError,
    SchemaValidationError,
    UsageError,
)
from minidb.schema import IntegerField, Schema, StringField


def backup_of(database: MiniDB) -> io.BytesIO:
    target = io.BytesIO()
    database.backup(target)
    target.seek(0)
    return target


def test_a_backup_takes_the_place_of_what_there_is(database: MiniDB) -> None:
    before = everything(database)
    backup = backup_of(database)
    people = database.get_table("people")
    people.clear()
    database.drop_table("parts")
    database.create_table("new").insert({"a": 1})
    manifest = database.restore_from(backup)
    assert manifest.tables["people"] == 299
    assert everything(database) == before
    assert database.verify().findings == []
    assert people.insert({"name": "next"}) == 301  # a table object goes on
    database.create_table("new").insert({"a": 1})
    if database.location != ":memory:":
        assert ".new" not in names_in(Path(database.location))
        with MiniDB(database.location, durability="none") as other:
            assert everything(other) == everything(database)


def test_a_backup_of_another_database_may_have_other_tables_of_the_same_ids(location: str) -> None:
    def positive(value: int) -> None:
        if value <= 0:
            raise ValueError("must be positive")

    numbers = Schema(number=IntegerField(required=True, validators=[positive]))
    with MiniDB(":memory:") as other:
        other.create_table("texts", Schema(text=StringField(required=True))).insert({"text": "x"})
        other.create_table("numbers", Schema(number=IntegerField(required=True))).insert({"number": 1})
        backup = backup_of(other)
    with MiniDB(location, durability="none") as database:
        table = database.create_table("numbers", numbers)
        database.restore_from(backup)
        assert database.get_table("texts").query(1).columns == {"text": "x"}
        assert database.get_table("texts").insert({"text": "y"}) == 2
        with pytest.raises(SchemaValidationError):
            database.get_table("texts").insert({"number": 1})
        table.insert({"number": 2})
        assert database.verify().ok


def test_validators_are_kept_where_the_schema_is_the_same(location: str) -> None:
    def refuse(_: int) -> None:
        raise ValueError("never")

    with MiniDB(location, durability="none") as database:
        table = database.create_table("numbers", Schema(number=IntegerField(validators=[refuse])))
        backup = backup_of(database)
        database.create_table("more")
        database.restore_from(backup)
        with pytest.raises(SchemaValidationError):
            table.insert({"number": 1})


def test_what_is_refused_leaves_all_as_it_was(database: MiniDB) -> None:
    before = everything(database)
    good = backup_of(database).getvalue()
    for bad in (b"", good[:-1], good[: len(good) // 2], b"x" * 1000):
        with pytest.raises(BackupError):
            database.restore_from(io.BytesIO(bad))
        assert everything(database) == before
    with pytest.raises(BackupError, match="kept no history"):
        database.restore_from(io.BytesIO(good), at=1)

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.restore_from(io.BytesIO(good), stop)
    assert everything(database) == before
    database.get_table("notes").insert({"a": 1})
    assert database.verify().ok


def test_a_moment_is_gone_back_to(database: MiniDB, tmp_path: Path) -> None:
    database.start_history()
    database.backup(tmp_path / "backups", incremental=True)
    notes = database.get_table("notes")
    notes.insert({"a": 1})
    good = everything(database)
    notes.clear()
    newest = database.backup(tmp_path / "backups", incremental=True)
    assert newest.commit == 2
    database.restore_from(tmp_path / "backups", at=1)
    assert everything(database) == good
    notes.insert({"a": 2})
    kept = database.history()
    assert kept is not None
    assert kept.commit == 2
    with pytest.raises(BackupError, match="another database"):  # it went on apart
        database.backup(tmp_path / "x.minidb", since=newest)


def test_who_else_has_it_open_is_said(folder_database: MiniDB) -> None:
    backup = backup_of(folder_database)
    arguments = [sys.executable, "-c", HOLD_IT, folder_database.location]
    with subprocess.Popen(
        arguments, env={"PYTHONPATH": str(SOURCE)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(EngineUnavailableError, match=f"process {holder.pid}") as refused:
            folder_database.restore_from(backup)
        assert holder.pid in refused.value.pids
        holder.communicate()
    backup.seek(0)
    folder_database.restore_from(backup)


def test_another_object_of_this_process_is_in_the_way(folder_database: MiniDB) -> None:
    backup = backup_of(folder_database)
    with (
        MiniDB(folder_database.location, durability="none"),
        pytest.raises(EngineUnavailableError, match="2 times in this process"),
    ):
        folder_database.restore_from(backup)


def test_it_is_refused_where_it_cannot_be(database_path: Path) -> None:
    with MiniDB(database_path, durability="none", pool_timeout_s=0.05) as database:
        fill(database)
        backup = backup_of(database)
        with database.begin_transaction(), pytest.raises(UsageError, match="inside a transaction"):
            database.restore_from(backup)
        going_on = iter(database.get_table("people"))
        next(going_on)
        with pytest.raises(PoolTimeoutError):
            database.restore_from(backup)
        del going_on
    with MiniDB(database_path, read_only=True) as database, pytest.raises(ReadOnlyError):
        database.restore_from(backup)


def test_a_server_is_not_replaced(postgres_url: str) -> None:
    with MiniDB(postgres_url) as database, pytest.raises(InvalidOptionError, match="on a server"):
        database.restore_from(backup_of(database))


def test_calls_of_other_threads_see_what_was_or_what_is(database: MiniDB) -> None:
    notes = database.get_table("notes")
    backup = backup_of(database)
    notes.insert_many({"a": number} for number in range(100))
    counts: set[int] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            counts.add(notes.count())

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    database.restore_from(backup)
    stop.set()
    for thread in threads:
        thread.join()
    assert counts <= {3, 103}
    assert notes.count() == 3
