"""The verb ``stats``: the figures of the engine and of each table."""

from __future__ import annotations

from minidb import MiniDB
from minidb.cli import arguments, output


def stats(
    path: arguments.Path,
    as_json: output.AsJson = False,
    as_lines: output.AsLines = False,
    as_csv: output.AsCsv = False,
) -> None:
    """Show the figures of the store, and the rows of each table.

    ```console
    $ minidb stats shop.db
    ```
    """
    with MiniDB(path, read_only=True) as database:
        figures = database.stats()
    del figures["pool"]  # of this process, which ends now
    facts = {name: value for name, value in figures.items() if name not in ("tables", "mappings")}
    facts |= {f"rows of {name}": rows for name, rows in figures["tables"].items()}
    facts |= {f"items of {name}": items for name, items in figures["mappings"].items()}
    form = output.choose_form(as_json=as_json, as_lines=as_lines, as_csv=as_csv)
    output.show_facts(facts, form)
