"""The engine port: an ordered, transactional store of bytes, in named spaces.

An engine knows no rows. A *space* is one ordered map from keys to values; a table has one for its rows and one for each
of its indexes. What stands below as REQUIRES is owed by the caller, as GUARANTEES by every engine;
``minidb.testing.check_engine`` proves an engine against it. Why the port looks so: ``docs/design/engine-contract.md``.

Order is the order of ``bytes`` in Python. A range is ``[start, stop)``; ``None`` is the open end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import NewType, Protocol

from minidb.structs import Struct

Space = NewType("Space", str)
"""The name of a space: 1 to 200 characters. A name that was dropped may be created again."""

CATALOG = Space("catalog")
"""The one space that every database has from its creation. Writing to it changes the generation."""

Pair = tuple[bytes, bytes]

Joined = tuple[bytes, bytes, bytes | None]
"""A pair's key, the key that the pair refers to, and the value of that one in another space; None where it has none."""


class Reference(Enum):
    """Where a pair holds the key that it refers to."""

    VALUE = auto()
    """It is the pair's value."""

    KEY_END = auto()
    """The pair's key ends with it and its length: 1 byte below 255, or 2 bytes, big endian, then 255."""


class Capabilities(Struct, frozen=True, kw_only=True):
    """What an engine can do, declared once."""

    name: str
    """One word for messages and statistics."""

    max_key_bytes: int
    """The longest key, in bytes. At least 511."""

    is_durable: bool
    """Whether anything outlives the process."""

    has_many_writers: bool
    """Whether write transactions run side by side and may therefore end in ``ConflictError``."""

    is_serializable: bool = True
    """Whether transactions are as if one after another. If not, two may each build on what the other one changes."""

    is_stale: bool = False
    """Whether a snapshot may lack what was acknowledged before it began. Such a store takes no writes."""


class Changes(Struct, frozen=True, kw_only=True):
    """What a write transaction, or a part of it, changes: first spaces go, then they come, then all else."""

    dropped: Collection[Space]
    created: Collection[Space]
    """Where one was dropped and made again, it is in both."""

    cleared: Collection[Space]
    """Emptied before ``items`` are changed; those that were created among them."""

    items: Mapping[Space, Mapping[bytes, bytes | None]]
    """Key to new value; None for a key that is deleted. A space that was dropped may be among them."""


Recorder = Callable[[Changes, bool], Mapping[Space, Mapping[bytes, bytes]]]
"""Told what changes, and whether it is the last part of it. Returns what is to be written too, with it."""


class ScanJoined(Protocol):
    """A joined scan: a list takes one step, where ``scan_keys`` and ``get_many`` take two."""

    def __call__(
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
        """Yield the keys of ``[start, stop)`` as ``scan_keys`` would, each with what its pair refers to in ``joined``.

        The pairs are those at the moment of the call; the values that are joined to them, those at the moment of their
        list. Returns None where the transaction has written to ``space``.
        """
        ...


class ScanPacked(Protocol):
    """A scan of a whole space without an object for each pair."""

    def __call__(self, space: Space) -> Iterator[tuple[int, bytes]] | None:
        """Yield all pairs in order, some at a time: how many, and they, as ``encoding.pairs.unpack_pairs`` reads them.

        The bytes of some are at most 1 MiB. Returns None where ``scan`` must do.
        """
        ...


Get = Callable[[bytes], bytes | None]
"""Returns the value of a key of one space, or None."""


class ReadTransaction(Protocol):
    """One snapshot of all spaces.

    GUARANTEES that nothing committed after its beginning is seen, and all that was acknowledged before it is, unless
    the capabilities say ``is_stale``.
    REQUIRES that one thread at a time uses it, that it is closed, and that keys have 1 to ``max_key_bytes`` bytes.
    Raises ``EngineError`` or ``CorruptionError``, never an exception of the library underneath.
    """

    @property
    def generation(self) -> int:
        """A number that two snapshots share only if their spaces and the whole of ``CATALOG`` are the same.

        In a write transaction it is the number of the state that the transaction began on.
        """
        ...

    @property
    def state_id(self) -> int | None:
        """A number that two transactions of one open engine share only if all that they read is the same.

        None where there is no such number: in a transaction that has written, and where many write at a time.
        """
        ...

    def get(self, space: Space, key: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        ...

    def getter(self, space: Space) -> Get:
        """Return ``get`` of one space, for one key after another."""
        ...

    def get_many(self, space: Space, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of many keys, in the order asked. Sorted keys are read fastest."""
        ...

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
        """Yield the pairs of ``[start, stop)`` in order, or from the end backwards, in lists of at least one pair.

        The first list has at most ``first_page`` pairs: who wants no more need not pay for more.

        In a write transaction the pairs are those at the moment of the first list: writes made while the scan is being
        consumed are not seen by it.
        """
        ...

    def scan_keys(
        self,
        space: Space,
        start: bytes | None = None,
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        first_page: int | None = None,
    ) -> Iterator[list[bytes]]:
        """Yield the keys of ``[start, stop)`` in order, as ``scan`` would, without their values."""
        ...

    @property
    def scan_joined(self) -> ScanJoined | None:
        """Scan pairs together with what they refer to in another space. None where two steps are as quick as one."""
        ...

    @property
    def scan_packed(self) -> ScanPacked | None:
        """Scan a space in the form in which the engine holds it. None where ``scan`` is as quick."""
        ...

    def last_key(self, space: Space) -> bytes | None:
        """Return the greatest key of a space; None for none."""
        ...

    def count(self, space: Space) -> int:
        """Return the number of keys of a space."""
        ...

    def spaces(self) -> list[Space]:
        """Return the names of all spaces, ``CATALOG`` among them, sorted."""
        ...

    def close(self) -> None:
        """End the snapshot. On a write transaction: roll back, unless it has ended. May be called again."""
        ...


class WriteTransaction(ReadTransaction, Protocol):
    """A transaction that sees its own writes and is committed whole or not at all.

    GUARANTEES serializable isolation, unless the capabilities say otherwise; that nothing is seen by others before
    ``commit``; and that after ``commit`` returned the writes survive what the durability level says. REQUIRES the
    thread that began it.
    """

    def inherit_ids(self) -> dict[int, int]:
        """Return the next automatic ids of some tables, by the tables' numbers, as the last transaction left them.

        The caller keeps it right: when this transaction commits, it goes to the next one, unless anybody else wrote in
        between. It may be empty. Who writes rows without having asked hands nothing on.
        """
        ...

    def put_many(self, space: Space, items: Mapping[bytes, bytes]) -> None:
        """Write keys and values, over what was there."""
        ...

    def put_sorted(self, space: Space, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Write many keys, each with its value, over what was there. REQUIRES keys in order, none of them twice.

        Many of them may go to the store at once, like all that is spilled.
        """
        ...

    def insert_many(self, space: Space, items: Mapping[bytes, bytes]) -> list[bool]:
        """Write the keys that are absent; return for each of the items, in their order, whether it was written."""
        ...

    def delete_many(self, space: Space, keys: Iterable[bytes]) -> None:
        """Remove keys; an absent one is no error."""
        ...

    def clear(self, space: Space) -> None:
        """Remove every key of a space."""
        ...

    def create_space(self, space: Space) -> None:
        """Make an empty space. REQUIRES that there is none of this name."""
        ...

    def drop_space(self, space: Space) -> None:
        """Remove a space and all in it. REQUIRES that it is there."""
        ...

    def savepoint(self) -> None:
        """Begin an inner unit of work, which ``release`` or ``rollback_to_savepoint`` ends. They nest."""
        ...

    def release(self) -> None:
        """Make the innermost savepoint's writes part of what is around it."""
        ...

    def rollback_to_savepoint(self) -> None:
        """Undo and end the innermost savepoint.

        A transaction so large that it had to spill can no longer be undone in part: it is then ``is_doomed``.
        """
        ...

    def record(self, recorder: Recorder | None) -> None:
        """Have a recorder told of all changes, when they are final: at the commit, or in parts where it has to spill.

        What it raises ends the commit. It may read in the transaction. None ends it.
        """
        ...

    @property
    def is_doomed(self) -> bool:
        """Whether nothing is left but to roll back: reads, writes and commit raise ``TransactionClosedError``."""
        ...

    def commit(self, token: str | None = None) -> None:
        """Make the writes durable and visible, all at once. ``token``: a new one of the engine's ``commit_tokens``.

        Raises ``ConflictError`` (surely not committed), ``CommitUnknownError``, ``StorageFullError`` (not committed) or
        another ``EngineError``. Whatever it raises, the transaction has ended.
        """
        ...


class CommitTokens(Protocol):
    """By what a transaction is found again when the answer of its commit was lost. Safe from any thread."""

    def new(self) -> str:
        """Return a token that nobody has. It holds no secret."""
        ...

    def was_committed(self, token: str) -> bool:
        """Tell whether the transaction of a token was committed. If not, it never will be.

        Waits for a commit that still runs, and for a store that answers. Raises ``UsageError`` for what is no token or
        too old, ``WriteTimeoutError`` or ``EngineUnavailableError`` when it has waited in vain: ask again.
        """
        ...


class OtherStateError(Exception):
    """The newest state is not of the generation that was asked for, or does not tell: begin a snapshot."""


class Engine(Protocol):
    """An open store. Its methods may be called from any thread; a transaction belongs to the thread that began it."""

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do."""
        ...

    @property
    def location(self) -> str:
        """Where the data lives, for messages. Holds no secret."""
        ...

    @property
    def allot_ids(self) -> Callable[[Space, int], range] | None:
        """Give out so many ids of a space, that nobody else has or ever had, outside of any transaction.

        None where one writer works at a time and may take those after the highest: there ids have no gaps.
        """
        ...

    @property
    def newest_getter(self) -> Callable[[int, Space], Get] | None:
        """Return, for a generation and a space, what reads one key of the newest state in one step.

        It raises ``OtherStateError`` where the newest state has another generation, or where a snapshot must tell. None
        where a snapshot is as quick.
        """
        ...

    @property
    def commit_tokens(self) -> CommitTokens | None:
        """The tokens of commits. None where no answer of a commit can be lost."""
        ...

    def begin_read(self) -> ReadTransaction:
        """Begin a snapshot. It never waits for a writer."""
        ...

    def begin_write(self, timeout_s: float, began_at: object = None) -> WriteTransaction:
        """Begin a write transaction, waiting at most ``timeout_s`` seconds for another writer.

        The text of ``began_at`` says where in the program it begins, for the error of a thread that waits for it.
        Raises ``WriteTimeoutError`` naming who holds the store; at once where the holder is this thread itself.
        Raises ``ReadOnlyError`` where the place cannot be written.
        """
        ...

    def sync(self) -> None:
        """Return when everything that was acknowledged before is durable, whatever the durability level.

        Raises ``EngineError`` if that failed; what was not durable before may then be lost.
        """
        ...

    def statistics(self) -> dict[str, int]:
        """Return figures of the store: ``size_bytes``, ``used_bytes`` of it, and the engine's own."""
        ...

    def close(self) -> None:
        """Let go of the store. REQUIRES that no transaction is open. May be called again."""
        ...


class Replacement(Protocol):
    """A new and empty store, built beside the place that it is for: it takes the place whole, or not at all.

    Used as ``try: fill engine, finish()``, ``finally: close()``. GUARANTEES that at each moment, also when the power
    fails, the place holds what it held before or all of the new; and that nobody has the place open meanwhile.
    """

    @property
    def engine(self) -> Engine:
        """The new store, open. It is closed by ``finish`` and ``close``."""
        ...

    def require_room(self, size_bytes: int) -> None:
        """Raise ``StorageFullError`` where there is not so much room for the new store."""
        ...

    def finish(self) -> None:
        """Make the new store durable and put it in its place. REQUIRES that no transaction is open."""
        ...

    def close(self) -> None:
        """Let go of the place. Without ``finish`` it is left as it was. May be called again."""
        ...
