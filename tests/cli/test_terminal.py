"""What a person sees: tables that fit, values that are cut, colours unless NO_COLOR; no value steers the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from tests.cli.conftest import run_in_pipe, run_on_terminal

from minidb import MiniDB
from minidb.schema import IntegerField, Schema, StringField

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

pytestmark = pytest.mark.slow  # each starts programs on a terminal


def shown(folder: Path, *arguments: str, columns: int = 80, **environment: str) -> list[str]:
    code, text = run_on_terminal(folder, *arguments, columns=columns, **environment)
    assert code == 0, text
    return ESCAPE.sub("", text).splitlines()


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder with a database of odd tables."""
    wide = Schema({f"column {number}": StringField() for number in range(200)})
    with MiniDB(tmp_path / "odd.db") as database:
        database.create_table("wide", wide).insert({name: name * 3 for name in wide.fields})
        database.create_table("empty", Schema(a=IntegerField()))
        texts = database.create_table("texts", Schema(t=StringField(), n=IntegerField()))
        texts.insert_many(
            [
                {"t": "日本語" * 40, "n": 1},
                {"t": "👩‍👩‍👧 " * 20, "n": 22},
                {"t": "\x1b[31mred\x07\r\nnext\x9b", "n": None},
                {"t": None, "n": 333},
                {"t": "", "n": 4},
            ]
        )
        database.create_table("many", Schema(n=IntegerField())).insert_many({"n": n} for n in range(300))
    return tmp_path


@pytest.mark.parametrize("columns", [10, 20, 40, 80, 200])
@pytest.mark.parametrize("table", ["wide", "empty", "texts"])
def test_a_table_fits_the_terminal(odd: Path, table: str, columns: int) -> None:
    lines = shown(odd, "rows", "odd.db", table, columns=columns)
    framed = [line for line in lines if line[:1] in "╭│├╰"]
    assert len({cell_len(line) for line in framed}) == 1
    assert cell_len(framed[0]) <= columns


def test_what_does_not_fit_is_told(odd: Path) -> None:
    assert shown(odd, "rows", "odd.db", "wide")[-1] == "1 row, 194 columns left out: --fields, --json"
    assert "日本語日本語" in "".join(shown(odd, "rows", "odd.db", "texts", columns=30))
    assert shown(odd, "rows", "odd.db", "empty")[-1] == "0 rows"


def test_a_terminal_is_shown_the_first_rows(odd: Path) -> None:
    assert shown(odd, "rows", "odd.db", "many")[-1] == "100 rows shown, there are more: --limit"
    assert shown(odd, "rows", "odd.db", "many", "--limit", "150")[-1] == "150 rows"
    assert len(run_in_pipe(odd, "rows", "odd.db", "many").stdout.splitlines()) == 301


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (["rows", "odd.db", "texts"], "\\r\\nnext\\x9b"),
        (["get", "odd.db", "texts", "3"], "\\r\\nnext\\x9b"),
        (["rows", "odd.db", "texts", "--csv"], "\\r\r\nnext\\x9b"),
        (["export", "odd.db", "texts", "-", "--format", "csv"], "\\r\r\nnext\\x9b"),
        (["rows", "odd.db", "texts", "--json"], "\\r\\nnext\\x9b"),
        (["rows", "odd.db", "texts", "--nl"], "\\r\\nnext\\x9b"),
        (["dump", "odd.db"], "\\r\\nnext\\x9b"),
    ],
    ids=" ".join,
)
def test_no_value_steers_the_terminal(odd: Path, arguments: list[str], end: str) -> None:
    _, text = run_on_terminal(odd, *arguments, columns=100, NO_COLOR="1")
    text = text.replace("\\u001b", "\\x1b").replace("\\u0007", "\\x07")  # as JSON has it
    assert r"\x1b[31mred\x07" + end in text
    assert "\x07" not in text
    assert "\x9b" not in text
    assert "\x1b[31m" not in text


def test_no_message_steers_the_terminal(odd: Path) -> None:
    _, text = run_on_terminal(odd, "insert", "odd.db", "t", "\x1b[31mred.csv", NO_COLOR="1")
    assert "No such file or directory: \\x1b[31mred.csv" in text


def test_signs_that_turn_a_line_are_shown(odd: Path) -> None:
    with MiniDB(odd / "turned.db") as database:
        database.create_table("t", Schema(a=StringField())).insert({"a": "ab\u202ecd\u2066\u2028"})
    assert r"│ ab\u202ecd\u2066\u2028 │" in "".join(shown(odd, "rows", "turned.db", "t", "--fields", "a"))


def test_null_is_told_from_an_empty_text(odd: Path) -> None:
    lines = shown(odd, "rows", "odd.db", "texts", "--reverse", "--limit", "2")
    assert ["null" in line for line in lines[3:5]] == [False, True]


def test_colours_go_with_no_color(odd: Path) -> None:
    code, coloured = run_on_terminal(odd, "tables", "odd.db")
    assert code == 0
    assert "\x1b[1m" in coloured
    _, plain = run_on_terminal(odd, "rows", "odd.db", "nobody", NO_COLOR="1")
    assert "\x1b[31m" not in plain
    _, red = run_on_terminal(odd, "rows", "odd.db", "nobody")
    assert "\x1b[31m" in red
    assert "\x1b" not in run_in_pipe(odd, "rows", "odd.db", "nobody").stderr


def test_loading_shows_a_bar_on_a_terminal_only(odd: Path) -> None:
    (odd / "x.csv").write_text("a\n" + "1\n" * 20_000)
    _, text = run_on_terminal(odd, "insert", "odd.db", "x", "x.csv")
    assert "loading" in text
    assert "20,000 rows inserted into x, a new table" in text
    completed = run_in_pipe(odd, "insert", "odd.db", "y", "x.csv")
    assert (completed.returncode, completed.stderr) == (0, "")


def test_the_error_of_a_load_is_told_below_its_bar(odd: Path) -> None:
    (odd / "bad.csv").write_text("a\n1\nx\n")
    (odd / "s.json").write_text('{"a": "integer"}')
    code, text = run_on_terminal(odd, "insert", "odd.db", "x", "bad.csv", "--schema", "s.json")
    assert code == 1
    assert text.index("loading") < text.index("bad.csv:3: a: must be an integer")
