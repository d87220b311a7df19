"""The command line of the benchmarks: rivals in turn, round by round, each in processes of its own."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench import adapters, report, workloads
from bench.adapters.port import Ability
from bench.answers import WrongAnswerError

REPOSITORY: Final = Path(__file__).parents[1]
DEFAULT_ROWS: Final = 100_000
DEFAULT_ROUNDS: Final = 5
CPUINFO: Final = Path("/proc/cpuinfo")
WORKER_TIMEOUT_S: Final = 1800
MIN_ROWS: Final = 100
HOW_TO_INSTALL: Final = "pip install -r bench/requirements.txt brings all rivals"


@dataclass(slots=True)
class Results:
    """Everything that was measured: ``samples[workload][rival]`` holds one figure for each round."""

    rows: int
    rounds: int
    rivals: Sequence[str]
    workloads: Sequence[str]
    versions: dict[str, str] = field(default_factory=dict)
    lacks: dict[str, dict[str, str]] = field(default_factory=dict)
    """What a rival lacks, and why."""

    shares: dict[str, float] = field(default_factory=dict)
    """How much of the others' operations each did."""

    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, rival: str, samples: dict[str, float]) -> None:
        for workload, sample in samples.items():
            if workload in self.workloads:
                self.samples.setdefault(workload, {}).setdefault(rival, []).append(sample)


Work = Callable[..., dict[str, Any]]  # Any: the worker's JSON


def run_worker(*arguments: str, bytecode_folder: Path) -> dict[str, Any]:  # Any: the worker's JSON
    """Run one phase in a process of its own and return what it reports.

    Compiled modules are kept in ``bytecode_folder``, whatever the environment says of them: a checkout would otherwise
    be compiled by each process where an installed library is not.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(REPOSITORY / "src"), "PYTHONPYCACHEPREFIX": str(bytecode_folder)}
    completed = subprocess.run(  # noqa: S603  # our own module
        [sys.executable, "-m", "bench.worker", *arguments],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=WORKER_TIMEOUT_S,
    )
    outcome: dict[str, Any] = json.loads(completed.stdout)
    return outcome


def measure(
    *,
    rows: int,
    rounds: int,
    rivals: Sequence[str],
    wanted: Sequence[str],
    work: Work,
    parent_folder: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Results:
    """Run all rounds. ``parent_folder`` is where the databases are made: None for the system's temporary folder.

    Raises ``WrongAnswerError`` when two rivals answer differently.
    """
    results = Results(rows, rounds, rivals, wanted)

    make_folder = partial(tempfile.TemporaryDirectory, prefix="minidb-bench-", dir=parent_folder)
    names = ("--workloads", ",".join(wanted))

    def run_one(rival: str, count: int) -> list[dict[str, Any]]:  # Any: the worker's JSON, of each phase
        with make_folder() as folder:
            options = ("--rival", rival, "--rows", str(count), "--folder")
            filled = work("fill", *options, folder)
            outcomes = [filled]
            if needs_phase(workloads.OPENING, workloads.USING, (workloads.PROCESSES_READ, workloads.BACKUP)):
                outcomes.append(work("use", *options, folder, "--first-id", str(filled["first_id"]), *names))
        further = {
            "query": ((workloads.ADD_INDEX, *workloads.QUERYING), Ability.INDEXES),
            "cover": (workloads.COVERING, Ability.COVERING),
            "mix": (workloads.MIXED, Ability.RECORDS),
        }
        for phase, (group, needed) in further.items():
            if needs_phase(group) and needed not in filled["lacks"]:
                with make_folder() as folder:
                    outcomes.append(work(phase, *options, folder, *names))
        return outcomes

    def needs_phase(*groups: Sequence[workloads.Workload]) -> bool:
        return any(workload.name in wanted for group in groups for workload in group)

    for rival in rivals:  # compiles what a rival imports, and shows early who cannot run at all
        with make_folder() as folder:
            options = ("--rival", rival, "--rows", str(MIN_ROWS), "--folder", folder)
            first_id = work("fill", *options)["first_id"]
            work("use", *options, "--first-id", str(first_id), "--workloads", workloads.OPEN_READ.name)
    for round_number in range(rounds):
        digests: dict[str, dict[str, str]] = {}
        turn = round_number % len(rivals)
        for rival in (*rivals[turn:], *rivals[:turn]):  # no rival always comes first
            say(f"round {round_number + 1} of {rounds}: {rival}")
            outcomes = run_one(rival, rows)
            filled = outcomes[0]
            results.versions[rival] = filled["version"]
            results.lacks[rival] = filled["lacks"]
            results.shares[rival] = filled["share"]
            for outcome in outcomes:
                results.add(rival, outcome["samples"])
                for part, digest in outcome.get("digests", {}).items():
                    # Who was asked for as much must have answered alike.
                    asked = f"{part}, {filled['share']:g} of the plan"
                    digests.setdefault(asked, {})[rival] = digest
        for part, by_rival in digests.items():
            if len(set(by_rival.values())) > 1:
                raise WrongAnswerError(f"the rivals do not answer alike: {part}: {by_rival}")
    results.samples = {name: results.samples[name] for name in workloads.BY_NAME if name in results.samples}
    return results


def machine() -> dict[str, object]:
    """Describe where this runs."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    """Name the processor: Linux tells it in a file, and nobody else does."""
    names = re.findall(r"^model name\s*: (.+)$", CPUINFO.read_text(), re.MULTILINE) if CPUINFO.exists() else []
    return names[0] if names else platform.machine()


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the options, measure, print the table; return the exit status."""
    options = _parser().parse_args(arguments)
    before = machine()
    with tempfile.TemporaryDirectory(prefix="minidb-bench-bytecode-") as bytecode_folder:
        results = measure(
            rows=options.rows,
            rounds=options.rounds,
            rivals=options.rivals,
            wanted=options.workloads,
            work=partial(run_worker, bytecode_folder=Path(bytecode_folder)),
            parent_folder=options.folder,
            say=lambda line: report.write(sys.stderr, line),
        )
    summary = report.summarise(results)
    if options.json is not None:
        document = {"machine": before, **report.as_document(results, summary)}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    report.print_table(results, summary, before)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure MiniDB beside its rivals on the same work. Answers are checked before they are timed.",
        epilog="workloads: " + "; ".join(f"{workload.name}: {workload.does}" for workload in workloads.WORKLOADS),
    )
    parser.add_argument("--rows", type=_at_least(MIN_ROWS), default=DEFAULT_ROWS, help="default: %(default)s")
    parser.add_argument("--rounds", type=_at_least(1), default=DEFAULT_ROUNDS, help="default: %(default)s")
    parser.add_argument(
        "--workloads", type=_names_among(list(workloads.BY_NAME)), default=list(workloads.BY_NAME), help="a,b,c"
    )
    parser.add_argument(
        "--rivals",
        type=rivals_named,
        default=list(adapters.DEFAULT),
        help=f"a,b,c, or all that are installed; default: {','.join(adapters.DEFAULT)}",
    )
    parser.add_argument("--folder", type=Path, help="where the databases are made (default: the temporary folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample to this file")
    return parser


def rivals_named(text: str) -> list[str]:
    """Return the rivals of an option's value: names between commas, or ``all`` for those that are installed."""
    installed = adapters.installed()
    if text == "all":
        if missing := [name for name in adapters.NAMES if name not in installed]:
            report.write(sys.stderr, f"left out: {', '.join(missing)}; {HOW_TO_INSTALL}")
        return installed
    names = _names_among(adapters.NAMES)(text)
    if missing := [name for name in names if name not in installed]:
        raise argparse.ArgumentTypeError(f"{', '.join(missing)}: not installed; {HOW_TO_INSTALL}")
    return names


def _at_least(minimum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if number < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}")
        return number

    return parse


def _names_among(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := sorted(set(names) - set(known)):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is none of {', '.join(known)}")
        return [name for name in known if name in names]

    return parse
