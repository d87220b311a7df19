"""The verb ``query``: the rows for which a filter is true."""

from __future__ import annotations

from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, output
from minidb.cli.columns import Columns


def query(
    path: arguments.Path,
    table: arguments.TableName,
    condition: arguments.Filter = None,
    order: arguments.Order = None,
    limit: arguments.Limit = None,
    offset: arguments.Offset = 0,
    fields: arguments.Fields = None,
    count: Annotated[bool, typer.Option("--count", help="Show only how many rows there are.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how the rows are found, and how many are read.")
    ] = False,
    as_json: output.AsJson = False,
    as_lines: output.AsLines = False,
    as_csv: output.AsCsv = False,
) -> None:
    """Show the rows for which a filter is true.

    A filter compares fields with values: `=`, `!=`, `<`, `<=`, `>`, `>=`, `in (…)`, `between … and …`, `startswith`,
    `contains`, `is null`, put together by `and`, `or`, `not` and parentheses. Texts and dates stand in quotes, names
    that are no words in backticks, and dots lead into a field of maps: `address.city = 'Paris'`. `id` is the automatic
    id, where there is no field of that name.

    ```console
    $ minidb query shop.db users "age >= 18 and city = 'Paris'" --order -age --limit 10
    $ minidb query shop.db users "joined between '2024-01-01' and '2024-06-30'"
    $ minidb query shop.db users "name startswith 'A' or city is null" --fields name,city --csv
    $ minidb query shop.db users "city in ('Paris', 'Rome')" --count
    $ minidb query shop.db users "age > 40" --explain
    ```
    """
    form = output.choose_form(as_json=as_json, as_lines=as_lines, as_csv=as_csv)
    with MiniDB(path, read_only=True) as database, database.begin_transaction(read_only=True):
        found = arguments.query_of(database, table, condition, order=order, limit=limit, offset=offset)
        if count:
            typer.echo(found.count())
        elif explain:
            typer.echo(str(found.explain()))
        else:
            columns = Columns(database.get_table(table), fields, with_ids=True)
            most = output.TERMINAL_ROWS if limit is None else None
            output.show(columns.names, columns.of(found), form, most=most)
