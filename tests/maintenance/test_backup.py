"""A backup is whole or not there, holds one snapshot, and is refused wherever a bit of it is wrong."""

from __future__ import annotations

import datetime
import errno
import gzip
import io
import json
import os
import random
import re
import shutil
import stat
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.maintenance.conftest import fill, names_in
from tests.maintenance.test_verify import delete_an_entry, flip_a_bit_of_a_row, plant

from minidb import MiniDB
from minidb.encoding.pairs import decode_pairs, encode_pairs
from minidb.encoding.rows import decode_document, encode_document
from minidb.engines.port import Space
from minidb.exceptions import (
    BackupError,
    DatabaseClosedError,
    EngineUnavailableError,
    InvalidOptionError,
    MiniDBError,
    StorageFullError,
)
from minidb.maintenance import compression as compression_module
from minidb.maintenance.backup_format import MAGIC, Reader, Writer
from minidb.maintenance.compression import Compression, decompressing
from minidb.maintenance.manifest import Manifest

COMPRESSIONS: list[Compression | None] = [None, "gzip"]


def backed_up(database: MiniDB, compression: Compression | None = None) -> bytes:
    target = io.BytesIO()
    database.backup(target, compression=compression)
    return target.getvalue()


def restored(data: bytes, path: Path) -> MiniDB:
    MiniDB.restore(io.BytesIO(data), path)
    return MiniDB(path, create=False)


def dumped(database: MiniDB) -> bytes:
    target = io.BytesIO()
    database.dump(target)
    return target.getvalue()


# --- whole and the same -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_backup_restores_into_the_same_database(
    database: MiniDB, tmp_path: Path, compression: Compression | None
) -> None:
    made = database.backup(tmp_path / "all.minidb", compression=compression)
    found = MiniDB.restore(tmp_path / "all.minidb", tmp_path / "copy")
    assert found == made
    assert made.tables == {"empty": 0, "notes": 3, "parts": 40, "people": 299}
    assert made.mappings == {"cache": 5, "nothing": 0}
    with MiniDB(tmp_path / "copy", create=False) as copy:
        assert copy.verify().findings == []
        assert dumped(copy) == dumped(database)
        assert copy.get_table("people").insert({"name": "next"}) == 301
        assert backed_up(copy)


def test_a_manifest_says_what_is_in_a_backup(folder_database: MiniDB, tmp_path: Path) -> None:
    manifest = folder_database.backup(tmp_path / "all.minidb")
    assert manifest.engine == "lmdb"
    assert manifest.minidb_version
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", manifest.created_at)
    assert manifest.path == str(tmp_path / "all.minidb")
    assert manifest.size_bytes == (tmp_path / "all.minidb").stat().st_size
    assert len(manifest.sha256) == 64
    assert manifest.spaces[Space("rows/1")] == 299
    assert not any(space.startswith("index/") for space in manifest.spaces)  # a restore makes them anew


def test_the_bytes_are_as_they_are_documented() -> None:
    manifest = Manifest(minidb_version="1", engine="memory", created_at="now", spaces={Space("rows/1"): 1})
    written = io.BytesIO()
    writer = Writer(written.write, manifest)
    writer.begin_space(Space("rows/1"))
    writer.pairs([(b"k", b"value")])
    writer.packed(b"as it is")
    assert writer.end() in written.getvalue().hex()
    data = written.getvalue()
    assert data.startswith(b"\x89MiniDB\r\n\x1a\n" + b"H")
    assert data[11 + 5 + 4 :].startswith(b'{"minidb": "backup", "format": 2, ')
    space = b"S\6\0\0\0"
    assert space + zlib.crc32(space + b"rows/1").to_bytes(4, "little") + b"rows/1" in data
    assert b"\x91\x92\xc4\x01k\xc4\x05value" in data
    packed = b"Q\x08\0\0\0"
    assert packed + zlib.crc32(packed + b"as it is").to_bytes(4, "little") + b"as it is" in data
    assert data[-32 - 9 :].startswith(b"E\x20\0\0\0")


def test_a_backup_of_one_engine_restores_into_another(tmp_path: Path) -> None:
    with MiniDB(":memory:") as database:
        fill(database)
        with restored(backed_up(database), tmp_path / "copy") as copy:
            assert dumped(copy) == dumped(database)


def test_an_empty_database_has_a_backup(location: str, tmp_path: Path) -> None:
    with MiniDB(location, durability="none") as database, restored(backed_up(database), tmp_path / "copy") as copy:
        assert copy.table_names() == []


def test_large_and_small_values_come_back(tmp_path: Path) -> None:
    values = [b"", b"x", b"y" * 9000, os.urandom(3 * 1024 * 1024), b"z" * 1024 * 1024] * 3
    with MiniDB(":memory:") as database:
        table = database.create_table("blobs")
        table.insert_many({"data": value} for value in values)
        with restored(backed_up(database), tmp_path / "copy") as copy:
            assert [row["data"] for row in copy.get_table("blobs").scan()] == values


def test_a_value_overwritten_by_a_shorter_one_in_one_transaction_is_restored(
    folder_database: MiniDB, tmp_path: Path
) -> None:
    # It keeps its pages in LMDB, which LMDB's own verifier calls damage.
    notes = folder_database.get_table("notes")
    with folder_database.begin_transaction():
        row_id = notes.insert({"text": "x" * 9000})
        notes.update(row_id, text="y" * 200)
    with restored(backed_up(folder_database), tmp_path / "copy") as copy:
        assert copy.get_table("notes").query(row_id)["text"] == "y" * 200


def test_the_name_of_a_new_folder_of_backups_is_flushed(
    folder_database: MiniDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    flush = os.fsync

    def note(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    folder_database.backup(tmp_path / "folder", keep=1)
    assert tmp_path.stat().st_ino in flushed


def test_what_was_restored_is_private(folder_database: MiniDB, tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        folder_database.backup(tmp_path / "all.minidb")
        folder_database.backup(tmp_path / "folder", keep=1)
        MiniDB.restore(tmp_path / "all.minidb", tmp_path / "copy")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "all.minidb").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
    for path in (tmp_path / "copy").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "lock.mdb" not in names_in(tmp_path / "copy")


def test_a_backup_is_what_is_committed(database: MiniDB, tmp_path: Path) -> None:
    with database.begin_transaction():
        database.get_table("empty").insert({"a": 1})
        data = backed_up(database)
    with restored(data, tmp_path / "copy") as copy:
        assert copy.get_table("empty").count() == 0


# --- while others write -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [6, pytest.param(30, marks=pytest.mark.slow)])
def test_a_backup_under_writers_is_one_moment(folder_database: MiniDB, tmp_path: Path, rounds: int) -> None:
    """Four threads move amounts between accounts and count what they do; each moment has one sum and one ledger."""
    accounts = folder_database.create_table("accounts")
    ids = accounts.insert_many({"balance": 100} for _ in range(8))
    ledger = folder_database.create_table("ledger")
    stop = threading.Event()

    def move(seed: int) -> None:
        chance = random.Random(seed)
        while not stop.is_set():
            one, other = chance.sample(list(ids), 2)
            amount = chance.randrange(1, 10)
            with folder_database.begin_transaction():
                accounts.update(one, balance=accounts.query(one)["balance"] - amount)
                ledger.insert({"from": one, "to": other, "amount": amount})
                accounts.update(other, balance=accounts.query(other)["balance"] + amount)

    threads = [threading.Thread(target=move, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    while not ledger.count():
        time.sleep(0.001)
    lengths = []
    try:
        for number in range(rounds):
            with restored(backed_up(folder_database), tmp_path / f"copy {number}") as copy:
                balances = dict.fromkeys(ids, 100)
                for entry in copy.get_table("ledger").scan():
                    balances[entry["from"]] -= entry["amount"]
                    balances[entry["to"]] += entry["amount"]
                assert {row.id: row["balance"] for row in copy.get_table("accounts").scan()} == balances
                lengths.append(copy.get_table("ledger").count())
            shutil.rmtree(tmp_path / f"copy {number}")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert lengths == sorted(lengths)
    assert lengths[-1] > 0


# --- where it goes ----------------------------------------------------------------------------------------------------


def test_a_backup_goes_to_standard_output(folder_database: MiniDB, tmp_path: Path) -> None:
    program = f"import sys; from minidb import MiniDB\nMiniDB({folder_database.location!r}).backup(sys.stdout.buffer)"
    environment = {**os.environ, "PYTHONPATH": str(Path(sys.modules["minidb"].__file__ or "").parents[1])}
    completed = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    with restored(completed.stdout, tmp_path / "copy") as copy:
        assert dumped(copy) == dumped(folder_database)


def test_a_backup_is_made_as_the_program_ends(folder_database: MiniDB, tmp_path: Path) -> None:
    program = f"""
import atexit, threading
from minidb import MiniDB

db = MiniDB({folder_database.location!r})

def back_up():
    threading.main_thread().join()
    db.backup({str(tmp_path / "late")!r})

atexit.register(db.backup, {str(tmp_path / "last")!r})
threading.Thread(target=back_up).start()
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(sys.modules["minidb"].__file__ or "").parents[1])}
    completed = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert not completed.stderr
    for name in ("late", "last"):
        with restored((tmp_path / name).read_bytes(), tmp_path / f"copy of {name}") as copy:
            assert dumped(copy) == dumped(folder_database)


def test_a_backup_is_made_where_no_thread_can_begin(
    database: MiniDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        database.backup(tmp_path / "all.minidb")
    with restored((tmp_path / "all.minidb").read_bytes(), tmp_path / "copy") as copy:
        assert dumped(copy) == dumped(database)


def test_a_backup_comes_from_a_pipe(database: MiniDB, tmp_path: Path) -> None:
    data = backed_up(database, "gzip")
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reading, "rb", buffering=0) as file:
        MiniDB.restore(file, tmp_path / "copy")
    thread.join()


def test_a_text_file_is_no_place_for_a_backup(database: MiniDB, tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError):
        database.backup(io.StringIO())
    with pytest.raises(BackupError, match="binary"):
        MiniDB.restore(io.StringIO("text"), tmp_path / "copy")


def test_an_older_backup_of_the_name_is_replaced_at_the_end(database: MiniDB, tmp_path: Path) -> None:
    path = tmp_path / "all.minidb"
    path.write_bytes(b"older")
    seen: set[bytes] = set()
    database.backup(path, progress=lambda *_: seen.add(path.read_bytes()))
    assert seen == {b"older"}
    assert path.read_bytes().startswith(MAGIC)


def test_a_link_is_replaced_and_not_what_it_names(database: MiniDB, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep me")
    (tmp_path / "link.minidb").symlink_to("precious")
    database.backup(tmp_path / "link.minidb")
    assert (tmp_path / "precious").read_text() == "keep me"
    assert not (tmp_path / "link.minidb").is_symlink()


def test_options_that_cannot_be_are_refused(database: MiniDB, tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionError, match="compression"):
        database.backup(tmp_path / "x", compression="lzma")  # type: ignore[arg-type]  # refused
    for keep in (0, -1, True, "7"):
        with pytest.raises(InvalidOptionError, match="keep"):
            database.backup(tmp_path, keep=keep)  # type: ignore[arg-type]  # refused
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file", io.BytesIO()):
        with pytest.raises(InvalidOptionError, match="folder"):
            database.backup(target, keep=1)


# --- a folder of backups ----------------------------------------------------------------------------------------------


def test_backups_in_a_folder_have_names_in_the_order_of_their_making(
    database: MiniDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    made = [Path(database.backup(folder).path or "").name for _ in range(3)]

    class Past(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Past:
            return cls(1999, 1, 1, tzinfo=tz)

    monkeypatch.setattr(datetime, "datetime", Past)  # a clock that was set back
    made.append(Path(database.backup(folder, compression="gzip").path or "").name)
    stem = "memory" if database.location == ":memory:" else "database"
    assert made == sorted(made)
    assert names_in(folder) == set(made)
    assert re.fullmatch(stem + r"-000003-\d{8}T\d{6}Z\.minidb", made[2])
    assert made[3] == f"{stem}-000004-19990101T000000Z.minidb.gz"
    assert MiniDB.restore(folder / made[3], tmp_path / "copy").tables


def test_the_newest_are_kept_and_nothing_else_is_touched(folder_database: MiniDB, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    others = {
        "database-000001-20240101T000000Z.minidb.tmp",
        "database-backup.minidb",
        "other-000001-20240101T000000Z.minidb",
        "database-1-20240101T000000Z.minidb",
    }
    folder.mkdir()
    for name in others:
        (folder / name).write_text("not yours")
    (folder / "database-000000-20240101T000000Z.minidb").symlink_to("/etc/hostname")
    for _ in range(5):
        folder_database.backup(folder, keep=2)
    mine = sorted(names_in(folder) - others - {"database-000000-20240101T000000Z.minidb"})
    assert [name[:16] for name in mine] == ["database-000004-", "database-000005-"]
    assert others <= names_in(folder)
    assert (folder / "database-000000-20240101T000000Z.minidb").is_symlink()


def test_threads_that_back_up_into_one_folder_overwrite_nothing(folder_database: MiniDB, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    threads = [threading.Thread(target=folder_database.backup, args=(folder,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = sorted(int(name.split("-")[1]) for name in names_in(folder))
    assert numbers == list(range(1, 9))


def test_a_folder_that_knows_no_links_takes_backups_too(
    folder_database: MiniDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    for _ in range(3):
        folder_database.backup(tmp_path / "backups", keep=2)
    assert [name.split("-")[1] for name in sorted(names_in(tmp_path / "backups"))] == ["000002", "000003"]


# --- failures of the host ---------------------------------------------------------------------------------------------


class FailingFile(io.RawIOBase):
    """A file that takes so many bytes and no more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(data)
        return len(data)


def test_a_file_object_that_fails_at_any_byte_is_said(database: MiniDB) -> None:
    size = len(backed_up(database))
    for room in [*range(0, size, max(1, size // 60)), size - 1]:
        with pytest.raises(BackupError, match="No space left"):
            database.backup(FailingFile(room))  # type: ignore[arg-type]  # no BinaryIO by name
    database.backup(FailingFile(size))  # type: ignore[arg-type]  # the control


def test_a_disk_that_fills_at_any_byte_leaves_no_file_and_the_older_one(
    database: MiniDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "all.minidb"
    path.write_bytes(b"older")
    size = len(backed_up(database))
    real_fdopen = os.fdopen

    def fail_after(room: int) -> None:
        def open_failing(descriptor: int, mode: str, **options: Any) -> Any:
            file = real_fdopen(descriptor, mode, **options)
            real_write, left = file.write, [room]

            class File:
                def write(self, data: bytes) -> int:
                    left[0] -= len(data)
                    if left[0] < 0:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    return int(real_write(data))

                def __getattr__(self, name: str) -> Any:
                    return getattr(file, name)

            return File()

        monkeypatch.setattr(os, "fdopen", open_failing)

    for room in [*range(0, size, max(1, size // 25)), size - 1]:
        fail_after(room)
        with pytest.raises(BackupError, match="No space left"):
            database.backup(path)
        assert names_in(tmp_path) - {"database"} == {"all.minidb"}
        assert path.read_bytes() == b"older"
    fail_after(size)
    database.backup(path)
    assert path.read_bytes().startswith(MAGIC)


def test_a_full_disk_is_said(folder_database: MiniDB) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(BackupError, match="No space left"):
        folder_database.backup(full)


def test_bytes_that_the_disk_changed_are_seen_before_the_file_has_its_name(
    database: MiniDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_pread = os.pread

    def read_spoilt(descriptor: int, size: int, position: int) -> bytes:
        data = bytearray(real_pread(descriptor, size, position))
        if position <= 5000 < position + len(data):
            data[5000 - position] ^= 1
        return bytes(data)

    monkeypatch.setattr(os, "pread", read_spoilt)
    with pytest.raises(BackupError, match="does not hold what was written"):
        database.backup(tmp_path / "all.minidb")
    assert names_in(tmp_path) - {"database"} == set()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_bytes_that_the_disk_lost_are_missed_before_the_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: Compression | None
) -> None:
    real_pread = os.pread

    def read_cut(descriptor: int, size: int, position: int) -> bytes:
        return real_pread(descriptor, min(size, max(0, 1000 - position)), position)

    with MiniDB(":memory:") as database:  # whose own data is read from no file
        fill(database)
        monkeypatch.setattr(os, "pread", read_cut)
        with pytest.raises(BackupError, match="does not hold what was written"):
            database.backup(tmp_path / "all.minidb", compression=compression)
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_progress_raises_ends_the_backup_and_leaves_no_file(
    folder_database: MiniDB, tmp_path: Path, error: type[BaseException]
) -> None:
    def stop(*_: int) -> None:
        raise error

    for target in (tmp_path / "all.minidb", tmp_path):
        with pytest.raises(error):
            folder_database.backup(target, progress=stop)
    assert names_in(tmp_path) == {"database"}
    folder_database.backup(tmp_path / "all.minidb")
    with pytest.raises(error):
        MiniDB.restore(tmp_path / "all.minidb", tmp_path / "copy", progress=stop)
    assert names_in(tmp_path) == {"database", "all.minidb"}


def test_progress_counts_all_keys(database: MiniDB, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    manifest = database.backup(tmp_path / "all.minidb", progress=lambda *one: told.append(one))
    total = sum(manifest.spaces.values())
    assert told == sorted(told)
    assert told[-1] == (total, total)
    told.clear()
    MiniDB.restore(tmp_path / "all.minidb", tmp_path / "copy", progress=lambda *one: told.append(one))
    assert told[-1] == (total, total)


def test_a_closed_database_is_not_backed_up(database: MiniDB) -> None:
    database.close()
    with pytest.raises(DatabaseClosedError):
        database.backup(io.BytesIO())


# --- damaged and hostile backups --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A backup with something of everything, and with every kind of frame."""
    with MiniDB(tmp_path_factory.mktemp("good") / "database") as database:
        fill(database)
        database.get_table("notes").insert({"long": "x" * 5000})
        data = backed_up(database)
    assert {frame[:1] for frame in frames_of(data)} == {b"H", b"S", b"P", b"Q", b"E"}
    return data


def read_all(data: bytes) -> list[tuple[str, list[tuple[bytes, bytes]]]]:
    """Read a backup as a restore does, without the database."""
    reader = Reader(decompressing(io.BytesIO(data).read), None)
    manifest = reader.header()
    found = [(str(space), [pair for page in pages for pair in page]) for space, pages in reader.spaces(manifest.spaces)]
    reader.end()
    return found


def test_each_cut_of_a_backup_is_refused(good: bytes, tmp_path: Path) -> None:
    for size in {*range(0, len(good), 512), *range(len(good) - 45, len(good))}:
        with pytest.raises(BackupError) as refused:
            read_all(good[:size])
        assert refused.value.position <= size
    for size in (0, 5, 512, len(good) // 2, len(good) - 1):
        with pytest.raises(BackupError, match="damaged at byte"):
            MiniDB.restore(io.BytesIO(good[:size]), tmp_path / "copy")
        assert names_in(tmp_path) == set()
    assert read_all(good)  # the control


def test_each_flipped_bit_is_refused_and_its_place_is_named(good: bytes) -> None:
    chance = random.Random(20261123)
    for _ in range(2000):
        place, bit = chance.randrange(len(good)), chance.randrange(8)
        spoilt = bytearray(good)
        spoilt[place] ^= 1 << bit
        with pytest.raises(BackupError) as refused:
            read_all(bytes(spoilt))
        assert refused.value.position <= place
        assert f"byte {refused.value.position}" in str(refused.value)


def test_flipped_bits_of_a_compressed_backup_are_refused_or_change_nothing(good: bytes) -> None:
    chance = random.Random(20261123)
    packed = gzip.compress(good, mtime=0)
    refused = 0
    for _ in range(400):
        spoilt = bytearray(packed)
        spoilt[chance.randrange(len(packed))] ^= 1 << chance.randrange(8)
        try:
            found = read_all(bytes(spoilt))
        except BackupError:
            refused += 1
        else:  # in what gzip says of the file's name and time
            assert found == read_all(good)
    assert refused > 390


def test_what_follows_the_end_is_refused(good: bytes) -> None:
    for more in (b"\0", b"x", good):
        with pytest.raises(BackupError, match="something follows"):
            read_all(good + more)


def test_frames_in_another_order_are_refused(good: bytes) -> None:
    frames = frames_of(good)
    chance = random.Random(20261123)
    for _ in range(30):
        one, other = sorted(chance.sample(range(1, len(frames)), 2))
        moved = [*frames]
        moved[one], moved[other] = moved[other], moved[one]
        if moved == frames:
            continue
        with pytest.raises(BackupError):
            read_all(MAGIC + b"".join(moved))
    for left_out in range(len(frames)):
        with pytest.raises(BackupError):
            read_all(MAGIC + b"".join(frames[:left_out] + frames[left_out + 1 :]))


def test_an_older_format_is_read_and_a_newer_one_refused(good: bytes, tmp_path: Path) -> None:
    document, bodies = taken_apart(good)
    for version in (1, 2):
        MiniDB.restore(io.BytesIO(forged(bodies, document | {"format": version})), tmp_path / f"copy {version}")
    with pytest.raises(BackupError, match="does not know"):
        read_all(forged(bodies, document | {"format": 3}))


def frames_of(data: bytes) -> list[bytes]:
    frames = []
    place = len(MAGIC)
    while place < len(data):
        size = 9 + int.from_bytes(data[place + 1 : place + 5], "little")
        frames.append(data[place : place + size])
        place += size
    return frames


def forged(bodies: dict[str, list[bytes]], header: dict[str, Any] | None = None, /, **changes: Any) -> bytes:
    """Make a backup with right checksums of whatever bodies of frames are given for each space."""
    document: dict[str, Any] = {
        "minidb": "backup",
        "format": 1,
        "minidb_version": "1",
        "engine": "lmdb",
        "created_at": "2024-02-29T12:00:00+00:00",
        "tables": {},
        "mappings": {},
        "spaces": {},
    }
    document.update(header or changes)
    written = io.BytesIO()
    writer = Writer(written.write, _forged_header(document))
    for space, frames in bodies.items():
        writer.begin_space(Space(space))
        for body in frames:
            writer._frame(b"Q" if body.startswith(PAGE_BYTES) else b"P", body)
    writer.end()
    return written.getvalue()


def taken_apart(data: bytes) -> tuple[dict[str, object], dict[str, list[bytes]]]:
    """Return the header of a backup, and the bodies of the frames of each space."""
    reader = Reader(io.BytesIO(data).read, None)
    manifest = reader.header()
    spaces = reader.spaces(manifest.spaces)
    return manifest.to_document(), {str(space): [encode_pairs(page) for page in pages] for space, pages in spaces}


class _Forged(Manifest):
    """A header that says whatever a test wants."""

    said: dict[str, Any]

    def to_document(self) -> dict[str, object]:
        return self.said


def _forged_header(said: dict[str, Any]) -> Manifest:
    return _Forged(said, minidb_version="", engine="", created_at="")


PAIR = encode_pairs([(b"k", b"v")])

PAGE_BYTES = (4096).to_bytes(4, "little")


def page_of(*pairs: tuple[bytes, bytes], lower: int | None = None, offsets: list[int] | None = None) -> bytes:
    """Return one page of pairs, or one that is wrong."""
    nodes = [struct.pack("<IHH", len(value), 0, len(key)) + key + value for key, value in pairs]
    upper = 4096 - sum(map(len, nodes))
    found = [upper + sum(map(len, nodes[:place])) for place in range(len(nodes))] if offsets is None else offsets
    lower = 16 + 2 * len(found) if lower is None else lower
    return bytes(12) + struct.pack(f"<HH{len(found)}H", lower, upper, *found) + b"".join(nodes)


def packed(*pages: bytes) -> list[bytes]:
    return [PAGE_BYTES + b"".join(pages)]


NESTED = page_of((b"a", struct.pack("<IHH", 1, 0, 1) + b"bv"), offsets=[4079, 4088])

HOSTILE = [
    forged({}, format=3),
    forged({}, minidb="dump"),
    forged({}, tables=[]),
    forged({}, tables={"t": "1"}),
    forged({}, tables={"t": -1}),
    forged({}, tables={"t": True}),
    forged({}, engine=None),
    forged({}, spaces={"../../etc/passwd": 0}),
    forged({}, spaces={"\0generation": 0}),
    forged({}, spaces={"": 0}),
    forged({}, spaces={"rows/1\n": 0}),
    forged({}, spaces={"index/1": 0}),
    forged({}, spaces={"rows/1": 2**70}),
    forged({}, spaces={f"rows/{number}": 0 for number in range(5000)}),
    forged({"rows/1": [PAIR]}, spaces={"rows/2": 1}),
    forged({"rows/1": [PAIR]}, spaces={"rows/1": 0}),
    forged({"rows/1": [PAIR]}, spaces={"rows/1": 2}),
    forged({"rows/1": [PAIR, PAIR]}, spaces={"rows/1": 2}),
    forged({"rows/1": [encode_pairs([(b"k", b"v"), (b"a", b"v")])]}, spaces={"rows/1": 2}),
    forged({"rows/1": [encode_pairs([])]}, spaces={"rows/1": 1}),
    forged({"rows/1": [b""]}, spaces={"rows/1": 1}),
    forged({"rows/1": [b"\xdd\xff\xff\xff\xff"]}, spaces={"rows/1": 1}),
    forged({"rows/1": [b"\x91" * 100_000]}, spaces={"rows/1": 1}),
    forged({"rows/1": [b"\x91\x92\xa1k\xc4\x00"]}, spaces={"rows/1": 1}),
    forged({"rows/1": [encode_pairs([(b"", b"v")])]}, spaces={"rows/1": 1}),
    forged({"rows/1": [encode_pairs([(b"k" * 512, b"v")])]}, spaces={"rows/1": 1}),
    forged({"rows/1": [encode_pairs([(b"%08d" % n, b"") for n in range(200_000)])]}, spaces={"rows/1": 200_000}),
    forged({"rows/1": packed()}, spaces={"rows/1": 1}),
    forged({"rows/1": packed(page_of())}, spaces={"rows/1": 1}),
    forged({"rows/1": packed(page_of((b"k", b"v")), page_of((b"k", b"v")))}, spaces={"rows/1": 2}),
    forged({"rows/1": packed(page_of((b"k", b"v"), (b"a", b"v")))}, spaces={"rows/1": 2}),
    forged({"rows/1": packed(page_of((b"k", b"v"))[:-1])}, spaces={"rows/1": 1}),
    forged({"rows/1": packed(page_of((b"k", b"v"))[:5])}, spaces={"rows/1": 1}),
    forged({"rows/1": packed(page_of((b"k", b"v"), offsets=[4000]))}, spaces={"rows/1": 1}),
    forged({"rows/1": packed(page_of((b"k", b"v"), offsets=[4095]))}, spaces={"rows/1": 1}),
    forged({"rows/1": packed(page_of((b"k", b"v"), lower=14))}, spaces={"rows/1": 1}),
    forged({"rows/1": packed(page_of((b"k", b"v"), lower=65535))}, spaces={"rows/1": 1}),
    forged({"rows/1": packed(NESTED)}, spaces={"rows/1": 2}),
    forged({"rows/1": [PAGE_BYTES + page_of((b"k", b"v")) * 60_000]}, spaces={"rows/1": 60_000}),
    # Whole, and yet no database: no catalog, a space of nobody's, a catalog that cannot be read.
    forged({}),
    forged({"catalog": []}, spaces={"catalog": 0}),
    forged({"catalog": [PAIR], "sequences": []}, spaces={"catalog": 1, "sequences": 0}),
    forged({"rows/1": [PAIR]}, spaces={"rows/1": 1}),
    MAGIC,
    MAGIC + b"H\xff\xff\xff\xff\0\0\0\0",
    b"SQLite format 3\0" + b"\0" * 4096,
    gzip.compress(b"\0" * 1_000_000),
    gzip.compress(b"")[:5],
    b"\x1f\x8b",
    b"",
]


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_backup_is_refused_and_leaves_nothing(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BackupError):
        MiniDB.restore(io.BytesIO(data), tmp_path / "copy")
    assert names_in(tmp_path) == set()


def test_a_backup_that_is_forged_rightly_is_restored(tmp_path: Path, good: bytes) -> None:
    """The control of the test above."""
    header, bodies = taken_apart(good)
    assert MiniDB.restore(io.BytesIO(forged(bodies, header)), tmp_path / "copy").tables["people"] == 299


def catalog_of(good: bytes, **changes: Any) -> dict[str, list[bytes]]:
    """Return a good backup's bodies, with a table's definition changed."""
    _, bodies = taken_apart(good)
    pairs = [pair for body in bodies["catalog"] for pair in decode_pairs(body)]
    changed = [
        (key, encode_document({**decode_document(value), **changes}) if b"people" in value else value)
        for key, value in pairs
    ]
    assert changed != pairs
    return {**bodies, "catalog": [encode_pairs(changed)]}


@pytest.mark.parametrize(
    "index",
    [
        {"id": "../../etc", "name": "n", "fields": ["name"], "unique": False},
        {"id": 1, "name": "n", "fields": ["no such field"], "unique": False},
        {"id": 1, "name": "n", "fields": [], "unique": False},
        {"id": 10**30, "name": "n", "fields": ["name"], "unique": False},
        {"id": None, "name": 1, "fields": ["name"], "unique": 7},
        {"id": 2, "name": "role", "fields": ["role"], "unique": True},  # which the rows do not bear
        {},
    ],
)
def test_an_index_that_cannot_be_is_refused(good: bytes, tmp_path: Path, index: dict[str, object]) -> None:
    header, _ = taken_apart(good)
    with pytest.raises(BackupError):
        MiniDB.restore(io.BytesIO(forged(catalog_of(good, indexes=[index]), header)), tmp_path / "copy")
    assert names_in(tmp_path) == set()


def test_two_indexes_of_one_id_are_refused(good: bytes, tmp_path: Path) -> None:
    header, _ = taken_apart(good)
    two = [{"id": 2, "name": name, "fields": [name], "unique": False} for name in ("name", "age")]
    with pytest.raises(BackupError):
        MiniDB.restore(io.BytesIO(forged(catalog_of(good, indexes=two), header)), tmp_path / "copy")
    control = forged(catalog_of(good, indexes=[{**two[0], "id": 3}, two[1]]), header)
    MiniDB.restore(io.BytesIO(control), tmp_path / "copy")


def test_a_header_of_any_form_is_refused(tmp_path: Path) -> None:
    documents: list[object] = [None, 1, [], "backup", {"minidb": "backup"}, {"minidb": "backup", "format": 1}]
    for document in documents:
        written = io.BytesIO()
        writer = Writer(written.write, _forged_header({}))
        written.seek(len(MAGIC))
        written.truncate()
        writer._frame(b"H", json.dumps(document).encode())
        with pytest.raises(BackupError, match=r"header|format"):
            MiniDB.restore(io.BytesIO(written.getvalue()), tmp_path / "copy")


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff", b'{"format": ' + b"9" * 5000 + b"}"])
def test_a_header_that_is_no_json_is_refused(tmp_path: Path, body: bytes) -> None:
    written = io.BytesIO()
    writer = Writer(written.write, _forged_header({}))
    written.seek(len(MAGIC))
    written.truncate()
    writer._frame(b"H", body)
    with pytest.raises(BackupError, match="no JSON"):
        MiniDB.restore(io.BytesIO(written.getvalue()), tmp_path / "copy")


def test_a_length_alone_takes_no_memory() -> None:
    asked: list[int] = []

    def read(size: int) -> bytes:
        asked.append(size)
        return file.read(size)

    length = (60 * 1024 * 1024).to_bytes(4, "little")
    file = io.BytesIO(MAGIC + b"H" + length + b"\0" * 4 + b"x" * 10)
    with pytest.raises(BackupError, match="ends before its end"):
        Reader(read, None).header()
    assert max(asked) <= 1024 * 1024


def test_a_bomb_fills_no_disk_beyond_the_limit(tmp_path: Path) -> None:
    with MiniDB(":memory:") as database:
        database.create_table("zeros").insert_many({"data": bytes(500_000)} for _ in range(40))
        bomb = backed_up(database, "gzip")
    assert len(bomb) < 200_000
    with pytest.raises(StorageFullError):
        MiniDB.restore(io.BytesIO(bomb), tmp_path / "copy", max_size_bytes=5_000_000)
    assert names_in(tmp_path) == set()
    MiniDB.restore(io.BytesIO(bomb), tmp_path / "copy")  # the control


class Bomb:
    """A compressed backup with right checksums that unpacks to 100 GB: one row of zeros after another."""

    def __init__(self) -> None:
        self._data = b""
        self._frames = self._all_frames()
        self.unpacked = 0

    def _all_frames(self) -> Iterator[bytes]:
        written: list[bytes] = []
        spaces = {Space("rows/1"): 100_000}
        manifest = Manifest(
            minidb_version="1",
            engine="lmdb",
            created_at="2024-02-29T12:00:00+00:00",
            spaces=spaces,
            tables={"t": 100_000},
        )
        writer = Writer(written.append, manifest)
        writer.begin_space(Space("rows/1"))
        for number in range(100_000):
            writer.pairs([(number.to_bytes(4), bytes(1_000_000))])
            yield b"".join(written)
            written.clear()

    def read(self, size: int) -> bytes:
        while len(self._data) < size and (frame := next(self._frames, None)) is not None:
            self.unpacked += len(frame)
            self._data += gzip.compress(frame, 1)
        data, self._data = self._data[:size], self._data[size:]
        return data


def test_a_backup_that_unpacks_to_100_gigabytes_is_refused_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression_module, "SURELY_BEARABLE_BYTES", 100_000_000)
    bomb = Bomb()
    with pytest.raises(
        BackupError, match=r"damaged at byte \d+, in space rows/1: it unpacks to more than 100"
    ) as refused:
        MiniDB.restore(bomb, tmp_path / "copy")  # type: ignore[arg-type]  # no BinaryIO by name
    assert 100_000_000 < bomb.unpacked < 2_000_000_000
    assert "max_size_bytes" in (refused.value.hint or "")
    assert names_in(tmp_path) == set()
    with pytest.raises(StorageFullError):  # the other limit takes its place
        MiniDB.restore(Bomb(), tmp_path / "copy", max_size_bytes=150_000_000)  # type: ignore[arg-type]  # as above
    assert names_in(tmp_path) == set()


def test_a_backup_of_zeros_that_is_right_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression_module, "SURELY_BEARABLE_BYTES", 1_000_000)
    with MiniDB(":memory:") as database:
        database.create_table("zeros").insert_many({"data": bytes(500_000)} for _ in range(40))
        packed = backed_up(database, "gzip")
    with pytest.raises(BackupError, match="unpacks"):
        MiniDB.restore(io.BytesIO(packed), tmp_path / "copy")
    MiniDB.restore(io.BytesIO(packed), tmp_path / "copy", max_size_bytes=100_000_000)


def test_a_backup_of_damaged_rows_is_not_restored(database: MiniDB, tmp_path: Path) -> None:
    plant(database, flip_a_bit_of_a_row)
    with pytest.raises(BackupError, match="damaged") as refused:
        MiniDB.restore(io.BytesIO(backed_up(database)), tmp_path / "copy")
    assert "row-damaged" in {finding.code for finding in refused.value.report.findings}
    assert names_in(tmp_path) - {"database"} == set()


def test_a_backup_of_a_damaged_index_is_restored_with_a_sound_one(database: MiniDB, tmp_path: Path) -> None:
    plant(database, delete_an_entry)
    assert not database.verify().ok
    with restored(backed_up(database), tmp_path / "copy") as copy:
        assert copy.verify().ok


def test_a_manifest_that_says_other_tables_is_refused(good: bytes, tmp_path: Path) -> None:
    header, bodies = taken_apart(good)
    with pytest.raises(BackupError, match="other tables"):
        MiniDB.restore(io.BytesIO(forged(bodies, {**header, "tables": {"people": 299}})), tmp_path / "copy")


# --- where it is restored to ------------------------------------------------------------------------------------------


def test_a_database_is_overwritten_only_when_asked(good: bytes, tmp_path: Path) -> None:
    with MiniDB(tmp_path / "copy") as there:
        there.create_table("mine")
    with pytest.raises(EngineUnavailableError, match="already a database"):
        MiniDB.restore(io.BytesIO(good), tmp_path / "copy")
    with MiniDB(tmp_path / "copy") as there:
        assert there.table_names() == ["mine"]
    MiniDB.restore(io.BytesIO(good), tmp_path / "copy", overwrite=True)
    with MiniDB(tmp_path / "copy", create=False) as there:
        assert "people" in there
        assert there.verify().ok


def test_a_restore_that_fails_leaves_the_database_that_was_there(good: bytes, tmp_path: Path) -> None:
    with MiniDB(tmp_path / "copy") as there:
        there.create_table("mine").insert({"a": 1})
    with pytest.raises(BackupError):
        MiniDB.restore(io.BytesIO(good[:-1]), tmp_path / "copy", overwrite=True)
    with MiniDB(tmp_path / "copy", create=False) as there:
        assert there.get_table("mine").count() == 1
        assert there.verify().ok


@pytest.mark.parametrize("ruin", [b"", b"\0" * 10_000, b"some text"])
def test_a_ruined_database_can_be_overwritten(good: bytes, tmp_path: Path, ruin: bytes) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "data.mdb").write_bytes(ruin)
    MiniDB.restore(io.BytesIO(good), tmp_path / "copy", overwrite=True)
    with MiniDB(tmp_path / "copy", create=False) as there:
        assert there.verify().ok


def test_a_data_file_that_is_a_link_is_replaced_and_not_what_it_names(good: bytes, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "precious").write_text("keep me")
    (tmp_path / "copy" / "data.mdb").symlink_to(tmp_path / "precious")
    with pytest.raises(EngineUnavailableError, match="already a database"):
        MiniDB.restore(io.BytesIO(good), tmp_path / "copy")
    MiniDB.restore(io.BytesIO(good), tmp_path / "copy", overwrite=True)
    assert (tmp_path / "precious").read_text() == "keep me"
    assert not (tmp_path / "copy" / "data.mdb").is_symlink()


@pytest.mark.parametrize("name", ["minidb.lock", "open.lock", ".new"])
def test_links_in_the_folder_are_not_followed(good: bytes, tmp_path: Path, name: str) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_text("keep me")
    aim = tmp_path / "elsewhere" if name == ".new" else tmp_path / "elsewhere" / "precious"
    (tmp_path / "copy" / name).symlink_to(aim)
    with pytest.raises(EngineUnavailableError):
        MiniDB.restore(io.BytesIO(good), tmp_path / "copy")
    assert names_in(tmp_path / "elsewhere") == {"precious"}
    assert (tmp_path / "elsewhere" / "precious").read_text() == "keep me"


@pytest.mark.parametrize("target", [":memory:", "postgresql://user:secret@host/db", "", "a\0b"])
def test_a_target_that_is_no_folder_is_refused(good: bytes, target: str) -> None:
    with pytest.raises(InvalidOptionError) as refused:
        MiniDB.restore(io.BytesIO(good), target)
    assert "secret" not in str(refused.value)


def test_a_file_in_the_folders_place_is_refused_and_kept(good: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("keep me")
    with pytest.raises(EngineUnavailableError):
        MiniDB.restore(io.BytesIO(good), tmp_path / "file", overwrite=True)
    assert (tmp_path / "file").read_text() == "keep me"


def test_a_source_that_is_not_there_is_said(tmp_path: Path) -> None:
    for source, reason in ((tmp_path / "no.minidb", "cannot be read"), (tmp_path, "no backup in the folder")):
        with pytest.raises(BackupError, match=reason):
            MiniDB.restore(source, tmp_path / "copy")
    assert names_in(tmp_path) == set()


def test_errors_are_of_the_family(good: bytes, tmp_path: Path) -> None:
    with pytest.raises(MiniDBError) as refused:
        MiniDB.restore(io.BytesIO(good[:100]), tmp_path / "copy")
    assert isinstance(refused.value, BackupError)
    assert refused.value.hint
