"""Migrations: steps that are taken once, wholly, in their order, whatever becomes of the programs that take them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.api.consistency import check_consistency

from minidb import Migrations, MigrationStep, MiniDB, Row, where
from minidb.exceptions import (
    DatabaseClosedError,
    MigrationError,
    SchemaMismatchError,
    SchemaValidationError,
    UniqueViolationError,
    UsageError,
)
from minidb.schema import FloatField, IntegerField, ListField, Schema, StringField
from minidb.tables import rewriting

OLD = Schema(name=StringField(unique=True), age=IntegerField(index=True))
NEW = Schema(first=StringField(required=True), last=StringField(unique=True), age=IntegerField(index=True))


def split(row: Row) -> dict[str, Any]:
    first, _, last = row.name.partition(" ")
    return {"first": first, "last": last, "age": row.age}


def migrations_of(function: Callable[[Row], Any] = split, schema: Schema = NEW) -> Migrations:
    made = Migrations()
    made.step(1, table="users", schema=schema)(function)
    return made


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each transaction of a step take three rows."""
    monkeypatch.setattr(rewriting, "BATCH_ROWS", 3)


@pytest.fixture
def users(database: MiniDB) -> Any:
    table = database.table("users", OLD)
    table.insert_many({"name": f"Ada L{n}", "age": n} for n in range(10))
    table.delete(10)
    return table


def states(steps: list[MigrationStep]) -> list[tuple[int, str]]:
    return [(step.number, step.state) for step in steps]


@pytest.mark.usefixtures("users")
def test_a_step_makes_each_row_anew(database: MiniDB) -> None:
    migrations = migrations_of()
    assert states(migrations.status(database)) == [(1, "pending")]
    told: list[tuple[int, int]] = []
    (step,) = migrations.apply(database, progress=lambda done, total: told.append((done, total)))
    assert (step.number, step.name, step.table, step.state, step.rows) == (1, "split", "users", "applied", 9)
    assert step.applied_at is not None
    assert told == [(3, 9), (6, 9), (9, 9)]
    users = database.table("users", NEW)
    assert [(row.id, row.first, row.last, row.age) for row in users][:2] == [(1, "Ada", "L0", 0), (2, "Ada", "L1", 1)]
    assert {index.name for index in database.indexes("users")} == {"age", "last"}
    assert users.find(last="L7", require_index=True).one().id == 8
    with pytest.raises(UniqueViolationError):
        users.insert({"first": "x", "last": "L7"})
    assert users.insert({"first": "x", "last": "y"}) > 10
    assert migrations.apply(database) == []
    check_consistency(database)
    assert database.verify().ok


def test_a_table_can_be_migrated_again_and_again(database: MiniDB) -> None:
    migrations = Migrations()
    table = database.table("t", Schema(n=IntegerField()))
    ids = list(table.insert_many({"n": n} for n in range(4)))
    for number in range(1, 5):

        @migrations.step(number, table="t", schema=Schema({f"n{number}": IntegerField(index=True)}))
        def rename(row: Row, number: int = number) -> dict[str, Any]:
            return {f"n{number}": sum(row.columns.values()) + 1}

        migrations.apply(database)
        ids.append(database.get_table("t").insert({f"n{number}": 0}))
        check_consistency(database)
    assert ids == sorted(set(ids))
    assert database.get_table("t").query(ids[0]).columns == {"n4": 4}
    assert database.verify().ok
    database.drop_table("t")
    assert database.verify().ok


def test_a_step_may_tighten_retype_and_give_a_primary_key(database: MiniDB) -> None:
    table = database.create_table("t")
    table.insert_many({"key": f"k{n}", "n": str(n)} for n in range(7))
    migrations = Migrations()
    schema = Schema(key=StringField(primary_key=True), n=IntegerField(required=True, max_value=6))
    migrations.step(1, table="t", schema=schema)(lambda row: {"key": row.key, "n": int(row.n)})
    migrations.apply(database)
    table = database.table("t", schema)
    assert table.query("k3").n == 3
    assert len(table) == 7
    check_consistency(database)


def test_indexes_stay_where_their_fields_do(database: MiniDB) -> None:
    table = database.table("t", Schema(a=IntegerField(), b=IntegerField(), gone=IntegerField(index=True)))
    database.create_index("t", "a", "b", name="both", where=where("a") >= 2)
    table.insert_many({"a": n, "b": n, "gone": n} for n in range(8))
    schema = Schema(a=FloatField(), b=ListField(IntegerField()))
    migrations = Migrations()
    migrations.step(1, table="t", schema=schema)(lambda row: {"a": row.a / 2, "b": [row.b]})
    migrations.apply(database)
    (index,) = database.indexes("t")
    assert (index.name, index.fields, index.each) == ("both", ("a", "b"), "b")
    assert database.table("t", schema).find(where("b").contains(7), a=3.5, require_index=True).count() == 1
    check_consistency(database)


@pytest.mark.usefixtures("users")
def test_a_covering_index_stays_one(database: MiniDB) -> None:
    database.create_index("users", "age", name="whole", include="*")
    migrations_of().apply(database)
    assert [index.include for index in database.indexes("users") if index.name == "whole"] == ["*"]
    check_consistency(database)


def test_an_index_that_would_lose_a_field_is_dropped_first(database: MiniDB) -> None:
    database.table("t", Schema(a=IntegerField(), b=IntegerField()))
    database.create_index("t", "a", "b")
    migrations = Migrations()
    migrations.step(1, table="t", schema=Schema(a=IntegerField()))(lambda row: {"a": row.a})
    with pytest.raises(SchemaMismatchError, match="used by the index 'a_b'"):
        migrations.apply(database)
    assert states(migrations.status(database)) == [(1, "pending")]
    database.get_table("t").insert({"a": 1, "b": 2})


def test_a_primary_key_does_not_become_an_automatic_id(database: MiniDB) -> None:
    database.table("t", Schema(a=IntegerField(primary_key=True)))
    migrations = Migrations()
    migrations.step(1, table="t", schema=Schema(a=IntegerField()))(lambda row: row)
    with pytest.raises(SchemaMismatchError, match="primary key"):
        migrations.apply(database)


def test_a_step_for_the_database_is_one_transaction(database: MiniDB, users: Any) -> None:
    migrations = Migrations()

    @migrations.step(1)
    def good(db: MiniDB) -> None:
        db.create_table("log").insert({"a": 1})
        users.find(where("age") < 5).delete()

    @migrations.step(2)
    def bad(db: MiniDB) -> None:
        db.get_table("log").clear()
        raise ValueError("no")

    with pytest.raises(MigrationError, match=r"step 2 \(bad\)") as caught:
        migrations.apply(database)
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.step == 2
    assert states(migrations.status(database)) == [(1, "applied"), (2, "pending")]
    assert database.get_table("log").count() == 1
    assert users.count() == 4


# --- what fails -------------------------------------------------------------------------------------------------------


def fail_on_seven(row: Row) -> dict[str, Any]:
    return {"first": "x", "last": row.name, "age": row.age // (row.age - 7)}


def too_old(row: Row) -> dict[str, Any]:
    return {"first": "x", "last": row.name, "age": "7" if row.age == 7 else row.age}


def all_alike(row: Row) -> dict[str, Any]:
    return {"first": "x", "last": "L0" if row.age in (0, 7) else row.name, "age": row.age}


def nothing(row: Row) -> Any:
    return None if row.age == 7 else split(row)


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (fail_on_seven, ZeroDivisionError),
        (too_old, SchemaValidationError),
        (all_alike, UniqueViolationError),
        (nothing, TypeError),
    ],
)
def test_a_step_that_fails_on_a_row_leaves_all_as_it_was(
    database: MiniDB, users: Any, function: Callable[[Row], Any], cause: type[Exception]
) -> None:
    before = [row.columns for row in users]
    for dry_run in (True, False):
        with pytest.raises(MigrationError, match="step 1 has failed on a row of table 'users'") as caught:
            migrations_of(function).apply(database, dry_run=dry_run)
        assert isinstance(caught.value.__cause__, cause)
        assert (caught.value.table, caught.value.id) == ("users", 8)
        assert [row.columns for row in users] == before
        assert database.verify().ok
        users.insert({"name": f"Bob {dry_run}", "age": 99})
        users.find(age=99).delete()
    migrations_of().apply(database)
    assert database.get_table("users").query(1).last == "L0"


def test_a_dry_run_changes_nothing(database: MiniDB, users: Any) -> None:
    migrations = migrations_of()
    migrations.step(2)(lambda db: db.table("users", NEW).insert({"first": "a", "last": "b"}))
    told: list[int] = []
    steps = migrations.apply(database, dry_run=True, progress=lambda done, _: told.append(done))
    assert [(step.number, step.state, step.rows) for step in steps] == [(1, "pending", 9), (2, "pending", None)]
    assert told == [3, 6, 9]
    assert database.table_names() == ["users"]
    assert users.query(1).columns == {"name": "Ada L0", "age": 0}
    users.insert({"name": "Bob"})
    assert database.verify().ok


# --- what others may do meanwhile -------------------------------------------------------------------------------------


def test_the_table_is_read_and_not_written_meanwhile(database: MiniDB, users: Any) -> None:
    seen: list[Any] = []

    def look(done: int, _: int) -> None:
        if done != 6:
            return
        seen.append([row.name for row in users.find(where("age") >= 8)])
        writes: list[Callable[[], object]] = [
            lambda: users.insert({"name": "Bob"}),
            lambda: users.delete(1),
            lambda: database.create_index("users", "age", "name"),
            lambda: database.drop_index("users", "age"),
            lambda: database.drop_table("users"),
            lambda: database.rename_table("users", "people"),
            lambda: database.table("users", Schema(name=StringField(unique=True), age=IntegerField(), x=StringField())),
        ]
        for write in writes:
            with pytest.raises(MigrationError, match="in the middle of migration step 1"):
                write()
        check_consistency(database)
        assert database.verify().ok
        assert states(migrations.status(database)) == [(1, "begun")]

    migrations = migrations_of()
    migrations.apply(database, progress=look)
    assert seen == [["Ada L8"]]


def test_a_program_with_the_old_schema_reads_on_and_writes_no_more(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as old, MiniDB(database_path, durability="none") as new:
        theirs = old.table("users", OLD)
        theirs.insert({"name": "Ada Lovelace", "age": 36})
        migrations_of().apply(new)
        assert theirs.query(1).columns == {"first": "Ada", "last": "Lovelace", "age": 36}
        with pytest.raises(SchemaMismatchError, match="may only read it"):
            theirs.insert({"name": "Bob"})
        old.table("users", OLD)
        with pytest.raises(SchemaMismatchError, match="may only read it"):
            theirs.insert({"name": "Bob"})
        old.table("users", NEW)
        theirs.insert({"first": "Bob", "last": "B"})


def test_a_snapshot_of_before_stays_what_it_was(database: MiniDB, users: Any) -> None:
    with database.begin_transaction(read_only=True):
        before = iter(users)
        assert next(before).name == "Ada L0"
        thread = threading.Thread(target=lambda: migrations_of().apply(database))
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        assert [row.name for row in before] == [f"Ada L{n}" for n in range(1, 9)]
    assert users.query(1).first == "Ada"


@pytest.mark.usefixtures("users")
def test_two_programs_share_the_work(database: MiniDB) -> None:
    others: list[threading.Thread] = []

    def begin_another(_: int, __: int) -> None:
        if not others:
            others.append(threading.Thread(target=lambda: migrations_of().apply(database)))
            others[0].start()
            others[0].join(60)

    migrations_of().apply(database, progress=begin_another)
    assert not others[0].is_alive()
    assert database.get_table("users").count() == 9
    assert database.get_table("minidb_migrations").count() == 1


# --- cut short --------------------------------------------------------------------------------------------------------


def cut_short(database: MiniDB, migrations: Migrations) -> None:
    def stop(done: int, _: int) -> None:
        if done == 6:
            raise DatabaseClosedError("as if the program had died")

    with pytest.raises(DatabaseClosedError):
        migrations.apply(database, progress=stop)
    assert states(migrations.status(database)) == [(1, "begun")]
    assert database.verify().ok


@pytest.mark.usefixtures("users")
def test_a_step_that_was_cut_short_goes_on(database: MiniDB) -> None:
    cut_short(database, migrations_of())
    told: list[int] = []
    migrations_of().apply(database, progress=lambda done, _: told.append(done))
    assert told == [9]
    assert database.get_table("users").query(1).first == "Ada"
    check_consistency(database)


def other_split(row: Row) -> dict[str, Any]:
    return {"first": "other", "last": row.name, "age": row.age}


other_split.__name__ = "split"


@pytest.mark.usefixtures("users")
def test_a_step_that_was_changed_meanwhile_begins_anew(database: MiniDB) -> None:
    cut_short(database, migrations_of())
    told: list[int] = []
    migrations_of(other_split).apply(database, progress=lambda done, _: told.append(done))
    assert told == [3, 6, 9]
    assert {row.first for row in database.get_table("users")} == {"other"}
    assert database.verify().ok


def test_a_step_that_was_begun_can_be_abandoned(database: MiniDB, users: Any) -> None:
    cut_short(database, migrations_of())
    migrations = Migrations()
    migrations.step(2, table="users", schema=NEW)(split)
    with pytest.raises(MigrationError, match="in the middle of migration step 1"):
        migrations.apply(database)
    assert migrations.abandon(database) == ["users"]
    assert migrations.abandon(database) == []
    users.insert({"name": "Bob"})
    assert database.verify().ok


@pytest.mark.usefixtures("users")
def test_a_backup_and_a_dump_bear_a_step_that_was_begun(database: MiniDB, tmp_path: Path) -> None:
    cut_short(database, migrations_of())
    database.backup(tmp_path / "backup")
    MiniDB.restore(tmp_path / "backup", tmp_path / "restored")
    database.dump(tmp_path / "dump")
    MiniDB.load(tmp_path / "dump", tmp_path / "loaded")
    for copy in ("restored", "loaded"):
        with MiniDB(tmp_path / copy) as again:
            assert again.get_table("users").query(1).name == "Ada L0"
            migrations_of().apply(again)
            assert again.get_table("users").query(1).first == "Ada"
            assert again.verify().ok


DYING = """
import os, signal, sys
from minidb import MiniDB, Migrations
from minidb.schema import IntegerField, Schema, StringField
from minidb.tables import rewriting

rewriting.BATCH_ROWS = 20
die_at, begun = int(sys.argv[2]), 0
migrations = Migrations()

@migrations.step(1, table="users", schema=Schema(first=StringField(), last=StringField(unique=True)))
def split(row):
    first, _, last = row.name.partition(" ")
    return {"first": first, "last": last}

@migrations.step(2)
def note(db):
    db.create_table("log").insert({"rows": db.get_table("users").count()})

with MiniDB(sys.argv[1]) as db:
    begin = db.engine.begin_write
    def dying(original):
        def call(*arguments, **named):
            global begun
            begun += 1
            if begun == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)
        return call
    def begin_write(*arguments):
        transaction = begin(*arguments)
        for name in ("commit", "put_many", "create_space", "drop_space", "clear"):
            setattr(transaction, name, dying(getattr(transaction, name)))
        return transaction
    db.engine.begin_write = begin_write
    migrations.apply(db)
"""


@pytest.mark.slow
def test_a_program_that_is_killed_anywhere_in_a_step_loses_nothing(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        database.table("users", Schema(name=StringField())).insert_many({"name": f"Ada L{n}"} for n in range(100))
    died, die_at = 0, 1
    while True:
        program = subprocess.run(
            [sys.executable, "-c", DYING, database_path, str(die_at)], capture_output=True, text=True, check=False
        )
        with MiniDB(database_path, durability="none") as database:
            check_consistency(database)
            assert database.verify().ok
            rows = [row.columns for row in database.get_table("users")]
            old = [{"name": f"Ada L{n}"} for n in range(100)]
            new = [{"first": "Ada", "last": f"L{n}"} for n in range(100)]
            assert rows in (old, new)
            if "log" in database:
                assert [row.rows for row in database.get_table("log")] == [100]
            if program.returncode == 0:
                assert rows == new
                assert database.get_table("minidb_migrations").count() == 2
                break
        assert program.returncode == -signal.SIGKILL, program.stderr
        died += 1
        die_at = die_at + 1 if died < 12 else 3 * die_at
    assert died > 5


# --- histories that do not fit ----------------------------------------------------------------------------------------


def nothing_at_all(_: Any) -> None:
    pass


def history_of(database: MiniDB, *numbers: int) -> Migrations:
    migrations = Migrations()
    for number in numbers:
        migrations.step(number)(nothing_at_all)
    migrations.apply(database)
    return migrations


def test_steps_of_a_newer_program_are_not_known(database: MiniDB) -> None:
    history_of(database, 1, 2)
    with pytest.raises(MigrationError, match="which this program does not know") as caught:
        history_of(database, 1)
    assert caught.value.step == 2


def test_a_step_cannot_be_put_below_those_that_were_taken(database: MiniDB) -> None:
    history_of(database, 1, 3)
    with pytest.raises(MigrationError, match="step 2 has not been taken, and later ones have"):
        history_of(database, 1, 2, 3)


def test_a_step_that_was_taken_keeps_its_name(database: MiniDB) -> None:
    history_of(database, 1)
    migrations = Migrations()
    migrations.step(1)(split)
    with pytest.raises(MigrationError, match="was 'nothing_at_all' when it was taken"):
        migrations.status(database)


def test_steps_are_declared_with_care(database: MiniDB) -> None:
    migrations = Migrations()
    migrations.step(1)(nothing_at_all)
    for number in (1, 0, -1, True, "2"):
        with pytest.raises(UsageError):
            migrations.step(number)  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(UsageError, match="or neither"):
        migrations.step(2, table="t")
    with database.begin_transaction(), pytest.raises(UsageError, match="inside a transaction"):
        migrations.apply(database)
