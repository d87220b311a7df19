"""The rivals, one adapter file each. ``port`` says what an adapter owes."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Final, cast

from bench.adapters.port import Records, Rival

DEFAULT: Final = ("minidb", "sqlite3", "limit")
"""Who runs unless others are asked for: what they need is installed with MiniDB."""

LIBRARIES: Final = {
    "minidb": "minidb",
    "sqlite3": "sqlite3",
    "limit": "lmdb",
    "apsw": "apsw",
    "sqlalchemy": "sqlalchemy",
    "peewee": "peewee",
    "duckdb": "duckdb",
    "rocksdict": "rocksdict",
    "zodb": "ZODB",
    "diskcache": "diskcache",
    "sqlitedict": "sqlitedict",
    "shelve": "shelve",
    "tinydb": "tinydb",
}
"""Each rival, in the order in which they run, and stand in the table; and the module without which it is left out."""

NAMES: Final = tuple(LIBRARIES)


def installed() -> list[str]:
    """Return the rivals that can run here."""
    return [name for name, library in LIBRARIES.items() if find_spec(library) is not None]


def load_rival(name: str) -> type[Rival]:
    """Return the adapter of this name. Only its own library is imported: a rival's memory is its own."""
    module = importlib.import_module(f"bench.adapters.{name}_adapter")
    return cast("type[Rival]", module.Adapter)


def load_records(name: str) -> type[Records]:
    """Return the same rival's records, unless it lacks them."""
    module = importlib.import_module(f"bench.adapters.{name}_adapter")
    return cast("type[Records]", module.Records)
