"""Files as a version of MiniDB writes them, for all later versions to open.

    python -m tests.compat.release_files 0.1.0

writes ``tests/compat/releases/0.1.0`` by the version at hand: a database in a folder, packed, with each type of field
and each kind of index; a backup of it; a dump. It is run once for a release, and its files never change. What is in
them is said here: rows may be added, under new names of tables, for what later versions can store.
"""

from __future__ import annotations

import datetime
import sys
import tarfile
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from minidb import Migrations, MiniDB, Row, where
from minidb.schema import (
    BooleanField,
    BytesField,
    DateField,
    DateTimeField,
    DecimalField,
    DictField,
    EnumField,
    FloatField,
    IntegerField,
    JSONField,
    ListField,
    Schema,
    StringField,
    TimeField,
    UUIDField,
)

RELEASES: Final = Path(__file__).with_name("releases")
DATABASE: Final = "database.tar.gz"
BACKUP: Final = "backup.minidb"
DUMP: Final = "dump.jsonl"

UTC: Final = datetime.UTC
Columns = dict[str, Any]

EVERY_TYPE: Final = Schema(
    text=StringField(required=True, max_length=500, pattern="(?s).*", index=True),
    number=IntegerField(min_value=-(10**40), unique=True),
    real=FloatField(allow_nan=False, index=True),
    truth=BooleanField(default=True),
    data=BytesField(index=True),
    moment=DateTimeField(timezone=True, index=True),
    local=DateTimeField(timezone=False),
    day=DateField(index=True),
    clock=TimeField(),
    amount=DecimalField(max_digits=20, decimal_places=5, index=True),
    key=UUIDField(unique=True),
    level=EnumField(["low", "high"], default="low"),
    tags=ListField(StringField(max_length=20), index=True),
    numbers=ListField(),
    facts=DictField(),
    body=JSONField(),
)

_FULL: Final[Columns] = {
    "text": "Ärger 日本 \x00 end",
    "number": 2**70,
    "real": -0.125,
    "truth": False,
    "data": b"\x00\xff\x00",
    "moment": datetime.datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "local": datetime.datetime(2024, 2, 29, 12, 0),  # without a time zone, as its field has it
    "day": datetime.date(2024, 2, 29),
    "clock": datetime.time(23, 59, 59, 1),
    "amount": Decimal("-12345.67890"),
    "key": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "level": "high",
    "tags": ["red", "green", "red"],
    "numbers": [1, -1.5, None, b"x", datetime.date(2000, 1, 1), [True]],
    "facts": {"day": datetime.date(2024, 2, 29), "deep": {"amount": Decimal("1.50")}},
    "body": [1, {"a": None, "b": [True, "x"]}],
}
_EMPTY: Final[Columns] = {**dict.fromkeys(_FULL), "text": "", "truth": True, "level": "low"}

EVERY_ROW: Final[dict[int, Columns]] = {
    1: _FULL,
    2: _EMPTY,
    3: {**_EMPTY, "text": "x" * 500, "number": -(2**63), "real": 1e300, "tags": []},
    4: {**_EMPTY, "text": "a", "number": 0, "amount": Decimal("0.5"), "tags": ["green"], "data": b""},
}
"""The rows of the table ``every``, by id. Row 5 was deleted: its id is not given again."""

KEYED_ROWS: Final = [
    {"city": city, "number": number, "name": f"{city}{number}"} for city in "AB" for number in (-1, 300)
]
ANY_ROWS: Final[dict[int, Columns]] = {1: {"a": 1, "b": [1, 2]}, 2: {"a": "text"}, 3: {"c": {"d": Decimal(1)}}}
OLD_CHANGED: Final = Schema(
    name=StringField(required=True, max_length=50), size=IntegerField(index=True), fax=StringField()
)
CHANGED: Final = Schema(
    label=StringField(required=True, max_length=100, renamed_from="name"),
    size=FloatField(index=True),
    city=StringField(default="Paris", index=True),
)
CHANGED_ROWS: Final[dict[int, Columns]] = {
    1: {"label": "old", "size": 7.0, "city": "Paris"},
    2: {"label": "new", "size": 7.5, "city": None},
}
MIGRATED_ROWS: Final[dict[int, Columns]] = {1: {"first": "Ada", "last": "Lovelace"}}
MAPPING: Final[dict[Any, Any]] = {"a": 1, ("b", 2): [1, 2], None: {"x"}}


def fill(database: MiniDB) -> None:
    """Make all tables, in a new database."""
    every = database.create_table("every", EVERY_TYPE)
    every.insert_many(EVERY_ROW.values())
    every.delete(every.insert(Row(text="gone")))
    database.create_index("every", "level", "number", name="several")
    database.create_index("every", "text", name="some", where=(where("number") >= 0) & ~where("level").in_(["high"]))
    database.create_index("every", "level", name="one_high", unique=True, where=where("level") == "high")
    keyed = Schema(
        city=StringField(primary_key=True), number=IntegerField(primary_key=True), name=StringField(unique=True)
    )
    database.create_table("keyed", keyed).insert_many(KEYED_ROWS)
    database.create_table("any").insert_many(ANY_ROWS.values())
    database.create_index("any", "a")
    database.create_table("changed", OLD_CHANGED)
    database.get_table("changed").insert({"name": "old", "size": 7, "fax": "555"})
    database.table("changed", CHANGED, drop_fields=["fax"]).insert({"label": "new", "size": 7.5, "city": None})
    database.create_table("migrated", Schema(name=StringField())).insert({"name": "Ada Lovelace"})
    migrations = Migrations()
    migrations.step(1, table="migrated", schema=Schema(first=StringField(), last=StringField(index=True)))(split_name)
    migrations.apply(database)
    database.mapping("mapping").update(MAPPING)


def split_name(row: Row) -> Columns:
    """Make the new row of an old one."""
    first, _, last = row.name.partition(" ")
    return {"first": first, "last": last}


def write(folder: Path) -> None:
    """Write the files of a release into a folder that is not there yet."""
    folder.mkdir(parents=True)
    place = folder / "database"
    with MiniDB(place) as database:
        fill(database)
        database.backup(folder / BACKUP)
        database.dump(folder / DUMP)
    with tarfile.open(folder / DATABASE, "w:gz") as packed:
        for path in sorted(place.iterdir()):
            packed.add(path, arcname=path.name)
            path.unlink()
    place.rmdir()


if __name__ == "__main__":
    write(RELEASES / sys.argv[1])
