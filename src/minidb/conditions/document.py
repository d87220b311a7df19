"""Conditions as the catalog stores them: documents of lists, text and values.

    condition := ["all", condition*] | ["any", condition*] | ["not", condition]
               | ["in", path, [value*]] | [operator, path, value]
    operator  := as ``Operator`` spells it
    path      := [name*]

Only bound conditions are stored, so that the values are in the form in which rows store them.
"""

from __future__ import annotations

from typing import Any, Final

from minidb.conditions.predicate import All, Comparison, Condition, Either, Not, OneOf, Operator
from minidb.exceptions import CorruptionError

# Stored on disk: never rename.
_ALL: Final = "all"
_ANY: Final = "any"
_NOT: Final = "not"
_IN: Final = "in"


def to_document(condition: Condition) -> list[Any]:  # Any: names, values of any type, and documents again
    """Return the document of a bound condition."""
    match condition:
        case All(conditions):
            return [_ALL, *map(to_document, conditions)]
        case Either(conditions):
            return [_ANY, *map(to_document, conditions)]
        case Not(inner):
            return [_NOT, to_document(inner)]
        case OneOf(path, values):
            return [_IN, list(path), list(values)]
        case Comparison(path, operator, value):
            return [operator.value, list(path), value]
    raise AssertionError(f"no such condition: {type(condition)}")


def from_document(document: list[Any]) -> Condition:  # Any: as above
    """Return the condition of a document. Raises ``CorruptionError`` for what is none."""
    try:
        match document:
            case [str(kind), *parts] if kind == _ALL:
                return All(tuple(map(from_document, parts)))
            case [str(kind), *parts] if kind == _ANY:
                return Either(tuple(map(from_document, parts)))
            case [str(kind), inner] if kind == _NOT:
                return Not(from_document(inner))
            case [str(kind), path, values] if kind == _IN:
                return OneOf(tuple(path), tuple(values))
            case [str(operator), path, value]:
                return Comparison(tuple(path), Operator(operator), value)
    except (TypeError, ValueError) as error:
        raise CorruptionError("A condition in the catalog cannot be read") from error
    raise CorruptionError("A condition in the catalog cannot be read")
