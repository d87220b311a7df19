"""What an adapter of a rival owes, so that all of them do the same work.

The loops stand in the adapters, not around them: what a rival's user would write in a loop is written in a loop, and no
call of ours comes between. Every method returns its answer, so that the very code that is timed is checked first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from bench.rows import Values

Answer = Any  # Any: a row as the rival hands it out, with its columns materialised; ``plain`` makes it comparable


class Ability(StrEnum):
    """What workloads need that not every rival has."""

    TRANSACTIONS = "transactions"
    """Several writes reach the disk together, all or none, and survive a power failure."""

    SNAPSHOTS = "snapshots"
    """Several reads see one state."""

    INDEXES = "indexes"
    """Rows are found by a column, and in its order, without reading the others."""

    COVERING = "covering"
    """An index holds the rows."""

    RELAXED = "relaxed"
    """Commits that a power failure may undo, but not damage, cost less than durable ones."""

    PROCESSES = "processes"
    """Several processes read at once."""

    BACKUP = "backup"
    """A copy is made while the database is in use."""

    RECORDS = "records"
    """The module has a ``Records`` too, whose writes outlive the process and are not damaged by a power failure."""

    RECORD_RANGES = "record ranges"
    """It finds records in the order of their keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms a rival takes part. What it lacks, it need not implement."""

    lacks: Mapping[Ability, str] = field(default_factory=dict)
    """And why."""

    share: float = 1.0
    """It does so much of the others' operations, where the whole would take minutes."""


class Rival(Protocol):
    """One database in one folder.

    REQUIRES a folder that is there and is empty for ``create=True``.
    GUARANTEES that what a method calls a transaction is durable, power failures included, when the method returns; that
    each row is checked (types, length of the name, age >= 0) before it is stored; that one index, on the city, is kept
    with the rows, and one on the age from ``index_ages`` or
    ``cover`` on; and that ids are consecutive within one bulk insert.
    """

    version: str
    """The library and its version, for the report."""

    terms: Terms
    imports: str
    """The modules that its user imports, as an ``import`` names them."""

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:
        """Open the database; make its table and index when ``create``.

        ``read_only`` may make it easier for other processes to read meanwhile, and need mean nothing.
        """
        ...

    def close(self) -> None:
        """Close the database, so that another process finds it whole."""
        ...

    def plain(self, answer: Answer) -> tuple[int, Values]:
        """Return the id and the values of a row that a method below returned."""
        ...

    def insert_all(self, count: int) -> int:
        """Insert that many rows of ``bench.rows`` from a generator, in one transaction; return the first id."""
        ...

    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        """Return the rows with these ids, each read by a call of its own, outside any transaction."""
        ...

    def read_in_transaction(self, ids: Sequence[int]) -> list[Answer]:
        """Return the same rows, each read by a call of its own, inside one read transaction."""
        ...

    def rows_in_city(self, city: str) -> Sequence[Answer]:
        """Return the whole rows of a city, found through the index."""
        ...

    def touch_rows_in_city(self, city: str) -> float:
        """Read the same rows, and every value of each by itself; return ``touched`` of them all."""
        ...

    def scan(self) -> tuple[int, int]:
        """Read every row with all of its columns; return how many there are and the sum of the ages."""
        ...

    def update_each(self, changes: Sequence[tuple[int, str]]) -> None:
        """Give the rows with these ids new cities, each by a call of its own, in one transaction."""
        ...

    def update_many(self, changes: Sequence[tuple[int, str]]) -> None:
        """Do the same with the rival's call for many changes."""
        ...

    def insert_each(self, first: int, count: int) -> None:
        """Insert ``count`` rows from row ``first`` of ``bench.rows`` on, each in a transaction of its own."""
        ...

    def insert_beside_others(self, first: int, count: int) -> None:
        """Do the same in one of several threads that do it at once."""
        ...

    def relax(self) -> None:
        """Let transactions, from now on, be such as a power failure may undo, but not damage."""
        ...

    def index_ages(self) -> None:
        """Make a second index, on the age."""
        ...

    def cover(self) -> None:
        """Make the index on the city, and one on the age, such that a query reads whole rows from it alone."""
        ...

    def find_in_city(self, city: str, limit: int | None = None) -> Sequence[Answer]:
        """Return the whole rows of a city, or the first so many by id, through the rival's general way to query."""
        ...

    def count_in_city(self, city: str) -> int:
        """Return the number of rows of a city."""
        ...

    def find_by_ages(self, low: int, high: int, limit: int) -> Sequence[Answer]:
        """Return the first so many whole rows with ages of ``[low, high]``, by age and then by id."""
        ...

    def first_by_age(self, limit: int) -> Sequence[Answer]:
        """Return the first so many whole rows of all, by age and then by id."""
        ...

    def last_by_age(self, limit: int) -> Sequence[Answer]:
        """Return the last so many whole rows of all in that order, the very last one first."""
        ...

    def back_up(self, folder: Path) -> None:
        """Copy the database, which stays open, into an empty folder; the copy is on the disk on return."""
        ...

    def scan_backup(self, folder: Path) -> tuple[int, int]:
        """Return what ``scan`` returns of a copy."""
        ...


Fields = tuple[str, ...]
"""The values of a record: ten texts."""


class Records(Protocol):
    """A table of records of 1 kB by a key of text, in a folder of its own, for the mixed workloads.

    GUARANTEES that a write that has returned outlives the process, and that a power failure may undo it but damages
    nothing; each is a transaction of its own.
    """

    def __init__(self, folder: Path) -> None:
        """Make the table in an empty folder."""
        ...

    def close(self) -> None:
        """Close it."""
        ...

    def load(self, records: Iterable[tuple[str, Fields]]) -> None:
        """Insert records in one transaction, if there are any."""
        ...

    def plain(self, answer: Answer) -> Fields:
        """Return the fields of a record that ``read`` or ``scan`` returned."""
        ...

    def read(self, key: str) -> Answer:
        """Return the whole record."""
        ...

    def update(self, key: str, place: int, value: str) -> None:
        """Replace one of the record's fields."""
        ...

    def insert(self, key: str, fields: Fields) -> None:
        """Insert one record."""
        ...

    def scan(self, key: str, count: int) -> Sequence[Answer]:
        """Return so many whole records in order of their keys, from this one on."""
        ...
