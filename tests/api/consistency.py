"""Whether the bytes of a database agree with each other, asked of its engine."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from minidb import MiniDB
from minidb.conditions.match import compile_test
from minidb.encoding.integers import decode_integer
from minidb.encoding.items import decode_item_key
from minidb.encoding.rows import schema_version_of
from minidb.encoding.untyped import encode_untyped
from minidb.engines.port import ReadTransaction, Space
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import SEQUENCES
from minidb.tables.index_entries import IndexBinding, row_key_of
from minidb.tables.mappings import MappingBinding

LOOK_UPS_ON_A_SERVER: Final = 30


class InconsistentError(AssertionError):
    """The bytes of a database do not agree with each other."""


def check_consistency(database: MiniDB) -> None:
    """Raise ``InconsistentError`` unless every row can be read and each index agrees with its rows, both ways."""
    snapshot = database.engine.begin_read()
    try:
        catalog = database.catalog_of(snapshot)
        for name in catalog.definitions:
            _check_table(database, snapshot, catalog.table(name))
        for mapping in catalog.mappings.values():
            _check_mapping(snapshot, mapping)
        _require(not catalog.definitions.keys() & catalog.mappings.keys(), "a table and a mapping have one name")
        automatic = {definition.id for definition in catalog.definitions.values() if not definition.primary_key}
        _require(set(map(decode_integer, _pairs(snapshot, SEQUENCES))) <= automatic, "a sequence belongs to no table")
    finally:
        snapshot.close()


def _check_table(database: MiniDB, snapshot: ReadTransaction, table: TableBinding) -> None:
    rows = _pairs(snapshot, table.space)
    _require(snapshot.count(table.space) == len(rows), f"{table.name}: the count is not the number of rows")
    for key, data in rows.items():
        values = table.values_at(key, data)
        again = table.encode(table.check(table.columns(values), as_is=True))
        if schema_version_of(data) != table.definition.schema_version:  # a row of an older schema reads as one of this
            data = table.encode(values)  # noqa: PLW2901  # as it would be written now
        _require(again == data, f"{table.name}: a row would not be stored so again")
        _require(table.key_of_id(table.id_of(key)) == key, f"{table.name}: an id does not lead to its key")
    for index in table.indexes:
        _check_index(table, index, rows, _pairs(snapshot, index.space))
        _check_look_ups(database, table, index, rows)
    for index in table.written_indexes:
        if index.is_building:
            progress = _pairs(snapshot, index.definition.building_space)
            _check_building(table, index, rows, _pairs(snapshot, index.space), progress)


def _check_mapping(snapshot: ReadTransaction, mapping: MappingBinding) -> None:
    items = _pairs(snapshot, mapping.space)
    _require(snapshot.count(mapping.space) == len(items), f"{mapping.name}: the count is not the number of items")
    for key, data in items.items():
        again = mapping.item(decode_item_key(key), mapping.value(key, data))
        _require(again == (key, data), f"{mapping.name}: an item would not be stored so again")


def _check_index(
    table: TableBinding, index: IndexBinding, rows: dict[bytes, bytes], entries: dict[bytes, bytes]
) -> None:
    where = f"{table.name}.{index.definition.name}"
    # One by one, as a single insert makes them: what many rows share in writing must not show.
    expected = [
        (index.entry(fields, key, data), fields, key)
        for key, data in rows.items()
        for fields in _fields_of(table, index, data)
    ]
    wanted = {entry[0]: entry[1] for entry, _, _ in expected}
    _require(len(wanted) == len(expected), f"{where}: two rows have a value that must be unique")
    missing = wanted.items() - entries.items()
    _require(not missing, f"{where}: {len(missing)} entries are missing")
    extra = entries.items() - wanted.items()
    _require(not extra, f"{where}: {len(extra)} entries belong to no row")
    for (entry_key, _), fields, row_key in expected:
        if not index.unique or None in fields:
            _require(row_key_of(entry_key) == row_key, f"{where}: an entry does not lead to its row")


def _check_building(
    table: TableBinding,
    index: IndexBinding,
    rows: dict[bytes, bytes],
    entries: dict[bytes, bytes],
    progress: dict[bytes, bytes],
) -> None:
    """An index that is being built has the entries of the rows that it has come to, and none that no row has."""
    where = f"{table.name}.{index.definition.name}, which is being built"
    last = progress.get(b"at", bytes(8))[8:]
    wanted = {
        (index.entry(fields, key, data), key) for key, data in rows.items() for fields in _fields_of(table, index, data)
    }
    _require(entries.items() <= {entry for entry, _ in wanted}, f"{where}: entries belong to no row")
    missing = {entry for entry, key in wanted if key <= last} - entries.items()
    _require(not missing, f"{where}: {len(missing)} entries are missing")


def _fields_of(table: TableBinding, index: IndexBinding, data: bytes) -> list[tuple[object, ...]]:
    """Return what a row is to be found by in an index, from what the definition says in the words of the API."""
    values, definition = table.values(data), index.definition
    columns = table.columns(values)
    if definition.where is not None:
        test = compile_test(
            definition.where, table.schema, lambda name: lambda row: _stored(table, name, row.get(name))
        )
        if not test(columns):
            return []
    fields = [_stored(table, name, columns.get(name)) for name in definition.fields]
    if definition.each is None:
        return [tuple(fields)]
    place = definition.fields.index(definition.each)
    elements = fields[place]
    _require(elements is None or isinstance(elements, list), f"{table.name}: a list field holds no list")
    different = {encode_untyped(one): one for one in elements or ()}
    return [(*fields[:place], one, *fields[place + 1 :]) for one in different.values()]


def _stored(table: TableBinding, name: str, value: Any) -> Any:  # Any: what the field's type admits
    return value if table.schema is None or value is None else table.schema.fields[name].to_stored(value)


def _check_look_ups(database: MiniDB, table: TableBinding, index: IndexBinding, rows: dict[bytes, bytes]) -> None:
    name = index.definition.name
    by_fields: dict[bytes, tuple[tuple[object, ...], list[bytes]]] = {}
    for key in sorted(rows):
        for values in _fields_of(table, index, rows[key]):
            by_fields.setdefault(index.encode_whole(values), (values, []))[1].append(key)
    # Where each look-up crosses a network, some of them stand for all.
    step = 1 + len(by_fields) // LOOK_UPS_ON_A_SERVER if database.engine.capabilities.has_many_writers else 1
    for values, keys in islice(by_fields.values(), 0, None, step):
        found = database.query_by_index(table.name, name, values[0] if len(values) == 1 else values)
        is_right = [row.id for row in found] == list(map(table.id_of, keys))
        _require(is_right, f"{table.name}.{name}: a look-up does not find just the rows that have the value")


def _pairs(snapshot: ReadTransaction, space: Space) -> dict[bytes, bytes]:
    return {key: value for page in snapshot.scan(space) for key, value in page}


def _require(is_right: bool, what: str) -> None:
    if not is_right:
        raise InconsistentError(what)
