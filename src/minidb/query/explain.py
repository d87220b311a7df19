"""A plan in words: a small tree, read from the bottom up."""

from __future__ import annotations

from minidb.query.plan import Access, IndexScan, Plan, TableScan
from minidb.structs import Struct
from minidb.tables.binding import TableBinding


class Explanation(Struct, frozen=True):
    """How a query was run. ``str`` of it is for people."""

    tree: str
    examined: int
    """Rows that were read."""

    returned: int

    def __str__(self) -> str:
        return f"{self.tree}\nexamined {self.examined} rows, returned {self.returned}"


def shape(table: TableBinding, plan: Plan, *, has_values: bool) -> str:
    """Return the tree of a plan; for a log, without the values that were asked for."""
    steps = []
    if plan.limit is not None or plan.offset:
        parts = [] if plan.limit is None else [f"limit {plan.limit}"]
        steps.append(", ".join([*parts, *([f"offset {plan.offset}"] if plan.offset else [])]))
    if plan.sort:
        names = ", ".join(f"{name} descending" if down else name for name, down in plan.sort)
        steps.append(f"sort by {names}")
    if plan.filter is not None:
        steps.append(f"filter {plan.filter.describe(has_values=has_values)}")
    lines = []
    for depth, step in enumerate(steps):
        lines.append(_indent(depth) + step)
    lines += _access_lines(table, plan.access, len(steps), has_values=has_values)
    return "\n".join(lines)


def _access_lines(table: TableBinding, access: Access, depth: int, *, has_values: bool) -> list[str]:
    if isinstance(access, TableScan):
        if access.is_whole:
            return [_indent(depth) + f"table scan of {table.name}{_direction(access)}"]
        return [
            _indent(depth)
            + f"primary key of {table.name}: {_reasons(access, has_values=has_values)}{_direction(access)}"
        ]
    if isinstance(access, IndexScan):
        name = access.index.definition.name
        where = access.index.definition.where
        part = "" if where is None else f" (where {where.describe(has_values=has_values)})"
        words = _reasons(access, has_values=has_values) or "every entry"
        kind = "covering index" if access.index.is_covering else "index"
        return [_indent(depth) + f"{kind} {name} of {table.name}{part}: {words}{_direction(access)}"]
    lines = [_indent(depth) + "union, each row once"]
    for branch in access.accesses:
        lines += _access_lines(table, branch, depth + 1, has_values=has_values)
    return lines


def _reasons(access: TableScan | IndexScan, *, has_values: bool) -> str:
    return ", ".join(one.describe(has_values=has_values) for one in access.reasons)


def _direction(access: TableScan | IndexScan) -> str:
    return ", backwards" if access.reverse else ""


def _indent(depth: int) -> str:
    return "" if depth == 0 else "   " * (depth - 1) + "└─ "
