"""Statements on a connection, in pipelines of libpq's own calls: however many they are, one round trip.

psycopg's cursors could send them, and do not: they lose count of what is prepared where a pipeline fails before the
statement that prepares it, prepare everything anew after a rollback, and take 53 µs for what takes 33 here. What is
prepared is noted when the server has said so, and by nobody else.
"""

from __future__ import annotations

import select
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, Final

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

from minidb.engines.postgres.parameters import Parameter, encode_parameter

PREPARED_STATEMENTS: Final = 2000
"""So many stay prepared on a connection: a dozen for each space that it has used."""

UNSENT_BYTES: Final = 64 * 1024
"""After so many a pipeline waits until they are sent: what libpq once needed of memory it keeps."""

Statement = tuple[str, Sequence[Parameter]]
"""The text of a statement, and its parameters."""

Line = tuple[Any, ...]  # Any: columns are what the statement asks for


class Wire:
    """What goes to the server and comes back. One thread at a time.

    A method that is cut short by a signal's exception leaves it unusable: close the connection. What it raises are
    psycopg's errors.
    """

    __slots__ = ("_names", "_numbers", "_poll", "_server", "_transformer")

    def __init__(self, connection: psycopg.Connection[Line]) -> None:
        self._server = connection.pgconn
        self._transformer = Transformer(connection)
        self._names: dict[str, bytes] = {}  # of what is prepared
        self._numbers = count()
        self._poll = select.poll()
        self._poll.register(self._server.socket, select.POLLIN)

    @property
    def is_idle(self) -> bool:
        """Whether no transaction is open, and the connection is whole."""
        return self._server.transaction_status == TransactionStatus.IDLE

    def exchange(self, statements: Iterable[Statement]) -> list[PGresult]:
        """Run statements in one pipeline, and return the answer to each. After the first that fails, none runs."""
        server = self._server
        server.enter_pipeline_mode()
        try:
            asked = self._send(statements)
            answers = self._receive(asked)
        except psycopg.Error:
            if server.status == ConnStatus.OK:
                server.exit_pipeline_mode()
            raise
        server.exit_pipeline_mode()
        return answers

    def ask_at_once(self, statement: str, parameter: bytes) -> PGresult | None:
        """Return the answer to a statement by libpq's blocking call, which looks at no signals; None if it failed."""
        server = self._server
        name = self._names.get(statement)
        try:
            if name is None:
                name = self._new_name()
                if server.prepare(name, statement.encode()).status != ExecStatus.COMMAND_OK:
                    return None
                self._names[statement] = name
            answer = server.exec_prepared(name, [parameter], [Format.BINARY], Format.BINARY)
        except psycopg.Error:
            return None
        if answer.status == ExecStatus.TUPLES_OK:
            return answer
        self._names.pop(statement, None)  # it may be gone: something like DISCARD ALL
        return None

    def lines(self, answer: PGresult) -> list[Line]:
        """Return the rows of an answer."""
        self._transformer.set_pgresult(answer)
        return self._transformer.load_rows(0, answer.ntuples, tuple)

    def _send(self, statements: Iterable[Statement]) -> list[tuple[str, bytes] | None]:
        """Send statements. Return for each answer to come what it says to be prepared, or None."""
        server = self._server
        asked: list[tuple[str, bytes] | None] = []
        fresh: dict[str, bytes] = {}
        unsent_bytes = 0
        for statement, parameters in statements:
            values = list(map(encode_parameter, parameters))
            formats = [Format.BINARY] * len(values)
            if values or statement.startswith("SELECT"):
                name = self._names.get(statement) or fresh.get(statement)
                if name is None:
                    name = fresh[statement] = self._new_name()
                    server.send_prepare(name, statement.encode())
                    asked.append((statement, name))
                server.send_query_prepared(name, values, formats, Format.BINARY)
            else:  # most of these are run once, and there is little to prepare
                server.send_query_params(statement.encode(), None, result_format=Format.BINARY)
            asked.append(None)
            unsent_bytes += sum(map(len, values))
            if unsent_bytes > UNSENT_BYTES:
                unsent_bytes = 0
                self._flush()
        server.pipeline_sync()
        self._flush()
        return asked

    def _new_name(self) -> bytes:
        return b"minidb_%d" % next(self._numbers)

    def _flush(self) -> None:
        """Wait until all is sent, and take in what comes meanwhile: the server might wait for that."""
        server = self._server
        while server.flush():
            self._poll.modify(server.socket, select.POLLIN | select.POLLOUT)
            try:
                ready = self._poll.poll()
            finally:
                self._poll.modify(server.socket, select.POLLIN)
            if any(event & ~select.POLLOUT for _, event in ready):
                server.consume_input()

    def _receive(self, asked: Iterable[tuple[str, bytes] | None]) -> list[PGresult]:
        answers = []
        failure: PGresult | None = None
        for prepared in asked:
            answer = self._next(failure)
            if answer.status == ExecStatus.FATAL_ERROR:
                failure = failure or answer
            elif answer.status != ExecStatus.PIPELINE_ABORTED:
                if prepared is None:
                    answers.append(answer)
                else:
                    self._names[prepared[0]] = prepared[1]
            self._server.get_result()  # the end of the answer, which has come with it
        self._next(failure)  # the answer to the end of the pipeline
        if failure is not None:
            raise error_from_result(failure)
        if len(self._names) > PREPARED_STATEMENTS:
            self._names.clear()
            self._server.send_query_params(b"DEALLOCATE ALL", None)
            self._server.pipeline_sync()
            self._flush()
            self._receive([None])
        return answers

    def _next(self, failure: PGresult | None) -> PGresult:
        """Wait for an answer. Raises what ``failure`` says, if there is one, when the connection is lost."""
        server = self._server
        try:
            while server.is_busy():
                self._poll.poll()
                server.consume_input()
            answer = server.get_result()
        except psycopg.OperationalError:
            if failure is not None:
                raise error_from_result(failure) from None
            raise
        if answer is None:
            raise psycopg.OperationalError("the server gave no answer")
        return answer
