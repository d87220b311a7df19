"""The standard library's sqlite3, as an expert would use it.

Write-ahead log, ``synchronous=FULL``, statements from the connection's cache, transactions by hand.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from bench.adapters.sqlite_sql import FILE_NAME, SqliteRecords, SqliteUsers


class Adapter(SqliteUsers):
    """sqlite3."""

    version = f"SQLite {sqlite3.sqlite_version}"
    imports = "sqlite3"

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:  # noqa: ARG002  # one way suits both
        super().__init__(_connect(folder), create=create)

    def back_up(self, folder: Path) -> None:
        with closing(_connect(folder)) as target:  # it flushes the file before it commits
            self._connection.backup(target)

    def scan_backup(self, folder: Path) -> tuple[int, int]:
        with closing(type(self)(folder, create=False)) as copy:
            return copy.scan()


class Records(SqliteRecords):
    """sqlite3."""

    def __init__(self, folder: Path) -> None:
        super().__init__(_connect(folder))


def _connect(folder: Path) -> sqlite3.Connection:
    # No implicit BEGIN: each statement commits by itself unless a transaction was begun by hand.
    return sqlite3.connect(folder / FILE_NAME, isolation_level=None, check_same_thread=False)
