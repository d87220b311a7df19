"""Reads of one row after the first, which go by what the first has looked up: everything that they must still notice.

Each test reads the row before, so that the short way is taken, and then changes what it depends on.
"""

from __future__ import annotations

import contextvars
import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minidb import MiniDB, Row, Table
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.port import OtherStateError
from minidb.exceptions import (
    ChecksumError,
    DatabaseClosedError,
    ForkedError,
    RowNotFoundError,
    TableNotFoundError,
    TransactionClosedError,
)
from minidb.schema import IntegerField, Schema, StringField
from minidb.schema.field import Errors

PEOPLE = Schema(name=StringField(required=True), age=IntegerField(required=True))
OLDER = Schema(name=StringField(required=True), age=IntegerField(required=True), city=StringField(default="Paris"))
BY_NAME = Schema(name=StringField(primary_key=True), age=IntegerField(required=True))

ADA = {"name": "Ada", "age": 36}


@dataclasses.dataclass
class Person:
    name: str
    age: int
    id: int | None = None


@pytest.fixture
def people(database: MiniDB) -> Table[Row]:
    table = database.create_table("people", PEOPLE)
    table.insert_many([ADA, {"name": "Bob", "age": 41}])
    return table


def in_thread(call: Callable[[], object]) -> object:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(call).result()


# --- in a transaction -------------------------------------------------------------------------------------------------


def test_every_kind_of_table_gives_the_same_row_again(database: MiniDB, people: Table[Row]) -> None:
    named, free = database.create_table("named", BY_NAME), database.create_table("free")
    named.insert(ADA)
    free.insert(ADA)
    persons = database.create_table("persons", Person)
    persons.insert(Person("Ada", 36))

    def require_all() -> None:
        assert people.query(1).columns == named.query("Ada").columns == free.query(1).columns == ADA
        assert persons.query(1) == Person("Ada", 36, 1)
        assert (people.query(1).id, named.query("Ada").id, free.query(1).id) == (1, "Ada", 1)

    for _ in range(3):
        require_all()
    for read_only in (True, False):
        with database.begin_transaction(read_only=read_only):
            for _ in range(3):
                require_all()


class Lowered(StringField):
    """What a program may make of a field: its values are stored in lower case."""

    def convert(self, value: object, path: str, errors: Errors) -> str | None:
        text = super().convert(value, path, errors)
        return None if text is None else text.lower()


class OwnText(str):
    """Text of a type of the program's own."""

    __slots__ = ()


@pytest.mark.parametrize("name", ["", "Ada", "a\0b", "\1", "Zoë 🙂", "x" * 300])
def test_a_row_is_found_by_a_text_as_it_was_given(database: MiniDB, name: str) -> None:
    named = database.create_table("named", BY_NAME)
    named.insert({"name": name, "age": 1})
    for _ in range(2):
        assert named.query(name).id == named.query(OwnText(name)).id == name


@pytest.mark.parametrize("row_id", ["ada", "", "\ud800", "x" * 5000, b"Ada", 1, None, ("Ada",), ("Ada", 1)])
def test_what_no_row_has_for_a_text_key_is_not_found(database: MiniDB, row_id: object) -> None:
    named = database.create_table("named", BY_NAME)
    named.insert(ADA)
    for _ in range(2):
        assert named.query("Ada").columns == ADA
        with pytest.raises(RowNotFoundError):
            named.query(row_id)


def test_a_key_field_of_the_programs_own_still_makes_its_values(database: MiniDB) -> None:
    named = database.create_table("named", Schema(name=Lowered(primary_key=True), age=IntegerField()))
    named.insert(ADA)
    for _ in range(2):
        assert named.query("ADA").id == named.query("ada").id == "ada"


@pytest.mark.parametrize("row_id", [0, -1, 2**63, 3, True, 1.0, "1", None, (1,)])
def test_what_no_row_has_for_an_id_is_not_found(database: MiniDB, people: Table[Row], row_id: object) -> None:
    for _ in range(2):
        assert people.query(1).columns == ADA
        with pytest.raises(RowNotFoundError, match="Table 'people' has no row with this id"):
            people.query(row_id)
        assert people.get(row_id, "nobody") == "nobody"
    with database.begin_transaction(read_only=True):
        assert people.query(1).columns == ADA
        assert people.get(row_id) is None


def test_a_transaction_sees_what_it_writes_itself(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction():
        assert people.query(1)["age"] == 36
        people.update(1, age=37)
        assert people.query(1)["age"] == 37
        people.delete(1)
        assert people.get(1) is None
        with database.begin_transaction(read_only=True):
            assert people.get(1) is None
            assert people.query(2)["name"] == "Bob"
        added = people.insert(ADA)
        assert people.query(added).columns == ADA
        people.clear()
        assert people.get(added) is None


def test_a_savepoint_that_is_rolled_back_gives_the_row_back(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction():
        assert people.query(1)["age"] == 36
        savepoint = database.begin_transaction()
        people.update(1, age=37)
        assert people.query(1)["age"] == 37
        savepoint.rollback()
        assert people.query(1)["age"] == 36


def test_a_table_that_the_transaction_itself_changes_is_read_as_it_is_now(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction():
        assert people.query(1).columns == ADA
        database.table("people", OLDER)
        assert people.query(1).columns == {**ADA, "city": "Paris"}
        savepoint = database.begin_transaction()
        database.drop_table("people")
        with pytest.raises(TableNotFoundError):
            people.query(1)
        database.create_table("people", BY_NAME).insert(ADA)
        assert people.query("Ada").columns == ADA
        assert people.get(1) is None
        savepoint.rollback()
        assert people.query(1).columns == {**ADA, "city": "Paris"}


def test_a_read_transaction_keeps_to_its_snapshot(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction(read_only=True):
        assert people.query(1)["age"] == 36
        in_thread(lambda: people.update(1, age=37))
        assert people.query(1)["age"] == 36
    assert people.query(1)["age"] == 37


def test_an_ended_transaction_refuses(database: MiniDB, people: Table[Row]) -> None:
    for read_only in (True, False):
        with database.begin_transaction(read_only=read_only) as transaction:
            assert people.query(1)["age"] == 36
            transaction.rollback()
            with pytest.raises(TransactionClosedError):
                people.query(1)
        assert people.query(1)["age"] == 36


def test_another_thread_is_outside(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction(read_only=True):
        assert people.query(1)["age"] == 36
        in_thread(lambda: people.update(1, age=37))
        context = contextvars.copy_context()
        assert in_thread(lambda: context.run(people.query, 1)["age"]) == 37
        assert people.query(1)["age"] == 36


def test_a_database_closed_by_another_thread_refuses(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction(read_only=True) as transaction:
        assert people.query(1)["age"] == 36
        database.epoch += 1  # what ``close`` does first
        assert not transaction.is_live
        database._is_closed = True
        with pytest.raises(DatabaseClosedError):
            people.query(1)
        database._is_closed = False


def test_a_forked_child_refuses(database: MiniDB, people: Table[Row]) -> None:
    with database.begin_transaction(read_only=True):
        assert people.query(1)["age"] == 36
        fork_count, epoch = database.fork_count, database.epoch
        database.fork_count += 1  # what a fork does to the child's
        database.epoch += 1
        with pytest.raises(ForkedError):
            people.query(1)
        database.fork_count, database.epoch = fork_count, epoch


def test_each_database_reads_its_own_table_of_one_name(database: MiniDB, people: Table[Row]) -> None:
    with MiniDB(":memory:") as other:
        others = other.create_table("people", PEOPLE)
        others.insert({"name": "Eve", "age": 1})
        with database.begin_transaction(read_only=True), other.begin_transaction(read_only=True):
            for _ in range(2):
                assert people.query(1)["name"] == "Ada"
                assert others.query(1)["name"] == "Eve"


# --- alone ------------------------------------------------------------------------------------------------------------


def test_a_read_after_the_close_is_refused(people: Table[Row]) -> None:
    with MiniDB(":memory:") as other:
        others = other.create_table("people", PEOPLE)
        others.insert(ADA)
        assert others.query(1).columns == others.query(1).columns == ADA
    with pytest.raises(DatabaseClosedError):
        others.query(1)
    assert people.query(1).columns == ADA


def test_a_read_sees_what_another_object_of_the_database_has_committed(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as one, MiniDB(database_path, durability="none") as other:
        people = one.create_table("people", PEOPLE)
        people.insert(ADA)
        assert people.query(1).columns == people.query(1).columns == ADA
        other.get_table("people").update(1, age=37)
        assert people.query(1)["age"] == 37
        other.table("people", OLDER)
        assert people.query(1).columns == {"name": "Ada", "age": 37, "city": "Paris"}
        other.drop_table("people")
        for row_id in (1, "no id of any row"):
            with pytest.raises(TableNotFoundError):
                people.get(row_id)
        other.create_table("people", BY_NAME).insert(ADA)
        assert people.get(1) is None
        assert people.query("Ada").columns == ADA


def test_a_damaged_row_is_told_by_its_id(database: MiniDB, people: Table[Row]) -> None:
    assert people.query(1).columns == ADA
    with database.begin_transaction() as transaction:
        table = transaction.catalog.table("people")
        key = table.key_of_id(1)
        assert key is not None
        data = transaction.bytes.get(table.space, key)
        assert data is not None
        transaction.writing().bytes.put_many(table.space, {key: data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]})

    def require_told() -> None:
        with pytest.raises(ChecksumError) as caught:
            people.query(1)
        assert caught.value.facts["id"] == 1

    require_told()
    with database.begin_transaction(read_only=True):
        assert people.query(2)["name"] == "Bob"
        require_told()
    people.clear()  # the test's database is whole when it is over


def test_the_engine_leaves_to_a_snapshot_what_it_does_not_know(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as one, MiniDB(database_path, durability="none") as other:
        people = one.create_table("people", PEOPLE)
        people.insert(ADA)
        engine = one.engine
        assert isinstance(engine, LmdbEngine)
        with one.snapshot(None) as (snapshot, catalog):
            table = catalog.table("people")
        key = table.key_of_id(1)
        assert key is not None
        get = engine.newest_getter(snapshot.generation, table.space)
        assert get(key) is not None
        assert get(b"\x31\x09") is None
        other.drop_table("people")
        for _ in range(2):
            with pytest.raises(OtherStateError):
                get(key)
            engine.begin_read().close()
