"""A schema: the fields of a table by name, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, cast

from minidb.exceptions import CorruptionError, SchemaDefinitionError
from minidb.schema.container_fields import ListField
from minidb.schema.date_fields import DateTimeField
from minidb.schema.document import read_document, write_document
from minidb.schema.field import AnyField, Field, name_of
from minidb.schema.fields import EnumField, IntegerField, is_unicode
from minidb.schema.kinds import FIELD_CLASSES
from minidb.schema.object_field import ObjectField

if TYPE_CHECKING:
    from minidb.schema.shapes import Shape


class Schema:
    """The columns that the rows of a table have.

    >>> Schema(name=StringField(required=True, max_length=100), age=IntegerField(required=True, min_value=0))
    Schema(name=StringField(required=True, max_length=100), age=IntegerField(required=True, min_value=0))

    Names that are no identifiers come in a mapping: ``Schema({"first name": StringField()})``. A schema never changes.
    Two schemas are equal when they store the same: validators and default factories, which are not stored, do not
    count, nor does the class of an ``EnumField``.

    Raises ``SchemaDefinitionError``, with the fact ``field`` where one field is meant.
    """

    __slots__ = ("_fields", "_identity", "_row_identity", "checks", "roles", "shape")

    roles: Mapping[str, str]
    """The field that has each role that there is: ``"created"``, ``"updated"``, ``"version"``."""

    checks: tuple[Callable[[Any], object], ...]  # Any: the row, in one of two forms
    """What looks at whole rows: see ``with_checks``."""

    shape: Shape | None
    """How objects of its model are made and taken apart; None for a schema of no model."""

    def __init__(self, mapping: Mapping[str, AnyField] | None = None, /, **fields: AnyField) -> None:
        if mapping is not None and not isinstance(mapping, Mapping):
            raise SchemaDefinitionError("Schema: the argument must be a mapping from names to fields", field=None)
        declared: dict[str, AnyField] = {} if mapping is None else dict(mapping)
        for name, field in fields.items():
            if name in declared:
                raise SchemaDefinitionError(f"Schema: the field {name!r} is declared twice", field=name)
            declared[name] = field
        if not declared:
            raise SchemaDefinitionError("Schema: it needs at least one field", field=None)
        for name, field in declared.items():
            _check_declaration(name, field)
        self._fields = MappingProxyType(declared)
        self._identity: str | None = None
        self._row_identity: str | None = None
        self.shape = None
        self.checks = ()
        self.roles = _roles_of(declared)

    @property
    def fields(self) -> Mapping[str, AnyField]:
        """The fields by name, in the order of their declaration. Read-only."""
        return self._fields

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The names of the primary key fields, in order; empty when ids are automatic."""
        return tuple(name for name, field in self._fields.items() if field.primary_key)

    @property
    def indexed_fields(self) -> tuple[tuple[str, bool], ...]:
        """The name of each field that asks for an index, and whether it is unique."""
        return tuple((name, field.unique) for name, field in self._fields.items() if field.index or field.unique)

    @property
    def row_identity(self) -> str:
        """A text that two schemas share if rows are the same to both: the indexes that they ask for do not count."""
        if self._row_identity is None:  # as ``_identify``
            document = write_document(self._fields, for_comparison=True)
            for field in cast("list[dict[str, object]]", document["fields"]):
                field.pop("index", None)
                field.pop("unique", None)
            self._row_identity = repr(document)
        return self._row_identity

    @property
    def runs_code(self) -> bool:
        """Whether code of the program's runs when a row is checked: validators and the like, or fields of its own."""
        return bool(self.checks) or self.shape is not None or any(map(_runs_code, self._fields.values()))

    def with_checks(self, *checks: Callable[[Any], object]) -> Self:  # Any: the row, in one of two forms
        """Return this schema with functions that look at each whole row before it is written.

        >>> def ends_later(row):
        ...     if row["stop"] < row["start"]:
        ...         raise ValueError("must not stop before it starts")
        >>> span = Schema(start=IntegerField(), stop=IntegerField()).with_checks(ends_later)

        They are given its columns as a read-only mapping, as a user sees them; where the schema is a model's, an object
        of the model. They refuse a row as a validator refuses a value, and are called when each field has passed its
        own checks. They are not stored with the table, and make no difference between schemas.
        """
        if not all(map(callable, checks)):
            raise SchemaDefinitionError("Schema: checks must be callables", field=None)
        copy = self._copy()
        copy.checks = (*self.checks, *checks)
        return copy

    def _copy(self) -> Self:
        return type(self)(dict(self._fields))

    def to_document(self) -> dict[str, object]:
        """Return the stored form: None, bool, int, float, str, list and dict only. See ``schema.document``."""
        document = write_document(self._fields)
        if self.checks:
            document["checks"] = [name_of(check) for check in self.checks]
        return document

    @classmethod
    def from_document(cls, document: object) -> Schema:
        """Return the schema that ``to_document`` wrote, without its validators, default factories and Enum classes.

        Raises ``CorruptionError`` for what is no such document, ``UnsupportedFormatError`` for that of a later version.
        """
        fields = read_document(document)
        try:
            return cls(fields)
        except SchemaDefinitionError as error:
            raise CorruptionError("A stored schema has a field with a name that cannot be") from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schema):
            return NotImplemented
        return self is other or self._identify() == other._identify()

    def __hash__(self) -> int:
        return hash(self._identify())

    def __repr__(self) -> str:
        if all(name.isidentifier() for name in self._fields):
            return f"Schema({', '.join(f'{name}={field!r}' for name, field in self._fields.items())})"
        return f"Schema({dict(self._fields)!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (dict(self._fields), self.checks)

    def _identify(self) -> str:
        # Written at most once for each schema; two threads that meet here write the same text.
        if self._identity is None:
            self._identity = repr(write_document(self._fields, for_comparison=True))
        return self._identity


def _rebuild(fields: dict[str, AnyField], checks: tuple[Callable[[Any], object], ...]) -> Schema:  # Any: as above
    return Schema(fields).with_checks(*checks)


def _roles_of(fields: Mapping[str, AnyField]) -> Mapping[str, str]:
    roles: dict[str, str] = {}
    for name, field in fields.items():
        role: str | None = field.stamp if isinstance(field, DateTimeField) else None
        if isinstance(field, IntegerField) and field.version:
            role = "version"
        if role is not None and roles.setdefault(role, name) != name:
            raise SchemaDefinitionError(
                f"Schema: the fields {roles[role]!r} and {name!r} both say {role!r}, and one can", field=name
            )
    return MappingProxyType(roles)


def _check_declaration(name: object, field: object) -> None:
    if not isinstance(name, str) or not name:
        raise SchemaDefinitionError("Schema: the name of a field must be a string that is not empty", field=name)
    if not name.isidentifier() and (any(map(_is_control, name)) or not is_unicode(name)):
        raise SchemaDefinitionError(
            f"Schema: the name {name!r} must not contain control characters or lone surrogates", field=name
        )
    if not isinstance(field, Field):
        hint = f"write {field.__name__}()" if isinstance(field, type) and issubclass(field, Field) else None
        raise SchemaDefinitionError(
            f"Schema: the field {name!r} must be a field, such as StringField()", hint=hint, field=name
        )
    if not _is_of_known_kind(field):
        raise SchemaDefinitionError(
            f"Schema: the field {name!r} must be of a class that derives from one of MiniDB's, such as StringField",
            field=name,
        )


def _runs_code(field: AnyField) -> bool:
    if type(field) is not FIELD_CLASSES[field.kind] or field.validators or field.default_factory or field.computed:
        return True
    if isinstance(field, EnumField):
        return field.enum_class is not None
    if isinstance(field, ObjectField):
        return field.schema.runs_code
    return isinstance(field, ListField) and field.item is not None and _runs_code(field.item)


def _is_control(character: str) -> bool:
    return ord(character) < 32 or 127 <= ord(character) < 160


def _is_of_known_kind(field: AnyField) -> bool:
    field_class = FIELD_CLASSES.get(getattr(field, "kind", ""))
    if field_class is None or not isinstance(field, field_class):
        return False
    return not isinstance(field, ListField) or field.item is None or _is_of_known_kind(field.item)
