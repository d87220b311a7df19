"""What every test shares: a place for a database, hypothesis without a clock, and ``--no-skips``."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.postgres_server import Server

# A deadline would make a test fail because the machine was busy, which says nothing about the code.
settings.register_profile("minidb", deadline=None, print_blob=True)
settings.register_profile("quick", parent=settings.get_profile("minidb"), max_examples=20)
settings.load_profile("minidb")


@pytest.fixture
def database_path(tmp_path: Path) -> Path:
    """A folder for a database that is not there yet, gone after the test."""
    return tmp_path / "database"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server, started for the first test that asks for it."""
    from tests.postgres_server import running_server  # here: it costs much, and most runs of single tests need none

    with running_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Server) -> Iterator[str]:
    """The URL of a database on a server that is not there yet, gone after the test."""
    schema = f"test_{uuid.uuid4().hex}"
    yield postgres_server.url(schema)
    postgres_server.drop(schema)


ON_A_SERVER_IN_EVERY_RUN = {"test_transaction", "test_retry"}
"""Of the tests that run at each kind of place, those that show most of a server. The others are slow there."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "ha" not in config.option.markexpr.split():  # a cluster is started for who asks for one only
        items[:] = [item for item in items if item.get_closest_marker("ha") is None]
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if parameters.get("location") == "postgresql" and item.path.stem not in ON_A_SERVER_IN_EVERY_RUN:
            item.add_marker(pytest.mark.slow)


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
