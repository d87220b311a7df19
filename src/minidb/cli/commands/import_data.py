"""The verb ``import``: the data of other stores. What becomes of what stands in the help of each."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments
from minidb.cli.importers.report import ImportReport, run_import, watch

app = typer.Typer(
    help="Import from SQLite, TinyDB, shelve, dbm, LMDB, diskcache.", no_args_is_help=True, rich_markup_mode="markdown"
)

SourcePath = Annotated[Path, typer.Argument(metavar="SOURCE", help="What is imported. It is only read.")]
Only = Annotated[list[str] | None, typer.Option("--table", metavar="NAME", help="Only these tables.")]
Name = Annotated[str | None, typer.Option("--name", help="The name of the mapping; otherwise that of the file.")]
Unpickle = Annotated[
    bool, typer.Option("--unpickle", help="Read what is pickled: this runs whatever code the file holds.")
]


@app.command("sqlite", cls=arguments.DatabaseVerb)
def import_sqlite(
    path: arguments.Path, source: SourcePath, only: Only = None, dry_run: arguments.DryRun = False
) -> None:
    """Import the tables of an SQLite file, with their primary keys and indexes.

    A column has the type of its values: integer, float, string, bytes; boolean where it is declared so and holds only 0
    and 1; a date, datetime or moment where it is declared so and every text is one; json for numbers and texts mixed.
    `NOT NULL` becomes required, and a constant `DEFAULT` the default. A primary key stays one, and without one ids are
    automatic. Indexes and `UNIQUE` become indexes, partial ones where a filter says their condition. Views, triggers,
    foreign keys, `CHECK`, other defaults, and indexes on expressions are left out, and told; a generated column is a
    plain one.

    ```console
    $ minidb import sqlite shop.db old.sqlite
    ```
    """
    from minidb.cli.importers.sqlite import import_sqlite

    run_import(
        path, lambda database, report: import_sqlite(database, source, only or [], watch, report), dry_run=dry_run
    )


@app.command("tinydb", cls=arguments.DatabaseVerb)
def import_tinydb(
    path: arguments.Path, source: SourcePath, only: Only = None, dry_run: arguments.DryRun = False
) -> None:
    """Import the tables of a TinyDB file of JSON.

    Each table becomes a table, with the number of a document as the primary key `doc_id`. Types are found as `insert`
    finds them in JSON. A field that a document does not have is null.

    ```console
    $ minidb import tinydb shop.db tiny.json
    ```
    """
    from minidb.cli.importers.tinydb import import_tinydb

    run_import(
        path, lambda database, report: import_tinydb(database, source, only or [], watch, report), dry_run=dry_run
    )


@app.command("dbm", cls=arguments.DatabaseVerb)
def import_dbm(path: arguments.Path, source: SourcePath, name: Name = None, dry_run: arguments.DryRun = False) -> None:
    """Import a dbm file, by the name that `dbm.open` takes, as a mapping of bytes to bytes.

    ```console
    $ minidb import dbm shop.db settings
    ```
    """
    from minidb.cli.importers.items import import_dbm

    def run(database: MiniDB, report: ImportReport) -> None:
        import_dbm(database, source, name or source.stem, watch, report, read=lambda pair: pair)

    run_import(path, run, dry_run=dry_run)


@app.command("shelve", cls=arguments.DatabaseVerb)
def import_shelve(
    path: arguments.Path,
    source: SourcePath,
    name: Name = None,
    unpickle: Unpickle = False,
    dry_run: arguments.DryRun = False,
) -> None:
    """Import a shelf, by the name that `shelve.open` takes, as a mapping of texts to values.

    The values of a shelf are pickled, so it needs `--unpickle`. They must be plain: numbers, texts, bytes, dates,
    lists, dicts, sets. Objects of your own classes are refused: make plain ones of them with a program.

    ```console
    $ minidb import shelve shop.db shelf --unpickle
    ```
    """
    from minidb.cli.importers.items import import_shelf

    def run(database: MiniDB, report: ImportReport) -> None:
        import_shelf(database, source, name or source.stem, watch, report, may_unpickle=unpickle)

    run_import(path, run, dry_run=dry_run)


@app.command("diskcache", cls=arguments.DatabaseVerb)
def import_diskcache(
    path: arguments.Path,
    source: SourcePath,
    name: Name = None,
    unpickle: Unpickle = False,
    dry_run: arguments.DryRun = False,
) -> None:
    """Import the folder of a diskcache `Cache`, `FanoutCache` or `Index` as a mapping.

    Keys and values stay what they are; what diskcache has pickled (all but texts, numbers and bytes) needs
    `--unpickle`. Expired items are left out; times of expiry and tags are not kept.

    ```console
    $ minidb import diskcache shop.db cache-folder
    ```
    """
    from minidb.cli.importers.items import import_diskcache

    def run(database: MiniDB, report: ImportReport) -> None:
        mapping = name or source.stem
        import_diskcache(database, source, mapping, watch, report, may_unpickle=unpickle, now_s=time.time())

    run_import(path, run, dry_run=dry_run)


@app.command("lmdb", cls=arguments.DatabaseVerb)
def import_lmdb(path: arguments.Path, source: SourcePath, only: Only = None, dry_run: arguments.DryRun = False) -> None:
    """Import an LMDB file or folder: each of its databases as a mapping of bytes to bytes.

    The unnamed database becomes the mapping `main`. In a database with duplicate keys, the values of a key are a list.

    ```console
    $ minidb import lmdb shop.db old.lmdb
    ```
    """
    from minidb.cli.importers.items import import_lmdb

    run_import(path, lambda database, report: import_lmdb(database, source, only or [], watch, report), dry_run=dry_run)
