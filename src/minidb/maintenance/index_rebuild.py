"""Rebuild: all index entries of a store that has the rows and none of their entries, in constant memory.

What cannot be read, or has impossible values, is passed over: ``verify``, which follows, says what and where.
"""

from __future__ import annotations

import re
from typing import Final

from minidb.engines.port import Engine, Pair, Space
from minidb.exceptions import CorruptionError, MiniDBError
from minidb.maintenance.expected import UNFIT, ReadRow, entries_of, entries_of_all
from minidb.maintenance.filling import writing
from minidb.structs import replace
from minidb.tables import catalog as catalogs
from minidb.tables.binding import TableBinding
from minidb.tables.definitions import TableDefinition
from minidb.tables.index_entries import IndexBinding

_BATCH_ENTRIES: Final = 200_000
"""Sorted and put at a time: some 40 MB. Fewer cost more, since each batch goes all over the index."""
_SPACE_NAME: Final = re.compile("index/[0-9]{1,20}")


def build_indexes(engine: Engine) -> None:
    """Make the spaces and entries of all indexes. REQUIRES that there are none.

    An index that was being built is forgotten, and so is a migration step that was begun: whoever asks for it again
    begins anew.
    """
    tables = _tables(engine)
    with writing(engine) as transaction:
        for table in tables:
            if _built(table.definition) != table.definition:
                catalogs.store(transaction, _built(table.definition))
                for space in _spaces_of_step(table.definition) & set(transaction.spaces()):
                    transaction.drop_space(space)
            for index in table.indexes:
                transaction.create_space(index.space)
    for table in tables:
        _build(engine, table)


def _tables(engine: Engine) -> list[TableBinding]:
    """Return the tables with indexes that can be made: a catalog may say anything."""
    snapshot = engine.begin_read()
    try:
        owned = set(snapshot.spaces())
        definitions = catalogs.load(snapshot, None).definitions.values()
    except (MiniDBError, *UNFIT):
        return []
    finally:
        snapshot.close()
    tables = []
    for definition in definitions:
        spaces = [index.space for index in _built(definition).indexes]
        if (
            (definition.indexes or definition.rewriting is not None)
            and definition.space in owned
            and all(map(_SPACE_NAME.fullmatch, spaces))
            and len(owned.union(spaces)) == len(owned) + len(spaces)
            and (table := _bound(definition)) is not None
        ):
            owned.update(spaces)
            tables.append(table)
    return tables


def _built(definition: TableDefinition) -> TableDefinition:
    """Return a definition without the indexes that are being built, and without a step that was begun."""
    indexes = tuple(index for index in definition.indexes if not index.is_building)
    return replace(definition, indexes=indexes, rewriting=None)


def _spaces_of_step(definition: TableDefinition) -> set[Space]:
    rewriting = definition.rewriting
    return set() if rewriting is None else {rewriting.target.space, rewriting.progress_space}


def _bound(definition: TableDefinition) -> TableBinding | None:
    try:
        return TableBinding(definition, definition.schema)
    except (MiniDBError, *UNFIT):  # such as an index on a field that there is not
        return None


def _build(engine: Engine, table: TableBinding) -> None:
    """Write the entries of a table's rows."""
    start: bytes | None = b"" if table.indexes else None
    while start is not None:
        entries, start = _next_entries(engine, table, start)
        with writing(engine) as transaction:
            for index, found in zip(table.indexes, entries, strict=True):
                found.sort()
                transaction.put_many(index.space, dict(found))


def _next_entries(engine: Engine, table: TableBinding, start: bytes) -> tuple[list[list[Pair]], bytes | None]:
    """Return the entries of some rows for each index, and where the next rows start; None for nowhere."""
    entries: list[list[Pair]] = [[] for _ in table.indexes]
    # A snapshot for each batch: held over the commits of all, it would keep what they free from being used again.
    snapshot = engine.begin_read()
    try:
        for page in snapshot.scan(table.space, start or None):
            rows = _readable(table, page)
            for index, found in zip(table.indexes, entries, strict=True):
                found.extend(_entries_of(index, rows))
            if sum(map(len, entries)) >= _BATCH_ENTRIES:
                return entries, page[-1][0] + b"\x00"  # the smallest key beyond it
    finally:
        snapshot.close()
    return entries, None


def _readable(table: TableBinding, page: list[Pair]) -> list[ReadRow]:
    try:
        return [(key, table.values(data), data) for key, data in page]
    except CorruptionError:
        rows: list[ReadRow] = []
        for key, data in page:
            try:
                rows.append((key, table.values(data), data))
            except CorruptionError:
                continue
        return rows


def _entries_of(index: IndexBinding, rows: list[ReadRow]) -> list[Pair]:
    pairs = entries_of_all(index, rows)
    if pairs is not None:
        return pairs
    return [pair for row in rows for pair in entries_of(index, row) or ()]
