"""Several opens, threads and processes on one folder. The other process is a real one."""

import os
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from pathlib import Path

import pytest

from minidb.engines.lmdb import registry
from minidb.engines.lmdb.commit_log import keeper
from minidb.engines.lmdb.commit_log.steady import FILE, SteadyFile
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.port import CATALOG, Space
from minidb.exceptions import EngineUnavailableError, ForkedError, InvalidOptionError, WriteTimeoutError
from minidb.options import Options
from minidb.testing.conformance import pairs, reading, writing

PREAMBLE = """
import os, sys
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.port import CATALOG, Space
from minidb.options import Options
from minidb.testing.conformance import pairs, reading, writing
engine = LmdbEngine(sys.argv[1], Options())
"""


def start(path: Path, script: str) -> subprocess.Popen[str]:
    """Start another process that has the folder open as ``engine``."""
    source = Path(__file__).parents[3] / "src"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(script), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def run(path: Path, script: str) -> str:
    process = start(path, script)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output


def test_a_file_is_opened_once_however_often_it_is_asked_for(database_path: Path) -> None:
    first = LmdbEngine(database_path, Options())
    second = LmdbEngine(str(database_path), Options())
    assert first._environment is second._environment
    with writing(first) as transaction:
        transaction.put_many(CATALOG, {b"a": b"1"})
    first.close()
    first.close()
    with reading(second) as snapshot:
        assert snapshot.get(CATALOG, b"a") == b"1"
    second.close()
    assert second._environment not in [entry.environment for entry in registry._entries.values()]


def test_a_link_to_the_folder_is_the_same_database(database_path: Path) -> None:
    first = LmdbEngine(database_path, Options())
    link = database_path.with_name("link")
    link.symlink_to(database_path)
    second = LmdbEngine(link, Options())
    assert first._environment is second._environment
    first.close()
    second.close()


def test_a_second_open_with_another_durability_is_refused(database_path: Path) -> None:
    engine = LmdbEngine(database_path, Options(durability="none"))
    with pytest.raises(InvalidOptionError) as refused:
        LmdbEngine(database_path, Options(durability="full"))
    assert refused.value.option == "durability"
    engine.close()


def test_a_folder_that_was_removed_and_made_again_is_a_new_database(database_path: Path) -> None:
    import shutil

    old = LmdbEngine(database_path, Options())
    with writing(old) as transaction:
        transaction.put_many(CATALOG, {b"a": b"1"})
    shutil.rmtree(database_path)
    new = LmdbEngine(database_path, Options())
    with reading(new) as snapshot:
        assert pairs(snapshot, CATALOG) == []
    new.close()
    old.close()


def test_threads_may_open_and_close_at_once(database_path: Path) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                engine = LmdbEngine(database_path, Options())
                with writing(engine, timeout_s=60) as transaction:
                    transaction.put_many(CATALOG, {threading.current_thread().name.encode(): b"x"})
                engine.close()
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, name=f"t{number}") for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    engine = LmdbEngine(database_path, Options())
    with reading(engine) as snapshot:
        assert snapshot.count(CATALOG) == 4
    engine.close()


def test_another_processs_writes_and_spaces_are_seen_at_once(database_path: Path) -> None:
    engine = LmdbEngine(database_path, Options())
    with reading(engine) as before:
        assert run(
            database_path,
            """
            with writing(engine) as transaction:
                for number in range(100):  # more than the slots of a new file
                    transaction.create_space(Space(f"space {number}"))
                    transaction.put_many(Space(f"space {number}"), {b"number": b"%d" % number})
            with writing(engine) as transaction:
                transaction.drop_space(Space("space 7"))
            print("done")
            """,
        )
        assert before.generation == 0
    with reading(engine) as after:
        for number in (0, 31, 32, 99):
            assert after.get(Space(f"space {number}"), b"number") == b"%d" % number
    with writing(engine) as transaction:
        transaction.create_space(Space("space 7"))
        assert pairs(transaction, Space("space 7")) == []
    engine.close()


@pytest.mark.parametrize("commit_log", [True, False])
def test_a_space_made_after_a_commit_that_changed_nothing_is_seen(database_path: Path, *, commit_log: bool) -> None:
    """LMDB gives such a commit no number of its own, so it says nothing of the spaces of the next."""
    engine = LmdbEngine(database_path, Options(commit_log=commit_log))
    with writing(engine) as transaction:
        transaction.create_space(Space("here"))
        transaction.put_many(Space("here"), {b"a": b"1"})
    with writing(engine) as transaction:
        transaction.put_many(Space("here"), {b"b": b"2"})
    with writing(engine) as transaction:
        transaction.delete_many(Space("here"), [b"never there"])
    run(
        database_path,
        """
        with writing(engine) as transaction:
            transaction.create_space(Space("there"))
        """,
    )
    with reading(engine) as snapshot:
        assert Space("there") in snapshot.spaces()
    engine.close()


def test_a_writer_of_another_process_is_waited_for_and_named(database_path: Path) -> None:
    engine = LmdbEngine(database_path, Options())
    holder = start(
        database_path,
        """
        with writing(engine) as transaction:
            transaction.put_many(CATALOG, {b"held": b"yes"})
            print("holding", flush=True)
            sys.stdin.readline()
        print("released", flush=True)
        """,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holding\n"
    with reading(engine) as snapshot:
        assert snapshot.get(CATALOG, b"held") is None
    with pytest.raises(WriteTimeoutError) as refused:
        engine.begin_write(0.05)
    assert (refused.value.pid, refused.value.thread) == (holder.pid, "MainThread")
    assert refused.value.age_s >= 0
    assert str(holder.pid) in str(refused.value)
    # Opening the file for writing does not wait for a writer that is still thinking.
    LmdbEngine(database_path, Options(write_timeout_s=0)).close()
    assert run(database_path, "print('opened')") == "opened\n"
    holder.communicate("go on\n", timeout=60)
    with writing(engine, timeout_s=60) as transaction:
        assert transaction.get(CATALOG, b"held") == b"yes"
    engine.close()


def test_the_lock_of_a_killed_writer_is_free_and_its_work_gone(database_path: Path) -> None:
    engine = LmdbEngine(database_path, Options())
    for spill in ("", "transaction._apply_all()"):
        holder = start(
            database_path,
            f"""
            transaction = engine.begin_write(10)
            transaction.put_many(CATALOG, {{b"held": b"yes"}})
            {spill}
            print("holding", flush=True)
            sys.stdin.readline()
            """,
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        holder.kill()
        holder.communicate(timeout=60)
        with writing(engine, timeout_s=60) as transaction:
            assert transaction.get(CATALOG, b"held") is None
            transaction.put_many(CATALOG, {b"mine": b"1"})
    engine.close()


def own_reader_slots(engine: LmdbEngine) -> list[str]:
    """Return the lines of LMDB's table of readers that are this process's."""
    return [
        line for line in engine._environment.live().readers().splitlines() if line.split()[:1] == [str(os.getpid())]
    ]


def in_child(work: object) -> int:
    """Run a function in a forked child; return its exit status: 0 if it returned."""
    pid = os.fork()
    if pid == 0:
        try:
            work()  # type: ignore[operator]  # a function without arguments
        except BaseException:  # noqa: BLE001  # whatever it was, the parent hears of it, and nothing else runs here
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_reads_and_writes_and_leaves_its_parent_alone(
    database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "POLL_S", 3600.0)  # a checkpoint of the parent's would change its slots
    engine = LmdbEngine(database_path, Options())
    with writing(engine) as transaction:
        transaction.put_many(CATALOG, {b"parent": b"1"})
    inherited = engine.begin_read()
    before = own_reader_slots(engine)

    def child() -> None:
        with pytest.raises(ForkedError):
            pairs(inherited, CATALOG)
        inherited.close()
        with writing(engine) as transaction:
            assert transaction.get(CATALOG, b"parent") == b"1"
            transaction.put_many(CATALOG, {b"child": b"2"})
        LmdbEngine(database_path, Options()).close()

    assert in_child(child) == 0
    assert own_reader_slots(engine) == before
    assert inherited.get(CATALOG, b"child") is None
    assert inherited.get(CATALOG, b"parent") == b"1"
    inherited.close()
    with reading(engine) as snapshot:
        assert snapshot.get(CATALOG, b"child") == b"2"
    engine.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_open_what_was_half_recovered_meanwhile(database_path: Path) -> None:
    engine = LmdbEngine(database_path, Options())
    with writing(engine) as transaction:
        transaction.put_many(CATALOG, {b"parent": b"1"})
    with closing(SteadyFile(database_path / FILE)) as file:
        file.begin_recovery()  # by one who was killed in it, after the parent was and before the child had its share

    def child() -> None:
        with pytest.raises(EngineUnavailableError, match="killed while it recovered"):
            engine.begin_read()

    assert in_child(child) == 0
    engine.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_write_transaction_stays_with_the_process_that_began_it(database_path: Path) -> None:
    engine = LmdbEngine(database_path, Options())
    transaction = engine.begin_write(10)
    transaction.put_many(CATALOG, {b"parent": b"1"})

    def child() -> None:
        with pytest.raises(ForkedError):
            transaction.commit()
        with pytest.raises(WriteTimeoutError):  # the parent holds the lock
            engine.begin_write(0)

    assert in_child(child) == 0
    transaction.commit()
    with reading(engine) as snapshot:
        assert snapshot.get(CATALOG, b"parent") == b"1"
    engine.close()
