"""What adapters of stores without schemas share: the check of a row, that the others' schemas do."""

from __future__ import annotations

from bench import rows
from bench.rows import Values


def checked(values: Values) -> Values:
    """Return the values, if they may be stored; raise ``ValueError`` if not."""
    name, age, city, score, active = values
    if (
        type(name) is str
        and 1 <= len(name) <= rows.MAX_NAME_LENGTH
        and type(age) is int
        and age >= 0
        and type(city) is str
        and type(score) is float
        and type(active) is bool
    ):
        return values
    raise ValueError("A row breaks the rules")
