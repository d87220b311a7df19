"""Compact: the same database in as few bytes as it needs, built anew in the order of its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidb.engines.port import Engine, ReadTransaction
from minidb.structs import Struct

if TYPE_CHECKING:
    from minidb.maintenance.progress import Progress


class CompactReport(Struct, frozen=True, kw_only=True):
    """How many bytes the data took before and takes now."""

    before_bytes: int
    after_bytes: int


def copy(snapshot: ReadTransaction, engine: Engine, progress: Progress | None = None) -> None:
    """Fill a new and empty engine with all that a snapshot holds. ``progress`` counts keys."""
    from minidb.maintenance.filling import fill, spaces_of  # here, as every program imports the report

    fill(engine, spaces_of(snapshot), {space: snapshot.count(space) for space in snapshot.spaces()}, progress)
