"""The benchmarks run, their rivals agree, and a rival that answers wrongly is not timed. No test looks at a time."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench import adapters, report, rows, workloads
from bench.adapters.limit_adapter import Adapter as LimitAdapter
from bench.adapters.minidb_adapter import Adapter as MiniDBAdapter
from bench.adapters.port import Answer, Rival
from bench.adapters.sqlite3_adapter import Adapter as SqliteAdapter
from bench.adapters.sqlite_sql import BY_AGES, BY_CITY
from bench.answers import (
    WrongAnswerError,
    check_answers,
    check_inserted,
    check_more_inserts,
    check_queries,
    check_writes,
)
from bench.measuring import insert_from_threads
from bench.plan import Changes, Plan, make_plan
from bench.run import Results, measure, rivals_named

REPOSITORY = Path(__file__).parents[2]
ROWS = 500


# --- the whole, as a user runs it -------------------------------------------------------------------------------------


def run_bench(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *options],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.slow
def test_one_command_runs_every_workload(tmp_path: Path) -> None:
    json_file = tmp_path / "figures.json"
    rivals = ("minidb", "sqlite3")
    completed = run_bench("--rows", "100", "--rounds", "1", "--json", str(json_file), "--rivals", ",".join(rivals))
    assert completed.returncode == 0, completed.stderr
    document = json.loads(json_file.read_text())
    assert list(document["samples"]) == list(workloads.BY_NAME)
    for by_rival in document["samples"].values():
        assert {rival: len(figures) for rival, figures in by_rival.items()} == dict.fromkeys(rivals, 1)
        assert all(figure > 0 for figures in by_rival.values() for figure in figures)
    assert [line["workload"] for line in document["summary"]] == list(workloads.BY_NAME)
    assert all(set(line["ratios"]) == {"sqlite3"} for line in document["summary"])
    table = [line.split()[0] for line in completed.stdout.splitlines() if line]
    assert [word for word in table if word in workloads.BY_NAME] == list(workloads.BY_NAME)


def test_workloads_and_rivals_can_be_chosen(tmp_path: Path) -> None:
    json_file = tmp_path / "figures.json"
    completed = run_bench(
        *("--rows", str(ROWS), "--rounds", "2", "--json", str(json_file)),
        *("--workloads", "scan,bulk_insert", "--rivals", "sqlite3"),
    )
    assert completed.returncode == 0, completed.stderr
    samples = json.loads(json_file.read_text())["samples"]
    assert {name: {rival: len(figures) for rival, figures in one.items()} for name, one in samples.items()} == {
        "bulk_insert": {"sqlite3": 2},
        "scan": {"sqlite3": 2},
    }


@pytest.mark.parametrize("options", [("--rivals", "oracle"), ("--workloads", "nothing"), ("--rows", "1")])
def test_an_option_that_means_nothing_is_refused(options: tuple[str, str]) -> None:
    completed = run_bench(*options)
    assert completed.returncode == 2
    assert options[0] in completed.stderr


def test_all_rivals_are_those_that_are_installed_and_the_others_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(adapters, "installed", lambda: ["minidb", "sqlite3"])
    assert rivals_named("all") == ["minidb", "sqlite3"]
    told = capsys.readouterr().err
    assert "left out: limit, apsw, " in told
    assert "pip install -r bench/requirements.txt" in told
    assert rivals_named("sqlite3") == ["sqlite3"]
    with pytest.raises(argparse.ArgumentTypeError, match="apsw: not installed"):
        rivals_named("minidb,apsw")


def test_the_rivals_of_the_page_are_those_that_there_are() -> None:
    page = (REPOSITORY / "docs" / "benchmarks.md").read_text()
    section = page.partition("## The rivals")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(adapters.NAMES)
    required = (REPOSITORY / "bench" / "requirements.txt").read_text()
    named = {line.partition(">=")[0].lower() for line in required.splitlines() if not line.startswith("#")}
    assert named == set(adapters.NAMES) - {*adapters.DEFAULT, "shelve"}


def test_what_a_rival_lacks_has_a_dash_and_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    results = Results(
        *(ROWS, 1, ["minidb", "shelve"], ["scan", "backup"]),
        versions={"minidb": "1", "shelve": "2"},
        lacks={"minidb": {}, "shelve": {"backup": "no call for it"}},
        shares={"minidb": 1.0, "shelve": 0.5},
        samples={"scan": {"minidb": [2.0], "shelve": [1.0]}, "backup": {"minidb": [3.0]}},
    )
    report.print_table(results, report.summarise(results), {"cores": 2})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["scan", "rows/s", "2", "1", "2.00"] in lines
    assert ["backup", "MB/s", "3", "-", "-"] in lines
    assert ["shelve:", "does", "0.5", "of", "the", "operations;", "no", "backup", "(no", "call", "for", "it)"] in lines


def test_the_page_tells_what_each_workload_does() -> None:
    page = (REPOSITORY / "docs" / "benchmarks.md").read_text()
    section = page.partition("## The workloads")[2].partition("\n## ")[0]
    told = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|", section, re.MULTILINE)
    assert told == [(workload.name, workload.does, workload.unit) for workload in workloads.WORKLOADS]


# --- the rivals agree -------------------------------------------------------------------------------------------------


@contextmanager
def filled(kind: Callable[..., Rival], folder: Path) -> Iterator[tuple[Rival, Plan]]:
    rival = kind(folder, create=True)
    try:
        yield rival, make_plan(ROWS, rival.insert_all(ROWS))
    finally:
        rival.close()


def test_the_rivals_agree(tmp_path: Path) -> None:
    digests = []
    for name in adapters.DEFAULT:
        folder = tmp_path / name
        folder.mkdir()
        with filled(adapters.load_rival(name), folder) as (rival, plan):
            digests.append(check_answers(rival, plan) | check_writes(rival, plan))
            digests.append(check_answers(rival, plan) | check_writes(rival, plan))
            rival.insert_each(plan.count, plan.commits)
            check_inserted(rival, plan)
    assert all(digest == digests[0] for digest in digests)


def test_the_rivals_agree_about_queries_and_what_is_inserted_beside(tmp_path: Path) -> None:
    digests = []
    for name in adapters.DEFAULT:
        folder = tmp_path / name
        folder.mkdir()
        with filled(adapters.load_rival(name), folder) as (rival, plan):
            rival.index_ages()
            digests.append(check_queries(rival, plan))
            insert_from_threads(rival, plan, 8)
            rival.relax()
            rival.insert_each(plan.count, plan.lone_commits)
            check_more_inserts(rival, plan, [plan.shared_commits, plan.lone_commits])
    assert all(digest == digests[0] for digest in digests)


def test_the_rivals_agree_about_queries_by_covering_indexes(tmp_path: Path) -> None:
    digests = []
    for name in adapters.DEFAULT:
        folder = tmp_path / name
        folder.mkdir()
        with filled(adapters.load_rival(name), folder) as (rival, plan):
            rival.cover()
            digests.append(check_queries(rival, plan))
    assert all(digest == digests[0] for digest in digests)


def test_covering_means_that_no_table_is_read(tmp_path: Path) -> None:
    minidb, sqlite = MiniDBAdapter(tmp_path, create=True), SqliteAdapter(tmp_path, create=True)
    minidb.cover()
    sqlite.cover()
    assert minidb._users.find(city=rows.CITIES[0]).explain().tree.startswith("covering index")
    for statement, values in ((BY_CITY, ("x",)), (BY_AGES, (1, 2, 3))):
        steps = sqlite._execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        assert [step[3].split()[3] for step in steps] == ["COVERING"]
    minidb.close()
    sqlite.close()


class ForgetsItsIndex(SqliteAdapter):
    def rows_in_city(self, city: str) -> Sequence[Answer]:
        return super().rows_in_city(city)[1:]


class ReadsAnotherRow(LimitAdapter):
    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        return super().read_each([*ids[:-1], ids[0]])


class ReadsAnotherRowInTransactions(LimitAdapter):
    def read_in_transaction(self, ids: Sequence[int]) -> list[Answer]:
        return super().read_in_transaction([*ids[:-1], ids[0]])


class TouchesHalfOfTheValues(SqliteAdapter):
    def touch_rows_in_city(self, city: str) -> float:
        return super().touch_rows_in_city(city) / 2 - 1


class ScansPartly(SqliteAdapter):
    def scan(self) -> tuple[int, int]:
        count, ages = super().scan()
        return count - 1, ages


class InsertsTooFew(SqliteAdapter):
    def insert_all(self, count: int) -> int:
        return super().insert_all(count - 1)

    def insert_each(self, first: int, count: int) -> None:
        super().insert_each(first, count - 1)


class UpdatesNothing(MiniDBAdapter):
    def update_each(self, changes: Changes) -> None:
        pass


class UpdatesTheFirstOfMany(MiniDBAdapter):
    def update_many(self, changes: Changes) -> None:
        super().update_many(changes[:1])


@pytest.mark.parametrize(
    "kind",
    [
        ForgetsItsIndex,
        ReadsAnotherRow,
        ReadsAnotherRowInTransactions,
        TouchesHalfOfTheValues,
        ScansPartly,
        InsertsTooFew,
        UpdatesNothing,
        UpdatesTheFirstOfMany,
    ],
)
def test_a_rival_that_answers_wrongly_is_found(kind: Callable[..., Rival], tmp_path: Path) -> None:
    # TypeError: no adapter expects None in place of a row.
    with filled(kind, tmp_path) as (rival, plan), pytest.raises((WrongAnswerError, TypeError)):
        check_answers(rival, plan)
        check_writes(rival, plan)


def test_single_inserts_that_are_lost_are_found(tmp_path: Path) -> None:
    with filled(SqliteAdapter, tmp_path) as (rival, plan), pytest.raises(WrongAnswerError):
        check_inserted(rival, plan)


class FindsFewer(SqliteAdapter):
    def find_in_city(self, city: str, limit: int | None = None) -> Sequence[Answer]:
        return super().find_in_city(city, limit)[1:]


class FindsAnotherCityFirst(MiniDBAdapter):
    def find_in_city(self, city: str, limit: int | None = None) -> Sequence[Answer]:
        return super().find_in_city(city if limit is None else rows.CITIES[0], limit)


class CountsOneMore(MiniDBAdapter):
    def count_in_city(self, city: str) -> int:
        return super().count_in_city(city) + 1


class FindsOtherAges(LimitAdapter):
    def find_by_ages(self, low: int, high: int, limit: int) -> Sequence[Answer]:
        return super().find_by_ages(low + 1, high, limit)


class LosesTheOrder(SqliteAdapter):
    def first_by_age(self, limit: int) -> Sequence[Answer]:
        return super().first_by_age(limit)[::-1]


class BeginsAtTheWrongEnd(MiniDBAdapter):
    def last_by_age(self, limit: int) -> Sequence[Answer]:
        return super().first_by_age(limit)


@pytest.mark.parametrize(
    "kind", [FindsFewer, FindsAnotherCityFirst, CountsOneMore, FindsOtherAges, LosesTheOrder, BeginsAtTheWrongEnd]
)
def test_a_rival_that_answers_queries_wrongly_is_found(kind: Callable[..., Rival], tmp_path: Path) -> None:
    with filled(kind, tmp_path) as (rival, plan):
        rival.index_ages()
        with pytest.raises(WrongAnswerError):
            check_queries(rival, plan)


class LosesAThread(SqliteAdapter):
    def insert_beside_others(self, first: int, count: int) -> None:
        if first != ROWS:
            super().insert_beside_others(first, count)


def test_inserts_of_a_thread_that_are_lost_are_found(tmp_path: Path) -> None:
    with filled(LosesAThread, tmp_path) as (rival, plan):
        rival.index_ages()
        insert_from_threads(rival, plan, 8)
        with pytest.raises(WrongAnswerError):
            check_more_inserts(rival, plan, [plan.shared_commits])


def test_rivals_that_answer_differently_are_not_compared() -> None:
    def work(phase: str, *arguments: str) -> dict[str, Any]:  # Any: as the worker's JSON
        rival = arguments[1]
        return (
            {"first_id": 1, "version": rival, "share": 1.0, "lacks": {}, "samples": {}}
            if phase == "fill"
            else {"digests": {"scan": rival}, "samples": {"scan": 1.0}}
        )

    with pytest.raises(WrongAnswerError, match="do not answer alike"):
        measure(rows=ROWS, rounds=1, rivals=["minidb", "sqlite3"], wanted=["scan"], work=work)


# --- the figures ------------------------------------------------------------------------------------------------------


def summary_of(workload: str, **samples: list[float]) -> report.Line:
    results = Results(ROWS, 3, list(samples), [workload], samples={workload: samples})
    (line,) = report.summarise(results)
    return line


def test_ratios_are_taken_within_a_round() -> None:
    # The machine was ten times slower in the last round: that is no reason to call anybody slower.
    line = summary_of("scan", minidb=[200.0, 220.0, 20.0], sqlite3=[100.0, 100.0, 10.0])
    assert line.ratios == {"sqlite3": 2.0}
    assert line.medians == {"minidb": 200.0, "sqlite3": 100.0}


def test_a_ratio_above_one_is_better_where_less_is_better_too() -> None:
    assert summary_of("disk_size", minidb=[5.0], limit=[10.0]).ratios == {"limit": 2.0}
    assert summary_of("scan", minidb=[5.0], limit=[10.0]).ratios == {"limit": 0.5}


def test_without_minidb_there_are_figures_and_no_ratios() -> None:
    line = summary_of("scan", sqlite3=[5.0], limit=[10.0])
    assert (line.medians, line.ratios) == ({"sqlite3": 5.0, "limit": 10.0}, {})


# --- the rows ---------------------------------------------------------------------------------------------------------


def test_rows_are_the_same_however_they_are_asked_for() -> None:
    first, count = rows.POOL_SIZE - 3, 10
    expected = [rows.row(number) for number in range(first, first + count)]
    assert list(rows.tuples(count, first)) == expected
    assert [tuple(one.values()) for one in rows.dictionaries(count, first)] == expected
    assert {tuple(one) for one in rows.dictionaries(1)} == {rows.COLUMNS}


def test_rows_keep_the_rules_of_the_schema_and_spread_over_the_cities() -> None:
    people = list(rows.tuples(rows.POOL_SIZE))
    assert all(1 <= len(name) <= rows.MAX_NAME_LENGTH and age >= 0 for name, age, _, _, _ in people)
    assert {city for _, _, city, _, _ in people} == set(rows.CITIES)
    assert len(set(people)) == rows.POOL_SIZE
