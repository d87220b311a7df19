"""What becomes of stored rows when a table is opened with another schema: nothing, or it is refused.

The rule: a schema may take a stored one's place at once if every stored row is a row of it as it stands, and no value
is lost. So a field may be new (old rows have its default, or None), be looser, have another name that it says, become a
float where it was an integer, or stand elsewhere. A field goes only by name. All else is a difference that is refused,
and that a migration can make.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, cast

from minidb.exceptions import SchemaDefinitionError, SchemaDifference
from minidb.schema.container_fields import ListField
from minidb.schema.document import next_id_of, read_value, write_value
from minidb.schema.field import UNSET, AnyField
from minidb.schema.fields import DecimalField, EnumField
from minidb.schema.schema import Schema
from minidb.structs import Struct

LARGEST_EXACT: Final = 2**53
"""Every integer as far from zero as this is a float."""

_BY_MIGRATION: Final = "leave it as it is, or change the rows by a migration step"
_WITHOUT_ROWS: Final = frozenset(
    {"required", "nullable", "default", "default_factory", "validators", "primary_key", "unique", "index"}
    | {"renamed_from", "item", "max_digits", "decimal_places", "values", "computed", "stamp", "version"}
)
"""Options that say nothing of stored values, or are compared in a way of their own."""


class Comparison(Struct, frozen=True, kw_only=True):
    """How a given schema differs from a stored one."""

    differences: tuple[SchemaDifference, ...] = ()
    """What cannot be applied."""

    origins: Mapping[str, str | None] = {}
    """For each given field the name of the stored one that it is; None for a new field."""

    dropped: tuple[str, ...] = ()
    """Stored fields that go, and their values with them."""

    to_float: tuple[str, ...] = ()
    """Given fields that are floats, and whose stored ones are integers."""


def compare(stored: Schema | None, given: Schema | None, drop_fields: Collection[str] = ()) -> Comparison:
    """Compare schemas of one table. ``drop_fields`` are stored fields that may go; one that is gone is no error.

    Raises ``SchemaDefinitionError`` for a field to be dropped that the given schema has.
    """
    if stored is None or given is None:
        if stored is given:
            return Comparison()
        message = "the stored table takes any columns" if stored is None else "the given table would take any columns"
        return Comparison(differences=(SchemaDifference(None, "schema", message, _BY_MIGRATION),))
    for name in drop_fields:
        if name in given.fields:
            raise SchemaDefinitionError(f"Field {name!r} is to be dropped, and the schema has it", field=name)
    origins = _origins(stored, given)
    differences: list[SchemaDifference] = []
    to_float: list[str] = []
    for name, field in given.fields.items():
        origin = origins[name]
        if origin is None:
            differences += _refusals_of_new(name, field)
        else:
            differences += _refusals_of_changed(name, stored.fields[origin], field)
            if field.kind == "float" and stored.fields[origin].kind == "integer":
                to_float.append(name)
    lost = stored.fields.keys() - set(origins.values())
    differences += [
        SchemaDifference(
            name,
            "missing",
            f"field {name!r} is stored but not given",
            f"keep it, name the field that it has become by renamed_from={name!r}, "
            f"or drop it with its values by drop_fields=[{name!r}]",
        )
        for name in stored.fields
        if name in lost and name not in drop_fields
    ]
    if [origins[name] for name in given.primary_key] != list(stored.primary_key):
        differences.append(
            SchemaDifference(None, "primary_key", "the primary key is another one", _BY_MIGRATION),
        )
    return Comparison(
        differences=tuple(differences),
        origins=origins,
        dropped=tuple(name for name in stored.fields if name in lost),
        to_float=tuple(to_float),
    )


def says_change(stored: Schema, given: Schema, drop_fields: Collection[str]) -> bool:
    """Tell whether a program says itself that a stored field is to go, or to have another name."""
    origins = _origins(stored, given)
    is_renamed = any(origin not in (None, name) for name, origin in origins.items())
    return is_renamed or any(name in stored.fields for name in drop_fields)


def next_document(stored: Mapping[str, Any], given: Schema, comparison: Comparison) -> dict[str, Any]:  # Any: documents
    """Return the document of the given schema, in which each stored field has kept its id, and new ones have new ids.

    REQUIRES a comparison of the two without differences.
    """
    known = {field["name"]: field for field in stored["fields"]}
    next_id = next_id_of(stored)
    document = cast("dict[str, Any]", given.to_document())
    for field in document["fields"]:
        origin = comparison.origins[field["name"]]
        if origin is None:
            field.update(id=next_id, fill=field.get("default"))
            next_id += 1
            continue
        field["id"] = known[origin]["id"]
        if "fill" in known[origin]:
            fill = known[origin]["fill"]
            is_number = field["name"] in comparison.to_float and fill is not None
            field["fill"] = write_value(float(cast(int, read_value(fill)))) if is_number else fill
    document["next_id"] = next_id
    return document


def with_code_of(stored: Schema, live: Schema) -> Schema:
    """Return a stored schema with the classes of enums, validators and factories of the fields that both have alike."""
    fields = dict(stored.fields)
    for name, field in live.fields.items():
        if name in fields and Schema({name: fields[name]}).row_identity == Schema({name: field}).row_identity:
            fields[name] = field
    return Schema(fields)


def _origins(stored: Schema, given: Schema) -> dict[str, str | None]:
    """Return for each given field the stored one that it is. A name that is stored says more than a former one."""
    origins: dict[str, str | None] = dict.fromkeys(given.fields)
    taken: dict[str, str] = {}
    for name, field in given.fields.items():
        if name in stored.fields:
            continue
        former = next((one for one in cast("tuple[str, ...]", field.renamed_from or ()) if one in stored.fields), None)
        if former is not None:
            if former in taken:
                message = f"Fields {taken[former]!r} and {name!r} are both renamed from {former!r}"
                raise SchemaDefinitionError(message, field=name)
            origins[name] = former
            taken[former] = name
    unchanged = {name: name for name in given.fields if name in stored.fields and name not in taken}
    return {**origins, **unchanged}


def _refusals_of_new(name: str, field: AnyField) -> list[SchemaDifference]:
    if field.default is UNSET and not field.is_nullable:
        message = f"field {name!r} is not stored, and rows that are there would have no value"
        hint = "give it a default=, let it be None, or fill it by a migration step"
        return [SchemaDifference(name, "required", message, hint)]
    if field.unique and field.default is not UNSET and field.default is not None:
        message = (
            f"field {name!r} is not stored, and all rows that are there would have one value, which must be unique"
        )
        return [SchemaDifference(name, "unique", message, "give it no default, or fill it by a migration step")]
    return []


def _refusals_of_changed(name: str, stored: AnyField, given: AnyField) -> list[SchemaDifference]:
    if stored.kind != given.kind and (stored.kind, given.kind, stored.primary_key) != ("integer", "float", False):
        message = f"field {name!r} is stored as {_article(stored.kind)}, given as {_article(given.kind)}"
        return [SchemaDifference(name, "type", message, _BY_MIGRATION)]
    refusals = [
        SchemaDifference(
            name, "tightened", f"field {name!r} is given a {option} that stored rows need not keep", _BY_MIGRATION
        )
        for option in _tightened(stored, given)
    ]
    if stored.is_nullable and not given.is_nullable:
        message = f"field {name!r} may be None in stored rows, and must not in the given schema"
        refusals.append(SchemaDifference(name, "nullable", message, _BY_MIGRATION))
    return refusals


def _tightened(stored: AnyField, given: AnyField) -> list[str]:
    """Return the options by which a field may refuse values that it took as it was stored."""
    found = []
    for option in given.option_defaults:
        if option in _WITHOUT_ROWS:
            continue
        before, now = getattr(stored, option, None), getattr(given, option)
        if not _is_as_loose(option, before, now):
            found.append(option)
    if isinstance(given, EnumField) and isinstance(stored, EnumField) and stored.members.keys() - given.members.keys():
        found.append("set of values")
    if isinstance(given, DecimalField) and isinstance(stored, DecimalField):
        found += _tightened_digits(stored, given)
    if isinstance(given, ListField) and isinstance(stored, ListField) and given.item is not None:
        found += _tightened_item(stored.item, given.item)
    return found


def _is_as_loose(option: str, before: Any, now: Any) -> bool:  # Any: the values of one option
    if now is None or now == before:
        return True
    try:
        return _LOOSER.get(option, _never)(before, now)
    except TypeError:  # datetimes with a time zone and without
        return False


def _never(_before: Any, _now: Any) -> bool:  # Any: as above
    return False


_LOOSER: Final[dict[str, Callable[[Any, Any], bool]]] = {  # Any: as above
    "min_length": lambda before, now: now <= (before or 0),
    "max_length": lambda before, now: before is not None and now >= before,
    "min_value": lambda before, now: before is not None and now <= before,
    "max_value": lambda before, now: before is not None and now >= before,
    "choices": lambda before, now: before is not None and set(before) <= set(now),
    "allow_nan": lambda before, now: now or not before,
    "pattern": lambda before, now: before is not None and _pattern(before) == _pattern(now),
}
"""Whether a value of an option admits all that another one admits."""


def _pattern(pattern: str | re.Pattern[str]) -> tuple[str, int]:
    compiled = re.compile(pattern)
    return compiled.pattern, compiled.flags


def _tightened_digits(stored: DecimalField, given: DecimalField) -> list[str]:
    found = []
    if given.decimal_places is not None and (
        stored.decimal_places is None or stored.decimal_places > given.decimal_places
    ):
        found.append("decimal_places")
    if given.max_digits is not None and (stored.max_digits is None or stored.max_digits > given.max_digits):
        found.append("max_digits")
    before, now = _whole_digits(stored), _whole_digits(given)
    if now is not None and (before is None or before > now):
        found.append("max_digits before the point")
    return found


def _whole_digits(field: DecimalField) -> int | None:
    """Return how many digits may stand before the point, where two limits together say so."""
    return None if field.max_digits is None or field.decimal_places is None else field.max_digits - field.decimal_places


def _tightened_item(stored: AnyField | None, given: AnyField) -> list[str]:
    if stored is None or stored.kind != given.kind:
        return ["type of items"]
    found = [f"{option} of items" for option in _tightened(stored, given)]
    if stored.nullable is True and given.nullable is not True:
        found.append("nullable of items")
    return found


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
