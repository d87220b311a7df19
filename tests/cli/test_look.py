"""The verbs that look into a database, in a pipe: what they print is stable, and nothing is written."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import ENVIRONMENT, Run

from minidb import MiniDB, PersistentMapping
from minidb.schema import BytesField, DecimalField, FloatField, IntegerField, JSONField, ListField, Schema, StringField


def test_rows_come_tab_separated_in_a_pipe(run: Run, shop: str) -> None:
    assert run("rows", shop, "users").lines == [
        "name\tage\tcity\tjoined\tscore",
        "Ada\t36\tLondon\t2024-01-31\t1.5",
        "Bob\t17\tParis\t2024-02-01\t2.5",
        "Dan\t52\t\t2024-04-09\t10.25",
        "Éva 日本\t\tParis\t2024-03-05\t",
    ]


def test_rows_of_automatic_ids_have_them_first(run: Run) -> None:
    with MiniDB("free.db") as database:
        free = database.create_table("free")
        free.insert_many([{"a": 1}, {"b": "x\ty\\\n"}])
    assert run("rows", "free.db", "free").lines == ["id\ta\tb", "1\t1\t", "2\t\tx\\ty\\\\\\n"]
    assert run("export", "free.db", "free", "--format", "csv", "--fields", "a").lines == ["a", "1", '""']


def test_rows_may_be_chosen(run: Run, shop: str) -> None:
    lines = run("rows", shop, "users", "--reverse", "--offset", "1", "--limit", "2", "--fields", "name,age").lines
    assert lines == ["name\tage", "Dan\t52", "Bob\t17"]


@pytest.mark.parametrize("verb", [["rows"], ["query"]])
def test_every_form_says_the_same(run: Run, shop: str, verb: list[str]) -> None:
    objects = json.loads(run(*verb, shop, "users", "--json").out)
    assert [json.loads(line) for line in run(*verb, shop, "users", "--nl").lines] == objects
    texts = [{name: "" if value is None else str(value) for name, value in one.items()} for one in objects]
    assert list(csv.DictReader(io.StringIO(run(*verb, shop, "users", "--csv").out))) == texts
    assert objects[3] == {"name": "Éva 日本", "age": None, "city": "Paris", "joined": "2024-03-05", "score": None}


def test_a_query_filters_sorts_and_pages(run: Run, shop: str) -> None:
    asked = ("query", shop, "users", "age >= 18 or city = 'Paris'", "--order", "-joined", "--fields", "name")
    assert run(*asked).lines == ["name", "Dan", "Éva 日本", "Bob", "Ada"]
    assert run(*asked, "--limit", "2", "--offset", "1").lines == ["name", "Éva 日本", "Bob"]
    assert run(*asked, "--count").lines == ["4"]


def test_automatic_ids_stand_in_filters(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n2\n3\n4\n")
    assert run("insert", "x.db", "t", "x.csv").code == 0
    assert run("query", "x.db", "t", "id >= 2 and a < 4", "--order", "-id").lines == ["id\ta", "3\t3", "2\t2"]
    assert run("query", "x.db", "t", "id in (1, 4) or a = 2", "--count").lines == ["3"]
    assert run("query", "x.db", "t", "id = 2", "--explain").lines[-1] == "examined 1 rows, returned 1"
    assert run("export", "x.db", "t", "--where", "id > 3").lines == ['{"a": 4}']
    assert run("update", "x.db", "t", "id < 3", "a=9", "--yes").lines == ["2 rows of t updated"]
    assert run("delete", "x.db", "t", "id between 2 and 3", "--yes").lines == ["2 rows of t deleted"]
    assert "This text is not an integer" in run("query", "x.db", "t", "id = 'x'").err


def test_a_query_sorts_by_several_fields(run: Run, shop: str) -> None:
    lines = run("query", shop, "users", "--order", "city,-age", "--fields", "name").lines
    assert lines == ["name", "Dan", "Ada", "Bob", "Éva 日本"]


def test_a_query_says_how_it_runs(run: Run, shop: str) -> None:
    assert run("index", "create", shop, "users", "city").lines == ["Index city of users created"]
    told = run("query", shop, "users", "city = 'Paris'", "--explain").lines
    assert "index city" in told[0]
    assert told[-1] == "examined 2 rows, returned 2"


def test_get_shows_a_row_by_its_key(run: Run, shop: str) -> None:
    assert run("get", shop, "users", "Ada").lines[:2] == ["name\tAda", "age\t36"]
    assert json.loads(run("get", shop, "users", "Ada", "--json").out)["age"] == 36
    ended = run("get", shop, "users", "Eve")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("Error: ")


def test_get_takes_automatic_ids_and_keys_of_several_fields(run: Run) -> None:
    with MiniDB("two.db") as database:
        database.create_table("free").insert({"a": 1})
        schema = Schema(x=StringField(primary_key=True), y=IntegerField(primary_key=True))
        database.create_table("pairs", schema).insert({"x": "a", "y": 2})
    assert run("get", "two.db", "free", "1").lines == ["id\t1", "a\t1"]
    assert run("get", "two.db", "pairs", "a", "2").lines == ["x\ta", "y\t2"]
    assert "has 2 fields, and 1 values were given" in run("get", "two.db", "pairs", "a").err
    assert "The y must be an integer" in run("get", "two.db", "pairs", "a", "b").err
    assert "has automatic ids" in run("get", "two.db", "free", "1", "2").err


def test_tables_are_listed_with_what_they_have(run: Run, shop: str) -> None:
    with MiniDB(shop) as database:
        database.mapping("settings")["x"] = 1
        database.create_table("empty")
    assert run("tables", shop).lines == [
        "name\tkind\trows\tfields\tprimary_key\tindexes",
        "empty\ttable\t0\t\tid, automatic\t",
        "users\ttable\t4\t5\tname\t",
        "settings\tmapping\t1\t\t\t",
    ]


def test_info_and_stats_are_facts(run: Run, shop: str) -> None:
    facts = json.loads(run("info", shop, "--json").out)
    assert {name: facts[name] for name in ("engine", "tables", "rows", "indexes", "mappings")} == {
        "engine": "lmdb",
        "tables": 1,
        "rows": 4,
        "indexes": 0,
        "mappings": 0,
    }
    assert "rows of users\t4" in run("stats", shop).lines


def test_a_mapping_is_shown_exported_and_dropped(run: Run, tmp_path: Path) -> None:
    items: dict[Any, Any] = {
        "set": {3, 1, 2},
        (1, "two"): [1.5, {"a": b"x"}],
        b"\xff": date(2024, 1, 1),
        None: float("inf"),
        3: None,
    }
    with MiniDB(tmp_path / "x.db") as database:
        cache: PersistentMapping[Any, Any] = database.mapping("cache")
        cache.update(items)
        cache["odd"] = {b"x": {1: {2.5}}}
    lines = run("export", "x.db", "cache").lines
    assert lines == run("rows", "x.db", "cache", "--nl").lines
    assert '{"key": null, "value": "inf"}' in lines
    assert '{"key": 3, "value": null}' in lines
    assert '{"key": "/w==", "value": "2024-01-01"}' in lines
    assert '{"key": "set", "value": [1, 2, 3]}' in lines
    assert '{"key": [1, "two"], "value": [1.5, {"a": "eA=="}]}' in lines
    assert '{"key": "odd", "value": {"eA==": {"1": [2.5]}}}' in lines
    assert run("export", "x.db", "cache", "c.csv").lines == ["6 rows of cache exported to c.csv"]
    assert 'set,"[1, 2, 3]"' in (tmp_path / "c.csv").read_text()
    assert run("export", "x.db", "cache", "--limit", "1", "--format", "csv").lines == ["key,value", ",inf"]
    assert "has no fields" in run("export", "x.db", "cache", "--order", "key").err
    assert "minidb export show its items" in run("query", "x.db", "cache").err
    assert run("drop", "x.db", "cache", "--dry-run").lines == ["Mapping cache with 6 items would be dropped"]
    assert run("drop", "x.db", "cache", "--yes").lines == ["Mapping cache with 6 items dropped"]
    assert run("tables", "x.db", "--nl").lines == []


def test_an_empty_table_is_a_header(run: Run) -> None:
    with MiniDB("empty.db") as database:
        database.create_table("none", Schema(a=IntegerField()))
        database.create_table("free")
    assert run("rows", "empty.db", "none").lines == ["id\ta"]
    assert run("rows", "empty.db", "none", "--json").lines == ["[]"]
    assert run("rows", "empty.db", "none", "--nl").lines == []
    assert run("rows", "empty.db", "free", "--csv").lines == ["id"]


def test_values_that_json_has_no_word_for_are_texts(run: Run) -> None:
    schema = Schema(b=BytesField(), d=DecimalField(), f=FloatField(allow_nan=True), l=ListField(), j=JSONField())
    with MiniDB("odd.db") as database:
        odd = database.create_table("odd", schema)
        odd.insert({"b": b"\0\xff", "f": float("nan"), "l": [b"x", None], "j": {"a": 1}})
    assert json.loads(run("rows", "odd.db", "odd", "--nl").out) == {
        "id": 1,
        "b": "AP8=",
        "d": None,
        "f": "nan",
        "l": ["eA==", None],
        "j": {"a": 1},
    }


def test_looking_never_makes_a_database(run: Run, tmp_path: Path) -> None:
    for verb in (["info"], ["tables"], ["stats"], ["rows", "t"], ["query", "t"], ["get", "t", "1"], ["export", "t"]):
        ended = run(verb[0], "nowhere", *verb[1:])
        assert (ended.code, ended.out) == (1, "")
        assert "There is no database at" in ended.err
        assert "Hint: check the path" in ended.err
    for verb in (["update", "t", "", "a=1"], ["delete", "t", ""], ["index", "create", "t", "a"], ["drop", "t"]):
        cut = 2 if verb[0] == "index" else 1
        assert run(*verb[:cut], "nowhere", *verb[cut:], *(["--yes"] if verb[0] != "index" else [])).code == 1
    assert not (tmp_path / "nowhere").exists()


def test_the_schema_of_a_table_makes_the_same_table_again(run: Run, shop: str, tmp_path: Path) -> None:
    told = run("schema", "show", shop, "users").out
    (tmp_path / "users.schema.json").write_text(told, encoding="utf-8")
    assert run("schema", "create", "new.db", "users", "users.schema.json").lines == [
        "Table users with 5 fields created"
    ]
    assert run("schema", "show", "new.db", "users").out == told
    with MiniDB(shop) as one, MiniDB("new.db") as other:
        assert one.get_table("users").schema == other.get_table("users").schema


@pytest.mark.usefixtures("shop")
def test_a_schema_is_inferred_from_a_file(run: Run) -> None:
    told = json.loads(run("schema", "infer", "users.csv", "--primary-key", "name", "--type", "age=float").out)
    assert told["name"] == {"type": "string", "required": True, "primary_key": True}
    assert (told["age"], told["joined"]) == ("float", "date")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "is no schema file"),
        ("{", "is no JSON"),
        ('{"a": "number"}', "The field 'a' in s.json cannot be"),
        ('{"a": {"type": "string", "max_length": -1}}', "max_length"),
        ('{"a": {"typ": "string"}}', "without a type"),
    ],
)
def test_a_wrong_schema_file_is_told(run: Run, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.json").write_text(text)
    ended = run("schema", "create", "new.db", "t", "s.json")
    assert ended.code == 1
    assert message in ended.err
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", "users", "agee = 1"], "  agee = 1\n  ^\nHint: there are name, age"),
        (["rows", "nobody"], "There is no table named 'nobody'"),
        (["rows", "users", "--fields", "nme"], "Table 'users' has no column 'nme'"),
        (["query", "users", "--order", "nme"], "nme: is no field of the table"),
        (["query", "users", "age = 'x'"], "This text is not an integer\n  age = 'x'\n        ^"),
    ],
)
def test_errors_are_a_sentence_and_a_hint(run: Run, shop: str, arguments: list[str], message: str) -> None:
    ended = run(arguments[0], shop, *arguments[1:])
    assert (ended.code, ended.out) == (1, "")
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_debug_shows_the_traceback_too(run: Run, shop: str) -> None:
    ended = run("rows", shop, "nobody", "--debug")
    assert "Traceback" in ended.err
    assert "Error: There is no table named 'nobody'" in ended.err


def test_two_forms_at_once_are_refused(run: Run, shop: str) -> None:
    assert run("rows", shop, "users", "--json", "--csv").code == 2


def test_a_url_stands_in_place_of_the_path(run: Run, shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run("rows", shop, "users").out
    assert run("rows", "users", "--url", shop).out == expected
    assert run(f"--url={shop}", "rows", "users").out == expected
    monkeypatch.setenv("MINIDB_URL", shop)
    assert run("rows", "users").out == expected
    assert run("index", "list").code == 0
    assert "--limit" in run("rows", "--help").out


def test_a_url_that_nothing_opens_is_told_without_its_secret(run: Run) -> None:
    ended = run("tables", "redis://user:secret@host/")
    assert ended.code == 1
    assert "secret" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [["rows", "many.db", "many"], ["export", "many.db", "many"], ["dump", "many.db"], ["backup", "many.db", "-"]],
    ids=" ".join,
)
def test_a_reader_who_goes_away_is_no_error(tmp_path: Path, arguments: list[str]) -> None:
    with MiniDB(tmp_path / "many.db") as database:
        database.create_table("many").insert_many({"n": number} for number in range(20_000))
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "minidb", *arguments],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1
