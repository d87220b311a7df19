"""Which engine a location means. ``api.database`` and ``api.care`` alone ask, and ``testing.places``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager

from minidb.engines.port import Engine, Replacement
from minidb.engines.secret import Secret
from minidb.exceptions import InvalidOptionError, MissingDependencyError
from minidb.options import Options

MEMORY = ":memory:"
_URL = r"\s*([A-Za-z][A-Za-z0-9+.-]*)://"
_POSTGRESQL = r"(?i:\s*postgres(ql)?:)"


def conceal(location: str | os.PathLike[str]) -> str | os.PathLike[str] | Secret:
    """Return a location so that it can be kept: what is or resembles a URL may hold a password."""
    if isinstance(location, str) and ":" in location and (re.match(_URL, location) or re.match(_POSTGRESQL, location)):
        return Secret(location)
    return location


def is_on_server(location: str | os.PathLike[str]) -> bool:
    """Tell whether a location is the URL of a server, or resembles one."""
    return isinstance(conceal(location), Secret)


def open_engine(location: str | os.PathLike[str] | Secret, options: Options) -> Engine:
    """Open the engine that a location names: ``":memory:"``, the path of a folder, or a server's URL.

    Raises ``InvalidOptionError`` for a URL that no engine opens, ``MissingDependencyError`` where what opens it is not
    installed, and what the engine raises.
    """
    if isinstance(location, Secret):
        _require_postgresql(location)
        from minidb.engines.postgres.engine import PostgresEngine

        return PostgresEngine(location, options)
    if location == MEMORY:
        from minidb.engines.memory import MemoryEngine

        return MemoryEngine()
    from minidb.engines.lmdb.engine import LmdbEngine

    return LmdbEngine(location, options)


def scratch_engines(url: Secret, options: Options) -> AbstractContextManager[Callable[[], Engine]]:
    """Return what yields a function that opens a new and empty engine each time, on a server; at the end all are gone.

    Raises as ``open_engine`` does.
    """
    _require_postgresql(url)
    from minidb.engines.postgres.scratch import scratch_engines as scratch

    return scratch(url, options)


def _require_postgresql(url: Secret) -> None:
    """Raise unless a URL is one of PostgreSQL's, and what opens it is installed."""
    scheme = re.match(_URL, url.reveal())
    if scheme is not None and not re.match(_POSTGRESQL, scheme[0]):
        # Only the scheme is named: the rest of a URL may hold a password.
        raise InvalidOptionError(
            f"No engine opens URLs that begin with {scheme[1]}://",
            hint="give the path of a folder, or a URL that begins with postgresql://",
            option="path",
        )
    try:
        import psycopg  # noqa: F401  # whether it is there
    except ImportError:
        raise MissingDependencyError(
            "A database on a server needs the package psycopg, which is not installed",
            hint="pip install 'minidb-kv[postgres]'",
            package="psycopg",
            extra="postgres",
        ) from None


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
    if is_on_server(location):
        raise InvalidOptionError(
            "A database on a server cannot be replaced whole", hint="give the path of a folder", option="path"
        )
    from minidb.engines.lmdb.replacement import LmdbReplacement

    return LmdbReplacement(location, options, overwrite=overwrite, is_open_here=is_open_here)
