"""A standby serves snapshots that are declared stale, and no writes; of several hosts the right one is found."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from tests.postgres_server import Server, running_server, running_standby

from minidb import MiniDB, Row
from minidb.exceptions import EngineUnavailableError, ReadOnlyError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def primary() -> Iterator[Server]:
    with running_server(wal_level="replica", max_wal_senders="4", synchronous_commit="remote_apply") as server:
        yield server


@pytest.fixture(scope="module")
def standby(primary: Server) -> Iterator[Server]:
    with running_standby(primary) as server:
        with primary.connect() as connection:
            # So that a commit waits until the standby shows it: a test knows when to look.
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
            while not connection.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone():
                pass
        yield server
        with primary.connect() as connection:
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            connection.execute("SELECT pg_reload_conf()")


@pytest.fixture
def schema(primary: Server, standby: Server) -> Iterator[str]:
    assert standby.port != primary.port
    name = f"test_{uuid.uuid4().hex}"
    with MiniDB(primary.url(name)) as database:
        database.create_table("t").insert(Row(n=1))
    yield name
    primary.drop(name)


def both(first: Server, second: Server, schema: str, more: str = "") -> str:
    hosts = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
    return f"postgresql://postgres@{hosts}/postgres?minidb_schema={schema}{more}"


def test_a_standby_serves_reads(standby: Server, schema: str) -> None:
    with MiniDB(standby.url(schema), read_only=True) as database:
        table = database.get_table("t")
        assert table.query(1).n == 1
        assert [row.n for row in table.scan()] == [1]
        with database.begin_transaction(read_only=True):
            assert table.count() == 1


def test_a_snapshot_of_a_standby_does_not_change_while_its_primary_does(
    primary: Server, standby: Server, schema: str
) -> None:
    with MiniDB(primary.url(schema)) as writer, MiniDB(standby.url(schema), read_only=True) as reader:
        with reader.begin_transaction(read_only=True):
            assert reader.get_table("t").count() == 1
            writer.get_table("t").insert(Row(n=2))
            assert reader.get_table("t").count() == 1
        assert reader.get_table("t").count() == 2


def test_a_standby_sees_tables_that_its_primary_makes(primary: Server, standby: Server, schema: str) -> None:
    with MiniDB(primary.url(schema)) as writer, MiniDB(standby.url(schema), read_only=True) as reader:
        assert reader.table_names() == ["t"]
        writer.create_table("u").insert(Row(n=7))
        assert reader.get_table("u").query(1).n == 7
        writer.drop_table("u")
        assert reader.table_names() == ["t"]


def test_a_standby_is_declared_to_serve_stale_snapshots(primary: Server, standby: Server, schema: str) -> None:
    for server, is_standby in ((standby, True), (primary, False)):
        with MiniDB(server.url(schema), read_only=True) as database:
            assert database.engine.capabilities.is_stale is is_standby
            assert database.stats()["is_stale"] is is_standby


@pytest.mark.parametrize("read_only", [True, False])
def test_a_standby_takes_no_writes(standby: Server, schema: str, read_only: bool) -> None:
    with MiniDB(standby.url(schema), read_only=read_only) as database:
        with pytest.raises(ReadOnlyError):
            database.get_table("t").insert(Row(n=2))
        with pytest.raises(ReadOnlyError):
            database.create_table("u")
        assert database.get_table("t").count() == 1


def test_a_standby_makes_no_database(standby: Server) -> None:
    with pytest.raises(EngineUnavailableError, match="no database in schema"):
        MiniDB(standby.url("absent"))


def test_of_several_hosts_that_is_found_which_takes_writes(primary: Server, standby: Server, schema: str) -> None:
    for first, second in ((primary, standby), (standby, primary)):
        with MiniDB(both(first, second, schema)) as database:
            database.get_table("t").insert(Row(n=2))
            assert not database.engine.capabilities.is_stale


def test_of_several_hosts_a_standby_is_found_where_one_is_asked_for(
    primary: Server, standby: Server, schema: str
) -> None:
    url = both(primary, standby, schema, "&target_session_attrs=prefer-standby")
    with MiniDB(url, read_only=True) as database:
        assert database.engine.capabilities.is_stale
        assert database.get_table("t").count() == 1


def test_no_host_that_takes_writes_is_an_error(standby: Server, schema: str) -> None:
    with pytest.raises(EngineUnavailableError, match="cannot be connected to"):
        MiniDB(both(standby, standby, schema))


def test_a_standby_that_was_promoted_takes_writes() -> None:
    with running_server(wal_level="replica", max_wal_senders="4") as first:
        with MiniDB(first.url()) as database:
            database.create_table("t").insert(Row(n=1))
        with running_standby(first) as second, MiniDB(second.url()) as database:
            table = database.get_table("t")
            with pytest.raises(ReadOnlyError):
                table.insert(Row(n=2))
            with second.connect() as connection:
                connection.execute("SELECT pg_promote()")
            table.insert(Row(n=2))
            assert table.count() == 2
