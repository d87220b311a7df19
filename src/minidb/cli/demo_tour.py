"""The order of the demo's steps, and how the result of each is shown."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from minidb import Index, MiniDB, Row, __version__
from minidb.cli import demo_data, demo_steps
from minidb.cli.demo_mark import Place, mark, remove_tables
from minidb.cli.screen import Screen, duration_of, table_of
from minidb.exceptions import FieldError, UniqueViolationError
from minidb.schema import Schema

TABLES: Final = (*demo_data.SCHEMAS, "bookings")
"""What the steps make."""

ROWS_SHOWN: Final = 5


def give_tour(place: Place, screen: Screen) -> None:
    """Run every step in the folder of a place."""
    screen.say(f"MiniDB {__version__}: a tour on real data, the flights that left New York on 1 January 2013.")
    screen.say(f"Database folder: {place.folder} ({place.finding})")
    db = screen.step(
        "Open a database",
        "A database is a folder, made when it is absent. No server, nothing to configure.",
        lambda opened: Text(str(opened)),
        demo_steps.open_database,
        place.folder,
    )
    with db:
        mark(place.folder)
        remove_tables(db, TABLES)
        _store(db, screen)
        _find(db, screen)
        _change(db, screen)
        _refuse(db, screen)
        _share(db, screen)
    _say_what_next(place.folder, screen)


# --- the steps, in chapters -------------------------------------------------------------------------------------------


def _store(db: MiniDB, screen: Screen) -> None:
    screen.step(
        "Declare tables",
        "A table has a schema: the type of each field, and what its values may be.",
        _show_schemas,
        demo_steps.declare_tables,
        db,
    )
    rows_of = {name: demo_data.read_rows(name) for name in demo_data.SCHEMAS}
    number = sum(map(len, rows_of.values()))
    screen.step(
        "Load rows",
        f"insert_many takes any iterable. Each call is one transaction, all or nothing. Here: {number:,} rows.",
        lambda counts: table_of(counts, "table", "rows"),
        demo_steps.load_rows,
        db,
        rows_of,
        screen.watch,
    )
    screen.say(f"That is {round(number / screen.last_duration_s):,} rows a second, checked and safe on the disk.")


def _find(db: MiniDB, screen: Screen) -> None:
    screen.step(
        "Find a row by its key",
        "A table's id is its primary key, or an automatic integer where it has none.",
        _show_columns,
        demo_steps.find_one,
        db,
    )
    found = screen.step(
        "Find many rows, one by one",
        "Where does each flight go? One query a flight.",
        lambda airports: Text(f"{len(airports)} airports; the first: {airports[0].name}"),
        demo_steps.find_each,
        db,
    )
    each_s = screen.last_duration_s / len(found)
    screen.say(f"That is {duration_of(each_s)} for each, the reading of the flight included.")
    screen.step(
        "Walk a range of keys",
        "Rows lie in the order of their keys. The key of flights is (carrier, flight); a range excludes its stop.",
        partial(_show_rows, names=("carrier", "flight", "departs", "origin", "dest")),
        demo_steps.scan_keys,
        db,
    )
    show_planes = partial(_show_rows, names=("tailnum", "year", "manufacturer", "model", "seats"))
    screen.step(
        "Search without an index",
        "It reads every row.",
        show_planes,
        demo_steps.search_without_index,
        db,
    )
    without_index_s = screen.last_duration_s
    screen.step(
        "Make indexes",
        "On one field or several, unique or not; the rows that are there are indexed at once, later ones as they come.",
        _show_indexes,
        demo_steps.make_indexes,
        db,
    )
    screen.step(
        "Search with an index",
        "The same question, and the same rows.",
        show_planes,
        demo_steps.search_with_index,
        db,
    )
    screen.say(f"That is {without_index_s / screen.last_duration_s:.0f} times as fast as without the index.")
    screen.step(
        "Search by two fields",
        "The index manufacturer_year answers for both at once.",
        show_planes,
        demo_steps.search_two_fields,
        db,
    )


def _change(db: MiniDB, screen: Screen) -> None:
    screen.step(
        "Count, and update a row",
        "Outside a transaction each call is one of its own, and on the disk when it returns.",
        _show_update,
        demo_steps.count_and_update,
        db,
    )
    screen.step(
        "Roll a transaction back",
        "What a with block has written is undone as a whole when the block raises. Calls take part without being told.",
        lambda rows: table_of(rows, "", "before", "inside", "after"),
        demo_steps.roll_back,
        db,
    )
    screen.step(
        "Roll a part of it back",
        "A transaction inside another one is a savepoint. Nobody's seat 7B is gone, the other two are booked.",
        partial(_show_rows, names=("seat", "passenger", "born", "fare", "status", "bags_kg")),
        demo_steps.nest,
        db,
    )


def _refuse(db: MiniDB, screen: Screen) -> None:
    screen.step(
        "Try to store a bad row",
        "Nothing is written, and every error is told at once.",
        _show_field_errors,
        demo_steps.refuse_bad_row,
        db,
    )
    screen.step(
        "Try to take a seat that is taken",
        "A unique index refuses the second row, whatever program or thread inserts it.",
        _show_violations,
        demo_steps.refuse_taken_value,
        db,
    )


def _share(db: MiniDB, screen: Screen) -> None:
    screen.step(
        "Open it twice",
        "Any number of threads and processes may have it open. Readers see the last commit, and never wait.",
        lambda counts: table_of(counts, "the second one counts airlines", "rows"),
        demo_steps.open_twice,
        db,
    )
    screen.step(
        "Close it, open it, find everything",
        "Schemas and indexes are stored with the rows.",
        lambda tables: table_of(tables, "table", "rows", "indexes"),
        demo_steps.reopen,
        db,
    )


def _say_what_next(folder: Path, screen: Screen) -> None:
    program = (
        "from minidb import MiniDB, Row\n\n"
        f"with MiniDB({str(folder)!r}) as db:\n"
        '    flights = db.get_table("flights")\n'
        "    print(flights.count(), flights.schema)\n"
        '    for flight in db.query_by_index("flights", "origin", "LGA"):\n'
        "        print(flight.carrier, flight.flight, flight.dest)\n"
    )
    screen.headline("What next")
    screen.say(f"The database is in {folder}")
    screen.say("Use it from Python:")
    screen.show_code(program, may_wrap=False)
    screen.say(f"To have the demo's tables made afresh: minidb demo {shlex.quote(str(folder))}")
    screen.say("When you are done with it, delete the folder: nothing else was written anywhere.")


# --- how results are shown --------------------------------------------------------------------------------------------


def _show_schemas(schemas: list[tuple[str, Schema]]) -> RenderableType:
    return table_of(
        (
            (
                name,
                ", ".join(schema.primary_key) or "automatic",
                ", ".join(f"{field_name} {field.kind}" for field_name, field in schema.fields.items()),
            )
            for name, schema in schemas
        ),
        "table",
        "key",
        "fields",
    )


def _show_columns(row: Row) -> RenderableType:
    return table_of(row.columns.items(), "column", "value")


def _show_rows(rows: list[Row], names: tuple[str, ...]) -> RenderableType:
    shown = table_of(([row[name] for name in names] for row in rows[:ROWS_SHOWN]), *names)
    return Group(shown, Text(f"{len(rows)} rows" + (f", {ROWS_SHOWN} of them shown" if len(rows) > ROWS_SHOWN else "")))


def _show_indexes(indexes: list[Index]) -> RenderableType:
    return table_of(
        ((index.table, index.name, ", ".join(index.fields), "unique" if index.unique else "") for index in indexes),
        "table",
        "index",
        "fields",
        "",
    )


def _show_update(result: tuple[int, Row, Row]) -> RenderableType:
    number, before, after = result
    return Group(
        Text(f"{number} planes"),
        table_of([("before", before.id, before.seats), ("after", after.id, after.seats)], "", "tailnum", "seats"),
    )


def _show_field_errors(errors: list[FieldError]) -> RenderableType:
    return table_of(
        (
            (error.field, error.code, error.message, "" if error.value is None else repr(error.value))
            for error in errors
        ),
        "field",
        "code",
        "message",
        "given",
    )


def _show_violations(errors: list[UniqueViolationError]) -> RenderableType:
    facts = table_of(((fact, getattr(error, fact)) for error in errors for fact in _VIOLATION_FACTS), "fact", "value")
    return Group(*(Text(f"{type(error).__name__}: {error}") for error in errors), facts)


_VIOLATION_FACTS: Final = ("table", "index", "value", "id")
