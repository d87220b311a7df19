"""Tables that are opened with another schema than the one they are stored with."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.conftest import Reopen
from tests.api.consistency import check_consistency

from minidb import MiniDB, Row, where
from minidb.encoding.rows import schema_version_of
from minidb.exceptions import (
    IndexNotFoundError,
    ReadOnlyError,
    SchemaMismatchError,
    SchemaValidationError,
    TableExistsError,
    UniqueViolationError,
)
from minidb.schema import (
    BooleanField,
    EnumField,
    FloatField,
    IntegerField,
    ListField,
    Schema,
    StringField,
)

FIRST = Schema(name=StringField(required=True, max_length=5), age=IntegerField(index=True))
WIDER = Schema(
    name=StringField(required=True, max_length=50),
    age=IntegerField(index=True),
    city=StringField(default="Paris"),
    tags=ListField(StringField(), default=["new"]),
)


def stored_rows(database: MiniDB, table: str) -> list[bytes]:
    snapshot = database.engine.begin_read()
    try:
        space = database.catalog_of(snapshot).table(table).space
        return [data for page in snapshot.scan(space) for _, data in page]
    finally:
        snapshot.close()


def test_a_wider_schema_is_applied_and_no_row_is_written(database: MiniDB) -> None:
    people = database.table("people", FIRST)
    people.insert_many({"name": f"n{n}", "age": n} for n in range(20))
    before = stored_rows(database, "people")
    people = database.table("people", WIDER)
    assert stored_rows(database, "people") == before
    assert people.schema == WIDER
    assert people.query(3).columns == {"name": "n2", "age": 2, "city": "Paris", "tags": ["new"]}
    assert [row.id for row in people.find(city="Paris", age=7)] == [8]
    people.query(3).tags.append("mine")
    assert people.query(3).tags == people.query(4).tags == ["new"]
    assert people.update(3, age=30).city == "Paris"
    assert people.insert({"name": "much longer", "city": None}) == 21
    assert [row.age for row in people.find(where("age") >= 19).order_by("age")] == [19, 30]
    assert {schema_version_of(data) for data in stored_rows(database, "people")} == {1, 2}
    assert database.verify().ok


def test_an_old_row_has_the_default_of_when_the_field_was_new(database: MiniDB) -> None:
    table = database.table("t", Schema(a=IntegerField()))
    table.insert({"a": 1})
    database.table("t", Schema(a=IntegerField(), b=IntegerField(default=1)))
    table.insert({"a": 2})
    database.table("t", Schema(a=IntegerField(), b=IntegerField(default=2, index=True)))
    table.insert({"a": 3})
    assert [row.b for row in table] == [1, 1, 2]
    assert [row.a for row in table.find(b=1, require_index=True)] == [1, 2]


def test_the_default_of_a_new_enum_field_is_a_member(database: MiniDB) -> None:
    import enum

    class Plan(enum.Enum):
        FREE = "free"
        PAID = "paid"

    table = database.table("t", Schema(a=IntegerField()))
    table.insert({"a": 1})
    database.table("t", Schema(a=IntegerField(), plan=EnumField(Plan, default=Plan.FREE)))
    assert table.query(1).plan is Plan.FREE
    assert table.find(plan=Plan.FREE).one().id == 1


def test_a_renamed_field_keeps_its_values_and_indexes(database: MiniDB) -> None:
    people = database.table("people", FIRST)
    database.create_index("people", "name", "age", where=(where("name") > "n") & ~where("age").in_([3]))
    people.insert_many({"name": f"n{n}", "age": n} for n in range(10))
    renamed = Schema(
        years=IntegerField(index=True, renamed_from="age"),
        label=StringField(required=True, max_length=5, renamed_from=["title", "name"]),
    )
    for _ in range(2):  # the second time there is nothing to do
        people = database.table("people", renamed)
        assert people.query(4).columns == {"years": 3, "label": "n3"}
        assert people.find(years=4, require_index=True).one().label == "n4"
        assert [index.name for index in database.indexes("people")] == ["years", "label_years"]
        assert people.find(where("label") > "n", ~where("years").in_([3]), label="n5").count() == 1
        check_consistency(database)
    assert database.verify().ok


def test_fields_may_stand_in_another_order(database: MiniDB) -> None:
    table = database.table("t", Schema(a=IntegerField(), b=StringField()))
    table.insert({"a": 1, "b": "x"})
    database.table("t", Schema(b=StringField(), a=IntegerField()))
    assert table.query(1).columns == {"a": 1, "b": "x"}
    assert list(table.query(1).columns) == ["b", "a"]


def test_integers_become_floats_with_their_indexes(database: MiniDB) -> None:
    table = database.table("t", Schema(n=IntegerField(unique=True), m=IntegerField(index=True)))
    database.create_index("t", "m", "n", name="both", where=where("n") >= 5)
    table.insert_many({"n": n, "m": n % 3} for n in range(-5, 20))
    table.insert({})
    table = database.table("t", Schema(n=FloatField(unique=True), m=IntegerField(index=True)))
    check_consistency(database)
    assert type(table.query(1).n) is float
    assert table.find(n=7.0, require_index=True).one().m == 1
    assert table.find(where("n").between(6.5, 8.5), require_index=True).count() == 2
    with pytest.raises(UniqueViolationError):
        table.insert({"n": 7})
    table.insert({"n": 7.5, "m": 1})
    assert [row.n for row in table.find(where("n") >= 5, m=1).order_by("n")] == [7.0, 7.5, 10.0, 13.0, 16.0, 19.0]
    assert {index.name for index in database.indexes("t")} == {"n", "m", "both"}
    assert database.verify().ok


def test_integers_that_are_no_floats_stay(database: MiniDB) -> None:
    table = database.table("t", Schema(n=IntegerField(), m=IntegerField()))
    table.insert({"n": 2**53, "m": 2**60})
    database.table("t", Schema(n=FloatField(), m=FloatField()))  # both are floats as they stand
    database.drop_table("t")
    for number in (2**53 + 1, -(2**53) - 1, 10**400):
        table = database.table("t", Schema(n=IntegerField()))
        table.insert({"n": number})
        with pytest.raises(SchemaMismatchError) as refused:
            database.table("t", Schema(n=FloatField()))
        assert [(one.field, one.code) for one in refused.value.differences] == [("n", "rounded")]
        assert table.query(1).n == number
        database.drop_table("t")


def test_a_default_that_is_no_float_stays(database: MiniDB) -> None:
    table = database.table("t", Schema(a=IntegerField()))
    table.insert({"a": 1})
    grown = Schema(a=IntegerField(), n=IntegerField(default=2**53 + 1))
    database.table("t", grown)
    with pytest.raises(SchemaMismatchError) as refused:
        database.table("t", Schema(a=IntegerField(), n=FloatField()))
    assert [one.code for one in refused.value.differences] == ["rounded"]
    assert table.query(1).n == 2**53 + 1


def test_a_dropped_field_goes_with_its_index_and_never_comes_back(database: MiniDB) -> None:
    table = database.table("people", Schema(name=StringField(), secret=StringField(index=True), age=IntegerField()))
    table.insert({"name": "Ada", "secret": "x", "age": 36})
    without = Schema(name=StringField(), age=IntegerField())
    with pytest.raises(SchemaMismatchError, match="stored but not given") as refused:
        database.table("people", without)
    assert "drop_fields=['secret']" in str(refused.value)
    for _ in range(2):
        table = database.table("people", without, drop_fields=["secret"])
        assert table.query(1).columns == {"name": "Ada", "age": 36}
    assert database.indexes("people") == []
    again = Schema(name=StringField(), age=IntegerField(), secret=StringField(index=True))
    assert database.table("people", again).query(1).secret is None
    check_consistency(database)


def test_a_field_that_another_index_uses_is_not_dropped(database: MiniDB) -> None:
    database.table("t", Schema(a=IntegerField(), b=IntegerField()))
    database.create_index("t", "a", "b")
    database.create_index("t", "a", name="some", where=where("b") > 1)
    with pytest.raises(SchemaMismatchError) as refused:
        database.table("t", Schema(a=IntegerField()), drop_fields=["b"])
    assert [(one.field, one.code) for one in refused.value.differences] == [("b", "indexed")] * 2
    assert "db.drop_index('t', 'a_b')" in str(refused.value)
    database.drop_index("t", "a_b")
    database.drop_index("t", "some")
    database.table("t", Schema(a=IntegerField()), drop_fields=["b"])


def test_a_schema_may_ask_for_an_index_later(database: MiniDB) -> None:
    table = database.table("t", Schema(a=IntegerField(), b=IntegerField()))
    table.insert_many({"a": n, "b": n % 2} for n in range(50))
    for _ in range(2):
        database.table("t", Schema(a=IntegerField(unique=True), b=IntegerField(index=True)))
        assert [(index.name, index.unique) for index in database.indexes("t")] == [("a", True), ("b", False)]
        assert table.find(b=1, require_index=True).count() == 25
    with pytest.raises(UniqueViolationError):
        table.insert({"a": 7})
    database.table("t", Schema(a=IntegerField(), b=IntegerField()))  # an index goes by drop_index only
    assert len(database.indexes("t")) == 2
    table.insert({"a": 50})


def test_a_unique_index_that_the_rows_refuse_leaves_all_as_it_was(database: MiniDB) -> None:
    table = database.table("t", Schema(a=IntegerField()))
    table.insert_many([{"a": 1}, {"a": 1}])
    with pytest.raises(UniqueViolationError):
        database.table("t", Schema(a=IntegerField(unique=True)))
    assert database.indexes("t") == []
    table.insert({"a": 1})


def test_what_is_refused_changes_nothing(database: MiniDB) -> None:
    people = database.table("people", FIRST)
    people.insert({"name": "Ada", "age": 36})
    with pytest.raises(SchemaMismatchError) as refused:
        database.table("people", Schema(name=StringField(max_length=2), age=StringField(), city=StringField()))
    found = [(one.field, one.code) for one in refused.value.differences]
    assert found == [("name", "tightened"), ("age", "type")]
    assert people.schema == FIRST
    assert people.query(1).columns == {"name": "Ada", "age": 36}
    people.insert({"name": "Bob"})


def test_create_table_changes_no_schema(database: MiniDB) -> None:
    database.table("people", FIRST)
    with pytest.raises(TableExistsError):
        database.create_table("people", WIDER)
    assert database.create_table("people", WIDER, if_not_exists=True).schema == WIDER


def test_a_table_without_a_schema_is_not_given_one(database: MiniDB) -> None:
    database.create_table("any").insert({"a": 1})
    with pytest.raises(SchemaMismatchError) as refused:
        database.table("any", Schema(a=IntegerField()))
    assert [one.code for one in refused.value.differences] == ["schema"]


def test_a_change_is_undone_with_its_transaction(database: MiniDB) -> None:
    people = database.table("people", FIRST)
    people.insert({"name": "Ada", "age": 36})
    with pytest.raises(ValueError, match="undo"), database.begin_transaction():
        people = database.table("people", WIDER)
        people.insert({"name": "a longer name", "city": "Rome"})
        assert [row.city for row in people] == ["Paris", "Rome"]
        raise ValueError("undo")
    assert people.schema == FIRST
    with pytest.raises(SchemaValidationError):
        people.insert({"name": "a longer name"})
    people.insert({"name": "Bob"})
    database.table("people", WIDER)
    assert people.query(1).city == "Paris"


def test_many_changes_one_after_the_other(database: MiniDB) -> None:
    fields: dict[str, Any] = {"a": IntegerField()}
    table = database.table("t", Schema(fields))
    for n in range(12):
        table.insert({"a": n})
        fields = {f"f{n}": IntegerField(default=n, index=n % 4 == 0), **fields}
        database.table("t", Schema(fields))
    assert [row.a for row in table] == list(range(12))
    assert all(row[f"f{n}"] == n for row in table for n in range(12))
    assert table.find(f8=8, require_index=True).count() == 12
    assert database.verify().ok


def test_rows_of_many_versions_are_read_in_pages_and_by_id(database: MiniDB) -> None:
    table = database.table("t", Schema(a=IntegerField(primary_key=True)))
    table.insert_many({"a": n} for n in range(500))
    database.table("t", Schema(a=IntegerField(primary_key=True), b=IntegerField(default=5)))
    for n in range(0, 500, 7):
        table.update(n, b=6)
    expected = [6 if n % 7 == 0 else 5 for n in range(500)]
    assert [row.b for row in table] == expected
    assert [row.b for row in table.get_many(range(500)) if row is not None] == expected
    assert [row.b for row in table.scan(reverse=True)] == expected[::-1]
    assert table.find(b=6).count() == 72
    assert table.find(b=5).sum("a") == sum(n for n in range(500) if n % 7)
    assert [(row.id, row.a) for row in table.find(b=5).order_by("-a").limit(2)] == [(499, 499), (498, 498)]


def test_old_rows_are_updated_replaced_and_deleted(database: MiniDB) -> None:
    table = database.table("t", Schema(a=IntegerField(unique=True)))
    table.insert_many({"a": n} for n in range(10))
    database.table("t", Schema(b=BooleanField(default=True, index=True), a=IntegerField(unique=True)))
    table.update(1, b=False)
    table.replace(2, {"a": 100})
    table.delete(3)
    table.find(where("a").between(8, 9)).delete()
    table.find(where("a") == 7).update(b=None)
    assert table.find(b=True, require_index=True).count() == 5
    assert [row.a for row in table] == [0, 100, 3, 4, 5, 6, 7]
    check_consistency(database)


@pytest.fixture
def two_programs(database_path: Path) -> Iterator[tuple[MiniDB, MiniDB]]:
    with MiniDB(database_path, durability="none") as old, MiniDB(database_path, durability="none") as new:
        old.table("people", FIRST).insert({"name": "Ada", "age": 36})
        yield old, new
        check_consistency(new)


def test_a_program_with_the_old_schema_reads_on_and_writes_no_more(two_programs: tuple[MiniDB, MiniDB]) -> None:
    old, new = two_programs
    theirs = old.get_table("people")
    ours = new.table("people", WIDER)
    user_id = ours.insert({"name": "a longer name"})
    assert theirs.query(user_id).name == "a longer name"
    assert theirs.find(age=36).one().city == "Paris"
    writes: list[Callable[[], object]] = [
        lambda: theirs.insert({"name": "Bob"}),
        lambda: theirs.insert_many([{"name": "Bob"}]),
        lambda: theirs.update(1, age=1),
        lambda: theirs.replace(1, {"name": "Bob"}),
        lambda: theirs.upsert({"name": "Bob"}),
        lambda: theirs.delete(1),
        lambda: theirs.delete_many([1]),
        lambda: theirs.find(age=36).delete(),
        lambda: theirs.find(age=36).update(age=1),
        theirs.clear,
    ]
    for write in writes:
        with pytest.raises(SchemaMismatchError, match="may only read it") as refused:
            write()
        assert refused.value.table == "people"
        assert refused.value.hint is not None
        with pytest.raises(SchemaMismatchError), old.begin_transaction():
            write()
    assert ours.count() == 2
    old.table("people", WIDER)
    assert theirs.update(1, city="Rome").city == "Rome"


def test_a_program_that_is_begun_with_the_old_schema_may_read(
    two_programs: tuple[MiniDB, MiniDB], database_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, new = two_programs
    new.table("people", WIDER)
    with MiniDB(database_path, durability="none") as another:
        people = another.table("people", FIRST)
        assert "may only read it" in caplog.text
        assert people.query(1).city == "Paris"
        with pytest.raises(SchemaMismatchError):
            people.insert({"name": "Bob"})
    new.get_table("people").insert({"name": "Bob"})


def test_a_program_in_the_middle_of_a_transaction_commits_what_it_began(
    two_programs: tuple[MiniDB, MiniDB],
) -> None:
    old, new = two_programs
    with old.begin_transaction(read_only=True):
        new.table("people", WIDER)
        assert old.get_table("people").query(1).columns == {"name": "Ada", "age": 36}
    assert old.get_table("people").query(1).city == "Paris"


def test_what_old_processes_may_do_is_the_same(database_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys
        from minidb import MiniDB
        from minidb.exceptions import SchemaMismatchError
        from minidb.schema import IntegerField, Schema, StringField
        db = MiniDB(sys.argv[1], durability="none")
        people = db.table("people", Schema(name=StringField(required=True, max_length=5), age=IntegerField(index=True)))
        print(people.insert({"name": "Bob"}), flush=True)
        sys.stdin.readline()
        print([row.name for row in people], flush=True)
        try:
            people.insert({"name": "Eve"})
        except SchemaMismatchError as error:
            print(error.table)
        """
    )
    with MiniDB(database_path, durability="none") as database:
        database.table("people", FIRST).insert({"name": "Ada"})
        with subprocess.Popen(
            [sys.executable, "-c", program, database_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stdout.readline() == "2\n"
            database.table("people", WIDER).insert({"name": "a longer name"})
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.read() == "['Ada', 'Bob', 'a longer name']\npeople\n"
        assert child.returncode == 0
        check_consistency(database)


def test_a_changed_schema_is_there_after_reopening(reopen: Reopen) -> None:
    people = reopen().table("people", FIRST)
    people.insert({"name": "Ada", "age": 36})
    reopen().table("people", WIDER)
    database = reopen()
    assert database.get_table("people").schema == WIDER
    assert database.get_table("people").query(1) == Row(name="Ada", age=36, city="Paris", tags=["new"])
    database.get_table("people").insert({"name": "a longer name"})
    assert database.verify().ok


def test_a_read_only_database_is_not_changed(database_path: Path) -> None:
    with MiniDB(database_path) as database:
        database.table("people", FIRST)
    with MiniDB(database_path, read_only=True) as database, pytest.raises(ReadOnlyError):
        database.table("people", WIDER)


def test_a_dump_and_a_backup_hold_a_changed_table(database: MiniDB, tmp_path: Path) -> None:
    people = database.table("people", FIRST)
    people.insert({"name": "Ada", "age": 36})
    database.table("people", WIDER)
    people.insert({"name": "a longer name", "tags": None})
    expected = [row.columns for row in people]
    database.dump(tmp_path / "dump")
    MiniDB.load(tmp_path / "dump", tmp_path / "loaded")
    database.backup(tmp_path / "backup")
    MiniDB.restore(tmp_path / "backup", tmp_path / "restored")
    for copy in ("loaded", "restored"):
        with MiniDB(tmp_path / copy) as again:
            assert [row.columns for row in again.table("people", WIDER)] == expected
            assert again.verify().ok
            again.dump(tmp_path / f"{copy} again")
            assert (tmp_path / f"{copy} again").read_bytes() == (tmp_path / "dump").read_bytes()


def test_an_index_of_a_renamed_field_is_asked_for_by_its_new_name(database: MiniDB) -> None:
    database.table("t", Schema(a=IntegerField(index=True)))
    table = database.table("t", Schema(b=IntegerField(index=True, renamed_from="a")))
    assert database.query_by_index("t", "b", 1) == []
    with pytest.raises(IndexNotFoundError):
        database.query_by_index("t", "a", 1)
    database.table("t", Schema(b=IntegerField(), a=IntegerField(index=True)))
    assert [index.name for index in database.indexes("t")] == ["b", "a"]
    assert table.count() == 0


DYING = """
import os, signal, sys
from minidb import MiniDB
from minidb.schema import FloatField, IntegerField, Schema, StringField

die_at, begun = int(sys.argv[2]), 0
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
        for name in ("commit", "put_many", "create_space", "drop_space"):
            setattr(transaction, name, dying(getattr(transaction, name)))
        return transaction
    db.engine.begin_write = begin_write
    new = Schema(m=FloatField(index=True, renamed_from="n"), x=StringField(default="y", index=True))
    db.table("t", new, drop_fields=["gone"])
"""


@pytest.mark.slow
def test_a_program_that_is_killed_anywhere_in_a_change_loses_nothing(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        old = Schema(n=IntegerField(index=True), gone=StringField(index=True))
        database.table("t", old).insert_many({"n": n, "gone": "g"} for n in range(50))
    before = [{"n": n, "gone": "g"} for n in range(50)]
    after = [{"m": float(n), "x": "y"} for n in range(50)]
    died = 0
    while True:
        program = subprocess.run(
            [sys.executable, "-c", DYING, database_path, str(died + 1)], capture_output=True, text=True, check=False
        )
        with MiniDB(database_path, durability="none") as database:
            check_consistency(database)
            assert database.verify().ok
            table = database.get_table("t")
            rows = [row.columns for row in table]
            assert rows in (before, after)
            if program.returncode == 0:
                assert rows == after
                assert table.find(m=7.0, x="y", require_index=True).count() == 1
                break
        assert program.returncode == -signal.SIGKILL, program.stderr
        died += 1
    assert died > 5
