"""What the demo does, one function a step. The reader is shown these very lines, so they use the public API alone.

A step returns what is to be shown of it. A ``return`` at the end, and the docstring, are left out of what is shown.
The lines keep to ``screen.CODE_WIDTH``.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from minidb import Index, MiniDB, Row
from minidb.cli.demo_data import SCHEMAS
from minidb.exceptions import FieldError, SchemaValidationError, UniqueViolationError
from minidb.schema import (
    DateField,
    DateTimeField,
    DecimalField,
    EnumField,
    FloatField,
    IntegerField,
    JSONField,
    ListField,
    Schema,
    StringField,
    UUIDField,
)


class Status(enum.Enum):
    """What has become of a booking."""

    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


class PaymentRefusedError(Exception):
    """The passenger's bank said no. Raised by the demo, to undo a transaction."""


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


def open_database(folder: Path) -> MiniDB:
    """Open the database."""
    db = MiniDB(folder)
    return db


def declare_tables(db: MiniDB) -> list[tuple[str, Schema]]:
    """Make the tables of the data set, and one of our own."""
    for name, schema in SCHEMAS.items():  # those of the files: airlines, ...
        db.create_table(name, schema)

    booking = Schema(
        carrier=StringField(required=True),
        flight=IntegerField(required=True, min_value=1),
        seat=StringField(required=True, pattern="[1-9][0-9]?[A-F]"),
        passenger=StringField(required=True, min_length=1, max_length=80),
        born=DateField(),
        fare=DecimalField(required=True, min_value=0, decimal_places=2),
        status=EnumField(Status, default=Status.CONFIRMED),
        bags_kg=ListField(FloatField(min_value=0, max_value=32), default=[]),
        wishes=JSONField(),
        booked_at=DateTimeField(timezone=True, default_factory=now),
        reference=UUIDField(unique=True, default_factory=uuid.uuid4),
    )
    db.create_table("bookings", schema=booking)
    return [*SCHEMAS.items(), ("bookings", booking)]


def load_rows(
    db: MiniDB, rows_of: Mapping[str, Sequence[Row]], watch: Callable[[Sequence[Row], str], Iterable[Row]]
) -> list[tuple[str, int]]:
    """Insert every row of the data set."""
    for name, rows in rows_of.items():
        table = db.get_table(name)
        table.insert_many(watch(rows, name))  # watch draws a progress bar
    return [(name, db.get_table(name).count()) for name in rows_of]


def find_one(db: MiniDB) -> Row:
    """Find a row by its primary key."""
    airports = db.get_table("airports")
    airport = airports.query("JFK")
    return airport


def find_each(db: MiniDB) -> list[Row]:
    """Find the destination of every flight, one query each."""
    flights, airports = db.get_table("flights"), db.get_table("airports")
    found = [airports.get(flight.dest) for flight in flights]
    return [airport for airport in found if airport is not None]


def scan_keys(db: MiniDB) -> list[Row]:
    """Walk a range of a primary key of two fields."""
    flights = db.get_table("flights")
    rows = list(flights.scan(("AA", 300), ("AA", 400), limit=5))
    return rows


def search_without_index(db: MiniDB) -> list[Row]:
    """Read every plane to find a few."""
    planes = db.get_table("planes")
    found = [plane for plane in planes if plane.manufacturer == "CESSNA"]
    return found


def make_indexes(db: MiniDB) -> list[Index]:
    """Make indexes on tables that have rows already."""
    db.create_index("planes", "manufacturer")
    db.create_index("planes", "manufacturer", "year")
    db.create_index("bookings", "carrier", "flight", "seat", unique=True)
    return [*db.indexes("planes"), *db.indexes("bookings")]


def search_with_index(db: MiniDB) -> list[Row]:
    """Find the same planes by the index."""
    found = db.query_by_index("planes", "manufacturer", "CESSNA")
    return found


def search_two_fields(db: MiniDB) -> list[Row]:
    """Find planes by an index on two fields."""
    key = ("BOEING", 1985)
    found = db.query_by_index("planes", "manufacturer_year", key)
    return found


def count_and_update(db: MiniDB) -> tuple[int, Row, Row]:
    """Count, and change a row."""
    planes = db.get_table("planes")
    number = planes.count()
    before = planes.query("N10156")
    after = planes.update("N10156", seats=50)
    return number, before, after


def roll_back(db: MiniDB) -> list[tuple[object, ...]]:
    """Undo a transaction on purpose, and look for what is left of it."""
    bookings, flights = db.get_table("bookings"), db.get_table("flights")
    booking = Row(
        carrier="UA",
        flight=1545,
        seat="7A",
        passenger="Ada Lovelace",
        fare=Decimal("129.50"),
    )

    def look() -> tuple[int, int]:
        return bookings.count(), flights.query(("UA", 1545)).dep_delay

    seen = [look()]
    try:
        with db.begin_transaction():
            bookings.insert(booking)
            flights.update(("UA", 1545), dep_delay=90)
            seen.append(look())
            raise PaymentRefusedError
    except PaymentRefusedError:
        seen.append(look())
    return [("bookings", *(one[0] for one in seen)), ("delay of UA 1545", *(one[1] for one in seen))]


def nest(db: MiniDB) -> list[Row]:
    """Undo a part of a transaction, and commit the rest."""
    bookings = db.get_table("bookings")
    seat = {"carrier": "UA", "flight": 1545, "fare": Decimal("129.50")}
    with db.begin_transaction():
        bookings.insert(Row(**seat, seat="7A", passenger="Ada Lovelace"))
        with db.begin_transaction() as savepoint:
            bookings.insert(Row(**seat, seat="7B", passenger="Nobody"))
            savepoint.rollback()
        bookings.insert(
            Row(
                **seat,
                seat="7C",
                passenger="Grace Hopper",
                born=date(1906, 12, 9),
                bags_kg=[23, 9.5],
            )
        )
    return list(bookings)


def refuse_bad_row(db: MiniDB) -> list[FieldError]:
    """Insert a row that is wrong in many ways."""
    bad = {
        "flight": "1545",
        "seat": "7Z",
        "passenger": "",
        "fare": Decimal("9.999"),
        "bags_kg": [20, 40],
        "sead": "7D",
    }
    errors: list[FieldError] = []
    try:
        db.get_table("bookings").insert(bad)
    except SchemaValidationError as error:
        errors.extend(error.errors)
    return errors


def refuse_taken_value(db: MiniDB) -> list[UniqueViolationError]:
    """Book a seat that is taken."""
    babbage = Row(
        carrier="UA",
        flight=1545,
        seat="7A",
        passenger="Charles Babbage",
        fare=80,
    )
    refusals: list[UniqueViolationError] = []
    try:
        db.get_table("bookings").insert(babbage)
    except UniqueViolationError as error:
        refusals.append(error)
    return refusals


def open_twice(db: MiniDB) -> list[tuple[str, int]]:
    """Open the database a second time in this process, and read beside a writer."""
    with MiniDB(db.location) as second:
        with db.begin_transaction():
            demo_air = Row(carrier="ZZ", name="Demo Air")
            db.get_table("airlines").insert(demo_air)
            during = second.get_table("airlines").count()  # waits for nobody
        after = second.get_table("airlines").count()
    return [("while the first one writes", during), ("after its commit", after)]


def reopen(db: MiniDB) -> list[tuple[str, int, str]]:
    """Close the database, open it again, and count."""
    db.close()
    with MiniDB(db.location, create=False) as again:
        names = again.table_names()
        numbers = [again.get_table(name).count() for name in names]
        indexes = [again.indexes(name) for name in names]
    return [
        (name, number, ", ".join(index.name for index in its_indexes))
        for name, number, its_indexes in zip(names, numbers, indexes, strict=True)
    ]
