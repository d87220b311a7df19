"""LMDB's data file: made, opened, and recovered when nobody closed it.

What stands in it is drawn in ``environment``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Final

import lmdb
from lmdb import _envid

from minidb.engines.lmdb.applying import change_space
from minidb.engines.lmdb.commit_log import meta_pages, recovery
from minidb.engines.lmdb.errors import translate, translate_os
from minidb.engines.lmdb.folder import DATA_FILE
from minidb.engines.port import CATALOG
from minidb.engines.write_buffer import SpaceChanges
from minidb.exceptions import EngineUnavailableError
from minidb.options import Durability

Handle = lmdb._Database  # the binding exports no other name for it

SPACES_DATABASE: Final = b"@spaces"  # Stored on disk: never rename.
GENERATION_KEY: Final = b"\x00generation"  # Stored on disk: never rename.
SLOTS_KEY: Final = b"\x00slots"  # Stored on disk: never rename.
NUMBER_BYTES: Final = 8  # Stored on disk: never change.
LOG_MARK: Final = b"\x01"  # Stored on disk: never change.

FIRST_SLOTS: Final = 32
"""Slots of a new file. Whoever needs more doubles them. With 8 a read alone takes 3 % less, as LMDB looks at each one
when a transaction begins and ends; but who reads as they are doubled waits for whoever writes, who may be stopped."""

MAX_SLOTS: Final = 4096
"""Tables and indexes that one database can hold, the catalog included."""

MAP_BYTES: Final = (1 << 40, 1 << 36, 1 << 32, 1 << 30)
"""Address space to reserve, the first that the host grants. It costs neither memory nor disk."""

MAX_READERS: Final = 2048
SPARE_READ_TRANSACTIONS: Final = 32
"""Ended read transactions that the binding keeps for the next ones: 0.4 µs to begin and read one value, else 2.2 µs."""

_ENGINE_VERSION: Final = 0  # LMDB 0.9. Its files cannot be read by 1.0, so this is part of the format.


def make(folder: Path, *, has_log: bool) -> None:
    """Make a new data file, with no space but the catalog, in an empty folder; flushed and closed."""
    try:
        raw = lmdb.open(
            str(folder),
            map_size=MAP_BYTES[-1],
            max_dbs=FIRST_SLOTS + 1,
            mode=0o600,
            create=True,
            lib_version=_ENGINE_VERSION,
        )
        with closing(raw), raw.begin(write=True) as transaction:
            spaces = raw.open_db(SPACES_DATABASE, txn=transaction, create=True)
            for slot in range(FIRST_SLOTS):
                raw.open_db(slot_name(slot), txn=transaction, create=True)
            transaction.put(CATALOG.encode("utf-8"), number_bytes(0), db=spaces)
            transaction.put(GENERATION_KEY, number_bytes(0), db=spaces)
            transaction.put(SLOTS_KEY, number_bytes(FIRST_SLOTS) + (LOG_MARK if has_log else b""), db=spaces)
        meta_pages.identify(folder / DATA_FILE)  # flushes all
    except lmdb.Error as error:
        raise translate(error, str(folder.parent)) from error


def recover(folder: Path) -> None:
    """Make the database what its commits made it, where nobody closed it. REQUIRES that nobody has it open."""
    handles: dict[int, Handle] = {}

    def open_it(folder: Path) -> lmdb.Environment:
        return open_environment(folder, durability="none", map_bytes=None, is_writable=True, is_inherited=False)

    def apply(raw: lmdb.Environment, transaction: lmdb.Transaction[bytes], slot: int, changes: SpaceChanges) -> None:
        if slot not in handles:
            handles[slot] = raw.open_db(slot_name(slot), txn=transaction, create=False)
        change_space(transaction, handles[slot], changes)

    try:
        recovery.recover(folder, open_it, apply)
    except lmdb.Error as error:
        raise translate(error, str(folder)) from error
    except OSError as error:
        raise translate_os(error, str(folder)) from error


def open_environment(
    folder: Path, *, durability: Durability, map_bytes: int | None, is_writable: bool, is_inherited: bool
) -> lmdb.Environment:
    sizes = MAP_BYTES if map_bytes is None else (map_bytes,)
    refusal: lmdb.Error | None = None
    for size in sizes:
        try:
            with _forgetting_open_files() if is_inherited else nullcontext():
                return lmdb.open(
                    str(folder),
                    map_size=size,
                    readonly=not is_writable,
                    sync=durability != "none",
                    metasync=durability == "full",
                    mode=0o600,
                    create=False,
                    max_readers=MAX_READERS,
                    max_dbs=MAX_SLOTS + 1,
                    max_spare_txns=SPARE_READ_TRANSACTIONS,
                    lib_version=_ENGINE_VERSION,
                )
        except lmdb.MemoryError as error:
            refusal = error
        except lmdb.Error as error:
            raise translate(error, str(folder)) from error
    raise EngineUnavailableError(
        f"The host grants too little address space to open {folder}", path=str(folder)
    ) from refusal


@contextmanager
def _forgetting_open_files() -> Iterator[None]:
    """Let the binding open a file that it believes open in this process, a belief inherited from the parent.

    It identifies files through this function of its own, which tells it nothing meanwhile.
    """
    with _identifying:
        identify = _envid.env_keys
        _envid.env_keys = lambda *_: ()
        try:
            yield
        finally:
            _envid.env_keys = identify


_identifying = threading.Lock()


def slot_name(slot: int) -> bytes:
    return b"s%d" % slot  # Stored on disk: never rename.


def number_bytes(number: int) -> bytes:
    return number.to_bytes(NUMBER_BYTES, "big")
