"""The kinds of classes that a model can be: what each declares, and how its objects are made and taken apart.

A kind is known by what its classes have. None is imported but msgspec: whoever passes a pydantic model has imported
pydantic.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final, NotRequired, Required, cast, get_origin

import msgspec

from minidb.exceptions import FieldError, SchemaDefinitionError
from minidb.schema.annotations import TypeForm, hints_of
from minidb.schema.constraints import Options
from minidb.schema.field import Errors
from minidb.structs import Struct

Make = Callable[[dict[str, Any]], Any]  # Any: columns of any type, and an object of the model

_REFUSALS: Final = (ValueError, TypeError, AssertionError)
"""What the code of a model raises to refuse an object; pydantic's errors are among them."""


class Attribute(Struct, frozen=True):
    """One attribute of a model, as its class declares it."""

    name: str
    annotation: TypeForm
    presence: Options
    """Whether it is required, its default, its default factory: those that there are."""

    metadata: tuple[object, ...] = ()


class Shape:
    """How the objects of one model are made and taken apart. Immutable; safe from any thread."""

    __slots__ = ("_validate", "attributes", "get_values", "is_mapping", "make", "make_in_order", "model", "runs_code")

    model: type
    attributes: tuple[Attribute, ...]

    make: Make
    """Makes an object of its attributes by name, which were checked before; the dict is the object's own from then on.
    Raises what the model's own code raises."""

    make_in_order: Callable[..., Any] | None
    """Makes an object of its attributes by position, in the order of ``attributes``; None where it takes names only."""

    runs_code: bool
    """Whether code of the model looks at each object that is made, and may refuse it."""

    is_mapping: bool
    """Whether the objects are dicts."""

    get_values: Callable[[Any], tuple[Any, ...]]
    """Returns the attributes of an object, in their order; not for dicts."""

    def __init__(
        self,
        model: type,
        attributes: Iterable[Attribute],
        make: Make,
        *,
        make_in_order: Callable[..., Any] | None = None,
        runs_code: bool = False,
        is_mapping: bool = False,
        validate: Make | None = None,
    ) -> None:
        """``validate`` makes an object as ``make`` does and runs the code of the model, where ``make`` does not."""
        self.model = model
        self.attributes = tuple(attributes)
        self.make = make
        self.make_in_order = make_in_order
        self.runs_code = runs_code
        self.is_mapping = is_mapping
        self._validate = make if validate is None else validate
        names = [attribute.name for attribute in self.attributes]
        if not self.attributes:
            raise SchemaDefinitionError(f"{model.__name__}: it needs at least one field", field=None)
        for name in names:
            if name.startswith("_"):
                raise SchemaDefinitionError(f"{model.__name__}: the field {name!r} begins with _", field=name)
        self.get_values = values_getter(names, attrgetter)

    def has_made(self, value: object) -> bool:
        """Tell whether a value is an object of the model, and no dict."""
        return not self.is_mapping and isinstance(value, self.model)

    def columns_of(self, value: Any) -> Mapping[str, Any]:  # Any: an object of the model
        """Return the attributes of an object by name."""
        if self.is_mapping:
            return cast("Mapping[str, Any]", value)
        names = [attribute.name for attribute in self.attributes]
        return dict(zip(names, self.get_values(value), strict=True))

    def all_columns_of(self, value: Any, *, without: str | None) -> Mapping[str, Any]:  # Any: as above
        """Return the attributes of an object by name, with those that its own class adds to the model's."""
        own = self if type(value) is self.model else shape_of(type(value))
        return {name: one for name, one in own.columns_of(value).items() if name != without}

    def make_checked(self, columns: dict[str, Any], path: str, errors: Errors) -> Any:
        """Make an object; add an error and return None if the model's own code refuses it."""
        try:
            return self._validate(columns)
        except _REFUSALS as refusal:
            message = _first_line(refusal) or f"was refused by {self.model.__name__}"
            errors.append(FieldError(path, "model", message))
            return None


def values_getter(
    names: Sequence[Any], getter: Callable[..., Callable[[Any], Any]]
) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that gets several things at once as a tuple, also if it is one only."""
    get = getter(*names)
    return (lambda value: (get(value),)) if len(names) == 1 else get


def _first_line(refusal: Exception) -> str:
    """Return what a refusal says. The text of pydantic's repeats the values, which belong in no message."""
    details = getattr(refusal, "errors", None)
    if callable(details):
        found = cast("list[dict[str, object]]", details())
        return "; ".join(str(one["msg"]) for one in found)
    return str(refusal)


def shape_of(model: type) -> Shape:
    """Return the shape of a class. Raises ``SchemaDefinitionError`` for what is no model."""
    if issubclass(model, msgspec.Struct):
        return _shape_of_struct(model)
    if hasattr(model, "__dataclass_fields__"):
        return _shape_of_dataclass(model)
    if issubclass(model, dict) and hasattr(model, "__required_keys__"):
        return _shape_of_typed_dict(model)
    if "__attrs_attrs__" in dir(model):
        return _shape_of_attrs(model)
    if hasattr(model, "__pydantic_fields__"):
        return _shape_of_pydantic(model)
    if hasattr(model, "__fields__") and hasattr(model, "__validators__"):
        raise SchemaDefinitionError(
            f"{model.__name__} is a model of pydantic 1, and MiniDB takes those of pydantic 2",
            hint='pip install "minidb-kv[pydantic]"',
            field=None,
        )
    raise SchemaDefinitionError(
        f"{model.__name__} is no type that a column can have, and no model",
        hint="a model is a dataclass, a msgspec.Struct, a TypedDict, an attrs class or a pydantic model",
        field=None,
    )


def _shape_of_struct(model: type[msgspec.Struct]) -> Shape:
    attributes = [
        Attribute(
            field.name,
            field.type,
            _presence(
                default=field.default,
                factory=field.default_factory,
                nothing=msgspec.NODEFAULT,
            ),
        )
        for field in _struct_fields(model)
    ]
    is_positional = _takes_in_order(model, [one.name for one in attributes])
    return Shape(
        model,
        attributes,
        lambda columns: model(**columns),
        make_in_order=model if is_positional else None,
        runs_code=hasattr(model, "__post_init__"),
    )


def _struct_fields(model: type[msgspec.Struct]) -> Sequence[msgspec.structs.FieldInfo]:
    hints_of(model)  # says it better if a type cannot be found
    return msgspec.structs.fields(model)


def _shape_of_dataclass(model: Any) -> Shape:  # Any: a class that dataclasses knows
    import dataclasses  # here, as it is loaded by then: a dataclass has imported it

    hints = hints_of(model)
    attributes = []
    given: list[str] = []
    later: list[str] = []
    for field in dataclasses.fields(model):
        presence = _presence(default=field.default, factory=field.default_factory, nothing=dataclasses.MISSING)
        attributes.append(Attribute(field.name, hints[field.name], presence))
        (given if field.init else later).append(field.name)
    if not model.__dataclass_params__.init:
        raise SchemaDefinitionError(f"{model.__name__}: its __init__ must be the one that dataclass makes", field=None)
    extra = set(inspect.signature(model).parameters) - set(given)
    if extra:
        raise SchemaDefinitionError(
            f"{model.__name__}: its __init__ takes what is no field: {', '.join(sorted(extra))}", field=None
        )
    is_positional = not later and _takes_in_order(model, given)
    return Shape(
        model,
        attributes,
        _maker(model, given, later),
        make_in_order=model if is_positional else None,
        runs_code=hasattr(model, "__post_init__") or hasattr(model, "__pydantic_validator__"),
    )


def _shape_of_typed_dict(model: Any) -> Shape:  # Any: a class that typing knows
    declared = cast("frozenset[str]", model.__required_keys__)
    hints = hints_of(model)
    required = frozenset(name for name, hint in hints.items() if _is_required(hint, name in declared))
    attributes = [
        Attribute(name, annotation, {"required": True} if name in required else {"nullable": True})
        for name, annotation in hints.items()
    ]

    def make(columns: dict[str, Any]) -> dict[str, Any]:
        for name in optional:
            if columns.get(name, "") is None:  # as it was given: a key that may be missing, and is
                del columns[name]
        return columns

    optional = [one.name for one in attributes if one.name not in required]
    return Shape(model, attributes, make, is_mapping=True)


def _is_required(hint: TypeForm, is_declared: bool) -> bool:  # noqa: FBT001  # called by position, by one caller
    """Tell whether a key must be there. Where annotations are text, the class itself does not see how it is marked."""
    marks: dict[TypeForm, bool] = {Required: True, NotRequired: False}
    return marks.get(get_origin(hint), is_declared)


def _shape_of_attrs(model: Any) -> Shape:  # Any: a class that attrs knows
    hints = hints_of(model)
    attributes: list[Attribute] = []
    given: list[str] = []
    later: list[str] = []
    parameters: dict[str, str] = {}
    runs_code = hasattr(model, "__attrs_post_init__")
    for field in model.__attrs_attrs__:
        name = field.name
        if name not in hints:
            raise SchemaDefinitionError(f"{model.__name__}: the field {name!r} has no type", field=name)
        presence: Options = {}
        if type(field.default).__name__ == "Factory":
            if field.default.takes_self:
                raise SchemaDefinitionError(
                    f"{model.__name__}: the default of {name!r} is made of the object itself", field=name
                )
            presence = {"default_factory": field.default.factory}
        elif type(field.default).__name__ != "_Nothing":
            presence = {"default": field.default}
        attributes.append(Attribute(name, hints[name], presence or {"required": True}))
        parameters[name] = field.alias
        (given if field.init else later).append(name)
        runs_code = runs_code or field.validator is not None or field.converter is not None
    is_positional = not later and _takes_in_order(model, [parameters[name] for name in given])
    return Shape(
        model,
        attributes,
        _maker(model, given, later, parameters),
        make_in_order=model if is_positional else None,
        runs_code=runs_code,
    )


def _shape_of_pydantic(model: Any) -> Shape:  # Any: a class that pydantic made
    attributes = []
    for name, field in model.__pydantic_fields__.items():
        presence: Options = {"required": True}
        if field.default_factory is not None:
            if field.default_factory_takes_validated_data:
                raise SchemaDefinitionError(
                    f"{model.__name__}: the default of {name!r} is made of the other fields", field=name
                )
            presence = {"default_factory": field.default_factory}
        elif not field.is_required():
            presence = {"default": field.default}
        attributes.append(Attribute(name, field.annotation, presence, tuple(field.metadata)))
    names = frozenset(one.name for one in attributes)
    has_more = bool(model.__private_attributes__) or model.__pydantic_post_init__ is not None
    new, put = model.__new__, object.__setattr__

    def make_plainly(columns: dict[str, Any]) -> Any:
        # What model_construct does, in a third of its time: 0.7 µs. Pydantic documents these attributes.
        made = new(model)
        put(made, "__dict__", columns)
        put(made, "__pydantic_fields_set__", set(names))
        put(made, "__pydantic_extra__", None)
        put(made, "__pydantic_private__", None)
        return made

    def construct(columns: dict[str, Any]) -> Any:
        return model.model_construct(**columns)

    def validate(columns: dict[str, Any]) -> Any:
        return model.model_validate(columns, by_alias=False, by_name=True)

    return Shape(model, attributes, construct if has_more else make_plainly, runs_code=True, validate=validate)


def _presence(*, default: object, factory: object, nothing: object) -> Options:
    if default is not nothing:
        return {"default": default}
    return {"required": True} if factory is nothing else {"default_factory": factory}


def _takes_in_order(model: type, names: Sequence[str]) -> bool:
    """Tell whether the class can be called with just these arguments by position."""
    parameters = inspect.signature(model).parameters
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    return list(parameters) == list(names) and all(one.kind in kinds for one in parameters.values())


def _maker(
    model: Any, given: Sequence[str], later: Sequence[str], parameters: Mapping[str, str] | None = None
) -> Make:  # Any: a class with an __init__ of its own
    """Return what makes an object by an ``__init__`` that takes some attributes, and puts the others in place."""
    if not later and parameters is None:
        return lambda columns: model(**columns)
    pairs = [(name, name if parameters is None else parameters[name]) for name in given]

    def make(columns: dict[str, Any]) -> Any:
        made = model(**{parameter: columns[name] for name, parameter in pairs if name in columns})
        for name in later:
            if name in columns:
                object.__setattr__(made, name, columns[name])
        return made

    return make


def reordered(names: Sequence[str], wanted: Sequence[str]) -> Callable[[Any], tuple[Any, ...]] | None:
    """Return a function that brings values in the order of some names into another order; None if it is the same."""
    return None if list(names) == list(wanted) else values_getter([names.index(name) for name in wanted], itemgetter)
