"""Running a plan: rows, page after page, from one snapshot, and no more of them than are asked for.

A page is two lists, as ``tables.reading`` has them. Pages are handed on whole: whatever is done for each row alone
costs more than finding it in the index did. Where a limit says how many rows are wanted, the first page has so many.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from operator import itemgetter
from typing import Any, Final

from minidb.conditions.match import compile_test
from minidb.conditions.predicate import Condition
from minidb.encoding.keys import encode_value
from minidb.encoding.rows import Record
from minidb.encoding.untyped import encode_untyped
from minidb.engines.port import ReadTransaction, Space
from minidb.query.plan import Access, IndexScan, Order, Plan, Range, TableScan, Union
from minidb.structs import Struct
from minidb.tables.binding import TableBinding
from minidb.tables.index_entries import LARGEST_UNCUT_BYTES, IndexBinding, row_keys_of
from minidb.tables.reading import Found, FoundMany, decode_many, scan_index

SortKey = Callable[[Found], bytes]

_Page = tuple[list[bytes], list[bytes], list[Record]]
"""The keys of entries, and of their rows, and the rows."""

_FIRST_PAGE: Final = 1024
"""Rows to ask a covering index for first: as many as other indexes are asked for, since each page costs 3 µs."""

_KEY: Final = itemgetter(0)
_DATA: Final = itemgetter(1)
_INVERTED: Final = bytes(range(255, -1, -1))


class Counters(Struct):
    """What a run has cost so far."""

    examined: int = 0
    """Rows that were read, or entries where rows were not needed."""

    returned: int = 0


def run(transaction: ReadTransaction, table: TableBinding, plan: Plan, counters: Counters) -> Iterator[FoundMany]:
    """Yield the rows of a plan, in pages of at least one."""
    skipped, remaining = plan.offset, sys.maxsize if plan.limit is None else plan.limit
    if remaining == 0:
        return
    order = _when_asked(table, plan.order) if plan.order else None
    pages = filtered(transaction, table, plan, counters, order)
    for keys, records in _sorted(pages, table, plan) if plan.sort else pages:
        if skipped or len(keys) > remaining:
            page = slice(skipped, skipped + remaining)
            skipped = max(0, skipped - len(keys))
            keys, records = keys[page], records[page]  # noqa: PLW2901  # what is left of the page
        if keys:
            counters.returned += len(keys)
            yield keys, records
            remaining -= len(keys)
            if remaining == 0:
                return


def count(transaction: ReadTransaction, table: TableBinding, plan: Plan, counters: Counters) -> int:
    """Return how many rows a plan finds, from keys alone where nothing must be asked of the rows."""
    if plan.limit == 0:
        return 0
    stop = None if plan.limit is None else plan.offset + plan.limit
    if plan.filter is not None or isinstance(plan.access, Union):
        found = 0
        for keys, _ in filtered(transaction, table, plan, counters, None):
            found += len(keys)
            if stop is not None and found >= stop:
                break
    elif isinstance(plan.access, TableScan) and plan.access.is_whole:
        found = transaction.count(table.space)
    else:
        space = table.space if isinstance(plan.access, TableScan) else plan.access.index.space
        found = _count_keys(transaction, space, plan.access.ranges, stop)
        counters.examined += found
    if stop is not None:
        found = min(found, stop)
    return max(0, found - plan.offset)


def _count_keys(transaction: ReadTransaction, space: Space, ranges: Sequence[Range], stop: int | None) -> int:
    """Return how many keys ranges hold, and ``stop`` if they are more."""
    found = 0
    for one in ranges:
        for page in transaction.scan_keys(space, one.start, one.stop, first_page=stop):
            found += len(page)
            if stop is not None and found >= stop:
                return stop
    return found


def filtered(
    transaction: ReadTransaction, table: TableBinding, plan: Plan, counters: Counters, order: SortKey | None
) -> Iterator[FoundMany]:
    """Yield the rows that a plan's access finds and its filter lets through; pages may be empty.

    ``order`` puts rows in order whose values were cut in an index; None where no order is asked for.
    """
    test = None if plan.filter is None else _test(table, plan.filter)
    wanted = None if plan.sort or plan.limit is None else plan.offset + plan.limit
    for keys, records in _pages(transaction, table, plan.access, wanted, order):
        counters.examined += len(keys)
        if test is None:
            yield keys, records
        else:
            is_wanted = test(keys, records)
            yield list(compress(keys, is_wanted)), list(compress(records, is_wanted))


def _test(table: TableBinding, condition: Condition) -> Callable[[list[bytes], list[Record]], list[bool]]:
    """Return a function that tells for each row of a page whether a condition holds."""
    key_at_hand: list[bytes] = []  # of the row that is being asked, where the condition is about ids

    def make_getter(name: str) -> Callable[[Record], Any]:
        if name != table.id_name:
            return table.value_getter(name)
        key_at_hand[:] = [b""]
        return lambda _record: table.id_of(key_at_hand[0])

    test = compile_test(condition, table.schema, make_getter)
    if not key_at_hand:
        return lambda _keys, records: list(map(test, records))

    def test_with_ids(keys: list[bytes], records: list[Record]) -> list[bool]:
        is_wanted = []
        for key, record in zip(keys, records, strict=True):
            key_at_hand[0] = key
            is_wanted.append(test(record))
        return is_wanted

    return test_with_ids


def _pages(
    transaction: ReadTransaction,
    table: TableBinding,
    access: Access,
    first_page: int | None,
    order: SortKey | None = None,
) -> Iterator[FoundMany]:
    match access:
        case TableScan(ranges, reverse, _):
            for one in ranges:
                for page in transaction.scan(table.space, one.start, one.stop, reverse=reverse, first_page=first_page):
                    yield decode_many(table, list(map(_KEY, page)), list(map(_DATA, page)))
        case IndexScan():
            pages = _index_pages(transaction, table, access, first_page)
            if access.may_repeat:
                pages = _without_repeats(pages)
            if order is not None:
                yield from _straightened(pages, access.index, order)
            else:
                yield from ((keys, records) for _, keys, records in pages)
        case Union(accesses):
            seen: set[bytes] = set()
            for branch in accesses:
                for keys, records in _pages(transaction, table, branch, first_page):
                    fresh = _fresh(keys, seen)
                    yield [keys[place] for place in fresh], [records[place] for place in fresh]


def _without_repeats(pages: Iterator[_Page]) -> Iterator[_Page]:
    seen: set[bytes] = set()
    for entries, keys, records in pages:
        fresh = _fresh(keys, seen)
        yield [entries[place] for place in fresh], [keys[place] for place in fresh], [records[place] for place in fresh]


def _fresh(keys: list[bytes], seen: set[bytes]) -> list[int]:
    """Return the places of the keys that were not seen before, each once, and note them as seen."""
    fresh = []
    for place, key in enumerate(keys):
        if key not in seen:
            seen.add(key)
            fresh.append(place)
    return fresh


def _index_pages(
    transaction: ReadTransaction, table: TableBinding, access: IndexScan, first_page: int | None
) -> Iterator[_Page]:
    index, reverse = access.index, access.reverse
    for one in access.ranges:
        is_short = access.is_point and table.has_automatic_ids  # such ids need no long trailer
        fields_bytes = len(one.start) if is_short and one.start is not None else None
        if index.is_covering:
            size = _FIRST_PAGE if first_page is None else first_page
            for page in transaction.scan(index.space, one.start, one.stop, reverse=reverse, first_page=size):
                keys = list(map(_KEY, page))
                row_keys = row_keys_of(keys, fields_bytes=fields_bytes)
                yield keys, *decode_many(table, row_keys, list(map(_DATA, page)))
        else:
            yield from scan_index(
                transaction,
                table,
                index,
                one.start,
                one.stop,
                reverse=reverse,
                first_page=first_page,
                fields_bytes=fields_bytes,
            )


def _straightened(pages: Iterator[_Page], index: IndexBinding, order: SortKey) -> Iterator[FoundMany]:
    """Yield what an index finds, with rows whose values were cut in order.

    Such entries stand together, as they begin alike, but among themselves in the order of their digests.
    """
    held: list[Found] = []  # they begin alike
    beginning = b""
    for entries, keys, records in pages:
        looked_at = (entries[0], entries[-1]) if index.is_longest_at_ends and entries else entries
        if not held and max(map(len, looked_at), default=0) < LARGEST_UNCUT_BYTES:
            yield keys, records
            continue
        done: list[Found] = []
        for entry, found in zip(entries, zip(keys, records, strict=True), strict=True):
            if not held or len(entry) < LARGEST_UNCUT_BYTES or not entry.startswith(beginning):
                done += sorted(held, key=order)
                held, beginning = [], entry[:LARGEST_UNCUT_BYTES]
            held.append(found)
        yield [key for key, _ in done], [record for _, record in done]
    held.sort(key=order)
    yield [key for key, _ in held], [record for _, record in held]


def _sorted(pages: Iterator[FoundMany], table: TableBinding, plan: Plan) -> Iterator[FoundMany]:
    """Yield one page, the rows in order: all of them, or with a heap as many as are asked for."""
    order = sort_key(table, plan.sort)
    rows = rows_of(pages)
    if plan.limit is None:
        ordered = sorted(rows, key=order)
    else:
        from heapq import nsmallest

        ordered = nsmallest(plan.offset + plan.limit, rows, order)
    yield [key for key, _ in ordered], [record for _, record in ordered]


def rows_of(pages: Iterator[FoundMany]) -> Iterator[Found]:
    """Yield the rows of pages one by one."""
    for page in pages:
        yield from zip(*page, strict=True)


def sort_key(table: TableBinding, order: Order) -> SortKey:
    """Return a function from a row to bytes that sort as an order says."""
    parts = [
        (None if name == table.id_name else table.value_getter(name), _encoder(table, name), is_descending)
        for name, is_descending in order
    ]

    def key_of(found: Found) -> bytes:
        key = b""
        for get, encode, is_descending in parts:
            encoded = found[0] if get is None else encode(get(found[1]))
            key += inverted(encoded) if is_descending else encoded
        return key

    return key_of


def _when_asked(table: TableBinding, order: Order) -> SortKey:
    """Return ``sort_key``, made when it is first called: hardly ever are there rows whose values were cut."""
    made: list[SortKey] = []

    def key_of(found: Found) -> bytes:
        if not made:
            made.append(sort_key(table, order))
        return made[0](found)

    return key_of


def _encoder(table: TableBinding, name: str) -> Callable[[Any], bytes]:
    """Return the encoding that a field's values are sorted by: that of an index on it, if it can have one."""
    field = None if table.schema is None else table.schema.fields.get(name)
    if field is None or not (field.is_key_value and field.is_indexable):
        return encode_untyped
    return encode_value


def inverted(encoded: bytes) -> bytes:
    """Return bytes that sort the other way round: no encoding is a proper prefix of another one."""
    return encoded.translate(_INVERTED)
