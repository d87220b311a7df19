"""Making, renaming and dropping tables, indexes and mappings: the catalog and its spaces, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from minidb.conditions.predicate import Condition
from minidb.exceptions import IndexExistsError, SchemaDefinitionError, TableExistsError
from minidb.schema import ListField, Schema
from minidb.structs import replace
from minidb.tables import catalog
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import Catalog
from minidb.tables.definitions import INCLUDE_ALL, IndexDefinition, MappingDefinition, TableDefinition
from minidb.tables.mappings import MappingBinding
from minidb.tables.session import WriteSession, require_settled

if TYPE_CHECKING:
    from minidb.tables.index_build import Progress

LONGEST_NAME: Final = 255
"""Characters that the name of a table or an index may have."""


def create_table(session: WriteSession, name: str, schema: Schema | None) -> None:
    """Make an empty table, with the indexes that its fields ask for. REQUIRES that there is none of this name."""
    require_name(name, "table")
    session.catalog.require_no_mapping(name)
    definition = TableDefinition(
        id=catalog.take_id(session.bytes),
        name=name,
        schema=schema,
        schema_version=0 if schema is None else 1,
        schema_document=None if schema is None else schema.to_document(),
    )
    session.bytes.create_space(definition.space)
    catalog.store(session.bytes, definition)
    session.catalog = session.catalog.with_table(definition, live_schema=schema)
    if schema is not None:
        for field, is_unique in schema.indexed_fields:
            index = define_index(session.catalog, name, (field,), name=field, unique=is_unique, where=None)
            create_index(session, name, index)


def drop_table(session: WriteSession, name: str) -> None:
    """Remove a table, its rows and its indexes."""
    definition = session.catalog.definition(name)
    require_settled(definition)
    from minidb.tables import index_build

    index_build.remove(session, definition, [index.id for index in definition.indexes])
    for space in {definition.space, definition.ids_space}:
        session.bytes.drop_space(space)
    catalog.remove(session.bytes, definition)
    session.forget_table(definition.id)
    session.catalog = session.catalog.without_table(name)


def rename_table(session: WriteSession, old: str, new: str) -> None:
    """Give a table another name."""
    require_name(new, "table")
    session.catalog.require_no_mapping(new)
    definition = session.catalog.definition(old)
    require_settled(definition)
    if new in session.catalog.definitions:
        raise TableExistsError(f"There is already a table named {new!r}", table=new)
    change(session, replace(definition, name=new))


def define_index(
    known: Catalog,
    table: str,
    fields: Sequence[str],
    *,
    name: str | None,
    unique: bool,
    where: Condition | None,
    include: str | None = None,
) -> IndexDefinition:
    """Return what an index would be, with no id yet. Raises for a table, field or condition that cannot be."""
    binding = known.table(table)
    _require_indexable(binding, fields)
    name = "_".join(fields) if name is None else name
    require_name(name, "index")
    schema = binding.schema
    lists = [] if schema is None else [one for one in fields if isinstance(schema.fields[one], ListField)]
    if len(lists) > 1:
        raise SchemaDefinitionError(
            f"An index can have one field of lists, and {lists[0]!r} and {lists[1]!r} are two",
            hint="make an index on each",
            field=lists[1],
        )
    if include not in (None, INCLUDE_ALL):
        raise SchemaDefinitionError(
            "An index includes whole rows or nothing of them", hint=f"write include={INCLUDE_ALL!r}", field=None
        )
    if unique and include is not None:
        raise SchemaDefinitionError(
            "A unique index cannot include rows: it names the one row that has a value",
            hint="make another index that is not unique, with include",
            field=None,
        )
    bound = None if where is None else binding.bind_to_columns(where)
    each = lists[0] if lists else None
    return IndexDefinition(0, name, tuple(fields), unique, each=each, where=bound, is_covering=include is not None)


def create_index(
    session: WriteSession, table: str, wanted: IndexDefinition, progress: Progress | None = None
) -> IndexDefinition:
    """Make an index and the entries of the rows that are there. Raises ``UniqueViolationError`` where they repeat.

    Raises ``IndexExistsError`` where an index has its name, unless it is one that it takes the place of.
    """
    require_settled(session.catalog.definition(table))
    replaced = _replaced(session.catalog.definition(table), wanted)
    from minidb.tables import index_build

    index_build.remove(session, session.catalog.definition(table), [one.id for one in replaced])
    definition = session.catalog.definition(table)
    index = replace(wanted, id=catalog.take_id(session.bytes))
    session.bytes.create_space(index.space)
    change(session, replace(definition, indexes=(*definition.indexes, index)))
    from minidb.tables import index_build

    index_build.build(session, session.catalog.table(table), index, progress)
    return index


def begin_index(session: WriteSession, table: str, wanted: IndexDefinition) -> IndexDefinition:
    """Make an index that is built by ``index_build.build_batch``, or return it if it is there already and being built.

    One that it takes the place of is read until then. Raises as ``create_index``.
    """
    definition = session.catalog.definition(table)
    require_settled(definition)
    for one in definition.indexes:
        if one.is_building and one.name == wanted.name and one.is_like(wanted):
            return one
    _replaced(definition, wanted)
    from minidb.tables import index_build

    return index_build.begin(session, definition, replace(wanted, id=catalog.take_id(session.bytes)))


def _replaced(definition: TableDefinition, wanted: IndexDefinition) -> list[IndexDefinition]:
    """Return the indexes that one takes the place of: they are not unique, or still being built, and else the same."""
    named = [one for one in definition.indexes if one.name == wanted.name]
    for one in named:
        is_weaker = wanted.unique and one.is_like(replace(wanted, unique=False))
        if not (is_weaker or (one.is_building and one.is_like(wanted))):
            raise index_exists(definition.name, one)
    return named


def index_exists(table: str, existing: IndexDefinition) -> IndexExistsError:
    """Return the error for an index whose name another one has."""
    return IndexExistsError(
        f"Table {table!r} already has an index named {existing.name!r}",
        hint="drop it first, pass another name=, or pass if_not_exists=True",
        table=table,
        index=existing.name,
    )


def drop_index(session: WriteSession, table: str, name_or_field: str) -> IndexDefinition:
    """Remove an index by its name, or by the one field that it is on; return what it was."""
    definition = session.catalog.definition(table)
    require_settled(definition)
    found = existing_index(definition, name_or_field)
    if found is None:
        found = session.catalog.table(table).index(name_or_field).definition
    from minidb.tables import index_build

    index_build.remove(session, definition, [one.id for one in definition.indexes if one.name == found.name])
    return found


def create_mapping(session: WriteSession, name: str) -> bool:
    """Make an empty mapping, unless there is one of this name; return whether there was none."""
    require_name(name, "mapping")
    session.catalog.require_no_table(name)
    if name in session.catalog.mappings:
        return False
    definition = MappingDefinition(catalog.take_id(session.bytes), name)
    session.bytes.create_space(definition.space)
    catalog.store(session.bytes, definition)
    session.catalog = session.catalog.with_mappings({**session.catalog.mappings, name: MappingBinding(definition)})
    return True


def drop_mapping(session: WriteSession, name: str) -> None:
    """Remove a mapping and its items."""
    definition = session.catalog.mapping(name).definition
    session.bytes.drop_space(definition.space)
    catalog.remove(session.bytes, definition)
    kept = {one: mapping for one, mapping in session.catalog.mappings.items() if one != name}
    session.catalog = session.catalog.with_mappings(kept)


def existing_index(definition: TableDefinition, name: str) -> IndexDefinition | None:
    """Return the index of this name, or None; where one is to take the place of another, the one to come."""
    return next((index for index in reversed(definition.indexes) if index.name == name), None)


def change(session: WriteSession, definition: TableDefinition) -> None:
    """Store a table's changed definition."""
    catalog.store(session.bytes, definition)
    session.catalog = session.catalog.with_table(definition)


def require_name(name: object, what: str) -> None:
    """Raise ``SchemaDefinitionError`` unless this is a name that a table or an index may have."""
    if not isinstance(name, str) or not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise SchemaDefinitionError(
            f"The name of a {what} must be printable text of 1 to {LONGEST_NAME} characters", field=None
        )


def _require_indexable(table: TableBinding, fields: Sequence[str]) -> None:
    if not fields or not all(isinstance(field, str) and field for field in fields) or len(set(fields)) < len(fields):
        raise SchemaDefinitionError("An index needs one or more different field names", field=None)
    if table.schema is None:
        return
    for field in fields:
        if field not in table.schema.fields:
            import difflib  # for this error only

            nearest = difflib.get_close_matches(field, table.schema.fields, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"it has: {', '.join(table.schema.fields)}"
            raise SchemaDefinitionError(f"Table {table.name!r} has no field {field!r}", hint=hint, field=field)
        if not table.schema.fields[field].is_indexable:
            raise SchemaDefinitionError(
                f"Field {field!r} of table {table.name!r} holds maps, which cannot be indexed", field=field
            )
