"""Two ``WriteTurn`` objects have files of their own, so they are to each other what two processes are."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines.lmdb.test_processes import start

from minidb.engines.lmdb import write_turn
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.lmdb.write_turn import WriteTurn
from minidb.engines.port import Space
from minidb.engines.write_lock import Hold
from minidb.exceptions import WriteTimeoutError
from minidb.options import Options
from minidb.testing.conformance import reading, writing

ROWS = Space("rows")
PATIENCE_S = 60.0


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[WriteTurn]:
    turn = WriteTurn(tmp_path)
    yield turn
    turn.close()


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[WriteTurn]:
    turn = WriteTurn(tmp_path)
    yield turn
    turn.close()


def nothing() -> None:
    return None


def yes() -> bool:
    return True


def no() -> bool:
    return False


def take(turn: WriteTurn, timeout_s: float = PATIENCE_S) -> Hold:
    return turn.acquire(timeout_s, None, nothing)


def test_the_file_is_kept_until_the_process_has_nothing_left(ours: WriteTurn, theirs: WriteTurn) -> None:
    take(ours).release()
    ours.give_back_file(no)
    with pytest.raises(WriteTimeoutError) as refused:
        take(theirs, 0)
    assert refused.value.pid == os.getpid()
    assert refused.value.thread == threading.current_thread().name
    ours.give_back_file(yes)
    take(theirs, 0).release()


def test_the_file_is_kept_while_a_body_runs(ours: WriteTurn, theirs: WriteTurn) -> None:
    hold = take(ours)
    ours.give_back_file(yes)
    with pytest.raises(WriteTimeoutError):
        take(theirs, 0)
    hold.release()
    ours.give_back_file(yes)
    take(theirs, 0).release()


def wait_at_the_gate(turn: WriteTurn, other: WriteTurn) -> tuple[threading.Thread, list[Hold]]:
    """Begin to wait for the lock in another thread."""
    taken: list[Hold] = []
    thread = threading.Thread(target=lambda: taken.append(take(turn)))
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while other._gate.try_lock():
        other._gate.unlock()
        assert time.monotonic() < deadline
    return thread, taken


def test_a_process_whose_turn_is_over_makes_room_for_the_one_that_waits(
    ours: WriteTurn, theirs: WriteTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_turn, "TURN_S", 0.0)
    written: list[str] = []
    take(ours).release()  # and it is not given back: something is in the line
    thread, taken = wait_at_the_gate(theirs, ours)
    with pytest.raises(WriteTimeoutError):
        ours.acquire(0.05, None, lambda: written.append("the line"))
    assert written == ["the line"]
    thread.join(PATIENCE_S)
    assert len(taken) == 1
    taken[0].release()
    theirs.give_back_file(yes)
    take(ours, 0).release()


def test_a_process_in_its_turn_goes_on_though_another_one_waits(
    ours: WriteTurn, theirs: WriteTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the test above."""
    monkeypatch.setattr(write_turn, "TURN_S", PATIENCE_S)
    take(ours).release()
    thread, taken = wait_at_the_gate(theirs, ours)
    for _ in range(5):
        ours.acquire(0, None, lambda: pytest.fail("it need not make room")).release()
    assert taken == []
    ours.give_back_file(yes)
    thread.join(PATIENCE_S)
    assert len(taken) == 1


def test_whoever_had_a_turn_stands_behind_those_who_wait(
    ours: WriteTurn, theirs: WriteTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_turn, "TURN_S", 0.0)
    hold = take(ours)
    thread, taken = wait_at_the_gate(theirs, ours)
    hold.release()
    ours.give_back_file(yes)
    with pytest.raises(WriteTimeoutError):
        take(ours, 0.05)  # the other one may not have looked yet: nobody passes it at the gate
    thread.join(PATIENCE_S)
    assert len(taken) == 1


def test_a_file_that_an_interrupt_has_left_locked_is_unlocked_before_waiting_at_the_gate(
    ours: WriteTurn, theirs: WriteTurn
) -> None:
    assert ours._file.try_lock()
    thread, taken = wait_at_the_gate(theirs, ours)
    with pytest.raises(WriteTimeoutError):
        take(ours, 0.05)
    thread.join(PATIENCE_S)
    assert len(taken) == 1


def test_a_busy_process_of_many_threads_keeps_no_other_one_out(database_path: Path) -> None:
    engine = LmdbEngine(database_path, Options(durability="none"))
    with writing(engine) as transaction:
        transaction.create_space(ROWS)
    is_over = threading.Event()

    def write(number: int) -> None:
        while not is_over.is_set():
            with writing(engine, PATIENCE_S) as transaction:
                transaction.put_many(ROWS, {b"%d" % number: b""})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    other = start(
        database_path,
        """
        for number in range(20):
            with writing(engine, timeout_s=60) as transaction:
                transaction.put_many(Space("rows"), {b"other %d" % number: b""})
        print("done", flush=True)
        """,
    )
    output, _ = other.communicate(timeout=PATIENCE_S)
    is_over.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert output == "done\n"
    with reading(engine) as snapshot:
        assert snapshot.count(ROWS) == 24
    engine.close()


def test_threads_of_two_processes_lose_no_increment(database_path: Path) -> None:
    engine = LmdbEngine(database_path, Options())
    with writing(engine) as transaction:
        transaction.create_space(ROWS)
    script = """
    import threading
    def count():
        for _ in range(50):
            with writing(engine, timeout_s=60) as transaction:
                value = int(transaction.get(Space("rows"), b"n") or b"0")
                transaction.put_many(Space("rows"), {b"n": b"%d" % (value + 1)})
    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    """
    others = [start(database_path, script) for _ in range(2)]
    for other in others:
        other.communicate(timeout=PATIENCE_S)
        assert other.returncode == 0
    with reading(engine) as snapshot:
        assert snapshot.get(ROWS, b"n") == b"400"
    engine.close()
