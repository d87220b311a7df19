"""What a shell proposes: verbs, options, and the tables, indexes and fields of the database on the line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import ENVIRONMENT, Run

from minidb import MiniDB

pytestmark = pytest.mark.slow  # each starts programs on a terminal


def completed(folder: Path, line: str, **environment: str) -> list[str]:
    """Return what bash is proposed for the last word of a line."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", "minidb"],
        cwd=folder,
        env={
            **ENVIRONMENT,
            "_MINIDB_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
            **environment,
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert ended.stderr == ""
    return ended.stdout.split()


def test_verbs_are_proposed(tmp_path: Path) -> None:
    assert completed(tmp_path, "minidb que") == ["query"]
    assert completed(tmp_path, "minidb index cr") == ["create"]
    assert "--limit" in completed(tmp_path, "minidb rows --")


def test_tables_fields_and_indexes_of_the_database_are_proposed(run: Run, shop: str, tmp_path: Path) -> None:
    assert run("index", "create", shop, "users", "city", "age").code == 0
    assert completed(tmp_path, f"minidb rows {shop} ") == ["users"]
    assert completed(tmp_path, f"minidb query {shop} users ag") == ["age"]
    assert completed(tmp_path, f"minidb query {shop} users --order a") == ["age"]
    assert completed(tmp_path, f"minidb rows {shop} users --fields name,a") == ["name,age"]
    assert completed(tmp_path, f"minidb index drop {shop} users ") == ["city_age"]
    assert completed(tmp_path, f"minidb --url {shop} rows us") == ["users"]
    assert completed(tmp_path, "minidb rows us", MINIDB_URL=shop) == ["users"]


def test_a_name_that_is_no_word_of_the_shell_is_escaped_for_bash(tmp_path: Path) -> None:
    with MiniDB(tmp_path / "odd.db") as database:
        database.create_table("my table $HOME")
        database.mapping("cache")
    assert completed(tmp_path, "minidb query odd.db ") == ["my\\", "table\\", "\\$HOME"]  # split at its blanks here
    assert completed(tmp_path, "minidb rows odd.db c") == ["cache"]


@pytest.mark.parametrize(("shell", "expected"), [("zsh", "_arguments '*: :((\"age\"))'\n"), ("fish", "age\n")])
def test_zsh_and_fish_are_proposed_the_same(shop: str, tmp_path: Path, shell: str, expected: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", "minidb"],
        cwd=tmp_path,
        env={
            **ENVIRONMENT,
            "_MINIDB_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_ARGS": f"minidb query {shop} users ag",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert (ended.stdout, ended.stderr) == (expected, "")


def test_what_cannot_be_read_proposes_nothing(shop: str, tmp_path: Path) -> None:
    assert completed(tmp_path, "minidb rows nowhere ") == []
    assert completed(tmp_path, f"minidb query {shop} nobody a") == []
    with MiniDB(tmp_path / shop) as database:
        database.create_table("free")
    assert completed(tmp_path, f"minidb query {shop} free a") == []
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_can_be_taught(tmp_path: Path, shell: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", "minidb"],
        cwd=tmp_path,
        env={**ENVIRONMENT, "_MINIDB_COMPLETE": f"source_{shell}"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert "_MINIDB_COMPLETE" in ended.stdout
