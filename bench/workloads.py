"""The named workloads: what is done, how often, and in what unit it is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.adapters.port import Ability
from bench.plan import AGES_ASKED, FEW_ROWS, PAGE_ROWS, READS_PER_BATCH, THREADS, UPDATES_PER_TRANSACTION

PROCESSES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One thing that is measured."""

    name: str
    unit: str
    is_more_better: bool
    does: str
    needs: Ability | None = None
    """A rival that lacks it has no figure here."""


BULK_INSERT: Final = Workload(
    name="bulk_insert",
    unit="rows/s",
    is_more_better=True,
    does="insert all rows from a generator, checked, with the index, in one durable transaction",
)
BULK_INSERT_PEAK: Final = Workload(
    name="bulk_insert_peak",
    unit="MB",
    is_more_better=False,
    does="peak resident memory of the process that did it, Python and the rival's library included",
)
DISK_SIZE: Final = Workload(
    name="disk_size",
    unit="MB",
    is_more_better=False,
    does="blocks that the closed database takes on disk, all files of its folder",
)
IMPORT_TIME: Final = Workload(
    name="import_time",
    unit="ms",
    is_more_better=False,
    does="import the library, compiled, in a fresh process (the limit: `lmdb` and `msgspec`)",
)
IMPORT_OPEN_READ: Final = Workload(
    name="import_open_read",
    unit="ms",
    is_more_better=False,
    does="import the library in a fresh process, open the database, read one row by id; files in the page cache",
)
OPEN_READ: Final = Workload(
    name="open_read",
    unit="ms",
    is_more_better=False,
    does="open the database and read one row by id, everything imported and nothing open; files in the page cache",
)
POINT_READ: Final = Workload(
    name="point_read",
    unit="reads/s",
    is_more_better=True,
    does="read a row by id, each call on its own",
)
POINT_READ_IN_TRANSACTION: Final = Workload(
    name="point_read_in_transaction",
    unit="reads/s",
    is_more_better=True,
    does=f"the same, {READS_PER_BATCH:,} calls inside one read transaction",
    needs=Ability.SNAPSHOTS,
)
PROCESSES_READ: Final = Workload(
    name=f"processes_read_{PROCESSES}",
    unit="reads/s",
    is_more_better=True,
    does=f"read rows by id, each call on its own, in {PROCESSES} processes at once; all of them together",
    needs=Ability.PROCESSES,
)
BACKUP: Final = Workload(
    name="backup",
    unit="MB/s",
    is_more_better=True,
    does="copy the open database by the rival's own means, flushed to the disk: the size of the database by the time",
    needs=Ability.BACKUP,
)
BACKUP_TIME: Final = Workload(
    name="backup_time",
    unit="ms",
    is_more_better=False,
    does="the same, as a time",
    needs=Ability.BACKUP,
)
INDEX_ROWS: Final = Workload(
    name="index_rows",
    unit="queries/s",
    is_more_better=True,
    does="city = x through the index, whole rows (1/500 of all)",
    needs=Ability.INDEXES,
)
INDEX_ROWS_TOUCHED: Final = Workload(
    name="index_rows_touched",
    unit="queries/s",
    is_more_better=True,
    does="the same, and every value of each row is read and used by itself",
    needs=Ability.INDEXES,
)
SCAN: Final = Workload(
    name="scan",
    unit="rows/s",
    is_more_better=True,
    does="read all rows whole, and add up one column",
)
UPDATE_EACH: Final = Workload(
    name="update_each",
    unit="updates/s",
    is_more_better=True,
    does=f"change the city of {UPDATES_PER_TRANSACTION:,} rows by id, one call each, in one durable transaction",
    needs=Ability.TRANSACTIONS,
)
UPDATE_MANY: Final = Workload(
    name="update_many",
    unit="updates/s",
    is_more_better=True,
    does="the same by one call for all of them (sqlite3: executemany)",
    needs=Ability.TRANSACTIONS,
)
DURABLE_INSERT: Final = Workload(
    name="durable_insert",
    unit="commits/s",
    is_more_better=True,
    does="insert one row in a durable transaction of its own",
    needs=Ability.TRANSACTIONS,
)

ADD_INDEX: Final = Workload(
    name="add_index",
    unit="rows/s",
    is_more_better=True,
    does="make an index on the age, durably, in a table that holds all rows",
    needs=Ability.INDEXES,
)
QUERY_EQUAL: Final = Workload(
    name="query_equal",
    unit="queries/s",
    is_more_better=True,
    does="`find` city = x, whole rows (1/500 of all)",
    needs=Ability.INDEXES,
)
QUERY_EQUAL_FEW: Final = Workload(
    name=f"query_equal_{FEW_ROWS}",
    unit="queries/s",
    is_more_better=True,
    does=f"the same, the first {FEW_ROWS} rows",
    needs=Ability.INDEXES,
)
QUERY_RANGE: Final = Workload(
    name="query_range",
    unit="queries/s",
    is_more_better=True,
    does=f"`find` x <= age <= x + {AGES_ASKED - 1}, in order of age, the first {PAGE_ROWS} whole rows",
    needs=Ability.INDEXES,
)
QUERY_ORDER: Final = Workload(
    name="query_order",
    unit="queries/s",
    is_more_better=True,
    does=f"the first {PAGE_ROWS} whole rows of all in order of age",
    needs=Ability.INDEXES,
)
QUERY_ORDER_DOWN: Final = Workload(
    name="query_order_down",
    unit="queries/s",
    is_more_better=True,
    does="the same from the other end, with an offset of 0",
    needs=Ability.INDEXES,
)
QUERY_COUNT: Final = Workload(
    name="query_count",
    unit="queries/s",
    is_more_better=True,
    does="count the rows with city = x",
    needs=Ability.INDEXES,
)
COVERING_EQUAL: Final = Workload(
    name="covering_equal",
    unit="queries/s",
    is_more_better=True,
    does="`query_equal` by an index that holds the rows (sqlite3: an index on the city and all other columns)",
    needs=Ability.COVERING,
)
COVERING_RANGE: Final = Workload(
    name="covering_range",
    unit="queries/s",
    is_more_better=True,
    does="`query_range` by an index that holds the rows (sqlite3: as above, on the age)",
    needs=Ability.COVERING,
)
DURABLE_COMMITS: Final = {
    threads: Workload(
        name=f"durable_commits_{threads}",
        unit="commits/s",
        is_more_better=True,
        does="insert one row with two indexes in a durable transaction of its own, "
        + ("1 thread" if threads == 1 else f"{threads} threads at once")
        + " (sqlite3: on one connection, a lock around each)",
        needs=Ability.TRANSACTIONS,
    )
    for threads in THREADS
}
DURABLE_COMMIT_TAIL: Final = Workload(
    name="durable_commit_p999",
    unit="ms",
    is_more_better=False,
    does="what 999 of 1,000 such commits by one thread stay below, checkpoints among them",
    needs=Ability.TRANSACTIONS,
)
RELAXED_COMMITS: Final = Workload(
    name="relaxed_commits",
    unit="commits/s",
    is_more_better=True,
    does="such commits by one thread, which a power failure may undo but not damage (sqlite3: `synchronous=NORMAL`), "
    "checkpoints among them",
    needs=Ability.RELAXED,
)
YCSB: Final = {
    letter: Workload(
        name=f"ycsb_{letter.lower()}",
        unit="operations/s",
        is_more_better=True,
        does=f"YCSB {letter}: {does}",
        needs=Ability.RECORD_RANGES if letter == "E" else Ability.RECORDS,
    )
    for letter, does in {
        "A": "50 % read a record, 50 % replace one of its fields",
        "B": "95 % read, 5 % replace a field",
        "C": "read only",
        "D": "95 % read, the latest most often, 5 % insert",
        "E": "95 % read 1 to 100 records in order of their keys, 5 % insert",
        "F": "50 % read, 50 % read and then replace a field",
    }.items()
}
YCSB_LOAD: Final = Workload(
    name="ycsb_load",
    unit="records/s",
    is_more_better=True,
    does="insert all records of YCSB, of 1 kB each, in one transaction",
    needs=Ability.RECORDS,
)

FILLING: Final = (BULK_INSERT, BULK_INSERT_PEAK, DISK_SIZE)
"""Measured in the process that fills the database."""

OPENING: Final = (IMPORT_TIME, IMPORT_OPEN_READ, OPEN_READ)
USING: Final = (
    POINT_READ,
    POINT_READ_IN_TRANSACTION,
    INDEX_ROWS,
    INDEX_ROWS_TOUCHED,
    SCAN,
    UPDATE_EACH,
    UPDATE_MANY,
    DURABLE_INSERT,
)
"""Measured, in this order, in the process that opens the full database. Those that write come last."""

QUERYING: Final = (
    QUERY_EQUAL,
    QUERY_EQUAL_FEW,
    QUERY_RANGE,
    QUERY_ORDER,
    QUERY_ORDER_DOWN,
    QUERY_COUNT,
    *DURABLE_COMMITS.values(),
    DURABLE_COMMIT_TAIL,
    RELAXED_COMMITS,
)
"""Measured, in this order, in a process that makes a database with a second index."""

COVERING: Final = (COVERING_EQUAL, COVERING_RANGE)
"""Measured, in this order, in a process that makes a database with two covering indexes and no others."""

MIXED: Final = (YCSB_LOAD, *YCSB.values())
"""Measured, in this order, in a process that makes a database of records."""

WORKLOADS: Final = (
    *FILLING,
    *OPENING,
    PROCESSES_READ,
    BACKUP,
    BACKUP_TIME,
    *USING,
    ADD_INDEX,
    *QUERYING,
    *COVERING,
    *MIXED,
)
"""In the order of the table."""

BY_NAME: Final = {workload.name: workload for workload in WORKLOADS}
