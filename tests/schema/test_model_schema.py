"""From a model to its schema: every kind of class, every kind of type, and what is refused."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import pickle
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, NewType, Optional, TypedDict, TypeVar, Union

import annotated_types
import attrs
import msgspec
import pydantic
import pytest
from tests.schema.person_models import KINDS, PERSON, DataclassPerson

from minidb.exceptions import SchemaDefinitionError
from minidb.schema import (
    BytesField,
    Column,
    DateField,
    DateTimeField,
    DecimalField,
    DictField,
    EnumField,
    FloatField,
    IntegerField,
    JSONField,
    ListField,
    ObjectField,
    Schema,
    StringField,
    TimeField,
    UUIDField,
    schema_of,
)
from minidb.schema.field import AnyField
from minidb.schema.validation import RowChecker

UserId = NewType("UserId", int)
Short = Annotated[str, Column(max_length=5)]


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


def field_of(annotation: Any, **presence: Any) -> AnyField:
    """Return the field of a dataclass's one attribute, which is called x."""
    model = dataclasses.make_dataclass("Model", [("x", annotation, field(**presence))])
    return schema_of(model).fields["x"]


def refusal_of(annotation: Any) -> str:
    """Return what is said of an attribute that no column can have."""
    with pytest.raises(SchemaDefinitionError) as caught:
        field_of(annotation)
    assert str(caught.value.field).split(".")[0] == "x"
    return str(caught.value)


def one(given: AnyField) -> Schema:
    return Schema(x=given)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_compiles_to_one_definition(kind: str) -> None:
    schema = schema_of(KINDS[kind][0])
    assert list(schema.fields) == list(PERSON.fields)
    if kind != "typed dict":  # which has no defaults
        assert schema == PERSON
    assert Schema.from_document(schema.to_document()) == schema
    assert schema.model is KINDS[kind][0]


def test_the_schema_of_a_model_can_be_pickled() -> None:
    schema = schema_of(DataclassPerson)
    copy = pickle.loads(pickle.dumps(schema))  # noqa: S301  # its own bytes
    assert copy == schema
    assert copy.model is DataclassPerson


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str, StringField(required=True)),
        (int, IntegerField(required=True)),
        (float, FloatField(required=True)),
        (int | float, FloatField(required=True)),
        (bytes, BytesField(required=True)),
        (datetime.datetime, DateTimeField(required=True)),
        (datetime.date, DateField(required=True)),
        (datetime.time, TimeField(required=True)),
        (Decimal, DecimalField(required=True)),
        (uuid.UUID, UUIDField(required=True)),
        (UserId, IntegerField(required=True)),
        (Level, EnumField(Level, required=True)),
        (Literal["a", 1], EnumField[str | int](["a", 1], required=True)),
        (
            Literal["a"] | Literal["b"] | None,  # noqa: PYI030  # a form, too
            EnumField(["a", "b"], required=True, nullable=True),
        ),
        (
            Literal["a", None],  # noqa: PYI061  # as above
            EnumField(["a"], required=True, nullable=True),
        ),
        (Literal[Level.LOW], EnumField([1], required=True)),
        (str | None, StringField(required=True, nullable=True)),
        (Optional[str], StringField(required=True, nullable=True)),  # noqa: UP045  # the older form is a form, too
        (Union[str, None], StringField(required=True, nullable=True)),  # noqa: UP007  # as above
        (list, ListField(required=True)),
        (list[Any], ListField(required=True)),
        (list[str], ListField(StringField(), required=True)),
        (Sequence[str], ListField(StringField(), required=True)),
        (list[Short | None], ListField(StringField(nullable=True, max_length=5), required=True)),
        (list[list[int]], ListField(ListField(IntegerField()), required=True)),
        (tuple[int, ...], ListField(IntegerField(), required=True)),
        (dict, DictField(required=True)),
        (dict[str, Any], DictField(required=True)),
        (Mapping[str, object], DictField(required=True)),
        (Any, JSONField(required=True)),
        (Annotated[Annotated[str, Column(unique=True)] | None, Column(max_length=3)], "unique and short"),
    ],
)
def test_a_type_becomes_a_field(annotation: Any, expected: Any) -> None:
    if expected == "unique and short":
        expected = StringField(required=True, nullable=True, unique=True, max_length=3)
    assert one(field_of(annotation)) == one(expected)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Annotated[int, annotated_types.Gt(0)], IntegerField(required=True, min_value=1)),
        (Annotated[int, annotated_types.Interval(ge=0, lt=10)], IntegerField(required=True, min_value=0, max_value=9)),
        (Annotated[float, annotated_types.Gt(0)], FloatField(required=True, min_value=5e-324)),
        (
            Annotated[datetime.date, annotated_types.Lt(datetime.date(2000, 1, 1))],
            DateField(required=True, max_value=datetime.date(1999, 12, 31)),
        ),
        (
            Annotated[datetime.time, annotated_types.Gt(datetime.time(12))],
            TimeField(required=True, min_value=datetime.time(12, 0, 0, 1)),
        ),
        (Annotated[str, annotated_types.Len(1, 5)], StringField(required=True, min_length=1, max_length=5)),
        (Annotated[list[int], annotated_types.MaxLen(3)], ListField(IntegerField(), required=True, max_length=3)),
        (Annotated[datetime.datetime, annotated_types.Timezone(...)], DateTimeField(required=True, timezone=True)),
        (Annotated[datetime.datetime, annotated_types.Timezone(None)], DateTimeField(required=True, timezone=False)),
        (Annotated[datetime.datetime, msgspec.Meta(tz=True)], DateTimeField(required=True, timezone=True)),
        (Annotated[datetime.datetime, msgspec.Meta(description="when")], DateTimeField(required=True)),
        (pydantic.AwareDatetime, DateTimeField(required=True, timezone=True)),
        (Annotated[str, pydantic.StringConstraints(min_length=2)], StringField(required=True, min_length=2)),
        (list[Annotated[int, pydantic.Field(gt=3)]], ListField(IntegerField(min_value=4), required=True)),
        (Annotated[str, msgspec.Meta(pattern="^[a-z]+$")], StringField(required=True, pattern="[a-z]+")),
        (Annotated[str, "a comment", object()], StringField(required=True)),
        (
            Annotated[Decimal, Column(max_digits=5, decimal_places=2, min_value=0)],
            DecimalField(required=True, max_digits=5, decimal_places=2, min_value=0),
        ),
    ],
)
def test_marks_beside_a_type_are_limits(annotation: Any, expected: AnyField) -> None:
    assert one(field_of(annotation)) == one(expected)


@pytest.mark.parametrize(
    ("annotation", "good", "bad", "message"),
    [
        (Annotated[Decimal, annotated_types.Gt(0)], Decimal("0.1"), Decimal(0), "must be greater than 0"),
        (Annotated[Decimal, annotated_types.Lt(5)], Decimal("4.9"), Decimal(5), "must be less than 5"),
        (Annotated[int, annotated_types.MultipleOf(3)], 6, 7, "must be a multiple of 3"),
        (Annotated[str, annotated_types.Predicate(str.islower)], "a", "A", "was refused by builtins.str.islower"),
        (
            Annotated[str, msgspec.Meta(pattern="b|c")],
            "abd",
            "ad",
            "must match the pattern '[\\\\s\\\\S]*?(?:b|c)[\\\\s\\\\S]*'",
        ),
        (
            Annotated[str, msgspec.Meta(pattern="b")],
            "a\nb\n",
            "a",
            "must match the pattern '[\\\\s\\\\S]*?(?:b)[\\\\s\\\\S]*'",
        ),
        (Annotated[int, Column(validators=[lambda value: value != 3])], 2, 3, None),
    ],
)
def test_marks_that_no_limit_can_say_are_checked_all_the_same(
    annotation: Any, good: object, bad: object, message: str | None
) -> None:
    checker = RowChecker(one(field_of(annotation)))
    checker.check({"x": good})
    with pytest.raises(ValueError, match="does not match the schema") as caught:
        checker.check({"x": bad})
    (error,) = caught.value.errors  # type: ignore[attr-defined]  # a SchemaValidationError is a ValueError
    assert message is None or error.message == message


def test_a_default_makes_a_column_optional_and_none_alone_makes_it_nullable() -> None:
    assert one(field_of(int, default=3)) == one(IntegerField(default=3, nullable=False))
    assert one(field_of(int | None, default=3)) == one(IntegerField(default=3))
    assert one(field_of(int | None, default=None)) == one(IntegerField())
    assert one(field_of(list[int], default_factory=list)) == one(ListField(IntegerField(), default=[], nullable=False))
    assert field_of(dict[str, Any], default_factory=dict[str, Any]).default == {}
    assert field_of(uuid.UUID, default_factory=uuid.uuid4).default_factory is uuid.uuid4
    assert field_of(tuple[int, ...], default=(1,)).default == (1,)


class Node(msgspec.Struct):
    children: list[Node]


@dataclass
class Pair:
    left: int
    right: int = 0


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (int | str, "a column has one type"),
        (set[int], "set[int] is no type that a column can have"),
        (complex, "complex is no type"),
        (dict[str, int], "a dict is declared as dict[str, Any]"),
        (dict[int, Any], "a dict is declared as dict[str, Any]"),
        (tuple[int, str], "a tuple is declared as tuple[X, ...]"),
        (Annotated[int, msgspec.Meta(max_length=3)], "IntegerField: its type has no max_length"),
        (Annotated[str, annotated_types.Gt(3)], "StringField: its type has no gt"),
        (Annotated[str, Column(max_digits=3)], "StringField: it has no option max_digits"),
        (Annotated[list[int], Column(primary_key=True)], "it cannot be a primary key"),
        (
            Annotated[str, msgspec.Meta(pattern="(?i)a")],
            "a pattern here cannot begin with flags (give Column(pattern=…))",
        ),
        (Annotated[datetime.date, annotated_types.Gt(datetime.date.max)], "no value lies beyond its limit"),
        (Literal[True], "its values must be strings or integers"),
        (list[int | str], "a column has one type"),
        (Node, "Node holds itself"),
        (TypeVar("T"), "is no type that a column can have"),
    ],
)
def test_a_type_that_no_column_can_have_is_refused_by_name(annotation: Any, message: str) -> None:
    said = refusal_of(annotation)
    assert said.startswith("Model: x: ")
    assert message in said


def test_an_object_within_a_row_has_no_keys_and_its_id_is_a_key_like_any_other() -> None:
    inner = dataclasses.make_dataclass("Inner", [("id", int), ("a", Annotated[str, Column(max_length=2)])])
    schema = Schema(id=IntegerField(required=True), a=StringField(required=True, max_length=2))
    assert one(field_of(inner)) == one(ObjectField(schema, required=True))
    unique = dataclasses.make_dataclass("Unique", [("a", Annotated[str, Column(unique=True)])])
    assert "the key 'a' cannot be unique" in refusal_of(unique)


def test_an_id_that_may_be_none_is_automatic_and_no_column() -> None:
    class InTypedDict(TypedDict, total=False):
        name: str
        id: int

    assert list(schema_of(DataclassPerson).fields) == list(PERSON.fields)
    assert list(schema_of(InTypedDict).fields) == ["name"]


@pytest.mark.parametrize("annotation", [int, str, int | None, uuid.UUID])
def test_an_id_of_which_nobody_says_where_it_comes_from_is_refused(annotation: Any) -> None:
    model = dataclasses.make_dataclass("Model", [("name", str), ("id", annotation)])
    with pytest.raises(SchemaDefinitionError, match="is its id given by the table, or by the program") as caught:
        schema_of(model)
    assert caught.value.hint is not None
    assert "Column(primary_key=True)" in caught.value.hint


def test_an_id_that_is_the_primary_key_is_a_column() -> None:
    model = dataclasses.make_dataclass("Model", [("id", Annotated[str, Column(primary_key=True)])])
    assert schema_of(model) == Schema(id=StringField(primary_key=True))
    other = dataclasses.make_dataclass("Other", [("id", int), ("code", Annotated[str, Column(primary_key=True)])])
    assert schema_of(other) == Schema(id=IntegerField(required=True), code=StringField(primary_key=True))


class Old:
    __fields__: Final = ()
    __validators__: Final = ()


def make_with_init_var() -> type:
    return dataclasses.make_dataclass("Model", [("a", int), ("b", dataclasses.InitVar[int])])


@attrs.define
class DefaultOfSelf:
    a: int
    b: int = attrs.Factory(lambda self: self.a, takes_self=True)


class DefaultOfData(pydantic.BaseModel):
    a: int
    b: int = pydantic.Field(default_factory=lambda data: int(data["a"]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: object, "object is no type that a column can have, and no model (a model is a dataclass"),
        (lambda: Old, "is a model of pydantic 1, and MiniDB takes those of pydantic 2 (pip install"),
        (lambda: dataclasses.make_dataclass("Empty", []), "it needs at least one field"),
        (lambda: dataclasses.make_dataclass("Hidden", [("_a", int)]), "the field '_a' begins with _"),
        (lambda: dataclass(init=False)(Pair), "its __init__ must be the one that dataclass makes"),
        (make_with_init_var, "its __init__ takes what is no field: b"),
        (lambda: DefaultOfSelf, "the default of 'b' is made of the object itself"),
        (lambda: DefaultOfData, "the default of 'b' is made of the other fields"),
        (lambda: attrs.make_class("Untyped", ["a"]), "the field 'a' has no type"),
        (lambda: dataclasses.make_dataclass("Lost", [("a", "Missing")]), "the type 'Missing' cannot be found"),
        (lambda: Pair(1), "A model must be a class"),
    ],
)
def test_a_class_that_is_no_model_is_refused(make: Any, message: str) -> None:
    with pytest.raises(SchemaDefinitionError, match=re.escape(message)):
        schema_of(make())
