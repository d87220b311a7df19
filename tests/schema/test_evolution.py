"""What may take a stored schema's place, and what is refused, as a pure function of two schemas."""

from __future__ import annotations

import datetime
import enum
import pickle
import re
from typing import Any

import pytest

from minidb.exceptions import SchemaDefinitionError, SchemaMismatchError
from minidb.schema import (
    BooleanField,
    BytesField,
    DateTimeField,
    DecimalField,
    DictField,
    EnumField,
    FloatField,
    IntegerField,
    ListField,
    Schema,
    StringField,
)
from minidb.schema.evolution import compare, next_document, with_code_of
from minidb.schema.field import AnyField

UTC = datetime.UTC


def codes(stored: Schema | None, given: Schema | None, **options: Any) -> set[tuple[str | None, str]]:
    found = compare(stored, given, **options).differences
    assert all(one.message and one.hint for one in found)
    return {(one.field, one.code) for one in found}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


LOOSER: list[tuple[AnyField, AnyField]] = [
    (StringField(max_length=5), StringField(max_length=6)),
    (StringField(max_length=5), StringField()),
    (StringField(min_length=5), StringField(min_length=0)),
    (StringField(), StringField(min_length=0)),
    (StringField(pattern="a+"), StringField()),
    (StringField(pattern="a+"), StringField(pattern=re.compile("a+"))),
    (StringField(choices=["a"]), StringField(choices=["b", "a"])),
    (StringField(choices=["a"]), StringField()),
    (StringField(required=True), StringField()),
    (StringField(nullable=True), StringField(required=True, nullable=True)),
    (StringField(default="a"), StringField(default="b")),
    (StringField(), StringField(default_factory=str)),
    (StringField(), StringField(validators=[str.istitle])),
    (StringField(index=True), StringField(unique=True)),
    (StringField(unique=True), StringField()),
    (BytesField(max_length=1), BytesField(max_length=2)),
    (IntegerField(min_value=0, max_value=9), IntegerField(min_value=-1, max_value=10)),
    (IntegerField(min_value=0), IntegerField()),
    (IntegerField(choices=[1]), IntegerField(choices=[1, 2])),
    (IntegerField(), FloatField()),
    (IntegerField(min_value=0), FloatField(min_value=-0.5)),
    (IntegerField(choices=[1]), FloatField(allow_nan=True)),
    (FloatField(), FloatField(allow_nan=True)),
    (DecimalField(max_digits=5), DecimalField(max_digits=6)),
    (DecimalField(max_digits=5, decimal_places=2), DecimalField(max_digits=6, decimal_places=3)),
    (DecimalField(max_digits=5, decimal_places=2), DecimalField(max_digits=5)),
    (DecimalField(max_digits=5, decimal_places=2), DecimalField(decimal_places=2)),
    (DateTimeField(timezone=True), DateTimeField()),
    (DateTimeField(min_value=datetime.datetime(2000, 1, 1, tzinfo=UTC)), DateTimeField(timezone=True)),
    (EnumField(["a"]), EnumField(["b", "a"])),
    (EnumField(["red"]), EnumField(Colour)),
    (ListField(StringField(max_length=5)), ListField(StringField(max_length=6))),
    (ListField(StringField()), ListField(StringField(nullable=True))),
    (ListField(StringField()), ListField()),
    (ListField(max_length=3), ListField(max_length=4)),
    (DictField(min_length=3), DictField()),
]


@pytest.mark.parametrize(("stored", "given"), LOOSER)
def test_a_looser_field_is_applied(stored: AnyField, given: AnyField) -> None:
    assert codes(Schema(a=stored), Schema(a=given)) == set()


TIGHTER: list[tuple[AnyField, AnyField, str]] = [
    (StringField(), StringField(max_length=6), "tightened"),
    (StringField(max_length=6), StringField(max_length=5), "tightened"),
    (StringField(), StringField(min_length=1), "tightened"),
    (StringField(), StringField(pattern="a"), "tightened"),
    (StringField(pattern="a"), StringField(pattern="b"), "tightened"),
    (StringField(pattern="a"), StringField(pattern=re.compile("a", re.IGNORECASE)), "tightened"),
    (StringField(), StringField(choices=["a"]), "tightened"),
    (StringField(choices=["a", "b"]), StringField(choices=["a"]), "tightened"),
    (StringField(), StringField(required=True), "nullable"),
    (StringField(), StringField(nullable=False), "nullable"),
    (IntegerField(), IntegerField(min_value=0), "tightened"),
    (IntegerField(max_value=5), IntegerField(max_value=4), "tightened"),
    (IntegerField(), FloatField(min_value=0), "tightened"),
    (IntegerField(), StringField(), "type"),
    (FloatField(), IntegerField(), "type"),
    (BooleanField(), IntegerField(), "type"),
    (FloatField(allow_nan=True), FloatField(), "tightened"),
    (DecimalField(), DecimalField(max_digits=5), "tightened"),
    (DecimalField(), DecimalField(decimal_places=2), "tightened"),
    (DecimalField(max_digits=5), DecimalField(max_digits=5, decimal_places=2), "tightened"),
    (DecimalField(max_digits=5, decimal_places=2), DecimalField(max_digits=5, decimal_places=3), "tightened"),
    (DecimalField(max_digits=5, decimal_places=2), DecimalField(max_digits=5, decimal_places=1), "tightened"),
    (DateTimeField(), DateTimeField(timezone=True), "tightened"),
    (
        DateTimeField(min_value=datetime.datetime(2000, 1, 1, tzinfo=UTC)),
        DateTimeField(min_value=datetime.datetime(1990, 1, 1)),  # without a time zone, as is tested
        "tightened",
    ),
    (EnumField(["a", "b"]), EnumField(["a"]), "tightened"),
    (EnumField(["a"]), StringField(), "type"),
    (ListField(), ListField(StringField()), "tightened"),
    (ListField(IntegerField()), ListField(FloatField()), "tightened"),
    (ListField(StringField(nullable=True)), ListField(StringField()), "tightened"),
    (ListField(StringField()), ListField(StringField(max_length=1)), "tightened"),
    (DictField(), DictField(max_length=1), "tightened"),
]


@pytest.mark.parametrize(("stored", "given", "code"), TIGHTER)
def test_a_field_that_may_refuse_stored_values_is_refused_by_name(stored: AnyField, given: AnyField, code: str) -> None:
    assert ("a", code) in codes(Schema(a=stored), Schema(a=given))


def test_a_new_field_needs_a_value_for_the_rows_that_are_there() -> None:
    stored = Schema(a=StringField())
    for field in (StringField(), StringField(default="x"), StringField(required=True, default="x")):
        assert codes(stored, Schema(a=StringField(), b=field)) == set()
    for field in (StringField(required=True), StringField(required=True, default_factory=str)):
        assert codes(stored, Schema(a=StringField(), b=field)) == {("b", "required")}
    assert codes(stored, Schema(a=StringField(), b=StringField(unique=True))) == set()
    assert codes(stored, Schema(a=StringField(), b=StringField(unique=True, default="x"))) == {("b", "unique")}


def test_a_field_goes_only_by_name() -> None:
    stored, given = Schema(a=StringField(), b=StringField()), Schema(a=StringField())
    assert codes(stored, given) == {("b", "missing")}
    assert codes(stored, given, drop_fields=["b", "c"]) == set()
    assert compare(stored, given, ["b"]).dropped == ("b",)
    with pytest.raises(SchemaDefinitionError, match="to be dropped"):
        compare(stored, given, ["a"])


def test_a_field_is_another_one_by_its_former_name() -> None:
    stored = Schema(a=StringField(), b=IntegerField())
    given = Schema(c=StringField(renamed_from=["x", "a"]), b=IntegerField())
    assert compare(stored, given).origins == {"c": "a", "b": "b"}
    assert codes(stored, given) == set()
    assert codes(given, given) == set()


def test_a_name_that_is_stored_says_more_than_a_former_one() -> None:
    stored = Schema(a=StringField(), b=StringField())
    given = Schema(a=StringField(renamed_from="b"), b=StringField(renamed_from="a"))
    assert compare(stored, given).origins == {"a": "a", "b": "b"}


def test_a_former_name_may_be_that_of_a_new_field() -> None:
    stored = Schema(a=StringField())
    given = Schema(a=IntegerField(), b=StringField(renamed_from="a"))
    assert compare(stored, given).origins == {"a": None, "b": "a"}


def test_one_field_cannot_become_two() -> None:
    given = Schema(b=StringField(renamed_from="a"), c=StringField(renamed_from="a"))
    with pytest.raises(SchemaDefinitionError, match="both renamed from 'a'"):
        compare(Schema(a=StringField()), given)


@pytest.mark.parametrize("names", [1, ["a", 1], [""], ""])
def test_a_former_name_is_a_name(names: Any) -> None:
    with pytest.raises(SchemaDefinitionError, match="renamed_from"):
        StringField(renamed_from=names)


def test_the_primary_key_stays() -> None:
    stored = Schema(a=IntegerField(primary_key=True), b=StringField(required=True))
    for given in (
        Schema(a=IntegerField(required=True), b=StringField(required=True)),
        Schema(a=IntegerField(primary_key=True), b=StringField(primary_key=True)),
        Schema(a=FloatField(primary_key=True), b=StringField(required=True)),
    ):
        assert codes(stored, given)
    renamed = Schema(b=StringField(required=True), key=IntegerField(primary_key=True, renamed_from="a"))
    assert codes(stored, renamed) == set()
    two = Schema(a=IntegerField(primary_key=True), b=IntegerField(primary_key=True))
    assert codes(two, Schema(b=IntegerField(primary_key=True), a=IntegerField(primary_key=True))) == {
        (None, "primary_key")
    }


def test_a_table_with_a_schema_and_one_without_are_not_the_same() -> None:
    schema = Schema(a=StringField())
    assert codes(None, None) == set()
    assert codes(None, schema) == codes(schema, None) == {(None, "schema")}


def test_an_id_is_never_used_again() -> None:
    first = Schema(a=StringField(), b=IntegerField())
    document: dict[str, Any] = first.to_document()
    second = Schema(a=StringField())
    document = next_document(document, second, compare(first, second, ["b"]))
    assert [(one["name"], one["id"]) for one in document["fields"]] == [("a", 1)]
    third = Schema(b=IntegerField(default=7), a=StringField())
    document = next_document(document, third, compare(second, third))
    assert [(one["name"], one["id"], one.get("fill")) for one in document["fields"]] == [("b", 3, 7), ("a", 1, None)]
    fourth = Schema(c=FloatField(default=1.5, renamed_from="b"), a=StringField())
    document = next_document(document, fourth, compare(third, fourth))
    assert [(one["name"], one["id"], one.get("fill")) for one in document["fields"]] == [("c", 3, 7.0), ("a", 1, None)]
    assert type(document["fields"][0]["fill"]) is float
    assert Schema.from_document(document) == fourth


def test_a_program_keeps_its_code_for_the_fields_that_are_as_it_knows_them() -> None:
    live = Schema(colour=EnumField(Colour), age=IntegerField(min_value=1))
    stored = Schema(colour=EnumField(["red", "blue"]), age=IntegerField(), city=StringField())
    merged = with_code_of(stored, live)
    assert merged.row_identity == stored.row_identity
    assert merged.fields["colour"] is live.fields["colour"]
    assert merged.fields["age"] is stored.fields["age"]


def test_a_mismatch_crosses_processes() -> None:
    found = compare(Schema(a=StringField()), Schema(a=IntegerField())).differences
    error = pickle.loads(pickle.dumps(SchemaMismatchError("no", hint="h", table="t", differences=found)))  # noqa: S301  # our own bytes
    assert error.differences == found
    assert (error.table, str(error)) == ("t", "no (h)")
