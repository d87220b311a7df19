"""Many commits, one flush: what is shared, what is kept apart, and what a failure or an interrupt leaves behind."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import lmdb
import pytest
from tests.engines.lmdb.test_processes import in_child, start

from minidb.engines.lmdb import applying, commit_queue
from minidb.engines.lmdb.commit_log.commits import CommitLog
from minidb.engines.lmdb.commit_queue import GATHER_S, Commit, CommitQueue
from minidb.engines.lmdb.durable import LoggedChanges, make_durable
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.lmdb.file_lock import LockFile
from minidb.engines.lmdb.folder import WRITE_LOCK_FILE
from minidb.engines.lmdb.transactions import GROUP_BYTES, MOST_LEFT_IDS
from minidb.engines.port import CATALOG, Space
from minidb.engines.write_buffer import Layer
from minidb.exceptions import (
    CommitUnknownError,
    ConflictError,
    EngineUnavailableError,
    StorageFullError,
    WriteTimeoutError,
)
from minidb.options import Durability, Options
from minidb.testing.conformance import pairs, reading, writing

ROWS, INDEX = Space("rows"), Space("index")
PATIENCE_S = 60.0


@pytest.fixture
def engine(database_path: Path) -> Iterator[LmdbEngine]:
    opened = LmdbEngine(database_path, Options(durability="none"))
    with writing(opened) as transaction:
        transaction.create_space(ROWS)
        transaction.create_space(INDEX)
    yield opened
    assert queue_of(opened).line == []
    assert is_free(opened), "an idle process keeps the lock file"
    opened.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as executor:
        yield executor


class Disk:
    """Stands in the place where a commit becomes durable: counts, waits, fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.flushes = 0
        self.plan: Callable[[], Exception | None] = lambda: None
        """What the next flush fails with, if anything."""
        self.is_reached = threading.Event()
        self._gate = threading.Event()
        self._gate.set()
        monkeypatch.setattr(applying, "make_durable", self._flush)

    def stop(self) -> None:
        """Let the next flush begin, and not end before ``go_on``."""
        self.is_reached.clear()
        self._gate.clear()

    def go_on(self) -> None:
        self._gate.set()

    def _flush(self, transaction: lmdb.Transaction[bytes], log: CommitLog, changes: LoggedChanges) -> None:
        self.is_reached.set()
        assert self._gate.wait(PATIENCE_S)
        failure = self.plan()
        if failure is not None:
            raise failure
        make_durable(transaction, log, changes)
        self.flushes += 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, engine: LmdbEngine) -> Iterator[Disk]:  # noqa: ARG001  # made before it
    made = Disk(monkeypatch)
    yield made
    made.go_on()


def queue_of(engine: LmdbEngine) -> CommitQueue:
    return engine._environment.commits


def is_free(engine: LmdbEngine) -> bool:
    """Whether another process could write now."""
    other = LockFile(f"{engine._environment.folder}/{WRITE_LOCK_FILE}")
    try:
        return other.try_lock()
    finally:
        other.close()


def put(engine: LmdbEngine, key: bytes, value: bytes = b"") -> None:
    with writing(engine, PATIENCE_S) as transaction:
        transaction.put_many(ROWS, {key: value})
        transaction.put_many(INDEX, {key: value})


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


def stand_in_line(
    engine: LmdbEngine, threads: ThreadPoolExecutor, works: list[Callable[[], None]]
) -> list[Future[None]]:
    """Begin to run works, each of which ends in one commit, so that they stand in the line in this order."""
    futures = []
    for work in works:
        before = len(queue_of(engine).line)
        futures.append(threads.submit(work))
        until(lambda before=before: len(queue_of(engine).line) == before + 1)  # type: ignore[misc]  # bound now
    return futures


def stand_in_line_together(
    engine: LmdbEngine, threads: ThreadPoolExecutor, works: list[Callable[[], None]]
) -> list[Future[None]]:
    """Begin to run works, the last of which lets the others be flushed."""
    return [*stand_in_line(engine, threads, works[:-1]), threads.submit(works[-1])]


def putting(engine: LmdbEngine, number: int) -> Callable[[], None]:
    return lambda: put(engine, b"%d" % number)


def held_up(engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk) -> Future[None]:
    """Begin a commit whose flush has begun and does not end."""
    disk.stop()
    leader = threads.submit(put, engine, b"leader")
    assert disk.is_reached.wait(PATIENCE_S)
    return leader


def keys(engine: LmdbEngine) -> list[bytes]:
    with reading(engine) as snapshot:
        found = [key for key, _ in pairs(snapshot, ROWS)]
        assert found == [key for key, _ in pairs(snapshot, INDEX)]
        return found


# --- what is shared ---------------------------------------------------------------------------------------------------


def test_those_who_come_during_a_flush_share_the_next_one(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    before = engine.statistics()["last_transaction_id"]
    leader = held_up(engine, threads, disk)
    followers = stand_in_line(engine, threads, [putting(engine, number) for number in range(9)])
    assert not any(future.done() for future in (leader, *followers))
    assert keys(engine) == []  # nobody has been told, nobody sees it
    disk.go_on()
    for future in (leader, *followers):
        future.result(PATIENCE_S)
    assert disk.flushes == 2
    assert engine.statistics()["last_transaction_id"] == before + 2
    assert keys(engine) == [*(b"%d" % number for number in range(9)), b"leader"]


def test_without_company_each_commit_is_flushed_alone_and_at_once(engine: LmdbEngine, disk: Disk) -> None:
    for number in range(5):
        put(engine, b"%d" % number)
        assert disk.flushes == number + 1
        assert is_free(engine)


def test_many_threads_lose_nothing_and_share_flushes(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    def count() -> None:
        for _ in range(50):
            with writing(engine, PATIENCE_S) as transaction:
                value = int(transaction.get(ROWS, b"counter") or b"0") + 1
                transaction.put_many(ROWS, {b"counter": b"%d" % value})
                transaction.put_many(INDEX, {b"counter": b"%d" % value})

    for future in [threads.submit(count) for _ in range(16)]:
        future.result(PATIENCE_S)
    with reading(engine) as snapshot:
        assert snapshot.get(ROWS, b"counter") == b"800"
    assert disk.flushes < 800


def test_a_leader_waits_for_as_many_as_shared_the_last_flush(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    leader = held_up(engine, threads, disk)
    followers = stand_in_line(engine, threads, [putting(engine, number) for number in range(3)])
    disk.go_on()
    for future in (leader, *followers):
        future.result(PATIENCE_S)
    assert disk.flushes == 2
    queue_of(engine).gather_s = PATIENCE_S
    for future in stand_in_line_together(engine, threads, [putting(engine, number) for number in range(3)]):
        future.result(PATIENCE_S)
    assert disk.flushes == 3


def test_a_leader_does_not_wait_long_for_those_who_do_not_come(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    queue_of(engine).gather_s = GATHER_S
    leader = held_up(engine, threads, disk)
    followers = stand_in_line(engine, threads, [putting(engine, number) for number in range(3)])
    disk.go_on()
    for future in (leader, *followers):
        future.result(PATIENCE_S)
    put(engine, b"alone")
    assert disk.flushes == 3
    assert queue_of(engine)._last_size == 1  # so that the next one waits for nobody


def test_an_acknowledgement_that_came_too_early_would_be_noticed(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the first test."""
    leader = held_up(engine, threads, disk)
    with monkeypatch.context() as patch:
        patch.setattr(CommitQueue, "_is_settled", lambda *_: True)
        threads.submit(put, engine, b"told too early").result(PATIENCE_S)
    assert keys(engine) == []
    disk.go_on()
    leader.result(PATIENCE_S)
    put(engine, b"flushes the rest")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_an_empty_line_and_waits_for_that_of_its_parent(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    queue = queue_of(engine)
    queue._leader[None] = nobody = Commit(Layer(), engine._environment.known, {})  # so that nobody flushes
    waiting = stand_in_line(engine, threads, [putting(engine, number) for number in range(3)])

    def child() -> None:
        with pytest.raises(WriteTimeoutError) as refused:
            engine.begin_write(0.01)
        assert refused.value.pid == os.getppid()
        assert queue_of(engine).line == []
        assert keys(engine) == []

    assert in_child(child) == 0
    assert queue._leader.pop(None) is nobody
    queue._call_next()
    for future in waiting:
        future.result(PATIENCE_S)
    assert disk.flushes == 1
    assert in_child(lambda: put(engine, b"child")) == 0
    assert keys(engine) == [b"0", b"1", b"2", b"child"]


# --- what the next writer sees ----------------------------------------------------------------------------------------


def take_an_id(engine: LmdbEngine, *, of_table: int = 1) -> int | None:
    """Return the next id that is handed on, if there is one, and hand on the one after it."""
    with writing(engine, PATIENCE_S) as transaction:
        ids = transaction.inherit_ids()
        assert transaction.inherit_ids() is ids
        found = ids.get(of_table)
        ids[of_table] = 1 if found is None else found + 1
        transaction.put_many(ROWS, {b"%d" % ids[of_table]: b""})
        transaction.put_many(INDEX, {b"%d" % ids[of_table]: b""})
        return found


def test_the_next_ids_are_handed_on_to_the_next_transaction_alone_and_in_line(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    assert [take_an_id(engine) for _ in range(3)] == [None, 1, 2]
    disk.stop()
    first = threads.submit(take_an_id, engine)
    assert disk.is_reached.wait(PATIENCE_S)
    found: list[int | None] = []
    waiting = stand_in_line(engine, threads, [lambda: found.append(take_an_id(engine)) for _ in range(3)])
    disk.go_on()
    for future in waiting:
        future.result(PATIENCE_S)
    assert first.result(PATIENCE_S) == 3
    assert set(found) == {4, 5, 6}
    assert take_an_id(engine) == 7


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_ids_are_not_handed_on_by_who_did_not_ask_for_them_rolled_back_or_is_another_process(
    engine: LmdbEngine,
) -> None:
    assert [take_an_id(engine), take_an_id(engine)] == [None, 1]
    transaction = engine.begin_write(PATIENCE_S)
    transaction.inherit_ids()[1] = 100
    transaction.put_many(ROWS, {b"100": b""})
    transaction.close()
    assert take_an_id(engine) == 2  # what was rolled back is forgotten, and what was before it still true
    put(engine, b"7")  # it may have written a row with a greater id
    assert [take_an_id(engine), take_an_id(engine)] == [None, 1]
    assert in_child(lambda: put(engine, b"8")) == 0
    assert take_an_id(engine) is None


def test_nobody_hands_on_the_ids_of_very_many_tables(engine: LmdbEngine) -> None:
    for table in range(MOST_LEFT_IDS):
        assert take_an_id(engine, of_table=table) is None
    assert take_an_id(engine, of_table=0) == 1
    take_an_id(engine, of_table=MOST_LEFT_IDS)
    assert take_an_id(engine, of_table=0) is None


def test_a_writer_reads_what_is_on_its_way_to_the_disk(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    put(engine, b"old")
    leader = held_up(engine, threads, disk)

    def change() -> None:
        with writing(engine, PATIENCE_S) as transaction:
            assert transaction.get(ROWS, b"leader") == b""
            assert transaction.insert_many(ROWS, {b"leader": b"x", b"new": b"1"}) == [False, True]
            transaction.delete_many(ROWS, [b"old", b"leader"])

    def clear() -> None:
        with writing(engine, PATIENCE_S) as transaction:
            assert [key for key, _ in pairs(transaction, ROWS)] == [b"new"]
            assert pairs(transaction, ROWS, reverse=True, limit=1) == [(b"new", b"1")]
            assert transaction.count(ROWS) == 1
            transaction.clear(INDEX)
            transaction.savepoint()
            transaction.put_many(ROWS, {b"undone": b""})
            transaction.rollback_to_savepoint()

    def look() -> None:
        with writing(engine, PATIENCE_S) as transaction:
            assert pairs(transaction, INDEX) == []
            transaction.put_many(INDEX, {b"new": b"2"})

    works = [change, clear, look]
    followers = stand_in_line(engine, threads, works)
    disk.go_on()
    for future in (leader, *followers):
        future.result(PATIENCE_S)
    assert keys(engine) == [b"new"]
    assert disk.flushes == 3  # the old one, the leader, and the three together


def test_who_only_looked_at_what_is_not_yet_on_disk_waits_for_it(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    leader = held_up(engine, threads, disk)

    def look() -> bool:
        with writing(engine, PATIENCE_S) as transaction:
            return transaction.get(ROWS, b"leader") is not None

    looking = threads.submit(look)
    until(lambda: len(queue_of(engine).line) == 2)
    assert not looking.done()
    disk.go_on()
    assert looking.result(PATIENCE_S)
    leader.result(PATIENCE_S)
    assert disk.flushes == 1  # who changes nothing flushes nothing


@pytest.mark.parametrize("kind", ["catalog", "space", "large"])
def test_what_cannot_share_waits_for_the_line_and_commits_alone(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk, kind: str
) -> None:
    leader = held_up(engine, threads, disk)

    def change() -> None:
        with writing(engine, PATIENCE_S) as transaction:
            assert transaction.get(ROWS, b"leader") == b""
            if kind == "catalog":
                transaction.put_many(CATALOG, {b"a": b"b"})
            elif kind == "space":
                transaction.create_space(Space("more"))
            else:
                transaction.put_many(Space("index"), {b"leader": b"x" * GROUP_BYTES})

    alone = threads.submit(change)
    until(lambda: len(queue_of(engine).line) == 2)  # it stands there, with nothing, to see the others done
    disk.go_on()
    for future in (leader, alone):
        future.result(PATIENCE_S)
    assert disk.flushes == 2
    assert keys(engine) == [b"leader"]


# --- failures ---------------------------------------------------------------------------------------------------------


def full() -> lmdb.Error:
    error = lmdb.MapFullError("made full by a test")
    vars(error)["code"] = -30792
    return error


def broken() -> lmdb.Error:
    error = lmdb.Error("made to fail by a test")
    vars(error)["code"] = errno.EIO
    return error


def begun(engine: LmdbEngine, threads: ThreadPoolExecutor, go_on: threading.Event) -> Future[None]:
    """Begin a transaction in another thread, which commits when told."""
    has_begun = threading.Event()

    def run() -> None:
        with writing(engine, PATIENCE_S) as transaction:
            transaction.put_many(ROWS, {b"running": b""})
            transaction.put_many(INDEX, {b"running": b""})
            has_begun.set()
            assert go_on.wait(PATIENCE_S)

    future = threads.submit(run)
    assert has_begun.wait(PATIENCE_S)
    return future


def test_one_that_does_not_fit_fails_alone_and_those_behind_it_can_be_run_again(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    leader = held_up(engine, threads, disk)
    followers = stand_in_line(engine, threads, [putting(engine, number) for number in range(4)])
    go_on = threading.Event()
    running = begun(engine, threads, go_on)
    plan = iter([True, False, True, False])  # the leader; all four; the first; the second
    disk.plan = lambda: None if next(plan) else full()
    disk.go_on()
    leader.result(PATIENCE_S)
    followers[0].result(PATIENCE_S)
    with pytest.raises(StorageFullError):
        followers[1].result(PATIENCE_S)
    for future in followers[2:]:
        with pytest.raises(ConflictError, match="has seen"):
            future.result(PATIENCE_S)
    go_on.set()
    with pytest.raises(ConflictError, match="has seen"):
        running.result(PATIENCE_S)
    assert keys(engine) == [b"0", b"leader"]
    disk.plan = lambda: None
    assert queue_of(engine).is_careful
    put(engine, b"1")
    assert not queue_of(engine).is_careful
    assert keys(engine) == [b"0", b"1", b"leader"]


def test_while_there_is_little_room_nothing_is_built_on_what_may_fail(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    disk.plan = full
    with pytest.raises(StorageFullError):
        put(engine, b"too much")
    leader = threads.submit(put, engine, b"again too much")
    with pytest.raises(StorageFullError):
        leader.result(PATIENCE_S)
    disk.plan = lambda: None
    leader = held_up(engine, threads, disk)
    assert queue_of(engine).line == []  # it commits under the write lock, and nobody begins
    with pytest.raises(WriteTimeoutError):
        engine.begin_write(0)
    disk.go_on()
    leader.result(PATIENCE_S)


def test_after_a_failed_flush_the_outcome_is_unknown_and_nothing_is_written_until_it_is_opened_again(
    database_path: Path, engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    put(engine, b"safe")
    leader = held_up(engine, threads, disk)
    followers = stand_in_line(engine, threads, [putting(engine, number) for number in range(3)])
    go_on = threading.Event()
    running = begun(engine, threads, go_on)
    plan = iter([None, broken()])  # the leader's flush succeeds, the followers' does not
    disk.plan = lambda: next(plan)
    disk.go_on()
    leader.result(PATIENCE_S)
    errors = [future.exception(PATIENCE_S) for future in followers]
    assert [type(error) for error in errors] == [CommitUnknownError] * 3
    assert len(set(map(id, errors))) == 3  # each thread raises one of its own
    assert all(isinstance(error.__cause__, lmdb.Error) for error in errors if error is not None)
    go_on.set()
    with pytest.raises(ConflictError):
        running.result(PATIENCE_S)
    assert keys(engine) == [b"leader", b"safe"]
    with pytest.raises(EngineUnavailableError, match="open it again"):
        put(engine, b"more")
    disk.plan = lambda: None
    engine.close()
    again = LmdbEngine(database_path, Options(durability="none"))
    put(again, b"more")
    assert keys(again) == [b"leader", b"more", b"safe"]
    again.close()


def test_a_failure_that_nobody_has_foreseen_keeps_nobody_waiting(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    leader = held_up(engine, threads, disk)
    followers = stand_in_line(engine, threads, [putting(engine, number) for number in range(3)])
    plan = iter([None, ZeroDivisionError(), ZeroDivisionError()])  # it is tried once more: it may have been a signal's
    disk.plan = lambda: next(plan, None)
    disk.go_on()
    leader.result(PATIENCE_S)
    errors = {type(future.exception(PATIENCE_S)) for future in followers}
    assert errors == {ZeroDivisionError, CommitUnknownError}
    put(engine, b"more")
    assert keys(engine) == [b"leader", b"more"]


def test_a_transaction_that_is_rolled_back_touches_nobody_elses(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk
) -> None:
    leader = held_up(engine, threads, disk)

    def fail() -> None:
        with writing(engine, PATIENCE_S) as transaction:
            transaction.put_many(ROWS, {b"leader": b"spoilt", b"undone": b""})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        threads.submit(fail).result(PATIENCE_S)
    [follower] = stand_in_line(engine, threads, [putting(engine, 1)])
    disk.go_on()
    leader.result(PATIENCE_S)
    follower.result(PATIENCE_S)
    assert keys(engine) == [b"1", b"leader"]


@pytest.mark.parametrize("durability", ["full", "none"])
def test_after_a_kill_what_was_told_is_there_and_what_is_there_is_a_prefix(
    database_path: Path, durability: Durability
) -> None:
    LmdbEngine(database_path, Options()).close()
    killed = start(
        database_path,
        f"""
        import threading
        engine.close()
        engine = LmdbEngine(sys.argv[1], Options(durability={durability!r}))
        with writing(engine) as transaction:
            transaction.create_space(Space("rows"))
        def append():
            while True:
                with writing(engine, timeout_s=60) as transaction:
                    number = transaction.count(Space("rows"))
                    transaction.put_many(Space("rows"), {{b"%08d" % number: b""}})
                os.write(1, b"%08d\\n" % number)  # told, after the commit
        for _ in range(8):
            threading.Thread(target=append).start()
        """,
    )
    assert killed.stdout is not None
    told = [killed.stdout.readline() for _ in range(300)]
    killed.kill()
    rest, _ = killed.communicate(timeout=PATIENCE_S)
    numbers = [int(line) for line in told + rest.splitlines()]
    engine = LmdbEngine(database_path, Options())
    with reading(engine) as snapshot:
        found = [int(key) for key, _ in pairs(snapshot, ROWS)]
    engine.close()
    assert found == list(range(len(found)))
    assert set(numbers) <= set(found)


# --- interrupts -------------------------------------------------------------------------------------------------------


class _Interrupt(BaseException):
    pass


def interrupted(work: Callable[[], object], moment: int) -> bool:
    """Run work, with an exception at the so-many-th place where one of a signal can come in; say whether it came.

    Those places are the beginning of a function and the return from one of C, in the modules of the engine and of what
    its commits wait by.
    """
    places = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal places
        name = frame.f_code.co_filename
        if event in ("call", "c_return") and ("/minidb/engines/" in name or name.endswith("/minidb/waiter.py")):
            if frame.f_code.co_name in ("__del__", "_after_fork_in_child"):
                return
            places += 1
            if places == moment:
                raise _Interrupt

    sys.setprofile(count)
    try:
        work()
    except _Interrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


def go_on_with_company(engine: LmdbEngine, disk: Disk) -> None:
    """Let a flush end when somebody waits behind it."""
    until(lambda: len(queue_of(engine).line) != 1)
    disk.go_on()


def go_on_with_one_behind(engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk) -> None:
    """Let a flush end when two wait behind it, and one more that is begun here."""
    queue = queue_of(engine)
    until(lambda: len(queue.line) != 2)
    behind = threads.submit(put, engine, b"behind")
    until(lambda: len(queue.line) != 3)
    disk.go_on()
    behind.result(PATIENCE_S)


@pytest.mark.parametrize("role", ["alone", "leader", "follower", "middle"])
def test_an_interrupt_at_any_moment_of_a_commit_leaves_no_lock_and_no_half_and_nobody_waiting(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    monkeypatch.setattr(commit_queue, "LOOK_AGAIN_S", 10 * PATIENCE_S)  # each is called
    moment, key = 0, b""
    was_interrupted = True
    while was_interrupted:
        moment += 1
        key = b"%06d" % moment
        others: list[Future[None]] = []
        if role == "follower":
            others.append(held_up(engine, threads, disk))
            threads.submit(go_on_with_company, engine, disk)
        elif role == "middle":
            others.append(held_up(engine, threads, disk))
            others += stand_in_line(engine, threads, [lambda: put(engine, b"before")])
            others.append(threads.submit(go_on_with_one_behind, engine, threads, disk))
        transaction = engine.begin_write(PATIENCE_S)
        transaction.put_many(ROWS, {key: b""})
        transaction.put_many(INDEX, {key: b""})
        if role == "leader":
            others.append(threads.submit(put, engine, b"other"))
        committed = False

        def commit() -> None:
            nonlocal committed
            transaction.commit()  # noqa: B023
            committed = True

        was_interrupted = interrupted(commit, moment)
        transaction.close()
        disk.go_on()
        for other in others:
            other.result(PATIENCE_S)
        assert committed is not was_interrupted
        assert committed <= (key in keys(engine))
        assert queue_of(engine).line == []
        assert queue_of(engine)._leader == {}
        assert is_free(engine)
    assert moment > 40  # the newer the Python, the fewer places
    assert keys(engine)[-1] in (b"other", b"leader", key)


def test_each_of_a_group_is_called(
    engine: LmdbEngine, threads: ThreadPoolExecutor, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_queue, "LOOK_AGAIN_S", 10 * PATIENCE_S)
    for _ in range(20):
        leader = held_up(engine, threads, disk)
        followers = stand_in_line(engine, threads, [putting(engine, number) for number in range(30)])
        disk.go_on()
        for future in (leader, *followers):
            future.result(PATIENCE_S)


@pytest.mark.parametrize("end", ["commit", "close"])
def test_an_interrupt_at_any_moment_of_a_beginning_or_a_rollback_leaves_no_lock(engine: LmdbEngine, end: str) -> None:
    def work() -> None:
        transaction = engine.begin_write(PATIENCE_S)
        try:
            getattr(transaction, end)()
        finally:
            try:
                transaction.close()
            except _Interrupt:
                transaction.close()
                raise

    moment = 1
    while interrupted(work, moment):
        moment += 1
        assert is_free(engine)
        engine.begin_write(0).close()
    assert moment > 40  # the newer the Python, the fewer places


def test_a_signals_handler_that_writes_during_a_flush_is_refused_at_once(engine: LmdbEngine, disk: Disk) -> None:
    refused: list[WriteTimeoutError] = []

    def write_as_a_handler() -> None:
        with pytest.raises(WriteTimeoutError, match="wait for itself") as caught:
            engine.begin_write(PATIENCE_S)
        refused.append(caught.value)

    disk.plan = write_as_a_handler
    put(engine, b"a")
    assert refused[0].thread == threading.current_thread().name
    assert keys(engine) == [b"a"]
