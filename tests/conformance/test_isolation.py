"""The checks of isolation find what a weaker isolation lets through, and nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.postgres_server import Server

from minidb.engines.postgres.engine import PostgresEngine
from minidb.engines.postgres.statements import Statements
from minidb.engines.secret import Secret
from minidb.options import Options
from minidb.testing.isolation import ISOLATION_CHECKS


@pytest.fixture
def urls(postgres_server: Server) -> Iterator[list[str]]:
    """A URL for each check."""
    schemas = [f"test_{uuid.uuid4().hex}" for _ in ISOLATION_CHECKS]
    yield [postgres_server.url(schema) for schema in schemas]
    for schema in schemas:
        postgres_server.drop(schema)


def ask_for_less(monkeypatch: pytest.MonkeyPatch, isolation: str) -> None:
    """Let the engine ask its server for another isolation than it needs."""
    make = Statements.__init__

    def make_weaker(self: Statements, *arguments: Any) -> None:
        make(self, *arguments)
        self.begin_write = self.begin_write.replace("SERIALIZABLE", isolation)
        self.begin_read = self.begin_read.replace("SERIALIZABLE", isolation)

    monkeypatch.setattr(Statements, "__init__", make_weaker)


def names_of_failed_checks(urls: list[str], suffix: str = "") -> set[str]:
    failed = set()
    for url, check in zip(urls, ISOLATION_CHECKS, strict=True):
        with closing(PostgresEngine(Secret(url + suffix), Options(durability="none"))) as engine:
            try:
                check(engine)
            except AssertionError:
                failed.add(check.__name__)
    return failed


WRITE_SKEW = {
    "check_g1c_circular_information_flow",
    "check_g2_item_write_skew",
    "check_g2_write_skew_of_a_predicate",
    "check_g2_of_two_writers_and_a_reader",
}


def test_a_server_that_accepts_write_skew_is_found(urls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ask_for_less(monkeypatch, "REPEATABLE READ")
    assert names_of_failed_checks(urls) == WRITE_SKEW


def test_a_server_that_is_declared_to_accept_write_skew_passes(
    urls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for_less(monkeypatch, "REPEATABLE READ")
    assert names_of_failed_checks(urls, "&minidb_isolation=snapshot") == set()


def test_a_server_without_snapshots_is_found_also_where_write_skew_is_declared(
    urls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for_less(monkeypatch, "READ COMMITTED")
    assert names_of_failed_checks(urls, "&minidb_isolation=snapshot") >= {
        "check_p4_lost_update",
        "check_g_single_read_skew",
    }
