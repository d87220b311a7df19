"""A few people to ask for, as most tests of queries do."""

from __future__ import annotations

from collections.abc import Sequence

from minidb import Query, Row
from minidb.schema import IntegerField, Schema, StringField

PEOPLE = Schema(name=StringField(required=True), age=IntegerField(index=True), city=StringField(index=True))

NAMES = [
    ("Ada", 36, "London"),
    ("Blaise", 39, "Paris"),
    ("Carl", 77, "Braunschweig"),
    ("Diophantus", None, "Alexandria"),
    ("Emmy", 53, "Erlangen"),
    ("Evariste", 20, "Paris"),
    ("Hypatia", 45, "Alexandria"),
    ("Sophie", 55, "Paris"),
    ("Thales", 78, None),
]
"""The name, the age and the city of each, in the order of their names."""


def names(rows: Query[Row] | Sequence[Row]) -> list[str]:
    """Return the names of people, in their order."""
    return [row.name for row in rows]
