"""From a type, as a model declares it, to the field that it stands for."""

from __future__ import annotations

import datetime
import types
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

from minidb.exceptions import SchemaDefinitionError
from minidb.schema.constraints import Options, options_of
from minidb.schema.container_fields import DictField, JSONField, ListField
from minidb.schema.date_fields import DateField, DateTimeField, TimeField
from minidb.schema.field import AnyField, Errors
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
from minidb.structs import Struct

TypeForm = Any  # Any: whatever may stand in an annotation, for which Python 3.11 has no type
MakeNested = Callable[[type, Options], AnyField]
"""Returns the field of a column that holds objects of another model. Raises ``SchemaDefinitionError`` for no model."""

_PLAIN_KINDS: Final[Mapping[object, type[AnyField]]] = {
    str: StringField,
    int: IntegerField,
    float: FloatField,
    bool: BooleanField,
    bytes: BytesField,
    datetime.datetime: DateTimeField,
    datetime.date: DateField,
    datetime.time: TimeField,
    Decimal: DecimalField,
    uuid.UUID: UUIDField,
}
_PYDANTIC_KINDS: Final[Mapping[str, tuple[type[AnyField], Options]]] = {
    "AwareDatetime": (DateTimeField, {"timezone": True}),
    "NaiveDatetime": (DateTimeField, {"timezone": False}),
    "EmailStr": (StringField, {}),
}
_EMPTY: Final[Mapping[object, object]] = {list: [], dict: {}}
"""What the default factories make that nearly every model has. A field copies it for each row."""

_WRAPPERS: Final = frozenset({"Required", "NotRequired", "ReadOnly", "Final"})
_PYDANTIC: Final = "pydantic."


class Unwrapped(Struct, frozen=True):
    """A type without what is wrapped around it."""

    core: TypeForm
    metadata: tuple[object, ...]
    is_nullable: bool


def unwrap(annotation: TypeForm) -> Unwrapped:
    """Take off ``Annotated``, ``Optional``, ``NewType`` and the like. Raises ``SchemaDefinitionError`` for a union."""
    metadata: list[object] = []
    is_nullable = False
    while True:
        origin: TypeForm = get_origin(annotation)
        if origin is Annotated:
            metadata += annotation.__metadata__
            annotation = annotation.__origin__
        elif origin is Union or origin is types.UnionType:
            members = get_args(annotation)
            others = [member for member in members if member is not types.NoneType]
            is_nullable = is_nullable or len(others) < len(members)
            if len(others) > 1:
                annotation = _joined(others)
            else:
                (annotation,) = others
        elif origin is Literal and None in get_args(annotation):
            is_nullable = True
            annotation = Literal[tuple(one for one in get_args(annotation) if one is not None)]
        elif getattr(origin, "__name__", getattr(origin, "_name", None)) in _WRAPPERS:
            (annotation,) = get_args(annotation)
        elif hasattr(annotation, "__supertype__"):  # a NewType
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__value__"):  # of a type statement
            annotation = annotation.__value__
        else:
            return Unwrapped(annotation, tuple(metadata), is_nullable)


def _joined(members: Sequence[TypeForm]) -> TypeForm:
    """Return a union of Literals as one, and of int and float as float."""
    origins: list[TypeForm] = list(map(get_origin, members))
    if all(origin is Literal for origin in origins):
        return Literal[tuple(value for member in members for value in get_args(member))]
    if set(members) == {int, float}:
        return float
    raise SchemaDefinitionError("a column has one type, and None beside it at most", field=None)


def make_field(annotation: TypeForm, metadata: Sequence[object], presence: Options, nested: MakeNested) -> AnyField:
    """Return the field of an annotation; ``presence`` are its default and whether it is required.

    Raises ``SchemaDefinitionError`` without the field's name.
    """
    found = unwrap(annotation)
    is_nullable = presence.get("nullable", found.is_nullable)
    options = {**presence, "nullable": is_nullable}
    if is_nullable and presence.get("default", ...) is None:  # so it is without a default, too
        del options["default"]
    factory: object = options.get("default_factory")
    if factory in _EMPTY or get_origin(factory) in _EMPTY:  # a value, which is stored with the table, as code is not
        options["default"] = _EMPTY[get_origin(factory) or factory]
        del options["default_factory"]
    if is_nullable is not bool(presence.get("required")):  # so it is without being said
        del options["nullable"]
    return _make(found.core, (*metadata, *found.metadata), options, nested)


def _make(core: TypeForm, metadata: Sequence[object], options: Options, nested: MakeNested) -> AnyField:
    if isinstance(core, type) and core in _PLAIN_KINDS:
        kind = _PLAIN_KINDS[core]
        return _declare(kind, {**options_of(kind, metadata), **options})
    origin: TypeForm = get_origin(core)
    origin = core if origin is None else origin
    arguments = get_args(core)
    if core is Any or core is object:
        return _declare(JSONField, {**options_of(JSONField, metadata), **options})
    if origin is Literal:
        values = [value.value if isinstance(value, Enum) else value for value in arguments]
        return _declare(EnumField, {"values": values, **options_of(EnumField, metadata), **options})
    if origin in (list, Sequence):
        return _declare(ListField, {**_item(arguments, nested), **options_of(ListField, metadata), **options})
    if origin is tuple:
        if len(arguments) != 2 or arguments[1] is not Ellipsis:
            raise SchemaDefinitionError("a tuple is declared as tuple[X, ...]: all its items have one type", field=None)
        return _declare(TupleField, {**_item(arguments[:1], nested), **options_of(ListField, metadata), **options})
    if origin in (dict, Mapping):
        if arguments and not (arguments[0] is str and arguments[1] in (Any, object)):
            raise SchemaDefinitionError(
                "a dict is declared as dict[str, Any]: its values are not checked",
                hint="declare a dataclass where the keys are known",
                field=None,
            )
        return _declare(DictField, {**options_of(DictField, metadata), **options})
    if isinstance(core, type) and issubclass(core, Enum):
        return _declare(EnumField, {"values": core, **options_of(EnumField, metadata), **options})
    if isinstance(core, type) and core.__module__.startswith(_PYDANTIC) and core.__name__ in _PYDANTIC_KINDS:
        kind, given = _PYDANTIC_KINDS[core.__name__]
        return _declare(kind, {**given, **options_of(kind, metadata), **options})
    if isinstance(core, type):
        return nested(core, options)
    raise SchemaDefinitionError(f"{core!r} is no type that a column can have", field=None)


def _item(arguments: Sequence[TypeForm], nested: MakeNested) -> Options:
    if not arguments or arguments[0] is Any or arguments[0] is object:
        return {}
    found = unwrap(arguments[0])
    options: Options = {"nullable": True} if found.is_nullable else {}
    return {"item": _make(found.core, found.metadata, options, nested)}


def _declare(kind: type[AnyField], options: Options) -> AnyField:
    make = cast("Callable[..., AnyField]", kind)  # the options are checked by the class itself
    try:
        return make(**options)
    except TypeError:
        unknown = ", ".join(sorted(options.keys() - kind.option_defaults.keys()))
        raise SchemaDefinitionError(f"{kind.__name__}: it has no option {unknown}", field=None) from None


class TupleField(ListField):
    """A list that a model has as a tuple."""

    @property
    def is_restored(self) -> bool:
        return True

    def convert(self, value: object, path: str, errors: Errors) -> list[Any] | None:
        items = super().convert(value, path, errors)
        return None if items is None else cast("list[Any]", tuple(items))

    def to_stored(self, value: list[Any]) -> object:
        return super().to_stored(list(value))

    def from_stored(self, value: object) -> object:
        return tuple(cast("list[object]", super().from_stored(value)))


def hints_of(model: type) -> dict[str, TypeForm]:
    """Return the annotations of a class. Raises ``SchemaDefinitionError`` for a name that cannot be found."""
    try:
        return typing.get_type_hints(model, include_extras=True)
    except NameError as error:
        raise SchemaDefinitionError(
            f"{model.__name__}: the type {error.name!r} cannot be found",
            hint="define the model and its types at the top of a module",
            field=None,
        ) from None
