"""A query's rows in groups, of which figures are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidb.exceptions import UsageError
from minidb.tables.row import Row

if TYPE_CHECKING:
    from minidb.api.query import Query


class Grouping:
    """The groups of a query's rows that have the same values of some fields. Made by ``query.group_by``."""

    __slots__ = ("_fields", "_query")

    def __init__(self, query: Query[Any], fields: tuple[str, ...]) -> None:
        self._query = query
        self._fields = fields

    def aggregate(self, /, **aggregates: str | tuple[str, str]) -> list[Row]:
        """Return a row for each group: its fields, then the figures, each under the name that it is given here.

        >>> users.find().group_by("city").aggregate(people="count", oldest=("max", "age"))
        [Row(city='London', people=2, oldest=41)]

        A figure is ``"count"``, or one of ``count``, ``sum``, ``min``, ``max`` and ``avg`` with its field. Groups come
        in the order of their fields, as ``order_by`` would have it. Nulls are a group of their own, and count in no
        figure of their field. Raises ``SchemaValidationError`` for a field that there is not, or that has no such
        figure, and ``UsageError`` for what is no figure.
        """
        repeated = set(self._fields) & set(aggregates)
        if repeated:
            raise UsageError(f"A figure has the name of a field that is grouped by: {', '.join(sorted(repeated))}")
        return [Row(**columns) for columns in self._query.figures(self._fields, aggregates)]

    def count(self) -> list[Row]:
        """Return a row for each group: its fields, and under ``count`` the number of its rows."""
        return self.aggregate(count="count")
