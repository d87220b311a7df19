"""Workloads that meet what the commit log has beside commits: checkpoints in the background, processes that are killed
in the middle of something while others go on, recovery, relaxed commits, and databases with and without a log.

Every process is forked from the workload's own, which opens nothing itself, and writes rows of an owner of its own. One
that is to be killed has a ``Death``: a point, and how often it is passed before.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final
from unittest.mock import patch

from tests.crash.deaths import POINTS, Death, dying
from tests.crash.operations import Hand
from tests.crash.run import Run, Writer
from tests.crash.shim import Shim

from minidb import MiniDB
from minidb.engines.lmdb import transactions
from minidb.engines.lmdb.commit_log import commits, keeper, log, recovery


@contextmanager
def little_thresholds(draw: random.Random) -> Iterator[None]:
    """Let everything that comes once in a thousand commits come all the time."""
    with ExitStack() as stack:
        for module, name, value in (
            (commits, "MOST_COMMITS", draw.choice((3, 6, 12))),
            (commits, "QUIET_S", draw.choice((0.01, 0.1))),
            (commits, "IDLE_S", draw.choice((0.02, 10))),
            (keeper, "POLL_S", draw.choice((0.002, 0.01))),
            (log, "STEP_BYTES", 4096),
            (log, "KEPT_BYTES", draw.choice((8192, 1 << 20))),
            (recovery, "TOGETHER_BYTES", draw.choice((300, 3000, 1 << 20))),
            (transactions, "GROUP_BYTES", draw.choice((3000, 1 << 20))),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield


# --- processes --------------------------------------------------------------------------------------------------------


def start(work: Callable[[], object], shim: Shim, death: Death | None = None) -> int:
    """Do something in a process of its own, which ends without closing anything; return its id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            with dying(shim, death):
                work()
                os._exit(0)
        except BaseException:  # noqa: BLE001  # told by the process's end
            traceback.print_exc()
        finally:
            os._exit(1)
    return pid


def wait(pid: int) -> bool:
    """Wait for the end of a process; return whether it was killed. Raises ``ChildProcessError`` if it failed."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise ChildProcessError(f"a process ended with {code}")
    return code != 0


def in_process(work: Callable[[], object], shim: Shim, death: Death | None = None) -> bool:
    """Do something in a process of its own; return whether it was killed."""
    return wait(start(work, shim, death))


class Lives:
    """The processes of one run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.draw = random.Random(f"{run.seed} lives")
        self._owners = 0

    def new_owner(self) -> str:
        self._owners += 1
        return str(self._owners)

    def write(self, count: int, *, closes: bool, run: Run | None = None, pause_s: float = 0) -> Callable[[], None]:
        """Return what opens the database and writes as a new owner."""
        return partial(_write, run or self.run, self.new_owner(), count, closes=closes, pause_s=pause_s)

    def make(self) -> None:
        """Make the database and its tables, in a process that closes it."""
        in_process(partial(_make, self.run), self.run.shim)


def _make(run: Run) -> None:
    with run.open() as database:
        Hand(database, "0")


def _write(run: Run, owner: str, count: int, *, closes: bool, pause_s: float = 0) -> None:
    database = run.open()
    writer = Writer(run, database, owner)
    for number in range(count):
        writer.write(1)
        if pause_s:
            time.sleep(pause_s)
        if run.is_relaxed and number % 7 == 6:
            database.sync()
            writer.synced()
    if closes:
        database.close()
        writer.synced()


# --- workloads --------------------------------------------------------------------------------------------------------


def processes(run: Run) -> None:
    """Three processes write at once; one is killed in the middle of something, one ends without closing."""
    lives = Lives(run)
    lives.make()
    for _ in range(2):
        death = Death.draw(lives.draw)
        pids = [
            start(lives.write(run.size, closes=True), run.shim, death),
            start(lives.write(run.size, closes=False, pause_s=0.002), run.shim),
            start(lives.write(run.size, closes=lives.draw.random() < 0.5), run.shim),
        ]
        for pid in pids:
            wait(pid)


def successors(run: Run) -> None:
    """A process that has the database open, and a pin or none, goes on after another one was killed in a commit."""
    lives = Lives(run)
    pause_s = lives.draw.choice((0, 0, 0.05))  # long enough to let go of the pin, where that comes soon
    _succeed(
        lives,
        pause_s,
        lambda: lives.draw.choice((Death("recorded", 1, 1, "write"), Death.draw(lives.draw, POINTS[:4]))),
    )


def orphans(run: Run) -> None:
    """The same, where each is killed between its record and LMDB's commit, and no checkpoint comes of itself."""
    lives = Lives(run)
    has_pin = lives.draw.random() < 0.5
    with (
        patch.object(commits, "MOST_COMMITS", 1000),
        patch.object(commits, "QUIET_S", 10),
        patch.object(commits, "IDLE_S", 10 if has_pin else 0.01),
    ):
        _succeed(lives, 0 if has_pin else 0.1, lambda: Death("logged", lives.draw.randint(2, 4), 1, "flush"))


def _succeed(lives: Lives, pause_s: float, next_death: Callable[[], Death]) -> None:
    run = lives.run
    lives.make()
    told, tell = os.pipe()
    owner = lives.new_owner()

    def stay() -> None:
        os.close(tell)
        with run.open() as database:
            writer = Writer(run, database, owner)
            writer.write(1)
            time.sleep(pause_s)
            while os.read(told, 1):
                writer.write(run.size)

    pid = start(stay, run.shim)
    for _ in range(3):
        in_process(lives.write(run.size, closes=False), run.shim, next_death())
        os.write(tell, b"!")
    os.close(tell)
    wait(pid)
    os.close(told)


def recoveries(run: Run) -> None:
    """Nobody closes. Who opens next recovers; some are killed at that, and the next one begins it again."""
    lives = Lives(run)
    lives.make()
    for _ in range(3):
        in_process(lives.write(run.size, closes=False), run.shim)
        for _ in range(2):
            recover = partial(_recover, run)
            in_process(recover, run.shim, Death.draw(lives.draw, ("recovery",)))
    in_process(lives.write(2, closes=True), run.shim)


def recover(run: Run) -> None:
    """Open a database that is there, and look. The power fails in that."""
    _recover(run)


def _recover(run: Run) -> None:
    MiniDB(run.folder).close()


def checkpoints(run: Run) -> None:
    """One writer, and checkpoints in the background."""
    with run.open() as database:
        writer = Writer(run, database, defines=True)
        for _ in range(run.size // 5):
            writer.write(5)
            time.sleep(0.003)


def relaxed(run: Run) -> None:
    """Writers whose commits are flushed later: two processes, and one that flushes each of its commits."""
    lives = Lives(run)
    lives.make()
    easy = run.with_options(durability="relaxed")
    in_process(lives.write(run.size, closes=True, run=easy, pause_s=0.001), run.shim)
    pids = [
        start(lives.write(run.size, closes=False, run=easy), run.shim),
        start(lives.write(run.size // 2, closes=True, pause_s=0.003), run.shim),
        start(lives.write(run.size, closes=True, run=easy), run.shim, Death.draw(lives.draw)),
    ]
    for pid in pids:
        wait(pid)
    in_process(lives.write(4, closes=False, run=easy), run.shim)


def switches(run: Run) -> None:
    """The log is begun, ended, and begun again: by those who close, by those who do not, and by both kinds at once."""
    lives = Lives(run)
    without = run.with_options(has_log=False)
    in_process(lives.write(run.size, closes=True, run=lives.draw.choice((run, without))), run.shim)
    for _ in range(3):
        for one in lives.draw.sample((run, without), 2):
            in_process(lives.write(run.size, closes=lives.draw.random() < 0.5, run=one), run.shim)
        pids = [
            start(lives.write(run.size, closes=lives.draw.random() < 0.5, run=without), run.shim),
            start(lives.write(run.size, closes=True), run.shim, Death.draw(lives.draw)),
        ]
        for pid in pids:
            wait(pid)


LOG_WORKLOADS: Final[dict[str, tuple[Callable[[Run], None], int]]] = {
    "checkpoints": (checkpoints, 30),
    "processes": (processes, 12),
    "successors": (successors, 8),
    "orphans": (orphans, 8),
    "recoveries": (recoveries, 8),
    "relaxed": (relaxed, 16),
    "switches": (switches, 4),
}
