"""The schema of a model: compiled from a class, with what makes rows of it.

An attribute ``id`` of type ``int | None`` with the default None, in a model without a primary key, is no column: it is
where an object has its row's automatic id. Any other ``id`` must say what it is, since whoever reads it would guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, cast

from minidb.exceptions import SchemaDefinitionError
from minidb.schema.column import Column
from minidb.schema.field import AnyField
from minidb.schema.object_field import ObjectField
from minidb.schema.schema import Schema

if TYPE_CHECKING:
    from minidb.schema.constraints import Options
    from minidb.schema.model_rows import ModelRows
    from minidb.schema.shapes import Attribute, Shape

# What compiles a model is imported by it: a program without models starts sooner.

ModelT = TypeVar("ModelT")

ID: Final = "id"


class ModelSchema(Schema, Generic[ModelT]):
    """The schema of the rows that are objects of a model. Made by ``schema_of``."""

    __slots__ = ("rows",)

    rows: ModelRows
    """What makes objects of stored rows."""

    def __init__(self, shape: Shape, fields: Mapping[str, AnyField], id_name: str | None) -> None:
        from minidb.schema.model_rows import ModelRows

        super().__init__(fields)
        self.shape = shape
        self.rows = ModelRows(shape, self, id_name)

    @property
    def model(self) -> type[ModelT]:
        """The class."""
        assert self.shape is not None, "it was made of one"
        return cast("type[ModelT]", self.shape.model)

    def _copy(self) -> Self:
        assert self.shape is not None, "as above"
        return type(self)(self.shape, self.fields, self.rows.id_name)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.model, self.checks)


def schema_of(model: type[ModelT]) -> ModelSchema[ModelT]:
    """Return the schema of a dataclass, a ``msgspec.Struct``, a ``TypedDict``, an attrs class or a pydantic model.

    >>> @dataclass
    ... class User:
    ...     name: Annotated[str, Column(max_length=100)]
    ...     age: int = 0
    ...     id: int | None = None
    >>> schema_of(User)
    Schema(name=StringField(required=True, nullable=False, max_length=100), age=IntegerField(default=0, nullable=False))

    ``db.table("users", User)`` calls it. Raises ``SchemaDefinitionError`` for a class that is no model, or that
    declares what no column can be.
    """
    from minidb.schema.shapes import shape_of

    if not isinstance(model, type):
        raise SchemaDefinitionError("A model must be a class", hint="give a Schema, or the class itself", field=None)
    shape = shape_of(model)
    id_name = _automatic_id(shape)
    fields = _fields_of(shape, (model,), without=id_name)
    return ModelSchema(shape, fields, id_name)


def _rebuild(model: type[ModelT], checks: tuple[Callable[[Any], object], ...]) -> ModelSchema[ModelT]:  # Any: objects
    return schema_of(model).with_checks(*checks)


def _fields_of(shape: Shape, inside: tuple[type, ...], *, without: str | None) -> dict[str, AnyField]:
    """Return the fields of a model by name. ``inside`` are the models around it, and it itself."""
    from minidb.schema.annotations import make_field

    fields: dict[str, AnyField] = {}
    for attribute in shape.attributes:
        if attribute.name != without:
            with _located(shape, attribute):
                fields[attribute.name] = make_field(
                    attribute.annotation, attribute.metadata, attribute.presence, _maker_of_nested(inside)
                )
    return fields


def _maker_of_nested(inside: tuple[type, ...]) -> Callable[[type, Options], AnyField]:
    from minidb.schema.shapes import shape_of

    def make(model: type, options: Options) -> AnyField:
        if model in inside:
            raise SchemaDefinitionError(f"{model.__name__} holds itself, and a column has an end", field=None)
        shape = shape_of(model)
        schema = ModelSchema[Any](shape, _fields_of(shape, (*inside, model), without=None), None)
        return ObjectField(schema, **options)

    return make


@contextmanager
def _located(shape: Shape, attribute: Attribute) -> Iterator[None]:
    """Say of an error where it arose."""
    try:
        yield
    except SchemaDefinitionError as error:
        path = attribute.name if error.field is None else f"{attribute.name}.{error.field}"
        message = error.message.removeprefix(f"{shape.model.__name__}: ")
        raise SchemaDefinitionError(
            f"{shape.model.__name__}: {attribute.name}: {message}", hint=error.hint, field=path
        ) from error


def _automatic_id(shape: Shape) -> str | None:
    """Return the attribute that is the automatic id, if the model has one."""
    from minidb.schema.annotations import unwrap

    attribute = next((one for one in shape.attributes if one.name == ID), None)
    if attribute is None or any(_is_key(shape, one) for one in shape.attributes):
        return None
    may_lack = attribute.presence.get("default", ...) is None or "nullable" in attribute.presence
    if may_lack and unwrap(attribute.annotation).core is int:
        return ID
    raise SchemaDefinitionError(
        f"{shape.model.__name__}: is its id given by the table, or by the program?",
        hint="declare `id: int | None = None` for an automatic id (in a TypedDict `id: NotRequired[int]`), "
        "or mark the primary key: Annotated[…, Column(primary_key=True)]",
        field=ID,
    )


def _is_key(shape: Shape, attribute: Attribute) -> bool:
    from minidb.schema.annotations import unwrap

    with _located(shape, attribute):
        marks = (*attribute.metadata, *unwrap(attribute.annotation).metadata)
    return any(isinstance(mark, Column) and mark.options.get("primary_key") for mark in marks)
