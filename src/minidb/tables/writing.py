"""Writing rows: every check comes before the first byte, and index entries go with their row.

A row is checked, keyed and encoded; its unique values are looked up; then row and entries are written. Functions that
write many rows may fail after some were written: their caller undoes the transaction or the savepoint around them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, compress, islice
from operator import not_
from typing import Any, Final

from minidb.encoding.integers import decode_integer, encode_integer, encode_range
from minidb.engines.port import Pair
from minidb.exceptions import FieldError, RowExistsError, SchemaValidationError, UniqueViolationError
from minidb.tables.binding import TableBinding
from minidb.tables.index_entries import IndexBinding, Values
from minidb.tables.row import RowLike
from minidb.tables.session import WriteSession

BATCH_ROWS: Final = 1000
"""Rows that ``insert_many`` checks, encodes and hands on at a time."""

Columns = Mapping[str, object]
_Entries = tuple[IndexBinding, Mapping[bytes, bytes]]
"""An index, and entries of one row in it."""


def insert(session: WriteSession, table: TableBinding, row: RowLike) -> Any:  # Any: an id, as its table has it
    """Insert a row and return its id."""
    return _insert(session, table, table.check_new(row))


def _insert(session: WriteSession, table: TableBinding, values: Values) -> Any:  # Any: as above
    data = table.encode(values)
    if table.has_automatic_ids:
        row_id = session.next_id(table)
        key = encode_integer(row_id)
        entries = _entries_of(table, values, key, data)
        _require_unique(session, table, values, entries)
        session.take_ids(table, 1)
    else:
        key = table.key_of(values)
        row_id = table.id_of(key)
        if session.bytes.get(table.space, key) is not None:
            raise _row_exists(table, row_id)
        entries = _entries_of(table, values, key, data)
        _require_unique(session, table, values, entries)
    session.bytes.put_many(table.space, {key: data})
    for index, items in entries:
        session.bytes.put_many(index.space, items)
    return row_id


def insert_many(session: WriteSession, table: TableBinding, rows: Iterable[RowLike]) -> Sequence[Any]:  # Any: as above
    """Insert rows from any iterable, in constant memory, and return their ids: automatic ones as a range.

    They are a list if the iterable itself inserted into the table, so that other ids stand between them.
    """
    remaining = iter(rows)
    ranges: list[range] = []
    ids: list[Any] = []
    number = 0
    while given := list(islice(remaining, BATCH_ROWS)):
        table = session.current(table)
        values = table.check_many(given, first_number=number)
        data = table.encode_many(values, first_number=number)
        if table.has_automatic_ids:
            taken = session.take_ids(table, len(given))
            if ranges and ranges[-1].stop == taken.start:
                ranges[-1] = range(ranges[-1].start, taken.stop)
            else:
                ranges.append(taken)
            keys = encode_range(taken)
            session.bytes.put_sorted(table.space, keys, data)
        else:
            keys = list(map(table.key_of, values))
            insert_keyed(session, table, keys, data)
            ids += map(table.id_of, keys)
        for index in table.written_indexes:
            insert_entries(session, table, index, values, keys, data)
        number += len(given)
    if not table.has_automatic_ids:
        return ids
    if len(ranges) > 1:
        return list(chain.from_iterable(ranges))
    return ranges[0] if ranges else range(0)


def insert_keyed(session: WriteSession, table: TableBinding, keys: list[bytes], data: list[bytes]) -> None:
    """Write rows at keys that no row has. Raises ``RowExistsError``."""
    items = dict(zip(keys, data, strict=True))
    if len(items) < len(keys):
        raise _row_exists(table, table.id_of(_first_repeated(keys)))
    written = session.bytes.insert_many(table.space, items)
    if not all(written):
        raise _row_exists(table, table.id_of(keys[written.index(False)]))


def insert_entries(
    session: WriteSession,
    table: TableBinding,
    index: IndexBinding,
    rows: Sequence[Values],
    keys: list[bytes],
    data: Sequence[bytes],
) -> None:
    """Write the index entries of rows that have none yet. Raises ``UniqueViolationError``."""
    if index.unique:
        insert_unique(session, table, index, index.entries(rows, keys, data))
    else:
        session.bytes.put_many(index.space, index.items(rows, keys, data))


def insert_unique(session: WriteSession, table: TableBinding, index: IndexBinding, entries: Sequence[Pair]) -> None:
    """Write entries of rows, which are there, in a unique index. Raises ``UniqueViolationError``."""
    items = dict(entries)
    if len(items) < len(entries):
        repeated = _first_repeated([key for key, _ in entries])
        first, second, *_ = (row_key for entry_key, row_key in entries if entry_key == repeated)
        raise _unique_violation(table, index, _values_of(session, table, second), repeated, holder=first)
    is_new = session.bytes.insert_many(index.space, items)
    for entry_key, row_key in compress(entries, map(not_, is_new)):
        holder = session.bytes.get(index.space, entry_key)
        if holder != row_key:  # it is its own where an index is made, and ``progress`` has written the row
            values = _values_of(session, table, row_key)
            raise _unique_violation(table, index, values, entry_key, holder=row_key if holder is None else holder)


def _values_of(session: WriteSession, table: TableBinding, key: bytes) -> Values:
    data = session.bytes.get(table.space, key)
    assert data is not None, "the row is there"
    return table.values_at(key, data)


def update(
    session: WriteSession, table: TableBinding, row_id: object, changes: Columns, if_version: int | None = None
) -> tuple[bytes, bytes]:
    """Change columns of a row, if it has a version; return its key and its new bytes."""
    key, old = _stored(session, table, row_id, if_version)
    table.check_changes(changes)
    columns = table.columns(old)
    columns.update(changes)
    return key, _rewrite(session, table, key, old, table.check(columns, old))


def replace(
    session: WriteSession, table: TableBinding, row_id: object, row: RowLike, if_version: int | None = None
) -> tuple[bytes, bytes]:
    """Put another row in a row's place, if that has a version; return its key and its new bytes."""
    key, old = _stored(session, table, row_id, if_version)
    return key, _rewrite(session, table, key, old, table.check(row, old))


def upsert(session: WriteSession, table: TableBinding, row: RowLike) -> Any:  # Any: an id
    """Replace the row that has this primary key, or insert it. REQUIRES a declared primary key."""
    values = table.check(row)  # once: a default factory may give another key the next time
    key = table.key_of(values)
    data = session.bytes.get(table.space, key)
    if data is None:
        return _insert(session, table, values)
    old = table.values_at(key, data)
    _rewrite(session, table, key, old, table.restamp(values, old))
    return table.id_of(key)


def delete(session: WriteSession, table: TableBinding, row_id: object, if_version: int | None = None) -> None:
    """Delete a row, if it has a version."""
    key, old = _stored(session, table, row_id, if_version)
    _delete(session, table, key, old)


def delete_many(session: WriteSession, table: TableBinding, row_ids: Iterable[object]) -> int:
    """Delete the rows that have these ids; return how many there were. An id that no row has is no error."""
    deleted = 0
    for row_id in row_ids:
        table = session.current(table)
        key = table.key_of_id(row_id)
        data = None if key is None else session.bytes.get(table.space, key)
        if key is not None and data is not None:
            _delete(session, table, key, table.values_at(key, data))
            deleted += 1
    return deleted


def clear(session: WriteSession, table: TableBinding) -> None:
    """Delete every row."""
    if table.has_automatic_ids:
        session.keep_all_from_reuse(table)
    session.bytes.clear(table.space)
    for index in table.written_indexes:
        session.bytes.clear(index.space)


def _stored(
    session: WriteSession, table: TableBinding, row_id: object, if_version: int | None = None
) -> tuple[bytes, Values]:
    key = table.key_of_id(row_id)
    data = None if key is None else session.bytes.get(table.space, key)
    if key is None or data is None:
        raise table.not_found(row_id)
    values = table.values_at(key, data)
    if if_version is not None:
        table.require_version(key, values, if_version)
    return key, values


def _rewrite(session: WriteSession, table: TableBinding, key: bytes, old: Values, new: Values) -> bytes:
    if not table.has_automatic_ids and table.key_of(new) != key:
        errors = [
            FieldError(field, "primary_key", "is the primary key, which cannot change: insert a new row instead")
            for field in table.definition.primary_key
        ]
        raise table.refusal(SchemaValidationError("The primary key cannot change", errors=errors))
    data = table.encode(new)
    added: list[_Entries] = []
    removed: list[tuple[IndexBinding, list[bytes]]] = []
    for index in table.written_indexes:
        if index.has_same_entries(old, new):
            continue
        old_entries, new_entries = index.entries_of(old, key, b""), index.entries_of(new, key, data)
        if old_entries != new_entries:  # which those of a covering index always are
            kept = {entry_key for entry_key, _ in new_entries}
            added.append((index, dict([entry for entry in new_entries if entry not in old_entries])))
            removed.append((index, _own(session, index, [entry for entry in old_entries if entry[0] not in kept])))
    _require_unique(session, table, new, added)
    session.bytes.put_many(table.space, {key: data})
    for index, entry_keys in removed:
        session.bytes.delete_many(index.space, entry_keys)
    for index, items in added:
        session.bytes.put_many(index.space, items)
    return data


def _delete(session: WriteSession, table: TableBinding, key: bytes, old: Values) -> None:
    if table.has_automatic_ids:
        session.keep_from_reuse(table, decode_integer(key))
    session.bytes.delete_many(table.space, [key])
    for index in table.written_indexes:
        session.bytes.delete_many(index.space, _own(session, index, index.entries_of(old, key, b"")))


def _own(session: WriteSession, index: IndexBinding, entries: Sequence[Pair]) -> list[bytes]:
    """Return the keys of the entries that a row has, of those that it must have, so that they can be deleted.

    While a unique index is being built, a row that it has not come to may lack its entry, and another one may have got
    an equal one, which must stay.
    """
    keys = [key for key, _ in entries]
    if not (index.is_building and index.unique):
        return keys
    stored = session.bytes.get_many(index.space, keys)
    return [key for (key, value), held in zip(entries, stored, strict=True) if value == held]


def _entries_of(table: TableBinding, values: Values, key: bytes, data: bytes) -> list[_Entries]:
    return [(index, dict(index.entries_of(values, key, data))) for index in table.written_indexes]


def _require_unique(session: WriteSession, table: TableBinding, values: Values, added: Iterable[_Entries]) -> None:
    """Raise ``UniqueViolationError`` if another row has one of the entries that a row is about to get."""
    for index, items in added:
        if index.unique:
            for entry_key, holder in zip(items, session.bytes.get_many(index.space, list(items)), strict=True):
                if holder is not None:
                    raise _unique_violation(table, index, values, entry_key, holder=holder)


def _unique_violation(
    table: TableBinding, index: IndexBinding, values: Values, entry_key: bytes, *, holder: bytes
) -> UniqueViolationError:
    """Return the error for the row that cannot have an entry, which stands for a row with the key ``holder``."""
    fields = index.definition.fields
    value = next(one for one in index.all_fields_of(values) if index.encode_fields(one) == entry_key)
    return UniqueViolationError(
        f"Another row of table {table.name!r} already has this value of {', '.join(fields)}, which must be unique",
        table=table.name,
        index=index.definition.name,
        fields=fields,
        value=value[0] if len(value) == 1 else value,
        id=table.id_of(holder),
    )


def _row_exists(table: TableBinding, row_id: object) -> RowExistsError:
    return RowExistsError(
        f"Table {table.name!r} already has a row with this primary key",
        hint="upsert replaces it, update changes it",
        table=table.name,
        id=row_id,
    )


def _first_repeated(keys: Sequence[bytes]) -> bytes:
    seen: set[bytes] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("some key is repeated: the caller counted them")
