"""kill -9 loses nothing that was acknowledged, leaves nothing by halves, and leaves nothing to repair.

It proves nothing about power failures: what the operating system was given survives the death of a process.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.crash.harness import new_seed, run_cycles

CYCLES = int(os.environ.get("MINIDB_CRASH_CYCLES", "25"))


@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    seed = int(os.environ.get("MINIDB_CRASH_SEED", new_seed()))
    print("seed", seed)
    tally = run_cycles(tmp_path, CYCLES, seed)
    print(tally)
    assert tally.cycles == CYCLES
    # A harness whose writers never came to write would have proved nothing.
    assert tally.acknowledged > CYCLES
    assert tally.pending_present + tally.pending_absent > 0
