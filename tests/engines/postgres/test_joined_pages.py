"""A query through an index is one statement a page, and that finds each row by its key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager

import pytest
from psycopg.pq.abc import PGresult

from minidb import MiniDB, Row, Table, where
from minidb.engines.port import Reference, Space
from minidb.engines.postgres.connections import ServerConnection
from minidb.engines.postgres.engine import PostgresEngine
from minidb.engines.postgres.wire import Statement, Wire
from minidb.engines.secret import Secret
from minidb.exceptions import CorruptionError
from minidb.options import Options
from minidb.schema import IntegerField, ListField, Schema, StringField

PEOPLE = Schema(
    name=StringField(unique=True), city=StringField(index=True), age=IntegerField(), tags=ListField(StringField())
)
ENTRIES, ROWS = Space("entries"), Space("rows")

Statements = list[str]


@pytest.fixture
def database(postgres_url: str) -> Iterator[MiniDB]:
    """A table of 300 rows with an index of each kind."""
    with MiniDB(postgres_url, durability="none") as opened:
        people = opened.create_table("people", PEOPLE)
        opened.create_index("people", "age", where=where("age") >= 10)
        opened.create_index("people", "tags")
        people.insert_many(
            {"name": f"n{number:03}", "city": f"c{number % 10}", "age": number % 90, "tags": [f"t{number % 5}", "all"]}
            for number in range(300)
        )
        yield opened


@pytest.fixture
def people(database: MiniDB) -> Table[Row]:
    return database.table("people")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """The statements that read entries or rows, as they go to the server: each is a round trip."""
    exchange = Wire.exchange
    noted: Statements = []

    def exchange_and_note(self: Wire, statements: Iterable[Statement]) -> list[PGresult]:
        listed = list(statements)
        noted.extend(text for text, _ in listed if '."space_' in text and '."space_0"' not in text)
        return exchange(self, listed)

    monkeypatch.setattr(Wire, "exchange", exchange_and_note)
    return noted


QUESTIONS: dict[str, Callable[[Table[Row]], Sequence[Row]]] = {
    "equality": lambda people: people.find(city="c1").all(),
    "unique equality": lambda people: people.find(name="n005").all(),
    "by index": lambda people: people.query_by_index("city", "c1"),
    "by unique index": lambda people: people.query_by_index("name", "n005"),
    "by nobody's value": lambda people: people.query_by_index("name", "nobody") or [Row()],
    "range": lambda people: people.find(where("name") >= "n250").all(),
    "partial": lambda people: people.find(where("age") >= 80).all(),
    "elements of lists": lambda people: people.find(where("tags").contains("t1")).all(),
    "order": lambda people: people.find().order_by("name").limit(10).all(),
    "downwards": lambda people: people.find().order_by("-name").limit(10).all(),
    "first": lambda people: [people.find(city="c2").first() or Row()],
    "page": lambda people: people.find(where("name") >= "n290").order_by("name").page(20).rows,
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_a_page_of_entries_and_rows_is_one_statement(
    database: MiniDB, people: Table[Row], sent: Statements, ask: Callable[[Table[Row]], Sequence[Row]]
) -> None:
    with database.begin_transaction(read_only=True):
        assert ask(people)
        assert len(sent) == 1, sent
        assert "JOIN" in sent[0]


def test_a_later_page_is_one_statement_and_one_for_where_it_ends(people: Table[Row], sent: Statements) -> None:
    query = people.find(where("name") >= "n100").order_by("-name")
    page = query.page(20)
    sent.clear()
    later = query.page(20, after=page.token)
    assert [row["name"] for row in later.rows] == [f"n{number:03}" for number in range(279, 259, -1)]
    assert [("JOIN" in one) for one in sent] == [True, False]


def test_pages_grow(people: Table[Row], sent: Statements) -> None:
    assert len(people.find(where("name") >= "n").all()) == 300
    assert len(sent) == 2, "128 rows, then all others"


def test_rows_that_were_written_in_the_transaction_are_found_in_few_statements(
    database: MiniDB, people: Table[Row], sent: Statements
) -> None:
    with database.begin_transaction():
        row = people.find(name="n001").one()
        people.update(row.id, age=row["age"] + 1)  # its entries in the index on cities stay as they are
        sent.clear()
        found = people.find(city="c1").all()
        assert len(sent) == 1
        assert {row["age"] for row in found if row["name"] == "n001"} == {2}
        people.insert({"name": "new", "city": "c1", "age": 5, "tags": []})
        sent.clear()
        assert len(people.find(city="c1").all()) == 31
        assert len(sent) == 2, "entries, and those rows that are not in memory"


def test_an_entry_without_its_row_is_told_of(database: MiniDB, people: Table[Row]) -> None:
    transaction = database.engine.begin_write(10)
    (rows,) = (space for space in transaction.spaces() if space.startswith("rows/"))
    (key,) = next(transaction.scan_keys(rows, first_page=1))
    transaction.delete_many(rows, [key])
    transaction.commit()
    with pytest.raises(CorruptionError, match="names a row that is not there"):
        people.find(city="c0").all()
    with pytest.raises(CorruptionError, match="names a row that is not there"):
        people.query_by_index("name", "n000")


# --- plans ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def engine(postgres_url: str) -> Iterator[PostgresEngine]:
    """An engine with two thousand entries for twenty rows: to read all of these looks cheap."""
    with closing(PostgresEngine(Secret(postgres_url), Options(durability="none"))) as opened:
        transaction = opened.begin_write(10)
        for space in (ENTRIES, ROWS):
            transaction.create_space(space)
        transaction.put_many(ROWS, {b"row%02d" % number: b"x" * 100 for number in range(20)})
        entries = {b"%05drow%02d\x05" % (number, number % 20): b"row%02d" % (number % 20) for number in range(2000)}
        transaction.put_many(ENTRIES, entries)
        transaction.commit()
        yield opened


@contextmanager
def session(engine: PostgresEngine) -> Iterator[ServerConnection]:
    connection = engine._connections.take()
    try:
        yield connection
    finally:
        engine._connections.give_back(connection)


def plan(engine: PostgresEngine, connection: ServerConnection, reference: Reference, *, reverse: bool) -> str:
    """Return how the server runs a small page that was prepared, whatever its parameters are."""
    entries, rows = engine._known.spaces[ENTRIES], engine._known.spaces[ROWS]
    page = entries.joined_page(rows, reference, reverse=reverse, has_stop=False)
    connection.run_alone("ANALYZE", f"PREPARE page AS {page}")
    lines = connection.rows("EXPLAIN (COSTS OFF) EXECUTE page ('\\x00', 10)")
    connection.run_alone("DEALLOCATE page")
    return "\n".join(line for (line,) in lines)


@pytest.mark.parametrize("reference", Reference)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_page_is_cut_first_and_its_rows_are_looked_up_by_key(
    engine: PostgresEngine, reference: Reference, reverse: bool
) -> None:
    engine.begin_read().close()
    with session(engine) as connection:
        shown = plan(engine, connection, reference, reverse=reverse)
    join, limit, *_ = shown.splitlines()
    assert (join, limit.strip()) == ("Nested Loop Left Join", "->  Limit"), shown
    assert shown.count("->  Index") == 2, shown
    assert shown.count("Index Cond: (key = ") == 1, shown
    assert not any(word in shown for word in ("Seq Scan", "Bitmap", "Hash", "Merge", "Sort")), shown


def test_without_its_settings_the_server_would_read_every_row(engine: PostgresEngine) -> None:
    """The negative control."""
    engine.begin_read().close()
    with session(engine) as connection:
        connection.run_alone("SET enable_hashjoin = on", "SET enable_mergejoin = on")
        shown = plan(engine, connection, Reference.KEY_END, reverse=False)
    assert "Nested Loop" not in shown
    assert shown.count("Index Cond: ") == 1, "one of both is read whole"
