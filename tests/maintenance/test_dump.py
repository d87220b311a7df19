"""A dump holds everything, and loads into a database that gives the same dump again."""

from __future__ import annotations

import datetime as dt
import io
import json
import stat
import threading
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.maintenance.conftest import PEOPLE, fill, names_in
from tests.maintenance.test_verify import flip_a_bit_of_a_row, plant

from minidb import MiniDB, PersistentMapping, Row
from minidb.exceptions import BackupError, ChecksumError, EngineUnavailableError, InvalidOptionError, MiniDBError
from minidb.maintenance import dump as dumps
from minidb.maintenance import load as loads
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


def dumped(database: MiniDB) -> bytes:
    target = io.BytesIO()
    database.dump(target)
    return target.getvalue()


def loaded(data: bytes, path: Path) -> MiniDB:
    MiniDB.load(io.BytesIO(data), path)
    return MiniDB(path, create=False)


def lines_of(database: MiniDB) -> list[dict[str, Any]]:
    return [json.loads(line) for line in dumped(database).splitlines()]


# --- round trips ------------------------------------------------------------------------------------------------------


def test_a_dump_loads_into_a_database_that_gives_the_same_dump(database: MiniDB, tmp_path: Path) -> None:
    data = dumped(database)
    with loaded(data, tmp_path / "copy") as copy:
        assert dumped(copy) == data
        assert copy.verify().findings == []
        assert copy.table_names() == database.table_names()
        assert copy.mapping_names() == database.mapping_names()
        for name in database.table_names():
            rows = list(database.get_table(name).scan())
            assert list(copy.get_table(name).scan()) == rows
            assert [row.id for row in copy.get_table(name).scan()] == [row.id for row in rows]
            assert [(one.name, one.fields, one.unique) for one in copy.indexes(name)] == [
                (one.name, one.fields, one.unique) for one in database.indexes(name)
            ]
        assert dict(copy.mapping("cache")) == dict(database.mapping("cache"))


def test_ids_are_not_used_again_after_a_load(database: MiniDB, tmp_path: Path) -> None:
    # Row 300 was deleted before the dump.
    with loaded(dumped(database), tmp_path / "copy") as copy:
        assert copy.get_table("people").insert({"name": "next"}) == 301
        assert copy.get_table("notes").insert({}) == 4
        assert copy.get_table("empty").insert({}) == 1


def test_the_lines_are_as_they_are_documented(database: MiniDB) -> None:
    lines = lines_of(database)
    heads = [line for line in lines if "table" in line or "mapping" in line]
    assert lines[0] == {"minidb": "dump", "format": 1, "rows": 342, "items": 5}
    assert [head.get("table") or head.get("mapping") for head in heads] == [
        "empty",
        "notes",
        "parts",
        "people",
        "cache",
        "nothing",
    ]
    assert heads[1] == {
        "table": "notes",
        "schema": None,
        "indexes": [{"name": "tag", "fields": ["tag"], "unique": False}],
        "rows": 3,
        "last_id": 3,
    }
    assert heads[3]["last_id"] == 300
    assert "last_id" not in heads[2]
    assert {"id": 3, "row": {"other": [1, {"deep": "!bytes:00"}]}} in lines
    assert {"key": None, "value": "of None"} in lines
    assert lines[-1] == {"end": len(lines) - 1}


EVERYTHING = Schema(
    key=StringField(primary_key=True),
    second=IntegerField(primary_key=True),
    boolean=BooleanField(),
    data=BytesField(),
    day=DateField(),
    moment=DateTimeField(),
    aware=DateTimeField(timezone=True),
    amount=DecimalField(),
    anything=DictField(),
    role=EnumField(["a", "b"], default="a"),
    real=FloatField(allow_nan=True),
    whole=IntegerField(),
    document=JSONField(),
    texts=ListField(StringField()),
    mixed=ListField(),
    clock=TimeField(),
    number=UUIDField(unique=True),
)


def test_every_type_of_field_comes_back_the_same(tmp_path: Path) -> None:
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    full: dict[str, Any] = {
        "key": "!ключ\x00",
        "second": -(2**90),
        "boolean": True,
        "data": bytes(range(256)),
        "day": dt.date.min,
        "moment": dt.datetime.max,
        "aware": dt.datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=zone),
        "amount": Decimal("-0.00"),
        "anything": {"!set": [1], "": {"x": dt.time(1)}, "!": b""},
        "role": "b",
        "real": float("-inf"),
        "whole": 2**200,
        "document": {"a": [None, True, 1.0, "!x", {"!map": []}]},
        "texts": ["", "!", "\u2028"],
        "mixed": [Decimal("Infinity"), uuid.UUID(int=5), [[]], -0.0],
        "clock": dt.time.max,
        "number": uuid.UUID(int=2**128 - 1),
    }
    with MiniDB(":memory:") as database:
        table = database.create_table("everything", EVERYTHING)
        table.insert(full)
        table.insert({"key": "nothing else", "second": 0})
        with loaded(dumped(database), tmp_path / "copy") as copy:
            found = copy.table("everything", EVERYTHING).query(("!ключ\x00", -(2**90)))
            assert found == table.query(("!ключ\x00", -(2**90)))
            assert repr(found) == repr(table.query(("!ключ\x00", -(2**90))))
            assert copy.get_table("everything").count() == 2
            assert dumped(copy) == dumped(database)


def test_an_index_that_was_dropped_stays_dropped(tmp_path: Path) -> None:
    with MiniDB(":memory:") as database:
        database.create_table("people", PEOPLE)
        database.drop_index("people", "name")
        database.create_index("people", "age", "name", name="by age")
        with loaded(dumped(database), tmp_path / "copy") as copy:
            assert [index.name for index in copy.indexes("people")] == ["email", "role", "by age"]


MAPPING_KEYS = st.none() | st.integers() | st.text(max_size=4) | st.tuples(st.integers(), st.binary(max_size=3))
PLAIN = st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6) | st.binary(max_size=4)
ITEM_VALUES = PLAIN | st.sets(PLAIN, max_size=3) | st.dictionaries(st.integers(0, 9), PLAIN, max_size=3)


@given(
    st.dictionaries(MAPPING_KEYS, ITEM_VALUES, max_size=8), st.lists(st.dictionaries(st.text("!ab", min_size=1), PLAIN))
)
def test_whatever_is_in_it_a_dump_loads_into_the_same(
    tmp_path_factory: pytest.TempPathFactory, items: dict[Any, Any], rows: list[dict[str, Any]]
) -> None:
    with MiniDB(":memory:") as database:
        mapping: PersistentMapping[Any, Any] = database.mapping("!any")
        mapping.update(items)
        database.create_table("any").insert_many(rows)
        data = dumped(database)
        with loaded(data, tmp_path_factory.mktemp("loaded") / "copy") as copy:
            assert dumped(copy) == data
            assert dict(copy.mapping("!any")) == items


def test_an_empty_database_has_a_dump(tmp_path: Path) -> None:
    with MiniDB(":memory:") as database:
        data = dumped(database)
    assert data == b'{"minidb":"dump","format":1,"rows":0,"items":0}\n{"end":1}\n'
    with loaded(data, tmp_path / "copy") as copy:
        assert copy.table_names() == []


# --- where it goes ----------------------------------------------------------------------------------------------------


def test_a_dump_goes_to_a_path_and_comes_from_one(database: MiniDB, tmp_path: Path) -> None:
    contents = database.dump(tmp_path / "all.jsonl")
    assert contents.tables == {"empty": 0, "notes": 3, "parts": 40, "people": 299}
    assert contents.mappings == {"cache": 5, "nothing": 0}
    assert stat.S_IMODE((tmp_path / "all.jsonl").stat().st_mode) == 0o600
    assert (tmp_path / "all.jsonl").read_bytes() == dumped(database)
    assert MiniDB.load(str(tmp_path / "all.jsonl"), tmp_path / "copy") == contents


def test_a_dump_goes_to_a_text_file_and_comes_from_one(database: MiniDB, tmp_path: Path) -> None:
    text = io.StringIO()
    database.dump(text)
    assert text.getvalue().encode() == dumped(database)
    MiniDB.load(io.StringIO(text.getvalue()), tmp_path / "copy")


def test_a_file_that_takes_a_part_of_each_write_gets_all(database: MiniDB) -> None:
    class Slow(io.RawIOBase):
        def __init__(self) -> None:
            self.got = b""

        def write(self, data: Any) -> int:
            self.got += bytes(data[:1000])
            return min(len(data), 1000)

    slow = Slow()
    database.dump(slow)  # type: ignore[arg-type]  # no BinaryIO by name
    assert slow.got == dumped(database)


def test_what_fails_leaves_no_file_and_the_one_that_was_there(database: MiniDB, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text("before")
    plant(database, flip_a_bit_of_a_row)
    with pytest.raises(ChecksumError):
        database.dump(path)
    assert path.read_text() == "before"
    assert names_in(tmp_path) - {"database"} == {path.name}


def test_a_link_is_replaced_and_not_what_it_names(database: MiniDB, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep me")
    (tmp_path / "link").symlink_to("precious")
    database.dump(tmp_path / "link")
    assert (tmp_path / "precious").read_text() == "keep me"
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("target", ["", "a\0b", 7])
def test_what_is_no_target_is_refused(database: MiniDB, target: Any) -> None:
    with pytest.raises(InvalidOptionError):
        database.dump(target)


def test_a_folder_that_is_not_there_is_said(database: MiniDB, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="No such file"):
        database.dump(tmp_path / "no" / "all.jsonl")
    with pytest.raises(BackupError, match="No such file"):
        MiniDB.load(tmp_path / "no.jsonl", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_dump_is_one_snapshot(database: MiniDB) -> None:
    people = database.get_table("people")
    before = dumped(database)
    target = io.BytesIO()

    def write(done: int, _: int) -> None:
        people.insert({"name": f"later {done}"})

    database.dump(target, progress=write)
    assert target.getvalue() == before
    assert dumped(database) != before


def test_progress_counts_rows_and_items_of_dump_and_load(database: MiniDB, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    database.dump(tmp_path / "all", progress=lambda *one: told.append(one))
    assert told[-1] == (347, 347)
    told.clear()
    MiniDB.load(tmp_path / "all", tmp_path / "copy", progress=lambda *one: told.append(one))
    assert told[0] == (0, 347)
    assert told[-1] == (347, 347)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_progress_raises_ends_the_call_and_leaves_nothing(
    folder_database: MiniDB, tmp_path: Path, error: type[BaseException]
) -> None:
    def stop(*_: int) -> None:
        raise error

    with pytest.raises(error):
        folder_database.dump(tmp_path / "all", progress=stop)
    folder_database.dump(tmp_path / "whole")
    with pytest.raises(error):
        MiniDB.load(tmp_path / "whole", tmp_path / "copy", progress=stop)
    assert names_in(tmp_path) == {"database", "whole"}


# --- loading all or nothing -------------------------------------------------------------------------------------------


def test_an_existing_database_is_not_loaded_over(database: MiniDB, tmp_path: Path) -> None:
    with MiniDB(tmp_path / "copy") as there:
        there.create_table("mine")
    with pytest.raises(EngineUnavailableError, match="already a database"):
        MiniDB.load(io.BytesIO(dumped(database)), tmp_path / "copy")
    with MiniDB(tmp_path / "copy") as there:
        assert there.table_names() == ["mine"]


@pytest.mark.parametrize("target", [":memory:", "postgresql://user:secret@host/db"])
def test_a_target_that_is_no_folder_is_refused(target: str) -> None:
    with pytest.raises(InvalidOptionError) as refused:
        MiniDB.load(io.BytesIO(b""), target)
    assert "secret" not in str(refused.value)


def test_each_cut_of_a_dump_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with MiniDB(":memory:") as database:
        table = database.create_table("people", PEOPLE)
        table.insert_many([{"name": "a", "email": "b"}, {"name": "c"}])
        database.mapping("cache")["a"] = 1
        data = dumped(database)
    for size in range(0, len(data) - 1, 7):
        with pytest.raises(BackupError) as refused:
            MiniDB.load(io.BytesIO(data[:size]), tmp_path / "copy")
        assert refused.value.line >= 1
        assert names_in(tmp_path) == set()
    loaded(data, tmp_path / "copy").close()  # the control


HEADER = {"minidb": "dump", "format": 1, "rows": 0, "items": 0}
TABLE: dict[str, object] = {"table": "t", "schema": None, "indexes": [], "rows": 0, "last_id": 0}
NAMES = Schema(name=StringField(required=True, max_length=5)).to_document()
KEYED = Schema(name=StringField(primary_key=True)).to_document()
MAPPING: dict[str, object] = {"mapping": "m", "items": 0}


def dump_of(*lines: object) -> bytes:
    """Make a dump of lines, with a header and an end that fit."""
    rows = sum("row" in line for line in lines if isinstance(line, dict))
    items = sum("key" in line for line in lines if isinstance(line, dict))
    whole = [{**HEADER, "rows": rows, "items": items}, *lines, {"end": len(lines) + 1}]
    return b"".join(json.dumps(line).encode() + b"\n" for line in whole)


HOSTILE: list[tuple[bytes, int]] = [
    (b"", 1),
    (b"\n", 1),
    (b"[]\n", 1),
    (b"\xff\xfe\n", 1),
    (b'{"minidb":"backup"}\n', 1),
    (json.dumps({**HEADER, "format": 2}).encode(), 1),
    (json.dumps({**HEADER, "rows": -1}).encode(), 1),
    (json.dumps({**HEADER, "rows": True}).encode(), 1),
    (json.dumps({**HEADER, "rows": 5}).encode() + b'\n{"end":1}\n', 2),
    (json.dumps(HEADER).encode() + b'\n{"end":2}\n', 2),
    (json.dumps(HEADER).encode() + b'\n{"end":1}\nmore', 3),
    (dump_of({"neither": 1}), 2),
    (dump_of({**TABLE, "table": ""}), 2),
    (dump_of({**TABLE, "table": "a\nb"}), 2),
    (dump_of({**TABLE, "table": ["x"]}), 2),
    (dump_of({"table": "t"}), 2),
    (dump_of({**TABLE, "schema": {"format": 1}}), 2),
    (dump_of({**TABLE, "schema": {"format": 99, "fields": []}}), 2),
    (dump_of({**TABLE, "schema": "import os"}), 2),
    (dump_of({**TABLE, "schema": {"format": 1, "fields": [{"id": 1, "name": "a", "type": "os.system"}]}}), 2),
    (dump_of(TABLE, TABLE), 3),
    (dump_of(TABLE, {**MAPPING, "mapping": "t"}), 3),
    (dump_of(MAPPING, {**TABLE, "table": "m"}), 3),
    (dump_of(MAPPING, MAPPING), 3),
    (dump_of({**MAPPING, "mapping": 5}), 2),
    (dump_of({**MAPPING, "items": "1"}), 2),
    (dump_of({**TABLE, "last_id": -1}), 2),
    (dump_of({**TABLE, "last_id": 2**63}), 2),
    (dump_of({**TABLE, "last_id": 1.0}), 2),
    (dump_of({**TABLE, "rows": 1, "last_id": 1}, {"id": 2, "row": {}}), 2),
    (dump_of({**TABLE, "indexes": [{"name": "a"}]}), 2),
    (dump_of({**TABLE, "indexes": 5}), 2),
    (dump_of({**TABLE, "indexes": [[]]}), 2),
    (dump_of({**TABLE, "schema": NAMES, "indexes": [{"name": "a", "fields": ["no"], "unique": False}]}), 2),
    (dump_of({**TABLE, "indexes": [{"name": "a", "fields": ["a"], "unique": False}] * 2}), 2),
    (dump_of({**TABLE, "indexes": [{"name": "a", "fields": ["a"], "unique": "yes"}]}), 2),
    (dump_of({**TABLE, "indexes": [{"name": "a", "fields": ["a", "a"], "unique": False}]}), 2),
    (dump_of({**TABLE, "indexes": [{"name": "a", "fields": [], "unique": False}]}), 2),
    (dump_of({**TABLE, "indexes": [{"name": "a", "fields": ["a"], "unique": False, "each": "a"}]}), 2),
    (dump_of({**TABLE, "indexes": [{"name": "a", "fields": ["a"], "unique": False, "where": ["os.system"]}]}), 2),
    (dump_of({**TABLE, "indexes": [{"name": "a", "fields": ["a"], "unique": False, "where": 7}]}), 2),
    (dump_of({**TABLE, "rows": 1, "last_id": 1}, {"row": {}}), 3),
    (dump_of({**TABLE, "rows": 1, "last_id": 1}, {"id": 1, "row": []}), 3),
    (dump_of({**TABLE, "rows": 1, "last_id": 1}, {"id": 1, "row": {"": 1}}), 3),
    (dump_of({**TABLE, "rows": 1, "last_id": 1}, {"id": 1, "row": {"!int:1": 1}}), 3),
    (dump_of({**TABLE, "rows": 1, "last_id": 1}, {"id": 1, "row": {"a": "!decimal:NaN"}}), 3),
    (dump_of({**TABLE, "rows": 1, "last_id": 1}, {"id": 1, "row": {"a": {"!set": [1]}}}), 3),
    (dump_of({**TABLE, "rows": 1, "last_id": 1}, {"id": 0, "row": {}}), 3),
    (dump_of({**TABLE, "rows": 1, "last_id": 1}, {"id": 2**63, "row": {}}), 3),
    (dump_of({**TABLE, "rows": 1, "last_id": 1}, {"id": True, "row": {}}), 3),
    (dump_of({**TABLE, "rows": 2, "last_id": 1}, {"id": 1, "row": {}}, {"id": 1, "row": {}}), 4),
    (dump_of({**TABLE, "rows": 2, "last_id": 1}, {"id": 1, "row": {}}), 4),
    (dump_of({**TABLE, "rows": 1, "last_id": 1}, {"id": 1, "row": {}}, {"id": 2, "row": {}}), 4),
    (dump_of({**TABLE, "schema": NAMES, "rows": 1, "last_id": 1}, {"id": 1, "row": {"name": "too long"}}), 3),
    (dump_of({**TABLE, "schema": NAMES, "rows": 1, "last_id": 1}, {"id": 1, "row": {"name": "a", "b": 1}}), 3),
    (dump_of({**TABLE, "schema": NAMES, "rows": 1, "last_id": 1}, {"id": 1, "row": {}}), 3),
    (dump_of({**TABLE, "schema": KEYED, "rows": 1}, {"row": {"name": "x" * 400}}), 3),
    (dump_of({**TABLE, "schema": KEYED, "rows": 2}, {"row": {"name": "x"}}, {"row": {"name": "x"}}), 4),
    (
        dump_of(
            {**TABLE, "rows": 2, "last_id": 2, "indexes": [{"name": "a", "fields": ["a"], "unique": True}]},
            {"id": 1, "row": {"a": 1}},
            {"id": 2, "row": {"a": 1}},
        ),
        2,
    ),
    (dump_of({**MAPPING, "items": 1}, {"key": 1}), 3),
    (dump_of({**MAPPING, "items": 1}, {"key": {"a": 1}, "value": 1}), 3),
    (dump_of({**MAPPING, "items": 1}, {"key": "!float:nan", "value": 1}), 3),
    (dump_of({**MAPPING, "items": 1}, {"key": "x" * 600, "value": 1}), 3),
    (dump_of({**MAPPING, "items": 2}, {"key": 1, "value": 1}, {"key": 1.0, "value": 2}), 4),
    (b'{"minidb":"dump","format":1,"rows":0,"items":1}\n{"mapping":"m","items":1}\n' + b"[" * 200_000, 3),
]


@pytest.mark.parametrize(("data", "line"), HOSTILE, ids=range(len(HOSTILE)))
def test_what_no_dump_has_is_refused_and_leaves_nothing(tmp_path: Path, data: bytes, line: int) -> None:
    with pytest.raises(BackupError) as refused:
        MiniDB.load(io.BytesIO(data), tmp_path / "copy")
    assert refused.value.line == line
    assert str(refused.value).startswith(f"Line {line} of the dump cannot be loaded: ")
    assert names_in(tmp_path) == set()


def test_lines_that_are_right_are_taken(tmp_path: Path) -> None:
    """The control of the test above."""
    data = dump_of(
        {
            **TABLE,
            "schema": NAMES,
            "rows": 2,
            "last_id": 9,
            "indexes": [{"name": "a", "fields": ["name"], "unique": True}],
        },
        {"id": 2, "row": {"name": "b"}},
        {"id": 1, "row": {"name": "a"}},
        {**MAPPING, "items": 1},
        {"key": ["!date:2024-01-01", 1], "value": {"!set": [1]}},
    )
    with loaded(data, tmp_path / "copy") as copy:
        assert copy.get_table("t").insert({"name": "c"}) == 10
        assert copy.query_by_index("t", "a", "b") == [Row(name="b")]
        assert dict(copy.mapping("m")) == {(dt.date(2024, 1, 1), 1): {1}}
        assert copy.verify().ok


def test_a_line_that_is_too_long_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "LONGEST_LINE_BYTES", 1000)
    asked: list[int] = []

    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1) -> bytes:
            asked.append(size or 0)
            return b"x" * (size or 0)

    with pytest.raises(BackupError, match="longer than 1000 bytes"):
        MiniDB.load(Endless(), tmp_path / "copy")  # type: ignore[arg-type]  # no BinaryIO by name
    assert asked == [1001]


def test_a_row_that_no_loader_would_take_is_not_dumped(
    database: MiniDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumps, "LONGEST_LINE_BYTES", 100)
    with pytest.raises(BackupError) as refused:
        database.dump(tmp_path / "all")
    assert refused.value.table == "notes"


def test_a_dump_names_no_value_in_its_errors(tmp_path: Path) -> None:
    value = "hunter2-hunter2"
    data = dump_of({**TABLE, "schema": NAMES, "rows": 1, "last_id": 1}, {"id": 1, "row": {"name": value}})
    with pytest.raises(BackupError) as refused:
        MiniDB.load(io.BytesIO(data), tmp_path / "copy")
    assert value not in str(refused.value)


def test_a_file_that_cannot_be_read_to_its_end_is_refused(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def readline(self, _: int | None = -1) -> bytes:
            raise OSError("torn")

    with pytest.raises(BackupError, match=r"Line 1 .* cannot be read"):
        MiniDB.load(Broken(), tmp_path / "copy")


def test_a_database_is_dumped_while_others_write(folder_database: MiniDB, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        people = folder_database.get_table("people")
        while not stop.is_set():
            with folder_database.begin_transaction():
                first = people.insert({"name": "twin"})
                people.insert({"name": f"twin {first}"})

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        data = dumped(folder_database)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    with loaded(data, tmp_path / "copy") as copy:
        assert copy.verify().ok
        assert (copy.get_table("people").count() - 299) % 2 == 0


def test_a_database_with_something_of_everything_can_be_filled_again(tmp_path: Path) -> None:
    """The dump is a function of what is stored, not of when or where."""
    with MiniDB(":memory:") as one, MiniDB(tmp_path / "other", durability="none") as other:
        fill(one)
        fill(other)
        assert dumped(one) == dumped(other)


def test_errors_of_the_family_are_what_a_caller_catches() -> None:
    assert issubclass(BackupError, MiniDBError)
