"""The ten anomalies of the Hermitage catalogue: none comes about where one writes at a time.

Where many do, as on a server, writers conflict instead of being refused: ``minidb.testing.isolation`` plays the same
anomalies there, on the engines' port.

Two sessions, each a thread of its own, are led through the steps of each anomaly, one step at a time. A writer that
comes while another one is at work is refused (the tests wait for nobody), does its steps afterwards, and then sees what
the first one did. Reading sessions run at the same time as the writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from minidb import MiniDB, Row, Transaction, where
from minidb.exceptions import ReadOnlyError, WriteTimeoutError
from minidb.schema import IntegerField, Schema

Result = TypeVar("Result")

VALUES = Schema(id=IntegerField(primary_key=True), value=IntegerField(required=True, index=True))
DEADLINE_S = 60.0


class Session:
    """One user of the database, in a thread of its own."""

    def __init__(self, database: MiniDB) -> None:
        self._database = database
        self._table = database.get_table("test")
        self._thread = ThreadPoolExecutor(1)
        self._transaction: Transaction | None = None

    def run(self, step: Callable[[], Result]) -> Result:
        return self._thread.submit(step).result(DEADLINE_S)

    def begin(self, *, read_only: bool = False) -> None:
        self._transaction = self.run(lambda: self._database.begin_transaction(read_only=read_only))

    def is_refused(self) -> bool:
        """Try to begin a write transaction; return whether another one stood in the way."""
        try:
            self.begin()
        except WriteTimeoutError:
            return True
        return False

    def commit(self) -> None:
        assert self._transaction is not None
        self.run(self._transaction.commit)

    def rollback(self) -> None:
        assert self._transaction is not None
        self.run(self._transaction.rollback)

    def get(self, row_id: int) -> int:
        value: int = self.run(lambda: self._table.query(row_id)["value"])
        return value

    def set(self, row_id: int, value: int) -> None:
        self.run(lambda: self._table.update(row_id, value=value))

    def insert(self, row_id: int, value: int) -> None:
        self.run(lambda: self._table.insert(Row(id=row_id, value=value)))

    def delete_where_value(self, value: int) -> int:
        return self.run(lambda: self._table.find(value=value).delete())

    def ids_from(self, value: int) -> list[int]:
        """Return the ids of the rows that have the value or more: a predicate, by the index."""
        return [row.id for row in self.run(lambda: self._table.find(where("value") >= value).all())]

    def all(self) -> dict[int, int]:
        return {row.id: row["value"] for row in self.run(lambda: list(self._table.scan()))}

    def close(self) -> None:
        if self._transaction is not None:
            self.rollback()
        self._thread.shutdown()


@pytest.fixture(params=["memory", "lmdb"])
def sessions(request: pytest.FixtureRequest, database_path: Path) -> Iterator[tuple[Session, Session, Session]]:
    location = ":memory:" if request.param == "memory" else database_path
    with MiniDB(location, write_timeout_s=0) as database:
        table = database.create_table("test", VALUES)
        table.insert_many([Row(id=1, value=10), Row(id=2, value=20)])
        three = (Session(database), Session(database), Session(database))
        yield three
        for session in three:
            session.close()


Sessions = tuple[Session, Session, Session]


def test_g0_no_write_is_laid_over_an_uncommitted_one(sessions: Sessions) -> None:
    one, two, _ = sessions
    one.begin()
    one.set(1, 11)
    assert two.is_refused()
    one.set(2, 21)
    one.commit()
    two.begin()
    two.set(1, 12)
    assert one.all() == {1: 11, 2: 21}
    two.set(2, 22)
    two.commit()
    assert one.all() == two.all() == {1: 12, 2: 22}


def test_g1a_no_aborted_write_is_read(sessions: Sessions) -> None:
    one, two, _ = sessions
    one.begin()
    one.set(1, 101)
    two.begin(read_only=True)
    assert two.all() == {1: 10, 2: 20}
    one.rollback()
    assert two.all() == {1: 10, 2: 20}
    two.commit()
    assert two.all() == {1: 10, 2: 20}


def test_g1b_no_intermediate_write_is_read(sessions: Sessions) -> None:
    one, two, three = sessions
    one.begin()
    one.set(1, 101)
    two.begin(read_only=True)
    assert two.get(1) == 10
    one.set(1, 11)
    one.commit()
    assert two.get(1) == 10
    assert three.get(1) == 11


def test_g1c_information_does_not_flow_in_a_circle(sessions: Sessions) -> None:
    one, two, _ = sessions
    one.begin()
    one.set(1, 11)
    assert two.is_refused()
    assert one.get(2) == 20
    assert two.get(1) == 10
    one.commit()
    two.begin()
    two.set(2, 22)
    assert two.get(1) == 11
    two.commit()
    assert one.all() == {1: 11, 2: 22}


def test_otv_an_observed_transaction_does_not_vanish(sessions: Sessions) -> None:
    one, two, three = sessions
    one.begin()
    one.set(1, 11)
    one.set(2, 19)
    assert two.is_refused()
    one.commit()
    three.begin(read_only=True)
    two.begin()
    two.set(1, 12)
    assert three.get(1) == 11
    two.set(2, 18)
    assert three.get(2) == 19
    two.commit()
    assert three.all() == {1: 11, 2: 19}


def test_pmp_what_a_predicate_finds_does_not_change(sessions: Sessions) -> None:
    one, two, _ = sessions
    one.begin(read_only=True)
    assert one.ids_from(30) == []
    two.insert(3, 30)
    assert two.ids_from(30) == [3]
    assert one.ids_from(30) == []
    assert one.all() == {1: 10, 2: 20}


def test_pmp_what_a_predicate_deletes_does_not_change(sessions: Sessions) -> None:
    one, two, _ = sessions
    one.begin()
    one.set(1, 20)
    one.set(2, 30)
    assert two.is_refused()
    assert two.ids_from(20) == [2]
    one.commit()
    two.begin()
    assert two.delete_where_value(20) == 1
    two.commit()
    assert one.all() == {2: 30}


def test_p4_no_update_is_lost(sessions: Sessions) -> None:
    one, two, _ = sessions
    one.begin()
    assert one.get(1) == 10
    assert two.is_refused()
    one.set(1, one.get(1) + 1)
    one.commit()
    two.begin()
    assert two.get(1) == 11
    two.set(1, two.get(1) + 1)
    two.commit()
    assert one.get(1) == 12


def test_g_single_two_reads_are_of_one_moment(sessions: Sessions) -> None:
    one, two, _ = sessions
    one.begin(read_only=True)
    assert one.get(1) == 10
    two.begin()
    two.set(1, 12)
    two.set(2, 18)
    two.commit()
    assert one.get(2) == 20
    assert one.ids_from(18) == [2]


def test_g_single_a_writers_reads_are_of_one_moment(sessions: Sessions) -> None:
    one, two, _ = sessions
    one.begin()
    assert one.get(1) == 10
    assert two.is_refused()
    assert one.ids_from(20) == [2]
    assert one.delete_where_value(20) == 1
    one.commit()
    assert two.all() == {1: 10}


def test_g2_item_two_writers_do_not_build_on_what_the_other_one_changes(sessions: Sessions) -> None:
    one, two, _ = sessions
    one.begin()
    assert (one.get(1), one.get(2)) == (10, 20)
    assert two.is_refused()
    two.begin(read_only=True)
    assert (two.get(1), two.get(2)) == (10, 20)
    one.set(1, 11)
    with pytest.raises(ReadOnlyError):  # what has read without the lock never becomes a writer
        two.set(2, 21)
    one.commit()
    two.commit()
    two.begin()
    assert (two.get(1), two.get(2)) == (11, 20)


def test_g2_two_writers_do_not_build_on_a_predicate_that_the_other_one_changes(sessions: Sessions) -> None:
    one, two, _ = sessions
    one.begin()
    assert one.ids_from(30) == []
    assert two.is_refused()
    two.begin(read_only=True)
    assert two.ids_from(30) == []
    one.insert(3, 30)
    with pytest.raises(ReadOnlyError):
        two.insert(4, 42)
    one.commit()
    two.commit()
    two.begin()
    assert two.ids_from(30) == [3]


def test_without_a_transaction_the_same_steps_do_show_anomalies(sessions: Sessions) -> None:
    """The negative control: each call is then its own transaction, and the steps above are able to tell."""
    one, two, _ = sessions
    assert one.get(1) == 10
    two.set(1, 12)
    two.set(2, 18)
    assert one.get(2) == 18  # G-single
    read_by_one, read_by_two = one.get(1), two.get(1)
    one.set(1, read_by_one + 1)
    two.set(1, read_by_two + 1)
    assert one.get(1) == 13  # P4: one update of the two is lost
