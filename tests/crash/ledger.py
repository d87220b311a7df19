"""The ledger of one writer: what it was about to do, and what it was told is done.

One line of JSON each, handed to the operating system by one ``write``: what it was given survives the death of the
process, as the database's own writes do.

    {"ready": number}                      the tables are there; which of the states was found that there may be
    {"try": operation}                     before the call
    {"done": {token: id}}                  after the call returned: the ids of the rows that it left, of those it named
    {"synced": true}                       all that is done is on the disk: said by writers whose commits need not be

A writer whose commits are not flushed one by one says ``"relaxed": true`` with ``ready``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.operations import Operation

Entry = dict[str, Any]  # Any: JSON

CHECKPOINTED = {"create_index", "drop_index", "make_spare", "drop_spare", "replace"}
"""The kinds of operations that are on the disk when they are done, and all before them, whoever does them."""


class LedgerWriter:
    """Appends to a ledger."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, entry: Entry) -> None:
        line = json.dumps(entry).encode() + b"\n"
        assert os.write(self._descriptor, line) == len(line)

    def close(self) -> None:
        os.close(self._descriptor)


@dataclass(slots=True)
class Ledger:
    """What a ledger says. ``pending`` is the operation whose call never returned, or None."""

    ready: int | None = None
    done: list[Operation] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    pending: Operation | None = None
    is_relaxed: bool = False
    synced: int = 0
    """So many operations are on the disk, where that is not all that are done."""

    def add(self, entry: Entry) -> None:
        """Take in the next entry."""
        if "ready" in entry:
            self.ready = entry["ready"]
            self.is_relaxed = entry.get("relaxed", False)
        elif "synced" in entry:
            self.synced = len(self.done)
        elif "try" in entry:
            self.pending = entry["try"]
        else:
            assert self.pending is not None, "nothing is done that was not tried"
            self.done.append(self.pending)
            self.ids.update(entry["done"])
            if not self.is_relaxed or self.pending["kind"] in CHECKPOINTED:
                self.synced = len(self.done)
            self.pending = None


def read_ledger(path: Path) -> Ledger:
    """Read a ledger; one that its writer did not live to begin is empty."""
    ledger = Ledger()
    if not path.exists():
        return ledger
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break  # the writer was killed in the middle of it: what it announces was not begun, or not acknowledged
        ledger.add(json.loads(line))
    return ledger
