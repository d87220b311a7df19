"""The named workloads: what is done, how often, and in what unit it is reported."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from bench import rows
from bench.adapters.port import Rival

Changes = Sequence[tuple[int, str]]
"""Ids, and the cities that they are to have."""

_SEED: Final = 4_711
READS_PER_BATCH: Final = 1000
FEW_ROWS: Final = 20
PAGE_ROWS: Final = 100
AGES_ASKED: Final = 10
"""The width of the ranges of ages."""

THREADS: Final = (1, 8, 32)
UPDATES_PER_TRANSACTION: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One thing that is measured."""

    name: str
    unit: str
    is_more_better: bool
    does: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of each is done on a database of ``count`` rows whose ids begin at ``first_id``.

    Drawn from one seed: every rival, in every round, is asked for the same rows.
    """

    count: int
    first_id: int
    id_batches: Sequence[Sequence[int]]
    cities: Sequence[str]
    changes: Sequence[Changes]
    more_changes: Sequence[Changes]
    """Others: changes that were made once would be no changes when they are made again."""

    age_ranges: Sequence[tuple[int, int]]
    """First and last age of each."""

    scans: int
    commits: int
    shared_commits: int
    """By all threads together."""

    lone_commits: int
    """By one thread: so many that checkpoints run meanwhile."""


def make_plan(count: int, first_id: int) -> Plan:
    """Return the plan for a database of this size; small ones are for trying out."""
    draw = random.Random(_SEED)  # noqa: S311  # the same plan in each process, no secret
    is_small = count < 10_000
    ids = range(first_id, first_id + count)

    def draw_changes() -> list[Changes]:
        return [
            [(row_id, draw.choice(rows.CITIES)) for row_id in draw.sample(ids, k=min(UPDATES_PER_TRANSACTION, count))]
            for _ in range(2 if is_small else 10)
        ]

    return Plan(
        count=count,
        first_id=first_id,
        id_batches=[draw.choices(ids, k=READS_PER_BATCH) for _ in range(2 if is_small else 20)],
        cities=draw.sample(rows.CITIES, k=20 if is_small else 300),
        changes=draw_changes(),
        more_changes=draw_changes(),
        age_ranges=[
            (low, low + AGES_ASKED - 1) for low in draw.choices(range(100 - AGES_ASKED), k=20 if is_small else 300)
        ],
        scans=1 if is_small else 2,
        commits=10 if is_small else 500,
        shared_commits=THREADS[-1] * (1 if is_small else 100),
        lone_commits=10 if is_small else 3000,
    )


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
)
INDEX_ROWS: Final = Workload(
    name="index_rows",
    unit="queries/s",
    is_more_better=True,
    does="city = x through the index, whole rows (1/500 of all)",
)
INDEX_ROWS_TOUCHED: Final = Workload(
    name="index_rows_touched",
    unit="queries/s",
    is_more_better=True,
    does="the same, and every value of each row is read and used by itself",
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
)
UPDATE_MANY: Final = Workload(
    name="update_many",
    unit="updates/s",
    is_more_better=True,
    does="the same by one call for all of them (sqlite3: executemany)",
)
DURABLE_INSERT: Final = Workload(
    name="durable_insert",
    unit="commits/s",
    is_more_better=True,
    does="insert one row in a durable transaction of its own",
)

QUERY_EQUAL: Final = Workload(
    name="query_equal",
    unit="queries/s",
    is_more_better=True,
    does="`find` city = x, whole rows (1/500 of all)",
)
QUERY_EQUAL_FEW: Final = Workload(
    name=f"query_equal_{FEW_ROWS}",
    unit="queries/s",
    is_more_better=True,
    does=f"the same, the first {FEW_ROWS} rows",
)
QUERY_RANGE: Final = Workload(
    name="query_range",
    unit="queries/s",
    is_more_better=True,
    does=f"`find` x <= age <= x + {AGES_ASKED - 1}, in order of age, the first {PAGE_ROWS} whole rows",
)
QUERY_ORDER: Final = Workload(
    name="query_order",
    unit="queries/s",
    is_more_better=True,
    does=f"the first {PAGE_ROWS} whole rows of all in order of age",
)
QUERY_ORDER_DOWN: Final = Workload(
    name="query_order_down",
    unit="queries/s",
    is_more_better=True,
    does="the same from the other end, with an offset of 0",
)
QUERY_COUNT: Final = Workload(
    name="query_count",
    unit="queries/s",
    is_more_better=True,
    does="count the rows with city = x",
)
COVERING_EQUAL: Final = Workload(
    name="covering_equal",
    unit="queries/s",
    is_more_better=True,
    does="`query_equal` by an index that holds the rows (sqlite3: an index on the city and all other columns)",
)
COVERING_RANGE: Final = Workload(
    name="covering_range",
    unit="queries/s",
    is_more_better=True,
    does="`query_range` by an index that holds the rows (sqlite3: as above, on the age)",
)
DURABLE_COMMITS: Final = {
    threads: Workload(
        name=f"durable_commits_{threads}",
        unit="commits/s",
        is_more_better=True,
        does="insert one row with two indexes in a durable transaction of its own, "
        + ("1 thread" if threads == 1 else f"{threads} threads at once")
        + " (sqlite3: on one connection, a lock around each)",
    )
    for threads in THREADS
}
DURABLE_COMMIT_TAIL: Final = Workload(
    name="durable_commit_p999",
    unit="ms",
    is_more_better=False,
    does="what 999 of 1,000 such commits by one thread stay below, checkpoints among them",
)
RELAXED_COMMITS: Final = Workload(
    name="relaxed_commits",
    unit="commits/s",
    is_more_better=True,
    does="such commits by one thread, which a power failure may undo but not damage (sqlite3: `synchronous=NORMAL`), "
    "checkpoints among them",
)

FILLING: Final = (BULK_INSERT, BULK_INSERT_PEAK, DISK_SIZE)
"""Measured in the process that fills the database."""

Measurement = Callable[[Rival, Plan], float]
Item = TypeVar("Item")


def _rate(operations: int, work: Callable[[], object]) -> float:
    """Return operations per second. What earlier work left to collect is collected before the clock starts."""
    gc.collect()
    start = time.perf_counter()
    work()
    return operations / (time.perf_counter() - start)


def _for_each(act: Callable[[Item], object], items: Iterable[Item]) -> Callable[[], None]:
    def work() -> None:
        for item in items:
            act(item)

    return work


def _point_read(rival: Rival, plan: Plan) -> float:
    return _rate(READS_PER_BATCH * len(plan.id_batches), _for_each(rival.read_each, plan.id_batches))


def _point_read_in_transaction(rival: Rival, plan: Plan) -> float:
    return _rate(READS_PER_BATCH * len(plan.id_batches), _for_each(rival.read_in_transaction, plan.id_batches))


def _index_rows(rival: Rival, plan: Plan) -> float:
    return _rate(len(plan.cities), _for_each(rival.rows_in_city, plan.cities))


def _index_rows_touched(rival: Rival, plan: Plan) -> float:
    return _rate(len(plan.cities), _for_each(rival.touch_rows_in_city, plan.cities))


def _scan(rival: Rival, plan: Plan) -> float:
    return _rate(plan.count * plan.scans, _for_each(lambda _: rival.scan(), range(plan.scans)))


def _update_each(rival: Rival, plan: Plan) -> float:
    return _rate(sum(map(len, plan.changes)), _for_each(rival.update_each, plan.changes))


def _update_many(rival: Rival, plan: Plan) -> float:
    return _rate(sum(map(len, plan.more_changes)), _for_each(rival.update_many, plan.more_changes))


def _durable_insert(rival: Rival, plan: Plan) -> float:
    return _rate(plan.commits, lambda: rival.insert_each(plan.count, plan.commits))


def _query_equal(rival: Rival, plan: Plan) -> float:
    return _rate(len(plan.cities), _for_each(rival.find_in_city, plan.cities))


def _query_equal_few(rival: Rival, plan: Plan) -> float:
    return _rate(len(plan.cities), _for_each(lambda city: rival.find_in_city(city, FEW_ROWS), plan.cities))


def _query_range(rival: Rival, plan: Plan) -> float:
    return _rate(
        len(plan.age_ranges), _for_each(lambda ages: rival.find_by_ages(*ages, limit=PAGE_ROWS), plan.age_ranges)
    )


def _query_order(rival: Rival, plan: Plan) -> float:
    return _rate(len(plan.cities), _for_each(lambda _: rival.first_by_age(PAGE_ROWS), plan.cities))


def _query_order_down(rival: Rival, plan: Plan) -> float:
    return _rate(len(plan.cities), _for_each(lambda _: rival.last_by_age(PAGE_ROWS), plan.cities))


def _query_count(rival: Rival, plan: Plan) -> float:
    return _rate(len(plan.cities), _for_each(rival.count_in_city, plan.cities))


def _durable_commits(threads: int) -> Measurement:
    return lambda rival, plan: _rate(plan.shared_commits, lambda: insert_from_threads(rival, plan, threads))


def _durable_commit_tail(rival: Rival, plan: Plan) -> float:
    gc.collect()
    times_s: list[float] = []
    for number in range(plan.count, plan.count + plan.lone_commits):
        start = time.perf_counter()
        rival.insert_each(number, 1)
        times_s.append(time.perf_counter() - start)
    return sorted(times_s)[len(times_s) * 999 // 1000] * 1000


def _relaxed_commits(rival: Rival, plan: Plan) -> float:
    rival.relax()
    return _rate(plan.lone_commits, lambda: rival.insert_each(plan.count, plan.lone_commits))


def insert_from_threads(rival: Rival, plan: Plan, threads: int) -> None:
    """Insert the rows that follow those of the database, an equal share of them by each thread."""
    share = plan.shared_commits // threads
    with ThreadPoolExecutor(threads) as executor:
        futures = [
            executor.submit(rival.insert_beside_others, plan.count + share * number, share) for number in range(threads)
        ]
        for future in futures:
            future.result()


USING: Final[dict[Workload, Measurement]] = {
    POINT_READ: _point_read,
    POINT_READ_IN_TRANSACTION: _point_read_in_transaction,
    INDEX_ROWS: _index_rows,
    INDEX_ROWS_TOUCHED: _index_rows_touched,
    SCAN: _scan,
    UPDATE_EACH: _update_each,
    UPDATE_MANY: _update_many,
    DURABLE_INSERT: _durable_insert,
}
"""Measured, in this order, in the process that opens the full database. Those that write come last."""

QUERYING: Final[dict[Workload, Measurement]] = {
    QUERY_EQUAL: _query_equal,
    QUERY_EQUAL_FEW: _query_equal_few,
    QUERY_RANGE: _query_range,
    QUERY_ORDER: _query_order,
    QUERY_ORDER_DOWN: _query_order_down,
    QUERY_COUNT: _query_count,
    **{workload: _durable_commits(threads) for threads, workload in DURABLE_COMMITS.items()},
    DURABLE_COMMIT_TAIL: _durable_commit_tail,
    RELAXED_COMMITS: _relaxed_commits,
}
"""Measured, in this order, in a process that makes a database with a second index."""

COVERING: Final[dict[Workload, Measurement]] = {COVERING_EQUAL: _query_equal, COVERING_RANGE: _query_range}
"""Measured, in this order, in a process that makes a database with two covering indexes and no others."""

WORKLOADS: Final = (*FILLING, IMPORT_OPEN_READ, OPEN_READ, *USING, *QUERYING, *COVERING)
INSERTED: Final[dict[str, Callable[[Plan], int]]] = {
    **{workload.name: lambda plan: plan.shared_commits for workload in DURABLE_COMMITS.values()},
    DURABLE_COMMIT_TAIL.name: lambda plan: plan.lone_commits,
    RELAXED_COMMITS.name: lambda plan: plan.lone_commits,
}
"""How many rows, those that follow the database's, each of these inserts."""

BY_NAME: Final = {workload.name: workload for workload in WORKLOADS}
