"""A table's definition, compiled: everything that reading and writing its rows needs, looked up once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, cast

from minidb.conditions.binding import Binder, in_utc
from minidb.conditions.match import compile_test
from minidb.conditions.predicate import Condition
from minidb.encoding.integers import decode_integer, encode_integer
from minidb.encoding.keys import decode_values, encode_text, encode_value, encode_values
from minidb.encoding.rows import KEY, Record, RowCodec, set_attribute
from minidb.exceptions import (
    ChecksumError,
    FieldError,
    IndexNotFoundError,
    KeyTooLargeError,
    RowNotFoundError,
    SchemaValidationError,
    UsageError,
    VersionConflictError,
)
from minidb.schema import Schema
from minidb.schema.fields import StringField
from minidb.schema.validation import RowChecker, check_columns
from minidb.tables.definitions import IndexDefinition, TableDefinition
from minidb.tables.index_entries import LARGEST_KEY_BYTES, LARGEST_ROW_KEY_BYTES, IndexBinding, Values
from minidb.tables.old_rows import upgrades_of
from minidb.tables.row import Row, RowLike, columns_of, plain_row, struct_base

if TYPE_CHECKING:
    from minidb.schema.model_rows import ModelRows

_NEVER_LONG: Final = frozenset({"float", "boolean", "date", "datetime", "time", "uuid"})
"""Kinds whose values are never so long in a key that they are cut."""

ID: Final = "id"
LARGEST_AUTOMATIC_ID: Final = 2**63 - 1


class TableBinding:
    """How the rows of one table are checked, keyed, written and read. Immutable; safe from any thread.

    In a table with a schema the values of a row are a sequence in schema order. In one without, they are a sequence
    of one: the dict of its columns.
    """

    def __init__(self, definition: TableDefinition, schema: Schema | None, *, is_outdated: bool = False) -> None:
        """``schema`` is the definition's, or an equal one that also has what cannot be stored, such as validators.

        ``is_outdated``: the program knows another schema, and so must not write.
        """
        self.definition = definition
        self.name = definition.name
        self.key: str | tuple[str, ModelRows] = definition.name
        """What the catalog has this binding under."""
        self.space = definition.space
        self.schema = schema
        self.is_outdated = is_outdated
        self.runs_code = schema is not None and schema.runs_code
        """Whether code of the program's runs when a row is written."""
        self.has_automatic_ids = not definition.primary_key
        self._checker = None if schema is None else RowChecker(schema)
        self.id_name = ID if schema is not None and self.has_automatic_ids and ID not in schema.fields else None
        """What a query calls the automatic ids by; None: nothing. Without a schema it may be the name of a column."""
        self._binder = Binder(schema, self._checker)
        self._query_binder = Binder(schema, self._checker, id_name=self.id_name)
        self.names: tuple[str, ...] | None = None if self._checker is None else self._checker.names
        self.codec = self._make_codec()
        self.columns_of = self.codec.columns_of
        self.decode_record = self.codec.decode_record
        self._restore = None if self._checker is None else self._checker.restore
        self._key_positions = tuple(map(self._position, definition.primary_key))
        self._has_text_key = schema is not None and [type(schema.fields[name]) for name in definition.primary_key] == [
            StringField
        ]
        self.written_indexes = tuple(map(self._bind_index, definition.indexes))
        """The indexes that whoever writes must keep: also those that are still being built."""
        self.indexes = tuple(index for index in self.written_indexes if not index.is_building)
        """Those that may be read: each has all of its entries."""
        self.recipes: dict[Hashable, object] = {}
        """What ``query.recipe`` keeps of how it plans queries of this table. It goes when the definition changes."""

    def _make_codec(self) -> RowCodec:
        if self._checker is None or self.names is None:
            return RowCodec(self.definition.schema_version, None)
        return RowCodec(
            self.definition.schema_version,
            self.names,
            wrapped_positions=self._checker.wrapped_positions,
            restore=self._checker.restore,
            struct_base=struct_base(self.names, self.id_of),
            upgrades=upgrades_of(self.definition),
        )

    def _position(self, field: str) -> int:
        assert self.names is not None, "a primary key is declared in a schema"
        return self.names.index(field)

    def _bind_index(self, index: IndexDefinition) -> IndexBinding:
        test = None if index.where is None else compile_test(index.where, self.schema, self.stored_value_getter)
        if self.names is None:
            return _ColumnIndexBinding(index, test=test)
        assert self.schema is not None, "it gives the names"
        # Integers are longer the farther they are from zero; but nulls come before the longest of them.
        field = self.schema.fields[index.fields[0]]
        is_number = field.kind in _NEVER_LONG or (field.kind == "integer" and not field.is_nullable)
        is_longest_at_ends = len(index.fields) == 1 and is_number
        positions = [self.names.index(field) for field in index.fields]
        return IndexBinding(index, positions, is_typed=True, test=test, is_longest_at_ends=is_longest_at_ends)

    def stored_value_getter(self, name: str) -> Callable[[Values], Any]:
        """Return a function from the stored values of a row to the one of a column; None where it has none."""
        if self.names is None:
            return lambda values: cast("Mapping[str, Any]", values[0]).get(name)
        position = self.names.index(name)
        if self.schema is not None and self.schema.fields[name].kind == "datetime":
            return lambda values: in_utc(values[position])
        return itemgetter(position)

    # --- rows ---------------------------------------------------------------------------------------------------------

    def check(self, row: RowLike, old: Values | None = None, *, as_is: bool = False) -> Values:
        """Return the values to store, or raise ``SchemaValidationError`` with every bad field.

        ``old`` are the values of the row that this one replaces; ``as_is`` is for a row that was stored before, as in
        ``RowChecker.check``. Raises ``TypeError`` for what is no row.
        """
        columns = columns_of(row)
        try:
            if self._checker is not None:
                return self._checker.check(columns, old, as_is=as_is)
            return (check_columns(columns),)
        except SchemaValidationError as error:
            raise self.refusal(error) from None

    def check_new(self, row: RowLike) -> Values:
        """Do the same for a row that is going to be inserted."""
        return self.check(row)

    def restamp(self, values: Values, old: Values) -> Values:
        """Return the values of a checked row which, as it turned out, replaces one."""
        try:
            return values if self._checker is None else self._checker.restamp(values, old)
        except SchemaValidationError as error:
            raise self.refusal(error) from None

    def check_changes(self, changes: Mapping[str, object]) -> None:
        """Raise ``SchemaValidationError`` for changes of columns that a program cannot set."""
        rules = None if self._checker is None else self._checker.rules
        if rules is None or rules.made.isdisjoint(changes):
            return
        message = "is made by the table, and cannot be changed"
        errors = [FieldError(name, "made", message, changes[name]) for name in changes if name in rules.made]
        raise self.refusal(SchemaValidationError("The columns cannot be changed", errors=errors))

    def require_version(self, key: bytes, values: Values, wanted: object) -> None:
        """Raise ``VersionConflictError`` unless a row has this version, and ``UsageError`` where rows have none."""
        if type(wanted) is not int:
            raise UsageError("The if_version must be an integer: the version that a row was read with")
        name = None if self.schema is None else self.schema.roles.get("version")
        if name is None:
            raise UsageError(
                f"The rows of table {self.name!r} have no version to compare",
                hint="declare one: version=IntegerField(version=True)",
            )
        version = self.stored_value_getter(name)(values) or 0  # null in a row that is older than the field
        if version != wanted:
            raise VersionConflictError(
                f"A row of table {self.name!r} has been written since it had the version asked for",
                hint="read it again, and decide anew",
                table=self.name,
                id=self.id_of(key),
                version=version,
                if_version=wanted,
            )

    def check_many(self, given: Sequence[RowLike], *, first_number: int, as_is: bool = False) -> Sequence[Values]:
        """Check rows to insert. ``first_number`` is the place of the first one in what the caller inserts."""
        is_plain = set(map(type, given)) == {dict}  # 20 ns a row; asking each costs 60
        rows = cast("Sequence[Mapping[str, object]]", given) if is_plain else list(map(columns_of, given))
        try:
            if self._checker is not None:
                return self._checker.check_many(rows, as_is=as_is)
        except SchemaValidationError as error:
            raise self.refusal(error, row_number=first_number + error.facts["row_number"]) from None  # type: ignore[operator]  # an int, by contract
        checked: list[Values] = []
        for number, columns in enumerate(rows, first_number):
            try:
                checked.append((check_columns(columns),))
            except SchemaValidationError as error:
                raise self.refusal(error, row_number=number) from None
        return checked

    def refusal(self, error: SchemaValidationError, *, row_number: int | None = None) -> SchemaValidationError:
        """Return the error with the table's name, and the row's place among many."""
        which = "The row" if row_number is None else f"Row {row_number} (counted from 0)"
        rule = "be stored" if self.schema is None else "be stored: it does not match the schema"
        return SchemaValidationError(
            f"{which} of table {self.name!r} cannot {rule}",
            errors=error.errors,
            table=self.name,
            row_number=row_number,
        )

    def encode(self, values: Values) -> bytes:
        """Return the bytes of a checked row."""
        try:
            return self.codec.encode(values if self.names is not None else values[0])  # type: ignore[arg-type]  # a dict there
        except UnicodeEncodeError:
            raise self._surrogate_refusal(values) from None

    def encode_many(self, rows: Sequence[Values], *, first_number: int) -> list[bytes]:
        """Return the bytes of many checked rows."""
        try:
            if self.names is not None:
                return self.codec.encode_many(rows)
            return self.codec.encode_many([values[0] for values in rows])  # type: ignore[misc]  # a dict there
        except UnicodeEncodeError:
            for number, values in enumerate(rows, first_number):
                try:
                    self.encode(values)
                except SchemaValidationError as error:
                    raise self.refusal(error, row_number=number) from None
            raise

    def _surrogate_refusal(self, values: Values) -> SchemaValidationError:
        found = None
        if self._checker is not None:
            found = self._checker.explain(self.columns(values))
        if found is None:
            columns = self.columns(values)
            bad = [name for name in columns if _has_surrogate(name) or _has_surrogate(columns[name])]
            errors = [FieldError(name, "unicode", "holds a lone surrogate, which is no Unicode text") for name in bad]
            found = SchemaValidationError("The row holds text that is no Unicode", errors=errors)
        return self.refusal(found)

    def columns(self, values: Values) -> dict[str, Any]:  # Any: a column has the type that its field declares
        """Return the columns that stored values stand for."""
        if self.names is None:
            return dict(cast("Mapping[str, Any]", values[0]))
        if self._restore is not None:
            values = self._restore(list(values))
        return dict(zip(self.names, values, strict=True))

    def values(self, data: bytes) -> Values:
        """Return the stored values of a row's bytes."""
        decoded = self.codec.decode(data)
        return decoded if self.names is not None else (decoded,)

    def values_at(self, key: bytes, data: bytes) -> Values:
        """Return the stored values of the row that was found at a key; its ``ChecksumError`` says which row it is."""
        try:
            return self.values(data)
        except ChecksumError as error:
            raise self.damaged(key) from error

    def values_of_many(self, keys: Sequence[bytes], rows: Sequence[bytes]) -> list[Values]:
        """Return the stored values of many rows, as ``values_at`` does of one."""
        decoded = self._read_many(self.codec.decode_many, keys, rows)
        return decoded if self.names is not None else [(columns,) for columns in decoded]

    def column_reader(self, positions: Sequence[int]) -> Callable[[Sequence[bytes], Sequence[bytes]], list[Any]]:
        """Return a function from keys and their rows to what ``RowCodec.column_reader`` reads of these."""
        return partial(self._read_many, self.codec.column_reader(positions))

    def _read_many(
        self, read: Callable[[Sequence[bytes]], list[Any]], keys: Sequence[bytes], rows: Sequence[bytes]
    ) -> list[Any]:  # Any: stored values
        try:
            return read(rows)
        except ChecksumError:
            for key, data in zip(keys, rows, strict=True):
                self.values_at(key, data)  # raises for the row that it is
            raise

    def row(self, key: bytes, record: Record) -> Any:  # Any: a Row, or an object of a model in its own binding
        """Return the row of a key and its record."""
        if self.codec.has_structs:
            set_attribute(record, KEY, key)
            return record  # a struct derives from Row
        return plain_row(self.columns_of(record), self.id_of(key))

    def rows(self, keys: Sequence[bytes], records: list[Record]) -> list[Any]:  # Any: as above
        """Return the rows of keys and their records."""
        if self.codec.has_structs:
            deque(map(set_attribute, records, repeat(KEY), keys), maxlen=0)  # a loop in C: 20 ns a row
            return records
        return list(map(self.row, keys, records))

    def row_at(self, key: bytes, data: bytes) -> Any:  # Any: as above
        """Return the row that was found at a key; its ``ChecksumError`` says which row it is."""
        try:
            return self.row(key, self.decode_record(data))
        except ChecksumError as error:
            raise self.damaged(key) from error

    def given_id(self, row: RowLike) -> Any:  # Any: an id, as its table has it
        """Return the id that a row was read with; None for one that is not stored."""
        return row.id if isinstance(row, Row) else None

    # --- keys ---------------------------------------------------------------------------------------------------------

    def key_of(self, values: Values) -> bytes:
        """Return the key of a checked row of a table with a declared primary key."""
        try:
            if len(self._key_positions) == 1:
                key = encode_value(values[self._key_positions[0]])  # type: ignore[arg-type]  # the schema admits key values only
            else:
                key = encode_values([values[position] for position in self._key_positions])  # type: ignore[misc]  # as above
        except UnicodeEncodeError:
            raise self._surrogate_refusal(values) from None
        self._require_short(key)
        return key

    def key_of_id(self, row_id: object) -> bytes | None:
        """Return the key of the row that has an id, or None if no row can have it."""
        if self.has_automatic_ids:
            if type(row_id) is int and 0 < row_id <= LARGEST_AUTOMATIC_ID:
                return encode_integer(row_id)
            return None
        try:
            if self._has_text_key and type(row_id) is str:  # as most are, and stored as it is: 0.2 µs in place of 2.3
                key = encode_text(row_id)
            else:
                fields = self.definition.primary_key
                parts = (row_id,) if len(fields) == 1 else row_id
                if not isinstance(parts, tuple | list) or len(parts) != len(fields) or None in parts:
                    return None
                key = encode_values(self._stored_values(fields, parts))  # type: ignore[arg-type]  # as above
        except (SchemaValidationError, UnicodeEncodeError):
            return None
        return key if len(key) <= LARGEST_ROW_KEY_BYTES else None

    def bound(self, row_id: object) -> bytes:
        """Return the key at which a scan begins or stops; of several key fields a tuple of the first few will do.

        The value need not be one that a row may have, but must be of its type: else ``SchemaValidationError``.
        """
        fields = self.definition.primary_key
        if self.schema is None or self.has_automatic_ids:
            if type(row_id) is not int:
                raise self._lookup_refusal([FieldError("id", "type", "must be an integer", row_id)])
            return encode_integer(row_id)
        parts = (row_id,) if len(fields) == 1 else row_id
        if not isinstance(parts, tuple | list) or not 0 < len(parts) <= len(fields):
            message = f"must be a tuple of at most {len(fields)} values: {', '.join(fields)}"
            raise self._lookup_refusal([FieldError("id", "type", message, row_id)])
        stored = self._stored_values(fields[: len(parts)], parts)
        # No row's key is as long as the engine allows, so cutting a bound there leaves it between the same two rows.
        return encode_values(stored)[:LARGEST_KEY_BYTES]  # type: ignore[arg-type]  # of the fields' types, so key values

    def id_of(self, key: bytes) -> Any:  # Any: an int, a key value, or a tuple of such
        """Return the id that a row key stands for."""
        if self.has_automatic_ids:
            return decode_integer(key)
        stored: tuple[object, ...] = decode_values(key)
        if self.schema is not None and self._restore is not None:
            fields = [self.schema.fields[name] for name in self.definition.primary_key]
            stored = tuple(field.from_stored(value) for field, value in zip(fields, stored, strict=True))
        return stored[0] if len(stored) == 1 else stored

    def _require_short(self, key: bytes) -> None:
        if len(key) > LARGEST_ROW_KEY_BYTES:
            fields = ", ".join(self.definition.primary_key)
            raise KeyTooLargeError(
                f"The primary key ({fields}) of a row of table {self.name!r} takes {len(key)} bytes, "
                f"and {LARGEST_ROW_KEY_BYTES} are allowed",
                hint="use a shorter key; a long value can be a unique field instead",
                table=self.name,
                field=fields,
                size_bytes=len(key),
                limit_bytes=LARGEST_ROW_KEY_BYTES,
            )

    def not_found(self, row_id: object) -> RowNotFoundError:
        """Return the error for an id that no row has."""
        return row_not_found(self.name, row_id)

    def damaged(self, key: bytes) -> ChecksumError:
        """Return the error for the row at a key, whose bytes are not what was written."""
        return ChecksumError(
            f"A stored row of table {self.name!r} fails its checksum",
            hint="stop writing and restore a backup",
            table=self.name,
            id=self.id_of(key),
        )

    # --- indexes ------------------------------------------------------------------------------------------------------

    def index(self, name_or_field: str) -> IndexBinding:
        """Return the index of this name, or on exactly this field; raise ``IndexNotFoundError``."""
        for index in self.indexes:
            if index.definition.name == name_or_field:
                return index
        for index in self.indexes:
            if index.definition.fields == (name_or_field,):
                return index
        raise IndexNotFoundError(
            f"Table {self.name!r} has no index on {name_or_field!r}",
            hint=f"make one: db.create_index({self.name!r}, {name_or_field!r})",
            table=self.name,
            index=name_or_field,
        )

    def index_values(self, index: IndexBinding, value: object) -> tuple[object, ...]:
        """Return the values to look up in an index.

        Raises ``SchemaValidationError`` for a value of another type than the field's, or that no row can have.
        """
        fields = index.definition.fields
        parts = (value,) if len(fields) == 1 else value
        if not isinstance(parts, tuple | list) or len(parts) != len(fields):
            errors = [FieldError(index.definition.name, "type", f"takes a tuple of {len(fields)} values", value)]
            raise self._lookup_refusal(errors)
        if self.schema is not None:
            return tuple([self._looked_up(index, place, part) for place, part in enumerate(parts)])
        try:
            plain = check_columns(dict(zip(fields, parts, strict=True)))
        except SchemaValidationError as error:
            raise self._lookup_refusal(error.errors) from None
        return tuple(plain.values())

    def _looked_up(self, index: IndexBinding, place: int, value: object) -> object:
        field = index.definition.fields[place]
        if place != index.each:
            return self.stored_value(field, value)
        try:
            return self._binder.element(field, value)
        except SchemaValidationError as error:
            raise self._lookup_refusal(error.errors) from None

    def stored_value(self, field: str, value: object) -> object:
        """Return the form in which a value of a field is stored. Raises for a value of another type."""
        return self._stored_values((field,), (value,))[0]

    def bind(self, condition: Condition) -> Condition:
        """Return a query's condition fitted to this table. Raises ``SchemaValidationError`` for all that is wrong."""
        try:
            return self._query_binder.bind(condition)
        except SchemaValidationError as error:
            raise self._query_refusal(error) from None

    def bind_to_columns(self, condition: Condition) -> Condition:
        """Return a condition that is about nothing but columns, fitted to this table. Raises as ``bind`` does."""
        try:
            return self._binder.bind(condition)
        except SchemaValidationError as error:
            raise self._query_refusal(error) from None

    def require_fields(self, names: Sequence[str], *, or_id: bool = False) -> None:
        """Raise ``SchemaValidationError`` for names that are no fields of the table, nor ``or_id`` its automatic id."""
        try:
            (self._query_binder if or_id else self._binder).require_fields(names)
        except SchemaValidationError as error:
            raise self._query_refusal(error) from None

    def _query_refusal(self, error: SchemaValidationError) -> SchemaValidationError:
        return SchemaValidationError(
            f"The query does not fit table {self.name!r}", errors=error.errors, table=self.name, row_number=None
        )

    def value_getter(self, name: str) -> Callable[[Record], Any]:
        """Return a function from a record to the stored value of a column; None where it has none."""
        get = self.codec.getter(name)
        field = None if self.schema is None else self.schema.fields[name]
        if field is None or not field.is_restored:
            return get
        to_stored = field.to_stored
        return lambda record: None if (value := get(record)) is None else to_stored(value)

    def restored(self, name: str, stored: Any) -> Any:  # Any: what the field's type admits
        """Return the value of a column that its stored form stands for."""
        field = None if self.schema is None else self.schema.fields[name]
        return stored if field is None or stored is None or not field.is_restored else field.from_stored(stored)

    def _stored_values(self, fields: Sequence[str], values: Sequence[object]) -> list[object]:
        """Return the form in which values of some fields are stored. Raises for a value of another type."""
        assert self._checker is not None, "asked only where a schema says what the fields are"
        try:
            return [self._checker.stored_value(field, value) for field, value in zip(fields, values, strict=True)]
        except SchemaValidationError as error:
            raise self._lookup_refusal(error.errors) from None

    def _lookup_refusal(self, errors: Sequence[FieldError]) -> SchemaValidationError:
        return SchemaValidationError(
            f"Table {self.name!r} cannot be asked for this value", errors=errors, table=self.name, row_number=None
        )


class _ColumnIndexBinding(IndexBinding):
    """An index of a table without a schema: a column that a row lacks counts as null."""

    __slots__ = ()

    def __init__(self, definition: IndexDefinition, *, test: Callable[[Values], bool] | None) -> None:
        super().__init__(definition, range(len(definition.fields)), is_typed=False, test=test)

    def fields_of(self, values: Values) -> tuple[object, ...]:
        columns = values[0]
        assert isinstance(columns, Mapping), "the values of such a table are one mapping"
        return tuple([columns.get(field) for field in self.definition.fields])


def row_not_found(table: str, row_id: object) -> RowNotFoundError:
    """Return the error for an id that no row of a table has."""
    return RowNotFoundError(f"Table {table!r} has no row with this id", table=table, id=row_id)


def _has_surrogate(value: object) -> bool:
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, Mapping):
        return any(_has_surrogate(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple):
        return any(map(_has_surrogate, value))
    return False
