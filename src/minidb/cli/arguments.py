"""Arguments and options that several verbs have, and the class of a verb that opens a database."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from minidb import MiniDB, Query, Row, Table
from minidb.cli.completion import complete_field, complete_filter, complete_table, complete_table_or_mapping
from minidb.cli.filter_language import parse_filter
from minidb.cli.inference import TYPE_NAMES
from minidb.cli.sources import FORMATS
from minidb.exceptions import UsageError

Path = Annotated[
    str, typer.Argument(metavar="PATH", help="The folder of the database. With --url or MINIDB_URL it is left out.")
]
TableName = Annotated[str, typer.Argument(metavar="TABLE", help="The table.", autocompletion=complete_table)]
TableOrMapping = Annotated[
    str, typer.Argument(metavar="TABLE", help="The table, or the mapping.", autocompletion=complete_table_or_mapping)
]
OptionalTableName = Annotated[
    str | None, typer.Argument(metavar="[TABLE]", help="The table; otherwise all.", autocompletion=complete_table)
]

_FILTER_HELP: Final = "Which rows, such as \"age >= 18 and city = 'Paris'\"."
Filter = Annotated[str | None, typer.Argument(metavar="[FILTER]", help=_FILTER_HELP, autocompletion=complete_filter)]
RequiredFilter = Annotated[str, typer.Argument(metavar="FILTER", help=_FILTER_HELP, autocompletion=complete_filter)]
Ids = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="ID", help="A row by its id, in place of a filter; of several fields: a,b."),
]
Order = Annotated[
    list[str] | None,
    typer.Option(
        "--order", metavar="FIELD", help="Sort by this field, downwards with a minus.", autocompletion=complete_field
    ),
]
Fields = Annotated[
    list[str] | None,
    typer.Option("--fields", metavar="FIELD,…", help="These columns only.", autocompletion=complete_field),
]
Limit = Annotated[int | None, typer.Option(min=0, metavar="NUMBER", help="At most so many rows.")]
Offset = Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Leave out so many rows at the beginning.")]

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]

_FILE: Final = "The file"
InputFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="|".join(FORMATS),
        help="The format; otherwise by the name of the file, or by how it begins.",
        rich_help_panel=_FILE,
    ),
]
Delimiter = Annotated[str | None, typer.Option(help="What parts the cells of CSV.", rich_help_panel=_FILE)]
Encoding = Annotated[str, typer.Option(help="The encoding of the text.", rich_help_panel=_FILE)]
NullTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--null", metavar="TEXT", help="A cell of CSV that means null, besides the empty one.", rich_help_panel=_FILE
    ),
]

_TYPES: Final = "Types"
PrimaryKey = Annotated[
    list[str] | None,
    typer.Option(
        "--primary-key", metavar="FIELD,…", help="The primary key: one or several fields.", rich_help_panel=_TYPES
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="FIELD=TYPE",
        help=f"The type of a column: {', '.join(TYPE_NAMES)}.",
        rich_help_panel=_TYPES,
    ),
]


class DatabaseVerb(TyperCommand):
    """A verb whose first argument is the path of a database, for which ``--url`` or ``MINIDB_URL`` may stand."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # Any: a context of click, which typer may vendor
        url = ctx.find_root().params.get("url")
        return super().parse_args(ctx, args if url is None or "--help" in args else [url, *args])


def parse_moment(text: str) -> int | datetime.datetime:
    """Return the number of a commit, or a time: the host's own, where it has no offset. Raises ``UsageError``."""
    if text.isdecimal() and len(text) < 20:
        return int(text)
    try:
        return datetime.datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise UsageError("The moment must be the number of a commit, or a time such as 2024-02-29T12:00:00Z") from None


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal whether something shall be done; in a pipe it must have been said."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"Nobody can be asked: {question}", hint="pass --yes, or --dry-run to see what would be done")
    if not typer.confirm(question, err=True):
        typer.echo("Nothing was changed", err=True)
        raise typer.Exit(1)


def query_of(
    database: MiniDB,
    table: str,
    filter_text: str | None,
    *,
    order: list[str] | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> Query[Row]:
    """Return the query that the arguments of a verb ask for. Raises ``TableNotFoundError`` or ``FilterError``."""
    found: Table[Row] = database.get_table(table)
    conditions = [parse_filter(filter_text, found.schema)] if filter_text is not None and filter_text.strip() else []
    fields = [name for one in order or () for name in one.split(",")]
    return found.find(*conditions).order_by(*fields).limit(limit).offset(offset)


def number_of(count: int, noun: str = "row") -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}es" if noun.endswith("x") else f"{count:,} {noun}s"


def contents_of(tables: Mapping[str, int], mappings: Mapping[str, int]) -> str:
    """Return how much tables and mappings hold, by their rows and items, in words."""
    parts = [f"{number_of(len(tables), 'table')} with {number_of(sum(tables.values()))}"]
    if mappings:
        parts.append(f"{number_of(len(mappings), 'mapping')} with {number_of(sum(mappings.values()), 'item')}")
    return ", ".join(parts)


def names_of(given: list[str] | None) -> list[str]:
    """Return names that were given in lists parted by commas."""
    return [name for one in given or () for name in one.split(",")]


def read_types(given: list[str] | None) -> dict[str, str]:
    """Return the types that were given as FIELD=TYPE, by field."""
    types: dict[str, str] = {}
    for one in given or ():
        name, sign, type_name = one.rpartition("=")
        if not sign or type_name not in TYPE_NAMES:
            raise UsageError(f"{one!r} gives no field a type", hint=f"the types are {', '.join(TYPE_NAMES)}")
        types[name] = type_name
    return types


def null_texts(given: list[str] | None) -> list[str]:
    """Return the texts that mean null."""
    return ["", *(given or ())]
