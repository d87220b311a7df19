"""A database takes the place of another one whole, with nobody on it, and at one moment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import minidb
from minidb.engines.lmdb import folder as folders
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.lmdb.file_lock import FolderLock
from minidb.engines.lmdb.open_lock import OpenLock
from minidb.engines.lmdb.replacement import LmdbReplacement
from minidb.engines.port import CATALOG
from minidb.exceptions import EngineUnavailableError, MiniDBError, StorageFullError, WriteTimeoutError
from minidb.options import Options
from minidb.testing.conformance import reading, writing

SOURCE = Path(minidb.__file__).parents[1]

OPEN_IT = """
import sys
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.options import Options
engine = LmdbEngine(sys.argv[1], Options())
print("open", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_is_removed_when_the_database_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "db"
    LmdbEngine(path, Options()).close()
    (path / ".new").mkdir()
    (path / ".new" / "data.mdb").write_bytes(b"half")
    LmdbEngine(path, Options(read_only=True)).close()
    assert (path / ".new").exists()
    LmdbEngine(path, Options()).close()
    assert not (path / ".new").exists()


def test_what_is_being_built_is_not_removed_by_who_opens_the_database(tmp_path: Path) -> None:
    path = tmp_path / "db"
    LmdbEngine(path, Options()).close()
    (path / ".new").mkdir()
    lock = FolderLock(path, "minidb.lock")
    hold = lock.acquire(0)
    try:
        LmdbEngine(path, Options()).close()
        assert (path / ".new").exists()
    finally:
        hold.release()
        lock.close()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "db"
    LmdbEngine(path, Options()).close()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("keep me")
    (path / ".new").symlink_to(tmp_path / "precious")
    LmdbEngine(path, Options()).close()
    assert (tmp_path / "precious" / "file").exists()


def put(path: Path, value: bytes) -> None:
    engine = LmdbEngine(path, Options())
    try:
        with writing(engine) as transaction:
            transaction.put_many(CATALOG, {b"k": value})
    finally:
        engine.close()


def value_at(path: Path) -> bytes | None:
    engine = LmdbEngine(path, Options(create=False))
    try:
        with reading(engine) as snapshot:
            return snapshot.get(CATALOG, b"k")
    finally:
        engine.close()


def replace(path: Path, value: bytes, *, overwrite: bool = True) -> None:
    replacement = LmdbReplacement(path, Options(write_timeout_s=0), overwrite=overwrite, is_open_here=False)
    try:
        with writing(replacement.engine) as transaction:
            transaction.put_many(CATALOG, {b"k": value})
        replacement.finish()
    finally:
        replacement.close()


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has the database open."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(
        [sys.executable, "-c", OPEN_IT, str(path)], env=environment, stdin=-1, stdout=-1, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_database_comes_to_a_place_that_had_none(tmp_path: Path) -> None:
    replace(tmp_path / "db", b"new", overwrite=False)
    assert value_at(tmp_path / "db") == b"new"


def test_a_database_takes_the_place_of_another(tmp_path: Path) -> None:
    put(tmp_path / "db", b"old")
    replace(tmp_path / "db", b"new")
    assert value_at(tmp_path / "db") == b"new"
    put(tmp_path / "db", b"newer")
    assert value_at(tmp_path / "db") == b"newer"
    assert folders.NEW_FOLDER not in {path.name for path in (tmp_path / "db").iterdir()}


def test_without_finish_all_is_as_it_was(tmp_path: Path) -> None:
    put(tmp_path / "db", b"old")
    for path in (tmp_path / "db", tmp_path / "new"):
        replacement = LmdbReplacement(path, Options(), overwrite=True, is_open_here=False)
        with writing(replacement.engine) as transaction:
            transaction.put_many(CATALOG, {b"k": b"new"})
        replacement.close()
        replacement.close()
    assert value_at(tmp_path / "db") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["db"]


def test_it_must_be_asked_for(tmp_path: Path) -> None:
    put(tmp_path / "db", b"old")
    with pytest.raises(EngineUnavailableError, match="already a database"):
        replace(tmp_path / "db", b"new", overwrite=False)
    assert value_at(tmp_path / "db") == b"old"


def test_what_another_process_has_open_is_not_replaced(tmp_path: Path) -> None:
    put(tmp_path / "db", b"old")
    with another_process(tmp_path / "db") as process:
        with pytest.raises(EngineUnavailableError, match=f"open by process {process.pid}") as refused:
            replace(tmp_path / "db", b"new")
        assert refused.value.pids == (process.pid,)
        process.send_signal(signal.SIGKILL)
        process.wait()
        replace(tmp_path / "db", b"new")  # the kernel has dropped the lock
    assert value_at(tmp_path / "db") == b"new"


def test_what_this_process_has_open_is_not_replaced(tmp_path: Path) -> None:
    put(tmp_path / "db", b"old")
    engine = LmdbEngine(tmp_path / "db", Options())
    with pytest.raises(EngineUnavailableError, match="open by this process"):
        replace(tmp_path / "db", b"new")
    engine.close()
    replace(tmp_path / "db", b"new")


def test_what_a_forked_child_has_open_is_not_replaced(tmp_path: Path) -> None:
    put(tmp_path / "db", b"old")
    engine = LmdbEngine(tmp_path / "db", Options())
    reader, writer = os.pipe()
    hears, tells = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.write(tells, b"x")  # its lock is its own by now: until then it is the parent's
        os.read(reader, 1)  # until the parent has closed its end
        os._exit(0)
    os.close(reader)
    os.read(hears, 1)
    engine.close()
    with pytest.raises(EngineUnavailableError, match=f"open by process {child}"):
        replace(tmp_path / "db", b"new")
    os.close(writer)
    os.waitpid(child, 0)
    replace(tmp_path / "db", b"new")


def test_a_child_that_closes_what_it_inherited_takes_nothing_from_its_parent(tmp_path: Path) -> None:
    put(tmp_path / "db", b"old")
    engine = LmdbEngine(tmp_path / "db", Options())
    child = os.fork()
    if child == 0:
        engine.close()
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(EngineUnavailableError, match="open by this process"):
        replace(tmp_path / "db", b"new")
    engine.close()


def test_nobody_opens_it_meanwhile(tmp_path: Path) -> None:
    put(tmp_path / "db", b"old")
    replacement = LmdbReplacement(tmp_path / "db", Options(), overwrite=True, is_open_here=False)
    try:
        with pytest.raises(EngineUnavailableError, match="being replaced"):
            LmdbEngine(tmp_path / "db", Options(write_timeout_s=0.05))
        with pytest.raises(WriteTimeoutError):
            replace(tmp_path / "db", b"another")
    finally:
        replacement.close()
    assert value_at(tmp_path / "db") == b"old"


def test_whoever_opens_it_meanwhile_waits_and_gets_the_new_one(tmp_path: Path) -> None:
    for name in ("there", "absent"):
        path = tmp_path / name
        if name == "there":
            put(path, b"old")
        replacement = LmdbReplacement(path, Options(), overwrite=True, is_open_here=False)
        thread = threading.Thread(target=put_another, args=(path,))
        thread.start()
        with writing(replacement.engine) as transaction:
            transaction.put_many(CATALOG, {b"k": b"new"})
        replacement.finish()
        replacement.close()
        thread.join()
        engine = LmdbEngine(path, Options(create=False))
        with reading(engine) as snapshot:
            assert snapshot.get_many(CATALOG, [b"k", b"another"]) == [b"new", b"put"]
        engine.close()


def put_another(path: Path) -> None:
    engine = LmdbEngine(path, Options())
    with writing(engine) as transaction:
        transaction.put_many(CATALOG, {b"another": b"put"})
    engine.close()


def test_the_only_user_may_replace_what_it_has_open(tmp_path: Path) -> None:
    put(tmp_path / "db", b"old")
    engine = LmdbEngine(tmp_path / "db", Options())
    replacement = LmdbReplacement(tmp_path / "db", Options(), overwrite=True, is_open_here=True)
    with writing(replacement.engine) as transaction:
        transaction.put_many(CATALOG, {b"k": b"new"})
    replacement.finish()
    engine.close()
    replacement.close()
    assert value_at(tmp_path / "db") == b"new"


def test_a_user_who_gives_up_shares_it_again(tmp_path: Path) -> None:
    put(tmp_path / "db", b"old")
    engine = LmdbEngine(tmp_path / "db", Options())
    LmdbReplacement(tmp_path / "db", Options(), overwrite=True, is_open_here=True).close()
    with another_process(tmp_path / "db") as process, pytest.raises(EngineUnavailableError, match=f"{process.pid}:"):
        LmdbReplacement(tmp_path / "db", Options(), overwrite=True, is_open_here=True)
    with pytest.raises(EngineUnavailableError, match="open by this process"):
        replace(tmp_path / "db", b"new")
    engine.close()


def test_one_of_two_users_may_not(tmp_path: Path) -> None:
    put(tmp_path / "db", b"old")
    engines = [LmdbEngine(tmp_path / "db", Options()) for _ in range(2)]
    with pytest.raises(EngineUnavailableError, match="open 2 times in this process"):
        LmdbReplacement(tmp_path / "db", Options(), overwrite=True, is_open_here=True)
    for engine in engines:
        engine.close()


def test_room_is_asked_for_before_the_work(tmp_path: Path) -> None:
    replacement = LmdbReplacement(tmp_path / "db", Options(), overwrite=True, is_open_here=False)
    try:
        replacement.require_room(1)
        with pytest.raises(StorageFullError, match="bytes free"):
            replacement.require_room(2**80)
    finally:
        replacement.close()


def test_a_lock_file_that_was_taken_away_is_no_lock(tmp_path: Path) -> None:
    lock = OpenLock(tmp_path)
    (tmp_path / folders.OPEN_LOCK_FILE).unlink()
    assert not lock.try_share()
    assert not lock.try_alone()
    lock.close()


# --- killed at any moment ---------------------------------------------------------------------------------------------


def replace_in_a_child(path: Path, die_at: int) -> bool:
    """Replace a database in a forked child that is killed before its nth step; return whether it came to its end."""
    child = os.fork()
    if child == 0:
        steps = 0

        def counted(function: Any) -> Any:
            def call(*arguments: Any, **named: Any) -> Any:
                nonlocal steps
                steps += 1
                if steps == die_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)

            return call

        for owner, name in (
            (Path, "rename"),
            (Path, "mkdir"),
            (Path, "chmod"),
            (folders, "flush_folder"),
            (shutil, "rmtree"),
            (LmdbEngine, "sync"),
            (LmdbEngine, "close"),
        ):
            setattr(owner, name, counted(getattr(owner, name)))
        try:
            replace(path, b"new")
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_killed_at_any_step_there_is_the_old_database_or_the_new_one(tmp_path: Path) -> None:
    seen: list[bytes] = []
    is_finished = False
    while not is_finished:
        put(tmp_path / "db", b"old")
        is_finished = replace_in_a_child(tmp_path / "db", die_at=len(seen) + 1)
        seen.append(value_at(tmp_path / "db") or b"none")
        replace(tmp_path / "db", b"again")  # what the killed one left is in nobody's way
    assert seen == sorted(seen, reverse=True)  # the old one up to a moment, and the new one from then on
    assert set(seen) == {b"old", b"new"}
    assert len(seen) > 12


def test_errors_are_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MiniDBError):
        replace(tmp_path / "file", b"new")
