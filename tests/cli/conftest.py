"""Running ``minidb``: in this process, in a process of its own, and on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import minidb
from minidb.cli import main

UNSET = {"COLUMNS", "NO_COLOR", "FORCE_COLOR", "MINIDB_URL"}
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in UNSET},
    "PYTHONPATH": str(Path(minidb.__file__).parents[1]),
    "PYTHONIOENCODING": "utf-8",
    "TERM": "xterm-256color",
}

USERS = (
    "name,age,city,joined,score\n"
    "Ada,36,London,2024-01-31,1.5\n"
    "Bob,17,Paris,2024-02-01,2.5\n"
    "Dan,52,,2024-04-09,10.25\n"
    "Éva 日本,,Paris,2024-03-05,\n"
)


@dataclass(frozen=True)
class Ended:
    """How a run of the program ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of standard output, of a run that did well."""
        assert self.code == 0, self
        return self.out.splitlines()


Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the program in this process, as in a pipe, in an empty folder; warnings are errors there, too."""
    monkeypatch.chdir(tmp_path)
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)

    def run_here(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["minidb", *arguments])
        try:
            code = main.run()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run_here


@pytest.fixture
def shop(run: Run, tmp_path: Path) -> str:
    """The path of a database with a table of users, by name, and the file that they came from."""
    (tmp_path / "users.csv").write_text(USERS, encoding="utf-8")
    assert run("insert", "shop.db", "users", "users.csv", "--primary-key", "name").code == 0
    return "shop.db"


def run_in_pipe(
    folder: Path, *arguments: str, given: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "minidb", *arguments],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def run_on_terminal(
    folder: Path, *arguments: str, columns: int = 80, answers: str = "", **environment: str
) -> tuple[int, str]:
    """Run the program under a terminal of some width, type answers, and return its exit code and what it showed."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover  # the child
        os.chdir(folder)
        command = [sys.executable, "-W", "error", "-m", "minidb", *arguments]
        os.execvpe(command[0], command, {**ENVIRONMENT, **environment})  # noqa: S606  # of this repository
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    os.write(terminal, answers.encode())
    shown = bytearray()
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # what Linux says when the other end has closed
            break
        if not piece:
            break
        shown += piece
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()
