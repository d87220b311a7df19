"""The rivals, one adapter file each. ``port`` says what an adapter owes."""

from __future__ import annotations

import importlib
from typing import Final, cast

from bench.adapters.port import Rival

NAMES: Final = ("minidb", "sqlite3", "limit")
"""In the order in which they run, and stand in the table."""


def load_rival(name: str) -> type[Rival]:
    """Return the adapter of this name. Only its own library is imported: a rival's memory is its own."""
    module = importlib.import_module(f"bench.adapters.{name}_adapter")
    return cast("type[Rival]", module.Adapter)
