"""Dump: everything that is committed as lines of JSON, for other programs, other versions and other machines.

    dump    := header (table row*)* (mapping item*)* end        one line each; tables and mappings by name
    header  := {"minidb": "dump", "format": 1, "rows": n, "items": n}
    table   := {"table": name, "schema": document | null, "indexes": [index, …], "rows": n, "last_id": n}
    row     := {"id": n, "row": {column: value, …}}             in the order of their keys
             | {"row": {column: value, …}}                      where the columns have the primary key
    mapping := {"mapping": name, "items": n}
    item    := {"key": value, "value": value}
    end     := {"end": n}                                       the number of lines before it

Values are as in ``encoding.json_values``, schemas as in ``schema.document``, an index as the catalog has it but for its
id. ``last_id`` is the highest id that was ever given out, in a table with automatic ids. A database that is loaded from
a dump gives the same dump again, byte for byte.
"""

from __future__ import annotations

from typing import Final

from minidb.encoding.items import decode_item_key
from minidb.encoding.json_values import encode_line, to_json
from minidb.engines.port import ReadTransaction
from minidb.exceptions import BackupError
from minidb.maintenance.contents import Contents
from minidb.maintenance.progress import Progress
from minidb.maintenance.streams import Target, Write, writing
from minidb.tables import catalog as catalogs
from minidb.tables.binding import TableBinding
from minidb.tables.mappings import MappingBinding

FORMAT: Final = 1

LONGEST_LINE_BYTES: Final = 256 * 1024 * 1024
"""No line is longer, so that whoever loads a dump need not read any further for one."""


def dump(snapshot: ReadTransaction, target: Target, progress: Progress | None = None) -> Contents:
    """Write all that a snapshot holds. ``progress`` counts rows and items. Raises ``BackupError``."""
    with writing(target) as write:
        return _Dumper(snapshot, write, progress).run()


class _Dumper:
    def __init__(self, snapshot: ReadTransaction, write: Write, progress: Progress | None) -> None:
        self._snapshot = snapshot
        self._write = write
        self._progress = progress
        self._lines = self._done = self._total = 0

    def run(self) -> Contents:
        catalog = catalogs.load(self._snapshot, None)
        tables = [catalog.table(name) for name in sorted(catalog.definitions)]
        mappings = [catalog.mapping(name) for name in sorted(catalog.mappings)]
        contents = Contents(
            tables={table.name: self._snapshot.count(table.space) for table in tables},
            mappings={mapping.name: self._snapshot.count(mapping.space) for mapping in mappings},
        )
        rows, items = sum(contents.tables.values()), sum(contents.mappings.values())
        self._total = rows + items
        self._write_line({"minidb": "dump", "format": FORMAT, "rows": rows, "items": items})
        for table in tables:
            self._write_table(table, contents.tables[table.name])
        for mapping in mappings:
            self._write_mapping(mapping, contents.mappings[mapping.name])
        self._write_line({"end": self._lines})
        self._tell(0)
        return contents

    def _write_table(self, table: TableBinding, rows: int) -> None:
        head: dict[str, object] = {
            "table": table.name,
            "schema": table.definition.schema_document,
            "indexes": [_without_id(index.definition.to_document()) for index in table.indexes],
            "rows": rows,
        }
        if table.has_automatic_ids:
            head["last_id"] = catalogs.last_id_of(self._snapshot, table)
        self._write_line(head)
        for page in self._snapshot.scan(table.space):
            lines = []
            for key, data in page:
                document: dict[str, object] = {"id": table.id_of(key)} if table.has_automatic_ids else {}
                columns = table.columns(table.values_at(key, data))
                # Column by column: here an object whose one name is "!map" would be a row like any other.
                document["row"] = {to_json(name): to_json(value) for name, value in columns.items()}
                lines.append(encode_line(document))
            self._write_lines(lines, table=table.name)

    def _write_mapping(self, mapping: MappingBinding, items: int) -> None:
        self._write_line({"mapping": mapping.name, "items": items})
        for page in self._snapshot.scan(mapping.space):
            lines = [
                encode_line({"key": to_json(decode_item_key(key)), "value": to_json(mapping.value(key, data))})
                for key, data in page
            ]
            self._write_lines(lines, mapping=mapping.name)

    def _write_line(self, document: object) -> None:
        self._write(encode_line(document) + b"\n")
        self._lines += 1

    def _write_lines(self, lines: list[bytes], **where: str) -> None:
        if max(map(len, lines)) > LONGEST_LINE_BYTES:
            raise BackupError(
                f"A row or an item takes more than {LONGEST_LINE_BYTES} bytes in a dump",
                hint="make a backup, which has no such limit",
                path=None,
                **where,
            )
        lines.append(b"")
        self._write(b"\n".join(lines))
        self._lines += len(lines) - 1
        self._tell(len(lines) - 1)

    def _tell(self, written: int) -> None:
        self._done += written
        if self._progress is not None:
            self._progress(self._done, self._total)


def _without_id(index: dict[str, object]) -> object:
    return to_json({name: value for name, value in index.items() if name != "id"})
