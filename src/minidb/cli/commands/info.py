"""The verb ``info``: what a database is, at a glance."""

from __future__ import annotations

from minidb import MiniDB
from minidb.cli import arguments, output
from minidb.version import __version__


def info(
    path: arguments.Path,
    as_json: output.AsJson = False,
    as_lines: output.AsLines = False,
    as_csv: output.AsCsv = False,
) -> None:
    """Show what a database is: where it lies, its engine, its size, how much is in it.

    ```console
    $ minidb info shop.db
    $ minidb info shop.db --json
    ```
    """
    with MiniDB(path, read_only=True) as database:
        figures = database.stats()
        facts: dict[str, object] = {
            "location": figures["location"],
            "engine": figures["engine"],
            "size_bytes": figures["size_bytes"],
            "tables": len(figures["tables"]),
            "rows": sum(figures["tables"].values()),
            "indexes": sum(len(database.indexes(name)) for name in figures["tables"]),
            "mappings": len(database.mapping_names()),
            "minidb": __version__,
        }
    form = output.choose_form(as_json=as_json, as_lines=as_lines, as_csv=as_csv)
    output.show_facts(facts, form)
