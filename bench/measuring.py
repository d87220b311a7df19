"""How each workload is measured on an open rival: one function each, that returns the figure."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from bench import workloads
from bench.adapters.port import Rival
from bench.plan import FEW_ROWS, PAGE_ROWS, READS_PER_BATCH, Plan

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


MEASUREMENTS: Final[dict[str, Measurement]] = {
    workloads.POINT_READ.name: _point_read,
    workloads.POINT_READ_IN_TRANSACTION.name: _point_read_in_transaction,
    workloads.INDEX_ROWS.name: _index_rows,
    workloads.INDEX_ROWS_TOUCHED.name: _index_rows_touched,
    workloads.SCAN.name: _scan,
    workloads.UPDATE_EACH.name: _update_each,
    workloads.UPDATE_MANY.name: _update_many,
    workloads.DURABLE_INSERT.name: _durable_insert,
    workloads.QUERY_EQUAL.name: _query_equal,
    workloads.QUERY_EQUAL_FEW.name: _query_equal_few,
    workloads.QUERY_RANGE.name: _query_range,
    workloads.QUERY_ORDER.name: _query_order,
    workloads.QUERY_ORDER_DOWN.name: _query_order_down,
    workloads.QUERY_COUNT.name: _query_count,
    **{workload.name: _durable_commits(threads) for threads, workload in workloads.DURABLE_COMMITS.items()},
    workloads.DURABLE_COMMIT_TAIL.name: _durable_commit_tail,
    workloads.RELAXED_COMMITS.name: _relaxed_commits,
    workloads.COVERING_EQUAL.name: _query_equal,
    workloads.COVERING_RANGE.name: _query_range,
}

INSERTED: Final[dict[str, Callable[[Plan], int]]] = {
    **{workload.name: lambda plan: plan.shared_commits for workload in workloads.DURABLE_COMMITS.values()},
    workloads.DURABLE_COMMIT_TAIL.name: lambda plan: plan.lone_commits,
    workloads.RELAXED_COMMITS.name: lambda plan: plan.lone_commits,
}
"""How many rows, those that follow the database's, each of these inserts."""


def measure(rival: Rival, plan: Plan, group: Iterable[workloads.Workload], wanted: set[str]) -> dict[str, float]:
    """Return a figure for each workload of the group that is wanted and that the rival is able to do, in this order."""
    terms = rival.terms
    return {
        workload.name: MEASUREMENTS[workload.name](rival, plan)
        for workload in group
        if workload.name in wanted
        and workload.needs not in terms.lacks
        # A thousandth of few commits is none.
        and (workload is not workloads.DURABLE_COMMIT_TAIL or terms.share == 1)
    }
