"""The house keeps its rules: imports point down, modules stay small, nothing stored can run, imports stay light."""

from __future__ import annotations

import ast
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import minidb

REPOSITORY = Path(__file__).parents[2]
SOURCE = REPOSITORY / "src" / "minidb"
MODULES = sorted(SOURCE.rglob("*.py"))

MAX_LINES = 600
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}
"""Names that would take in anything, and so say nothing."""

FORBIDDEN_IMPORTS = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
FORBIDDEN_CALLS = {"eval", "exec"}
HEAVY_MODULES = {"asyncio", "dataclasses", "hashlib", "pathlib", "psycopg", "rich", "typer"}
LATER_MODULES = {
    "minidb.engines.lmdb",
    "minidb.maintenance.verify",
    "minidb.query.aggregate",
    "minidb.query.page_token",
    "minidb.schema.evolution",
    "minidb.schema.shapes",
    "minidb.tables.history",
    "minidb.tables.index_build",
    "minidb.tables.rewriting",
}
"""What a program that opens, reads and writes may do without: whoever needs one imports it in a function."""


# --- imports between rooms --------------------------------------------------------------------------------------------


def lint_imports(repository: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of ``pyproject.toml`` on the package in ``repository/src``."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_imports_keep_their_contracts() -> None:
    completed = lint_imports(REPOSITORY)
    assert completed.returncode == 0, completed.stdout + completed.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("tables/catalog.py", "import minidb.api.database", "Imports point down"),
        ("encoding/keys.py", "import minidb.engines.port", "Imports point down"),
        ("new_room.py", "", "Imports point down"),
        ("schema/fields.py", "import minidb.engines.port", "see no engine"),
        ("encoding/keys.py", "import minidb.options", "see no engine"),
        ("tables/catalog.py", "import minidb.engines.memory", "only their port"),
        ("api/table.py", "import minidb.engines.locate", "only their port"),
        ("engines/memory.py", "import lmdb", "lmdb is imported"),
        ("engines/memory.py", "import psycopg", "psycopg is imported"),
        ("tables/catalog.py", "import msgspec", "msgspec is imported"),
        ("api/table.py", "def f():\n    import rich.table", "typer and rich"),
        ("cli/cells.py", "import minidb.tables.row", "what every program may use"),
    ],
)
def test_each_contract_sees_what_breaks_it(tmp_path: Path, module: str, line: str, contract: str) -> None:
    shutil.copytree(SOURCE, tmp_path / "src" / "minidb", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    with (tmp_path / "src" / "minidb" / module).open("a") as file:
        file.write(f"\n{line}\n")
    completed = lint_imports(tmp_path)
    assert completed.returncode == 1, completed.stdout + completed.stderr
    assert contract in completed.stdout.partition("Broken contracts")[2], completed.stdout


# --- modules ----------------------------------------------------------------------------------------------------------


def complaints_about(path: Path, source: str) -> Iterator[str]:
    """Say what is wrong with a module, apart from what it imports from its own package."""
    if path.stem in DRAWERS:
        yield "is a drawer"
    if len(source.splitlines()) >= MAX_LINES:
        yield "is too long"
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                imported = {alias.name.partition(".")[0] for alias in names}
            case ast.ImportFrom(module=str(name)):
                imported = {name.partition(".")[0]}
            case ast.Call(func=ast.Name(id=called)) if called in FORBIDDEN_CALLS:
                yield f"calls {called}"
                continue
            case _:
                continue
        for name in sorted(imported & FORBIDDEN_IMPORTS):
            yield f"imports {name}"


def test_the_modules_keep_the_rules_of_the_house() -> None:
    assert len(MODULES) > 20
    assert [
        f"{path.relative_to(SOURCE)} {complaint}"
        for path in MODULES
        for complaint in complaints_about(path, path.read_text())
    ] == ["cli/importers/pickled.py imports pickle"]  # other programs' files, where the user asks for it


@pytest.mark.parametrize(
    ("name", "source", "complaint"),
    [
        ("rows.py", "import os, pickle\n", "imports pickle"),
        ("rows.py", "def f():\n    from marshal import loads\n", "imports marshal"),
        ("rows.py", "x = eval('1')\n", "calls eval"),
        ("rows.py", "x = 1\n" * MAX_LINES, "is too long"),
        ("utils.py", "x = 1\n", "is a drawer"),
    ],
)
def test_a_module_that_breaks_a_rule_is_found(name: str, source: str, complaint: str) -> None:
    assert list(complaints_about(Path(name), source)) == [complaint]


def test_a_package_is_no_drawer_either() -> None:
    assert [folder for folder in SOURCE.rglob("*") if folder.is_dir() and folder.name in DRAWERS] == []


# --- the public surface -----------------------------------------------------------------------------------------------


def public_names(module: ModuleType) -> set[str]:
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }


def test_minidb_exports_exactly_its_public_names_sorted() -> None:
    exported = [name for name in minidb.__all__ if name != "__version__"]
    assert exported == sorted(public_names(minidb))
    assert {"MiniDB", "Row"} <= set(exported)


def test_minidb_itself_defines_nothing() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    defined = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    assert defined == []


@pytest.mark.parametrize("room", ["schema", "exceptions"])
def test_a_public_room_exports_names_that_it_has(room: str) -> None:
    module = importlib.import_module(f"minidb.{room}")
    assert module.__all__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert len(set(module.__all__)) == len(module.__all__)


# --- imports of the outside -------------------------------------------------------------------------------------------


def modules_loaded_by(statement: str) -> set[str]:
    """Run a statement in a fresh process and return the modules that it loaded."""
    completed = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys\nbefore = set(sys.modules)\n{statement}\nprint(*set(sys.modules) - before)",
        ],
        env={**os.environ, "PYTHONPATH": str(SOURCE.parent)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(completed.stdout.split())


def test_importing_minidb_loads_nothing_heavy() -> None:
    loaded = modules_loaded_by("import minidb")
    assert "minidb" in loaded
    assert loaded & (HEAVY_MODULES | LATER_MODULES) == set()


def test_a_heavy_import_would_be_seen() -> None:
    assert modules_loaded_by("import asyncio, minidb.query.aggregate") >= {"asyncio", "minidb.query.aggregate"}
