"""The negative controls: each fault that the kill harness is there to find is planted, and found."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.crash.checker import CheckFailedError, Expected, Outcome, check, check_backup, check_backups
from tests.crash.ledger import Ledger, read_ledger
from tests.crash.operations import DEFINER, JOURNAL, TABLE, Columns, Operation, is_row
from tests.crash.shim import REPOSITORY, environment

from minidb import MiniDB
from minidb.engines.locate import open_engine
from minidb.engines.port import ReadTransaction, Space
from minidb.exceptions import CorruptionError
from minidb.options import Options
from minidb.tables.catalog import load

OPERATIONS = 25


def row(token: str, city: str = "city 1") -> Columns:
    return {"token": token, "city": city, "number": 1, "text": "text"}


INSERT_THREE: Operation = {"kind": "insert_many", "rows": [row("0-p-1"), row("0-p-2"), row("0-p-3")]}


def start_writer(folder: Path, ledger: Path, seed: int, *options: str) -> subprocess.Popen[bytes]:
    arguments = [str(folder), str(ledger), str(seed), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.crash.writer", *arguments],
        cwd=REPOSITORY,
        env=environment(),
        stderr=subprocess.PIPE,
    )


def check_one(folder: Path, ledger: Ledger) -> Outcome:
    return check(folder, {DEFINER: Expected.of([{}], ledger)})


class Aftermath:
    """A database and the ledger of the writer that wrote it, which ended without being killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "database"
        self.ledger = read_ledger(folder / "ledger")

    def check(self) -> Outcome:
        return check_one(self.folder, self.ledger)

    def entries(self, index: str) -> dict[bytes, bytes]:
        """Return the entries of an index, as they are stored."""
        engine = open_engine(self.folder, Options())
        transaction = engine.begin_read()
        entries = dict(pair for page in transaction.scan(self._space(transaction, index)) for pair in page)
        transaction.close()
        engine.close()
        return entries

    def plant(self, index: str, *, put: dict[bytes, bytes], delete: Iterable[bytes] = ()) -> None:
        """Change the entries of an index, below all rooms that keep them and the rows together."""
        engine = open_engine(self.folder, Options())
        transaction = engine.begin_write(10)
        space = self._space(transaction, index)
        transaction.put_many(space, put)
        transaction.delete_many(space, delete)
        transaction.commit()
        engine.close()

    def _space(self, transaction: ReadTransaction, index: str) -> Space:
        definition = load(transaction, None).definition(TABLE)
        return next(one.space for one in definition.indexes if one.name == index)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database and a ledger, for tests to copy."""
    folder = tmp_path_factory.mktemp("written")
    with start_writer(folder / "database", folder / "ledger", 5, "--operations", str(OPERATIONS)) as writer:
        _, complaint = writer.communicate(timeout=60)
    assert (writer.returncode, complaint) == (0, b"")
    return folder


@pytest.fixture
def aftermath(written: Path, tmp_path: Path) -> Aftermath:
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)  # nobody has it open
    return Aftermath(tmp_path)


def test_a_database_that_is_right_passes(aftermath: Aftermath) -> None:
    outcome = aftermath.check()
    assert len(aftermath.ledger.done) == OPERATIONS
    assert outcome.rows
    assert outcome.pending_present == outcome.pending_absent == 0
    assert aftermath.check() == outcome


def test_a_lost_row_is_found(aftermath: Aftermath) -> None:
    with MiniDB(aftermath.folder) as database:
        table = database.get_table(TABLE)
        table.delete(next(table.scan()).id)
    with pytest.raises(CheckFailedError, match="lost 1 "):
        aftermath.check()


@pytest.mark.parametrize("token", ["0-nobody's", "nobody's"])
def test_a_row_that_nobody_wrote_is_found(aftermath: Aftermath, token: str) -> None:
    with MiniDB(aftermath.folder) as database:
        database.get_table(TABLE).insert(row(token))
    with pytest.raises(CheckFailedError, match="written by nobody 1 "):
        aftermath.check()


def test_a_changed_row_is_found(aftermath: Aftermath) -> None:
    with MiniDB(aftermath.folder) as database:
        table = database.get_table(TABLE)
        table.update(next(table.scan()).id, number=123_456)
    with pytest.raises(CheckFailedError, match="other columns 1 "):
        aftermath.check()


def test_a_lost_operation_in_the_ledger_is_found(aftermath: Aftermath) -> None:
    inserts = [one for one in aftermath.ledger.done if one["kind"] == "insert_many"]
    aftermath.ledger.done.remove(inserts[-1])
    with pytest.raises((CheckFailedError, KeyError)):  # KeyError: a later operation names one of its rows
        aftermath.check()


def test_a_row_with_another_id_than_was_acknowledged_is_found(aftermath: Aftermath) -> None:
    with MiniDB(aftermath.folder) as database:
        table = database.get_table(TABLE)
        first = next(table.scan())
        table.delete(first.id)
        table.insert(first.columns)
    with pytest.raises(CheckFailedError, match="another id"):
        aftermath.check()


def test_a_transaction_that_is_lost_before_a_later_one_is_found(aftermath: Aftermath) -> None:
    with MiniDB(aftermath.folder) as database:
        journal = database.get_table(JOURNAL)
        assert journal.count() > 1
        journal.delete(1)
    with pytest.raises(CheckFailedError, match="a later one is there"):
        aftermath.check()


def test_a_missing_table_is_found(aftermath: Aftermath) -> None:
    with MiniDB(aftermath.folder) as database:
        database.drop_table(TABLE)
    with pytest.raises(CheckFailedError, match="the table is gone"):
        aftermath.check()


@pytest.mark.parametrize("present", [0, 3])
def test_a_pending_operation_may_be_there_or_not(aftermath: Aftermath, present: int) -> None:
    aftermath.ledger.pending = INSERT_THREE
    with MiniDB(aftermath.folder) as database:
        database.get_table(TABLE).insert_many(INSERT_THREE["rows"][:present])
    outcome = aftermath.check()
    assert (outcome.pending_present, outcome.pending_absent) == (present == 3, present == 0)


@pytest.mark.parametrize("present", [1, 2])
def test_a_pending_operation_that_is_there_in_part_is_found(aftermath: Aftermath, present: int) -> None:
    aftermath.ledger.pending = INSERT_THREE
    with MiniDB(aftermath.folder) as database:
        database.get_table(TABLE).insert_many(INSERT_THREE["rows"][:present])
    with pytest.raises(CheckFailedError, match="lost"):
        aftermath.check()


@pytest.mark.parametrize("index", ["city", "token"])
def test_a_row_that_an_index_has_lost_is_found(aftermath: Aftermath, index: str) -> None:
    lost = next(iter(aftermath.entries(index)))
    aftermath.plant(index, put={}, delete=[lost])
    with pytest.raises(CheckFailedError, match="index"):
        aftermath.check()


@pytest.mark.parametrize("index", ["city", "token"])
def test_an_entry_of_an_index_without_its_row_is_found(aftermath: Aftermath, index: str) -> None:
    entries = aftermath.entries(index)
    token = next(filter(is_row, aftermath.check().rows))
    with MiniDB(aftermath.folder) as database:
        (found,) = database.query_by_index(TABLE, "token", token)
        database.get_table(TABLE).delete(found.id)
    aftermath.ledger.done.append({"kind": "delete", "token": token})
    aftermath.check()
    aftermath.plant(index, put=entries)
    with pytest.raises((CheckFailedError, CorruptionError)):
        aftermath.check()


def test_a_writer_that_acknowledges_too_early_is_found(tmp_path: Path) -> None:
    ledger_path = tmp_path / "ledger"
    options = ("--operations", str(OPERATIONS), "--acknowledge-early")
    with start_writer(tmp_path / "database", ledger_path, 7, *options) as writer:
        _, complaint = writer.communicate(timeout=60)
    assert (writer.returncode, complaint) == (-signal.SIGKILL, b"")
    with pytest.raises(CheckFailedError, match=r"lost|other columns|written by nobody"):
        check_one(tmp_path / "database", read_ledger(ledger_path))


def test_backups_that_are_right_pass_and_one_that_is_cut_short_is_found(aftermath: Aftermath, tmp_path: Path) -> None:
    expected = {DEFINER: Expected.of([{}], aftermath.ledger)}
    backups = tmp_path / "backups"
    with MiniDB(aftermath.folder) as database:
        oldest, newest = (Path(database.backup(backups, keep=2).path or "") for _ in range(2))
    assert check_backup(newest, tmp_path / "one", expected) == check_backups(backups, tmp_path / "two", expected)
    os.truncate(oldest, oldest.stat().st_size - 1)
    with pytest.raises(CheckFailedError, match="ends before its end"):
        check_backups(backups, tmp_path / "three", expected)
    newest.unlink()
    with pytest.raises(CheckFailedError, match="the backup is gone"):
        check_backup(newest, tmp_path / "four", expected)


def test_an_older_backup_than_was_acknowledged_is_found(aftermath: Aftermath, tmp_path: Path) -> None:
    with MiniDB(aftermath.folder) as database:
        database.backup(tmp_path / "backup")
    aftermath.ledger.add({"try": INSERT_THREE})
    aftermath.ledger.add({"done": {}})
    with pytest.raises(CheckFailedError, match="lost 3"):
        check_backup(tmp_path / "backup", tmp_path / "fresh", {DEFINER: Expected.of([{}], aftermath.ledger)})


def test_a_database_that_is_there_before_its_rows_is_found(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.add({"try": {"kind": "replace", "model": {"0-p-1": row("0-p-1")}}})
    expected = {DEFINER: Expected.of([{}], ledger)}
    assert check(tmp_path / "absent", expected, comes_whole=True).pending_absent == 1
    with pytest.raises(CheckFailedError, match="before its rows"):  # which the check before has made
        check(tmp_path / "absent", expected, comes_whole=True)


def test_what_was_found_may_be_undone_until_something_was_acknowledged_on_top_of_it() -> None:
    old, seen = {"0-1": row("0-1")}, {"0-2": row("0-2")}
    step: Operation = {"kind": "insert", "rows": [row("0-3")]}
    on_top = {**seen, "0-3": row("0-3")}
    assert Expected.of([old, seen], Ledger(ready=1)).possible == [old, seen]
    assert Expected.of([old, seen], Ledger(ready=1, pending=step)).possible == [old, seen, on_top]
    assert Expected.of([old, seen], Ledger(ready=1, done=[step], synced=1)).possible == [on_top]


def test_a_torn_last_line_of_a_ledger_counts_as_not_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text('{"ready": 0}\n{"try": {"kind": "delete", "token": "a"}}\n{"done": {')
    assert read_ledger(path) == Ledger(ready=0, pending={"kind": "delete", "token": "a"})
    os.truncate(path, 3)
    assert read_ledger(path) == Ledger()
