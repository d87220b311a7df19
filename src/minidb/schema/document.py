"""The stored form of a schema: a *document* of None, bool, int, float, str, list and dict, for the catalog.

    document = {"format": 1, "fields": [field, …], "next_id": 3}  in the order of the schema
    field    = {"id": 1, "name": "age", "type": "integer", …}     and each option that is not at its default
             | the same with "fill": value                        of a field that is younger than the table
    option   = the name of the option: its value                  values as below
    value    = None | bool | int | float | str | [value, …] | {str: value, …}

Each field has an id, which stays its own for the life of the table and is never used again: ``next_id`` is the first
that is free (one above the highest, where it is not given). ``fill`` is what rows have that were written before the
field was there. Values that msgpack and JSON cannot both say are strings with a tag, and a string that begins like one
has the tag ``!str:``:

    !date:2024-02-29           !datetime:2024-02-29T12:00:00+00:00     !time:12:00:00       !decimal:1.50
    !bytes:00ff (hexadecimal)  !uuid:12345678-1234-…                   !int:1000 (hexadecimal, beyond 64 bits)
    !float:inf  !float:-inf  !float:nan                                !str:!important

An enum field stores its plain values as ``values``, a pattern with flags stores these as ``pattern_flags``, a list
field the options of its items as ``item`` (an object without id and name), an object field its fields as ``keys``
(objects without id). ``validators``, ``default_factory`` and ``computed`` of a field, and the ``checks`` beside the
fields, are names for the reader only: they are written, but neither read nor compared. ``renamed_from`` is not stored.
"""

from __future__ import annotations

import datetime
import math
import re
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, cast

from minidb.exceptions import CorruptionError, SchemaDefinitionError, UnsupportedFormatError
from minidb.schema.field import AnyField, name_of
from minidb.schema.fields import EnumField
from minidb.schema.kinds import FIELD_CLASSES
from minidb.schema.object_field import ObjectField

FORMAT: Final = 1  # Stored on disk: never renumber.

_INFORMATION: Final = frozenset({"validators", "default_factory", "computed"})
_UNORDERED: Final = frozenset({"values", "choices"})


def write_document(fields: Mapping[str, AnyField], *, for_comparison: bool = False) -> dict[str, object]:
    """Return the document of a schema; ``for_comparison`` without what makes no difference between two schemas."""
    return {
        "format": FORMAT,
        "fields": [
            {"id": position, "name": name, **_write_field(field, for_comparison=for_comparison)}
            for position, (name, field) in enumerate(fields.items(), start=1)
        ],
    }


def _write_field(field: AnyField, *, for_comparison: bool, is_item: bool = False) -> dict[str, object]:
    is_naturally_nullable = not field.required and not is_item
    written: dict[str, object] = {"type": field.kind}
    for option, value in field.given_options().items():
        if option == "nullable":
            if value != is_naturally_nullable:
                written[option] = value
        elif option == "renamed_from" or (option == "required" and is_item):
            continue  # the one has been told when it is stored, the other makes no difference: no item is ever left out
        elif option == "validators":
            written[option] = [name_of(validator) for validator in field.validators]
        elif option in ("default_factory", "computed"):
            written[option] = name_of(cast(Callable[[], object], value))
        elif option == "default":
            written[option] = write_value(None if value is None else field.to_stored(value))
        elif option == "item":
            written[option] = _write_field(cast(AnyField, value), for_comparison=for_comparison, is_item=True)
        elif option == "values":
            written[option] = write_value(list(cast("EnumField[str]", field).members))
        elif isinstance(field, ObjectField) and option == "keys":
            written["keys"] = [
                {"name": name, **_write_field(one, for_comparison=for_comparison)} for name, one in field.fields.items()
            ]
        elif isinstance(value, re.Pattern):
            written[option] = write_value(value.pattern)
            if flags := value.flags & ~re.UNICODE:
                written["pattern_flags"] = int(flags)
        else:
            written[option] = write_value(value)
    if not for_comparison:
        return written
    return {
        option: sorted(cast(list[object], value), key=repr) if option in _UNORDERED else value
        for option, value in sorted(written.items())
        if option not in _INFORMATION
    }


def read_document(document: object) -> dict[str, AnyField]:
    """Return the fields that a document describes. Raises ``CorruptionError`` or ``UnsupportedFormatError``."""
    if not isinstance(document, dict) or not isinstance(document.get("format"), int):
        raise CorruptionError("A stored schema is no schema document")
    if document["format"] != FORMAT or isinstance(document["format"], bool):
        raise UnsupportedFormatError("A stored schema has a format that this version of MiniDB does not know")
    entries = document.get("fields")
    if not isinstance(entries, list) or not entries:
        raise CorruptionError("A stored schema has no fields")
    fields: dict[str, AnyField] = {}
    ids: set[int] = set()
    for entry in entries:
        if not isinstance(entry, dict):
            raise CorruptionError("A stored schema holds something that is no field")
        options = dict(entry)
        name = options.pop("name", None)
        if not isinstance(name, str) or name in fields:
            raise CorruptionError("A stored schema has a field without a name of its own")
        number = options.pop("id", None)
        if type(number) is not int or number < 1 or number in ids:
            raise CorruptionError("A stored schema has a field without an id of its own")
        ids.add(number)
        options.pop("fill", None)
        fields[name] = _read_field(options)
    return fields


def next_id_of(document: Mapping[str, Any]) -> int:  # Any: a document
    """Return the first id that no field of a table has, or ever had."""
    return max(int(document.get("next_id", 0)), *(int(field["id"]) + 1 for field in document["fields"]))


def fills_of(document: Mapping[str, Any]) -> dict[int, object]:  # Any: as above
    """Return, by the ids of fields, the stored values of rows that were written before these were there."""
    return {field["id"]: read_value(field["fill"]) for field in document["fields"] if "fill" in field}


def _read_field(options: dict[object, object]) -> AnyField:
    kind = options.pop("type", None)
    if not isinstance(kind, str):
        raise CorruptionError("A stored schema has a field without a type")
    field_class = FIELD_CLASSES.get(kind)
    if field_class is None:
        raise UnsupportedFormatError("A stored schema has a field type that this version of MiniDB does not know")
    flags = options.pop("pattern_flags", 0)
    make = cast(Callable[..., AnyField], field_class)  # the options are checked by the class itself
    arguments: dict[str, object] = {}
    for option, value in options.items():
        if not isinstance(option, str) or option not in field_class.option_defaults:
            raise UnsupportedFormatError("A stored schema has a field option that this version of MiniDB does not know")
        if option in _INFORMATION:
            continue
        if option == "item" and isinstance(value, dict):
            arguments[option] = _read_field(dict(value))
        elif option == "keys":
            arguments[option] = _read_keys(value)
        else:
            arguments[option] = read_value(value)
    try:
        if flags:
            arguments["pattern"] = re.compile(cast(str, arguments.get("pattern")), cast(int, flags))
        return make(**arguments)
    except (SchemaDefinitionError, TypeError, ValueError, re.error) as error:
        raise CorruptionError("A stored schema has a field that contradicts itself") from error


def _read_keys(entries: object) -> dict[str, AnyField]:
    keys: dict[str, AnyField] = {}
    for entry in entries if isinstance(entries, list) else ():
        options = dict(entry) if isinstance(entry, dict) else {}
        name = options.pop("name", None)
        if not isinstance(name, str) or name in keys:
            raise CorruptionError("A stored schema has an object field with a key without a name of its own")
        keys[name] = _read_field(options)
    return keys


def write_value(value: object) -> object:
    """Return a value in the form that the module's docstring gives."""
    match value:
        case None | bool():
            return value
        case str():
            return f"!str:{value}" if value.startswith("!") else value
        case int():
            return value if -(2**63) <= value < 2**63 else f"!int:{value:x}"
        case float():
            return value if math.isfinite(value) else f"!float:{value}"
        case list() | tuple():
            return [write_value(item) for item in value]
        case dict():
            return {key: write_value(item) for key, item in value.items()}
        case datetime.datetime():
            moment = value if value.tzinfo is None else value.astimezone(datetime.UTC)
            return f"!datetime:{moment.isoformat()}"
        case datetime.date():
            return f"!date:{value.isoformat()}"
        case datetime.time():
            return f"!time:{value.isoformat()}"
        case Decimal():
            return f"!decimal:{value}"
        case uuid.UUID():
            return f"!uuid:{value}"
        case bytes():
            return f"!bytes:{value.hex()}"
        case _:
            raise AssertionError(f"no option has a value of type {type(value).__name__}")


_READERS: Final[dict[str, Callable[[str], object]]] = {
    "str": str,
    "int": lambda text: int(text, 16),
    "float": float,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "decimal": Decimal,
    "uuid": uuid.UUID,
    "bytes": bytes.fromhex,
}


def read_value(value: object) -> object:
    """Return the value that ``write_value`` wrote. Raises ``CorruptionError``."""
    if isinstance(value, list):
        return [read_value(item) for item in value]
    if isinstance(value, dict):
        return {key: read_value(item) for key, item in value.items()}
    if not isinstance(value, str) or not value.startswith("!"):
        return value
    tag, _, text = value[1:].partition(":")
    reader = _READERS.get(tag)
    if reader is None:
        raise UnsupportedFormatError("A stored schema has a kind of value that this version of MiniDB does not know")
    try:
        return reader(text)
    except (ValueError, ArithmeticError) as error:
        raise CorruptionError("A stored schema has a value that cannot be read") from error
