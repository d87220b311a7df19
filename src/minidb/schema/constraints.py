"""What stands beside a type in ``Annotated``, as options of a field.

Understood are ``Column``, ``msgspec.Meta``, the marks of annotated-types, and whatever else has their attributes, such
as pydantic's: they are known by their attributes, and nothing is imported for them. What has none of these is somebody
else's, and passed over, as is the custom with ``Annotated``.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, cast

from minidb.exceptions import SchemaDefinitionError
from minidb.schema.column import Column
from minidb.schema.container_fields import DictField, ListField
from minidb.schema.date_fields import DateField, DateTimeField, TimeField
from minidb.schema.field import AnyField
from minidb.schema.fields import BytesField, DecimalField, FloatField, IntegerField, StringField

_SIZED: Final = (StringField, BytesField, ListField, DictField)
_RANGED: Final = (IntegerField, FloatField, DecimalField, DateTimeField, DateField, TimeField)
_NUMBERS: Final = (IntegerField, FloatField, DecimalField)

_NOTHING: Final = object()

Options = dict[str, Any]  # Any: an option has the type that its field declares


def options_of(kind: type[AnyField], metadata: Iterable[object]) -> Options:
    """Return the options that the marks of a type stand for. Raises ``SchemaDefinitionError`` for one that misfits."""
    options: Options = {}
    validators: list[Callable[[Any], object]] = []  # Any: the type of the field's values
    for mark in _flat(metadata):
        if isinstance(mark, Column):
            given = cast("Options", dict(mark.options))
            validators += given.pop("validators", ())
            options.update(given)
        elif not isinstance(mark, type | str):
            _read(kind, mark, options, validators)
    if validators:
        options["validators"] = tuple(validators)
    return options


def _flat(metadata: Iterable[object]) -> Iterable[object]:
    for mark in metadata:
        if getattr(mark, "__is_annotated_types_grouped_metadata__", False) and isinstance(mark, Iterable):
            yield from _flat(mark)
        elif isinstance(inner := getattr(mark, "metadata", None), list):  # pydantic's Field
            yield from _flat(inner)
        else:
            yield mark


def _read(kind: type[AnyField], mark: object, options: Options, validators: list[Callable[[Any], object]]) -> None:
    """Add what one mark says."""

    def said(*names: str) -> Any:  # Any: what the mark holds, whoever made it
        return next((value for name in names if (value := getattr(mark, name, None)) is not None), None)

    for option in ("min_length", "max_length"):
        if (length := said(option)) is not None:
            _require(kind, _SIZED, option)
            options[option] = length
    for option, inclusive, exclusive, step in (("min_value", "ge", "gt", 1), ("max_value", "le", "lt", -1)):
        if (limit := said(inclusive)) is not None:
            _require(kind, _RANGED, inclusive)
            options[option] = limit
        if (limit := said(exclusive)) is not None:
            _require(kind, _RANGED, exclusive)
            options[option] = limit
            if kind is DecimalField:  # which has no next value
                validators.append(_Beyond(limit, step))
            else:
                options[option] = _next_to(kind, limit, step)
    if (divisor := said("multiple_of")) is not None:
        _require(kind, _NUMBERS, "multiple_of")
        validators.append(_MultipleOf(divisor))
    if (pattern := said("pattern")) is not None:
        _require(kind, (StringField,), "pattern")
        options["pattern"] = _whole_pattern(pattern)
    for option in ("max_digits", "decimal_places"):
        if (digits := said(option)) is not None:
            _require(kind, (DecimalField,), option)
            options[option] = digits
    zone = getattr(mark, "tz", _NOTHING)
    if zone is not _NOTHING and (zone is not None or type(mark).__name__ == "Timezone"):  # None: Meta says nothing
        _require(kind, (DateTimeField,), "tz")
        options["timezone"] = zone not in (None, False)
    if type(mark).__name__ in ("Predicate", "Not") and callable(predicate := said("func")):
        is_negated = type(mark).__name__ == "Not"
        validators.append(_Opposite(predicate) if is_negated else predicate)


def _require(kind: type[AnyField], kinds: Sequence[type[AnyField]], mark: str) -> None:
    if kind not in kinds:
        raise SchemaDefinitionError(f"{kind.__name__}: its type has no {mark}", field=None)


def _next_to(kind: type[AnyField], limit: Any, step: int) -> Any:  # Any: a value of the field's type
    """Return the nearest value beyond a limit that is itself not allowed: above it for 1, below it for -1."""
    try:
        if kind is IntegerField:
            return (math.floor(limit) + 1) if step > 0 else (math.ceil(limit) - 1)
        if kind is FloatField:
            return math.nextafter(limit, math.inf * step)
        if kind is DateField:
            return limit + datetime.timedelta(days=step)
        if kind is TimeField:
            moment = datetime.datetime.combine(datetime.date(2000, 1, 2), limit)
            beyond = moment + datetime.timedelta(microseconds=step)
            if beyond.date() != moment.date():
                raise OverflowError
            return beyond.time()
        return limit + datetime.timedelta(microseconds=step)
    except OverflowError:
        raise SchemaDefinitionError(f"{kind.__name__}: no value lies beyond its limit", field=None) from None


def _whole_pattern(pattern: object) -> str | re.Pattern[str]:
    """Return the pattern that matches the whole of just those texts in which another one is found.

    Whoever writes a pattern beside a type means ``re.search``; a field's must match the whole text. ``$`` is the end of
    the text, also before a newline there.
    """
    if isinstance(pattern, re.Pattern):
        text, flags = cast("re.Pattern[str]", pattern).pattern, pattern.flags
    else:
        text, flags = str(pattern), re.compile(str(pattern)).flags
    if re.match(r"\(\?[a-zA-Z]+\)", text):
        raise SchemaDefinitionError(
            "StringField: a pattern here cannot begin with flags", hint="give Column(pattern=…)", field=None
        )
    simple = re.fullmatch(r"\^(.*?)(?<!\\)\$", text, re.DOTALL)
    whole = simple[1] if simple and "|" not in simple[1] else rf"[\s\S]*?(?:{text})[\s\S]*"
    given = flags & ~re.UNICODE
    return re.compile(whole, given) if given else whole


class _Beyond:
    """Refuses a limit itself."""

    def __init__(self, limit: Decimal | int, step: int) -> None:
        self._limit = limit
        self._word = "greater" if step > 0 else "less"

    def __call__(self, value: Decimal) -> None:
        if value == self._limit:
            raise ValueError(f"must be {self._word} than {self._limit}")


class _MultipleOf:
    def __init__(self, divisor: Any) -> None:  # Any: a number of the field's type
        self._divisor = divisor

    def __call__(self, value: Any) -> None:  # Any: as above
        if value % self._divisor:
            raise ValueError(f"must be a multiple of {self._divisor}")


class _Opposite:
    def __init__(self, predicate: Callable[[Any], object]) -> None:  # Any: a value of the field's type
        self._predicate = predicate

    def __call__(self, value: Any) -> bool:  # Any: as above
        return not self._predicate(value)
