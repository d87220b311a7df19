"""The parent: starts a writer, kills it at a random moment, has the database checked, and begins again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.crash.checker import CheckFailedError, check
from tests.crash.ledger import read_ledger
from tests.crash.operations import Model

import minidb

REPOSITORY = Path(__file__).parents[2]
SOURCE = Path(minidb.__file__).parents[1]
"""The folder from which minidb is imported: ``src``, or ``site-packages`` where it is installed."""

CYCLES_PER_DATABASE = 5
"""Then a new one is begun: being killed while a database is made is a moment of its own."""

LONGEST_START_S = 0.25
LONGEST_WRITING_S = 0.15
READY_DEADLINE_S = 60.0


@dataclass(slots=True)
class Tally:
    """What a run of cycles met."""

    cycles: int = 0
    killed_before_ready: int = 0
    acknowledged: int = 0
    pending_present: int = 0
    pending_absent: int = 0


def new_seed() -> int:
    """Return a seed that was not used before. It repeats what is written, but not the moments of the kills."""
    return random.SystemRandom().randrange(1 << 32)


def start_writer(folder: Path, ledger: Path, seed: int, *options: str) -> subprocess.Popen[bytes]:
    """Start a writer."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.crash.writer", str(folder), str(ledger), str(seed), *options],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stderr=subprocess.PIPE,
    )


def run_cycles(folder: Path, cycles: int, seed: int, say: Callable[[str], None] = lambda _: None) -> Tally:
    """Run so many cycles in an empty folder. Raises ``CheckFailedError``, which names the seed and the cycle."""
    draw = random.Random(seed)  # repeatable, no secret
    tally = Tally()
    model: Model = {}
    for cycle in range(cycles):
        database = folder / f"database-{cycle // CYCLES_PER_DATABASE}"
        if cycle % CYCLES_PER_DATABASE == 0:
            model = {}
        ledger_path = folder / f"ledger-{cycle}"
        try:
            _kill_at_random(database, ledger_path, seed=seed * 1_000_000 + cycle, draw=draw)
            ledger = read_ledger(ledger_path)
            outcome = check(database, model, ledger)
        except CheckFailedError as error:
            error.add_note(f"seed {seed}, cycle {cycle}, database {database}, ledger {ledger_path}")
            raise
        tally.cycles += 1
        tally.acknowledged += len(ledger.done)
        tally.killed_before_ready += not ledger.is_ready
        tally.pending_present += outcome.has_pending is True
        tally.pending_absent += outcome.has_pending is False
        model = outcome.rows
        say(f"cycle {cycle + 1} of {cycles}: {len(ledger.done)} acknowledged, {len(model)} rows")
    return tally


def _kill_at_random(database: Path, ledger: Path, *, seed: int, draw: random.Random) -> None:
    """Start a writer, kill it at a random moment, and wait until it is gone."""
    is_killed_early = draw.random() < 0.3
    writer = start_writer(database, ledger, seed)
    with writer:
        try:
            if is_killed_early:
                time.sleep(draw.uniform(0, LONGEST_START_S))
            else:
                _wait_until_ready(writer, ledger)
                time.sleep(draw.uniform(0, LONGEST_WRITING_S))
        finally:
            writer.kill()
        assert writer.stderr is not None
        complaint = writer.stderr.read().decode()
    if writer.returncode != -signal.SIGKILL or complaint:
        raise CheckFailedError(f"the writer was not killed, but ended with {writer.returncode}:\n{complaint}")


def _wait_until_ready(writer: subprocess.Popen[bytes], ledger: Path) -> None:
    deadline = time.monotonic() + READY_DEADLINE_S
    while not (ledger.exists() and ledger.stat().st_size):
        if writer.poll() is not None or time.monotonic() > deadline:
            return  # the caller looks at how it ended
        time.sleep(0.001)
