"""Writing the rows of a table anew, for a migration step: beside the old ones, in batches, and then all at once.

While it goes on the table is read as it was, and takes no writes. The definition holds what the table is to be, its
*target*, whose rows and index entries are in spaces of their own; another one keeps how far the step has come:

    progress := "at" -> done (8 bytes, big endian) row_key      how many rows, and the last one that was read

The last transaction puts the target in the place of the definition. Until then the table is what it was: a step that
fails is thrown away, and one whose program has died goes on where it was left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from minidb.exceptions import MigrationError, MiniDBError, SchemaDifference, SchemaValidationError
from minidb.schema import Schema
from minidb.schema.document import next_id_of
from minidb.structs import replace
from minidb.tables import catalog, index_build, reading
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import Catalog
from minidb.tables.definition_changes import change, define_index
from minidb.tables.definitions import IndexDefinition, PastSchema, Rewriting, TableDefinition, digest_of
from minidb.tables.row import Row, columns_of
from minidb.tables.schema_changes import condition_fields, mismatch, missing_indexes, needed_by_index
from minidb.tables.session import WriteSession
from minidb.tables.writing import BATCH_ROWS, insert_entries, insert_keyed

Rewrite = Callable[[Row], Row | Mapping[str, Any]]  # Any: a column has the type that its field declares
"""Makes the new row of an old one. It may be called again for the same row."""

_BATCH_BYTES: Final = 4 * 1024 * 1024
_AT: Final = b"at"
_COUNT_BYTES: Final = 8


class Progress(NamedTuple):
    """What a batch has done."""

    done: int
    """Rows that have been written anew, in all."""

    rows: int
    """Rows of this batch; when there are none, the step can be finished."""


def begin(session: WriteSession, name: str, step: int, mark: bytes, schema: Schema) -> None:
    """Begin a step, or find it begun; one that was begun otherwise begins anew. Raises ``MigrationError``."""
    definition = session.catalog.definition(name)
    rewriting = definition.rewriting
    if rewriting is not None:
        if (rewriting.step, rewriting.mark) == (step, mark):
            return
        if rewriting.step != step:
            raise MigrationError(
                f"Table {name!r} is in the middle of migration step {rewriting.step}",
                hint="apply that one, or abandon it: migrations.abandon(db)",
                step=rewriting.step,
                table=name,
            )
        abandon(session, definition)
        definition = session.catalog.definition(name)
    if definition.primary_key and not schema.primary_key:
        message = "the primary key goes, and nothing says which ids its rows shall have"
        raise mismatch(
            name, [SchemaDifference(None, "primary_key", message, "make another table, and insert the rows")]
        )
    target = _target_of(session, definition, schema)
    rewriting = Rewriting(step, mark, target)
    for space in (target.space, rewriting.progress_space, *(index.space for index in target.indexes)):
        session.bytes.create_space(space)
    change(session, replace(definition, rewriting=rewriting))


def write_batch(session: WriteSession, name: str, schema: Schema, rewrite: Rewrite) -> Progress:
    """Write the next rows anew. REQUIRES a step that was begun, by the schema that is given; whole transactions.

    Raises ``MigrationError`` for a row of which no new one can be made.
    """
    source = session.catalog.table(name)
    rewriting = source.definition.rewriting
    if rewriting is None:
        raise MigrationError(
            f"The migration step on table {name!r} was abandoned", hint="apply it again", step=None, table=name
        )
    space = rewriting.progress_space
    at = session.bytes.get(space, _AT) or bytes(_COUNT_BYTES)
    done, last = int.from_bytes(at[:_COUNT_BYTES], "big"), at[_COUNT_BYTES:]
    found: list[tuple[bytes, bytes]] = []
    size = 0
    for page in session.bytes.scan(source.space, last + b"\x00" if last else None, limit=BATCH_ROWS):
        found += page
        size += sum(len(data) for _, data in page)
        if size > _BATCH_BYTES:
            break
    if not found:
        return Progress(done, 0)
    keys, records = reading.decode_many(source, [key for key, _ in found], [data for _, data in found])
    target = TableBinding(rewriting.target, schema)
    rows = source.rows(keys, records)
    session.bytes.savepoint()
    try:
        _write_rows(session, target, keys, [columns_of(rewrite(row)) for row in rows])
    except Exception as error:
        session.bytes.rollback_to_savepoint()
        if session.bytes.is_doomed:  # too much was written, in a dry run, to go back and look which row it was
            raise _failure(rewriting.step, source, None, error) from error
        for key, row in zip(keys, rows, strict=True):
            try:
                _write_rows(session, target, [key], [columns_of(rewrite(row))])
            except Exception as reason:
                raise _failure(rewriting.step, source, key, reason) from reason
    else:
        session.bytes.release()
    done += len(found)
    session.bytes.put_many(space, {_AT: done.to_bytes(_COUNT_BYTES, "big") + keys[-1]})
    return Progress(done, len(found))


def _write_rows(
    session: WriteSession, target: TableBinding, old_keys: list[bytes], rows: list[Mapping[str, Any]]
) -> None:
    values = target.check_many(rows, first_number=0)
    keys = old_keys if target.has_automatic_ids else list(map(target.key_of, values))
    data = target.encode_many(values, first_number=0)
    insert_keyed(session, target, keys, data)
    for index in target.indexes:
        insert_entries(session, target, index, values, keys, data)


def _failure(step: int, source: TableBinding, key: bytes | None, error: Exception) -> MigrationError:
    if isinstance(error, SchemaValidationError):
        reason = "; ".join(f"{bad.field} {bad.message}" for bad in error.errors)
    elif isinstance(error, MiniDBError):
        reason = error.message
    else:
        reason = type(error).__name__  # its text might hold a value of the row
    return MigrationError(
        f"Migration step {step} has failed on a row of table {source.name!r}: {reason}",
        hint="nothing was changed; mend the step, or the row, and apply it again",
        step=step,
        table=source.name,
        id=None if key is None else source.id_of(key),
    )


def finish(session: WriteSession, name: str) -> int:
    """Put the new rows in the place of the old ones; return how many there are. REQUIRES that all are written."""
    definition = session.catalog.definition(name)
    rewriting = definition.rewriting
    assert rewriting is not None, "the caller has begun it"
    _drop(session, definition.indexes)
    if definition.space == definition.ids_space:
        session.bytes.clear(definition.space)
    else:
        session.bytes.drop_space(definition.space)
    session.bytes.drop_space(rewriting.progress_space)
    change(session, rewriting.target)
    return session.bytes.count(rewriting.target.space)


def abandon(session: WriteSession, definition: TableDefinition) -> None:
    """Throw away what a step has written so far."""
    rewriting = definition.rewriting
    assert rewriting is not None, "the caller has looked"
    _drop(session, rewriting.target.indexes)
    session.bytes.drop_space(rewriting.target.space)
    session.bytes.drop_space(rewriting.progress_space)
    change(session, replace(definition, rewriting=None))


def _drop(session: WriteSession, indexes: tuple[IndexDefinition, ...]) -> None:
    for space in index_build.spaces_of(indexes):
        session.bytes.drop_space(space)


# --- the target -------------------------------------------------------------------------------------------------------


def _target_of(session: WriteSession, definition: TableDefinition, schema: Schema) -> TableDefinition:
    history = tuple(replace(past, layout=None) for past in definition.history)
    if definition.schema is not None:
        history = (*history, PastSchema(definition.schema_version, digest_of(definition.schema), None))
    target = TableDefinition(
        id=definition.id,
        name=definition.name,
        schema=schema,
        schema_version=definition.schema_version + 1,
        history=history,
        schema_document=_document_of(definition, schema),
        rows_id=catalog.take_id(session.bytes),
    )
    indexes = _indexes_of(session.catalog.with_table(target, live_schema=schema), definition, schema)
    return replace(target, indexes=tuple(replace(one, id=catalog.take_id(session.bytes)) for one in indexes))


def _document_of(definition: TableDefinition, schema: Schema) -> dict[str, Any]:  # Any: a document
    """Return the document of a schema, in which a field of a name that is stored has its id."""
    document: dict[str, Any] = schema.to_document()
    stored = definition.schema_document
    known = {} if stored is None else {field["name"]: field["id"] for field in stored["fields"]}
    next_id = 1 if stored is None else next_id_of(stored)
    for field in document["fields"]:
        if field["name"] in known:
            field["id"] = known[field["name"]]
        else:
            field["id"], next_id = next_id, next_id + 1
    document["next_id"] = next_id
    return document


def _indexes_of(known: Catalog, definition: TableDefinition, schema: Schema) -> list[IndexDefinition]:
    """Return the indexes that are to be, yet without ids: the present ones, and those that the schema asks for."""
    indexes: list[IndexDefinition] = []
    refusals: list[SchemaDifference] = []
    for index in definition.indexes:
        gone = sorted({*index.fields, *condition_fields(index.where)} - schema.fields.keys())
        if gone == list(index.fields):
            continue
        refusals += [needed_by_index(definition, index, field) for field in gone]
        if not gone:
            made = define_index(
                known,
                definition.name,
                index.fields,
                name=index.name,
                unique=index.unique,
                where=index.where,
                include=index.include,
            )
            indexes.append(made)
    if refusals:
        raise mismatch(definition.name, refusals)
    present = known.with_table(replace(known.definition(definition.name), indexes=tuple(indexes)))
    asked = missing_indexes(present, definition.name, schema)
    replaced = {one.name for one in asked}
    return [*(one for one in indexes if one.name not in replaced), *asked]


def tables_in(known: Catalog) -> list[TableDefinition]:
    """Return the tables that are in the middle of a step."""
    return [one for one in known.definitions.values() if one.rewriting is not None]
