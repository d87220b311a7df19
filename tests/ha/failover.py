"""The leader of a cluster is killed under writers: is anything lost that was acknowledged? ``python -m tests.ha``.

Each writer inserts rows, each in a transaction with a commit token, and notes what it was told. After the failover
every acknowledged row must be there, and each row whose commit was unknown as its token says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from tests.ha.cluster import Cluster, Node

from minidb import MiniDB, Row, Table
from minidb.exceptions import CommitUnknownError, ConflictError, EngineUnavailableError, WaitError
from minidb.schema import IntegerField, Schema, StringField

WRITERS: Final = 8
WARM_UP_ROWS: Final = 500
ROWS_AFTERWARDS: Final = 100
"""Of each writer, when the cluster has a new leader."""

RESUMES_WITHIN_S: Final = 120.0
ROWS: Final = Schema(number=IntegerField(primary_key=True), text=StringField())


@dataclass
class Outcome:
    """What a failover has left."""

    acknowledged: int
    lost: int
    """Rows that were acknowledged and are not there."""

    unknown: int
    unknown_committed: int
    """Rows of an unknown commit that are there."""

    unresolved: int
    """Rows of an unknown commit of which the token says what is not so."""

    outage_s: float
    """Between the kill, or the last commit of the old leader, and the first commit of the new one."""


@dataclass
class Notes:
    """What one writer was told."""

    acknowledged: list[int] = field(default_factory=list)
    acknowledged_at: list[float] = field(default_factory=list)
    unknown: dict[int, str] = field(default_factory=dict)
    """Token by row."""

    failure: BaseException | None = None


class Writers:
    """Threads that insert rows until they are told to end."""

    def __init__(self, table: Table[Row], database: MiniDB) -> None:
        self._table = table
        self._database = database
        self._ends = threading.Event()
        self.notes = [Notes() for _ in range(WRITERS)]
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def wait_for_rows(self, least: Callable[[Notes], int], count: int) -> None:
        """Wait until each writer has so many rows acknowledged as a function counts."""
        end = time.monotonic() + RESUMES_WITHIN_S
        while not all(least(notes) >= count for notes in self.notes):
            failures = [notes.failure for notes in self.notes if notes.failure is not None]
            if failures:
                raise failures[0]
            assert time.monotonic() < end, "the writers do not go on"
            time.sleep(0.01)

    def end(self) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _write(self, writer: int) -> None:
        notes = self.notes[writer]
        number = writer * 10_000_000
        try:
            while not self._ends.is_set():
                number += 1
                self._insert(number, notes)
        except BaseException as error:  # noqa: BLE001  # raised by who waits
            notes.failure = error

    def _insert(self, number: int, notes: Notes) -> None:
        try:
            with self._database.begin_transaction(commit_token=True):
                self._table.insert(Row(number=number, text="x" * 100))
        except CommitUnknownError as error:
            notes.unknown[number] = error.token
        except (ConflictError, EngineUnavailableError, WaitError):  # surely not committed
            time.sleep(0.05)
        else:
            notes.acknowledged_at.append(time.monotonic())
            notes.acknowledged.append(number)


def fail_over(cluster: Cluster, kill: Callable[[Cluster, Node], None], *, loses_contact: bool = False) -> Outcome:
    """Kill the leader under writers, wait until all write again, and look what is there.

    ``loses_contact``: for a moment before, nothing that the leader writes reaches another server.
    """
    with MiniDB(cluster.url, max_connections=WRITERS + 2, write_timeout_s=60) as database:
        writers = Writers(database.create_table("rows", ROWS), database)
        try:
            writers.wait_for_rows(lambda notes: len(notes.acknowledged), WARM_UP_ROWS // WRITERS)
            leader = cluster.leader()
            cluster.wait_for_replicas(leader)
            if loses_contact:
                cluster.stop_sending(leader)
                time.sleep(0.5)  # long enough for many commits, where they wait for nobody
            killed_at = time.monotonic()
            kill(cluster, leader)
            # What was under way comes in within a moment.
            writers.wait_for_rows(
                lambda notes: sum(at > killed_at + 1 for at in notes.acknowledged_at), ROWS_AFTERWARDS
            )
        finally:
            writers.end()
        there = {row["number"] for row in database.get_table("rows").scan()}
        unknown = {number: token for notes in writers.notes for number, token in notes.unknown.items()}
        acknowledged = [number for notes in writers.notes for number in notes.acknowledged]
        times = sorted(at for notes in writers.notes for at in notes.acknowledged_at)
        return Outcome(
            acknowledged=len(acknowledged),
            lost=sum(number not in there for number in acknowledged),
            unknown=len(unknown),
            unknown_committed=sum(number in there for number in unknown),
            unresolved=sum(database.was_committed(token) != (number in there) for number, token in unknown.items()),
            outage_s=max(after - before for before, after in pairwise(times) if after > killed_at),
        )


def kill_server(cluster: Cluster, leader: Node) -> None:
    """Kill the server; its Patroni lives and tells the others."""
    cluster.kill(leader)


def kill_machine(cluster: Cluster, leader: Node) -> None:
    """Kill the server and its Patroni: the others must wait until they hear nothing any more."""
    cluster.kill(leader, agent_too=True)
