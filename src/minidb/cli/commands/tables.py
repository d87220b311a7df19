"""The verb ``tables``: the tables and mappings of a database."""

from __future__ import annotations

from collections.abc import Iterator

from minidb import MiniDB
from minidb.cli import arguments, output


def tables(
    path: arguments.Path,
    as_json: output.AsJson = False,
    as_lines: output.AsLines = False,
    as_csv: output.AsCsv = False,
) -> None:
    """List the tables and mappings, with their rows, fields, primary keys and indexes.

    ```console
    $ minidb tables shop.db
    $ minidb tables shop.db --json
    ```
    """
    form = output.choose_form(as_json=as_json, as_lines=as_lines, as_csv=as_csv)
    with MiniDB(path, read_only=True) as database, database.begin_transaction(read_only=True):
        output.show(("name", "kind", "rows", "fields", "primary_key", "indexes"), _entries(database), form)


def _entries(database: MiniDB) -> Iterator[list[object]]:
    for name in database.table_names():
        table = database.get_table(name)
        schema = table.schema
        yield [
            name,
            "table",
            len(table),
            None if schema is None else len(schema.fields),
            "id, automatic" if schema is None or not schema.primary_key else ", ".join(schema.primary_key),
            ", ".join(index.name for index in database.indexes(name)),
        ]
    for name in database.mapping_names():
        yield [name, "mapping", len(database.mapping(name)), None, None, None]
