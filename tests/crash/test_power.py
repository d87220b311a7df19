"""A power failure loses nothing that was acknowledged, and leaves nothing by halves. And the harness is not blind."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import Any

import pytest
from tests.crash.run import Place
from tests.crash.shim import REPOSITORY, environment
from tests.crash.workloads import WORKLOADS

FEW_STATES = 2000
"""So many, and some of the workloads only, are for every run of the tests."""

STATES = int(os.environ.get("MINIDB_POWER_STATES", FEW_STATES))


def power(*options: str) -> tuple[int, dict[str, Any]]:  # Any: JSON
    completed = subprocess.run(
        [sys.executable, "-m", "tests.crash.power", *options],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    print(completed.stdout, completed.stderr)
    assert completed.stdout, completed.stderr
    return completed.returncode, json.loads(completed.stdout)


@pytest.mark.slow
def test_a_power_failure_loses_nothing_that_was_acknowledged() -> None:
    drawn = sorted(WORKLOADS) if STATES > FEW_STATES else random.sample(sorted(WORKLOADS), 5)
    status, tally = power("--states", str(STATES), *(f"--workload={name}" for name in drawn))
    assert (status, tally["faults"]) == (0, 0), tally["first_faults"]
    assert tally["states"] >= STATES
    # Both must come about: a replay that kept everything, or nothing, would have proved little.
    assert tally["pending_present"] > 0
    assert tally["pending_absent"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("control", ["dropped-flush", "durability-none", "acknowledge-early"])
def test_what_is_wrong_on_purpose_is_found(control: str) -> None:
    status, tally = power("--states", "400", "--control", control, "--workload", "commits")
    assert status == 1
    assert tally["faults"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flaw", "workload", "seed"),
    [
        ("no-pin", "checkpoints", 3),
        ("metas-left", "checkpoints", 3),
        ("late-log-flush", "checkpoints", 3),
        ("early-record", "checkpoints", 3),
        ("strange-pin", "orphans", 3),
        ("kept-orphan", "orphans", 20),
    ],
)
def test_a_flaw_of_the_commit_log_is_found(flaw: str, workload: str, seed: int) -> None:
    # With other seeds the last two take a few runs in place of one.
    status, tally = power("--states", "20000", "--seed", str(seed), "--control", flaw, "--workload", workload)
    assert status == 1
    assert tally["faults"] > 0


COPIES = {
    ("backup", Place.BACKUP),
    ("backup", Place.BACKUPS),
    ("restore", Place.DATABASE),
    ("load", Place.LOADED),
    ("compact", Place.DATABASE),
}


@pytest.mark.slow
@pytest.mark.parametrize("control", ["unflushed-contents", "unflushed-names"])
def test_a_copy_without_its_flush_is_found_wherever_it_goes(control: str) -> None:
    workloads = [option for name in sorted({name for name, _ in COPIES}) for option in ("--workload", name)]
    status, tally = power("--states", "400", "--seed", "8", "--control", control, *workloads)
    assert status == 1
    assert {tuple(fault.split(", ")[:2]) for fault in tally["first_faults"]} == COPIES
