"""Running a body again after a conflict. No engine here conflicts by itself, so the bodies raise what one would."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from minidb import MiniDB, Row, Table, Transaction
from minidb.api import retry
from minidb.engines.write_buffer import BufferedTransaction
from minidb.exceptions import CommitUnknownError, ConflictError, TransactionClosedError, UsageError


@pytest.fixture
def table(database: MiniDB) -> Table[Row]:
    return database.create_table("t")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made between attempts, which take no time here."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


def numbers(table: Table[Row]) -> list[int]:
    return [row.n for row in table.scan()]


def test_run_commits_and_returns_the_result(database: MiniDB, table: Table[Row]) -> None:
    assert database.run(lambda: table.insert(Row(n=1))) == 1
    assert database.current_transaction() is None
    assert numbers(table) == [1]


def test_run_gives_the_transaction_to_a_body_that_takes_it(database: MiniDB) -> None:
    def body(transaction: Transaction) -> bool:
        return transaction is database.current_transaction()

    assert database.run(body)


def test_run_gives_nothing_to_a_body_that_takes_nothing(database: MiniDB) -> None:
    def body(name: str = "default", *more: object, key: str = "key", **named: object) -> object:
        return name, more, key, named

    assert database.run(body) == ("default", (), "key", {})
    assert database.run(functools.partial(body, "given")) == ("given", (), "key", {})
    assert database.run(dict) == {}


def test_run_rolls_back_what_raises_and_does_not_run_it_again(
    database: MiniDB, table: Table[Row], pauses: list[float]
) -> None:
    runs: list[object] = []

    def body() -> None:
        runs.append(table.insert(Row(n=1)))
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        database.run(body)
    assert len(runs) == 1
    assert pauses == []
    assert numbers(table) == []


def test_a_conflict_is_run_again_from_a_clean_slate(database: MiniDB, table: Table[Row], pauses: list[float]) -> None:
    runs: list[object] = []

    def body() -> int:
        assert numbers(table) == []
        table.insert(Row(n=len(runs)))
        runs.append(None)
        if len(runs) < 4:
            raise ConflictError("two met")
        return len(runs)

    assert database.run(body) == 4
    assert numbers(table) == [3]
    assert len(pauses) == 3


def test_a_conflict_at_commit_is_run_again(
    database: MiniDB, table: Table[Row], pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = BufferedTransaction.commit
    commits: list[None] = []

    def commit_the_second_time(self: BufferedTransaction, _: str | None = None) -> None:
        commits.append(None)
        if len(commits) == 1:
            self.close()
            raise ConflictError("two met")
        commit(self)

    monkeypatch.setattr(BufferedTransaction, "commit", commit_the_second_time)
    database.run(lambda: table.insert(Row(n=1)))
    assert (len(commits), len(pauses)) == (2, 1)
    assert numbers(table) == [1]


def test_attempts_are_limited_and_the_last_conflict_is_raised(
    database: MiniDB, table: Table[Row], pauses: list[float]
) -> None:
    raised = []

    def body() -> None:
        table.insert(Row(n=1))
        raised.append(ConflictError("two met"))
        raise raised[-1]

    with pytest.raises(ConflictError) as caught:
        database.run(body)
    assert caught.value is raised[-1]
    assert len(raised) == retry.ATTEMPTS
    assert len(pauses) == retry.ATTEMPTS - 1
    assert numbers(table) == []


def test_pauses_are_random_and_grow_to_a_limit(
    database: MiniDB, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    ranges = []

    def uniform(low: float, high: float) -> float:
        ranges.append((low, high))
        return high

    monkeypatch.setattr("random.uniform", uniform)

    def body() -> None:
        raise ConflictError("two met")

    with pytest.raises(ConflictError):
        database.run(body)
    longest = [high for _, high in ranges]
    assert longest == sorted(longest) == pauses
    assert longest[0] < 0.02
    assert longest[-1] == retry.LONGEST_PAUSE_S
    assert {low for low, _ in ranges} == {0}


def test_an_unknown_outcome_is_not_run_again(database: MiniDB, pauses: list[float]) -> None:
    runs: list[object] = []

    def body() -> None:
        runs.append(None)
        raise CommitUnknownError("the connection was lost")

    with pytest.raises(CommitUnknownError):
        database.run(body)
    assert (len(runs), pauses) == (1, [])


def test_only_the_outermost_run_is_repeated(database: MiniDB, table: Table[Row], pauses: list[float]) -> None:
    inner_runs: list[None] = []
    outer_runs: list[None] = []

    def inner() -> None:
        inner_runs.append(None)
        table.insert(Row(n=2))
        if len(inner_runs) == 1:
            raise ConflictError("two met")

    def outer() -> None:
        outer_runs.append(None)
        table.insert(Row(n=1))
        database.run(inner)

    database.run(outer)
    assert (len(inner_runs), len(outer_runs), len(pauses)) == (2, 2, 1)
    assert numbers(table) == [1, 2]


def test_a_run_inside_a_transaction_is_a_savepoint(database: MiniDB, table: Table[Row]) -> None:
    def fail() -> None:
        table.insert(Row(n=2))
        raise ValueError("inner")

    with database.begin_transaction():
        table.insert(Row(n=1))
        with pytest.raises(ValueError, match="inner"):
            database.run(fail)
        assert database.run(lambda: table.insert(Row(n=3)))
    assert numbers(table) == [1, 3]


def test_a_body_may_end_the_transaction_itself(database: MiniDB, table: Table[Row]) -> None:
    def undo(transaction: Transaction) -> str:
        table.insert(Row(n=1))
        transaction.rollback()
        return "undone"

    assert database.run(undo) == "undone"
    assert numbers(table) == []


def test_a_body_cannot_go_on_after_ending_the_transaction(database: MiniDB, table: Table[Row]) -> None:
    def go_on(transaction: Transaction) -> None:
        transaction.rollback()
        table.insert(Row(n=1))

    with pytest.raises(TransactionClosedError):
        database.run(go_on)


def test_a_transactional_function_is_one_transaction_at_each_call(database: MiniDB, table: Table[Row]) -> None:
    @database.transactional
    def move(number: int, *, fail: bool = False) -> int:
        """Insert two rows."""
        table.insert(Row(n=number))
        if fail:
            raise ValueError("half way")
        table.insert(Row(n=-number))
        return number

    assert move(1) == 1
    with pytest.raises(ValueError, match="half way"):
        move(2, fail=True)
    assert numbers(table) == [1, -1]
    assert (move.__name__, move.__doc__) == ("move", "Insert two rows.")


def test_a_transactional_function_is_run_again_with_its_arguments(database: MiniDB, pauses: list[float]) -> None:
    runs: list[tuple[Any, ...]] = []

    @database.transactional
    def body(*arguments: int, **named: int) -> None:
        runs.append((arguments, named))
        if len(runs) == 1:
            raise ConflictError("two met")

    body(1, 2, key=3)
    assert runs == [((1, 2), {"key": 3})] * 2
    assert len(pauses) == 1


def test_transactional_functions_nest(database: MiniDB, table: Table[Row]) -> None:
    @database.transactional
    def inner() -> None:
        table.insert(Row(n=2))

    @database.transactional
    def outer() -> None:
        table.insert(Row(n=1))
        inner()
        raise ValueError("outer")

    with pytest.raises(ValueError, match="outer"):
        outer()
    assert numbers(table) == []


def test_bodies_that_would_run_after_the_commit_are_refused(database: MiniDB) -> None:
    async def coroutine() -> None: ...

    def generator() -> Iterator[int]:
        yield 1

    async def asynchronous_generator() -> AsyncIterator[int]:
        yield 1

    for body in (coroutine, generator, asynchronous_generator, functools.partial(coroutine)):
        with pytest.raises(UsageError, match="after the commit"):
            database.run(body)
        with pytest.raises(UsageError, match="after the commit"):
            database.transactional(body)
