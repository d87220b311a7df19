"""The ten anomalies of the Hermitage tests: what their interleavings leave must be what some order of them leaves.

Each is a script of two or three transactions over two keys. Those that were committed are run again one after another,
in every order, on a dict: one order must read the same at each step and end the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import permutations
from typing import Any

import pytest

from minidb.engines.port import ReadTransaction, Space, WriteTransaction
from minidb.engines.postgres.engine import PostgresEngine
from minidb.engines.postgres.statements import Statements
from minidb.engines.secret import Secret
from minidb.exceptions import ConflictError
from minidb.options import Options

A = Space("a")
START = {b"1": 10, b"2": 20}

Step = tuple[int, str] | tuple[int, str, Any] | tuple[int, str, Any, int]
"""Whose step it is; ``read`` a key, ``find`` the keys whose values a number divides, ``write`` a key, ``add`` to what
is read at a key, ``end`` or ``undo``."""

ANOMALIES: dict[str, list[Step]] = {
    "G0 dirty write": [
        (1, "write", b"1", 11),
        (2, "write", b"1", 12),
        (1, "write", b"2", 21),
        (1, "end"),
        (2, "write", b"2", 22),
        (2, "end"),
    ],
    "G1a aborted read": [(1, "write", b"1", 101), (2, "read", b"1"), (1, "undo"), (2, "read", b"1"), (2, "end")],
    "G1b intermediate read": [
        (1, "write", b"1", 101),
        (2, "read", b"1"),
        (1, "write", b"1", 11),
        (1, "end"),
        (2, "read", b"1"),
        (2, "end"),
    ],
    "G1c circular information flow": [
        (1, "write", b"1", 11),
        (2, "write", b"2", 22),
        (1, "read", b"2"),
        (2, "read", b"1"),
        (1, "end"),
        (2, "end"),
    ],
    "OTV observed transaction vanishes": [
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
    "PMP predicate-many-preceders": [
        (1, "find", 30),
        (2, "write", b"3", 30),
        (2, "end"),
        (1, "find", 3),
        (1, "end"),
    ],
    "PMP for writes": [
        (1, "add", b"1", 10),
        (1, "add", b"2", 10),
        (2, "find", 20),
        (2, "write", b"2", 0),
        (1, "end"),
        (2, "end"),
    ],
    "P4 lost update": [
        (1, "read", b"1"),
        (2, "read", b"1"),
        (1, "add", b"1", 1),
        (2, "add", b"1", 1),
        (1, "end"),
        (2, "end"),
    ],
    "G-single read skew": [
        (1, "read", b"1"),
        (2, "read", b"1"),
        (2, "read", b"2"),
        (2, "write", b"1", 12),
        (2, "write", b"2", 18),
        (2, "end"),
        (1, "read", b"2"),
        (1, "end"),
    ],
    "G-single in a predicate": [
        (1, "find", 5),
        (2, "write", b"1", 12),
        (2, "end"),
        (1, "find", 3),
        (1, "write", b"4", 1),
        (1, "end"),
    ],
    "G2-item write skew": [
        (1, "read", b"1"),
        (1, "read", b"2"),
        (2, "read", b"1"),
        (2, "read", b"2"),
        (1, "write", b"1", 11),
        (2, "write", b"2", 21),
        (1, "end"),
        (2, "end"),
    ],
    "G2 anti-dependency cycle": [
        (1, "find", 3),
        (2, "find", 3),
        (1, "write", b"3", 30),
        (2, "write", b"4", 42),
        (1, "end"),
        (2, "end"),
    ],
    "G2 of two edges, seen by a reader": [
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
}


@pytest.fixture
def engine(postgres_url: str) -> Iterator[PostgresEngine]:
    with closing(PostgresEngine(Secret(postgres_url), Options(durability="none"))) as opened:
        transaction = opened.begin_write(10)
        transaction.create_space(A)
        transaction.put_many(A, {key: b"%d" % value for key, value in START.items()})
        transaction.commit()
        yield opened


def play(engine: PostgresEngine, script: list[Step]) -> tuple[dict[int, list[object]], dict[bytes, int]]:
    """Run a script; return what each transaction that was committed has read, and what is there at the end."""
    begun: dict[int, WriteTransaction] = {}
    seen: dict[int, list[object]] = {}
    for who, what, *more in script:
        if who not in begun:
            begun[who] = engine.begin_write(10)  # at its first step
            seen[who] = []
        if who not in seen:
            continue  # it has met another one
        transaction = begun[who]
        try:
            if what == "end":
                transaction.commit()
            elif what == "undo":
                transaction.close()
                del seen[who]
            else:
                seen[who].append(step_in(transaction, what, more))
        except ConflictError:
            transaction.close()
            del seen[who]
    snapshot = engine.begin_read()
    final = state_of(snapshot)
    snapshot.close()
    return seen, final


def state_of(transaction: ReadTransaction) -> dict[bytes, int]:
    return {key: int(value) for page in transaction.scan(A) for key, value in page}


def step_in(transaction: WriteTransaction, what: str, more: list[Any]) -> object:
    if what == "find":
        return sorted(key for key, value in state_of(transaction).items() if value % more[0] == 0)
    if what == "write":
        transaction.put_many(A, {more[0]: b"%d" % more[1]})
        return None
    found = transaction.get(A, more[0])
    if what == "add" and found is not None:
        transaction.put_many(A, {more[0]: b"%d" % (int(found) + more[1])})
    return found


def is_serial(script: list[Step], seen: dict[int, list[object]], final: dict[bytes, int]) -> bool:
    """Tell whether some order of the transactions, one after another, reads and leaves the same."""
    return any(replay(script, order) == (seen, final) for order in permutations(seen))


def replay(script: list[Step], order: tuple[int, ...]) -> tuple[dict[int, list[object]], dict[bytes, int]]:
    state = dict(START)
    seen: dict[int, list[object]] = {}
    for who in order:
        seen[who] = []
        for step in script:
            if step[0] != who or step[1] == "end":
                continue
            what: str = step[1]
            more: list[Any] = list(step[2:])
            if what == "find":
                seen[who].append(sorted(key for key, value in state.items() if value % more[0] == 0))
            elif what == "write":
                state[more[0]] = more[1]
                seen[who].append(None)
            else:
                found = state.get(more[0])
                seen[who].append(None if found is None else b"%d" % found)
                if what == "add" and found is not None:
                    state[more[0]] = found + more[1]
    return seen, state


@pytest.mark.parametrize("name", ANOMALIES)
def test_an_interleaving_leaves_what_some_order_leaves(engine: PostgresEngine, name: str) -> None:
    script = ANOMALIES[name]
    seen, final = play(engine, script)
    assert seen, "somebody was committed"
    assert is_serial(script, seen, final), (seen, final)


def test_under_snapshot_isolation_the_checker_finds_what_that_lets_through(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control, on the same server asked for less."""
    make = Statements.__init__

    def make_weaker(self: Statements, *arguments: Any) -> None:
        make(self, *arguments)
        self.begin_write = self.begin_write.replace("SERIALIZABLE", "REPEATABLE READ")

    monkeypatch.setattr(Statements, "__init__", make_weaker)
    found = set()
    with closing(PostgresEngine(Secret(postgres_url), Options(durability="none"))) as engine:
        transaction = engine.begin_write(10)
        transaction.create_space(A)
        transaction.commit()
        for name, script in ANOMALIES.items():
            transaction = engine.begin_write(10)
            transaction.clear(A)
            transaction.put_many(A, {key: b"%d" % value for key, value in START.items()})
            transaction.commit()
            if not is_serial(script, *play(engine, script)):
                found.add(name)
    assert found == {
        "G2-item write skew",
        "G2 anti-dependency cycle",
        "G2 of two edges, seen by a reader",
        "G1c circular information flow",
    }
