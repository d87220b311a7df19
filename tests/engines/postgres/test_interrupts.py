"""A signal's exception at any moment leaves no half commit, and no connection in use that it has spoilt."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from minidb import MiniDB, Row
from minidb.exceptions import CommitUnknownError
from minidb.schema import IntegerField, Schema


class _Interrupt(BaseException):
    """What the handler raises, as Ctrl-C raises ``KeyboardInterrupt``."""


def interrupt(work: Callable[[], object], after_s: float) -> None:
    """Run work again and again until one signal's exception cuts it short."""

    def handle(*_: object) -> None:
        raise _Interrupt

    former = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, after_s)
        while signal.getitimer(signal.ITIMER_REAL)[0] > 0:  # one that hits a finaliser is lost
            work()
    except (_Interrupt, CommitUnknownError):  # the second where it came in psycopg's own cleaning up, and was lost
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The program let go of:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it came in a finaliser, and was lost
def test_a_signal_at_any_moment_leaves_no_spoilt_connection_and_no_half_commit_behind(postgres_url: str) -> None:
    with MiniDB(postgres_url, durability="none") as database:
        people = database.create_table("people", Schema(age=IntegerField(index=True)))

        def insert() -> None:
            people.insert(Row(age=1))

        def transact() -> None:
            with database.begin_transaction():
                people.insert(Row(age=1))
                with database.begin_transaction():
                    people.insert(Row(age=2))

        def read() -> None:
            people.get(1)
            assert list(people.scan(limit=2))

        insert()
        for attempt in range(90):
            interrupt((insert, transact, read)[attempt % 3], 0.0003 * (attempt % 30 + 1))
            assert database.current_transaction() is None
            insert()
        assert people.count() == sum(len(database.query_by_index("people", "age", age)) for age in (1, 2))
        assert database.connection_pool.stats()["requests_waiting"] == 0
