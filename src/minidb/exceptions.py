"""Every error that MiniDB raises. The family tells the caller's next move.

    MiniDBError
      UsageError           fix the code      DatabaseClosedError  TransactionClosedError  ReadOnlyError
                                             InvalidOptionError  ForkedError  PageTokenError
      CatalogError         fix the names     TableNotFoundError  TableExistsError
                                             IndexNotFoundError  IndexExistsError  MappingNotFoundError
      SchemaError          fix the schema    SchemaDefinitionError  SchemaMismatchError  MigrationError
      RowError             fix the row       SchemaValidationError  RowNotFoundError  RowExistsError
                                             UniqueViolationError  KeyTooLargeError
      ConflictError        run it again      (the only family that a retry catches)
                           or read it again  VersionConflictError
      CommitUnknownError   find out          (the disk failed, or the connection was lost, while committing)
      WaitError            wait, or ask who  PoolTimeoutError  WriteTimeoutError
      EngineError          look at the host  StorageFullError  EngineUnavailableError  MissingDependencyError
      CorruptionError      stop, run verify  ChecksumError  UnsupportedFormatError
      BackupError          look at the file

An error is one fixed sentence, the facts as attributes, and a hint where there is a remedy. Neither the values of a
row nor a secret ever stand in the sentence: facts that may hold such values are attributes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidb.structs import Struct

__all__ = [
    "BackupError",
    "CatalogError",
    "ChecksumError",
    "CommitUnknownError",
    "ConflictError",
    "CorruptionError",
    "DatabaseClosedError",
    "EngineError",
    "EngineUnavailableError",
    "FieldError",
    "ForkedError",
    "IndexExistsError",
    "IndexNotFoundError",
    "InvalidOptionError",
    "KeyTooLargeError",
    "MappingNotFoundError",
    "MigrationError",
    "MiniDBError",
    "MissingDependencyError",
    "PageTokenError",
    "PoolTimeoutError",
    "ReadOnlyError",
    "RowError",
    "RowExistsError",
    "RowNotFoundError",
    "SchemaDefinitionError",
    "SchemaDifference",
    "SchemaError",
    "SchemaMismatchError",
    "SchemaValidationError",
    "StorageFullError",
    "TableExistsError",
    "TableNotFoundError",
    "TransactionClosedError",
    "UniqueViolationError",
    "UnsupportedFormatError",
    "UsageError",
    "VersionConflictError",
    "WaitError",
    "WriteTimeoutError",
]


class MiniDBError(Exception):
    """Root of every error that MiniDB raises.

    ``message`` is the sentence, ``hint`` the remedy (or None); every fact given by keyword is an attribute.
    """

    def __init__(self, message: str, *, hint: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts

    def __getattr__(self, name: str) -> Any:  # Any: a fact has the type that its class documents
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} ({self.hint})"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint, self.facts)


def _rebuild(kind: type[MiniDBError], message: str, hint: str | None, facts: dict[str, object]) -> MiniDBError:
    """Unpickle an error, so that it crosses from a worker process to its parent."""
    return kind(message, hint=hint, **facts)


# --- fix the code -----------------------------------------------------------------------------------------------------


class UsageError(MiniDBError):
    """The program used MiniDB in a way that cannot work."""


class DatabaseClosedError(UsageError):
    """The database was closed before this call."""


class TransactionClosedError(UsageError):
    """The transaction had ended, or belongs to another thread or task."""


class ReadOnlyError(UsageError):
    """A write was asked of a read-only database or transaction."""


class InvalidOptionError(UsageError):
    """An option has a value that it cannot have. Facts: ``option``."""


class ForkedError(UsageError):
    """A transaction that was open in the parent process was used in a forked child."""


class PageTokenError(UsageError):
    """A page was asked for by a token that is damaged, was changed, or belongs to another query or database."""


# --- fix the names ----------------------------------------------------------------------------------------------------


class CatalogError(MiniDBError):
    """A table, index or mapping has the wrong name. Facts: ``table`` or ``mapping``; ``index`` where one is meant."""


class TableNotFoundError(CatalogError):
    """There is no table of this name. Facts: ``table``."""


class TableExistsError(CatalogError):
    """There is already a table of this name. Facts: ``table``."""


class IndexNotFoundError(CatalogError):
    """The table has no such index. Facts: ``table``, ``index``."""


class IndexExistsError(CatalogError):
    """The table already has an index of this name. Facts: ``table``, ``index``."""


class MappingNotFoundError(CatalogError):
    """There is no mapping of this name. Facts: ``mapping``."""


# --- fix the schema ---------------------------------------------------------------------------------------------------


class SchemaError(MiniDBError):
    """A schema cannot be what it says."""


class SchemaDefinitionError(SchemaError):
    """A field or schema was declared in a way that contradicts itself. Facts: ``field``."""


class SchemaDifference(Struct, frozen=True):
    """One way in which the schema given is not the stored one.

    ``field`` is the name of the column, or None where all of the table is meant; ``code`` a stable word such as
    ``"missing"`` or ``"type"``, ``message`` a sentence, ``hint`` what to do.
    """

    field: str | None
    code: str
    message: str
    hint: str


class SchemaMismatchError(SchemaError):
    """The schema given is not the stored one, and the table cannot become what it says without touching its rows.

    ``differences`` lists every ``SchemaDifference``. Facts: ``table``.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        differences: Sequence[SchemaDifference] = (),
        **facts: object,
    ) -> None:
        super().__init__(message, hint=hint, differences=tuple(differences), **facts)
        self.differences: tuple[SchemaDifference, ...] = tuple(differences)


class MigrationError(SchemaError):
    """A migration step cannot be taken, or a table is in the middle of one and takes no writes.

    Facts: ``step`` (its number) and ``table``, or None where none is meant; ``id`` of the row that it fails on.
    """


# --- fix the row ------------------------------------------------------------------------------------------------------


class RowError(MiniDBError):
    """A row cannot be stored or found as asked. Facts: ``table``."""


class FieldError(Struct, frozen=True):
    """What is wrong with one field of a row.

    ``field`` is a path (``"tags[2]"`` for an element of a list field), ``code`` a stable word such as ``"required"`` or
    ``"min_value"``, ``message`` a sentence without the value, ``value`` what was given (None when nothing was).
    """

    field: str
    code: str
    message: str
    value: object = None


class SchemaValidationError(RowError, ValueError):
    """The row does not match the schema; nothing was written.

    ``errors`` lists every bad field. Facts: ``table`` (or None), ``row_number`` (0-based place in an ``insert_many``,
    or None).
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        errors: Sequence[FieldError] = (),
        **facts: object,
    ) -> None:
        super().__init__(message, hint=hint, errors=tuple(errors), **facts)
        self.errors: tuple[FieldError, ...] = tuple(errors)

    def __str__(self) -> str:
        details = "; ".join(f"{error.field}: {error.message}" for error in self.errors)
        return f"{super().__str__()}: {details}" if details else super().__str__()


class RowNotFoundError(RowError, KeyError):
    """No row has this id. Facts: ``table``, ``id``."""

    __str__ = MiniDBError.__str__  # KeyError would print the repr of the sentence


class RowExistsError(RowError):
    """A row with this primary key is already there. Facts: ``table``, ``id``."""


class UniqueViolationError(RowError):
    """Another row already has this value in a unique index. Facts: ``table``, ``index``, ``fields``, ``value``, ``id``.

    ``id`` is the row that has the value.
    """


class KeyTooLargeError(RowError):
    """A primary key needs more bytes than a key may have.

    Facts: ``table``, ``field``, ``size_bytes``, ``limit_bytes``.
    """


# --- run it again, find out -------------------------------------------------------------------------------------------


class ConflictError(MiniDBError):
    """The transaction met another one and was surely not committed: run it again."""


class VersionConflictError(ConflictError):
    """A row was written after the program read it. Facts: ``table``, ``id``, ``version``, ``if_version``.

    To run the same again would meet the same: no retry does. Read the row, which has ``version`` now, and decide anew.
    """


class CommitUnknownError(MiniDBError):
    """The outcome of a commit is not known: it may have been committed, or not.

    Facts: ``path``; ``token``, for ``db.was_committed``, if the transaction was begun with ``commit_token=True``.
    """


# --- wait, or ask who -------------------------------------------------------------------------------------------------


class WaitError(MiniDBError, TimeoutError):
    """Something was not to be had in time. Facts: ``timeout_s``."""


class PoolTimeoutError(WaitError):
    """No connection of the pool came free in time. Facts: ``timeout_s``, ``max_connections``."""


class WriteTimeoutError(WaitError):
    """Another writer held the database for too long.

    Facts: ``timeout_s``, and of the holder ``pid``, ``thread``, ``age_s``, and ``began_at``, where in the program its
    transaction began (``"file.py:12"``; only of one that ``begin_transaction`` began in this process). None for what
    could not be found out.
    """


# --- look at the host -------------------------------------------------------------------------------------------------


class EngineError(MiniDBError):
    """The storage engine or its host failed. Facts: ``path`` where a file is meant."""


class StorageFullError(EngineError):
    """There is no room left, on the disk or below ``max_size_bytes``. Nothing of the transaction was written."""


class EngineUnavailableError(EngineError):
    """The place where the data lives cannot be opened or reached."""


class MissingDependencyError(EngineError):
    """An optional package is not installed. Facts: ``package``, ``extra``."""


# --- stop, run verify -------------------------------------------------------------------------------------------------


class CorruptionError(MiniDBError):
    """Stored bytes are not what was written. Facts: ``path`` or ``table`` and ``id`` where they are known."""


class ChecksumError(CorruptionError):
    """A stored row fails its checksum."""


class UnsupportedFormatError(CorruptionError):
    """The files were written in a format that this version does not know, or are no MiniDB files at all."""


# --- look at the file -------------------------------------------------------------------------------------------------


class BackupError(MiniDBError):
    """A backup cannot be made, or is not fit to be restored. Facts: ``path``."""
