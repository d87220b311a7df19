"""Rows as a Parquet file, by pyarrow, which comes with the extra ``parquet``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from minidb.cli.cells import AnyField, text_of
from minidb.cli.output import Values
from minidb.exceptions import MissingDependencyError, UsageError
from minidb.schema import DateTimeField, EnumField, Schema

BATCH_ROWS: Final = 10_000

_Arrow = Any  # Any: pyarrow, which need not be there when types are checked


def write_parquet(path: Path, names: Sequence[str], rows: Iterable[Values], schema: Schema | None) -> None:
    """Write rows to a file, in constant memory. What Parquet has no type for stands as its text or its JSON.

    Raises ``MissingDependencyError`` without pyarrow, and ``UsageError`` for a value that its column cannot hold.
    """
    try:
        arrow: _Arrow = importlib.import_module("pyarrow")
        parquet: _Arrow = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet is written by pyarrow, which is not installed",
            hint="pip install 'minidb-kv[parquet]'",
            package="pyarrow",
            extra="parquet",
        ) from error
    fields: Mapping[str, AnyField] = {} if schema is None else schema.fields
    types = [_type_of(arrow, fields.get(name)) for name in names]
    target = arrow.schema([(name, kind) for name, (kind, _) in zip(names, types, strict=True)])
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with parquet.ParquetWriter(str(unfinished), target) as writer:
            for batch in _batches(rows):
                columns = [
                    arrow.array([None if value is None else convert(value) for value in values], kind)
                    for (kind, convert), values in zip(types, zip(*batch, strict=True), strict=True)
                ]
                writer.write_table(arrow.Table.from_arrays(columns, schema=target))
        unfinished.replace(path)
    except (arrow.ArrowInvalid, OverflowError) as error:
        raise UsageError(f"Parquet cannot hold a value of the table: {error}", hint="leave its column out") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _batches(rows: Iterable[Values]) -> Iterator[list[Values]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH_ROWS)):
        yield batch


def _type_of(arrow: _Arrow, field: AnyField | None) -> tuple[_Arrow, Callable[[Any], object]]:
    """Return the type of a column, and what makes a value of it."""
    if field is None:
        return arrow.string(), text_of
    if isinstance(field, DateTimeField) and field.timezone is not None:
        return arrow.timestamp("us", tz="UTC" if field.timezone else None), _same
    if isinstance(field, EnumField) and not all(isinstance(value, int) for value in field.members):
        return arrow.string(), text_of
    types: Mapping[str, _Arrow] = {
        "integer": arrow.int64(),
        "enum": arrow.int64(),
        "float": arrow.float64(),
        "boolean": arrow.bool_(),
        "bytes": arrow.binary(),
        "date": arrow.date32(),
        "time": arrow.time64("us"),
    }
    return (types[field.kind], _same) if field.kind in types else (arrow.string(), text_of)


def _same(value: object) -> object:
    return value
