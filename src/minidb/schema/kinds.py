"""The register of field types: their names in a stored schema, and the class that stands for each."""

from __future__ import annotations

from typing import Final

from minidb.schema.container_fields import DictField, JSONField, ListField
from minidb.schema.date_fields import DateField, DateTimeField, TimeField
from minidb.schema.field import AnyField
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
from minidb.schema.object_field import ObjectField

FIELD_CLASSES: Final[dict[str, type[AnyField]]] = {
    field_class.kind: field_class
    for field_class in (
        StringField,
        IntegerField,
        FloatField,
        BooleanField,
        BytesField,
        DateTimeField,
        DateField,
        TimeField,
        DecimalField,
        UUIDField,
        EnumField,
        ListField,
        DictField,
        JSONField,
        ObjectField,
    )
}
