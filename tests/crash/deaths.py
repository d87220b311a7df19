"""Where a process is killed that has a database with a log open: when it passes a point for the nth time."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args
from unittest.mock import patch

from tests.crash.shim import KILL

from minidb.engines.lmdb.commit_log import recovery
from minidb.engines.lmdb.commit_log.checkpoint import Begun, Checkpoints
from minidb.engines.lmdb.commit_log.log import Log
from minidb.engines.lmdb.commit_log.steady import Steady, SteadyFile, _encoded, _slot_at
from minidb.engines.lmdb.folder import write_whole

Point = Literal["logged", "committing", "checkpoint", "recorded", "recovery"]
POINTS: Final[tuple[Point, ...]] = get_args(Point)

"""A record flushed, and LMDB's commit not begun; in LMDB's commit; in a checkpoint; between the steady record and its
flush; in recovery."""


class Killer(Protocol):
    """What kills this process: the shim, or ``Clock``."""

    def fault_from_now(self, kind: Literal["write", "flush"], first: int, action: int) -> None: ...

    def kill(self) -> None: ...


class Clock:
    """Kills without the shim, and so a moment later in place of at a call."""

    def fault_from_now(self, kind: Literal["write", "flush"], first: int, action: int) -> None:
        """Die in a few hundred microseconds."""
        del kind, action

        def die() -> None:
            time.sleep(first * 0.0002)
            self.kill()

        threading.Thread(target=die, daemon=True).start()

    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Death:
    """Where a process is killed: when it passes the point so often; at a call that follows it, counted from 1."""

    point: Point
    passes: int
    calls: int
    kind: Literal["write", "flush"]

    @classmethod
    def draw(cls, draw: random.Random, points: tuple[Point, ...] = POINTS) -> Death:
        point = draw.choice(points)
        passes = draw.randint(1, {"logged": 8, "committing": 8, "checkpoint": 2, "recorded": 4, "recovery": 1}[point])
        return cls(point, passes, draw.randint(1, 6), draw.choice(("write", "write", "flush")))


@contextmanager
def dying(killer: Killer, death: Death | None) -> Iterator[None]:
    if death is None:
        yield
        return
    passed = 0

    def is_time() -> bool:
        nonlocal passed
        passed += 1
        return passed == death.passes

    def arm() -> None:
        if is_time():
            killer.fault_from_now(death.kind, death.calls, KILL)

    append, flush, begin, record = Log.append, Log.flush, Checkpoints.begin, SteadyFile.record
    recover = recovery._recover

    def flush_and_die(self: Log, segment: int) -> None:
        flush(self, segment)
        if is_time():
            killer.kill()

    def append_and_arm(self: Log, transaction_id: int, changes: bytes) -> int:
        if is_time():
            killer.fault_from_now("write", 1 + death.calls, KILL)
        return append(self, transaction_id, changes)

    def arm_and_begin(self: Checkpoints) -> Begun:
        arm()
        return begin(self)

    def record_and_die(self: SteadyFile, steady: Steady) -> None:
        if is_time():
            write_whole(self._descriptor, _encoded(steady), _slot_at(steady.sequence))
            killer.kill()
        record(self, steady)

    def arm_and_recover(*arguments: object) -> object:
        arm()
        return recover(*arguments)  # type: ignore[arg-type]  # handed on

    change: AbstractContextManager[object]
    match death.point:
        case "logged":
            change = patch.object(Log, "flush", flush_and_die)
        case "committing":
            change = patch.object(Log, "append", append_and_arm)
        case "checkpoint":
            change = patch.object(Checkpoints, "begin", arm_and_begin)
        case "recorded":
            change = patch.object(SteadyFile, "record", record_and_die)
        case "recovery":
            change = patch.object(recovery, "_recover", arm_and_recover)
    with change:
        yield
