"""The verbs that change a database: they ask first, and do all or nothing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run, run_on_terminal

from minidb import Index, MiniDB


def names(path: str) -> list[str]:
    with MiniDB(path) as database:
        return [row.id for row in database.get_table("users")]


def test_update_changes_what_a_filter_finds(run: Run, shop: str) -> None:
    asked = ("update", shop, "users", "city = 'Paris'", "city=Rome", "age=", "joined=2025-01-01")
    assert run(*asked, "--dry-run").lines == ["2 rows of users would be updated"]
    assert json.loads(run("get", shop, "users", "Bob", "--json").out)["city"] == "Paris"
    assert run(*asked, "--yes").lines == ["2 rows of users updated"]
    assert json.loads(run("get", shop, "users", "Bob", "--json").out) == {
        "name": "Bob",
        "age": None,
        "city": "Rome",
        "joined": "2025-01-01",
        "score": 2.5,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("age=x", "The value of age must be an integer"),
        ("nme=x", "Table 'users' has no field 'nme'"),
        ("age", "A change is FIELD=VALUE"),
        ("name=Zed", "is the primary key, which cannot change"),
    ],
)
def test_a_wrong_change_is_refused(run: Run, shop: str, change: str, message: str) -> None:
    ended = run("update", shop, "users", "", change, "--yes")
    assert ended.code == 1
    assert message in ended.err
    assert names(shop) == ["Ada", "Bob", "Dan", "Éva 日本"]


def test_delete_deletes_what_a_filter_finds(run: Run, shop: str) -> None:
    assert run("delete", shop, "users", "age < 40", "--dry-run").lines == ["2 rows of users would be deleted"]
    assert run("delete", shop, "users", "age < 40", "--yes").lines == ["2 rows of users deleted"]
    assert names(shop) == ["Dan", "Éva 日本"]
    assert run("delete", shop, "users", "", "--yes").lines == ["2 rows of users deleted"]


def test_rows_are_changed_and_deleted_by_their_ids(run: Run, shop: str) -> None:
    with MiniDB(shop) as database:
        database.create_table("free").insert_many([{"a": "x"}, {"a": "y"}, {"a": "z"}])
    assert run("update", shop, "free", "--id", "2", "--id", "2", "a=q", "--yes").lines == ["1 row of free updated"]
    assert run("delete", shop, "free", "--id", "1", "--id", "3", "--dry-run").lines == [
        "2 rows of free would be deleted"
    ]
    assert run("delete", shop, "free", "--id", "1", "--id", "3", "--yes").lines == ["2 rows of free deleted"]
    assert run("rows", shop, "free").lines == ["id\ta", "2\tq"]
    assert run("update", shop, "users", "--id", "Ada", "age=1", "--yes").lines == ["1 row of users updated"]
    for wrong in (["delete", "free"], ["delete", "free", "", "--id", "2"], ["delete", "free", "--id", "9"]):
        assert run(wrong[0], shop, *wrong[1:], "--yes").code == 1
    assert run("update", shop, "free", "", "--yes").code == 1
    assert run("rows", shop, "free").lines == ["id\ta", "2\tq"]


def test_drop_removes_a_table(run: Run, shop: str) -> None:
    assert run("drop", shop, "users", "--dry-run").lines == ["Table users with 4 rows would be dropped"]
    assert run("drop", shop, "users", "--yes").lines == ["Table users with 4 rows dropped"]
    assert len(run("tables", shop).lines) == 1


@pytest.mark.parametrize(
    "arguments", [["delete", "users", ""], ["update", "users", "", "age=1"], ["drop", "users"]], ids=lambda it: it[0]
)
def test_nothing_is_destroyed_unasked(run: Run, shop: str, arguments: list[str], tmp_path: Path) -> None:
    ended = run(arguments[0], shop, *arguments[1:])
    assert ended.code == 1
    assert "Nobody can be asked" in ended.err
    assert "--yes" in ended.err
    code, shown = run_on_terminal(tmp_path, arguments[0], shop, *arguments[1:], answers="n\n")
    assert code == 1
    assert "[y/N]" in shown
    assert "Nothing was changed" in shown
    assert names(shop) == ["Ada", "Bob", "Dan", "Éva 日本"]


def test_on_a_terminal_yes_does_it(shop: str, tmp_path: Path) -> None:
    code, shown = run_on_terminal(tmp_path, "delete", shop, "users", "age < 18", answers="y\n")
    assert code == 0
    assert "Delete 1 row of users?" in shown
    assert "1 row of users deleted" in shown
    assert names(shop) == ["Ada", "Dan", "Éva 日本"]


def test_indexes_are_made_listed_and_dropped(run: Run, shop: str) -> None:
    assert run("index", "create", shop, "users", "city", "age").lines == ["Index city_age of users created"]
    assert run("index", "create", shop, "users", "joined", "--unique", "--name", "day").code == 0
    assert run("index", "list", shop, "users").lines == [
        "table\tindex\tfields\tunique",
        "users\tcity_age\tcity, age\tfalse",
        "users\tday\tjoined\ttrue",
    ]
    assert run("index", "drop", shop, "users", "day").code == 1
    assert run("index", "drop", shop, "users", "day", "--yes").lines == ["Index day of users dropped"]
    assert [one["index"] for one in json.loads(run("index", "list", shop, "--json").out)] == ["city_age"]


def test_making_an_index_shows_how_far_it_is(shop: str, tmp_path: Path) -> None:
    code, shown = run_on_terminal(tmp_path, "index", "create", shop, "users", "city")
    assert code == 0
    assert "indexing" in shown
    assert "Index city of users created" in shown


def test_others_can_write_while_an_index_is_made(run: Run, shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(database: MiniDB, *arguments: Any, **named: Any) -> Index:  # Any: passed on
        assert database.current_transaction() is None, "it would keep the write lock until the index is whole"
        return create_index(database, *arguments, **named)

    create_index = MiniDB.create_index
    monkeypatch.setattr(MiniDB, "create_index", make)
    assert run("index", "create", shop, "users", "city").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "users", "nme"], "nme"),
        (["create", "users", "city", "--unique"], "Another row of table 'users' already has this value"),
        (["drop", "users", "nme", "--yes"], "Hint: minidb index list PATH"),
    ],
)
def test_a_wrong_index_is_refused(run: Run, shop: str, arguments: list[str], message: str) -> None:
    ended = run("index", arguments[0], shop, *arguments[1:])
    assert ended.code == 1
    assert message in ended.err


def test_a_dry_run_says_what_would_be_done_and_does_nothing(run: Run, shop: str) -> None:
    assert run("index", "create", shop, "users", "city").code == 0
    assert run("backup", shop, "b.minidb").code == 0
    Path("s.json").write_text('{"a": "integer"}')
    with closing(sqlite3.connect("old.sqlite")) as connection:
        connection.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    before = run("dump", shop).out
    there = sorted(path.name for path in Path().iterdir())
    for arguments, told in [
        (["delete", shop, "users", "age < 18"], "1 row of users would be deleted"),
        (["update", shop, "users", "age < 18", "age=18"], "1 row of users would be updated"),
        (["drop", shop, "users"], "Table users with 4 rows would be dropped"),
        (["index", "drop", shop, "users", "city"], "Index city of users would be dropped"),
        (["index", "create", shop, "users", "age"], "Index age of users would be created"),
        (["schema", "create", shop, "new", "s.json"], "Table new with 1 field would be created"),
        (["schema", "create", "new.db", "new", "s.json"], "Table new with 1 field would be created"),
        (["restore", shop, "b.minidb", "--overwrite"], "1 table with 4 rows would be restored to shop.db"),
        (["insert", "new.db", "users", "users.csv"], "4 rows would be inserted into users, a new table"),
        (["import", "sqlite", shop, "old.sqlite"], "table t: 1 row"),
        (["import", "sqlite", "new.db", "old.sqlite"], "table t: 1 row"),
    ]:
        assert run(*arguments, "--dry-run").lines[-1] == told
    assert run("dump", shop).out == before
    assert sorted(path.name for path in Path().iterdir()) == there
    assert "no index named 'x'" in run("index", "drop", shop, "users", "x", "--dry-run").err
    assert run("index", "create", shop, "users", "city", "--unique", "--name", "u", "--dry-run").code == 1
