"""Which engine a location means. ``api.database`` and ``api.care`` alone ask."""

from __future__ import annotations

import os
import re

from minidb.engines.port import Engine, Replacement
from minidb.exceptions import InvalidOptionError
from minidb.options import Options

MEMORY = ":memory:"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def open_engine(location: str | os.PathLike[str], options: Options) -> Engine:
    """Open the engine that a location names: ``":memory:"``, or the path of a folder.

    Raises ``InvalidOptionError`` for a URL (no engine of this version opens one) and what the engine raises.
    """
    if location == MEMORY:
        from minidb.engines.memory import MemoryEngine

        return MemoryEngine()
    _refuse_url(location)
    from minidb.engines.lmdb.engine import LmdbEngine

    return LmdbEngine(location, options)


def begin_replacement(
    location: str | os.PathLike[str], options: Options, *, overwrite: bool, is_open_here: bool = False
) -> Replacement:
    """Begin a new store that will take the place of what is at a location, or of nothing.

    ``is_open_here``: the caller has it open, once, and lets nothing run on it meanwhile.
    Raises ``EngineUnavailableError`` where somebody has it open, or where there is one and it may not be overwritten;
    ``InvalidOptionError`` for a location that is no place.
    """
    if location == MEMORY:
        raise InvalidOptionError("A database in memory has no place that another could take", option="path")
    _refuse_url(location)
    from minidb.engines.lmdb.replacement import LmdbReplacement

    return LmdbReplacement(location, options, overwrite=overwrite, is_open_here=is_open_here)


def _refuse_url(location: str | os.PathLike[str]) -> None:
    if isinstance(location, str) and (scheme := _URL.match(location)):
        # Only the scheme is named: the rest of a URL may hold a password.
        raise InvalidOptionError(
            f"No engine opens URLs that begin with {scheme[0]}", hint="give the path of a folder", option="path"
        )
