"""``Column``: what a model says of a column beyond its type, inside ``Annotated``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a TypedDict compiles each of its annotations whenever it is imported: 1 ms
    import re
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Literal, TypedDict, Unpack

    class ColumnOptions(TypedDict, total=False):
        """The options that a field has and a Python type cannot say. Their meaning is that of the field's own."""

        primary_key: bool
        unique: bool
        index: bool
        validators: Sequence[Callable[[Any], object]]  # Any: the type of the column's values
        min_length: int
        max_length: int
        pattern: str | re.Pattern[str]
        choices: Sequence[str] | Sequence[int]
        min_value: Any  # Any: the type of the column's values
        max_value: Any  # Any: as above
        allow_nan: bool
        timezone: bool
        max_digits: int
        decimal_places: int
        computed: Callable[[Mapping[str, Any]], Any]  # Any: columns, and the value, of their fields' types
        stamp: Literal["created", "updated"]
        version: bool
        renamed_from: str | Sequence[str]


class Column:
    """Options of one column of a model: those of its field, by the same names.

    >>> class User:
    ...     email: Annotated[str, Column(unique=True, max_length=254)]

    Whether the column is required, may be None or has a default, its type and the class itself say.
    """

    __slots__ = ("options",)

    def __init__(self, **options: Unpack[ColumnOptions]) -> None:
        self.options = options

    def __repr__(self) -> str:
        return f"Column({', '.join(f'{name}={value!r}' for name, value in self.options.items())})"
