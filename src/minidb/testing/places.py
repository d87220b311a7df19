"""Fresh engines at a location, for the conformance suite."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from minidb.engines.locate import MEMORY, conceal, open_engine, scratch_engines
from minidb.engines.port import Engine
from minidb.engines.secret import Secret
from minidb.options import Options


@contextmanager
def fresh_engines(location: str) -> Iterator[Callable[[], Engine]]:
    """Yield what opens a new and empty engine each time; all of them are gone at the end.

    In folders inside a folder, in memory (``":memory:"``), or in new schemas of the database that a server's URL names.

    >>> with fresh_engines(".") as make_engine:
    ...     check_engine(make_engine)
    """
    place = conceal(location)
    del location  # as in ``MiniDB``
    if isinstance(place, Secret):
        with scratch_engines(place, Options()) as make_engine:
            yield make_engine
    elif place == MEMORY:
        yield lambda: open_engine(MEMORY, Options())
    else:
        with tempfile.TemporaryDirectory(prefix="minidb-conformance-", dir=place) as folder:
            numbers = count()
            yield lambda: open_engine(Path(folder) / str(next(numbers)), Options())
