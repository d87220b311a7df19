"""The examples of the people who asked for MiniDB run as they wrote them.

``seed_usage.md`` is their text, word for word. Its blocks, in their order, are one program. It runs twice on one
folder, in the flat form (``from schema import …``, with ``compat/`` on the path) and in the form that our docs teach
(``from minidb.schema import …``).
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import minidb
from minidb import MiniDB

REPOSITORY = Path(__file__).parents[2]
SEED_USAGE = Path(__file__).with_name("seed_usage.md")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", SEED_USAGE.read_text(), re.DOTALL | re.MULTILINE)

# Their text says that Row comes from minidb; their first block uses it without saying so.
FLAT_PROGRAM = "\n".join(["from minidb import Row", *BLOCKS])
PACKAGED_PROGRAM = re.sub(
    r"^from (schema|exceptions) import", r"from minidb.\1 import", FLAT_PROGRAM, flags=re.MULTILINE
)


def run_program(program: str, folder: Path, *, with_compat: bool) -> list[str]:
    """Run a program in a process of its own, with warnings as errors, and return the lines that it printed."""
    path = [Path(minidb.__file__).parents[1], *([REPOSITORY / "compat"] if with_compat else [])]
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stderr == ""
    return completed.stdout.splitlines()


def assert_printed_as_promised(lines: list[str]) -> None:
    row, table_not_found, validation_error = lines
    assert row == "{'name': 'John Doe', 'age': 30}"
    assert table_not_found.startswith("Table not found: ")
    assert "non_existent" in table_not_found
    assert validation_error.startswith("Validation error: ")
    assert "age" in validation_error


def names_stored(location: Path | str) -> list[str]:
    with MiniDB(location) as db:
        return [row.columns["name"] for row in db.get_table("users")]


def test_their_text_is_word_for_word_what_they_wrote() -> None:
    digest = hashlib.sha256(SEED_USAGE.read_bytes()).hexdigest()
    assert digest == "222c73378389bad0d5c41acc3ec034686f036883dd25fe3fa150400a3643c163"


def test_every_example_is_in_the_program() -> None:
    assert len(BLOCKS) == 6
    assert FLAT_PROGRAM.count("from schema import") == 1
    assert FLAT_PROGRAM.count("from exceptions import") == 1
    assert "db.close()" in BLOCKS[-1]


def test_the_flat_examples_run_twice_on_one_folder(tmp_path: Path) -> None:
    for run in (1, 2):
        assert_printed_as_promised(run_program(FLAT_PROGRAM, tmp_path, with_compat=True))
        assert names_stored(tmp_path / "mydb") == ["John Doe", "Alice", "Bob"] * run


def test_the_packaged_examples_run_twice_on_one_folder(tmp_path: Path) -> None:
    for run in (1, 2):
        assert_printed_as_promised(run_program(PACKAGED_PROGRAM, tmp_path, with_compat=False))
        assert names_stored(tmp_path / "mydb") == ["John Doe", "Alice", "Bob"] * run


def test_both_forms_share_one_folder(tmp_path: Path) -> None:
    run_program(FLAT_PROGRAM, tmp_path, with_compat=True)
    assert_printed_as_promised(run_program(PACKAGED_PROGRAM, tmp_path, with_compat=False))


def test_the_examples_run_on_a_server_with_only_the_path_changed(tmp_path: Path, postgres_url: str) -> None:
    assert FLAT_PROGRAM.count("'mydb'") == FLAT_PROGRAM.count("MiniDB(") == 2
    program = FLAT_PROGRAM.replace("'mydb'", repr(postgres_url))
    for run in (1, 2):
        assert_printed_as_promised(run_program(program, tmp_path, with_compat=True))
        assert names_stored(postgres_url) == ["John Doe", "Alice", "Bob"] * run
    assert list(tmp_path.iterdir()) == []


def test_the_query_by_index_finds_the_row_of_each_run(tmp_path: Path) -> None:
    show_results = "\nprint([row.columns for row in results])"
    for run in (1, 2):
        lines = run_program(FLAT_PROGRAM + show_results, tmp_path, with_compat=True)
        assert lines[-1] == str([{"name": "John Doe", "age": 30}] * run)


def test_the_flat_modules_hold_the_very_names_of_the_package(tmp_path: Path) -> None:
    program = """\
import exceptions, schema, minidb.exceptions, minidb.schema
for flat, packaged in ((schema, minidb.schema), (exceptions, minidb.exceptions)):
    assert flat.__all__ == packaged.__all__
    assert all(getattr(flat, name) is getattr(packaged, name) for name in packaged.__all__)
print(len(schema.__all__) > 10, len(exceptions.__all__) > 30)
"""
    assert run_program(program, tmp_path, with_compat=True) == ["True True"]
