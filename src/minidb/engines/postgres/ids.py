"""Ids of rows, allotted in blocks outside of transactions.

Two transactions that each took the id after the highest would conflict, on whatever machines they are. So a program
takes a block of ids for itself, in a small transaction of its own, and gives them out without asking anybody. Blocks
grow as they are used up; what a program has not used when it ends is never given out: ids are unique and rise within
one program, and have gaps.

A program that comes to another server, as after a failover, begins anew: where commits wait for no other server, that
one may not know of the blocks, and give them out again.
"""

from __future__ import annotations

import threading
from typing import Final

from minidb.engines.port import Space
from minidb.engines.postgres.connections import Connections, ServerConnection
from minidb.engines.postgres.statements import Statements

LARGEST_BLOCK: Final = 10_000


class IdBlocks:
    """The blocks of one engine. Safe from any thread."""

    def __init__(self, connections: Connections, statements: Statements) -> None:
        self._connections = connections
        self._statements = statements
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget all blocks, as a forked child must: its parent gives out what is left of them."""
        self._lock = threading.Lock()
        self._blocks: dict[Space, range] = {}
        self._sizes: dict[Space, int] = {}
        self._era = self._connections.era

    def allot(self, space: Space, count: int) -> range:
        """Return so many ids that follow one another, and that nobody else has or ever had."""
        with self._lock:
            self._begin_anew_elsewhere()
            block = self._blocks.get(space, range(0))
            while len(block) < count:
                size = self._sizes[space] = min(LARGEST_BLOCK, 2 * self._sizes.get(space, 0) or 1)
                asked = max(size, count - len(block))
                first = self._ask(space, asked)
                if self._begin_anew_elsewhere():
                    block = range(0)  # nor is it sure which server this one is from
                    continue
                # Where another program has taken ids meanwhile, the rest of the old block is a gap.
                start = block.start if block and block.stop == first else first
                block = range(start, first + asked)
            self._blocks[space] = block[count:]
            return block[:count]

    def _begin_anew_elsewhere(self) -> bool:
        """Forget all blocks if connections lead to another server than when they were allotted."""
        era, self._era = self._era, self._connections.era
        if era != self._era:
            self._blocks.clear()
        return era != self._era

    def _ask(self, space: Space, count: int) -> int:
        connection = self._connections.take()
        try:
            # Where a server knows no isolation but the serializable one, two allotments at once may conflict.
            return connection.repeat(lambda: self._ask_once(connection, space, count))
        finally:
            self._connections.give_back(connection)

    def _ask_once(self, connection: ServerConnection, space: Space, count: int) -> int:
        statements = self._statements
        begin, commit = (statements.begin_read_committed, ()), (statements.commit, ())
        _, ((next_id,),), _ = connection.run([begin, (statements.allot_ids, (space, count)), commit])
        return int(next_id) - count
