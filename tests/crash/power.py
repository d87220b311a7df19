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
from tests.crash.log_flaws import FLAWS, planted
from tests.crash.log_workloads import LOG_WORKLOADS
from tests.crash.replay import Disk, Image, lay_out
from tests.crash.run import Place
from tests.crash.shim import FAST_FOLDER, REPOSITORY, build, environment
from tests.crash.trace import Event, read_trace
from tests.crash.workloads import RECOVERY, WORKLOADS

from minidb.engines.lmdb.folder import DATA_FILE, READERS_FILE

AllExpected = Mapping[str, Mapping[str, Expected]]
"""By place, and by owner."""

STATES_PER_TRACE = 400

RECOVERIES_PER_TRACE = 2
"""So many of the states of a workload of the log are recovered under the shim, with the power failing in that, too."""

LONGEST_CHECK_S = 60
"""Then the process that checks is ended: a damaged file may lead it in circles."""

CONTROLS: dict[str, tuple[str, ...]] = {
    "none": (),
    "dropped-flush": (),
    "durability-none": ("--durability", "none"),
    "acknowledge-early": ("--acknowledge-early",),
    "unflushed-contents": ("--without-flush", "contents"),
    "unflushed-names": ("--without-flush", "names"),
    **{flaw: ("--flaw", flaw) for flaw in FLAWS},
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
    by_workload: dict[str, int] = field(default_factory=dict)
    """The number of states."""

    def add(self, other: Tally) -> None:
        self.states += other.states
        self.opened += other.opened
        self.pending_present += other.pending_present
        self.pending_absent += other.pending_absent
        self.faults += other.faults
        self.first_faults += other.first_faults
        for name, states in other.by_workload.items():
            self.by_workload[name] = self.by_workload.get(name, 0) + states


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
        events = _run_under_shim(task, task.workload, root, Path(place) / "trace")
        disk = Disk(root, root.stat().st_ino, ignores_flushes=task.control == "dropped-flush")
        with planted("metas-left" if task.control == "metas-left" else None):
            tally = _check_trace(task, disk, events, root, Path(place) / "state")
    tally.by_workload[task.workload] = tally.states
    return tally


def _run_under_shim(task: Task, workload: str, root: Path, trace: Path) -> list[Event]:
    arguments = [workload, str(root), str(trace), str(task.seed), "--size", str(task.size)]
    subprocess.run(
        [sys.executable, "-m", "tests.crash.workloads", *arguments, *CONTROLS[task.control]],
        cwd=REPOSITORY,
        env=environment(task.library),
        check=True,
        timeout=300,
    )
    return read_trace(trace)


def _check_trace(task: Task, disk: Disk, events: list[Event], root: Path, folder: Path) -> Tally:
    draw = random.Random(f"{task.seed} {task.workload}")
    first = _first_of_interest(events)
    variants = max(1, STATES_PER_TRACE // (len(events) - first) - 2)
    recovered = set[int]()
    if task.workload in LOG_WORKLOADS:
        recovered = {draw.randrange(first, len(events)) for _ in range(RECOVERIES_PER_TRACE)}
    tally = Tally()
    states = States(task, root, folder, tally)
    for number, (event, expected) in enumerate(_with_expected(events)):
        disk.do(event)
        images = list(disk.images(draw, variants)) if number >= first else []
        for image in images:
            states.check(image, expected, f"after event {number}")
        if number in recovered:
            _check_recovery(task, states, draw.choice(images), expected, draw, f"after event {number}, in recovery")
        disk.land(event)
    return tally


def _check_recovery(
    task: Task,
    states: States,
    image: Image,
    all_expected: AllExpected,
    draw: random.Random,
    when: str,
) -> None:
    """Let the power fail again while the database is opened that the first failure has left."""
    with tempfile.TemporaryDirectory(prefix="minidb-power-", dir=FAST_FOLDER) as place:
        root = Path(place) / "root"
        root.mkdir()
        lay_out(image, states.root, root)
        readers = root / Place.DATABASE / READERS_FILE
        if not (root / Place.DATABASE / DATA_FILE).exists():
            return
        readers.unlink(missing_ok=True)  # in which nothing counts: a map of it is refused where it was not seen made
        disk = Disk(root, root.stat().st_ino)
        disk.adopt()
        try:
            events = _run_under_shim(task, RECOVERY, root, Path(place) / "trace")
        except subprocess.CalledProcessError:
            states.tally.faults += 1
            states.tally.first_faults.append(f"{task.workload}, seed {task.seed}, {when}: it cannot be opened")
            return
        again = States(task, root, Path(place) / "state", states.tally)
        for number, event in enumerate(events):
            disk.do(event)
            for state in disk.images(draw, 1):
                again.check(state, {Place.DATABASE: all_expected[Place.DATABASE]}, f"{when}, after event {number}")
            disk.land(event)


class States:
    """The states of one trace."""

    def __init__(self, task: Task, root: Path, folder: Path, tally: Tally) -> None:
        self.root = root
        self.tally = tally
        self._task = task
        self._folder = folder
        self._seen: dict[bytes, Mapping[str, Expected]] = {}  # what a fingerprint is made with must live as long as it
        self._faulty: set[str] = set()

    def check(self, image: Image, expected: AllExpected, when: str) -> None:
        """Check what is at each place, if no other state was like it."""
        tally = self.tally
        tally.states += 1
        for place in expected.keys() - self._faulty:
            part = _part_of(image, str(self.root / place))
            fingerprint = _fingerprint(place, part, expected[place])
            if fingerprint in self._seen:
                continue
            self._seen[fingerprint] = expected[place]
            tally.opened += 1
            try:
                _check_part(part, place, expected[place], self.root, self._folder, tally)
            except CheckFailedError as error:
                tally.faults += 1
                tally.first_faults.append(f"{self._task.workload}, {place}, seed {self._task.seed}, {when}: {error}")
                self._faulty.add(place)


def _first_of_interest(events: list[Event]) -> int:
    """Return the number of the first event that may be the last: where all is replaced, what was before is known."""
    entries = ((number, event.entry) for number, event in enumerate(events) if event.kind == "mark")
    return next((number for number, entry in entries if entry.get("try", {}).get("kind") == "replace"), 0)


def _with_expected(events: list[Event]) -> Iterator[tuple[Event, AllExpected]]:
    """Yield each event with what the ledgers say after it, by place and owner."""
    ledgers: dict[tuple[str, str], Ledger] = {}
    begun: dict[tuple[str, str], dict[str, int]] = {}  # how far the others were when an operation was begun
    expected: dict[str, dict[str, Expected]] = {Place.DATABASE: {}}
    for event in events:
        if event.kind == "mark":
            entry = event.entry
            place, owner = entry["place"], entry["writer"]
            ledger = ledgers.setdefault((place, owner), Ledger())
            ledger.add(entry)
            changed = {owner: Expected.of([{}], ledger)}
            if not ledger.is_relaxed:
                others = {name: one for (where, name), one in ledgers.items() if where == place and one.is_relaxed}
                if "try" in entry:
                    begun[place, owner] = {name: len(one.done) for name, one in others.items()}
                elif "done" in entry:
                    is_flushed = ledger.done[-1].get("commits", True)  # with all that was in the log before
                    for name, done in begun.pop((place, owner)).items():
                        if is_flushed and others[name].synced < done:
                            others[name].synced = done
                            changed[name] = Expected.of([{}], others[name])
            expected = {**expected, place: {**expected.get(place, {}), **changed}}
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
                has_faults = False
                for number, one in enumerate(pool.map(perform, tasks), start=1):
                    tally.add(one)
                    has_faults = has_faults or one.faults > 0
                    if has_faults and number >= len(workloads):  # each of them has had its turn
                        pool.shutdown(cancel_futures=True)
                        break
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
