"""The program ``minidb``, whatever its verb."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minidb
from minidb.cli import main
from minidb.exceptions import FieldError, MiniDBError, SchemaValidationError

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in {"COLUMNS", "FORCE_COLOR"}},
    "PYTHONPATH": str(Path(minidb.__file__).parents[1]),
}


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def test_the_program_tells_its_version() -> None:
    completed = run_python("-m", "minidb", "--version")
    assert (completed.returncode, completed.stdout) == (0, f"minidb {minidb.__version__}\n")


def test_the_help_names_the_verbs() -> None:
    completed = run_python("-m", "minidb", "--help")
    assert completed.returncode == 0
    assert re.search(r"\bdemo +Take a tour of MiniDB", completed.stdout)


def test_a_verb_tells_what_it_does_and_takes() -> None:
    told = " ".join(run_python("-m", "minidb", "demo", "--help").stdout.replace("│", " ").split())
    assert "It never changes or deletes a folder that it did not make." in told
    assert "[default: minidb-demo]" in told


def test_a_verb_that_there_is_not_is_refused_with_a_proposal() -> None:
    completed = run_python("-m", "minidb", "dmo")
    assert completed.returncode == 2
    assert "Did you mean 'demo'?" in completed.stderr


def test_no_verb_at_all_shows_the_help() -> None:
    completed = run_python("-m", "minidb")
    assert completed.returncode == 2
    assert "demo" in completed.stdout + completed.stderr


def test_the_command_line_alone_loads_neither_rich_nor_the_demo() -> None:
    loaded = run_python("-c", "import sys, minidb.cli.main; print(*sys.modules, sep='\\n')").stdout.splitlines()
    assert "minidb.cli.demo" in loaded
    assert {"rich", "minidb.cli.screen", "minidb.cli.demo_data", "minidb.cli.demo_tour"} & set(loaded) == set()


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the program with a verb that raises, and return its exit code."""

    def verb(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(main, "app", verb)
    return main.run()


def test_an_error_of_minidb_is_a_sentence_and_a_hint_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(MiniDBError("It did not work", hint="try again"), monkeypatch) == 1
    assert capsys.readouterr() == ("", "Error: It did not work\nHint: try again\n")


def test_an_error_without_a_hint_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(MiniDBError("It [did] not work"), monkeypatch) == 1
    assert capsys.readouterr() == ("", "Error: It [did] not work\n")


def test_a_bad_row_is_told_with_its_fields(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    errors = [
        FieldError("age", "type", "must be an integer, not str", "x"),
        FieldError("name", "required", "is required"),
    ]
    assert fail_with(SchemaValidationError("The row is bad", errors=errors), monkeypatch) == 1
    assert capsys.readouterr() == (
        "",
        "Error: The row is bad\n  age: must be an integer, not str\n  name: is required\n",
    )


def test_an_interrupt_before_a_verb_has_begun_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(KeyboardInterrupt(), monkeypatch) == 130
    assert capsys.readouterr() == ("", "Interrupted: what it had not committed is undone\n")


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_with(ZeroDivisionError(), monkeypatch)
