"""What is left of a transaction that can only be rolled back, for ``write_buffer``."""

from __future__ import annotations

from typing import NoReturn

from minidb.exceptions import TransactionClosedError


class DoomedSnapshot:
    """What a doomed transaction reads from: nothing."""

    state_id = None

    def __init__(self, generation: int) -> None:
        self.generation = generation

    def get(self, *_: object, **__: object) -> NoReturn:
        raise doomed()

    getter = get_many = scan = scan_keys = scan_joined = scan_packed = last_key = count = spaces = get

    def close(self) -> None:
        """Do nothing: the base closes the snapshot that it gave."""


def doomed() -> TransactionClosedError:
    """Return the error of each call but a rollback."""
    return TransactionClosedError(
        "The transaction can only be rolled back: a part of it failed that was too large to be undone alone",
        hint="roll it back, and run large inserts in transactions of their own",
    )
