"""``sslmode=verify-full`` lets in the right server alone, and shows no secret when it lets in none.

Certificates are made here. The server of the wheel speaks no TLS, so a proxy speaks it in front of that; where Debian's
server is installed, it is tried as well.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import trustme
from tests.engines.postgres.disclosure import SECRET, all_that_is_shown
from tests.engines.postgres.proxy import Proxy
from tests.postgres_server import DEBIAN_PROGRAMS, Server, running_server

from minidb import MiniDB, Row
from minidb.exceptions import EngineUnavailableError

SERVERS = ["proxy", "debian"] if DEBIAN_PROGRAMS.exists() else ["proxy"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.slow) for name in SERVERS])
def port(request: pytest.FixtureRequest, authority: trustme.CA, postgres_server: Server) -> Iterator[int]:
    """Where a server of the name ``localhost`` speaks TLS."""
    certificate = authority.issue_cert("localhost")
    with ExitStack() as stack:
        if request.param == "proxy":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            yield stack.enter_context(closing(Proxy(postgres_server.port, tls=context))).port
        else:
            files = {
                "server.crt": b"".join(part.bytes() for part in certificate.cert_chain_pems),
                "server.key": certificate.private_key_pem.bytes(),
            }
            yield stack.enter_context(running_server(programs=DEBIAN_PROGRAMS, files=files, ssl="on")).port


@pytest.fixture
def root(authority: trustme.CA, tmp_path: Path) -> Path:
    """The file of the authority that the server's certificate is from."""
    path = tmp_path / "root.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def url(port: int, root: Path, *, host: str = "localhost", mode: str = "verify-full") -> str:
    place = f"postgres:{SECRET}@{host}:{port}/postgres"
    return f"postgresql://{place}?sslmode={mode}&sslrootcert={root}&minidb_schema=tls_{port}"


def refusal_of(place: str, caplog: pytest.LogCaptureFixture) -> EngineUnavailableError:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(EngineUnavailableError) as refused:
        MiniDB(place)
    assert SECRET not in all_that_is_shown(refused.value)
    assert SECRET not in caplog.text
    return refused.value


def test_the_right_server_is_let_in_and_speaks_tls(port: int, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with MiniDB(url(port, root), durability="none") as database:
        row_id = database.create_table("t", if_not_exists=True).insert(Row(n=1, text="x" * 3_000_000))
        assert len(database.get_table("t").query(row_id).text) == 3_000_000
        session = database.engine._connections._idle[-1]  # type: ignore[attr-defined]  # of this engine
        assert session._connection.pgconn.ssl_in_use
        assert SECRET not in repr(database) + database.location
        database.drop_table("t")
    assert SECRET not in caplog.text


def test_a_server_of_another_name_is_refused(port: int, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    refused = refusal_of(url(port, root, host="127.0.0.1"), caplog)
    assert "certificate" in (refused.hint or "")
    MiniDB(url(port, root, host="127.0.0.1", mode="verify-ca"), durability="none").close()  # nothing else was wrong


def test_a_certificate_of_another_authority_is_refused(
    port: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    refused = refusal_of(url(port, other), caplog)
    assert "certificate" in (refused.hint or "")
    MiniDB(url(port, Path("/no/such/file"), mode="require"), durability="none").close()  # the same


def test_a_server_without_tls_is_refused(postgres_server: Server, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert "TLS" in (refusal_of(url(postgres_server.port, root), caplog).hint or "")
