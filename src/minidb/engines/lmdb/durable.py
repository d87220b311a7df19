"""The one place where a commit becomes durable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import lmdb

if TYPE_CHECKING:
    from minidb.engines.lmdb.commit_log.commits import CommitLog
    from minidb.engines.write_buffer import SpaceChanges


LoggedChanges = Sequence[tuple[int, "SpaceChanges"]] | None


def make_durable(transaction: lmdb.Transaction[bytes], log: CommitLog, changes: LoggedChanges) -> None:
    """Commit LMDB's write transaction; when this returns, it survives what the durability level says.

    ``changes`` are all that it has changed, by slot; None where that is too much for the log, or not in spaces. Raises
    ``lmdb.Error`` and ``OSError`` as LMDB and the log do, and ``CommitUnknownError``.
    """
    if not log.is_used:
        transaction.commit()  # two flushes: of the pages, and of the meta page that makes them the newest state
    elif changes is None:
        log.commit_with_checkpoint(transaction)
    else:
        log.commit(transaction, changes)
