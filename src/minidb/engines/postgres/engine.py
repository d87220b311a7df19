"""The PostgreSQL engine behind the port."""

from __future__ import annotations

import os
import weakref

from minidb.engines.port import Capabilities, Get, OtherStateError, Space
from minidb.engines.postgres import layout
from minidb.engines.postgres.address import read_address
from minidb.engines.postgres.connections import Connections, ServerConnection
from minidb.engines.postgres.errors import UNDEFINED_TABLE
from minidb.engines.postgres.ids import IdBlocks
from minidb.engines.postgres.statements import Statements
from minidb.engines.postgres.tokens import CommitTokens
from minidb.engines.postgres.transactions import KnownSpaces, PostgresBase, PostgresSnapshot
from minidb.engines.secret import Secret
from minidb.engines.write_buffer import SPILL_BYTES, BufferedTransaction
from minidb.exceptions import ConflictError, EngineUnavailableError, ReadOnlyError
from minidb.log import Logger
from minidb.options import Options

_log = Logger("minidb.engine")


class PostgresEngine:
    """An ``Engine`` on a schema of a server's database."""

    def __init__(
        self, url: Secret, options: Options, *, schema: str | None = None, spill_bytes: int = SPILL_BYTES
    ) -> None:
        """Open, and make what is absent. Raises ``InvalidOptionError``, in which no secret of the URL stands.

        ``schema`` is another one than the URL names.
        """
        address = read_address(url)
        if schema is not None:
            address.schema = schema
        self.location = str(address)
        self._spill_bytes = spill_bytes
        self._known = KnownSpaces(-1, {})
        self._connections = Connections(address, options)
        weakref.finalize(self, self._connections.close)  # a database that is let go of leaves no session open
        connection = self._connections.open()
        try:
            dialect = connection.dialect
            self.capabilities = Capabilities(
                name=dialect.name,
                max_key_bytes=511,
                is_durable=True,
                has_many_writers=True,
                is_serializable=not address.allows_snapshot_isolation,
                is_stale=connection.is_standby,
            )
            self._statements = statements = Statements(dialect, address.schema)
            may_write = not options.read_only and not connection.is_standby
            layout.require_version(connection, self.location)
            layout.prepare(connection, statements, self.location, create=options.create and may_write)
            if may_write:
                layout.require_serializable(
                    self._connections,
                    connection,
                    statements,
                    self.location,
                    may_be_snapshot=address.allows_snapshot_isolation,
                )
                layout.clear_away(self._connections, statements)
            layout.warn_of_settings(connection, self.location)
        except BaseException:
            self._connections.close()
            raise
        self._connections.give_back(connection)
        self._ids = IdBlocks(self._connections, statements)
        self.allot_ids = self._ids.allot
        self.commit_tokens = CommitTokens(self._connections, statements, timeout_s=options.write_timeout_s)
        _engines.add(self)

    def begin_read(self) -> PostgresSnapshot:
        connection, generation, _ = self._begin(is_write=False)
        return PostgresSnapshot(self._connections, connection, self._spaces_of(connection, generation))

    def begin_write(self, timeout_s: float, began_at: object = None) -> BufferedTransaction:  # noqa: ARG002  # nobody waits for it by name
        connection, generation, next_space = self._begin(is_write=True)
        known = self._spaces_of(connection, generation)
        base = PostgresBase(self._connections, connection, self._statements, known, next_space)
        try:
            if timeout_s != connection.timeout_s:
                connection.wait_for_locks(timeout_s)
            return BufferedTransaction(base, spill_bytes=self._spill_bytes)
        except BaseException:
            base.rollback()
            raise

    def newest_getter(self, generation: int, space: Space) -> Get:
        def get(key: bytes) -> bytes | None:
            statements = self._known.spaces.get(space)
            if statements is None:
                raise OtherStateError
            connection = self._connections.take()
            try:
                found = connection.read_newest(statements.newest, key)
            finally:
                self._connections.give_back(connection)
            if found is None or found[0] != generation:
                raise OtherStateError
            return found[1]

        return get

    def _begin(self, *, is_write: bool) -> tuple[ServerConnection, int, int]:
        connection = self._connections.take()
        try:
            return (connection, *self._begin_on(connection, is_write=is_write))
        except EngineUnavailableError:
            # It was lost while it was idle, as after a failover. Nothing was begun, so another one may try.
            self._connections.give_back(connection)
            self._connections.forget_idle()
        except BaseException:
            connection.roll_back()
            self._connections.give_back(connection)
            raise
        connection = self._connections.open()
        try:
            return (connection, *self._begin_on(connection, is_write=is_write))
        except BaseException:
            connection.roll_back()
            self._connections.give_back(connection)
            raise

    def _begin_on(self, connection: ServerConnection, *, is_write: bool) -> tuple[int, int]:
        statements = self._statements
        if is_write:
            if connection.is_standby and connection.is_still_standby():
                raise ReadOnlyError(
                    "The server takes no writes: it is a standby",
                    hint="add target_session_attrs=read-write and all hosts to the URL",
                )
            begin = statements.begin_write
        else:
            begin = statements.begin_read_on_standby if connection.is_standby else statements.begin_read
        try:
            return connection.begin(begin, statements.read_state)
        except ConflictError as conflict:
            if conflict.sqlstate != UNDEFINED_TABLE:
                raise
        raise layout.no_database(statements, self.location, "it was removed, or a failover has lost it")

    def _spaces_of(self, connection: ServerConnection, generation: int) -> KnownSpaces:
        known = self._known
        if known.generation == generation:
            return known
        try:
            rows = connection.rows(self._statements.spaces)
        except BaseException:
            connection.roll_back()
            self._connections.give_back(connection)
            raise
        old = {one.number: one for one in known.spaces.values()}
        spaces = {Space(name): old.get(number) or self._statements.space(number) for name, number in rows}
        fresh = KnownSpaces(generation, spaces)
        if generation > known.generation:
            self._known = fresh  # two threads may both learn: either result is true of its own snapshot
        return fresh

    def sync(self) -> None:
        if self._statements.flush is not None:
            connection = self._connections.take()
            try:
                connection.run([(statement, ()) for statement in self._statements.flush])
            finally:
                connection.roll_back()
                self._connections.give_back(connection)

    def statistics(self) -> dict[str, int]:
        if self._statements.size is None:
            return {}
        connection = self._connections.take()
        try:
            row = connection.row(self._statements.size, self._statements.schema)
        finally:
            self._connections.give_back(connection)
        size_bytes = 0 if row is None else int(row[0] or 0)
        return {"size_bytes": size_bytes, "used_bytes": size_bytes}

    def close(self) -> None:
        self._connections.close()

    def abandon_in_child(self) -> None:
        """Leave the connections to the parent process; new ones are opened when they are needed."""
        self._connections.abandon_in_child()
        self._ids.begin_anew()


_engines: weakref.WeakSet[PostgresEngine] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for engine in list(_engines):
        engine.abandon_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
