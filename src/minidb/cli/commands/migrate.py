"""The verb ``migrate``: list the steps of a migrations file, try them, take them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import typer

from minidb import Migrations, MiniDB
from minidb.cli import arguments, output
from minidb.exceptions import UsageError


def migrate(
    path: arguments.Path,
    file: Annotated[
        Path, typer.Argument(metavar="FILE.py", help="A Python file that makes one Migrations. It is run.")
    ],
    apply: Annotated[bool, typer.Option("--apply", help="Take the steps that have not been taken.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Take them in one transaction, and roll it back.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Throw away a step that was begun.")] = False,
    as_json: output.AsJson = False,
    as_lines: output.AsLines = False,
    as_csv: output.AsCsv = False,
) -> None:
    """List the migration steps of a file and what has become of them in a database, or take them.

    A step that is cut short goes on where it was when the steps are taken again.

    ```console
    $ minidb migrate shop.db migrations.py
    $ minidb migrate shop.db migrations.py --dry-run
    $ minidb migrate shop.db migrations.py --apply
    ```
    """
    if apply + dry_run + abandon > 1:
        raise typer.BadParameter("only one of --apply, --dry-run and --abandon can be had")
    form = output.choose_form(as_json=as_json, as_lines=as_lines, as_csv=as_csv)
    migrations = load(file)
    with MiniDB(path, create=False, read_only=not (apply or dry_run or abandon)) as database:
        if abandon:
            tables = migrations.abandon(database)
            typer.echo(f"Abandoned: {', '.join(tables)}" if tables else "Nothing was begun", err=True)
        if apply or dry_run:
            with output.progress_of_total("migrating") as progress:
                done = migrations.apply(database, dry_run=dry_run, progress=progress)
            said = "would be taken" if dry_run else "taken"
            typer.echo(f"{arguments.number_of(len(done), 'step')} {said}", err=True)
        steps = migrations.status(database)
    names = ("step", "name", "table", "state", "applied_at", "rows")
    rows = [[one.number, one.name, one.table, one.state, one.applied_at, one.rows] for one in steps]
    output.show(names, rows, form, noun="step")


def load(file: Path) -> Migrations:
    """Run a file as Python does, and return its ``Migrations``. Raises ``UsageError``."""
    spec = importlib.util.spec_from_file_location("minidb_migrations_file", file) if file.suffix == ".py" else None
    if spec is None or spec.loader is None or not file.is_file():
        raise UsageError(f"{file} is no Python file", hint="write one with a Migrations object in it")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.resolve().parent))  # as `python FILE.py` does: for what stands beside it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{file} cannot be run: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    found = list({id(one): one for one in vars(module).values() if isinstance(one, Migrations)}.values())
    if len(found) != 1:
        raise UsageError(f"{file} has {len(found)} Migrations objects, and one is needed")
    return found[0]
