"""The memory engine: the smallest correct engine. ``MiniDB(":memory:")`` opens one; it is gone when it is closed.

A space is a dict and the sorted list of its keys. A snapshot shares the spaces that were there when it began; a commit
copies the spaces that it changes if any snapshot is open, and changes them in place if none is.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from minidb.engines.port import CATALOG, Capabilities, Get, Pair, Space
from minidb.engines.write_buffer import BufferedTransaction, Layer, SpaceChanges
from minidb.engines.write_lock import Hold, WriteLock

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

    def finish(self, changes: SpaceChanges) -> None:
        """Do what ``change`` does, from wherever an exception has left it."""
        values = {} if changes.hides_below else self.values
        for key, value in changes.items.items():
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        self.keys, self.values = sorted(values), values


class MemoryEngine:
    """An ``Engine`` whose data lives in this process only."""

    capabilities = Capabilities(name="memory", max_key_bytes=511, is_durable=False, has_many_writers=False)
    location = ":memory:"
    allot_ids = None
    newest_getter = None
    commit_tokens = None

    def __init__(self) -> None:
        self._spaces: dict[Space, _MemorySpace] = {CATALOG: _MemorySpace()}
        self._generation = 0
        self._state_id = 0  # the number of commits
        self._snapshots: set[weakref.ref[_MemorySnapshot]] = set()  # the open ones
        self._write_lock = WriteLock()
        _engines.add(self)

    def begin_read(self) -> _MemorySnapshot:
        with _guard:
            return _MemorySnapshot(self._snapshots, self._spaces, self._generation, self._state_id)

    def begin_write(self, timeout_s: float, began_at: object = None) -> BufferedTransaction:
        hold = self._write_lock.acquire(timeout_s, began_at)
        try:
            return BufferedTransaction(_MemoryBase(self, hold), spill_bytes=sys.maxsize)
        except BaseException:
            hold.release()
            raise

    def sync(self) -> None:
        """Do nothing: nothing here outlives the process."""

    def statistics(self) -> dict[str, int]:
        with _guard:
            pairs = [pair for space in self._spaces.values() for pair in space.values.items()]
        size_bytes = sum(len(key) + len(value) for key, value in pairs)
        return {"size_bytes": size_bytes, "used_bytes": size_bytes}

    def close(self) -> None:
        """Do nothing: the data goes when the last reference goes."""

    def apply_commit(self, changes: Layer) -> None:
        with _guard:
            spaces = self._spaces_to_change(changes)
            # Calls, and no loops: on Python 3.13.0 a signal's exception that comes in at a jump back passes by.
            try:
                _change_all(spaces, changes.spaces)
            except BaseException:  # such as KeyboardInterrupt: too late to go back, so nobody may see a half of it
                _finish_all(spaces, changes.spaces)
                self._publish(spaces, changes)
                raise
            self._publish(spaces, changes)

    def _spaces_to_change(self, changes: Layer) -> dict[Space, _MemorySpace]:
        spaces = dict(self._spaces)
        for space in changes.dropped:
            del spaces[space]
        for space in changes.created:
            spaces[space] = _MemorySpace()
        for space in changes.spaces:
            if space in spaces and self._snapshots and space not in changes.created:
                spaces[space] = spaces[space].copy()
        return spaces

    def _publish(self, spaces: dict[Space, _MemorySpace], changes: Layer) -> None:
        self._generation += changes.changes_catalog
        self._state_id += 1
        self._spaces = spaces

    def after_fork_in_child(self) -> None:
        """Forget the transactions of the parent: its other threads do not run here, and never give back the lock."""
        self._snapshots = set()
        self._write_lock = WriteLock()


def _change_all(spaces: Mapping[Space, _MemorySpace], changes: Mapping[Space, SpaceChanges]) -> None:
    for space, change in changes.items():
        if space in spaces:  # otherwise dropped in this transaction
            spaces[space].change(change)


def _finish_all(spaces: Mapping[Space, _MemorySpace], changes: Mapping[Space, SpaceChanges]) -> None:
    for space, change in changes.items():
        if space in spaces:
            spaces[space].finish(change)


class _MemorySnapshot:
    """A ``ReadTransaction`` over shared spaces."""

    scan_joined = None
    scan_packed = None

    def __init__(
        self,
        snapshots: set[weakref.ref[_MemorySnapshot]],
        spaces: Mapping[Space, _MemorySpace],
        generation: int,
        state_id: int,
    ) -> None:
        """``snapshots`` is where the engine has those that are open. One that is let go of leaves it, too."""
        reference: weakref.ref[_MemorySnapshot] = weakref.ref(self, snapshots.discard)
        snapshots.add(reference)
        self._end = partial(snapshots.discard, reference)
        self._spaces = spaces
        self.generation = generation
        self.state_id = state_id

    def get(self, space: Space, key: bytes) -> bytes | None:
        return self._spaces[space].values.get(key)

    def getter(self, space: Space) -> Get:
        return partial(self.get, space)

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
        first_page: int | None = None,
    ) -> Iterator[list[Pair]]:
        values = self._spaces[space].values
        remaining = sys.maxsize if limit is None else limit
        for page in self._pages(space, start, stop, reverse=reverse, first_page=first_page):
            if remaining <= 0:
                return
            yield [(key, values[key]) for key in page[:remaining]]
            remaining -= len(page)

    def scan_keys(
        self,
        space: Space,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        first_page: int | None = None,
    ) -> Iterator[list[bytes]]:
        return self._pages(space, start, stop, reverse=reverse, first_page=first_page)

    def last_key(self, space: Space) -> bytes | None:
        return next(iter(self._spaces[space].keys[-1:]), None)

    def _pages(
        self, space: Space, start: bytes | None, stop: bytes | None, *, reverse: bool, first_page: int | None
    ) -> Iterator[list[bytes]]:
        keys = self._spaces[space].keys
        low = 0 if start is None else bisect_left(keys, start)
        high = len(keys) if stop is None else bisect_left(keys, stop)
        size = _PAGE if first_page is None else first_page
        while low < high:
            if reverse:
                yield keys[max(low, high - size) : high][::-1]
                high -= size
            else:
                yield keys[low : min(low + size, high)]
                low += size
            size = _PAGE

    def count(self, space: Space) -> int:
        return len(self._spaces[space].keys)

    def spaces(self) -> list[Space]:
        return sorted(self._spaces)

    def close(self) -> None:
        self._end()


class _MemoryBase:
    """The ``Base`` of a write transaction."""

    put_sorted = None

    def __init__(self, engine: MemoryEngine, hold: Hold) -> None:
        self._engine = engine
        self._hold = hold
        self.snapshot = engine.begin_read()
        self.pending = None

    def inherit_ids(self) -> dict[int, int]:
        return {}  # to look them up costs next to nothing

    def apply(self, changes: Layer) -> None:
        raise AssertionError(f"spilled {changes.size_bytes} bytes, though there is no limit")

    def commit(self, changes: Layer) -> None:
        self.snapshot.close()  # first: a snapshot that nobody reads any more must not cost a copy
        try:
            if not changes.is_empty:
                self._engine.apply_commit(changes)
        finally:
            self._hold.release()

    def rollback(self) -> None:
        self.snapshot.close()
        self._hold.release()


_engines: weakref.WeakSet[MemoryEngine] = weakref.WeakSet()

_guard = threading.RLock()
"""Guards the spaces, the generation and the snapshots of every engine; held for moments only. Reentrant, since garbage
collection or a signal may come in anywhere. A fork waits for it, so that no child inherits half a commit."""


def _after_fork_in_child() -> None:
    _guard.release()
    for engine in list(_engines):
        engine.after_fork_in_child()


os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_after_fork_in_child)
