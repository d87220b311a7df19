"""The pool of connections: the bound, the waits, and what a thread may do with what it holds."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import pytest

from minidb import Connection, MiniDB, Row, Table
from minidb.exceptions import (
    ConflictError,
    DatabaseClosedError,
    InvalidOptionError,
    PoolTimeoutError,
    TableNotFoundError,
    UsageError,
)

OpenWith = Callable[[int], MiniDB]


@pytest.fixture
def open_with(location: str) -> Iterator[OpenWith]:
    """Opens a database of so many connections, with a table ``t`` of one row."""
    with ExitStack() as opened:

        def open_it(max_connections: int) -> MiniDB:
            database = MiniDB(location, max_connections=max_connections, pool_timeout_s=30, durability="none")
            opened.enter_context(database)
            database.create_table("t").insert(Row(n=1))
            return database

        yield open_it


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as executor:
        yield executor


@contextmanager
def held_elsewhere(database: MiniDB, count: int) -> Iterator[threading.Event]:
    """Let another thread hold so many connections for the block, or until the event that is yielded."""
    is_held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(database.connection_pool.get_connection())
            is_held.set()
            may_end.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(30)
    try:
        yield may_end
    finally:
        may_end.set()
        thread.join()


def wait_for_waiters(database: MiniDB, count: int) -> None:
    deadline = time.monotonic() + 30
    while database.connection_pool.stats()["requests_waiting"] < count:
        assert time.monotonic() < deadline, "the threads were to wait for a connection"
        time.sleep(0.001)


def count(table: Table[Row]) -> int:
    return table.count()


# --- connections ------------------------------------------------------------------------------------------------------


def test_a_connection_gives_tables_and_transactions(open_with: OpenWith) -> None:
    database = open_with(2)
    with database.connection_pool.get_connection() as connection:
        table = connection.get_table("t")
        with connection.begin_transaction():
            table.insert(Row(n=2))
        with pytest.raises(ValueError, match="undo"), connection.begin_transaction():
            table.insert(Row(n=3))
            raise ValueError("undo")
        assert [row.n for row in table.scan()] == [1, 2]
        assert [table.query(1).n, table.update(1, n=5).n, len(table)] == [1, 5, 2]


def test_a_connection_does_all_its_work_itself(open_with: OpenWith) -> None:
    database = open_with(2)
    with held_elsewhere(database, 1), database.connection_pool.get_connection() as connection:
        before = database.connection_pool.stats()["requests_num"]
        table = connection.get_table("t")
        table.insert(Row(n=2))
        table.get(1)
        assert list(table.scan())
        with connection.begin_transaction():
            table.insert(Row(n=3))
        assert database.connection_pool.stats()["requests_num"] == before


def test_a_connection_inside_a_transaction_begins_savepoints(open_with: OpenWith) -> None:
    database = open_with(2)
    with database.begin_transaction(), database.connection_pool.get_connection() as connection:
        with connection.begin_transaction() as inner:
            connection.get_table("t").insert(Row(n=2))
            assert repr(inner).startswith("<savepoint")
        assert database.get_table("t").count() == 2


def test_a_connection_says_that_a_table_is_missing(open_with: OpenWith) -> None:
    with open_with(1).connection_pool.get_connection() as connection, pytest.raises(TableNotFoundError):
        connection.get_table("missing")


def test_a_connection_cannot_be_used_after_its_return(open_with: OpenWith) -> None:
    with open_with(1).connection_pool.get_connection() as connection:
        table = connection.get_table("t")
    for use in (
        connection.begin_transaction,
        lambda: connection.get_table("t"),
        lambda: table.get(1),
        lambda: table.insert(Row(n=2)),
        lambda: list(table.scan()),
    ):
        with pytest.raises(UsageError, match="went back to the pool"):
            use()


def test_a_transaction_left_open_on_a_connection_is_rolled_back(open_with: OpenWith) -> None:
    database = open_with(1)
    with database.connection_pool.get_connection() as connection:
        outer = connection.begin_transaction()
        inner = connection.begin_transaction()
        connection.get_table("t").insert(Row(n=2))
    assert not outer.is_open
    assert not inner.is_open
    assert database.current_transaction() is None
    assert database.get_table("t").count() == 1
    assert database.get_table("t").insert(Row(n=3))


def test_a_connection_goes_back_when_its_block_raises(open_with: OpenWith) -> None:
    database = open_with(1)
    with pytest.raises(KeyboardInterrupt), database.connection_pool.get_connection():
        raise KeyboardInterrupt
    stats = database.connection_pool.stats()
    assert (stats["pool_size"], stats["pool_available"]) == (1, 1)


# --- the bound and the wait -------------------------------------------------------------------------------------------


def test_no_more_connections_are_made_than_allowed(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    database = open_with(3)
    inside, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(10):
            with database.connection_pool.get_connection():
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.0005)
                with lock:
                    inside -= 1

    for future in [threads.submit(work) for _ in range(8)]:
        future.result(timeout=60)
    assert most == 3
    assert database.connection_pool.stats()["pool_size"] == 3


def test_a_call_waits_for_a_connection(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    database = open_with(1)
    with held_elsewhere(database, 1) as may_end:
        waiting = threads.submit(database.get_table, "t")
        wait_for_waiters(database, 1)
        assert not waiting.done()
        may_end.set()
        assert waiting.result(timeout=30).count() == 1
    stats = database.connection_pool.stats()
    assert (stats["requests_queued"], stats["requests_errors"], stats["requests_waiting"]) == (1, 0, 0)


@pytest.mark.parametrize("timeout_s", [0, 0.01])
def test_a_wait_in_vain_ends_in_an_error_with_the_facts(open_with: OpenWith, timeout_s: float) -> None:
    database = open_with(1)
    with (
        held_elsewhere(database, 1),
        pytest.raises(PoolTimeoutError) as refused,
        database.connection_pool.get_connection(timeout_s),
    ):
        pytest.fail("there is no connection to be had")
    assert isinstance(refused.value, TimeoutError)
    assert (refused.value.timeout_s, refused.value.max_connections) == (timeout_s, 1)
    assert "larger max_connections" in str(refused.value)
    stats = database.connection_pool.stats()
    assert (stats["requests_queued"], stats["requests_errors"], stats["requests_waiting"]) == (1, 1, 0)


def test_calls_and_transactions_wait_as_long_as_the_database_says(location: str) -> None:
    with MiniDB(location, max_connections=1, pool_timeout_s=0.01, durability="none") as database:
        table = database.create_table("t")
        with held_elsewhere(database, 1):
            for call in (table.count, lambda: table.get(1), lambda: table.insert(Row(n=1)), database.begin_transaction):
                with pytest.raises(PoolTimeoutError) as refused:
                    call()
                assert refused.value.timeout_s == 0.01


@pytest.mark.parametrize("timeout_s", [-1, float("nan"), "1"])
def test_a_timeout_that_cannot_be_is_refused(open_with: OpenWith, timeout_s: float) -> None:
    with pytest.raises(InvalidOptionError) as refused, open_with(1).connection_pool.get_connection(timeout_s):
        pytest.fail("it cannot be waited for so long")
    assert refused.value.option == "timeout_s"


def test_a_timeout_may_be_longer_than_the_system_can_wait(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    database = open_with(1)

    def borrow() -> None:
        with database.connection_pool.get_connection(timeout_s=float("inf")):
            pass

    with held_elsewhere(database, 1) as may_end:
        waiting = threads.submit(borrow)
        wait_for_waiters(database, 1)
        may_end.set()
        waiting.result(timeout=30)


def test_a_busy_thread_keeps_no_other_out(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    database = open_with(1)
    table = database.get_table("t")
    is_over = threading.Event()

    def be_busy() -> int:
        calls = 0
        while not is_over.is_set():
            table.insert(Row(n=1))
            calls += 1
        return calls

    busy = [threads.submit(be_busy) for _ in range(3)]
    try:
        for _ in range(20):
            table.get(1)  # PoolTimeoutError, if the others never let it in
    finally:
        is_over.set()
    calls = [future.result(timeout=30) for future in busy]
    assert min(calls) > 0


# --- a thread that holds connections ----------------------------------------------------------------------------------


def test_a_second_connection_for_the_holder_of_all_is_refused_at_once(open_with: OpenWith) -> None:
    database = open_with(1)
    with database.connection_pool.get_connection() as connection:
        for begin in (database.connection_pool.get_connection().__enter__, database.begin_transaction):
            with pytest.raises(PoolTimeoutError, match="wait for itself") as refused:
                begin()
            assert refused.value.max_connections == 1
        with connection.begin_transaction():  # as the hint says
            pass
    assert database.connection_pool.stats()["requests_errors"] == 2


def test_threads_that_hold_one_each_and_want_another_are_not_left_waiting_for_one_another(
    open_with: OpenWith, threads: ThreadPoolExecutor
) -> None:
    database = open_with(2)
    both_hold = threading.Barrier(2, timeout=30)

    def take_two() -> None:
        with database.connection_pool.get_connection():
            both_hold.wait()
            with database.connection_pool.get_connection():
                pass

    outcomes = [future.exception(30) for future in [threads.submit(take_two), threads.submit(take_two)]]
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [PoolTimeoutError]
    assert any("waits for another one" in str(outcome) for outcome in outcomes)
    stats = database.connection_pool.stats()
    assert (stats["pool_available"], stats["requests_errors"]) == (2, 1)


def test_a_thread_that_holds_one_waits_for_another_as_long_as_it_may_come_free(
    open_with: OpenWith, threads: ThreadPoolExecutor
) -> None:
    database = open_with(2)

    def take_two() -> None:
        with database.connection_pool.get_connection(), database.connection_pool.get_connection():
            pass

    with held_elsewhere(database, 1) as may_end:
        future = threads.submit(take_two)
        wait_for_waiters(database, 1)
        may_end.set()
        future.result(30)


def test_the_calls_of_a_thread_that_holds_every_connection_run_on_what_it_has(open_with: OpenWith) -> None:
    database = open_with(1)
    table = database.get_table("t")
    with database.connection_pool.get_connection():
        assert table.get(1) is not None
        assert table.count() == 1
        assert table.insert(Row(n=2)) == 2
        assert [row.n for row in table.scan()] == [1, 2]
        assert database.table_names() == ["t"]
        database.create_table("more")
        assert database.connection_pool.stats()["pool_size"] == 1
    stats = database.connection_pool.stats()
    assert (stats["pool_size"], stats["pool_available"], stats["requests_queued"]) == (1, 1, 0)


def test_the_calls_of_a_thread_that_holds_one_do_not_wait_for_another_that_does_the_same(
    open_with: OpenWith, threads: ThreadPoolExecutor
) -> None:
    database = open_with(2)
    meet = threading.Barrier(2, timeout=30)

    def work() -> int:
        with database.connection_pool.get_connection():
            meet.wait()
            found = database.get_table("t").count()
            meet.wait()
        return found

    assert [future.result(timeout=30) for future in [threads.submit(work), threads.submit(work)]] == [1, 1]


def test_rows_can_be_changed_while_they_are_scanned_on_one_connection(open_with: OpenWith) -> None:
    database = open_with(1)
    table = database.get_table("t")
    table.insert_many(Row(n=number) for number in range(5))
    for row in table.scan():
        table.update(row.id, n=-1)
    assert {row.n for row in table.scan()} == {-1}


def test_rows_can_be_inserted_from_a_scan_on_one_connection(open_with: OpenWith) -> None:
    database = open_with(1)
    table = database.get_table("t")
    copy = database.create_table("copy")
    copy.insert_many(Row(n=table.query(row.id).n) for row in table.scan())
    assert [row.n for row in copy.scan()] == [1]


def test_an_unfinished_scan_holds_a_connection_until_it_is_let_go_of(open_with: OpenWith) -> None:
    database = open_with(1)
    scan = database.get_table("t").scan()
    next(scan)
    with pytest.raises(PoolTimeoutError, match="wait for itself"):
        database.begin_transaction()
    del scan
    with database.begin_transaction():
        pass


def test_a_scan_may_be_finished_by_another_thread(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    database = open_with(1)
    scan = database.get_table("t").scan()
    next(scan)
    assert threads.submit(lambda: list(scan)).result(timeout=30) == []
    with database.begin_transaction():
        pass
    assert database.connection_pool.stats()["pool_available"] == 1


def test_what_a_call_shares_is_not_lent_to_others(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    database = open_with(1)
    table = database.get_table("t")
    with database.connection_pool.get_connection():
        waiting = threads.submit(table.count)
        wait_for_waiters(database, 1)
        for _ in range(100):
            assert table.get(1) is not None
        assert not waiting.done()
    assert waiting.result(timeout=30) == 1


# --- figures ----------------------------------------------------------------------------------------------------------


def test_figures_add_up(open_with: OpenWith) -> None:
    database = open_with(2)
    table = database.get_table("t")
    before = database.connection_pool.stats()
    for _ in range(5):
        table.get(1)
    table.count()
    with database.begin_transaction(), database.connection_pool.get_connection():
        during = database.connection_pool.stats()
        with pytest.raises(PoolTimeoutError), database.connection_pool.get_connection():
            pytest.fail("it would be a third")
    after = database.connection_pool.stats()
    assert set(after) == {
        "pool_max",
        "pool_size",
        "pool_available",
        "requests_num",
        "requests_queued",
        "requests_wait_ms",
        "requests_errors",
        "requests_waiting",
    }
    assert (during["pool_max"], during["pool_size"], during["pool_available"]) == (2, 2, 0)
    assert (after["pool_max"], after["pool_size"], after["pool_available"]) == (2, 2, 2)
    assert after["requests_num"] - before["requests_num"] == 5 + 1 + 2 + 1
    assert (after["requests_errors"], after["requests_queued"], after["requests_waiting"]) == (1, 0, 0)
    assert database.stats()["pool"]["pool_max"] == 2


def test_waits_are_counted_with_their_time(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    database = open_with(1)
    table = database.get_table("t")
    with held_elsewhere(database, 1) as may_end:
        waiting = [threads.submit(count, table) for _ in range(3)]
        wait_for_waiters(database, 3)
        time.sleep(0.01)
        may_end.set()
        assert [future.result(timeout=30) for future in waiting] == [1, 1, 1]
    stats = database.connection_pool.stats()
    assert (stats["requests_queued"], stats["requests_errors"], stats["requests_waiting"]) == (3, 0, 0)
    assert stats["requests_wait_ms"] >= 30


def test_figures_keep_what_connections_did_that_are_gone(open_with: OpenWith) -> None:
    database = open_with(3)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(database.connection_pool.get_connection())
    before = database.connection_pool.stats()
    database.connection_pool.resize(1)
    after = database.connection_pool.stats()
    assert (before["pool_size"], after["pool_size"]) == (3, 1)
    assert after["requests_num"] == before["requests_num"]


# --- another size -----------------------------------------------------------------------------------------------------


def test_a_larger_pool_lets_those_in_who_wait(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    database = open_with(1)
    table = database.get_table("t")
    with held_elsewhere(database, 1):
        waiting = [threads.submit(count, table) for _ in range(3)]
        wait_for_waiters(database, 3)
        database.connection_pool.resize(2)
        assert [future.result(timeout=30) for future in waiting] == [1, 1, 1]
        assert database.connection_pool.stats()["pool_size"] == 2


def test_a_smaller_pool_lets_connections_go_as_they_come_back(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    database = open_with(4)
    with held_elsewhere(database, 3):
        database.connection_pool.resize(1)
        assert database.connection_pool.stats()["pool_size"] == 3
        waiting = threads.submit(count, _lazily(database))
        wait_for_waiters(database, 1)
    assert waiting.result(timeout=30) == 1
    stats = database.connection_pool.stats()
    assert (stats["pool_max"], stats["pool_size"], stats["pool_available"]) == (1, 1, 1)


def test_a_pool_may_be_resized_while_it_is_used(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    database = open_with(4)
    table = database.get_table("t")
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            assert table.count() >= 1
            with database.connection_pool.get_connection() as connection:
                assert connection.get_table("t").get(1) is not None

    working = [threads.submit(work) for _ in range(6)]
    for size in [1, 5, 2, 8, 3] * 10:
        database.connection_pool.resize(size)
        time.sleep(0.001)
    is_over.set()
    for future in working:
        future.result(timeout=30)
    stats = database.connection_pool.stats()
    assert stats["pool_available"] == stats["pool_size"] <= stats["pool_max"] == 3
    assert (stats["requests_errors"], stats["requests_waiting"]) == (0, 0)


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "2", None])
def test_a_size_that_cannot_be_is_refused(open_with: OpenWith, size: int) -> None:
    database = open_with(2)
    with pytest.raises(InvalidOptionError) as refused:
        database.connection_pool.resize(size)
    assert refused.value.option == "max_connections"
    assert database.connection_pool.stats()["pool_max"] == 2


# --- the end ----------------------------------------------------------------------------------------------------------


def test_closing_wakes_those_who_wait(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    database = open_with(1)
    table = database.get_table("t")
    with held_elsewhere(database, 1):
        waiting = [threads.submit(count, table) for _ in range(3)]
        wait_for_waiters(database, 3)
        database.close()
        for future in waiting:
            with pytest.raises(DatabaseClosedError):
                future.result(timeout=30)
        assert database.connection_pool.stats()["pool_size"] == 1
    assert database.connection_pool.stats()["pool_size"] == 0


def test_a_closed_pool_lends_nothing(open_with: OpenWith) -> None:
    database = open_with(1)
    database.close()
    with pytest.raises(DatabaseClosedError), database.connection_pool.get_connection():
        pytest.fail("the database is closed")


def test_the_files_are_let_go_of_by_the_last_user(tmp_path: os.PathLike[str]) -> None:
    database = MiniDB(tmp_path, durability="none")
    table = database.create_table("t")
    table.insert(Row(n=1))
    scan = table.scan()
    next(scan)
    database.close()
    assert not database.engine._is_closed  # type: ignore[attr-defined]  # the LMDB engine's
    with pytest.raises(DatabaseClosedError):
        next(scan)
    assert database.engine._is_closed  # type: ignore[attr-defined]  # as above


def test_threads_that_hammer_the_pool_lose_no_connection(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    database = open_with(3)
    table = database.get_table("t")
    table.insert_many(Row(n=number) for number in range(50))

    def hammer(seed: int) -> int:
        for number in range(60):
            match (seed + number) % 6:
                case 0:
                    table.get(number)
                case 1:
                    table.insert(Row(n=-1))
                case 2:
                    next(table.scan())
                case 3:
                    with database.connection_pool.get_connection() as connection:
                        connection.get_table("t").update(2, n=number)
                case 4:
                    # Where many write at once, also a read transaction may meet others.
                    with suppress(ConflictError), database.begin_transaction(read_only=True):
                        assert table.count() == sum(1 for _ in table.scan())
                case 5:
                    with pytest.raises(ValueError, match="undo"), database.begin_transaction():
                        table.insert(Row(n=-2))
                        raise ValueError("undo")
        return 10  # of each kind

    futures: list[Future[int]] = [threads.submit(hammer, seed) for seed in range(12)]
    inserted = sum(future.result(timeout=60) for future in futures)
    stats = database.connection_pool.stats()
    assert stats["pool_size"] == stats["pool_available"] <= 3  # as many as were ever needed at once
    assert (stats["requests_waiting"], stats["requests_errors"]) == (0, 0)
    assert table.count() == 51 + inserted


def test_a_connection_that_was_lost_is_replaced(open_with: OpenWith, threads: ThreadPoolExecutor) -> None:
    # As by a signal's exception between its being taken and the block that gives it back.
    database = open_with(1)
    lost: list[Connection] = [database.connection_pool.take()]
    waiting = threads.submit(count, _lazily(database))
    wait_for_waiters(database, 1)
    lost.clear()
    gc.collect()
    assert database.get_table("t").count() == 1
    assert waiting.result(timeout=30) == 1


def _lazily(database: MiniDB) -> Table[Row]:
    """Return a table without looking whether it is there, which would take a connection."""
    return Table(database, "t")
