"""insert_many takes any number of rows in constant memory, as one transaction."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.memory.insert_million import CITIES, city

import minidb
from minidb import MiniDB

REPOSITORY = Path(__file__).parents[2]
SOURCE = Path(minidb.__file__).parents[1]
"""The folder from which minidb is imported: ``src``, or ``site-packages`` where it is installed."""

ROWS = 1_000_000
LIMIT_BYTES = 300_000_000


def insert_in_a_process(folder: Path, count: int, *options: str) -> dict[str, Any]:  # Any: JSON
    completed = subprocess.run(
        [sys.executable, "-m", "tests.memory.insert_million", str(folder), str(count), *options],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    report: dict[str, Any] = json.loads(completed.stdout)
    return report


@pytest.mark.slow
def test_a_million_rows_of_a_generator_are_inserted_in_constant_memory(database_path: Path) -> None:
    report = insert_in_a_process(database_path, ROWS)
    print(report)
    assert report["peak_bytes"] < LIMIT_BYTES
    assert report["count"] == ROWS
    first_id = report["first_id"]
    with MiniDB(database_path, create=False) as database:
        people = database.get_table("people")
        assert people.count() == ROWS
        for number, row in zip(range(ROWS), people.scan(), strict=True):
            assert (row.id, row["name"]) == (first_id + number, f"person {number}")
        in_cities = 0
        for one in {city(number) for number in range(CITIES)}:
            ids = [row.id for row in database.query_by_index("people", "city", one)]
            assert all(city(row_id - first_id) == one for row_id in ids)
            assert len(set(ids)) == len(ids)
            in_cities += len(ids)
        assert in_cities == ROWS


@pytest.mark.slow
def test_rows_that_are_kept_in_memory_would_be_seen(database_path: Path) -> None:
    report = insert_in_a_process(database_path, ROWS, "--hoard")
    assert report["peak_bytes"] > LIMIT_BYTES
