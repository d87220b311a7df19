"""The field that holds objects: dicts whose keys have fields of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from minidb.exceptions import FieldError
from minidb.schema.field import AnyField, Errors, Field, with_options

if TYPE_CHECKING:
    from minidb.schema.schema import Schema


@with_options(kw_only=False)
class ObjectField(Field[Any]):  # Any: a dict, or an object of the schema's model
    """A dict with known keys, each checked by a field of its own, as the columns of a row are.

    >>> address = Schema(street=StringField(required=True), city=StringField(required=True))
    >>> Schema(name=StringField(), address=ObjectField(address))

    With the schema of a model, ``schema_of(Address)``, its objects are accepted too, and rows that are read hold
    objects. The keys are stored with the table, the class is not.
    """

    keys: Schema | Mapping[str, AnyField]
    """The keys and their fields, which cannot be unique, have an index, be a primary key or be made by the table."""

    kind: ClassVar[str] = "object"
    noun: ClassVar[str] = "an object"
    is_indexable: ClassVar[bool] = False

    def declare_limits(self) -> None:
        from minidb.schema.schema import Schema  # which knows this class

        super().declare_limits()
        if not isinstance(self.keys, Schema):
            self.settle("keys", Schema(self.keys))
        for name, field in self.fields.items():
            if field.primary_key or field.unique or field.index or field.is_made:
                self.contradict(f"the key {name!r} cannot be unique, have an index, be a primary key or be made")

    @property
    def fields(self) -> Mapping[str, AnyField]:
        """The fields by key."""
        return self.schema.fields

    @property
    def schema(self) -> Schema:
        """The keys and their fields."""
        return cast("Schema", self.keys)

    @property
    def is_restored(self) -> bool:
        return self.schema.shape is not None or any(field.is_restored for field in self.fields.values())

    def convert(self, value: object, path: str, errors: Errors) -> object:
        shape = self.schema.shape
        given: Mapping[str, object]
        if shape is not None and shape.has_made(value):
            given = shape.columns_of(value)
        elif isinstance(value, Mapping):
            given = cast("Mapping[str, object]", value)
        else:
            self.refuse_type(value, path, errors)
            return None
        count_before = len(errors)
        checked = self._check_keys(given, path, errors)
        if len(errors) > count_before:
            return None
        return checked if shape is None else shape.make_checked(checked, path, errors)

    def _check_keys(self, given: Mapping[str, object], path: str, errors: Errors) -> dict[str, object]:
        checked: dict[str, object] = {}
        for name, field in self.fields.items():
            inner = f"{path}.{name}"
            if name in given:
                checked[name] = field.check(given[name], inner, errors)
            elif field.has_default:
                made = field.default if field.default_factory is None else field.default_factory()
                checked[name] = field.check(made, inner, errors)
            elif field.required or not field.is_nullable:
                errors.append(FieldError(inner, "required", "is required"))
            else:
                checked[name] = None
        for name in given:
            if name not in self.fields:
                errors.append(FieldError(f"{path}.{name}", "unknown_field", "is no key of the object", given[name]))
        return checked

    def to_stored(self, value: object) -> object:
        shape = self.schema.shape
        columns = cast("Mapping[str, object]", value) if shape is None else shape.columns_of(value)
        return {
            name: None if (part := columns[name]) is None else field.to_stored(part)
            for name, field in self.fields.items()
        }

    def from_stored(self, value: object) -> object:
        stored = cast("Mapping[str, object]", value)
        columns = {
            name: part if (part := stored.get(name)) is None or not field.is_restored else field.from_stored(part)
            for name, field in self.fields.items()
        }
        shape = self.schema.shape
        return columns if shape is None else shape.make(columns)
