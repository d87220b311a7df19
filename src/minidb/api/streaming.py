"""Iterating over what one snapshot holds, however slowly. ``api.table`` and ``api.mapping`` call it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from minidb.api.retry import ATTEMPTS
from minidb.engines.port import ReadTransaction
from minidb.exceptions import ConflictError
from minidb.tables.catalog import Catalog

if TYPE_CHECKING:
    from minidb.api.database import MiniDB
    from minidb.api.pool import Connection
    from minidb.api.transaction import Transaction

Item = TypeVar("Item")
Source = Callable[[ReadTransaction, Catalog], Iterator[Iterable[Item]]]
"""Yields pages. They are taken apart here, since each generator that an item goes through takes 40 ns."""


def stream(database: MiniDB, connection: Connection | None, source: Source[Item]) -> Iterator[Item]:
    """Return the items that a source yields, in the caller's transaction or in a snapshot of its own.

    The snapshot, and a connection, are in use until the last item was asked for or the iterator is gone.
    """
    transaction = database.current_transaction()
    if transaction is not None:
        return _stream_in(transaction, source)
    return _stream_alone(database, connection, source)


def _stream_in(transaction: Transaction, source: Source[Item]) -> Iterator[Item]:
    transaction.require_usable()  # the first item is asked for later, and maybe elsewhere, than the iterator was made
    for page in source(transaction.bytes, transaction.catalog):
        for item in page:
            yield item
            if not transaction.is_live:
                transaction.require_usable()


def _stream_alone(database: MiniDB, connection: Connection | None, source: Source[Item]) -> Iterator[Item]:
    noted = database.open_snapshots.begin()
    has_begun = False
    try:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with database.snapshot(connection) as (snapshot, catalog):
                    epoch = database.epoch
                    for page in source(snapshot, catalog):
                        for item in page:
                            has_begun = True
                            yield item
                            if database.epoch != epoch:  # by a fork, or else
                                database.require_open()
            except ConflictError:  # where many write at once; once an item is out, there is no way back
                if has_begun or attempt == ATTEMPTS:
                    raise
            else:
                return
    finally:
        database.open_snapshots.end(noted)
