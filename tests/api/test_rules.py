"""What tables make and check of whole rows: stamps, versions, computed values, checks across fields."""

from __future__ import annotations

import datetime
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from tests.api.conftest import Reopen

from minidb import MiniDB, Row, Table
from minidb.exceptions import (
    ConflictError,
    FieldError,
    RowNotFoundError,
    SchemaDefinitionError,
    SchemaValidationError,
    UniqueViolationError,
    UsageError,
    VersionConflictError,
)
from minidb.schema import (
    Column,
    DateTimeField,
    EnumField,
    IntegerField,
    ListField,
    ObjectField,
    Schema,
    StringField,
    UUIDField,
    rules,
    schema_of,
)

MORNING = datetime.datetime(2030, 1, 1, 8, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> datetime.datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What stamps are taken from."""
    clock = Clock()
    monkeypatch.setattr(rules, "now", clock)
    return clock


STAMPED = Schema(
    text=StringField(required=True, unique=True),
    created=DateTimeField(stamp="created", index=True),
    updated=DateTimeField(stamp="updated"),
    version=IntegerField(version=True),
)


@pytest.fixture
def notes(database: MiniDB) -> Table[Row]:
    """A table whose rows have stamps and a version."""
    return database.create_table("notes", STAMPED)


def stamps(row: Row) -> tuple[datetime.datetime, datetime.datetime]:
    return row.created, row.updated


def errors_of(caught: pytest.ExceptionInfo[SchemaValidationError]) -> list[tuple[str, str]]:
    return [(error.field, error.code) for error in caught.value.errors]


# --- stamps -----------------------------------------------------------------------------------------------------------


def test_stamps_say_when_a_row_was_inserted_and_last_written(notes: Table[Row], clock: Clock) -> None:
    row_id = notes.insert(Row(text="a"))
    assert stamps(notes[row_id]) == (MORNING, MORNING)
    clock.now += HOUR
    assert stamps(notes.update(row_id, text="b")) == stamps(notes[row_id]) == (MORNING, MORNING + HOUR)
    clock.now += HOUR
    assert stamps(notes.replace(row_id, Row(text="c"))) == (MORNING, MORNING + 2 * HOUR)
    clock.now += HOUR
    assert notes.find(text="c").update(text="d") == 1
    assert notes.update_many({row_id: {"text": "e"}}) == 1
    assert notes.upsert(notes[row_id]) == row_id
    assert stamps(notes[row_id]) == (MORNING, MORNING + 3 * HOUR)
    (other,) = notes.insert_many([Row(text="f")])
    assert stamps(notes[other]) == (MORNING + 3 * HOUR, MORNING + 3 * HOUR)
    assert [row.text for row in notes.find(created=MORNING)] == ["e"]


def test_a_clock_that_is_set_back_makes_no_row_older_than_it_was(notes: Table[Row], clock: Clock) -> None:
    row_id = notes.insert(Row(text="a"))
    clock.now = MORNING - HOUR
    assert stamps(notes.update(row_id, text="b")) == (MORNING, MORNING)
    clock.now = MORNING + HOUR
    notes.update(row_id, text="c")
    clock.now = MORNING + HOUR / 2
    assert stamps(notes.replace(row_id, Row(text="d"))) == (MORNING, MORNING + HOUR)


def test_stamps_that_a_row_brings_count_for_nothing(notes: Table[Row], clock: Clock) -> None:
    forged = {"created": MORNING - HOUR, "updated": "never", "version": 99}
    row_id = notes.insert({"text": "a", **forged})
    assert notes[row_id].columns == {"text": "a", "created": MORNING, "updated": MORNING, "version": 1}
    clock.now += HOUR
    notes.replace(row_id, {"text": "b", **forged})
    assert notes[row_id].columns == {"text": "b", "created": MORNING, "updated": clock.now, "version": 2}
    assert [row.version for row in map(notes.query, notes.insert_many([{"text": "c", **forged}]))] == [1]


def test_changing_what_the_table_makes_is_refused(notes: Table[Row]) -> None:
    row_id = notes.insert(Row(text="a"))
    with pytest.raises(SchemaValidationError) as caught:
        notes.update(row_id, text="b", created=MORNING, version=7)
    assert errors_of(caught) == [("created", "made"), ("version", "made")]
    with pytest.raises(SchemaValidationError):
        notes.find().update(updated=MORNING)
    assert notes[row_id].text == "a"


def test_upsert_by_a_primary_key_keeps_when_the_row_was_made(database: MiniDB, clock: Clock) -> None:
    schema = Schema({"code": StringField(primary_key=True)}, **STAMPED.fields)
    table = database.create_table("notes", schema)
    table.upsert(Row(code="x", text="a"))
    clock.now += HOUR
    table.upsert(Row(code="x", text="b"))
    assert table["x"].columns == {"code": "x", "text": "b", "created": MORNING, "updated": clock.now, "version": 2}


def test_the_stored_schema_is_enough_for_stamps_and_versions(reopen: Reopen, clock: Clock) -> None:
    row_id = reopen().create_table("notes", STAMPED).insert(Row(text="a"))
    clock.now += HOUR
    notes = reopen().get_table("notes")
    notes.update(row_id, text="b", if_version=1)
    assert notes[row_id].columns == {"text": "b", "created": MORNING, "updated": clock.now, "version": 2}
    assert notes.schema == STAMPED


def test_a_dump_keeps_stamps_versions_and_what_was_computed(database: MiniDB, clock: Clock, tmp_path: Path) -> None:
    schema = Schema({**STAMPED.fields, "length": IntegerField(computed=lambda row: len(row["text"]))})
    notes = database.create_table("notes", schema)
    row_id = notes.insert(Row(text="abc"))
    notes.update(row_id, text="abcd")
    clock.now += HOUR
    target = BytesIO()
    database.dump(target)
    MiniDB.load(BytesIO(target.getvalue()), tmp_path / "loaded")
    with MiniDB(tmp_path / "loaded") as loaded:
        assert loaded.get_table("notes")[row_id].columns == notes[row_id].columns
        assert loaded.get_table("notes")[row_id].columns["length"] == 4
        assert loaded.verify().ok


# --- versions ---------------------------------------------------------------------------------------------------------


def test_a_version_counts_how_often_a_row_was_written(notes: Table[Row]) -> None:
    row_id = notes.insert(Row(text="a"))
    assert notes[row_id].version == 1
    assert notes.update(row_id, text="b").version == 2
    assert notes.replace(row_id, Row(text="c")).version == 3
    notes.upsert(notes[row_id])
    assert notes[row_id].version == 4


def test_writing_if_version_needs_that_version(notes: Table[Row]) -> None:
    row_id = notes.insert(Row(text="a"))
    read = notes[row_id]
    assert notes.update(row_id, if_version=read.version, text="b").version == 2
    ways: list[Any] = [
        lambda: notes.update(row_id, if_version=read.version, text="c"),
        lambda: notes.replace(row_id, Row(text="c"), if_version=read.version),
        lambda: notes.delete(row_id, if_version=read.version),
        lambda: notes.update(row_id, if_version=3, text="c"),
    ]
    for way in ways:
        with pytest.raises(VersionConflictError) as caught:
            way()
        assert isinstance(caught.value, ConflictError)
        assert (caught.value.table, caught.value.id, caught.value.version) == ("notes", row_id, 2)
    assert notes[row_id].text == "b"
    assert notes.replace(row_id, Row(text="c"), if_version=2).version == 3
    notes.delete(row_id, if_version=3)
    with pytest.raises(RowNotFoundError):
        notes.update(row_id, if_version=3, text="d")


def test_if_version_where_rows_have_none_is_a_mistake_of_the_program(database: MiniDB, notes: Table[Row]) -> None:
    row_id = notes.insert(Row(text="a"))
    wrong: Any = "1"
    with pytest.raises(UsageError, match="must be an integer"):
        notes.update(row_id, if_version=wrong, text="b")
    for name, schema in [("plain", None), ("typed", Schema(text=StringField()))]:
        table = database.create_table(name, schema)
        other = table.insert(Row(text="a"))
        with pytest.raises(UsageError, match="have no version to compare"):
            table.update(other, if_version=1, text="b")


def test_a_version_conflict_is_not_run_again(database: MiniDB, notes: Table[Row]) -> None:
    row_id = notes.insert(Row(text="a"))
    runs: list[int] = []

    def body() -> None:
        runs.append(len(runs))
        notes.insert(Row(text="b"))
        notes.update(row_id, if_version=7, text="c")

    with pytest.raises(VersionConflictError):
        database.run(body)
    assert runs == [0]
    assert [row.text for row in notes] == ["a"]


def test_threads_that_write_if_version_lose_no_update(database: MiniDB) -> None:
    counters = database.create_table("counters", Schema(number=IntegerField(), version=IntegerField(version=True)))
    row_id = counters.insert(Row(number=0))
    conflicts: list[VersionConflictError] = []

    def count() -> None:
        for _ in range(10):
            while True:
                row = counters[row_id]
                try:
                    counters.update(row_id, if_version=row.version, number=row.number + 1)
                except VersionConflictError as conflict:
                    conflicts.append(conflict)
                else:
                    break

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters[row_id].columns == {"number": 40, "version": 41}


# --- computed values --------------------------------------------------------------------------------------------------


def full_name(row: Mapping[str, Any]) -> str:
    return f"{row['first']} {row['last']}"


def initials(row: Mapping[str, Any]) -> str:
    if not row["first"].isalpha():
        raise ValueError("must be made of letters")
    return "".join(part[0] for part in row["full"].split())


NAMED = Schema(
    first=StringField(required=True, min_length=1),
    last=StringField(default="Smith"),
    full=StringField(required=True, computed=full_name, index=True, max_length=20),
    initials=StringField(computed=initials),
)


def test_a_computed_value_is_made_at_every_write_and_can_be_looked_for(database: MiniDB) -> None:
    people = database.create_table("people", NAMED)
    row_id = people.insert(Row(first="Ada", last="Lovelace"))
    assert people[row_id].columns == {"first": "Ada", "last": "Lovelace", "full": "Ada Lovelace", "initials": "AL"}
    assert people.update(row_id, last="Byron").full == "Ada Byron"
    assert database.query_by_index("people", "full", "Ada Byron") == [people[row_id]]
    assert people.query_by_index("full", "Ada Lovelace") == []
    assert people.replace(row_id, Row(first="Eve", full="whatever")).columns["full"] == "Eve Smith"
    assert [people[one].initials for one in people.insert_many([{"first": "Bob"}, {"first": "Carl"}])] == ["BS", "CS"]
    assert people.find(full="Bob Smith").update(last="Jones") == 1
    assert people.find(full="Bob Jones").count() == 1


def test_a_computed_value_is_checked_and_its_code_may_refuse_the_row(database: MiniDB) -> None:
    people = database.create_table("people", NAMED)
    row_id = people.insert(Row(first="Ada"))
    with pytest.raises(SchemaValidationError) as caught:
        people.insert(Row(first="A1", last="of a very long name"))
    assert errors_of(caught) == [("full", "max_length"), ("initials", "computed")]
    assert caught.value.errors[1].message == "must be made of letters"
    with pytest.raises(SchemaValidationError) as caught:
        people.update(row_id, full="Ada B")
    assert errors_of(caught) == [("full", "made")]
    with pytest.raises(SchemaValidationError) as caught:
        people.insert_many([{"first": "Bob"}, {"first": "4"}])
    assert caught.value.row_number == 1
    with pytest.raises(SchemaValidationError) as caught:
        people.insert({"first": ""})
    assert errors_of(caught) == [("first", "min_length")]
    assert len(people) == 1


def test_without_its_code_a_computed_column_is_one_like_any_other(
    reopen: Reopen, caplog: pytest.LogCaptureFixture
) -> None:
    row_id = reopen().create_table("people", NAMED).insert(Row(first="Ada"))
    people = reopen().get_table("people")
    assert "without its validators, default factories and other code" in caplog.text
    assert people.update(row_id, full="given").full == "given"
    assert reopen().table("people", NAMED).update(row_id, first="Eve").full == "Eve Smith"


# --- checks of whole rows ---------------------------------------------------------------------------------------------


def ends_later(row: Mapping[str, Any]) -> None:
    if row["stop"] < row["start"]:
        raise ValueError("must not stop before it starts")


def is_short(row: Mapping[str, Any]) -> bool:
    return bool(row["stop"] - row["start"] < 100)


SPAN = Schema(start=IntegerField(required=True, min_value=0), stop=IntegerField(default=50))


def test_a_row_that_a_check_refuses_is_not_written(database: MiniDB) -> None:
    spans = database.create_table("spans", SPAN.with_checks(ends_later, is_short))
    row_id = spans.insert(Row(start=1, stop=5))
    ways: list[Any] = [
        lambda: spans.insert(Row(start=9, stop=5)),
        lambda: spans.insert(Row(start=60)),
        lambda: spans.update(row_id, start=9),
        lambda: spans.replace(row_id, Row(start=9, stop=5)),
        lambda: spans.find().update(start=9),
        lambda: spans.insert_many([Row(start=1), Row(start=9, stop=5)]),
        lambda: spans.upsert(Row(start=9, stop=5)),
    ]
    for way in ways:
        with pytest.raises(SchemaValidationError) as caught:
            way()
        assert caught.value.errors == (FieldError("row", "check", "must not stop before it starts"),)
    with pytest.raises(SchemaValidationError, match=r"row: was refused by tests\.api\.test_rules\.is_short"):
        spans.insert(Row(start=0, stop=1000))
    assert [row.columns for row in spans] == [{"start": 1, "stop": 5}]


def test_checks_are_asked_of_rows_whose_fields_are_right(database: MiniDB) -> None:
    spans = database.create_table("spans", SPAN.with_checks(ends_later).with_checks(is_short))
    with pytest.raises(SchemaValidationError) as caught:
        spans.insert({"start": -1, "stop": -2})
    assert errors_of(caught) == [("start", "min_value")]
    with pytest.raises(SchemaValidationError) as caught:
        spans.insert({"start": "9", "stop": 3})
    assert errors_of(caught) == [("start", "type")]


def test_checks_are_given_what_a_user_sees_and_cannot_change_it(database: MiniDB) -> None:
    seen: list[Any] = []

    def look(row: Mapping[str, Any]) -> None:
        seen.append(dict(row))
        with pytest.raises(TypeError):
            row["level"] = "low"  # type: ignore[index]  # it must fail

    schema = Schema(level=EnumField(["low", "high"]), tags=ListField(StringField())).with_checks(look)
    database.create_table("rows", schema).insert(Row(level="high", tags=("a",)))
    assert seen == [{"level": "high", "tags": ["a"]}]


def test_checks_make_no_difference_between_schemas(reopen: Reopen, caplog: pytest.LogCaptureFixture) -> None:
    checked = SPAN.with_checks(ends_later)
    assert checked == SPAN
    assert (checked.checks, SPAN.checks) == ((ends_later,), ())
    assert Schema.from_document(checked.to_document()) == SPAN
    reopen().create_table("spans", checked)
    spans = reopen().get_table("spans")
    assert caplog.records[-1].__dict__["fields"] == ("row",)
    spans.insert(Row(start=9, stop=5))
    with pytest.raises(SchemaValidationError):
        reopen().table("spans", checked).insert(Row(start=9, stop=5))


# --- in models --------------------------------------------------------------------------------------------------------


@dataclass
class Note:
    text: Annotated[str, Column(max_length=10)]
    length: Annotated[int, Column(computed=lambda row: len(row["text"]))] = 0
    created: Annotated[datetime.datetime | None, Column(stamp="created")] = None
    updated: Annotated[datetime.datetime | None, Column(stamp="updated")] = None
    version: Annotated[int, Column(version=True)] = 0
    id: int | None = None


class StructNote(msgspec.Struct):
    text: Annotated[str, Column(max_length=10)]
    length: Annotated[int, Column(computed=lambda row: len(row["text"]))] = 0
    created: Annotated[datetime.datetime | None, Column(stamp="created")] = None
    updated: Annotated[datetime.datetime | None, Column(stamp="updated")] = None
    version: Annotated[int, Column(version=True)] = 0
    id: int | None = None


@pytest.mark.parametrize("model", [Note, StructNote])
def test_a_model_has_stamps_versions_and_computed_values(database: MiniDB, clock: Clock, model: Any) -> None:
    notes = database.table("notes", model)
    row_id = notes.insert(model("abc"))
    assert notes[row_id] == model("abc", 3, MORNING, MORNING, 1, row_id)
    clock.now += HOUR
    found = notes[row_id]
    found.text = "abcd"
    notes.upsert(found)
    assert notes[row_id] == model("abcd", 4, MORNING, MORNING + HOUR, 2, row_id)
    with pytest.raises(VersionConflictError):
        notes.replace(row_id, found, if_version=found.version)
    assert notes.update(row_id, if_version=2, text="x") == model("x", 1, MORNING, MORNING + HOUR, 3, row_id)
    (other,) = notes.insert_many([model("yy")])
    assert notes[other].length == 2


def test_the_checks_of_a_model_are_given_objects(database: MiniDB) -> None:
    seen: list[object] = []

    def look(note: Note) -> bool:
        seen.append(type(note))
        return note.text != "bad"

    notes = database.table("notes", schema_of(Note).with_checks(look))
    row_id = notes.insert(Note("good"))
    ways: list[Any] = [lambda: notes.insert(Note("bad")), lambda: notes.update(row_id, text="bad")]
    for way in ways:
        with pytest.raises(SchemaValidationError) as caught:
            way()
        assert errors_of(caught) == [("row", "check")]
    assert set(seen) == {Note}
    plain = database.get_table("notes")
    with pytest.raises(SchemaValidationError):
        plain.insert({"text": "bad"})


WRONG: Any = 3


# --- declaring them ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: DateTimeField(stamp=WRONG), "stamp must be"),
        (lambda: DateTimeField(stamp="created", timezone=False), "a stamp is in UTC"),
        (lambda: DateTimeField(stamp="created", min_value=MORNING), "a stamp is in UTC"),
        (lambda: DateTimeField(stamp="created", unique=True), "a stamp cannot be"),
        (lambda: IntegerField(version=WRONG), "The option version must be True or False"),
        (lambda: IntegerField(version=True, primary_key=True), "a version cannot be"),
        (lambda: StringField(computed=WRONG), "computed must be a callable"),
        (lambda: StringField(computed=str, primary_key=True), "what is computed cannot be a primary key"),
        (
            lambda: UUIDField(computed=lambda _: None, default_factory=uuid.uuid4),
            "what is computed cannot be a primary key or have",
        ),
        (lambda: Schema(a=IntegerField(version=True), b=IntegerField(version=True)), "'a' and 'b' both say 'version'"),
        (lambda: SPAN.with_checks(WRONG), "checks must be callables"),
        (lambda: ObjectField(Schema(a=IntegerField(version=True))), "the key 'a' cannot be"),
        (lambda: ObjectField({"a": StringField(computed=str)}), "the key 'a' cannot be"),
        (lambda: ListField(StringField(computed=str)), "the item cannot"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(declare: Any, message: str) -> None:
    with pytest.raises(SchemaDefinitionError) as caught:
        declare()
    assert message in str(caught.value)


def test_stamps_and_versions_are_part_of_the_stored_schema() -> None:
    assert Schema.from_document(STAMPED.to_document()) == STAMPED
    assert STAMPED.roles == {"created": "created", "updated": "updated", "version": "version"}
    assert Schema({**STAMPED.fields, "version": IntegerField()}) != STAMPED


def test_rows_from_before_the_stamps_get_them_when_they_are_written(database: MiniDB, clock: Clock) -> None:
    row_id = database.create_table("notes", Schema(text=StringField(required=True))).insert(Row(text="a"))
    notes = database.table("notes", STAMPED)
    assert notes[row_id].columns == {"text": "a", "created": None, "updated": None, "version": None}
    notes.update(row_id, if_version=0, text="b")
    assert notes[row_id].columns == {"text": "b", "created": None, "updated": clock.now, "version": 1}


def test_a_unique_value_that_is_taken_is_told_before_anything_is_written(notes: Table[Row]) -> None:
    first, second = notes.insert(Row(text="a")), notes.insert(Row(text="b"))
    with pytest.raises(UniqueViolationError):
        notes.update(second, text="a", if_version=1)
    assert [notes[first].version, notes[second].version] == [1, 1]
