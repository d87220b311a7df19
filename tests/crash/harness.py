"""The parent: forks writers, kills one of them at a random moment, has the database checked, and begins again."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

from tests.crash.checker import CheckFailedError, Expected, Outcome, check, check_open
from tests.crash.deaths import POINTS, Clock, Death, dying
from tests.crash.ledger import read_ledger
from tests.crash.log_workloads import little_thresholds
from tests.crash.operations import Model, part_of
from tests.crash.writer import write

from minidb import MiniDB
from minidb.engines.lmdb import registry

CYCLES_PER_DATABASE = 10
"""Then a new one is begun: being killed while a database is made is a moment of its own."""

LITTLE_SHARE = 0.7
"""So many databases have checkpoints all the time."""

ALL_SHARE = 0.2
"""So often are all writers killed, so that the next to open the database recovers it."""

LONGEST_START_S = 0.03
LONGEST_WRITING_S = 0.08
READY_DEADLINE_S = 60.0


@dataclass(slots=True)
class Tally:
    """What a run of cycles met."""

    cycles: int = 0
    killed_before_ready: int = 0
    killed_while_stopped: int = 0
    killed_at_points: int = 0
    killed_in_recovery: int = 0
    acknowledged: int = 0
    pending_present: int = 0
    pending_absent: int = 0


def new_seed() -> int:
    """Return a seed that was not used before. It repeats what is written, but not the moments of the kills."""
    return random.SystemRandom().randrange(1 << 32)


class Writer:
    """One forked process that writes its share of the rows. The one thing that is begun again after each death."""

    def __init__(self, folder: Path, owner: str) -> None:
        self.owner = owner
        self._folder = folder
        self._database = folder / "database"
        self._lives = 0
        self._before: Sequence[Model] = [{}]
        self.pid = 0

    def start(self, seed: int, death: Death | None = None) -> None:
        """Begin a life, with a ledger of its own."""
        self._lives += 1
        self.ledger_path = self._folder / f"ledger-{self.owner}-{self._lives}"
        self._complaint = self._folder / f"stderr-{self.owner}-{self._lives}"
        work = partial(write, self._database, self.ledger_path, seed, owner=self.owner, possible=self._before)
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.dup2(os.open(self._complaint, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), 2)
                with dying(Clock(), death):
                    work()
            except BaseException:  # noqa: BLE001  # told to the parent; nothing else runs in this process
                traceback.print_exc()
            finally:
                os._exit(1)

    def wait_until_ready(self) -> None:
        """Wait for the table to be there; a writer that has ended, or killed itself, is found by ``kill``."""
        deadline = time.monotonic() + READY_DEADLINE_S
        while not (self.ledger_path.exists() and self.ledger_path.stat().st_size):
            has_ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            if has_ended or time.monotonic() > deadline:
                return
            time.sleep(0.001)

    def stop(self) -> None:
        """Stop the process where it stands."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def resume(self) -> None:
        """Let a stopped process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process, and wait until it is gone."""
        with suppress(ProcessLookupError):  # one that has ended by itself is complained of below
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        complaint = self._complaint.read_text() if self._complaint.exists() else ""
        if code != -signal.SIGKILL or complaint:
            raise CheckFailedError(f"writer {self.owner} was not killed, but ended with {code}:\n{complaint}")

    def expected(self) -> Expected:
        """Return what the ledger says at the moment."""
        return Expected.of(self._before, read_ledger(self.ledger_path))

    def close_ledger(self, outcome: Outcome, tally: Tally, *, is_decided: bool) -> None:
        """End a life: what was found is what the next one begins with.

        Until somebody commits, it is not decided what becomes of a commit that was cut off by the kill. LMDB may have
        it in the file, and show it only when the next writer has put its lock in order. And one that was too large for
        the log can be seen before it is on the disk: if all are killed then, it is taken back.
        """
        expected = self.expected()
        ledger = read_ledger(self.ledger_path)
        tally.acknowledged += len(ledger.done)
        tally.killed_before_ready += ledger.ready is None
        found = part_of(outcome.rows, self.owner)
        if len(expected.possible) > 1:
            tally.pending_present += found == expected.possible[-1]
            tally.pending_absent += found == expected.possible[0]
        self._before = [found] if is_decided else expected.possible


def run_cycles(
    folder: Path, cycles: int, seed: int, *, processes: int = 1, say: Callable[[str], None] = lambda _: None
) -> Tally:
    """Run so many cycles in an empty folder. Raises ``CheckFailedError``, which names the seed and the cycle.

    REQUIRES a process without other threads: it forks.
    """
    draw = random.Random(seed)
    tally = Tally()
    while tally.cycles < cycles:
        place = folder / str(tally.cycles)
        place.mkdir()
        try:
            with little_thresholds(draw) if draw.random() < LITTLE_SHARE else nullcontext():
                _use_one_database(place, min(CYCLES_PER_DATABASE, cycles - tally.cycles), draw, processes, tally)
        except CheckFailedError as error:
            error.add_note(f"seed {seed}, cycle {tally.cycles}, see {place}")
            raise
        say(f"cycle {tally.cycles} of {cycles}: {tally.acknowledged} acknowledged")
    return tally


def _use_one_database(place: Path, cycles: int, draw: random.Random, processes: int, tally: Tally) -> None:
    """Kill one of the writers in each cycle, and all of them in the end."""
    writers = [Writer(place, str(number)) for number in range(processes)]
    running: list[Writer] = []
    reader: MiniDB | None = None
    try:
        for cycle in range(cycles):
            fresh = [writer for writer in writers if writer not in running]
            victim = draw.choice(draw.choice((writers, fresh)))
            death = Death.draw(draw, POINTS[:4]) if victim in fresh and draw.random() < 0.7 else None
            for writer in fresh:
                writer.start(draw.randrange(1 << 32), death if writer is victim else None)
                running.append(writer)
            _wait_for_a_moment(victim, draw, tally, may_stop=death is None)
            tally.killed_at_points += death is not None
            running.remove(victim)
            victim.kill()
            tally.cycles += 1
            if not running or cycle == cycles - 1 or draw.random() < ALL_SHARE:
                ended = [victim, *running]
                while running:
                    running.pop().kill()
                if reader is not None:
                    reader.close()
                    reader = None
                tally.killed_in_recovery += _kill_in_recovery(place / "database", draw)
                outcome = check(place / "database", {writer.owner: writer.expected() for writer in writers})
            else:
                if reader is None and any(writer.expected().is_owed for writer in writers):
                    reader = MiniDB(place / "database", read_only=True)
                outcome = _check_stopped(reader, writers, running)
                ended = [victim]
            for writer in ended:
                writer.close_ledger(outcome, tally, is_decided=not running)
    finally:
        if reader is not None:
            reader.close()
        for writer in running:
            with suppress(CheckFailedError):
                writer.kill()


def _kill_in_recovery(folder: Path, draw: random.Random) -> int:
    """Let some processes open the database at once, which nobody has closed, and kill them in that or not."""
    killed = 0
    for _ in range(draw.randint(0, 2)):
        pids = []
        for _ in range(draw.randint(1, 3)):
            death = Death("recovery", 1, draw.randint(0, 12), "write") if draw.random() < 0.7 else None
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                try:
                    # Without a pause between two attempts one is often under way as the one that recovers dies.
                    with dying(Clock(), death), patch.object(registry, "_PAUSE_S", 0):
                        MiniDB(folder).close()
                    os._exit(0)
                except BaseException:  # noqa: BLE001  # told to the parent; nothing else runs in this process
                    traceback.print_exc()
                finally:
                    os._exit(1)
            pids.append(pid)
        for pid in pids:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if code not in (0, -signal.SIGKILL):
                raise CheckFailedError(f"a process that opened the database ended with {code}")
            killed += code != 0
    return killed


def _wait_for_a_moment(victim: Writer, draw: random.Random, tally: Tally, *, may_stop: bool) -> None:
    if draw.random() < 0.3:
        time.sleep(draw.uniform(0, LONGEST_START_S))
        return
    victim.wait_until_ready()
    time.sleep(draw.uniform(0, LONGEST_WRITING_S))
    if may_stop and draw.random() < 0.3:  # it may hold the lock then, and the others wait
        victim.stop()
        time.sleep(draw.uniform(0, LONGEST_WRITING_S))
        if draw.random() < 0.5:
            tally.killed_while_stopped += 1
        else:
            victim.resume()
            time.sleep(draw.uniform(0, LONGEST_WRITING_S))


def _check_stopped(reader: MiniDB | None, writers: list[Writer], running: list[Writer]) -> Outcome:
    """Check while all writers stand still, in the middle of whatever they do."""
    if reader is None:
        return Outcome({})  # nobody was acknowledged yet
    for writer in running:
        writer.stop()
    try:
        return check_open(reader, {writer.owner: writer.expected() for writer in writers})
    finally:
        for writer in running:
            writer.resume()
