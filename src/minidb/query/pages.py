"""Pages of a query's rows. Each begins behind the last row of the one before it, wherever that row would stand now.

The rows of all pages have one order without ties: what the query asks for, then what the index has that is walked
along, then the rows' keys. It goes with the token, so that the next page has the same one, even if there are other
indexes by then. Where the keys of an index, or of the table, are in that order, a page is read from where the last one
ended, and costs the same wherever it is. Otherwise all rows are looked at, and the smallest behind that place are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import nsmallest
from itertools import dropwhile, islice

from minidb.encoding.keys import successor
from minidb.engines.port import ReadTransaction
from minidb.query.page_token import Position
from minidb.query.plan import IndexScan, Order, Plan, Range, TableScan, Union
from minidb.query.run import Counters, SortKey, filtered, inverted, rows_of, sort_key
from minidb.structs import Struct, replace
from minidb.tables.binding import TableBinding
from minidb.tables.index_entries import LARGEST_UNCUT_BYTES
from minidb.tables.reading import Found

MakePlan = Callable[[Order, int], Plan]
"""Returns the plan for so many rows in an order."""


class PageRequest(Struct, frozen=True):
    """The page that is asked for."""

    order: Order
    size: int
    """Rows, at least 1."""

    after: Position | None
    """Where the page before it ended; None for the first one."""


def find_page(
    transaction: ReadTransaction, table: TableBinding, make_plan: MakePlan, request: PageRequest, counters: Counters
) -> tuple[list[Found], Position | None]:
    """Return the rows of a page and where it ends; None if it is the last one."""
    size, after = request.size, request.after
    # One more row than the page tells whether there is another; a later page begins at the last one's last row.
    plan = make_plan(request.order, size + 1) if after is None else make_plan(after.order, size + 2)
    order = _order_of(plan, request.order) if after is None else after.order
    key_of = _page_key(table, order)
    access = None if isinstance(plan.access, Union) or plan.sort or _order_of(plan, order) != order else plan.access
    rows: Iterable[Found]
    if access is None:
        rows = rows_of(filtered(transaction, table, plan, counters, None))
        if after is not None:
            rows = (found for found in rows if key_of(found) > after.key)
        page = nsmallest(size + 1, rows, key=key_of)
    else:
        if after is not None and after.way == _id_of(table, access):
            plan = replace(plan, access=_from(access, after.at))
        straight = key_of if isinstance(access, IndexScan) else None
        rows = rows_of(filtered(transaction, table, plan, counters, straight))
        if after is not None:
            rows = dropwhile(lambda found: key_of(found) <= after.key, rows)
        page = list(islice(rows, size + 1))
    counters.returned += min(len(page), size)
    if len(page) <= size:
        return page, None
    last = page[size - 1]
    if access is None:
        return page[:size], Position(order, key_of(last), 0, b"")
    at = _place_of(transaction, table, access, last[0])
    return page[:size], Position(order, key_of(last), _id_of(table, access), at)


def _order_of(plan: Plan, order: Order) -> Order:
    """Return the whole order in which a plan finds rows, but for the rows' keys at the end."""
    access = plan.access
    if plan.sort or not isinstance(access, IndexScan):
        return order
    fields = access.index.definition.fields
    begin = fields.index(order[-1][0]) + 1 if order else 0
    rest = [name for name in fields[begin:] if name != access.index.definition.each]
    return (*order, *((name, access.reverse) for name in rest))


def _page_key(table: TableBinding, order: Order) -> SortKey:
    """Return a function from a row to bytes that sort as the order says, ties by the row's key."""
    fields_of = sort_key(table, order)
    if order and order[-1][1]:
        return lambda found: fields_of(found) + inverted(found[0])
    return lambda found: fields_of(found) + found[0]


def _id_of(table: TableBinding, access: IndexScan | TableScan) -> int:
    return table.definition.id if isinstance(access, TableScan) else access.index.definition.id


def _place_of(
    transaction: ReadTransaction, table: TableBinding, access: IndexScan | TableScan, row_key: bytes
) -> bytes:
    """Return the key by which an access has found a row."""
    if isinstance(access, TableScan):
        return row_key
    data = transaction.get(table.space, row_key)
    assert data is not None, "the row was found in this snapshot"
    entries = access.index.entries_of(table.values_at(row_key, data), row_key, data)
    return next(key for key, _ in entries if any(_holds(one, key) for one in access.ranges))


def _holds(part: Range, key: bytes) -> bool:
    return (part.start is None or part.start <= key) and (part.stop is None or key < part.stop)


def _from(access: IndexScan | TableScan, at: bytes) -> IndexScan | TableScan:
    """Return what is left of an access from a key on, the key itself included.

    Entries that were cut stand in the order of digests among those that begin alike: all of these are left.
    """
    begin = at[:LARGEST_UNCUT_BYTES] if isinstance(access, IndexScan) and len(at) >= LARGEST_UNCUT_BYTES else at
    end = successor(begin) if begin != at else at + b"\x00"
    left = []
    for one in access.ranges:
        if access.reverse:
            stop = end if one.stop is None else one.stop if end is None else min(one.stop, end)
            part = Range(one.start, stop)
        else:
            part = Range(begin if one.start is None else max(one.start, begin), one.stop)
        if part.start is None or part.stop is None or part.start < part.stop:
            left.append(part)
    if isinstance(access, IndexScan):
        return replace(access, ranges=tuple(left), is_point=False)  # they begin in the middle of a value's entries
    return replace(access, ranges=tuple(left))
