"""No password is shown: not by an error, its causes, a log, a repr, nor by what is local in a traceback."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from tests.engines.postgres.disclosure import SECRET, all_that_is_shown
from tests.postgres_server import Server

from minidb import MiniDB
from minidb.engines.postgres.address import Address, read_address
from minidb.engines.secret import Secret
from minidb.exceptions import EngineUnavailableError, InvalidOptionError, MiniDBError, TableNotFoundError

MALFORMED = [
    "postgresql://user:{}@host@other/name",
    "postgresql://user:{}/part@host/name",
    "postgresql://user:123/{}@host/name",
    "postgresql://user:a?{}@host/name",
    "postgresql://user:{}%zz@host/name",
    "postgresql://user:%00{}@host/name",
    "postgresql://user:x@host:{}/name",
    "postgresql://user:x@{} host/name",
    "postgresql://user:x@host/name?{}=1",
    "postgresql://user:x@host/name?password={}@host",
    "postgresql://user:x@host/name?minidb_schema=pg_{}",
    "postgresql://user:x@host/name?minidb_isolation={}",
    "postgresql://user:x@host/name?minidb_schema=" + "x" * 64 + "{}",
    "postgresql://user:x@[{}/name",
    "postgresql:/user:{}@host/name",
    "postgresql:user:{}@host/name",
    "postgres:{}",
    " postgresql://user:{}@host/name",
    "POSTGRESQL://user:{}@host/name",
    "mysql://user:{}@host/name",
    "  https://user:{}@host/name",
]

UNREACHABLE = [
    "postgresql://user:{}@127.0.0.1:1/name",
    "postgresql://user:{}@127.0.0.1:1,127.0.0.1:2/name",
    "postgresql://user@127.0.0.1:1/name?password={}",
    "postgresql://127.0.0.1:1/name?user=user&password={}&sslmode=require&sslpassword={}",
    "postgresql://user:{}@no-such-host.invalid/name",
    "postgresql://user:{}@host:99999/name",
    "postgresql://user:{}@127.0.0.1:1/name?sslmode=nonsense",
    "postgresql://user:{}@127.0.0.1:1/name?connect_timeout=nonsense",
    "postgresql://user:{}@127.0.0.1:1/name?sslrootcert=/no/such/file&sslmode=verify-full",
    "postgresql://{}@/name?host=/no/such/folder",
]


def try_to_open(url: str, **options: Any) -> MiniDBError:
    with pytest.raises((InvalidOptionError, EngineUnavailableError)) as refused:
        MiniDB(url, **options)
    return refused.value


@pytest.mark.parametrize("form", MALFORMED)
def test_a_malformed_url_shows_nothing_of_itself(form: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = try_to_open(form.replace("{}", SECRET))
    assert isinstance(error, InvalidOptionError)
    assert SECRET not in all_that_is_shown(error)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("form", UNREACHABLE)
def test_a_server_that_cannot_be_reached_is_told_without_its_password(
    form: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    error = try_to_open(form.replace("{}", SECRET))
    assert isinstance(error, EngineUnavailableError)
    shown = all_that_is_shown(error)
    assert SECRET not in shown.replace(f"role {SECRET}", "")
    assert SECRET not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("minidb"))


def test_a_bad_option_shows_nothing_of_the_url() -> None:
    assert SECRET not in all_that_is_shown(try_to_open(f"postgresql://user:{SECRET}@host/name", max_connections=0))


def test_the_harness_sees_a_secret_that_is_local() -> None:
    """The negative control."""
    namespace: dict[str, Any] = {"InvalidOptionError": InvalidOptionError}
    exec(compile("def leak(url):\n    raise InvalidOptionError('x')", "elsewhere.py", "exec"), namespace)  # noqa: S102
    with pytest.raises(InvalidOptionError) as refused:
        namespace["leak"](SECRET)
    assert SECRET in all_that_is_shown(refused.value)


def test_an_open_database_shows_no_password(
    postgres_url: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with MiniDB(postgres_url.replace("postgres@", f"postgres:{SECRET}@"), durability="none") as database:
        table = database.create_table("t")
        table.insert({"a": 1})
        shown = [repr(database), database.location, repr(database.stats()), repr(database.engine), repr(table)]
        with pytest.raises(TableNotFoundError) as refused:
            database.get_table("absent")
        shown.append(all_that_is_shown(refused.value))
        assert database.location.startswith("postgresql://127.0.0.1:")
    assert SECRET not in "".join(shown) + caplog.text + "".join(capsys.readouterr())


def test_the_location_names_hosts_ports_name_and_schema_alone() -> None:
    def shown(url: str) -> str:
        return str(read_address(Secret(url)))

    assert shown("postgresql://me:x@db.example:5433/shop") == "postgresql://db.example:5433/shop schema 'minidb'"
    assert shown("postgres://h1:1,h2:2/n?minidb_schema=a%20b") == "postgresql://h1:1,h2:2/n schema 'a b'"
    assert shown("postgresql://[::1]:5432/n") == "postgresql://::1:5432/n schema 'minidb'"
    assert shown("postgresql:///n?host=/run/postgresql") == "postgresql:///run/postgresql/n schema 'minidb'"


def test_parameters_of_tls_and_of_several_hosts_reach_libpq() -> None:
    address: Address = read_address(
        Secret("postgresql://me@h1,h2/n?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/me.pem&sslkey=/me.key")
    )
    given = address._parameters
    assert {name: given[name] for name in ("sslmode", "sslrootcert", "sslcert", "sslkey", "target_session_attrs")} == {
        "sslmode": "verify-full",
        "sslrootcert": "/ca.pem",
        "sslcert": "/me.pem",
        "sslkey": "/me.key",
        "target_session_attrs": "read-write",
    }
    assert given["connect_timeout"] == "5"
    assert read_address(Secret("postgresql://h/n?connect_timeout=2"))._parameters["connect_timeout"] == "2"


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(postgres_url: str) -> None:
    with pytest.raises(EngineUnavailableError) as refused:
        MiniDB(postgres_url + "&sslmode=require")
    assert re.search("TLS", refused.value.hint or "")


def test_a_wrong_password_is_said_to_be_one(postgres_server: Server) -> None:
    with pytest.raises(EngineUnavailableError, match="cannot be connected to") as refused:
        MiniDB(postgres_server.url("x").replace("/postgres?", "/absent?"))
    assert refused.value.sqlstate in {"3D000", None}
