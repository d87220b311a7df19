"""Histories of many transactions at once are serializable; and the checker finds those that are not."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from tests.crash.shim import REPOSITORY, environment
from tests.isolation.list_append import Done, faults_of


def list_append(*options: str) -> dict[str, Any]:  # Any: JSON
    completed = subprocess.run(
        [sys.executable, "-m", "tests.isolation.list_append", *options],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    print(completed.stdout, completed.stderr)
    assert completed.stdout, completed.stderr
    found: dict[str, Any] = json.loads(completed.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--location", ":memory:"), ("--processes", "1"), ("--processes", "2")])
def test_a_history_of_many_threads_and_processes_is_serializable(options: tuple[str, ...]) -> None:
    found = list_append("--transactions", "2000", *options)
    assert found["faults"] == 0, found
    assert found["transactions"] == 2000


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_history_of_eight_processes_on_a_server_is_serializable(postgres_url: str, seed: str) -> None:
    shape = ("--processes", "8", "--threads", "1", "--transactions", "4000", "--seed", seed)
    found = list_append("--location", postgres_url, *shape)
    assert found["faults"] == 0, found
    assert found["committed"] > 1000


@pytest.mark.slow
@pytest.mark.parametrize("location", ["", ":memory:", "postgresql"])
def test_reads_from_another_snapshot_than_the_writes_are_found(location: str, request: pytest.FixtureRequest) -> None:
    place = request.getfixturevalue("postgres_url") if location == "postgresql" else location
    found = list_append("--transactions", "1000", "--location", place, "--control", "stale-reads")
    assert "in a circle" in found["first_faults"][0]


SERIAL = [Done({0: []}, {0: 1}, 0, 1), Done({0: [1], 1: []}, {1: 2}, 2, 3), Done({1: [2]}, {}, 4, 5)]


def test_a_serial_history_has_no_faults() -> None:
    assert faults_of(SERIAL, {0: [1], 1: [2]}) == []


@pytest.mark.parametrize(
    ("history", "final", "fault"),
    [
        # Write skew (G2-item): both read what the other one changes.
        ([Done({0: [], 1: []}, {0: 1}, 0, 9), Done({0: [], 1: []}, {1: 2}, 0, 9)], {0: [1], 1: [2]}, "2 transactions"),
        # Read skew (G-single): half of another one's appends.
        ([Done({}, {0: 1, 1: 2}, 0, 9), Done({0: [], 1: [2]}, {}, 0, 9)], {0: [1], 1: [2]}, "2 transactions"),
        # A read that is too old: the append had been acknowledged before it began.
        ([Done({0: []}, {0: 1}, 0, 1), Done({0: []}, {}, 2, 3)], {0: [1]}, "2 transactions"),
        # A lost update.
        ([Done({0: []}, {0: 1}, 0, 9), Done({0: []}, {0: 2}, 0, 9)], {0: [2]}, "lost appends"),
        # An aborted read (G1a), and an aborted write that stayed.
        ([Done({}, {0: 1}, 0, 9, is_committed=False), Done({0: [1]}, {}, 0, 9)], {0: []}, "as it never was"),
        ([Done({}, {0: 1}, 0, 9, is_committed=False)], {0: [1]}, "rolled back"),
    ],
)
def test_a_history_that_is_not_serializable_is_found(
    history: list[Done], final: dict[int, list[int]], fault: str
) -> None:
    (found,) = faults_of(history, final)
    assert fault in found
