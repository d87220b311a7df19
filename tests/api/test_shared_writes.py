"""Writes of several threads at a time, which one of them makes: each as if it were alone."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.api.conftest import ONE_WRITER

from minidb import MiniDB, Row, Table
from minidb.api import shared_writes
from minidb.engines.port import WriteTransaction
from minidb.exceptions import (
    CommitUnknownError,
    RowNotFoundError,
    StorageFullError,
    TableNotFoundError,
    UniqueViolationError,
    WriteTimeoutError,
)
from minidb.schema import IntegerField, Schema, StringField
from minidb.tables.session import WriteSession

PEOPLE = Schema(name=StringField(required=True, unique=True), age=IntegerField(index=True))

Call = Callable[[], object]


@pytest.fixture
def people(database: MiniDB) -> Table[Row]:
    return database.create_table("people", PEOPLE)


def waiting(database: MiniDB) -> int:
    """Return how many writes wait to be made, the next leader's included."""
    assert database.shared_writes is not None, "one writer at a time"
    return len(database.shared_writes._waiting)


@contextmanager
def held_up(database: MiniDB, calls: list[Call]) -> Iterator[list[Future[object]]]:
    """Let calls wait for a transaction that is open in the block, each in a thread of its own."""
    with ThreadPoolExecutor(len(calls)) as threads:
        with database.begin_transaction():
            futures = [threads.submit(call) for call in calls]
            deadline = time.monotonic() + 30
            while waiting(database) < len(calls):
                assert time.monotonic() < deadline, "the calls do not wait"
                time.sleep(0.001)
            yield futures
        wait(futures)


def insert(people: Table[Row], name: str, age: int = 1) -> Call:
    return lambda: people.insert({"name": name, "age": age})


# --- made together ----------------------------------------------------------------------------------------------------


def test_those_that_wait_are_made_in_one_transaction(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        people = database.create_table("people", PEOPLE)
        before = database.stats()["last_transaction_id"]
        with held_up(database, [insert(people, str(number)) for number in range(8)]) as futures:
            pass
        assert sorted(future.result() for future in futures) == list(range(1, 9))  # type: ignore[type-var]  # ids
        assert database.stats()["last_transaction_id"] == before + 1
    with MiniDB(database_path) as database:
        assert {row.name for row in database.get_table("people")} == set(map(str, range(8)))


@ONE_WRITER
def test_each_sees_those_made_before_it(database: MiniDB, people: Table[Row]) -> None:
    row_id = people.insert({"name": "counter", "age": 0})

    def increment() -> None:
        for _ in range(20):
            with database.begin_transaction():
                people.update(row_id, age=people.query(row_id).age + 1)
            people.update(row_id, name="counter")

    with ThreadPoolExecutor(6) as threads:
        for future in [threads.submit(increment) for _ in range(6)]:
            future.result()
    assert people.query(row_id).columns == {"name": "counter", "age": 120}


@ONE_WRITER
def test_one_that_is_refused_hinders_no_other(database: MiniDB, people: Table[Row]) -> None:
    ada = people.insert({"name": "Ada", "age": 36})
    calls: list[Call] = [
        insert(people, "Bob"),
        insert(people, "Ada"),
        insert(people, "Eve"),
        lambda: people.delete(999),
        lambda: people.update(ada, age=37).age,
        insert(people, "Bob"),
        lambda: database.get_table("people").insert({"name": "Zoë", "age": 5}),
    ]
    with held_up(database, calls) as futures:
        pass
    outcomes = [type(future.exception()) for future in futures]
    assert sorted(one.__name__ for one in outcomes if one is not type(None)) == [
        "RowNotFoundError",
        "UniqueViolationError",
        "UniqueViolationError",
    ]
    assert futures[4].result() == 37
    assert sorted(row.name for row in people) == ["Ada", "Bob", "Eve", "Zoë"]


@ONE_WRITER
def test_each_error_is_raised_where_it_was_called(database: MiniDB, people: Table[Row]) -> None:
    people.insert({"name": "Ada"})
    with held_up(database, [insert(people, "Ada"), insert(people, "Ada"), lambda: people.update(7, age=1)]) as futures:
        pass
    errors = [future.exception() for future in futures]
    assert len(set(map(id, errors))) == 3
    assert isinstance(errors[0], UniqueViolationError)
    assert isinstance(errors[2], RowNotFoundError)
    assert errors[0].facts["value"] == "Ada"


@ONE_WRITER
def test_a_table_that_is_dropped_meanwhile_is_not_found(database: MiniDB, people: Table[Row]) -> None:
    people.insert({"name": "Ada"})
    with held_up(database, [insert(people, "Bob"), insert(people, "Eve")]) as futures:
        database.drop_table("people")
    assert all(isinstance(future.exception(), TableNotFoundError) for future in futures)


@ONE_WRITER
def test_more_than_fit_into_one_transaction_are_all_made(database: MiniDB, people: Table[Row]) -> None:
    database.connection_pool.resize(100)
    with held_up(database, [insert(people, str(number)) for number in range(90)]) as futures:
        pass
    assert sorted(future.result() for future in futures) == list(range(1, 91))  # type: ignore[type-var]  # ids
    assert waiting(database) == 0


# --- not made together ------------------------------------------------------------------------------------------------


@ONE_WRITER
def test_code_of_the_program_runs_in_the_thread_that_called(database: MiniDB) -> None:
    seen: list[tuple[int, int]] = []

    def noting(value: int) -> bool:
        seen.append((value, threading.get_ident()))
        return True

    def made() -> int:
        return threading.get_ident()

    numbers = database.create_table(
        "numbers",
        Schema(caller=IntegerField(required=True, validators=[noting]), made=IntegerField(default_factory=made)),
    )

    def write() -> None:
        for _ in range(20):
            row_id = numbers.insert({"caller": threading.get_ident()})
            numbers.update(row_id, caller=threading.get_ident())

    with ThreadPoolExecutor(6) as threads:
        for future in [threads.submit(write) for _ in range(6)]:
            future.result()
    assert len(seen) == 240
    assert all(caller == ran_in for caller, ran_in in seen)
    assert all(row.caller == row.made for row in numbers)


@ONE_WRITER
def test_a_mapping_of_the_programs_own_is_read_in_the_thread_that_called(people: Table[Row]) -> None:
    class Columns(Mapping[str, object]):
        def __init__(self, name: str) -> None:
            self.name = name
            self.readers: set[int] = set()

        def __getitem__(self, key: str) -> object:
            self.readers.add(threading.get_ident())
            return {"name": self.name, "age": 1}[key]

        def __iter__(self) -> Iterator[str]:
            return iter(("name", "age"))

        def __len__(self) -> int:
            return 2

    def write(first: int) -> None:
        for number in range(first, first + 20):
            columns = Columns(str(number))
            people.insert(columns)
            assert columns.readers == {threading.get_ident()}

    with ThreadPoolExecutor(4) as threads:
        for future in [threads.submit(write, 20 * number) for number in range(4)]:
            future.result()
    assert people.count() == 80


def test_each_is_a_state_of_its_own_in_a_history(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        people = database.create_table("people", PEOPLE)
        database.start_history()
        before = database.stats()["last_transaction_id"]
        with held_up(database, [insert(people, str(number)) for number in range(5)]):
            pass
        assert people.count() == 5
        assert database.stats()["last_transaction_id"] == before + 5


# --- failures ---------------------------------------------------------------------------------------------------------


@ONE_WRITER
def test_all_that_wait_in_vain_are_told_so(location: str) -> None:
    with MiniDB(location, durability="none", write_timeout_s=0.3) as database:
        people = database.create_table("people", PEOPLE)
        with held_up(database, [insert(people, str(number)) for number in range(5)]) as futures:
            wait(futures)  # while the transaction is open
        for future in futures:
            error = future.exception()
            assert isinstance(error, WriteTimeoutError)
            assert error.timeout_s == 0.3
        assert waiting(database) == 0
        assert ThreadPoolExecutor(1).submit(insert(people, "Ada")).result() == 1
        assert people.count() == 1


def test_where_there_is_no_room_for_all_those_that_fit_are_made(database_path: Path) -> None:
    with MiniDB(database_path, durability="none", max_size_bytes=2 * 1024 * 1024) as database:
        texts = database.create_table("texts", Schema(text=StringField(required=True)))
        calls: list[Call] = [lambda: texts.insert({"text": "x" * 3_000_000}), lambda: texts.insert({"text": "small"})]
        with held_up(database, calls * 2) as futures:
            pass
        assert [type(future.exception()) for future in futures] == [StorageFullError, type(None)] * 2
        assert [row.text for row in texts] == ["small", "small"]


def test_one_that_finds_no_room_before_the_commit_hinders_no_other(database_path: Path) -> None:
    with MiniDB(database_path, durability="none", max_size_bytes=2 * 1024 * 1024) as database:
        people = database.create_table("people", PEOPLE)
        calls = [insert(people, "Ada"), insert(people, "x" * 9_000_000), insert(people, "Bob")]  # more than is kept
        with held_up(database, calls) as futures:
            pass
        assert [type(future.exception()) for future in futures] == [type(None), StorageFullError, type(None)]
        assert [row.name for row in people] == ["Ada", "Bob"]


@ONE_WRITER
def test_what_ends_the_leader_that_makes_each_loses_none_in_silence(
    database: MiniDB, people: Table[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = database.shared_writes
    assert writes is not None
    begin, begun = database.engine.begin_write, []

    def begin_and_end(timeout_s: float) -> Any:  # Any: a transaction with another commit
        begun.append(timeout_s)
        if len(begun) == 3:
            raise SystemExit
        transaction: Any = begin(timeout_s)
        if len(begun) == 1:

            def fail() -> None:
                raise StorageFullError("No room for all of it")

            transaction.commit = fail
        return transaction

    def make(name: str) -> Call:
        def make_or_return_error() -> object:
            try:
                return people.insert({"name": name})
            except (SystemExit, CommitUnknownError) as error:
                return error

        return make_or_return_error

    people.query(people.insert({"name": "Zoë"}))
    monkeypatch.setattr(writes, "_begin", begin_and_end)
    monkeypatch.setattr(shared_writes, "LOOK_AGAIN_S", 0.05)  # by whom the leader that ended did not call
    with held_up(database, [make("Ada"), make("Bob"), make("Eve")]) as futures:
        pass
    names = {row.name for row in people}
    assert len(names) == 2, "the second of them ended it"
    for future, name in zip(futures, ("Ada", "Bob", "Eve"), strict=True):
        assert name in names or isinstance(future.result(), SystemExit | CommitUnknownError)


@ONE_WRITER
def test_a_finalizer_that_writes_while_its_thread_leads_is_refused_and_not_waited_for(
    database: MiniDB, people: Table[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = database.shared_writes
    assert writes is not None
    session_of, errors = database._session_of, list[BaseException]()

    class Farewell:
        def __del__(self) -> None:
            try:
                people.insert({"name": "too late"})
            except WriteTimeoutError as error:
                errors.append(error)

    def collect_first(alone: WriteTransaction) -> WriteSession:
        Farewell()
        return session_of(alone)

    people.query(people.insert({"name": "Ada"}))
    monkeypatch.setattr(writes, "_session_of", collect_first)
    thread = threading.Thread(target=insert(people, "Bob"), daemon=True)  # else a failure would hang the tests
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert len(errors) == 1
    assert [row.name for row in people] == ["Ada", "Bob"]


@ONE_WRITER
def test_a_commit_of_which_nobody_knows_is_so_for_all(
    database: MiniDB, people: Table[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = database.engine.begin_write

    def begin_and_fail(timeout_s: float, began_at: object = None) -> Any:  # Any: a transaction with another commit
        transaction: Any = begin(timeout_s, began_at)

        def fail() -> None:
            raise CommitUnknownError("The commit may have happened or not")

        transaction.commit = fail
        return transaction

    monkeypatch.setattr(database.shared_writes, "_begin", begin_and_fail)
    with held_up(database, [insert(people, "Ada"), insert(people, "Bob"), lambda: people.delete(5)]) as futures:
        pass
    ada, bob, delete = [future.exception() for future in futures]
    assert isinstance(ada, CommitUnknownError)
    assert isinstance(bob, CommitUnknownError)
    assert ada is not bob
    assert isinstance(delete, RowNotFoundError)
    monkeypatch.undo()
    assert ThreadPoolExecutor(1).submit(insert(people, "Eve")).result() == 1


@ONE_WRITER
def test_what_ends_the_leaders_thread_leaves_nobody_waiting(database: MiniDB, people: Table[Row]) -> None:
    writes = database.shared_writes
    assert writes is not None

    def end(_session: object) -> None:
        raise SystemExit

    def leave() -> object:
        try:
            return writes.make(end)
        except (SystemExit, CommitUnknownError) as error:
            return error

    with held_up(database, [leave, insert(people, "Bob"), insert(people, "Eve")]) as futures:
        pass
    assert isinstance(futures[0].result(), SystemExit | CommitUnknownError)
    names = {row.name for row in people}
    for future, name in zip(futures[1:], ("Bob", "Eve"), strict=True):
        assert isinstance(future.exception(), SystemExit | CommitUnknownError) is (name not in names)
    assert ThreadPoolExecutor(1).submit(insert(people, "Zoë")).result() is not None


def test_a_forked_child_writes_while_the_parents_threads_wait(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        people = database.create_table("people", PEOPLE)
        with held_up(database, [insert(people, "Ada"), insert(people, "Bob")]) as futures:
            child = os.fork()
            if child == 0:  # pragma: no cover  # in another process
                has_begun_anew = waiting(database) == 0
                os._exit(0 if has_begun_anew else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert all(future.exception() is None for future in futures)
        child = os.fork()
        if child == 0:  # pragma: no cover  # in another process
            thread = threading.Thread(target=insert(people, "Eve"))
            thread.start()
            thread.join()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert sorted(row.name for row in people) == ["Ada", "Bob", "Eve"]
