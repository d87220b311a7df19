"""What the writer does to its table, and what each operation makes of the rows: the oracle.

An operation is a JSON object, so that it can be written to the ledger before it is tried. Rows are named by their
token, which no two rows ever share: the id of a row whose insert was never acknowledged is known to nobody.

    insert       {"kind", "rows": [row]}                 one row by insert
    insert_many  {"kind", "rows": [row…]}
    update       {"kind", "token", "changes"}
    delete       {"kind", "token"}
    transaction  {"kind", "steps": [operation…], "commits": bool}
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from minidb import MiniDB, Row, Table
from minidb.schema import IntegerField, Schema, StringField

TABLE = "entries"
SCHEMA = Schema(
    token=StringField(required=True, unique=True),
    city=StringField(required=True, index=True),
    number=IntegerField(required=True),
    text=StringField(required=True),
)
CITIES = tuple(f"city {number}" for number in range(12))
TEXT_LENGTHS = (0, 10, 100, 100, 400, 6000)
"""The longest takes pages of its own."""

MANY_ROWS = 300
CROWDED = 600
"""From so many rows on, more are deleted than inserted."""

Operation = dict[str, Any]  # Any: JSON
Columns = dict[str, Any]  # Any: a column has the type that its field declares
Model = dict[str, Columns]
"""The columns of each row that is there, by token."""


class RolledBackError(Exception):
    """Raised inside a transaction that is meant to be rolled back."""


class Author:
    """Draws operations that can be done to the rows that are there."""

    def __init__(self, draw: random.Random, prefix: str) -> None:
        """``prefix`` makes the tokens of this author unlike any other's."""
        self._draw = draw
        self._prefix = prefix
        self._tokens_given = 0

    def operations(self, model: Model) -> Iterator[Operation]:
        """Yield operations without end, each drawn for the model as it is when it is asked for."""
        while True:
            kinds = ("insert", "insert_many", "update", "delete", "transaction")
            weights = (6, 1, 6, 4, 3) if len(model) < CROWDED else (2, 0, 6, 12, 3)
            yield self._draw_one(self._draw.choices(kinds, weights)[0], model)

    def _draw_one(self, kind: str, model: Model) -> Operation:
        draw = self._draw
        if kind == "transaction":
            steps = []
            inner = dict(model)
            for _ in range(draw.randint(2, 8)):
                step = self._draw_one(draw.choice(("insert", "insert", "update", "delete")), inner)
                apply_to_model(inner, step)
                steps.append(step)
            return {"kind": kind, "steps": steps, "commits": draw.random() < 0.8}
        if kind == "insert_many":
            return {"kind": kind, "rows": [self._new_row() for _ in range(draw.randint(2, MANY_ROWS))]}
        if kind == "insert" or not model:
            return {"kind": "insert", "rows": [self._new_row()]}
        token = draw.choice(list(model))
        if kind == "delete":
            return {"kind": kind, "token": token}
        changes: Columns = {"number": draw.randint(-1000, 1000), "text": self._text()}
        if draw.random() < 0.7:
            changes["city"] = draw.choice(CITIES)
        if draw.random() < 0.2:
            changes["token"] = self._new_token()
        return {"kind": "update", "token": token, "changes": changes}

    def _new_row(self) -> Columns:
        return {
            "token": self._new_token(),
            "city": self._draw.choice(CITIES),
            "number": self._draw.randint(-1000, 1000),
            "text": self._text(),
        }

    def _new_token(self) -> str:
        self._tokens_given += 1
        return f"{self._prefix}-{self._tokens_given}"

    def _text(self) -> str:
        return self._draw.choice("abcdefgh") * self._draw.choice(TEXT_LENGTHS)


def named_tokens(operation: Operation) -> set[str]:
    """Return the tokens of the rows that the operation makes, changes or deletes."""
    match operation["kind"]:
        case "insert" | "insert_many":
            return {row["token"] for row in operation["rows"]}
        case "transaction":
            return set().union(*map(named_tokens, operation["steps"]))
        case "update":
            return {operation["token"], operation["changes"].get("token", operation["token"])}
        case _:
            return {operation["token"]}


def apply_to_model(model: Model, operation: Operation) -> None:
    """Do to the model what the operation does to the table."""
    match operation["kind"]:
        case "insert" | "insert_many":
            for row in operation["rows"]:
                model[row["token"]] = row
        case "update":
            changed = model.pop(operation["token"]) | operation["changes"]
            model[changed["token"]] = changed
        case "delete":
            del model[operation["token"]]
        case "transaction":
            if operation["commits"]:
                for step in operation["steps"]:
                    apply_to_model(model, step)


def apply_to_table(database: MiniDB, table: Table[Row], ids: dict[str, int], operation: Operation) -> None:
    """Do the operation, and keep ``ids`` (by token) as they are then."""
    match operation["kind"]:
        case "insert":
            (row,) = operation["rows"]
            ids[row["token"]] = table.insert(row)
        case "insert_many":
            new_ids = table.insert_many(dict(row) for row in operation["rows"])
            ids.update(zip((row["token"] for row in operation["rows"]), new_ids, strict=True))
        case "update":
            row_id = ids.pop(operation["token"])
            ids[table.update(row_id, **operation["changes"])["token"]] = row_id
        case "delete":
            table.delete(ids.pop(operation["token"]))
        case "transaction":
            ids_before = dict(ids)
            try:
                with database.begin_transaction():
                    for step in operation["steps"]:
                        apply_to_table(database, table, ids, step)
                    if not operation["commits"]:
                        raise RolledBackError
            except RolledBackError:
                ids.clear()
                ids.update(ids_before)
