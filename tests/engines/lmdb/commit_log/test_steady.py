from contextlib import closing
from pathlib import Path

import pytest

from minidb.engines.lmdb.commit_log.log import Place
from minidb.engines.lmdb.commit_log.meta_pages import SAVED_BYTES, MetaPages
from minidb.engines.lmdb.commit_log.steady import Live, Steady, SteadyFile
from minidb.exceptions import UnsupportedFormatError


def steady(sequence: int, *, is_closed: bool = False) -> Steady:
    metas = MetaPages(bytes([sequence]) * SAVED_BYTES, bytes(SAVED_BYTES))
    return Steady(sequence, is_closed, Place(3, 64, 1234, sequence + 10), 1 << 40, 99, metas)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "minidb.steady"


def test_the_newest_record_counts(path: Path) -> None:
    with closing(SteadyFile.create(path, steady(0))) as file:
        assert file.newest() == steady(0)
        file.record(steady(1))
        assert file.newest() == steady(1)
        file.record(steady(2, is_closed=True))
    with closing(SteadyFile(path)) as file:
        assert file.newest() == steady(2, is_closed=True)


@pytest.mark.parametrize("at", [0, 5, 40, 700])
def test_a_torn_record_leaves_the_one_before(path: Path, at: int) -> None:
    with closing(SteadyFile.create(path, steady(0))) as file:
        file.record(steady(1))
        content = bytearray(path.read_bytes())
        content[8192 + at] ^= 1
        path.write_bytes(content)
        assert file.newest() == steady(0)
        content[4096 + at] ^= 1
        path.write_bytes(content)
        assert file.newest() is None


def test_a_newer_format_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minidb.engines.lmdb.commit_log.steady._FORMAT", 2)
    with closing(SteadyFile.create(path, steady(0))) as file:
        monkeypatch.undo()
        with pytest.raises(UnsupportedFormatError, match="newer version"):
            file.newest()


def test_what_processes_tell_each_other(path: Path) -> None:
    with closing(SteadyFile.create(path, steady(0))) as file, closing(SteadyFile(path)) as other:
        assert other.live() == Live(3, is_in_use=True, is_poisoned=False, is_broken=False, is_recovering=False)
        file.use_segment(7)
        file.set_broken(is_broken=True)
        assert other.live() == Live(7, is_in_use=True, is_poisoned=False, is_broken=True, is_recovering=False)
        other.set_broken(is_broken=False)
        other.poison()
        assert file.live() == Live(7, is_in_use=True, is_poisoned=True, is_broken=False, is_recovering=False)
        file.begin_recovery()
        assert other.live() == Live(7, is_in_use=True, is_poisoned=True, is_broken=False, is_recovering=True)
        file.reset(8)
        assert other.live() == Live(8, is_in_use=False, is_poisoned=False, is_broken=False, is_recovering=False)
        assert other.newest() == steady(0)
