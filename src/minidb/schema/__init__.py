"""What may a row be? Schemas, their fields, and the check of rows. Sees no engine.

Reading order: ``field`` (what all fields share), ``fields``, ``date_fields``, ``container_fields``, ``schema``,
``document`` (how it is stored), ``validation`` (the check of a row), ``fast_path`` (how that is made fast).
"""

from __future__ import annotations

from minidb.schema.container_fields import DictField, JSONField, ListField
from minidb.schema.date_fields import DateField, DateTimeField, TimeField
from minidb.schema.field import Field
from minidb.schema.fields import (
    BooleanField,
    BytesField,
    DecimalField,
    EnumField,
    FloatField,
    IntegerField,
    StringField,
    UUIDField,
)
from minidb.schema.schema import Schema

__all__ = [
    "BooleanField",
    "BytesField",
    "DateField",
    "DateTimeField",
    "DecimalField",
    "DictField",
    "EnumField",
    "Field",
    "FloatField",
    "IntegerField",
    "JSONField",
    "ListField",
    "Schema",
    "StringField",
    "TimeField",
    "UUIDField",
]
