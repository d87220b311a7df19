"""An open data file: its spaces, its locks, and what becomes of it in a forked child.

Each space is one of LMDB's named databases. They are called ``s0``, ``s1``, … and are *slots*: dropping a space empties
its slot and frees it for the next one, and never closes the handle, since a reader with an older snapshot may be using
it. Which space has which slot stands in the named database ``@spaces``:

    @spaces      := (space_name -> slot)* (0x00 "generation" -> number) (0x00 "slots" -> number log_mark?)
    space_name   := UTF-8, never beginning with 0x00
    slot, number := 8 bytes, unsigned, big endian
    log_mark     := 0x01: there may be a commit log beside the file, which holds what the file does not

A transaction can use only the handles that were open when it began, and the binding opens handles that last in write
transactions only. So slots are made many at a time, and all that exist are opened with the file: another process's new
table is then readable at once, without waiting for a writer.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import lmdb

from minidb.engines.lmdb import data_file
from minidb.engines.lmdb.applying import flush
from minidb.engines.lmdb.commit_log.commits import CommitLog
from minidb.engines.lmdb.commit_log.meta_pages import IS_SUPPORTED
from minidb.engines.lmdb.commit_log.recovery import was_cut_short
from minidb.engines.lmdb.commit_queue import GATHER_S, CommitQueue
from minidb.engines.lmdb.data_file import (
    GENERATION_KEY,
    LOG_MARK,
    MAX_SLOTS,
    NUMBER_BYTES,
    SLOTS_KEY,
    SPACES_DATABASE,
    Handle,
    number_bytes,
    slot_name,
)
from minidb.engines.lmdb.errors import disk_full, full, is_surely_undone, translate
from minidb.engines.lmdb.file_lock import FolderLock
from minidb.engines.lmdb.folder import APPLY_LOCK_FILE, DATA_FILE, READERS_FILE, make_private
from minidb.engines.lmdb.reserve import Reserve
from minidb.engines.lmdb.write_turn import WriteTurn
from minidb.engines.port import Space
from minidb.exceptions import (
    CommitUnknownError,
    CorruptionError,
    EngineUnavailableError,
    MiniDBError,
    ReadOnlyError,
    StorageFullError,
    UnsupportedFormatError,
)
from minidb.options import Durability
from minidb.structs import Struct, replace

RESERVED_SHARE: Final = 8
SMALLEST_RESERVE_BYTES: Final = 256 * 1024
LARGEST_RESERVED_SHARE: Final = 2
"""A limit on the size keeps an eighth of it for deleting, or a quarter of a MiB, but no more than half: LMDB writes
pages anew before it can use the old ones again, so a map full of rows could never be emptied (measured: 490 of 736
deletes failed). To delete a row copies up to 22 pages, and they can be used again two commits later."""


class Handles(dict[Space, Handle]):
    """The handle of each space. To ask for one that the file does not have raises ``CorruptionError``."""

    def __missing__(self, space: Space) -> NoReturn:
        raise CorruptionError("A space of the catalog is missing in the file", hint="stop writing and restore a backup")


class KnownSpaces(Struct, frozen=True):
    """The spaces of one generation, and the newest transaction known to have it."""

    transaction_id: int
    generation: int
    slots: Mapping[Space, int]
    handles: Handles


class Writable(NamedTuple):
    """What an environment has where the folder can be written."""

    write_turn: WriteTurn
    """The lock that the body of a write transaction runs under."""
    apply_lock: FolderLock
    """The lock that goes with LMDB's own write transaction."""
    commit_log: CommitLog
    """What makes commits durable before LMDB does."""


class Environment:
    """One data file, open once in this process. Its methods may be called from any thread."""

    def __init__(
        self,
        folder: Path,
        *,
        durability: Durability,
        has_log: bool,
        ends_log: bool,
        map_bytes: int | None,
        is_writable: bool,
        wait_s: float,
    ) -> None:
        """``has_log``: commits go through a commit log. ``ends_log``: take away the mark that there may be one."""
        self.folder = folder
        self.durability: Durability = durability
        self._has_log = has_log and durability != "none" and IS_SUPPORTED
        self._ends_log = ends_log
        self.is_writable = is_writable
        self.fork_count = 0
        self.orphans: list[Callable[[], None]] = []
        """What ends transactions that were let go of in another thread than theirs."""
        self._data_file = f"{folder}/{DATA_FILE}"
        self._map_bytes = map_bytes
        self._wait_s = wait_s
        self.reserve = Reserve(folder)
        self._open()

    def _open(self) -> None:
        self._handles: dict[int, Handle] = {}
        self.known = KnownSpaces(-1, -1, {}, Handles())
        raw = data_file.open_environment(
            self.folder,
            # A log is flushed in place of the data file.
            durability="none" if self._has_log else self.durability,
            map_bytes=self._map_bytes,
            is_writable=self.is_writable,
            is_inherited=self.fork_count > 0,
        )
        self.commits = CommitQueue(partial(flush, self), gather_s=0 if self.durability == "none" else GATHER_S)
        self.left_ids: tuple[int, Mapping[int, int]] = (-1, {})
        """The last transaction of LMDB that this process has written, and the next automatic ids after it."""
        self._failure: MiniDBError | None = None
        self._locks: Writable | None = None
        try:
            if self.is_writable:
                make_private(f"{self.folder}/{READERS_FILE}")
                apply_lock = FolderLock(self.folder, APPLY_LOCK_FILE, names_holder=False)
                log = CommitLog(
                    self.folder,
                    raw,
                    apply_lock,
                    is_wanted=self._has_log,
                    durability=self.durability,
                    is_undone=self._is_undone,
                )
                self._locks = Writable(WriteTurn(self.folder), apply_lock, log)
                raw.reader_check()
            self._open_handles(raw)
        except BaseException as error:
            if self._locks is not None:
                self._locks.commit_log.close(is_last=False)
            self._close_locks()
            raw.close()
            if isinstance(error, lmdb.NotFoundError):
                raise UnsupportedFormatError(
                    f"The data file is LMDB's but not MiniDB's: {self.folder}", path=str(self.folder)
                ) from error
            if isinstance(error, lmdb.Error):
                raise translate(error, str(self.folder)) from error
            raise
        self.raw: lmdb.Environment | None = raw  # None in a forked child, until ``live`` is asked for it
        self._identity = _identity_of(self._data_file)

    def require_in_place(self) -> None:
        """Raise ``EngineUnavailableError`` where the open file is not the folder's any more: commits would be lost."""
        if _identity_of(self._data_file) != self._identity:
            raise EngineUnavailableError(
                f"The data file was removed or replaced while the database was open: {self.folder}",
                hint="close the database, and open it again",
                path=str(self.folder),
            )

    @property
    def commit_log(self) -> CommitLog:
        """What makes commits durable before LMDB does."""
        return self.writable().commit_log

    def log_statistics(self) -> dict[str, int]:
        """Return what there is to say of the commit log: nothing where the folder cannot be written."""
        return {} if self._locks is None else self._locks.commit_log.statistics()

    def make_log_ready(self) -> None:
        """Make the newest snapshot the steady one of the log. REQUIRES no lock but the write lock."""
        log = self.commit_log
        log.make_ready()
        if not self._is_marked:
            self._mark(log)

    def _mark(self, log: CommitLog) -> None:
        """Say in the data file that there is a log, to versions that know of none."""
        hold = log.lock_checkpoints()
        try:
            apply_hold = self.writable().apply_lock.acquire(self._wait_s)
            try:
                transaction = self.live().begin(write=True)
                try:
                    if log.admits(transaction.id()):
                        slots = self._number(transaction, SLOTS_KEY)
                        transaction.put(SLOTS_KEY, number_bytes(slots) + LOG_MARK, db=self._spaces_handle)
                        log.commit_with_checkpoint(transaction)
                        self._is_marked = True
                finally:
                    transaction.abort()
            finally:
                apply_hold.release()
        finally:
            hold.release()

    def writable(self) -> Writable:
        """Return what writing takes. Raises ``ReadOnlyError``."""
        if self.raw is None:
            self.live()
        if self._locks is None:
            raise ReadOnlyError(f"The folder cannot be written: {self.folder}")
        return self._locks

    def give_back_file(self) -> None:
        """Let other processes write, if nothing of this one is left that they cannot see."""
        if self._locks is not None:
            self._locks.write_turn.give_back_file(self._has_empty_line)

    def _has_empty_line(self) -> bool:
        return not self.commits.line

    def _close_locks(self) -> None:
        for lock in (self._locks or ())[:2]:
            lock.close()
        self.reserve.close()

    # --- handles ------------------------------------------------------------------------------------------------------

    def _open_handles(self, raw: lmdb.Environment) -> None:
        """Open ``@spaces`` and every slot that has no handle yet."""
        if self._locks is None:
            self._spaces_handle = raw.open_db(SPACES_DATABASE, create=False)
            with raw.begin() as snapshot:
                slots = self._number(snapshot, SLOTS_KEY)
            for slot in range(slots):
                self._handles[slot] = raw.open_db(slot_name(slot), create=False)
            return
        hold = self._locks.apply_lock.acquire(self._wait_s)
        try:
            # A write transaction that changes nothing: its commit writes nothing and waits for no disk.
            with raw.begin(write=True) as transaction:
                self._spaces_handle = raw.open_db(SPACES_DATABASE, txn=transaction, create=False)
                slots = self._number(transaction, SLOTS_KEY)
                for slot in range(slots):
                    if slot not in self._handles:
                        self._handles[slot] = raw.open_db(slot_name(slot), txn=transaction, create=False)
                self._is_marked = transaction.get(SLOTS_KEY, None, self._spaces_handle) != number_bytes(slots)
                ends_log, self._ends_log = self._ends_log, False  # only as it is opened: somebody else may begin one
                if self._is_marked and ends_log:
                    transaction.put(SLOTS_KEY, number_bytes(slots), db=self._spaces_handle)
                    self._is_marked = False
        finally:
            hold.release()

    def _number(self, transaction: lmdb.Transaction[bytes], key: bytes) -> int:
        stored = transaction.get(key, None, self._spaces_handle)
        if stored is None or stored[NUMBER_BYTES:] not in (b"", LOG_MARK):
            raise UnsupportedFormatError("The list of spaces is not whole", path=str(self.folder))
        return int.from_bytes(stored[:NUMBER_BYTES], "big")

    # --- transactions -------------------------------------------------------------------------------------------------

    def begin_read(self) -> tuple[lmdb.Transaction[bytes], KnownSpaces]:
        """Begin a read transaction, and say what spaces it has."""
        raw = self.live()
        while True:
            try:
                transaction = raw.begin()
            except lmdb.ReadersFullError:
                raw.reader_check()  # slots of processes that were killed
                transaction = raw.begin()
            try:
                known = self._learn(transaction)
            except _UnknownSlotError:
                transaction.abort()
                self._open_handles(raw)
            except BaseException:
                transaction.abort()
                raise
            else:
                return transaction, known

    def _learn(self, transaction: lmdb.Transaction[bytes]) -> KnownSpaces:
        known = self.known
        if transaction.id() == known.transaction_id:
            return known
        generation = self._number(transaction, GENERATION_KEY)
        if generation == known.generation:
            fresh = replace(known, transaction_id=transaction.id())
        else:
            slots = {
                Space(name.decode("utf-8")): int.from_bytes(slot, "big")
                for name, slot in transaction.cursor(self._spaces_handle)
                if not name.startswith(b"\x00")
            }
            if not all(slot in self._handles for slot in slots.values()):
                raise _UnknownSlotError
            handles = Handles({space: self._handles[slot] for space, slot in slots.items()})
            fresh = KnownSpaces(transaction.id(), generation, slots, handles)
        if fresh.transaction_id > known.transaction_id:
            self.known = fresh  # two threads may both learn: either result is true of its own snapshot
        return fresh

    def change_spaces(
        self,
        transaction: lmdb.Transaction[bytes],
        known: KnownSpaces,
        *,
        created: Iterable[Space],
        dropped: Iterable[Space],
    ) -> KnownSpaces:
        """Drop and create spaces and raise the generation, inside LMDB's write transaction.

        ``publish`` follows if it commits. If it does not, LMDB closes the handles opened here.
        """
        slots, handles = dict(known.slots), Handles(known.handles)
        for space in dropped:
            transaction.drop(handles[space], delete=False)
            del handles[space]
            transaction.delete(space.encode("utf-8"), db=self._spaces_handle)
            del slots[space]
        for space in created:
            slots[space], handles[space] = self._take_slot(transaction, slots)
            transaction.put(space.encode("utf-8"), number_bytes(slots[space]), db=self._spaces_handle)
        transaction.put(GENERATION_KEY, number_bytes(known.generation + 1), db=self._spaces_handle)
        return KnownSpaces(-1, known.generation + 1, slots, handles)

    def _take_slot(self, transaction: lmdb.Transaction[bytes], slots: Mapping[Space, int]) -> tuple[int, Handle]:
        taken = set(slots.values())
        number_of_slots = self._number(transaction, SLOTS_KEY)
        slot = next(slot for slot in range(number_of_slots + 1) if slot not in taken)
        if slot == number_of_slots:
            if number_of_slots == MAX_SLOTS:
                raise EngineUnavailableError(f"A database can hold at most {MAX_SLOTS} tables and indexes together")
            for new in range(number_of_slots, 2 * number_of_slots):
                self.live().open_db(slot_name(new), txn=transaction, create=True)
            mark = LOG_MARK if self._is_marked else b""
            transaction.put(SLOTS_KEY, number_bytes(2 * number_of_slots) + mark, db=self._spaces_handle)
        handle = self._handles.get(slot)
        if handle is None:  # made in this transaction: asking again gives the same handle
            handle = self.live().open_db(slot_name(slot), txn=transaction, create=False)
        return slot, handle

    def note_commit(self, transaction_id: int) -> None:
        """Take note of a commit of this process that changed no space. REQUIRES the apply lock."""
        known = self.known
        if known.transaction_id == transaction_id - 1:  # else another process may have changed them before it
            self.known = KnownSpaces(transaction_id, known.generation, known.slots, known.handles)

    def publish(self, changed: KnownSpaces) -> None:
        """Let later transactions use the handles that a committed one opened."""
        for space, slot in changed.slots.items():
            self._handles.setdefault(slot, changed.handles[space])

    # --- a failed disk ------------------------------------------------------------------------------------------------

    def commit_failure(self, error: lmdb.Error) -> MiniDBError:
        """Return what a failure to commit means, and refuse later writes if nobody can tell."""
        reason = translate(error, str(self.folder))
        if self._is_undone(error):
            return reason
        self._failure = reason
        return CommitUnknownError(
            "The disk failed while a commit was being written, so it may have happened or not",
            hint="close the database and open it again, and look",
            path=str(self.folder),
        )

    def _is_undone(self, error: lmdb.Error) -> bool:
        """Whether surely nothing is left of a commit of LMDB's that failed."""
        # A full disk cuts the last write short, which LMDB calls a failure of the disk.
        is_full = isinstance(translate(error, str(self.folder)), StorageFullError)
        return (is_surely_undone(error) or is_full) and not self._is_in_panic()

    def _is_in_panic(self) -> bool:
        """Whether LMDB refuses to go on, as after a failure to write a meta page."""
        try:
            self.live().begin().abort()
        except lmdb.PanicError:
            return True
        return False

    def sync(self) -> None:
        """Flush what the durability level has left to the operating system."""
        if self.durability == "full" or not self.is_writable:
            return
        self.require_sound()
        if self.commit_log.flush():
            return
        try:
            self.live().sync(True)  # noqa: FBT003  # the binding's signature
        except lmdb.Error as error:
            self._failure = translate(error, str(self.folder))
            raise self._failure from error

    def require_sound(self) -> None:
        """Raise ``EngineUnavailableError`` after a commit whose outcome is not known.

        What the kernel could not write it may have dropped, and call written. Only what is read from the disk again can
        be built on.
        """
        if self._failure is not None:
            raise EngineUnavailableError(
                "The disk failed during an earlier commit, so nothing more is written",
                hint="close the database, in every place of this process that has it open, and open it again",
                path=str(self.folder),
            ) from self._failure

    # --- room ---------------------------------------------------------------------------------------------------------

    @property
    def has_limit(self) -> bool:
        """Whether the rows may take so much room only."""
        return self._map_bytes is not None

    def used_bytes(self, transaction: lmdb.Transaction[bytes], known: KnownSpaces) -> int:
        """Return how much room the spaces take as a transaction sees them."""
        pages = 0
        for handle in known.handles.values():
            statistics = transaction.stat(handle)
            pages += statistics["branch_pages"] + statistics["leaf_pages"] + statistics["overflow_pages"]
        return pages * self.page_bytes

    @property
    def page_bytes(self) -> int:
        """The size of a page."""
        return self.live().stat()["psize"]

    def record_of(self, transaction: lmdb.Transaction[bytes], space: Space) -> bytes | None:
        """Return what LMDB notes of the tree of a space, as a transaction sees it. REQUIRES that it has not written."""
        slot = transaction.get(space.encode("utf-8"), None, self._spaces_handle)
        return None if slot is None else transaction.get(slot_name(int.from_bytes(slot, "big")))

    def open_file(self) -> FileIO | None:
        """Open the data file once more, to read it; None where it is not the folder's any more."""
        try:
            file = FileIO(self._data_file)
        except OSError:
            return None
        status = os.fstat(file.fileno())
        if (status.st_dev, status.st_ino) == self._identity:
            return file
        file.close()
        return None

    def committed_bytes(self) -> int:
        """Return how much room the spaces take in the newest state that is committed."""
        snapshot, known = self.begin_read()
        try:
            return self.used_bytes(snapshot, known)
        finally:
            snapshot.abort()

    def lack_of_room(self, used_bytes: int, *, lent_bytes: int) -> StorageFullError | None:
        """Return what would refuse a transaction that grows until so much is used, while so much of a reserve is lent.

        That must stay free inside the data file, and is not to be had by what grows.
        """
        limit = self._map_bytes
        if limit is not None and used_bytes > limit - _reserved_bytes(limit):
            return full(str(self.folder))
        if lent_bytes:
            status = os.stat(self._data_file)
            if used_bytes + lent_bytes > min(status.st_size, status.st_blocks * 512):  # holes in it are no room
                return disk_full(str(self.folder))
        return None

    # --- ends ---------------------------------------------------------------------------------------------------------

    def end_orphans(self) -> None:
        """End the transactions of this thread that another one let go of."""
        if self.orphans:
            orphans, self.orphans = self.orphans, []
            for end in orphans:
                end()

    def rest(self) -> None:
        """Let nothing run in the background until the next commit."""
        if self.raw is not None and self._locks is not None:
            self._locks.commit_log.rest()

    def close_log(self) -> None:
        """Let the data file hold all that was committed. REQUIRES to be alone, and that nothing is written any more."""
        self.rest()
        self.commit_log.close_cleanly()

    def close(self, *, is_last: bool = False) -> None:
        """Close the file. REQUIRES that no transaction is open. ``is_last``: nobody else has or gets it open."""
        if self.raw is not None:
            if self._locks is not None:
                self._locks.commit_log.close(is_last=is_last)
            self.raw.close()
            self._close_locks()

    def abandon_in_child(self) -> None:
        """Give up what a forked child has inherited; the file is opened anew when it is next used.

        The inherited environment is kept for ever and never touched: closing it, or ending one of its transactions,
        would clear the parent's slots in the shared table of readers (measured).
        """
        pin = None if self.raw is None or self._locks is None else self._locks.commit_log.abandon_in_child()
        _inherited.append((self.raw, self._handles, self._spaces_handle, pin))
        self.fork_count += 1
        self.raw = None
        self._reopening = threading.Lock()
        self._close_locks()  # the parent's own descriptors keep them locked

    def live(self) -> lmdb.Environment:
        """Return the open environment, opening it first where a fork has left none."""
        raw = self.raw
        if raw is None:
            with self._reopening:
                if self.raw is None:
                    if was_cut_short(self.folder):  # after the parent's end, before this child shared the database
                        raise EngineUnavailableError(
                            f"A process was killed while it recovered the database: {self.folder}",
                            hint="close it in this process and open it again",
                            path=str(self.folder),
                        )
                    self._open()
                raw = self.raw
        assert raw is not None, "opened just now"
        return raw


class _UnknownSlotError(Exception):
    """A snapshot uses a slot that another process made after this one opened the file."""


_inherited: list[object] = []


def keep_inherited(transaction: object) -> None:
    """Keep a transaction of the parent process from being ended by this child's garbage collector."""
    _inherited.append(transaction)


def _identity_of(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _reserved_bytes(limit: int) -> int:
    return max(limit // RESERVED_SHARE, min(SMALLEST_RESERVE_BYTES, limit // LARGEST_RESERVED_SHARE))


def can_write(folder: Path) -> bool:
    """Tell whether this process may write in the folder."""
    return os.access(folder, os.W_OK)
