"""The settings of an open database: default, unit and consequence of each. Frozen once a database is open."""

from __future__ import annotations

from typing import Literal, get_args

from minidb.exceptions import InvalidOptionError
from minidb.structs import Struct

Durability = Literal["full", "relaxed", "none"]


class Options(Struct, frozen=True, kw_only=True):
    """How a database is opened. Every field may be given to ``MiniDB(path, …)`` by its name.

    Raises ``InvalidOptionError`` naming the option when a value cannot be.
    """

    max_connections: int = 10
    """At most so many operations and transactions run at once; the next caller waits. At least 1."""

    pool_timeout_s: float = 30.0
    """Seconds that a caller waits for a connection before ``PoolTimeoutError``. 0 refuses at once."""

    write_timeout_s: float = 30.0
    """Seconds that a writer waits for another one, of any process, before ``WriteTimeoutError``. 0 refuses at once."""

    durability: Durability = "full"
    """What a commit waits for. ``"full"``: nothing acknowledged is lost, also when the power fails. ``"relaxed"``: a
    power failure may lose the commits of the last half second, and damages nothing; a crash of the program loses
    nothing. ``"none"``: a power failure may damage the whole database, a crash of the program loses nothing; for data
    that can be made again. ``db.sync()`` makes all safe that came before it.
    """

    commit_log: bool = True
    """Write commits to a log first, so that each costs one flush in place of two, and ``"relaxed"`` ones none. It takes
    some tens of megabytes more on the disk. ``False`` ends the log when nobody else has the database open.
    """

    read_only: bool = False
    """Refuse every write with ``ReadOnlyError``. A database that is not there is not created."""

    create: bool = True
    """Create the database when it is absent. ``False`` raises ``EngineUnavailableError`` instead."""

    max_size_bytes: int | None = None
    """Bytes that the data may take on disk, then ``StorageFullError``. None: as much as the disk holds.

    An eighth of them is kept for deleting, so that a full database can be emptied: at least 256 KiB, but no more than
    half.
    """

    slow_query_ms: float | None = None
    """Milliseconds after which a query is logged to ``minidb.query``. None: never."""

    snapshot_warning_s: float | None = 60.0
    """Seconds after which a read transaction, or an unfinished iteration, is told of in a warning to
    ``minidb.transaction``: when it ends, or when ``stats`` is asked. None: never. While one is open the file grows.
    """

    allow_network_file_system: bool = False
    """Open a folder on NFS, SMB or the like all the same. Their locks cannot be relied on: one machine only."""

    def __post_init__(self) -> None:
        _require_integer("max_connections", self.max_connections, minimum=1)
        _require_seconds("pool_timeout_s", self.pool_timeout_s)
        _require_seconds("write_timeout_s", self.write_timeout_s)
        if self.durability not in get_args(Durability):
            raise InvalidOptionError("The option durability must be 'full', 'relaxed' or 'none'", option="durability")
        if self.max_size_bytes is not None:
            _require_integer("max_size_bytes", self.max_size_bytes, minimum=MIN_SIZE_BYTES)
        if self.slow_query_ms is not None:
            _require_seconds("slow_query_ms", self.slow_query_ms)
        if self.snapshot_warning_s is not None:
            _require_seconds("snapshot_warning_s", self.snapshot_warning_s)


MIN_SIZE_BYTES = 256 * 1024
"""A database smaller than this could not hold its own catalog and a spare page for deletes."""


def _require_integer(option: str, value: object, *, minimum: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise InvalidOptionError(f"The option {option} must be an integer of at least {minimum}", option=option)


def _require_seconds(option: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise InvalidOptionError(f"The option {option} must be a finite number of at least 0", option=option)
