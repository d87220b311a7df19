"""One writer that is killed, and ends by itself only when it is told after how many operations.

``python -m tests.crash.writer FOLDER LEDGER SEED --operations N`` runs it by itself. With ``--acknowledge-early`` it is
wrong on purpose: it acknowledges its last operation before the call, and dies in place of the call.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from tests.crash.ledger import LedgerWriter
from tests.crash.operations import DEFINER, Author, Hand, Model, apply_to_model, read_model

from minidb import MiniDB


def write(
    folder: Path,
    ledger_path: Path,
    seed: int,
    *,
    owner: str = DEFINER,
    possible: Sequence[Model] = ({},),
    operations: int | None = None,
    acknowledges_early: bool = False,
) -> None:
    """Write until killed. ``possible`` are the states of the owner's part of which one is there."""
    ledger = LedgerWriter(ledger_path)
    with MiniDB(folder) as database:
        hand = Hand(database, owner)
        model = read_model(database, owner)
        ledger.write({"ready": possible.index(model)})
        author = Author(random.Random(seed), owner, prefix=str(seed), defines=owner == DEFINER)
        drawn = author.operations(model)
        for number in count(1):
            operation = next(drawn)
            ledger.write({"try": operation})
            is_last = number == operations
            if is_last and acknowledges_early:
                ledger.write({"done": {}})
                os.kill(os.getpid(), signal.SIGKILL)
            ledger.write({"done": hand.do(operation)})
            apply_to_model(model, operation)
            if is_last:
                break
    ledger.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("--operations", type=int)
    parser.add_argument("--acknowledge-early", action="store_true")
    options = parser.parse_args()
    write(
        options.folder,
        options.ledger,
        options.seed,
        operations=options.operations,
        acknowledges_early=options.acknowledge_early,
    )


if __name__ == "__main__":
    main()
