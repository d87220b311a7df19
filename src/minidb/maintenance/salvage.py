"""Salvage: a new database of all that can be read of a damaged one, which is only read.

Definitions, rows and items are taken as they are stored, where their checksums and keys are right; index entries are
taken from nowhere, but made of the rows. Where a space cannot be read to its end, it is read from its other end, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from minidb.encoding.integers import decode_integer
from minidb.encoding.items import decode_item_key, encode_item_key
from minidb.engines.port import CATALOG, Engine, Pair, ReadTransaction, Space
from minidb.exceptions import CorruptionError, EngineError, MiniDBError
from minidb.maintenance.expected import UNFIT, is_key_of
from minidb.maintenance.filling import writing
from minidb.maintenance.index_rebuild import build_indexes
from minidb.maintenance.progress import Progress
from minidb.maintenance.report import Salvaged
from minidb.structs import replace
from minidb.tables import catalog as catalogs
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import SEQUENCES, read_entry
from minidb.tables.definitions import MappingDefinition, TableDefinition
from minidb.tables.mappings import MappingBinding
from minidb.version import __version__

Definition = TableDefinition | MappingDefinition


def salvage(snapshot: ReadTransaction, engine: Engine, progress: Progress | None = None) -> Salvaged:
    """Fill a new and empty engine with what can be read of a snapshot. ``progress`` counts rows and items.

    Return what was kept and what was lost. The engine holds no history, whatever the snapshot has.
    """
    return _Salvage(snapshot, engine, progress).run()


class _Salvage:
    def __init__(self, snapshot: ReadTransaction, engine: Engine, progress: Progress | None) -> None:
        self._snapshot = snapshot
        self._engine = engine
        self._progress = progress
        self._spaces = set(snapshot.spaces())
        self._owned: set[Space] = {CATALOG, SEQUENCES}
        self._salvaged = Salvaged()
        self._done = self._total = 0

    def run(self) -> Salvaged:
        definitions = list(self._definitions())
        self._total = sum(self._counted(one.space) for one in definitions)
        with writing(self._engine) as transaction:
            catalogs.initialise(transaction, __version__)
            for definition in definitions:
                spaces = {definition.space}
                if isinstance(definition, TableDefinition):
                    spaces.add(definition.ids_space)
                for space in sorted(spaces):
                    transaction.create_space(space)
                catalogs.store(transaction, definition)
            ids = [
                number for one in definitions for number in (one.ids if isinstance(one, TableDefinition) else [one.id])
            ]
            catalogs.keep_ids(transaction, max(ids, default=0))
        for definition in definitions:
            if isinstance(definition, TableDefinition):
                self._take_table(definition)
            else:
                self._take_mapping(MappingBinding(definition))
        self._take_sequences({one.id for one in definitions})
        build_indexes(self._engine)
        return self._salvaged

    # --- what there is ------------------------------------------------------------------------------------------------

    def _definitions(self) -> Iterator[Definition]:
        """Yield the definitions that can be read and used, with those of their indexes for which that holds."""
        names: set[str] = set()
        for key, data in self._pairs(CATALOG):
            try:
                entry = read_entry(key, data)
                if entry is None or isinstance(entry, int):
                    continue
                entry = self._usable(entry, names)
            except (MiniDBError, *UNFIT):
                entry = None
            if entry is None:
                self._salvaged.lost_definitions += 1
            else:
                names.add(entry.name)
                yield entry

    def _usable(self, definition: Definition, names: set[str]) -> Definition | None:
        if not _has_right_id(definition) or not isinstance(definition.name, str) or definition.name in names:
            return None
        if definition.space in self._owned or definition.space not in self._spaces:
            return None
        self._owned.add(definition.space)
        if isinstance(definition, MappingDefinition):
            return definition
        kept = []
        built = [index for index in definition.indexes if not index.is_building]
        for index in built:
            try:
                TableBinding(replace(definition, indexes=(index,)), definition.schema)
            except (MiniDBError, *UNFIT):
                continue
            if _has_right_id(index) and isinstance(index.name, str) and index.space not in self._owned:
                self._owned.add(index.space)
                kept.append(index)
        self._salvaged.lost_definitions += len(built) - len(kept)
        usable = replace(definition, indexes=tuple(kept), rewriting=None)
        TableBinding(usable, usable.schema)
        return usable

    # --- what is in it ------------------------------------------------------------------------------------------------

    def _take_table(self, definition: TableDefinition) -> None:
        table = TableBinding(definition, definition.schema)

        def is_right(key: bytes, data: bytes) -> bool:
            return is_key_of(table, key, table.values(data))

        self._salvaged.tables[table.name] = self._take(table.space, is_right, self._salvaged.lost_rows, table.name)

    def _take_mapping(self, mapping: MappingBinding) -> None:
        def is_right(key: bytes, data: bytes) -> bool:
            mapping.value(key, data)
            return encode_item_key(decode_item_key(key)) == key

        kept = self._take(mapping.space, is_right, self._salvaged.lost_items, mapping.name)
        self._salvaged.mappings[mapping.name] = kept

    def _take(self, space: Space, is_right: Callable[[bytes, bytes], bool], lost: dict[str, int], name: str) -> int:
        kept = read = 0
        for page in self._pages(space):
            right = {key: data for key, data in page if _is_true(is_right, key, data)}
            with writing(self._engine) as transaction:
                transaction.put_many(space, right)
            read += len(page)
            kept += len(right)
            self._done += len(page)
            if self._progress is not None:
                self._progress(self._done, max(self._done, self._total))
        missing = max(read, self._counted(space)) - kept
        if missing:
            lost[name] = missing
        return kept

    def _take_sequences(self, ids: set[int]) -> None:
        if SEQUENCES not in self._spaces:
            return
        kept = {}
        for key, data in self._pairs(SEQUENCES):
            try:
                if decode_integer(key) in ids and decode_integer(data) > 0:
                    kept[key] = data
            except CorruptionError:
                continue
        with writing(self._engine) as transaction:
            transaction.put_many(SEQUENCES, kept)

    def _counted(self, space: Space) -> int:
        try:
            return self._snapshot.count(space)
        except (CorruptionError, EngineError):
            return 0

    def _pairs(self, space: Space) -> Iterator[Pair]:
        for page in self._pages(space):
            yield from page

    def _pages(self, space: Space) -> Iterator[list[Pair]]:
        """Yield what can be read of a space, from both ends where it cannot be read from one."""
        last = b""
        try:
            for page in self._snapshot.scan(space):
                yield page
                last = max(last, page[-1][0])
        except (CorruptionError, EngineError):
            start = last + b"\x00"
            try:
                yield from self._snapshot.scan(space, start, reverse=True)
            except (CorruptionError, EngineError):
                return


def _has_right_id(owner: object) -> bool:
    number = getattr(owner, "id", None)
    return type(number) is int and 0 < number < 2**63


def _is_true(is_right: Callable[[bytes, bytes], bool], key: bytes, data: bytes) -> bool:
    try:
        return is_right(key, data)
    except (MiniDBError, *UNFIT):
        return False
