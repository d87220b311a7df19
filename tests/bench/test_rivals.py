"""Every rival that is installed does the same work and answers alike; what one lacks is told, and is not measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from bench import adapters, run, worker, workloads
from bench.adapters.port import Ability, Rival
from bench.answers import check_answers, check_queries, check_writes
from bench.plan import make_plan

REPOSITORY = Path(__file__).parents[2]
ROWS = 300
METHODS = {
    Ability.TRANSACTIONS: ("update_each", "update_many", "insert_each"),
    Ability.SNAPSHOTS: ("read_in_transaction",),
    Ability.INDEXES: (
        *("rows_in_city", "touch_rows_in_city", "index_ages", "find_in_city", "count_in_city"),
        *("find_by_ages", "first_by_age", "last_by_age", "insert_beside_others"),
    ),
    Ability.COVERING: ("cover",),
    Ability.BACKUP: ("back_up", "scan_backup"),
}


@pytest.fixture(params=adapters.installed())
def rival_type(request: pytest.FixtureRequest) -> type[Rival]:
    return adapters.load_rival(request.param)


def test_a_rival_answers_as_foretold(rival_type: type[Rival], tmp_path: Path) -> None:
    rival = rival_type(tmp_path, create=True)
    plan = make_plan(ROWS, rival.insert_all(ROWS))
    check_answers(rival, plan)
    check_writes(rival, plan)
    rival.close()
    rival = rival_type(tmp_path, create=False)
    check_answers(rival, plan)
    if Ability.INDEXES not in rival.terms.lacks:
        rival.index_ages()
        check_queries(rival, plan)
    rival.close()


def test_a_rival_has_what_it_does_not_declare_to_lack(rival_type: type[Rival]) -> None:
    for ability, names in METHODS.items():
        if ability not in rival_type.terms.lacks:
            assert [name for name in names if not hasattr(rival_type, name)] == []
    records = getattr(sys.modules[rival_type.__module__], "Records", None)
    assert (records is None) == (Ability.RECORDS in rival_type.terms.lacks)
    assert hasattr(records, "scan") == (Ability.RECORD_RANGES not in rival_type.terms.lacks)


# MiniDB and sqlite3 do every workload in test_bench.py, by the command.
@pytest.mark.parametrize("rival", [name for name in adapters.installed() if name not in {"minidb", "sqlite3"}])
def test_a_rival_does_every_workload_that_it_is_able_to_do(rival: str, tmp_path: Path) -> None:
    rival_type = adapters.load_rival(rival)
    wanted = set(workloads.BY_NAME) - {workloads.PROCESSES_READ.name, workloads.IMPORT_TIME.name}
    folders = [tmp_path / phase for phase in ("use", "query", "cover", "mix")]
    for folder in folders:
        folder.mkdir()
    filled = worker.fill(rival, folders[0], run.MIN_ROWS)
    outcomes = [filled, worker.use(rival, folders[0], run.MIN_ROWS, int(str(filled["first_id"])), wanted)]
    lacks = rival_type.terms.lacks
    if Ability.INDEXES not in lacks:
        outcomes.append(worker.query(rival, folders[1], run.MIN_ROWS, wanted, is_covered=False))
    if Ability.COVERING not in lacks:
        outcomes.append(worker.query(rival, folders[2], run.MIN_ROWS, wanted, is_covered=True))
    if Ability.RECORDS not in lacks:
        outcomes.append(worker.mix(rival, folders[3], run.MIN_ROWS, wanted))
    assert json.dumps(outcomes)
    measured = [name for outcome in outcomes for name in dict(outcome["samples"])]  # type: ignore[call-overload]  # as JSON
    able = [workload for workload in workloads.WORKLOADS if workload.name in wanted and workload.needs not in lacks]
    if rival_type.terms.share < 1:
        able.remove(workloads.DURABLE_COMMIT_TAIL)
    if Ability.INDEXES in lacks:
        able = [workload for workload in able if workload not in workloads.QUERYING]
    assert sorted(measured) == sorted(workload.name for workload in able)
