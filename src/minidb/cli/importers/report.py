"""What an importer has done, and what it left out: the verb ``import`` tells it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class ImportReport:
    """What was imported, by the name of the table or mapping, and what was not."""

    tables: dict[str, int] = field(default_factory=dict)
    """The rows of each table."""

    mappings: dict[str, int] = field(default_factory=dict)
    """The items of each mapping."""

    notes: list[str] = field(default_factory=list)
    """A sentence for each thing that MiniDB has no place for."""
