"""The disk fails at the nth call: ``python -m tests.crash.faults``, which runs itself again under the shim.

A database is made; a fixed script of operations runs on a copy of a filled one, where a checkpoint is due after every
second commit, and is closed; one that nobody has closed is opened, and so recovered. The nth write, or the nth flush,
meets an error (EIO, ENOSPC), is cut short, or kills the process. Every n has its turn. Then:

- an operation that returned is there, also after the database is closed and opened;
- one that raised is there as a whole or not at all, and raised an error of MiniDB's own. Where the error was
  ``StorageFullError`` or ``EngineUnavailableError`` it is not there;
- after ``CommitUnknownError`` nothing is acknowledged until the database was closed and opened;
- what raised because of one failed call does not keep later operations from being done, or they say so.

The control ``blind`` is a caller who takes every operation for done, whatever it raised.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final, Literal
from unittest.mock import patch

from tests.crash.checker import CheckFailedError, Expected, check
from tests.crash.ledger import LedgerWriter, read_ledger
from tests.crash.operations import DEFINER, Hand, Model, Operation, apply_to_model, is_row, make_database, read_model
from tests.crash.shim import FAST_FOLDER, KILL, REPOSITORY, SHORT, Shim, build, environment

from minidb import MiniDB
from minidb.engines.lmdb.commit_log import commits, recovery
from minidb.exceptions import CommitUnknownError, EngineUnavailableError, MiniDBError, StorageFullError

ACTIONS: Final = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "short": SHORT, "kill": KILL}
Kind = Literal["write", "flush"]
KINDS: Final[tuple[Kind, ...]] = ("write", "flush")
COUNTS: Final = (1, 3)
"""How many calls in a row fail. Where the process is killed, one is enough."""


def _row(name: str, text: str = "text") -> dict[str, object]:
    return {"token": f"{DEFINER}-{name}", "city": "city 1", "number": 1, "text": text}


FILLING: list[Operation] = [{"kind": "insert_many", "rows": [_row(f"old-{number}") for number in range(30)]}]

# No operation needs the row of another, so that each can be done whatever became of those before.
SCRIPT: list[Operation] = [
    {"kind": "insert", "rows": [_row("new-1")]},
    {"kind": "update", "token": f"{DEFINER}-old-1", "changes": {"city": "city 2", "text": "long " * 2000}},
    {"kind": "delete", "token": f"{DEFINER}-old-2"},
    {
        "kind": "transaction",
        "steps": [
            {"kind": "insert", "rows": [_row("new-2")]},
            {"kind": "update", "token": f"{DEFINER}-old-3", "changes": {"number": 7}},
            {"kind": "delete", "token": f"{DEFINER}-old-4"},
        ],
        "commits": True,
        "owner": DEFINER,
        "number": 1,
    },
    {"kind": "insert_many", "rows": [_row(f"many-{number}", "x" * 300) for number in range(40)]},
    {"kind": "create_index", "token": f"{DEFINER}-@index"},
    {"kind": "make_spare", "token": f"{DEFINER}-@spare", "rows": 10},
]


@dataclass(slots=True)
class Tally:
    """What was met: runs in which a call failed, and how often each error was raised by an operation."""

    runs: int = 0
    acknowledged: int = 0
    raised: Counter[str] = field(default_factory=Counter)


class Bench:
    """A filled database to copy, in a process under the shim."""

    def __init__(self, folder: Path, *, is_blind: bool) -> None:
        self.tally = Tally()
        self._is_blind = is_blind
        self._folder = folder
        self._template = folder / "template"
        with MiniDB(self._template) as database:
            hand = Hand(database, DEFINER)
            for operation in FILLING:
                hand.do(operation)
            self._filled = read_model(database)
        self._unclosed = folder / "unclosed"
        shutil.copytree(self._template, self._unclosed)
        is_killed(self._leave)
        with MiniDB(shutil.copytree(self._unclosed, folder / "recovered")) as database:
            self._left = read_model(database)
        self._watched = folder / "watched"
        self._watched.mkdir()
        self._database = self._watched / "database"
        self._shim = Shim(self._watched)

    def fail_each(self, kind: Kind, action: int, calls: int) -> None:
        """Let each call of a kind fail in turn, and ``calls`` in a row, in all that is done."""
        for attempt in (self._make, self._run_script, self._recover):
            for number in count(1):
                try:
                    was_met = attempt(kind, number, action, calls)
                except CheckFailedError as error:
                    error.add_note(f"{attempt.__name__}: {kind} number {number} meets {action}, {calls} in a row")
                    raise
                shutil.rmtree(self._database)
                if not was_met:
                    break
                self.tally.runs += 1

    def _leave(self) -> None:
        """Write, and close nothing."""
        hand = Hand(MiniDB(self._unclosed), DEFINER)
        for operation in SCRIPT:
            hand.do(operation)

    def _recover(self, kind: Kind, number: int, action: int, calls: int) -> bool:
        shutil.copytree(self._unclosed, self._database)
        with self._shim.fault(kind, number, action, count=calls):
            if action == KILL:
                was_met = is_killed(lambda: MiniDB(self._database).close())
            else:
                try:
                    MiniDB(self._database).close()
                except MiniDBError as error:
                    self.tally.raised[type(error).__name__] += 1
                was_met = self._shim.calls(kind) >= number
        left = {} if self._is_blind else self._left
        check(self._database, {DEFINER: Expected([left], frozenset(filter(is_row, self._left)), {}, is_owed=True)})
        return was_met

    def _make(self, kind: Kind, number: int, action: int, calls: int) -> bool:
        is_made = False
        with self._shim.fault(kind, number, action, count=calls):
            if action == KILL:
                was_met = is_killed(lambda: make_database(self._database))
                is_made = not was_met
            else:
                try:
                    make_database(self._database)
                    is_made = True
                except MiniDBError as error:
                    self.tally.raised[type(error).__name__] += 1
                was_met = self._shim.calls(kind) >= number
        check(self._database, {DEFINER: Expected([{}], frozenset(), {}, is_owed=is_made)})
        return was_met

    def _run_script(self, kind: Kind, number: int, action: int, calls: int) -> bool:
        shutil.copytree(self._template, self._database)
        return self._kill(kind, number) if action == KILL else self._fail(kind, number, action, calls)

    def _fail(self, kind: Kind, number: int, action: int, calls: int) -> bool:
        possible = [self._filled]
        self._is_unknown = False
        database = MiniDB(self._database)
        try:
            hand = Hand(database, DEFINER)
            with self._shim.fault(kind, number, action, count=calls):
                for operation in SCRIPT:
                    possible = self._do(hand, operation, possible)
                database.close()
                was_met = self._shim.calls(kind) >= number
        finally:
            database.close()
        tokens = frozenset(token for model in possible for token in model if "@" not in token)
        check(self._database, {DEFINER: Expected(possible, tokens, {}, is_owed=True)})
        return was_met

    def _do(self, hand: Hand, operation: Operation, possible: list[Model]) -> list[Model]:
        """Do an operation; return the states that there may be after it."""
        done = [dict(model) for model in possible]
        for model in done:
            apply_to_model(model, operation)
        try:
            hand.do(operation)
        except MiniDBError as error:
            self.tally.raised[type(error).__name__] += 1
            if self._is_blind:
                return done
            self._is_unknown |= isinstance(error, CommitUnknownError)
            is_undone = isinstance(error, StorageFullError | EngineUnavailableError)
            return possible if is_undone else possible + done
        if self._is_unknown:
            raise CheckFailedError("a commit was acknowledged after one of which nothing is known")
        self.tally.acknowledged += 1
        return done

    def _kill(self, kind: Kind, number: int) -> bool:
        ledger_path = self._folder / "ledger"
        ledger_path.unlink(missing_ok=True)

        def work() -> None:
            with MiniDB(self._database) as database:
                hand = Hand(database, DEFINER)
                ledger = LedgerWriter(ledger_path)
                ledger.write({"ready": 0})
                with self._shim.fault(kind, number, KILL):
                    for operation in SCRIPT:
                        ledger.write({"try": operation})
                        if self._is_blind:
                            ledger.write({"done": {}})
                        done = hand.do(operation)
                        if not self._is_blind:
                            ledger.write({"done": done})

        was_killed = is_killed(work)
        told = read_ledger(ledger_path)
        self.tally.acknowledged += len(told.done)
        check(self._database, {DEFINER: Expected.of([self._filled], told)})
        return was_killed


def is_killed(work: Callable[[], object]) -> bool:
    """Do something in a forked process; return whether it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise CheckFailedError(f"the process was not killed, but ended with {code}")
    return code != 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.faults", description=__doc__)
    parser.add_argument("--action", choices=ACTIONS, action="append", help="only this one; may be given again")
    parser.add_argument("--control", choices=["blind"])
    parser.add_argument("--under-shim", type=Path, metavar="FOLDER", help="how it runs itself")
    options = parser.parse_args()
    if options.under_shim is None:
        with tempfile.TemporaryDirectory(prefix="minidb-faults-", dir=FAST_FOLDER) as folder:
            again = [sys.executable, "-m", "tests.crash.faults", *sys.argv[1:], "--under-shim", folder]
            sys.exit(
                subprocess.run(again, cwd=REPOSITORY, env=environment(build(Path(folder))), check=False).returncode
            )
    bench = Bench(options.under_shim, is_blind=options.control is not None)
    with patch.object(commits, "MOST_COMMITS", 2), patch.object(recovery, "TOGETHER_BYTES", 5000):
        for name in options.action or ACTIONS:
            for kind in KINDS:
                for calls in COUNTS[: 1 if name == "kill" else None]:
                    if (kind, name) != ("flush", "short"):
                        bench.fail_each(kind, ACTIONS[name], calls)
    tally = bench.tally
    print(json.dumps({"runs": tally.runs, "acknowledged": tally.acknowledged, "raised": tally.raised}))


if __name__ == "__main__":
    main()
