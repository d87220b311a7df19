"""``python -m tests.crash.power --states 20000``: the power fails, at any moment, and what is left is opened.

Workloads run under the shim; from each trace the states are made that a disk may be in after a power failure at each
point (``tests.crash.replay``), and MiniDB opens and checks every one of them: all that was acknowledged is there, all
that was not is there as a whole or not at all, and what survives is a prefix of the order of commits. A database that
takes the place of another, and a backup under its name, is the old one or the whole new one.

``--control`` makes the disk or the program wrong on purpose, and must find faults: ``dropped-flush`` (a disk that
flushes nothing), ``durability-none``, ``acknowledge-early``; and for what is copied ``unflushed-contents``, which has
its name before its bytes were flushed, and ``unflushed-names``, which is acknowledged before its name was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from itertools import compress
from pathlib import Path

from tests.crash.checker import CheckFailedError, Expected, check, check_backup, check_backups
from tests.crash.harness import new_seed
from tests.crash.ledger import Ledger
from tests.crash.replay import Disk, Image, lay_out
from tests.crash.shim import FAST_FOLDER, REPOSITORY, build, environment
from tests.crash.trace import Event, read_trace
from tests.crash.workloads import WORKLOADS, Place

STATES_PER_TRACE = 400

LONGEST_CHECK_S = 60
"""Then the process that checks is ended: a damaged file may lead it in circles."""

CONTROLS: dict[str, tuple[str, ...]] = {
    "none": (),
    "dropped-flush": (),
    "durability-none": ("--durability", "none"),
    "acknowledge-early": ("--acknowledge-early",),
    "unflushed-contents": ("--without-flush", "contents"),
    "unflushed-names": ("--without-flush", "names"),
}
"""What each control adds to the command of the workload."""


@dataclass(slots=True)
class Tally:
    """What was checked: states, the places in them that were unlike all others of their trace, and what was wrong."""

    states: int = 0
    opened: int = 0
    pending_present: int = 0
    pending_absent: int = 0
    faults: int = 0
    first_faults: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.states += other.states
        self.opened += other.opened
        self.pending_present += other.pending_present
        self.pending_absent += other.pending_absent
        self.faults += other.faults
        self.first_faults += other.first_faults


@dataclass(frozen=True, slots=True)
class Task:
    """One run of a workload, and the states to check after it."""

    library: Path
    workload: str
    seed: int
    size: int
    control: str


def perform(task: Task) -> Tally:
    """Run the workload and check what its trace may leave."""
    with tempfile.TemporaryDirectory(prefix="minidb-power-", dir=FAST_FOLDER) as place:
        root = Path(place) / "root"
        root.mkdir()
        trace = Path(place) / "trace"
        arguments = [task.workload, str(root), str(trace), str(task.seed), "--size", str(task.size)]
        subprocess.run(
            [sys.executable, "-m", "tests.crash.workloads", *arguments, *CONTROLS[task.control]],
            cwd=REPOSITORY,
            env=environment(task.library),
            check=True,
            timeout=300,
        )
        disk = Disk(root, root.stat().st_ino, ignores_flushes=task.control == "dropped-flush")
        return _check_trace(task, disk, read_trace(trace), root, Path(place) / "state")


def _check_trace(task: Task, disk: Disk, events: list[Event], root: Path, folder: Path) -> Tally:
    draw = random.Random(f"{task.seed} {task.workload}")
    first = _first_of_interest(events)
    variants = max(1, STATES_PER_TRACE // (len(events) - first) - 2)
    tally = Tally()
    seen: dict[bytes, Mapping[str, Expected]] = {}  # what a fingerprint is made with must live as long as it
    faulty: set[str] = set()
    for number, (event, expected) in enumerate(_with_expected(events)):
        disk.do(event)
        for image in disk.images(draw, variants) if number >= first else ():
            tally.states += 1
            for place in expected.keys() - faulty:
                part = _part_of(image, str(root / place))
                fingerprint = _fingerprint(place, part, expected[place])
                if fingerprint in seen:
                    continue
                seen[fingerprint] = expected[place]
                tally.opened += 1
                try:
                    _check_part(part, place, expected[place], root, folder, tally)
                except CheckFailedError as error:
                    where = f"{task.workload}, {place}, seed {task.seed}, after event {number}"
                    tally.faults += 1
                    tally.first_faults.append(f"{where}: {error}")
                    faulty.add(place)
        disk.land(event)
    return tally


def _first_of_interest(events: list[Event]) -> int:
    """Return the number of the first event that may be the last: where all is replaced, what was before is known."""
    entries = ((number, event.entry) for number, event in enumerate(events) if event.kind == "mark")
    return next((number for number, entry in entries if entry.get("try", {}).get("kind") == "replace"), 0)


def _with_expected(events: list[Event]) -> Iterator[tuple[Event, Mapping[str, Mapping[str, Expected]]]]:
    """Yield each event with what the ledgers say after it, by place and owner."""
    ledgers: dict[tuple[str, str], Ledger] = {}
    expected: dict[str, dict[str, Expected]] = {Place.DATABASE: {}}
    for event in events:
        if event.kind == "mark":
            entry = event.entry
            place, owner = entry["place"], entry["writer"]
            ledger = ledgers.setdefault((place, owner), Ledger())
            ledger.add(entry)
            expected = {**expected, place: {**expected.get(place, {}), owner: Expected.of([{}], ledger)}}
        yield event, expected


def _part_of(image: Image, place: str) -> Image:
    """Return what is at a place and below, and the folders above."""
    is_part = (f"{place}/".startswith(f"{path}/") or path.startswith(f"{place}/") for path in image)
    return dict(compress(image.items(), is_part))


def _fingerprint(place: str, image: Image, expected: Mapping[str, Expected]) -> bytes:
    digest = hashlib.blake2b(str([place, *map(id, expected.values())]).encode())
    for path, content in image.items():
        digest.update(path.encode() + b"\0")
        digest.update(b"" if content is None else hashlib.blake2b(content).digest())
    return digest.digest()


def _check_part(
    image: Image, place: str, expected: Mapping[str, Expected], root: Path, folder: Path, tally: Tally
) -> None:
    folder.mkdir()
    signal.alarm(LONGEST_CHECK_S)
    try:
        lay_out(image, root, folder)
        fresh = folder / "fresh"
        match place:
            case Place.BACKUP:
                outcome = check_backup(folder / place, fresh, expected)
            case Place.BACKUPS:
                outcome = check_backups(folder / place, fresh, expected)
            case Place.LOADED:
                outcome = check(folder / place, expected, comes_whole=True)
            case _:
                outcome = check(folder / place, expected, reads_first=tally.opened % 8 == 0)
        tally.pending_present += outcome.pending_present
        tally.pending_absent += outcome.pending_absent
    finally:
        signal.alarm(0)
        shutil.rmtree(folder)


def run(states: int, seed: int, *, control: str = "none", workloads: tuple[str, ...] = tuple(WORKLOADS)) -> Tally:
    """Check at least so many states, on all processors."""
    tally = Tally()
    processes = os.cpu_count() or 1
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="minidb-shim-") as folder, ProcessPoolExecutor(processes, context) as pool:
        library = build(Path(folder))
        while tally.states < states and not tally.faults:
            wanted = max(len(workloads), min(8 * processes, (states - tally.states) // STATES_PER_TRACE))
            tasks = [
                Task(library, workloads[number % len(workloads)], seed + number // len(workloads), 1, control)
                for number in range(wanted)
            ]
            seed += wanted
            try:
                for one in pool.map(perform, tasks):
                    tally.add(one)
            except BrokenProcessPool:
                tally.faults += 1
                tally.first_faults.append("a state killed the process that opened it, or did not let it end")
                break
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.power", description=__doc__)
    parser.add_argument("--states", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--control", choices=CONTROLS, default="none")
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="only this one; may be given again")
    options = parser.parse_args()
    seed = new_seed() if options.seed is None else options.seed
    begun = time.monotonic()
    tally = run(options.states, seed, control=options.control, workloads=tuple(options.workload or WORKLOADS))
    seconds = time.monotonic() - begun
    print(json.dumps({"seed": seed, "seconds": round(seconds, 1), **asdict(tally)}, indent=1))
    sys.exit(bool(tally.faults))


if __name__ == "__main__":
    main()
