"""What only a server can do: conflict, be lost, follow another one, be set up badly."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import sql
from tests.engines.postgres.proxy import Proxy
from tests.postgres_server import Server

from minidb import MiniDB, Row
from minidb.engines.port import CATALOG, Space
from minidb.engines.postgres import layout
from minidb.engines.postgres.engine import PostgresEngine
from minidb.engines.postgres.statements import Statements
from minidb.engines.secret import Secret
from minidb.exceptions import (
    CommitUnknownError,
    ConflictError,
    EngineUnavailableError,
    ForkedError,
    InvalidOptionError,
    MissingDependencyError,
    UnsupportedFormatError,
    WriteTimeoutError,
)
from minidb.options import Options
from minidb.schema import IntegerField, Schema, StringField

A = Space("a")
RELAXED = Options(durability="none")


@pytest.fixture
def engine(postgres_url: str) -> Iterator[PostgresEngine]:
    """An open engine with one space of two keys."""
    with closing(PostgresEngine(Secret(postgres_url), RELAXED)) as opened:
        transaction = opened.begin_write(10)
        transaction.create_space(A)
        transaction.put_many(A, {b"x": b"0", b"y": b"0"})
        transaction.commit()
        yield opened


def schema_of(url: str) -> str:
    return url.partition("minidb_schema=")[2]


# --- conflicts --------------------------------------------------------------------------------------------------------


def test_write_skew_ends_in_a_conflict(engine: PostgresEngine) -> None:
    one, two = engine.begin_write(10), engine.begin_write(10)
    assert one.get(A, b"x") == two.get(A, b"y") == b"0"
    one.put_many(A, {b"y": b"1"})
    two.put_many(A, {b"x": b"1"})
    one.commit()
    with pytest.raises(ConflictError) as conflict:
        two.commit()
    assert conflict.value.sqlstate == "40001"
    assert conflict.value.__context__ is None, "the frames of the cause hold keys and values"
    snapshot = engine.begin_read()
    assert snapshot.get_many(A, [b"x", b"y"]) == [b"0", b"1"]
    snapshot.close()


def test_a_conflict_that_was_caught_comes_again_at_the_commit(engine: PostgresEngine) -> None:
    one, two = engine.begin_write(10), engine.begin_write(10)
    assert one.get(A, b"x") == two.get(A, b"x") == b"0"
    one.put_many(A, {b"x": b"1"})
    two.put_many(A, {b"x": b"2"})
    one.commit()
    with pytest.raises(ConflictError):
        two.get(A, b"y")  # what is to be written goes first
        two.commit()
    two.close()


def test_a_writer_waits_for_a_lock_no_longer_than_said(engine: PostgresEngine, postgres_server: Server) -> None:
    with postgres_server.connect() as other, other.transaction():
        other.execute(sql.SQL("SELECT 1 FROM {} FOR UPDATE").format(_table(engine)))
        transaction = engine.begin_write(0.01)
        transaction.put_many(A, {b"x": b"1"})
        with pytest.raises(WriteTimeoutError):
            transaction.commit()


def _table(engine: PostgresEngine) -> sql.Identifier:
    engine.begin_read().close()
    return sql.Identifier(engine._statements.schema, f"space_{engine._known.spaces[A].number}")


def test_calls_outside_a_transaction_are_run_again_after_a_conflict(postgres_url: str) -> None:
    with MiniDB(postgres_url, durability="none") as database:
        counters = database.mapping("counters")
        counters["n"] = 0

        def increment() -> None:
            for _ in range(25):
                counters.increment("n")

        threads = [threading.Thread(target=increment) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counters["n"] == 100


def test_a_change_of_the_tables_and_a_row_written_by_the_old_ones_cannot_both_be(postgres_url: str) -> None:
    with MiniDB(postgres_url, durability="none") as one, MiniDB(postgres_url, durability="none") as two:
        table = one.create_table("t", Schema(age=IntegerField()))
        ours = two.get_table("t")
        with pytest.raises(ConflictError), two.begin_transaction():
            ours.insert(Row(age=1))
            one.create_index("t", "age")
        ours.insert(Row(age=2))
        assert [row.age for row in one.query_by_index("t", "age", 2)] == [2]
        assert table.count() == 1


def test_every_client_sees_a_change_of_the_tables(postgres_url: str) -> None:
    with MiniDB(postgres_url, durability="none") as one, MiniDB(postgres_url, durability="none") as two:
        one.create_table("t").insert(Row(a=1))
        assert two.get_table("t").query(1).a == 1
        two.drop_table("t")
        two.create_table("t").insert(Row(a=2))
        assert one.get_table("t").query(1).a == 2


# --- a connection that is lost ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cut", "is_there"), [("before", False), ("after", True)])
def test_a_connection_that_is_lost_during_the_commit_leaves_it_unknown(
    postgres_server: Server, postgres_url: str, cut: str, is_there: bool
) -> None:
    with closing(Proxy(postgres_server.port)) as proxy:
        url = postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
        with MiniDB(url, durability="none") as database:
            table = database.create_table("t")
            transaction = database.begin_transaction()
            table.insert(Row(n=1))
            proxy.cut = cut
            with pytest.raises(CommitUnknownError):
                transaction.commit()
            proxy.cut = None
            assert table.count() == is_there
            table.insert(Row(n=2))  # on a new connection


def test_a_connection_that_is_lost_before_the_commit_is_surely_not_committed(
    postgres_server: Server, postgres_url: str
) -> None:
    with MiniDB(postgres_url, durability="none") as database:
        table = database.create_table("t")
        transaction = database.begin_transaction()
        table.insert(Row(n=1))
        end_sessions(postgres_server)
        with pytest.raises(EngineUnavailableError, match="was lost"):
            table.count()
        transaction.rollback()
        assert table.count() == 0


def test_idle_connections_that_are_lost_are_replaced(postgres_server: Server, postgres_url: str) -> None:
    with MiniDB(postgres_url, durability="none") as database:
        table = database.create_table("t")
        row_id = table.insert(Row(n=1))
        for work in (table.count, lambda: table.query(row_id), lambda: table.insert(Row(n=2))):
            end_sessions(postgres_server)
            work()
        assert table.count() == 2


def end_sessions(server: Server) -> None:
    with server.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'minidb'")
        while connection.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = 'minidb'").fetchone():
            pass


def test_only_clean_connections_are_used_again(engine: PostgresEngine) -> None:
    kept = engine._connections._idle[-1]
    transaction = engine.begin_write(10)
    transaction.get(A, b"x")
    transaction.close()
    assert engine._connections._idle[-1] is kept
    assert kept.is_clean
    snapshot = engine.begin_read()
    snapshot._connection._connection.close()  # type: ignore[union-attr]  # it is open
    with pytest.raises(EngineUnavailableError):
        snapshot.close()
    assert kept not in engine._connections._idle


def test_a_database_that_is_let_go_of_closes_its_sessions(postgres_url: str) -> None:
    engine = PostgresEngine(Secret(postgres_url), RELAXED)
    connection = engine._connections._idle[0]
    del engine
    assert connection._connection.closed


# --- forks ------------------------------------------------------------------------------------------------------------


def test_a_child_connects_anew_and_ends_no_session_of_its_parent(engine: PostgresEngine) -> None:
    snapshot = engine.begin_read()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with pytest.raises(ForkedError):
                snapshot.get(A, b"x")
            snapshot.close()
            mine = engine.begin_write(10)
            mine.put_many(A, {b"x": b"child"})
            mine.commit()
            engine.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert snapshot.get(A, b"x") == b"0"
    snapshot.close()
    again = engine.begin_read()
    assert again.get(A, b"x") == b"child"
    again.close()


# --- opening ----------------------------------------------------------------------------------------------------------


def test_a_database_that_is_not_there_is_made_unless_that_is_refused(postgres_url: str) -> None:
    for options in (Options(create=False), Options(read_only=True)):
        with pytest.raises(EngineUnavailableError, match="no database in schema"):
            PostgresEngine(Secret(postgres_url), options)
    PostgresEngine(Secret(postgres_url), RELAXED).close()
    for options in (Options(create=False), Options(read_only=True)):
        PostgresEngine(Secret(postgres_url), options).close()


def test_a_database_that_is_removed_under_a_program_is_said_to_be_gone(
    postgres_url: str, postgres_server: Server
) -> None:
    with MiniDB(postgres_url, durability="none") as database:
        table = database.create_table("t")
        postgres_server.drop(schema_of(postgres_url))
        for work in (table.count, lambda: table.query(1), lambda: table.insert(Row(n=1)), database.table_names):
            with pytest.raises(EngineUnavailableError, match="no database in schema"):
                work()


def test_a_schema_that_is_there_is_used(postgres_url: str, postgres_server: Server) -> None:
    with postgres_server.connect() as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema_of(postgres_url))))
    PostgresEngine(Secret(postgres_url), RELAXED).close()


def test_many_programs_may_make_one_database_at_once(postgres_url: str) -> None:
    failures: list[BaseException] = []
    meet = threading.Barrier(6)

    def open_it() -> None:
        meet.wait()
        try:
            with MiniDB(postgres_url, durability="none") as database:
                database.run(lambda: database.table("t"))
        except BaseException as error:  # noqa: BLE001  # to be raised by the test
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_format_of_the_future_is_refused(postgres_url: str, postgres_server: Server) -> None:
    PostgresEngine(Secret(postgres_url), RELAXED).close()
    with postgres_server.connect() as connection:
        marks = sql.Identifier(schema_of(postgres_url), "marks")
        connection.execute(sql.SQL("UPDATE {} SET value = '9' WHERE name = 'format'").format(marks))
    with pytest.raises(UnsupportedFormatError):
        PostgresEngine(Secret(postgres_url), RELAXED)


def test_settings_that_cost_speed_are_warned_of_with_what_to_set(
    postgres_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    PostgresEngine(Secret(postgres_url), RELAXED).close()
    assert not caplog.records
    monkeypatch.setattr(layout, "ENOUGH_PREDICATE_LOCKS", 10_000)
    PostgresEngine(Secret(postgres_url), RELAXED).close()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "set it to 4096" in record.getMessage()


def test_a_server_that_accepts_write_skew_is_refused_unless_asked_for(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is only snapshot-isolated is PostgreSQL asked for no more."""
    make = Statements.__init__

    def make_weaker(self: Statements, *arguments: object) -> None:
        make(self, *arguments)  # type: ignore[arg-type]  # handed on
        self.probe.begin = "BEGIN ISOLATION LEVEL REPEATABLE READ"

    with monkeypatch.context() as patch:
        patch.setattr(Statements, "__init__", make_weaker)
        with pytest.raises(InvalidOptionError, match="write skew") as refused:
            PostgresEngine(Secret(postgres_url), RELAXED)
        assert "minidb_isolation=snapshot" in str(refused.value.hint)
        PostgresEngine(Secret(postgres_url + "&minidb_isolation=snapshot"), RELAXED).close()
    PostgresEngine(Secret(postgres_url), RELAXED).close()


def test_the_tables_of_dropped_spaces_are_removed_when_nobody_can_read_them(
    engine: PostgresEngine, postgres_server: Server
) -> None:
    name = _table(engine)._obj[1]
    transaction = engine.begin_write(10)
    transaction.drop_space(A)
    transaction.commit()

    def is_there() -> bool:
        with postgres_server.connect() as connection:
            found = connection.execute(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
                (engine._statements.schema, name),
            )
            return found.fetchone() is not None

    layout.clear_away(engine._connections, engine._statements)
    assert is_there(), "a snapshot may still be reading it"
    with postgres_server.connect() as connection:
        dropped = sql.Identifier(engine._statements.schema, "dropped")
        connection.execute(sql.SQL("UPDATE {} SET dropped_at = dropped_at - interval '1 day'").format(dropped))
    layout.clear_away(engine._connections, engine._statements)
    assert not is_there()


def test_without_psycopg_the_error_says_what_to_install() -> None:
    program = """\
import sys
sys.modules["psycopg"] = None
from minidb import MiniDB
try:
    MiniDB("postgresql://user:s3cret@host/name")
except Exception as error:
    print(type(error).__name__, error.package, error.extra, error.hint)
"""
    completed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ.copy(), timeout=60
    )
    kind = MissingDependencyError.__name__
    assert completed.stdout == f"{kind} psycopg postgres pip install 'minidb-kv[postgres]'\n"


# --- names and values -------------------------------------------------------------------------------------------------

NASTY = [
    "'; DROP TABLE users; --",
    'a"b',
    "a%sb%%c%(d)s",
    "back\\slash\\'quote",
    "$1 $$ $body$",
    "null\x00byte",
    "é漢字🎉\u202e",
    "{curly} {0}",
    "x" * 250,
    "%b",
    "select",
    " leading and trailing ",
    "new\nline\ttab",
]


def test_nasty_names_and_values_come_back_as_they_were(postgres_server: Server) -> None:
    url = postgres_server.url("nasty%22;%20--%25s")
    try:
        with MiniDB(url, durability="none") as database:
            for number, nasty in enumerate(NASTY):
                name = nasty if nasty.isprintable() else f"n{number}"
                table = database.create_table(name, Schema(text=StringField(index=True), key=StringField()))
                for value in NASTY:
                    row_id = table.insert(Row(text=value, key=nasty))
                    assert table.query(row_id).text == value
                    assert [row.id for row in database.query_by_index(name, "text", value)] == [row_id]
                mapping = database.mapping(f"m{name}"[:255])
                mapping[nasty] = nasty
                assert dict(mapping) == {nasty: nasty}
            assert len(database.table_names()) == len(NASTY)
    finally:
        postgres_server.drop('nasty"; --%s')


def test_the_catalog_is_there_from_the_beginning(postgres_url: str) -> None:
    with closing(PostgresEngine(Secret(postgres_url), RELAXED)) as opened:
        snapshot = opened.begin_read()
        assert snapshot.spaces() == [CATALOG]
        snapshot.close()


def test_psycopg_logs_nothing_of_a_pipeline_that_failed(
    engine: PostgresEngine, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = engine.begin_write(10), engine.begin_write(10)
    for transaction in (one, two):
        assert transaction.get(A, b"x") == b"0"
        transaction.put_many(A, {b"x": b"1"})
    one.commit()
    with pytest.raises(ConflictError):
        two.commit()
    assert not [record for record in caplog.records if record.name == psycopg.__name__]
