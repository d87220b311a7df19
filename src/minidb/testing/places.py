"""Fresh engines at a location, for the conformance suite."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from minidb.engines.locate import MEMORY, open_engine
from minidb.engines.port import Engine
from minidb.options import Options


@contextmanager
def fresh_engines(location: str) -> Iterator[Callable[[], Engine]]:
    """Yield what opens a new and empty engine each time: in folders inside a folder, gone at the end, or in memory.

    >>> with fresh_engines(".") as make_engine:
    ...     check_engine(make_engine)
    """
    if location == MEMORY:
        yield lambda: open_engine(MEMORY, Options())
        return
    with tempfile.TemporaryDirectory(prefix="minidb-conformance-", dir=location) as folder:
        numbers = count()
        yield lambda: open_engine(Path(folder) / str(next(numbers)), Options())
