"""Loading files, and writing them again: nothing is lost, and what is bad is told by line and field."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.conftest import ENVIRONMENT, USERS, Run, run_in_pipe

from minidb import MiniDB
from minidb.cli.new_database import new_database
from minidb.exceptions import EngineUnavailableError

ODD = (
    "code,amount,ratio,flag,at,note,empty\n"
    '007,1.50,0.1,true,2024-01-01T10:00:00Z,"a ""quoted"", text\nof two lines",\n'
    "010,20.00,1e-05,false,2024-02-29T23:59:59.500000Z,日本語 👩‍👩‍👧,\n"
    ",,,,, leading blank,\n"
)


@pytest.mark.parametrize("text", [USERS, ODD], ids=["users", "odd"])
@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_a_file_that_is_loaded_is_exported_as_it_was(run: Run, tmp_path: Path, text: str, kind: str) -> None:
    given = text if kind == "csv" else text.replace('"a ""quoted"", text\nof two lines"', "plain").replace(",", "\t")
    (tmp_path / f"in.{kind}").write_text(given, encoding="utf-8", newline="")
    assert run("insert", "x.db", "t", f"in.{kind}").code == 0
    assert run("export", "x.db", "t", f"out.{kind}").code == 0
    assert (tmp_path / f"out.{kind}").read_bytes() == given.encode()


def test_the_types_are_reported(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_text(ODD, encoding="utf-8")
    assert run("insert", "x.db", "t", "odd.csv").lines == [
        "column\ttype\tnulls\texample",
        "code\tstring\t1\t007",
        "amount\tdecimal\t1\t1.50",
        "ratio\tfloat\t1\t0.1",
        "flag\tboolean\t1\ttrue",
        "at\tmoment\t1\t2024-01-01T10:00:00Z",
        'note\tstring\t0\ta "quoted", text\\nof two lines',
        "empty\tstring\t3\t",
        "3 rows inserted into t, a new table",
    ]


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.nl"])
def test_json_is_loaded_and_exported_as_it_was(run: Run, tmp_path: Path, name: str) -> None:
    rows = [
        {"n": 1, "f": 1.5, "s": "1", "day": "2024-01-01", "tags": ["a", 1], "map": {"x": [None]}, "any": 1, "b": True},
        {"n": None, "f": None, "s": "日本", "day": None, "tags": [], "map": {}, "any": "x", "b": False},
    ]
    text = json.dumps(rows, indent=1) if name == "x.json" else "".join(f"{json.dumps(row)}\n" for row in rows)
    (tmp_path / name).write_text(text)
    assert run("insert", "x.db", "t", name).code == 0
    assert run("export", "x.db", "t", f"out-{name}").code == 0
    exported = (tmp_path / f"out-{name}").read_text()
    assert (json.loads(exported) if name == "x.json" else [json.loads(line) for line in exported.splitlines()]) == rows
    with MiniDB("x.db") as database:
        schema = database.get_table("t").schema
        assert schema is not None
        assert [field.kind for field in schema.fields.values()] == [
            *("integer", "float", "string", "date", "list", "dict", "json", "boolean")
        ]


def test_a_long_json_array_is_read_piece_by_piece(run: Run, tmp_path: Path) -> None:
    rows = [{"n": number, "text": "x" * (number % 300)} for number in range(3000)]
    (tmp_path / "long.json").write_text(json.dumps(rows))
    assert run("insert", "x.db", "t", "long.json").lines[-1] == "3,000 rows inserted into t, a new table"
    assert json.loads(run("export", "x.db", "t", "--format", "json").out) == rows


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.json", '[{"a": 1}, {"a": ]', "x.json is no JSON from line 1 on"),
        ("x.json", '[{"a": 1}\n', "The array in x.json has no end"),
        ("x.json", "[1]", "x.json:1: is no JSON object"),
        ("x.json", "[]", "There is no row in x.json"),
        ("x.csv", "a,a\n1,2\n", "has a column twice: a"),
        ("x.csv", "a,\n1,2\n", "does not name every column"),
        ("x.csv", "", "does not name every column"),
        ("x.csv", "a,b\n1\n2,3\n", "x.csv:2: has 1 cell, and the header 2"),
        ("x.csv", 'a,b\n1,"open\n2,3\n', "x.csv is no CSV, up to line 3: a quote is not closed"),
        ("x.csv", 'a,b\n1,2\n1,"so "it" is"\n', "x.csv is no CSV, up to line 3: something follows the quote"),
        ("x.csv", '"a\n', "a quote is not closed"),
        ("x.jsonl", "", "There is no row in x.jsonl"),
        ("x.csv", "a\n\udcff\n", "is no text in utf-8"),
    ],
)
def test_a_broken_file_is_refused(run: Run, tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, errors="surrogateescape")
    ended = run("insert", "x.db", "t", name)
    assert ended.code == 1
    assert message in ended.err
    assert not (tmp_path / "x.db").exists() or run("tables", "x.db", "--nl").lines == []


def test_an_absent_file_is_told_in_a_sentence(run: Run) -> None:
    assert run("insert", "x.db", "t", "absent.csv").err == "Error: No such file or directory: absent.csv\n"


def test_another_encoding_another_delimiter_another_null(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("näme;age\nJosé;NA\nZoë;3\n", encoding="latin-1")
    assert run("insert", "x.db", "t", "x.csv", "--encoding", "latin-1", "--delimiter", ";", "--null", "NA").code == 0
    assert run("rows", "x.db", "t", "--nl").lines == [
        '{"id": 1, "näme": "José", "age": null}',
        '{"id": 2, "näme": "Zoë", "age": 3}',
    ]


def test_words_that_may_mean_null_are_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b,c,d\n1,x,NA,5\nNA,NA,NA,6\n,-,NA,7\n2.5,,NA,8\n")
    ended = run("insert", "x.db", "t", "x.csv")
    assert ended.err == "Hint: a would not be text if such words meant null: --null NA\n"
    assert [line.split("\t")[1] for line in ended.lines[1:-1]] == ["string", "string", "string", "integer"]
    ended = run("insert", "x.db", "u", "x.csv", "--null", "NA")
    assert (ended.err, ended.lines[1]) == ("", "a\tdecimal\t2\t1")
    assert run("export", "x.db", "u", "--format", "csv", "--null", "NA").lines[3] == "NA,-,NA,7"


def test_standard_input_is_read_twice(tmp_path: Path) -> None:
    for number, text in enumerate([USERS, USERS.replace(",", "\t"), '{"a": 1}\n{"a": 2}\n', '[{"a": 1}, {"a": 2}]']):
        completed = run_in_pipe(tmp_path, "insert", "x.db", f"t{number}", "-", given=text)
        assert completed.returncode == 0, completed
        assert (
            completed.stdout.splitlines()[-1] == f"{4 if number < 2 else 2} rows inserted into t{number}, a new table"
        )


def test_rows_of_a_table_that_is_there_have_its_types(run: Run, shop: str, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("name,score,joined\n123,7,2024-12-31\n")
    assert run("insert", shop, "users", "more.csv").lines == ["1 row inserted into users"]
    assert json.loads(run("get", shop, "users", "123", "--json").out) == {
        "name": "123",
        "age": None,
        "city": None,
        "joined": "2024-12-31",
        "score": 7.0,
    }


BAD = "name,age,joined\nEve,20,2024-01-01\nFay,x,2024-13-01\nAda,1,2024-01-01\n,2,2024-01-01\n"


def test_bad_rows_are_told_and_nothing_is_loaded(run: Run, shop: str, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(BAD)
    ended = run("insert", shop, "users", "bad.csv")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines() == [
        "bad.csv:3: age: must be an integer",
        "bad.csv:3: joined: must be a date",
        "bad.csv:4: name: another row has this primary key",
        "bad.csv:5: name: must not be None",
        "Error: Nothing was loaded, because of bad rows",
        "Hint: mend them, or pass --errors skip to load the others",
    ]
    assert len(run("rows", shop, "users").lines) == 5


def test_bad_rows_may_be_skipped_and_kept(run: Run, shop: str, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(BAD)
    ended = run("insert", shop, "users", "bad.csv", "--errors", "skip")
    assert ended.lines == ["1 row inserted into users; 3 bad"]
    assert "bad.csv:4: name: another row has this primary key" in ended.err
    assert (tmp_path / "bad.rejected.csv").read_text() == "".join(
        BAD.splitlines(keepends=True)[place] for place in (0, 2, 3, 4)
    )
    assert run("insert", shop, "users", "bad.rejected.csv").code == 1


def test_bad_lines_of_json_may_be_skipped_and_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": 1}\noops\n[1]\n{"a": 2}\n')
    ended = run("insert", "x.db", "t", "x.jsonl", "--errors", "skip", "--rejects", "bad.txt")
    assert ended.lines[-1] == "2 rows inserted into t, a new table; 2 bad"
    assert (tmp_path / "bad.txt").read_text() == "oops\n[1]\n"


def test_rows_that_are_there_may_be_replaced_or_ignored(run: Run, shop: str, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("name,age\nAda,99\nEve,20\n")
    assert run("insert", shop, "users", "more.csv", "--ignore").lines == [
        "1 row inserted into users; 1 were there already"
    ]
    assert json.loads(run("get", shop, "users", "Ada", "--json").out)["age"] == 36
    assert run("insert", shop, "users", "more.csv", "--upsert").lines == ["2 rows upserted into users"]
    assert json.loads(run("get", shop, "users", "Ada", "--json").out)["age"] == 99
    assert run("insert", shop, "users", "more.csv", "--upsert", "--ignore").code == 2


def test_a_dry_run_loads_nothing_and_finds_the_same(run: Run, shop: str, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(BAD)
    assert run("insert", shop, "users", "bad.csv", "--dry-run").code == 1
    ended = run("insert", shop, "users", "bad.csv", "--dry-run", "--errors", "skip")
    assert ended.lines == ["1 row would be inserted into users; 3 bad"]
    assert (
        run("insert", "new.db", "t", "bad.csv", "--dry-run").lines[-1] == "4 rows would be inserted into t, a new table"
    )
    assert len(run("rows", shop, "users").lines) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "shop.db", "users.csv"]


def test_batches_are_committed_one_by_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("n\n1\n2\n3\nx\n")
    (tmp_path / "s.json").write_text('{"n": "integer"}')
    ended = run("insert", "x.db", "t", "x.csv", "--schema", "s.json", "--batch", "2")
    assert ended.code == 1
    assert "x.csv:5: n: must be an integer" in ended.err
    assert "the ones before it were" in ended.err
    assert run("rows", "x.db", "t", "--fields", "n").lines == ["n", "1", "2"]


@pytest.mark.usefixtures("shop")
def test_indexes_are_made_with_the_rows(run: Run) -> None:
    assert run("insert", "x.db", "t", "users.csv", "--index", "city,age", "--index", "name").code == 0
    assert [line.split("\t")[1] for line in run("index", "list", "x.db").lines[1:]] == ["city_age", "name"]


def test_a_file_that_is_there_is_not_written_over(run: Run, shop: str, tmp_path: Path) -> None:
    assert run("export", shop, "users", "users.csv").code == 1
    assert (tmp_path / "users.csv").read_text(encoding="utf-8") == USERS
    assert run("export", shop, "users", "users.csv", "--force", "--where", "age > 40").lines == [
        "1 row of users exported to users.csv"
    ]
    assert (tmp_path / "users.csv").read_text() == "name,age,city,joined,score\nDan,52,,2024-04-09,10.25\n"


def test_an_export_that_fails_leaves_no_file(run: Run, shop: str, tmp_path: Path) -> None:
    assert run("export", shop, "users", "out.csv", "--order", "nme").code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop.db", "users.csv"]


@pytest.mark.parametrize(
    ("number", "is_there"),
    [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, True)],
)
def test_an_interrupt_leaves_no_half_table(run: Run, tmp_path: Path, number: signal.Signals, is_there: bool) -> None:
    with (tmp_path / "big.csv").open("w") as file:
        file.write("a,b\n")
        file.writelines(f"{number},text {number}\n" for number in range(2_000_000))
    (tmp_path / "s.json").write_text('{"a": "integer", "b": "string"}')
    if is_there:
        assert run("schema", "create", "x.db", "other", "s.json").code == 0
    before = {path.name for path in tmp_path.iterdir()}
    lock = tmp_path / "x.db" / "minidb.lock"
    unlocked = lock.read_bytes() if is_there else b""

    def has_begun() -> bool:
        """Whether the folder in which a new database is built is there, or somebody has taken the lock to write."""
        return lock.read_bytes() != unlocked if is_there else {path.name for path in tmp_path.iterdir()} != before

    former = signal.signal(number, signal.default_int_handler)  # what is ignored here, as by nohup, is so in a program
    try:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "minidb", "insert", "x.db", "t", "big.csv", "--schema", "s.json"],
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    finally:
        signal.signal(number, former)
    with process:
        while not has_begun():
            time.sleep(0.01)
        time.sleep(1)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + number, b""), err
    assert err == (b"Interrupted: what it had not committed is undone\n" if number == signal.SIGINT else b"")
    assert {path.name for path in tmp_path.iterdir()} == before
    if is_there:
        with MiniDB(tmp_path / "x.db") as database:
            assert database.table_names() == ["other"]
            assert database.verify().ok


def test_a_new_database_is_there_whole_or_not_at_all(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n" + "1\n" * 6000 + "x\n")
    ended = run("insert", "deep/er/x.db", "t", "x.csv", "--type", "a=integer", "--index", "a")
    assert (ended.code, "Nothing was loaded" in ended.err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    assert run("insert", "deep/er/x.db", "t", "x.csv", "--type", "a=integer", "--errors", "skip").code == 0
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["x.db"]
    assert run("query", "deep/er/x.db", "t", "--count").lines == ["6000"]
    assert run("verify", "deep/er/x.db").code == 0
    assert "cannot be made" in run("insert", "x.csv/x.db", "t", "x.csv").err


def test_a_database_that_somebody_makes_meanwhile_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")

    def make_both() -> None:
        with new_database(str(tmp_path / "y.db")) as mine:
            mine.create_table("mine")
            assert run("insert", "y.db", "theirs", "x.csv").code == 0

    with pytest.raises(EngineUnavailableError, match="cannot be made"):
        make_both()
    assert run("tables", "y.db", "--csv").lines[1].startswith("theirs,")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "y.db"]


def test_an_object_over_several_lines_is_read_from_standard_input(tmp_path: Path) -> None:
    assert run_in_pipe(tmp_path, "insert", "x.db", "t", "-", given='{\n "a": 1,\n "b": [2]\n}\n').returncode == 0
    assert run_in_pipe(tmp_path, "insert", "x.db", "t", "-", given='{"a": 2}\n{"a": 3}\n').returncode == 0
    assert run_in_pipe(tmp_path, "query", "x.db", "t", "a < 3", "--csv").stdout == "id,a,b\n1,1,[2]\n2,2,\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": "\\ud800"}', "x.jsonl:1: a: must not contain a lone surrogate"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "x.jsonl:1: is no JSON: it is nested too deeply"),
        ('{"a": 1}\n{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "x.jsonl:2: is no JSON: it is nested too deeply"),
        ('{"a": ' + "[" * 65 + "]" * 65 + "}", "x.jsonl:1: a"),
    ],
    ids=["surrogate", "deep", "deep-2", "nested"],
)
def test_what_no_row_can_hold_is_told(run: Run, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.jsonl").write_text(text + "\n")
    ended = run("insert", "x.db", "t", "x.jsonl")
    assert ended.code == 1
    assert message in ended.err
    assert not (tmp_path / "x.db").exists()


def test_a_long_example_is_cut_in_the_report(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n" + "x" * 100_000 + "\n")
    assert run("insert", "x.db", "t", "x.csv").lines[1] == "a\tstring\t0\t" + "x" * 39 + "…"


def test_hints_tell_of_another_delimiter_and_encoding(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a;b\n1;2\n")
    ended = run("insert", "x.db", "t", "x.csv", "--dry-run")
    assert ended.err == "Hint: there is one column; ';' may part several: --delimiter ';'\n"
    (tmp_path / "x.csv").write_text("a,b\n1,2\n", encoding="utf-16")
    assert "--encoding utf-16" in run("insert", "x.db", "t", "x.csv").err
    assert run("insert", "x.db", "t", "x.csv", "--encoding", "utf-16", "--primary-key", "a,b").code == 0
    assert run("get", "x.db", "t", "1", "2").code == 0
