"""What mypy and pyright, both strict, say to programs that use MiniDB."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import minidb

HERE = Path(__file__).parent
SOURCE = Path(minidb.__file__).parents[1]
"""The folder from which minidb is imported: ``src``, or ``site-packages`` where it is installed."""

Checker = Callable[[Path, Path], set[int]]


def lines_mypy_refuses(program: Path, folder: Path) -> set[int]:
    """Return the lines of the program that mypy calls errors; ``folder`` is for what it leaves behind."""
    completed = subprocess.run(
        # The program alone is under test here, not the package that it imports: silence for that.
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file=",
            "--strict",
            "--follow-imports=silent",
            "--output=json",
            program,
        ],
        env={**os.environ, "MYPYPATH": str(SOURCE), "MYPY_CACHE_DIR": str(folder / "cache")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert completed.returncode in {0, 1}, completed.stdout + completed.stderr
    reports = [json.loads(line) for line in completed.stdout.splitlines() if line.startswith("{")]
    print(completed.stdout)
    return {report["line"] for report in reports if report["severity"] == "error"}


def lines_pyright_refuses(program: Path, folder: Path) -> set[int]:
    """Return the lines of the program that pyright calls errors; ``folder`` is for its configuration."""
    shutil.copy(program, folder)  # pyright reads only what lies below its configuration
    configuration = folder / "pyrightconfig.json"
    configuration.write_text(json.dumps({"typeCheckingMode": "strict", "extraPaths": [str(SOURCE)]}))
    completed = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "--project", configuration],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert completed.returncode in {0, 1}, completed.stdout + completed.stderr
    report = json.loads(completed.stdout)
    print(json.dumps(report["generalDiagnostics"], indent=1))
    assert report["summary"]["filesAnalyzed"] == 1
    return {
        found["range"]["start"]["line"] + 1 for found in report["generalDiagnostics"] if found["severity"] == "error"
    }


CHECKERS = pytest.mark.parametrize("refused", [lines_mypy_refuses, lines_pyright_refuses], ids=["mypy", "pyright"])


@pytest.mark.slow
@CHECKERS
@pytest.mark.parametrize("program", ["user_program.py", "models_program.py"])
def test_a_right_program_is_accepted(refused: Checker, program: str, tmp_path: Path) -> None:
    assert refused(HERE / program, tmp_path) == set()


@pytest.mark.slow
@CHECKERS
@pytest.mark.parametrize("name", ["wrong_program.py", "wrong_models.py"])
def test_a_wrong_program_is_refused_where_it_is_wrong_and_nowhere_else(
    refused: Checker, name: str, tmp_path: Path
) -> None:
    program = HERE / name
    lines = program.read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, start=1) if line.endswith("# wrong")}
    assert len(wrong) > 20
    assert refused(program, tmp_path) == wrong


@pytest.mark.parametrize("program", ["user_program.py", "models_program.py"])
def test_the_right_program_runs(program: str) -> None:
    completed = subprocess.run(
        [sys.executable, "-W", "error", HERE / program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert completed.returncode == 0, completed.stderr


def test_the_package_says_that_it_is_typed() -> None:
    assert (SOURCE / "minidb" / "py.typed").is_file()
