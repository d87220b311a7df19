"""A commit whose answer was lost is found by its token, and run again by ``db.run`` only if it was not committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest
from psycopg import sql
from tests.engines.postgres.proxy import Proxy
from tests.postgres_server import Server

from minidb import MiniDB, Row, Table
from minidb.engines.postgres import tokens
from minidb.exceptions import CommitUnknownError, ConflictError, EngineUnavailableError, UsageError

Way = tuple[MiniDB, Proxy]


@pytest.fixture
def way(postgres_server: Server, postgres_url: str) -> Iterator[Way]:
    """A database with an empty table, reached by a proxy."""
    with closing(Proxy(postgres_server.port)) as proxy:
        url = postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
        with MiniDB(url, durability="none", write_timeout_s=20) as database:
            database.create_table("t")
            yield database, proxy


def lose_a_commit(way: Way, cut: str, *, commit_token: bool = True) -> CommitUnknownError:
    database, proxy = way
    transaction = database.begin_transaction(commit_token=commit_token)
    database.get_table("t").insert(Row(n=1))
    proxy.cut = cut
    with pytest.raises(CommitUnknownError) as lost:
        transaction.commit()
    proxy.cut = None
    return lost.value


@pytest.mark.parametrize(("cut", "is_there"), [("before", False), ("after", True)])
def test_a_token_tells_whether_a_lost_commit_was_one(way: Way, cut: str, is_there: bool) -> None:
    lost = lose_a_commit(way, cut)
    assert "was_committed" in (lost.hint or "")
    assert way[0].was_committed(lost.token) is is_there
    assert way[0].was_committed(lost.token) is is_there, "as often as it is asked"
    assert way[0].get_table("t").count() == is_there


def test_a_transaction_on_a_connection_of_the_pool_may_have_a_token(way: Way) -> None:
    database, proxy = way
    with database.connection_pool.get_connection() as connection:
        for commit_token in (False, True):
            transaction = connection.begin_transaction(commit_token=commit_token)
            connection.get_table("t").insert(Row(n=1))
            proxy.cut = "after"
            with pytest.raises(CommitUnknownError) as lost:
                transaction.commit()
            proxy.cut = None
            assert (lost.value.token is not None) is commit_token
    assert database.was_committed(lost.value.token)


def test_any_program_may_ask(way: Way, postgres_url: str) -> None:
    lost = lose_a_commit(way, "after")
    with MiniDB(postgres_url, durability="none") as other:
        assert other.was_committed(lost.token)


def test_a_transaction_that_was_asked_for_can_no_longer_be_committed(way: Way) -> None:
    database, _ = way
    transaction = database.begin_transaction(commit_token=True)
    database.get_table("t").insert(Row(n=1))
    session = transaction.writing()
    assert database.engine.commit_tokens is not None
    token = database.engine.commit_tokens.new()
    assert not database.was_committed(token)
    with pytest.raises(ConflictError):
        session.bytes.commit(token)
    transaction.rollback()
    assert database.get_table("t").count() == 0


def test_asking_waits_for_a_commit_that_still_runs(way: Way, postgres_server: Server) -> None:
    """It holds its token, and has not ended: as where it waits for a standby."""
    database, _ = way
    assert database.engine.commit_tokens is not None
    token = database.engine.commit_tokens.new()
    answers: list[bool] = []
    with postgres_server.connect() as other, postgres_server.connect() as observer:
        other.execute("BEGIN")
        schema = database.engine._statements.schema  # type: ignore[attr-defined]  # of this engine
        statement = sql.SQL("INSERT INTO {} VALUES (%b, %b)").format(sql.Identifier(schema, "commits"))
        other.execute(statement, (tokens.key_of_new(token), tokens.COMMITTED))
        asking = threading.Thread(target=lambda: answers.append(database.was_committed(token)))
        asking.start()
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'minidb'"
        while not observer.execute(waits).fetchone():
            time.sleep(0.01)
        assert not answers
        other.execute("COMMIT")
        asking.join()
    assert answers == [True]


@pytest.mark.parametrize("cut", ["before", "after"])
def test_run_commits_once_whatever_is_lost(way: Way, cut: str) -> None:
    database, proxy = way
    table: Table[Row] = database.get_table("t")
    attempts = count(1)

    def body() -> int:
        number = next(attempts)
        table.insert(Row(n=number))
        if number == 1:
            proxy.cut = cut
            threading.Timer(0.3, mend).start()
        return number

    def mend() -> None:
        proxy.cut = None

    assert database.run(body, commit_token=True) == (1 if cut == "after" else 2)
    assert table.count() == 1


def test_without_a_token_run_does_not_guess(way: Way) -> None:
    database, proxy = way

    def body() -> None:
        database.get_table("t").insert(Row(n=1))
        proxy.cut = "after"

    with pytest.raises(CommitUnknownError) as lost:
        database.run(body)
    assert lost.value.token is None
    proxy.cut = None
    assert database.get_table("t").count() == 1


def test_asking_a_server_that_is_gone_ends(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    database, proxy = way
    lost = lose_a_commit(way, "after")
    monkeypatch.setattr(database.engine.commit_tokens, "_timeout_s", 0.2)
    proxy.cut = "before"
    with pytest.raises(EngineUnavailableError):
        database.was_committed(lost.token)
    proxy.cut = None
    assert database.was_committed(lost.token)


@pytest.mark.parametrize("token", ["", "x", "00", None, "0" * 40])
def test_what_is_no_token_or_too_old_is_refused(way: Way, token: str) -> None:
    with pytest.raises(UsageError):
        way[0].was_committed(token)


def test_old_tokens_are_removed_when_the_database_is_opened(
    way: Way, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, _ = way
    with database.begin_transaction(commit_token=True):
        database.get_table("t").insert(Row(n=1))
    connections = database.engine._connections  # type: ignore[attr-defined]  # of this engine
    schema = database.engine._statements.schema  # type: ignore[attr-defined]  # the same

    def kept() -> int:
        connection = connections.take()
        row = connection.row(f"SELECT count(*) FROM {schema}.commits")  # noqa: S608  # a name that this test made
        connections.give_back(connection)
        return int(row[0])

    MiniDB(postgres_url, durability="none").close()
    assert kept() == 1
    today = tokens._today()
    monkeypatch.setattr(tokens, "_today", lambda: today + tokens.KEPT_FOR_DAYS + 1)
    MiniDB(postgres_url, durability="none").close()
    assert kept() == 0


@pytest.mark.parametrize("location", ["folder", ":memory:"])
def test_where_no_answer_is_lost_a_program_runs_as_it_is(
    location: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with MiniDB(location if location == ":memory:" else tmp_path_factory.mktemp("d") / "database") as database:
        table = database.create_table("t")
        with database.begin_transaction(commit_token=True):
            table.insert(Row(n=1))
        database.run(lambda: table.insert(Row(n=2)), commit_token=True)
        assert table.count() == 2
        with pytest.raises(UsageError, match="cannot be lost"):
            database.was_committed("0" * 40)
