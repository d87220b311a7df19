"""Load: a new database out of a dump. Every line is checked as if a program had inserted what it says.

A dump may come from anybody: nothing in it can run code, no line is longer than the reader allows, and whatever is
wrong with it is a ``BackupError`` that names the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from minidb.encoding.integers import encode_integer
from minidb.encoding.json_values import decode_line, from_json, key_from_json
from minidb.engines.port import Engine
from minidb.exceptions import (
    BackupError,
    CatalogError,
    CorruptionError,
    RowError,
    SchemaError,
    SchemaValidationError,
)
from minidb.maintenance.contents import Contents
from minidb.maintenance.dump import FORMAT, LONGEST_LINE_BYTES
from minidb.maintenance.progress import Progress
from minidb.maintenance.streams import Source, name_of, opened
from minidb.schema import Schema
from minidb.tables import catalog as catalogs
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import SEQUENCES, Catalog
from minidb.tables.definition_changes import create_index, create_mapping, define_index, require_name
from minidb.tables.definitions import IndexDefinition, TableDefinition
from minidb.tables.session import WriteSession
from minidb.tables.writing import BATCH_ROWS
from minidb.version import __version__

_WAIT_S: Final = 30.0
_BATCH_BYTES: Final = 4 * 1024 * 1024
_LARGEST_ID: Final = 2**63 - 1

_REFUSALS: Final = (CatalogError, CorruptionError, RowError, SchemaError, TypeError, ValueError, LookupError)
"""What is raised for a line that no dump has, by whatever looks at it."""


def load(source: Source, engine: Engine, progress: Progress | None = None) -> Contents:
    """Fill a new and empty engine with what a dump holds. ``progress`` counts rows and items.

    Raises ``BackupError`` with the fact ``line``. What has been written by then, the caller throws away.
    """
    with opened(source) as file:
        return _Loader(_Lines(file, name_of(source)), engine, progress).run()


class _Lines:
    """The lines of a dump, each with its number: from 1."""

    def __init__(self, file: Any, path: str | None) -> None:  # Any: a file object of whatever class
        self._file = file
        self._path = path
        self.number = 0

    def read(self) -> dict[str, Any]:  # Any: each reader checks the shape it expects
        """Return the document of the next line."""
        line = self._next()
        if not line:
            raise self.refusal("the dump ends before its end")
        try:
            document = decode_line(line)
        except CorruptionError as error:
            raise self.refusal(error.message) from error
        if not isinstance(document, dict):
            raise self.refusal("it is no object")
        return document

    def size_of_last(self) -> int:
        """Return the bytes of the last line read."""
        return self._size

    def require_end(self) -> None:
        """Raise ``BackupError`` unless nothing follows."""
        if self._next():
            raise self.refusal("something follows the end of the dump")

    def _next(self) -> bytes:
        self.number += 1
        try:
            line = self._file.readline(LONGEST_LINE_BYTES + 1)
        except (OSError, ValueError) as error:  # ValueError: a text file that is no UTF-8
            raise self.refusal("it cannot be read") from error
        data: bytes = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line
        self._size = len(data)
        if len(data) > LONGEST_LINE_BYTES:
            raise self.refusal(f"it is longer than {LONGEST_LINE_BYTES} bytes")
        return data

    def refusal(self, reason: str, number: int | None = None) -> BackupError:
        """Return the error of the last line read, or of another one."""
        number = self.number if number is None else number
        return BackupError(
            f"Line {number} of the dump cannot be loaded: {reason[:1].lower()}{reason[1:]}",
            hint="make the dump again, or correct the line",
            path=self._path,
            line=number,
        )


class _Loader:
    def __init__(self, lines: _Lines, engine: Engine, progress: Progress | None) -> None:
        self._lines = lines
        self._engine = engine
        self._progress = progress
        self._catalog = Catalog(-1, {}, {})
        self._contents = Contents()
        self._done = self._total = 0

    def run(self) -> Contents:
        with self._writing() as session:
            catalogs.initialise(session.bytes, __version__)
        rows, items = self._read_header()
        while True:
            head = self._lines.read()
            if "end" in head:
                break
            if "table" in head:
                self._load_table(head)
            else:
                self._load_mapping(head)
        is_whole = head["end"] == self._lines.number - 1
        found = (sum(self._contents.tables.values()), sum(self._contents.mappings.values()))
        if not is_whole or found != (rows, items):
            raise self._lines.refusal("the dump holds more or less than it says")
        self._lines.require_end()
        return self._contents

    @contextmanager
    def _writing(self) -> Iterator[WriteSession]:
        transaction = self._engine.begin_write(_WAIT_S)
        try:
            session = WriteSession(transaction, self._catalog)
            yield session
            transaction.commit()
            self._catalog = session.catalog
        finally:
            transaction.close()

    @contextmanager
    def _naming_the_line(self, number: int | None = None) -> Iterator[None]:
        """Refuse the line that was read last, or another one, for what is raised over it."""
        number = self._lines.number if number is None else number
        try:
            yield
        except _REFUSALS as error:
            is_ours = isinstance(error, CatalogError | CorruptionError | RowError | SchemaError)
            raise self._lines.refusal(
                str(error) if is_ours else "it has not the form that it should", number
            ) from error

    def _read_header(self) -> tuple[int, int]:
        header = self._lines.read()
        if header.get("minidb") != "dump":
            raise self._lines.refusal("the file is no dump of MiniDB")
        if header.get("format") != FORMAT:
            raise self._lines.refusal("the dump has a format that this version does not know")
        with self._naming_the_line():
            rows, items = _count(header["rows"]), _count(header["items"])
        self._total = rows + items
        self._tell(0)
        return rows, items

    # --- tables -------------------------------------------------------------------------------------------------------

    def _load_table(self, head: dict[str, Any]) -> None:  # Any: as in _Lines
        line = self._lines.number
        with self._naming_the_line():
            table = self._create_table(head)
            rows, done, highest = _count(head["rows"]), 0, 0
        while done < rows:
            first_line = self._lines.number + 1
            batch = self._read_batch(rows - done)
            with self._naming_the_line(first_line), self._writing() as session:
                highest = max(highest, self._insert(session, table, batch, first_line))
            done += len(batch)
            self._tell(len(batch))
        with self._naming_the_line(line):
            self._keep_last_id(table, head, highest)
            for document in head["indexes"]:
                self._create_index(table.name, document)
        self._contents.tables[table.name] = rows

    def _create_table(self, head: dict[str, Any]) -> TableBinding:  # Any: as above
        name, document = head["table"], head["schema"]
        require_name(name, "table")
        self._catalog.require_no_mapping(name)
        if name in self._catalog.definitions:
            raise CatalogError("The table is there twice", table=name)
        with self._writing() as session:
            definition = TableDefinition(
                id=catalogs.take_id(session.bytes),
                name=name,
                schema=None if document is None else Schema.from_document(document),
                schema_version=0 if document is None else 1,
                schema_document=document,
            )
            session.bytes.create_space(definition.space)
            catalogs.store(session.bytes, definition)
            session.catalog = session.catalog.with_table(definition)
        return self._catalog.table(name)

    def _read_batch(self, most: int) -> list[dict[str, Any]]:  # Any: as above
        """Return the documents of the next lines, so many that they fill a batch."""
        batch: list[dict[str, Any]] = []
        size = 0
        while len(batch) < min(most, BATCH_ROWS) and size < _BATCH_BYTES:
            batch.append(self._lines.read())
            size += self._lines.size_of_last()
        return batch

    def _insert(
        self, session: WriteSession, table: TableBinding, batch: Sequence[Mapping[str, Any]], first_line: int
    ) -> int:
        """Insert a batch of rows; return the highest automatic id among them."""
        rows: list[dict[str, object]] = []
        row_ids: list[int] = []
        for line, document in enumerate(batch, first_line):
            with self._naming_the_line(line):
                row_ids.append(_row_id(document) if table.has_automatic_ids else 0)
                rows.append(_columns(document["row"]))
        try:
            values = table.check_many(rows, first_number=0, as_is=True)
            data = table.encode_many(values, first_number=0)
        except SchemaValidationError as error:
            raise self._lines.refusal(str(error), first_line + error.facts["row_number"]) from error  # type: ignore[operator]  # an int, by contract
        if table.has_automatic_ids:
            keys = list(map(encode_integer, row_ids))
        else:
            keys = []
            for line, one in enumerate(values, first_line):
                with self._naming_the_line(line):
                    keys.append(table.key_of(one))
        self._require_new(session.bytes.insert_many(table.space, dict(zip(keys, data, strict=True))), keys, first_line)
        return max(row_ids)

    def _require_new(self, written: Sequence[bool], keys: Sequence[bytes], first_line: int) -> None:
        if len(written) < len(keys) or not all(written):
            seen: set[bytes] = set()
            taken = {key for key, is_new in zip(dict.fromkeys(keys), written, strict=True) if not is_new}
            for line, key in enumerate(keys, first_line):
                if key in seen or key in taken:
                    raise self._lines.refusal("another line has this id or key", line)
                seen.add(key)

    def _keep_last_id(self, table: TableBinding, head: Mapping[str, Any], highest: int) -> None:  # Any: as above
        if not table.has_automatic_ids:
            return
        last_id = head["last_id"]
        if type(last_id) is not int or not highest <= last_id <= _LARGEST_ID:
            raise CorruptionError("The last id is not one that the table can have given out")
        if last_id > highest:
            with self._writing() as session:
                session.bytes.put_many(SEQUENCES, {encode_integer(table.definition.id): encode_integer(last_id)})

    def _create_index(self, table: str, document: object) -> None:
        given = IndexDefinition.from_document({**from_json(document), "id": 0})
        with self._writing() as session:
            wanted = define_index(
                session.catalog,
                table,
                given.fields,
                name=given.name,
                unique=given.unique,
                where=given.where,
                include=given.include,
            )
            if given.unique not in (True, False) or not wanted.is_like(given):
                raise CorruptionError("An index is none that the table can have")
            create_index(session, table, wanted)

    # --- mappings -----------------------------------------------------------------------------------------------------

    def _load_mapping(self, head: dict[str, Any]) -> None:  # Any: as above
        with self._naming_the_line(), self._writing() as session:
            name, items = head["mapping"], _count(head["items"])
            if not create_mapping(session, name):
                raise CatalogError("The mapping is there twice", mapping=name)
        mapping, done = self._catalog.mapping(name), 0
        while done < items:
            first_line = self._lines.number + 1
            batch = self._read_batch(items - done)
            pairs: list[tuple[bytes, bytes]] = []
            for line, document in enumerate(batch, first_line):
                with self._naming_the_line(line):
                    pairs.append(mapping.item(key_from_json(document["key"]), from_json(document["value"])))
            with self._writing() as session:
                written = session.bytes.insert_many(mapping.space, dict(pairs))
                self._require_new(written, [key for key, _ in pairs], first_line)
            done += len(batch)
            self._tell(len(batch))
        self._contents.mappings[name] = items

    def _tell(self, loaded: int) -> None:
        self._done += loaded
        if self._progress is not None:
            self._progress(self._done, self._total)


def _count(number: object) -> int:
    if type(number) is not int or number < 0:
        raise CorruptionError("It says how many there are by what is no number")
    return number


def _row_id(document: Mapping[str, object]) -> int:
    row_id = document["id"]
    if type(row_id) is not int or not 0 < row_id <= _LARGEST_ID:
        raise CorruptionError("The id of the row is none that a row can have")
    return row_id


def _columns(document: object) -> dict[str, object]:
    if not isinstance(document, dict):
        raise CorruptionError("The row is no object")
    columns: dict[str, object] = {}
    for name, value in document.items():
        text = from_json(name)
        if not isinstance(text, str):
            raise CorruptionError("The row has a column with a name that is no text")
        columns[text] = from_json(value)
    return columns
