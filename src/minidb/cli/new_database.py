"""A database that did not exist before: it is built in a hidden folder beside its place, and is moved there when whole.

So whatever is put into it may be committed bit by bit, in memory that does not grow with it, and yet it is there with
everything or not at all. A process that is killed leaves the hidden folder, ``.NAME.…``, which anybody may delete.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from minidb import MiniDB
from minidb.exceptions import EngineUnavailableError

_MEMORY: Final = ":memory:"


def is_absent(path: str) -> bool:
    """Tell whether a location is the path of a folder that is not there."""
    return "://" not in path and path != _MEMORY and not os.path.lexists(Path(path).expanduser())


@contextmanager
def new_database(path: str, *, dry_run: bool = False) -> Iterator[MiniDB]:
    """Yield a database which has its place once the block has ended well; in a dry run it never has.

    Raises ``EngineUnavailableError`` where no folder can be made, or somebody else has made one there meanwhile.
    """
    place = Path(path).expanduser().absolute()
    missing = [] if dry_run else [folder for folder in place.parents if not folder.exists()]
    with ExitStack() as stack:
        stack.callback(_remove_empty, missing)
        with _telling(place):
            for folder in reversed(missing):
                folder.mkdir()
            beside = None if dry_run else place.parent
            hidden = TemporaryDirectory(prefix=f".{place.name[:100]}.", dir=beside, ignore_cleanup_errors=True)
        aside = Path(stack.enter_context(hidden)) / "database"
        with MiniDB(aside, durability="none") as database:
            yield database
            database.sync()
        if not dry_run:
            with _telling(place):
                aside.rename(place)
                for folder in (place, *place.parents[: len(missing) + 1]):
                    _flush(folder)


@contextmanager
def _telling(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineUnavailableError(
            f"The database cannot be made: {place}: {error.strerror}", path=str(place)
        ) from error


def _flush(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_empty(folders: list[Path]) -> None:
    """Remove the folders that were made for a database which is not there after all."""
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
