"""What any value must be to be stored at all.

This is the rule for columns without a declared type, and for what lists and dicts contain. Storable are None, bool,
int, float, str, bytes, date, datetime, time (without a time zone), Decimal (but no NaN), UUID, and lists, tuples and
dicts (with string keys) of them, nested at most ``MAX_DEPTH`` deep. A mapping's values may besides be, and contain,
sets and frozensets, and dicts with the other keys that msgpack has.
"""

from __future__ import annotations

import datetime
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from types import NoneType
from typing import Final, cast

from minidb.encoding.values import hashable
from minidb.exceptions import FieldError
from minidb.schema.date_fields import (
    UNSTORABLE_MOMENT,
    is_storable_moment,
    plain_date,
    plain_datetime,
    plain_time,
)
from minidb.schema.field import Errors
from minidb.schema.fields import is_unicode
from minidb.structs import Struct

MAX_DEPTH: Final = 64
"""How deep lists and dicts may be nested. Deep enough for data, shallow enough for every decoder."""

_PLAIN_TYPES: Final = frozenset({NoneType, bool, int, float, bytes, uuid.UUID})
_PLAIN_JSON_TYPES: Final = frozenset({NoneType, bool, int})
_MESSAGE_KEY_TYPES: Final = frozenset({NoneType, bool, int, float, bytes})
_INT64_AND_UINT64: Final = range(-(2**63), 2**64)


class _Rule(Struct, frozen=True):
    """What values that are neither lists nor dicts may be."""

    plain_types: frozenset[type]
    """Exact types that need no look at the value."""

    make_plain: Callable[[object, str, Errors], object]
    """Returns any other value in its plain form, or adds an error and returns None."""

    has_sets: bool = False
    """Whether there may be sets, and dicts with keys of ``_MESSAGE_KEY_TYPES``."""


def is_plain(value: object) -> bool:
    """Tell at a glance that a value can be stored as it is. Not every such value is recognised."""
    kind = type(value)
    return kind in _PLAIN_TYPES or (kind is str and cast(str, value).isascii())


def copy_storable(value: object, path: str, errors: Errors) -> object:
    """Return the value in its plain form, lists and dicts copied. Add an error for each part that is not storable."""
    return _copy(value, path, errors, _STORABLE, ())


def copy_item_value(value: object, path: str, errors: Errors) -> object:
    """Do the same for the value of a mapping's item."""
    return _copy(value, path, errors, _ITEM_VALUE, ())


def copy_json(value: object, path: str, errors: Errors) -> object:
    """Do the same for what JSON can say: None, bool, int, finite float, str, and lists and dicts of them."""
    return _copy(value, path, errors, _JSON, ())


def _copy(value: object, path: str, errors: Errors, rule: _Rule, inside: tuple[int, ...]) -> object:
    """Copy one value. ``inside`` holds the identities of the lists and dicts around it, from the outside in."""
    if not isinstance(value, list | tuple | dict | set | frozenset):
        return rule.make_plain(value, path, errors)
    if isinstance(value, set | frozenset) and not rule.has_sets:
        return rule.make_plain(value, path, errors)
    if id(value) in inside:
        errors.append(FieldError(path, "unstorable", "must not contain itself", value))
        return None
    if len(inside) == MAX_DEPTH:
        errors.append(FieldError(path, "unstorable", f"must not be nested more than {MAX_DEPTH} deep", value))
        return None
    inside = (*inside, id(value))
    plain_types = rule.plain_types
    if isinstance(value, set | frozenset):
        elements = [hashable(_copy(item, f"{path}[*]", errors, rule, inside)) for item in value]
        try:
            return set(elements) if isinstance(value, set) else frozenset(elements)
        except TypeError:  # a dict in it, of a subclass that is hashable
            errors.append(FieldError(path, "unstorable", "must be a set of what is hashable in its plain form", value))
            return None
    if not isinstance(value, dict):
        return [
            item if type(item) in plain_types else _copy(item, f"{path}[{index}]", errors, rule, inside)
            for index, item in enumerate(value)
        ]
    copy: dict[object, object] = {}
    for key, item in value.items():
        if rule.has_sets and type(key) in _MESSAGE_KEY_TYPES and (type(key) is not int or key in _INT64_AND_UINT64):
            copy[key] = _copy(item, f"{path}[…]", errors, rule, inside)
            continue
        name = key if type(key) is str and key.isascii() else _plain_name(key, path, errors)
        if name is not None:
            copy[name] = item if type(item) in plain_types else _copy(item, f"{path}.{name}", errors, rule, inside)
    return copy


def _plain_name(key: object, path: str, errors: Errors) -> str | None:
    """Return the key of a dict as a string of no subclass, or add an error and return None."""
    if not isinstance(key, str):
        message = f"must have strings for keys, not {type(key).__name__}"
        errors.append(FieldError(path, "type", message, key))
        return None
    if not is_unicode(key):
        errors.append(FieldError(path, "unicode", "must not have a key that contains a lone surrogate", key))
        return None
    return str.__str__(key)


def _plain_storable(value: object, path: str, errors: Errors) -> object:
    if type(value) in _PLAIN_TYPES:
        return value
    if isinstance(value, str):
        return _plain_text(value, path, errors)
    problem: str | None = None
    plain: object = None
    if isinstance(value, datetime.datetime):
        moment = plain_datetime(value)
        plain = moment
        if moment is not None and not is_storable_moment(moment):
            problem = UNSTORABLE_MOMENT
    elif isinstance(value, datetime.date):
        plain = plain_date(value)
    elif isinstance(value, datetime.time):
        plain = plain_time(value)
        if value.tzinfo is not None:
            problem = "must not be a time with a time zone"
    elif isinstance(value, int):
        plain = int.__int__(value)
    elif isinstance(value, float):
        plain = float.__float__(value)
    elif isinstance(value, bytes | bytearray | memoryview):
        plain = bytes(memoryview(value))
    elif isinstance(value, Decimal):
        plain = Decimal(value)
        if value.is_nan():  # it has no place in any order, and comparing it may raise
            problem = "must not be a decimal that is not a number"
    elif isinstance(value, uuid.UUID):
        plain = uuid.UUID(int=value.int)
    if plain is None:
        problem = f"must be of a type that can be stored, not {type(value).__name__}"
    if problem is not None:
        errors.append(FieldError(path, "unstorable", problem, value))
        return None
    return plain


def _plain_json(value: object, path: str, errors: Errors) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _plain_text(value, path, errors)
    if isinstance(value, int):
        return int.__int__(value)
    if not isinstance(value, float):
        errors.append(FieldError(path, "type", f"must be a JSON value, not {type(value).__name__}", value))
        return None
    if not math.isfinite(value):
        errors.append(FieldError(path, "finite", "must be finite", value))
        return None
    return float.__float__(value)


def _plain_text(value: str, path: str, errors: Errors) -> str | None:
    if not is_unicode(value):
        errors.append(FieldError(path, "unicode", "must not contain a lone surrogate", value))
        return None
    return str.__str__(value)


_STORABLE: Final = _Rule(_PLAIN_TYPES, _plain_storable)
_ITEM_VALUE: Final = _Rule(_PLAIN_TYPES, _plain_storable, has_sets=True)
_JSON: Final = _Rule(_PLAIN_JSON_TYPES, _plain_json)
