"""Random histories of many processes are serializable, and lose no append; and the checker sees those that are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.engines.postgres.histories import Committed, what_is_wrong

import minidb
from minidb import MiniDB

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_what_eight_processes_do_at_once_is_explained_by_some_order(postgres_url: str, seed: int) -> None:
    with MiniDB(postgres_url, durability="none") as database:
        database.mapping("lists")
    command = [sys.executable, "-m", "tests.engines.postgres.histories", postgres_url]
    path = os.pathsep.join(map(str, (Path(minidb.__file__).parents[1], REPOSITORY)))
    processes = [
        subprocess.Popen(
            [*command, str(100 * seed + number), "60"],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    lines = [line for process in processes for line in process.communicate(timeout=300)[0].splitlines()]
    assert [process.returncode for process in processes] == [0] * 8
    history = [Committed([tuple(step) for step in json.loads(line)]) for line in lines]
    with MiniDB(postgres_url, durability="none") as database:
        final = dict(database.mapping("lists"))
    assert len(history) > 100
    assert what_is_wrong(history, final) is None


def test_the_checker_accepts_what_can_be_ordered() -> None:
    history = [
        Committed([("append", "x", 1), ("read", "y", [])]),
        Committed([("read", "x", [1]), ("append", "y", 2)]),
        Committed([("read", "x", [1]), ("read", "y", [2])]),
    ]
    assert what_is_wrong(history, {"x": [1], "y": [2]}) is None


@pytest.mark.parametrize(
    ("history", "final", "wrong"),
    [
        ([Committed([("append", "x", 1)])], {}, "lost"),
        ([Committed([("append", "x", 1)])], {"x": [1, 2]}, "nobody"),
        ([Committed([("append", "x", 1)]), Committed([("read", "x", [2])])], {"x": [1]}, "never was"),
        (
            [
                Committed([("read", "x", []), ("append", "y", 1)]),
                Committed([("read", "y", []), ("append", "x", 2)]),
            ],
            {"x": [2], "y": [1]},
            "circle",
        ),
    ],
)
def test_the_checker_sees_what_cannot_be(history: list[Committed], final: dict[str, list[int]], wrong: str) -> None:
    assert wrong in str(what_is_wrong(history, final))
