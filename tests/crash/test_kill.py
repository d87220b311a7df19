"""kill -9 loses nothing that was acknowledged, leaves nothing by halves, and leaves nothing to repair.

It proves nothing about power failures: what the operating system was given survives the death of a process. What the
harness is there to find is planted, and found, in ``test_checker``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests.crash.shim import REPOSITORY, environment

CYCLES = int(os.environ.get("MINIDB_CRASH_CYCLES", "30"))


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 4])
def test_kill_9_loses_nothing_that_was_acknowledged(processes: int) -> None:
    # A process of its own: it forks, and must have no other threads then.
    completed = subprocess.run(
        [sys.executable, "-m", "tests.crash", "--quiet", "--cycles", str(CYCLES), "--processes", str(processes)],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    print(completed.stdout, completed.stderr)
    assert completed.returncode == 0, completed.stderr
    tally = json.loads(completed.stdout)
    assert tally["cycles"] == CYCLES
    # A harness whose writers never came to write would have proved nothing.
    assert tally["acknowledged"] > CYCLES
    assert tally["pending_present"] + tally["pending_absent"] > 0
