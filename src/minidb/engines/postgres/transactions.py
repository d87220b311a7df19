"""Snapshots, and the base of a write transaction, each on a connection of its own."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Final, NamedTuple, Protocol, cast

from minidb.engines.port import Get, Joined, Pair, Reference, Space
from minidb.engines.postgres.connections import Connections, ServerConnection, keep_inherited
from minidb.engines.postgres.statements import SpaceStatements, Statements
from minidb.engines.postgres.tokens import COMMITTED, key_of_new
from minidb.engines.postgres.wire import Line, Statement
from minidb.engines.write_buffer import Layer, SpaceChanges
from minidb.exceptions import ConflictError, EngineError, EngineUnavailableError, ForkedError

FIRST_PAGE: Final = 128
LARGEST_PAGE: Final = 4096
PAGE_BYTES: Final = 4 * 1024 * 1024
"""Pages grow from the first to the largest, or until they weigh so much."""

BATCH: Final = 1000
"""Keys in one statement."""

BATCH_BYTES: Final = 4 * 1024 * 1024
"""Bytes of values in one statement, if there is more than one of them."""


_LAST: Final = itemgetter(-1)

LARGEST_STEP: Final = 1 << 20
"""Generations rise by chance: after a failover that has lost some, those of a new leader are never the same."""


class KnownSpaces(NamedTuple):
    """The spaces of one generation."""

    generation: int
    spaces: Mapping[Space, SpaceStatements]


class _Page(Protocol):
    """Returns the statement that reads a page of a range."""

    def __call__(self, *, reverse: bool, has_stop: bool) -> str: ...


class PostgresSnapshot:
    """A ``ReadTransaction``. Also the committed side of a write transaction, with what was applied so far."""

    state_id = None
    scan_packed = None

    def __init__(self, connections: Connections, connection: ServerConnection, known: KnownSpaces) -> None:
        self._spaces: dict[Space, SpaceStatements] = dict(known.spaces)
        self.generation = known.generation
        self._connections = connections
        self._connection: ServerConnection | None = connection
        self._fork_count = connections.fork_count

    def get(self, space: Space, key: bytes) -> bytes | None:
        row = self.live().row(self._space(space).get, key)
        return None if row is None else row[0]

    def getter(self, space: Space) -> Get:
        return partial(self.get, space)

    def get_many(self, space: Space, keys: Sequence[bytes]) -> list[bytes | None]:
        if not keys:
            return []
        connection, statements = self.live(), self._space(space)
        found: dict[bytes, bytes] = {}
        batches = [keys[start : start + BATCH] for start in range(0, len(keys), BATCH)]
        for lines in connection.run([(statements.get_many, (batch,)) for batch in batches]):
            found.update(lines)
        return list(map(found.get, keys))

    def scan(
        self,
        space: Space,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
        first_page: int | None = None,
    ) -> Iterator[list[Pair]]:
        size = first_page or limit or FIRST_PAGE
        page = partial(self._space(space).page, "key, value")
        pages = self._pages(page, start, stop, reverse=reverse, limit=limit, size=size)
        return cast("Iterator[list[Pair]]", pages)

    def scan_keys(
        self,
        space: Space,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        first_page: int | None = None,
    ) -> Iterator[list[bytes]]:
        page = partial(self._space(space).page, "key")
        for lines in self._pages(page, start, stop, reverse=reverse, limit=None, size=first_page or FIRST_PAGE):
            yield [key for (key,) in lines]

    def scan_joined(
        self,
        space: Space,
        joined: Space,
        reference: Reference,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        first_page: int | None = None,
    ) -> Iterator[list[Joined]]:
        page = partial(self._space(space).joined_page, self._space(joined), reference)
        pages = self._pages(page, start, stop, reverse=reverse, limit=None, size=first_page or FIRST_PAGE)
        return cast("Iterator[list[Joined]]", pages)

    def last_key(self, space: Space) -> bytes | None:
        for page in self.scan_keys(space, reverse=True, first_page=1):
            return page[0]
        return None

    def _pages(
        self,
        statement: _Page,
        start: bytes | None,
        stop: bytes | None,
        *,
        reverse: bool,
        limit: int | None,
        size: int,
    ) -> Iterator[list[Line]]:
        """Yield the lines of a range, page by page: each begins where the last one ended, so no cursor is held."""
        low = b"" if start is None else start
        remaining = sys.maxsize if limit is None else limit
        while remaining > 0:
            asked = min(size, remaining, LARGEST_PAGE)
            bounds = (low,) if stop is None else (low, stop)
            page = self.live().rows(statement(reverse=reverse, has_stop=stop is not None), *bounds, asked)
            if page:
                yield page
            if len(page) < asked:
                return
            remaining -= asked
            if reverse:
                stop = page[-1][0]
            else:
                low = page[-1][0] + b"\x00"  # the smallest key beyond it
            weight = sum(map(len, filter(None, map(_LAST, page)))) // asked + 1
            size = max(1, min(2 * asked, PAGE_BYTES // weight))

    def count(self, space: Space) -> int:
        row = self.live().row(self._space(space).count)
        return 0 if row is None else int(row[0])

    def spaces(self) -> list[Space]:
        self.live()
        return sorted(self._spaces)

    def close(self) -> None:
        """End the snapshot. Raises ``ConflictError`` where what was read may not stand in any order of transactions."""
        connection = self.let_go()
        if connection is not None:
            try:
                if not connection.is_at_work:  # otherwise a signal's exception is on its way
                    connection.run_alone("COMMIT")
            finally:
                connection.roll_back()
                self._connections.give_back(connection)

    def let_go(self) -> ServerConnection | None:
        """Return the connection, to end what is open on it, and use it no more. None if that is done, or a parent's."""
        connection, self._connection = self._connection, None
        if connection is not None and self.is_inherited:
            keep_inherited(connection)
            return None
        return connection

    @property
    def known(self) -> dict[Space, SpaceStatements]:
        """The spaces, to be changed as the transaction changes them."""
        return self._spaces

    @property
    def is_inherited(self) -> bool:
        """Whether the transaction was begun before this process was forked."""
        return self._fork_count != self._connections.fork_count

    def live(self) -> ServerConnection:
        """Return the connection. Raises where it can be used no more."""
        if self.is_inherited:
            raise ForkedError(
                "The transaction was begun in the parent process, before this one was forked",
                hint="begin a new one here",
            )
        if self._connection is None:
            raise EngineError("The snapshot was used after its end")
        if self._connection.is_at_work:
            raise EngineUnavailableError(
                "An interrupt has cut a statement of the transaction short", hint="roll it back, and run it again"
            )
        return self._connection

    def _space(self, space: Space) -> SpaceStatements:
        try:
            return self._spaces[space]
        except KeyError:
            raise ConflictError("A table that this transaction knows has been dropped") from None


class PostgresBase:
    """The ``Base`` of a write transaction. Its last changes go to the server in one pipeline with the commit."""

    pending = None
    put_sorted = None

    def __init__(
        self,
        connections: Connections,
        connection: ServerConnection,
        statements: Statements,
        known: KnownSpaces,
        next_space: int,
    ) -> None:
        self._connections = connections
        self._statements = statements
        self._next_space = next_space
        self.snapshot = PostgresSnapshot(connections, connection, known)

    def inherit_ids(self) -> dict[int, int]:
        return {}  # the engine allots ids

    def apply(self, changes: Layer) -> None:
        self.snapshot.live().run(self._statements_of(changes))

    def commit(self, changes: Layer) -> None:
        try:
            self.snapshot.live().commit(self._statements_of(changes))
        finally:
            self.rollback()  # ends what is left: everything after a failure, nothing after a commit

    def rollback(self) -> None:
        connection = self.snapshot.let_go()
        if connection is not None:
            connection.roll_back()
            self._connections.give_back(connection)

    def _statements_of(self, changes: Layer) -> Iterator[Statement]:
        if changes.token is not None:
            yield self._statements.note_commit, (key_of_new(changes.token), COMMITTED)
        if changes.changes_catalog:
            yield from self._changes_of_spaces(sorted(changes.created), sorted(changes.dropped))
        # In one order by all, so that two transactions rarely wait for one another in a circle.
        for space in sorted(changes.spaces):
            statements = self.snapshot.known.get(space)
            if statements is not None:  # None: dropped in this transaction
                yield from _changes_of(statements, changes.spaces[space], is_fresh=space in changes.created)

    def _changes_of_spaces(self, created: Sequence[Space], dropped: Sequence[Space]) -> Iterator[Statement]:
        statements, spaces = self._statements, self.snapshot.known
        # First: of two transactions that change spaces at once, the second learns it here.
        yield statements.raise_generation, (random.randrange(1, LARGEST_STEP), len(created))  # noqa: S311  # no secret
        for space in dropped:
            yield statements.remove_space, (space,)
            yield statements.note_dropped, (spaces.pop(space).number,)
            yield statements.forget_ids, (space,)
        for space in created:
            number, self._next_space = self._next_space, self._next_space + 1
            spaces[space] = statements.space(number)
            for statement in statements.make_space(number):
                yield statement, ()
            yield statements.add_space, (space, number)


def _changes_of(statements: SpaceStatements, changes: SpaceChanges, *, is_fresh: bool) -> Iterator[Statement]:
    """Yield what makes the changes of one space. ``is_fresh``: the space has been made here, and is empty."""
    if changes.hides_below and not is_fresh:
        yield statements.clear, ()
    gone = sorted(key for key, value in changes.items.items() if value is None)
    for start in range(0, len(gone), BATCH):
        yield statements.delete, (gone[start : start + BATCH],)
    items = changes.items
    if gone:
        items = {key: value for key, value in items.items() if value is not None}
    keys = sorted(items)
    values = cast("list[bytes]", list(map(items.__getitem__, keys)))
    statement = statements.insert if changes.hides_below else statements.put
    for start in range(0, len(keys), BATCH):
        stop = min(start + BATCH, len(keys))
        weight = sum(map(len, values[start:stop]))
        step = BATCH if weight <= BATCH_BYTES else max(1, BATCH * BATCH_BYTES // weight)
        for first in range(start, stop, step):
            last = min(first + step, stop)
            yield statement, (keys[first:last], values[first:last])
