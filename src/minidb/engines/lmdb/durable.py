"""The one place where a commit becomes durable. Whatever else is to make it so takes its place here."""

from __future__ import annotations

import errno

import lmdb


def make_durable(transaction: lmdb.Transaction[bytes]) -> None:
    """Commit LMDB's write transaction; when this returns, it survives what the durability level says.

    That is two flushes: of the pages, and of the meta page that makes them the newest state. Raises ``lmdb.Error``.
    """
    transaction.commit()


def is_surely_undone(error: lmdb.Error) -> bool:
    """Tell whether ``make_durable`` failed before the disk was asked for anything that it may have half done.

    LMDB's own refusals have negative codes, and are found before the meta page is written; so is a full disk, which
    leaves the environment usable. After any other error of the operating system nothing is certain: a flush that failed
    may have dropped what it should have written, and must not be tried again.
    """
    code = getattr(error, "code", None)
    return code is not None and (code < 0 or code in (errno.ENOSPC, errno.EDQUOT)) and not _is_panic(error)


def _is_panic(error: lmdb.Error) -> bool:
    return isinstance(error, lmdb.PanicError)
