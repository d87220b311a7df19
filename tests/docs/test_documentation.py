"""Every code block of the README and of ``docs/`` runs.

A page is one session: its blocks run in their order, in one namespace and one temporary working directory.

- ``python`` blocks are executed. Where ``print(…)  # text`` stands, the text is a line that the block printed.
- ``console`` blocks show a terminal: lines that begin with ``$ `` are commands, the others what they print.
  Commands of ``minidb`` are run and must succeed. Those that prepare a machine or a checkout (``pip``, ``git``, …)
  are left to ``.ci/run``. Any other command is refused, so that nobody believes it tested.
- Other blocks (``text``, ``toml``, …) show what is no program.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from tests.postgres_server import Server

import minidb

REPOSITORY = Path(__file__).parents[2]
LONG_PAGES = [REPOSITORY / "docs" / "reference" / "command-line.md"]
"""Pages with a hundred programs to start."""

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]

PREPARATIONS = ("pip ", "python -m pip ", "python -m venv ", "python -m pytest", "git ", "cd ", "source ", ".ci/run")
"""How commands begin that prepare a machine or a checkout, and are not run here."""

SHOWN_ONLY = {"text", "toml", "json", "ini", "ebnf", "mermaid"}
"""Languages of blocks that are no programs."""

FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}) *(?P<info>[^`]*)$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its info string, its text, and the line of the page on which its text begins (from 1)."""

    info: str
    text: str
    line: int


def blocks_of(page: str) -> Iterator[Block]:
    lines = iter(enumerate(page.splitlines(), start=1))
    for number, line in lines:
        opening = FENCE.match(line)
        if opening is None:
            continue
        body = []
        for _, inner in lines:
            if inner.strip() == opening["ticks"]:
                break
            body.append(inner)
        else:
            pytest.fail(f"the block of line {number} has no end")
        text = textwrap.dedent("".join(f"{inner}\n" for inner in body))
        yield Block(opening["info"].strip(), text, number + 1)


def promises_of(source: str) -> Iterator[str]:
    """Return the comments behind calls of ``print``, in the order of the text: what these promise to print."""
    lines = source.encode().splitlines()  # the offsets of ast count bytes
    prints = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )
    for node in sorted(prints, key=lambda node: node.lineno):
        assert node.end_lineno is not None  # as for every node that was parsed
        behind = lines[node.end_lineno - 1][node.end_col_offset :].decode().strip()
        if behind.startswith("# "):
            yield behind.removeprefix("# ")


class Session:
    """Runs the blocks of one page."""

    def __init__(self, page: Path, folder: Path, programs: Path) -> None:
        self.page = page
        self.folder = folder
        self.programs = programs
        self.module = ModuleType("__main__")

    def run(self) -> None:
        for block in blocks_of(self.page.read_text()):
            where = f"{self.page.name}:{block.line}"
            match block.info:
                case "python":
                    self.run_python(block, where)
                case "console":
                    self.run_console(block, where)
                case info if info not in SHOWN_ONLY:
                    pytest.fail(f"{where}: a block of {info!r} would not be run; use python, console or text")

    def run_python(self, block: Block, where: str) -> None:
        # The empty lines before it make a traceback show the line of the page.
        source = "\n" * (block.line - 1) + block.text
        printed = StringIO()
        with redirect_stdout(printed):
            exec(compile(source, str(self.page), "exec", dont_inherit=True), self.module.__dict__)  # noqa: S102  # its purpose
        lines = iter(printed.getvalue().splitlines())
        for promise in promises_of(block.text):
            # "in" on an iterator goes on behind the line that it found: the promises are kept in their order.
            assert promise in lines, f"{where}: {promise!r} was not printed, but:\n{printed.getvalue()}"

    def run_console(self, block: Block, where: str) -> None:
        for line in block.text.splitlines():
            if not line.startswith("$ "):
                continue
            command = " && ".join(part for part in line[2:].split(" && ") if not part.startswith(PREPARATIONS))
            if not command:
                continue
            assert shlex.split(command)[0] == "minidb", f"{where}: nothing would test {line!r}"
            completed = subprocess.run(
                ["/bin/bash", "-o", "pipefail", "-c", command],
                cwd=self.folder,
                env={**os.environ, "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}"},
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=120,
            )
            assert completed.returncode == 0, f"{where}: {line}\n{completed.stdout}{completed.stderr}"


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program ``minidb``: the command line's entry point, on the package under test."""
    folder = tmp_path_factory.mktemp("programs")
    program = folder / "minidb"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"sys.path.insert(0, {str(Path(minidb.__file__).parents[1])!r})\n"
        "from minidb.cli.main import run\n"
        "sys.exit(run())\n"
    )
    program.chmod(0o755)
    return folder


def run_page(page: Path, folder: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(page, folder, programs)
    monkeypatch.chdir(folder)
    # What a page defines belongs to the module that Python believes to be running.
    monkeypatch.setitem(sys.modules, "__main__", session.module)
    session.run()


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=str(page.relative_to(REPOSITORY)), marks=[pytest.mark.slow] * (page in LONG_PAGES))
        for page in PAGES
    ],
)
def test_every_block_of_the_page_runs(
    page: Path, tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if "DATABASE_URL" in page.read_text():
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("postgres_url"))
    run_page(page, tmp_path, programs, monkeypatch)


ON_A_SERVER = [
    "README.md",
    "docs/tutorial.md",
    *(f"docs/how-to/{topic}.md" for topic in ("errors-and-logging", "indexes", "mappings", "queries", "transactions")),
]
"""Pages whose programs run on a server too, with only the path changed."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_A_SERVER)
def test_the_programs_of_the_page_run_on_a_server_with_only_the_path_changed(
    name: str, tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch, postgres_server: Server
) -> None:
    text = (REPOSITORY / name).read_text()
    folders = sorted(set(re.findall(r'MiniDB\("([^":]+)"', text)))
    assert folders, "the page opens a database"
    urls = {folder: postgres_server.url(f"docs_{uuid.uuid4().hex}") for folder in folders}
    try:
        for folder, url in urls.items():
            text = text.replace(f'MiniDB("{folder}"', f'MiniDB("{url}"')
        page = tmp_path / "page.md"
        page.write_text(re.sub(r"^( *)```console$", r"\1```text", text, flags=re.MULTILINE))
        run_page(page, tmp_path, programs, monkeypatch)
        assert not [folder for folder in folders if (tmp_path / folder).exists()]
    finally:
        for url in urls.values():
            postgres_server.drop(url.partition("minidb_schema=")[2])


def test_the_pages_link_to_files_that_are_there() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


# --- negative controls: what a page promises and does not keep is found -----------------------------------------------

BROKEN_PAGES = {
    "a block that fails": "```python\nassert False\n```\n",
    "a block behind a good one": "```python\nx = 1\n```\n```python\nassert x == 2\n```\n",
    "a block in a list": "- item\n\n  ```python\n  assert False\n  ```\n",
    "an output that is not printed": "```python\nprint(1 + 1)  # 3\n```\n",
    "an output of several lines of code": "```python\nprint(\n    1 + 1,\n)  # 3\n```\n",
    "outputs in another order": "```python\nfor n in (2, 1):\n    print(n)\nprint(0)  # 1\nprint(0)  # 2\n```\n",
    "a block that asks not to be run": "```python no-run\nx = 1\n```\n",
    "a session that is not run": "```pycon\n>>> 1\n2\n```\n",
    "a block without a language": "```\nx = 1\n```\n",
    "a block without an end": "```python\nx = 1\n",
    "a command that fails": "```console\n$ minidb no-such-command\n```\n",
    "a command behind a preparation": "```console\n$ pip install . && minidb no-such-command\n```\n",
    "a command that nothing tests": "```console\n$ frobnicate\n```\n",
}


@pytest.mark.parametrize("text", BROKEN_PAGES.values(), ids=BROKEN_PAGES.keys())
def test_a_broken_page_is_found(text: str, tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run_page(page, tmp_path, programs, monkeypatch)


def test_a_page_that_keeps_its_promises_passes(tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1\nprint(x)  # 1\n```\n"
        "```text\nanything\n```\n"
        "```console\n$ python -m venv .venv\n$ pip install .\n$ minidb --help\nUsage: …\n```\n"
        "```python\nprint(x + 1)  # 2\nclass Defined: ...\nassert Defined.__module__ == '__main__'\n```\n"
    )
    run_page(page, tmp_path, programs, monkeypatch)
