"""What must be true of the database after a crash. Asked through the public API alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.crash.ledger import Ledger
from tests.crash.operations import (
    CITIES,
    JOURNAL,
    LATE_INDEX,
    SPARE,
    TABLE,
    Columns,
    Hand,
    Model,
    apply_to_model,
    is_row,
    named_tokens,
    part_of,
    read_model,
    spare_rows,
)

from minidb import MiniDB, Row, Table
from minidb.exceptions import EngineUnavailableError, TableNotFoundError, UniqueViolationError

WRITE_TIMEOUT_S = 10.0
"""A dead writer holds nothing: whoever comes next must not wait for it."""


class CheckFailedError(AssertionError):
    """The database is not what the ledger says."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What one writer's ledger allows: what was acknowledged, or that and the operation whose call never returned."""

    possible: Sequence[Model]
    tokens: frozenset[str]
    ids: Mapping[str, int]
    is_owed: bool
    """Whether anything was acknowledged, if only that there are tables."""

    @classmethod
    def of(cls, before: Sequence[Model], ledger: Ledger) -> Expected:
        """``before`` are the states of the writer's part, of which one was there when the ledger was begun."""
        tokens = {token for model in before for token in model if is_row(token)}
        is_owed = any(before) or ledger.ready is not None
        if ledger.ready is None and ledger.pending is None:
            return cls(before, frozenset(tokens), {}, is_owed)
        acknowledged = dict(before[ledger.ready or 0])
        # What was found counts from the first commit on that was built on it: see ``Writer.close_ledger``.
        is_decided = ledger.done or ledger.ready is None
        possible = [] if is_decided else [dict(model) for model in before if model != acknowledged]
        for number, operation in enumerate(ledger.done):
            if number >= ledger.synced:
                possible.append(dict(acknowledged))
            apply_to_model(acknowledged, operation)
            tokens |= named_tokens(operation)
        possible.append(acknowledged)
        if ledger.pending is not None:
            with_pending = dict(acknowledged)
            apply_to_model(with_pending, ledger.pending)
            tokens |= named_tokens(ledger.pending)
            possible += [with_pending] * (with_pending != acknowledged)
        return cls(possible, frozenset(tokens), dict(ledger.ids), is_owed)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is there, and what became of the operations whose calls never returned, where that can be told."""

    rows: Model
    pending_present: int = 0
    pending_absent: int = 0


def check(
    folder: Path, expected: Mapping[str, Expected], *, reads_first: bool = True, comes_whole: bool = False
) -> Outcome:
    """Return what was found; raise ``CheckFailedError`` unless it is right. ``expected`` is by owner.

    With ``reads_first`` the database is looked at through a read-only opening first, which can repair nothing. Then it
    is opened and written to. One that ``comes_whole`` has all its rows from the first moment on, if it is there.
    """
    try:
        if (reads_first or comes_whole) and not _is_absent(folder, expected):
            with MiniDB(folder, read_only=True) as database:
                rows = check_open(database, expected).rows
            is_whole = (one.is_owed or part_of(rows, owner) == one.possible[-1] for owner, one in expected.items())
            _require(not comes_whole or all(is_whole), "a database is there before its rows")
        with MiniDB(folder, write_timeout_s=WRITE_TIMEOUT_S) as database:
            outcome = check_open(database, expected)
            _check_next_writes(database, outcome.rows, expected)
            _require(read_model(database) == outcome.rows, "rows changed when the database was opened and written to")
    except CheckFailedError:
        raise
    except Exception as error:
        raise CheckFailedError(f"{type(error).__name__}: {error}") from error
    return outcome


def check_backup(file: Path, fresh: Path, expected: Mapping[str, Expected]) -> Outcome:
    """Check a backup, whose name only a whole one may have, by restoring it to a ``fresh`` folder."""
    if not file.exists():
        _require(not any(one.is_owed for one in expected.values()), "the backup is gone")
        return Outcome({})
    _restore(file, fresh)
    return check(fresh, expected, comes_whole=True)


def check_backups(folder: Path, fresh: Path, expected: Mapping[str, Expected]) -> Outcome:
    """Check the newest backup of a folder of them, and that the others are whole."""
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.exists() else []
    for name in names[:-1]:
        _restore(folder / name, fresh / name)
    newest = names[-1] if names else "none"
    return check_backup(folder / newest, fresh / newest, expected)


def _restore(file: Path, fresh: Path) -> None:
    try:
        MiniDB.restore(file, fresh)
    except Exception as error:
        raise CheckFailedError(f"{type(error).__name__}: {error}") from error


def _is_absent(folder: Path, expected: Mapping[str, Expected]) -> bool:
    """Tell whether there is no database, which is right only before the first acknowledgement."""
    try:
        MiniDB(folder, read_only=True).close()
    except EngineUnavailableError as error:
        _require(not any(one.is_owed for one in expected.values()), f"the database is gone: {error}")
        return True
    return False


def check_open(database: MiniDB, expected: Mapping[str, Expected]) -> Outcome:
    """Check an open database to which nobody writes meanwhile."""
    try:
        ids = {token: row_id for one in expected.values() for token, row_id in one.ids.items()}
        found = _read(database, ids)
    except TableNotFoundError as error:
        _require(not any(one.is_owed for one in expected.values()), f"the table is gone: {error}")
        found = {}
    present = absent = 0
    for owner, one in expected.items():
        part = part_of(found, owner)
        if part not in one.possible:
            raise CheckFailedError(_difference(part, one.possible))
        if len(one.possible) > 1:
            present += part == one.possible[-1]
            absent += part == one.possible[0]
    strangers = {token for token in found if not any(token.startswith(f"{owner}-") for owner in expected)}
    _require(not strangers, f"written by nobody {_some(sorted(strangers))}")
    return Outcome(found, present, absent)


def _read(database: MiniDB, ids: Mapping[str, int]) -> Model:
    """Return what is there, after asking whether the ids and all indexes agree with the rows, both ways."""
    table = database.get_table(TABLE)
    rows = list(table.scan())
    _require(len({row["token"] for row in rows}) == len(rows), "a token stands twice in a unique index")
    _require(table.count() == len(rows), "count is not the number of rows")
    for row in rows:
        _require(ids.get(row["token"], row.id) == row.id, "a row has another id than was acknowledged")
        _require(table.query(row.id) == row, "a row is not found by its id")
        by_token = database.query_by_index(TABLE, "token", row["token"])
        _require([one.id for one in by_token] == [row.id], "a row is not found, or not alone, in the unique index")
    _require({row["city"] for row in rows} <= set(CITIES), "a row has a city that nobody wrote")
    _check_index(database, rows, "city", CITIES)
    if any(index.name == LATE_INDEX and not index.is_building for index in database.indexes(TABLE)):
        _check_index(database, rows, LATE_INDEX, {row[LATE_INDEX] for row in rows})
    # What survives must be a prefix of the order in which it was committed.
    positions = [row["position"] for row in database.get_table(JOURNAL).scan()] if JOURNAL in database else []
    _require(positions == list(range(1, len(positions) + 1)), "a transaction is lost, and a later one is there")
    if SPARE in database:
        spare = database.get_table(SPARE)
        found = [row.columns for row in spare.scan()]
        _require(found == spare_rows(len(found)), "the spare table has other rows than were written")
        for number in range(7):
            by_index = database.query_by_index(SPARE, "number", number)
            right = [columns for columns in found if columns["number"] == number]
            _require([row.columns for row in by_index] == right, "an index does not agree with the spare table's rows")
    report = database.verify()
    _require(report.ok, f"verify: {report}")
    return read_model(database)


def _check_index(database: MiniDB, rows: list[Row], field: str, values: Iterable[object]) -> None:
    for value in values:
        found = [row.id for row in database.query_by_index(TABLE, field, value)]
        right = [row.id for row in rows if row[field] == value]
        _require(found == right, f"the index of {field} does not agree with the rows: {found}, {right}")


def _check_next_writes(database: MiniDB, rows: Model, expected: Mapping[str, Expected]) -> None:
    """Check that a write works, and that the unique index refuses the tokens that are there and no others.

    An entry that a deleted row left behind would hide from reads, which look at the row; it would refuse a row here.
    """
    table: Table[Row] = Hand(database, "nobody").table
    ids = {row.id for row in table.scan()}
    row_id = table.insert(_probe("probe"))
    _require(row_id not in ids, "an id was given out twice")
    table.delete(row_id)
    with database.begin_transaction() as transaction:
        for token in sorted(frozenset[str]().union(*(one.tokens for one in expected.values()))):
            try:
                table.insert(_probe(token))
            except UniqueViolationError:
                _require(token in rows, "the unique index refuses a value that no row has")
            else:
                _require(token not in rows, "the unique index takes a value that a row has")
        transaction.rollback()


def _probe(token: str) -> Columns:
    return {"token": token, "city": CITIES[0], "number": 0, "text": ""}


def _difference(found: Model, possible: Sequence[Model]) -> str:
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
