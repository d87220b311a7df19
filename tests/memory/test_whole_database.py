"""Verify, dump, load, backup, restore and compact take constant memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.memory.test_insert_many import REPOSITORY, SOURCE

from minidb import MiniDB

ROWS = 1_000_000
LIMIT_BYTES = 100_000_000


def do_in_a_process(folder: Path, job: str) -> int:
    """Do a job in a process of its own; return the peak of its private memory."""
    completed = subprocess.run(
        [sys.executable, "-m", "tests.memory.whole_database", str(folder), job, str(ROWS)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=900,
    )
    peak_bytes: int = json.loads(completed.stdout)["peak_bytes"]
    print(job, peak_bytes)
    return peak_bytes


@pytest.mark.slow
def test_a_million_rows_take_constant_memory_in_each_job(tmp_path: Path) -> None:
    do_in_a_process(tmp_path, "make")
    for job in ("verify", "dump", "load", "backup", "restore", "compact"):
        assert do_in_a_process(tmp_path, job) < LIMIT_BYTES, job
    assert do_in_a_process(tmp_path, "hoard") > 2 * LIMIT_BYTES  # the control
    for name in ("db", "loaded", "restored"):
        with MiniDB(tmp_path / name, create=False) as database:
            assert database.get_table("people").count() == ROWS
