"""Building an index on a table that has rows: all of its entries, in the transaction that makes the index."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from minidb.tables.binding import TableBinding
from minidb.tables.definitions import IndexDefinition
from minidb.tables.session import WriteSession
from minidb.tables.writing import BATCH_ROWS, insert_entries

Progress = Callable[[int, int], object]
"""Is told, from time to time, how many rows are done, and how many there are."""


def build(
    session: WriteSession, table: TableBinding, definition: IndexDefinition, progress: Progress | None = None
) -> None:
    """Write the entries of every row. REQUIRES an empty space for them.

    Raises ``UniqueViolationError`` where two rows have the same value, and what ``progress`` raises: the caller undoes
    what was written.
    """
    total = session.bytes.count(table.space)
    done = 0
    index = table.index(definition.name)
    # A batch's last key is where the next scan starts. One scan for all of them would keep the transaction from
    # spilling, and so hold every entry in memory.
    start: bytes | None = None
    while batch := list(chain.from_iterable(session.bytes.scan(table.space, start, limit=BATCH_ROWS))):
        keys = [key for key, _ in batch]
        rows = [table.values_at(key, data) for key, data in batch]
        insert_entries(session, table, index, rows, keys)
        start = keys[-1] + b"\x00"  # the smallest key beyond it
        done += len(keys)
        if progress is not None:
            progress(done, total)
