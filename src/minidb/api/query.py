"""A query: which rows of a table, in what order, and how many. Built step by step, run when it is asked for rows.

    users.find(where("age") >= 18, city="Paris").order_by("-age").limit(10)

A query is immutable: each step returns a new one, and it may be run again and again. What one run returns belongs to
one snapshot: of the ambient transaction, or of the moment when its first row is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from minidb.conditions.predicate import Condition, where
from minidb.engines.port import ReadTransaction
from minidb.exceptions import IndexNotFoundError, RowNotFoundError, UsageError
from minidb.log import Logger
from minidb.query import run
from minidb.query.plan import Order, Plan, TableScan, make_plan
from minidb.query.recipe import plan_for
from minidb.query.run import Counters
from minidb.tables import writing
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import secret_of
from minidb.tables.row import Row
from minidb.tables.session import WriteSession

if TYPE_CHECKING:
    from minidb.api.grouping import Grouping
    from minidb.api.table import Table
    from minidb.query.explain import Explanation

_log = Logger("minidb.query")

RowType = TypeVar("RowType")
Result = TypeVar("Result")
_Operation = Callable[[ReadTransaction, TableBinding, Plan, Counters], Result]


class Page(NamedTuple, Generic[RowType]):
    """A page of rows, and the token by which to ask for the next one; None if there is none."""

    rows: list[RowType]
    token: str | None


class Query(Generic[RowType]):
    """Some rows of a table. Made by ``table.find``; safe from any thread.

    Every method that runs it raises ``SchemaValidationError`` for a field that the table does not have or a value of
    another type, and ``IndexNotFoundError`` for a table scan where ``require_index`` forbids one.
    """

    __slots__ = ("_condition", "_limit", "_offset", "_order", "_require_index", "_table")

    def __init__(self, table: Table[RowType], condition: Condition | None, *, require_index: bool) -> None:
        self._table = table
        self._condition = condition
        self._require_index = require_index
        self._order: tuple[tuple[str, bool], ...] = ()
        self._limit: int | None = None
        self._offset = 0

    # --- building -----------------------------------------------------------------------------------------------------

    def order_by(self, *fields: str) -> Query[RowType]:
        """Sort by fields, the first one first; ``"-age"`` sorts downwards. Nulls come before everything else."""
        order = []
        for field in fields:
            if not isinstance(field, str) or not field.strip("-"):
                raise UsageError("order_by takes names of fields, with a minus in front of those to sort downwards")
            order.append((field[1:], True) if field[0] == "-" else (field, False))
        query = self._copy()
        query._order = tuple(order)
        return query

    def limit(self, limit: int | None) -> Query[RowType]:
        """Return at most so many rows; None is no limit."""
        query = self._copy()
        query._limit = None if limit is None else _require_count("limit", limit)
        return query

    def offset(self, offset: int) -> Query[RowType]:
        """Skip so many rows. They are read all the same."""
        query = self._copy()
        query._offset = _require_count("offset", offset)
        return query

    def _copy(self) -> Query[RowType]:
        query: Query[RowType] = Query.__new__(Query)
        query._table, query._condition, query._require_index = self._table, self._condition, self._require_index
        query._order, query._limit, query._offset = self._order, self._limit, self._offset
        return query

    # --- reading ------------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[RowType]:
        """Iterate over the rows, reading them as they are asked for; inside a write transaction, all of them at once.

        There the program may change the rows while it iterates, and entries of an index must not part from their rows.
        """
        transaction = self._table.database.current_transaction()
        if transaction is not None and transaction.session is not None:
            return self._table.stream(self._all_pages)
        return self._table.stream(self._pages)

    def all(self) -> list[RowType]:
        """Return all rows."""
        return self._run(_all)

    def first(self) -> RowType | None:
        """Return the first row, or None if there is none."""
        rows = self.limit(1 if self._limit is None else min(1, self._limit)).all()
        return rows[0] if rows else None

    def one(self) -> RowType:
        """Return the only row. Raises ``RowNotFoundError`` if there is none, ``UsageError`` if there are more."""
        rows = self.limit(2 if self._limit is None else min(2, self._limit)).all()
        if not rows:
            raise RowNotFoundError(f"Table {self._table.name!r} has no such row", table=self._table.name, id=None)
        if len(rows) > 1:
            raise UsageError("The query finds more than one row", hint="narrow it, or ask for first() or all()")
        return rows[0]

    def count(self) -> int:
        """Return the number of rows, from an index alone where that is enough."""
        return self._run(run.count)

    def exists(self) -> bool:
        """Tell whether there is any row."""
        return self.limit(1 if self._limit is None else min(1, self._limit)).count() > 0

    def page(self, size: int, after: str | None = None) -> Page[RowType]:
        """Return a page of the rows, and the token by which to ask for the next one.

        >>> page = users.find(where("age") >= 18).order_by("age").page(20)
        >>> next_page = users.find(where("age") >= 18).order_by("age").page(20, after=page.token)

        ``after`` is the token of the page before; None for the first one. A page begins behind the place of that
        page's last row, so that none is repeated or left out, whatever was inserted or deleted meanwhile; rows with
        equal values come in an order that all pages share. Where an index has the order, or the rows are in order of
        their ids, each page costs the same.

        The token may be given to a stranger: it shows nothing of the rows. Raises ``PageTokenError`` for one that is
        not this query's, of this database.
        """
        if _require_count("page size", size) == 0:
            raise UsageError("The page size must be an integer of at least 1")
        if self._limit is not None or self._offset:
            raise UsageError("A query with limit or offset has no pages", hint="leave them out: page has its size")

        def run_page(transaction: ReadTransaction, table: TableBinding, _: Plan, counters: Counters) -> Page[RowType]:
            return self._page(transaction, table, counters, size, after)

        return self._run(run_page)

    def _page(
        self, transaction: ReadTransaction, table: TableBinding, counters: Counters, size: int, after: str | None
    ) -> Page[RowType]:
        from minidb.query.page_token import query_mark, seal, unseal
        from minidb.query.pages import PageRequest, find_page

        condition = self._bound(table)
        mark = query_mark(table.definition.id, condition, self._order)
        secret = secret_of(transaction)
        position = None if after is None else unseal(after, mark, secret)

        def make(order: Order, limit: int) -> Plan:
            return make_plan(table, condition, order, limit, 0)

        rows, end = find_page(transaction, table, make, PageRequest(self._order, size, position), counters)
        return Page([table.row(*found) for found in rows], None if end is None else seal(end, mark, secret))

    def explain(self) -> Explanation:
        """Run the query and return how: ``print`` it. It also has the rows ``examined`` and ``returned``."""
        return self._run(_explain, log=False)

    # --- figures ------------------------------------------------------------------------------------------------------

    def group_by(self, *fields: str) -> Grouping:
        """Put the rows that have the same values of some fields together, to ask for figures of each group."""
        from minidb.api.grouping import Grouping

        if not fields or not all(isinstance(field, str) for field in fields):
            raise UsageError("group_by takes one or more names of fields")
        return Grouping(self, fields)

    def aggregate(self, /, **aggregates: str | tuple[str, str]) -> Row:
        """Return figures of all rows, computed in one pass, each under the name that it is given here.

        >>> users.find().aggregate(people="count", oldest=("max", "age"), mean=("avg", "age"))
        Row(people=2, oldest=41, mean=38.5)

        They are those of ``group_by(…).aggregate``, which says more.
        """
        (columns,) = self.figures((), aggregates)
        return Row(**columns)

    def sum(self, field: str) -> Any:  # Any: a number of the field's type
        """Return the sum of a field's values that are not null; 0 if there are none."""
        return self._figure("sum", field)

    def avg(self, field: str) -> Any:  # Any: as above, or None
        """Return the mean of a field's values that are not null; None if there are none."""
        return self._figure("avg", field)

    def min(self, field: str) -> Any:  # Any: what the field's type is
        """Return the smallest of a field's values that are not null, from an index if it can; None if there is none."""
        return self._extreme("min", field)

    def max(self, field: str) -> Any:  # Any: as above
        """Return the largest of a field's values that are not null, from an index if it can; None if there is none."""
        return self._extreme("max", field)

    def _figure(self, function: str, field: str) -> Any:  # Any: as above
        return self.aggregate(figure=(function, field))["figure"]

    def _extreme(self, function: str, field: str) -> Any:  # Any: as above
        if self._limit is not None or self._offset:
            return self._figure(function, field)  # of just these rows, in whatever order they come
        query = self._copy()
        not_null = where(field) != None  # noqa: E711  # builds a condition
        query._condition = not_null if self._condition is None else self._condition & not_null
        query._order, query._limit = ((field, function == "max"),), 1

        def run_extreme(transaction: ReadTransaction, table: TableBinding, plan: Plan, counters: Counters) -> Any:
            table.require_fields([field])
            if plan.sort:  # no index has the order
                from minidb.query.aggregate import aggregate, parse

                wanted = parse({function: (function, field)})
                every = self._plan(table)
                return aggregate(table, run.run(transaction, table, every, counters), (), wanted)[0][function]
            get = table.value_getter(field)
            for _, records in run.run(transaction, table, plan, counters):
                return table.restored(field, get(records[0]))
            return None

        return query._run(run_extreme)

    def figures(self, groups: tuple[str, ...], named: Mapping[str, object]) -> list[dict[str, Any]]:
        """Return the figures of each group; see ``Grouping.aggregate``."""
        from minidb.query.aggregate import aggregate, parse

        wanted = parse(named)

        def run_aggregate(
            transaction: ReadTransaction, table: TableBinding, plan: Plan, counters: Counters
        ) -> list[dict[str, Any]]:
            table.require_fields([*groups, *(one.field for one in wanted.values() if one.field is not None)])
            return aggregate(table, run.run(transaction, table, plan, counters), groups, wanted)

        return self._run(run_aggregate)

    # --- writing ------------------------------------------------------------------------------------------------------

    def delete(self) -> int:
        """Delete the rows; return how many there were. All or none."""
        return self._table.write_many(self._delete)

    def update(self, /, **changes: Any) -> int:
        """Change columns of the rows; return how many there were. All or none. Raises as ``Table.update``."""
        return self._table.write_many(self._update, changes)

    def _delete(self, session: WriteSession, table: TableBinding) -> int:
        return writing.delete_many(session, table, self._ids(session, table))

    def _update(self, session: WriteSession, table: TableBinding, changes: dict[str, Any]) -> int:
        ids = self._ids(session, table)
        for row_id in ids:
            writing.update(session, table, row_id, changes)
        return len(ids)

    def _ids(self, session: WriteSession, table: TableBinding) -> list[Any]:
        # All of them before the first is changed: a row that moves in an index must not be met twice.
        pages = run.run(session.bytes, table, self._plan(table), Counters())
        return [table.id_of(key) for keys, _ in pages for key in keys]

    # --- running ------------------------------------------------------------------------------------------------------

    def _bound(self, table: TableBinding) -> Condition | None:
        table.require_fields([name for name, _ in self._order], or_id=True)
        return None if self._condition is None else table.bind(self._condition)

    def _plan(self, table: TableBinding) -> Plan:
        plan = plan_for(table, self._condition, self._order, self._limit, self._offset)
        if self._require_index and isinstance(plan.access, TableScan) and plan.access.is_whole:
            raise IndexNotFoundError(
                f"The query would read every row of table {table.name!r}, which require_index forbids",
                hint="make an index on a field that it asks for",
                table=table.name,
                index=None,
            )
        return plan

    def _all_pages(self, transaction: ReadTransaction, table: TableBinding) -> Iterator[list[RowType]]:
        yield _all(transaction, table, self._plan(table), Counters())

    def _pages(self, transaction: ReadTransaction, table: TableBinding) -> Iterator[list[RowType]]:
        for page in run.run(transaction, table, self._plan(table), Counters()):
            yield table.rows(*page)

    def _run(self, operation: _Operation[Result], *, log: bool = True) -> Result:
        return self._table.read(lambda transaction, table: self._measured(transaction, table, operation, log=log))

    def _measured(
        self, transaction: ReadTransaction, table: TableBinding, operation: _Operation[Result], *, log: bool
    ) -> Result:
        plan, counters = self._plan(table), Counters()
        began = time.perf_counter()
        result = operation(transaction, table, plan, counters)
        limit_ms = self._table.database.options.slow_query_ms
        if log and limit_ms is not None:
            duration_ms = (time.perf_counter() - began) * 1000
            if duration_ms >= limit_ms:
                from minidb.query import explain

                _log.warning(
                    "slow query on table %r: %.1f ms, %d rows examined\n%s",
                    table.name,
                    duration_ms,
                    counters.examined,
                    explain.shape(table, plan, has_values=False),
                    extra={"table": table.name, "duration_ms": round(duration_ms, 3), "examined": counters.examined},
                )
        return result

    def __repr__(self) -> str:
        parts = [f"<query on {self._table.name!r}"]
        if self._condition is not None:
            parts.append(f"where {self._condition}")
        if self._order:
            parts.append("order by " + ", ".join(f"-{name}" if down else name for name, down in self._order))
        return " ".join(parts) + ">"


def combine(conditions: Sequence[Condition], equalities: dict[str, Any]) -> Condition | None:
    """Return all of the conditions as one; None if there is none."""
    combined: Condition | None = None
    for condition in conditions:
        if not isinstance(condition, Condition):
            raise UsageError(
                "find takes conditions, such as where('age') >= 18, and fields by name, such as city='Paris'"
            )
        combined = condition if combined is None else combined & condition
    for name, value in equalities.items():
        equality = where(name) == value
        combined = equality if combined is None else combined & equality
    return combined


def _all(transaction: ReadTransaction, table: TableBinding, plan: Plan, counters: Counters) -> list[Any]:
    rows: list[Any] = []  # Any: what the table's rows are
    for page in run.run(transaction, table, plan, counters):
        rows += table.rows(*page)
    return rows


def _explain(transaction: ReadTransaction, table: TableBinding, plan: Plan, counters: Counters) -> Explanation:
    from minidb.query import explain

    for _ in run.run(transaction, table, plan, counters):
        pass
    return explain.Explanation(explain.shape(table, plan, has_values=True), counters.examined, counters.returned)


def _require_count(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageError(f"The {name} must be an integer of at least 0")
    return value
