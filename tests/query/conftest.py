"""Databases for the tests of queries: on both engines, and consistent when the test is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.consistency import check_consistency
from tests.query.people import NAMES, PEOPLE

from minidb import MiniDB, Row, Table
from minidb.schema import IntegerField, Schema


@pytest.fixture(params=["folder", ":memory:"])
def location(request: pytest.FixtureRequest, database_path: Path) -> str:
    """A place for a database, of each kind."""
    return str(database_path) if request.param == "folder" else ":memory:"


@pytest.fixture
def database(location: str) -> Iterator[MiniDB]:
    """An open database, on each engine. When the test is over its indexes must agree with its rows."""
    # No test pulls the plug, so none needs to wait for the disk.
    with MiniDB(location, durability="none") as opened:
        yield opened
        check_consistency(opened)


@pytest.fixture
def people(database: MiniDB) -> Table[Row]:
    """A table with a schema, two indexes and a few rows."""
    table = database.create_table("people", PEOPLE)
    table.insert_many({"name": name, "age": age, "city": city} for name, age, city in NAMES)
    return table


@pytest.fixture
def numbers(database: MiniDB) -> Table[Row]:
    """A table of three thousand rows: ``number`` from 0 on, indexed, and ``tens`` of it, indexed with it."""
    table = database.create_table("numbers", Schema(number=IntegerField(index=True), tens=IntegerField()))
    database.create_index("numbers", "tens", "number")
    table.insert_many({"number": number, "tens": number // 10} for number in range(3_000))
    return table
