"""The fields of single values: text, numbers, truth, bytes, identifiers, choices. Dates are in ``date_fields``."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import ClassVar, Generic, TypeVar, cast

from minidb.exceptions import FieldError
from minidb.schema.field import Errors, Field, with_options
from minidb.schema.limits import RangedField, SizedField

MemberT = TypeVar("MemberT", bound=Enum | str | int)


@with_options()
class StringField(SizedField[str]):
    """Text. Lengths count characters (code points). Any text that UTF-8 can write is allowed, also the empty one.

    >>> StringField(required=True, max_length=100, pattern=r"[^@]+@[^@]+")
    StringField(required=True, max_length=100, pattern='[^@]+@[^@]+')
    """

    pattern: str | re.Pattern[str] | None = None
    """A regular expression that the *whole* text must match, as with ``re.fullmatch``."""

    choices: Sequence[str] | None = None
    """The only values allowed."""

    kind: ClassVar[str] = "string"
    noun: ClassVar[str] = "a string"
    unit: ClassVar[str] = "character"

    def declare_limits(self) -> None:
        super().declare_limits()
        _ = self.compiled_pattern  # a bad pattern is found now, not at the first row
        declare_choices(self, self.choices)

    @cached_property
    def compiled_pattern(self) -> re.Pattern[str] | None:
        if self.pattern is None:
            return None
        try:
            compiled = re.compile(self.pattern)
        except (re.error, TypeError, ValueError, OverflowError, RecursionError) as error:
            self.contradict(f"pattern is no regular expression: {error}")
        if not isinstance(compiled.pattern, str):
            self.contradict("pattern must be a regular expression for text, not for bytes")
        return compiled

    def convert(self, value: object, path: str, errors: Errors) -> str | None:
        if not isinstance(value, str):
            self.refuse_type(value, path, errors)
            return None
        text = str.__str__(value)
        if not is_unicode(text):
            errors.append(FieldError(path, "unicode", "must not contain a lone surrogate", value))
            return None
        return text

    def check_limits(self, value: str, path: str, errors: Errors) -> None:
        self.check_length(len(value), value, path, errors)
        if self.compiled_pattern is not None and not self.compiled_pattern.fullmatch(value):
            message = f"must match the pattern {self.compiled_pattern.pattern!r}"
            errors.append(FieldError(path, "pattern", message, value))
        check_choice(self.choices, value, path, errors)


@with_options()
class IntegerField(RangedField[int, int]):
    """A whole number of any size. ``True`` and ``1.0`` are not accepted."""

    choices: Sequence[int] | None = None
    """The only values allowed."""

    version: bool = False
    """The column counts how often its row was written, from 1 on, for the ``if_version`` of ``table.update``. What a
    row gives for it counts for nothing. One field of a schema at most."""

    kind: ClassVar[str] = "integer"
    noun: ClassVar[str] = "an integer"

    @property
    def is_made(self) -> bool:
        return self.version or super().is_made

    def declare_limits(self) -> None:
        super().declare_limits()
        if not isinstance(self.version, bool):
            self.contradict("The option version must be True or False")
        if self.version and (self.primary_key or self.unique or self.computed or self.default_factory is not None):
            self.contradict("a version cannot be a primary key, unique, computed or have a default_factory")
        declare_choices(self, self.choices)

    def convert(self, value: object, path: str, errors: Errors) -> int | None:
        if not isinstance(value, int) or isinstance(value, bool):
            self.refuse_type(value, path, errors)
            return None
        return int.__int__(value)

    def check_limits(self, value: int, path: str, errors: Errors) -> None:
        super().check_limits(value, path, errors)
        check_choice(self.choices, value, path, errors)


@with_options()
class FloatField(RangedField[float, float]):
    """A number of double precision. Integers are accepted and become floats; infinities and NaN need ``allow_nan``."""

    allow_nan: bool = False
    """Accept infinities, which obey the limits, and NaN, which no limit refuses."""

    kind: ClassVar[str] = "float"
    noun: ClassVar[str] = "a number"

    def declare_limits(self) -> None:
        if not isinstance(self.allow_nan, bool):
            self.contradict("The option allow_nan must be True or False")
        if self.allow_nan and self.primary_key:
            self.contradict("NaN cannot be a primary key; do without allow_nan")
        super().declare_limits()
        for limit in (self.min_value, self.max_value):
            if limit is not None and not math.isfinite(limit):
                self.contradict("min_value and max_value must be finite")

    def convert(self, value: object, path: str, errors: Errors) -> float | None:
        if not isinstance(value, float | int) or isinstance(value, bool):
            self.refuse_type(value, path, errors)
            return None
        try:
            return float.__float__(value) if isinstance(value, float) else float(int.__int__(value))
        except OverflowError:
            errors.append(FieldError(path, "finite", "must not be greater than the largest float", value))
            return None

    def check_limits(self, value: float, path: str, errors: Errors) -> None:
        if self.allow_nan or math.isfinite(value):
            super().check_limits(value, path, errors)
        else:
            errors.append(FieldError(path, "finite", "must be finite", value))


@with_options()
class BooleanField(Field[bool]):
    """``True`` or ``False``, and nothing that merely counts as such."""

    kind: ClassVar[str] = "boolean"
    noun: ClassVar[str] = "True or False"

    def convert(self, value: object, path: str, errors: Errors) -> bool | None:
        if not isinstance(value, bool):
            self.refuse_type(value, path, errors)
            return None
        return value


@with_options()
class BytesField(SizedField[bytes]):
    """Bytes. ``bytearray`` and ``memoryview`` are accepted and become ``bytes``."""

    kind: ClassVar[str] = "bytes"
    noun: ClassVar[str] = "bytes"
    unit: ClassVar[str] = "byte"

    def convert(self, value: object, path: str, errors: Errors) -> bytes | None:
        if not isinstance(value, bytes | bytearray | memoryview):
            self.refuse_type(value, path, errors)
            return None
        return value if type(value) is bytes else bytes(memoryview(value))

    def check_limits(self, value: bytes, path: str, errors: Errors) -> None:
        self.check_length(len(value), value, path, errors)


@with_options()
class DecimalField(RangedField[Decimal, Decimal | int]):
    """An exact decimal number; finite. Integers are accepted and become decimals; floats, which are not exact, are not.

    Zeros at the end of the fraction count for neither limit: ``1.50`` has two digits and one decimal place.
    """

    max_digits: int | None = None
    """Digits in all. With ``decimal_places``, at most ``max_digits - decimal_places`` stand before the point."""

    decimal_places: int | None = None
    """Digits after the point."""

    kind: ClassVar[str] = "decimal"
    noun: ClassVar[str] = "a decimal"

    def declare_limits(self) -> None:
        for option, least in (("max_digits", 1), ("decimal_places", 0)):
            count = getattr(self, option)
            if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < least):
                self.contradict(f"{option} must be an integer of at least {least}")
        if self.max_digits is not None and self.decimal_places is not None and self.decimal_places > self.max_digits:
            self.contradict("decimal_places is greater than max_digits")
        super().declare_limits()

    def convert(self, value: object, path: str, errors: Errors) -> Decimal | None:
        if not isinstance(value, Decimal | int) or isinstance(value, bool):
            self.refuse_type(value, path, errors)
            return None
        number = value if type(value) is Decimal else Decimal(value)
        if not number.is_finite():
            errors.append(FieldError(path, "finite", "must be finite", value))
            return None
        return number

    def check_limits(self, value: Decimal, path: str, errors: Errors) -> None:
        super().check_limits(value, path, errors)
        whole, places = count_digits(value)
        if self.decimal_places is not None and places > self.decimal_places:
            message = f"must have at most {self.decimal_places} decimal places"
            errors.append(FieldError(path, "decimal_places", message, value))
        if self.max_digits is None:
            return
        if whole + places > self.max_digits:
            message = f"must have at most {self.max_digits} digits"
            errors.append(FieldError(path, "max_digits", message, value))
        elif self.decimal_places is not None and whole > self.max_digits - self.decimal_places:
            message = f"must have at most {self.max_digits - self.decimal_places} digits before the point"
            errors.append(FieldError(path, "max_digits", message, value))


@with_options()
class UUIDField(Field[uuid.UUID]):
    """A ``uuid.UUID``. Its text form is not accepted."""

    kind: ClassVar[str] = "uuid"
    noun: ClassVar[str] = "a UUID"

    def convert(self, value: object, path: str, errors: Errors) -> uuid.UUID | None:
        if not isinstance(value, uuid.UUID):
            self.refuse_type(value, path, errors)
            return None
        return value if type(value) is uuid.UUID else uuid.UUID(int=value.int)


@with_options(kw_only=False)
class EnumField(Field[MemberT], Generic[MemberT]):
    """One of a few values: the members of an Enum class, or plain strings and integers.

    With a class, members and their plain values are accepted, the plain value is stored, and rows that are read hold
    members. The class is not stored with the table: a schema read from the database gives the plain values.

    >>> EnumField(["draft", "published"], default="draft")
    EnumField(('draft', 'published'), default='draft')
    """

    values: type[MemberT] | Sequence[MemberT]
    """The class, or the values."""

    kind: ClassVar[str] = "enum"
    noun: ClassVar[str] = "one of the values"

    def declare_limits(self) -> None:
        super().declare_limits()
        if isinstance(self.values, type) and issubclass(self.values, Enum):
            given: list[object] = [member.value for member in self.values]
        elif isinstance(self.values, Iterable) and not isinstance(self.values, str | bytes | type):
            given = list(self.values)
        else:
            self.contradict("the first argument must be an Enum class, or a sequence of strings or integers")
        if not given:
            self.contradict("it needs at least one value")
        for value in given:
            if not isinstance(value, str | int) or isinstance(value, bool):
                self.contradict("its values must be strings or integers")
            if isinstance(value, str) and not is_unicode(value):
                self.contradict("its values must not contain a lone surrogate")
        if self.enum_class is None:
            self.settle("values", tuple(dict.fromkeys(map(_plain, given))))

    @property
    def enum_class(self) -> type[Enum] | None:
        return self.values if isinstance(self.values, type) and issubclass(self.values, Enum) else None

    @property
    def is_restored(self) -> bool:
        return self.enum_class is not None

    @cached_property
    def members(self) -> Mapping[object, object]:
        """What a user sees, by what is stored: the members of the class, or the plain values themselves."""
        if self.enum_class is None:
            return {value: value for value in cast(Sequence[object], self.values)}
        return {_plain(member.value): member for member in self.enum_class}

    def convert(self, value: object, path: str, errors: Errors) -> MemberT | None:
        if self.enum_class is not None and isinstance(value, self.enum_class):
            plain = _plain(value.value)
        elif isinstance(value, str | int) and not isinstance(value, bool):
            plain = _plain(value)
        else:
            plain = None
        if plain not in self.members:
            expected = ", ".join(map(repr, self.members))
            errors.append(FieldError(path, "enum", f"must be one of {expected}", value))
            return None
        return cast(MemberT, self.members[plain])

    def to_stored(self, value: MemberT) -> object:
        return _plain(value.value) if isinstance(value, Enum) else value

    def from_stored(self, value: object) -> object:
        # A value that the class has lost stays plain: a row must be readable whatever became of the program.
        return self.members.get(value, value)


def is_unicode(text: str) -> bool:
    """Tell whether UTF-8 can write the text, which it cannot with a lone surrogate in it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def count_digits(value: Decimal) -> tuple[int, int]:
    """Return how many digits stand before and after the point, without zeros at either end."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), "infinities and NaN were refused before"
    if not value:
        return 0, 0
    significant = len(digits)
    places = -exponent
    while places > 0 and digits[significant - 1] == 0:
        significant -= 1
        places -= 1
    return max(significant - places, 0), max(places, 0)


def declare_choices(field: StringField | IntegerField, choices: Sequence[object] | None) -> None:
    """Bring the choices to their plain form; each must pass the other limits of the field."""
    if choices is None:
        return
    if isinstance(choices, str) or not isinstance(choices, Iterable):
        field.contradict("choices must be a sequence of values")
    field.settle("choices", None)  # the choices are checked against the other limits, not against themselves
    plain = tuple(field.plain_option("choices", choice) for choice in choices)
    errors: Errors = []
    for choice in plain:
        field.check_limits(choice, "choices", errors)
    if errors:
        field.contradict(f"one of the choices {errors[0].message}")
    if not plain:
        field.contradict("choices must not be empty")
    field.settle("choices", plain)


def check_choice(choices: Sequence[object] | None, value: object, path: str, errors: Errors) -> None:
    if choices is not None and value not in choices:
        expected = ", ".join(map(repr, choices))
        errors.append(FieldError(path, "choices", f"must be one of {expected}", value))


def _plain(value: object) -> object:
    """Return a string or integer of no subclass; anything else as it is."""
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else value
