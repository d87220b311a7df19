"""The verb ``insert``: rows from a file, into a table that is made if it is absent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minidb.cli import arguments
from minidb.cli.insertion import Insertion
from minidb.cli.loading import Meeting
from minidb.exceptions import UsageError


def insert(
    path: arguments.Path,
    table: arguments.TableName,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file of rows, or - for standard input.")],
    primary_key: arguments.PrimaryKey = None,
    types: arguments.Types = None,
    schema: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A schema file, in place of inferred types.", rich_help_panel="Types"),
    ] = None,
    index: Annotated[
        list[str] | None, typer.Option(metavar="FIELD,…", help="Make an index, of one or several fields.")
    ] = None,
    upsert: Annotated[bool, typer.Option("--upsert", help="Replace rows that have the same primary key.")] = False,
    ignore: Annotated[
        bool, typer.Option("--ignore", help="Leave out rows whose primary key or unique value is there already.")
    ] = False,
    batch: Annotated[
        int | None, typer.Option(min=1, metavar="ROWS", help="Commit after so many rows; otherwise all or none.")
    ] = None,
    errors: Annotated[
        str, typer.Option(metavar="stop|skip", help="What a bad row does: nothing is loaded, or the others are.")
    ] = "stop",
    rejects: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where --errors skip writes bad rows; otherwise beside the file."),
    ] = None,
    format_name: arguments.InputFormat = None,
    delimiter: arguments.Delimiter = None,
    encoding: arguments.Encoding = "utf-8",
    null: arguments.NullTexts = None,
    dry_run: arguments.DryRun = False,
) -> None:
    """Load rows from CSV, TSV, JSON or JSON Lines. The table is made if it is absent, and so is the database.

    The types of a new table are found in the file: a type is taken only where every value, written out again, gives the
    text that was read, so `007` stays text and `1.50` is a decimal. A table that is there, or a schema file, says the
    types itself. All of the file is loaded, or nothing: a bad row, or Ctrl-C, leaves the database as it was.

    A new database is built in a hidden folder beside its place, in memory that does not grow with the file. Into a
    database that is there it goes in one transaction, which takes memory for what it writes, some 400 bytes a row;
    `--batch` commits on the way, and takes little.

    ```console
    $ minidb insert shop.db users users.csv
    $ minidb insert shop.db people users.csv --primary-key name --index city,age
    $ minidb insert shop.db people users.csv --upsert
    $ minidb insert shop.db events events.jsonl --type note=string --dry-run
    $ minidb insert shop.db events - --errors skip < events.jsonl
    ```
    """
    if upsert and ignore:
        raise typer.BadParameter("only one of --upsert and --ignore can be had")
    if errors not in ("stop", "skip"):
        raise UsageError("--errors is either stop or skip")
    Insertion(
        path=path,
        table=table,
        file=file,
        source_options={
            "form": format_name,
            "delimiter": delimiter,
            "encoding": encoding,
            "null_texts": arguments.null_texts(null),
        },
        primary_key=arguments.names_of(primary_key),
        types=arguments.read_types(types),
        schema_file=schema,
        indexes=[tuple(one.split(",")) for one in index or ()],
        meeting=Meeting.UPSERT if upsert else Meeting.IGNORE if ignore else Meeting.REFUSE,
        batch_rows=batch,
        skips_bad_rows=errors == "skip",
        rejects=rejects,
        dry_run=dry_run,
    ).run()
