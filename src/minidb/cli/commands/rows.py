"""The verb ``rows``: the rows of a table in order of their ids, or the items of a mapping."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output
from minidb.cli.columns import Columns


def rows(
    path: arguments.Path,
    table: arguments.TableOrMapping,
    fields: arguments.Fields = None,
    limit: arguments.Limit = None,
    offset: arguments.Offset = 0,
    reverse: Annotated[bool, typer.Option("--reverse", help="Begin with the last row.")] = False,
    as_json: output.AsJson = False,
    as_lines: output.AsLines = False,
    as_csv: output.AsCsv = False,
) -> None:
    """Show the rows of a table, in order of their ids, or the items of a mapping.

    A terminal is shown the first 100; a pipe gets all of them, unless a limit is given.

    ```console
    $ minidb rows shop.db users
    $ minidb rows shop.db users --fields name,age --limit 10
    $ minidb rows shop.db users --reverse --nl
    ```
    """
    form = output.choose_form(as_json=as_json, as_lines=as_lines, as_csv=as_csv)
    with MiniDB(path, read_only=True) as database, database.begin_transaction(read_only=True):
        if table in database.mapping_names():
            items = islice(database.mapping(table).items(), offset, None if limit is None else offset + limit)
            output.show(("key", "value"), items, form, most=output.TERMINAL_ROWS if limit is None else None)
            return
        found = database.get_table(table)
        columns = Columns(found, fields, with_ids=True)
        most = None if limit is None else offset + limit
        chosen = islice(found.scan(reverse=reverse, limit=most), offset, None)
        output.show(columns.names, columns.of(chosen), form, most=output.TERMINAL_ROWS if limit is None else None)
