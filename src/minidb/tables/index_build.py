"""Building an index on a table that has rows: in the transaction that makes it, or in many small ones.

In one transaction the index is there when that is committed. In many, others write between them: the definition says
from the first on that the index is being built, so that whoever writes a row writes its entries too, while nobody reads
them. Each batch writes the entries of the next rows in the order of their keys, and notes the last key in a space of
the index's own; the batch that finds no more rows makes the index readable. Where many write at a time, one more does
that, which reads no rows: whoever writes rows reads the catalog, and would meet it.

    progress := at end?
    at       := "at" -> done (8 bytes, big endian) row_key      how many rows, and the last one
    end      := "end" ->                                        there were no more

So whoever asks for the same index later goes on where it was left, whatever became of the program that began; two at a
time share the work. Entries of rows that were written meanwhile are there already, and are written again as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Final, NamedTuple

from minidb.engines.port import Pair, Space
from minidb.exceptions import IndexNotFoundError
from minidb.structs import replace
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import store
from minidb.tables.definitions import IndexDefinition, TableDefinition
from minidb.tables.index_entries import IndexBinding
from minidb.tables.session import WriteSession, require_settled
from minidb.tables.writing import BATCH_ROWS, insert_entries

Progress = Callable[[int, int], object]
"""Is told, from time to time, how many rows are done, and how many there are."""

_BATCH_BYTES: Final = 4 * 1024 * 1024
_AT: Final = b"at"
_END: Final = b"end"
_COUNT_BYTES: Final = 8


def build(
    session: WriteSession, table: TableBinding, definition: IndexDefinition, progress: Progress | None = None
) -> None:
    """Write the entries of every row. REQUIRES an empty space for them.

    Raises ``UniqueViolationError`` where two rows have the same value, and what ``progress`` raises: the caller undoes
    what was written.
    """
    total = session.bytes.count(table.space)
    done = 0
    index = next(one for one in table.written_indexes if one.definition.id == definition.id)
    # A batch's last key is where the next scan starts. One scan for all of them would keep the transaction from
    # spilling, and so hold every entry in memory.
    start: bytes | None = None
    while batch := list(chain.from_iterable(session.bytes.scan(table.space, start, limit=BATCH_ROWS))):
        start = _write_entries(session, table, index, batch)
        done += len(batch)
        if progress is not None:
            progress(done, total)


def _write_entries(session: WriteSession, table: TableBinding, index: IndexBinding, batch: list[Pair]) -> bytes:
    """Write the entries of some rows; return where the next ones begin."""
    keys = [key for key, _ in batch]
    values = [table.values_at(key, data) for key, data in batch]
    insert_entries(session, table, index, values, keys, [data for _, data in batch])
    return keys[-1] + b"\x00"  # the smallest key beyond it


# --- in many transactions ---------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """What a batch has done."""

    done: int
    """Rows that have their entries, in all."""

    rows: int
    """Rows of this batch."""

    is_finished: bool


def begin(session: WriteSession, definition: TableDefinition, index: IndexDefinition) -> IndexDefinition:
    """Add an index that is to be built to a table. REQUIRES an id of its own."""
    building = replace(index, is_building=True)
    session.bytes.create_space(building.space)
    session.bytes.create_space(building.building_space)
    _change(session, replace(definition, indexes=(*definition.indexes, building)))
    return building


def build_batch(session: WriteSession, index: IndexDefinition, *, has_many_writers: bool) -> Step:
    """Write the entries of the next rows. REQUIRES that its transaction is committed, or undone, as a whole.

    Raises ``UniqueViolationError`` where two rows have the same value, ``IndexNotFoundError`` if somebody has dropped
    the index, or the table.
    """
    definition = _table_of(session, index)
    require_settled(definition)
    table = session.catalog.table(definition.name)
    binding = next((one for one in table.written_indexes if one.definition.id == index.id), None)
    if binding is None or not binding.is_building:
        return Step(0, 0, is_finished=True)  # somebody else was quicker
    space = binding.definition.building_space
    at = session.bytes.get(space, _AT) or bytes(_COUNT_BYTES)
    done, last = int.from_bytes(at[:_COUNT_BYTES], "big"), at[_COUNT_BYTES:]
    if session.bytes.get(space, _END) is not None:
        _make_readable(session, definition, binding.definition)
        return Step(done, 0, is_finished=True)
    batch: list[Pair] = []
    size = 0
    for page in session.bytes.scan(table.space, last + b"\x00" if last else None, limit=BATCH_ROWS):
        batch += page
        size += sum(len(data) for _, data in page)
        if size > _BATCH_BYTES:
            break
    if batch:
        _write_entries(session, table, binding, batch)
        done += len(batch)
        session.bytes.put_many(space, {_AT: done.to_bytes(_COUNT_BYTES, "big") + batch[-1][0]})
    is_last = len(batch) < BATCH_ROWS and size <= _BATCH_BYTES
    if is_last and has_many_writers:
        session.bytes.put_many(space, {_END: b""})
    elif is_last:
        _make_readable(session, definition, binding.definition)
    return Step(done, len(batch), is_finished=is_last and not has_many_writers)


def abandon(session: WriteSession, index: IndexDefinition) -> None:
    """Remove an index of which nothing is to become, if it is there."""
    for definition in session.catalog.definitions.values():
        if any(one.id == index.id for one in definition.indexes):
            remove(session, definition, [index.id])
            return


def remove(session: WriteSession, definition: TableDefinition, ids: list[int]) -> None:
    """Remove indexes of a table, whatever their state."""
    for space in spaces_of([index for index in definition.indexes if index.id in ids]):
        session.bytes.drop_space(space)
    kept = tuple(one for one in definition.indexes if one.id not in ids)
    _change(session, replace(definition, indexes=kept))


def spaces_of(indexes: Iterable[IndexDefinition]) -> list[Space]:
    """Return the spaces that indexes have."""
    return [
        space for one in indexes for space in ((one.space, one.building_space) if one.is_building else (one.space,))
    ]


def _table_of(session: WriteSession, index: IndexDefinition) -> TableDefinition:
    """Return the table of an index: by the index, as it may have another name by now."""
    definitions = session.catalog.definitions.values()
    for definition in definitions:
        if any(one.id == index.id for one in definition.indexes):
            return definition
    for definition in definitions:  # under another id, where integers have become floats: it was then made whole
        if any(one.is_like(index) and one.name == index.name for one in definition.indexes):
            return definition
    raise IndexNotFoundError(
        f"The index {index.name!r} was dropped while it was being built", table=None, index=index.name
    )


def _make_readable(session: WriteSession, definition: TableDefinition, index: IndexDefinition) -> None:
    """Let an index take its name, also from one of which it takes the place."""
    session.bytes.drop_space(index.building_space)
    kept: list[IndexDefinition] = []
    for one in definition.indexes:
        if one.id == index.id:
            kept.append(replace(one, is_building=False))
        elif one.name == index.name:
            session.bytes.drop_space(one.space)
        else:
            kept.append(one)
    _change(session, replace(definition, indexes=tuple(kept)))


def _change(session: WriteSession, definition: TableDefinition) -> None:
    store(session.bytes, definition)
    session.catalog = session.catalog.with_table(definition)
