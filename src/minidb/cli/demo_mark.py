"""How a folder is known to be the demo's own, so that nothing else is ever changed.

The mark is a file beside the database: to look for it, nothing need be opened. The demo writes to a folder only if it
is not there yet, is empty, or has the mark; it never deletes a file. In a database that it made it drops its own
tables, and leaves others alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import chain, count
from pathlib import Path
from typing import Final

from minidb import MiniDB
from minidb.exceptions import EngineUnavailableError
from minidb.structs import Struct

MARK_FILE: Final = "about-this-demo.txt"
MARK: Final = "This folder was made by `minidb demo`."
"""The first line of the file. Never change it: folders that are out there have it."""

_ABOUT: Final = f"""\
{MARK}

Run again on this folder, the command makes its own tables afresh and leaves yours alone. Delete the folder when you are
done with it.

The data is that of nycflights13 (CC0), https://github.com/tidyverse/nycflights13. It contains information from the
OpenFlights Airports Database, https://openflights.org/data.html, which is made available under the Open Database
License (ODbL) 1.0.
"""


class Place(Struct, frozen=True):
    """The folder that the demo uses, and in words what was found there."""

    folder: Path
    finding: str


def choose_place(wanted: str) -> Place:
    """Return the folder wanted or, if something else is there, one whose name has a number behind it.

    Raises ``EngineUnavailableError`` if the host lets nobody look there.
    """
    absolute = Path(os.path.normpath(Path(wanted).absolute()))
    others = (absolute.parent / f"{absolute.name}-{number}" for number in count(2))
    for folder in chain([absolute], others):
        is_other = "" if folder == absolute else f"; {absolute} is no database of the demo, and stays as it is"
        if _is_free(folder):
            return Place(folder, f"new{is_other}")
        if is_marked(folder):
            return Place(folder, f"of an earlier demo, made afresh{is_other}")
    raise AssertionError("the numbers never end")


def is_marked(folder: Path) -> bool:
    """Tell whether the demo made the folder."""
    try:
        with (folder / MARK_FILE).open(encoding="utf-8") as file:
            return file.readline().rstrip("\n") == MARK
    except (OSError, UnicodeDecodeError):
        return False


def mark(folder: Path) -> None:
    """Make a folder known as the demo's own."""
    try:
        (folder / MARK_FILE).write_text(_ABOUT, encoding="utf-8")
    except OSError as error:
        raise EngineUnavailableError(
            f"The folder cannot be written to: {folder}: {error.strerror}", path=str(folder)
        ) from error


def remove_tables(db: MiniDB, names: Iterable[str]) -> None:
    """Drop the tables of an earlier demo, all or none."""
    with db.begin_transaction():
        for name in names:
            if name in db:
                db.drop_table(name)


def _is_free(folder: Path) -> bool:
    try:
        if folder.is_dir():
            return not any(folder.iterdir())
        return not os.path.lexists(folder)
    except OSError as error:
        raise EngineUnavailableError(
            f"The folder cannot be looked at: {folder}: {error.strerror}", path=str(folder)
        ) from error
