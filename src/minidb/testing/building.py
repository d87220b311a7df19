"""The checks of what an index is built by: numbers of states, and pairs that are written in order."""

from __future__ import annotations

from typing import Final

from minidb.engines.port import Engine, Pair, ReadTransaction, Space
from minidb.testing.expectation import expect

_A: Final = Space("a")
_B: Final = Space("b")


def check_a_state_has_a_number_of_its_own(engine: Engine) -> None:
    """Compare snapshots and write transactions. An engine may have no such numbers at all."""
    transaction = engine.begin_write(10)
    transaction.create_space(_A)
    transaction.commit()
    transaction.close()
    seen = [_state_id(engine)]
    if seen == [None]:
        return
    for value in (b"1", b"2"):
        transaction = engine.begin_write(10)
        expect(transaction.state_id, seen[-1], "a write transaction has that of its beginning")
        transaction.put_many(_A, {b"a": value})
        expect(transaction.state_id, None, "and none once it has written")
        transaction.commit()
        transaction.close()
        seen.append(_state_id(engine))
        expect(_state_id(engine), seen[-1], "two snapshots of one state share it")
    expect(len(set(seen)), 3, "each commit gives another one")
    transaction = engine.begin_write(10)
    transaction.put_many(_A, {b"a": b"3"})
    transaction.close()
    expect(_state_id(engine), seen[-1], "a rollback changes nothing")


def check_sorted_pairs_are_written_as_any(engine: Engine) -> None:
    """Write few pairs and many, among others, in a transaction that is rolled back and in one that is committed."""
    old = {b"%06d" % number: b"old" for number in range(0, 20_000, 3)}
    transaction = engine.begin_write(10)
    transaction.create_space(_A)
    transaction.put_many(_A, old)
    transaction.commit()
    transaction.close()
    for count in (3, 12_000):
        keys = [b"%06d" % number for number in range(count)]
        transaction = engine.begin_write(10)
        transaction.put_many(_A, {b"000001": b"before"})
        transaction.put_sorted(_A, keys, [b"new"] * count)
        transaction.put_many(_A, {b"000002": b"after"})
        transaction.delete_many(_A, [b"000000"])
        expected = old | dict.fromkeys(keys, b"new") | {b"000002": b"after"}
        del expected[b"000000"]
        expect(_pairs(transaction, _A), sorted(expected.items()), "the transaction sees the last write of each")
        transaction.close()
        snapshot = engine.begin_read()
        expect(_pairs(snapshot, _A), sorted(old.items()), "a rollback leaves nothing")
        snapshot.close()
    transaction = engine.begin_write(10)
    transaction.create_space(_B)
    transaction.put_sorted(_B, keys, keys)
    transaction.commit()
    transaction.close()
    snapshot = engine.begin_read()
    expect(_pairs(snapshot, _B), list(zip(keys, keys, strict=True)), "they are committed")
    snapshot.close()


def _state_id(engine: Engine) -> int | None:
    snapshot = engine.begin_read()
    try:
        return snapshot.state_id
    finally:
        snapshot.close()


def _pairs(transaction: ReadTransaction, space: Space) -> list[Pair]:
    return [pair for page in transaction.scan(space) for pair in page]
