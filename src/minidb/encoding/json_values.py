"""Any storable value as JSON, one line each: what a dump is made of. Nothing is lost, and equal bytes come back.

    value := null | true | false | text | number | [value, …] | {text: value, …}
           | {"!set": [value, …]} | {"!frozenset": [value, …]}     in the order of the values' own lines
           | {"!map": [[value, value], …]}                         a dict with keys that are no text
           | "!tag:…"                                              by the tag, what JSON has no word for:

    !date:2024-02-29      !datetime:2024-02-29T12:00:00+00:00   !time:12:00:00    !decimal:1.50
    !uuid:12345678-1234-… !bytes:00ff (hexadecimal)             !int:-3e8 (hexadecimal, beyond 64 bits)
    !float:nan  !float:inf  !float:-inf                         !nan:fff8000000000001 (the bits of any other NaN)

Text, also as the key of a dict, that begins with ``!`` has the tag ``!str:``. The tags are those of a stored schema. A
tuple is written as the list that it is stored as; what reads a key makes one of it.
"""

from __future__ import annotations

import datetime
import math
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec

from minidb.encoding.values import hashable
from minidb.exceptions import CorruptionError

LARGEST_DEPTH: Final = 256
"""How deep JSON may be nested. A value of 64 levels, each a dict with keys that are no text, has 192."""

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_INT64: Final = range(-(2**63), 2**63)
_NAN: Final = struct.pack(">d", math.nan)

_write: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder().decode


def encode_line(document: object) -> bytes:
    """Return a document of None, bool, int, float, str, list and dict as a line of JSON, without its end."""
    return _write(document)


def decode_line(line: bytes) -> Any:  # Any: each reader checks the shape it expects
    """Return the document of a line. Raises ``CorruptionError``."""
    try:
        return _read(line)
    except _UNREADABLE as error:
        raise CorruptionError("It is no JSON, or JSON nested too deep") from error


def to_json(value: object) -> object:
    """Return the document that stands for a value. REQUIRES one that can be stored."""
    kind = type(value)
    if kind is str:
        return f"!str:{value}" if value.startswith("!") else value  # type: ignore[attr-defined]  # a str, as the line before says
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if value in _INT64 else f"!int:{value:x}"
    writer = _WRITERS.get(kind)
    if writer is None:
        raise TypeError(f"A value of type {kind.__name__} cannot be stored.")
    return writer(value)


def _write_float(value: float) -> object:
    if math.isfinite(value):
        return value
    bits = struct.pack(">d", value)
    return f"!nan:{bits.hex()}" if math.isnan(value) and bits != _NAN else f"!float:{value}"


def _write_dict(value: dict[object, object]) -> object:
    if not all(type(key) is str for key in value):
        return {"!map": [[to_json(key), to_json(item)] for key, item in value.items()]}
    return {to_json(key): to_json(item) for key, item in value.items()}


def _write_elements(values: set[object] | frozenset[object]) -> list[object]:
    return sorted(map(to_json, values), key=_write)


_WRITERS: Final[dict[type, Callable[[Any], object]]] = {  # Any: each takes the type that it stands beside
    float: _write_float,
    bytes: lambda value: f"!bytes:{value.hex()}",
    list: lambda value: list(map(to_json, value)),
    tuple: lambda value: list(map(to_json, value)),
    dict: _write_dict,
    set: lambda value: {"!set": _write_elements(value)},
    frozenset: lambda value: {"!frozenset": _write_elements(value)},
    datetime.datetime: lambda value: f"!datetime:{value.isoformat()}",
    datetime.date: lambda value: f"!date:{value.isoformat()}",
    datetime.time: lambda value: f"!time:{value.isoformat()}",
    Decimal: lambda value: f"!decimal:{value}",
    uuid.UUID: lambda value: f"!uuid:{value}",
}


def from_json(document: object) -> Any:  # Any: whatever was stored
    """Return the value that a document stands for. Raises ``CorruptionError`` for one that ``to_json`` never makes."""
    try:
        return _from_json(document, 0)
    except (ValueError, ArithmeticError, TypeError, LookupError, struct.error) as error:
        raise CorruptionError("It holds a value that cannot be read") from error


def key_from_json(document: object) -> Any:  # Any: as above
    """Do the same for the key of a mapping: lists are the tuples that they were."""
    return hashable(from_json(document))


def _from_json(document: object, depth: int) -> Any:  # Any: as above
    if isinstance(document, str):
        return _read_text(document) if document.startswith("!") else document
    if isinstance(document, list | dict):
        if depth == LARGEST_DEPTH:
            raise CorruptionError("It holds lists or objects nested too deep")
        if isinstance(document, list):
            return [_from_json(item, depth + 1) for item in document]
        if len(document) == 1 and (tag := next(iter(document))) in _CONTAINERS:
            return _CONTAINERS[tag](_from_json(document[tag], depth + 1))
        return {_text(key): _from_json(item, depth + 1) for key, item in document.items()}
    return document


def _text(key: object) -> str:
    text = _read_text(key) if isinstance(key, str) and key.startswith("!") else key
    if not isinstance(text, str):
        raise CorruptionError("It holds an object with a name that is no text")
    return text


def _read_text(document: str) -> object:
    tag, _, text = document[1:].partition(":")
    reader = _READERS.get(tag)
    if reader is None:
        raise CorruptionError("It holds a kind of value that this version does not know")
    return reader(text)


def _read_map(pairs: object) -> dict[object, object]:
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise CorruptionError("It holds a map that is no list of pairs")
    return {hashable(key): value for key, value in pairs}


def _read_elements(elements: object) -> list[object]:
    if not isinstance(elements, list):
        raise CorruptionError("It holds a set that is no list")
    return list(map(hashable, elements))


_CONTAINERS: Final[dict[object, Callable[[object], object]]] = {
    "!set": lambda elements: set(_read_elements(elements)),
    "!frozenset": lambda elements: frozenset(_read_elements(elements)),
    "!map": _read_map,
}

_READERS: Final[dict[str, Callable[[str], object]]] = {
    "str": str,
    "int": lambda text: int(text, 16),
    "float": lambda text: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text],
    "nan": lambda text: struct.unpack(">d", bytes.fromhex(text))[0],
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "decimal": Decimal,
    "uuid": uuid.UUID,
    "bytes": bytes.fromhex,
}
