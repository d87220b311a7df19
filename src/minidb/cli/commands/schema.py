"""The verb ``schema``: show the schema of a table, make a table from a file, infer a schema from data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minidb import MiniDB
from minidb.cli import arguments, loading, output, schema_files
from minidb.cli.inference import schema_of
from minidb.cli.new_database import is_absent, new_database
from minidb.cli.sources import open_source

app = typer.Typer(help="Show, create and infer schemas.", no_args_is_help=True, rich_markup_mode="markdown")


@app.command("show", cls=arguments.DatabaseVerb)
def show_schema(path: arguments.Path, table: arguments.TableName) -> None:
    """Show the schema of a table, as a schema file: JSON with the type and the options of each field.

    ```console
    $ minidb schema show shop.db users
    ```
    """
    with MiniDB(path, read_only=True) as database:
        schema = database.get_table(table).schema
    output.standard_output().write(("{}" if schema is None else schema_files.write(schema)) + "\n")


@app.command("create", cls=arguments.DatabaseVerb)
def create_schema(
    path: arguments.Path,
    table: arguments.TableName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A schema file.")],
    dry_run: arguments.DryRun = False,
) -> None:
    """Make a table of the schema in a file. The database is made if it is absent.

    A schema file is a JSON object: of each field, its type, or an object of its type and options.

    ```console
    $ minidb schema create shop.db customers customers.schema.json
    ```
    """
    schema = schema_files.read(file)
    opened = new_database(path, dry_run=True) if dry_run and is_absent(path) else MiniDB(path)
    with opened as database, database.begin_transaction() as transaction:
        database.create_table(table, schema)
        if dry_run:
            transaction.rollback()
    would_be = "would be " if dry_run else ""
    typer.echo(f"Table {table} with {arguments.number_of(len(schema.fields), 'field')} {would_be}created")


@app.command("infer")
def infer_schema(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file of rows, or - for standard input.")],
    primary_key: arguments.PrimaryKey = None,
    types: arguments.Types = None,
    format_name: arguments.InputFormat = None,
    delimiter: arguments.Delimiter = None,
    encoding: arguments.Encoding = "utf-8",
    null: arguments.NullTexts = None,
) -> None:
    """Show which schema `insert` would infer from a file, as a schema file to be changed and used.

    ```console
    $ minidb schema infer users.csv
    $ minidb schema infer users.csv --primary-key name > users.schema.json
    ```
    """
    with open_source(
        file, form=format_name, delimiter=delimiter, encoding=encoding, null_texts=arguments.null_texts(null)
    ) as source:
        columns = loading.infer(source, lambda one: one.batches())
    schema = schema_of(columns, types=arguments.read_types(types), primary_key=arguments.names_of(primary_key))
    output.standard_output().write(schema_files.write(schema) + "\n")
