"""Building an index on a table that has rows: in the transaction that makes it, or in several short ones.

In one transaction the index is there when that is committed. In several, others write between them: the definition says
from the first on that the index is being built, so that whoever writes a row writes its entries too, while nobody reads
them. Each writes the entries of the next rows in the order of their keys, and notes the last key in a space of the
index's own; the one that finds no more rows makes the index readable. Where many write at a time, one more does that,
which reads no rows: whoever writes rows reads the catalog, and would meet it.

    progress := at end?
    at       := "at" -> done (8 bytes, big endian) row_key      how many rows, and the last one
    end      := "end" ->                                        there were no more

So whoever asks for the same index later goes on where it was left, whatever became of the program that began; two at a
time share the work. Entries of rows that were written meanwhile are there already, and are written again as they are.

The entries of many rows are made and sorted ahead, from a snapshot, while others write. They hold if nothing at all
was written until the transaction that is to write them has begun, which then has only that left to do. If anything
was, they are thrown away: that transaction reads a few rows itself, and fewer are read ahead the next time. So a
table at rest has its index at once, and a busy one in batches that nobody waits long for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import eq
from typing import Final, NamedTuple

from minidb.engines.port import Pair, ReadTransaction, Space
from minidb.exceptions import IndexNotFoundError
from minidb.structs import replace
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import Catalog, store
from minidb.tables.definitions import IndexDefinition, TableDefinition
from minidb.tables.index_entries import IndexBinding
from minidb.tables.session import WriteSession, require_settled
from minidb.tables.writing import BATCH_ROWS, insert_unique

Progress = Callable[[int, int], object]
"""Is told, from time to time, how many rows are done, and how many there are."""

MOST_BATCHES: Final = 128
"""So many batches of rows at once, at most: their entries are in memory, and are written in some 30 ms."""

FEW_BATCHES: Final = 4
"""So many are read by the transaction that writes their entries, for which others wait some 5 ms."""

_BATCH_BYTES: Final = 1024 * 1024
_MOST_BYTES: Final = 32 * 1024 * 1024
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
    last: bytes | None = None
    is_last = False
    while not is_last:
        entries = _read_entries(session.bytes, table, index, last, MOST_BATCHES)
        _write_entries(session, table, index, entries, is_free=last is None)
        done += entries.rows
        last, is_last = entries.last, entries.is_last
        if progress is not None and entries.rows:
            progress(done, total)


# --- entries of rows --------------------------------------------------------------------------------------------------


class _Entries(NamedTuple):
    """The index entries of rows that follow one another."""

    keys: list[bytes]
    """In order."""

    values: list[bytes]
    rows: int
    last: bytes | None
    """The key of the last of the rows."""

    is_last: bool
    """Whether the table has no rows behind these."""


def _read_entries(
    source: ReadTransaction, table: TableBinding, index: IndexBinding, last: bytes | None, batches: int
) -> _Entries:
    """Read the rows behind the last one, as many as make so many batches, and make their entries."""
    most_rows, most_bytes = batches * BATCH_ROWS, min(batches * _BATCH_BYTES, _MOST_BYTES)
    columns = table.column_reader(index.positions) if index.is_plain and table.names is not None else None
    keys: list[bytes] = []
    pairs: list[Pair] = []
    rows = size = 0
    for page in source.scan(table.space, None if last is None else last + b"\x00", limit=most_rows):
        row_keys = [key for key, _ in page]
        data = [row for _, row in page]
        if columns is None:
            pairs += index.entries(table.values_of_many(row_keys, data), row_keys, data)
        elif index.unique:
            pairs += index.entries_of_fields(columns(row_keys, data), row_keys, data)
        elif index.is_covering:
            pairs += zip(index.entry_keys_of_fields(columns(row_keys, data), row_keys), data, strict=True)
        else:
            keys += index.entry_keys_of_fields(columns(row_keys, data), row_keys)
        rows += len(page)
        size += sum(map(len, data))
        last = row_keys[-1]
        if size > most_bytes or len(keys) + len(pairs) > most_rows:  # a list may have many elements
            is_last = False
            break
    else:
        is_last = rows < most_rows
    if pairs:
        pairs.sort()
        return _Entries([key for key, _ in pairs], [value for _, value in pairs], rows, last, is_last)
    keys.sort()
    return _Entries(keys, [b""] * len(keys), rows, last, is_last)


def _write_entries(
    session: WriteSession, table: TableBinding, index: IndexBinding, entries: _Entries, *, is_free: bool
) -> None:
    """Write entries. ``is_free``: the index surely has no entry that one of them would replace."""
    keys, values = entries.keys, entries.values
    if index.unique and (not is_free or any(map(eq, keys, keys[1:]))):
        insert_unique(session, table, index, list(zip(keys, values, strict=True)))
    else:
        session.bytes.put_sorted(index.space, keys, values)


# --- in several transactions ------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """What a transaction has done."""

    done: int
    """Rows that have their entries, in all."""

    rows: int
    """Rows that have got them now."""

    is_finished: bool


class Ahead(NamedTuple):
    """Entries of the next rows, made from a snapshot."""

    state_id: int
    """The state that they hold for."""

    entries: _Entries
    is_free: bool
    """Whether the index has no entry that one of them would replace."""

    def holds_in(self, session: WriteSession) -> bool:
        """Tell whether nothing was written since. REQUIRES a transaction that has written nothing either."""
        return self.state_id == session.bytes.state_id


def begin(session: WriteSession, definition: TableDefinition, index: IndexDefinition) -> IndexDefinition:
    """Add an index that is to be built to a table. REQUIRES an id of its own."""
    building = replace(index, is_building=True)
    session.bytes.create_space(building.space)
    session.bytes.create_space(building.building_space)
    _change(session, replace(definition, indexes=(*definition.indexes, building)))
    return building


def is_small(session: WriteSession, index: IndexDefinition) -> bool:
    """Tell whether the table of an index has no more rows than one transaction reads."""
    return session.bytes.count(_table_of(session.catalog, index).space) <= FEW_BATCHES * BATCH_ROWS


def read_ahead(snapshot: ReadTransaction, catalog: Catalog, index: IndexDefinition, batches: int) -> Ahead | None:
    """Make the entries of the next rows, so many batches of them, for ``build_batch``. None if it must do it itself."""
    state_id = snapshot.state_id
    definition = _table_of(catalog, index)
    if state_id is None or definition.rewriting is not None:
        return None
    table = catalog.table(definition.name)
    binding = _building(table, index)
    if binding is None:
        return None
    _, last = _read_progress(snapshot, binding)
    entries = _read_entries(snapshot, table, binding, last, batches)
    is_free = not binding.unique or not any(snapshot.get_many(binding.space, entries.keys))
    return Ahead(state_id, entries, is_free)


def read_ahead_of_new(
    snapshot: ReadTransaction, catalog: Catalog, definition: TableDefinition, index: IndexDefinition
) -> Ahead | None:
    """Make the first entries of an index that is not there yet."""
    state_id = snapshot.state_id
    if state_id is None or definition.rewriting is not None:
        return None
    with_index = catalog.with_table(replace(definition, indexes=(*definition.indexes, index)))
    table = with_index.table(definition.name)
    entries = _read_entries(snapshot, table, table.written_indexes[-1], None, MOST_BATCHES)
    return Ahead(state_id, entries, is_free=True)


def build_batch(
    session: WriteSession, index: IndexDefinition, ahead: Ahead | None = None, *, has_many_writers: bool
) -> Step:
    """Write the entries of the next rows. REQUIRES that its transaction is committed, or undone, as a whole.

    ``ahead`` are these entries, and REQUIRED to hold; None: they are made here, of few rows. Raises
    ``UniqueViolationError`` where two rows have the same value, ``IndexNotFoundError`` if somebody has dropped the
    index, or the table.
    """
    definition = _table_of(session.catalog, index)
    require_settled(definition)
    table = session.catalog.table(definition.name)
    binding = _building(table, index)
    if binding is None:
        return Step(0, 0, is_finished=True)  # somebody else was quicker
    space = binding.definition.building_space
    done, last = _read_progress(session.bytes, binding)
    if session.bytes.get(space, _END) is not None:
        _make_readable(session, definition, binding.definition)
        return Step(done, 0, is_finished=True)
    if ahead is not None:
        entries, is_free = ahead.entries, ahead.is_free
    else:
        batches = 1 if has_many_writers else FEW_BATCHES
        entries, is_free = _read_entries(session.bytes, table, binding, last, batches), False
    _write_entries(session, table, binding, entries, is_free=is_free)
    done += entries.rows
    if entries.is_last and not has_many_writers:
        _make_readable(session, definition, binding.definition)
        return Step(done, entries.rows, is_finished=True)
    if entries.last is not None:
        session.bytes.put_many(space, {_AT: done.to_bytes(_COUNT_BYTES, "big") + entries.last})
    if entries.is_last:
        session.bytes.put_many(space, {_END: b""})
    return Step(done, entries.rows, is_finished=False)


def _building(table: TableBinding, index: IndexDefinition) -> IndexBinding | None:
    """Return an index that is being built; None once it is not, any more."""
    return next((one for one in table.written_indexes if one.definition.id == index.id and one.is_building), None)


def _read_progress(source: ReadTransaction, index: IndexBinding) -> tuple[int, bytes | None]:
    """Return how many rows have their entries, and the key of the last one."""
    at = source.get(index.definition.building_space, _AT)
    return (0, None) if at is None else (int.from_bytes(at[:_COUNT_BYTES], "big"), at[_COUNT_BYTES:])


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


def _table_of(catalog: Catalog, index: IndexDefinition) -> TableDefinition:
    """Return the table of an index: by the index, as it may have another name by now."""
    definitions = catalog.definitions.values()
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
