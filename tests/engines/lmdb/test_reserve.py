from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import lmdb
import pytest

from minidb import MiniDB, Row
from minidb.engines.lmdb import applying
from minidb.engines.lmdb.commit_log.commits import CommitLog
from minidb.engines.lmdb.data_file import SPACES_DATABASE
from minidb.engines.lmdb.durable import LoggedChanges, make_durable
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.lmdb.folder import NEW_FOLDER, RESERVE_FILE
from minidb.engines.lmdb.reserve import RESERVE_BYTES, STEP_BYTES, Reserve
from minidb.engines.port import CATALOG, Space
from minidb.exceptions import CorruptionError, StorageFullError
from minidb.options import Options
from minidb.schema import Schema, StringField
from minidb.testing.conformance import reading, writing


class Disk:
    """Gives out room for reserves, so much and no more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room_bytes = RESERVE_BYTES
        self._allocate = os.posix_fallocate
        monkeypatch.setattr(os, "posix_fallocate", self._allocate_some)

    def _allocate_some(self, descriptor: int, offset: int, size: int) -> None:
        if offset + size > self.room_bytes:
            raise OSError(28, "No space left on device")
        self._allocate(descriptor, offset, size)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def reserve(tmp_path: Path) -> Iterator[Reserve]:
    reserve = Reserve(tmp_path)
    yield reserve
    reserve.close()


def kept_bytes(folder: Path) -> int:
    return (folder / RESERVE_FILE).stat().st_size


def test_the_reserve_has_its_place_on_the_disk(tmp_path: Path, reserve: Reserve) -> None:
    assert reserve.missing_bytes() == 0
    status = (tmp_path / RESERVE_FILE).stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_blocks * 512 >= status.st_size == RESERVE_BYTES


def test_a_copy_without_its_place_gets_it_when_it_is_opened(tmp_path: Path, reserve: Reserve) -> None:
    with (tmp_path / RESERVE_FILE).open("wb") as copy:
        copy.truncate(RESERVE_BYTES)
    assert reserve.missing_bytes() == 0
    assert (tmp_path / RESERVE_FILE).stat().st_blocks * 512 >= RESERVE_BYTES


def test_what_is_lent_is_taken_back_as_far_as_there_is_room(tmp_path: Path, reserve: Reserve, disk: Disk) -> None:
    reserve.missing_bytes()
    with reserve.lent():
        assert kept_bytes(tmp_path) == 0
        disk.room_bytes = 3 * STEP_BYTES + 1
    assert reserve.missing_bytes() == RESERVE_BYTES - 3 * STEP_BYTES
    assert kept_bytes(tmp_path) == 3 * STEP_BYTES
    disk.room_bytes = RESERVE_BYTES
    assert reserve.missing_bytes() == 0
    assert kept_bytes(tmp_path) == RESERVE_BYTES


def test_it_is_taken_back_also_after_a_failure(tmp_path: Path, reserve: Reserve) -> None:
    reserve.missing_bytes()
    with pytest.raises(KeyboardInterrupt), reserve.lent():
        raise KeyboardInterrupt
    assert kept_bytes(tmp_path) == RESERVE_BYTES


def test_what_one_has_lent_the_other_misses(tmp_path: Path, reserve: Reserve, disk: Disk) -> None:
    other = Reserve(tmp_path)
    assert reserve.missing_bytes() == other.missing_bytes() == 0
    with reserve.lent():
        disk.room_bytes = 0
    assert other.missing_bytes() == RESERVE_BYTES
    other.close()
    newcomer = Reserve(tmp_path)
    assert newcomer.missing_bytes() == RESERVE_BYTES  # as one that is opened after a kill
    newcomer.close()


def test_a_disk_without_room_for_it_has_none_until_there_is(tmp_path: Path, disk: Disk) -> None:
    disk.room_bytes = STEP_BYTES
    with MiniDB(tmp_path / "db") as database:
        table = database.create_table("t")
        row_id = table.insert(Row(a=1))
        assert not (tmp_path / "db" / RESERVE_FILE).exists()
        disk.room_bytes = RESERVE_BYTES
        table.delete(row_id)
        assert kept_bytes(tmp_path / "db") == RESERVE_BYTES


def test_a_link_in_its_place_is_not_followed(tmp_path: Path, reserve: Reserve) -> None:
    target = tmp_path / "precious"
    target.write_bytes(b"keep me")
    (tmp_path / RESERVE_FILE).symlink_to(target)
    assert reserve.missing_bytes() == 0
    with reserve.lent():
        assert target.read_bytes() == b"keep me"


def test_what_grows_is_refused_while_it_is_lent_and_what_does_not_is_not(tmp_path: Path, disk: Disk) -> None:
    with MiniDB(tmp_path / "db") as database:
        table = database.create_table("t")
        ids = table.insert_many(Row(text="x" * 3000) for _ in range(20))
        with (tmp_path / "db" / RESERVE_FILE).open("r+b") as file:
            file.truncate(0)  # by another process
        disk.room_bytes = 0
        with pytest.raises(StorageFullError, match="disk is full"):
            table.insert(Row(text="x" * 3000))
        table.update(ids[0], text="y" * 3000)
        table.delete(ids[1])
        disk.room_bytes = RESERVE_BYTES
        table.insert(Row(text="x" * 3000))
        assert kept_bytes(tmp_path / "db") == RESERVE_BYTES


class FullDisk:
    """Refuses every commit while the reserve is kept, as a full disk does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refused = 0
        self._folder = folder
        monkeypatch.setattr(applying, "make_durable", self._make_durable)

    def _make_durable(self, transaction: lmdb.Transaction[bytes], log: CommitLog, changes: LoggedChanges) -> None:
        if kept_bytes(self._folder):
            self.refused += 1
            transaction.abort()
            raise lmdb.DiskError("no space left on device")
        make_durable(transaction, log, changes)


def test_on_a_full_disk_rows_are_deleted_and_none_inserted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "db"
    with MiniDB(folder) as database:
        table = database.create_table("t", Schema(text=StringField(index=True)))
        database.create_table("spare").insert(Row(a=1))
        ids = table.insert_many(Row(text=f"{number:02}" * 1000) for number in range(30))
        disk = FullDisk(folder, monkeypatch)
        table.delete(ids[0])
        assert table.delete_many(ids[1:20]) == 19
        database.drop_index("t", "text")
        database.drop_table("spare")
        with pytest.raises(StorageFullError, match="disk is full"):
            table.insert_many(Row(text="x" * 3000) for _ in range(30))
        with pytest.raises(StorageFullError, match="disk is full"), database.begin_transaction():
            database.create_table("other").insert_many(Row(text="x" * 3000) for _ in range(30))
        assert table.count() == 10
        table.clear()
        assert disk.refused >= 7
        assert kept_bytes(folder) == RESERVE_BYTES
        monkeypatch.undo()
        table.insert(Row(text="x" * 3000))
        assert database.table_names() == ["t"]
        assert database.verify().ok


@pytest.mark.parametrize("grows", [False, True])
def test_a_transaction_too_large_to_be_applied_again_has_the_reserve_at_once_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grows: bool
) -> None:
    engine = LmdbEngine(tmp_path, Options(), spill_bytes=1000)
    space = Space("s")
    keys = [b"%04d" % number for number in range(400)]
    with writing(engine) as transaction:
        transaction.create_space(space)
        transaction.put_many(space, dict.fromkeys(keys, bytes(500)))
    disk = FullDisk(tmp_path, monkeypatch)
    with pytest.raises(StorageFullError) if grows else nullcontext(), writing(engine) as transaction:
        for key in keys[1:]:
            if grows:
                transaction.put_many(space, {key + b"x": bytes(500)})
            else:
                transaction.delete_many(space, [key])
    assert disk.refused == grows
    with reading(engine) as snapshot:
        assert snapshot.count(space) == (400 if grows else 1)
    assert kept_bytes(tmp_path) == RESERVE_BYTES
    engine.close()


def test_a_second_refusal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(transaction: lmdb.Transaction[bytes], *_: object) -> None:
        transaction.abort()
        raise lmdb.DiskError("no space left on device")

    with MiniDB(tmp_path / "db") as database:
        table = database.create_table("t")
        row_id = table.insert(Row(a=1))
        monkeypatch.setattr(applying, "make_durable", refuse)
        with pytest.raises(StorageFullError, match="disk is full"):
            table.delete(row_id)
        monkeypatch.undo()
        assert table.count() == 1
        table.delete(row_id)
        assert kept_bytes(tmp_path / "db") == RESERVE_BYTES


def test_a_space_that_the_file_has_lost_is_corruption(tmp_path: Path) -> None:
    with MiniDB(tmp_path) as database:
        table = database.create_table("t")
        row_id = table.insert(Row(a=1))
    raw = lmdb.open(str(tmp_path), max_dbs=100)
    spaces = raw.open_db(SPACES_DATABASE, create=False)
    with raw.begin(write=True) as transaction:
        lost = [name for name, _ in transaction.cursor(spaces) if name[:1] != b"\x00" and name != CATALOG.encode()]
        for name in lost:
            assert transaction.delete(name, db=spaces)
    raw.close()
    assert lost
    with MiniDB(tmp_path) as database:
        table = database.get_table("t")
        asked: list[Callable[[], object]] = [
            lambda: table.query(row_id),
            lambda: table.get_many([row_id]),
            lambda: [*table.scan()],
            table.count,
            lambda: table.insert(Row(a=2)),
            lambda: table.delete(row_id),
            lambda: database.drop_table("t"),
        ]
        for ask in asked:
            with pytest.raises(CorruptionError, match="missing"):
                ask()
        assert not database.verify().ok


def test_a_database_that_is_built_aside_has_none(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / NEW_FOLDER)
    (tmp_path / NEW_FOLDER).mkdir()
    assert reserve.missing_bytes() == 0
    assert not [*(tmp_path / NEW_FOLDER).iterdir()]
