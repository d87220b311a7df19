"""The two kinds of limits that fields have: of length, and of value."""

from __future__ import annotations

import sys
from typing import Any, ClassVar, Generic, TypeVar

from minidb.exceptions import FieldError
from minidb.schema.field import Errors, Field, ValueT, with_options

LimitT = TypeVar("LimitT")


@with_options()
class SizedField(Field[ValueT]):
    """A field whose values have a length."""

    min_length: int | None = None
    """The shortest length allowed."""

    max_length: int | None = None
    """The longest length allowed."""

    unit: ClassVar[str]
    """What the length counts, for messages: "character"."""

    def declare_limits(self) -> None:
        super().declare_limits()
        for option in ("min_length", "max_length"):
            length = getattr(self, option)
            if length is None:
                continue
            if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length <= sys.maxsize:
                self.contradict(f"{option} must be an integer of at least 0")
            self.settle(option, int(length))
        if self.min_length is not None and self.max_length is not None and self.min_length > self.max_length:
            self.contradict("min_length is greater than max_length")

    def check_length(self, length: int, value: object, path: str, errors: Errors) -> None:
        if self.min_length is not None and length < self.min_length:
            message = f"must have at least {self._count(self.min_length)}"
            errors.append(FieldError(path, "min_length", message, value))
        if self.max_length is not None and length > self.max_length:
            message = f"must have at most {self._count(self.max_length)}"
            errors.append(FieldError(path, "max_length", message, value))

    def _count(self, length: int) -> str:
        return f"{length} {self.unit}" if length == 1 else f"{length} {self.unit}s"


@with_options()
class RangedField(Field[ValueT], Generic[ValueT, LimitT]):
    """A field whose values have an order. The limits themselves are allowed values."""

    min_value: LimitT | None = None
    """The smallest value allowed."""

    max_value: LimitT | None = None
    """The greatest value allowed."""

    def declare_limits(self) -> None:
        super().declare_limits()
        for option in ("min_value", "max_value"):
            limit = getattr(self, option)
            if limit is not None:
                self.settle(option, self.plain_option(option, limit))
        low, high = self._limits()
        if low is not None and high is not None and low > high:
            self.contradict("min_value is greater than max_value")

    def check_limits(self, value: ValueT, path: str, errors: Errors) -> None:
        super().check_limits(value, path, errors)
        low, high = self._limits()
        if low is not None and value < low:
            errors.append(FieldError(path, "min_value", f"must be at least {low}", value))
        if high is not None and value > high:
            errors.append(FieldError(path, "max_value", f"must be at most {high}", value))

    def _limits(self) -> tuple[Any, Any]:  # Any: the type of the values, which has an order that no bound can say
        return self.min_value, self.max_value
