"""A schema as a whole, and its stored form."""

from __future__ import annotations

import copy
import datetime
import enum
import json
import pickle
import re
import uuid
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidb.exceptions import CorruptionError, FieldError, SchemaDefinitionError, UnsupportedFormatError
from minidb.schema import (
    BooleanField,
    BytesField,
    DateField,
    DateTimeField,
    DecimalField,
    DictField,
    EnumField,
    FloatField,
    IntegerField,
    JSONField,
    ListField,
    Schema,
    StringField,
    TimeField,
    UUIDField,
)
from minidb.schema.document import read_value, write_value
from minidb.schema.field import AnyField, Errors, Field

UTC = datetime.UTC
NOON = datetime.datetime(2024, 2, 29, 12, tzinfo=UTC)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


def even(value: int) -> bool:
    return value % 2 == 0


FIELDS: list[AnyField] = [
    StringField(required=True, min_length=1, max_length=100, pattern=r"!?\w+", default="!x"),
    StringField(pattern=re.compile("a.b", re.IGNORECASE | re.DOTALL), nullable=False),
    StringField(choices=["!a", "b"], unique=True),
    IntegerField(primary_key=True, min_value=-(2**70), max_value=2**70, default=2**65),
    IntegerField(choices=[1, 2], index=True, validators=[even]),
    FloatField(min_value=0, max_value=1.5, default=1),
    FloatField(allow_nan=True, default=float("-inf")),
    BooleanField(default=False),
    BytesField(min_length=1, max_length=3, default=b"\0\xff"),
    DateTimeField(timezone=True, min_value=NOON, default=NOON),
    DateTimeField(max_value=datetime.datetime(2024, 1, 1)),  # naive on purpose
    DateField(min_value=datetime.date(2024, 2, 29)),
    TimeField(max_value=datetime.time(12, 30, 0, 5)),
    DecimalField(max_digits=10, decimal_places=2, min_value=Decimal("-1.50"), max_value=5, default=Decimal("1e-2")),
    UUIDField(default=uuid.UUID(int=5)),
    UUIDField(default_factory=uuid.uuid4),
    EnumField(Color, default=Color.RED),
    EnumField(["a", 1, 2**70]),
    ListField(EnumField(Color, nullable=True), min_length=1, default=[Color.RED, None]),
    ListField(ListField(StringField(max_length=3))),
    ListField(),
    DictField(default={"!k": [NOON, b"x", {"a": "!b"}]}),
    JSONField(default={"a": [1, None, True]}),
    JSONField(default=None, required=True, nullable=True),
]


def documents_of(schema: Schema) -> tuple[dict[str, object], dict[str, object]]:
    """Return the document, and what becomes of it in msgpack."""
    document = schema.to_document()
    return document, msgspec.msgpack.decode(msgspec.msgpack.encode(document))


# --- the schema -------------------------------------------------------------------------------------------------------


def test_fields_keep_the_order_of_their_declaration() -> None:
    schema = Schema({"first name": StringField(), "z": StringField()}, a=IntegerField())
    assert list(schema.fields) == ["first name", "z", "a"]


@pytest.mark.parametrize("name", ["self", "mapping", "fields", "cls", "class", "naïve", "a\\b", 'say "a"', " "])
def test_a_field_may_have_any_printable_name(name: str) -> None:
    assert list(Schema({name: StringField()}).fields) == [name]
    assert list(Schema(**{name: StringField()}).fields) == [name]


@pytest.mark.parametrize("name", ["", "a\0", "a\nb", "\x7f", "\x85", "\ud800", 5, None])
def test_a_name_that_cannot_be_is_refused(name: Any) -> None:
    with pytest.raises(SchemaDefinitionError) as caught:
        Schema({name: StringField()})
    assert caught.value.field == name


@pytest.mark.parametrize("field", [StringField, str, None, "string"])
def test_what_is_no_field_is_refused(field: Any) -> None:
    with pytest.raises(SchemaDefinitionError) as caught:
        Schema(name=field)
    assert caught.value.field == "name"


def test_a_class_in_the_place_of_a_field_gets_a_hint() -> None:
    with pytest.raises(SchemaDefinitionError, match=re.escape("write StringField()")):
        Schema(name=StringField)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point


class PointField(Field[complex]):
    """A field that derives from none of ours, so that nothing could read it back."""

    def convert(self, value: object, path: str, errors: Errors) -> complex | None:
        errors.append(FieldError(path, "type", "", value))
        return None


class ShoutingPointField(PointField):
    kind = "string"


@pytest.mark.parametrize("field", [PointField(), ShoutingPointField(), ListField(PointField())])
def test_a_field_of_an_unknown_kind_is_refused(field: AnyField) -> None:
    with pytest.raises(SchemaDefinitionError) as caught:
        Schema(point=field)
    assert caught.value.field == "point"


class EmailField(StringField):
    def __init__(self, *, required: bool = False) -> None:
        super().__init__(required=required, pattern="[^@]+@[^@]+")


def test_a_field_derived_from_ours_is_stored_as_ours() -> None:
    schema = Schema(email=EmailField(required=True))
    assert Schema.from_document(schema.to_document()) == schema
    assert schema == Schema(email=StringField(required=True, pattern="[^@]+@[^@]+"))


def test_a_schema_needs_a_field() -> None:
    with pytest.raises(SchemaDefinitionError):
        Schema()
    with pytest.raises(SchemaDefinitionError):
        Schema({})


def test_a_schema_is_no_list() -> None:
    with pytest.raises(SchemaDefinitionError):
        Schema([StringField()])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the point


def test_a_field_declared_twice_is_refused() -> None:
    with pytest.raises(SchemaDefinitionError) as caught:
        Schema({"a": StringField()}, a=StringField())
    assert caught.value.field == "a"


def test_a_schema_never_changes() -> None:
    given_mapping: dict[str, AnyField] = {"a": StringField()}
    schema = Schema(given_mapping)
    given_mapping["b"] = StringField()
    assert list(schema.fields) == ["a"]
    with pytest.raises(TypeError):
        schema.fields["b"] = StringField()  # type: ignore[index]  # pyright: ignore[reportIndexIssue]  # the point
    with pytest.raises(AttributeError):
        schema.primary_key = ("a",)  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # the point


def test_several_primary_key_fields_make_a_compound_key_in_order() -> None:
    schema = Schema(b=StringField(primary_key=True), x=IntegerField(), a=IntegerField(primary_key=True))
    assert schema.primary_key == ("b", "a")
    assert Schema(a=StringField()).primary_key == ()


def test_indexed_fields_tell_which_are_unique() -> None:
    schema = Schema(a=StringField(index=True), b=StringField(), c=StringField(unique=True, index=True))
    assert schema.indexed_fields == (("a", False), ("c", True))


def test_the_repr_is_the_declaration() -> None:
    assert repr(Schema(a=StringField(required=True))) == "Schema(a=StringField(required=True))"
    assert repr(Schema({"a b": StringField()})) == "Schema({'a b': StringField()})"


# --- equality ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (StringField(), StringField(nullable=True)),
        (StringField(required=True), StringField(required=True, nullable=False)),
        (IntegerField(), IntegerField(validators=[even])),
        (UUIDField(), UUIDField(default_factory=uuid.uuid4)),
        (EnumField(Color), EnumField(["blue", "red"])),
        (StringField(choices=["a", "b"]), StringField(choices=("b", "a"))),
        (FloatField(min_value=1), FloatField(min_value=1.0)),
        (StringField(pattern="a"), StringField(pattern=re.compile("a"))),
        (StringField(primary_key=True), StringField(primary_key=True, required=True)),
        (ListField(IntegerField()), ListField(IntegerField(validators=[even]))),
        (
            DateTimeField(min_value=NOON),
            DateTimeField(min_value=NOON.astimezone(datetime.timezone(datetime.timedelta(hours=2)))),
        ),
    ],
)
def test_schemas_that_store_the_same_are_equal(one: AnyField, other: AnyField) -> None:
    assert Schema(a=one) == Schema(a=other)
    assert hash(Schema(a=one)) == hash(Schema(a=other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (StringField(), BytesField()),
        (StringField(), StringField(required=True)),
        (StringField(), StringField(index=True)),
        (StringField(), StringField(default=None)),
        (StringField(default="1"), StringField(default="2")),
        (FloatField(default=0.0), FloatField(default=-0.0)),
        (EnumField(["a"]), EnumField(["a", "b"])),
        (EnumField(["1"]), EnumField([1])),
        (StringField(pattern="a"), StringField(pattern=re.compile("a", re.IGNORECASE))),
        (ListField(IntegerField()), ListField(IntegerField(min_value=0))),
        (JSONField(default=True), JSONField(default=1)),
    ],
)
def test_schemas_that_store_something_else_differ(one: AnyField, other: AnyField) -> None:
    assert Schema(a=one) != Schema(a=other)


def test_the_order_of_fields_is_part_of_a_schema() -> None:
    assert Schema(a=StringField(), b=StringField()) != Schema(b=StringField(), a=StringField())


def test_a_schema_equals_nothing_else() -> None:
    assert Schema(a=StringField()) != {"a": StringField()}


@pytest.mark.parametrize("field", FIELDS)
def test_a_schema_can_be_pickled_and_copied(field: AnyField) -> None:
    schema = Schema({"a b": field})
    assert pickle.loads(pickle.dumps(schema)) == schema  # noqa: S301  # our own bytes
    assert copy.copy(schema) == schema
    assert copy.deepcopy(schema) == schema


# --- the document -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", FIELDS)
def test_a_schema_survives_its_stored_form(field: AnyField) -> None:
    schema = Schema({"a b": field})
    document, stored = documents_of(schema)
    assert stored == document
    restored = Schema.from_document(stored)
    assert restored == schema
    assert Schema.from_document(restored.to_document()) == schema


@pytest.mark.parametrize("field", FIELDS)
def test_a_document_is_json_too(field: AnyField) -> None:
    document = Schema(a=field).to_document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_the_document_is_what_the_module_draws() -> None:
    # Stored on disk: a change here must keep the old form readable.
    schema = Schema(
        name=StringField(required=True, max_length=100, default="!important", validators=[str.isprintable]),
        born=DateField(min_value=datetime.date(2024, 2, 29), index=True),
        token=UUIDField(primary_key=True, default_factory=uuid.uuid4),
        color=EnumField(Color, default=Color.RED, nullable=False),
        tags=ListField(StringField(pattern=re.compile("x", re.IGNORECASE)), max_length=3),
        big=IntegerField(max_value=2**64, choices=[5]),
        price=DecimalField(min_value=Decimal("1.50"), max_digits=5),
        seen=DateTimeField(max_value=NOON),
        wakes=TimeField(default=datetime.time(12)),
        data=BytesField(default=b"\0\xff", nullable=True),
        ratio=FloatField(allow_nan=True, default=float("nan")),
    )
    assert schema.to_document() == {
        "format": 1,
        "fields": [
            {
                "id": 1,
                "name": "name",
                "type": "string",
                "required": True,
                "default": "!str:!important",
                "max_length": 100,
                "validators": ["builtins.str.isprintable"],
            },
            {"id": 2, "name": "born", "type": "date", "index": True, "min_value": "!date:2024-02-29"},
            {
                "id": 3,
                "name": "token",
                "type": "uuid",
                "required": True,
                "primary_key": True,
                "default_factory": "uuid.uuid4",
            },
            {
                "id": 4,
                "name": "color",
                "type": "enum",
                "default": "red",
                "nullable": False,
                "values": ["red", "blue"],
            },
            {
                "id": 5,
                "name": "tags",
                "type": "list",
                "max_length": 3,
                "item": {"type": "string", "pattern": "x", "pattern_flags": 2},
            },
            {"id": 6, "name": "big", "type": "integer", "max_value": "!int:10000000000000000", "choices": [5]},
            {"id": 7, "name": "price", "type": "decimal", "min_value": "!decimal:1.50", "max_digits": 5},
            {
                "id": 8,
                "name": "seen",
                "type": "datetime",
                "timezone": True,
                "max_value": "!datetime:2024-02-29T12:00:00+00:00",
            },
            {"id": 9, "name": "wakes", "type": "time", "default": "!time:12:00:00"},
            {"id": 10, "name": "data", "type": "bytes", "default": "!bytes:00ff"},
            {"id": 11, "name": "ratio", "type": "float", "default": "!float:nan", "allow_nan": True},
        ],
    }


def test_an_enum_field_without_its_class_has_the_plain_values() -> None:
    restored = Schema.from_document(Schema(color=EnumField(Color, default=Color.RED)).to_document())
    field = restored.fields["color"]
    assert isinstance(field, EnumField)
    assert field.enum_class is None
    assert field.values == ("red", "blue")
    assert field.default == "red"


def test_callables_are_not_restored() -> None:
    schema = Schema(a=IntegerField(validators=[even]), b=IntegerField(required=True, default_factory=int))
    fields = Schema.from_document(schema.to_document()).fields
    assert fields["a"].validators == ()
    assert not fields["b"].has_default


def field_document(**options: object) -> dict[str, object]:
    return {"format": 1, "fields": [{"id": 1, "name": "a", "type": "string", **options}]}


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (None, CorruptionError),
        ([], CorruptionError),
        ({}, CorruptionError),
        ({"format": "1", "fields": []}, CorruptionError),
        ({"format": 1}, CorruptionError),
        ({"format": 1, "fields": []}, CorruptionError),
        ({"format": 1, "fields": ["a"]}, CorruptionError),
        ({"format": 2, "fields": []}, UnsupportedFormatError),
        (field_document(name=5), CorruptionError),
        (field_document(name=""), CorruptionError),
        (field_document(type=None), CorruptionError),
        (field_document(type="point"), UnsupportedFormatError),
        (field_document(id=0), CorruptionError),
        (field_document(id="1"), CorruptionError),
        (field_document(collation="C"), UnsupportedFormatError),
        (field_document(max_length="!point:1"), UnsupportedFormatError),
        (field_document(max_length="!int:xyz"), CorruptionError),
        (field_document(max_length="!decimal:xyz"), CorruptionError),
        (field_document(max_length=-1), CorruptionError),
        (field_document(required=5), CorruptionError),
        (field_document(pattern="("), CorruptionError),
        (field_document(pattern="a", pattern_flags="x"), CorruptionError),
        (field_document(pattern_flags=2), CorruptionError),
        (field_document(type="list", item="x"), CorruptionError),
        (field_document(type="list", item={"type": "point"}), UnsupportedFormatError),
        (field_document(type="enum"), CorruptionError),
        ({"format": 1, "fields": [{"id": 1, "name": "a", "type": "uuid"}] * 2}, CorruptionError),
        ({"format": 1, "fields": [{"id": 1, "name": name, "type": "uuid"} for name in "ab"]}, CorruptionError),
    ],
)
def test_a_document_that_no_schema_wrote_is_refused(document: object, error: type[CorruptionError]) -> None:
    with pytest.raises(CorruptionError) as caught:
        Schema.from_document(document)
    assert type(caught.value) is error


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["!date:x"])
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
OPTIONS = ["type", "default", "max_length", "values", "item", "pattern", "pattern_flags", "required", "min_value"]
KINDS = ["string", "integer", "float", "enum", "list", "datetime", "decimal", "json", "bytes"]


@given(st.dictionaries(st.sampled_from(OPTIONS), ANYTHING, max_size=4), st.sampled_from(KINDS), ANYTHING)
def test_nonsense_is_corruption_and_nothing_else(options: dict[str, object], kind: str, document: object) -> None:
    for nonsense in (document, field_document(**{"type": kind, **options})):
        try:
            schema = Schema.from_document(nonsense)
        except CorruptionError:
            continue
        assert Schema.from_document(schema.to_document()) == schema


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**63)
    | st.floats(allow_nan=False)
    | st.text()
    | st.text().map("!{}".format)
    | st.binary()
    | st.dates()
    | st.datetimes(timezones=st.sampled_from([None, UTC])).map(lambda moment: moment.replace(fold=0))
    | st.times().map(lambda time: time.replace(fold=0))
    | st.decimals(allow_nan=False)
    | st.uuids(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES)
def test_a_value_survives_its_stored_form(value: object) -> None:
    written = write_value(value)
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert repr(read_value(msgspec.msgpack.decode(msgspec.msgpack.encode(written)))) == repr(value)
