"""A small edition of the mixed soak. The large one: ``python -m tests.soak``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.crash.shim import REPOSITORY, environment


def soak(*options: str) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own: it forks, and must have no other threads then."""
    return subprocess.run(
        [sys.executable, "-m", "tests.soak", *options],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.slow
def test_processes_threads_and_tasks_at_once_meet_no_error_and_lose_no_money() -> None:
    completed = soak("--operations", "6000")
    assert completed.returncode == 0, completed.stderr
    print(completed.stdout)
    met = json.loads(completed.stdout)
    assert met["operations"] > 5000
    assert min(met["transfer"], met["audit"], met["insert_twice"]) > 0


@pytest.mark.slow
def test_a_transfer_of_two_commits_is_found() -> None:
    completed = soak("--operations", "2000", "--control", "torn-transfer")
    assert completed.returncode == 1
    assert "BrokenInvariantError" in completed.stderr
