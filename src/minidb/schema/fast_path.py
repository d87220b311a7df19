"""How rows are checked by msgspec, with as little Python code for each value as can be.

A row is converted to a msgspec struct of its columns, which finds unknown and missing columns, fills in defaults and
checks limits, all in C. What msgspec cannot check follows; a ``FastCheck`` says for one field what that is.

Rule: the fast way never accepts what the careful way (``Field.check``) refuses, except strings with a lone surrogate,
which the encoder refuses; and what it accepts it stores exactly as the careful way would. It may refuse more: then the
careful way decides.

What msgspec 0.22 would get wrong, and how it is kept out: it lets subclasses of str through as they are (the exact type
of each string is looked at), takes a Decimal for a float (so Decimals are declared too, and found by their type), makes
dates, bytes, decimals and UUIDs of strings (so these are ``Any`` to it), and lists of sets (so lists are ``Any``, and
converted apart). Its option ``builtin_types`` keeps only the strings out, and costs 0.3 µs a row.
"""

from __future__ import annotations

import datetime
import operator
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import partial
from operator import itemgetter
from types import GenericAlias, NoneType
from typing import Annotated, Any, Final, cast

import msgspec
from msgspec import ValidationError, convert
from msgspec.structs import astuple

from minidb.schema.container_fields import DictField, ListField
from minidb.schema.date_fields import DateField, DateTimeField, TimeField, is_storable_moment
from minidb.schema.field import AnyField, Errors
from minidb.schema.fields import (
    BooleanField,
    BytesField,
    DecimalField,
    EnumField,
    FloatField,
    IntegerField,
    StringField,
    UUIDField,
)
from minidb.schema.kinds import FIELD_CLASSES
from minidb.schema.limits import RangedField
from minidb.structs import Struct, replace

Test = Callable[[Any], object]  # Any: each test takes values of the exact types of its field
Conversion = Callable[[Any], object]  # Any: the same

_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1
_REFUSED: Final = object()
"""What a conversion returns for a value that it cannot accept."""


class FastCheck(Struct, frozen=True, kw_only=True):
    """How the values of one field are checked. Tests and the conversion are never given None."""

    annotation: Any = Any  # Any: a type form, also Annotated and a union, for which Python 3.11 has no type
    """What msgspec checks."""

    types: frozenset[type] | None = None
    """The exact types that a value may have after msgspec; None where msgspec itself leaves no others."""

    tests: tuple[Test, ...] = ()
    """Each must give something true for a value."""

    convert: Conversion | None = None
    """Returns what is stored for a value, or ``_REFUSED``."""


# --- fields -----------------------------------------------------------------------------------------------------------


def make_fast_check(field: AnyField, *, is_nullable: bool) -> FastCheck:
    """Return the fast check of a field, or of the items of a list."""
    if field.computed is not None:  # whatever a row gives
        return FastCheck()
    check = _check_of_kind(field)
    is_derived = type(field) is not FIELD_CLASSES[field.kind]  # a program's own subclass, which may override anything
    if is_derived or (field.validators and check.convert is not None):
        check = replace(check, annotation=Any, tests=(), convert=_carefully(field))
    elif field.validators:
        check = replace(check, tests=(*check.tests, partial(_passes_validators, field)))
    if not is_nullable:
        return check
    types = None if check.types is None else check.types | {NoneType}
    return replace(check, annotation=check.annotation | None, types=types)


def _check_of_kind(field: AnyField) -> FastCheck:
    """Return the fast check of a field's own type and limits, without what all fields have in common."""
    match field:
        case StringField():
            return _check_string(field)
        case IntegerField():
            return _check_integer(field)
        case FloatField():
            return _check_float(field)
        case BooleanField():
            return FastCheck(annotation=bool)
        case BytesField():
            return FastCheck(types=frozenset({bytes}), tests=_length(field))
        case DateTimeField():
            return FastCheck(types=frozenset({datetime.datetime}), tests=(_moment(field), *_bounds(field)))
        case DateField():
            return FastCheck(types=frozenset({datetime.date}), tests=_bounds(field))
        case TimeField():
            return FastCheck(types=frozenset({datetime.time}), tests=(_has_no_zone, *_bounds(field)))
        case DecimalField():
            return _check_decimal(field)
        case UUIDField():
            return FastCheck(types=frozenset({uuid.UUID}))
        case EnumField():
            return _check_enum(field)
        case ListField():
            return _check_list(field)
        case DictField():
            return FastCheck(types=frozenset({dict}), convert=_carefully(field))
        case _:
            return FastCheck(types=frozenset({dict, list, str, int, float, bool}), convert=_carefully(field))


def _check_string(field: StringField) -> FastCheck:
    limits = msgspec.Meta(min_length=field.min_length, max_length=field.max_length)
    matches = () if field.compiled_pattern is None else (field.compiled_pattern.fullmatch,)
    return FastCheck(annotation=Annotated[str, limits], types=frozenset({str}), tests=(*matches, *_choices(field)))


def _check_integer(field: IntegerField) -> FastCheck:
    # Values and limits beyond 64 bits are left to the careful way: msgspec takes no such limits, and lets such values
    # through also when they are of a subclass. All other integers it makes plain.
    low = _SMALLEST if field.min_value is None else min(max(field.min_value, _SMALLEST), _LARGEST)
    high = _LARGEST if field.max_value is None else min(max(field.max_value, _SMALLEST), _LARGEST)
    return FastCheck(annotation=Annotated[int, msgspec.Meta(ge=low, le=high)], tests=(*_choices(field), *_far(field)))


def _far(field: IntegerField) -> tuple[Test, ...]:
    """Return tests of the limits where these lie beyond 64 bits, so that msgspec was given nearer ones."""
    limits = (field.min_value, field.max_value)
    is_near = all(limit is None or _SMALLEST <= limit <= _LARGEST for limit in limits)
    return () if is_near else _bounds(field)


def _check_float(field: FloatField) -> FastCheck:
    low, high = field.min_value, field.max_value
    if not field.allow_nan:  # any limit keeps NaN out, and these two keep nothing else out but the infinities
        low = -sys.float_info.max if low is None else low
        high = sys.float_info.max if high is None else high
    number = cast(Any, Annotated[float, msgspec.Meta(ge=low, le=high)])  # Any: a type form
    return FastCheck(annotation=number | Decimal, types=frozenset({float}))


def _check_decimal(field: DecimalField) -> FastCheck:
    tests: tuple[Test, ...] = (Decimal.is_finite,)
    if field.max_digits is not None or field.decimal_places is not None:
        return FastCheck(types=frozenset({Decimal}), tests=(*tests, partial(_is_within_limits, field)))
    return FastCheck(types=frozenset({Decimal}), tests=(*tests, *_bounds(field)))


def _check_enum(field: EnumField[Any]) -> FastCheck:  # Any: the type of the members makes no difference here
    stored = frozenset(field.members)
    types = frozenset(map(type, stored))
    if field.enum_class is None:
        return FastCheck(types=types, tests=(stored.__contains__,))
    return FastCheck(types=types | {field.enum_class}, convert=_member_to_stored(field.enum_class, field.members))


def _member_to_stored(enum_class: type[Enum], members: Mapping[object, object]) -> Conversion:
    stored_by_name = {cast(Enum, member).name: stored for stored, member in members.items()}

    def to_stored(value: object) -> object:
        # By the name, since the hash of a member is computed in Python. Flags that are combined have none of the names.
        if type(value) is enum_class:
            return stored_by_name.get(value.name, _REFUSED)
        return value if value in members else _REFUSED

    return to_stored


def _check_list(field: ListField) -> FastCheck:
    types = frozenset({list, tuple})
    item = None if field.item is None else make_fast_check(field.item, is_nullable=field.item.nullable is True)
    if item is None or item.convert is not None:
        return FastCheck(types=types, convert=_carefully(field))
    limits = msgspec.Meta(min_length=field.min_length, max_length=field.max_length)
    annotation: Any = Annotated[GenericAlias(list, (item.annotation,)), limits]  # Any: a type form
    holder = msgspec.defstruct("CheckedList", [("items", annotation)], array_like=True)

    def to_list(value: object) -> object:
        try:
            (items,) = astuple(convert((value,), holder))
        except ValidationError:
            return _REFUSED
        return items if _fits(items, item) else _REFUSED

    return FastCheck(types=types, convert=to_list)


def _fits(values: Sequence[object], check: FastCheck) -> bool:
    """Tell whether many values of one field pass what msgspec does not check."""
    if check.types is not None and not check.types.issuperset(map(type, values)):
        return False
    return all(test(value) for test in check.tests for value in values if value is not None)


def _carefully(field: AnyField) -> Conversion:
    """Return a conversion that is the careful way itself."""

    def to_stored(value: object) -> object:
        errors: Errors = []
        stored = field.check_to_stored(value, "", errors)
        return _REFUSED if errors else stored

    return to_stored


def _passes_validators(field: AnyField, value: object) -> bool:
    errors: Errors = []
    field.run_validators(value, "", errors)
    return not errors


def _is_within_limits(field: AnyField, value: object) -> bool:
    errors: Errors = []
    field.check_limits(value, "", errors)
    return not errors


def _length(field: BytesField) -> tuple[Test, ...]:
    return () if field.min_length is None and field.max_length is None else (partial(_is_within_limits, field),)


def _choices(field: StringField | IntegerField) -> tuple[Test, ...]:
    return () if field.choices is None else (frozenset(field.choices).__contains__,)


def _bounds(field: RangedField[Any, Any]) -> tuple[Test, ...]:  # Any: each such field has limits of its own type
    low: tuple[Test, ...] = () if field.min_value is None else (partial(operator.le, field.min_value),)
    high: tuple[Test, ...] = () if field.max_value is None else (partial(operator.ge, field.max_value),)
    return low + high


def _moment(field: DateTimeField) -> Test:
    if field.timezone is None:
        return is_storable_moment
    return _is_storable_and_aware if field.timezone else _has_no_zone


def _is_storable_and_aware(value: datetime.datetime) -> bool:
    return value.tzinfo is not None and is_storable_moment(value)


def _has_no_zone(value: datetime.datetime | datetime.time) -> bool:
    return value.tzinfo is None


# --- rows -------------------------------------------------------------------------------------------------------------


class FastRow:
    """Checks whole rows. Immutable.

    Returned are the values to store, in the order of the fields, or None when the careful way must decide. Default
    factories are not called: a row that needs one is refused here.
    """

    __slots__ = ("_checks", "_conversions", "_gates", "_ordered", "_ordereds", "_struct", "_structs", "_tests")

    def __init__(self, fields: Mapping[str, AnyField]) -> None:
        checks = [make_fast_check(field, is_nullable=field.is_nullable) for field in fields.values()]
        self._checks = tuple(checks)
        self._gates = tuple((place, check.types) for place, check in enumerate(checks) if check.types is not None)
        self._tests = tuple((place, test) for place, check in enumerate(checks) for test in check.tests)
        self._conversions = tuple(
            (place, check.convert) for place, check in enumerate(checks) if check.convert is not None
        )
        self._struct = _make_struct(fields, checks)
        self._structs = GenericAlias(list, (self._struct,))
        self._ordered = _make_ordered(checks)
        self._ordereds = GenericAlias(list, (self._ordered,))

    def check(self, columns: Mapping[str, object]) -> tuple[object, ...] | None:
        """Check one row."""
        return self._check(columns, self._struct)

    def check_values(self, values: tuple[object, ...]) -> tuple[object, ...] | None:
        """Check one row that is given as the values of all its columns, in the order of the fields."""
        return self._check(values, self._ordered)

    def _check(self, given: object, struct: type[msgspec.Struct]) -> tuple[object, ...] | None:
        try:
            values = astuple(convert(given, struct))
        except ValidationError:
            return None
        for place, types in self._gates:
            if type(values[place]) not in types:
                return None
        for place, test in self._tests:
            value = values[place]
            if value is not None and not test(value):
                return None
        return self._converted(values) if self._conversions else values

    def check_many(self, rows: Sequence[Mapping[str, object]]) -> Sequence[tuple[object, ...]] | None:
        """Check many rows; None when one of them must go the careful way."""
        return self._check_many(rows, self._structs)

    def check_many_values(self, rows: Sequence[tuple[object, ...]]) -> Sequence[tuple[object, ...]] | None:
        """Check many rows that are given as values."""
        return self._check_many(rows, self._ordereds)

    def _check_many(self, rows: Sequence[object], structs: object) -> Sequence[tuple[object, ...]] | None:
        try:
            many = list(map(astuple, convert(rows, structs)))
        except ValidationError:
            return None
        for place, check in enumerate(self._checks):
            if (check.types is not None or check.tests) and not _fits(list(map(itemgetter(place), many)), check):
                return None
        if not self._conversions:
            return many
        converted: list[tuple[object, ...]] = []
        for values in map(self._converted, many):
            if values is None:
                return None
            converted.append(values)
        return converted

    def _converted(self, values: tuple[object, ...]) -> tuple[object, ...] | None:
        converted = list(values)
        for place, conversion in self._conversions:
            value = converted[place]
            if value is not None:
                converted[place] = stored = conversion(value)
                if stored is _REFUSED:
                    return None
        return tuple(converted)


class LaterFastRow:
    """Stands for a ``FastRow`` until there is a row to check: a program that only reads opens a table sooner.

    It is the checker that keeps the one for the other. A ``FastRow`` that compiled itself late would find its own parts
    in the slow way of the interpreter, for each row: 120 ns.
    """

    __slots__ = ("_fields", "_keep")

    def __init__(self, fields: Mapping[str, AnyField], keep: Callable[[FastRow], None]) -> None:
        """``keep`` is given what is to take this one's place."""
        self._fields = fields
        self._keep = keep

    def _compiled(self) -> FastRow:
        fast = FastRow(self._fields)
        self._keep(fast)
        return fast

    def check(self, columns: Mapping[str, object]) -> tuple[object, ...] | None:
        return self._compiled().check(columns)

    def check_values(self, values: tuple[object, ...]) -> tuple[object, ...] | None:
        return self._compiled().check_values(values)

    def check_many(self, rows: Sequence[Mapping[str, object]]) -> Sequence[tuple[object, ...]] | None:
        return self._compiled().check_many(rows)

    def check_many_values(self, rows: Sequence[tuple[object, ...]]) -> Sequence[tuple[object, ...]] | None:
        return self._compiled().check_many_values(rows)


def can_be_fast(fields: Mapping[str, AnyField]) -> bool:
    """Tell whether msgspec can have the names of the columns."""
    return not any('"' in name or "\\" in name for name in fields)


def _make_struct(fields: Mapping[str, AnyField], checks: Sequence[FastCheck]) -> type[msgspec.Struct]:
    # The attributes of the struct are numbered, since columns may have any name.
    attributes = [f"column_{place}" for place in range(len(checks))]
    members: list[tuple[str, Any] | tuple[str, Any, Any]] = []  # Any: what defstruct takes, a type form and a default
    for attribute, field, check in zip(attributes, fields.values(), checks, strict=True):
        if field.computed is not None:
            members.append((attribute, check.annotation, None))
        elif field.default_factory is not None or (field.required and not field.has_default):
            members.append((attribute, check.annotation))
        elif field.has_default:
            members.append((attribute, check.annotation, _default(field.default)))
        elif field.is_nullable:
            members.append((attribute, check.annotation, None))
        else:
            members.append((attribute, check.annotation))
    return msgspec.defstruct(
        "CheckedRow",
        members,
        rename=dict(zip(attributes, fields, strict=True)),
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
    )


def _make_ordered(checks: Sequence[FastCheck]) -> type[msgspec.Struct]:
    members = [(f"column_{place}", check.annotation) for place, check in enumerate(checks)]
    return msgspec.defstruct("CheckedValues", members, array_like=True, forbid_unknown_fields=True, gc=False)


def _default(value: object) -> object:
    # Lists and dicts are of fields with a conversion, which copies them for each row.
    return msgspec.field(default_factory=lambda: value) if isinstance(value, list | dict) else value
