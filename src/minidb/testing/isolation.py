"""The conformance checks of isolation: the ten anomalies of the Hermitage tests, each as a script for two or three.

Those that were committed are run again one after another, in every order, on a dict: one order must read the same at
each step and end the same. Where one writes at a time, the second is refused and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import permutations
from typing import Any, Final

from minidb.engines.port import Engine, ReadTransaction, Space, WriteTransaction
from minidb.exceptions import ConflictError, WriteTimeoutError

A: Final = Space("a")
START: Final[Mapping[bytes, int]] = {b"1": 10, b"2": 20}

Step = tuple[int, str] | tuple[int, str, Any] | tuple[int, str, Any, int]  # Any: a key, or a number
"""Whose step it is; ``read`` a key, ``find`` the keys whose values a number divides, ``write`` a key, ``add`` to what
is read at a key, ``end`` or ``undo``."""

Seen = dict[int, list[object]]
"""What each transaction has read."""


def check_g0_dirty_write(engine: Engine) -> None:
    _check(
        engine,
        [
            (1, "write", b"1", 11),
            (2, "write", b"1", 12),
            (1, "write", b"2", 21),
            (1, "end"),
            (2, "write", b"2", 22),
            (2, "end"),
        ],
    )


def check_g1a_aborted_read(engine: Engine) -> None:
    _check(engine, [(1, "write", b"1", 101), (2, "read", b"1"), (1, "undo"), (2, "read", b"1"), (2, "end")])


def check_g1b_intermediate_read(engine: Engine) -> None:
    _check(
        engine,
        [(1, "write", b"1", 101), (2, "read", b"1"), (1, "write", b"1", 11), (1, "end"), (2, "read", b"1"), (2, "end")],
    )


def check_g1c_circular_information_flow(engine: Engine) -> None:
    _check(
        engine,
        [(1, "write", b"1", 11), (2, "write", b"2", 22), (1, "read", b"2"), (2, "read", b"1"), (1, "end"), (2, "end")],
        is_write_skew=True,
    )


def check_otv_observed_transaction_vanishes(engine: Engine) -> None:
    _check(
        engine,
        [
            (1, "write", b"1", 11),
            (1, "write", b"2", 19),
            (2, "write", b"1", 12),
            (1, "end"),
            (3, "read", b"1"),
            (2, "write", b"2", 18),
            (3, "read", b"2"),
            (2, "end"),
            (3, "read", b"2"),
            (3, "read", b"1"),
            (3, "end"),
        ],
    )


def check_pmp_predicate_many_preceders(engine: Engine) -> None:
    _check(engine, [(1, "find", 30), (2, "write", b"3", 30), (2, "end"), (1, "find", 3), (1, "end")])


def check_pmp_predicate_many_preceders_of_writes(engine: Engine) -> None:
    _check(
        engine,
        [(1, "add", b"1", 10), (1, "add", b"2", 10), (2, "find", 20), (2, "write", b"2", 0), (1, "end"), (2, "end")],
    )


def check_p4_lost_update(engine: Engine) -> None:
    _check(
        engine, [(1, "read", b"1"), (2, "read", b"1"), (1, "add", b"1", 1), (2, "add", b"1", 1), (1, "end"), (2, "end")]
    )


def check_g_single_read_skew(engine: Engine) -> None:
    _check(
        engine,
        [
            (1, "read", b"1"),
            (2, "read", b"1"),
            (2, "read", b"2"),
            (2, "write", b"1", 12),
            (2, "write", b"2", 18),
            (2, "end"),
            (1, "read", b"2"),
            (1, "end"),
        ],
    )


def check_g_single_read_skew_of_a_predicate(engine: Engine) -> None:
    _check(
        engine, [(1, "find", 5), (2, "write", b"1", 12), (2, "end"), (1, "find", 3), (1, "write", b"4", 1), (1, "end")]
    )


def check_g2_item_write_skew(engine: Engine) -> None:
    _check(
        engine,
        [
            (1, "read", b"1"),
            (1, "read", b"2"),
            (2, "read", b"1"),
            (2, "read", b"2"),
            (1, "write", b"1", 11),
            (2, "write", b"2", 21),
            (1, "end"),
            (2, "end"),
        ],
        is_write_skew=True,
    )


def check_g2_write_skew_of_a_predicate(engine: Engine) -> None:
    _check(
        engine,
        [(1, "find", 3), (2, "find", 3), (1, "write", b"3", 30), (2, "write", b"4", 42), (1, "end"), (2, "end")],
        is_write_skew=True,
    )


def check_g2_of_two_writers_and_a_reader(engine: Engine) -> None:
    _check(
        engine,
        [
            (1, "read", b"1"),
            (1, "read", b"2"),
            (2, "add", b"2", 5),
            (2, "end"),
            (3, "read", b"1"),
            (3, "read", b"2"),
            (3, "end"),
            (1, "write", b"1", 0),
            (1, "end"),
        ],
        is_write_skew=True,
    )


ISOLATION_CHECKS: Final[tuple[Callable[[Engine], None], ...]] = (
    check_g0_dirty_write,
    check_g1a_aborted_read,
    check_g1b_intermediate_read,
    check_g1c_circular_information_flow,
    check_otv_observed_transaction_vanishes,
    check_pmp_predicate_many_preceders,
    check_pmp_predicate_many_preceders_of_writes,
    check_p4_lost_update,
    check_g_single_read_skew,
    check_g_single_read_skew_of_a_predicate,
    check_g2_item_write_skew,
    check_g2_write_skew_of_a_predicate,
    check_g2_of_two_writers_and_a_reader,
)


def _check(engine: Engine, script: Sequence[Step], *, is_write_skew: bool = False) -> None:
    """Play a script. ``is_write_skew``: an engine that declares itself not serializable may let it through."""
    if is_write_skew and not engine.capabilities.is_serializable:
        return
    transaction = engine.begin_write(10)
    transaction.create_space(A)
    transaction.put_many(A, {key: b"%d" % value for key, value in START.items()})
    transaction.commit()
    seen, final = _play(engine, script)
    assert seen, "of transactions that meet one is committed"
    explained = any(_replay(script, order) == (seen, final) for order in permutations(seen))
    assert explained, f"what transactions saw and left is what some order of them sees and leaves: {seen}, {final}"


def _play(engine: Engine, script: Sequence[Step]) -> tuple[Seen, dict[bytes, int]]:
    """Run a script; return what each transaction that was committed has read, and what is there at the end."""
    writers = {who for who, what, *_ in script if what in ("write", "add")}
    actors: dict[int, _Actor] = {}
    refused: set[int] = set()
    try:
        for who, what, *more in script:
            if who in refused:
                continue
            try:
                if who not in actors:  # at its first step
                    actors[who] = _Actor(engine, may_write=who in writers)
                actors[who].do(what, more)
            except (ConflictError, WriteTimeoutError):
                refused.add(who)
            if what == "undo":
                refused.add(who)
    finally:
        for actor in actors.values():
            actor.leave()
    snapshot = engine.begin_read()
    final = _state_of(snapshot)
    snapshot.close()
    return {who: actor.seen for who, actor in actors.items() if who not in refused}, final


class _Actor:
    """One of those who take part in a script, in a transaction of its own."""

    def __init__(self, engine: Engine, *, may_write: bool) -> None:
        self._writing: WriteTransaction | None = engine.begin_write(0) if may_write else None
        self._reading: ReadTransaction = self._writing or engine.begin_read()
        self.seen: list[object] = []

    def do(self, what: str, more: Sequence[Any]) -> None:  # Any: as in Step
        if what == "find":
            found = sorted(key for key, value in _state_of(self._reading).items() if value % more[0] == 0)
            self.seen.append(found)
        elif what == "read":
            self.seen.append(self._reading.get(A, more[0]))
        elif what in ("end", "undo"):
            if self._writing is not None and what == "end":
                self._writing.commit()
            self._reading.close()
        else:
            assert self._writing is not None, "it was begun for writing"
            value = more[1]
            if what == "add":
                self.seen.append(self._writing.get(A, more[0]))
                value += int(self._writing.get(A, more[0]) or b"0")
            self._writing.put_many(A, {more[0]: b"%d" % value})

    def leave(self) -> None:
        with suppress(ConflictError):  # it was refused before
            self._reading.close()


def _state_of(transaction: ReadTransaction) -> dict[bytes, int]:
    return {key: int(value) for page in transaction.scan(A) for key, value in page}


def _replay(script: Sequence[Step], order: Sequence[int]) -> tuple[Seen, dict[bytes, int]]:
    """Do what ``_play`` does, one transaction after another, on a dict."""
    state = dict(START)
    seen: Seen = {}
    for who in order:
        seen[who] = []
        for whose, what, *rest in script:
            if whose != who:
                continue
            more: list[Any] = list(rest)  # Any: as in Step
            if what == "find":
                seen[who].append(sorted(key for key, value in state.items() if value % more[0] == 0))
            elif what == "write":
                state[more[0]] = more[1]
            elif what in ("read", "add"):
                seen[who].append(b"%d" % state[more[0]])
                state[more[0]] += more[1] if what == "add" else 0
    return seen, state
