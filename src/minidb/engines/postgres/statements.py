"""Every statement that the engine sends, for one dialect and one schema.

Names are identifiers made by ``psycopg.sql``; values are parameters, ``$1`` and so on, sent in binary. Each name is
qualified by the schema, and the search path holds the server's own functions alone, so that nobody's table or function
is taken for another one.

    state    := (generation, next_space)      one row: raised with each change of the spaces or the catalog
    spaces   := name -> number                 the table of a space is space_<number>
    dropped  := number -> when                 tables that older snapshots may still read; removed later
    ids      := space -> next                  the next id to allot
    marks    := name -> value                  the format, and the server that was found to be serializable
    commits  := token -> 1, or 0 for never      the commits that may be asked for
    probe    := key -> value                   empty but for the moments of a probe
    space_n  := key -> value

Every name and column is stored on the server: never rename.
"""

from __future__ import annotations

from typing import Final

from psycopg import sql

from minidb.engines.port import Reference
from minidb.engines.postgres.dialect import Dialect

FORMAT: Final = "1"  # Stored on the server: raise it when what is stored changes.


_SHORT: Final = "get_byte(key, length(key) - 1)"
_LONG: Final = "(256 * get_byte(key, length(key) - 3) + get_byte(key, length(key) - 2))"
_REFERRED_KEY: Final = {
    Reference.VALUE: "value",
    Reference.KEY_END: (
        f"CASE WHEN {_SHORT} < 255 THEN substr(key, length(key) - {_SHORT}, {_SHORT}) "
        f"ELSE substr(key, length(key) - 2 - {_LONG}, {_LONG}) END"
    ),
}
"""The key that a pair refers to, as an expression."""


class SpaceStatements:
    """The statements on one space. Keys of pages are those of ``[start, stop)``."""

    __slots__ = (
        "_lookup_join",
        "_table",
        "clear",
        "count",
        "delete",
        "get",
        "get_many",
        "insert",
        "newest",
        "number",
        "put",
    )

    def __init__(self, dialect: Dialect, schema: str, number: int) -> None:
        self.number = number
        self._lookup_join = dialect.lookup_join
        self._table = table = _name(schema, f"space_{number}")
        pairs = "FROM unnest($1::bytea[], $2::bytea[]) AS new (key, value)"
        self.get = f"SELECT value FROM {table} WHERE key = $1"  # noqa: S608  # here and below: names made by psycopg.sql
        self.newest = f"SELECT generation, (SELECT value FROM {table} WHERE key = $1) FROM {_name(schema, 'state')}"  # noqa: S608
        self.get_many = f"SELECT key, value FROM {table} WHERE key = ANY($1::bytea[])"  # noqa: S608
        self.count = f"SELECT count(*) FROM {table}"  # noqa: S608
        self.insert = f"INSERT INTO {table} (key, value) SELECT key, value {pairs}"
        self.put = f"{self.insert} ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        self.delete = f"DELETE FROM {table} WHERE key = ANY($1::bytea[])"  # noqa: S608
        self.clear = f"DELETE FROM {table}"  # noqa: S608

    def page(self, columns: str, *, reverse: bool, has_stop: bool) -> str:
        """Return what reads a page of a scan. Its parameters: the start, the stop if there is one, and the length."""
        inside, length = ("key >= $1 AND key < $2", "$3") if has_stop else ("key >= $1", "$2")
        order = "key DESC" if reverse else "key"
        return f"SELECT {columns} FROM {self._table} WHERE {inside} ORDER BY {order} LIMIT {length}::bigint"  # noqa: S608

    def joined_page(self, joined: SpaceStatements, reference: Reference, *, reverse: bool, has_stop: bool) -> str:
        """Return what reads a page with what its pairs refer to in another space. Its parameters are those of ``page``.

        The page is cut before it is joined, and each line of it finds its other half by the key.
        """
        page = self.page(f"key, {_REFERRED_KEY[reference]} AS referred", reverse=reverse, has_stop=has_stop)
        return (
            f"SELECT entry.key, entry.referred, found.value FROM ({page}) AS entry "  # noqa: S608
            f"{self._lookup_join} {joined._table} AS found ON found.key = entry.referred "
            f"ORDER BY entry.key{' DESC' if reverse else ''}"
        )


class Statements:
    """The statements on one database. Immutable."""

    def __init__(self, dialect: Dialect, schema: str) -> None:
        self.dialect = dialect
        self.schema = schema
        state, spaces, dropped = _name(schema, "state"), _name(schema, "spaces"), _name(schema, "dropped")
        ids, marks, probe = _name(schema, "ids"), _name(schema, "marks"), _name(schema, "probe")
        commits = _name(schema, "commits")
        self.begin_write = "BEGIN ISOLATION LEVEL SERIALIZABLE"
        self.begin_read = "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"
        # A standby knows nothing of the conflicts on its primary, and refuses to be serializable.
        self.begin_read_on_standby = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        self.read_state = f"SELECT generation, next_space FROM {state}"  # noqa: S608  # as above
        self.commit = "COMMIT"

        self.spaces = f"SELECT name, number FROM {spaces}"  # noqa: S608
        self.raise_generation = (
            f"UPDATE {state} SET generation = generation + $1::bigint, next_space = next_space + $2::bigint"  # noqa: S608  # as above
        )
        self.add_space = f"INSERT INTO {spaces} (name, number) VALUES ($1::text, $2::bigint)"  # noqa: S608
        self.remove_space = f"DELETE FROM {spaces} WHERE name = $1::text"  # noqa: S608
        self.note_dropped = f"INSERT INTO {dropped} (number, dropped_at) VALUES ($1::bigint, now())"  # noqa: S608
        self.forget_ids = f"DELETE FROM {ids} WHERE space = $1::text"  # noqa: S608
        self.long_dropped = f"SELECT number FROM {dropped} WHERE dropped_at < now() - $1::bigint * interval '1 second'"  # noqa: S608
        self.forget_dropped = f"DELETE FROM {dropped} WHERE number = $1::bigint"  # noqa: S608

        self.begin_read_committed = "BEGIN ISOLATION LEVEL READ COMMITTED"
        # A commit that is waited for, with all that is before it in the log.
        self.flush = (
            ("BEGIN", "SET LOCAL synchronous_commit = on", "SELECT pg_current_xact_id()", "COMMIT")
            if dialect.has_relaxed_commit
            else None
        )
        self.allot_ids = (
            f"INSERT INTO {ids} AS known (space, next) VALUES ($1::text, 1 + $2::bigint) "  # noqa: S608
            "ON CONFLICT (space) DO UPDATE SET next = known.next + $2::bigint RETURNING next"
        )

        self.note_commit = f"INSERT INTO {commits} (key, value) VALUES ($1, $2)"  # noqa: S608  # as above
        # Written also where it is found, so that whoever commits this has waited for what it found.
        self.settle_commit = (
            f"INSERT INTO {commits} AS known (key, value) VALUES ($1, $2) "  # noqa: S608
            "ON CONFLICT (key) DO UPDATE SET value = known.value RETURNING value"
        )
        self.forget_commits = f"DELETE FROM {commits} WHERE key < $1"  # noqa: S608

        self.read_marks = f"SELECT name, value FROM {marks}"  # noqa: S608
        self.set_mark = (
            f"INSERT INTO {marks} (name, value) VALUES ($1::text, $2::text) "  # noqa: S608
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        )
        self.size = (
            "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE relkind = 'r' "
            "AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1::text)"
            if dialect.has_size
            else None
        )
        self.is_laid_out = (
            "SELECT EXISTS (SELECT FROM information_schema.schemata WHERE schema_name = $1::text), "
            "EXISTS (SELECT FROM information_schema.tables WHERE table_schema = $1::text AND table_name = 'marks')"
        )
        self.make_schema = f"CREATE SCHEMA {_name(schema)}"
        self.drop_schema = f"DROP SCHEMA IF EXISTS {_name(schema)} CASCADE"
        self.lay_out = (
            f"CREATE TABLE {state} (generation bigint NOT NULL, next_space bigint NOT NULL)",
            f"CREATE TABLE {spaces} (name text NOT NULL PRIMARY KEY, number bigint NOT NULL)",
            f"CREATE TABLE {dropped} (number bigint NOT NULL PRIMARY KEY, dropped_at timestamptz NOT NULL)",
            f"CREATE TABLE {ids} (space text NOT NULL PRIMARY KEY, next bigint NOT NULL)",
            f"CREATE TABLE {commits} ({dialect.key_column})",
            f"CREATE TABLE {probe} ({dialect.key_column})",
            f"CREATE TABLE {marks} (name text NOT NULL PRIMARY KEY, value text NOT NULL)",
        )
        self.begin_state = f"INSERT INTO {state} (generation, next_space) VALUES (0, 1)"  # noqa: S608
        self.probe = Probe(
            add=f"INSERT INTO {probe} (key, value) VALUES ($1, $2)",  # noqa: S608
            begin="BEGIN ISOLATION LEVEL SERIALIZABLE",
            read=f"SELECT value FROM {probe} WHERE key = $1",  # noqa: S608
            write=f"UPDATE {probe} SET value = $2 WHERE key = $1",  # noqa: S608
            remove=f"DELETE FROM {probe} WHERE key = ANY($1::bytea[])",  # noqa: S608
        )

    def space(self, number: int) -> SpaceStatements:
        """Return the statements on the space of a number."""
        return SpaceStatements(self.dialect, self.schema, number)

    def make_space(self, number: int) -> list[str]:
        """Return what makes the table of a space."""
        table = _name(self.schema, f"space_{number}")
        made = f"CREATE TABLE {table} ({self.dialect.key_column})"
        # What a transaction that was rolled back has left, where tables do not go with it.
        return [made] if self.dialect.has_tables_in_transactions else [self.drop_space(number), made]

    def drop_space(self, number: int) -> str:
        """Return what removes the table of a space."""
        return f"DROP TABLE IF EXISTS {_name(self.schema, f'space_{number}')}"


class Probe:
    """The statements of the write-skew probe."""

    __slots__ = ("add", "begin", "read", "remove", "write")

    def __init__(self, *, add: str, begin: str, read: str, write: str, remove: str) -> None:
        self.add, self.begin, self.read, self.write, self.remove = add, begin, read, write, remove


def _name(*parts: str) -> str:
    return sql.Identifier(*parts).as_string()
