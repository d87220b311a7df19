"""The verb ``update``: change columns of the rows for which a filter is true."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from minidb import MiniDB, Row, Table
from minidb.cli import arguments
from minidb.cli.cells import BAD_TEXT, parser_of
from minidb.cli.ids import ids_of
from minidb.exceptions import UsageError


def update(
    path: arguments.Path,
    table: arguments.TableName,
    condition: arguments.RequiredFilter,
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="FIELD=VALUE…", help="The new values. Nothing behind the sign is null."),
    ] = None,
    ids: arguments.Ids = None,
    dry_run: arguments.DryRun = False,
    yes: arguments.Yes = False,
) -> None:
    """Change columns of the rows for which a filter is true. The filter `""` means every row.

    All of them are changed, or none. On a terminal it asks; in a pipe it needs `--yes`.

    ```console
    $ minidb update shop.db users "name = 'Ada'" city=London --yes
    $ minidb update shop.db users "age < 18" city= --dry-run
    $ minidb update shop.db users --id 1 age=37 --yes
    ```
    """
    with MiniDB(path, read_only=dry_run, create=False) as database:
        found = database.get_table(table)
        values = _read_changes(found, [*([condition] if ids else []), *(changes or [])])
        query = arguments.query_of(database, table, None if ids else condition)
        row_ids = ids_of(found, ids or [])
        number = arguments.number_of(len(row_ids) if ids else query.count())
        if dry_run:
            typer.echo(f"{number} of {table} would be updated")
            return
        arguments.confirm(f"Update {number} of {table}?", yes=yes)
        updated = found.update_many((row_id, values) for row_id in row_ids) if ids else query.update(**values)
        typer.echo(f"{arguments.number_of(updated)} of {table} updated")


def _read_changes(table: Table[Row], changes: list[str]) -> dict[str, Any]:  # Any: what the fields hold
    schema = table.schema
    values: dict[str, Any] = {}
    if not changes:
        raise UsageError("Nothing says what to change", hint="FIELD=VALUE, behind the filter")
    for change in changes:
        name, sign, text = change.partition("=")
        if not sign:
            raise UsageError(f"A change is FIELD=VALUE, which {change!r} is not")
        field = None if schema is None else schema.fields.get(name)
        if schema is not None and field is None:
            raise UsageError(
                f"Table {table.name!r} has no field {name!r}", hint=f"there are {', '.join(schema.fields)}"
            )
        try:
            values[name] = None if not text else text if field is None else parser_of(field)(text)
        except BAD_TEXT as error:
            assert field is not None, "a text without a type is read as it is"
            raise UsageError(f"The value of {name} must be {field.noun}") from error
    return values
