"""Replay: the commits of increments, done again one after the other on what a whole backup held.

Nothing is believed: records must follow each other without a gap, and each must have the chain that follows from its
bytes and the chain before it; so those of another database, or of a copy that went on apart, are refused. What a record
changes may be nothing but rows, items, ids given out and the catalog.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from minidb.encoding.changes import StoredChanges, decode_changes
from minidb.engines.port import Engine, Pair, ReadTransaction, Space, WriteTransaction
from minidb.exceptions import BackupError, CorruptionError
from minidb.maintenance.filling import writing
from minidb.maintenance.manifest import Manifest
from minidb.structs import Struct
from minidb.tables import history
from minidb.tables.history import CHAIN_BYTES, Chain, Point, next_chain, number_and_part

_BATCH_BYTES: Final = 8 * 1024 * 1024
_LARGEST_KEY_BYTES: Final = 511
_MOST_SPACES: Final = 4096
_MADE_SPACE: Final = re.compile(r"(rows|mapping)/[0-9]{1,20}")

Refusal = Callable[[str], BackupError]


class Refusals(NamedTuple):
    """Make the errors for what is read."""

    damaged: Refusal
    unfit: Refusal
    """For what is whole, and does not belong there."""


class Limit(Struct, frozen=True):
    """Up to where to go: a commit, or a moment; or as far as there is anything."""

    number: int | None = None
    time_us: int | None = None

    def admits(self, number: int, time_us: int) -> bool:
        """Tell whether a commit is within it."""
        return (self.number is None or number <= self.number) and (self.time_us is None or time_us <= self.time_us)


class _Step(NamedTuple):
    """A commit, or a part of one that was too large for memory."""

    number: int
    time_us: int
    """That of the commit, which its last part says."""

    changes: StoredChanges
    size_bytes: int
    point: Point | None
    """What the commit is known by, in its last part."""


class Replay:
    """Takes in the increments that follow a whole backup, in their order."""

    def __init__(self, engine: Engine, point: Point, limit: Limit) -> None:
        """``point`` is the newest commit that the engine has."""
        self._engine = engine
        self._limit = limit
        snapshot = engine.begin_read()
        try:
            self._spaces = set(snapshot.spaces())
        finally:
            snapshot.close()
        self.point = point
        """The newest commit that the engine has now."""

        self.has_ended = False
        """Whether a commit beyond the limit was met."""

    def take(self, manifest: Manifest, pages: Iterable[list[Pair]], refusals: Refusals) -> None:
        """Do the commits of an increment again, those that are new and within the limit."""
        begun, since, until = self.point, manifest.since, manifest.history
        assert since is not None, "an increment"
        assert until is not None, "an increment"
        if since.number > begun.number:
            raise refusals.unfit(
                f"it follows commit {since.number}, and what came after commit {begun.number} is missing"
            )
        if until.number < begun.number:
            raise refusals.unfit(f"it ends with commit {until.number}, and commit {begun.number} is there already")
        if since.number == begun.number and since.chain != begun.chain:
            raise _other(refusals)
        for batch in _batches(_steps(chain.from_iterable(pages), since, refusals)):
            with writing(self._engine) as transaction:  # many commits in one: nobody sees them
                for step in batch:
                    if step.number > begun.number:
                        if not self._limit.admits(step.number, step.time_us):
                            self.has_ended = True
                            return
                        self._do(step.changes, transaction, refusals.damaged)
                        self.point = self.point if step.point is None else step.point
                    elif step.number == begun.number and step.point is not None and step.point.chain != begun.chain:
                        raise _other(refusals)
        if self.point != until:
            raise refusals.damaged("it does not end with the commit that it says")

    def _do(self, changes: StoredChanges, transaction: WriteTransaction, refusal: Refusal) -> None:
        for space in map(Space, changes.dropped):
            if not _MADE_SPACE.fullmatch(space) or space not in self._spaces:
                raise refusal("it drops a space that there is not")
            transaction.drop_space(space)
            self._spaces.remove(space)
        for space in map(Space, changes.created):
            if not _MADE_SPACE.fullmatch(space) or space in self._spaces or len(self._spaces) >= _MOST_SPACES:
                raise refusal("it makes a space that there is already, or that cannot be")
            transaction.create_space(space)
            self._spaces.add(space)
        for space in map(Space, changes.cleared):
            if space in self._spaces and space not in changes.created:
                transaction.clear(space)
        for name, items in changes.items.items():
            if (space := Space(name)) in self._spaces:  # otherwise the same commit has dropped it
                if not all(0 < len(key) <= _LARGEST_KEY_BYTES for key in items):
                    raise refusal("a key is empty or too long")
                transaction.put_many(space, {key: value for key, value in items.items() if value is not None})
                transaction.delete_many(space, [key for key, value in items.items() if value is None])


def _steps(pairs: Iterable[Pair], since: Point, refusals: Refusals) -> Iterator[_Step]:
    """Yield what the records of a history say, in the order in which it was done."""
    point, chain_before = since, since.chain
    last: tuple[StoredChanges, bytes] | None = None  # the last part of a commit, whose record comes first
    parts = 0
    for key, value in pairs:
        try:
            number, part = number_and_part(key)
            changes = decode_changes(value[CHAIN_BYTES:])
        except CorruptionError as error:
            raise refusals.damaged(error.message) from error
        if part == 0:
            if last is not None:
                point, chain_before = _ended(point, chain_before, last, refusals)
                yield _Step(point.number, point.time_us, last[0], len(last[1]), point)
            if number != point.number + 1 or changes.time_us <= point.time_us:
                raise refusals.damaged(f"commit {number} cannot follow commit {point.number}")
            last, parts = (changes, value), 0
        else:
            parts += 1
            if last is None or (number, part) != (point.number + 1, parts):
                raise refusals.damaged(f"a part of commit {number} stands where it cannot")
            chain_before = _checked(chain_before, value, refusals)
            yield _Step(number, last[0].time_us, changes, len(value), None)
    if last is not None:
        point, _ = _ended(point, chain_before, last, refusals)
        yield _Step(point.number, point.time_us, last[0], len(last[1]), point)


def replayed(snapshot: ReadTransaction, since: Point) -> Iterator[Point]:
    """Yield the commits of a history after one, as their records say. Raises ``BackupError`` where one cannot."""

    def refusal(reason: str) -> BackupError:
        return BackupError(reason[:1].upper() + reason[1:], path=None)

    pairs = chain.from_iterable(history.records(snapshot, since.number))
    for step in _steps(pairs, since, Refusals(refusal, refusal)):
        if step.point is not None:
            yield step.point


def _ended(
    point: Point, chain_before: Chain, last: tuple[StoredChanges, bytes], refusals: Refusals
) -> tuple[Point, Chain]:
    ended = _checked(chain_before, last[1], refusals)
    return Point(point.number + 1, last[0].time_us, ended), ended


def _checked(chain_before: Chain, value: bytes, refusals: Refusals) -> Chain:
    found = next_chain(chain_before, value[CHAIN_BYTES:])
    if found != value[:CHAIN_BYTES]:
        raise _other(refusals)
    return found


def _other(refusals: Refusals) -> BackupError:
    return refusals.unfit("its commits are of another database, or of a copy that went on apart")


def _batches(steps: Iterator[_Step]) -> Iterator[list[_Step]]:
    batch: list[_Step] = []
    size = 0
    for step in steps:
        batch.append(step)
        size += step.size_bytes
        if size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield batch
