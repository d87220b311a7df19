"""The shell: in a pipe a script of verbs, on a terminal a prompt that completes and survives Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from tests.cli.conftest import ENVIRONMENT, Run, run_in_pipe
from typer.main import get_command

from minidb import MiniDB
from minidb.cli.main import app
from minidb.cli.shell import is_complete, words_of
from minidb.cli.shell_prompt import ShellCompleter


def test_a_script_runs_line_by_line(shop: str, tmp_path: Path) -> None:
    script = (
        "# a comment\n\n"
        'query users "age > 20" --fields name\n'
        "update users \"name = 'Ada'\" \\\n  age=37 --yes\n"
        "get users Ada --fields age\n"
        '\\explain users "age > 20"\n'
        ".quit\n"
        "rows nothing\n"
    )
    completed = run_in_pipe(tmp_path, "shell", shop, given=script)
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout.splitlines() == [
        *("name", "Ada", "Dan", "1 row of users updated", "age\t37"),
        *("filter age > 20", "└─ table scan of users", "examined 4 rows, returned 2"),
    ]


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        ("rows nobody\ntables\n", 1, "There is no table named 'nobody'"),
        ("rows\n", 2, "TABLE"),
        ("frobnicate\n", 2, "frobnicate"),
        ('query users "age > 2\n', 1, "a quote that is not closed"),
        ('delete users ""\n', 1, "Nobody can be asked"),
    ],
)
def test_a_script_stops_at_the_first_error(shop: str, tmp_path: Path, script: str, code: int, message: str) -> None:
    completed = run_in_pipe(tmp_path, "shell", shop, given=script)
    assert (completed.returncode, completed.stdout) == (code, "")
    assert message in completed.stderr


def test_the_shell_makes_no_database(run: Run, tmp_path: Path) -> None:
    assert run("shell", "nowhere").code == 1
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("rows users", True), ('query users "age', False), ("rows \\", False), ("\\explain users", True), ("", True)],
)
def test_an_open_quote_or_backslash_goes_on(text: str, expected: bool) -> None:
    assert is_complete(text) == expected


def test_explain_is_a_query_that_explains() -> None:
    expected = ["query", "users", "age > 2", "--explain"]
    assert words_of('\\explain users "age > 2"') == expected
    assert words_of('.explain query users "age > 2"') == expected


@pytest.mark.usefixtures("run")
def test_the_prompt_completes_verbs_tables_fields_and_options(shop: str) -> None:
    with MiniDB(shop) as database:
        database.create_index("users", "city")
        database.create_table("orders")
    completer = ShellCompleter(get_command(app), shop)

    def proposed(text: str) -> list[str]:
        return [one.text for one in completer.get_completions(Document(text), CompleteEvent())]

    assert proposed("que") == ["query"]
    assert {"rows", "index", ".help"} <= set(proposed(""))
    assert proposed("rows ") == ["orders", "users"]
    assert proposed("rows us") == ["users"]
    assert proposed('query users "ag') == ["age"]
    assert proposed('query users "age > 3 and jo') == ["joined"]
    assert proposed('query users "age bet') == ["between"]
    assert proposed("query users --ord") == ["--order"]
    assert proposed("query users --order -a") == ["-age"]
    assert proposed("index ") == ["create", "drop", "list"]
    assert proposed("index create us") == ["users"]
    assert proposed("\\explain us") == ["users"]
    assert proposed("frobnicate ") == []


class Terminal:
    """A shell on a terminal."""

    def __init__(self, folder: Path, database: str, **environment: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "minidb", "shell", database],
            cwd=folder,
            env={**ENVIRONMENT, "XDG_STATE_HOME": str(folder / "state"), **environment},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # noqa: PLW1509  # makes it the controlling terminal
        )
        os.close(slave)
        self.shown = ""

    def expect(self, text: str, timeout_s: float = 60) -> str:
        """Wait until a text is shown, and return what was shown up to it."""
        deadline = time.monotonic() + timeout_s
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} was not shown, but {self.shown!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                piece = os.read(self.master, 65536).decode(errors="replace")
                if "\x1b[6n" in piece:  # where is the cursor?
                    os.write(self.master, b"\x1b[1;1R")
                self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", piece)
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def interrupt(self, text: str) -> None:
        """Press Ctrl-C until a text is shown: just before it waits for a key, the host's readline does not see it."""
        for _ in range(20):
            self.type("\x03")
            with suppress(AssertionError):
                self.expect(text, timeout_s=3)
                return
        self.expect(text)


@pytest.fixture(params=["prompt_toolkit", "plain"])
def terminal(shop: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    environment = {}
    if request.param == "plain":  # as where the extra is not installed
        (tmp_path / "without" / "prompt_toolkit").mkdir(parents=True)
        (tmp_path / "without" / "prompt_toolkit" / "__init__.py").write_text("raise ImportError")
        environment["PYTHONPATH"] = f"{tmp_path / 'without'}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"
    terminal = Terminal(tmp_path, shop, **environment)
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.master)


@pytest.mark.slow
def test_the_prompt_runs_verbs_and_survives_errors_and_interrupts(terminal: Terminal) -> None:
    terminal.expect("minidb>")
    terminal.type("get users Ada --fields age\r")
    terminal.expect("36")
    terminal.expect("took ")
    terminal.expect("minidb>")
    terminal.type("rows nobody\r")
    terminal.expect("There is no table named 'nobody'")
    terminal.expect("minidb>")
    terminal.type("rows half")
    terminal.interrupt("minidb>")
    terminal.type('query users "age > 50" \\\r')
    terminal.expect("...>")
    terminal.type("--fields name\r")
    terminal.expect("Dan")
    terminal.expect("minidb>")
    terminal.type("delete users \"name = 'Ada'\"\r")
    terminal.expect("[y/N]")
    terminal.type("n\r")
    terminal.expect("Nothing was changed")
    terminal.expect("minidb>")
    terminal.type("\x04")
    assert terminal.process.wait(60) == 0


@pytest.mark.slow
def test_an_interrupt_ends_what_runs_and_undoes_it(terminal: Terminal, shop: str, tmp_path: Path) -> None:
    with (tmp_path / "big.csv").open("w") as file:
        file.writelines(["a,b\n", *(f"{number},text {number}\n" for number in range(1_000_000))])
    terminal.expect("minidb>")
    terminal.type("insert big big.csv\r")
    terminal.expect("loading")
    terminal.type("\x03")
    terminal.expect("Interrupted: what it had not committed is undone")
    terminal.expect("minidb>")
    terminal.type("\x04")
    assert terminal.process.wait(60) == 0
    with MiniDB(tmp_path / shop) as database:
        assert database.table_names() == ["users"]
