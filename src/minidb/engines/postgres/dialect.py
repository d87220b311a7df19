"""What differs between the servers that speak PostgreSQL's protocol. ``docs/how-to/cluster.md`` shows it to users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from minidb.structs import Struct, field


class Dialect(Struct, frozen=True, kw_only=True):
    """One kind of server."""

    name: str
    """One word, for statistics and messages."""

    key_column: str = "key bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (key)"
    """The columns of a space, so that a range of keys is read in order."""

    lookup_join: str = "LEFT JOIN"
    """How each line of a page is joined to the one that it names, by the key of that one."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """What every session is set to, beside what all dialects are."""

    has_tables_in_transactions: bool = True
    """Whether a table that a transaction makes is gone when that is rolled back. If not, the next one takes it over."""

    has_relaxed_commit: bool = False
    """Whether ``synchronous_commit`` may be turned off."""

    has_predicate_locks: bool = False
    """Whether ``max_pred_locks_per_transaction`` decides how often transactions conflict without a reason."""

    has_standbys: bool = False
    """Whether the server may be one that only follows another, which ``pg_is_in_recovery`` tells."""

    has_size: bool = False
    """Whether the server tells how many bytes a table takes."""

    is_checked_here: bool = False
    """Whether MiniDB's own tests run on such a server. The others are written from their documentation."""


_JOINS_BY_KEY: Final = {
    # Both would read the whole of the table that is joined, wherever they take a page for larger than it is.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

_NO_GUESSING: Final = {
    # A sequential scan locks the whole table against every writer: 53 % of transactions on a table of 200 rows were
    # aborted, and 0.8 % with these.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    # A plan for each value costs more than it finds: every statement here goes by the key.
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}

_NO_GHOSTS: Final = {
    # Of a client whose machine is gone the server hears nothing. By itself it would keep its locks for two hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
}

POSTGRESQL: Final = Dialect(
    name="postgresql",
    settings={**_NO_GUESSING, **_JOINS_BY_KEY, **_NO_GHOSTS},
    has_relaxed_commit=True,
    has_predicate_locks=True,
    has_standbys=True,
    has_size=True,
    is_checked_here=True,
)

COCKROACHDB: Final = Dialect(
    name="cockroachdb",
    lookup_join="LEFT LOOKUP JOIN",  # a hint: it has no settings for that
    has_tables_in_transactions=False,
)

YUGABYTEDB: Final = Dialect(
    name="yugabytedb",
    # Without ASC it would spread keys by their hash, and a range could not be read in order.
    key_column="key bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (key ASC)",
    settings=_JOINS_BY_KEY,  # what is left looks keys up by batches
    has_tables_in_transactions=False,
)

DIALECTS: Final = (POSTGRESQL, COCKROACHDB, YUGABYTEDB)

SMALLEST_VERSION: Final = 140000
"""PostgreSQL 14, as the server tells it."""


def dialect_of(version: str) -> Dialect:
    """Return the dialect of a server by what its ``version()`` says."""
    if "CockroachDB" in version:
        return COCKROACHDB
    if "-YB-" in version or "YugabyteDB" in version:
        return YUGABYTEDB
    return POSTGRESQL
