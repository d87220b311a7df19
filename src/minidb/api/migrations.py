"""Migrations: numbered steps that make of a database what a newer version of its program needs.

A step is a function. One that names a table and its new schema is called with each row, and returns the new row; any
other is called with the database, once, in one transaction. Which steps have been taken stands in the database itself,
in the table ``minidb_migrations``, where nothing stands that could be run.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from types import CodeType
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, TypeVar

from minidb.exceptions import MigrationError, MiniDBError, UsageError
from minidb.log import Logger
from minidb.schema import DateTimeField, IntegerField, Schema, StringField
from minidb.schema.field import name_of
from minidb.structs import Struct
from minidb.tables import writing
from minidb.tables.row import Row
from minidb.tables.session import WriteSession

if TYPE_CHECKING:
    from minidb.api.database import MiniDB
    from minidb.tables import rewriting
    from minidb.tables.index_build import Progress

_log = Logger("minidb")

HISTORY: Final = "minidb_migrations"
"""The table of the steps that have been taken. Stored on disk: never rename."""

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")
State = Literal["applied", "begun", "pending"]


class MigrationStep(Struct, frozen=True, kw_only=True):
    """A step, and what has become of it in a database."""

    number: int
    name: str
    """That of its function."""

    table: str | None
    """The table whose rows it makes anew; None for a step that is given the database."""

    state: State
    """``"begun"`` is one that was cut short: it goes on where it was when the migrations are applied again."""

    applied_at: datetime.datetime | None = None
    rows: int | None = None
    """The rows that it has made anew."""


class _Step(Struct, frozen=True):
    number: int
    function: Callable[..., Any]  # Any: of a row, or of the database
    table: str | None
    schema: Schema | None

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def mark(self) -> bytes:
        """By which a step is known again that was begun: a function or a schema that was changed begins anew."""
        from hashlib import blake2b

        code = getattr(self.function, "__code__", None)
        text = _text_of(code) if isinstance(code, CodeType) else name_of(self.function)
        identity = "" if self.schema is None else self.schema.row_identity
        return blake2b(f"{text} {identity}".encode(), digest_size=16).digest()


class Migrations:
    """The steps of a program, in the order of their numbers.

    >>> migrations = Migrations()
    >>> @migrations.step(1, table="users", schema=Schema(first=StringField(), last=StringField()))
    ... def split_name(row):
    ...     first, _, last = row.name.partition(" ")
    ...     return {"first": first, "last": last}
    >>> [step.name for step in migrations.apply(db)]
    ['split_name']

    Safe from any thread once all steps are declared.
    """

    def __init__(self) -> None:
        self._steps: dict[int, _Step] = {}

    def step(
        self, number: int, *, table: str | None = None, schema: Schema | None = None
    ) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
        """Declare a step. A decorator; numbers are given once, and never changed when a step has been taken somewhere.

        With ``table`` and ``schema`` the function is called with each row of the table and returns the new one, as a
        ``Row`` or a mapping. The rows are written beside the old ones, in batches, and take their place all at once:
        until then the table is read as it was, and takes no writes. Ids stay, unless the schema has a primary key.
        Without them, the function is called with the database, in one transaction.

        A function may be called again for the same row, or from the beginning: it should do nothing besides.
        """
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise UsageError("The number of a migration step must be an integer of at least 1")
        if number in self._steps:
            raise UsageError(f"Migration step {number} is declared twice", hint="give each step a number of its own")
        if (table is None) != (schema is None):
            raise UsageError("A migration step has a table and its new schema, or neither")

        def declare(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
            self._steps[number] = _Step(number, function, table, schema)
            return function

        return declare

    def status(self, database: MiniDB) -> list[MigrationStep]:
        """Return the steps in order, and what has become of each.

        Raises ``MigrationError`` where the history is another program's: it has a step that is not declared here, or
        lacks one before the last that was taken.
        """
        from minidb.tables import rewriting

        history = _history(database)
        with database.snapshot(None) as (_, catalog):
            begun = {one.rewriting.step for one in rewriting.tables_in(catalog) if one.rewriting is not None}
        self._require_same_history(history)
        found = []
        for step in self._in_order():
            taken = history.get(step.number)
            state: State = "applied" if taken is not None else "begun" if step.number in begun else "pending"
            found.append(
                MigrationStep(
                    number=step.number,
                    name=step.name,
                    table=step.table,
                    state=state,
                    applied_at=None if taken is None else taken["applied_at"],
                    rows=None if taken is None else taken["rows"],
                )
            )
        return found

    def apply(
        self, database: MiniDB, *, dry_run: bool = False, progress: Progress | None = None
    ) -> list[MigrationStep]:
        """Take the steps that have not been taken, one after the other, and return them.

        Each is done when it is committed: a program that dies goes on from there when it applies them again, also in
        the middle of a step for rows. A step that fails leaves its table as it was; those before it stay. Several
        programs may apply them at a time, and share the work. ``progress`` is told how many rows of a step are done,
        and how many there are.

        ``dry_run=True`` does everything in one transaction, which is then rolled back: it finds what would fail, takes
        as long, and lets others wait.

        Raises ``MigrationError``, with the cause behind it, ``SchemaMismatchError``, and ``UsageError`` inside a
        transaction.
        """
        if database.current_transaction() is not None:
            raise UsageError("Migrations cannot be applied inside a transaction: each step has its own")
        pending = [one.number for one in self.status(database) if one.state != "applied"]
        if dry_run:
            return self._try(database, pending, progress)
        for number in pending:
            self._take(database, self._steps[number], progress)
        return [one for one in self.status(database) if one.number in pending]

    def abandon(self, database: MiniDB) -> list[str]:
        """Throw away what steps for rows have begun and not finished; return the names of their tables."""
        from minidb.tables import rewriting

        def throw_away(session: WriteSession) -> list[str]:
            tables = rewriting.tables_in(session.catalog)
            for table in tables:
                rewriting.abandon(session, table)
            return [table.name for table in tables]

        return database.write_alone(None, throw_away)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _in_order(self) -> list[_Step]:
        return [self._steps[number] for number in sorted(self._steps)]

    def _require_same_history(self, history: Mapping[int, Row]) -> None:
        for number, taken in sorted(history.items()):
            if number not in self._steps:
                raise MigrationError(
                    f"The database has taken migration step {number} ({taken.name}), which this program does not know",
                    hint="use the newer version of the program",
                    step=number,
                    table=None,
                )
            if self._steps[number].name != taken.name:
                raise MigrationError(
                    f"Migration step {number} was {taken.name!r} when it was taken, "
                    f"and is {self._steps[number].name!r} in this program",
                    hint="leave a step that was taken as it is, and add another one",
                    step=number,
                    table=None,
                )
        missing = [number for number in self._steps if number not in history and number < max(history, default=0)]
        if missing:
            raise MigrationError(
                f"Migration step {min(missing)} has not been taken, and later ones have",
                hint="give a new step a number above those that were taken",
                step=min(missing),
                table=self._steps[min(missing)].table,
            )

    def _take(self, database: MiniDB, step: _Step, progress: Progress | None) -> None:
        database.create_table(HISTORY, _history_schema(), if_not_exists=True)
        if step.table is None or step.schema is None:
            with database.begin_transaction() as transaction:
                if not _is_taken(transaction.writing(), step):
                    _call(step, database)
                    _note(transaction.writing(), step, None)
        else:
            self._rewrite(database, step, progress)
            with database.snapshot(None) as (_, catalog):  # the program that takes a step has its schema
                definition = catalog.definition(step.table)
                database.keep(catalog.with_table(definition, live_schema=step.schema), set())
        _log.info("migration step applied", extra={"step": step.number, "step_name": step.name, "table": step.table})

    def _rewrite(self, database: MiniDB, step: _Step, progress: Progress | None) -> None:
        total = 0
        try:
            if database.write_alone(None, lambda session: _begin(session, step)):
                return
            if progress is not None and step.table is not None:
                total = database.get_table(step.table).count()
            while (batch := database.write_alone(None, lambda session: _write_batch(session, step))) is not None:
                if progress is not None and batch.rows:
                    progress(batch.done, max(total, batch.done))
        except MigrationError as error:
            if error.__cause__ is not None:  # of a row; after another error there is something to go on from
                self.abandon(database)
            raise

    def _try(self, database: MiniDB, pending: list[int], progress: Progress | None) -> list[MigrationStep]:
        tried: list[MigrationStep] = []
        with database.begin_transaction() as transaction:
            session = transaction.writing()
            if HISTORY not in session.catalog.definitions:
                from minidb.tables.definition_changes import create_table

                create_table(session, HISTORY, _history_schema())
            for number in pending:
                step = self._steps[number]
                rows = None
                if step.table is None:
                    _call(step, database)
                elif not _begin(session, step):
                    rows = 0
                    total = session.bytes.count(session.catalog.definition(step.table).space)
                    while (batch := _write_batch(session, step)) is not None:
                        rows = batch.done
                        if progress is not None:
                            progress(rows, max(total, rows))
                tried.append(MigrationStep(number=number, name=step.name, table=step.table, state="pending", rows=rows))
            transaction.rollback()
        return tried


def _history_schema() -> Schema:
    return Schema(
        number=IntegerField(primary_key=True),
        name=StringField(required=True),
        applied_at=DateTimeField(required=True, timezone=True),
        rows=IntegerField(),
    )


def _text_of(code: CodeType) -> str:
    """Return a text that differs for functions that do something else; of one version of Python."""
    constants = [
        _text_of(one)
        if isinstance(one, CodeType)
        else repr(sorted(map(repr, one)) if isinstance(one, frozenset) else one)
        for one in code.co_consts
    ]
    return " ".join([code.co_code.hex(), repr(code.co_names), *constants])


def _call(step: _Step, database: MiniDB) -> None:
    try:
        step.function(database)
    except Exception as error:
        raise MigrationError(
            f"Migration step {step.number} ({step.name}) has failed: "
            f"{error.message if isinstance(error, MiniDBError) else type(error).__name__}",
            hint="nothing of it was kept; mend the step, and apply it again",
            step=step.number,
            table=None,
        ) from error


def _begin(session: WriteSession, step: _Step) -> bool:
    """Begin a step for rows, or find it begun; return whether it has been taken already."""
    from minidb.tables import rewriting

    assert step.table is not None
    assert step.schema is not None
    if _is_taken(session, step):
        return True
    rewriting.begin(session, step.table, step.number, step.mark, step.schema)
    return False


def _write_batch(session: WriteSession, step: _Step) -> rewriting.Progress | None:
    """Do the next part of a step for rows; return None when it has been taken."""
    from minidb.tables import rewriting

    assert step.table is not None
    assert step.schema is not None
    if _is_taken(session, step):
        return None  # by another program, which was quicker
    batch = rewriting.write_batch(session, step.table, step.schema, step.function)
    if batch.rows:
        return batch
    _note(session, step, rewriting.finish(session, step.table))
    return None


def _history(database: MiniDB) -> dict[int, Row]:
    return {row.number: row for row in database.get_table(HISTORY)} if HISTORY in database else {}


def _is_taken(session: WriteSession, step: _Step) -> bool:
    table = session.catalog.table(HISTORY)
    key = table.key_of_id(step.number)
    return key is not None and session.bytes.get(table.space, key) is not None


def _note(session: WriteSession, step: _Step, rows: int | None) -> None:
    applied_at = datetime.datetime.now(datetime.UTC)
    columns = {"number": step.number, "name": step.name, "applied_at": applied_at, "rows": rows}
    writing.insert(session, session.table(HISTORY), columns)
