"""What a row is stored under: automatic ids, which are never given out twice, and primary keys of every type."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any

import pytest
from tests.api.conftest import ONE_WRITER, Reopen

from minidb import MiniDB, Row, Table
from minidb.exceptions import (
    KeyTooLargeError,
    RowExistsError,
    SchemaDefinitionError,
    SchemaValidationError,
    UniqueViolationError,
)
from minidb.schema import (
    BooleanField,
    BytesField,
    DateField,
    DateTimeField,
    DecimalField,
    EnumField,
    Field,
    FloatField,
    IntegerField,
    Schema,
    StringField,
    TimeField,
    UUIDField,
)
from minidb.tables.index_entries import LARGEST_ROW_KEY_BYTES

Id = Any  # an int or the value of a primary key


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Level(IntEnum):
    LOW = 1
    HIGH = 300


# --- automatic ids ----------------------------------------------------------------------------------------------------


@pytest.fixture
def notes(database: MiniDB) -> Table[Row]:
    """A table with automatic ids and something unique."""
    return database.create_table("notes", Schema(text=StringField(unique=True)))


def test_automatic_ids_count_from_1(notes: Table[Row]) -> None:
    assert [notes.insert({}) for _ in range(3)] == [1, 2, 3]


def test_automatic_ids_are_those_of_one_table(notes: Table[Row], database: MiniDB) -> None:
    notes.insert_many([{}, {}])
    assert database.create_table("other").insert({}) == 1


Empty = Callable[[Table[Row]], object]


def delete_the_last(table: Table[Row]) -> None:
    table.delete(3)


def delete_the_last_twice(table: Table[Row]) -> None:
    table.delete(3)
    table.delete(2)


def delete_all_forwards(table: Table[Row]) -> None:
    table.delete_many([1, 2, 3])


def delete_all_backwards(table: Table[Row]) -> None:
    table.delete_many([3, 2, 1])


def clear(table: Table[Row]) -> None:
    table.clear()


def clear_twice(table: Table[Row]) -> None:
    table.clear()
    table.clear()


def delete_and_clear(table: Table[Row]) -> None:
    table.delete(3)
    table.clear()


EMPTYINGS: list[Empty] = [
    delete_the_last,
    delete_the_last_twice,
    delete_all_forwards,
    delete_all_backwards,
    clear,
    clear_twice,
    delete_and_clear,
]


@pytest.mark.parametrize("empty", EMPTYINGS)
def test_the_id_of_a_deleted_row_is_not_given_out_again(notes: Table[Row], empty: Empty) -> None:
    notes.insert_many([{}] * 3)
    empty(notes)
    assert [notes.insert({}), *notes.insert_many([{}, {}])] == [4, 5, 6]


@pytest.mark.parametrize("empty", EMPTYINGS)
def test_the_id_of_a_deleted_row_is_not_given_out_again_in_the_transaction(
    notes: Table[Row], database: MiniDB, empty: Empty
) -> None:
    with database.begin_transaction():
        notes.insert_many([{}] * 3)
        empty(notes)
        assert notes.insert({}) == 4
        notes.delete(4)
    assert notes.insert({}) == 5


@ONE_WRITER
@pytest.mark.parametrize("empty", EMPTYINGS)
def test_the_id_of_a_deleted_row_is_not_given_out_again_after_a_savepoint_was_rolled_back(
    notes: Table[Row], database: MiniDB, empty: Empty
) -> None:
    notes.insert_many([{}] * 3)
    with database.begin_transaction():
        with database.begin_transaction() as savepoint:
            notes.insert_many([{}] * 5)
            notes.clear()
            savepoint.rollback()
        empty(notes)
        with database.begin_transaction() as savepoint:
            notes.insert({})
            savepoint.rollback()
        assert notes.insert({}) == 4
        notes.delete(4)
    assert notes.insert({}) == 5


@pytest.mark.parametrize("empty", EMPTYINGS)
def test_the_id_of_a_deleted_row_is_not_given_out_again_by_another_program(reopen: Reopen, empty: Empty) -> None:
    notes = reopen().create_table("notes")
    notes.insert_many([{}] * 3)
    empty(notes)
    assert reopen().get_table("notes").insert({}) == 4
    reopen().get_table("notes").delete(4)
    assert reopen().get_table("notes").insert({}) == 5


@ONE_WRITER
def test_the_id_of_a_deleted_row_is_not_given_out_again_after_many_many_were_refused(notes: Table[Row]) -> None:
    notes.insert_many([{"text": "taken"}, {}, {}])
    notes.delete(3)
    with pytest.raises(UniqueViolationError):
        notes.insert_many([*[{}] * 2500, {"text": "taken"}])
    assert notes.insert({}) == 4


@ONE_WRITER
def test_a_deletion_that_is_rolled_back_keeps_the_row_and_the_next_id(notes: Table[Row], database: MiniDB) -> None:
    notes.insert_many([{}] * 3)
    with database.begin_transaction() as transaction:
        notes.clear()
        assert notes.insert({}) == 4
        transaction.rollback()
    assert notes.count() == 3
    assert notes.insert({}) == 4


def test_ids_go_on_after_a_new_name(notes: Table[Row], database: MiniDB) -> None:
    notes.insert_many([{}] * 3)
    notes.delete(3)
    database.rename_table("notes", "remarks")
    assert database.get_table("remarks").insert({}) == 4


# --- keys of every type -----------------------------------------------------------------------------------------------

BERLIN = dt.timezone(dt.timedelta(hours=1))
ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")

KEYS: dict[str, tuple[Field[Any], list[Any]]] = {  # Any: values of each field's own type
    "string": (StringField(primary_key=True), ["", "\0", "a", "a\0", "a\0b", "ab", "b", "é", "\U0001f600"]),
    "integer": (
        IntegerField(primary_key=True),
        [-(2**70), -(2**64), -(2**63), -256, -255, -1, 0, 1, 255, 256, 2**63, 2**64 - 1, 2**64, 2**70],
    ),
    "float": (FloatField(primary_key=True), [-1.7e308, -1.5, -5e-324, 0.0, 5e-324, 1.0, 1.5, 1.7e308]),
    "boolean": (BooleanField(primary_key=True), [False, True]),
    "bytes": (BytesField(primary_key=True), [b"", b"\0", b"\0\xff", b"\x01", b"a", b"\xff", b"\xff\xff"]),
    "date": (DateField(primary_key=True), [dt.date.min, dt.date(2024, 2, 29), dt.date.max]),
    "naive datetime": (
        DateTimeField(primary_key=True),
        [dt.datetime.min, dt.datetime(2024, 2, 29, 12), dt.datetime(2024, 2, 29, 12, 0, 0, 1), dt.datetime.max],
    ),
    "aware datetime": (
        DateTimeField(primary_key=True, timezone=True),
        [
            dt.datetime(1, 1, 1, tzinfo=dt.UTC),
            dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
            dt.datetime(2024, 2, 29, 12, tzinfo=BERLIN),
            dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC),
            dt.datetime.max.replace(tzinfo=dt.UTC),
        ],
    ),
    "time": (TimeField(primary_key=True), [dt.time.min, dt.time(12, 30), dt.time.max]),
    "decimal": (
        DecimalField(primary_key=True),
        [Decimal(text) for text in ("-1E+400", "-10", "-9.99", "-0.001", "0", "1E-400", "0.5", "1.50", "10", "1E+400")],
    ),
    "uuid": (UUIDField(primary_key=True), [uuid.UUID(int=0), ID, uuid.UUID(int=2**128 - 1)]),
    "values": (EnumField(["a", "b"], primary_key=True), ["a", "b"]),
    "members": (EnumField(Colour, primary_key=True), [Colour.GREEN, Colour.RED]),
    "integer members": (EnumField(Level, primary_key=True), [Level.LOW, Level.HIGH]),
}
"""A field of each type that a key may have, and values in their order."""


@pytest.fixture(params=KEYS)
def keyed(request: pytest.FixtureRequest, database: MiniDB) -> tuple[Table[Row], list[Any]]:
    """A table with a primary key of each type, and keys in their order."""
    field, keys = KEYS[request.param]
    return database.create_table("rows", Schema(key=field, place=IntegerField(index=True))), keys


def test_a_key_of_any_type_is_found_and_comes_back(keyed: tuple[Table[Row], list[Id]]) -> None:
    table, keys = keyed
    for place, key in enumerate(keys):
        returned = table.insert({"key": key, "place": place})
        assert (returned, type(returned)) == (key, type(key))
    for place, key in enumerate(keys):
        row = table[key]
        assert (row.place, row.id, type(row.id), row["key"]) == (place, key, type(key), key)
        assert key in table


def test_keys_of_any_type_stand_in_the_order_of_their_values(keyed: tuple[Table[Row], list[Id]]) -> None:
    table, keys = keyed
    assert table.insert_many({"key": key, "place": 0} for key in keys[::-1]) == keys[::-1]
    assert [row.id for row in table] == keys
    assert [row.id for row in table.scan(reverse=True)] == keys[::-1]
    for place, key in enumerate(keys):
        assert [row.id for row in table.scan(start=key)] == keys[place:]
        assert [row.id for row in table.scan(stop=key)] == keys[:place]


def test_a_row_with_a_key_of_any_type_is_changed_and_deleted(keyed: tuple[Table[Row], list[Id]]) -> None:
    table, keys = keyed
    table.insert_many({"key": key, "place": 0} for key in keys)
    for place, key in enumerate(keys):
        assert table.update(key, place=place).id == key
        assert table.replace(key, {"key": key, "place": place}).id == key
        assert table.upsert({"key": key, "place": place}) == key
        with pytest.raises(RowExistsError):
            table.insert({"key": key})
    assert [row.place for row in table] == list(range(len(keys)))
    assert table.delete_many(keys) == len(keys)


EQUAL_KEYS: list[tuple[Field[Any], Id, Id]] = [
    (FloatField(primary_key=True), 1.0, 1),
    (FloatField(primary_key=True), 0.0, -0.0),
    (DecimalField(primary_key=True), Decimal("1.5"), Decimal("1.500")),
    (DecimalField(primary_key=True), Decimal(10), 10),
    (DecimalField(primary_key=True), Decimal(0), Decimal("-0.00")),
    (EnumField(Colour, primary_key=True), Colour.RED, "red"),
    (EnumField(Level, primary_key=True), Level.LOW, 1),
    (BytesField(primary_key=True), b"a", bytearray(b"a")),
    (
        DateTimeField(primary_key=True),
        dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC),
        dt.datetime(2024, 2, 29, 13, tzinfo=BERLIN),
    ),
]


@pytest.mark.parametrize(("field", "key", "equal"), EQUAL_KEYS)
def test_equal_keys_are_one_key(database: MiniDB, field: Field[Any], key: Id, equal: Id) -> None:
    table = database.create_table("rows", Schema(key=field))
    table.insert({"key": key})
    assert table[equal].id == key
    assert equal in table
    with pytest.raises(RowExistsError):
        table.insert({"key": equal})
    with pytest.raises(RowExistsError):
        table.insert_many([{"key": equal}])
    assert table.upsert({"key": equal}) == key
    assert table.count() == 1


DIFFERENT_KEYS: list[tuple[Field[Any], Id, Id]] = [
    (StringField(primary_key=True), "é", "e\u0301"),
    (StringField(primary_key=True), "a", "a\0"),
    (
        DateTimeField(primary_key=True),
        dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC),
        dt.datetime(2024, 2, 29, 12),
    ),
    (IntegerField(primary_key=True), 2**53, 2**53 + 1),
    (DecimalField(primary_key=True), Decimal(1), Decimal("1.0000000000000000000000000000000000000001")),
]


@pytest.mark.parametrize(("field", "key", "other"), DIFFERENT_KEYS)
def test_different_keys_are_two_rows(database: MiniDB, field: Field[Any], key: Id, other: Id) -> None:
    table = database.create_table("rows", Schema(key=field))
    table.insert_many([{"key": key}, {"key": other}])
    assert (table[key].id, table[other].id) == (key, other)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 10**400])
def test_a_float_that_has_no_place_among_keys_is_refused(database: MiniDB, value: float) -> None:
    table = database.create_table("rows", Schema(key=FloatField(primary_key=True)))
    with pytest.raises(SchemaValidationError):
        table.insert({"key": value})
    assert value not in table


# --- several fields ---------------------------------------------------------------------------------------------------

VISITS = Schema(
    note=StringField(),
    colour=EnumField(Colour, primary_key=True),
    amount=DecimalField(primary_key=True),
    day=DateField(primary_key=True),
)


def test_a_key_of_several_fields_is_a_tuple_in_the_order_of_the_schema(database: MiniDB) -> None:
    table = database.create_table("visits", VISITS)
    key = (Colour.RED, Decimal("1.5"), dt.date(2024, 2, 29))
    columns = {"day": key[2], "note": "a", "colour": "red", "amount": Decimal("1.50")}
    assert table.insert(columns) == key
    assert table.insert_many([{**columns, "note": "b", "day": dt.date.min}]) == [
        (Colour.RED, Decimal("1.5"), dt.date.min)
    ]
    assert table[key].note == "a"
    assert table[("red", Decimal("1.500"), dt.date(2024, 2, 29))].id == key
    assert table.update(key, note="c").id == key
    table.delete(key)
    assert [row.id for row in table] == [(Colour.RED, Decimal("1.5"), dt.date.min)]


def test_fields_of_a_key_do_not_run_into_one_another(database: MiniDB) -> None:
    table = database.create_table("rows", Schema(a=StringField(primary_key=True), b=StringField(primary_key=True)))
    keys = [("", "ab"), ("a", "b"), ("ab", ""), ("a\0", "b"), ("a", "\0b")]
    table.insert_many({"a": a, "b": b} for a, b in keys)
    assert [row.id for row in table] == sorted(keys)


def test_a_key_field_is_required_and_never_null(database: MiniDB) -> None:
    table = database.create_table("visits", VISITS)
    with pytest.raises(SchemaValidationError) as caught:
        table.insert({"colour": None, "amount": 1})
    assert [(error.field, error.code) for error in caught.value.errors] == [("colour", "null"), ("day", "required")]


# --- long keys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [253, 254, 255, 256, LARGEST_ROW_KEY_BYTES - 2])
def test_a_key_up_to_the_limit_is_stored_found_and_indexed(database: MiniDB, size: int) -> None:
    table = database.create_table("rows", Schema(key=StringField(primary_key=True), city=StringField(index=True)))
    key = "k" * size
    table.insert({"key": key, "city": "c" * 1000})
    table.insert_many([{"key": key[:-1], "city": "c" * 1000}, {"key": "l" * size}])
    assert table[key].id == key
    assert [row.id for row in database.query_by_index("rows", "city", "c" * 1000)] == [key[:-1], key]
    assert [row.id for row in database.query_by_index("rows", "city", None)] == ["l" * size]


@pytest.mark.parametrize("key", ["k" * (LARGEST_ROW_KEY_BYTES - 1), "k" * 5000, "\0" * 200, "é" * 200], ids=len)
def test_a_key_beyond_the_limit_is_refused_and_named(database: MiniDB, key: str) -> None:
    table = database.create_table("rows", Schema(code=StringField(primary_key=True), n=IntegerField()))
    table.insert({"code": "a"})
    size = len(key.encode()) + key.count("\0") + 2
    for call in (
        lambda: table.insert({"code": key}),
        lambda: table.insert_many([{"code": "b"}, {"code": key}]),
        lambda: table.upsert({"code": key}),
        lambda: table.upsert_many([{"code": "b"}, {"code": key}]),
    ):
        with pytest.raises(KeyTooLargeError) as caught:
            call()
        facts = caught.value.facts
        assert facts == {"table": "rows", "field": "code", "size_bytes": size, "limit_bytes": LARGEST_ROW_KEY_BYTES}
    assert [row.id for row in table] == ["a"]
    assert table.get(key) is None


def test_the_limit_is_that_of_all_key_fields_together(database: MiniDB) -> None:
    table = database.create_table("rows", Schema(a=StringField(primary_key=True), b=StringField(primary_key=True)))
    table.insert({"a": "a" * 180, "b": "b" * 180})
    with pytest.raises(KeyTooLargeError) as caught:
        table.insert({"a": "a" * 200, "b": "b" * 200})
    assert caught.value.field == "a, b"


@pytest.mark.parametrize("make", [lambda: FloatField(primary_key=True, allow_nan=True)])
def test_a_key_that_could_not_be_found_again_cannot_be_declared(make: Callable[[], Field[Any]]) -> None:
    with pytest.raises(SchemaDefinitionError):
        make()
