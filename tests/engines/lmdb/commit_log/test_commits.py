from __future__ import annotations

import errno
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from minidb import MiniDB, Row
from minidb.engines.lmdb import applying
from minidb.engines.lmdb.commit_log import commits, keeper
from minidb.engines.lmdb.commit_log.checkpoint import Begun, Checkpoints
from minidb.engines.lmdb.commit_log.log import Log, Place
from minidb.engines.lmdb.commit_log.recovery import is_needed, is_settled
from minidb.engines.lmdb.commit_log.steady import Steady, SteadyFile
from minidb.engines.lmdb.durable import LoggedChanges, make_durable
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.lmdb.open_lock import OpenLock
from minidb.engines.lmdb.registry import SMALLEST_LOGGED_BYTES
from minidb.exceptions import (
    CommitUnknownError,
    CorruptionError,
    EngineError,
    EngineUnavailableError,
    StorageFullError,
)

LOG_FILES = {"minidb.steady", "minidb.log.0", "minidb.log.1"}

PATIENCE_S = 30.0


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def database(database_path: Path) -> Iterator[MiniDB]:
    with MiniDB(database_path) as made:
        made.create_table("people").insert(Row(name="Ada"))
        yield made
    with MiniDB(database_path) as again:
        assert again.verify().ok


def names(database: MiniDB) -> list[object]:
    return [row.name for row in database.get_table("people")]


def files(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def run(code: str, folder: Path) -> None:
    """Run a program that ends without closing the database ``db``."""
    head = "import os; from minidb import MiniDB, Row\n"
    program = f"{head}db = MiniDB({str(folder)!r})\n{code}\nos._exit(0)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_database_that_was_closed_needs_no_recovery_and_one_that_was_not_gets_it(
    database_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with MiniDB(database_path) as database:
        database.create_table("people").insert(Row(name="Ada"))
        assert is_needed(database_path)
    assert not is_needed(database_path)
    assert is_settled(database_path)
    run("db.get_table('people').insert(Row(name='Bob'))", database_path)
    assert is_needed(database_path)
    with caplog.at_level(logging.INFO, "minidb"), MiniDB(database_path) as database:
        assert names(database) == ["Ada", "Bob"]
    assert "the log brought back its last 1 commits" in caplog.text


def test_only_a_closing_that_was_surely_flushed_is_not_flushed_again(
    database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MiniDB(database_path) as database:
        database.create_table("people").insert(Row(name="Ada"))
    flushed: list[bool] = []
    record = SteadyFile.record

    def note_record(self: SteadyFile, steady: Steady) -> None:
        flushed.append(steady.is_closed)
        record(self, steady)

    monkeypatch.setattr(SteadyFile, "record", note_record)
    MiniDB(database_path).close()
    assert not flushed
    file = SteadyFile(database_path / "minidb.steady")
    segment = file.live().segment
    changes: list[Callable[[], None]] = [
        lambda: file.use_segment(segment),  # as if the process had been killed in the flush
        file.poison,  # as if that had failed
        lambda: file.set_broken(is_broken=True),
    ]
    for change in changes:
        change()
        with MiniDB(database_path) as database:
            assert flushed == [True]
            assert file.is_reset(segment)
            assert names(database) == ["Ada"]
        flushed.clear()
    file.close()


def test_the_log_alone_brings_back_what_the_data_file_has_lost(database_path: Path) -> None:
    with MiniDB(database_path) as database:
        database.create_table("people")
    before = (database_path / "data.mdb").read_bytes()
    run("[db.get_table('people').insert(Row(name=name)) for name in ('Ada', 'Bob')]", database_path)
    (database_path / "data.mdb").write_bytes(before)
    with MiniDB(database_path) as database:
        assert names(database) == ["Ada", "Bob"]
        assert database.verify().ok


DIE_IN_RECOVERY = """
import os, sys
from minidb import MiniDB
from minidb.engines.lmdb.commit_log import recovery
recovery._replay = lambda *_: os._exit(7)
MiniDB(sys.argv[1])
"""


def test_who_comes_as_a_process_that_recovers_is_killed_begins_the_recovery_again(
    database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MiniDB(database_path) as database:
        database.create_table("people").insert(Row(name="Ada"))
    run("db.get_table('people').insert_many([Row(name='Bob'), Row(name='Cid')])", database_path)
    assert subprocess.run([sys.executable, "-c", DIE_IN_RECOVERY, database_path], check=False).returncode == 7
    alone: list[bool] = []
    try_alone = OpenLock.try_alone

    def try_when_it_is_dead(self: OpenLock) -> bool:
        alone.append(len(alone) > 0 and try_alone(self))
        return alone[-1]

    monkeypatch.setattr(OpenLock, "try_alone", try_when_it_is_dead)
    with MiniDB(database_path) as database:
        assert names(database) == ["Ada", "Bob", "Cid"]
    assert alone[:2] == [False, True]


def test_another_data_file_under_the_log_is_refused(database_path: Path, tmp_path: Path) -> None:
    with MiniDB(tmp_path / "other") as other:
        other.create_table("others").insert_many(Row(name=str(number)) for number in range(1000))
    with MiniDB(database_path) as database:
        database.create_table("people")
    run("db.get_table('people').insert(Row(name='Ada'))", database_path)
    shutil.copy(tmp_path / "other" / "data.mdb", database_path)
    with pytest.raises(CorruptionError, match=r"remove minidb\.steady"):
        MiniDB(database_path)
    (database_path / "minidb.steady").unlink()
    with MiniDB(database_path) as database:
        assert database.table_names() == ["others"]


def test_a_record_that_was_not_flushed_is_so_before_what_the_record_before_it_needs_is_written_over(
    database: MiniDB, database_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, int]] = []
    record, begin_segment = SteadyFile.record, Log.begin_segment

    def note_record(self: SteadyFile, steady: Steady) -> None:
        steps.append(("record", steady.sequence))
        record(self, steady)

    def note_segment(self: Log, number: int, transaction_id: int) -> Place:
        steps.append(("segment", number))
        return begin_segment(self, number, transaction_id)

    monkeypatch.setattr(SteadyFile, "record", note_record)
    monkeypatch.setattr(Log, "begin_segment", note_segment)
    monkeypatch.setattr(commits, "MOST_COMMITS", 1)
    run(
        f"""
from pathlib import Path
from minidb.engines.lmdb.commit_log import steady
def write_and_die(self, record):
    steady.write_whole(self._descriptor, steady._encoded(record), steady._slot_at(record.sequence))
    Path({str(tmp_path / "sequence")!r}).write_text(str(record.sequence))
    os._exit(0)
steady.SteadyFile.record = lambda self, record: self._descriptor  # the one before is on the disk
begin = steady.SteadyFile.use_segment
def use_segment_and_die_later(self, segment):
    begin(self, segment)
    steady.SteadyFile.record = write_and_die
steady.SteadyFile.use_segment = use_segment_and_die_later
db.get_table('people').insert(Row(name='Bob'))
""",
        database_path,
    )
    sequence = int((tmp_path / "sequence").read_text())
    database.get_table("people").insert(Row(name="Eve"))
    wait_until(lambda: ("record", sequence + 1) in steps)
    again = steps.index(("record", sequence))
    assert [what for what, _ in steps[again : again + 3]] == ["record", "segment", "record"]


def test_a_failed_flush_leaves_the_outcome_open_and_refuses_writes_until_all_have_closed(
    database: MiniDB, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Log, __: int) -> None:
        raise OSError(errno.EIO, "made to fail by a test")

    people = database.get_table("people")
    people.insert(Row(name="Bob"))
    monkeypatch.setattr(Log, "flush", fail)
    with pytest.raises(CommitUnknownError):
        people.insert(Row(name="Cid"))
    monkeypatch.undo()
    assert names(database) == ["Ada", "Bob"]
    with MiniDB(database_path) as second, pytest.raises(EngineUnavailableError, match="open it again"):
        second.get_table("people").insert(Row(name="Dan"))
    database.close()
    with MiniDB(database_path) as again:
        assert names(again)[:2] == ["Ada", "Bob"]
        again.get_table("people").insert(Row(name="Eve"))


@pytest.mark.parametrize(("code", "refusal"), [(errno.ENOSPC, StorageFullError), (errno.EIO, EngineError)])
def test_a_log_that_cannot_be_written_fails_the_commit_and_nothing_is_seen(
    database: MiniDB, monkeypatch: pytest.MonkeyPatch, code: int, refusal: type[EngineError]
) -> None:
    def fail(_: Log, __: int, ___: bytes) -> int:
        raise OSError(code, "made to fail by a test")

    people = database.get_table("people")
    monkeypatch.setattr(Log, "append", fail)
    with pytest.raises(refusal):
        people.insert(Row(name="Bob"))
    monkeypatch.undo()
    assert names(database) == ["Ada"]
    people.insert(Row(name="Cid"))
    assert names(database) == ["Ada", "Cid"]


def test_the_record_of_a_commit_that_lmdb_refuses_is_taken_back(
    database: MiniDB, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        def __init__(self, transaction: lmdb.Transaction[bytes]) -> None:
            self._transaction = transaction

        def id(self) -> int:
            return self._transaction.id()

        def commit(self) -> None:
            self._transaction.abort()
            raise lmdb.DiskError("no space left on device")

    def refuse(transaction: lmdb.Transaction[bytes], log: commits.CommitLog, changes: LoggedChanges) -> None:
        make_durable(Refusing(transaction), log, changes)  # type: ignore[arg-type]  # all that is used of it

    monkeypatch.setattr(applying, "make_durable", refuse)
    with pytest.raises(StorageFullError):
        database.get_table("people").insert(Row(name="Bob"))
    monkeypatch.undo()
    copy = database_path.with_name("copy")
    shutil.copytree(database_path, copy)  # as if the power failed now
    with MiniDB(copy) as recovered:
        assert names(recovered) == ["Ada"]
    database.get_table("people").insert(Row(name="Cid"))
    assert names(database) == ["Ada", "Cid"]


def test_a_checkpoint_is_made_when_one_is_due(database: MiniDB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "MOST_COMMITS", 20)
    people = database.get_table("people")
    for number in range(100):
        people.insert(Row(name=str(number)))
    wait_until(lambda: database.stats()["log_commits"] < 20)
    assert database.stats()["log_pins"] == 1
    assert database.stats()["checkpoint_age_ms"] >= 0
    assert database.stats()["log_bytes"] > 0


def test_who_commits_too_fast_waits_for_a_checkpoint(database: MiniDB, monkeypatch: pytest.MonkeyPatch) -> None:
    most: list[int] = []
    log = database.engine._environment.commit_log  # type: ignore[attr-defined]  # it is LMDB's
    real = Checkpoints.finish

    def finish(self: Checkpoints, *arguments: object, **options: object) -> None:
        time.sleep(0.02)
        real(self, *arguments, **options)  # type: ignore[arg-type]  # as they came
        most.append(log.statistics()["log_commits"])

    monkeypatch.setattr(commits, "MOST_COMMITS", 10)
    monkeypatch.setattr(Checkpoints, "finish", finish)
    people = database.get_table("people")
    for number in range(150):
        people.insert(Row(name=str(number)))
    assert len(most) > 3
    assert max(most) <= 20


def test_an_idle_program_has_no_thread_and_keeps_no_room(database: MiniDB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "QUIET_S", 0.05)
    monkeypatch.setattr(commits, "IDLE_S", 0.1)
    monkeypatch.setattr(keeper, "POLL_S", 0.02)
    database.get_table("people").insert(Row(name="Bob"))
    wait_until(lambda: database.stats()["log_pins"] == 0)
    assert database.stats()["log_commits"] == 0
    database.get_table("people").insert(Row(name="Cid"))
    assert database.stats()["log_pins"] == 1
    assert names(database) == ["Ada", "Bob", "Cid"]


def test_relaxed_commits_are_flushed_soon(database_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushes: list[int] = []
    monkeypatch.setattr(keeper, "POLL_S", 0.02)
    monkeypatch.setattr(Log, "flush", lambda _, segment: flushes.append(segment))
    with MiniDB(database_path, durability="relaxed") as database:
        people = database.create_table("people")
        people.insert(Row(name="Ada"))
        wait_until(lambda: bool(flushes))
        flushes.clear()
        database.sync()
        assert flushes


def test_a_barrier_is_one_for_what_other_processes_have_committed(database_path: Path) -> None:
    with MiniDB(database_path, durability="relaxed") as database:
        database.create_table("people").insert(Row(name="Ada"))
        run(
            "from minidb.engines.lmdb.commit_log.log import Log\n"
            "db.close()\n"
            "db = MiniDB(db.location, durability='relaxed')\n"
            "flushed = []\n"
            "Log.flush = lambda self, segment: flushed.append(segment)\n"
            "db.sync()\n"
            "assert flushed",
            database_path,
        )


def insert_bob_and_only_log_cid(folder: Path) -> None:
    """Let another process insert two people, and be killed between the record and the commit of the second."""
    run(
        "from minidb.engines.lmdb.commit_log.log import Log\n"
        "people = db.get_table('people')\n"
        "people.insert(Row(name='Bob'))\n"
        "real = Log.flush\n"
        "Log.flush = lambda self, segment: (real(self, segment), os._exit(0))\n"
        "people.insert(Row(name='Cid'))",
        folder,
    )


def test_a_process_that_was_killed_between_a_record_and_its_commit_leaves_no_trace(database_path: Path) -> None:
    with MiniDB(database_path) as database:
        people = database.create_table("people")
        people.insert(Row(name="Ada"))
        insert_bob_and_only_log_cid(database_path)
        assert names(database) == ["Ada", "Bob"]
        people.insert(Row(name="Dan"))
        copy = database_path.with_name("copy")
        shutil.copytree(database_path, copy)
        with MiniDB(copy) as recovered:
            assert names(recovered) == ["Ada", "Bob", "Dan"]
            assert recovered.verify().ok


def test_nor_does_one_before_a_checkpoint_that_is_not_recorded_yet(
    database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MiniDB(database_path) as database:
        people = database.create_table("people")
        people.insert(Row(name="Ada"))
        insert_bob_and_only_log_cid(database_path)
        finish, copy = Checkpoints.finish, database_path.with_name("copy")

        def write_and_finish(self: Checkpoints, begun: Begun, *, is_closed: bool = False) -> None:
            if not copy.exists():
                people.insert(Row(name="Dan"))
                shutil.copytree(database_path, copy)
            finish(self, begun, is_closed=is_closed)

        monkeypatch.setattr(Checkpoints, "finish", write_and_finish)
        assert isinstance(database.engine, LmdbEngine)
        database.engine._environment.commit_log.checkpoint()
        with MiniDB(copy) as recovered:
            assert names(recovered) == ["Ada", "Bob", "Dan"]
            assert recovered.verify().ok


def test_a_commit_without_a_record_whose_process_was_killed_is_not_lost_with_what_follows(database_path: Path) -> None:
    with MiniDB(database_path) as database:
        people = database.create_table("people")
        people.insert(Row(name="Ada"))
        run(
            "from minidb.engines.lmdb.commit_log.checkpoint import Checkpoints\n"
            "db.get_table('people').insert(Row(name='Bob'))\n"
            "Checkpoints.begin = lambda self: os._exit(0)\n"
            "db.create_table('others')",
            database_path,
        )
        assert database.table_names() == ["others", "people"]
        people.insert(Row(name="Cid"))
        copy = database_path.with_name("copy")
        shutil.copytree(database_path, copy)
        with MiniDB(copy) as recovered:
            assert names(recovered) == ["Ada", "Bob", "Cid"]
            assert recovered.table_names() == ["others", "people"]


def test_without_a_log_its_files_go_and_a_later_program_may_have_one_again(database_path: Path) -> None:
    with MiniDB(database_path) as database:
        database.create_table("people").insert(Row(name="Ada"))
    run("db.get_table('people').insert(Row(name='Bob'))", database_path)
    with MiniDB(database_path, commit_log=False) as database:
        database.get_table("people").insert(Row(name="Cid"))
        assert not LOG_FILES & files(database_path)
    with lmdb.open(str(database_path), max_dbs=1, lock=False, lib_version=0) as raw, raw.begin() as snapshot:
        slots = snapshot.get(b"\x00slots", db=raw.open_db(b"@spaces", txn=snapshot, create=False))
    assert slots is not None
    assert len(slots) == 8  # versions that know of no log take no other
    with MiniDB(database_path) as database:
        database.get_table("people").insert(Row(name="Dan"))
        assert names(database) == ["Ada", "Bob", "Cid", "Dan"]
        assert files(database_path) >= LOG_FILES


def test_who_wants_no_log_uses_one_that_others_have_in_use(database_path: Path) -> None:
    with MiniDB(database_path) as database:
        people = database.create_table("people")
        people.insert(Row(name="Ada"))
        for options in ("commit_log=False", "durability='none'", "durability='relaxed'"):
            code = f"MiniDB({str(database_path)!r}, {options}).get_table('people').insert(Row(name={options!r}))"
            subprocess.run(
                [sys.executable, "-c", f"import os; from minidb import MiniDB, Row\n{code}\nos._exit(0)"],
                check=True,
                timeout=60,
            )
        people.insert(Row(name="Bob"))
        copy = database_path.with_name("copy")
        shutil.copytree(database_path, copy)
        with MiniDB(copy) as recovered:
            assert names(recovered) == names(database)
            assert recovered.get_table("people").count() == 5


@pytest.mark.parametrize("options", [{"durability": "none"}, {"max_size_bytes": SMALLEST_LOGGED_BYTES - 1}])
def test_some_databases_begin_no_log(database_path: Path, options: dict[str, object]) -> None:
    with MiniDB(database_path, **options) as database:  # type: ignore[arg-type]  # each of its own type
        database.create_table("people").insert(Row(name="Ada"))
        assert not LOG_FILES & files(database_path)
        assert database.stats()["log_bytes"] == 0


def test_a_small_limit_is_kept_with_a_log_in_use(database_path: Path) -> None:
    limit = SMALLEST_LOGGED_BYTES
    with MiniDB(database_path, max_size_bytes=limit) as database:
        notes = database.create_table("notes")
        ids = [notes.insert(Row(text="x" * 100_000)) for _ in range(100)]
        for row_id in ids * 12:  # ten times as much as the limit, if nothing were used again
            notes.update(row_id, text="y" * 100_000)
        assert (database_path / "data.mdb").stat().st_size <= limit
        assert files(database_path) >= LOG_FILES


def test_a_data_file_that_was_removed_is_no_reason_to_replay_its_log(database_path: Path) -> None:
    with MiniDB(database_path) as database:
        database.create_table("people")
    run("db.get_table('people').insert(Row(name='Ada'))", database_path)
    (database_path / "data.mdb").unlink()
    with MiniDB(database_path) as database:
        assert database.table_names() == []
