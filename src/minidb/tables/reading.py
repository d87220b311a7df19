"""Reading rows: from an id or an indexed value to stored bytes. ``api.row`` makes rows of what is returned here.

A *found* row is its key and its record, which ``TableBinding.columns_of`` makes columns of. Many are found as two lists
of equal length, one of keys and one of records: pairs would cost more to make than they are worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from operator import itemgetter
from typing import Any, Final, cast
from zlib import crc32

from minidb.encoding.integers import POSITIVE
from minidb.encoding.keys import successor
from minidb.encoding.rows import BODY, KEY, UNREADABLE, Record, set_attribute
from minidb.engines.port import Get, Joined, ReadTransaction, Reference, ScanJoined
from minidb.exceptions import ChecksumError, CorruptionError
from minidb.tables.binding import TableBinding
from minidb.tables.index_entries import IndexBinding, is_cut, row_keys_of

_KEY: Final = itemgetter(0)
_DATA: Final = itemgetter(1)
_JOINED: Final = itemgetter(2)

Found = tuple[bytes, Record]
FoundMany = tuple[list[bytes], list[Record]]
Finder = Callable[[object], Any]  # Any: what the table's rows are
"""Returns the row that has an id, or None."""


def find(transaction: ReadTransaction, table: TableBinding, row_id: object) -> Any:  # Any: what the table's rows are
    """Return the row that has an id, or None."""
    key = table.key_of_id(row_id)
    if key is None or (data := transaction.get(table.space, key)) is None:
        return None
    return table.row_at(key, data)


def finder(get: Get, table: TableBinding) -> Finder:
    """Return ``find`` for one table, with all that it needs looked up once. ``get`` reads from the table's space."""
    if table.codec.has_structs:
        return _struct_finder(get, table)
    key_of_id, row_at = table.key_of_id, table.row_at

    def find_row(row_id: object) -> Any:  # Any: what the table's rows are
        key = key_of_id(row_id)
        if key is None or (data := get(key)) is None:
            return None
        return row_at(key, data)

    return find_row


def _struct_finder(get: Get, table: TableBinding) -> Finder:
    """``finder`` for what most tables are. ``key_of_id`` and ``row_at``, written out: 1.0 µs a row in place of 1.3."""
    key_of_id, row_at, is_automatic = table.key_of_id, table.row_at, table.has_automatic_ids
    whole, read_body = table.codec.whole, table.codec.read_body

    def find_row(row_id: object) -> Any:  # Any: as above
        if not is_automatic:
            key = key_of_id(row_id)
            if key is None:
                return None
        elif type(row_id) is int and row_id > 0:
            try:
                offset, size = POSITIVE[row_id.bit_length()]
            except IndexError:  # above the highest id, and longer than any
                return None
            key = (row_id + offset).to_bytes(size, "big")
        else:
            return None
        data = get(key)
        if data is None:
            return None
        if crc32(data, whole) != whole:  # damaged, or of an older schema
            return row_at(key, data)
        try:
            record = read_body(data[BODY])
        except UNREADABLE:
            return row_at(key, data)  # says so
        set_attribute(record, KEY, key)
        return record

    return find_row


def find_many(transaction: ReadTransaction, table: TableBinding, row_ids: Iterable[object]) -> list[Found | None]:
    """Return the rows that have these ids, in the order asked, with None for ids that no row has."""
    keys = [table.key_of_id(row_id) for row_id in row_ids]
    wanted = sorted({key for key in keys if key is not None})
    stored = dict(zip(wanted, transaction.get_many(table.space, wanted), strict=True))
    return [None if key is None or (data := stored[key]) is None else (key, _decode(table, key, data)) for key in keys]


def exists(transaction: ReadTransaction, table: TableBinding, row_id: object) -> bool:
    """Tell whether a row has this id."""
    key = table.key_of_id(row_id)
    return key is not None and transaction.get(table.space, key) is not None


def count(transaction: ReadTransaction, table: TableBinding) -> int:
    """Return the number of rows."""
    return transaction.count(table.space)


def scan(
    transaction: ReadTransaction,
    table: TableBinding,
    start: object,
    stop: object,
    reverse: bool,  # noqa: FBT001  # called by position, with every argument, by one caller
    limit: int | None,
) -> Iterator[FoundMany]:
    """Yield the rows with ids of ``[start, stop)`` in key order, many at a time. None is the open end."""
    start_key = None if start is None else table.bound(start)
    stop_key = None if stop is None else table.bound(stop)
    for page in transaction.scan(table.space, start_key, stop_key, reverse=reverse, limit=limit):
        yield decode_many(table, list(map(_KEY, page)), list(map(_DATA, page)))


def find_by_index(transaction: ReadTransaction, table: TableBinding, index: IndexBinding, value: object) -> FoundMany:
    """Return the rows whose indexed fields have a value, in key order. The value is a tuple for several fields."""
    wanted = table.index_values(index, value)
    prefix = index.encode_fields(wanted)
    fields_bytes = len(prefix) if table.has_automatic_ids else None  # such ids need no long trailer
    row_keys: list[bytes] = []
    data: list[bytes] = []
    if index.is_covering:
        for page in transaction.scan(index.space, prefix, successor(prefix)):
            row_keys += row_keys_of(list(map(_KEY, page)), fields_bytes=fields_bytes)
            data += map(_DATA, page)
    elif (scan := transaction.scan_joined) and (joined := _joined(scan, table, index, prefix, successor(prefix))):
        for _, page_keys, page_data in joined:
            row_keys += page_keys
            data += page_data
    elif index.unique and None not in wanted:
        row_key = transaction.get(index.space, prefix)
        row_keys = [] if row_key is None else [row_key]
        data = _rows_of(transaction, table, index, row_keys)
    else:
        for keys in transaction.scan_keys(index.space, prefix, successor(prefix)):
            row_keys += row_keys_of(keys, fields_bytes=fields_bytes)
        data = _rows_of(transaction, table, index, row_keys)
    if is_cut(prefix):
        whole = index.encode_whole(wanted)
        is_same = [
            whole in map(index.encode_whole, index.all_fields_of(table.values_at(key, row)))
            for key, row in zip(row_keys, data, strict=True)
        ]
        row_keys, data = list(compress(row_keys, is_same)), list(compress(data, is_same))
    return decode_many(table, row_keys, data)


def scan_index(
    transaction: ReadTransaction,
    table: TableBinding,
    index: IndexBinding,
    start: bytes | None,
    stop: bytes | None,
    *,
    reverse: bool,
    first_page: int | None,
    fields_bytes: int | None,
) -> Iterator[tuple[list[bytes], list[bytes], list[Record]]]:
    """Yield the keys of the entries of ``[start, stop)`` in order, the keys of their rows, and the rows.

    REQUIRES an index that is not covering. ``fields_bytes`` is that of ``row_keys_of``.
    """
    scan = transaction.scan_joined
    if scan and (joined := _joined(scan, table, index, start, stop, reverse=reverse, first_page=first_page)):
        for keys, row_keys, rows in joined:
            yield keys, *decode_many(table, row_keys, rows)
    elif index.unique:
        for page in transaction.scan(index.space, start, stop, reverse=reverse, first_page=first_page):
            row_keys = list(map(_DATA, page))
            rows = _rows_of(transaction, table, index, row_keys)
            yield list(map(_KEY, page)), *decode_many(table, row_keys, rows)
    else:
        for keys in transaction.scan_keys(index.space, start, stop, reverse=reverse, first_page=first_page):
            row_keys = row_keys_of(keys, fields_bytes=fields_bytes)
            yield keys, *decode_many(table, row_keys, _rows_of(transaction, table, index, row_keys))


def _joined(
    scan: ScanJoined,
    table: TableBinding,
    index: IndexBinding,
    start: bytes | None,
    stop: bytes | None,
    *,
    reverse: bool = False,
    first_page: int | None = None,
) -> Iterator[tuple[list[bytes], list[bytes], list[bytes]]] | None:
    """Return the keys of entries, and of their rows, and what is stored there; None if it takes two steps."""
    reference = Reference.VALUE if index.unique else Reference.KEY_END
    pages = scan(index.space, table.space, reference, start, stop, reverse=reverse, first_page=first_page)
    return None if pages is None else _split(pages, table, index)


def _split(
    pages: Iterator[list[Joined]], table: TableBinding, index: IndexBinding
) -> Iterator[tuple[list[bytes], list[bytes], list[bytes]]]:
    for page in pages:
        keys, row_keys = list(map(_KEY, page)), list(map(_DATA, page))
        yield keys, row_keys, _present(table, index, list(map(_JOINED, page)))


def _rows_of(
    transaction: ReadTransaction, table: TableBinding, index: IndexBinding, row_keys: list[bytes]
) -> list[bytes]:
    return _present(table, index, transaction.get_many(table.space, row_keys))


def _present(table: TableBinding, index: IndexBinding, rows: list[bytes | None]) -> list[bytes]:
    if None in rows:
        raise CorruptionError(
            f"An index of table {table.name!r} names a row that is not there",
            hint="drop the index and create it again",
            table=table.name,
            index=index.definition.name,
        )
    return cast("list[bytes]", rows)


def decode_many(table: TableBinding, keys: list[bytes], rows: list[bytes]) -> FoundMany:
    """Return rows of their keys and bytes."""
    try:
        return keys, table.codec.decode_records(rows)
    except ChecksumError:
        for key, data in zip(keys, rows, strict=True):
            _decode(table, key, data)  # raises for the row that it was
        raise


def _decode(table: TableBinding, key: bytes, data: bytes) -> Record:
    try:
        return table.codec.decode_record(data)
    except ChecksumError as error:
        raise table.damaged(key) from error
