"""apsw, the thinner binding to SQLite: the statements of sqlite3, and the SQLite that apsw brings along."""

from __future__ import annotations

from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.adapters.sqlite_sql import FILE_NAME, SqliteRecords, SqliteUsers

apsw: Any = import_module("apsw")  # Any: types are checked where it is not installed


class Adapter(SqliteUsers):
    """apsw."""

    version = f"apsw {apsw.apsw_version()}"
    imports = "apsw"

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:  # noqa: ARG002  # one way suits both
        super().__init__(apsw.Connection(str(folder / FILE_NAME)), create=create)

    def back_up(self, folder: Path) -> None:
        with (
            closing(apsw.Connection(str(folder / FILE_NAME))) as target,
            target.backup("main", self._connection, "main") as backup,
        ):
            backup.step()  # all pages

    def scan_backup(self, folder: Path) -> tuple[int, int]:
        with closing(type(self)(folder, create=False)) as copy:
            return copy.scan()


class Records(SqliteRecords):
    """apsw."""

    def __init__(self, folder: Path) -> None:
        super().__init__(apsw.Connection(str(folder / FILE_NAME)))
