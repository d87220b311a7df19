"""What ``minidb insert`` does: find the types, make the table, load the rows, tell what became of them."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path
from typing import IO, Any, Self

import typer

from minidb import MiniDB, Row, Table
from minidb.cli import output, schema_files
from minidb.cli.arguments import number_of
from minidb.cli.cells import json_of
from minidb.cli.inference import Column, schema_of, type_name_of
from minidb.cli.loading import BadRow, Converter, Loaded, Loader, Meeting, infer
from minidb.cli.new_database import is_absent, new_database
from minidb.cli.sources import BATCH_ROWS, Batch, Source, Unreadable, open_source
from minidb.exceptions import UsageError
from minidb.schema import Schema
from minidb.structs import Struct


class Insertion(Struct, frozen=True, kw_only=True):
    """A run of ``minidb insert``: its arguments are those of the verb."""

    path: str
    table: str
    file: str
    source_options: dict[str, Any]  # Any: the options of open_source
    primary_key: list[str]
    types: dict[str, str]
    schema_file: Path | None
    indexes: list[tuple[str, ...]]
    meeting: Meeting
    batch_rows: int | None
    skips_bad_rows: bool
    rejects: Path | None
    dry_run: bool

    def run(self) -> None:
        """Load the file and say what was loaded."""
        loaded = Loaded()
        with ExitStack() as stack:
            source = stack.enter_context(open_source(self.file, **self.source_options))
            # What is wrong with the file is found before a database is made for it.
            is_new = is_absent(self.path)
            schema = self._new_schema(source) if is_new else None
            is_built_aside = is_new and (self.batch_rows is None or self.dry_run)
            database = stack.enter_context(
                new_database(self.path, dry_run=self.dry_run) if is_built_aside else MiniDB(self.path)
            )
            is_there = self.table in database
            if not is_new:
                schema = self._schema(database, source) if is_there else self._new_schema(source)
            skips = self.skips_bad_rows
            reject = stack.enter_context(_Rejects(self, source)).add if skips and not self.dry_run else None
            loader = Loader(
                Converter(source, schema),
                self.meeting,
                loaded,
                reject,
                skips_bad_rows=skips,
                commits_batches=self.batch_rows is not None,
            )
            with closing(_watch(source, "loading", self.batch_rows or BATCH_ROWS)) as batches:
                if is_built_aside or (self.batch_rows is not None and not self.dry_run):
                    self._load_batches(database, batches, schema, loader)
                else:
                    self._load(database, batches, schema, loader)
        self._tell(loaded, source, made=not is_there)

    # --- types --------------------------------------------------------------------------------------------------------

    def _schema(self, database: MiniDB, source: Source) -> Schema | None:
        """Return the schema of the table that is there, or for one without a schema the types of the file."""
        if self.schema_file is not None or self.primary_key or self.types:
            raise UsageError(
                f"There is already a table named {self.table!r}, which has its types",
                hint="leave out --schema, --primary-key and --type, or drop the table first",
            )
        schema = database.get_table(self.table).schema
        if schema is not None:
            unknown = [name for name in source.names or () if name not in schema.fields]
            if unknown:
                raise UsageError(
                    f"Table {self.table!r} has no field {unknown[0]!r}, which is a column of {source.name}",
                    hint=f"there are {', '.join(schema.fields)}",
                )
            return schema
        return None if source.names is None else schema_of(self._infer(source), types={}, primary_key=())

    def _new_schema(self, source: Source) -> Schema:
        if self.schema_file is not None:
            return schema_files.read(self.schema_file)
        columns = self._infer(source)
        schema = schema_of(columns, types=self.types, primary_key=self.primary_key)
        self._tell_types(schema, columns)
        return schema

    def _infer(self, source: Source) -> list[Column]:
        return infer(source, lambda one: _watch(one, "reading types"))

    def _tell_types(self, schema: Schema, columns: list[Column]) -> None:
        rows = [
            [one.name, type_name_of(schema.fields[one.name]), one.nulls, output.glimpse(one.example)] for one in columns
        ]
        form = output.choose_form(as_json=False, as_lines=False, as_csv=False)
        output.show(("column", "type", "nulls", "example"), rows, form, noun="column")
        suspects = [column for column in columns if column.is_text_for_words]
        if suspects:
            options = " ".join(
                f"--null {word}" for word in sorted(set[str]().union(*(one.null_words for one in suspects)))
            )
            names = ", ".join(one.name for one in suspects)
            typer.echo(f"Hint: {names} would not be text if such words meant null: {options}", err=True)
        if len(columns) == 1:
            sign = next((sign for sign in ";\t|" if sign in columns[0].name), None)
            if sign is not None:
                typer.echo(f"Hint: there is one column; {sign!r} may part several: --delimiter {sign!r}", err=True)

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _load_batches(self, database: MiniDB, batches: Iterator[Batch], schema: Schema | None, loader: Loader) -> None:
        """Load each batch in a transaction of its own."""
        for batch in chain([Batch([], [])], batches):  # a file without rows makes the table, too
            with database.begin_transaction():
                loader.load(self._table(database, schema), [batch])

    def _load(self, database: MiniDB, batches: Iterator[Batch], schema: Schema | None, loader: Loader) -> None:
        """Load all of it in one transaction."""
        with database.begin_transaction() as transaction:
            loader.load(self._table(database, schema), batches)
            if self.dry_run:
                transaction.rollback()

    def _table(self, database: MiniDB, schema: Schema | None) -> Table[Row]:
        if self.table not in database:
            database.create_table(self.table, schema)
        # Before the rows: an index that is made of rows in one transaction with them is made in memory.
        for fields in self.indexes:
            database.create_index(self.table, *fields, if_not_exists=True)
        return database.get_table(self.table)

    def _tell(self, loaded: Loaded, source: Source, *, made: bool) -> None:
        for bad in loaded.told:
            typer.echo(describe(source.name, bad), err=True)
        verb = "upserted into" if self.meeting is Meeting.UPSERT else "inserted into"
        would = "would be " if self.dry_run else ""
        parts = [f"{number_of(loaded.rows)} {would}{verb} {self.table}" + (", a new table" if made else "")]
        if loaded.ignored:
            parts.append(f"{loaded.ignored:,} were there already")
        if loaded.bad:
            parts.append(f"{loaded.bad:,} bad")
        typer.echo("; ".join(parts))


class _Rejects:
    """The file of bad rows, made when the first comes. It has the form of the input, to be mended and loaded."""

    def __init__(self, insertion: Insertion, source: Source) -> None:
        given = Path(insertion.file if insertion.file != "-" else "standard-input")
        self._path = insertion.rejects or given.with_name(f"{given.stem}.rejected{given.suffix}")
        self._names = source.names
        self._delimiter = getattr(source, "delimiter", ",")
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            typer.echo(f"Bad rows are in {self._path}", err=True)

    def add(self, bad: BadRow) -> None:
        is_first = self._file is None
        if self._file is None:
            self._file = self._path.open("w", encoding="utf-8", newline="")
        if self._names is not None:
            writer = csv.writer(self._file, delimiter=self._delimiter, lineterminator="\n")
            writer.writerows([self._names, bad.row] if is_first else [bad.row])  # type: ignore[list-item]  # a list of texts, as the source has a header
        else:
            text = bad.row.text if isinstance(bad.row, Unreadable) else json_of(bad.row)
            self._file.write(text.rstrip("\n") + "\n")


def describe(file: str, bad: BadRow) -> str:
    """Return a line for each bad field of a row: file, line, field and reason."""
    return "\n".join(
        f"{file}:{bad.line}: {name}: {reason}" if name else f"{file}:{bad.line}: {reason}"
        for name, reason in bad.reasons
    )


def _watch(source: Source, description: str, batch_rows: int = BATCH_ROWS) -> Generator[Batch]:
    count = 0
    with output.progress(description, source.size_bytes) as advance:
        for batch in source.batches(batch_rows):
            count += len(batch.rows)
            advance(source.position_bytes, count)
            yield batch
