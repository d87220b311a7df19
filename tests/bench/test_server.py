"""The benchmark of a server runs, and leaves nothing behind."""

from __future__ import annotations

from bench.server import SCHEMA_NAME, measure
from tests.postgres_server import Server


def test_each_kind_of_work_is_measured(postgres_server: Server) -> None:
    url = postgres_server.url().partition("?")[0]
    results = measure(url, rows_count=50, rounds=2)
    assert [one.work.partition(" ")[0] for one in results] == ["read", "write", "insert"]
    assert all(one.minidb_s > 0 and one.by_hand_s > 0 and one.ratio > 0 for one in results)
    with postgres_server.connect() as connection:
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (SCHEMA_NAME,)).fetchone()
        assert found is None
