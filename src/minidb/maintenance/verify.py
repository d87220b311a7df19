"""Verify: whether everything that is stored agrees with itself.

Read in one snapshot, in constant memory: the catalog, each row (its checksum, its key, whether its definition admits
it), each index both ways, each item of a mapping, the ids given out. An index agrees with its rows if every entry that
the rows must have is found, and there are no others: the two sides are compared as sums of hashes, and only where these
differ is each entry asked for its row.

It goes through the engine port, so it sees what any reader would see, beside readers and writers. How an engine builds
its file is examined only by reading all of it: LMDB's own verifier reads files that nobody has open, and calls some
whole ones damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from operator import ge
from typing import Any, Final

from minidb.encoding.integers import decode_integer
from minidb.encoding.items import decode_item_key, encode_item_key
from minidb.engines.port import CATALOG, Pair, ReadTransaction, Space
from minidb.exceptions import BackupError, CorruptionError, EngineError, MiniDBError, SchemaValidationError
from minidb.maintenance.expected import UNFIT, ReadRow, entries_of, entries_of_all, is_key_of
from minidb.maintenance.progress import Progress
from minidb.maintenance.replay import replayed
from minidb.maintenance.report import Finding, VerifyReport
from minidb.tables import catalog as catalogs
from minidb.tables import history
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import SEQUENCES, CatalogEntry, read_entry
from minidb.tables.definitions import MappingDefinition, TableDefinition
from minidb.tables.history import HISTORY
from minidb.tables.index_entries import LARGEST_KEY_BYTES, IndexBinding, row_key_of
from minidb.tables.mappings import MappingBinding

_RESTORE: Final = "stop writing and restore a backup"
_RESTART: Final = "call stop_history and start_history, and make a whole backup"
_REBUILD: Final = "drop the index and create it again"


def verify(snapshot: ReadTransaction, progress: Progress | None = None) -> VerifyReport:
    """Examine all that a snapshot holds, and report what is wrong with it.

    ``progress`` is given the rows, entries and items read so far, and how many there are.
    """
    return _Verifier(snapshot, progress).run()


class _Verifier:
    def __init__(self, snapshot: ReadTransaction, progress: Progress | None) -> None:
        self._snapshot = snapshot
        self._progress = progress
        self._report = VerifyReport()
        self._spaces = set(snapshot.spaces())
        self._owned: set[Space] = {CATALOG, SEQUENCES}
        self._keeps_history = False
        self._done = self._total = 0

    def run(self) -> VerifyReport:
        tables: list[TableDefinition] = []
        mappings: list[MappingDefinition] = []
        with self._reading():
            for definition in self._definitions():
                if isinstance(definition, TableDefinition):
                    tables.append(definition)
                else:
                    mappings.append(definition)
            self._keeps_history = catalogs.keeps_history(self._snapshot)
        if self._keeps_history:
            self._owned.add(HISTORY)
        self._check_ownership(tables, mappings)
        self._total = sum(self._snapshot.count(space) for space in self._spaces - {CATALOG, SEQUENCES, HISTORY})
        for table in tables:
            with self._reading(table=table.name):
                self._check_table(table)
        for mapping in mappings:
            with self._reading(mapping=mapping.name):
                self._check_mapping(MappingBinding(mapping))
        if self._keeps_history:
            with self._reading():
                self._check_history()
        with self._reading():
            self._check_sequences({table.id for table in tables if not table.primary_key})
        self._tell(0)
        return self._report

    def _find(self, code: str, message: str, hint: str = _RESTORE, **where: Any) -> None:  # Any: a finding's facts
        self._report.add(Finding(code=code, message=message, hint=hint, **where))

    @contextmanager
    def _reading(self, **where: str) -> Iterator[None]:
        """Make a finding of what the engine cannot read, and go on with the next part."""
        try:
            yield
        except (CorruptionError, EngineError) as error:
            self._find("unreadable", f"it cannot be read to its end: {error.message}", **where)

    def _tell(self, read: int) -> None:
        self._done += read
        if self._progress is not None:
            self._progress(self._done, max(self._total, self._done))

    # --- the catalog --------------------------------------------------------------------------------------------------

    def _definitions(self) -> Iterator[TableDefinition | MappingDefinition]:
        """Yield the definitions that can be read."""
        next_id, highest_id, names = 1, 0, set[str]()
        for page in self._pages(CATALOG):
            for key, data in page:
                entry = self._entry(key, data)
                if isinstance(entry, int):
                    next_id = entry
                elif entry is not None:
                    highest_id = max(highest_id, *_ids(entry))
                    if entry.name in names:
                        self._find("name-taken", "two definitions have this name", **_named(entry))
                        continue
                    names.add(entry.name)
                    yield entry
        if next_id <= highest_id:
            self._find("next-id-wrong", "the catalog would give out an id that is taken")

    def _entry(self, key: bytes, data: bytes) -> CatalogEntry:
        try:
            return _with_right_names(read_entry(key, data))
        except (MiniDBError, *UNFIT) as error:
            reason = error.message if isinstance(error, MiniDBError) else "it contradicts itself"
            self._find("definition-damaged", f"an entry of the catalog cannot be read: {reason}", key=key)
            return None

    def _check_ownership(self, tables: Sequence[TableDefinition], mappings: Sequence[MappingDefinition]) -> None:
        """Each definition has a space of its own, and each space is some definition's."""
        definitions: list[TableDefinition | MappingDefinition] = [*tables, *mappings]
        for definition in definitions:
            names: dict[Space, str] = {index.space: index.name for index in _indexes(definition)}
            for space in _spaces(definition):
                where = _named(definition)
                if space in names:
                    where["index"] = names[space]
                if space in self._owned:
                    self._find("id-taken", "it shares its space with another definition", **where)
                elif space not in self._spaces:
                    self._find("space-missing", "there is no space for what it holds", **where)
                self._owned.add(space)
        if SEQUENCES not in self._spaces:
            self._find("space-missing", "there is no space for the ids that were given out")
        if self._keeps_history and HISTORY not in self._spaces:
            self._find("space-missing", "there is no space for the history", _RESTART)
        for space in sorted(self._spaces - self._owned):
            self._find("space-unknown", f"space {space!r} belongs to no definition", key=None)

    def _check_sequences(self, automatic: set[int]) -> None:
        if SEQUENCES not in self._spaces:
            return
        for page in self._pages(SEQUENCES):
            for key, data in page:
                try:
                    is_right = decode_integer(key) in automatic and decode_integer(data) > 0
                except CorruptionError:
                    is_right = False
                if not is_right:
                    self._find("sequence-wrong", "what is kept of ids given out is no table's, or no id", key=key)

    # --- tables -------------------------------------------------------------------------------------------------------

    def _check_table(self, definition: TableDefinition) -> None:
        if definition.space not in self._spaces:
            return
        name = definition.name
        try:
            table = TableBinding(definition, definition.schema)
        except UNFIT:  # such as an index on a field that there is not
            self._find("definition-damaged", "the definition contradicts itself", table=name)
            return
        checks = [_IndexCheck(index) for index in table.indexes if index.space in self._spaces]
        building = [one for one in table.written_indexes if one.is_building and one.space in self._spaces]
        rows = self._report.tables[name] = 0
        for page in self._pages(table.space, table=name):
            readable = self._readable_rows(table, page)
            for check in checks:
                self._check_entries_of(table, check, readable)
            rows += len(page)
            self._report.tables[name] = rows
        self._check_count(table.space, rows, table=name)
        for check in checks:
            with self._reading(table=name, index=check.name):
                self._check_index(table, check)
        for index in building:
            with self._reading(table=name, index=index.definition.name):
                self._check_building(table, index)

    def _readable_rows(self, table: TableBinding, page: list[Pair]) -> list[ReadRow]:
        """Return a page's rows, and make findings of what is wrong with any."""
        readable: list[ReadRow] = []
        for key, data in page:
            try:
                readable.append((key, table.values(data), data))
            except CorruptionError as error:
                where = {"table": table.name, "key": key, "id": _tried(table.id_of, key)}
                self._find("row-damaged", f"{_sentence(error)}", **where)
        columns = [table.columns(values) for _, values, _ in readable]
        try:
            table.check_many(columns, first_number=0, as_is=True)
        except (SchemaValidationError, *UNFIT):
            for (key, _, _), one in zip(readable, columns, strict=True):
                self._check_row(table, key, one)
        for key, values, _ in readable:
            if not is_key_of(table, key, values):
                message = "the row is stored at a key that is not its own"
                self._find("row-key-wrong", message, table=table.name, key=key, id=_tried(table.id_of, key))
        return readable

    def _check_row(self, table: TableBinding, key: bytes, columns: dict[str, Any]) -> None:  # Any: as in TableBinding
        try:
            table.check(columns, as_is=True)
        except (SchemaValidationError, *UNFIT) as error:
            errors = error.errors if isinstance(error, SchemaValidationError) else ()
            fields = ", ".join(sorted({one.field.partition("[")[0] for one in errors})) or "its values"
            self._find(
                "row-invalid",
                f"the row does not fit the definition of its table: {fields}",
                "update the row to what its schema admits",
                table=table.name,
                key=key,
                id=_tried(table.id_of, key),
            )

    # --- indexes ------------------------------------------------------------------------------------------------------

    def _check_entries_of(self, table: TableBinding, check: _IndexCheck, rows: Sequence[ReadRow]) -> None:
        """Look up the entries that rows must have."""
        pairs = entries_of_all(check.index, rows)
        if pairs is not None:
            pairs.sort()  # read fastest so
            if self._snapshot.get_many(check.index.space, [key for key, _ in pairs]) == [value for _, value in pairs]:
                check.expected += len(pairs)
                check.hashes += sum(map(hash, pairs))
                return
        self._find_entries_of(table, check, rows)

    def _find_entries_of(self, table: TableBinding, check: _IndexCheck, rows: Sequence[ReadRow]) -> None:
        """Do the same row by row, and make findings of what is wrong with any."""
        expected = [(pair, row[0]) for row in rows for pair in entries_of(check.index, row) or ()]
        stored = self._snapshot.get_many(check.index.space, [pair[0] for pair, _ in expected])
        found = [pair for (pair, _), value in zip(expected, stored, strict=True) if pair[1] == value]
        check.expected += len(found)
        check.hashes += sum(map(hash, found))
        for (pair, row_key), value in zip(expected, stored, strict=True):
            if value is None:
                code, message = "entry-missing", "the index has no entry for the row"
            elif value != pair[1]:
                is_covering = check.index.is_covering
                problem = "holds other bytes than the row" if is_covering else "names another row for the row's value"
                code, message = "entry-wrong", f"the index {problem}"
            else:
                continue
            where = {"table": table.name, "index": check.name, "key": pair[0], "id": _tried(table.id_of, row_key)}
            self._find(code, message, _REBUILD, **where)

    def _check_index(self, table: TableBinding, check: _IndexCheck) -> None:
        """Read all entries; where they are not just those that the rows have, find out which are too many."""
        entries = hashes = 0
        label = f"{table.name}.{check.name}"
        self._report.indexes[label] = 0
        for page in self._pages(check.index.space, looks_up=False, table=table.name, index=check.name):
            entries += len(page)
            hashes += sum(map(hash, page))
            self._report.indexes[label] = entries
        self._check_count(check.index.space, entries, table=table.name, index=check.name)
        if (entries, hashes) == (check.expected, check.hashes):
            return
        for page in self._snapshot.scan(check.index.space):
            for pair in page:
                problem = self._problem_of_entry(table, check.index, pair)
                if problem is not None:
                    where = {"table": table.name, "index": check.name, "key": pair[0]}
                    self._find("entry-stray", problem, _REBUILD, **where)

    def _check_building(self, table: TableBinding, index: IndexBinding) -> None:
        """Read the entries of an index that is being built: it may lack some, and has none that no row has."""
        entries = 0
        name = index.definition.name
        for page in self._pages(index.space, looks_up=False, table=table.name, index=name):
            entries += len(page)
            for pair in page:
                problem = self._problem_of_entry(table, index, pair)
                if problem is not None:
                    self._find("entry-stray", problem, _REBUILD, table=table.name, index=name, key=pair[0])
        self._report.building[f"{table.name}.{name}"] = entries
        self._check_count(index.space, entries, table=table.name, index=name)

    def _problem_of_entry(self, table: TableBinding, index: IndexBinding, pair: Pair) -> str | None:
        """Return what is wrong with an entry. Nothing is, that one could tell, if its row cannot be read."""
        key, value = pair
        row_key = value if index.unique else row_key_of(key)
        data = self._snapshot.get(table.space, row_key) if 0 < len(row_key) <= LARGEST_KEY_BYTES else None
        if data is None:
            return "the entry names a row that is not there"
        try:
            values = table.values(data)
        except CorruptionError:
            return None
        entries = entries_of(index, (row_key, values, data))
        if entries is None or pair in entries:
            return None
        if index.is_covering and key in dict(entries):
            return "the entry holds other bytes than the row"
        return "the entry names a row that has another value"

    # --- mappings -----------------------------------------------------------------------------------------------------

    def _check_mapping(self, mapping: MappingBinding) -> None:
        if mapping.space not in self._spaces:
            return
        items = self._report.mappings[mapping.name] = 0
        for page in self._pages(mapping.space, mapping=mapping.name):
            for key, data in page:
                item_key = _tried(decode_item_key, key)
                if item_key is None and key != _KEY_OF_NONE:
                    self._find("item-key-wrong", "the key of an item cannot be read", mapping=mapping.name, key=key)
                elif _tried(encode_item_key, item_key) != key:
                    message = "an item is stored at a key that is not its own"
                    self._find("item-key-wrong", message, mapping=mapping.name, key=key, id=item_key)
                try:
                    mapping.value(key, data)
                except CorruptionError as error:
                    self._find("item-damaged", _sentence(error), mapping=mapping.name, key=key, id=item_key)
            items += len(page)
            self._report.mappings[mapping.name] = items
        self._check_count(mapping.space, items, mapping=mapping.name)

    # --- the history --------------------------------------------------------------------------------------------------

    def _check_history(self) -> None:
        """Each record has the chain that follows from the one before it, from the tail up to the head."""
        if HISTORY not in self._spaces:
            return
        try:
            head, tail = history.head(self._snapshot), history.tail(self._snapshot)
            end = tail
            for point in replayed(self._snapshot, tail):
                end = point
        except (CorruptionError, BackupError) as error:
            self._find("history-damaged", _sentence(error), _RESTART)
            return
        if end != head:
            self._find("history-damaged", "the records of the history do not end with its newest commit", _RESTART)

    # --- any space ----------------------------------------------------------------------------------------------------

    def _pages(self, space: Space, *, looks_up: bool = True, **where: str) -> Iterator[list[Pair]]:
        """Yield the pages of a space, and make findings of keys out of order or that a look-up does not find."""
        last: bytes | None = None
        for page in self._snapshot.scan(space):
            keys = [key for key, _ in page]
            if (last is not None and last >= keys[0]) or any(ge(*two) for two in pairwise(keys)):
                self._find("order-wrong", "keys stand in a wrong order", key=keys[0], **where)
            last = keys[-1]
            if looks_up:
                found = self._snapshot.get_many(space, keys)
                for (key, value), same in zip(page, found, strict=True):
                    if same != value:
                        self._find("key-unreachable", "a scan finds the key, and a look-up does not", key=key, **where)
            yield page
            if space not in (CATALOG, SEQUENCES):
                self._tell(len(page))

    def _check_count(self, space: Space, read: int, **where: str) -> None:
        counted = self._snapshot.count(space)
        if counted != read:
            self._find("count-wrong", f"the engine counts {counted} keys, and there are {read}", **where)


class _IndexCheck:
    """An index, and what its rows say that it must hold: how many entries, and the sum of their hashes."""

    def __init__(self, index: IndexBinding) -> None:
        self.index = index
        self.name = index.definition.name
        self.expected = self.hashes = 0


_KEY_OF_NONE: Final = encode_item_key(None)


def _tried(decode: Callable[[Any], Any], data: object) -> Any:  # Any: an id, whatever it is
    """Return what a function makes of data, or None where it refuses it."""
    try:
        return decode(data)
    except (CorruptionError, *UNFIT):
        return None


def _with_right_names(entry: CatalogEntry) -> CatalogEntry:
    if isinstance(entry, TableDefinition | MappingDefinition):
        for owner in (entry, *_indexes(entry)):
            if type(owner.id) is not int or not isinstance(owner.name, str):
                raise CorruptionError("A definition in the catalog has an id or a name that is none")
    return entry


def _sentence(error: MiniDBError) -> str:
    return error.message[0].lower() + error.message[1:]


def _indexes(definition: TableDefinition | MappingDefinition) -> Sequence[Any]:  # Any: index definitions
    return definition.indexes if isinstance(definition, TableDefinition) else ()


def _spaces(definition: TableDefinition | MappingDefinition) -> list[Space]:
    return definition.spaces if isinstance(definition, TableDefinition) else [definition.space]


def _ids(definition: TableDefinition | MappingDefinition) -> list[int]:
    return definition.ids if isinstance(definition, TableDefinition) else [definition.id]


def _named(definition: TableDefinition | MappingDefinition) -> dict[str, str]:
    return {"table" if isinstance(definition, TableDefinition) else "mapping": definition.name}
