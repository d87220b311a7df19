"""TinyDB with its cache: one JSON file, read as a whole when it is opened, and written as a whole by each flush."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import rows
from bench.adapters.port import Ability, Answer, Terms
from bench.adapters.rows_by_hand import checked
from bench.rows import Values

tinydb: Any = import_module("tinydb")  # Any: types are checked where it is not installed
storages: Any = import_module("tinydb.storages")
middlewares: Any = import_module("tinydb.middlewares")

WRITES_OVER = "it writes the file over in place"


class Adapter:
    """TinyDB."""

    version = f"TinyDB {tinydb.__version__}"
    terms = Terms(
        lacks={
            Ability.TRANSACTIONS: WRITES_OVER,
            Ability.SNAPSHOTS: "no transactions",
            Ability.RELAXED: WRITES_OVER,
            Ability.INDEXES: "a query looks at every document",
            Ability.COVERING: "no indexes",
            Ability.BACKUP: "no call for it",
            Ability.RECORDS: WRITES_OVER,
            Ability.RECORD_RANGES: "a query looks at every document",
        }
    )
    imports = "tinydb"

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:  # noqa: ARG002  # one way suits all
        storage = middlewares.CachingMiddleware(storages.JSONStorage)
        self._database = tinydb.TinyDB(str(folder / "users.json"), storage=storage)
        self._users = self._database.table("users")

    def close(self) -> None:
        self._database.close()

    def plain(self, answer: Answer) -> tuple[int, Values]:
        return answer.doc_id, (answer["name"], answer["age"], answer["city"], answer["score"], answer["active"])

    def insert_all(self, count: int) -> int:
        documents = (dict(zip(rows.COLUMNS, checked(values), strict=True)) for values in rows.tuples(count))
        ids = self._users.insert_multiple(documents)
        self._database.storage.flush()
        return int(ids[0])

    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        get = self._users.get
        return [get(doc_id=row_id) for row_id in ids]

    def scan(self) -> tuple[int, int]:
        count = ages = 0
        for user in self._users:
            count += 1
            ages += user["age"]
        return count, ages
