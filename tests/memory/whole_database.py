"""A process that does one whole-database job, and reports the private memory that it took at its peak."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.memory.insert_million import SCHEMA, STATUS, peak_memory_bytes, rows

from minidb import MiniDB


class Peak:
    """The largest private memory seen, the pages of the data file not among it: looked at whenever a job tells."""

    def __init__(self) -> None:
        self.size_bytes = 0

    def __call__(self, done: int, total: int) -> None:
        assert done <= total
        if not STATUS.exists():
            self.size_bytes = peak_memory_bytes()
            return
        status = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        self.size_bytes = max(self.size_bytes, int(status["RssAnon"].split()[0]) * 1024)


def main() -> None:
    folder, job, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    peak = Peak()
    match job:
        case "make":
            with MiniDB(folder / "db", durability="none") as database:
                database.create_table("people", SCHEMA).insert_many(rows(count))
                database.mapping("cache").update((number, str(number)) for number in range(count // 10))
        case "load":
            MiniDB.load(folder / "dump", folder / "loaded", peak)
        case "restore":
            MiniDB.restore(folder / "backup", folder / "restored", peak)
        case _:
            with MiniDB(folder / "db") as database:
                match job:
                    case "verify":
                        assert database.verify(peak).ok
                    case "dump":
                        database.dump(folder / "dump", peak)
                    case "backup":
                        database.backup(folder / "backup", peak)
                    case "compact":
                        database.compact(peak)
                    case "hoard":
                        kept = list(database.get_table("people").scan())
                        peak(len(kept), count)
    json.dump({"peak_bytes": peak.size_bytes}, sys.stdout)


if __name__ == "__main__":
    main()
