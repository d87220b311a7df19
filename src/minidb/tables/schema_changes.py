"""Another schema for a table that has rows: the definition changes at once, and the rows stay as they were written.

What may change so, ``schema.evolution`` says. Only where integers become floats is more to do: what is indexed of them
has other bytes, so that its indexes are made anew, in the same transaction; and no integer may be lost in a float.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from minidb.conditions.predicate import All, Comparison, Condition, Either, Not, OneOf
from minidb.encoding.rows import LARGEST_SCHEMA_VERSION
from minidb.exceptions import SchemaDifference, SchemaMismatchError
from minidb.log import Logger
from minidb.schema import IntegerField, Schema
from minidb.schema.document import fills_of
from minidb.schema.evolution import LARGEST_EXACT, compare, next_document, says_change
from minidb.schema.evolution import Comparison as SchemaComparison
from minidb.structs import replace
from minidb.tables import catalog, index_build
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import Catalog
from minidb.tables.definition_changes import change, define_index
from minidb.tables.definitions import IndexDefinition, PastSchema, TableDefinition, digest_of, layout_of
from minidb.tables.session import WriteSession, require_settled

_log = Logger("minidb")


def are_alike(stored: Schema | None, given: Schema | None) -> bool:
    """Tell whether rows are the same to two schemas, or to none."""
    if stored is None or given is None:
        return stored is given
    return stored.row_identity == given.row_identity


def attach_schema(
    known: Catalog, name: str, schema: Schema | None, drop_fields: Collection[str] = ()
) -> Catalog | None:
    """Return the catalog in which a table uses a schema that the program gave; None if the table must change for that.

    It need not where the schema is the stored one, or one that the table had: the program is then older than its
    database, and only reads the table, unless it says what is to go or to have another name. No schema changes nothing.
    """
    if schema is None:
        return known
    definition = known.definition(name)
    stored = definition.schema
    if stored is None:
        return None
    if stored.row_identity != schema.row_identity:
        if not definition.had_schema(schema) or says_change(stored, schema, drop_fields):
            return None
        _log.warning(
            "table %r has had another schema since this program's was its own: the program may only read it",
            name,
            extra={"table": name},
        )
    return known.with_table(definition, live_schema=schema)


def change_schema(session: WriteSession, name: str, schema: Schema, drop_fields: Collection[str]) -> None:
    """Give a table another schema. Raises ``SchemaMismatchError`` with every difference that cannot be applied."""
    definition = session.catalog.definition(name)
    comparison = compare(definition.schema, schema, drop_fields)
    if definition.schema is None or definition.schema_document is None:
        raise mismatch(name, comparison.differences)
    require_settled(definition)
    before = session.catalog.table(name)
    indexes, refusals = _indexes_after(definition, comparison, drop_fields)
    differences = [*comparison.differences, *refusals]
    if not differences:
        differences = _rounded(session, before, definition, comparison)
    if differences:
        raise mismatch(name, differences)
    if definition.schema_version == LARGEST_SCHEMA_VERSION:
        message = f"the schema has been changed {LARGEST_SCHEMA_VERSION} times, and no more are counted"
        raise mismatch(name, [SchemaDifference(None, "version", message, "dump the database and load it")])
    past = PastSchema(definition.schema_version, digest_of(definition.schema), layout_of(definition.schema_document))
    kept = {index.id for index in indexes}
    index_build.remove(session, definition, [index.id for index in definition.indexes if index.id not in kept])
    changed = replace(
        definition,
        schema=schema,
        schema_version=definition.schema_version + 1,
        schema_document=next_document(definition.schema_document, schema, comparison),
        history=(*definition.history, past),
        indexes=indexes,
    )
    change(session, changed)
    session.catalog = session.catalog.with_table(changed, live_schema=schema)
    for index in indexes:
        if not set(comparison.to_float).isdisjoint(index.fields):
            _make_anew(session, name, index)
    _log.info("schema changed", extra={"table": name, "schema_version": changed.schema_version})


def missing_indexes(known: Catalog, name: str, schema: Schema) -> list[IndexDefinition]:
    """Return the indexes that a schema asks for and that its table has not, as ``define_index`` does."""
    if known.table(name).is_outdated:
        return []
    # One that holds whole rows does all that a schema asks for.
    indexes = [replace(one, is_covering=False) for one in known.definition(name).indexes if not one.is_building]
    found = []
    for field, is_unique in schema.indexed_fields:
        wanted = define_index(known, name, (field,), name=field, unique=is_unique, where=None)
        is_there = any(
            one.is_like(wanted) or (one.unique and one.is_like(replace(wanted, unique=True))) for one in indexes
        )
        if not is_there:
            found.append(wanted)
    return found


def mismatch(name: str, differences: Collection[SchemaDifference]) -> SchemaMismatchError:
    """Return the error that lists differences."""
    return SchemaMismatchError(
        f"Table {name!r} is stored with another schema: {'; '.join(one.message for one in differences)}",
        hint="; ".join(dict.fromkeys(one.hint for one in differences)),
        table=name,
        differences=tuple(differences),
    )


def needed_by_index(definition: TableDefinition, index: IndexDefinition, field: str) -> SchemaDifference:
    """Return why a field cannot go: an index has it beside others that stay."""
    return SchemaDifference(
        field,
        "indexed",
        f"field {field!r} is used by the index {index.name!r}",
        f"drop the index first: db.drop_index({definition.name!r}, {index.name!r})",
    )


def _indexes_after(
    definition: TableDefinition, comparison: SchemaComparison, drop_fields: Collection[str]
) -> tuple[tuple[IndexDefinition, ...], list[SchemaDifference]]:
    """Return the indexes by the new names of their fields; those on a dropped field alone go with it."""
    names = {origin: name for name, origin in comparison.origins.items() if origin is not None}
    taken = {index.name for index in definition.indexes}
    kept: list[IndexDefinition] = []
    refusals: list[SchemaDifference] = []
    for index in definition.indexes:
        used = {*index.fields, *condition_fields(index.where)}
        gone = [field for field in comparison.dropped if field in used]
        if gone == list(index.fields):
            continue
        refusals += [needed_by_index(definition, index, field) for field in gone if field in drop_fields]
        kept.append(index if gone else _renamed(index, names, taken))
    return tuple(kept), refusals


def _renamed(index: IndexDefinition, names: Mapping[str, str], taken: Collection[str]) -> IndexDefinition:
    fields = tuple(names[field] for field in index.fields)
    is_named_after_them = index.name == "_".join(index.fields) and "_".join(fields) not in taken
    return replace(
        index,
        name="_".join(fields) if is_named_after_them else index.name,
        fields=fields,
        each=None if index.each is None else names[index.each],
        where=None if index.where is None else _condition_renamed(index.where, names),
    )


def condition_fields(condition: Condition | None) -> set[str]:
    """Return the fields that a condition asks about."""
    match condition:
        case All(conditions) | Either(conditions):
            return set().union(*map(condition_fields, conditions))
        case Not(inner):
            return condition_fields(inner)
        case Comparison() | OneOf():
            return {condition.field}
    return set()


def _condition_renamed(condition: Condition, names: Mapping[str, str]) -> Condition:
    match condition:
        case All(conditions):
            return All(tuple(_condition_renamed(one, names) for one in conditions))
        case Either(conditions):
            return Either(tuple(_condition_renamed(one, names) for one in conditions))
        case Not(inner):
            return Not(_condition_renamed(inner, names))
        case Comparison((field, *keys), operator, value):
            return Comparison((names[field], *keys), operator, value)
        case OneOf((field, *keys), values):
            return OneOf((names[field], *keys), values)
    raise AssertionError(f"no such condition: {type(condition)}")


def _rounded(
    session: WriteSession, before: TableBinding, definition: TableDefinition, comparison: SchemaComparison
) -> list[SchemaDifference]:
    """Return a difference for each field that is to be of floats, and has an integer that no float equals.

    The rows are looked at only where the limits of the field do not say that there is none.
    """
    assert before.schema is not None
    assert before.names is not None
    assert definition.schema_document is not None
    fills = fills_of(definition.schema_document)
    ids = {field["name"]: field["id"] for field in definition.schema_document["fields"]}
    suspects: dict[int, str] = {}
    found: set[str] = set()
    for name in comparison.to_float:
        origin = comparison.origins[name]
        assert origin is not None, "it is stored"
        if not _is_exact_number(fills.get(ids[origin])):
            found.add(name)
        elif not _has_exact_limits(before.schema.fields[origin]):
            suspects[before.names.index(origin)] = name
    if suspects:
        for page in session.bytes.scan(before.space):
            for key, data in page:
                values = before.values_at(key, data)
                found.update(name for place, name in suspects.items() if not _is_exact_number(values[place]))
    return [
        SchemaDifference(
            name,
            "rounded",
            f"field {name!r} is stored as an integer, and as a float one of its values would be another number",
            "leave it as it is, or change the rows by a migration step",
        )
        for name in comparison.to_float
        if name in found
    ]


def _has_exact_limits(field: object) -> bool:
    assert isinstance(field, IntegerField), "it is to be a float"
    low, high = field.min_value, field.max_value
    return low is not None and high is not None and low >= -LARGEST_EXACT and high <= LARGEST_EXACT


def _is_exact_number(value: object) -> bool:
    """Tell whether an integer, or None, is the same number as a float."""
    if not isinstance(value, int) or -LARGEST_EXACT <= value <= LARGEST_EXACT:
        return True
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _make_anew(session: WriteSession, name: str, index: IndexDefinition) -> None:
    definition = session.catalog.definition(name)
    made = replace(index, id=catalog.take_id(session.bytes), is_building=False)
    session.bytes.create_space(made.space)
    beyond = definition.indexes.index(index) + 1
    indexes = (*definition.indexes[:beyond], made, *definition.indexes[beyond:])
    change(session, replace(definition, indexes=indexes))
    index_build.remove(session, session.catalog.definition(name), [index.id])
    index_build.build(session, session.catalog.table(name), made)
