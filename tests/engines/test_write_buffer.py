from pathlib import Path

import pytest

from minidb.engines.lmdb.applying import Applying
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.port import Changes, Space
from minidb.engines.write_buffer import DIRECT_PAIRS
from minidb.exceptions import StorageFullError
from minidb.options import Options
from minidb.testing.conformance import pairs, reading

ROWS = Space("rows")
OTHER = Space("other")


@pytest.fixture
def spilling(database_path: Path) -> LmdbEngine:
    """An engine whose transactions keep only a few entries in memory."""
    engine = LmdbEngine(database_path, Options(durability="none"), spill_bytes=1000)
    transaction = engine.begin_write(1)
    transaction.create_space(ROWS)
    transaction.commit()
    return engine


def test_a_transaction_that_spilled_before_a_savepoint_can_go_back_to_it(spilling: LmdbEngine) -> None:
    transaction = spilling.begin_write(1)
    transaction.put_many(ROWS, {b"%04d" % number: b"x" * 100 for number in range(100)})
    transaction.savepoint()
    transaction.put_many(ROWS, {b"more": b"x"})
    transaction.rollback_to_savepoint()
    assert not transaction.is_doomed
    transaction.commit()
    with reading(spilling) as snapshot:
        assert snapshot.count(ROWS) == 100
    spilling.close()


def test_going_back_to_a_savepoint_that_was_spilled_dooms_the_transaction(spilling: LmdbEngine) -> None:
    transaction = spilling.begin_write(1)
    transaction.savepoint()
    transaction.savepoint()
    transaction.put_many(ROWS, {b"%04d" % number: b"x" * 100 for number in range(100)})
    transaction.release()
    transaction.rollback_to_savepoint()
    assert transaction.is_doomed
    transaction.close()
    with reading(spilling) as snapshot:
        assert pairs(snapshot, ROWS) == []
    spilling.close()


def test_nothing_is_spilled_under_a_scan(spilling: LmdbEngine) -> None:
    transaction = spilling.begin_write(1)
    transaction.put_many(ROWS, {b"%04d" % number: b"old" for number in range(200)})
    seen = 0
    for page in transaction.scan(ROWS):
        for key, value in page:
            seen += value == b"old"
            transaction.put_many(ROWS, {key: b"new", b"z" + key: b"x" * 1000})
    assert seen == 200
    transaction.commit()
    with reading(spilling) as snapshot:
        assert snapshot.count(ROWS) == 400
    spilling.close()


def test_sorted_pairs_are_written_at_once_where_nothing_is_to_be_undone(spilling: LmdbEngine) -> None:
    keys = [b"%06d" % number for number in range(DIRECT_PAIRS)]
    transaction = spilling.begin_write(1)
    transaction.put_sorted(ROWS, keys, keys)
    assert not transaction._layers[-1].spaces
    transaction.commit()
    with reading(spilling) as snapshot:
        assert pairs(snapshot, ROWS) == list(zip(keys, keys, strict=True))
    spilling.close()


def test_sorted_pairs_in_a_savepoint_can_be_undone(database_path: Path) -> None:
    engine = LmdbEngine(database_path, Options(durability="none"))
    keys = [b"%06d" % number for number in range(DIRECT_PAIRS)]
    transaction = engine.begin_write(1)
    transaction.create_space(ROWS)
    transaction.put_sorted(ROWS, keys, keys)
    transaction.savepoint()
    transaction.put_sorted(ROWS, keys, [b"changed"] * len(keys))
    transaction.rollback_to_savepoint()
    transaction.commit()
    with reading(engine) as snapshot:
        assert pairs(snapshot, ROWS) == list(zip(keys, keys, strict=True))
    engine.close()


def test_sorted_pairs_pass_by_what_is_buffered_of_other_spaces_once_some_was_spilled(spilling: LmdbEngine) -> None:
    transaction = spilling.begin_write(1)
    transaction.create_space(OTHER)
    transaction.put_many(ROWS, {b"%06d" % number: b"spilled" for number in range(100)})
    transaction.put_many(OTHER, {b"key": b"buffered"})
    transaction.put_sorted(ROWS, [b"000099", b"000100"], [b"new", b"new"])
    assert list(transaction._layers[-1].spaces) == [OTHER]
    transaction.put_many(ROWS, {b"000100": b"newer"})
    transaction.put_sorted(ROWS, [b"000098", b"000100"], [b"newest", b"newest"])
    assert not transaction._layers[-1].spaces
    transaction.commit()
    with reading(spilling) as snapshot:
        assert snapshot.get_many(ROWS, [b"000097", b"000098", b"000099", b"000100"]) == [
            b"spilled",
            b"newest",
            b"new",
            b"newest",
        ]
        assert pairs(snapshot, OTHER) == [(b"key", b"buffered")]
    spilling.close()


def test_no_sorted_pairs_are_no_change_also_once_some_was_spilled(spilling: LmdbEngine) -> None:
    keys = [b"%06d" % number for number in range(DIRECT_PAIRS)]
    transaction = spilling.begin_write(1)
    transaction.put_sorted(ROWS, keys, keys)
    transaction.put_sorted(ROWS, [], [])
    transaction.commit()
    with reading(spilling) as snapshot:
        assert pairs(snapshot, ROWS) == list(zip(keys, keys, strict=True))
    spilling.close()


def test_a_recorder_is_told_of_sorted_pairs(spilling: LmdbEngine) -> None:
    keys = [b"%06d" % number for number in range(DIRECT_PAIRS)]
    told: list[bytes] = []

    def record(changes: Changes, _: bool) -> dict[Space, dict[bytes, bytes]]:  # as the port has it
        told.extend(key for items in changes.items.values() for key in items)
        return {}

    transaction = spilling.begin_write(1)
    transaction.record(record)
    transaction.put_sorted(ROWS, keys, keys)
    transaction.commit()
    assert told == keys
    spilling.close()


def test_sorted_pairs_that_cannot_be_written_doom_the_transaction(
    spilling: LmdbEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageFullError("as if the disk were full")

    monkeypatch.setattr(Applying, "put_sorted", fail)
    keys = [b"%06d" % number for number in range(DIRECT_PAIRS)]
    transaction = spilling.begin_write(1)
    transaction.put_many(ROWS, {b"before": b""})
    with pytest.raises(StorageFullError):
        transaction.put_sorted(ROWS, keys, keys)
    assert transaction.is_doomed
    transaction.close()
    with reading(spilling) as snapshot:
        assert pairs(snapshot, ROWS) == []
    spilling.close()
