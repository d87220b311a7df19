import os
import shutil
import stat
from functools import partial
from pathlib import Path

import pytest

from minidb.engines.lmdb import data_file, folder
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.lmdb.folder import _file_system, _mounts, build, refuse_network_file_system, resolve
from minidb.engines.port import CATALOG, Space
from minidb.exceptions import EngineUnavailableError, InvalidOptionError, MiniDBError, UnsupportedFormatError
from minidb.options import Options
from minidb.testing.conformance import reading, writing


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_the_folder_is_0700_and_its_files_0600_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "new" / "db"
    (tmp_path / "new").mkdir()
    previous = os.umask(umask)
    try:
        engine = LmdbEngine(path, Options())
        with writing(engine) as transaction:
            transaction.create_space(Space("s"))
        engine.close()
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()}
    names = ["data.mdb", "lock.mdb", "minidb.lock", "gate.lock", "apply.lock", "open.lock", "minidb.reserve"]
    names += ["checkpoint.lock", "minidb.steady", "minidb.log.0", "minidb.log.1"]
    assert modes == dict.fromkeys(names, 0o600)


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.mkdir(mode=0o750)
    LmdbEngine(path, Options()).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


def test_missing_parents_are_made(tmp_path: Path) -> None:
    LmdbEngine(tmp_path / "a" / "b" / "db", Options()).close()
    assert (tmp_path / "a" / "b" / "db" / "data.mdb").exists()


@pytest.mark.parametrize("options", [Options(create=False), Options(read_only=True)])
def test_nothing_is_made_where_nothing_shall_be(tmp_path: Path, options: Options) -> None:
    with pytest.raises(EngineUnavailableError, match="no database"):
        LmdbEngine(tmp_path / "db", options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_path_that_no_folder_can_have_is_refused(path: str) -> None:
    with pytest.raises(InvalidOptionError) as refused:
        resolve(path)
    assert refused.value.option == "path"


def test_a_file_in_the_folders_place_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("keep me")
    with pytest.raises(EngineUnavailableError, match="is a file"):
        LmdbEngine(path, Options())
    assert path.read_text() == "keep me"


def test_a_linked_data_file_is_refused(tmp_path: Path) -> None:
    LmdbEngine(tmp_path / "real", Options()).close()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "data.mdb").symlink_to(tmp_path / "real" / "data.mdb")
    with pytest.raises(EngineUnavailableError, match="link"):
        LmdbEngine(tmp_path / "linked", Options())


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\0" * 8191])
def test_a_data_file_that_was_cut_short_is_refused_and_not_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(UnsupportedFormatError, match="cut short"):
        LmdbEngine(tmp_path, Options())
    assert (tmp_path / "data.mdb").read_bytes() == content


@pytest.mark.parametrize("content", [b"\0" * 20_000, b"SQLite format 3\0" * 2000, os.urandom(50_000)])
def test_a_data_file_of_something_else_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(MiniDBError):
        LmdbEngine(tmp_path, Options())
    assert (tmp_path / "data.mdb").read_bytes() == content


def test_an_lmdb_file_that_is_not_minidbs_is_refused(tmp_path: Path) -> None:
    import lmdb

    with lmdb.open(str(tmp_path), max_dbs=2) as foreign, foreign.begin(write=True) as transaction:
        transaction.put(b"mine", b"data")
    with pytest.raises(UnsupportedFormatError, match="not MiniDB's"):
        LmdbEngine(tmp_path, Options())


@pytest.mark.parametrize("step", ["mkdir", "make", "chmod", "flush aside", "rename", "flush folder", "remove"])
def test_a_crash_at_any_step_of_the_making_leaves_none_or_a_whole_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Each step is cut off as kill -9 would, and the next open finds its way."""

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    flushes: list[Path] = []

    def flush(path: Path) -> None:
        flushes.append(path)
        if step == "flush aside" or (step == "flush folder" and len(flushes) == 2):
            raise Killed

    monkeypatch.setattr(folder, "flush_folder", flush)
    if step == "remove":
        monkeypatch.setattr(shutil, "rmtree", die)
    if step in ("mkdir", "chmod", "rename"):
        monkeypatch.setattr(Path, step, die)
    path = tmp_path / "db"
    os.mkdir(path)  # noqa: PTH102  # Path.mkdir may be the step that fails
    with pytest.raises(Killed):
        build(path, die if step == "make" else partial(data_file.make, has_log=True))
    monkeypatch.undo()
    engine = LmdbEngine(path, Options())
    with writing(engine) as transaction:
        transaction.put_many(CATALOG, {b"works": b""})
    with reading(engine) as snapshot:
        assert snapshot.count(CATALOG) == 1
    engine.close()
    assert not (path / ".new").exists() or step in ("remove", "flush folder")


def test_the_database_gets_its_name_only_when_it_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    rename, flush = Path.rename, folder.flush_folder

    def note_rename(self: Path, target: Path) -> Path:
        events.append("rename")
        return rename(self, target)

    def note_flush(path: Path) -> None:
        events.append(f"flush {path.name}")
        flush(path)

    monkeypatch.setattr(Path, "rename", note_rename)
    monkeypatch.setattr(folder, "flush_folder", note_flush)
    path = tmp_path / "parent" / "db"
    LmdbEngine(path, Options()).close()
    made = [f"flush {tmp_path.name}", "flush parent"]  # the folders' own names, from the top
    assert events == [*made, "flush .new", "rename", "flush db", "flush parent"]


MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/share rw - nfs4 server:/export rw
31 30 8:2 / /mnt/share/local\\040disk rw shared:1 master:2 - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/win rw - cifs //server/share rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/db", "ext4"),
        ("/mnt/share/db", "nfs4"),
        ("/mnt/sharers/db", "ext4"),
        ("/mnt/share/local disk/db", "xfs"),
        ("/mnt/win", "cifs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_its_nearest_mount(tmp_path: Path, path: str, kind: str) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    assert _file_system(Path(path), _mounts(table)) == kind
    if kind in ("nfs4", "cifs"):
        with pytest.raises(EngineUnavailableError, match=kind):
            refuse_network_file_system(Path(path), table)
    else:
        refuse_network_file_system(Path(path), table)


def test_a_host_without_a_mount_table_tells_nothing(tmp_path: Path) -> None:
    assert _file_system(tmp_path, _mounts(tmp_path / "absent")) is None
    refuse_network_file_system(tmp_path, tmp_path / "absent")


def test_a_network_file_system_is_refused_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_mounts", lambda _: b"22 1 0:9 / / rw - nfs4 server:/export rw\n")
    with pytest.raises(EngineUnavailableError, match="nfs4"):
        LmdbEngine(tmp_path / "db", Options())
    LmdbEngine(tmp_path / "db", Options(allow_network_file_system=True)).close()
    monkeypatch.setattr(folder, "_mounts", lambda _: b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    refuse_network_file_system(tmp_path)
