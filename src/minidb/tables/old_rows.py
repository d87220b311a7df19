"""Rows of older schema versions: how their stored values become those of the version that a table has now.

A change of the schema rewrites no row. Each row says by which version it was written, and the table's definition keeps
of each past version the ids of its fields, in the order of their values. A field that a row lacks has its *fill*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from minidb.encoding.rows import Upgrade
from minidb.exceptions import CorruptionError
from minidb.schema.document import fills_of
from minidb.tables.definitions import FieldLayout, TableDefinition, layout_of


def upgrades_of(definition: TableDefinition) -> dict[int, Upgrade]:
    """Return for each past schema version of which there may be rows what makes them rows of the present one."""
    if definition.schema_document is None:
        return {}
    present = layout_of(definition.schema_document)
    fills = fills_of(definition.schema_document)
    return {
        past.version: _upgrade(past.layout, present, fills) for past in definition.history if past.layout is not None
    }


_CONTAINERS: Final = (list, dict)


def _upgrade(past: Sequence[FieldLayout], present: Sequence[FieldLayout], fills: Mapping[int, object]) -> Upgrade:
    count = len(past)
    places = {field_id: place for place, (field_id, _) in enumerate(past)}
    kinds = dict(past)
    lacking = [fills.get(field_id) for field_id, _ in present if field_id not in places]
    has_containers = any(isinstance(fill, _CONTAINERS) for fill in lacking)
    # Where each present value stands, once those that the row lacks are put behind the ones that it has.
    behind = iter(range(count, count + len(lacking)))
    sources = [places[field_id] if field_id in places else next(behind) for field_id, _ in present]
    floats = [
        place for place, (field_id, kind) in enumerate(present) if kind == "float" and kinds.get(field_id) == "integer"
    ]

    def upgrade(values: list[object]) -> list[object]:
        if len(values) != count:
            raise CorruptionError("A stored row has more or fewer columns than its schema")
        if has_containers:
            from copy import deepcopy

            values += deepcopy(lacking)
        else:
            values += lacking
        upgraded = [values[source] for source in sources]
        for place in floats:
            value = upgraded[place]
            if value is not None:
                upgraded[place] = float(value)  # type: ignore[arg-type]  # an integer, as its schema version says
        return upgraded

    return upgrade
