"""What a commit log could have wrong, planted on purpose: the harness must find each of them.

``no-pin``            the pin of a checkpoint is let go of as soon as it is made
``metas-left``        recovery leaves the meta pages as the power failure has left them
``late-log-flush``    a commit is acknowledged before its record is flushed
``early-record``      a checkpoint is recorded before the data file is flushed
``strange-pin``       a process writes without a pin of its own, and relies on those of others
``kept-orphan``       the record of a process that was killed before LMDB's commit is not written over by the next
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from minidb.engines.lmdb.commit_log import meta_pages
from minidb.engines.lmdb.commit_log.checkpoint import Begun, Checkpoints
from minidb.engines.lmdb.commit_log.commits import CommitLog
from minidb.engines.lmdb.commit_log.log import Log


@contextmanager
def planted(flaw: str | None) -> Iterator[None]:
    """Have a flaw in this process."""
    with _FLAWS[flaw]() if flaw is not None else patch.object(Log, "__doc__", Log.__doc__):
        yield


class _NoPin:
    """Stands where a pin should be."""

    def abort(self) -> None:
        return

    def id(self) -> int:
        return 1 << 60


def _no_pin() -> Any:  # Any: what ``patch`` returns, here and below
    finish = Checkpoints.finish

    def finish_and_unpin(self: Checkpoints, begun: Begun, *, is_closed: bool = False) -> None:
        begun.pin.abort()
        finish(self, begun._replace(pin=_NoPin()), is_closed=is_closed)  # type: ignore[arg-type]  # it stands in for it

    return patch.object(Checkpoints, "finish", finish_and_unpin)


def _metas_left() -> Any:
    return patch.object(meta_pages, "write", lambda *_: None)


def _late_log_flush() -> Any:
    append, flush = Log.append, Log.flush
    owed: dict[Log, int] = {}

    def flush_and_append(self: Log, transaction_id: int, changes: bytes) -> int:
        if self in owed:
            flush(self, owed.pop(self))
        return append(self, transaction_id, changes)

    def owe(self: Log, segment: int) -> None:
        owed[self] = segment

    return patch.multiple(Log, append=flush_and_append, flush=owe)


class _Unflushed:
    """An LMDB environment whose flush is left out."""

    def __init__(self, raw: Any) -> None:  # Any: a class of the binding, in C, which cannot be patched
        self._raw = raw

    def sync(self, _: bool) -> None:  # the binding's signature
        return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def _early_record() -> Any:
    finish = Checkpoints.finish

    def record_and_flush(self: Checkpoints, begun: Begun, *, is_closed: bool = False) -> None:
        raw = self._raw
        self._raw = _Unflushed(raw)  # type: ignore[assignment]  # it stands in for it
        finish(self, begun, is_closed=is_closed)
        self._raw = raw
        raw.sync(True)  # the binding's signature

    return patch.object(Checkpoints, "finish", record_and_flush)


def _strange_pin() -> Any:
    admits = CommitLog.admits

    def admits_without(self: CommitLog, transaction_id: int) -> bool:
        if self._checkpoints.pin is None and self._checkpoints.live() is not None:
            self._checkpoints.pin = _NoPin()  # type: ignore[assignment]  # it stands in for it
        return admits(self, transaction_id)

    return patch.object(CommitLog, "admits", admits_without)


def _kept_orphan() -> Any:
    find = Log.find

    def find_behind(self: Log, segment: int, transaction_id: int) -> bool:
        is_found = find(self, segment, transaction_id)
        if is_found and self.end is not None:
            for _, behind in self.records(self.end):
                self.start_at(behind._replace(transaction_id=transaction_id - 1))
                break
        return is_found

    return patch.object(Log, "find", find_behind)


_FLAWS: Final[dict[str, Callable[[], Any]]] = {
    "no-pin": _no_pin,
    "metas-left": _metas_left,
    "late-log-flush": _late_log_flush,
    "early-record": _early_record,
    "strange-pin": _strange_pin,
    "kept-orphan": _kept_orphan,
}
FLAWS: Final = tuple(_FLAWS)
