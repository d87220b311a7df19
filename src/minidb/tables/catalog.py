"""The catalog: which tables there are, as stored in the database itself.

    catalog   := format next_id table*
    format    := ("format") -> {format, created_by}
    next_id   := ("next id") -> {next}                 the next id of a table or index; ids are never used again
    table     := ("table", id) -> definition           as in ``tables.definitions``
    sequence  := integer(table id) -> integer(highest id)

Keys are encoded as in ``encoding.keys``, values as documents of ``encoding.rows``. A sequence stands in a space of its
own, since every change of the catalog's space makes all processes read it again: for each table with automatic ids
whose highest row was deleted, the highest id that was ever given out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from minidb.encoding.keys import encode_values, successor
from minidb.encoding.rows import decode_document, encode_document
from minidb.engines.port import CATALOG, ReadTransaction, Space, WriteTransaction
from minidb.exceptions import TableNotFoundError, UnsupportedFormatError
from minidb.schema import Schema
from minidb.tables.binding import TableBinding
from minidb.tables.definitions import TableDefinition

FORMAT: Final = 1
"""The version of everything stored: catalog, keys, rows and index entries."""

SEQUENCES: Final = Space("sequences")

# Stored on disk: never rename.
_FORMAT_KEY: Final = encode_values(("format",))
_NEXT_ID_KEY: Final = encode_values(("next id",))
_TABLE_PREFIX: Final = encode_values(("table",))


class Catalog:
    """The tables of one generation. Immutable but for what it compiles when first asked; safe from any thread.

    ``live_schemas`` are schemas that the program gave, by table id: equal to the stored ones, with what cannot be
    stored, such as validators and enum classes.
    """

    __slots__ = ("_bindings", "_live_schemas", "definitions", "generation")

    def __init__(
        self,
        generation: int,
        definitions: Mapping[str, TableDefinition],
        live_schemas: Mapping[int, Schema],
        *,
        previous: Catalog | None = None,
    ) -> None:
        self.generation = generation
        self.definitions = definitions
        self._live_schemas = live_schemas
        self._bindings: dict[str, TableBinding] = {}
        if previous is not None:  # compiling takes long: keep what has not changed
            for name, binding in previous._bindings.items():
                same_schema = live_schemas.get(binding.definition.id) is previous._live_schemas.get(
                    binding.definition.id
                )
                if definitions.get(name) == binding.definition and same_schema:
                    self._bindings[name] = binding

    def table(self, name: str) -> TableBinding:
        """Return a table by its name, or raise ``TableNotFoundError``."""
        binding = self._bindings.get(name)
        if binding is not None:
            return binding
        definition = self.definition(name)
        binding = TableBinding(definition, self._live_schemas.get(definition.id, definition.schema))
        self._bindings[name] = binding
        return binding

    def definition(self, name: str) -> TableDefinition:
        """Return what a table is, or raise ``TableNotFoundError``."""
        try:
            return self.definitions[name]
        except (KeyError, TypeError):
            raise TableNotFoundError(f"There is no table named {name!r}", hint=self._names_hint(), table=name) from None

    def has_live_schema(self, table: TableDefinition) -> bool:
        """Whether the program itself has given the table's schema."""
        return table.id in self._live_schemas

    def with_live_schemas_of(self, other: Catalog) -> Catalog:
        """Return the catalog with the schemas that another one was given, and what that one has compiled."""
        if other._live_schemas is self._live_schemas:
            return self
        return Catalog(self.generation, self.definitions, other._live_schemas, previous=other)

    def with_table(self, definition: TableDefinition, live_schema: Schema | None = None) -> Catalog:
        """Return the catalog with a table added or changed."""
        kept = {name: one for name, one in self.definitions.items() if one.id != definition.id}
        live_schemas = dict(self._live_schemas)
        if live_schema is not None:
            live_schemas[definition.id] = live_schema
        return Catalog(self.generation, {**kept, definition.name: definition}, live_schemas, previous=self)

    def without_table(self, name: str) -> Catalog:
        """Return the catalog without a table."""
        kept = {one: definition for one, definition in self.definitions.items() if one != name}
        return Catalog(self.generation, kept, self._live_schemas, previous=self)

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
    catalog = Catalog(transaction.generation, definitions, {})
    return catalog if previous is None else catalog.with_live_schemas_of(previous)


def _definitions(transaction: ReadTransaction) -> Iterator[TableDefinition]:
    for page in transaction.scan(CATALOG, _TABLE_PREFIX, successor(_TABLE_PREFIX)):
        for _, data in page:
            yield TableDefinition.from_document(decode_document(data))


def is_initialised(transaction: ReadTransaction) -> bool:
    """Tell whether the catalog has been begun."""
    return transaction.get(CATALOG, _FORMAT_KEY) is not None


def initialise(transaction: WriteTransaction, created_by: str) -> None:
    """Begin the catalog of a new database."""
    transaction.create_space(SEQUENCES)
    document = encode_document({"format": FORMAT, "created_by": created_by})
    transaction.put_many(CATALOG, {_FORMAT_KEY: document})


def take_id(transaction: WriteTransaction) -> int:
    """Give out the id of a new table or index."""
    stored = transaction.get(CATALOG, _NEXT_ID_KEY)
    number: int = 1 if stored is None else decode_document(stored)["next"]
    transaction.put_many(CATALOG, {_NEXT_ID_KEY: encode_document({"next": number + 1})})
    return number


def store(transaction: WriteTransaction, definition: TableDefinition) -> None:
    """Write a table's definition."""
    transaction.put_many(CATALOG, {_table_key(definition): encode_document(definition.to_document())})


def remove(transaction: WriteTransaction, definition: TableDefinition) -> None:
    """Delete a table's definition."""
    transaction.delete_many(CATALOG, [_table_key(definition)])


def _table_key(definition: TableDefinition) -> bytes:
    return encode_values(("table", definition.id))
