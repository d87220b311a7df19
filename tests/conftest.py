"""What every test shares: a place for a database, hypothesis without a clock, and ``--no-skips``."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# A deadline would make a test fail because the machine was busy, which says nothing about the code.
settings.register_profile("minidb", deadline=None, print_blob=True)
settings.load_profile("minidb")


@pytest.fixture
def database_path(tmp_path: Path) -> Path:
    """A folder for a database that is not there yet, gone after the test."""
    return tmp_path / "database"


# --- --no-skips -------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips",
        action="store_true",
        help="count each skipped, xfailed or uncollected test as failed (CI skips nothing)",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report, collector.config)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport, config: pytest.Config) -> None:
    """Turn a report of a skip, or of an expected failure, into one of a failure."""
    if report.skipped and config.getoption("--no-skips"):
        reason = getattr(report, "wasxfail", None) or report.longreprtext
        report.outcome = "failed"
        report.longrepr = f"skipped, and --no-skips allows none: {reason}"
        # With it, pytest would count the test as "xfailed" all the same.
        vars(report).pop("wasxfail", None)
