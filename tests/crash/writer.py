"""The process that is killed: ``python -m tests.crash.writer FOLDER LEDGER SEED``.

It ends by itself only with ``--operations``. With ``--acknowledge-early`` it is wrong on purpose: it acknowledges its
last operation before the call, and dies in place of the call.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
from itertools import count
from pathlib import Path

from tests.crash.ledger import LedgerWriter
from tests.crash.operations import SCHEMA, TABLE, Author, apply_to_model, apply_to_table, named_tokens

from minidb import MiniDB


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("--operations", type=int)
    parser.add_argument("--acknowledge-early", action="store_true")
    options = parser.parse_args()

    ledger = LedgerWriter(options.ledger)
    with MiniDB(options.folder) as database:
        table = database.create_table(TABLE, SCHEMA)
        ledger.write({"ready": True})
        model = {row["token"]: row.columns for row in table.scan()}
        ids = {row["token"]: row.id for row in table.scan()}
        draw = random.Random(options.seed)  # repeatable, no secret
        author = Author(draw, prefix=str(options.seed))
        operations = author.operations(model)
        for number in count(1):
            operation = next(operations)
            ledger.write({"try": operation})
            is_last = number == options.operations
            if is_last and options.acknowledge_early:
                ledger.write({"done": {}})
                os.kill(os.getpid(), signal.SIGKILL)
            apply_to_table(database, table, ids, operation)
            ledger.write({"done": {token: ids[token] for token in named_tokens(operation) if token in ids}})
            apply_to_model(model, operation)
            if is_last:
                break
    ledger.close()


if __name__ == "__main__":
    main()
