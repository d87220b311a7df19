"""The verb ``export``: the rows of a table, to a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output
from minidb.cli.columns import Columns
from minidb.cli.output import Form, Values
from minidb.exceptions import UsageError
from minidb.schema import Schema

_FORMS = {".csv": Form.CSV, ".tsv": Form.TSV, ".tab": Form.TSV, ".json": Form.JSON}
_NAMES = {"csv": Form.CSV, "tsv": Form.TSV, "json": Form.JSON, "nl": Form.LINES}
FORMATS = (*_NAMES, "parquet")
TOLD_EVERY = 2000  # rows


def export(
    path: arguments.Path,
    table: arguments.TableOrMapping,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file, or - for standard output.")] = "-",
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="|".join(FORMATS), help="The format; otherwise by the name of the file, or JSON Lines."
        ),
    ] = None,
    condition: Annotated[str | None, typer.Option("--where", metavar="FILTER", help="Only these rows.")] = None,
    order: arguments.Order = None,
    limit: arguments.Limit = None,
    fields: arguments.Fields = None,
    ids: Annotated[bool, typer.Option("--ids", help="Write automatic ids, too, as the column id.")] = False,
    null: Annotated[str, typer.Option(metavar="TEXT", help="What a cell of CSV without a value holds.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write the rows of a table, or the items of a mapping, to a file: JSON Lines, JSON, CSV, TSV or Parquet.

    What `insert` with inferred types loaded is written as it was. A file is complete or not there. Parquet needs
    `pip install 'minidb-kv[parquet]'`.

    ```console
    $ minidb export shop.db users users.jsonl
    $ minidb export shop.db users - --format csv --where "city = 'Paris'"
    $ minidb export shop.db users by-age.tsv --order age --fields name,age
    ```
    """
    is_parquet = (format_name or Path(file).suffix.lower().removeprefix(".")) == "parquet"
    if format_name is not None and format_name not in FORMATS:
        raise UsageError(f"There is no format {format_name!r}", hint=f"the formats are {', '.join(FORMATS)}")
    form = _NAMES.get(format_name or "") or _FORMS.get(Path(file).suffix.lower(), Form.LINES)
    if file != "-" and Path(file).exists() and not force:
        raise UsageError(f"There is already a file {file}", hint="pass --force to write over it")
    with MiniDB(path, read_only=True) as database, database.begin_transaction(read_only=True):
        schema: Schema | None = None
        if table in database.mapping_names():
            if condition is not None or order or fields or ids:
                raise UsageError("A mapping has no fields", hint="leave out --where, --order, --fields and --ids")
            names, total = ["key", "value"], len(database.mapping(table))
            chosen: Iterator[Values] = islice(database.mapping(table).items(), limit)
        else:
            found = database.get_table(table)
            columns, schema, total = Columns(found, fields, with_ids=ids), found.schema, len(found)
            chosen = columns.of(arguments.query_of(database, table, condition, order=order, limit=limit))
            names = columns.names
        counted = _Counted(_watch(chosen, total if condition is None and limit is None else None, file))
        if is_parquet:
            from minidb.cli.parquet import write_parquet

            if file == "-":
                raise UsageError("Parquet cannot be written to standard output", hint="name a file")
            write_parquet(Path(file), names, counted, schema)
        elif file == "-":
            output.write(output.standard_output(), names, counted, form, null=null)
            sys.stdout.flush()
        else:
            _write_file(Path(file), names, counted, form, null)
    if file != "-":
        typer.echo(f"{arguments.number_of(counted.count)} of {table} exported to {file}")


class _Counted:
    """An iterator that counts."""

    def __init__(self, rows: Iterator[Values]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Values]:
        for row in self._rows:
            self.count += 1
            yield row


def _watch(rows: Iterator[Values], total: int | None, file: str) -> Iterator[Values]:
    if file == "-" and sys.stdout.isatty():
        yield from rows
        return
    with output.progress("exporting", total) as advance:
        for number, row in enumerate(rows):
            if not number % TOLD_EVERY:
                advance(number, number)
            yield row


def _write_file(path: Path, names: list[str], rows: _Counted, form: Form, null: str) -> None:
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as opened:
            output.write(opened, names, rows, form, null=null)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
