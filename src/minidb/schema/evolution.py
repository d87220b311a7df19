"""How one schema differs from another, in words."""

from __future__ import annotations

from minidb.schema.schema import Schema


def differences(stored: Schema | None, given: Schema | None) -> list[str]:
    """Return a sentence for each difference between two schemas; nothing if they store the same."""
    if stored == given:
        return []
    if stored is None or given is None:
        return ["the stored table takes any columns" if stored is None else "the given table would take any columns"]
    found = [f"field {name!r} is not stored" for name in given.fields if name not in stored.fields]
    for name, field in stored.fields.items():
        if name not in given.fields:
            found.append(f"field {name!r} is stored but not given")
        elif Schema({name: field}) != Schema({name: given.fields[name]}):
            found.append(f"field {name!r} is stored as {field!r}, given as {given.fields[name]!r}")
    return found or ["the fields stand in another order"]
