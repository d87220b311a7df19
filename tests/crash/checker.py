"""What must be true of the database after its writer was killed. Asked through the public API alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.crash.ledger import Ledger
from tests.crash.operations import CITIES, SCHEMA, TABLE, Columns, Model, apply_to_model, named_tokens

from minidb import MiniDB, Row, Table
from minidb.exceptions import EngineUnavailableError, TableNotFoundError, UniqueViolationError

WRITE_TIMEOUT_S = 10.0
"""A dead writer holds nothing: whoever comes next must not wait for it."""


class CheckFailedError(AssertionError):
    """The database is not what the ledger says."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows that are there, and what became of the operation whose call never returned.

    ``has_pending`` is None where there was no such operation, or where it would have changed nothing.
    """

    rows: Model
    has_pending: bool | None


def check(folder: Path, before: Model, ledger: Ledger) -> Outcome:
    """Return what was found; raise ``CheckFailedError`` unless it is right.

    ``before`` are the rows that were there before the ledger was begun. The database is looked at through a read-only
    opening first, which can repair nothing; then it is opened and written to.
    """
    acknowledged = dict(before)
    tokens = set(before)
    for operation in ledger.done:
        apply_to_model(acknowledged, operation)
        tokens |= named_tokens(operation)
    with_pending = dict(acknowledged)
    if ledger.pending is not None:
        apply_to_model(with_pending, ledger.pending)
        tokens |= named_tokens(ledger.pending)

    rows = _check_unrepaired(folder, [acknowledged, with_pending], ledger)
    with MiniDB(folder, write_timeout_s=WRITE_TIMEOUT_S) as database:
        table = database.create_table(TABLE, SCHEMA, if_not_exists=True)
        _check_next_writes(database, table, rows, tokens)
        _require(_read(database, table, ledger.ids) == rows, "rows changed when the database was opened and written to")
    return Outcome(rows, None if acknowledged == with_pending else rows == with_pending)


def _check_unrepaired(folder: Path, possible: list[Model], ledger: Ledger) -> Model:
    """Check what a read-only opening sees, and return the rows."""
    try:
        with MiniDB(folder, read_only=True) as database:
            table = database.get_table(TABLE)
            found = _read(database, table, ledger.ids)
    except (EngineUnavailableError, TableNotFoundError) as error:
        # Killed before the table was acknowledged. Any other refusal is an error of its own.
        _require(not ledger.is_ready and not any(possible), f"the table is gone: {type(error).__name__}")
        return {}
    if found not in possible:
        raise CheckFailedError(_difference(found, possible))
    return found


def _read(database: MiniDB, table: Table[Row], ids: dict[str, int]) -> Model:
    """Return the rows, after asking whether the ids and all indexes agree with them, both ways."""
    rows = list(table.scan())
    model: Model = {row["token"]: row.columns for row in rows}
    _require(len(model) == len(rows), "a token stands twice in a unique index")
    _require(table.count() == len(rows), "count is not the number of rows")
    for row in rows:
        _require(ids.get(row["token"], row.id) == row.id, "a row has another id than was acknowledged")
        _require(table.query(row.id) == row, "a row is not found by its id")
        by_token = database.query_by_index(TABLE, "token", row["token"])
        _require([one.id for one in by_token] == [row.id], "a row is not found, or not alone, in the unique index")
    for city in CITIES:
        by_city = database.query_by_index(TABLE, "city", city)
        ids_by_city = [row.id for row in by_city]
        _require(
            ids_by_city == [row.id for row in rows if row["city"] == city], "an index does not agree with the rows"
        )
    _require({row["city"] for row in rows} <= set(CITIES), "a row has a city that nobody wrote")
    return model


def _check_next_writes(database: MiniDB, table: Table[Row], rows: Model, tokens: set[str]) -> None:
    """Check that a write works, and that the unique index refuses the tokens that are there and no others.

    An entry that a deleted row left behind would hide from reads, which look at the row; it would refuse a row here.
    """
    ids = {row.id for row in table.scan()}
    row_id = table.insert(_probe("probe"))
    _require(row_id not in ids, "an id was given out twice")
    table.delete(row_id)
    with database.begin_transaction() as transaction:
        for token in sorted(tokens):
            try:
                table.insert(_probe(token))
            except UniqueViolationError:
                _require(token in rows, "the unique index refuses a value that no row has")
            else:
                _require(token not in rows, "the unique index takes a value that a row has")
        transaction.rollback()


def _probe(token: str) -> Columns:
    return {"token": token, "city": CITIES[0], "number": 0, "text": ""}


def _difference(found: Model, possible: list[Model]) -> str:
    """Say how the rows differ from each state that would be right, by tokens alone."""

    def against(model: Model) -> str:
        lost = sorted(model.keys() - found.keys())
        extra = sorted(found.keys() - model.keys())
        changed = sorted(token for token in model.keys() & found.keys() if model[token] != found[token])
        return f"lost {_some(lost)}, written by nobody {_some(extra)}, other columns {_some(changed)}"

    return "; or ".join(map(against, possible))


def _some(tokens: list[str]) -> str:
    return f"{len(tokens)} {tokens[:5]}"


def _require(is_right: bool, what: str) -> None:
    if not is_right:
        raise CheckFailedError(what)
