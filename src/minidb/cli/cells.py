"""Values as text and as JSON, and back: how a value stands in a cell of CSV, in a line of JSON, and on a terminal.

One rule binds both directions: ``text_of`` of what ``parser_of`` made of a text gives a text that means the same value.
Bytes stand as base64, decimals as strings (JSON's numbers would lose digits), moments in ISO 8601, those of a time zone
in UTC.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final, TypeAlias, cast

from minidb.schema import EnumField, Field, ListField

AnyField: TypeAlias = Field[Any]  # Any: a field of whatever type
Parser: TypeAlias = Callable[[str], object]

_LONGEST_PLAIN_EXPONENT: Final = 100  # 1E+999999 is seven characters, and a megabyte when it is written out


def text_of(value: object) -> str:
    """Return the text of a value; null is the empty text."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value)
        case datetime.datetime():
            return _moment(value)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case Decimal():
            return _decimal(value)
        case bytes():
            return base64.b64encode(value).decode()
        case Enum():
            return text_of(value.value)
        case list() | dict() | set() | frozenset() | tuple():
            return json_of(value)
        case _:
            return str(value)


def json_of(value: object, *, indent: int | None = None) -> str:
    """Return a value as JSON."""
    try:
        return json.dumps(value, ensure_ascii=False, default=_stand_in, allow_nan=False, indent=indent)
    except (ValueError, TypeError):  # JSON has no infinities, no NaN, and no names but text
        return json.dumps(_plain(value), ensure_ascii=False, indent=indent)


def parser_of(field: AnyField) -> Parser:
    """Return what makes a field's value of a text that is not empty. It raises ``ValueError`` for a bad one."""
    if isinstance(field, EnumField):
        return {text_of(value): value for value in field.members}.__getitem__
    if field.kind in ("list", "dict"):
        convert = json_converter_of(field)
        return lambda text: convert(json.loads(text))
    return PARSERS[field.kind]


def json_converter_of(field: AnyField) -> Callable[[object], object]:
    """Return what makes a field's value of one that JSON holds: text becomes what JSON has no word for."""
    if isinstance(field, ListField) and field.item is not None:
        item = json_converter_of(field.item)
        return lambda value: [None if one is None else item(one) for one in value] if isinstance(value, list) else value
    if field.kind == "decimal":
        return lambda value: _read_decimal(str(value)) if isinstance(value, str | int | float) else value
    if field.kind in _SAID_AS_TEXT:
        parse = PARSERS[field.kind]
        return lambda value: parse(value) if isinstance(value, str) else value
    return lambda value: value


# --- from text --------------------------------------------------------------------------------------------------------


def _read_integer(text: str) -> int:
    if "_" in text:  # Python's own notation
        raise ValueError("an underscore")
    return int(text)


def _read_float(text: str) -> float:
    if "_" in text:
        raise ValueError("an underscore")
    return float(text)


def _read_decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError("no decimal") from error


def _read_boolean(text: str) -> bool:
    return _BOOLEANS[text.lower()]


_BOOLEANS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "on"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "off"), False),
}

PARSERS: Final[Mapping[str, Parser]] = {
    "string": str,
    "integer": _read_integer,
    "float": _read_float,
    "boolean": _read_boolean,
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "decimal": _read_decimal,
    "uuid": uuid.UUID,
    "json": json.loads,
}
"""What reads a text, by the kind of a field. Raises ``ValueError`` or ``KeyError`` for one that it cannot read."""

_SAID_AS_TEXT: Final = frozenset({"bytes", "datetime", "date", "time", "uuid"})

BAD_TEXT: Final = (ValueError, KeyError, OverflowError)
"""What a parser raises."""


# --- to text ----------------------------------------------------------------------------------------------------------


def _moment(value: datetime.datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(datetime.UTC).replace(tzinfo=None).isoformat() + "Z"


def _decimal(value: Decimal) -> str:
    exponent = cast("int | str", value.as_tuple().exponent)
    is_long = not isinstance(exponent, int) or abs(exponent) > _LONGEST_PLAIN_EXPONENT
    return str(value) if is_long else format(value, "f")


def _stand_in(value: object) -> object:
    """Return what stands in JSON for a value that it has no word for: a set is a list, in the order of its texts."""
    return sorted(value, key=text_of) if isinstance(value, set | frozenset) else text_of(value)


def _plain(value: object) -> object:
    """Return a value of nothing but what JSON has."""
    if isinstance(value, dict):
        return {text_of(name): _plain(one) for name, one in value.items()}
    if isinstance(value, set | frozenset):
        value = _stand_in(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return text_of(value)
    return value if value is None or type(value) in (str, bool, int, float) else text_of(value)
