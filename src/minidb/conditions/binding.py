"""Fitting a condition to a schema: its fields are there, its values are of their types and in their stored form."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import isnan
from typing import Any, Final

from minidb.conditions.predicate import All, Comparison, Condition, Either, Not, OneOf, Operator
from minidb.exceptions import FieldError, SchemaValidationError
from minidb.schema import ListField, ObjectField, Schema
from minidb.schema.validation import RowChecker, check_columns
from minidb.structs import replace

_NULLABLE_OPERATORS: Final = frozenset({Operator.EQUAL, Operator.NOT_EQUAL})
_OPPOSITES: Final = {Operator.EQUAL: Operator.NOT_EQUAL, Operator.NOT_EQUAL: Operator.EQUAL}
_MAP_KINDS: Final = frozenset({"dict", "json", "object"})


class Binder:
    """Fits conditions to the columns of a table. Immutable; safe from any thread."""

    def __init__(self, schema: Schema | None, checker: RowChecker | None, *, id_name: str | None = None) -> None:
        """``checker`` is the schema's own; both are None for a table that takes any columns.

        ``id_name`` is what a condition calls the automatic id by; None: nothing.
        """
        self._schema = schema
        self._checker = checker
        self._id_name = id_name

    def bind(self, condition: Condition) -> Condition:
        """Return the condition with the values that are stored.

        Raises ``SchemaValidationError`` for all that is wrong; the caller adds the table's name.
        """
        errors: list[FieldError] = []
        bound = self._bind(condition, errors)
        if errors:
            raise SchemaValidationError("The condition does not fit the table", errors=errors)
        return bound

    def element(self, name: str, value: object) -> object:
        """Return the form in which a list field stores an element. Raises as ``bind`` does."""
        assert self._schema is not None, "asked only of a field that a schema declares as a list"
        field = self._schema.fields[name]
        assert isinstance(field, ListField), "as above"
        return None if value is None else self._stored_item(field, (name,), value)

    def require_fields(self, names: Sequence[str]) -> None:
        """Raise ``SchemaValidationError`` for names that are no fields of the table."""
        errors = [error for name in names if (error := self._unknown(name)) is not None]
        if errors:
            raise SchemaValidationError("The query does not fit the table", errors=errors)

    def _bind(self, condition: Condition, errors: list[FieldError]) -> Condition:
        match condition:
            case All(conditions):
                parts: list[Condition] = []
                for one in conditions:
                    bound = self._bind(one, errors)
                    parts += bound.conditions if isinstance(bound, All) else (bound,)  # a plan looks at each alone
                return All(tuple(parts))
            case Either(conditions):
                return Either(tuple([self._bind(one, errors) for one in conditions]))
            case Not(inner):
                return _negated(self._bind(inner, errors))
            case OneOf(path, values):
                stored = [self._stored(path, Operator.EQUAL, value, errors) for value in values]
                return OneOf(path, tuple([one for one in stored if not _is_nan(one)]))
            case Comparison(path, operator, value):
                wanted = self._stored(path, operator, value, errors)
                if _is_nan(wanted):  # equal to nothing, also not to itself, and in no range
                    return All(()) if operator is Operator.NOT_EQUAL else OneOf(path, ())
                return Comparison(path, operator, wanted)
        raise AssertionError(f"no such condition: {type(condition)}")

    def _stored(
        self, path: tuple[str, ...], operator: Operator, value: Any, errors: list[FieldError]
    ) -> Any:  # Any: what the field's type admits
        unknown = self._unknown(path[0])
        if unknown is not None:
            if unknown not in errors:
                errors.append(unknown)
            return None
        if value is None:
            if operator not in _NULLABLE_OPERATORS:
                message = f"cannot be compared with None by {operator.value}"
                errors.append(FieldError(".".join(path), "null", message, None))
            return None
        try:
            return in_utc(self._stored_value(path, operator, value))
        except SchemaValidationError as error:
            errors += error.errors
            return None

    def _stored_value(self, path: tuple[str, ...], operator: Operator, value: Any) -> Any:
        name = path[0]
        if name == self._id_name:
            if type(value) is not int or len(path) > 1 or operator in (Operator.STARTS_WITH, Operator.CONTAINS):
                raise _refusal(path, "is a number, which is compared with integers", value)
            return value
        field = None if self._schema is None else self._schema.fields[name]
        if isinstance(field, ObjectField) and len(path) > 1:
            return self._stored_key(field, path, operator, value)
        if field is None or len(path) > 1 or field.kind in _MAP_KINDS:
            if field is not None and field.kind not in _MAP_KINDS:
                raise _refusal(path, f"is {field.noun}, which has no keys", value)
            if operator is Operator.STARTS_WITH and not isinstance(value, str | bytes):
                raise _refusal(path, "can begin with text or bytes only", value)
            return _storable(path, value)
        if operator is Operator.STARTS_WITH or (operator is Operator.CONTAINS and field.kind in ("string", "bytes")):
            wanted: type | None = {"string": str, "bytes": bytes}.get(field.kind)
            if wanted is None or not isinstance(value, wanted):
                raise _refusal(path, f"is {field.noun}: {operator.value} does not fit", value)
            return _storable(path, value)
        if operator is Operator.CONTAINS:
            if not isinstance(field, ListField):
                raise _refusal(path, f"is {field.noun}, which contains nothing", value)
            return self._stored_item(field, path, value)
        assert self._checker is not None, "there is a schema, and so its checker"
        return self._checker.stored_value(name, value)

    def _stored_key(self, field: ObjectField, path: tuple[str, ...], operator: Operator, value: Any) -> Any:
        """Return the form in which a value within an object is stored: the key there is a field like any other."""
        inner = field.fields.get(path[1])
        if inner is None:
            errors = [FieldError(".".join(path[:2]), "unknown_field", f"is no key of {path[0]}", None)]
            raise SchemaValidationError("The condition does not fit the table", errors=errors)
        schema = Schema({path[1]: inner})
        try:
            return Binder(schema, RowChecker(schema))._stored_value(path[1:], operator, value)
        except SchemaValidationError as error:
            found = [replace(one, field=f"{path[0]}.{one.field}") for one in error.errors]
            raise SchemaValidationError(error.message, errors=found) from None

    def _stored_item(self, field: ListField, path: tuple[str, ...], value: Any) -> Any:
        if field.item is None:
            return _storable(path, value)
        errors: list[FieldError] = []
        converted = field.item.convert(value, path[0], errors)
        if errors:
            raise SchemaValidationError("The element does not fit", errors=errors)
        return field.item.to_stored(converted)

    def _unknown(self, name: object) -> FieldError | None:
        if not isinstance(name, str) or not name:
            return FieldError(repr(name), "type", "is no name of a column", name)
        if self._schema is None or name in self._schema.fields or name == self._id_name:
            return None
        names = list(self._schema.fields)
        import difflib  # for this error only

        nearest = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(names)}"
        return FieldError(name, "unknown_field", f"is no field of the table; {hint}", None)


def _negated(condition: Condition) -> Condition:
    """Return the opposite of a condition, in its plainest form: others are looked for in the catalog and in plans."""
    if isinstance(condition, Comparison) and condition.operator in _OPPOSITES:
        return Comparison(condition.path, _OPPOSITES[condition.operator], condition.value)
    return condition.condition if isinstance(condition, Not) else Not(condition)


def in_utc(value: object) -> object:
    """Return an aware datetime as a row that is read has it, and anything else as it is.

    Python compares two of one zone by what the clock shows, and calls those of an hour that it goes through twice equal
    to none in another zone. What a condition says of a row must not change when the row has been stored.
    """
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo is not None else value


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and isnan(value)


def _storable(path: tuple[str, ...], value: object) -> object:
    return next(iter(check_columns({".".join(map(str, path)): value}).values()))


def _refusal(path: tuple[str, ...], message: str, value: object) -> SchemaValidationError:
    errors = [FieldError(".".join(map(str, path)), "type", message, value)]
    return SchemaValidationError("The value does not fit", errors=errors)
