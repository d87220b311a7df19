import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidb import MiniDB, Row
from minidb.exceptions import InvalidOptionError


@pytest.fixture(params=["memory", "file"])
def location(request: pytest.FixtureRequest, database_path: Path) -> str:
    return ":memory:" if request.param == "memory" else str(database_path)


@pytest.fixture
def hasty(location: str) -> Iterator[MiniDB]:
    """A database that warns of every snapshot, however young."""
    with MiniDB(location, snapshot_warning_s=0) as database:
        database.create_table("people").insert_many([Row(name="Ada"), Row(name="Bob")])
        yield database


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "minidb.transaction"]


def test_a_read_transaction_that_was_open_for_too_long_is_told_of_at_its_end(
    hasty: MiniDB, caplog: pytest.LogCaptureFixture
) -> None:
    with hasty.begin_transaction(read_only=True):
        assert warnings(caplog) == []
    [record] = warnings(caplog)
    assert record.levelno == logging.WARNING
    assert f"{__file__}:" in record.getMessage()
    assert vars(record)["began_at"].startswith(__file__)
    assert vars(record)["thread_of_snapshot"] == "MainThread"
    assert vars(record)["age_s"] >= 0


def test_it_is_told_of_once_also_where_the_figures_were_asked_before(
    hasty: MiniDB, caplog: pytest.LogCaptureFixture
) -> None:
    with hasty.begin_transaction(read_only=True):
        hasty.stats()
        assert "is open" in warnings(caplog)[0].getMessage()
        hasty.stats()
    assert len(warnings(caplog)) == 1


def test_an_unfinished_iteration_is_told_of_with_the_line_of_its_loop(
    hasty: MiniDB, caplog: pytest.LogCaptureFixture
) -> None:
    rows = iter(hasty.get_table("people"))
    next(rows)
    assert hasty.stats()["open_snapshots"] == 1
    del rows
    assert hasty.stats()["open_snapshots"] == 0
    [record] = warnings(caplog)
    assert vars(record)["began_at"].startswith(__file__)


def test_single_calls_and_write_transactions_are_not_told_of(hasty: MiniDB, caplog: pytest.LogCaptureFixture) -> None:
    people = hasty.get_table("people")
    people.get(1)
    people.count()
    with hasty.begin_transaction():
        people.insert(Row(name="Eve"))
    assert warnings(caplog) == []


@pytest.mark.parametrize("limit_s", [3600, None])
def test_the_young_ones_are_not_told_of_but_counted(
    location: str, limit_s: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    with MiniDB(location, snapshot_warning_s=limit_s) as database:
        assert (database.stats()["open_snapshots"], database.stats()["oldest_snapshot_age_s"]) == (0, 0)
        with database.begin_transaction(read_only=True), database.begin_transaction(read_only=True):
            figures = database.stats()
        assert figures["open_snapshots"] == 1  # the inner one is the same snapshot
        assert figures["oldest_snapshot_age_s"] >= 0
        assert database.stats()["open_snapshots"] == 0
    assert warnings(caplog) == []


@pytest.mark.parametrize("limit_s", [-1, float("inf"), "60", True])
def test_a_limit_that_cannot_be_is_refused(limit_s: float) -> None:
    with pytest.raises(InvalidOptionError) as refused:
        MiniDB(":memory:", snapshot_warning_s=limit_s)
    assert refused.value.option == "snapshot_warning_s"
