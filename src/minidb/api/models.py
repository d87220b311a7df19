"""The schemas of the models that a program has given to one database."""

from __future__ import annotations

from typing import Any

from minidb.schema import Schema, schema_of


class ModelSchemas:
    """Compiles each model once: tables are compiled for the schema that comes of it. Safe from any thread."""

    __slots__ = ("_schemas",)

    def __init__(self) -> None:
        self._schemas: dict[type[Any], Schema] = {}  # Any: classes of any kind

    def schema_of(self, given: Schema | type[Any] | None) -> Schema | None:
        """Return the schema of what a table is declared with."""
        if not isinstance(given, type):
            return given
        if given not in self._schemas:
            self._schemas.setdefault(given, schema_of(given))
        return self._schemas[given]
