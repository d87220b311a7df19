"""How a call reaches the engine: in the caller's transaction, or in a snapshot or transaction of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from minidb.api.pool import Connection, ConnectionPool
from minidb.api.retry import repeat
from minidb.api.shared_writes import SharedWrites
from minidb.api.snapshots import OpenSnapshots
from minidb.api.transaction import Transaction, ambient_transaction
from minidb.engines.port import Engine, OtherStateError, ReadTransaction, WriteTransaction
from minidb.exceptions import ConflictError, DatabaseClosedError, ReadOnlyError
from minidb.options import Options
from minidb.tables import catalog as catalogs
from minidb.tables import reading
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import Catalog, TableKey
from minidb.tables.session import WriteSession

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


class Calls:
    """What every call on a database goes through. ``MiniDB`` is made on it, and puts its attributes in place."""

    engine: Engine
    options: Options
    epoch: int
    """Raised by a fork and by close: what was begun before must look again."""

    fork_count: int
    connection_pool: ConnectionPool
    open_snapshots: OpenSnapshots
    shared_writes: SharedWrites | None
    """None where many may write at a time anyway."""

    _is_closed: bool
    _made_here: set[int]
    """Ids of the tables and indexes that this object made. They are never used again."""

    _catalog: Catalog
    _catalog_lock: threading.Lock
    """Held to replace the catalog, for moments only."""

    @property
    def location(self) -> str:
        """Where the data lives, without any secret."""
        return self.engine.location

    def require_open(self) -> None:
        """Raise ``DatabaseClosedError`` once the database is closed."""
        if self._is_closed:
            raise DatabaseClosedError("The database is closed", hint="open it again: MiniDB(path)")

    def _require_writable(self) -> None:
        if self.options.read_only:
            raise ReadOnlyError("The database was opened as read-only", hint="open it without read_only to write")

    def _require_beginning(self, *, read_only: bool) -> None:
        self.require_open()
        if not read_only:
            self._require_writable()

    def current_transaction(self) -> Transaction | None:
        """Return the transaction that calls of this thread or task take part in, or None."""
        ambient = ambient_transaction()
        return None if ambient is None else ambient.find(self)

    def _transaction_around(self) -> Transaction | None:
        """Return what a transaction that begins now is inside of. One that was inherited by a fork is no such thing."""
        ambient = ambient_transaction()
        outer = None if ambient is None else ambient.innermost(self)
        if outer is None or outer.is_inherited:
            return None
        outer.require_usable()
        return outer

    def catalog_of(self, transaction: ReadTransaction) -> Catalog:
        """Return the catalog of a snapshot: the one at hand, if nothing has changed since it was read."""
        catalog = self._catalog
        if catalog.generation != transaction.generation:
            with self._catalog_lock:
                catalog = catalogs.load(transaction, self._catalog)
                if catalog.generation > self._catalog.generation:
                    self._catalog = catalog
        return catalog

    def find_alone(self, connection: Connection | None, key: TableKey, row_id: object) -> Any:  # Any: the table's rows
        """Return the row that has an id, or None: ``read`` of ``reading.find``, outside a transaction and quicker."""
        if connection is not None:
            return self.read(connection, key, reading.find, row_id)
        pool = self.connection_pool
        try:
            taken = pool.idle.pop()  # pool.take, written out
            taken.uses += 1
        except IndexError:
            taken = pool.take()
        try:
            catalog = self._catalog
            find = catalog.finders.get(key)
            if find is not None:
                try:
                    row = find(row_id)
                    if row is not None or catalog.table(key).key_of_id(row_id) is not None:
                        return row  # else nothing was read, and the table may be gone
                except OtherStateError:
                    pass
            snapshot = self.engine.begin_read()
            try:
                return reading.find(snapshot, self._finding_newest(self.catalog_of(snapshot), key), row_id)
            finally:
                snapshot.close()
        finally:
            taken.home.append(taken)  # pool.give_back, written out
            if pool.needs_care:
                pool.settle()

    def _finding_newest(self, catalog: Catalog, key: TableKey) -> TableBinding:
        """Return a table, and keep what finds its rows in the newest state, where the engine reads that in one step."""
        table = catalog.table(key)
        newest_getter = self.engine.newest_getter
        if newest_getter is not None and key not in catalog.finders:
            catalog.finders[key] = reading.finder(newest_getter(catalog.generation, table.space), table)
        return table

    def read(
        self,
        connection: Connection | None,
        key: TableKey,
        operation: Callable[Concatenate[ReadTransaction, TableBinding, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Read a table: in the caller's transaction, or in a snapshot of its own."""
        transaction = self.current_transaction()
        if transaction is not None:
            return operation(transaction.bytes, transaction.catalog.table(key), *arguments, **named)
        try:
            held = self._hold(connection)  # ``snapshot``, written out: a generator less on the way of every query
            try:
                self.require_open()
                snapshot = self.engine.begin_read()
                try:
                    return operation(snapshot, self.catalog_of(snapshot).table(key), *arguments, **named)
                finally:
                    snapshot.close()
            finally:
                if held is not None:
                    self.connection_pool.take_back(held)
        except ConflictError:  # where many write at once: what was read may stand in no order of them
            return repeat(lambda: self._read_again(connection, key, operation, *arguments, **named))

    def _read_again(
        self,
        connection: Connection | None,
        key: TableKey,
        operation: Callable[Concatenate[ReadTransaction, TableBinding, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        with self.snapshot(connection) as (snapshot, catalog):
            return operation(snapshot, catalog.table(key), *arguments, **named)

    @contextmanager
    def snapshot(self, connection: Connection | None) -> Iterator[tuple[ReadTransaction, Catalog]]:
        """Yield the caller's transaction, or a snapshot for the block, and its catalog."""
        transaction = self.current_transaction()
        if transaction is not None:
            yield transaction.bytes, transaction.catalog
            return
        held = self._hold(connection)
        try:
            self.require_open()
            snapshot = self.engine.begin_read()
            try:
                yield snapshot, self.catalog_of(snapshot)
            finally:
                snapshot.close()
        finally:
            if held is not None:
                self.connection_pool.take_back(held)

    @contextmanager
    def committed(self) -> Iterator[ReadTransaction]:
        """Yield a snapshot of what is committed, also where the caller is in a transaction."""
        held = self._hold(None)
        try:
            self.require_open()
            snapshot = self.engine.begin_read()
            try:
                yield snapshot
            finally:
                snapshot.close()
        finally:
            if held is not None:
                self.connection_pool.take_back(held)

    def _hold(self, connection: Connection | None) -> Connection | None:
        """Take a connection of the pool for a call, if it has been given none."""
        if connection is None:
            return self.connection_pool.hold()
        connection.require_lent()
        return None

    def write(
        self,
        connection: Connection | None,
        key: TableKey,
        operation: Callable[Concatenate[WriteSession, TableBinding, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Write to a table: in the caller's transaction, or in one of its own.

        REQUIRES an operation that writes nothing before its last check.
        """
        transaction = self.current_transaction()
        if transaction is not None:
            session = transaction.writing()
            try:
                return operation(session, session.table(key), *arguments, **named)
            except Exception:  # by the operation's last check, so nothing was written
                raise
            except BaseException:
                transaction.cut_short()
                raise

        def write_to_table(session: WriteSession) -> Result:
            return operation(session, session.table(key), *arguments, **named)

        return self.write_alone(connection, write_to_table, may_share=self._may_share(key, arguments))

    def _may_share(self, key: TableKey, arguments: Sequence[object]) -> bool:
        """Tell whether another thread may make a write: if it runs no code of the program's. See ``shared_writes``."""
        return (
            threading.get_ident() != threading.main_thread().ident
            and self.shared_writes is not None
            and not self.shared_writes.is_led_by_caller
            and ambient_transaction() is None  # one of another object for this database would be waited for in vain
            and not self._catalog.runs_code(key)
            and not any(type(one) is not dict and isinstance(one, Mapping) for one in arguments)
        )

    def write_alone(
        self,
        connection: Connection | None,
        operation: Callable[[WriteSession], Result],
        *,
        may_repeat: bool = True,
        may_share: bool = False,
    ) -> Result:
        """Run an operation in a write transaction of its own and commit it. REQUIRES that the caller is in none.

        After a conflict it is run again, unless it uses up what it is given, such as an iterable of rows. If it may
        share, the transaction may have other threads' operations in it, and be made by one of these.
        """
        held = self._hold(connection)
        try:
            self._require_beginning(read_only=False)
            if may_share and self.shared_writes is not None:
                result: Result = self.shared_writes.make(operation)
                return result
            if may_repeat and self.engine.capabilities.has_many_writers:
                return repeat(lambda: self._write_once(operation))
            return self._write_once(operation)
        finally:
            if held is not None:
                self.connection_pool.take_back(held)

    def _write_once(self, operation: Callable[[WriteSession], Result]) -> Result:
        alone = self.engine.begin_write(self.options.write_timeout_s)
        try:
            result = operation(self._session_of(alone))
            alone.commit()
            return result
        finally:
            try:
                alone.close()
            except BaseException:  # a signal's, which must not leave the write lock held
                alone.close()
                raise

    def _session_of(self, alone: WriteTransaction) -> WriteSession:
        return WriteSession(alone, self.catalog_of(alone), self.engine.allot_ids)

    def _begin_shared(self, timeout_s: float) -> WriteTransaction:
        return self.engine.begin_write(timeout_s)  # of the engine of now: compact and restore_from change it

    def make_shared_writes(self) -> None:
        """Begin with nothing that waits to be written, as when the database is opened, and in a forked child."""
        self.shared_writes = None
        if not self.engine.capabilities.has_many_writers:
            self.shared_writes = SharedWrites(
                self._begin_shared,
                self._session_of,
                timeout_s=self.options.write_timeout_s,
                gathers=self.engine.capabilities.is_durable,
            )

    def write_many(
        self,
        connection: Connection | None,
        key: TableKey,
        operation: Callable[Concatenate[WriteSession, TableBinding, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """``write`` for an operation that may fail when it has written a part: inside a transaction, a savepoint."""
        if self.current_transaction() is None:
            return self.write_alone(
                connection,
                lambda session: operation(session, session.table(key), *arguments, **named),
                may_repeat=False,
            )
        with Transaction(self, None, self._transaction_around(), read_only=False) as savepoint:
            session = savepoint.writing()
            return operation(session, session.table(key), *arguments, **named)

    def keep(self, committed: Catalog, made_here: set[int]) -> None:
        """Remember, of a transaction that has been committed, the schemas that the program gave and what it made."""
        self._made_here |= made_here
        with self._catalog_lock:
            self._catalog = self._catalog.with_live_schemas_of(committed)
