"""The check of whole rows, before any byte is written. Called by the tables for each row that is stored.

A row goes the fast way first (``fast_path``: exact types, then msgspec, then what msgspec cannot check). A row that the
fast way refuses goes the careful way, field by field, which either finds every error or accepts the row after all: what
the careful way says is the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from minidb.exceptions import FieldError, SchemaValidationError
from minidb.schema.fast_path import FastRow, LaterFastRow, can_be_fast
from minidb.schema.field import AnyField, Errors
from minidb.schema.fields import is_unicode
from minidb.schema.rules import Rules
from minidb.schema.schema import Schema
from minidb.schema.storable import copy_storable, is_plain

_NATIVE_KINDS: Final = frozenset({"string", "integer", "float", "boolean", "bytes", "enum"})


class RowChecker:
    """Checks rows against one schema. Made once for a schema; immutable; may be used by any thread.

    >>> checker = RowChecker(Schema(name=StringField(required=True), age=IntegerField(min_value=0)))
    >>> checker.check({"name": "John"})
    ('John', None)
    """

    names: tuple[str, ...]
    """The columns in the order of the schema, which is the order of every sequence of values here."""

    wrapped_positions: tuple[int, ...]
    """Positions whose values are of no type that msgpack has: all but str, int, float, bool, bytes and None. An integer
    may still be beyond the 64 bits of msgpack."""

    restore: Callable[[list[object]], list[object]] | None
    """Puts the values that the user sees in the place of the stored ones, in the list itself, and returns it. None when
    they are the same."""

    rules: Rules | None
    """What the schema says of whole rows, if anything."""

    def __init__(self, schema: Schema) -> None:
        self._fields = dict(schema.fields)
        self.names = tuple(self._fields)
        self.wrapped_positions = tuple(
            position for position, field in enumerate(self._fields.values()) if field.kind not in _NATIVE_KINDS
        )
        self.restore = _make_restore(list(self._fields.values()))
        self._factories = tuple(
            (name, field.default_factory) for name, field in self._fields.items() if field.default_factory is not None
        )
        rules = Rules(schema, self.restore)
        self.rules = rules if rules.is_needed else None
        self._fast: FastRow | LaterFastRow | None = None
        if can_be_fast(self._fields):
            self._fast = LaterFastRow(self._fields, self._keep_fast)

    def _keep_fast(self, fast: FastRow) -> None:
        self._fast = fast

    def check(
        self, columns: Mapping[str, object], old: Sequence[object] | None = None, *, as_is: bool = False
    ) -> Sequence[object]:
        """Return the values to store. Raises ``SchemaValidationError`` with an error for every bad field.

        ``old`` are the stored values of the row that this one replaces. ``as_is``: it was stored before, and keeps its
        stamps, its version and what was computed.

        Lists and dicts among the values are copies. Strings are not always searched for lone surrogates: the encoder
        refuses these, and ``explain`` then finds them.
        """
        if self._factories:
            columns = self._with_made_defaults(columns)
        if self.rules is not None and not as_is:
            return self._check_by_rules(self.rules, columns, old, None)
        values = None if self._fast is None else self._fast.check(columns)
        return self._check_carefully(columns, None) if values is None else values

    def check_many(self, rows: Sequence[Mapping[str, object]], *, as_is: bool = False) -> Sequence[Sequence[object]]:
        """Do the same for many rows. The error is that of the first bad row, and tells its place as ``row_number``."""
        if self._factories:
            rows = list(map(self._with_made_defaults, rows))
        if self.rules is not None and not as_is:
            return [self._check_by_rules(self.rules, columns, None, number) for number, columns in enumerate(rows)]
        if self._fast is not None:
            many = self._fast.check_many(rows)
            if many is not None:
                return many
        return [self._check_one_of_many(columns, number) for number, columns in enumerate(rows)]

    def _check_by_rules(
        self, rules: Rules, columns: Mapping[str, object], old: Sequence[object] | None, row_number: int | None
    ) -> Sequence[object]:
        columns = rules.stamped(columns, old)
        values = None if self._fast is None else self._fast.check(columns)
        checked = self._check_carefully(columns, row_number) if values is None else values
        return self._finish(rules, checked, row_number)

    def _finish(self, rules: Rules, values: Sequence[object], row_number: int | None) -> Sequence[object]:
        errors: Errors = []
        finished = rules.finish(values, errors)
        if errors:
            raise _error(errors, row_number)
        return finished

    def restamp(self, values: Sequence[object], old: Sequence[object]) -> Sequence[object]:
        """Return the values to store of a checked row which, as it turned out, replaces one."""
        if self.rules is None or not self.rules.has_stamps:
            return values
        return self._finish(self.rules, self.rules.restamped(values, old), None)

    def check_values(self, given: tuple[object, ...], old: Sequence[object] | None = None) -> Sequence[object]:
        """Do what ``check`` does for a row that is given as the values of all its columns, in order.

        They are those of an object of a model: its own code has run.
        """
        if self.rules is not None and not self.rules.is_code_alone:
            return self._check_by_rules(self.rules, self._named(given), old, None)
        values = None if self._fast is None else self._fast.check_values(given)
        return self._check_carefully(self._named(given), None) if values is None else values

    def check_many_values(self, rows: Sequence[tuple[object, ...]]) -> Sequence[Sequence[object]]:
        """Do the same for many rows, as ``check_many``."""
        if self.rules is not None and not self.rules.is_code_alone:
            return self.check_many(list(map(self._named, rows)))
        many = None if self._fast is None else self._fast.check_many_values(rows)
        if many is not None:
            return many
        return [self._check_one_of_many(self._named(given), number) for number, given in enumerate(rows)]

    def _named(self, given: tuple[object, ...]) -> dict[str, object]:
        return dict(zip(self.names, given, strict=True))

    def explain(self, columns: Mapping[str, object]) -> SchemaValidationError | None:
        """Return the error of a row by the careful way alone, or None when nothing is wrong with it."""
        errors: Errors = []
        self._collect(self._with_made_defaults(columns), errors)
        return _error(errors, None) if errors else None

    def stored_value(self, name: str, value: object) -> object:
        """Return the form in which a value of one column is stored, to look for it.

        1 for a float column becomes 1.0, a member of an Enum class its plain value; None stays None. The type is
        checked, the limits are not: a value beyond them is simply not found. Raises ``SchemaValidationError``, also
        for an unknown column.
        """
        errors: Errors = []
        field = self._fields.get(name)
        if field is None:
            errors.append(self._unknown(name, value))
        elif value is not None:
            converted = field.convert(value, name, errors)
            if not errors:
                return field.to_stored(converted)
        if errors:
            raise _error(errors, None, sentence="The value does not match the schema")
        return None

    def _with_made_defaults(self, columns: Mapping[str, object]) -> Mapping[str, object]:
        """Call the default factories of the columns that are lacking: once for a row, whichever way it goes then."""
        made = {name: make() for name, make in self._factories if name not in columns}
        return {**columns, **made} if made else columns

    def _check_one_of_many(self, columns: Mapping[str, object], row_number: int) -> Sequence[object]:
        values = None if self._fast is None else self._fast.check(columns)
        return self._check_carefully(columns, row_number) if values is None else values

    def _check_carefully(self, columns: Mapping[str, object], row_number: int | None) -> tuple[object, ...]:
        errors: Errors = []
        values = self._collect(columns, errors)
        if errors:
            raise _error(errors, row_number)
        return values

    def _collect(self, columns: Mapping[str, object], errors: Errors) -> tuple[object, ...]:
        """Return the values to store, by the careful way; with errors, the values mean nothing."""
        values: list[object] = []
        for name, field in self._fields.items():
            if field.computed is not None:
                values.append(columns.get(name))  # what was given is replaced in the end, but for a row as it is
            elif name in columns:
                values.append(field.check_to_stored(columns[name], name, errors))
            elif field.has_default:
                values.append(field.check_to_stored(field.default, name, errors))
            elif field.required or not field.is_nullable:
                errors.append(FieldError(name, "required", "is required"))
            else:
                values.append(None)
        errors.extend(self._unknown(name, value) for name, value in columns.items() if name not in self._fields)
        return tuple(values)

    def _unknown(self, name: object, value: object) -> FieldError:
        label = name if isinstance(name, str) else repr(name)
        import difflib  # for this error only

        nearest = difflib.get_close_matches(label, self.names, n=1)
        message = f"is no field of the schema; did you mean {nearest[0]!r}?" if nearest else "is no field of the schema"
        return FieldError(label, "unknown_field", message, value)


def check_columns(columns: Mapping[str, object]) -> dict[str, object]:
    """Check the row of a table without a schema, and return its columns with their values in plain form.

    Values that are plain already are returned as they are; lists and dicts are copied. Raises
    ``SchemaValidationError`` with an error for every bad column. What is storable says ``schema.storable``.
    """
    plain: dict[str, object] = {}
    errors: Errors = []
    for name, value in columns.items():
        if type(name) is not str or not name or not name.isascii():
            name = _plain_column_name(name, value, errors)  # noqa: PLW2901  # the same name, without a subclass
        plain[name] = value if is_plain(value) else copy_storable(value, name, errors)
    if errors:
        raise _error(errors, None, sentence="The row cannot be stored")
    return plain


def _plain_column_name(name: object, value: object, errors: Errors) -> str:
    if not isinstance(name, str):
        errors.append(FieldError(repr(name), "type", "is no column name, which must be a string", value))
        return repr(name)
    if not name:
        errors.append(FieldError(name, "min_length", "is no column name, which must not be empty", value))
    elif not is_unicode(name):
        errors.append(FieldError(name, "unicode", "is no column name: it contains a lone surrogate", value))
    return str.__str__(name)


def _error(
    errors: Errors, row_number: int | None, *, sentence: str = "The row does not match the schema"
) -> SchemaValidationError:
    return SchemaValidationError(sentence, errors=errors, table=None, row_number=row_number)


def _make_restore(fields: Sequence[AnyField]) -> Callable[[list[object]], list[object]] | None:
    restorers = [(position, field.from_stored) for position, field in enumerate(fields) if field.is_restored]
    if not restorers:
        return None

    def restore(values: list[object]) -> list[object]:
        for position, from_stored in restorers:
            value = values[position]
            if value is not None:
                values[position] = from_stored(value)
        return values

    return restore
