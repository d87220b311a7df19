"""The verb ``conformance``: whether an engine keeps the promises of MiniDB's port, at a place."""

from __future__ import annotations

from typing import Annotated

import typer

from minidb.cli import output
from minidb.cli.arguments import number_of


def conformance(
    location: Annotated[
        str, typer.Argument(metavar="LOCATION", help="A folder for databases, a server's URL, or :memory:.")
    ],
    as_json: output.AsJson = False,
    as_lines: output.AsLines = False,
    as_csv: output.AsCsv = False,
) -> None:
    """Check that an engine keeps every promise that MiniDB builds on: on a disk, or on a server. Exit code 1 if not.

    Each check has a database of its own, which is gone afterwards: in a new folder inside the one given, or in a new
    schema beside what is in the server's database, which is not touched. To keep a server's password out of the list
    of processes, leave it out of the URL and put it in a password file or in PGPASSWORD.

    ```console
    $ minidb conformance .
    $ minidb conformance "$DATABASE_URL"
    $ minidb conformance :memory: --json
    ```
    """
    from minidb.testing import ENGINE_CHECKS, fresh_engines

    form = output.choose_form(as_json=as_json, as_lines=as_lines, as_csv=as_csv)
    results: list[list[object]] = []
    with fresh_engines(location) as make_engine, output.progress("checking", len(ENGINE_CHECKS), "checks") as advance:
        for check in ENGINE_CHECKS:
            engine = make_engine()
            broken = None
            try:
                check(engine)
            except AssertionError as error:
                broken = str(error)
            finally:
                engine.close()
            name = check.__name__.removeprefix("check_").replace("_", " ")
            results.append([name, broken is None, broken])
            advance(len(results), len(results))
    output.show(("check", "ok", "broken"), results, form)
    failed = sum(not is_kept for _, is_kept, _ in results)
    if failed:
        typer.echo(f"{number_of(failed, 'check')} failed", err=True)
        raise typer.Exit(1)
