"""TinyDB's JSON files: each table becomes a table, with the number of each document as its primary key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from minidb import MiniDB
from minidb.cli.cells import json_converter_of
from minidb.cli.importers.report import ImportReport, insert_in_batches, require_new
from minidb.cli.inference import Column, schema_of
from minidb.exceptions import UsageError
from minidb.schema import IntegerField, Schema


def import_tinydb(
    database: MiniDB,
    path: Path,
    only: list[str],
    watch: Callable[[str, int, Iterable[Any]], Iterator[Any]],  # Any: what is counted
    report: ImportReport,
) -> None:
    """Import tables. Raises ``UsageError`` for what is no file of TinyDB."""
    try:
        tables = json.loads(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    if not (isinstance(tables, dict) and all(isinstance(one, dict) for one in tables.values())):
        raise UsageError(f"{path} is no file of TinyDB", hint="it must be an object of tables of documents")
    for name, documents in tables.items():
        if only and name not in only:
            continue
        require_new(database, name)
        if not all(number.isdigit() and isinstance(one, dict) for number, one in documents.items()):
            raise UsageError(f"Table {name!r} in {path} is none of TinyDB: its documents have no numbers")
        columns = {field: Column(field) for one in documents.values() for field in one}
        for column in columns.values():
            values = (one.get(column.name) for one in documents.values())
            column.see_json([value for value in values if value is not None])
        key = "_doc_id" if "doc_id" in columns else "doc_id"
        found = schema_of(columns.values(), types={}, primary_key=()).fields if columns else {}
        table = database.create_table(name, Schema({key: IntegerField(primary_key=True), **found}))
        converters = {field: json_converter_of(one) for field, one in found.items()}
        rows = (
            {key: int(number)}
            | {field: None if value is None else converters[field](value) for field, value in one.items()}
            for number, one in watch(name, len(documents), documents.items())
        )
        insert_in_batches(table, rows)
        report.tables[name] = len(documents)
