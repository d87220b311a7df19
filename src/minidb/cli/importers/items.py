"""Stores of keys and values, dbm, shelve, diskcache and LMDB: each becomes a mapping, or several.

What is pickled is not read unless the user says so: to unpickle is to run whatever the file says.
"""

from __future__ import annotations

import dbm
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeAlias

from minidb import MiniDB
from minidb.cli.importers.pickled import unpickle
from minidb.cli.importers.report import ImportReport, require_new
from minidb.exceptions import MiniDBError, UsageError

Watch: TypeAlias = Callable[[str, int, Iterable[Any]], Iterator[Any]]  # Any: what is counted
Pair: TypeAlias = tuple[Any, Any]  # Any: a key and a value of whatever the store holds

_TEXT_FILE, _PICKLE = 3, 4  # what diskcache calls the mode of a value
_MOST_DATABASES: Final = 4096
BATCH_ITEMS: Final = 1000


def import_dbm(
    database: MiniDB, path: Path, name: str, watch: Watch, report: ImportReport, *, read: Callable[[Pair], Pair]
) -> None:
    """Import a dbm file as a mapping of what ``read`` makes of its keys and values, which are bytes."""
    try:
        opened = dbm.open(str(path), "r")  # noqa: SIM115  # it is entered below
    except dbm.error as error:
        raise UsageError(f"dbm cannot read {path}: {error}", hint="give its name as dbm.open takes it") from error
    with opened as source:
        keys = list(source.keys())
        _put(database, name, watch(name, len(keys), (read((key, source[key])) for key in keys)), report)


def import_shelf(
    database: MiniDB, path: Path, name: str, watch: Watch, report: ImportReport, *, may_unpickle: bool
) -> None:
    """Import a shelf as a mapping of texts to what was pickled."""
    if not may_unpickle:
        raise _refusal("The values of a shelf are pickled")
    import_dbm(database, path, name, watch, report, read=lambda pair: (pair[0].decode(), unpickle(pair[1])))


def import_diskcache(
    database: MiniDB, path: Path, name: str, watch: Watch, report: ImportReport, *, may_unpickle: bool, now_s: float
) -> None:
    """Import the folder of a diskcache, sharded or not, as a mapping, without what has expired."""
    files = [path / "cache.db"] if (path / "cache.db").exists() else sorted(path.glob("[0-9]*/cache.db"))
    if not files:
        raise UsageError(f"There is no diskcache in {path}", hint="give the folder that holds its cache.db")
    for file in files:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as source:
            live = "FROM Cache WHERE expire_time IS NULL OR expire_time > ?"
            (count,) = source.execute(f"SELECT count(*) {live}", (now_s,)).fetchone()
            (expired,) = source.execute("SELECT count(*) FROM Cache WHERE expire_time <= ?", (now_s,)).fetchone()
            rows = source.execute(f"SELECT key, raw, mode, filename, value {live}", (now_s,))
            items = (_read_cached(row, file.parent, may_unpickle=may_unpickle) for row in rows)
            _put(database, name, watch(name, count, items), report)
            if expired:
                report.notes.append(f"{expired:,} expired items of {file.parent.name} were left out")


def _read_cached(row: tuple[Any, ...], folder: Path, *, may_unpickle: bool) -> Pair:
    key, is_raw, mode, filename, value = row
    if not may_unpickle and (not is_raw or mode == _PICKLE):
        raise _refusal("Keys or values of the cache are pickled")
    if not is_raw:
        key = unpickle(key)
    stored = value if filename is None else (folder / filename).read_bytes()
    if mode == _PICKLE:
        return key, unpickle(stored)
    return key, stored.decode() if mode == _TEXT_FILE else stored


def import_lmdb(database: MiniDB, path: Path, only: list[str], watch: Watch, report: ImportReport) -> None:
    """Import an LMDB file or folder: each of its databases as a mapping of bytes to bytes, the unnamed one as ``main``.

    Of a database with duplicate keys, the values of a key are a list.
    """
    import lmdb

    if not path.exists():
        raise UsageError(f"There is no {path}")
    try:
        with lmdb.open(str(path), subdir=path.is_dir(), readonly=True, lock=False, max_dbs=_MOST_DATABASES) as source:
            with source.begin() as transaction:
                keys = list(transaction.cursor().iternext(values=False))
            named: dict[str, Any] = {}  # Any: a handle of lmdb
            for key in keys:
                try:
                    named[key.decode()] = source.open_db(key, create=False)
                except (lmdb.Error, UnicodeDecodeError):
                    continue  # a key of the unnamed database
            with source.begin() as transaction:
                for name, handle in named.items():
                    if not only or name in only:
                        is_multiple = handle.flags(transaction)["dupsort"]
                        cursor = transaction.cursor(handle)
                        items = _gathered(cursor) if is_multiple else iter(cursor)
                        _put(database, name, watch(name, transaction.stat(handle)["entries"], items), report)
                if not only or "main" in only:
                    rest = [key for key in keys if key not in {name.encode() for name in named}]
                    if rest:
                        items = ((key, transaction.get(key)) for key in rest)
                        _put(database, "main", watch("main", len(rest), items), report)
    except lmdb.Error as error:
        raise UsageError(f"LMDB cannot read {path}: {error}") from error


def _gathered(cursor: Any) -> Iterator[Pair]:  # Any: a cursor of lmdb
    for key, pairs in groupby(cursor, itemgetter(0)):
        yield key, [value for _, value in pairs]


def _put(database: MiniDB, name: str, items: Iterable[Pair], report: ImportReport) -> None:
    if name not in report.mappings:  # else it is of this import: another shard
        require_new(database, name)
    mapping = database.mapping(name)
    before = len(mapping)
    last: object = None

    def watched() -> Iterator[Pair]:
        nonlocal last
        for key, value in items:
            last = key
            yield key, value

    try:
        remaining = watched()
        while batch := list(islice(remaining, BATCH_ITEMS)):
            mapping.update(batch)
    except MiniDBError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"An item near the key {last!r} cannot be stored: {error.message}",
            hint="values are None, bool, int, float, str, bytes, Decimal, UUID, dates, lists, dicts and sets",
        ) from error
    report.mappings[name] = report.mappings.get(name, 0) + len(mapping) - before


def _refusal(fact: str) -> UsageError:
    return UsageError(
        f"{fact}, and to read them runs whatever code they hold",
        hint="pass --unpickle if you trust the file as you trust a program",
    )
