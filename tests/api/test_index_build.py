"""Indexes that are built while others write: no entry is lost or doubled, and nobody reads a half of one."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.consistency import InconsistentError, check_consistency

from minidb import MiniDB, where
from minidb.api import index as api_index
from minidb.engines import write_buffer
from minidb.exceptions import (
    DatabaseClosedError,
    IndexExistsError,
    IndexNotFoundError,
    UniqueViolationError,
    WriteTimeoutError,
)
from minidb.schema import FloatField, IntegerField, ListField, Schema, StringField
from minidb.tables import index_build

ROWS = Schema(n=IntegerField(), tags=ListField(IntegerField()))
Progress = Callable[[int, int], object]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each transaction of a build take three rows."""
    monkeypatch.setattr(index_build, "BATCH_ROWS", 3)
    monkeypatch.setattr(index_build, "FEW_BATCHES", 1)
    monkeypatch.setattr(index_build, "MOST_BATCHES", 1)


@pytest.fixture
def many(database: MiniDB, small_batches: None) -> MiniDB:  # noqa: ARG001  # it changes what is tested
    """A database with ten rows, which are four batches."""
    database.table("rows", ROWS).insert_many({"n": n, "tags": [n, n + 1]} for n in range(10))
    return database


class Stopped(BaseException):
    """As when the program dies: nothing is undone."""


def left_half_way(database: MiniDB, *fields: str, **options: Any) -> None:
    """Leave an index as a program leaves it that is killed after two batches."""

    def stop(done: int, _: int) -> None:
        if done >= 6:
            raise DatabaseClosedError("as if another thread had closed the database")

    with pytest.raises(DatabaseClosedError):
        database.create_index("rows", *fields, progress=stop, **options)
    assert [index.is_building for index in database.indexes("rows")] == [True]
    check_consistency(database)


def after_reading_ahead(patch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen between the making of entries ahead and the transaction that is to write them."""

    def acting(read: Callable[..., index_build.Ahead | None]) -> Callable[..., index_build.Ahead | None]:
        def read_and_act(*arguments: Any) -> index_build.Ahead | None:  # Any: passed on
            ahead = read(*arguments)
            act()
            return ahead

        return read_and_act

    patch.setattr(index_build, "read_ahead", acting(index_build.read_ahead))
    patch.setattr(index_build, "read_ahead_of_new", acting(index_build.read_ahead_of_new))


# --- what others write between the batches ----------------------------------------------------------------------------

CHANGES = st.tuples(
    st.sampled_from(["insert", "update", "delete", "insert_many", "clear", "upsert"]),
    st.integers(1, 14),
    st.integers(0, 11),
)


@pytest.mark.parametrize("location", [":memory:", "folder"])
@given(
    batches=st.lists(st.lists(CHANGES, max_size=4), max_size=8),
    most_batches=st.sampled_from([1, 2, 4]),
    options=st.sampled_from(
        [
            {"fields": ("n",)},
            {"fields": ("n",), "unique": True},
            {"fields": ("tags",), "unique": True},
            {"fields": ("tags", "n"), "where": where("n") >= 4},
            {"fields": ("n",), "include": "*"},
            {"fields": ("n",), "unique": True, "where": where("n") < 8},
        ]
    ),
)
def test_no_entry_is_lost_or_doubled_whatever_is_written_meanwhile(
    tmp_path_factory: pytest.TempPathFactory,
    location: str,
    batches: list[list[tuple[str, int, int]]],
    most_batches: int,
    options: dict[str, Any],
) -> None:
    place = location if location == ":memory:" else str(tmp_path_factory.mktemp("build") / "database")
    with pytest.MonkeyPatch.context() as patch, MiniDB(place, durability="none") as database:
        patch.setattr(index_build, "BATCH_ROWS", 3)
        patch.setattr(index_build, "FEW_BATCHES", 1)
        patch.setattr(index_build, "MOST_BATCHES", most_batches)
        rows = database.table("rows", ROWS)
        rows.insert_many({"n": n, "tags": [n, n + 20]} for n in range(10))
        remaining = iter(batches)
        after_reading_ahead(patch, lambda: write(0, 0))

        def write(_: int, __: int) -> None:
            for change, row_id, n in next(remaining, []):
                columns = {"n": n, "tags": [n, n + 20]}
                try:
                    if change == "insert":
                        rows.insert(columns)
                    elif change == "insert_many":
                        rows.insert_many([columns, {"n": None, "tags": None}, {**columns, "n": n + 100, "tags": []}])
                    elif change == "clear":
                        rows.clear()
                    elif row_id in rows and change == "delete":
                        rows.delete(row_id)
                    elif row_id in rows:
                        rows.update(row_id, **columns)
                except UniqueViolationError:
                    pass  # the index refuses what it can see
            check_consistency(database)

        fields = options["fields"]
        others = {key: value for key, value in options.items() if key != "fields"}
        try:
            database.create_index("rows", *fields, progress=write, **others)
        except UniqueViolationError:
            assert database.indexes("rows") == []
        else:
            assert [index.is_building for index in database.indexes("rows")] == [False]
        check_consistency(database)
        assert database.verify().ok


@pytest.mark.usefixtures("small_batches")
def test_an_equal_value_of_a_row_that_is_yet_to_come_ends_a_unique_index(many: MiniDB) -> None:
    rows = many.get_table("rows")

    def write(done: int, _: int) -> None:
        if done == 3:
            rows.insert({"n": 8})  # equal to that of row 9

    with pytest.raises(UniqueViolationError) as caught:
        many.create_index("rows", "n", unique=True, progress=write)
    assert (caught.value.index, caught.value.value) == ("n", 8)
    assert many.indexes("rows") == []
    assert rows.count() == 11
    rows.insert({"n": 8})
    assert many.verify().ok


def test_a_row_that_is_yet_to_come_takes_nothing_from_one_that_has_its_value(many: MiniDB) -> None:
    rows = many.get_table("rows")

    def write(done: int, _: int) -> None:
        if done == 3:
            rows.insert({"n": 8})
            rows.insert({"n": 7})
            rows.update(9, n=100)
            rows.delete(8)

    many.create_index("rows", "n", unique=True, progress=write)
    check_consistency(many)
    assert [many.query_by_index("rows", "n", n)[0].id for n in (8, 7, 100)] == [11, 12, 9]


def test_a_unique_index_refuses_what_it_can_see_while_it_is_built(many: MiniDB) -> None:
    rows = many.get_table("rows")

    def write(done: int, _: int) -> None:
        if done == 3:
            with pytest.raises(UniqueViolationError):
                rows.insert({"n": 0})

    many.create_index("rows", "n", unique=True, progress=write)


# --- entries that are made ahead --------------------------------------------------------------------------------------


@pytest.fixture(params=[":memory:", "folder"])
def hundred(request: pytest.FixtureRequest, database_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MiniDB]:
    """A database of one writer with a hundred rows, in batches of three, of which sixteen are made ahead."""
    monkeypatch.setattr(index_build, "BATCH_ROWS", 3)
    monkeypatch.setattr(index_build, "FEW_BATCHES", 1)
    monkeypatch.setattr(index_build, "MOST_BATCHES", 16)
    with MiniDB(request.param if request.param == ":memory:" else database_path, durability="none") as database:
        database.table("rows", ROWS).insert_many({"n": n, "tags": [n, n + 1]} for n in range(100))
        yield database
        check_consistency(database)
        assert database.verify().ok


@pytest.fixture
def steps() -> list[int]:
    """How many rows each transaction has done, with those before it."""
    return []


def tell(told: list[int]) -> Progress:
    return lambda done, _: told.append(done)


def test_a_table_at_rest_has_its_index_in_few_transactions(hundred: MiniDB, steps: list[int]) -> None:
    hundred.create_index("rows", "n", unique=True, progress=tell(steps))
    assert steps == [48, 96, 100]


def test_what_is_written_meanwhile_makes_what_was_made_ahead_worthless(
    hundred: MiniDB, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = hundred.get_table("rows")
    changes: Iterator[Callable[[], object]] = iter(
        [lambda: rows.update(2, n=-2), lambda: rows.delete(7), lambda: rows.insert({"n": 1000})]
    )
    after_reading_ahead(monkeypatch, lambda: [change() for change in itertools.islice(changes, 1)])
    hundred.create_index("rows", "n", progress=tell(steps))
    # Thrown away three times, and fewer were made ahead the next time; then twice as many each time.
    assert steps == [3, 6, 9, 15, 27, 51, 99, 100]
    assert [hundred.query_by_index("rows", "n", n) for n in (1, 6)] == [[], []]
    assert [row.id for row in hundred.query_by_index("rows", "n", -2)] == [2]
    assert [row.id for row in hundred.query_by_index("rows", "n", 1000)] == [101]


def test_entries_made_ahead_that_repeat_end_a_unique_index(hundred: MiniDB, steps: list[int]) -> None:
    hundred.get_table("rows").update(40, n=5)
    with pytest.raises(UniqueViolationError) as caught:
        hundred.create_index("rows", "n", unique=True, progress=tell(steps))
    assert (caught.value.value, caught.value.id) == (5, 6)
    assert (steps, hundred.indexes("rows")) == ([], [])


def test_entries_made_ahead_that_repeat_earlier_ones_end_a_unique_index(hundred: MiniDB, steps: list[int]) -> None:
    hundred.get_table("rows").update(70, n=5)
    with pytest.raises(UniqueViolationError) as caught:
        hundred.create_index("rows", "n", unique=True, progress=tell(steps))
    assert (caught.value.value, caught.value.id) == (5, 6)
    assert (steps, hundred.indexes("rows")) == ([48], [])


def test_two_that_make_the_same_entries_ahead_write_them_once(
    hundred: MiniDB, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[threading.Thread] = []

    def build_another() -> None:
        if hundred.indexes("rows") and not others:
            others.append(threading.Thread(target=lambda: hundred.create_index("rows", "n", progress=tell(steps))))
            others[0].start()
            others[0].join(30)

    after_reading_ahead(monkeypatch, build_another)
    hundred.create_index("rows", "n", progress=tell(steps))
    assert steps == [48, 96, 100]


def test_what_was_made_ahead_is_worthless_in_a_database_that_is_put_in_the_place(
    hundred: MiniDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, backup = hundred.get_table("rows"), tmp_path / "backup"
    hundred.backup(backup)
    for number in range(50):
        rows.update(2, n=-number)

    def state() -> int | None:
        with hundred.begin_transaction(read_only=True) as transaction:
            return transaction.bytes.state_id

    def read_and_restore(*arguments: Any) -> index_build.Ahead | None:  # Any: passed on
        ahead, number = read_first(*arguments), state()
        assert ahead is not None
        hundred.restore_from(backup)
        for _ in range(50):
            if state() != number:
                rows.update(3, n=2)
        assert state() == number
        return ahead

    read_first = api_index._read_first
    monkeypatch.setattr(api_index, "_read_first", read_and_restore)
    hundred.create_index("rows", "n")
    assert [row.id for row in hundred.query_by_index("rows", "n", 1)] == [2]
    assert hundred.query_by_index("rows", "n", -49) == []


CHANGE = """
import sys
from minidb import MiniDB
with MiniDB(sys.argv[1], durability="none") as db:
    rows = db.get_table("rows")
    rows.update(int(sys.argv[2]), n=-int(sys.argv[2]))
    rows.delete(int(sys.argv[2]) + 1)
"""


def test_what_another_process_writes_meanwhile_makes_what_was_made_ahead_worthless(
    database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = iter([10, 20])
    told: list[int] = []

    def change() -> None:
        for row_id in itertools.islice(changed, 1):
            subprocess.run([sys.executable, "-c", CHANGE, database_path, str(row_id)], check=True)

    after_reading_ahead(monkeypatch, change)
    with MiniDB(database_path, durability="none") as database:
        database.table("rows", ROWS).insert_many({"n": n} for n in range(6_000))
        database.create_index("rows", "n", progress=tell(told))
        assert told == [4_000, 5_998]
        assert [database.query_by_index("rows", "n", n) for n in (9, 10, 19, 20)] == [[], [], [], []]
        check_consistency(database)


# --- left, resumed, dropped -------------------------------------------------------------------------------------------


def test_a_build_goes_on_where_it_was_left(many: MiniDB) -> None:
    left_half_way(many, "n")
    rows = many.get_table("rows")
    rows.insert({"n": 1})
    rows.delete(2)
    with pytest.raises(IndexNotFoundError):
        rows.find(n=1, require_index=True).all()
    told: list[int] = []
    many.create_index("rows", "n", progress=lambda done, _: told.append(done))
    assert told[0] > 6
    assert [row.id for row in rows.find(n=1, require_index=True)] == [11]
    check_consistency(many)


def test_another_index_of_its_name_is_refused_while_one_is_built(many: MiniDB) -> None:
    left_half_way(many, "n")
    with pytest.raises(IndexExistsError):
        many.create_index("rows", "n", unique=True, name="n", where=where("n") > 1)
    many.drop_index("rows", "n")
    assert many.indexes("rows") == []
    assert many.verify().ok
    many.create_index("rows", "n", unique=True)


def test_an_index_in_a_transaction_is_whole_though_one_was_left_half_way(
    many: MiniDB,
) -> None:
    left_half_way(many, "n")
    with many.begin_transaction():
        many.create_index("rows", "n")
        assert many.get_table("rows").find(n=9, require_index=True).count() == 1
    assert [index.is_building for index in many.indexes("rows")] == [False]


def test_a_schema_that_asks_for_the_index_builds_it_to_its_end(many: MiniDB) -> None:
    left_half_way(many, "n")
    rows = many.table("rows", Schema(n=IntegerField(index=True), tags=ListField(IntegerField())))
    assert rows.find(n=9, require_index=True).count() == 1


def test_a_unique_index_takes_the_place_of_one_that_is_not(many: MiniDB) -> None:
    many.create_index("rows", "n")
    unique = Schema(n=IntegerField(unique=True), tags=ListField(IntegerField()))
    rows = many.table("rows", unique)
    assert [(index.name, index.unique) for index in many.indexes("rows")] == [("n", True)]
    with pytest.raises(UniqueViolationError):
        rows.insert({"n": 5})
    many.drop_index("rows", "n")
    rows.insert({"n": 5})
    many.create_index("rows", "n")
    with pytest.raises(UniqueViolationError):
        many.table("rows", unique)
    assert [(index.name, index.unique) for index in many.indexes("rows")] == [("n", False)]
    assert rows.find(n=5, require_index=True).count() == 2
    with pytest.raises(IndexExistsError):
        many.create_index("rows", "n", unique=True)


def test_what_happens_to_the_table_meanwhile_is_borne(many: MiniDB) -> None:
    def change(done: int, _: int) -> None:
        if done == 3:
            many.rename_table("rows", "lines")
            many.table(
                "lines",
                Schema(m=IntegerField(renamed_from="n"), tags=ListField(IntegerField()), x=StringField(default="y")),
            )
        if done == 6:
            many.get_table("lines").insert({"m": 77})

    many.create_index("rows", "n", progress=change)
    assert [(index.name, index.fields) for index in many.indexes("lines")] == [("m", ("m",))]
    assert many.get_table("lines").find(m=77, require_index=True).one().x == "y"


def test_integers_that_become_floats_meanwhile_have_their_index(many: MiniDB) -> None:
    def change(done: int, _: int) -> None:
        if done == 3:
            many.table("rows", Schema(n=FloatField(), tags=ListField(IntegerField())))

    many.create_index("rows", "n", progress=change)
    assert [index.is_building for index in many.indexes("rows")] == [False]
    assert many.get_table("rows").find(n=5.0, require_index=True).count() == 1


def test_integers_become_floats_where_the_last_rows_have_no_entries(
    many: MiniDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    many.create_index("rows", "n", name="few", where=where("tags").contains(1))
    many.create_index("rows", "n", name="all")
    monkeypatch.setattr(write_buffer, "DIRECT_PAIRS", 1)
    many.table("rows", Schema(n=FloatField(), tags=ListField(IntegerField())))
    assert many.verify().ok
    assert many.get_table("rows").find(n=5.0, require_index=True).count() == 1


@pytest.mark.parametrize("what", ["index", "table"])
def test_an_index_that_is_dropped_meanwhile_is_not_built(many: MiniDB, what: str) -> None:
    def drop(done: int, _: int) -> None:
        if done == 3:
            if what == "index":
                many.drop_index("rows", "n")
            else:
                many.drop_table("rows")

    with pytest.raises(IndexNotFoundError, match="dropped while it was being built"):
        many.create_index("rows", "n", progress=drop)
    assert many.verify().ok


def test_a_build_that_waits_too_long_for_its_turn_can_be_resumed(database_path: Path, small_batches: None) -> None:  # noqa: ARG001  # it changes what is tested
    with MiniDB(database_path, durability="none", write_timeout_s=0.2) as database:
        rows = database.table("rows", ROWS)
        rows.insert_many({"n": n} for n in range(10))
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with database.begin_transaction():
                held.set()
                done.wait(30)

        holder = threading.Thread(target=hold)

        def wait(rows_done: int, _: int) -> None:
            if rows_done == 6:
                holder.start()
                held.wait(30)

        with pytest.raises(WriteTimeoutError):
            database.create_index("rows", "n", progress=wait)
        done.set()
        holder.join(30)
        database.create_index("rows", "n")
        assert rows.find(n=9, require_index=True).count() == 1
        check_consistency(database)


def test_two_that_build_the_same_index_share_the_work(many: MiniDB) -> None:
    others: list[threading.Thread] = []

    def begin_another(_: int, __: int) -> None:
        if not others:
            others.append(threading.Thread(target=lambda: many.create_index("rows", "n")))
            others[0].start()
            others[0].join(30)

    many.create_index("rows", "n", progress=begin_another)
    assert not others[0].is_alive()
    assert [index.is_building for index in many.indexes("rows")] == [False]


# --- verify, dump -----------------------------------------------------------------------------------------------------


def test_verify_knows_an_index_that_is_being_built(many: MiniDB) -> None:
    left_half_way(many, "n")
    report = many.verify()
    assert report.ok
    assert report.building.keys() == {"rows.n"}
    assert "still being built: rows.n" in str(report)


def test_an_entry_that_no_row_has_is_found_in_an_index_that_is_being_built(
    many: MiniDB,
) -> None:
    left_half_way(many, "n")
    transaction = many.engine.begin_write(1)
    (index,) = many.catalog_of(transaction).table("rows").written_indexes
    stray, _ = index.entry((12345,), b"\x31\x05")
    transaction.put_many(index.space, {stray: b""})
    transaction.commit()
    transaction.close()
    report = many.verify()
    assert [finding.code for finding in report.findings] == ["entry-stray"]
    with pytest.raises(InconsistentError):
        check_consistency(many)
    many.drop_index("rows", "n")


def test_an_index_of_the_same_name_on_another_table_is_not_taken_for_it(many: MiniDB) -> None:
    others = many.create_table("a table before it", ROWS)
    others.insert({"n": 1})
    many.create_index("a table before it", "n")
    many.create_index("rows", "n")
    assert not any(index.is_building for index in many.indexes("rows"))
    assert many.get_table("rows").find(n=9, require_index=True).count() == 1


def test_a_dump_leaves_out_an_index_that_is_being_built(many: MiniDB, tmp_path: Path) -> None:
    left_half_way(many, "n")
    many.dump(tmp_path / "dump")
    MiniDB.load(tmp_path / "dump", tmp_path / "loaded")
    with MiniDB(tmp_path / "loaded") as loaded:
        assert loaded.indexes("rows") == []
        assert loaded.verify().ok


def test_a_backup_holds_it_as_it_is(many: MiniDB, tmp_path: Path) -> None:
    left_half_way(many, "n")
    many.backup(tmp_path / "backup")
    MiniDB.restore(tmp_path / "backup", tmp_path / "restored")
    with MiniDB(tmp_path / "restored") as restored:
        restored.create_index("rows", "n")
        assert restored.get_table("rows").find(n=9, require_index=True).count() == 1
        check_consistency(restored)


# --- threads, processes, kill -9 --------------------------------------------------------------------------------------


def numbers() -> Iterator[int]:
    return itertools.count(1_000_000)


@pytest.mark.parametrize("most_batches", [1, 8])
@pytest.mark.usefixtures("small_batches")
def test_threads_that_write_meanwhile_lose_and_double_nothing(
    database: MiniDB, most_batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_build, "MOST_BATCHES", most_batches)
    rows = database.table("rows", ROWS)
    rows.insert_many({"n": n, "tags": [n]} for n in range(90))
    fresh, lock, over = numbers(), threading.Lock(), threading.Event()
    failures: list[BaseException] = []

    def write(seed: int) -> None:
        chance = random.Random(seed)
        try:
            while not over.is_set():
                with lock:
                    n = next(fresh)
                row_id = rows.insert({"n": n, "tags": [n]})
                if chance.random() < 0.5:
                    rows.update(row_id, n=-n)
                if chance.random() < 0.3:
                    rows.delete(row_id)
        except BaseException as error:  # noqa: BLE001  # told to the test
            failures.append(error)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
    for writer in writers:
        writer.start()
    try:
        database.create_index("rows", "n", unique=True)
        database.create_index("rows", "tags")
    finally:
        over.set()
        for writer in writers:
            writer.join(60)
    assert not failures
    check_consistency(database)


WRITER = """
import sys
from minidb import MiniDB
with MiniDB(sys.argv[1], durability="none") as db:
    rows = db.get_table("rows")
    print("ready", flush=True)
    n = int(sys.argv[2])
    while True:
        row_id = rows.insert({"n": n, "tags": [n]})
        rows.update(row_id, n=n + 1)
        rows.delete(row_id) if n % 6 == 0 else None
        n += 2
"""


def begin(program: str, *arguments: object) -> subprocess.Popen[str]:
    started = subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=60)


def test_another_process_that_writes_meanwhile_loses_and_doubles_nothing(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        rows = database.table("rows", ROWS)
        rows.insert_many({"n": -n, "tags": [n]} for n in range(20_000))
        writer = begin(WRITER, database_path, 1)
        try:
            database.create_index("rows", "n", unique=True)
        finally:
            kill(writer)
        assert rows.count() > 20_000
        check_consistency(database)
        assert database.verify().ok


BUILDER = """
import os, random, signal, sys
from minidb import MiniDB
from minidb.engines.port import WriteTransaction
from minidb.tables import index_build

index_build.BATCH_ROWS = 20
index_build.FEW_BATCHES = 1
index_build.MOST_BATCHES = 3
die_at = int(sys.argv[2])
begun = 0

def dying(original):
    def call(*arguments, **named):
        global begun
        begun += 1
        if begun == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)
    return call

with MiniDB(sys.argv[1]) as db:
    print("ready", flush=True)
    engine_begin = db.engine.begin_write
    def begin_write(*arguments):
        transaction = engine_begin(*arguments)
        transaction.commit = dying(transaction.commit)
        transaction.put_many = dying(transaction.put_many)
        transaction.put_sorted = dying(transaction.put_sorted)
        return transaction
    db.engine.begin_write = begin_write
    db.create_index("rows", "n", unique=True)
print("done")
"""


@pytest.mark.slow
def test_a_build_that_is_killed_anywhere_is_resumed_by_the_next_one(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        database.table("rows", ROWS).insert_many({"n": n, "tags": [n]} for n in range(500))
    died = 0
    for die_at in (1, 2, 3, 4, 7, 8, 9, 12, 1_000):
        builder = subprocess.run(
            [sys.executable, "-c", BUILDER, database_path, str(die_at)], capture_output=True, text=True, check=False
        )
        with MiniDB(database_path, durability="none") as database:
            check_consistency(database)
            assert database.verify().ok
            rows = database.get_table("rows")
            assert rows.count() == 500 + died
            states = [index.is_building for index in database.indexes("rows")]
            if builder.returncode == 0:
                assert states == [False]
                assert rows.find(n=499, require_index=True).count() == 1
                break
            assert builder.returncode == -signal.SIGKILL, builder.stderr
            assert states in ([], [True])
            rows.insert({"n": 1_000 + died})
            died += 1
    else:
        raise AssertionError("the last one should have lived")
    assert died > 4
