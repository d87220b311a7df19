"""The page gets what was measured, between its two comments, and can be drawn again of its JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench import adapters, chart, publish, report
from bench.goals import GOALS
from bench.growth import WORKLOADS, compare, table
from bench.run import Results
from bench.workloads import BY_NAME

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def results(rows: int, **per_rival: float) -> Results:
    """Return results in which each rival is as good as this in every workload."""
    samples = {
        name: {rival: [good if workload.is_more_better else 1 / good] * 3 for rival, good in per_rival.items()}
        for name, workload in BY_NAME.items()
    }
    return Results(
        rows,
        3,
        list(per_rival),
        list(BY_NAME),
        versions={rival: f"{rival} 1.0" for rival in per_rival},
        lacks={rival: {"backup": "no call for it"} if rival == "apsw" else {} for rival in per_rival},
        shares=dict.fromkeys(per_rival, 1.0),
        samples=samples,
    )


@pytest.fixture
def document() -> publish.Document:
    measured = results(1000, minidb=3.0, sqlite3=2.0, limit=4.0, apsw=1.0)
    del measured.samples["backup"]["apsw"]
    sizes = [results(10, minidb=3.0, sqlite3=1.0, limit=8.0), results(100, minidb=2.0, sqlite3=1.0, limit=4.0)]
    return {
        "date": "2026-01-02",
        "machine": {"cores": 2, "load": 0.1},
        "results": report.as_document(measured, report.summarise(measured)),
        "sizes": [report.as_document(one, report.summarise(one)) for one in sizes],
    }


def test_the_part_between_the_comments_is_replaced_and_nothing_else(tmp_path: Path, document: publish.Document) -> None:
    (tmp_path / "benchmarks.md").write_text(f"before\n{publish.BEGIN}old figures\n{publish.END}after\n")
    publish.write(document, tmp_path)
    page = (tmp_path / "benchmarks.md").read_text()
    assert page.startswith(f"before\n{publish.BEGIN}")
    assert page.endswith(f"{publish.END}after\n")
    assert "old figures" not in page
    assert "rough" not in page
    assert "Measured on 2026-01-02: cores 2, load 0.1; minidb 1.0, sqlite3 1.0, limit 1.0, apsw 1.0." in page
    assert "| `scan`, rows/s | 3 | 2 | 4 | 1.50 (1.90) | 0.75 (0.70) |" in page
    assert "| `backup`, MB/s | - |" in page
    assert "- apsw: no backup (no call for it)" in page
    assert "| `scan` | 3.00 | 2.00 | 8.00 | 4.00 | 0.38 | 0.50 | 0.67 | 0.50 |" in page

    files = [(tmp_path / f"benchmarks.{kind}").read_text() for kind in ("md", "svg", "json")]
    assert publish.main(["--redraw", "--docs", str(tmp_path)]) == 0
    assert [(tmp_path / f"benchmarks.{kind}").read_text() for kind in ("md", "svg", "json")] == files


def test_a_machine_that_was_not_left_alone_is_told(document: publish.Document) -> None:
    document["machine"]["load"] = 2.5
    assert any("rough" in line for line in publish.page_part(document))


def test_the_page_in_the_docs_is_drawn_of_the_json_beside_it(tmp_path: Path) -> None:
    for kind in ("md", "json"):
        (tmp_path / f"benchmarks.{kind}").write_bytes(PAGE.with_suffix(f".{kind}").read_bytes())
    publish.main(["--redraw", "--docs", str(tmp_path)])
    for kind in ("md", "svg"):
        assert (tmp_path / f"benchmarks.{kind}").read_text() == PAGE.with_suffix(f".{kind}").read_text()


def test_results_come_back_from_json_as_they_were() -> None:
    before = results(1000, minidb=3.0, sqlite3=2.0)
    as_json = json.loads(json.dumps(report.as_document(before, report.summarise(before))))
    after = publish.results_of(as_json)
    assert report.summarise(after) == report.summarise(
        Results(**{**{name: getattr(before, name) for name in before.__slots__}, "samples": after.samples})
    )
    assert after.rows == 1000


def test_growth_sets_what_is_left_of_the_ratios_beside_the_limits() -> None:
    sizes = [results(10, minidb=3.0, sqlite3=1.0, limit=8.0), results(100, minidb=2.0, sqlite3=1.0, limit=4.0)]
    compared = {one.workload: one for one in compare(sizes)}
    assert set(compared) == set(WORKLOADS)
    scan = compared["scan"]
    assert (list(scan.minidb), list(scan.limit), list(scan.of_limit)) == ([3, 2], [8, 4], [3 / 8, 0.5])
    assert (scan.minidb_left, scan.limit_left) == (2 / 3, 0.5)
    assert table(sizes).count("\n") == len(WORKLOADS) + 2


def test_goals_are_of_workloads_and_rivals_that_there_are() -> None:
    assert set(GOALS) <= set(BY_NAME)
    assert {rival for goals in GOALS.values() for rival in goals} <= set(adapters.NAMES)
    assert set(chart.COLOURS) == set(adapters.NAMES) - {chart.BASELINE}
