"""Loading rows of a file into a table: what is bad in them is told by line and field, and then nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from minidb import Row, Table
from minidb.cli.arguments import number_of
from minidb.cli.cells import BAD_TEXT, AnyField, json_converter_of, parser_of
from minidb.cli.inference import Column
from minidb.cli.sources import Batch, Source, Unreadable
from minidb.exceptions import (
    RowError,
    RowExistsError,
    SchemaValidationError,
    TransactionClosedError,
    UniqueViolationError,
    UsageError,
)
from minidb.schema import Schema
from minidb.structs import Struct, field

MOST_BAD_ROWS_TOLD: Final = 10

Columns = dict[str, Any]  # Any: a column has the type that its field declares


class Meeting(Enum):
    """What becomes of a row whose primary key, or unique value, another row already has."""

    REFUSE = "refuse"
    UPSERT = "upsert"
    IGNORE = "ignore"


class BadRow(Struct, frozen=True):
    """A row that cannot be loaded: where it stands, what it was, and a reason for each bad field ("" for the row)."""

    line: int
    reasons: list[tuple[str, str]]
    row: object


class Loaded(Struct):
    """What has become of the rows of a file."""

    rows: int = 0
    ignored: int = 0
    bad: int = 0
    told: list[BadRow] = field(default_factory=list)
    """The first of the bad rows."""


class BadRowsError(UsageError):
    """Rows of a file cannot be loaded. Facts: ``bad_rows``, and the name of the ``file``."""


def infer(source: Source, watch: Callable[[Source], Iterator[Batch]]) -> list[Column]:
    """Read a file once and return what its columns are. Raises ``UsageError`` if there is no row in it."""
    columns: dict[str, Column] = {name: Column(name) for name in source.names or ()}
    count = 0
    for batch in watch(source):
        if source.names is None:
            objects = [row for row in batch.rows if isinstance(row, dict)]
            for name in dict.fromkeys(name for row in objects for name in row):
                column = columns.setdefault(name, Column(name))
                values = [row[name] for row in objects if row.get(name) is not None]
                column.see_json(values)
            count += len(objects)
        else:
            width = len(source.names)
            rows = [row for row in batch.rows if isinstance(row, list) and len(row) == width]
            for column, texts in zip(columns.values(), zip(*rows, strict=True), strict=bool(rows)):
                distinct = set(texts) - source.null_texts
                given = [text for text in texts if text in distinct] if len(distinct) < len(texts) else texts
                column.see_texts(given, distinct)
            count += len(rows)
    if not columns:
        raise _no_columns(source)
    for column in columns.values():
        column.nulls = count - column.values
    return list(columns.values())


def _no_columns(source: Source) -> UsageError:
    """Return the error for a file in which there is no row, or no good one."""
    batch = next(source.batches(MOST_BAD_ROWS_TOLD), Batch([], []))
    bad = [
        BadRow(line, [("", row.reason)], row)
        for line, row in zip(batch.lines, batch.rows, strict=True)
        if isinstance(row, Unreadable)
    ]
    message = f"There is no row in {source.name} from which types could be found"
    if bad:
        return BadRowsError(message, hint="mend the file", bad_rows=bad, file=source.name)
    return UsageError(message, hint="give a --schema")


class Converter:
    """Makes rows of what a file holds, by the types of a schema. None: whatever JSON gives."""

    def __init__(self, source: Source, schema: Schema | None) -> None:
        self.file = source.name
        fields: Mapping[str, AnyField] = {} if schema is None else schema.fields
        self._names = source.names
        self._nulls = source.null_texts
        self._parsers = [parser_of(fields[name]) if name in fields else str for name in source.names or ()]
        self._converters = {name: json_converter_of(one) for name, one in fields.items()}
        self._fields = fields

    def convert(self, batch: Batch) -> tuple[list[int], list[Columns], list[BadRow]]:
        """Return the rows that could be made, with their places in the batch, and those that could not."""
        if self._names is not None:
            try:
                return list(range(len(batch.rows))), self._convert_columns(batch.rows), []
            except BAD_TEXT:
                pass  # one row or more is bad: row by row it is found which
        places: list[int] = []
        rows: list[Columns] = []
        bad: list[BadRow] = []
        for place, row in enumerate(batch.rows):
            made, reasons = self._convert_row(row)
            if reasons:
                bad.append(BadRow(batch.lines[place], reasons, row))
            else:
                places.append(place)
                rows.append(made)
        return places, rows, bad

    def _convert_columns(self, rows: list[Any]) -> list[Columns]:  # Any: lists of texts, as long as the header
        assert self._names is not None, "the caller looked"
        nulls, converted = self._nulls, []
        for parse, texts in zip(self._parsers, zip(*rows, strict=True), strict=True):
            if parse is str:
                converted.append([None if text in nulls else text for text in texts])
            else:
                # Each text once: the columns of most files repeat theirs.
                known = {text: None if text in nulls else parse(text) for text in set(texts)}
                converted.append([known[text] for text in texts])
        return [dict(zip(self._names, values, strict=True)) for values in zip(*converted, strict=True)]

    def _convert_row(self, row: object) -> tuple[Columns, list[tuple[str, str]]]:
        if isinstance(row, Unreadable):
            return {}, [("", row.reason)]
        made: Columns = {}
        reasons: list[tuple[str, str]] = []
        if isinstance(row, dict):
            for name, value in row.items():
                convert = self._converters.get(name)
                try:
                    made[name] = value if convert is None or value is None else convert(value)
                except BAD_TEXT:
                    reasons.append((name, f"must be {self._fields[name].noun}"))
            return made, reasons
        assert isinstance(row, list), "a row is a dict, a list or unreadable"
        assert self._names is not None, "only files with a header have lists"
        if len(row) != len(self._names):
            return {}, [("", f"has {number_of(len(row), 'cell')}, and the header {len(self._names)}")]
        for name, parse, text in zip(self._names, self._parsers, row, strict=True):
            try:
                made[name] = None if text in self._nulls else parse(text)
            except BAD_TEXT:
                reasons.append((name, f"must be {self._fields[name].noun}"))
        return made, reasons


class Loader(Struct):
    """Loads batches into a table, and counts in ``loaded``."""

    converter: Converter
    meeting: Meeting
    loaded: Loaded
    reject: Callable[[BadRow], None] | None
    """Is given each bad row that is skipped."""

    skips_bad_rows: bool
    """Otherwise bad rows raise ``BadRowsError``, and the caller rolls back."""

    commits_batches: bool
    """Whether the caller has a transaction for each batch."""

    def load(self, table: Table[Row], batches: Iterable[Batch]) -> None:
        """Load batches. REQUIRES a transaction around it."""
        for batch in batches:
            places, rows, bad = self.converter.convert(batch)
            if bad or self.skips_bad_rows or self.meeting is Meeting.IGNORE:
                # One by one: a batch that is refused cannot always be undone alone.
                bad += self._write_each(table, batch, zip(places, rows, strict=True))
            else:
                try:
                    self._write_all(table, rows)
                except RowError:
                    bad = self._write_each(table, batch, zip(places, rows, strict=True))
                    if not bad:
                        raise
            self._tell(sorted(bad, key=lambda one: one.line))

    def _write_all(self, table: Table[Row], rows: Sequence[Columns]) -> None:
        if self.meeting is Meeting.UPSERT:
            table.upsert_many(rows)
        else:
            table.insert_many(rows)
        self.loaded.rows += len(rows)

    def _write_each(self, table: Table[Row], batch: Batch, rows: Iterable[tuple[int, Columns]]) -> list[BadRow]:
        """Write row by row, which takes part in the transaction without savepoints; return those that are refused."""
        bad: list[BadRow] = []
        for place, row in rows:
            reasons: list[tuple[str, str]]
            try:
                if self.meeting is Meeting.UPSERT:
                    table.upsert(row)
                else:
                    table.insert(row)
                self.loaded.rows += 1
                continue
            except (RowExistsError, UniqueViolationError) as error:
                if self.meeting is Meeting.IGNORE:
                    self.loaded.ignored += 1
                    continue
                reasons = [(_fields_of(error, table), _reason_of(error))]
            except SchemaValidationError as error:
                reasons = [(one.field, one.message) for one in error.errors]
            except RowError as error:
                reasons = [("", error.message)]
            except TransactionClosedError:  # the refused batch could not be undone alone: what is known has to do
                break
            bad.append(BadRow(batch.lines[place], reasons, batch.rows[place]))
        return bad

    def _tell(self, bad: list[BadRow]) -> None:
        loaded = self.loaded
        loaded.bad += len(bad)
        loaded.told += bad[: MOST_BAD_ROWS_TOLD - len(loaded.told)]
        if bad and not self.skips_bad_rows:
            raise BadRowsError(
                "The batch with these bad rows was not loaded, the ones before it were"
                if self.commits_batches
                else "Nothing was loaded, because of bad rows",
                hint="mend them, or pass --errors skip to load the others",
                bad_rows=loaded.told,
                file=self.converter.file,
            )
        for one in bad if self.reject is not None else ():
            self.reject(one)  # type: ignore[misc]  # it is there: the loop asked


def _fields_of(error: RowError, table: Table[Row]) -> str:
    schema = table.schema
    fields = getattr(error, "fields", schema.primary_key if schema is not None else ())
    return ", ".join(fields)


def _reason_of(error: RowError) -> str:
    return (
        "another row has this value, which must be unique"
        if isinstance(error, UniqueViolationError)
        else ("another row has this primary key")
    )
