"""Ids of rows, as they stand on the command line."""

from __future__ import annotations

from typing import Any

from minidb import Row, Table
from minidb.cli.cells import BAD_TEXT, parser_of
from minidb.exceptions import UsageError


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


def ids_of(table: Table[Row], texts: list[str]) -> list[Any]:  # Any: as above
    """Return the ids that were given by ``--id``, each once. Raises ``RowNotFoundError`` for one that no row has."""
    fields = 1 if table.schema is None else max(1, len(table.schema.primary_key))
    ids = list(dict.fromkeys(id_of(table, text.split(",") if fields > 1 else [text]) for text in texts))
    for row_id in ids:
        table.query(row_id)
    return ids
