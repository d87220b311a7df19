"""Instructions that the hot paths take, counted by callgrind, and a history of them.

    python -m bench.instructions

counts, says by how much each path changed since the last line of ``bench/history.jsonl`` with the same Python, and adds
a line; ``--look`` adds none. Unlike times, counts hardly depend on what else the machine does: they repeat to about two
in a thousand, and a slow-down of one in a hundred shows. They are those of one compiler's code: compare them with
others from the same Python only. What the operating system does for a call, a flush above all, is not in them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench import report
from bench.hot_paths import NOTHING

REPOSITORY: Final = Path(__file__).parents[1]
HISTORY: Final = Path(__file__).parent / "history.jsonl"
MARK: Final = "getppid"
TIMEOUT_S: Final = 1800

Entry = dict[str, Any]  # Any: a line of JSON: date, commit, python, counts


class NotCountedError(Exception):
    """Nothing could be counted, and why."""


def count() -> dict[str, int]:
    """Return the instructions of one call of each path. Raises ``NotCountedError``."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise NotCountedError("valgrind is not installed")
    with tempfile.TemporaryDirectory(prefix="minidb-bench-") as folder:
        output = Path(folder) / "counts"
        completed = subprocess.run(  # noqa: S603  # our own module
            [
                *(valgrind, "--tool=callgrind", f"--callgrind-out-file={output}", f"--dump-before={MARK}", "--quiet"),
                *(sys.executable, "-m", "bench.hot_paths"),
            ],
            cwd=REPOSITORY,
            # Where strings stand in dicts and sets must not change from run to run.
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if completed.returncode:
            raise NotCountedError(f"the counted program ended with {completed.returncode}: {completed.stderr[-2000:]}")
        sections = [line.split() for line in completed.stdout.splitlines()]
        return per_call([(name, int(calls)) for name, calls in sections], output)


def per_call(sections: Sequence[tuple[str, int]], output: Path) -> dict[str, int]:
    """Return the counts of each section by its calls, less those of the loop around them.

    Callgrind writes a file at each mark: every second one ends a section.
    """
    by_call = {
        name: _total(output.with_name(f"{output.name}.{2 * place}")) / calls
        for place, (name, calls) in enumerate(sections, 1)
    }
    loop = by_call.pop(NOTHING)
    return {name: round(total - loop) for name, total in by_call.items()}


def _total(file: Path) -> int:
    found = re.search(r"^summary: (\d+)", file.read_text(), re.MULTILINE) if file.exists() else None
    if found is None:
        raise NotCountedError("callgrind has not found the marks between the paths")
    return int(found[1])


def last_with(python: str, history: Path) -> Entry | None:
    """Return the last line of the history from this Python, or None."""
    lines = history.read_text().splitlines() if history.exists() else []
    entries: list[Entry] = [json.loads(line) for line in lines]
    return next((entry for entry in reversed(entries) if entry["python"] == python), None)


def compared(counts: Mapping[str, int], before: Entry | None) -> list[str]:
    """Return a line for each path: its count, and by how much it changed."""
    old = {} if before is None else before["counts"]
    lines = [] if before is None else [f"since {before['date']}, commit {before['commit']}:"]
    for name, instructions in counts.items():
        change = f"{instructions / old[name] - 1:+8.1%}" if name in old else "     new"
        lines.append(f"{name:28}{instructions:12,}{change}")
    return lines


def python() -> str:
    """Name the Python, as counts of others are no measure for its own."""
    return f"{sys.implementation.name} {sys.version.split()[0]} {sys.platform}"


def commit() -> str:
    """Return the checkout's commit, with a ``+`` if something was changed since; empty outside of a repository."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*"],  # noqa: S607  # whichever git there is
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, compare, add a line to the history; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.instructions", description="Count the instructions of the hot paths, by valgrind."
    )
    parser.add_argument("--look", action="store_true", help="add no line to the history")
    parser.add_argument("--history", type=Path, default=HISTORY, metavar="FILE", help="default: bench/history.jsonl")
    options = parser.parse_args(arguments)
    try:
        counts = count()
    except NotCountedError as error:
        report.write(sys.stderr, f"Nothing was counted: {error}")
        return 1
    for line in compared(counts, last_with(python(), options.history)):
        report.write(sys.stdout, line)
    if not options.look:
        entry = {"date": datetime.now(UTC).date().isoformat(), "commit": commit(), "python": python(), "counts": counts}
        with options.history.open("a") as history:
            report.write(history, json.dumps(entry))
    return 0


if __name__ == "__main__":
    sys.exit(main())
