"""Databases for the tests of the API: on both engines, and consistent when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.api.consistency import check_consistency

from minidb import MiniDB

Reopen = Callable[[], MiniDB]

ONE_WRITER = pytest.mark.parametrize("location", ["folder", ":memory:"], indirect=True)
"""For what holds only where write transactions do not run side by side: who waits for whom, and ids without gaps."""


@pytest.fixture(params=["folder", ":memory:", "postgresql"])
def location(request: pytest.FixtureRequest, database_path: Path) -> str:
    """A place for a database, of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return str(database_path) if request.param == "folder" else ":memory:"


@pytest.fixture
def database(location: str) -> Iterator[MiniDB]:
    """An open database, on each engine. When the test is over its indexes must agree with its rows."""
    # No test pulls the plug, so none needs to wait for the disk.
    with MiniDB(location, durability="none") as opened:
        yield opened
        check_consistency(opened)


@pytest.fixture
def reopen(database_path: Path) -> Iterator[Reopen]:
    """Closes the database in a folder, if it is open, and opens it again as a new program would."""
    opened: list[MiniDB] = []

    def open_again() -> MiniDB:
        for one in opened:
            one.close()
        opened.append(MiniDB(database_path, durability="none"))
        return opened[-1]

    yield open_again
    check_consistency(open_again())
    opened[-1].close()
