"""What is read past LMDB is what LMDB reads."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidb.encoding.pairs import unpack_pairs
from minidb.engines.lmdb import leaves
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.lmdb.folder import DATA_FILE
from minidb.engines.lmdb.transactions import LmdbSnapshot
from minidb.engines.port import Pair, Space
from minidb.exceptions import CorruptionError, EngineError
from minidb.options import Options

SPACE = Space("rows/1")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LmdbEngine]:
    engine = LmdbEngine(tmp_path / "database", Options(durability="none"))
    yield engine
    engine.close()


def put(engine: LmdbEngine, items: dict[bytes, bytes]) -> None:
    transaction = engine.begin_write(10)
    if SPACE not in transaction.spaces():
        transaction.create_space(SPACE)
    transaction.put_many(SPACE, items)
    transaction.commit()


def delete(engine: LmdbEngine, keys: list[bytes]) -> None:
    transaction = engine.begin_write(10)
    transaction.delete_many(SPACE, keys)
    transaction.commit()


def scanned(snapshot: LmdbSnapshot) -> list[Pair]:
    return [pair for page in snapshot.scan(SPACE) for pair in page]


def unpacked(snapshot: LmdbSnapshot) -> list[Pair]:
    packed = snapshot.scan_packed(SPACE)
    assert packed is not None
    pairs = []
    for count, data in packed:
        some = unpack_pairs(data)
        assert len(some) == count
        pairs += some
    return pairs


@pytest.mark.parametrize("key_bytes", [8, 500])
def test_a_tree_of_any_depth_and_order_is_read(engine: LmdbEngine, key_bytes: int) -> None:
    chance = random.Random(20261123)
    keys = [chance.randbytes(chance.randrange(1, key_bytes)) for _ in range(3000)]
    for _ in range(4):
        put(engine, {key: chance.randbytes(chance.randrange(200)) for key in chance.sample(keys, 1000)})
        delete(engine, chance.sample(keys, 300))
        snapshot = engine.begin_read()
        assert unpacked(snapshot) == scanned(snapshot)
        snapshot.close()


def test_a_snapshot_is_read_while_others_write(engine: LmdbEngine) -> None:
    put(engine, {b"%06d" % number: b"old" for number in range(20_000)})
    snapshot = engine.begin_read()
    before = scanned(snapshot)
    packed = snapshot.scan_packed(SPACE)
    assert packed is not None
    found = []
    for number, (_, data) in enumerate(packed):
        found += unpack_pairs(data)
        put(engine, {b"%06d" % other: b"newer" for other in range(number, 20_000, 7)})
        delete(engine, [b"%06d" % other for other in range(number, 20_000, 11)])
    assert found == before
    snapshot.close()


def test_no_bytes_of_deleted_pairs_are_read(engine: LmdbEngine) -> None:
    put(engine, {b"%03d" % number: b"secret %03d" % number for number in range(60)})
    delete(engine, [b"%03d" % number for number in range(60) if number % 10])
    snapshot = engine.begin_read()
    packed = snapshot.scan_packed(SPACE)
    assert packed is not None
    data = b"".join(data for _, data in packed)
    assert data.count(b"secret") == 6
    assert (Path(engine.location) / DATA_FILE).read_bytes().count(b"secret") > 60  # the control
    snapshot.close()


def test_an_empty_space_has_no_pairs(engine: LmdbEngine) -> None:
    put(engine, {})
    snapshot = engine.begin_read()
    assert unpacked(snapshot) == []
    snapshot.close()


def test_long_values_are_scanned_otherwise(engine: LmdbEngine) -> None:
    put(engine, {b"long": b"x" * 5000, b"short": b"x"})
    snapshot = engine.begin_read()
    assert snapshot.scan_packed(SPACE) is None
    snapshot.close()


def test_a_file_that_is_another_one_by_now_is_not_read(engine: LmdbEngine, tmp_path: Path) -> None:
    put(engine, {b"key": b"value"})
    path = Path(engine.location) / DATA_FILE
    shutil.copy(path, tmp_path / "copy")
    snapshot = engine.begin_read()
    assert unpacked(snapshot) == [(b"key", b"value")]
    (tmp_path / "copy").replace(path)
    assert snapshot.scan_packed(SPACE) is None
    path.unlink()
    assert snapshot.scan_packed(SPACE) is None
    snapshot.close()


def test_a_damaged_page_is_said(engine: LmdbEngine) -> None:
    put(engine, {b"%06d" % number: b"value" for number in range(5000)})
    path = Path(engine.location) / DATA_FILE
    whole = path.read_bytes()
    pages = [at for at in range(8192, len(whole), 4096) if whole[at + 10] == 1 or b"value" in whole[at : at + 4096]]
    assert len(pages) > 20
    refused = 0
    for at in pages:
        for place in (0, 10, 13, 15, 17):  # its number, its kind, its bounds, its first offset
            with path.open("r+b") as file:
                file.seek(at + place)
                file.write(b"\xfe")
            snapshot = engine.begin_read()
            try:
                unpacked(snapshot)
            except CorruptionError:
                refused += 1
            finally:
                snapshot.close()
                with path.open("r+b") as file:
                    file.seek(at)
                    file.write(whole[at : at + 4096])
    assert refused >= 5 * len(pages) // 2


@pytest.mark.parametrize("root", [1 << 40, 1 << 51, (1 << 64) - 1])
def test_a_root_that_no_file_can_have_is_said(engine: LmdbEngine, root: int) -> None:
    with (Path(engine.location) / DATA_FILE).open("rb") as file, pytest.raises(CorruptionError):
        list(leaves.packed(file.fileno(), leaves.Tree(4096, 1, root)))


def test_an_ended_snapshot_is_not_read_on(engine: LmdbEngine) -> None:
    put(engine, {b"%06d" % number: b"value" for number in range(20_000)})
    snapshot = engine.begin_read()
    packed = snapshot.scan_packed(SPACE)
    assert packed is not None
    next(packed)
    snapshot.close()
    with pytest.raises(EngineError, match="after its end"):
        next(packed)
