"""Which types the columns of a file have: found in one pass over it, in constant memory.

A type is taken only where every value, written out again, gives the very text that was read: ``007`` stays text,
``1.50`` is a decimal and not a float, ``2024-02-30`` is no date. So what is loaded and exported again has not changed.
"""

from __future__ import annotations

import datetime
import math
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import Final

from minidb.cli.cells import BAD_TEXT, PARSERS, AnyField, text_of
from minidb.exceptions import UsageError
from minidb.schema import (
    BooleanField,
    BytesField,
    DateField,
    DateTimeField,
    DecimalField,
    DictField,
    FloatField,
    IntegerField,
    JSONField,
    ListField,
    Schema,
    StringField,
    TimeField,
    UUIDField,
)
from minidb.structs import Struct, field

_NAMES: Final[Mapping[str, Callable[..., AnyField]]] = {
    "integer": IntegerField,
    "float": FloatField,
    "decimal": DecimalField,
    "boolean": BooleanField,
    "date": DateField,
    "datetime": partial(DateTimeField, timezone=False),
    "moment": partial(DateTimeField, timezone=True),
    "time": TimeField,
    "uuid": UUIDField,
    "string": StringField,
    "bytes": BytesField,
    "list": ListField,
    "dict": DictField,
    "json": JSONField,
}
"""The types of columns by the words that the command line has for them. A moment is a datetime with a time zone."""

NULL_WORDS: Final = frozenset({"NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", "-", "\\N"})
"""Texts that mean null in many files. They are taken so only if the user says it."""

TYPE_NAMES: Final = tuple(_NAMES)

_OF_TEXT: Final = ("integer", "float", "decimal", "boolean", "date", "datetime", "moment", "time", "uuid")
_OF_JSON_TEXT: Final = ("date", "datetime", "moment", "time", "uuid")  # JSON has numbers: those in quotes are text
_OF_JSON: Final[Mapping[type, str]] = {bool: "boolean", int: "integer", float: "float", list: "list", dict: "dict"}


class Column(Struct):
    """What is known of a column so far."""

    name: str
    candidates: tuple[str, ...] = _OF_TEXT
    """The types that fit all texts so far, in order of preference."""

    without_words: tuple[str, ...] = _OF_TEXT
    """The types that fit all texts but those that may mean null."""

    null_words: set[str] = field(default_factory=set)
    """The texts so far that may mean null."""

    nulls: int = 0
    values: int = 0
    example: object = None
    json_types: set[str] = field(default_factory=set)
    has_wide_integers: bool = False
    """Whether there was an integer that no float equals."""

    def see_texts(self, texts: Collection[str], distinct: Iterable[str]) -> None:
        """Take note of texts, none of them null, and of what they are without repetition."""
        if not texts:
            return
        if self.example is None:
            self.example = next(iter(texts))
        self.values += len(texts)
        asked = set(distinct)
        words = NULL_WORDS & asked
        is_same = not words and self.candidates == self.without_words
        self.candidates = _fitting(self.candidates, list(asked))
        self.without_words = self.candidates if is_same else _fitting(self.without_words, list(asked - words))
        self.null_words |= words

    def see_json(self, values: Collection[object]) -> None:
        """Take note of values of JSON, none of them null."""
        texts = [value for value in values if isinstance(value, str)]
        if not self.json_types:
            self.candidates = self.without_words = _OF_JSON_TEXT
        self.see_texts(texts, set(texts))
        self.values += len(values) - len(texts)
        self.json_types |= {_OF_JSON.get(type(value), "string") for value in values}
        self.has_wide_integers |= any(type(value) is int and abs(value) > 2**53 for value in values)
        if self.example is None and values:
            self.example = next(iter(values))

    @property
    def is_text_for_words(self) -> bool:
        """Whether it would have another type if words such as ``NA`` meant null."""
        has_other = () != self.without_words != _OF_TEXT
        return has_other and bool(self.null_words) and not self.candidates and not self.json_types

    @property
    def type_name(self) -> str:
        """The word for the type of the column. One that has no value is text."""
        found = self.json_types
        if found and found != {"string"}:
            if found == {"integer", "float"} and not self.has_wide_integers:
                return "float"
            return next(iter(found)) if len(found) == 1 else "json"
        return self.candidates[0] if self.values and self.candidates else "string"


def schema_of(
    columns: Iterable[Column], *, types: Mapping[str, str], primary_key: Collection[str], unique: Collection[str] = ()
) -> Schema:
    """Return the schema of columns: their types, or those given by name. Raises ``UsageError`` for an unknown name."""
    found = {column.name: column.type_name for column in columns}
    for name in (*types, *primary_key, *unique):
        if name not in found:
            raise UsageError(f"There is no column {name!r}", hint=f"there are {', '.join(found)}")
    fields: dict[str, AnyField] = {}
    for name, type_name in found.items():
        fields[name] = _NAMES[types.get(name, type_name)](primary_key=name in primary_key, unique=name in unique)
    return Schema(fields)


def type_name_of(field: AnyField) -> str:
    """Return the word for the type of a field."""
    return "moment" if isinstance(field, DateTimeField) and field.timezone else field.kind


def _fitting(candidates: tuple[str, ...], texts: list[str]) -> tuple[str, ...]:
    fitting: list[str] = []
    for candidate in candidates:
        if candidate == "decimal" and "integer" in fitting:
            fitting.append(candidate)  # whatever is an integer is a decimal, too
        elif _fits(candidate, texts):
            fitting.append(candidate)
    return tuple(fitting)


def _fits(candidate: str, texts: list[str]) -> bool:
    read, write = _ROUND_TRIPS[candidate]
    try:
        return all(map(str.__eq__, map(write, map(read, texts)), texts))
    except BAD_TEXT:
        return False


def _read_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("infinities and NaN are text")
    return number


def _read_finite_decimal(text: str) -> object:
    number = PARSERS["decimal"](text)
    if not (isinstance(number, Decimal) and number.is_finite()):
        raise ValueError("infinities and NaN are text")
    return number


def _read_naive(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError("a time zone")
    return moment


def _read_time(text: str) -> datetime.time:
    time = datetime.time.fromisoformat(text)
    if time.tzinfo is not None:
        raise ValueError("a time zone")
    return time


def _write_moment(moment: datetime.datetime) -> str:
    return text_of(moment) if moment.tzinfo is not None else ""


_ROUND_TRIPS: Final[Mapping[str, tuple[Callable[[str], object], Callable[..., str]]]] = {
    "integer": (int, str),
    "float": (_read_finite, repr),
    "decimal": (_read_finite_decimal, text_of),
    "boolean": (PARSERS["boolean"], text_of),
    "date": (datetime.date.fromisoformat, datetime.date.isoformat),
    "datetime": (_read_naive, datetime.datetime.isoformat),
    "moment": (datetime.datetime.fromisoformat, _write_moment),
    "time": (_read_time, datetime.time.isoformat),
    "uuid": (uuid.UUID, str),
}
"""How each type reads a text, and how it writes what it has read."""
