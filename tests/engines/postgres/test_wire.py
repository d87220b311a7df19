"""Pipelines: what is prepared is known, however one ends; much goes both ways; a signal cuts a wait short."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from tests.postgres_server import Server

from minidb.engines.postgres import wire
from minidb.engines.postgres.wire import Wire


@pytest.fixture
def connection(postgres_server: Server) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with closing(postgres_server.connect()) as opened:
        yield opened


@pytest.fixture
def line(connection: psycopg.Connection[tuple[object, ...]]) -> Wire:
    return Wire(connection)


def ask(line: Wire, statement: str, *parameters: bytes | int | str | list[bytes]) -> object:
    (answer,) = line.exchange([(statement, parameters)])
    ((value,),) = line.lines(answer)
    return value


FAILS = ("SELECT 1 / $1::bigint", (0,))


def test_parameters_and_answers_keep_their_types(line: Wire) -> None:
    assert ask(line, "SELECT $1::bytea", b"\x00\xff") == b"\x00\xff"
    assert ask(line, "SELECT $1::bigint", -(2**62)) == -(2**62)
    assert ask(line, "SELECT $1::text", "é'$1") == "é'$1"
    assert ask(line, "SELECT $1::bytea[]", [b"", b"a\x00"]) == [b"", b"a\x00"]
    assert ask(line, "SELECT $1::bytea[]", []) == []
    assert ask(line, "SELECT true") is True


def test_each_statement_of_a_pipeline_has_its_answer(line: Wire) -> None:
    answers = line.exchange([("BEGIN", ()), ("SELECT generate_series(1, $1::bigint)", (3,)), ("COMMIT", ())])
    assert [line.lines(answer) for answer in answers] == [[], [(1,), (2,), (3,)], []]


def test_what_was_to_be_prepared_behind_a_failure_is_prepared_later(line: Wire) -> None:
    """psycopg's own cursors would take it for prepared, and fail for ever: such as a COMMIT behind a conflict."""
    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero):
            line.exchange([("BEGIN", ()), FAILS, ("SELECT $1::text", ("a",)), ("COMMIT", ())])
        was_idle = line.is_idle
        line.exchange([("ROLLBACK", ())])
        assert (was_idle, line.is_idle) == (False, True)
        assert ask(line, "SELECT $1::text", "b") == "b"


def test_a_rollback_leaves_what_is_prepared(line: Wire, connection: psycopg.Connection[tuple[object, ...]]) -> None:
    ask(line, "SELECT $1::text", "a")
    line.exchange([("BEGIN", ())])
    line.exchange([("ROLLBACK", ())])
    ask(line, "SELECT $1::text", "b")
    found = connection.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'minidb%'").fetchone()
    assert found == (1,)


def test_no_more_statements_stay_prepared_than_said(
    line: Wire, connection: psycopg.Connection[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PREPARED_STATEMENTS", 5)
    for number in range(30):
        assert ask(line, f"SELECT $1::bigint + {number}", 1) == number + 1
        found = connection.execute("SELECT count(*) FROM pg_prepared_statements", prepare=False).fetchone()
        assert found is not None
        assert int(str(found[0])) <= 6


def test_much_goes_both_ways_in_one_pipeline(line: Wire) -> None:
    """The server stops reading when nobody takes its answers."""
    large = b"x" * 1_000_000
    answers = line.exchange([("SELECT $1::bytea", (large,)) for _ in range(40)])
    assert [line.lines(answer) for answer in answers] == [[(large,)]] * 40


def test_a_signal_cuts_a_wait_short(line: Wire) -> None:
    class Alarm(BaseException):
        pass

    def ring(*_: object) -> None:
        raise Alarm

    former = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Alarm):
            line.exchange([("SELECT pg_sleep(600)", ())])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert not line.is_idle


def test_a_connection_that_is_lost_raises_and_does_not_wait(
    line: Wire, connection: psycopg.Connection[tuple[object, ...]], postgres_server: Server
) -> None:
    with postgres_server.connect() as other:
        other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            line.exchange([("BEGIN", ()), ("SELECT $1::text", ("a",)), ("COMMIT", ())])
    assert line.ask_at_once("SELECT $1::bytea", b"") is None


def test_what_was_prepared_for_one_row_and_is_gone_is_prepared_again(
    line: Wire, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    statement = "SELECT $1::bytea"
    assert line.ask_at_once(statement, b"a") is not None
    connection.execute("DEALLOCATE ALL")
    assert line.ask_at_once(statement, b"a") is None
    assert line.ask_at_once(statement, b"a") is not None
