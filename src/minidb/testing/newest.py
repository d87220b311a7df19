"""The check of reads of the newest state in one step: where an engine offers them, they never tell what is not so."""

from __future__ import annotations

from typing import Final

from minidb.engines.port import Engine, Get, OtherStateError, Space
from minidb.testing.conformance import reading, writing
from minidb.testing.expectation import expect

_SPACE: Final = Space("newest")
_TOLD_NOTHING: Final = b"a snapshot must tell"


def _asked(get: Get, key: bytes) -> bytes | None:
    try:
        return get(key)
    except OtherStateError:
        return _TOLD_NOTHING


def check_a_read_in_one_step_is_of_the_newest_state_or_tells_nothing(engine: Engine) -> None:
    if engine.newest_getter is None:
        return
    with writing(engine) as transaction:
        transaction.create_space(_SPACE)
        transaction.put_many(_SPACE, {b"a": b"1"})
    with reading(engine) as snapshot:
        get = engine.newest_getter(snapshot.generation, _SPACE)
    expect([get(b"a"), get(b"b")], [b"1", None], "after a snapshot of the same state it is told")
    with writing(engine) as transaction:
        transaction.put_many(_SPACE, {b"a": b"2"})
        expect({_asked(get, b"a")} - {b"1", _TOLD_NOTHING}, set(), "what is not committed is not seen")
    expect({_asked(get, b"a")} - {b"2", _TOLD_NOTHING}, set(), "what is committed is")
    with reading(engine):
        expect(get(b"a"), b"2", "and told, once a snapshot has seen that the spaces are as they were")
    with writing(engine) as transaction:
        transaction.create_space(Space("another"))
    for _ in range(2):
        expect(_asked(get, b"a"), _TOLD_NOTHING, "of another generation nothing is told")
        with reading(engine):
            pass
    with writing(engine) as transaction:
        transaction.drop_space(_SPACE)
    with reading(engine) as snapshot:
        expect(_asked(get, b"a"), _TOLD_NOTHING, "nor of a space that is gone")


NEWEST_CHECKS: Final = (check_a_read_in_one_step_is_of_the_newest_state_or_tells_nothing,)
