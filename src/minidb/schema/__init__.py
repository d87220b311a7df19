"""What may a row be? Schemas, their fields, and the check of rows. Sees no engine.

Reading order: ``field`` (what all fields share), ``fields``, ``date_fields``, ``container_fields``, ``schema``,
``document`` (how it is stored), ``validation`` (the check of a row), ``fast_path`` (how that is made fast). Models:
``column``, ``constraints`` and ``annotations`` (from a type to a field), ``shapes`` (the kinds of classes),
``model_schema``, ``model_rows`` (objects of stored rows).
"""

from __future__ import annotations

from minidb.schema.column import Column
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
from minidb.schema.model_schema import ModelSchema, schema_of
from minidb.schema.object_field import ObjectField
from minidb.schema.schema import Schema

__all__ = [
    "BooleanField",
    "BytesField",
    "Column",
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
    "ModelSchema",
    "ObjectField",
    "Schema",
    "StringField",
    "TimeField",
    "UUIDField",
    "schema_of",
]
