"""Databases as in ``tests.api``, and tables to be asked."""

from __future__ import annotations

import pytest
from tests.api.conftest import database, location, reopen
from tests.query.people import NAMES, PEOPLE

from minidb import MiniDB, Row, Table
from minidb.schema import IntegerField, Schema

__all__ = ["database", "location", "reopen"]


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
