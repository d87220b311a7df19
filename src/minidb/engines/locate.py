"""Which engine a location means. ``api.database`` alone asks."""

from __future__ import annotations

import os
import re

from minidb.engines.port import Engine
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
    if isinstance(location, str) and (scheme := _URL.match(location)):
        # Only the scheme is named: the rest of a URL may hold a password.
        raise InvalidOptionError(
            f"No engine opens URLs that begin with {scheme[0]}", hint="give the path of a folder", option="path"
        )
    from minidb.engines.lmdb.engine import LmdbEngine

    return LmdbEngine(location, options)
