"""A process that inserts rows from a generator, and reports the memory that it took: the peak of its resident set."""

from __future__ import annotations

import json
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from minidb import MiniDB
from minidb.schema import IntegerField, Schema, StringField

STATUS = Path("/proc/self/status")
CITIES = 500
SCHEMA = Schema(
    name=StringField(required=True, max_length=100),
    city=StringField(required=True, index=True),
    age=IntegerField(required=True, min_value=0),
)


def rows(count: int) -> Iterator[dict[str, object]]:
    """Yield the rows, each made when it is asked for. No city follows its neighbour in the index."""
    for number in range(count):
        yield {"name": f"person {number}", "city": city(number), "age": number % 100}


def city(number: int) -> str:
    return f"city {number * 7919 % CITIES}"


def peak_memory_bytes() -> int:
    """Return the largest resident set that this process had.

    On Linux ``ru_maxrss`` begins with what the process that started this one had, pytest with all its modules; the
    high-water mark in /proc begins with the program.
    """
    if STATUS.exists():
        status = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(status["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)


def main() -> None:
    folder, count, is_hoarding = sys.argv[1], int(sys.argv[2]), "--hoard" in sys.argv
    with MiniDB(folder) as database:
        people = database.create_table("people", SCHEMA)
        source: Iterator[dict[str, object]] = rows(count)
        ids = people.insert_many(list(source) if is_hoarding else source)
        json.dump({"peak_bytes": peak_memory_bytes(), "first_id": ids[0], "count": len(ids)}, sys.stdout)


if __name__ == "__main__":
    main()
