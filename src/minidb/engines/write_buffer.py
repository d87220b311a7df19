"""The write buffer: what a write transaction wants to change, kept in order in memory until it commits.

Reads of the transaction look here first, scans merge it in, a savepoint is one more layer of it, and rolling back drops
it. Every engine uses the same one: it begins a ``BufferedTransaction`` over its own ``Base``, which answers reads from
committed data and, when the transaction commits, is given its changes. Where the base has changes that were committed
before and are still on their way to the disk, they are one more layer beneath the transaction's own.

A transaction that outgrows ``SPILL_BYTES``, or a part of that where no savepoint is open, hands its changes to the base
before it commits. It stays atomic and isolated; what it loses is the way back to a savepoint that was open at that
moment. Rolling back to such a savepoint dooms the transaction: nothing is left but to roll it back whole.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import compress, islice
from typing import Final, Protocol

from minidb.engines.doomed import DoomedSnapshot, doomed
from minidb.engines.merging import merge
from minidb.engines.port import (
    CATALOG,
    Changes,
    Get,
    Joined,
    Pair,
    ReadTransaction,
    Recorder,
    Reference,
    ScanJoined,
    Space,
)

SPILL_BYTES: Final = 32 * 1024 * 1024
"""Bytes of keys and values, and an allowance for each entry, that a transaction keeps in memory."""

EARLY_SHARE: Final = 4
"""Where no savepoint is open, which spilling would cost the way back, a transaction keeps this part of it only: what
fits in the processor's cache is written sooner (a bulk insert of 100,000 rows: 220 ms in place of 250)."""

ENTRY_OVERHEAD_BYTES: Final = 200
"""What an entry costs in memory beside its value: two objects' headers, a place in a dict, a key of usual length."""

PAGE: Final = 1024
"""Pairs in one list of a merged scan."""

DIRECT_PAIRS: Final = 5000
"""So many pairs that come in order are not kept in memory first, which takes more time than to write them."""

_ABSENT: Final = object()


class SpaceChanges:
    """The changes of one layer to one space."""

    __slots__ = ("_sorted_keys", "hides_below", "items")

    def __init__(self, *, hides_below: bool) -> None:
        self.items: dict[bytes, bytes | None] = {}
        """Key to new value; None for a key that is deleted."""
        self.hides_below = hides_below
        """Whether the space was cleared, created or dropped here: nothing of the layers below shows through."""
        self._sorted_keys: list[bytes] | None = None  # kept from the first scan on, so that pure writers never pay

    def copy(self) -> SpaceChanges:
        twin = SpaceChanges(hides_below=self.hides_below)
        twin.items = self.items.copy()
        return twin

    def absorb(self, upper: SpaceChanges) -> None:
        """Take in changes that stood on these. REQUIRES such as show what is below them."""
        if self._sorted_keys is None and not self.hides_below:
            self.items.update(upper.items)
        else:
            self.delete_many([key for key, value in upper.items.items() if value is None])
            self.put_many({key: value for key, value in upper.items.items() if value is not None})

    def put_many(self, items: Mapping[bytes, bytes]) -> None:
        if self._sorted_keys is None:
            self.items.update(items)
        else:
            for key, value in items.items():
                self._put(key, value)

    def delete_many(self, keys: Iterable[bytes]) -> None:
        if self.hides_below:
            for key in keys:
                if self.items.pop(key, None) is not None and self._sorted_keys is not None:
                    del self._sorted_keys[bisect_left(self._sorted_keys, key)]
        elif self._sorted_keys is None:
            self.items.update(dict.fromkeys(keys))
        else:
            for key in keys:
                self._put(key, None)

    def _put(self, key: bytes, value: bytes | None) -> None:
        if self._sorted_keys is not None and key not in self.items:
            insort(self._sorted_keys, key)
        self.items[key] = value

    def between(
        self, start: bytes | None, stop: bytes | None, *, reverse: bool = False, limit: int | None = None
    ) -> list[tuple[bytes, bytes | None]]:
        """Return the changes of ``[start, stop)`` in key order, or backwards.

        With a limit, no more than it takes to have so many keys that are not deleted.
        """
        if self._sorted_keys is None:
            self._sorted_keys = sorted(self.items)
        keys = self._sorted_keys
        low = 0 if start is None else bisect_left(keys, start)
        high = len(keys) if stop is None else bisect_left(keys, stop)
        if limit is None:
            inside = keys[low:high]
            if reverse:
                inside.reverse()
            return [(key, self.items[key]) for key in inside]
        found: list[tuple[bytes, bytes | None]] = []
        for place in reversed(range(low, high)) if reverse else range(low, high):
            if limit <= 0:
                break
            value = self.items[keys[place]]
            found.append((keys[place], value))
            limit -= value is not None
        return found


class Layer:
    """The changes since a savepoint, or since the transaction began."""

    __slots__ = ("created", "dropped", "size_bytes", "spaces", "token")

    def __init__(self) -> None:
        self.token: str | None = None
        """By which the engine is asked later whether this was committed."""
        self.spaces: dict[Space, SpaceChanges] = {}
        self.created: set[Space] = set()
        self.dropped: set[Space] = set()
        self.size_bytes = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing was changed."""
        return not (self.spaces or self.created or self.dropped)

    @property
    def changes_catalog(self) -> bool:
        """Whether the generation is another one after this."""
        return bool(self.created or self.dropped or CATALOG in self.spaces)

    def as_changes(self) -> Changes:
        """Return what is changed, for a recorder."""
        return Changes(
            dropped=self.dropped,
            created=self.created,
            cleared=[space for space, changes in self.spaces.items() if changes.hides_below],
            items={space: changes.items for space, changes in self.spaces.items()},
        )

    def put_many(self, space: Space, items: Mapping[bytes, bytes]) -> None:
        """Write keys and values, over what was there."""
        changes = self.spaces.get(space)
        if changes is None:
            changes = self.spaces[space] = SpaceChanges(hides_below=False)
        changes.put_many(items)
        self.size_bytes += sum(map(len, items.values())) + ENTRY_OVERHEAD_BYTES * len(items)

    def absorb(self, upper: Layer, *, keeps_upper: bool = False) -> None:
        """Take in the changes of a layer that stood on this one; its parts become this one's, or are copied."""
        for space, changes in upper.spaces.items():
            below = self.spaces.get(space)
            if below is None or changes.hides_below:
                self.spaces[space] = changes.copy() if keeps_upper else changes
            else:
                below.absorb(changes)
        # A space dropped and created again is both: the base drops first, then creates.
        self.dropped |= upper.dropped - self.created
        self.created = (self.created - upper.dropped) | upper.created
        self.size_bytes += upper.size_bytes


PutSorted = Callable[[Space, Sequence[bytes], Sequence[bytes]], None]
"""Given keys in order, and a value for each."""


class Base(Protocol):
    """What an engine provides under a ``BufferedTransaction``: committed data, and a way to change it."""

    @property
    def snapshot(self) -> ReadTransaction:
        """The state that the transaction began on, with what has been spilled since."""
        ...

    @property
    def pending(self) -> Layer | None:
        """What was committed before the transaction began and may be missing in the snapshot. It never changes."""
        ...

    def inherit_ids(self) -> dict[int, int]:
        """See ``WriteTransaction``."""
        ...

    def apply(self, changes: Layer) -> None:
        """Write changes, visible to this transaction only, before it ends: first drop, then create, then change.

        From then on the snapshot shows everything, and ``pending`` is of no use.
        """
        ...

    @property
    def put_sorted(self) -> PutSorted | None:
        """Do what ``apply`` does, with pairs in order. REQUIRES that something was applied. None: it is no quicker."""
        ...

    def commit(self, changes: Layer) -> None:
        """Make these last changes, and all that was applied, durable and visible, and end."""
        ...

    def rollback(self) -> None:
        """Forget all that was applied, and end. After a commit, or called again, it ends what a signal has left."""
        ...


class BufferedTransaction:
    """A ``WriteTransaction`` made of an engine's ``Base`` and a write buffer. One thread uses it."""

    scan_packed = None

    def __init__(self, base: Base, *, spill_bytes: int = SPILL_BYTES) -> None:
        self._base = base
        # The same object until the transaction is doomed: a base that spills changes what is behind it.
        self._snapshot: ReadTransaction = base.snapshot
        self._spill_bytes = spill_bytes
        self._early_spill_bytes = spill_bytes // EARLY_SHARE
        pending = base.pending
        self._layers = [Layer()] if pending is None else [pending, Layer()]
        self._first = len(self._layers) - 1  # of the own layers; what is beneath is read only
        self._unspillable_scans = 0
        self._spilled_savepoints = 0  # so many of the outermost savepoints can no longer be undone
        self._has_ended = False
        self._is_over = False  # and nothing is left to be ended
        self._recorder: Recorder | None = None
        self._has_spilled = False
        self.is_doomed = False
        self.generation = self._snapshot.generation

    # --- reads --------------------------------------------------------------------------------------------------------

    @property
    def state_id(self) -> int | None:
        has_written = self._has_spilled or not all(layer.is_empty for layer in self._layers)
        return None if has_written else self._snapshot.state_id

    def get(self, space: Space, key: bytes) -> bytes | None:
        for layer in reversed(self._layers):
            changes = layer.spaces.get(space)
            if changes is not None:
                value = changes.items.get(key, _ABSENT)
                if value is not _ABSENT:
                    return value  # type: ignore[return-value]  # the sentinel is excluded, which mypy cannot see
                if changes.hides_below:
                    return None
        return self._snapshot.get(space, key)

    def getter(self, space: Space) -> Get:
        return partial(self.get, space)

    def get_many(self, space: Space, keys: Sequence[bytes]) -> list[bytes | None]:
        if not self._is_touched(space):
            return self._snapshot.get_many(space, keys)
        if len(keys) == 1:
            return [self.get(space, keys[0])]
        written, shows_base = self._written(space, keys)
        if shows_base:
            below = [key for key in keys if key not in written]
            written |= zip(below, self._snapshot.get_many(space, below), strict=True)
        return list(map(written.get, keys))

    def _written(self, space: Space, keys: Iterable[bytes]) -> tuple[dict[bytes, bytes | None], bool]:
        """Return what was written of some keys, and whether the base shows through for the others."""
        written: dict[bytes, bytes | None] = {}
        shows_base = True
        for layer in self._layers:
            changes = layer.spaces.get(space)
            if changes is not None:
                if changes.hides_below:
                    written, shows_base = {}, False
                items = changes.items
                written |= {key: items[key] for key in keys if key in items}
        return written, shows_base

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
        overlay, shows_base = self._overlay(space, start, stop, reverse=reverse, limit=limit)
        deleted = sum(value is None for _, value in overlay)
        # The base must not change under the scan, so nothing is spilled while one is open.
        self._unspillable_scans += 1
        try:
            if not shows_base:
                below: Iterator[list[Pair]] = iter(())
            else:
                base_limit = None if limit is None else limit + deleted
                below = self._snapshot.scan(
                    space, start, stop, reverse=reverse, limit=base_limit, first_page=first_page
                )
            if not overlay:
                yield from below
                return
            merged = islice(merge(below, overlay, reverse=reverse), limit)
            size = PAGE if first_page is None else first_page
            while page := list(islice(merged, size)):
                yield page
                size = PAGE
        finally:
            self._unspillable_scans -= 1

    def scan_keys(
        self,
        space: Space,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        first_page: int | None = None,
    ) -> Iterator[list[bytes]]:
        if not self._is_touched(space):
            self._unspillable_scans += 1
            try:
                yield from self._snapshot.scan_keys(space, start, stop, reverse=reverse, first_page=first_page)
            finally:
                self._unspillable_scans -= 1
            return
        for page in self.scan(space, start, stop, reverse=reverse, first_page=first_page):
            yield [key for key, _ in page]

    @property
    def scan_joined(self) -> ScanJoined | None:
        return None if self._snapshot.scan_joined is None else self._scan_joined

    def _scan_joined(
        self,
        space: Space,
        joined: Space,
        reference: Reference,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        first_page: int | None = None,
    ) -> Iterator[list[Joined]] | None:
        scan = self._snapshot.scan_joined
        if scan is None or self._is_touched(space):
            return None
        pages = scan(space, joined, reference, start, stop, reverse=reverse, first_page=first_page)
        return None if pages is None else self._as_written(pages, joined)

    def _as_written(self, pages: Iterator[list[Joined]], joined: Space) -> Iterator[list[Joined]]:
        """Yield pages with what this transaction has written of the space that is joined."""
        self._unspillable_scans += 1
        try:
            for page in pages:
                if self._is_touched(joined):
                    written, shows_base = self._written(joined, [named for _, named, _ in page])
                    page = [  # noqa: PLW2901  # the same page, as it is by now
                        (key, named, written.get(named, value if shows_base else None)) for key, named, value in page
                    ]
                yield page
        finally:
            self._unspillable_scans -= 1

    def last_key(self, space: Space) -> bytes | None:
        if not self._is_touched(space):
            return self._snapshot.last_key(space)
        overlay, shows_base = self._overlay(space, None, None, reverse=True, limit=1)
        if len(overlay) == 1 and overlay[0][1] is not None:  # nothing that is greater was deleted
            below = self._snapshot.last_key(space) if shows_base else None
            return overlay[0][0] if below is None else max(below, overlay[0][0])
        for page in self.scan(space, reverse=True, limit=1):
            return page[0][0]
        return None

    def count(self, space: Space) -> int:
        overlay, shows_base = self._overlay(space, None, None)
        present = sum(value is not None for _, value in overlay)
        if not shows_base:
            return present
        known = self._snapshot.get_many(space, [key for key, _ in overlay])
        return self._snapshot.count(space) + present - sum(value is not None for value in known)

    def spaces(self) -> list[Space]:
        spaces = set(self._snapshot.spaces())
        for layer in self._layers:
            spaces = (spaces - layer.dropped) | layer.created
        return sorted(spaces)

    def _is_touched(self, space: Space) -> bool:
        for layer in self._layers:  # noqa: SIM110  # a generator costs as much as the rest of a small read
            if space in layer.spaces:
                return True
        return False

    def _overlay(
        self,
        space: Space,
        start: bytes | None,
        stop: bytes | None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> tuple[list[tuple[bytes, bytes | None]], bool]:
        """Return the buffered changes of a range, in order, as far as ``limit`` pairs need them.

        And whether the base shows through.
        """
        touching = [layer.spaces[space] for layer in self._layers if space in layer.spaces]
        for number in range(len(touching) - 1, -1, -1):
            if touching[number].hides_below:
                touching = touching[number:]
                break
        shows_base = not (touching and touching[0].hides_below)
        if len(touching) == 1:
            return touching[0].between(start, stop, reverse=reverse, limit=limit), shows_base
        merged: dict[bytes, bytes | None] = {}
        for changes in touching:
            merged.update(changes.between(start, stop))
        return sorted(merged.items(), reverse=reverse), shows_base

    # --- writes -------------------------------------------------------------------------------------------------------

    def inherit_ids(self) -> dict[int, int]:
        return self._base.inherit_ids()

    def put_many(self, space: Space, items: Mapping[bytes, bytes]) -> None:
        self._changes(space).put_many(items)
        layer = self._layers[-1]
        layer.size_bytes += sum(map(len, items.values())) + ENTRY_OVERHEAD_BYTES * len(items)
        if layer.size_bytes > self._early_spill_bytes:
            self._spill()

    def put_sorted(self, space: Space, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        self._require_whole()
        put = self._base.put_sorted
        is_bound = self._depth or self._unspillable_scans or self._recorder is not None
        if not keys or put is None or is_bound or (len(keys) < DIRECT_PAIRS and not self._has_spilled):
            self.put_many(space, dict(zip(keys, values)))  # noqa: B905  # slow
            return
        try:
            if not self._has_spilled or self._is_touched(space):  # what else is buffered may wait
                self._apply_all()
            put(space, keys, values)
        except BaseException:
            self._doom()  # a part has been applied
            raise

    def insert_many(self, space: Space, items: Mapping[bytes, bytes]) -> list[bool]:
        old = self.get_many(space, list(items))
        is_new = [value is None for value in old]
        if all(is_new):
            self.put_many(space, items)
        else:
            self.put_many(space, dict(compress(items.items(), is_new)))
        return is_new

    def delete_many(self, space: Space, keys: Iterable[bytes]) -> None:
        keys = keys if isinstance(keys, list) else list(keys)
        self._changes(space).delete_many(keys)
        layer = self._layers[-1]
        layer.size_bytes += sum(map(len, keys)) + ENTRY_OVERHEAD_BYTES * len(keys)
        if layer.size_bytes > self._early_spill_bytes:
            self._spill()

    def clear(self, space: Space) -> None:
        self._require_whole()
        self._layers[-1].spaces[space] = SpaceChanges(hides_below=True)

    def create_space(self, space: Space) -> None:
        self._require_whole()
        layer = self._layers[-1]
        layer.created.add(space)
        layer.spaces[space] = SpaceChanges(hides_below=True)

    def drop_space(self, space: Space) -> None:
        self._require_whole()
        layer = self._layers[-1]
        if space in layer.created:
            layer.created.remove(space)
        else:
            layer.dropped.add(space)
        layer.spaces[space] = SpaceChanges(hides_below=True)

    def _changes(self, space: Space) -> SpaceChanges:
        if self.is_doomed:
            raise doomed()
        spaces = self._layers[-1].spaces
        changes = spaces.get(space)
        if changes is None:
            changes = spaces[space] = SpaceChanges(hides_below=False)
        return changes

    def _spill(self) -> None:
        is_due = not self._depth or self._layers[-1].size_bytes > self._spill_bytes
        if is_due and self._unspillable_scans == 0:
            self._spilled_savepoints = self._depth
            try:
                self._apply_all()
            except BaseException:
                self._doom()  # a part has been applied
                raise

    @property
    def _depth(self) -> int:
        """How many savepoints are open."""
        return len(self._layers) - self._first - 1

    def _apply_all(self) -> None:
        """Hand every layer to the base; the own ones stay, empty."""
        whole, *uppers = self._layers[self._first :]
        for layer in uppers:
            whole.absorb(layer)
        self._layers = [Layer() for _ in range(self._depth + 1)]
        self._first = 0
        self._record(whole, is_last=False)
        self._has_spilled = True
        self._base.apply(whole)

    def record(self, recorder: Recorder | None) -> None:
        self._recorder = recorder

    def _record(self, changes: Layer, *, is_last: bool) -> None:
        if self._recorder is not None and (self._has_spilled or not changes.is_empty):
            for space, items in self._recorder(changes.as_changes(), is_last).items():
                changes.put_many(space, items)

    # --- ends ---------------------------------------------------------------------------------------------------------

    def savepoint(self) -> None:
        self._require_whole()
        self._layers.append(Layer())

    def release(self) -> None:
        upper = self._layers.pop()
        self._require_whole()
        self._layers[-1].absorb(upper)
        self._spilled_savepoints = min(self._spilled_savepoints, self._depth)

    def rollback_to_savepoint(self) -> None:
        self._layers.pop()
        if self._depth < self._spilled_savepoints:
            self._doom()

    def _require_whole(self) -> None:
        if self.is_doomed:
            raise doomed()

    def _doom(self) -> None:
        self.is_doomed = True
        self._layers = [Layer() for _ in range(self._depth + 1)]
        self._first = 0
        self._snapshot = DoomedSnapshot(self.generation)  # what it would read is neither the old state nor the new

    def commit(self, token: str | None = None) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        try:
            self._require_whole()
            while self._depth:
                self.release()
            self._record(self._layers[-1], is_last=True)
        except BaseException:
            self._base.rollback()
            raise
        self._layers[-1].token = token
        self._base.commit(self._layers[-1])
        self._is_over = True

    def close(self) -> None:
        if self._is_over:
            return
        self._has_ended = True
        self._layers = [Layer()]
        self._first = 0
        self._base.rollback()
