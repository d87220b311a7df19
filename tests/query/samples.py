"""Random tables: columns of every type with values that are hard, indexes of every kind, and questions about them."""

from __future__ import annotations

import string
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any, Final

from tests.query.questions import (
    Between,
    Both,
    Compare,
    Contains,
    HasElement,
    In,
    IsNull,
    Not,
    OneOrBoth,
    Prefix,
    Question,
    Value,
    contained_fields,
    fields_of,
    narrowed_fields,
    parts_of,
)

from minidb.schema import (
    BooleanField,
    BytesField,
    DateField,
    DateTimeField,
    DecimalField,
    FloatField,
    IntegerField,
    ListField,
    Schema,
    StringField,
    TimeField,
    UUIDField,
)
from minidb.schema.field import Field

MOST_ROWS: Final = 60


@dataclass(frozen=True)
class Kind:
    """A type of columns."""

    make_field: Callable[..., Field[Any]]  # Any: of a field of any type
    value: Callable[[Random], Value]
    """Returns a random value, often one of a few: ties are what is hard."""

    in_sqlite: bool = True
    """Whether SQLite has a type for it."""

    element: Callable[[Random], Value] | None = None
    """Returns a random element, where the values are lists."""


@dataclass(frozen=True)
class IndexSample:
    """An index, before it is made."""

    fields: tuple[str, ...]
    unique: bool
    where: Question | None
    each: int | None
    """The place of the field of lists, if its elements have entries."""

    is_covering: bool = False

    @property
    def name(self) -> str:
        return "_".join(self.fields) + "_where" * (self.where is not None)

    def values_of(self, row: Mapping[str, Value]) -> list[tuple[Value, ...]]:
        """Return what a row has entries for. It may repeat."""
        if self.where is not None and not self.where.holds(row):
            return []
        values = tuple(row[name] for name in self.fields)
        if self.each is None:
            return [tuple(map(_hashable, values))]
        elements = values[self.each] or []
        return [(*values[: self.each], element, *values[self.each + 1 :]) for element in elements]

    def leads_to(self, question: Question | None) -> bool:
        """Tell whether it must be taken for a question, if there is no other way."""
        if not all(part in parts_of(question) for part in parts_of(self.where)):
            return False
        if self.each is None:
            return self.where is not None or self.fields[0] in narrowed_fields(question)
        return self.each == 0 and self.fields[0] in contained_fields(question)


@dataclass(frozen=True)
class Sample:
    """A table, before it is made."""

    columns: Mapping[str, str]
    """The name of the kind of each column."""

    nullable: frozenset[str]
    has_schema: bool
    primary_key: tuple[str, ...]
    indexes: Sequence[IndexSample]
    rows: Sequence[Mapping[str, Value]]

    @property
    def in_sqlite(self) -> bool:
        return all(KINDS[kind].in_sqlite for kind in self.columns.values())

    @property
    def schema(self) -> Schema | None:
        if not self.has_schema:
            return None
        fields = {
            name: KINDS[kind].make_field(primary_key=True)
            if name in self.primary_key
            else KINDS[kind].make_field(required=name not in self.nullable)
            for name, kind in self.columns.items()
        }
        return Schema(**fields)

    def has_way_to(self, question: Question | None) -> bool:
        """Tell whether an index, or the primary key, narrows the search for what a question asks for."""
        by_key = bool(set(self.primary_key[:1]) & narrowed_fields(question))
        return by_key or any(index.leads_to(question) for index in self.indexes)

    @property
    def sortable(self) -> list[str]:
        """The columns that have an order."""
        return [name for name, kind in self.columns.items() if KINDS[kind].element is None]

    @property
    def free_columns(self) -> list[str]:
        """The columns that many rows may be given the same value of."""
        bound = set(self.primary_key)
        for index in self.indexes:
            if index.unique:
                bound |= set(index.fields) | (set() if index.where is None else fields_of(index.where))
        return [name for name in self.columns if name not in bound]


# --- values -----------------------------------------------------------------------------------------------------------

_LETTERS: Final = ["a", "b", "a", "b", "B", "", "\0", "\x01", "é", "e\u0301", "\uffff", "\U0001f600", "\U0010ffff"]


def _text(random: Random) -> str:
    return "".join(random.choice(_LETTERS) for _ in range(random.choice([0, 1, 1, 2, 2, 3, 5])))


def _long_text(random: Random) -> str:
    """Text that differs only about where an index cuts it, or far behind; or is short."""
    length = random.choice([90, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 125, 400, 1000])
    return random.choice(["", "a", "x" * length, "x" * length]) + random.choice(["", "", "a", "b", "\0", "\U0001f600"])


def _bytes(random: Random) -> bytes:
    parts = [b"", b"\0", b"\xff", b"\0\xff", b"a", b"b", b"\x01", b"y" * random.choice([100, 110, 450])]
    return b"".join(random.choice(parts) for _ in range(random.choice([0, 1, 2, 3])))


_INTEGERS: Final = [0, 1, -1, 127, 128, 255, 256, -255, -256, 65535, 65536, 2**53, 2**53 + 1, -(2**53) - 1]
_ENDS: Final = [2**63 - 1, -(2**63), 2**63 - 2, -(2**63) + 1, 2**32]


def _integer(random: Random) -> int:
    return random.choice([random.randint(-3, 3), random.randint(-300, 300), random.choice(_INTEGERS + _ENDS)])


def _huge(random: Random) -> int:
    return _integer(random) + random.choice([0, 1, -1]) * random.choice([2**63, 2**64, 2**200, 2**900])


_FLOATS: Final = [0.0, -0.0, 5e-324, -5e-324, sys.float_info.min, sys.float_info.max, -sys.float_info.max, 1e-300, 0.1]


def _float(random: Random) -> float:
    return random.choice([random.choice(_FLOATS), random.randint(-3, 3) / 2, random.uniform(-5, 5), 2.0**53, 1e16])


def _decimal(random: Random) -> Decimal:
    return random.choice([Decimal(1), Decimal(-1), Decimal("1.10"), Decimal(random.randint(-30, 30))]).scaleb(
        random.choice([0, 0, 0, 1, -1, 40, -40])
    )


def _day(random: Random) -> date:
    days = [date.min, date.max, date(1969, 12, 31), date(1970, 1, 1)]
    return random.choice([*days, date(2024, 2, 28) + timedelta(days=random.randint(0, 4))])


def _moment(random: Random) -> datetime:
    moments = [datetime.min, datetime.max, datetime(1970, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 999999)]
    return random.choice([*moments, datetime(2024, 2, 28) + timedelta(hours=random.randint(0, 5), microseconds=1)])


def _zoned(random: Random) -> datetime:
    """One of a few moments, told in one of several zones."""
    zone = timezone(timedelta(hours=random.choice([-5, 0, 0, 3])))
    return datetime(2024, 3, 31, random.randint(0, 3), tzinfo=UTC).astimezone(zone)


def _time(random: Random) -> time:
    return random.choice([time.min, time.max, time(12), time(random.randint(0, 23), 30)])


def _uuid(random: Random) -> uuid.UUID:
    return uuid.UUID(int=random.choice([0, 1, 2**128 - 1, random.getrandbits(128), random.randint(0, 9)]))


def _list_of(element: Callable[[Random], Value]) -> Callable[[Random], list[Value]]:
    def make(random: Random) -> list[Value]:
        elements = [element(random) for _ in range(random.choice([0, 1, 1, 2, 3, 5]))]
        if elements and random.random() < 0.2:
            elements.append(random.choice(elements))
        return [None if random.random() < 0.1 else one for one in elements]

    return make


def _element_text(random: Random) -> str:
    """One of a few texts, half of which an index cuts at one place."""
    return random.choice(["", "a", "b", "\0", "x" * 108, "x" * 300, "x" * 300 + "a", "x" * 300 + "b", "x" * 300 + "\0"])


def _element_integer(random: Random) -> int:
    return random.choice([-1, 0, 1, 2, 255, 256, 2**63 - 1])


KINDS: Final[Mapping[str, Kind]] = {
    "string": Kind(StringField, _text),
    "long string": Kind(StringField, _long_text),
    "integer": Kind(IntegerField, _integer),
    "huge integer": Kind(IntegerField, _huge, in_sqlite=False),
    "float": Kind(FloatField, _float),
    "boolean": Kind(BooleanField, lambda random: random.random() < 0.5),
    "bytes": Kind(BytesField, _bytes),
    "date": Kind(DateField, _day),
    "datetime": Kind(lambda **options: DateTimeField(timezone=False, **options), _moment),
    "zoned datetime": Kind(lambda **options: DateTimeField(timezone=True, **options), _zoned),
    "time": Kind(TimeField, _time, in_sqlite=False),
    "decimal": Kind(DecimalField, _decimal, in_sqlite=False),
    "uuid": Kind(UUIDField, _uuid, in_sqlite=False),
    "list of strings": Kind(
        lambda **options: ListField(StringField(nullable=True), **options),
        _list_of(_element_text),
        element=_element_text,
    ),
    "list of integers": Kind(
        lambda **options: ListField(IntegerField(nullable=True), **options),
        _list_of(_element_integer),
        element=_element_integer,
    ),
}

_LISTS: Final = [name for name, kind in KINDS.items() if kind.element is not None]
_IN_KEYS: Final = [name for name in KINDS if name not in ("long string", "bytes", *_LISTS)]  # short enough for any key


# --- tables -----------------------------------------------------------------------------------------------------------


def make_sample(random: Random) -> Sample:
    """Return a random table."""
    in_sqlite = random.random() < 0.7
    allowed = [name for name, kind in KINDS.items() if kind.in_sqlite or not in_sqlite]
    names = list(string.ascii_lowercase[: random.randint(1, 5)])
    columns = {name: random.choice(allowed) for name in names}
    has_schema = random.random() < 0.8
    possible_keys = [name for name, kind in columns.items() if kind in _IN_KEYS]
    primary_key: tuple[str, ...] = ()
    if has_schema and possible_keys and random.random() < 0.35:
        chosen = set(random.sample(possible_keys, min(len(possible_keys), random.choice([1, 1, 2, 3]))))
        primary_key = tuple(name for name in names if name in chosen)  # the schema's order is the key's
    nullable = frozenset(name for name in names if name not in primary_key and random.random() < 0.7)
    sample = Sample(columns, nullable, has_schema, primary_key, [], [])
    count = random.choice([0, 1, 5, 20, 40, MOST_ROWS])
    sample = replace(sample, rows=[make_row(random, sample) for _ in range(count)])  # to ask for their values
    indexes: dict[str, IndexSample] = {}
    for _ in range(random.choice([0, 1, 1, 2, 3, 4])):
        index = make_index(random, sample, unique=random.random() < 0.25)
        indexes[index.name] = index
    unique = [index for index in indexes.values() if index.unique]
    if primary_key:
        unique.append(IndexSample(primary_key, unique=True, where=None, each=None))
    return replace(sample, indexes=list(indexes.values()), rows=_without_repeats(sample.rows, unique))


def make_index(random: Random, sample: Sample, *, unique: bool) -> IndexSample:
    """Return a random index of a table: on at most one field of lists where these have an entry for each element."""
    chosen: list[str] = []
    for name in random.sample(list(sample.columns), random.randint(1, min(3, len(sample.columns)))):
        if not sample.has_schema or name in sample.sortable or set(chosen) <= set(sample.sortable):
            chosen.append(name)
    lists = [place for place, name in enumerate(chosen) if sample.has_schema and name not in sample.sortable]
    where = make_question(random, sample, random.choice([0, 0, 1, 2])) if random.random() < 0.35 else None
    is_covering = not unique and random.random() < 0.4
    return IndexSample(tuple(chosen), unique, where, lists[0] if lists else None, is_covering)


def make_row(random: Random, sample: Sample) -> dict[str, Value]:
    """Return a random row. It may repeat what must be unique."""
    return {
        name: None if name in sample.nullable and random.random() < 0.2 else KINDS[kind].value(random)
        for name, kind in sample.columns.items()
    }


def _without_repeats(rows: Sequence[Mapping[str, Value]], unique: Sequence[IndexSample]) -> list[Mapping[str, Value]]:
    taken: set[object] = set()
    kept = []
    for row in rows:
        keys = [(index.name, values) for index in unique for values in index.values_of(row) if None not in values]
        if taken.isdisjoint(keys):
            taken.update(keys)
            kept.append(row)
    return kept


def _hashable(value: Value) -> Value:
    return tuple(value) if isinstance(value, list) else value


# --- questions --------------------------------------------------------------------------------------------------------


def make_question(random: Random, sample: Sample, depth: int = 3) -> Question:
    """Return a random question about a table."""
    form = random.random()
    if depth == 0 or form < 0.35:
        return _make_leaf(random, sample)
    if form < 0.5:
        return Not(make_question(random, sample, depth - 1))
    left, right = make_question(random, sample, depth - 1), make_question(random, sample, depth - 1)
    return Both(left, right) if form < 0.8 else OneOrBoth(left, right)


def _make_leaf(random: Random, sample: Sample) -> Question:
    field = random.choice(list(sample.columns))

    def value() -> Value:
        present = [row[field] for row in sample.rows if row[field] is not None]
        if present and random.random() < 0.7:
            return random.choice(present)
        return KINDS[sample.columns[field]].value(random)

    def value_or_none() -> Value:
        return None if random.random() < 0.1 else value()

    form = random.random()
    element = KINDS[sample.columns[field]].element
    if element is not None:
        if form < 0.6:
            return HasElement(field, element(random))
        if form < 0.7:
            return IsNull(field)
        return Compare(field, random.choice(["==", "!="]), value_or_none())
    if form < 0.15:
        return In(field, tuple(value_or_none() for _ in range(random.choice([0, 1, 2, 3, 8]))))
    if form < 0.25:
        return Between(field, *sorted([value(), value()]))
    if form < 0.3:
        return IsNull(field)
    sought = value()
    if isinstance(sought, str | bytes) and form < 0.55:
        start = random.randint(0, min(3, len(sought)))
        if form < 0.45:
            return Prefix(field, sought[: random.choice([start, len(sought)])])
        return Contains(field, sought[start : start + random.choice([0, 1, 2, len(sought)])])
    operator = random.choice(["==", "==", "!=", "<", "<=", ">", ">="])
    return Compare(field, operator, value_or_none() if operator in ("==", "!=") else sought)
