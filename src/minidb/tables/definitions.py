"""What a table and an index are, as the catalog stores them. Immutable values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from minidb.conditions.predicate import Condition
from minidb.encoding.rows import encode_document
from minidb.engines.port import Space
from minidb.exceptions import CorruptionError
from minidb.schema import Schema
from minidb.structs import Struct

_CODE: Final = frozenset({"validators", "default_factory", "computed"})
"""Options of a field that are code."""

INCLUDE_ALL: Final = "*"
"""What an index includes whose entries hold whole rows. Stored on disk: never change."""


class IndexDefinition(Struct, frozen=True, eq=False):
    """An index: entries for rows, sorted by the values of its fields."""

    id: int
    """Unique among all tables and indexes of the database, and never used again."""

    name: str
    fields: tuple[str, ...]
    unique: bool

    each: str | None = None
    """The one of the fields that holds lists, if any: a row has an entry for each of the different elements."""

    where: Condition | None = None
    """Which rows have entries, as a bound condition; None: all of them."""

    is_covering: bool = False
    """Whether an entry also holds its row."""

    is_building: bool = False
    """Whether rows may still lack their entries: whoever writes keeps it, and nobody reads it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IndexDefinition) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> tuple[object, ...]:
        """Return all but the condition: of one id and schema version there is one only."""
        return self.id, self.name, self.fields, self.unique, self.each, self.is_covering, self.is_building

    @property
    def space(self) -> Space:
        return Space(f"index/{self.id}")

    @property
    def building_space(self) -> Space:
        """Where it is kept how far the building has come. It is there as long as the index is being built."""
        return Space(f"building/{self.id}")

    @property
    def include(self) -> str | None:
        """What an entry holds of its row: all of it, or nothing."""
        return INCLUDE_ALL if self.is_covering else None

    def is_like(self, other: IndexDefinition) -> bool:
        """Whether the two have the same entries, whatever they are called."""
        return self._likeness() == other._likeness()

    def _likeness(self) -> tuple[object, ...]:
        return self.fields, self.unique, self.each, self._condition(), self.is_covering

    def _condition(self) -> bytes:
        if self.where is None:
            return b""
        from minidb.conditions.document import to_document

        return encode_document({"where": to_document(self.where)})

    def to_document(self) -> dict[str, object]:
        document: dict[str, object] = {
            "id": self.id,
            "name": self.name,
            "fields": list(self.fields),
            "unique": self.unique,
        }
        if self.each is not None:
            document["each"] = self.each
        if self.where is not None:
            from minidb.conditions.document import to_document

            document["where"] = to_document(self.where)
        if self.is_covering:
            document["include"] = INCLUDE_ALL
        if self.is_building:
            document["building"] = True
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> IndexDefinition:  # Any: checked by the caller's guard
        return cls(
            document["id"],
            document["name"],
            tuple(document["fields"]),
            document["unique"],
            each=document.get("each"),
            where=_condition_of(document),
            is_covering=document.get("include") == INCLUDE_ALL,
            is_building=document.get("building", False),
        )


def _condition_of(document: Mapping[str, Any]) -> Condition | None:  # Any: as above
    """Return the condition of a stored index, if it has one."""
    if "where" not in document:
        return None
    from minidb.conditions.document import from_document

    return from_document(document["where"])


class MappingDefinition(Struct, frozen=True):
    """A mapping: keys and values without columns."""

    id: int
    """Unique among all tables, indexes and mappings of the database, and never used again."""

    name: str

    @property
    def space(self) -> Space:
        return Space(f"mapping/{self.id}")

    def to_document(self) -> dict[str, object]:
        return {"id": self.id, "name": self.name}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> MappingDefinition:  # Any: checked by the guard below
        try:
            return cls(document["id"], document["name"])
        except KeyError as error:
            raise CorruptionError("A mapping's definition in the catalog cannot be read") from error


FieldLayout = tuple[int, str]
"""The id of a field and its kind: what must be known of it to read its value."""


def layout_of(document: Mapping[str, Any]) -> tuple[FieldLayout, ...]:  # Any: a document of a schema
    """Return the fields of a stored schema, in the order of their values in a row."""
    return tuple((field["id"], field["type"]) for field in document["fields"])


class PastSchema(Struct, frozen=True):
    """A schema that a table had."""

    version: int

    digest: bytes
    """By which a program is recognised that still has this schema."""

    layout: tuple[FieldLayout, ...] | None
    """The fields of its rows; None where no row of it is left."""

    def to_document(self) -> dict[str, object]:
        layout = None if self.layout is None else [list(field) for field in self.layout]
        return {"version": self.version, "digest": self.digest, "layout": layout}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PastSchema:  # Any: checked by the caller's guard
        layout = document["layout"]
        fields = None if layout is None else tuple((field_id, kind) for field_id, kind in layout)
        return cls(document["version"], document["digest"], fields)


def digest_of(schema: Schema) -> bytes:
    """Return by what a schema is known again: it is the same for schemas to which rows are the same."""
    from hashlib import blake2b

    # Stored on disk: never change.
    return blake2b(schema.row_identity.encode(), digest_size=16).digest()


class TableDefinition(Struct, frozen=True, eq=False):
    """A table: its name, the schema of its rows, and its indexes."""

    id: int
    """Unique among all tables and indexes of the database, and never used again."""

    name: str
    schema: Schema | None
    """None: a table that takes any columns."""

    schema_version: int
    """What rows are written with now; 0 for a table without a schema."""

    indexes: tuple[IndexDefinition, ...] = ()

    history: tuple[PastSchema, ...] = ()
    """The schemas that it had, the oldest first."""

    schema_document: Mapping[str, Any] | None = None
    """The schema as it is stored: it also names the code that goes with it, which ``schema`` here lacks."""

    rows_id: int | None = None
    """Of a table whose rows a migration has written anew: what their space is called by, an id of its own."""

    rewriting: Rewriting | None = None
    """What is to become of it, while a migration step writes its rows anew."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TableDefinition) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> tuple[object, ...]:
        """Return all but the stored schema, which says more than makes a difference."""
        versions = self.schema, self.schema_version, self.history, self.rows_id, self.rewriting
        return self.id, self.name, self.indexes, *versions

    @property
    def space(self) -> Space:
        return Space(f"rows/{self.id if self.rows_id is None else self.rows_id}")

    @property
    def ids_space(self) -> Space:
        """The space whose ids an engine gives out. It stays when the rows have another one, and is empty then."""
        return Space(f"rows/{self.id}")

    def had_schema(self, schema: Schema) -> bool:
        """Tell whether a schema is one that the table had, and has no longer."""
        return bool(self.history) and digest_of(schema) in {past.digest for past in self.history}

    @property
    def spaces(self) -> list[Space]:
        """All spaces that belong to it: of its rows, its indexes, and of what is being made of it."""
        found = [self.space] if self.rows_id is None else [self.space, self.ids_space]
        for index in self.indexes:
            found += [index.space, index.building_space] if index.is_building else [index.space]
        if self.rewriting is not None:
            target = self.rewriting.target
            found += [target.space, self.rewriting.progress_space, *(index.space for index in target.indexes)]
        return found

    @property
    def ids(self) -> list[int]:
        """All ids that it has taken."""
        found = [self.id, *(index.id for index in self.indexes)]
        if self.rows_id is not None:
            found.append(self.rows_id)
        return found if self.rewriting is None else [*found, *self.rewriting.target.ids]

    @property
    def fields_with_code(self) -> tuple[str, ...]:
        """The fields whose code was not stored; ``"row"`` stands for checks of whole rows."""
        document = {"fields": []} if self.schema_document is None else self.schema_document
        fields = [one["name"] for one in document["fields"] if not one.keys().isdisjoint(_CODE)]
        return (*fields, "row") if document.get("checks") else tuple(fields)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The fields of the primary key; empty where ids are automatic integers."""
        return () if self.schema is None else self.schema.primary_key

    def to_document(self) -> dict[str, object]:
        document: dict[str, object] = {
            "id": self.id,
            "name": self.name,
            "schema": self.schema_document,
            "schema_version": self.schema_version,
            "indexes": [index.to_document() for index in self.indexes],
        }
        if self.history:
            document["history"] = [past.to_document() for past in self.history]
        if self.rows_id is not None:
            document["rows_id"] = self.rows_id
        if self.rewriting is not None:
            document["rewriting"] = self.rewriting.to_document()
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> TableDefinition:  # Any: checked by the guard below
        try:
            schema = document["schema"]
            return cls(
                id=document["id"],
                name=document["name"],
                schema=None if schema is None else Schema.from_document(schema),
                schema_version=document["schema_version"],
                indexes=tuple(map(IndexDefinition.from_document, document["indexes"])),
                history=tuple(map(PastSchema.from_document, document.get("history", ()))),
                schema_document=schema,
                rows_id=document.get("rows_id"),
                rewriting=Rewriting.from_document(document["rewriting"]) if "rewriting" in document else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptionError("A table's definition in the catalog cannot be read") from error


class Rewriting(Struct, frozen=True):
    """A migration step that writes the rows of a table anew, beside those that are there."""

    step: int

    mark: bytes
    """By which the step is known again that has been begun: another one does not go on with its rows."""

    target: TableDefinition
    """What the table is when the step is done."""

    @property
    def progress_space(self) -> Space:
        """Where it is kept how far the step has come."""
        return Space(f"rewriting/{self.target.rows_id}")

    def to_document(self) -> dict[str, object]:
        return {"step": self.step, "mark": self.mark, "target": self.target.to_document()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Rewriting:  # Any: checked by the caller's guard
        return cls(document["step"], document["mark"], TableDefinition.from_document(document["target"]))
