"""The verb ``migrate``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from minidb import MiniDB
from minidb.schema import IntegerField, Schema, StringField

FILE = """
from beside_the_file import SCHEMA
from minidb import Migrations

steps = Migrations()

@steps.step(1, table="users", schema=SCHEMA)
def split(row):
    first, _, last = row.name.partition(" ")
    return {"first": first, "last": last, "age": row.age}

@steps.step(2)
def log(db):
    db.create_table("log")
"""
BESIDE = """
from minidb.schema import IntegerField, Schema, StringField
SCHEMA = Schema(first=StringField(required=True), last=StringField(), age=IntegerField(required=True))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    with MiniDB(tmp_path / "x.db") as database:
        users = database.table("users", Schema(name=StringField(), age=IntegerField()))
        users.insert_many([{"name": "Ada Lovelace", "age": 36}, {"name": "Alan Turing", "age": 41}])
    (tmp_path / "steps.py").write_text(FILE)
    (tmp_path / "beside_the_file.py").write_text(BESIDE)
    return tmp_path


def states(run: Run) -> list[str]:
    return [one["state"] for one in json.loads(run("migrate", "x.db", "steps.py", "--json").out)]


@pytest.mark.usefixtures("place")
def test_steps_are_listed_tried_and_taken(run: Run) -> None:
    assert run("migrate", "x.db", "steps.py").lines == [
        "step\tname\ttable\tstate\tapplied_at\trows",
        "1\tsplit\tusers\tpending\t\t",
        "2\tlog\t\tpending\t\t",
    ]
    tried = run("migrate", "x.db", "steps.py", "--dry-run")
    assert (tried.code, tried.err) == (0, "2 steps would be taken\n")
    assert states(run) == ["pending", "pending"]
    taken = run("migrate", "x.db", "steps.py", "--apply")
    assert (taken.code, taken.err) == (0, "2 steps taken\n")
    assert states(run) == ["applied", "applied"]
    assert run("get", "x.db", "users", "1", "--json").code == 0
    assert run("migrate", "x.db", "steps.py", "--apply").err == "0 steps taken\n"


def test_a_step_that_fails_is_told_with_its_cause(run: Run, place: Path) -> None:
    with MiniDB(place / "x.db") as database:
        database.get_table("users").insert({"name": "Bob"})
    for option in ("--dry-run", "--apply"):
        failed = run("migrate", "x.db", "steps.py", option)
        assert failed.code == 1
        assert "step 1 has failed on a row of table 'users'" in failed.err
        assert "age must not be None" in failed.err
    assert states(run) == ["pending", "pending"]
    assert run("migrate", "x.db", "steps.py", "--abandon").err == "Nothing was begun\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1", "0 Migrations objects"),
        ("from minidb import Migrations\na, b = Migrations(), Migrations()", "2 Migrations objects"),
        ("1 / 0", "ZeroDivisionError"),
        ("(", "SyntaxError"),
    ],
)
def test_a_file_that_is_none_of_migrations_is_refused(run: Run, place: Path, text: str, message: str) -> None:
    (place / "steps.py").write_text(text)
    refused = run("migrate", "x.db", "steps.py")
    assert refused.code == 1
    assert message in refused.err


@pytest.mark.usefixtures("place")
def test_what_cannot_be_asked_is_refused(run: Run) -> None:
    assert run("migrate", "x.db", "absent.py").code == 1
    assert run("migrate", "x.db", "x.db").code == 1
    assert run("migrate", "x.db", "steps.py", "--apply", "--dry-run").code == 2
    assert run("migrate", "absent.db", "steps.py", "--apply").code == 1
