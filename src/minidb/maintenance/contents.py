"""What a dump or a backup holds, counted."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Contents:
    """The tables and mappings of a dump or a backup."""

    tables: dict[str, int] = field(default_factory=dict)
    """The rows of each table."""

    mappings: dict[str, int] = field(default_factory=dict)
    """The items of each mapping."""
