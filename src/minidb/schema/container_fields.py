"""The fields that hold other values: lists, dicts, JSON."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from minidb.exceptions import FieldError
from minidb.schema.field import AnyField, Errors, Field, with_options
from minidb.schema.limits import SizedField
from minidb.schema.storable import copy_json, copy_storable


@with_options(kw_only=False)
class ListField(SizedField[list[Any]]):  # Any: the items have the type of the item field, or any that can be stored
    """A list. Tuples are accepted and become lists; sets, which have no order, are not.

    An index on it has an entry for each element; with ``unique=True`` no two rows may share one.

    >>> ListField(StringField(max_length=20), max_length=5)
    ListField(StringField(max_length=20), max_length=5)
    """

    item: AnyField | None = None
    """The field that each item must pass. None: anything that can be stored. An item may be None only when its field
    says ``nullable=True``."""

    kind: ClassVar[str] = "list"
    noun: ClassVar[str] = "a list"
    unit: ClassVar[str] = "item"
    is_key_value: ClassVar[bool] = False

    def declare_limits(self) -> None:
        super().declare_limits()
        if self.item is None:
            return
        if not isinstance(self.item, Field):
            self.contradict("the item must be a field, such as StringField()")
        item = self.item
        if item.has_default or item.primary_key or item.unique or item.index or item.is_made:
            self.contradict("the item cannot have a default, be unique, have an index, be a primary key or be made")

    @property
    def is_restored(self) -> bool:
        return self.item is not None and self.item.is_restored

    def convert(self, value: object, path: str, errors: Errors) -> list[Any] | None:
        if not isinstance(value, list | tuple):
            self.refuse_type(value, path, errors)
            return None
        count_before = len(errors)
        if self.item is None:
            items = cast(list[Any], copy_storable(value, path, errors))
        else:
            items = [self._check_item(item, f"{path}[{index}]", errors) for index, item in enumerate(value)]
        return items if len(errors) == count_before else None

    def check_limits(self, value: list[Any], path: str, errors: Errors) -> None:
        self.check_length(len(value), value, path, errors)

    def to_stored(self, value: list[Any]) -> object:
        item = self.item
        if item is None or not item.is_restored:
            return value
        return [None if element is None else item.to_stored(element) for element in value]

    def from_stored(self, value: object) -> object:
        item = self.item
        if item is None or not item.is_restored:
            return value
        return [None if element is None else item.from_stored(element) for element in cast(list[object], value)]

    def _check_item(self, value: object, path: str, errors: Errors) -> object:
        assert self.item is not None, "the caller looked"
        if value is None and self.item.nullable is not True:  # an item is never left out, so None is no natural value
            errors.append(FieldError(path, "null", "must not be None"))
            return None
        return self.item.check(value, path, errors)


@with_options()
class DictField(SizedField[dict[str, Any]]):  # Any: the values are of any type that can be stored
    """A dict from strings to anything that can be stored: also dates, bytes, decimals, lists, other dicts.

    Lengths count the keys of the dict itself.
    """

    kind: ClassVar[str] = "dict"
    noun: ClassVar[str] = "a dict"
    unit: ClassVar[str] = "key"
    is_indexable: ClassVar[bool] = False

    def convert(self, value: object, path: str, errors: Errors) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            self.refuse_type(value, path, errors)
            return None
        count_before = len(errors)
        copy = cast(dict[str, Any], copy_storable(value, path, errors))
        return copy if len(errors) == count_before else None

    def check_limits(self, value: dict[str, Any], path: str, errors: Errors) -> None:
        self.check_length(len(value), value, path, errors)


@with_options()
class JSONField(Field[Any]):  # Any: JSON of any shape
    """Whatever JSON can say, of any shape: strings, finite numbers, booleans, None, and lists and dicts of them.

    None alone is the null of the column, so it needs ``nullable``; inside a list or dict it is always allowed.
    """

    kind: ClassVar[str] = "json"
    noun: ClassVar[str] = "a JSON value"
    is_indexable: ClassVar[bool] = False

    def convert(self, value: object, path: str, errors: Errors) -> object:
        count_before = len(errors)
        copy = copy_json(value, path, errors)
        return copy if len(errors) == count_before else None
