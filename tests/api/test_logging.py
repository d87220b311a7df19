"""What is logged, by whom, and what never is."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidb import MiniDB, Row
from minidb.exceptions import (
    ConflictError,
    MiniDBError,
    PoolTimeoutError,
    UniqueViolationError,
)
from minidb.schema import IntegerField, Schema, StringField

VALUE = "Rumpelstiltskin"
PEOPLE = Schema(name=StringField(unique=True, max_length=20), age=IntegerField())


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, logger="minidb"):
        yield caplog


def messages(log: pytest.LogCaptureFixture, name: str, level: int = logging.DEBUG) -> list[str]:
    return [record.getMessage() for record in log.records if record.name == name and record.levelno >= level]


def find(log: pytest.LogCaptureFixture, message: str) -> logging.LogRecord:
    (record,) = [record for record in log.records if record.getMessage() == message]
    return record


def test_the_library_adds_a_null_handler_and_no_other() -> None:
    MiniDB(":memory:").close()  # says that it is opened
    assert [type(handler) for handler in logging.getLogger("minidb").handlers] == [logging.NullHandler]
    for name in ("minidb.pool", "minidb.transaction", "minidb.query"):
        assert logging.getLogger(name).handlers == []
        assert logging.getLogger(name).propagate


def test_what_is_said_stands_at_the_line_that_says_it(log: pytest.LogCaptureFixture) -> None:
    with MiniDB(":memory:"):
        opened = find(log, "database opened")
    assert (opened.module, opened.funcName) == ("database", "__init__")


PROGRAM = """
import sys
from minidb import MiniDB
with MiniDB({folder!r}) as database:
    table = database.create_table("words")
    table.insert({{"word": "one"}})
    with database.begin_transaction():
        assert table.query(1)["word"] == "one"
assert "logging" not in sys.modules
import logging
MiniDB({folder!r}).close()
assert logging.getLogger("minidb").handlers
logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
MiniDB({folder!r}).close()
"""


def test_a_program_that_uses_no_logging_does_not_import_it(tmp_path: Path) -> None:
    program = PROGRAM.format(folder=str(tmp_path / "database"))
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert completed.stdout == ""
    assert completed.stderr == "minidb: database opened\nminidb: database closed\n"


def test_opening_and_closing_are_logged_with_their_place(location: str, log: pytest.LogCaptureFixture) -> None:
    with MiniDB(location) as database:
        opened = find(log, "database opened")
    closed = find(log, "database closed")
    assert (opened.name, opened.levelno, closed.name, closed.levelno) == ("minidb", logging.INFO) * 2
    assert vars(opened)["location"] == vars(closed)["location"] == database.location
    assert vars(opened)["engine"] == database.engine.capabilities.name


def test_changes_of_tables_are_logged_with_their_names(database: MiniDB, log: pytest.LogCaptureFixture) -> None:
    database.create_table("one", PEOPLE)
    database.create_index("one", "age")
    database.drop_index("one", "age")
    database.rename_table("one", "two")
    database.drop_table("two")
    assert messages(log, "minidb") == [
        "table created",
        "index created",
        "index dropped",
        "table renamed",
        "table dropped",
    ]
    assert vars(find(log, "table created"))["table"] == "one"
    assert (vars(find(log, "index created"))["table"], vars(find(log, "index created"))["index"]) == ("one", "age")
    assert (vars(find(log, "table renamed"))["table"], vars(find(log, "table renamed"))["new_name"]) == ("one", "two")


def test_what_is_found_again_is_not_logged_as_made(database: MiniDB, log: pytest.LogCaptureFixture) -> None:
    database.create_table("one", PEOPLE)
    log.clear()
    database.create_table("one", PEOPLE, if_not_exists=True)
    database.table("one")
    database.get_table("one")
    assert messages(log, "minidb") == []


def test_transactions_are_logged_at_debug(database: MiniDB, log: pytest.LogCaptureFixture) -> None:
    database.create_table("t")
    log.clear()
    with pytest.raises(ValueError, match="undo"), database.begin_transaction():
        with database.begin_transaction():
            pass
        raise ValueError("undo")
    with database.begin_transaction(read_only=True):
        pass
    assert messages(log, "minidb.transaction") == [
        "write transaction begun",
        "savepoint begun",
        "savepoint committed",
        "write transaction rolled back",
        "read transaction begun",
        "read transaction committed",
    ]
    assert messages(log, "minidb.transaction", logging.INFO) == []
    assert vars(find(log, "write transaction rolled back"))["duration_ms"] >= 0
    assert vars(find(log, "savepoint begun"))["nested"] is True


def test_calls_outside_a_transaction_are_not_logged(database: MiniDB, log: pytest.LogCaptureFixture) -> None:
    table = database.create_table("t")
    log.clear()
    table.insert(Row(n=1))
    table.get(1)
    list(table.scan())
    assert log.records == []


def test_a_conflict_is_logged_with_its_attempt(
    database: MiniDB, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    runs: list[None] = []

    def body() -> None:
        runs.append(None)
        if len(runs) == 1:
            raise ConflictError("two met")

    database.run(body)
    record = find(log, "conflict, running again")
    assert (record.name, record.levelno, vars(record)["attempt"]) == ("minidb.transaction", logging.INFO, 1)
    assert vars(record)["pause_ms"] >= 0


def test_a_wait_in_vain_is_logged_with_the_figures(location: str, log: pytest.LogCaptureFixture) -> None:
    refused: list[PoolTimeoutError] = []

    def wait() -> None:
        try:
            database.table_names()
        except PoolTimeoutError as error:
            refused.append(error)

    with (
        MiniDB(location, max_connections=1, pool_timeout_s=0) as database,
        database.connection_pool.get_connection(),
    ):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    assert len(refused) == 1
    record = find(log, "no connection came free within 0.000 s")
    assert (record.name, record.levelno) == ("minidb.pool", logging.WARNING)
    assert (vars(record)["timeout_s"], vars(record)["max_connections"], vars(record)["waiting"]) == (0, 1, 0)


def test_a_transaction_left_open_on_a_connection_is_logged(database: MiniDB, log: pytest.LogCaptureFixture) -> None:
    with database.connection_pool.get_connection() as connection:
        begun = connection.begin_transaction()
    assert not begun.is_open
    assert messages(log, "minidb.pool", logging.WARNING) == [
        "a connection was given back with a transaction open, which is rolled back"
    ]


def test_a_table_used_without_its_code_is_logged_until_it_was_given(
    database_path: Path, log: pytest.LogCaptureFixture
) -> None:
    schema = Schema(name=StringField(validators=[str.islower]), age=IntegerField(default_factory=int))
    with MiniDB(database_path, durability="none") as database:
        database.create_table("t", schema)
        database.get_table("t")
        with database.begin_transaction():
            database.create_table("inside", schema)
            database.get_table("inside")
    assert messages(log, "minidb", logging.WARNING) == []
    with MiniDB(database_path, durability="none") as database:
        database.get_table("t")
        warned = messages(log, "minidb", logging.WARNING)
        assert len(warned) == 1
        assert "without its validators, default factories and other code" in warned[0]
        (record,) = [record for record in log.records if record.levelno == logging.WARNING]
        assert (vars(record)["table"], vars(record)["fields"]) == ("t", ("name", "age"))
        database.table("t", schema)
        database.get_table("t")
        assert len(messages(log, "minidb", logging.WARNING)) == 1


def test_a_slow_look_up_is_logged_with_its_figures_and_without_its_value(
    location: str, log: pytest.LogCaptureFixture
) -> None:
    with MiniDB(location, slow_query_ms=0, durability="none") as database:
        database.create_table("people", PEOPLE).insert(Row(name=VALUE, age=1))
        database.query_by_index("people", "name", VALUE)
    (record,) = [record for record in log.records if record.name == "minidb.query"]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("slow query: index 'name' of table 'people', 1 rows, ")
    facts = vars(record)
    assert (facts["table"], facts["index"], facts["rows"]) == ("people", "name", 1)
    assert facts["duration_ms"] >= 0


@pytest.mark.parametrize("slow_query_ms", [None, 600_000])
def test_a_fast_look_up_is_not_logged(
    location: str, log: pytest.LogCaptureFixture, slow_query_ms: float | None
) -> None:
    with MiniDB(location, slow_query_ms=slow_query_ms, durability="none") as database:
        database.create_table("people", PEOPLE).insert(Row(name=VALUE, age=1))
        database.query_by_index("people", "name", VALUE)
    assert messages(log, "minidb.query") == []


def test_no_value_of_a_row_is_logged_or_stands_in_a_message(database: MiniDB, log: pytest.LogCaptureFixture) -> None:
    people = database.create_table("people", PEOPLE)
    told: list[str] = []
    people.insert(Row(name=VALUE, age=1))
    for call in (
        lambda: people.insert(Row(name=VALUE, age=2)),
        lambda: people.insert_many([Row(name="Ada", age=1), Row(name=VALUE, age=2)]),
        lambda: people.insert(Row(name=VALUE * 3, age=VALUE)),
        lambda: people.update(1, age=VALUE),
        lambda: people.query(VALUE),
        lambda: database.query_by_index("people", "name", [VALUE]),
        lambda: database.create_table("more", Schema(name=StringField(primary_key=True))).query(VALUE),
    ):
        with pytest.raises(MiniDBError) as refused, database.begin_transaction():
            call()
        told += [str(refused.value), repr(refused.value)]
    with pytest.raises(UniqueViolationError) as refused_value:
        people.insert(Row(name=VALUE))
    assert refused_value.value.value == VALUE  # as a fact, for the program
    logged = [f"{record.getMessage()} {vars(record)}" for record in log.records]
    assert VALUE not in "".join(told + logged)
