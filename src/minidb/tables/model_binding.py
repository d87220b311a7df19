"""The binding of a table whose rows are objects of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from minidb.encoding.integers import decode_integer
from minidb.encoding.rows import Record, RowCodec
from minidb.exceptions import FieldError, SchemaMismatchError, SchemaValidationError
from minidb.schema.evolution import compare
from minidb.schema.model_rows import ModelRows
from minidb.schema.shapes import Shape
from minidb.tables.binding import TableBinding
from minidb.tables.definitions import TableDefinition
from minidb.tables.index_entries import Values
from minidb.tables.old_rows import upgrades_of
from minidb.tables.row import Row, RowLike, columns_of

_REFUSALS: Final = (ValueError, TypeError, AssertionError)
"""What the code of a model raises to refuse an object."""


class ModelBinding(TableBinding):
    """A ``TableBinding`` that takes and gives objects of a model. It takes mappings of columns, too.

    Its records hold the values that are stored, and are made objects when they are handed out.
    """

    def __init__(self, definition: TableDefinition, rows: ModelRows) -> None:
        """Raise ``SchemaMismatchError`` if the schema of the model is not the table's."""
        if definition.schema is None or definition.schema.row_identity != rows.schema.row_identity:
            raise SchemaMismatchError(
                f"Table {definition.name!r} no longer has the schema of {rows.shape.model.__name__}",
                hint="open it again with the schema that it has now",
                table=definition.name,
                differences=compare(definition.schema, rows.schema).differences,
            )
        self._rows = rows
        self._id_name = rows.id_name
        self._shape: Shape = rows.shape
        super().__init__(definition, rows.schema)
        self.key = (definition.name, rows)

    def _make_codec(self) -> RowCodec:
        assert self._checker is not None, "a model has a schema"
        return RowCodec(
            self.definition.schema_version,
            self.names,
            wrapped_positions=self._checker.wrapped_positions,
            record_type=self._rows.record_type,
            upgrades=upgrades_of(self.definition),
        )

    # --- rows that are given ------------------------------------------------------------------------------------------

    def check(self, row: RowLike, old: Values | None = None, *, as_is: bool = False) -> Values:
        assert self._checker is not None, "a model has a schema"
        if type(row) is not self._shape.model or as_is:
            return super().check(self._columns_of(row), old, as_is=as_is)
        try:
            return self._checker.check_values(self._rows.get_values(row), old)
        except SchemaValidationError as error:
            raise self.refusal(error) from None

    def check_new(self, row: RowLike) -> Values:
        self._require_new(row, None)
        return self.check(row)

    def check_many(self, given: Sequence[RowLike], *, first_number: int, as_is: bool = False) -> Sequence[Values]:
        assert self._checker is not None, "a model has a schema"
        for number, row in enumerate(given, first_number) if self._id_name is not None else ():
            self._require_new(row, number)
        if self._shape.is_mapping:
            return super().check_many(list(map(self._columns_of, given)), first_number=first_number, as_is=as_is)
        if set(map(type, given)) != {self._shape.model}:
            return [self._check_one(row, number) for number, row in enumerate(given, first_number)]
        try:
            return self._checker.check_many_values(list(map(self._rows.get_values, given)))
        except SchemaValidationError as error:
            raise self.refusal(error, row_number=first_number + error.facts["row_number"]) from None  # type: ignore[operator]  # an int, by contract

    def _check_one(self, row: RowLike, number: int) -> Values:
        try:
            return self.check(row)
        except SchemaValidationError as error:
            raise self.refusal(error, row_number=number) from None

    def given_id(self, row: RowLike) -> Any:  # Any: an id, as its table has it
        if self._id_name is None:
            return super().given_id(row)
        if self._shape.has_made(row):
            return getattr(row, self._id_name)
        return row.get(self._id_name) if isinstance(row, dict) else super().given_id(row)

    def _require_new(self, row: RowLike, number: int | None) -> None:
        if self._id_name is not None and not isinstance(row, Row) and self.given_id(row) is not None:
            message = "is given by the table: leave it None; or upsert or replace the row that has it"
            errors = [FieldError(self._id_name, "automatic_id", message)]
            raise self.refusal(SchemaValidationError("The id is automatic", errors=errors), row_number=number)

    def _columns_of(self, row: RowLike) -> Mapping[str, Any]:
        """Return the columns of a mapping, or of an object of the model's class or of one that derives from it."""
        if self._shape.has_made(row):
            return self._shape.all_columns_of(row, without=self._id_name)
        columns = columns_of(row)
        if self._id_name is not None and self._id_name in columns:
            columns = {name: value for name, value in columns.items() if name != self._id_name}
        return columns

    # --- rows that are found ------------------------------------------------------------------------------------------

    def row(self, key: bytes, record: Record) -> Any:  # Any: an object of the model, which the table's type says
        try:
            return self._rows.make_one(None if self._id_name is None else decode_integer(key), record)
        except _REFUSALS as refusal:
            raise self._stranger() from refusal

    def rows(self, keys: Sequence[bytes], records: list[Record]) -> list[Any]:  # Any: as above
        try:
            return self._rows.make(map(decode_integer, keys), records)
        except _REFUSALS as refusal:
            raise self._stranger() from refusal

    def _stranger(self) -> SchemaMismatchError:
        return SchemaMismatchError(
            f"A stored row of table {self.name!r} is none that {self._shape.model.__name__} accepts",
            hint="the class refuses what it accepted when the row was written, or another program wrote it",
            table=self.name,
            differences=[],
        )

    def value_getter(self, name: str) -> Callable[[Record], Any]:
        return attrgetter(name)
