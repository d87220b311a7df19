"""What the adapters share whose records are a table of SQL: the statements, and the work done by ``execute`` alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bench.adapters.port import Answer, Fields

COLUMNS: Final = tuple(f"field{place}" for place in range(10))
_FIELDS: Final = ", ".join(COLUMNS)
INSERT_RECORD: Final = f"INSERT INTO records (key, {_FIELDS}) VALUES (?{', ?' * len(COLUMNS)})"
RECORD: Final = f"SELECT {_FIELDS} FROM records WHERE key = ?"
RECORDS_FROM: Final = f"SELECT {_FIELDS} FROM records WHERE key >= ? ORDER BY key LIMIT ?"
UPDATE_RECORD: Final = tuple(f"UPDATE records SET {name} = ? WHERE key = ?" for name in COLUMNS)


class SqlRecords:
    """The records of one file, through one connection. An adapter makes the table and fills it."""

    def __init__(self, connection: Any) -> None:  # Any: a connection of whatever binding
        self._connection = connection
        self._execute = connection.execute

    def close(self) -> None:
        self._connection.close()

    def plain(self, answer: Answer) -> Fields:
        return tuple(answer)

    def read(self, key: str) -> Answer:
        return self._execute(RECORD, (key,)).fetchone()

    def update(self, key: str, place: int, value: str) -> None:
        self._execute(UPDATE_RECORD[place], (value, key))

    def insert(self, key: str, fields: Fields) -> None:
        self._execute(INSERT_RECORD, (key, *fields))

    def scan(self, key: str, count: int) -> Sequence[Answer]:
        answers: Sequence[Answer] = self._execute(RECORDS_FROM, (key, count)).fetchall()
        return answers
