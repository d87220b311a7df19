"""What a writer does to the database, and what each operation makes of the rows: the oracle.

An operation is a JSON object, so that it can be written to the ledger before it is tried. Rows are named by their
token, which no two rows ever share: the id of a row whose insert was never acknowledged is known to nobody. A token
begins with its *owner*, the one writer that ever touches the row.

    insert        {"kind", "rows": [row]}                 one row by insert
    insert_many   {"kind", "rows": [row…]}
    update        {"kind", "token", "changes"}
    delete        {"kind", "token"}
    transaction   {"kind", "steps": [operation…], "commits": bool, "owner", "number"}
    create_index  {"kind", "token"}                       over a table with rows
    drop_index    {"kind", "token"}
    make_spare    {"kind", "token", "rows": number}       a second table with its rows, in one transaction
    drop_spare    {"kind", "token"}
    replace       {"kind", "model"}                       all there is becomes what the model says: a restore, say

A transaction that commits also writes the next row of the *journal*: its position, its owner, its number. Positions
show in which order transactions of many writers were committed. What is no row of the table has a place in the model
all the same, under a token of its owner that begins with "@".
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minidb import MiniDB, Row
from minidb.schema import IntegerField, Schema, StringField

TABLE = "entries"
SCHEMA = Schema(
    token=StringField(required=True, unique=True),
    city=StringField(required=True, index=True),
    number=IntegerField(required=True),
    text=StringField(required=True),
)
JOURNAL = "journal"
JOURNAL_SCHEMA = Schema(
    position=IntegerField(primary_key=True),
    owner=StringField(required=True),
    number=IntegerField(required=True),
)
SPARE = "spare"
SPARE_SCHEMA = Schema(number=IntegerField(required=True, index=True), text=StringField(required=True))
LATE_INDEX = "number"
"""The index that operations make and drop."""

DEFINER = "0"
"""The one writer that makes indexes and tables."""

CITIES = tuple(f"city {number}" for number in range(12))
TEXT_LENGTHS = (0, 10, 100, 100, 400, 6000)
"""The longest takes pages of its own."""

CROWDED = 150
"""From so many rows of one writer on, more are deleted than inserted."""

Operation = dict[str, Any]  # Any: JSON
Columns = dict[str, Any]  # Any: a column has the type that its field declares
Model = dict[str, Columns]
"""The columns of each row that is there, by token."""


class RolledBackError(Exception):
    """Raised inside a transaction that is meant to be rolled back."""


class Author:
    """Draws the operations of one writer, each for the rows that are there."""

    def __init__(
        self,
        draw: random.Random,
        owner: str,
        prefix: str = "",
        *,
        defines: bool = False,
        most_rows: int = 100,
        crowded: int = CROWDED,
    ) -> None:
        """``prefix`` makes the tokens unlike those of the owner's earlier authors.

        With ``defines`` it makes indexes and tables, too. ``most_rows`` is for one ``insert_many``.
        """
        self._draw = draw
        self._owner = owner
        self._prefix = prefix
        self._defines = defines
        self._most_rows = most_rows
        self._crowded = crowded
        self._tokens_given = 0

    def operations(self, model: Model) -> Iterator[Operation]:
        """Yield operations without end, each drawn for the owner's part of the model as it is when it is asked for."""
        while True:
            kinds = ("insert", "insert_many", "update", "delete", "transaction", "definition")
            weights = (6, 1, 6, 4, 4) if len(model) < self._crowded else (2, 0, 6, 12, 4)
            yield self._draw_one(self._draw.choices(kinds, (*weights, 2 if self._defines else 0))[0], model)

    def _draw_one(self, kind: str, model: Model) -> Operation:
        draw = self._draw
        if kind == "definition":
            return self._draw_definition(model)
        if kind == "transaction":
            steps = []
            inner = dict(model)
            for _ in range(draw.randint(2, 8)):
                step = self._draw_one(draw.choice(("insert", "insert", "update", "delete")), inner)
                apply_to_model(inner, step)
                steps.append(step)
            number = 1 + len(model.get(journal_token(self._owner), {"numbers": []})["numbers"])
            ends = {"commits": draw.random() < 0.8, "owner": self._owner, "number": number}
            return {"kind": kind, "steps": steps, **ends}
        if kind == "insert_many":
            return {"kind": kind, "rows": [self._new_row() for _ in range(draw.randint(2, self._most_rows))]}
        tokens = [token for token in model if is_row(token)]
        if kind == "insert" or not tokens:
            return {"kind": "insert", "rows": [self._new_row()]}
        token = draw.choice(tokens)
        if kind == "delete":
            return {"kind": kind, "token": token}
        changes: Columns = {"number": draw.randint(-1000, 1000), "text": self._text()}
        if draw.random() < 0.7:
            changes["city"] = draw.choice(CITIES)
        if draw.random() < 0.2:
            changes["token"] = self._new_token()
        return {"kind": "update", "token": token, "changes": changes}

    def _draw_definition(self, model: Model) -> Operation:
        if self._draw.random() < 0.5:
            token = f"{self._owner}-@index"
            return {"kind": "drop_index" if token in model else "create_index", "token": token}
        token = f"{self._owner}-@spare"
        if token in model:
            return {"kind": "drop_spare", "token": token}
        return {"kind": "make_spare", "token": token, "rows": self._draw.randint(0, self._most_rows)}

    def _new_row(self) -> Columns:
        return {
            "token": self._new_token(),
            "city": self._draw.choice(CITIES),
            "number": self._draw.randint(-1000, 1000),
            "text": self._text(),
        }

    def _new_token(self) -> str:
        self._tokens_given += 1
        return f"{self._owner}-{self._prefix}-{self._tokens_given}"

    def _text(self) -> str:
        return self._draw.choice("abcdefgh") * self._draw.choice(TEXT_LENGTHS)


def owner_of(token: str) -> str:
    """Return the writer that a row belongs to."""
    return token.partition("-")[0]


def part_of(model: Model, owner: str) -> Model:
    """Return what belongs to one writer."""
    return {token: columns for token, columns in model.items() if owner_of(token) == owner}


def is_row(token: str) -> bool:
    """Tell whether a token is that of a row of the table."""
    return "@" not in token


def journal_token(owner: str) -> str:
    """Return the token under which a model has the numbers of an owner's transactions."""
    return f"{owner}-@journal"


def spare_rows(number: int) -> list[Columns]:
    """Return what the spare table holds."""
    return [{"number": one % 7, "text": "spare " * (one % 300)} for one in range(number)]


def named_tokens(operation: Operation) -> set[str]:
    """Return the tokens of the rows that the operation makes, changes or deletes."""
    match operation["kind"]:
        case "insert" | "insert_many":
            return {row["token"] for row in operation["rows"]}
        case "transaction":
            return set().union(*map(named_tokens, operation["steps"]))
        case "update":
            return {operation["token"], operation["changes"].get("token", operation["token"])}
        case "delete":
            return {operation["token"]}
        case "replace":
            return set(filter(is_row, operation["model"]))
        case _:
            return set()


def apply_to_model(model: Model, operation: Operation) -> None:
    """Do to the model what the operation does to the database."""
    match operation["kind"]:
        case "insert" | "insert_many":
            for row in operation["rows"]:
                model[row["token"]] = row
        case "update":
            changed = model.pop(operation["token"]) | operation["changes"]
            model[changed["token"]] = changed
        case "delete" | "drop_index" | "drop_spare":
            del model[operation["token"]]
        case "create_index":
            model[operation["token"]] = {}
        case "make_spare":
            model[operation["token"]] = {"rows": operation["rows"]}
        case "replace":
            model.clear()
            model.update(operation["model"])
        case "transaction":
            if operation["commits"]:
                for step in operation["steps"]:
                    apply_to_model(model, step)
                token = journal_token(operation["owner"])
                numbers = model.get(token, {"numbers": []})["numbers"]
                model[token] = {"numbers": [*numbers, operation["number"]]}


class Hand:
    """Does the operations of one writer, and knows the ids of its rows, by token."""

    def __init__(self, database: MiniDB, owner: str) -> None:
        """Make the tables where they are absent, and learn the ids."""
        self._database = database
        self.table = database.create_table(TABLE, SCHEMA, if_not_exists=True)
        self._journal = database.create_table(JOURNAL, JOURNAL_SCHEMA, if_not_exists=True)
        self.ids = {row["token"]: row.id for row in self.table.scan() if owner_of(row["token"]) == owner}

    def do(self, operation: Operation) -> dict[str, int]:
        """Do an operation. Return what is acknowledged: the ids of the rows that it left, of those that it named."""
        self._do(operation)
        return {token: self.ids[token] for token in named_tokens(operation) if token in self.ids}

    def _do(self, operation: Operation) -> None:
        match operation["kind"]:
            case "insert":
                (row,) = operation["rows"]
                self.ids[row["token"]] = self.table.insert(row)
            case "insert_many":
                new_ids = self.table.insert_many(dict(row) for row in operation["rows"])
                self.ids.update(zip((row["token"] for row in operation["rows"]), new_ids, strict=True))
            case "update":
                row_id = self.ids.pop(operation["token"])
                self.ids[self.table.update(row_id, **operation["changes"])["token"]] = row_id
            case "delete":
                self.table.delete(self.ids.pop(operation["token"]))
            case "create_index":
                self._database.create_index(TABLE, LATE_INDEX)
            case "drop_index":
                self._database.drop_index(TABLE, LATE_INDEX)
            case "make_spare":
                with self._database.begin_transaction():
                    self._database.create_table(SPARE, SPARE_SCHEMA).insert_many(spare_rows(operation["rows"]))
            case "drop_spare":
                self._database.drop_table(SPARE)
            case "transaction":
                self._do_transaction(operation)

    def _do_transaction(self, operation: Operation) -> None:
        ids_before = dict(self.ids)
        try:
            with self._database.begin_transaction():
                for step in operation["steps"]:
                    self._do(step)
                last = next(iter(self._journal.scan(reverse=True, limit=1)), None)
                position = 1 if last is None else last["position"] + 1
                self._journal.insert(Row(position=position, owner=operation["owner"], number=operation["number"]))
                if not operation["commits"]:
                    raise RolledBackError
        except RolledBackError:
            self.ids = ids_before


def make_database(folder: Path) -> None:
    """Make a database, with its tables."""
    with MiniDB(folder) as database:
        Hand(database, DEFINER)


def read_model(database: MiniDB, owner: str | None = None) -> Model:
    """Return what is there, all of it or one owner's part, in one snapshot. Raises ``TableNotFoundError``."""
    with database.begin_transaction(read_only=True):
        model: Model = {row["token"]: row.columns for row in database.get_table(TABLE).scan()}
        if JOURNAL in database:
            for row in database.get_table(JOURNAL).scan():
                model.setdefault(journal_token(row["owner"]), {"numbers": []})["numbers"].append(row["number"])
        if any(index.name == LATE_INDEX and not index.is_building for index in database.indexes(TABLE)):
            model[f"{DEFINER}-@index"] = {}
        if SPARE in database:
            model[f"{DEFINER}-@spare"] = {"rows": database.get_table(SPARE).count()}
    return model if owner is None else part_of(model, owner)
