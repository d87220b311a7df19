from pathlib import Path

import pytest

from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.port import Space
from minidb.options import Options
from minidb.testing.conformance import pairs, reading

ROWS = Space("rows")


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
