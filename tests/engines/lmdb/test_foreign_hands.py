"""What others may do to the files of an open database, and what MiniDB itself must never do to them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.engines.lmdb.test_processes import in_child

import minidb
from minidb import MiniDB, Row
from minidb.exceptions import EngineUnavailableError

NOBODY = 65534

WATCHED_PROGRAM = """
import os, shutil, sys
opened = []
sys.addaudithook(lambda event, arguments: event == "open" and opened.append(str(arguments[0])))

from minidb import MiniDB, Row
from minidb.exceptions import MiniDBError
from minidb.schema import IntegerField, Schema, StringField

path = sys.argv[1]
for _ in range(2):
    with MiniDB(path) as db, MiniDB(path) as second, MiniDB(path, read_only=True) as reader:
        table = db.table("t", Schema(name=StringField(unique=True), age=IntegerField()))
        with db.begin_transaction():
            ids = table.insert_many(Row(age=number) for number in range(100))
        db.create_index("t", "age", if_not_exists=True)
        list(second.get_table("t").find(age=5))
        table.delete(ids[0])
        db.mapping("m")["key"] = 1
        reader.engine.statistics()
        pid = os.fork()
        if pid == 0:
            table.insert(Row(age=1))
            print("\\n".join(opened), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
try:
    MiniDB(path + "/data.mdb")
except MiniDBError:
    pass
MORE
print("\\n".join(opened))
"""


def opened_by(path: Path, more: str = "") -> set[str]:
    """Return the names of the files in the folder that Python code opened, in a program that does a little of all."""
    completed = subprocess.run(
        [sys.executable, "-c", WATCHED_PROGRAM.replace("MORE", more), str(path)],
        env={**os.environ, "PYTHONPATH": str(Path(minidb.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {Path(line).name for line in completed.stdout.splitlines() if line.startswith(str(path))}


def test_nobody_but_lmdb_opens_its_table_of_readers(database_path: Path) -> None:
    """Whoever closes a second descriptor of ``lock.mdb`` drops LMDB's locks, and two writers destroy each other."""
    opened = opened_by(database_path)
    assert "lock.mdb" not in opened
    assert "minidb.lock" in opened


def test_an_opened_table_of_readers_would_be_seen(database_path: Path) -> None:
    assert "lock.mdb" in opened_by(database_path, "open(path + '/lock.mdb').close()")


def remove_folder(path: Path) -> None:
    shutil.rmtree(path)


def remove_file(path: Path) -> None:
    (path / "data.mdb").unlink()


def replace_file(path: Path) -> None:
    shutil.copy(path / "data.mdb", path / "copy")
    (path / "copy").replace(path / "data.mdb")


@pytest.mark.parametrize("change", [remove_folder, remove_file, replace_file])
def test_nothing_is_committed_to_a_file_that_was_removed_or_replaced(
    database_path: Path, change: Callable[[Path], None]
) -> None:
    with MiniDB(database_path) as database:
        table = database.create_table("t")
        row_id = table.insert(Row(a=1))
        change(database_path)
        for _ in range(2):
            with pytest.raises(EngineUnavailableError, match=r"removed or replaced.*close the database"):
                table.insert(Row(a=2))
        assert table.query(row_id)["a"] == 1  # what was open can still be read, to be saved elsewhere
    with MiniDB(database_path) as database:
        table = database.create_table("t")
        table.insert(Row(a=3))
        assert [row["a"] for row in table.scan()] == ([1, 3] if change is replace_file else [3])


@pytest.mark.parametrize("target", ["nowhere.mdb", "database/data.mdb"])
def test_a_linked_data_file_is_refused_also_where_it_leads_nowhere(database_path: Path, target: str) -> None:
    MiniDB(database_path).close()
    linked = database_path.with_name("linked")
    linked.mkdir()
    (linked / "data.mdb").symlink_to(database_path.parent / target)
    with pytest.raises(EngineUnavailableError, match="link"):
        MiniDB(linked)
    assert not (database_path.parent / "nowhere.mdb").exists()


@pytest.mark.parametrize("name", ["minidb.lock", "apply.lock"])
def test_a_linked_lock_file_is_refused(database_path: Path, name: str) -> None:
    MiniDB(database_path).close()
    (database_path / name).unlink()
    (database_path / name).symlink_to(database_path.parent / "nowhere")
    with pytest.raises(EngineUnavailableError, match="lock file"):
        MiniDB(database_path)
    assert not (database_path.parent / "nowhere").exists()


@pytest.fixture
def unwritable_path() -> Iterator[Path]:
    """A database in a folder that a stranger can read and not write."""
    with tempfile.TemporaryDirectory() as parent:  # not tmp_path, into which no other user may look
        Path(parent).chmod(0o755)
        path = Path(parent) / "database"
        with MiniDB(path) as database:
            database.create_table("t").insert(Row(a=1))
        for file in path.iterdir():
            file.chmod(0o444)
        path.chmod(0o555)
        yield path
        path.chmod(0o755)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("read_only", [False, True])
def test_a_folder_that_cannot_be_written_is_refused(unwritable_path: Path, read_only: bool) -> None:
    """Also to read: without an entry in the table of readers, a writer would overwrite what is being read."""

    def child() -> None:
        if os.geteuid() == 0:  # to whom no mode forbids anything
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        with pytest.raises(EngineUnavailableError, match=r"cannot be written|Permission denied"):
            MiniDB(unwritable_path, read_only=read_only)

    assert in_child(child) == 0
