from collections.abc import Iterator

import pytest

from minidb.engines import memory
from minidb.engines.memory import MemoryEngine
from minidb.engines.port import Space
from minidb.engines.write_buffer import SpaceChanges
from minidb.testing.conformance import pairs, reading, writing

ROWS, INDEX = Space("rows"), Space("index")


@pytest.fixture
def engine() -> Iterator[MemoryEngine]:
    opened = MemoryEngine()
    with writing(opened) as transaction:
        transaction.create_space(ROWS)
        transaction.create_space(INDEX)
        transaction.put_many(ROWS, {b"a": b"1", b"b": b"1"})
    yield opened
    opened.close()


def test_a_commit_that_an_interrupt_cuts_short_is_seen_whole(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change_a_half(self: memory._MemorySpace, changes: SpaceChanges) -> None:
        key, value = next(iter(changes.items.items()))
        assert value is not None
        self.values[key] = value  # and not yet in the sorted list of keys
        raise KeyboardInterrupt

    transaction = engine.begin_write(1)
    transaction.put_many(ROWS, {b"c": b"2", b"a": b"2"})
    transaction.delete_many(ROWS, [b"b"])
    transaction.put_many(INDEX, {b"2": b""})
    with monkeypatch.context() as patch:
        patch.setattr(memory._MemorySpace, "change", change_a_half)
        with pytest.raises(KeyboardInterrupt):
            transaction.commit()
    with reading(engine) as snapshot:
        assert pairs(snapshot, ROWS) == [(b"a", b"2"), (b"c", b"2")]
        assert pairs(snapshot, INDEX) == [(b"2", b"")]
        assert snapshot.count(ROWS) == 2
    engine.begin_write(0).close()


def test_a_snapshot_that_is_let_go_of_costs_later_commits_no_copy(engine: MemoryEngine) -> None:
    snapshot = engine.begin_read()
    before = engine._spaces[ROWS]
    del snapshot
    with writing(engine) as transaction:
        transaction.put_many(ROWS, {b"c": b"1"})
    assert engine._spaces[ROWS] is before
