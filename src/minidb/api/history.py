"""The history of a database as its user sees it: begun, looked at, trimmed, ended."""

from __future__ import annotations

import datetime

from minidb.api.calls import Calls
from minidb.exceptions import InvalidOptionError, UsageError
from minidb.log import Logger
from minidb.structs import Struct
from minidb.tables import catalog as catalogs
from minidb.tables.session import WriteSession

_log = Logger("minidb")
_EPOCH = datetime.datetime.fromtimestamp(0, datetime.UTC)


class History(Struct, frozen=True, kw_only=True):
    """Which commits a database has kept what they changed of: those after ``after``, up to ``commit``."""

    after: int
    """The number of the commit that the oldest kept one follows."""

    after_at: datetime.datetime
    """When that commit was made, in UTC; the beginning of the history for commit 0."""

    commit: int
    """The number of the newest commit."""

    committed_at: datetime.datetime
    """When it was made, in UTC. Times rise with the numbers, also when a clock goes back."""

    @property
    def commits(self) -> int:
        """How many commits are kept."""
        return self.commit - self.after


class HistoryKeeping(Calls):
    """What ``MiniDB`` offers for its history."""

    def start_history(self) -> None:
        """Keep what each commit changes from now on, for increments and restores to a moment. Does nothing if it does.

        Every commit then writes its changes a second time, in the same transaction. Make a whole backup next, which
        increments can follow, and trim the history when it has been backed up. Raises ``UsageError`` inside a
        transaction.
        """
        from minidb.tables import history

        def start(session: WriteSession) -> None:
            if not session.catalog.keeps_history:
                history.begin(session.bytes)
                catalogs.set_history(session.bytes, is_kept=True)

        self._require_no_transaction()
        self.write_alone(None, start)
        _log.info("history started", extra={"location": self.location})

    def stop_history(self) -> None:
        """Delete the history, and keep none from now on. Does nothing if there is none."""
        from minidb.tables import history

        def stop(session: WriteSession) -> None:
            if session.catalog.keeps_history:
                session.bytes.record(None)
                session.bytes.drop_space(history.HISTORY)
                catalogs.set_history(session.bytes, is_kept=False)

        self._require_no_transaction()
        self.write_alone(None, stop)
        _log.info("history stopped", extra={"location": self.location})

    def trim_history(self, before: int | datetime.datetime) -> int:
        """Delete what is kept of the commits up to one, or up to a moment; return how many commits that were.

        ``db.trim_history(manifest.commit)`` deletes what a backup holds: increments can follow this one, and later
        ones, and no earlier one. Raises ``UsageError`` where the database keeps no history.
        """
        self._require_no_transaction()
        number = self._number_of(before)
        deleted = 0
        from minidb.tables import history

        # In parts: a history may hold more commits than can be deleted in memory.
        while trimmed := self.write_alone(None, lambda session: history.trim(session.bytes, number)):
            deleted += trimmed
        _log.info("history trimmed", extra={"location": self.location, "commit_count": deleted})
        return deleted

    def history(self) -> History | None:
        """Return which commits the history holds, or None where the database keeps none."""
        with self.committed() as snapshot:
            if not self.catalog_of(snapshot).keeps_history:
                return None
            from minidb.tables import history

            tail, head = history.tail(snapshot), history.head(snapshot)
        return History(
            after=tail.number,
            after_at=_moment(tail.time_us),
            commit=head.number,
            committed_at=_moment(head.time_us),
        )

    def _number_of(self, before: int | datetime.datetime) -> int:
        with self.committed() as snapshot:
            if not self.catalog_of(snapshot).keeps_history:
                raise UsageError("The database keeps no history", hint="db.start_history() begins one")
            if isinstance(before, datetime.datetime) and before.tzinfo is not None:
                from minidb.tables import history

                return history.number_at(snapshot, (before - _EPOCH) // datetime.timedelta(microseconds=1))
        if type(before) is not int:
            raise InvalidOptionError(
                "The option before must be the number of a commit, or a datetime with a time zone", option="before"
            )
        return before

    def _require_no_transaction(self) -> None:
        if self.current_transaction() is not None:
            raise UsageError("The history is not changed inside a transaction", hint="commit it first")


def _moment(time_us: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=time_us)
