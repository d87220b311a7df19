"""The catalog: what a database knows of its tables when it is opened again, and what it refuses to open."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from tests.api.conftest import Reopen

from minidb import MiniDB, Row
from minidb.encoding.keys import encode_values
from minidb.encoding.rows import encode_document
from minidb.engines.port import CATALOG
from minidb.exceptions import (
    CorruptionError,
    IndexNotFoundError,
    SchemaDefinitionError,
    SchemaMismatchError,
    SchemaValidationError,
    TableExistsError,
    TableNotFoundError,
    UnsupportedFormatError,
)
from minidb.schema import EnumField, IntegerField, Schema, StringField
from minidb.tables import catalog as catalogs
from minidb.tables.catalog import FORMAT, SEQUENCES, Catalog
from minidb.tables.definitions import TableDefinition

PEOPLE = Schema(name=StringField(required=True, index=True), email=StringField(unique=True), age=IntegerField())


class Colour(Enum):
    RED = "red"
    GREEN = "green"


def is_even(value: int) -> bool:
    return value % 2 == 0


def overwrite(database: MiniDB, key: tuple[str | int, ...], document: Mapping[str, object]) -> None:
    """Store something else in the catalog, as another version of MiniDB would."""
    transaction = database.engine.begin_write(1.0)
    transaction.put_many(CATALOG, {encode_values(key): encode_document(document)})
    transaction.commit()


# --- opened again -----------------------------------------------------------------------------------------------------


def test_a_database_that_is_opened_again_knows_its_schemas(reopen: Reopen) -> None:
    reopen().create_table("people", PEOPLE)
    reopen().create_table("notes")
    database = reopen()
    assert database.table_names() == ["notes", "people"]
    assert database.get_table("people").schema == PEOPLE
    assert database.get_table("notes").schema is None


def test_a_database_that_is_opened_again_checks_rows_by_its_schemas(reopen: Reopen) -> None:
    reopen().create_table("people", PEOPLE)
    people = reopen().get_table("people")
    with pytest.raises(SchemaValidationError):
        people.insert({"name": "Ada", "age": "36"})


def test_a_database_that_is_opened_again_knows_its_indexes(reopen: Reopen) -> None:
    database = reopen()
    people = database.create_table("people", PEOPLE)
    made = [database.create_index("people", "age", "name"), database.create_index("people", "age", name="by age")]
    ada = people.insert({"name": "Ada", "email": "ada@example.com", "age": 36})
    database = reopen()
    assert [index.name for index in database.indexes("people")] == ["name", "email", "age_name", "by age"]
    assert database.indexes("people")[2:] == made
    assert [row.id for row in database.query_by_index("people", "age_name", (36, "Ada"))] == [ada]
    assert [row.id for row in database.query_by_index("people", "age", 36)] == [ada]


def test_rows_that_were_written_before_are_there_when_it_is_opened_again(reopen: Reopen) -> None:
    row_id = reopen().create_table("notes").insert({"text": "remember"})
    assert reopen().get_table("notes")[row_id].columns == {"text": "remember"}


def test_a_renamed_table_keeps_rows_and_indexes_when_it_is_opened_again(reopen: Reopen) -> None:
    database = reopen()
    database.create_table("people", PEOPLE).insert({"name": "Ada"})
    database.rename_table("people", "persons")
    database = reopen()
    assert database.table_names() == ["persons"]
    assert [row.name for row in database.query_by_index("persons", "name", "Ada")] == ["Ada"]


def test_a_dropped_table_is_gone_when_it_is_opened_again(reopen: Reopen) -> None:
    database = reopen()
    database.create_table("people", PEOPLE).insert({"name": "Ada"})
    database.drop_table("people")
    database = reopen()
    with pytest.raises(TableNotFoundError):
        database.get_table("people")


def test_a_dropped_index_is_gone_when_it_is_opened_again(reopen: Reopen) -> None:
    database = reopen()
    database.create_table("people", PEOPLE)
    database.drop_index("people", "name")
    with pytest.raises(IndexNotFoundError):
        reopen().query_by_index("people", "name", "Ada")


def test_a_table_that_takes_the_place_of_a_dropped_one_has_none_of_its_rows(database: MiniDB) -> None:
    database.create_table("people", PEOPLE).insert({"name": "Ada", "email": "ada@example.com"})
    database.drop_table("people")
    people = database.create_table("people", PEOPLE)
    assert people.count() == 0
    assert people.insert({"name": "Another", "email": "ada@example.com"}) == 1


def test_a_dropped_table_leaves_nothing_behind(database: MiniDB) -> None:
    notes = database.create_table("notes")
    notes.delete(notes.insert({}))
    database.drop_table("notes")
    snapshot = database.engine.begin_read()
    try:
        assert snapshot.count(SEQUENCES) == 0
    finally:
        snapshot.close()


# --- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [FORMAT + 1, 0, "1", None])
def test_a_database_of_another_format_is_refused(database_path: Path, number: object) -> None:
    with MiniDB(database_path, durability="none") as database:
        overwrite(database, ("format",), {"format": number, "created_by": "9.9.9"})
    with pytest.raises(UnsupportedFormatError, match=f"format {number}"):
        MiniDB(database_path)


def test_a_database_whose_format_became_newer_while_it_was_open_is_refused(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        notes = database.create_table("notes")
        overwrite(database, ("format",), {"format": FORMAT + 1})
        with pytest.raises(UnsupportedFormatError):
            notes.insert({"text": "old"})
        with pytest.raises(UnsupportedFormatError):
            notes.count()


def test_a_database_of_another_format_is_let_go_of(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        overwrite(database, ("format",), {"format": FORMAT + 1})
    with pytest.raises(UnsupportedFormatError):
        MiniDB(database_path)
    with pytest.raises(UnsupportedFormatError):  # and not that the file is open
        MiniDB(database_path)


@pytest.mark.parametrize("document", [{}, {"id": 1, "name": "people"}, {"id": 1, "schema": 1, "name": "people"}])
def test_a_definition_that_cannot_be_read_is_corruption(database_path: Path, document: dict[str, object]) -> None:
    with MiniDB(database_path, durability="none") as database:
        overwrite(database, ("table", 1), document)
    with pytest.raises(CorruptionError):
        MiniDB(database_path)


# --- live schemas -----------------------------------------------------------------------------------------------------


def test_validators_run_again_once_the_schema_is_given_again(reopen: Reopen) -> None:
    schema = Schema(number=IntegerField(validators=[is_even]))
    reopen().create_table("numbers", schema)
    database = reopen()
    numbers = database.get_table("numbers")
    numbers.insert({"number": 1})
    database.table("numbers", schema)
    with pytest.raises(SchemaValidationError):
        numbers.insert({"number": 1})
    numbers.clear()


def test_default_factories_run_again_once_the_schema_is_given_again(reopen: Reopen) -> None:
    schema = Schema(number=IntegerField(default_factory=lambda: 7))
    reopen().create_table("numbers", schema)
    database = reopen()
    numbers = database.get_table("numbers")
    assert numbers[numbers.insert({})].number is None
    database.create_table("numbers", schema)
    assert numbers[numbers.insert({})].number == 7


def test_enum_members_come_back_once_the_schema_is_given_again(reopen: Reopen) -> None:
    schema = Schema(colour=EnumField(Colour, primary_key=True), other=EnumField(Colour, index=True))
    database = reopen()
    paints = database.create_table("paints", schema)
    assert paints.insert({"colour": Colour.RED, "other": "green"}) is Colour.RED
    database = reopen()
    paints = database.get_table("paints")
    assert (paints["red"].columns, paints["red"].id) == ({"colour": "red", "other": "green"}, "red")
    paints = database.table("paints", schema)
    row = paints[Colour.RED]
    assert (row.columns, row.id) == ({"colour": Colour.RED, "other": Colour.GREEN}, Colour.RED)
    assert database.query_by_index("paints", "other", Colour.GREEN) == [row]


def test_a_live_schema_outlives_other_changes_of_the_catalog(database: MiniDB) -> None:
    numbers = database.create_table("numbers", Schema(number=IntegerField(validators=[is_even])))
    database.create_table("other")
    database.create_index("numbers", "number")
    database.rename_table("other", "another")
    database.drop_table("another")
    with pytest.raises(SchemaValidationError):
        numbers.insert({"number": 1})


def test_a_live_schema_outlives_a_new_name(database: MiniDB) -> None:
    database.create_table("numbers", Schema(number=IntegerField(validators=[is_even])))
    database.rename_table("numbers", "evens")
    with pytest.raises(SchemaValidationError):
        database.get_table("evens").insert({"number": 1})


def test_a_live_schema_outlives_what_another_program_changes(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as mine, MiniDB(database_path, durability="none") as other:
        numbers = mine.create_table("numbers", Schema(number=IntegerField(validators=[is_even])))
        other.create_index("numbers", "number")
        with pytest.raises(SchemaValidationError):
            numbers.insert({"number": 1})
        numbers.insert({"number": 2})
        assert len(other.query_by_index("numbers", "number", 2)) == 1


def test_a_live_schema_of_a_transaction_that_is_rolled_back_is_forgotten(reopen: Reopen) -> None:
    schema = Schema(number=IntegerField(validators=[is_even]))
    reopen().create_table("numbers", schema)
    database = reopen()
    with database.begin_transaction() as transaction:
        numbers = database.table("numbers", schema)
        with pytest.raises(SchemaValidationError):
            numbers.insert({"number": 1})
        transaction.rollback()
    numbers.insert({"number": 1})
    numbers.clear()


def test_a_live_schema_is_kept_apart_from_another_opening(database_path: Path) -> None:
    schema = Schema(number=IntegerField(validators=[is_even]))
    with MiniDB(database_path, durability="none") as mine, MiniDB(database_path, durability="none") as other:
        mine.create_table("numbers", schema)
        assert other.get_table("numbers").insert({"number": 1}) == 1


def test_another_schema_for_a_table_that_is_there_is_refused(reopen: Reopen) -> None:
    reopen().create_table("people", PEOPLE)
    other = Schema(name=StringField(required=True, index=True), age=IntegerField())
    with pytest.raises(TableExistsError):
        reopen().create_table("people", other)
    with pytest.raises(SchemaMismatchError) as caught:
        reopen().table("people", other)
    assert [(one.field, one.code) for one in caught.value.differences] == [("email", "missing")]


# --- the warning ------------------------------------------------------------------------------------------------------


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[tuple[str, object]]:
    return [(record.getMessage(), vars(record)["fields"]) for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize(
    "schema",
    [
        Schema(name=StringField(), number=IntegerField(validators=[is_even])),
        Schema(name=StringField(), number=IntegerField(default_factory=lambda: 7)),
    ],
)
def test_a_table_that_is_used_without_its_code_is_warned_of(
    reopen: Reopen, caplog: pytest.LogCaptureFixture, schema: Schema
) -> None:
    reopen().create_table("numbers", schema)
    database = reopen()
    with caplog.at_level(logging.WARNING, logger="minidb"):
        database.get_table("numbers")
    message = (
        "table 'numbers' is used without its validators, default factories and other code: pass its schema to db.table",
        ("number",),
    )
    assert warnings_of(caplog) == [message]


def test_a_table_whose_schema_was_given_is_not_warned_of(reopen: Reopen, caplog: pytest.LogCaptureFixture) -> None:
    schema = Schema(number=IntegerField(validators=[is_even]))
    with caplog.at_level(logging.WARNING, logger="minidb"):
        reopen().create_table("numbers", schema)
        database = reopen()
        database.table("numbers", schema)
        database.get_table("numbers")
    assert warnings_of(caplog) == []


def test_a_table_without_any_code_is_not_warned_of(reopen: Reopen, caplog: pytest.LogCaptureFixture) -> None:
    reopen().create_table("people", PEOPLE)
    with caplog.at_level(logging.WARNING, logger="minidb"):
        reopen().get_table("people")
    assert warnings_of(caplog) == []


def test_a_renamed_table_is_still_warned_of(reopen: Reopen, caplog: pytest.LogCaptureFixture) -> None:
    reopen().create_table("numbers", Schema(number=IntegerField(validators=[is_even])))
    reopen().rename_table("numbers", "evens")
    database = reopen()
    with caplog.at_level(logging.WARNING, logger="minidb"):
        database.get_table("evens")
    assert len(warnings_of(caplog)) == 1


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "ä", "users-2024", "a/b", "x" * 255, "SELECT", ".", "\U0001f600"])
def test_a_table_may_have_any_printable_name(database: MiniDB, name: str) -> None:
    database.create_table(name)
    assert database.table_names() == [name]
    assert name in database


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", "\0", "\ud800", None, 1, b"bytes", ["list"]])
def test_a_name_that_cannot_be_is_refused(database: MiniDB, name: Any) -> None:  # Any: whatever a program gives
    with pytest.raises((SchemaDefinitionError, TableNotFoundError, TypeError)):
        database.create_table(name)
    assert database.table_names() == []


@pytest.mark.parametrize("fields", [(), ("",), ("age", "age"), ("nobody",), (1,), (["age"],), (None,)])
def test_an_index_on_no_fields_that_can_be_is_refused(
    database: MiniDB, fields: tuple[Any, ...]
) -> None:  # Any: as above
    database.create_table("people", PEOPLE)
    with pytest.raises(SchemaDefinitionError):
        database.create_index("people", *fields)
    assert len(database.indexes("people")) == 2


def test_a_table_that_is_not_there_is_told_with_those_that_are(database: MiniDB) -> None:
    for number in range(12):
        database.create_table(f"table {number:02}")
    with pytest.raises(TableNotFoundError, match=r"there are 12: 'table 00', .*'table 09', …") as caught:
        database.get_table("people")
    assert caught.value.table == "people"


# --- compiled tables --------------------------------------------------------------------------------------------------


def definition(number: int) -> TableDefinition:
    return TableDefinition(id=number, name=f"table {number}", schema=None, schema_version=0)


def catalog_of(*definitions: TableDefinition, live: Mapping[int, Schema] | None = None) -> Catalog:
    return Catalog(1, {one.name: one for one in definitions}, live or {})


def test_what_was_compiled_is_kept_for_tables_that_did_not_change() -> None:
    before = catalog_of(definition(1))
    compiled = before.table("table 1")
    assert before.with_table(definition(2)).table("table 1") is compiled


def test_what_was_compiled_is_not_kept_for_a_table_with_another_live_schema() -> None:
    before = catalog_of(definition(1))
    compiled = before.table("table 1")
    assert before.with_table(definition(1), live_schema=Schema(a=StringField())).table("table 1") is not compiled


def test_live_schemas_of_two_catalogs_are_joined() -> None:
    """Of two threads that each gave a schema, the second to be remembered must not undo the first."""
    first, second = Schema(a=StringField()), Schema(b=StringField())
    mine, other = catalog_of(definition(1), live={1: first}), catalog_of(definition(2), live={2: second})
    joined = mine.with_live_schemas_of(other)
    assert joined.has_live_schema(definition(1))
    assert joined.has_live_schema(definition(2))


class MappingThatIsSlow(dict[str, TableDefinition]):
    """Definitions whose look-up takes long enough for another thread to compile a table."""

    def __init__(self, catalog: Catalog, definitions: Mapping[str, TableDefinition]) -> None:
        super().__init__(definitions)
        self._uncompiled: Iterator[str] = iter(catalog.definitions)
        self._catalog = catalog

    def get(self, name: str, default: Any = None, /) -> Any:  # Any: the type of dict.get, which is overloaded
        if other := next(self._uncompiled, None):
            self._catalog.table(other)
        return super().get(name, default)


def test_a_catalog_may_be_compiled_while_the_next_one_is_made_of_it() -> None:
    before = catalog_of(*map(definition, range(5)))
    before.table("table 4")
    after = Catalog(2, MappingThatIsSlow(before, before.definitions), {}, previous=before)
    assert after.table("table 4") is before.table("table 4")


def test_ids_are_never_used_again(database: MiniDB) -> None:
    def ids() -> set[int]:
        with database.begin_transaction() as transaction:
            one = transaction.catalog.definition("people")
            return {one.id, *(index.id for index in one.indexes)}

    database.create_table("people", PEOPLE)
    first = ids()
    database.drop_table("people")
    database.create_table("people", PEOPLE)
    assert first.isdisjoint(ids())


def test_initialising_is_seen_by_is_initialised(database: MiniDB) -> None:
    snapshot = database.engine.begin_read()
    try:
        assert catalogs.is_initialised(snapshot)
        assert catalogs.load(snapshot, None).definitions == {}
    finally:
        snapshot.close()


def test_a_row_that_was_read_outlives_its_table(database: MiniDB) -> None:
    notes = database.create_table("notes")
    notes.insert(Row(text="remember"))
    (row,) = notes
    database.drop_table("notes")
    assert (row.id, row.text) == (1, "remember")
