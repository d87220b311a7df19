"""The check of recorders: they are told the final changes of a transaction, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from minidb.engines.port import Changes, Engine, Space
from minidb.testing.expectation import expect

_A: Final = Space("a")
_B: Final = Space("b")
_NOTES: Final = Space("notes")


class _Recorder:
    def __init__(self) -> None:
        self.told: list[Changes] = []
        self.refuses = False

    def __call__(self, changes: Changes, is_last: bool) -> Mapping[Space, Mapping[bytes, bytes]]:  # noqa: FBT001  # as the port has it
        expect(is_last, True, "so little is told in one part")  # noqa: FBT003  # a value that is compared
        if self.refuses:
            raise ZeroDivisionError
        self.told.append(changes)
        return {_NOTES: {b"note": b"%d" % len(self.told)}}


def check_a_recorder_is_told_what_is_committed_and_no_undone_savepoint(engine: Engine) -> None:
    transaction = engine.begin_write(10)
    for space in (_A, _B, _NOTES):
        transaction.create_space(space)
    transaction.put_many(_A, {b"old": b"1", b"older": b"2"})
    transaction.commit()
    transaction.close()
    recorder = _Recorder()
    for is_committed in (False, True):
        transaction = engine.begin_write(10)
        transaction.record(recorder)
        transaction.put_many(_A, {b"new": b"1"})
        transaction.delete_many(_A, [b"old"])
        transaction.savepoint()
        transaction.put_many(_A, {b"undone": b"1"})
        transaction.create_space(Space("undone"))
        transaction.rollback_to_savepoint()
        transaction.savepoint()
        transaction.put_many(_A, {b"new": b"2"})
        transaction.clear(_B)
        transaction.create_space(Space("made"))
        transaction.release()
        expect(recorder.told, [], "nothing is told before the end")
        if is_committed:
            transaction.commit()
        transaction.close()
    expect(len(recorder.told), 1, "a rollback is not told, and a commit once")
    told = recorder.told[0]
    expect(
        dict(told.items[_A]),
        {
            b"new": b"2",
            b"old": None,
        },
        "the final changes are told",
    )
    expect((set(told.created), set(told.dropped)), ({"made"}, set()), "and which spaces come and go")
    expect(_B in told.cleared and _A not in told.cleared, True, "and which are cleared")  # noqa: FBT003  # as above
    _expect_note(engine, b"1", "what a recorder returns is written, too")
    _check_refusals(engine, recorder)


def _check_refusals(engine: Engine, recorder: _Recorder) -> None:
    transaction = engine.begin_write(10)
    transaction.record(recorder)
    transaction.commit()
    transaction.close()
    expect(len(recorder.told), 1, "a transaction that changed nothing is not told")
    recorder.refuses = True
    transaction = engine.begin_write(10)
    transaction.record(recorder)
    transaction.put_many(_NOTES, {b"note": b"refused"})
    try:
        transaction.commit()
    except ZeroDivisionError:
        transaction.close()
    else:
        raise AssertionError("what a recorder raises ends the commit")
    _expect_note(engine, b"1", "and nothing of it is written")


def _expect_note(engine: Engine, note: bytes, guarantee: str) -> None:
    snapshot = engine.begin_read()
    try:
        expect(snapshot.get(_NOTES, b"note"), note, guarantee)
    finally:
        snapshot.close()
