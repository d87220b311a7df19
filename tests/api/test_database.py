"""The database: opening and closing it, and its tables and indexes as a program sees them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.api.conftest import ONE_WRITER

from minidb import Index, MiniDB, Row
from minidb.encoding.rows import encode_document
from minidb.engines.port import CATALOG, ReadTransaction
from minidb.exceptions import (
    CorruptionError,
    DatabaseClosedError,
    EngineUnavailableError,
    IndexExistsError,
    IndexNotFoundError,
    InvalidOptionError,
    ReadOnlyError,
    SchemaDefinitionError,
    SchemaMismatchError,
    SchemaValidationError,
    StorageFullError,
    TableExistsError,
    TableNotFoundError,
    UniqueViolationError,
    UnsupportedFormatError,
    WriteTimeoutError,
)
from minidb.schema import EnumField, IntegerField, JSONField, Schema, StringField
from minidb.tables import catalog

Result = TypeVar("Result")

PEOPLE = Schema(name=StringField(required=True), age=IntegerField(min_value=0))


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


def not_empty(value: str) -> bool:
    return bool(value)


CHECKED = Schema(name=StringField(validators=[not_empty]), colour=EnumField(Colour))


def in_thread(function: Callable[[], Result]) -> Result:
    """Return what a function returns in a thread of its own."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function).result(timeout=30)


def in_process(path: Path, script: str) -> str:
    """Return what another process, which has the database of a folder open as ``db``, prints."""
    source = "import sys\nfrom minidb import MiniDB, Row\nfrom minidb.schema import *\ndb = MiniDB(sys.argv[1])\n"
    done = subprocess.run(
        [sys.executable, "-c", source + textwrap.dedent(script), str(path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


# --- options ----------------------------------------------------------------------------------------------------------

BAD_OPTIONS: list[tuple[str, Any]] = [
    *[("max_connections", bad) for bad in (0, -1, 2.0, True, "10", None)],
    *[("pool_timeout_s", bad) for bad in (-1, float("nan"), float("inf"), True, "1", None)],
    *[("write_timeout_s", bad) for bad in (-0.1, float("nan"), float("inf"), False, "1", None)],
    *[("durability", bad) for bad in ("", "FULL", None, 1, True)],
    *[("max_size_bytes", bad) for bad in (0, 1000, -(2**20), 2.0**30, True, "1 GB")],
    *[("slow_query_ms", bad) for bad in (-1, float("nan"), "1", True)],
]


@pytest.mark.parametrize(("option", "bad"), BAD_OPTIONS)
def test_an_option_that_cannot_be_is_named_and_nothing_is_made(
    location: str, database_path: Path, option: str, bad: Any
) -> None:
    with pytest.raises(InvalidOptionError, match=option) as refused:
        MiniDB(location, **{option: bad})
    assert refused.value.option == option
    assert not database_path.exists()


def test_options_that_are_given_are_kept(location: str) -> None:
    given: dict[str, Any] = {
        "max_connections": 1,
        "pool_timeout_s": 0,
        "write_timeout_s": 1.5,
        "durability": "relaxed",
        "max_size_bytes": 2**24,
        "slow_query_ms": 0,
        "allow_network_file_system": True,
    }
    with MiniDB(location, **given) as database:
        assert {name: getattr(database.options, name) for name in given} == given
        with pytest.raises(AttributeError):
            database.options.max_connections = 2  # type: ignore[misc]  # frozen: that is what is tested


def test_an_unknown_option_is_refused(location: str) -> None:
    with pytest.raises(TypeError, match="max_conections"):
        MiniDB(location, max_conections=2)  # type: ignore[call-arg]  # wrong on purpose


@pytest.mark.parametrize("path", ["", "with\0nul"])
def test_a_path_that_cannot_be_is_refused(path: str) -> None:
    with pytest.raises(InvalidOptionError) as refused:
        MiniDB(path)
    assert refused.value.option == "path"


@pytest.mark.parametrize("kind", ["sqlite", "http", "mysql+driver"])
def test_a_url_is_refused_and_its_password_never_shown(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    with pytest.raises(InvalidOptionError) as refused:
        MiniDB(f"{kind}://user:s3cret@host:5432/name?password=s3cret")
    error = refused.value
    shown = [str(error), repr(error), repr(error.facts), repr(error.__cause__), repr(error.__context__), caplog.text]
    assert "s3cret" not in "".join(shown)
    assert kind in str(error)


# --- opening ----------------------------------------------------------------------------------------------------------


def test_a_database_is_made_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "parent" / "database"
    with MiniDB(path) as database:
        assert database.location == str(path)
        assert database.table_names() == []
    assert path.stat().st_mode & 0o777 == 0o700


def test_a_path_may_be_text_or_a_path_and_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with MiniDB("relative") as one, MiniDB(tmp_path / "relative") as two:
        one.create_table("t")
        assert two.table_names() == ["t"]


@pytest.mark.parametrize("options", [{"create": False}, {"read_only": True}, {"create": False, "read_only": True}])
def test_a_database_that_is_not_there_is_not_made_where_that_is_forbidden(
    database_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(EngineUnavailableError, match="no database") as refused:
        MiniDB(database_path, **options)
    assert str(database_path) in str(refused.value)
    assert not database_path.exists()


def test_a_file_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(EngineUnavailableError, match="is a file"):
        MiniDB(tmp_path / "file")


def test_a_database_of_a_newer_format_is_refused_and_let_go_of(
    database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(catalog, "FORMAT", 2)
        patch.setattr(catalog, "initialise", _initialise_as(2))
        MiniDB(database_path).close()
    for _ in range(2):
        with pytest.raises(UnsupportedFormatError, match="format 2") as refused:
            MiniDB(database_path)
        assert isinstance(refused.value, CorruptionError)
        assert "newer MiniDB" in str(refused.value)


def _initialise_as(number: int) -> Callable[..., None]:
    initialise = catalog.initialise

    def initialise_newer(transaction: Any, created_by: str) -> None:
        initialise(transaction, created_by)
        document = encode_document({"format": number, "created_by": created_by})
        transaction.put_many(CATALOG, {catalog._FORMAT_KEY: document})

    return initialise_newer


def test_a_database_in_memory_is_each_opens_own() -> None:
    with MiniDB(":memory:") as one, MiniDB(":memory:") as two:
        one.create_table("t")
        assert two.table_names() == []


def test_closing_one_of_two_opens_leaves_the_other(database_path: Path) -> None:
    one, two = MiniDB(database_path), MiniDB(database_path)
    table = one.create_table("t")
    table.insert(Row(n=1))
    one.close()
    with pytest.raises(DatabaseClosedError):
        table.count()
    assert two.get_table("t").count() == 1
    two.get_table("t").insert(Row(n=2))
    two.close()
    with MiniDB(database_path) as again:
        assert again.get_table("t").count() == 2


def test_a_second_open_with_another_durability_is_refused(database_path: Path) -> None:
    with MiniDB(database_path, durability="none"):
        with pytest.raises(InvalidOptionError) as refused:
            MiniDB(database_path, durability="full")
        assert refused.value.option == "durability"
        MiniDB(database_path, durability="full", read_only=True).close()


def test_many_threads_may_open_and_close_at_once(database_path: Path) -> None:
    def work(number: int) -> None:
        for _ in range(5):
            with MiniDB(database_path, durability="none") as database:
                database.table("t").insert(Row(n=number))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    with MiniDB(database_path) as database:
        assert database.get_table("t").count() == 30


# --- closing ----------------------------------------------------------------------------------------------------------


def test_close_may_be_called_again(location: str) -> None:
    database = MiniDB(location)
    is_closed = [database.closed]
    for _ in range(2):
        database.close()
        is_closed.append(database.closed)
    assert is_closed == [False, True, True]
    assert repr(database).endswith("closed>")


def test_a_block_closes_the_database_also_when_it_raises(location: str) -> None:
    with pytest.raises(ValueError, match="wrong"), MiniDB(location) as database:
        assert repr(database) == f"<MiniDB at {database.location!r}>"
        raise ValueError("wrong")
    assert database.closed


def test_every_method_of_a_closed_database_says_so(location: str) -> None:
    database = MiniDB(location)
    table = database.create_table("t")
    row_id = table.insert(Row(n=1))
    database.close()
    calls: list[Callable[[], object]] = [
        lambda: database.create_table("more"),
        lambda: database.create_table("t", if_not_exists=True),
        lambda: database.table("t"),
        lambda: database.table("t", PEOPLE),
        lambda: database.get_table("t"),
        lambda: database.drop_table("t"),
        lambda: database.rename_table("t", "u"),
        database.table_names,
        lambda: "t" in database,
        lambda: database.create_index("t", "n"),
        lambda: database.drop_index("t", "n"),
        lambda: database.indexes("t"),
        lambda: database.query_by_index("t", "n", 1),
        database.begin_transaction,
        lambda: database.begin_transaction(read_only=True),
        lambda: database.run(lambda: None),
        database.transactional(lambda: None),
        database.stats,
        database.__enter__,
        database.connection_pool.get_connection().__enter__,
        lambda: table.insert(Row(n=1)),
        lambda: table.insert_many([Row(n=1)]),
        lambda: table.query(row_id),
        lambda: table.get(row_id),
        lambda: table.get_many([row_id]),
        lambda: table.update(row_id, n=2),
        lambda: table.delete(row_id),
        table.count,
        table.clear,
        lambda: list(table.scan()),
        lambda: table[row_id],
        lambda: row_id in table,
        lambda: table.schema,
    ]
    for call in calls:
        with pytest.raises(DatabaseClosedError, match="is closed"):
            call()


def test_what_does_not_ask_the_store_works_on_a_closed_database(location: str) -> None:
    with MiniDB(location) as database:
        table = database.create_table("t")
        name = database.location
    assert (database.location, table.name, database.current_transaction()) == (name, "t", None)
    assert database.connection_pool.stats()["pool_size"] == 0


# --- read-only --------------------------------------------------------------------------------------------------------


@pytest.fixture
def read_only(database_path: Path) -> Iterator[MiniDB]:
    """A read-only database with a table ``people``, an index and a row."""
    with MiniDB(database_path) as database:
        database.create_table("people", PEOPLE).insert(Row(name="Ada", age=36))
        database.create_index("people", "name")
    with MiniDB(database_path, read_only=True) as database:
        yield database


def test_a_read_only_database_refuses_every_write(read_only: MiniDB) -> None:
    people = read_only.get_table("people")
    writes: list[Callable[[], object]] = [
        lambda: people.insert(Row(name="Eve")),
        lambda: people.insert_many([Row(name="Eve")]),
        lambda: people.update(1, age=1),
        lambda: people.replace(1, Row(name="Eve")),
        lambda: people.upsert(Row(name="Eve")),
        lambda: people.delete(1),
        lambda: people.delete_many([1]),
        people.clear,
        lambda: read_only.create_table("more"),
        lambda: read_only.table("more"),
        lambda: read_only.drop_table("people"),
        lambda: read_only.rename_table("people", "persons"),
        lambda: read_only.create_index("people", "age"),
        lambda: read_only.drop_index("people", "name"),
        read_only.begin_transaction,
        lambda: read_only.run(lambda: None),
    ]
    for write in writes:
        with pytest.raises(ReadOnlyError, match="read-only"):
            write()
    assert [row.name for row in people.scan()] == ["Ada"]


def test_a_read_only_database_answers_every_question(read_only: MiniDB) -> None:
    assert read_only.table_names() == ["people"]
    assert [index.name for index in read_only.indexes("people")] == ["name"]
    assert [row.age for row in read_only.query_by_index("people", "name", "Ada")] == [36]
    with read_only.begin_transaction(read_only=True):
        assert read_only.get_table("people").query(1).name == "Ada"
    assert read_only.table("people", PEOPLE).count() == 1
    assert read_only.stats()["tables"] == {"people": 1}


def test_a_read_only_database_sees_what_others_write(read_only: MiniDB, database_path: Path) -> None:
    with MiniDB(database_path) as writer:
        writer.get_table("people").insert(Row(name="Eve"))
        writer.create_table("more")
        assert read_only.get_table("people").count() == 2
        assert read_only.table_names() == ["more", "people"]


def test_a_read_only_database_in_memory_is_empty() -> None:
    with MiniDB(":memory:", read_only=True) as database:
        assert database.table_names() == []
        with pytest.raises(TableNotFoundError):
            database.get_table("t")


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_table_is_made_found_and_named(database: MiniDB) -> None:
    made = database.create_table("people", PEOPLE)
    made.insert(Row(name="Ada", age=36))
    for table in (database.get_table("people"), database.table("people"), database.table("people", PEOPLE)):
        assert (table.name, table.schema, table.count()) == ("people", PEOPLE, 1)
    assert database.table("more").schema is None
    assert database.table_names() == ["more", "people"]
    assert "people" in database
    assert "nobody" not in database
    assert 7 not in database


@pytest.mark.parametrize("name", ["nobody", "", None, 7, ["list"]])
def test_a_table_that_is_missing_is_named_with_those_that_are_there(database: MiniDB, name: Any) -> None:
    database.create_table("people")
    for call in (
        database.get_table,
        database.drop_table,
        database.indexes,
        lambda one: database.create_index(one, "n"),
    ):
        with pytest.raises(TableNotFoundError, match="'people'") as refused:
            call(name)
        assert refused.value.table == name


def test_making_a_table_twice_is_refused(database: MiniDB) -> None:
    database.create_table("people", PEOPLE)
    for schema in (PEOPLE, None, CHECKED):
        with pytest.raises(TableExistsError, match="already a table named 'people'") as refused:
            database.create_table("people", schema)
        assert refused.value.table == "people"
        assert "if_not_exists" in str(refused.value)


def test_making_a_table_if_it_is_not_there_returns_the_one_that_is(database: MiniDB) -> None:
    database.create_table("people", PEOPLE).insert(Row(name="Ada"))
    assert database.create_table("people", PEOPLE, if_not_exists=True).count() == 1
    assert database.create_table("people", if_not_exists=True).schema == PEOPLE


def test_a_script_can_be_run_again(database_path: Path) -> None:
    for run in range(3):
        with MiniDB(database_path) as database:
            table = database.create_table("people", PEOPLE)
            database.create_index("people", "name", "age")
            assert table.count() == run
            table.insert(Row(name="Ada", age=run))
            with pytest.raises(TableExistsError):
                database.create_table("people", PEOPLE)
            with pytest.raises(IndexExistsError):
                database.create_index("people", "name", "age")


def test_a_script_with_another_schema_is_refused(database_path: Path) -> None:
    with MiniDB(database_path) as database:
        database.create_table("people", PEOPLE)
    with MiniDB(database_path) as database:
        for schema in (CHECKED, None):
            with pytest.raises(TableExistsError):
                database.create_table("people", schema)
        assert database.create_table("people", PEOPLE).schema == PEOPLE


def test_what_was_made_in_a_transaction_that_was_undone_was_not_made(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as one, MiniDB(database_path, durability="none") as two:
        with pytest.raises(ValueError, match="undo"), one.begin_transaction():
            one.create_table("people", PEOPLE)
            with pytest.raises(TableExistsError):
                one.create_table("people", PEOPLE)
            raise ValueError("undo")
        two.create_table("people", PEOPLE)
        assert one.create_table("people", PEOPLE).count() == 0


def test_what_was_dropped_in_a_transaction_that_was_undone_is_still_known_as_made(database: MiniDB) -> None:
    database.create_table("people", PEOPLE)
    with pytest.raises(ValueError, match="undo"), database.begin_transaction():
        database.drop_table("people")
        raise ValueError("undo")
    with pytest.raises(TableExistsError):
        database.create_table("people", PEOPLE)


def test_a_table_may_be_made_again_after_it_was_dropped_or_renamed(database: MiniDB) -> None:
    database.create_table("people", PEOPLE).insert(Row(name="Ada"))
    database.rename_table("people", "persons")
    database.create_table("people", PEOPLE)
    database.drop_table("people")
    assert database.create_table("people").count() == 0
    with pytest.raises(TableExistsError):
        database.create_table("persons", PEOPLE)


def test_a_mismatch_lists_every_difference(database: MiniDB) -> None:
    database.create_table("people", PEOPLE)
    given = Schema(age=IntegerField(min_value=18), city=StringField(required=True))
    calls: list[Callable[[], object]] = [
        lambda: database.table("people", given),
        lambda: database.create_table("people", given, if_not_exists=True),
    ]
    for call in calls:
        with pytest.raises(SchemaMismatchError) as refused:
            call()
        assert refused.value.table == "people"
        found = {(one.field, one.code) for one in refused.value.differences}
        assert found == {("name", "missing"), ("age", "tightened"), ("city", "required")}
        assert all(one.message in str(refused.value) for one in refused.value.differences)
        assert all(one.hint in str(refused.value) for one in refused.value.differences)


def test_a_table_without_a_schema_mismatches_one_with(database: MiniDB) -> None:
    database.create_table("any")
    with pytest.raises(SchemaMismatchError, match="takes any columns"):
        database.table("any", PEOPLE)


def test_a_rename_keeps_rows_and_indexes_and_leaves_the_old_handle_without_a_table(database: MiniDB) -> None:
    people = database.create_table("people", PEOPLE)
    people.insert(Row(name="Ada", age=36))
    database.create_index("people", "name")
    database.rename_table("people", "persons")
    assert database.table_names() == ["persons"]
    assert [row.age for row in database.query_by_index("persons", "name", "Ada")] == [36]
    for call in (people.count, lambda: people.insert(Row(name="Eve")), lambda: list(people.scan())):
        with pytest.raises(TableNotFoundError, match="'people'"):
            call()


def test_a_rename_to_a_name_that_is_taken_is_refused(database: MiniDB) -> None:
    database.create_table("one")
    database.create_table("two")
    with pytest.raises(TableExistsError):
        database.rename_table("one", "two")
    with pytest.raises(TableExistsError):
        database.rename_table("one", "one")
    with pytest.raises(TableNotFoundError):
        database.rename_table("three", "four")
    assert database.table_names() == ["one", "two"]


def test_a_drop_takes_rows_and_indexes_and_leaves_handles_without_a_table(database: MiniDB) -> None:
    people = database.create_table("people", PEOPLE)
    first = people.insert(Row(name="Ada", age=36))
    database.create_index("people", "name")
    scan = people.scan()
    next(scan)
    database.drop_table("people")
    assert "people" not in database
    for call in (lambda: people.get(first), people.clear, lambda: database.query_by_index("people", "name", "Ada")):
        with pytest.raises(TableNotFoundError):
            call()
    assert list(scan) == []  # of the snapshot that it began on
    again = database.create_table("people", PEOPLE)
    assert people.count() == again.count() == 0
    assert database.indexes("people") == []


@pytest.mark.parametrize(
    "name", ["plain", "with blanks", "Ünïcödé", "表", "🦆", 'quo"te', "a/b\\c", "x" * 255, "é" * 255]
)
def test_names_may_be_any_printable_text(database: MiniDB, name: str) -> None:
    database.create_table(name, PEOPLE).insert(Row(name="Ada"))
    index = database.create_index(name, "name", name=name)
    assert (index.name, database.table_names(), name in database) == (name, [name], True)
    assert len(database.query_by_index(name, name, "Ada")) == 1


@pytest.mark.parametrize(
    "name", ["", "a\0b", "line\nfeed", "tab\t", "\x7f", "\ud800", "x" * 256, "x" * 300, None, 7, b"x"]
)
def test_names_that_cannot_be_are_refused(database: MiniDB, name: Any) -> None:
    database.create_table("t", PEOPLE)
    for call in (
        lambda: database.create_table(name),
        lambda: database.table(name),
        lambda: database.rename_table("t", name),
    ):
        with pytest.raises(SchemaDefinitionError, match="name of a table"):
            call()
    if name is not None:
        with pytest.raises(SchemaDefinitionError, match=r"name of an? index"):
            database.create_index("t", "name", name=name)
    assert database.table_names() == ["t"]
    assert database.indexes("t") == []


# --- schemas with code ------------------------------------------------------------------------------------------------


def test_validators_and_enums_work_where_the_schema_was_given(database_path: Path) -> None:
    with MiniDB(database_path) as database:
        database.create_table("t", CHECKED).insert(Row(name="Ada", colour=Colour.RED))
    with MiniDB(database_path) as database:
        table = database.get_table("t")
        assert table.query(1).colour == "red"
        for table in (database.table("t", CHECKED), database.create_table("t", CHECKED)):
            assert table.query(1).colour is Colour.RED
            with pytest.raises(SchemaValidationError):
                table.insert(Row(name="", colour=Colour.RED))


def test_schemas_that_threads_give_at_once_are_all_kept(database_path: Path) -> None:
    names = [f"t{number}" for number in range(8)]
    with MiniDB(database_path, durability="none") as database:
        for name in names:
            database.create_table(name, CHECKED)
    for _ in range(5):
        with MiniDB(database_path, durability="none") as database:
            meet = threading.Barrier(len(names), timeout=30)

            def give(name: str, database: MiniDB = database, meet: threading.Barrier = meet) -> None:
                meet.wait()
                database.create_table(name, CHECKED)

            with ThreadPoolExecutor(len(names)) as threads:
                list(threads.map(give, names))
            for name in names:
                with pytest.raises(SchemaValidationError):
                    database.get_table(name).insert(Row(name=""))


@ONE_WRITER
def test_giving_a_schema_again_waits_for_no_writer(location: str) -> None:
    with MiniDB(location, durability="none", write_timeout_s=0) as database:
        database.create_table("t", CHECKED)
        with database.begin_transaction():
            assert in_thread(lambda: database.table("t", CHECKED)).count() == 0
            with pytest.raises(WriteTimeoutError):
                in_thread(lambda: database.table("more", CHECKED))


# --- changes of tables in transactions --------------------------------------------------------------------------------


def test_tables_and_indexes_made_in_a_transaction_are_seen_when_it_commits(database: MiniDB) -> None:
    with database.begin_transaction():
        people = database.create_table("people", PEOPLE)
        people.insert(Row(name="Ada", age=36))
        database.create_index("people", "name")
        assert len(database.query_by_index("people", "name", "Ada")) == 1
        assert database.table_names() == ["people"]
        assert in_thread(database.table_names) == []
        with pytest.raises(TableNotFoundError):
            in_thread(people.count)
    assert in_thread(database.table_names) == ["people"]
    assert in_thread(lambda: len(database.query_by_index("people", "name", "Ada"))) == 1


def test_every_change_of_tables_is_undone_by_a_rollback(database: MiniDB) -> None:
    people = database.create_table("people", PEOPLE)
    people.insert(Row(name="Ada", age=36))
    database.create_index("people", "name")
    database.create_table("dropped").insert(Row(n=1))
    database.create_table("renamed").insert(Row(n=2))
    transaction = database.begin_transaction()
    database.create_table("made", PEOPLE).insert(Row(name="Eve"))
    database.drop_table("dropped")
    database.rename_table("renamed", "dropped")
    database.create_index("people", "age", unique=True)
    database.drop_index("people", "name")
    people.insert(Row(name="Eve", age=1))
    assert database.table_names() == ["dropped", "made", "people"]
    transaction.rollback()
    assert database.table_names() == ["dropped", "people", "renamed"]
    assert [database.get_table(name).query(1).n for name in ("dropped", "renamed")] == [1, 2]
    assert [index.name for index in database.indexes("people")] == ["name"]
    assert len(database.query_by_index("people", "name", "Ada")) == 1
    assert people.count() == 1


def test_a_savepoint_undoes_its_own_changes_of_tables(database: MiniDB) -> None:
    with database.begin_transaction():
        outer = database.create_table("outer")
        with pytest.raises(ValueError, match="undo"), database.begin_transaction():
            database.create_table("inner", CHECKED).insert(Row(name="Ada"))
            database.create_index("outer", "n")
            outer.insert(Row(n=1))
            raise ValueError("undo")
        assert database.table_names() == ["outer"]
        assert database.indexes("outer") == []
        outer.insert(Row(n=2))
        database.create_table("inner", PEOPLE).insert(Row(name="Eve", age=1))
    assert [row.n for row in outer.scan()] == [2]
    assert database.get_table("inner").schema == PEOPLE


def test_a_change_that_fails_leaves_the_transaction_as_it_was(database: MiniDB) -> None:
    table = database.create_table("t")
    with database.begin_transaction():
        table.insert(Row(n=1))
        table.insert(Row(n=1))
        with pytest.raises(UniqueViolationError):
            database.create_index("t", "n", unique=True)
        assert database.indexes("t") == []
        table.insert(Row(n=2))
    assert table.count() == 3


def test_a_table_may_be_dropped_and_made_in_one_transaction(database: MiniDB) -> None:
    table = database.create_table("t")
    table.insert(Row(n=1))
    with database.begin_transaction():
        database.drop_table("t")
        database.create_table("t", PEOPLE).insert(Row(name="Ada"))
    assert [row.columns for row in table.scan()] == [{"name": "Ada", "age": None}]


def test_changes_are_seen_by_other_objects_and_processes_at_once(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as one, MiniDB(database_path, durability="none") as two:
        seen = two.table("seen")
        people = one.create_table("people", PEOPLE)
        people.insert(Row(name="Ada", age=36))
        one.create_index("people", "name")
        assert two.get_table("people").schema == PEOPLE
        assert two.query_by_index("people", "name", "Ada")[0].age == 36
        two.rename_table("people", "persons")
        one.drop_table("seen")
        with pytest.raises(TableNotFoundError):
            people.count()
        with pytest.raises(TableNotFoundError):
            seen.insert(Row(n=1))
    with MiniDB(database_path) as one:
        told = in_process(
            database_path,
            """
            print(db.table_names(), [index.name for index in db.indexes("persons")])
            db.create_table("from afar", Schema(n=IntegerField(unique=True))).insert(Row(n=7))
            db.drop_index("persons", "name")
            """,
        )
        assert told == "['persons'] ['name']"
        assert one.table_names() == ["from afar", "persons"]
        assert one.query_by_index("from afar", "n", 7)[0].id == 1
        assert one.indexes("persons") == []


def test_an_open_transaction_keeps_its_tables_whatever_others_do(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as one, MiniDB(database_path, durability="none") as two:
        table = one.create_table("t")
        table.insert(Row(n=1))
        with one.begin_transaction(read_only=True):
            two.drop_table("t")
            two.create_table("more")
            assert one.table_names() == ["t"]
            assert [row.n for row in table.scan()] == [1]
        assert one.table_names() == ["more"]


# --- indexes ----------------------------------------------------------------------------------------------------------


def test_an_index_is_told_of_by_name_fields_and_uniqueness(database: MiniDB) -> None:
    database.create_table("people", PEOPLE)
    single = database.create_index("people", "name")
    compound = database.create_index("people", "name", "age", unique=True)
    named = database.create_index("people", "age", name="by age")
    assert [(one.table, one.name, one.fields, one.unique) for one in (single, compound, named)] == [
        ("people", "name", ("name",), False),
        ("people", "name_age", ("name", "age"), True),
        ("people", "by age", ("age",), False),
    ]
    assert database.indexes("people") == [single, compound, named]
    assert repr(compound) == "<index 'name_age' of table 'people' on name, age, unique>"
    assert isinstance(single, Index)
    assert single != compound
    assert len({single, compound, *database.indexes("people")}) == 3


def test_fields_of_a_schema_bring_their_indexes(database: MiniDB) -> None:
    database.create_table("t", Schema(code=StringField(unique=True), city=StringField(index=True)))
    assert [(one.name, one.unique) for one in database.indexes("t")] == [("code", True), ("city", False)]


def test_an_index_is_filled_from_the_rows_that_are_there(database: MiniDB) -> None:
    people = database.create_table("people", PEOPLE)
    people.insert_many(Row(name=f"name {number % 10}", age=number) for number in range(2500))
    database.create_index("people", "name")
    assert [row.age for row in database.query_by_index("people", "name", "name 3")] == list(range(3, 2500, 10))


def test_making_an_index_twice_is_refused(database: MiniDB) -> None:
    database.create_table("people", PEOPLE)
    made = database.create_index("people", "name")
    for unique in (False, True):
        with pytest.raises(IndexExistsError) as refused:
            database.create_index("people", "name", unique=unique)
        assert (refused.value.table, refused.value.index) == ("people", "name")
    assert database.create_index("people", "name", if_not_exists=True) == made
    with pytest.raises(IndexExistsError):
        database.create_index("people", "age", name="name")


def test_an_index_of_an_earlier_run_must_be_the_same(database_path: Path) -> None:
    with MiniDB(database_path) as database:
        database.create_table("people", PEOPLE)
        made = database.create_index("people", "name")
    with MiniDB(database_path) as database:
        with pytest.raises(IndexExistsError):
            database.create_index("people", "name", unique=True)
        with pytest.raises(IndexExistsError):
            database.create_index("people", "age", name="name")
        assert database.create_index("people", "name") == made


@pytest.mark.parametrize("fields", [(), ("name", "name"), ("",), (7,), ("nme",), ("data",)])
def test_fields_that_cannot_be_indexed_are_refused(database: MiniDB, fields: tuple[Any, ...]) -> None:
    database.create_table("t", Schema(name=StringField(), data=JSONField()))
    with pytest.raises(SchemaDefinitionError):
        database.create_index("t", *fields)
    assert database.indexes("t") == []


def test_a_misspelled_field_is_told_from_its_nearest(database: MiniDB) -> None:
    database.create_table("people", PEOPLE)
    with pytest.raises(SchemaDefinitionError, match="did you mean 'name'") as refused:
        database.create_index("people", "nme")
    assert refused.value.field == "nme"


def test_a_unique_index_is_not_made_over_values_that_repeat(database: MiniDB) -> None:
    people = database.create_table("people", PEOPLE)
    people.insert_many([Row(name="Ada", age=1), Row(name="Eve", age=2), Row(name="Ada", age=3)])
    with pytest.raises(UniqueViolationError) as refused:
        database.create_index("people", "name", unique=True)
    assert (refused.value.value, refused.value.fields) == ("Ada", ("name",))
    assert "Ada" not in str(refused.value)
    assert database.indexes("people") == []
    assert database.create_index("people", "name").unique is False


def test_an_index_is_dropped_by_its_name_or_its_field(database: MiniDB) -> None:
    database.create_table("people", PEOPLE)
    database.create_index("people", "name")
    database.create_index("people", "age", name="by age")
    database.drop_index("people", "name")
    database.drop_index("people", "age")
    assert database.indexes("people") == []
    with pytest.raises(IndexNotFoundError) as refused:
        database.drop_index("people", "name")
    assert (refused.value.table, refused.value.index) == ("people", "name")
    with pytest.raises(TableNotFoundError):
        database.drop_index("nobody", "name")
    assert database.create_index("people", "name").name == "name"


def test_a_look_up_finds_the_rows_in_order_of_id(database: MiniDB) -> None:
    people = database.create_table("people", PEOPLE)
    people.insert_many([Row(name="Ada", age=1), Row(name="Eve"), Row(name="Ada", age=3)])
    database.create_index("people", "name")
    database.create_index("people", "name", "age", name="both")
    assert [row.id for row in database.query_by_index("people", "name", "Ada")] == [1, 3]
    assert [row.id for row in database.query_by_index("people", "both", ("Ada", 3))] == [3]
    assert [row.id for row in database.query_by_index("people", "both", ("Eve", None))] == [2]
    assert database.query_by_index("people", "name", "nobody") == []


def test_a_look_up_by_what_is_not_there_is_refused(database: MiniDB) -> None:
    database.create_table("people", PEOPLE)
    with pytest.raises(TableNotFoundError):
        database.query_by_index("nobody", "name", "Ada")
    with pytest.raises(IndexNotFoundError, match=r"db\.create_index") as refused:
        database.query_by_index("people", "name", "Ada")
    assert (refused.value.table, refused.value.index) == ("people", "name")


def test_a_look_up_of_a_value_of_another_type_is_refused(database: MiniDB) -> None:
    database.create_table("people", PEOPLE)
    database.create_index("people", "age")
    database.create_index("people", "name", "age")
    for index, value in [("age", "36"), ("age", True), ("age", 36.0), ("age", [36]), ("name_age", "Ada")]:
        with pytest.raises(SchemaValidationError) as refused:
            database.query_by_index("people", index, value)
        assert len(refused.value.errors) == 1
        assert repr(value) not in str(refused.value)


# --- figures and limits -----------------------------------------------------------------------------------------------


def test_figures_tell_of_store_tables_and_pool(database: MiniDB, location: str) -> None:
    database.create_table("people", PEOPLE).insert(Row(name="Ada"))
    database.create_table("empty")
    stats = database.stats()
    assert stats["tables"] == {"empty": 0, "people": 1}
    engine = "memory" if location == ":memory:" else "postgresql" if "://" in location else "lmdb"
    assert stats["engine"] == engine
    assert stats["location"] == database.location
    assert stats["size_bytes"] > 0
    assert stats["pool"]["pool_max"] == 10
    with pytest.raises(ValueError, match="undo"), database.begin_transaction():
        database.get_table("people").insert(Row(name="Eve"))
        assert database.stats()["tables"]["people"] == 2
        raise ValueError("undo")
    assert database.stats()["tables"]["people"] == 1


def test_a_full_database_says_so_and_loses_nothing(database_path: Path) -> None:
    stored = []
    with MiniDB(database_path, durability="none", max_size_bytes=2**20) as database:
        table = database.create_table("t")
        with pytest.raises(StorageFullError, match="greatest size") as refused:
            while True:
                stored.append(table.insert(Row(text="x" * 5000)))
        assert "max_size_bytes" in str(refused.value)
        assert len(stored) > 50
        with pytest.raises(StorageFullError), database.begin_transaction():
            table.insert_many(Row(text="y" * 5000) for _ in range(300))
        assert [row.id for row in table.scan()] == stored
        assert {row.text for row in table.scan()} == {"x" * 5000}
    with MiniDB(database_path, durability="none", max_size_bytes=2**21) as database:
        table = database.get_table("t")
        assert [row.id for row in table.scan()] == stored
        assert table.insert(Row(text="z" * 5000)) > stored[-1]


def test_the_smallest_database_holds_a_table(database_path: Path) -> None:
    with MiniDB(database_path, durability="none", max_size_bytes=256 * 1024) as database:
        table = database.create_table("people", PEOPLE)
        database.create_index("people", "name")
        assert len(table.insert_many(Row(name=f"name {number}", age=number) for number in range(500))) == 500


def test_rows_can_be_deleted_from_a_full_database(database_path: Path) -> None:
    with MiniDB(database_path, durability="none", max_size_bytes=2**20) as database:
        table = database.create_table("t")
        with pytest.raises(StorageFullError):
            while True:
                table.insert(Row(text="x" * 5000))
        assert len({*map(table.delete, [row.id for row in table.scan()])}) == 1
        assert table.count() == 0
        assert table.insert(Row(text="y" * 5000))


def test_more_readers_than_the_store_can_hold_are_told_so(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        snapshots: list[ReadTransaction] = []
        with pytest.raises(EngineUnavailableError):
            snapshots.extend(database.engine.begin_read() for _ in range(10_000))
        for snapshot in snapshots:
            snapshot.close()
        assert database.table_names() == []
