"""The catalog: which tables and mappings there are, as stored in the database itself.

    catalog   := format secret next_id history? table* mapping*
    format    := ("format") -> {format, created_by}
    secret    := ("secret") -> {secret}                32 random bytes, with which what leaves the program is sealed
    next_id   := ("next id") -> {next}                 the next id of a table, index or mapping; never used again
    history   := ("history") -> {}                     there while a history is kept: see ``tables.history``
    table     := ("table", id) -> definition           as in ``tables.definitions``
    mapping   := ("mapping", id) -> definition         its name is no table's
    sequence  := integer(table id) -> integer(highest id)

Keys are encoded as in ``encoding.keys``, values as documents of ``encoding.rows``. A sequence stands in a space of its
own, since every change of the catalog's space makes all processes read it again: for each table with automatic ids
whose highest row was deleted, the highest id that was ever given out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from minidb.encoding.integers import decode_integer, encode_integer
from minidb.encoding.keys import decode_values, encode_values, successor
from minidb.encoding.rows import decode_document, encode_document
from minidb.engines.port import CATALOG, ReadTransaction, Space, WriteTransaction
from minidb.exceptions import (
    CatalogError,
    CorruptionError,
    MappingNotFoundError,
    MiniDBError,
    SchemaMismatchError,
    TableNotFoundError,
    UnsupportedFormatError,
)
from minidb.schema import Schema
from minidb.tables.binding import TableBinding
from minidb.tables.definitions import MappingDefinition, TableDefinition
from minidb.tables.mappings import MappingBinding
from minidb.tables.reading import Finder

if TYPE_CHECKING:
    from minidb.schema.model_rows import ModelRows

FORMAT: Final = 1
"""The version of everything stored: catalog, keys, rows and index entries."""

_SECRET_BYTES: Final = 32

SEQUENCES: Final = Space("sequences")

# Stored on disk: never rename.
_FORMAT_KEY: Final = encode_values(("format",))
_SECRET_KEY: Final = encode_values(("secret",))
_NEXT_ID_KEY: Final = encode_values(("next id",))
_HISTORY_KEY: Final = encode_values(("history",))
_TABLE_PREFIX: Final = encode_values(("table",))
_MAPPING_PREFIX: Final = encode_values(("mapping",))


TableKey: TypeAlias = "str | tuple[str, ModelRows]"
"""How a table is asked for: by its name; and where its rows are objects of a model, by what makes them, too."""


class Catalog:
    """The tables and mappings of one generation. Immutable but for what it compiles; safe from any thread.

    ``live_schemas`` are schemas that the program gave, by table id: equal to the stored ones, with what cannot be
    stored, such as validators and enum classes; or what tables had once, where the program is older than its database.
    """

    __slots__ = ("_bindings", "_live_schemas", "definitions", "finders", "generation", "keeps_history", "mappings")

    def __init__(
        self,
        generation: int,
        definitions: Mapping[str, TableDefinition],
        live_schemas: Mapping[int, Schema],
        *,
        mappings: Mapping[str, MappingBinding] | None = None,
        keeps_history: bool = False,
        previous: Catalog | None = None,
    ) -> None:
        self.generation = generation
        self.keeps_history = keeps_history
        self.definitions = definitions
        self.mappings: Mapping[str, MappingBinding] = {} if mappings is None else mappings
        self._live_schemas = live_schemas
        self._bindings: dict[TableKey, TableBinding] = {}
        self.finders: dict[TableKey, Finder] = {}
        """What ``api.calls`` keeps to find rows in the newest state, for tables that were read before."""
        if previous is not None:  # compiling takes long: keep what has not changed
            for key, binding in list(previous._bindings.items()):  # another thread may just be compiling one
                same_schema = live_schemas.get(binding.definition.id) is previous._live_schemas.get(
                    binding.definition.id
                )
                if definitions.get(binding.name) == binding.definition and (same_schema or isinstance(key, tuple)):
                    self._bindings[key] = binding

    def table(self, key: TableKey) -> TableBinding:
        """Return a table. Raises ``TableNotFoundError``, or ``SchemaMismatchError`` if it is no longer its model's."""
        binding = self._bindings.get(key)
        if binding is not None:
            return binding
        binding = self._bind(key)
        self._bindings[key] = binding
        return binding

    def runs_code(self, key: TableKey) -> bool:
        """Tell whether a write to a table may run code of the program's, so also of one that is not known here."""
        try:
            return self.table(key).runs_code
        except MiniDBError:
            return True

    def _bind(self, key: TableKey) -> TableBinding:
        if isinstance(key, tuple):
            from minidb.tables.model_binding import ModelBinding

            name, rows = key
            return ModelBinding(self.definition(name), rows)
        definition = self.definition(key)
        stored, live = definition.schema, self._live_schemas.get(definition.id)
        if live is None or stored is None:
            return TableBinding(definition, stored)
        if live.row_identity == stored.row_identity:
            return TableBinding(definition, live)
        from minidb.schema.evolution import with_code_of

        # The table was changed since the program gave its schema, or it has opened a table that had been.
        return TableBinding(definition, with_code_of(stored, live), is_outdated=True)

    def definition(self, name: str) -> TableDefinition:
        """Return what a table is, or raise ``TableNotFoundError``."""
        try:
            return self.definitions[name]
        except (KeyError, TypeError):
            is_mapping = isinstance(name, str) and name in self.mappings
            hint = f"it is a mapping: db.mapping({name!r})" if is_mapping else self._names_hint()
            raise TableNotFoundError(f"There is no table named {name!r}", hint=hint, table=name) from None

    def outdated(self, name: str) -> SchemaMismatchError:
        """Return the error for a write to a table whose schema was changed since the program's was written."""
        from minidb.schema.evolution import compare

        definition = self.definition(name)
        found = compare(definition.schema, self._live_schemas.get(definition.id)).differences
        return SchemaMismatchError(
            f"Table {name!r} has had another schema since this program's was its own, so the program may only read it",
            hint="give the program the new schema; to go back to the old one, take a migration step",
            table=name,
            differences=found,
        )

    def mapping(self, name: str) -> MappingBinding:
        """Return a mapping by its name, or raise ``MappingNotFoundError``."""
        try:
            return self.mappings[name]
        except (KeyError, TypeError):
            self.require_no_table(name)
            raise MappingNotFoundError(
                f"There is no mapping named {name!r}", hint=f"db.mapping({name!r}) makes one", mapping=name
            ) from None

    def require_no_table(self, name: str) -> None:
        """Raise ``CatalogError`` where a mapping is asked for by the name of a table."""
        if isinstance(name, str) and name in self.definitions:
            raise CatalogError(f"{name!r} is a table, and no mapping", hint=f"db.get_table({name!r})", table=name)

    def require_no_mapping(self, name: str) -> None:
        """Raise ``CatalogError`` where a table is asked to have the name of a mapping."""
        if name in self.mappings:
            raise CatalogError(
                f"{name!r} is a mapping, and no table",
                hint="take another name, or drop the mapping with db.drop_mapping",
                mapping=name,
            )

    def has_live_schema(self, table: TableDefinition) -> bool:
        """Whether the program itself has given the table's schema."""
        return table.id in self._live_schemas

    def with_live_schemas_of(self, other: Catalog) -> Catalog:
        """Return the catalog with the schemas that another one was given too, and what that one has compiled."""
        if other._live_schemas is self._live_schemas:
            return self
        # Joined, not replaced: of two threads that each gave a schema, the second to get here must not undo the first.
        live_schemas = {**self._live_schemas, **other._live_schemas}
        return self._with(live_schemas=live_schemas, previous=other)

    def with_live_schemas_by_name(self, other: Catalog) -> Catalog:
        """Return the catalog with the schemas that another one was given, of tables that are there by the same name.

        For a catalog of another store, whose ids mean other tables.
        """
        catalog = self
        for name, given in other.definitions.items():
            live, definition = other._live_schemas.get(given.id), self.definitions.get(name)
            if live is not None and definition is not None and definition.schema == live:
                catalog = catalog.with_table(definition, live_schema=live)
        return catalog

    def with_table(self, definition: TableDefinition, live_schema: Schema | None = None) -> Catalog:
        """Return the catalog with a table added or changed."""
        kept = {name: one for name, one in self.definitions.items() if one.id != definition.id}
        live_schemas = dict(self._live_schemas)
        if live_schema is not None:
            live_schemas[definition.id] = live_schema
        tables = {**kept, definition.name: definition}
        return self._with(definitions=tables, live_schemas=live_schemas)

    def without_table(self, name: str) -> Catalog:
        """Return the catalog without a table."""
        kept = {one: definition for one, definition in self.definitions.items() if one != name}
        return self._with(definitions=kept)

    def with_mappings(self, mappings: Mapping[str, MappingBinding]) -> Catalog:
        """Return the catalog with other mappings."""
        return self._with(mappings=mappings)

    def _with(
        self,
        *,
        definitions: Mapping[str, TableDefinition] | None = None,
        live_schemas: Mapping[int, Schema] | None = None,
        mappings: Mapping[str, MappingBinding] | None = None,
        previous: Catalog | None = None,
    ) -> Catalog:
        return Catalog(
            self.generation,
            self.definitions if definitions is None else definitions,
            self._live_schemas if live_schemas is None else live_schemas,
            mappings=self.mappings if mappings is None else mappings,
            keeps_history=self.keeps_history,
            previous=self if previous is None else previous,
        )

    def _names_hint(self) -> str:
        names = sorted(self.definitions)
        if not names:
            return "there are no tables yet: db.create_table makes one"
        shown = ", ".join(map(repr, names[:10]))
        return f"there are {len(names)}: {shown}" + (", …" if len(names) > 10 else "")


def load(transaction: ReadTransaction, previous: Catalog | None) -> Catalog:
    """Read the catalog of a snapshot. ``previous`` lends what it has compiled."""
    stored_format = transaction.get(CATALOG, _FORMAT_KEY)
    if stored_format is not None:
        number = decode_document(stored_format).get("format")
        if number != FORMAT:
            raise UnsupportedFormatError(
                f"The database has format {number}, and this version of MiniDB knows format {FORMAT}",
                hint="open it with a newer MiniDB",
            )
    definitions = {definition.name: definition for definition in _definitions(transaction)}
    mappings = {mapping.name: mapping for mapping in _mappings(transaction)}
    catalog = Catalog(
        transaction.generation, definitions, {}, mappings=mappings, keeps_history=keeps_history(transaction)
    )
    return catalog if previous is None else catalog.with_live_schemas_of(previous)


def _definitions(transaction: ReadTransaction) -> Iterator[TableDefinition]:
    for page in transaction.scan(CATALOG, _TABLE_PREFIX, successor(_TABLE_PREFIX)):
        for _, data in page:
            yield TableDefinition.from_document(decode_document(data))


def _mappings(transaction: ReadTransaction) -> Iterator[MappingBinding]:
    for page in transaction.scan(CATALOG, _MAPPING_PREFIX, successor(_MAPPING_PREFIX)):
        for _, data in page:
            yield MappingBinding(MappingDefinition.from_document(decode_document(data)))


CatalogEntry = TableDefinition | MappingDefinition | int | None
"""What an entry says: a definition; the next id; or nothing more than that it is known."""


def read_entry(key: bytes, data: bytes) -> CatalogEntry:
    """Return what one entry of the catalog says. Raises ``CorruptionError`` for what no catalog has."""
    document = decode_document(data)
    match decode_values(key):
        case ("format",) if document["format"] == FORMAT:
            return None
        case ("secret",) if isinstance(document["secret"], bytes):
            return None
        case ("history",):
            return None
        case ("next id",) if type(document["next"]) is int:
            return int(document["next"])
        case ("table", int(number)) if document["id"] == number:
            return TableDefinition.from_document(document)
        case ("mapping", int(number)) if document["id"] == number:
            return MappingDefinition.from_document(document)
    raise CorruptionError("An entry of the catalog is none that this version knows")


def is_initialised(transaction: ReadTransaction) -> bool:
    """Tell whether the catalog has been begun."""
    return transaction.get(CATALOG, _FORMAT_KEY) is not None


def initialise(transaction: WriteTransaction, created_by: str) -> None:
    """Begin the catalog of a new database."""
    transaction.create_space(SEQUENCES)
    document = encode_document({"format": FORMAT, "created_by": created_by})
    import secrets

    secret = encode_document({"secret": secrets.token_bytes(_SECRET_BYTES)})
    transaction.put_many(CATALOG, {_FORMAT_KEY: document, _SECRET_KEY: secret})


def secret_of(transaction: ReadTransaction) -> bytes:
    """Return the database's own secret."""
    stored = transaction.get(CATALOG, _SECRET_KEY)
    secret = None if stored is None else decode_document(stored).get("secret")
    if not isinstance(secret, bytes):
        raise CorruptionError("The catalog has lost the database's secret")
    return secret


def last_id_of(snapshot: ReadTransaction, table: TableBinding) -> int:
    """Return the highest automatic id that a table is known to have given out; 0 for none."""
    mark = snapshot.get(SEQUENCES, encode_integer(table.definition.id))
    kept = 0 if mark is None else decode_integer(mark)
    for page in snapshot.scan(table.space, reverse=True, limit=1):
        return max(kept, decode_integer(page[0][0]))
    return kept


def take_id(transaction: WriteTransaction) -> int:
    """Give out the id of a new table, index or mapping."""
    stored = transaction.get(CATALOG, _NEXT_ID_KEY)
    number: int = 1 if stored is None else decode_document(stored)["next"]
    transaction.put_many(CATALOG, {_NEXT_ID_KEY: encode_document({"next": number + 1})})
    return number


def keeps_history(transaction: ReadTransaction) -> bool:
    """Tell whether what transactions change is kept."""
    return transaction.get(CATALOG, _HISTORY_KEY) is not None


def set_history(transaction: WriteTransaction, *, is_kept: bool) -> None:
    """Say whether what later transactions change is to be kept."""
    if is_kept:
        transaction.put_many(CATALOG, {_HISTORY_KEY: encode_document({})})
    else:
        transaction.delete_many(CATALOG, [_HISTORY_KEY])


def keep_ids(transaction: WriteTransaction, highest: int) -> None:
    """Note that ids up to one have been given out."""
    transaction.put_many(CATALOG, {_NEXT_ID_KEY: encode_document({"next": highest + 1})})


def store(transaction: WriteTransaction, definition: TableDefinition | MappingDefinition) -> None:
    """Write the definition of a table or a mapping."""
    transaction.put_many(CATALOG, {_key_of(definition): encode_document(definition.to_document())})


def remove(transaction: WriteTransaction, definition: TableDefinition | MappingDefinition) -> None:
    """Delete the definition of a table or a mapping."""
    transaction.delete_many(CATALOG, [_key_of(definition)])


def _key_of(definition: TableDefinition | MappingDefinition) -> bytes:
    return encode_values(("mapping" if isinstance(definition, MappingDefinition) else "table", definition.id))
