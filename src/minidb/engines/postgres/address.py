"""Where a server is: what a URL says to libpq and to MiniDB, and what of it may be shown.

A URL holds a password, well-formed or not. So nothing of one that cannot be read stands in an error, what is shown is
put together from the parts that hold no secret, and the error of a failed connection is made where psycopg's own error,
whose frames know the password, has been let go of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from minidb.engines.secret import Secret
from minidb.exceptions import InvalidOptionError

SCHEMA_PARAMETER: Final = "minidb_schema"
ISOLATION_PARAMETER: Final = "minidb_isolation"

DEFAULT_SCHEMA: Final = "minidb"
LONGEST_SCHEMA_NAME: Final = 63
"""Bytes. The server would cut a longer name without a word, and two databases would be one."""

DEFAULTS: Final[Mapping[str, str]] = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "application_name": "minidb",
}
"""So that a host which is gone is noticed within seconds. A URL may say otherwise."""

_URL: Final = re.compile(r"(?P<scheme>postgres(?:ql)?)://(?P<place>[^/?]*)(?P<rest>.*)", re.DOTALL)
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]*|/[^,]*")
_PORT: Final = re.compile(r"[0-9]{0,5}")

_UNREADABLE: Final = "The URL of the server cannot be read"
_HINT: Final = (
    "its form is postgresql://user:password@host:5432/name; in user, password and name, characters such as @ : / ? # % "
    "must be percent-encoded"
)


class Address:
    """A server's database, and the schema in it. Its ``repr`` and ``str`` hold no secret."""

    __slots__ = ("_parameters", "_shown", "allows_snapshot_isolation", "schema")

    def __init__(self, parameters: Mapping[str, str], schema: str, *, allows_snapshot_isolation: bool) -> None:
        """``parameters`` are libpq's."""
        self._parameters = parameters
        self._shown = _show(parameters)
        self.schema = schema
        self.allows_snapshot_isolation = allows_snapshot_isolation

    def __repr__(self) -> str:
        return f"{self._shown} schema {self.schema!r}"

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Open a connection. Raises psycopg's errors, whose frames know the password: let go of them."""
        return psycopg.connect(**self._parameters, autocommit=True)  # type: ignore[arg-type]  # all are text, for libpq


def read_address(url: Secret) -> Address:
    """Read a URL. Raises ``InvalidOptionError``, in which nothing of it stands."""
    result = _read(url.reveal())
    if isinstance(result, str):  # raised here, and not where it was found: the frames there know the password
        raise InvalidOptionError(result, hint=_HINT, option="path")
    return result


def _read(url: str) -> Address | str:
    """Return what a URL says, or what is wrong with it."""
    found = _URL.fullmatch(url)
    # An @ behind the place of the server is a sign that a password was not percent-encoded: what libpq would take for a
    # host, a port or a name is then a part of it.
    if found is None or found["place"].count("@") > 1 or "@" in found["rest"]:
        return _UNREADABLE
    path, _, query = found["rest"].partition("?")
    own: dict[str, str] = {}
    others: list[str] = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name in (SCHEMA_PARAMETER, ISOLATION_PARAMETER):
            own[name] = unquote(value)
        else:
            others.append(part)
    try:
        given = conninfo_to_dict(f"postgresql://{found['place']}{path}?{'&'.join(others)}")
    except psycopg.Error:
        return _UNREADABLE
    parameters = {name: str(value) for name, value in given.items()}
    hosts, ports = parameters.get("host", ""), parameters.get("port", "")
    if not all(map(_HOST.fullmatch, hosts.split(","))) or not all(map(_PORT.fullmatch, ports.split(","))):
        return _UNREADABLE
    if "," in hosts:
        parameters.setdefault("target_session_attrs", "read-write")
    schema = own.get(SCHEMA_PARAMETER, DEFAULT_SCHEMA)
    if not schema.isprintable() or not 0 < len(schema.encode(errors="replace")) <= LONGEST_SCHEMA_NAME:
        return f"The {SCHEMA_PARAMETER} in the URL must be printable text of 1 to {LONGEST_SCHEMA_NAME} bytes"
    if schema.startswith("pg_"):
        return f"The {SCHEMA_PARAMETER} in the URL must not begin with pg_, as those of the server itself do"
    isolation = own.get(ISOLATION_PARAMETER, "serializable")
    if isolation not in ("serializable", "snapshot"):
        return f"The {ISOLATION_PARAMETER} in the URL must be serializable or snapshot"
    return Address({**DEFAULTS, **parameters}, schema, allows_snapshot_isolation=isolation == "snapshot")


def _show(parameters: Mapping[str, str]) -> str:
    hosts = parameters.get("hostaddr", parameters.get("host", "")).split(",")
    ports = parameters.get("port", "").split(",")
    if len(ports) != len(hosts):
        ports = ports[:1] * len(hosts)
    places = ",".join(f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=True))
    return f"postgresql://{places}/{parameters.get('dbname', '')}"
