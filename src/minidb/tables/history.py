"""The history: what each commit has changed, written in the commit itself, in a space of its own.

    history := head tail record*
    head    := 00 -> point                  the newest commit
    tail    := 01 -> point                  the commit before the oldest record
    record  := 02 number part -> chain changes
    number  := 8 bytes, unsigned, big endian    of the commit, one more than that of the one before
    part    := 4 bytes, unsigned, big endian    0; those of a commit too large for memory come as 1, 2, …, 0
    changes := as in ``encoding.changes``; the time in part 0 is that of the commit
    point   := number time chain
    time    := 8 bytes, unsigned, big endian    microseconds since 1970, UTC; each later than the one before it
    chain   := 16 bytes: BLAKE2b of the chain before this record and its changes; at first, random

Numbers rule. Times rise with them also when a clock goes back: a time is then a microsecond after the one before. The
chain tells histories apart: two have equal chains at a number only if they are the same up to there, so that the
backups of two databases cannot be mixed, nor those of two copies of one that went on apart.

Not in a record are index entries, which follow from the rows, how far an index that is being built or a migration step
has come, and the history itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from struct import Struct as Layout
from typing import Final, NewType

from minidb.encoding.changes import StoredChanges, decode_changes, encode_changes
from minidb.engines.port import Changes, ReadTransaction, Space, WriteTransaction
from minidb.exceptions import CorruptionError
from minidb.structs import Struct

HISTORY: Final = Space("history")

Chain = NewType("Chain", bytes)

# Stored on disk: never change.
_HEAD_KEY: Final = b"\x00"
_TAIL_KEY: Final = b"\x01"
_RECORD: Final = b"\x02"
_KEY: Final = Layout(">cQL")
_POINT: Final = Layout(">QQ16s")
CHAIN_BYTES: Final = 16
_MOST_TRIMMED: Final = 10_000
_NOT_RECORDED: Final = ("index/", "building/", "rewriting/")


class Point(Struct, frozen=True):
    """A commit, and what came before it."""

    number: int
    time_us: int
    """Microseconds since 1970, UTC."""

    chain: Chain

    def encode(self) -> bytes:
        return _POINT.pack(self.number, self.time_us, self.chain)

    @classmethod
    def decode(cls, data: bytes | None) -> Point:
        if data is None or len(data) != _POINT.size:
            raise CorruptionError("The history has lost its head or its tail", hint="stop it, and start it again")
        number, time_us, chain = _POINT.unpack(data)
        return cls(number, time_us, Chain(chain))

    def next_time_us(self) -> int:
        """Return the time of a commit that is made now."""
        return max(time.time_ns() // 1000, self.time_us + 1)


def record_key(number: int, part: int = 0) -> bytes:
    """Return the key of a record: that of part 0 comes before those of the others."""
    return _KEY.pack(_RECORD, number, part)


def number_and_part(key: bytes) -> tuple[int, int]:
    """Return what a key of a record says. Raises ``CorruptionError``."""
    if len(key) != _KEY.size or key[:1] != _RECORD:
        raise CorruptionError("The history has a key that is none")
    _, number, part = _KEY.unpack(key)
    return number, part


def next_chain(chain: Chain, changes: bytes) -> Chain:
    """Return the chain of a record from the one before it."""
    from hashlib import blake2b

    return Chain(blake2b(changes, digest_size=CHAIN_BYTES, key=chain).digest())


class Recorder:
    """Makes the records of one transaction. See ``engines.port.Recorder``."""

    def __init__(self, transaction: ReadTransaction) -> None:
        self._transaction = transaction
        self._before: Point | None = None
        self._chain = Chain(b"")
        self._part = 0

    def __call__(self, changes: Changes, is_last: bool) -> Mapping[Space, Mapping[bytes, bytes]]:  # noqa: FBT001  # as the port has it
        items = {space: one for space, one in changes.items.items() if _is_recorded(space) and one}
        dropped, created, cleared = (
            [space for space in some if _is_recorded(space)]
            for some in (changes.dropped, changes.created, changes.cleared)
        )
        if not (items or dropped or created or cleared or self._part):
            return {}
        if self._before is None:
            self._before = head(self._transaction)
            self._chain = self._before.chain
        time_us = self._before.next_time_us()
        data = encode_changes(StoredChanges(time_us, dropped, created, cleared, items))  # type: ignore[arg-type]  # a Space is a str
        self._chain = next_chain(self._chain, data)
        number = self._before.number + 1
        if is_last:
            record = {record_key(number): self._chain + data}
            return {HISTORY: {**record, _HEAD_KEY: Point(number, time_us, self._chain).encode()}}
        self._part += 1
        return {HISTORY: {record_key(number, self._part): self._chain + data}}


def _is_recorded(space: Space) -> bool:
    return space != HISTORY and not space.startswith(_NOT_RECORDED)


def head(transaction: ReadTransaction) -> Point:
    """Return the newest commit of a history."""
    return Point.decode(transaction.get(HISTORY, _HEAD_KEY))


def tail(transaction: ReadTransaction) -> Point:
    """Return the commit before the oldest that a history has a record of."""
    return Point.decode(transaction.get(HISTORY, _TAIL_KEY))


def chain_at(transaction: ReadTransaction, number: int) -> Chain | None:
    """Return the chain at a commit, or None where a history does not reach so far."""
    oldest = tail(transaction)
    if number == oldest.number:
        return oldest.chain
    data = transaction.get(HISTORY, record_key(number)) if number > oldest.number else None
    return None if data is None else Chain(data[:CHAIN_BYTES])


def begin(transaction: WriteTransaction, point: Point | None = None) -> None:
    """Make the space of a history that begins at a point; None: now, with nothing before it."""
    if point is None:
        import secrets

        point = Point(0, time.time_ns() // 1000, Chain(secrets.token_bytes(CHAIN_BYTES)))
    transaction.create_space(HISTORY)
    transaction.put_many(HISTORY, {_HEAD_KEY: point.encode(), _TAIL_KEY: point.encode()})


def number_at(transaction: ReadTransaction, time_us: int) -> int:
    """Return the newest commit that was made by a time, as far as there are records."""
    oldest, newest = tail(transaction).number, head(transaction).number
    while oldest < newest:  # by halves: times rise with numbers
        middle = (oldest + newest + 1) // 2
        if _point_of(transaction, middle).time_us <= time_us:
            oldest = middle
        else:
            newest = middle - 1
    return oldest


def _point_of(transaction: ReadTransaction, number: int) -> Point:
    data = transaction.get(HISTORY, record_key(number))
    if data is None:
        raise CorruptionError("The history lacks a commit", hint="stop it, and start it again")
    return Point(number, decode_changes(data[CHAIN_BYTES:]).time_us, Chain(data[:CHAIN_BYTES]))


def trim(transaction: WriteTransaction, number: int) -> int:
    """Delete the records of all commits up to one, but of no more than so many; return how many commits that were."""
    before = tail(transaction).number
    number = min(number, head(transaction).number, before + _MOST_TRIMMED)
    if number <= before:
        return 0
    point = _point_of(transaction, number)
    keys = [key for keys in transaction.scan_keys(HISTORY, record_key(0), record_key(number + 1)) for key in keys]
    transaction.delete_many(HISTORY, keys)
    transaction.put_many(HISTORY, {_TAIL_KEY: point.encode()})
    return number - before


def records(transaction: ReadTransaction, after: int, up_to: int | None = None) -> Iterator[list[tuple[bytes, bytes]]]:
    """Yield the records of the commits after one, in pages."""
    return transaction.scan(HISTORY, record_key(after + 1), None if up_to is None else record_key(up_to + 1))


def count_records(transaction: ReadTransaction, after: int, up_to: int) -> int:
    """Return how many records there are of the commits after one, up to another."""
    return sum(map(len, transaction.scan_keys(HISTORY, record_key(after + 1), record_key(up_to + 1))))
