"""The memory engine: the smallest correct engine. ``MiniDB(":memory:")`` opens one; it is gone when it is closed.

A space is a dict and the sorted list of its keys. A snapshot shares the spaces that were there when it began; a commit
copies the spaces that it changes if any snapshot is open, and changes them in place if none is.
"""

from __future__ import annotations

import sys
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from minidb.engines.port import CATALOG, Capabilities, Pair, Space
from minidb.engines.write_buffer import BufferedTransaction, SpaceChanges
from minidb.engines.write_lock import WriteLock

_PAGE = 1024


class _MemorySpace:
    __slots__ = ("keys", "values")

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.values: dict[bytes, bytes] = {}

    def copy(self) -> _MemorySpace:
        twin = _MemorySpace()
        twin.keys = self.keys.copy()
        twin.values = self.values.copy()
        return twin

    def change(self, changes: SpaceChanges) -> None:
        if changes.hides_below:
            self.keys, self.values = [], {}
        added = []
        for key, value in changes.items.items():
            if value is None:
                if self.values.pop(key, None) is not None:
                    del self.keys[bisect_left(self.keys, key)]
            else:
                if key not in self.values:
                    added.append(key)
                self.values[key] = value
        if added:
            added.sort()
            must_sort = bool(self.keys) and added[0] < self.keys[-1]
            self.keys += added
            if must_sort:
                self.keys.sort()  # two sorted runs: one linear merge


class MemoryEngine:
    """An ``Engine`` whose data lives in this process only."""

    capabilities = Capabilities(name="memory", max_key_bytes=511, is_durable=False, has_many_writers=False)
    location = ":memory:"

    def __init__(self) -> None:
        self._spaces: dict[Space, _MemorySpace] = {CATALOG: _MemorySpace()}
        self._generation = 0
        self._snapshots = 0
        self._guard = threading.Lock()  # guards the three above; held for moments only
        self._write_lock = WriteLock()

    def begin_read(self) -> _MemorySnapshot:
        with self._guard:
            self._snapshots += 1
            return _MemorySnapshot(self, self._spaces, self._generation)

    def begin_write(self, timeout_s: float) -> BufferedTransaction:
        self._write_lock.acquire(timeout_s)
        return BufferedTransaction(_MemoryBase(self, self._write_lock), spill_bytes=sys.maxsize)

    def statistics(self) -> dict[str, int]:
        with self._guard:
            pairs = [pair for space in self._spaces.values() for pair in space.values.items()]
        return {"size_bytes": sum(len(key) + len(value) for key, value in pairs)}

    def close(self) -> None:
        """Do nothing: the data goes when the last reference goes."""

    def end_snapshot(self) -> None:
        with self._guard:
            self._snapshots -= 1

    def apply_commit(
        self,
        changes: Mapping[Space, SpaceChanges],
        created: Iterable[Space],
        dropped: Iterable[Space],
        changes_catalog: bool,  # noqa: FBT001  # the base hands on what it was given
    ) -> None:
        with self._guard:
            spaces = dict(self._spaces)
            for space in dropped:
                del spaces[space]
            for space in created:
                spaces[space] = _MemorySpace()
            for space, change in changes.items():
                if space in spaces:
                    if self._snapshots and space not in created:
                        spaces[space] = spaces[space].copy()
                    spaces[space].change(change)
            self._spaces = spaces
            self._generation += changes_catalog


class _MemorySnapshot:
    """A ``ReadTransaction`` over shared spaces."""

    def __init__(self, engine: MemoryEngine, spaces: Mapping[Space, _MemorySpace], generation: int) -> None:
        self._engine: MemoryEngine | None = engine
        self._spaces = spaces
        self.generation = generation

    def get(self, space: Space, key: bytes) -> bytes | None:
        return self._spaces[space].values.get(key)

    def get_many(self, space: Space, keys: Sequence[bytes]) -> list[bytes | None]:
        return list(map(self._spaces[space].values.get, keys))

    def scan(
        self,
        space: Space,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[list[Pair]]:
        values = self._spaces[space].values
        remaining = sys.maxsize if limit is None else limit
        for page in self._pages(space, start, stop, reverse=reverse):
            if remaining <= 0:
                return
            yield [(key, values[key]) for key in page[:remaining]]
            remaining -= len(page)

    def scan_keys(self, space: Space, start: bytes | None = None, stop: bytes | None = None) -> Iterator[list[bytes]]:
        return self._pages(space, start, stop, reverse=False)

    def _pages(self, space: Space, start: bytes | None, stop: bytes | None, *, reverse: bool) -> Iterator[list[bytes]]:
        keys = self._spaces[space].keys
        low = 0 if start is None else bisect_left(keys, start)
        high = len(keys) if stop is None else bisect_left(keys, stop)
        if reverse:
            for place in range(high, low, -_PAGE):
                yield keys[max(low, place - _PAGE) : place][::-1]
        else:
            for place in range(low, high, _PAGE):
                yield keys[place : min(high, place + _PAGE)]

    def count(self, space: Space) -> int:
        return len(self._spaces[space].keys)

    def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.end_snapshot()


class _MemoryBase:
    """The ``Base`` of a write transaction: keeps what is applied until the commit."""

    def __init__(self, engine: MemoryEngine, write_lock: WriteLock) -> None:
        self._engine = engine
        self._write_lock = write_lock
        self.snapshot = engine.begin_read()
        self._applied: tuple[Mapping[Space, SpaceChanges], Iterable[Space], Iterable[Space], bool] | None = None

    def apply(
        self,
        changes: Mapping[Space, SpaceChanges],
        *,
        created: Iterable[Space],
        dropped: Iterable[Space],
        changes_catalog: bool,
    ) -> None:
        self._applied = (changes, created, dropped, changes_catalog)

    def commit(self) -> None:
        self.snapshot.close()  # first: a snapshot that nobody reads any more must not cost a copy
        if self._applied is not None:
            self._engine.apply_commit(*self._applied)
        self._write_lock.release()

    def rollback(self) -> None:
        self.snapshot.close()
        self._write_lock.release()
