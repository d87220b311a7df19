"""The verb ``get``: one row by its id."""

from __future__ import annotations

from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output
from minidb.cli.columns import Columns
from minidb.cli.ids import id_of


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
