"""The disk fails, the process is killed at each write and flush, the disk is full: nothing acknowledged is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from tests.crash.faults import ACTIONS
from tests.crash.shim import REPOSITORY, environment

from minidb.engines.lmdb.reserve import RESERVE_BYTES


def run(module: str, *options: str) -> subprocess.CompletedProcess[str]:
    completed = subprocess.run(
        [sys.executable, "-m", f"tests.crash.{module}", *options],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    print(completed.stdout, completed.stderr)
    return completed


def result(module: str, *options: str) -> dict[str, Any]:  # Any: JSON
    completed = run(module, *options)
    assert completed.returncode == 0, completed.stderr
    found: dict[str, Any] = json.loads(completed.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("action", ACTIONS)
def test_what_fails_at_the_nth_call_is_told_and_nothing_acknowledged_is_lost(action: str) -> None:
    tally = result("faults", "--action", action)
    assert tally["runs"] > 40
    assert tally["acknowledged"] > tally["runs"]
    assert bool(tally["raised"]) is (action != "kill")
    if action in ("EIO", "ENOSPC"):
        assert ("StorageFullError" in tally["raised"]) is (action == "ENOSPC")


@pytest.mark.slow
@pytest.mark.parametrize("action", ["kill", "EIO"])
def test_a_caller_who_takes_everything_for_done_is_found(action: str) -> None:
    completed = run("faults", "--action", action, "--control", "blind")
    assert completed.returncode == 1
    assert "CheckFailedError: lost" in completed.stderr


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--limit",)])
def test_a_full_database_loses_nothing_can_be_emptied_and_is_used_again(options: tuple[str, ...]) -> None:
    steps = result("full_disk", *options)
    assert steps["full"] > 50
    assert steps["half of them deleted"] < steps["full again"]
    assert steps["exchanged"] > 50
    assert steps["reserve"] == RESERVE_BYTES
    assert options or steps["killed"] > 10


@pytest.mark.slow
def test_a_full_disk_that_keeps_no_reserve_is_found() -> None:
    completed = run("full_disk", "--control", "no-reserve")
    assert completed.returncode == 1
    assert "delete" in completed.stderr
    assert "StorageFullError: The disk is full" in completed.stderr
