"""Databases for whole-database jobs, with something of everything in them."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from minidb import MiniDB, PersistentMapping, where
from minidb.schema import (
    DateField,
    DictField,
    EnumField,
    IntegerField,
    ListField,
    Schema,
    StringField,
    UUIDField,
)

PEOPLE = Schema(
    name=StringField(required=True, max_length=40, index=True),
    email=StringField(unique=True),
    age=IntegerField(min_value=0, max_value=150),
    role=EnumField(["admin", "guest"], index=True),
)
PARTS = Schema(
    number=UUIDField(primary_key=True),
    shelf=StringField(primary_key=True, max_length=5),
    facts=DictField(),
    tags=ListField(StringField(), index=True),
    since=DateField(),
)


def names_in(folder: Path) -> set[str]:
    """Return the names of what is in a folder."""
    return {path.name for path in folder.iterdir()}


def fill(database: MiniDB) -> None:
    """Put something of everything into an empty database."""
    people = database.create_table("people", PEOPLE)
    people.insert_many(
        {
            "name": f"person {number % 7}",
            "email": f"p{number}@example.org" if number % 5 else None,
            "age": number % 100,
            "role": ["admin", "guest", None][number % 3],
        }
        for number in range(300)
    )
    database.create_index("people", "role", "age")
    people.delete(300)  # the highest id, which must not be given out again
    parts = database.create_table("parts", PARTS)
    parts.insert_many(
        {
            "number": uuid.UUID(int=number),
            "shelf": f"s{number % 3}",
            "facts": {"weight": number / 7},
            "tags": ["new", "!odd", "new"][: number % 4] if number % 5 else None,
            "since": datetime.date(2024, 1, 1 + number % 9),
        }
        for number in range(40)
    )
    database.create_index(
        "parts", "shelf", name="recent", where=where("since") >= datetime.date(2024, 1, 5), include="*"
    )
    notes = database.create_table("notes")
    database.create_index("notes", "tag")
    notes.insert({"tag": "a", "text": "é" * 30, "amount": Decimal("1.50"), "big": 2**70})
    notes.insert({"tag": None, "when": datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)})
    notes.insert({"other": [1, {"deep": b"\x00"}]})
    database.create_table("empty")
    cache: PersistentMapping[Any, Any] = database.mapping("cache")
    cache.update({"set": {1, 2}, 3: None, (1, "two"): [1.5], b"": datetime.date(2024, 1, 1), None: "of None"})
    database.mapping("nothing")


@pytest.fixture(params=["folder", ":memory:"])
def location(request: pytest.FixtureRequest, database_path: Path) -> str:
    """A place for a database, of each kind."""
    return str(database_path) if request.param == "folder" else ":memory:"


@pytest.fixture
def database(location: str) -> Iterator[MiniDB]:
    """An open database with something of everything in it, on each engine."""
    with MiniDB(location, durability="none") as opened:
        fill(opened)
        yield opened


@pytest.fixture
def folder_database(database_path: Path) -> Iterator[MiniDB]:
    """The same, in a folder."""
    with MiniDB(database_path, durability="none") as opened:
        fill(opened)
        yield opened
