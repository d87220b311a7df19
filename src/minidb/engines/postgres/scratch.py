"""Databases for a while: each in a schema of its own, which is dropped at the end. The conformance suite fills them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from minidb.engines.postgres.address import read_address
from minidb.engines.postgres.connections import Connections
from minidb.engines.postgres.engine import PostgresEngine
from minidb.engines.postgres.statements import Statements
from minidb.engines.secret import Secret
from minidb.options import Options


@contextmanager
def scratch_engines(url: Secret, options: Options) -> Iterator[Callable[[], PostgresEngine]]:
    """Yield what opens a new and empty engine each time, in a new schema of the URL's database.

    The schema that the URL itself names is not touched. At the end all are dropped, in which any lock is waited for no
    longer than ``write_timeout_s``. Raises what opening raises.
    """
    address = read_address(url)
    connections = Connections(address, options)
    mark = uuid.uuid4().hex[:12]
    schemas: list[str] = []

    def open_next() -> PostgresEngine:
        schemas.append(f"minidb_conformance_{mark}_{len(schemas)}")
        return PostgresEngine(url, options, schema=schemas[-1])

    try:
        yield open_next
    finally:
        try:
            if schemas:
                connection = connections.open()
                for schema in schemas:
                    connection.run_alone(Statements(connection.dialect, schema).drop_schema)
        finally:
            connections.close()
