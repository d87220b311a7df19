"""An index, as a person is told of it; how it is built while others write; the look-up of one value in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from minidb.engines.port import Engine, ReadTransaction
from minidb.exceptions import (
    CommitUnknownError,
    ConflictError,
    DatabaseClosedError,
    EngineError,
    MiniDBError,
    WaitError,
)
from minidb.log import Logger
from minidb.structs import Struct
from minidb.tables import reading
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import TableKey
from minidb.tables.definitions import IndexDefinition
from minidb.tables.session import WriteSession

if TYPE_CHECKING:
    from minidb.api.calls import Calls
    from minidb.api.database import MiniDB
    from minidb.api.pool import Connection
    from minidb.tables.catalog import Catalog
    from minidb.tables.index_build import Ahead, Progress, Step

_log = Logger("minidb.query")


class Index:
    """An index of a table, as ``create_index`` and ``indexes`` describe it."""

    __slots__ = ("each", "fields", "include", "is_building", "name", "table", "unique", "where")

    def __init__(self, table: str, definition: IndexDefinition) -> None:
        self.table = table
        self.name = definition.name
        self.fields = definition.fields
        self.unique = definition.unique
        self.is_building = definition.is_building
        """Whether it is still being built: writes keep it, and no query uses it."""
        self.each = definition.each
        """The field of lists whose elements have an entry each; None if there is none among the fields."""
        self.include = definition.include
        """``"*"`` if its entries hold whole rows, so that queries need not look them up; None: they do not."""
        self.where = definition.where
        """The condition for a row to be in the index; None: all rows are."""

    def __repr__(self) -> str:
        fields = ", ".join(f"each of {field}" if field == self.each else field for field in self.fields)
        unique = ", unique" if self.unique else ""
        including = ", with the rows" if self.include else ""
        where = "" if self.where is None else f", where {self.where}"
        building = ", being built" if self.is_building else ""
        return f"<index {self.name!r} of table {self.table!r} on {fields}{unique}{including}{where}{building}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Index) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self._facts())

    def _facts(self) -> tuple[object, ...]:
        facts = self.table, self.name, self.fields, self.unique, self.each, self.include
        return *facts, str(self.where), self.is_building


class Building(Struct, frozen=True):
    """An index that is being built."""

    definition: IndexDefinition
    step: Step
    """What has been done in the transaction that began it: in a small table, all."""


Begin = Callable[[WriteSession, str, IndexDefinition], Building]


def prepare_building(database: Calls, table: str, define: Callable[[Catalog], IndexDefinition]) -> Begin:
    """Make the first entries of an index that is yet to be made, where that can be; return how to begin with them.

    Raises what ``define`` raises, and ``ChecksumError``.
    """
    engine = database.engine
    return partial(begin_building, database, ahead=_read_first(database, table, define), engine=engine)


def _read_first(database: Calls, table: str, define: Callable[[Catalog], IndexDefinition]) -> Ahead | None:
    is_in_transaction = database.current_transaction() is not None
    if is_in_transaction or database.options.read_only or database.engine.capabilities.has_many_writers:
        return None
    from minidb.tables import index_build
    from minidb.tables.definition_changes import existing_index

    with database.committed() as snapshot:
        catalog = database.catalog_of(snapshot)
        definition, wanted = catalog.definition(table), define(catalog)
        if existing_index(definition, wanted.name) is not None:
            return None
        return index_build.read_ahead_of_new(snapshot, catalog, definition, wanted)


def begin_building(
    database: Calls,
    session: WriteSession,
    table: str,
    wanted: IndexDefinition,
    ahead: Ahead | None = None,
    engine: Engine | None = None,
) -> Building:
    """Begin to build an index, or go on where it was left. The rest is for ``finish_building``, after the commit.

    REQUIRES a transaction that has written nothing if there is anything ``ahead``, which was made in ``engine``.
    """
    from minidb.tables import index_build
    from minidb.tables.definition_changes import begin_index

    ahead = _held(database, session, ahead, engine)
    index = begin_index(session, table, wanted)
    # Where many write, a change of the catalog that reads rows meets all who write any.
    has_many_writers = database.engine.capabilities.has_many_writers
    if ahead is not None or (not has_many_writers and index_build.is_small(session, index)):
        return Building(index, index_build.build_batch(session, index, ahead, has_many_writers=has_many_writers))
    return Building(index, index_build.Step(0, 0, is_finished=False))


def finish_building(database: Calls, building: Building, progress: Progress | None = None) -> None:
    """Do what is left of building an index, in short transactions, between which others write.

    REQUIRES that the caller is in no transaction.
    """
    from minidb.tables import index_build

    index, step = building.definition, building.step
    has_many_writers = database.engine.capabilities.has_many_writers
    batches = 1 if has_many_writers else index_build.MOST_BATCHES
    try:
        total = _count_rows(database, index) if progress is not None else 0
        while True:
            if progress is not None and step.rows:
                progress(step.done, max(total, step.done))
            if step.is_finished:
                return
            step, has_held = _build_batches(database, index, batches)
            if not has_held:  # others write meanwhile
                batches = max(batches // 8, 1)
            elif not has_many_writers:
                batches = min(batches * 2, index_build.MOST_BATCHES)
    except _WORTH_ANOTHER_CALL:
        raise
    except BaseException:
        with suppress(MiniDBError):  # it then waits, as that of a program that has died, for another call or for a drop
            database.write_alone(None, lambda session: index_build.abandon(session, index))
        raise


def _build_batches(database: Calls, index: IndexDefinition, batches: int) -> tuple[Step, bool]:
    """Write the entries of so many batches of rows, or of few; return whether what was made ahead of them has held."""
    from minidb.tables import index_build

    ahead, engine = None, database.engine
    if batches > index_build.FEW_BATCHES:
        with database.committed() as snapshot:
            ahead = index_build.read_ahead(snapshot, database.catalog_of(snapshot), index, batches)

    def build(session: WriteSession) -> tuple[Step, bool]:
        held = _held(database, session, ahead, engine)
        has_many_writers = database.engine.capabilities.has_many_writers
        step = index_build.build_batch(session, index, held, has_many_writers=has_many_writers)
        return step, held is ahead

    return database.write_alone(None, build)


def _held(database: Calls, session: WriteSession, ahead: Ahead | None, engine: Engine | None) -> Ahead | None:
    """Return what was made ahead, if it holds. In another engine, as after a restore, a number means another state."""
    return ahead if ahead is not None and database.engine is engine and ahead.holds_in(session) else None


_WORTH_ANOTHER_CALL: Final = (ConflictError, CommitUnknownError, WaitError, EngineError, DatabaseClosedError)
"""After these the index stays as far as it has come: they say nothing of the index."""


def _count_rows(database: Calls, index: IndexDefinition) -> int:
    with database.snapshot(None) as (snapshot, catalog):
        for definition in catalog.definitions.values():
            if any(one.id == index.id for one in definition.indexes):
                return snapshot.count(definition.space)
    return 0


def rows_by_index(
    database: MiniDB, connection: Connection | None, key: TableKey, index: str, value: Any
) -> list[Any]:  # Any: what the field's type is; and the table's rows
    """Do what ``MiniDB.query_by_index`` promises, and say so in the log if it takes long."""
    limit_ms = database.options.slow_query_ms
    if limit_ms is None:
        return database.read(connection, key, _look_up, index, value)
    began = time.perf_counter()
    rows = database.read(connection, key, _look_up, index, value)
    duration_ms = (time.perf_counter() - began) * 1000
    table = key if isinstance(key, str) else key[0]
    if duration_ms >= limit_ms:
        _log.warning(
            "slow query: index %r of table %r, %d rows, %.1f ms",
            index,
            table,
            len(rows),
            duration_ms,
            extra={"table": table, "index": index, "rows": len(rows), "duration_ms": round(duration_ms, 3)},
        )
    return rows


def _look_up(transaction: ReadTransaction, table: TableBinding, index: str, value: Any) -> list[Any]:  # Any: as above
    return table.rows(*reading.find_by_index(transaction, table, table.index(index), value))
