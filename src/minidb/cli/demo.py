"""The verb ``demo``: a tour of MiniDB on real data, in a folder of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from minidb.exceptions import InvalidOptionError


def demo(
    path: Annotated[
        str,
        typer.Argument(
            help="The folder of the database. If something else is there, a number is put behind the name.",
        ),
    ] = "minidb-demo",
) -> None:
    """Take a tour of MiniDB on real data: tables, indexes, transactions, errors, each with its code and its time.

    It makes a folder of its own and says where. Run again on that folder, it makes its own tables afresh and leaves
    yours alone. It never changes or deletes a folder that it did not make.

    ```console
    $ minidb demo
    ```
    """
    # Imported here, so that the other verbs and the help do not wait for rich.
    from minidb.cli.demo_mark import choose_place
    from minidb.cli.demo_tour import give_tour
    from minidb.cli.screen import Screen

    if "://" in path:
        # Not repeated in the message: a URL may hold a password.
        raise InvalidOptionError("The demo makes a folder, and was given a URL", hint="give a path", option="path")
    give_tour(choose_place(path), Screen())
