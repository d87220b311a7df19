"""Transactions: what commits, what is undone, what nests, and who takes part."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest
from tests.api.conftest import ONE_WRITER

from minidb import MiniDB, Row, Table
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.port import Space
from minidb.engines.write_buffer import BufferedTransaction
from minidb.exceptions import (
    DatabaseClosedError,
    ForkedError,
    ReadOnlyError,
    TransactionClosedError,
    UniqueViolationError,
    UsageError,
    WriteTimeoutError,
)
from minidb.schema import IntegerField, Schema, StringField

Result = TypeVar("Result")

PEOPLE = Schema(name=StringField(required=True, unique=True), age=IntegerField(required=True, index=True))


@pytest.fixture
def people(database: MiniDB) -> Table[Row]:
    return database.create_table("people", PEOPLE)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[MiniDB]:
    """A second database, on a file."""
    with MiniDB(tmp_path / "other", durability="none") as opened:
        yield opened


def add(table: Table[Row], name: str) -> Any:
    return table.insert(Row(name=name, age=len(name)))


def names(table: Table[Row]) -> list[str]:
    return [row.name for row in table.scan()]


def in_thread(function: Callable[[], Result]) -> Result:
    """Return what a function returns in a thread of its own."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function).result(timeout=30)


# --- commit and rollback ----------------------------------------------------------------------------------------------


def test_a_block_that_ends_commits(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction() as transaction:
        add(people, "Ada")
        assert repr(transaction).endswith("open>")
    assert not transaction.is_open
    assert names(people) == ["Ada"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_block_that_raises_anything_rolls_back_and_lets_it_pass(
    database: MiniDB, people: Table[Row], kind: type[BaseException]
) -> None:
    raised = kind()
    with pytest.raises(kind) as caught, database.begin_transaction():
        add(people, "Ada")
        raise raised
    assert caught.value is raised
    assert names(people) == []
    assert add(people, "Eve")


def test_a_generator_that_is_closed_inside_its_block_rolls_back(database: MiniDB, people: Table[Row]) -> None:
    def work() -> Generator[None, None, None]:
        with database.begin_transaction():
            add(people, "Ada")
            yield

    generator = work()
    next(generator)
    generator.close()
    assert database.current_transaction() is None
    assert names(people) == []


def test_nothing_is_seen_outside_before_the_commit(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction():
        add(people, "Ada")
        assert names(people) == ["Ada"]
        assert in_thread(lambda: names(people)) == []
    assert in_thread(lambda: names(people)) == ["Ada"]


def test_commit_without_a_block_ends_the_transaction(database: MiniDB, people: Table[Row]) -> None:
    transaction = database.begin_transaction()
    add(people, "Ada")
    transaction.commit()
    assert database.current_transaction() is None
    assert in_thread(lambda: names(people)) == ["Ada"]


def test_rollback_without_a_block_undoes_everything(database: MiniDB, people: Table[Row]) -> None:
    transaction = database.begin_transaction()
    add(people, "Ada")
    transaction.rollback()
    assert database.current_transaction() is None
    assert names(people) == []
    assert database.query_by_index("people", "age", 3) == []


def test_rollback_may_be_called_again(database: MiniDB) -> None:
    transaction = database.begin_transaction()
    transaction.rollback()
    transaction.rollback()
    with database.begin_transaction() as second:
        pass
    second.rollback()


def test_a_commit_after_the_end_is_refused(database: MiniDB) -> None:
    transaction = database.begin_transaction()
    transaction.commit()
    with pytest.raises(TransactionClosedError, match="was committed"):
        transaction.commit()


def test_a_block_cannot_be_entered_after_the_end(database: MiniDB) -> None:
    transaction = database.begin_transaction()
    transaction.rollback()
    with pytest.raises(TransactionClosedError, match="rolled back"), transaction:
        pytest.fail("the block must not begin")


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_calls_in_the_block_after_an_explicit_end_are_refused(database: MiniDB, people: Table[Row], end: str) -> None:
    with database.begin_transaction() as transaction:
        getattr(transaction, end)()
        for call in (people.count, lambda: add(people, "Eve"), database.table_names, database.begin_transaction):
            with pytest.raises(TransactionClosedError):
                call()
    assert names(people) == []
    assert add(people, "Eve")


def test_a_commit_in_the_block_stands_though_the_block_raises(database: MiniDB, people: Table[Row]) -> None:
    with pytest.raises(ValueError, match="too late"), database.begin_transaction() as transaction:
        add(people, "Ada")
        transaction.commit()
        raise ValueError("too late")
    assert names(people) == ["Ada"]


def test_an_error_of_one_row_does_not_end_the_transaction(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction():
        add(people, "Ada")
        with pytest.raises(UniqueViolationError):
            add(people, "Ada")
        add(people, "Eve")
    assert names(people) == ["Ada", "Eve"]


def test_the_repr_tells_kind_and_state(database: MiniDB) -> None:
    with database.begin_transaction() as outer:
        assert repr(outer) == f"<write transaction of {database.location!r}, open>"
        with database.begin_transaction() as inner:
            assert repr(inner) == f"<savepoint of {database.location!r}, open>"
    assert repr(outer) == f"<write transaction of {database.location!r}, committed>"
    with database.begin_transaction(read_only=True) as reading:
        assert repr(reading) == f"<read transaction of {database.location!r}, open>"


# --- nesting ----------------------------------------------------------------------------------------------------------


def test_an_inner_block_is_undone_alone(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction():
        add(people, "Ada")
        with pytest.raises(ValueError, match="inner"), database.begin_transaction():
            add(people, "Eve")
            raise ValueError("inner")
        add(people, "Joe")
    assert names(people) == ["Ada", "Joe"]
    assert [row.name for row in database.query_by_index("people", "name", "Eve")] == []


def test_an_inner_commit_is_undone_with_the_outer_transaction(database: MiniDB, people: Table[Row]) -> None:
    outer = database.begin_transaction()
    with database.begin_transaction():
        add(people, "Ada")
    assert names(people) == ["Ada"]
    outer.rollback()
    assert names(people) == []


def test_levels_are_undone_one_by_one(database: MiniDB, people: Table[Row]) -> None:
    levels = []
    for depth in range(6):
        levels.append(database.begin_transaction())
        add(people, f"level {depth}")
    expected = [6, 5, 5, 3, 3, 1]
    for depth in (5, 4, 3, 2, 1, 0):
        assert names(people) == [f"level {number}" for number in range(expected[5 - depth])]
        if depth % 2:
            levels[depth].rollback()
        else:
            levels[depth].commit()
    assert names(people) == ["level 0"]


def test_the_innermost_transaction_is_the_current_one(database: MiniDB) -> None:
    assert database.current_transaction() is None
    with database.begin_transaction() as outer:
        assert database.current_transaction() is outer
        with database.begin_transaction() as inner:
            assert database.current_transaction() is inner
        assert database.current_transaction() is outer
    assert database.current_transaction() is None


def test_an_outer_commit_is_refused_while_an_inner_one_is_open(database: MiniDB, people: Table[Row]) -> None:
    outer = database.begin_transaction()
    inner = database.begin_transaction()
    add(people, "Ada")
    with pytest.raises(UsageError, match="still open"):
        outer.commit()
    inner.commit()
    outer.commit()
    assert names(people) == ["Ada"]


def test_an_outer_commit_is_refused_also_beneath_a_transaction_of_another_database(
    database: MiniDB, people: Table[Row], other: MiniDB
) -> None:
    outer = database.begin_transaction()
    inner = database.begin_transaction()
    with other.begin_transaction(), pytest.raises(UsageError, match="still open"):
        outer.commit()
    add(people, "Ada")
    inner.rollback()
    outer.commit()
    assert names(people) == []


def test_an_outer_rollback_undoes_and_ends_the_inner_ones(database: MiniDB, people: Table[Row]) -> None:
    outer = database.begin_transaction()
    inner = database.begin_transaction()
    innermost = database.begin_transaction()
    add(people, "Ada")
    outer.rollback()
    assert not inner.is_open
    assert not innermost.is_open
    assert database.current_transaction() is None
    assert names(people) == []


def test_a_block_that_raises_ends_the_inner_ones_left_open(database: MiniDB, people: Table[Row]) -> None:
    inner = []
    with pytest.raises(ValueError, match="outer"), database.begin_transaction():
        inner.append(database.begin_transaction())
        add(people, "Ada")
        raise ValueError("outer")
    assert not inner[0].is_open
    assert names(people) == []
    assert add(people, "Eve")


def test_a_block_that_ends_with_an_inner_one_open_is_refused_and_rolled_back(
    database: MiniDB, people: Table[Row]
) -> None:
    begun = [database.begin_transaction()]
    with pytest.raises(UsageError, match="still open"), begun[0]:
        begun.append(database.begin_transaction())
        add(people, "Ada")
    assert [one.is_open for one in begun] == [False, False]
    assert names(people) == []
    assert in_thread(lambda: add(people, "Eve"))


def test_ids_of_rows_that_were_undone_do_not_come_twice(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction():
        first = add(people, "Ada")
        inner = database.begin_transaction()
        add(people, "Eve")
        inner.rollback()
        second = add(people, "Joe")
    assert first < second
    assert [row.id for row in people.scan()] == [first, second]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_read_only_transaction_sees_one_snapshot(database: MiniDB, people: Table[Row]) -> None:
    add(people, "Ada")
    with database.begin_transaction(read_only=True):
        assert names(people) == ["Ada"]
        in_thread(lambda: add(people, "Eve"))
        assert names(people) == ["Ada"]
        assert people.count() == 1
        assert database.query_by_index("people", "name", "Eve") == []
    assert names(people) == ["Ada", "Eve"]


def test_a_read_only_transaction_waits_for_no_writer(database: MiniDB, people: Table[Row]) -> None:
    def read() -> list[str]:
        with database.begin_transaction(read_only=True):
            return names(people)

    with database.begin_transaction():
        add(people, "Ada")
        assert in_thread(read) == []


def test_a_write_in_a_read_only_transaction_is_refused(database: MiniDB, people: Table[Row]) -> None:
    row_id = add(people, "Ada")
    with database.begin_transaction(read_only=True):
        for write in (
            lambda: add(people, "Eve"),
            lambda: people.insert_many([Row(name="Eve", age=3)]),
            lambda: people.update(row_id, age=4),
            lambda: people.delete(row_id),
            people.clear,
            lambda: database.create_table("more"),
            lambda: database.drop_table("people"),
            lambda: database.create_index("people", "name", "age"),
            database.begin_transaction,
        ):
            with pytest.raises(ReadOnlyError):
                write()
        assert names(people) == ["Ada"]
    assert add(people, "Eve")


def test_a_read_only_transaction_inside_a_writing_one_sees_its_writes(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction():
        add(people, "Ada")
        with database.begin_transaction(read_only=True):
            assert names(people) == ["Ada"]
            with pytest.raises(ReadOnlyError):
                add(people, "Eve")
            with database.begin_transaction(read_only=True):
                assert names(people) == ["Ada"]
        add(people, "Eve")
    assert names(people) == ["Ada", "Eve"]


def test_a_scan_begun_in_a_transaction_ends_with_it(database: MiniDB, people: Table[Row]) -> None:
    people.insert_many([Row(name=str(number), age=number) for number in range(10)])
    with database.begin_transaction(read_only=True):
        begun = people.scan()
        next(begun)
        not_begun = people.scan()
    for scan in (begun, not_begun):
        with pytest.raises(TransactionClosedError):
            next(scan)


# --- threads ----------------------------------------------------------------------------------------------------------


def test_another_thread_is_not_inside(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction(read_only=True):
        assert in_thread(database.current_transaction) is None
        in_thread(lambda: add(people, "Ada"))
        assert names(people) == []


def test_another_thread_is_not_inside_even_with_a_copy_of_the_context(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction(read_only=True):
        context = contextvars.copy_context()
        in_thread(lambda: context.run(add, people, "Ada"))
        assert names(people) == []
    assert names(people) == ["Ada"]


def test_another_thread_may_not_use_the_transaction(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction() as transaction:
        add(people, "Ada")
        for use in (transaction.commit, transaction.rollback, transaction.__enter__):
            with pytest.raises(TransactionClosedError, match="another thread"):
                in_thread(use)
        assert transaction.is_open
    assert names(people) == ["Ada"]


def test_a_transaction_ended_in_a_copy_of_the_context_is_over(database: MiniDB, people: Table[Row]) -> None:
    transaction = database.begin_transaction()
    add(people, "Ada")
    contextvars.copy_context().run(transaction.commit)
    assert database.current_transaction() is None
    add(people, "Eve")
    assert in_thread(lambda: names(people)) == ["Ada", "Eve"]


def test_a_second_savepoint_begun_beside_an_open_one_is_refused(database: MiniDB) -> None:
    with database.begin_transaction():
        inner = contextvars.copy_context().run(database.begin_transaction)
        with pytest.raises(UsageError, match="still open"):
            database.begin_transaction()
        inner.rollback()


@ONE_WRITER
def test_a_second_writer_of_the_thread_is_refused_at_once(location: str) -> None:
    with MiniDB(location, durability="none", write_timeout_s=600) as database:
        context = contextvars.copy_context()
        with database.begin_transaction(), pytest.raises(WriteTimeoutError, match="wait for itself") as refused:
            context.run(database.begin_transaction)  # outside, as what runs beside it in an event loop is
        assert refused.value.pid == os.getpid()
        assert refused.value.thread == threading.current_thread().name


@ONE_WRITER
def test_another_writer_waits_and_then_is_told_who_holds_the_lock(location: str) -> None:
    with MiniDB(location, durability="none", write_timeout_s=0.01) as database:
        table = database.create_table("t")
        with database.begin_transaction(), pytest.raises(WriteTimeoutError) as refused:
            in_thread(lambda: table.insert(Row(n=1)))
        assert refused.value.timeout_s == 0.01
        assert refused.value.thread == threading.current_thread().name
        assert refused.value.age_s >= 0
        assert refused.value.began_at.startswith(f"{__file__}:")
        assert refused.value.began_at in str(refused.value)
        assert table.insert(Row(n=1))


# --- asyncio ----------------------------------------------------------------------------------------------------------


def test_two_tasks_share_no_transaction(database: MiniDB, people: Table[Row]) -> None:
    async def read(begun: asyncio.Event, added: asyncio.Event) -> None:
        with database.begin_transaction(read_only=True) as mine:
            begun.set()
            await added.wait()
            assert database.current_transaction() is mine
            assert names(people) == []

    async def main() -> None:
        begun, added = asyncio.Event(), asyncio.Event()
        reading = asyncio.create_task(read(begun, added))
        await begun.wait()
        assert database.current_transaction() is None
        add(people, "Ada")
        added.set()
        await reading
        assert names(people) == ["Ada"]

    asyncio.run(main())


def test_a_task_made_inside_a_transaction_is_outside(database: MiniDB, people: Table[Row]) -> None:
    async def child() -> list[str]:
        assert database.current_transaction() is None
        return names(people)

    async def main() -> None:
        with database.begin_transaction():
            add(people, "Ada")
            assert await asyncio.create_task(child()) == []
            assert await child_awaited() == ["Ada"]

    async def child_awaited() -> list[str]:
        return names(people)

    asyncio.run(main())


def test_a_task_that_outlives_the_transaction_it_was_made_in_is_free(database: MiniDB, people: Table[Row]) -> None:
    async def child(may_go_on: asyncio.Event) -> None:
        await may_go_on.wait()
        with database.begin_transaction():
            add(people, "Eve")

    async def main() -> None:
        may_go_on = asyncio.Event()
        with database.begin_transaction():
            task = asyncio.create_task(child(may_go_on))
            add(people, "Ada")
        may_go_on.set()
        await task

    asyncio.run(main())
    assert names(people) == ["Ada", "Eve"]


def test_a_loop_run_inside_a_transaction_is_outside(database: MiniDB, people: Table[Row]) -> None:
    async def main() -> list[str]:
        return names(people)

    with database.begin_transaction():
        add(people, "Ada")
        assert asyncio.run(main()) == []


def test_a_thread_of_a_task_is_outside(database: MiniDB, people: Table[Row]) -> None:
    async def main() -> None:
        with database.begin_transaction():
            add(people, "Ada")
            assert await asyncio.to_thread(names, people) == []

    asyncio.run(main())
    assert names(people) == ["Ada"]


@ONE_WRITER
def test_a_second_task_that_writes_is_refused_at_once(location: str) -> None:
    async def write(table: Table[Row]) -> None:
        table.insert(Row(n=2))

    async def main(database: MiniDB) -> None:
        table = database.create_table("t")
        with database.begin_transaction():
            table.insert(Row(n=1))
            with pytest.raises(WriteTimeoutError, match="wait for itself"):
                await asyncio.create_task(write(table))
        await asyncio.create_task(write(table))
        assert table.count() == 2

    with MiniDB(location, durability="none", write_timeout_s=600) as database:
        asyncio.run(main(database))


def test_a_cancelled_task_rolls_back(database: MiniDB, people: Table[Row]) -> None:
    async def work(is_inside: asyncio.Event) -> None:
        with database.begin_transaction():
            add(people, "Ada")
            is_inside.set()
            await asyncio.Event().wait()

    async def main() -> None:
        is_inside = asyncio.Event()
        task = asyncio.create_task(work(is_inside))
        await is_inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert names(people) == []
        add(people, "Eve")

    asyncio.run(main())


def test_an_asynchronous_generator_closed_by_another_task_rolls_back(database: MiniDB, people: Table[Row]) -> None:
    async def work() -> AsyncGenerator[None, None]:
        with database.begin_transaction():
            add(people, "Ada")
            yield

    async def main() -> None:
        generator = work()
        await asyncio.create_task(anext_of(generator))
        await generator.aclose()
        assert names(people) == []
        add(people, "Eve")

    async def anext_of(generator: AsyncGenerator[None, None]) -> None:
        await anext(generator)

    asyncio.run(main())
    assert names(people) == ["Eve"]


def test_a_half_imported_asyncio_disturbs_no_other_thread(
    database: MiniDB, people: Table[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.begin_transaction():
        monkeypatch.setitem(sys.modules, "asyncio", ModuleType("asyncio"))
        add(people, "Ada")
    assert names(people) == ["Ada"]


# --- several databases ------------------------------------------------------------------------------------------------


def test_transactions_of_two_databases_nest_and_are_independent(
    database: MiniDB, people: Table[Row], other: MiniDB
) -> None:
    pets = other.create_table("pets")
    with database.begin_transaction() as first:
        with pytest.raises(ValueError, match="pets"), other.begin_transaction() as second:
            assert database.current_transaction() is first
            assert other.current_transaction() is second
            add(people, "Ada")
            pets.insert(Row(name="Rex"))
            with database.begin_transaction():
                add(people, "Eve")
            raise ValueError("pets")
        assert other.current_transaction() is None
        assert pets.count() == 0
    assert names(people) == ["Ada", "Eve"]


def test_transactions_of_two_databases_may_end_in_any_order(
    database: MiniDB, people: Table[Row], other: MiniDB
) -> None:
    pets = other.create_table("pets")
    first = database.begin_transaction()
    second = other.begin_transaction()
    add(people, "Ada")
    first.commit()
    assert database.current_transaction() is None
    assert other.current_transaction() is second
    add(people, "Eve")
    pets.insert(Row(name="Rex"))
    second.commit()
    # The first one, which ended beneath the second, must not come to light again.
    assert database.current_transaction() is None
    assert add(people, "Joe")
    assert names(people) == ["Ada", "Eve", "Joe"]
    assert pets.count() == 1


def test_two_objects_of_one_file_have_their_own_transactions(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as one, MiniDB(database_path, durability="none") as two:
        table = one.create_table("t")
        with one.begin_transaction():
            table.insert(Row(n=1))
            assert two.current_transaction() is None
            assert two.get_table("t").count() == 0
            with pytest.raises(WriteTimeoutError, match="wait for itself"):
                two.get_table("t").insert(Row(n=2))


# --- closing ----------------------------------------------------------------------------------------------------------


def test_closing_the_database_rolls_the_callers_transactions_back(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        table = database.create_table("t")
        with database.begin_transaction() as outer, database.begin_transaction() as inner:
            table.insert(Row(n=1))
            database.close()
            for call in (table.count, outer.commit, inner.commit, database.begin_transaction):
                with pytest.raises(DatabaseClosedError):
                    call()
    with MiniDB(database_path) as database:
        assert database.get_table("t").count() == 0


def test_closing_the_database_ends_the_transaction_of_another_thread_at_its_next_call(database_path: Path) -> None:
    database = MiniDB(database_path, durability="none")
    table = database.create_table("t")
    is_inside, is_closed = threading.Event(), threading.Event()

    def work() -> None:
        with database.begin_transaction():
            table.insert(Row(n=1))
            is_inside.set()
            assert is_closed.wait(30)
            with pytest.raises(DatabaseClosedError):
                table.insert(Row(n=2))

    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(work)
        assert is_inside.wait(30)
        database.close()
        assert not database.engine._is_closed  # type: ignore[attr-defined]  # the other thread is still using it
        is_closed.set()
        with pytest.raises(DatabaseClosedError):  # instead of a commit
            working.result(timeout=30)
    assert database.engine._is_closed  # type: ignore[attr-defined]  # let go of by the last user
    with MiniDB(database_path) as again:
        assert again.get_table("t").count() == 0


# --- let go of without an end -----------------------------------------------------------------------------------------


def test_a_transaction_that_is_let_go_of_is_rolled_back_with_a_warning(database: MiniDB, people: Table[Row]) -> None:
    held = [database.begin_transaction()]
    add(people, "Ada")
    with pytest.warns(ResourceWarning, match="let go of <write transaction"):
        held.clear()
    assert database.current_transaction() is None
    assert names(people) == []
    assert in_thread(lambda: add(people, "Eve"))
    stats = database.connection_pool.stats()
    assert stats["pool_available"] == stats["pool_size"]


def test_a_savepoint_that_is_let_go_of_is_undone_alone(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction():
        add(people, "Ada")
        held = [database.begin_transaction()]
        add(people, "Eve")
        with pytest.warns(ResourceWarning, match="let go of <savepoint"):
            held.clear()
        add(people, "Joe")
    assert names(people) == ["Ada", "Joe"]


def test_transactions_that_are_let_go_of_in_a_cycle_are_rolled_back(database: MiniDB, people: Table[Row]) -> None:
    cycle: list[object] = [database.begin_transaction()]
    add(people, "Ada")
    cycle += [database.begin_transaction(), cycle]
    add(people, "Eve")
    del cycle
    with pytest.warns(ResourceWarning, match="let go of <"):
        gc.collect()
    assert database.current_transaction() is None
    assert names(people) == []
    assert in_thread(lambda: add(people, "Joe"))


def test_a_large_transaction_let_go_of_in_another_thread_is_ended_by_its_own(database_path: Path) -> None:
    # Only the thread that began LMDB's own write transaction, as a spilled one has, may end it.
    with MiniDB(database_path, durability="none", write_timeout_s=5) as database:
        database.engine._spill_bytes = 1000  # type: ignore[attr-defined]  # this test is about LMDB's
        table = database.create_table("t")
        held = [database.begin_transaction()]
        table.insert_many(Row(n=number) for number in range(3000))

        def let_go() -> None:
            with warnings.catch_warnings(action="ignore", category=ResourceWarning):
                held.clear()
                gc.collect()

        in_thread(let_go)
        assert table.count() == 0
        table.insert(Row(n=1))
        assert in_thread(lambda: table.insert(Row(n=2)))
        assert table.count() == 2


def test_a_transaction_that_cannot_begin_leaves_nothing_behind(
    database: MiniDB, people: Table[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def fail(_: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(database, "catalog_of", fail)
        for read_only in (True, False):
            with pytest.raises(KeyboardInterrupt):
                database.begin_transaction(read_only=read_only)
    assert in_thread(lambda: add(people, "Ada"))
    stats = database.connection_pool.stats()
    assert stats["pool_available"] == stats["pool_size"]


# --- signals ----------------------------------------------------------------------------------------------------------


class _Interrupt(BaseException):
    """What the signal handler of these tests raises, as Ctrl-C raises ``KeyboardInterrupt``."""


def _interrupt(work: Callable[[], object], after_s: float) -> None:
    """Run work again and again until a signal's exception cuts it short."""

    def handle(*_: object) -> None:
        raise _Interrupt

    former = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, after_s, 1.0)  # again: one that hits a finaliser is lost
        while True:
            work()
    except _Interrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, former)


@ONE_WRITER
@pytest.mark.filterwarnings("ignore:The program let go of:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it came in a finaliser, and was lost
def test_a_signal_at_any_moment_leaves_no_lock_no_connection_and_no_half_commit_behind(
    database: MiniDB, people: Table[Row]
) -> None:
    numbers = iter(range(10**9))

    def insert() -> None:
        people.insert(Row(name=str(next(numbers)), age=1))

    def transact() -> None:
        with database.begin_transaction():
            people.insert(Row(name=str(next(numbers)), age=1))
            with database.begin_transaction():
                people.insert(Row(name=str(next(numbers)), age=2))

    def read() -> None:
        people.get(1)
        people.count()
        assert list(people.scan(limit=2))

    insert()
    for attempt in range(600):
        _interrupt((insert, transact, read)[attempt % 3], 0.00002 * (attempt % 40 + 1))
        assert database.current_transaction() is None
        insert()
    assert people.count() == len(database.query_by_index("people", "age", 1)) + len(
        database.query_by_index("people", "age", 2)
    )
    assert database.connection_pool.stats()["requests_waiting"] == 0


def test_a_write_that_was_cut_short_cannot_be_committed(
    database: MiniDB, people: Table[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_many = BufferedTransaction.put_many
    puts: list[str] = []

    def interrupt_the_second(self: BufferedTransaction, space: Space, items: Mapping[bytes, bytes]) -> None:
        puts.append(space)
        if len(puts) == 2:
            raise KeyboardInterrupt
        put_many(self, space, items)

    with pytest.raises(TransactionClosedError, match="cut a write in it short"), database.begin_transaction():
        with monkeypatch.context() as patch:
            patch.setattr(BufferedTransaction, "put_many", interrupt_the_second)
            with pytest.raises(KeyboardInterrupt):
                add(people, "Ada")
        assert len(puts) == 2  # the row is there, and its index entries are not
        for call in (people.count, lambda: add(people, "Eve"), database.begin_transaction):
            with pytest.raises(TransactionClosedError, match="catch interrupts outside"):
                call()
    assert names(people) == []


def test_a_savepoint_whose_write_was_cut_short_can_be_rolled_back_alone(
    database: MiniDB, people: Table[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with database.begin_transaction():
        add(people, "Ada")
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), database.begin_transaction():
            patch.setattr(BufferedTransaction, "put_many", interrupt)
            add(people, "Eve")
        add(people, "Joe")
    assert names(people) == ["Ada", "Joe"]


def test_a_savepoint_whose_commit_was_cut_short_takes_the_outer_transaction_along(
    database: MiniDB, people: Table[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    outer = database.begin_transaction()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), database.begin_transaction():
        add(people, "Ada")
        patch.setattr(BufferedTransaction, "release", interrupt)
    with pytest.raises(TransactionClosedError, match="cut a write in it short"):
        outer.commit()
    outer.rollback()
    assert names(people) == []


# --- too large to be undone in part -----------------------------------------------------------------------------------


@pytest.fixture
def spilling(database_path: Path) -> Iterator[MiniDB]:
    """A database whose transactions keep only a few entries in memory."""
    with MiniDB(database_path, durability="none") as opened:
        assert isinstance(opened.engine, LmdbEngine)
        opened.engine._spill_bytes = 1000
        yield opened


def bad_batch() -> Iterator[Row]:
    for number in range(5000):
        yield Row(n=number)
    raise ValueError("the source dried up")


def test_a_transaction_that_spilled_still_commits_and_rolls_back_whole(spilling: MiniDB) -> None:
    table = spilling.create_table("t")
    with pytest.raises(ValueError, match="undo"), spilling.begin_transaction():
        table.insert_many(Row(n=number) for number in range(5000))
        raise ValueError("undo")
    assert table.count() == 0
    with spilling.begin_transaction():
        table.insert_many(Row(n=number) for number in range(5000))
    assert table.count() == 5000


def test_a_doomed_transaction_refuses_everything_but_rollback(spilling: MiniDB) -> None:
    table = spilling.create_table("t")
    with pytest.raises(TransactionClosedError, match="only be rolled back"), spilling.begin_transaction() as doomed:
        table.insert(Row(n=-1))
        with pytest.raises(ValueError, match="dried up"):
            table.insert_many(bad_batch())
        for call in (
            table.count,
            lambda: table.get(1),
            lambda: list(table.scan()),
            lambda: table.insert(Row(n=1)),
            table.clear,
            lambda: spilling.create_table("more"),
            spilling.begin_transaction,
        ):
            with pytest.raises(TransactionClosedError, match="only be rolled back"):
                call()
        assert doomed.is_open
    assert not doomed.is_open
    assert table.count() == 0
    assert in_thread(lambda: table.insert(Row(n=2)))


def test_an_inner_block_of_a_doomed_transaction_cannot_commit(spilling: MiniDB) -> None:
    table = spilling.create_table("t")
    outer = spilling.begin_transaction()
    inner = spilling.begin_transaction()
    with pytest.raises(ValueError, match="dried up"):
        table.insert_many(bad_batch())
    with pytest.raises(TransactionClosedError, match="only be rolled back"):
        inner.commit()
    with pytest.raises(TransactionClosedError, match="only be rolled back"):
        outer.commit()
    assert table.count() == 0


def test_a_doomed_transaction_can_be_rolled_back_and_followed_by_another(spilling: MiniDB) -> None:
    table = spilling.create_table("t")
    doomed = spilling.begin_transaction()
    with pytest.raises(ValueError, match="dried up"):
        table.insert_many(bad_batch())
    doomed.rollback()
    with spilling.begin_transaction():
        table.insert(Row(n=1))
    assert table.count() == 1


# --- forks ------------------------------------------------------------------------------------------------------------

FORK = """
import os, sys
from minidb import MiniDB, Row
from minidb.exceptions import ForkedError

def in_child(work):
    process = os.fork()
    if process == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    assert os.waitpid(process, 0)[1] == 0

def refused(call):
    try:
        call()
    except ForkedError:
        return
    raise AssertionError("no ForkedError")

database = MiniDB(sys.argv[1], write_timeout_s=1)
table = database.create_table("t")
table.insert(Row(n=0))
"""


def run_forking(location: str, script: str) -> None:
    # A program of its own: a fork of the test runner, with its threads, would be a test of the runner.
    source = FORK + textwrap.dedent(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source, location],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_is_not_inside_its_parents_transaction(location: str) -> None:
    run_forking(
        location,
        """
        def child():
            refused(table.count)
            refused(lambda: table.insert(Row(n=2)))
            refused(transaction.commit)
            refused(lambda: next(scan))
        with database.begin_transaction() as transaction:
            table.insert(Row(n=1))
            scan = table.scan()
            next(scan)
            in_child(child)
            table.insert(Row(n=3))
        assert [row.n for row in table.scan()] == [0, 1, 3]
        """,
    )


def test_a_child_begins_transactions_of_its_own_inside_its_parents(location: str) -> None:
    run_forking(
        location,
        """
        def child():
            with database.begin_transaction(read_only=True):
                assert [row.n for row in table.scan()] == [0]
            refused(table.count)
            transaction.rollback()
        with database.begin_transaction() as transaction:
            table.insert(Row(n=1))
            in_child(child)
        assert table.count() == 2
        """,
    )


def test_a_child_that_leaves_its_parents_block_ends_nothing_of_the_parents(location: str) -> None:
    run_forking(
        location,
        """
        try:
            with database.begin_transaction():
                table.insert(Row(n=1))
                process = os.fork()
        except ForkedError:
            assert process == 0  # a child may not commit what its parent began
            assert database.current_transaction() is None
            assert database.connection_pool.stats()["pool_size"] == 0
            os._exit(0)
        assert os.waitpid(process, 0)[1] == 0
        assert [row.n for row in table.scan()] == [0, 1]
        """,
    )


def test_a_child_of_a_thread_that_writes_is_not_held_up_in_memory() -> None:
    run_forking(
        ":memory:",
        """
        import threading
        is_writing, may_end = threading.Event(), threading.Event()
        def write():
            with database.begin_transaction():
                table.insert(Row(n=1))
                is_writing.set()
                may_end.wait(30)
        thread = threading.Thread(target=write)
        thread.start()
        is_writing.wait(30)
        def child():
            table.insert(Row(n=2))
            assert [row.n for row in table.scan()] == [0, 2]
        import warnings
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of a fork beside threads
            in_child(child)
        may_end.set()
        thread.join()
        assert [row.n for row in table.scan()] == [0, 1]
        """,
    )


def test_a_child_writes_once_its_parent_has_committed(database_path: Path) -> None:
    run_forking(
        str(database_path),
        """
        with database.begin_transaction():
            table.insert(Row(n=1))
        def child():
            table.insert(Row(n=2))
            database.close()
        in_child(child)
        assert [row.n for row in table.scan()] == [0, 1, 2]
        """,
    )


def test_a_forked_error_says_what_to_do(database: MiniDB, people: Table[Row]) -> None:
    with pytest.raises(ForkedError, match="begin a new one here"), database.begin_transaction():
        add(people, "Ada")
        database.after_fork_in_child()
        names(people)
