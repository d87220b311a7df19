"""The verb ``get``: one row by its id."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from minidb import MiniDB, Row, Table
from minidb.cli import arguments, output
from minidb.cli.cells import BAD_TEXT, parser_of
from minidb.cli.columns import Columns
from minidb.exceptions import UsageError


def get(
    path: arguments.Path,
    table: arguments.TableName,
    row_id: Annotated[
        list[str], typer.Argument(metavar="ID…", help="The id: of each field of the primary key, a value.")
    ],
    fields: arguments.Fields = None,
    as_json: output.AsJson = False,
    as_lines: output.AsLines = False,
    as_csv: output.AsCsv = False,
) -> None:
    """Show one row, a line for each field.

    The id is the automatic number, or the value of the primary key; of a primary key of several fields, all of them.

    ```console
    $ minidb get shop.db users 1
    $ minidb get shop.db users 1 --json
    ```
    """
    form = output.choose_form(as_json=as_json, as_lines=as_lines, as_csv=as_csv)
    with MiniDB(path, read_only=True) as database, database.begin_transaction(read_only=True):
        found = database.get_table(table)
        row = found.query(id_of(found, row_id))
        columns = Columns(found, fields, with_ids=True)
        output.show_facts(dict(zip(columns.names, next(columns.of([row])), strict=True)), form)


def id_of(table: Table[Row], texts: list[str]) -> Any:  # Any: an int, or what the primary key is
    """Return the id that was given as text. Raises ``UsageError`` if it cannot be one."""
    schema = table.schema
    key = () if schema is None else schema.primary_key
    if len(texts) != max(1, len(key)):
        raise UsageError(
            f"The primary key of table {table.name!r} has {len(key)} fields, and {len(texts)} values were given"
            if key
            else f"Table {table.name!r} has automatic ids, of one number each",
            hint=f"give {' '.join(key).upper()}" if key else None,
        )
    values = []
    for name, text in zip(key or ("id",), texts, strict=True):
        try:
            values.append(int(text) if schema is None or not key else parser_of(schema.fields[name])(text))
        except BAD_TEXT as error:
            noun = "an integer" if schema is None or not key else schema.fields[name].noun
            raise UsageError(f"The {name} must be {noun}") from error
    return values[0] if len(values) == 1 else tuple(values)
