"""What a dump or a backup holds, counted."""

from __future__ import annotations

from minidb.structs import Struct, field


class Contents(Struct, kw_only=True):
    """The tables and mappings of a dump or a backup."""

    tables: dict[str, int] = field(default_factory=dict)
    """The rows of each table."""

    mappings: dict[str, int] = field(default_factory=dict)
    """The items of each mapping."""
