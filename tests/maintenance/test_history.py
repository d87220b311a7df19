"""A history leads from a backup to any commit after it, and what does not belong together is refused."""

from __future__ import annotations

import datetime
import io
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.test_index_build import left_half_way
from tests.maintenance.conftest import fill, names_in

from minidb import MiniDB
from minidb.encoding.changes import StoredChanges, encode_changes
from minidb.encoding.pairs import encode_pairs
from minidb.exceptions import BackupError, InvalidOptionError, UniqueViolationError, UsageError
from minidb.maintenance.backup_format import Reader, Writer, read_manifest
from minidb.maintenance.contents import Contents
from minidb.maintenance.manifest import Manifest
from minidb.schema import IntegerField, Schema, StringField
from minidb.tables import history, index_build
from minidb.tables.history import HISTORY, Chain, Point, next_chain, record_key

UTC = datetime.UTC


def dumped(database: MiniDB) -> bytes:
    target = io.BytesIO()
    database.dump(target)
    return target.getvalue()


def restored(source: Any, path: Path, **options: Any) -> bytes:
    """Restore, examine what came of it, and return its dump."""
    MiniDB.restore(source, path, **options)
    with MiniDB(path, create=False) as copy:
        assert copy.verify().findings == []
        found = dumped(copy)
    shutil.rmtree(path)
    return found


def paths(*manifests: Manifest) -> list[str]:
    return [str(manifest.path) for manifest in manifests]


def newest(database: MiniDB) -> int:
    kept = database.history()
    assert kept is not None
    return kept.commit


@pytest.fixture
def keeping(database: MiniDB) -> MiniDB:
    """A database of each kind that keeps a history from now on."""
    database.start_history()
    return database


@pytest.fixture
def keeping_folder(folder_database: MiniDB) -> MiniDB:
    folder_database.start_history()
    return folder_database


# --- each commit ------------------------------------------------------------------------------------------------------


def everything(database: MiniDB) -> Iterator[None]:
    """Change a database in every way, one commit at a time."""
    people = database.get_table("people")
    people.insert({"name": "new", "email": "new@example.org"})
    yield
    people.update(1, name="other", email=None)
    yield
    people.delete(2)
    yield
    database.create_index("people", "age")
    yield
    people.insert_many({"name": f"many {number}"} for number in range(2500))
    yield
    database.rename_table("people", "persons")
    yield
    with database.begin_transaction():
        persons = database.get_table("persons")
        persons.update(1, age=3)
        database.create_table("made", Schema(key=StringField(primary_key=True), number=IntegerField(index=True)))
        database.get_table("made").insert({"key": "a", "number": 1})
        database.drop_index("persons", "role")
    yield
    database.get_table("made").upsert({"key": "a", "number": 2})
    yield
    database.mapping("cache")["new"] = {"a": 1}
    yield
    with database.begin_transaction():
        database.mapping("cache").clear()
        database.mapping("cache")["after"] = 1
    yield
    database.drop_mapping("cache")
    yield
    database.get_table("persons").clear()
    yield
    assert database.get_table("persons").insert({"name": "after"}) > 2800
    yield
    with database.begin_transaction():
        database.drop_table("persons")
        database.create_table("persons").insert({"any": 1})
    yield
    with database.begin_transaction():
        database.create_table("short").insert({"a": 1})
        database.drop_table("short")
    yield


def test_each_commit_can_be_restored(keeping: MiniDB, tmp_path: Path) -> None:
    """Whatever a commit changed, rows or tables: the database ends with it as it was then."""
    whole = keeping.backup(tmp_path / "whole.minidb")
    states = {newest(keeping): dumped(keeping)}
    for _ in everything(keeping):
        states[newest(keeping)] = dumped(keeping)
    assert len(states) == 16
    rest = keeping.backup(tmp_path / "rest.minidb", since=whole)
    for number, state in states.items():
        assert restored(paths(whole, rest), tmp_path / "copy", at=number) == state
    assert restored(paths(whole, rest), tmp_path / "copy") == dumped(keeping)


def test_transactions_too_large_for_memory_are_restored(keeping_folder: MiniDB, tmp_path: Path) -> None:
    keeping_folder.engine._spill_bytes = 20_000  # type: ignore[attr-defined]  # LMDB's
    whole = keeping_folder.backup(tmp_path / "whole.minidb")
    notes = keeping_folder.get_table("notes")
    states = []
    for number in range(3):
        with keeping_folder.begin_transaction():
            notes.insert_many({"text": f"{number} {one}" * 10} for one in range(3000))
            notes.update(1, text=str(number))
            notes.delete_many(range(10 * number + 5, 10 * number + 10))
        notes.insert({"text": "between"})
        states.append((newest(keeping_folder), dumped(keeping_folder)))
    assert newest(keeping_folder) == 6
    rest = keeping_folder.backup(tmp_path / "rest.minidb", since=whole)
    assert rest.spaces[HISTORY] > 20  # parts
    for number, state in states:
        assert restored(paths(whole, rest), tmp_path / "copy", at=number) == state
        restored(paths(whole, rest), tmp_path / "copy", at=number - 1)
    assert keeping_folder.verify().ok


def test_a_large_transaction_that_is_rolled_back_leaves_no_trace(keeping_folder: MiniDB) -> None:
    keeping_folder.engine._spill_bytes = 20_000  # type: ignore[attr-defined]  # LMDB's
    with pytest.raises(ZeroDivisionError), keeping_folder.begin_transaction():
        keeping_folder.get_table("notes").insert_many({"text": "x" * 100} for _ in range(3000))
        _ = 1 / 0
    assert newest(keeping_folder) == 0
    assert keeping_folder.verify().ok


def test_what_changes_nothing_is_no_commit(keeping: MiniDB) -> None:
    people = keeping.get_table("people")
    people.insert({"name": "one"})
    with pytest.raises(UniqueViolationError):
        people.insert({"name": "two", "email": "p1@example.org"})
    with pytest.raises(ZeroDivisionError), keeping.begin_transaction():
        people.insert({"name": "two"})
        _ = 1 / 0
    with keeping.begin_transaction():
        people.query(1)
    assert newest(keeping) == 1
    with keeping.begin_transaction():
        people.insert({"name": "kept"})
        with pytest.raises(ZeroDivisionError), keeping.begin_transaction():
            people.insert({"name": "undone"})
            _ = 1 / 0
    assert newest(keeping) == 2
    assert keeping.verify().ok


def test_a_database_object_that_was_open_before_keeps_the_history_too(
    folder_database: MiniDB, database_path: Path
) -> None:
    with MiniDB(database_path, durability="none") as other:
        other.get_table("notes").insert({"before": 1})
        folder_database.start_history()
        other.get_table("notes").insert({"after": 1})
        assert newest(folder_database) == 1
        folder_database.stop_history()
        other.get_table("notes").insert({"later": 1})
        assert other.history() is None
        assert other.verify().ok


def test_a_schema_that_is_attached_does_not_end_the_history(keeping: MiniDB) -> None:
    """The catalog that a program changes by itself goes on keeping it."""
    keeping.create_table("typed", Schema(a=IntegerField()))
    keeping.table("typed", Schema(a=IntegerField()))
    before = newest(keeping)
    with keeping.begin_transaction():
        keeping.create_table("typed", Schema(a=IntegerField()), if_not_exists=True)
        keeping.get_table("typed").insert({"a": 1})
    keeping.get_table("typed").insert({"a": 2})
    assert newest(keeping) == before + 2


def test_an_index_that_is_being_built_is_forgotten_by_a_restore(
    keeping: MiniDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for it again begins anew: before the backup or in an increment, to its end or half way."""
    monkeypatch.setattr(index_build, "BATCH_ROWS", 3)
    monkeypatch.setattr(index_build, "FEW_BATCHES", 1)
    monkeypatch.setattr(index_build, "MOST_BATCHES", 1)
    keeping.create_table("rows").insert_many({"n": number} for number in range(10))
    before = keeping.backup(tmp_path / "before.minidb")
    left_half_way(keeping, "n")
    half = keeping.backup(tmp_path / "half.minidb")
    keeping.get_table("rows").insert({"n": 11})
    keeping.create_index("rows", "n")
    rest = keeping.backup(tmp_path / "rest.minidb", since=before)
    later = keeping.backup(tmp_path / "later.minidb", since=half)
    for sources in (paths(half), paths(before, rest), paths(half, later)):
        for at in {half.commit, rest.commit if len(sources) > 1 else half.commit}:
            MiniDB.restore(sources, tmp_path / "copy", at=at)
            with MiniDB(tmp_path / "copy", create=False) as copy:
                assert copy.verify().findings == []
                assert [index.name for index in copy.indexes("rows")] == (["n"] if at == rest.commit else [])
                copy.create_index("rows", "n", if_not_exists=True)
                assert copy.verify().ok
            shutil.rmtree(tmp_path / "copy")
    report = keeping.verify(repair=tmp_path / "copy")
    assert report.salvaged is not None
    assert report.salvaged.is_whole


# --- under load -------------------------------------------------------------------------------------------------------


def run_load(database: MiniDB, during: Callable[[], None]) -> list[tuple[float, float, str]]:
    """Run four threads that move amounts; return when each move began and was acknowledged, and its token."""
    accounts = database.create_table("accounts")
    ids = list(accounts.insert_many({"balance": 100} for _ in range(8)))
    ledger = database.create_table("ledger")
    stop = threading.Event()
    moves: list[tuple[float, float, str]] = []

    def move(seed: int) -> None:
        chance = random.Random(seed)
        number = 0
        while not stop.is_set():
            one, other = chance.sample(ids, 2)
            amount = chance.randrange(1, 10)
            number += 1
            began = time.time()
            with database.begin_transaction():
                accounts.update(one, balance=accounts.query(one)["balance"] - amount)
                ledger.insert({"token": f"{seed}-{number}", "from": one, "to": other, "amount": amount})
                accounts.update(other, balance=accounts.query(other)["balance"] + amount)
            moves.append((began, time.time(), f"{seed}-{number}"))

    threads = [threading.Thread(target=move, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    try:
        during()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return moves


def tokens_in(path: Path) -> set[str]:
    """Return the tokens of the moves that a restored database has, which must agree with its balances."""
    with MiniDB(path, create=False) as copy:
        assert copy.verify().ok
        entries = list(copy.get_table("ledger").scan())
        balances = {row.id: 100 for row in copy.get_table("accounts").scan()}
        for entry in entries:
            balances[entry["from"]] -= entry["amount"]
            balances[entry["to"]] += entry["amount"]
        assert {row.id: row["balance"] for row in copy.get_table("accounts").scan()} == balances
    return {entry["token"] for entry in entries}


def test_a_restore_to_a_moment_under_load_has_what_was_committed_by_then(
    keeping_folder: MiniDB, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"

    def back_up() -> None:
        keeping_folder.backup(folder, incremental=True)
        for _ in range(4):
            time.sleep(0.05)
            keeping_folder.backup(folder, incremental=True)

    moves = run_load(keeping_folder, back_up)
    last = keeping_folder.backup(folder, incremental=True).committed_at
    assert len(names_in(folder)) == 6
    first = read_manifest(min(folder.iterdir())).committed_at
    assert first is not None
    assert last is not None
    begin, end = first.timestamp(), last.timestamp()
    for share in (0.1, 0.35, 0.5, 0.8, 0.99):
        moment = begin + share * (end - begin)
        MiniDB.restore(folder, tmp_path / "copy", at=datetime.datetime.fromtimestamp(moment, UTC))
        found = tokens_in(tmp_path / "copy")
        assert found >= {token for _, acknowledged, token in moves if acknowledged < moment}
        assert not found & {token for began, _, token in moves if began > moment}
        shutil.rmtree(tmp_path / "copy")


def test_each_commit_under_load_is_one_more_move(keeping_folder: MiniDB, tmp_path: Path) -> None:
    whole = keeping_folder.backup(tmp_path / "whole.minidb")
    moves = run_load(keeping_folder, lambda: time.sleep(0.2))
    rest = keeping_folder.backup(tmp_path / "rest.minidb", since=whole)
    made = 3  # commits before the moves: two tables, and the rows of one
    assert rest.commit == made + len(moves)
    sizes = []
    for number in (made, made + 1, made + 2, made + len(moves) // 2, made + len(moves)):
        MiniDB.restore(paths(whole, rest), tmp_path / "copy", at=number)
        sizes.append(len(tokens_in(tmp_path / "copy")) + made == number)
        shutil.rmtree(tmp_path / "copy")
    assert all(sizes)


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_clock_that_goes_back_counts_as_one_that_stands_still(
    keeping: MiniDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [2_000_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: now[0] * 1_000_000_000)
    notes = keeping.get_table("notes")
    whole = keeping.backup(tmp_path / "whole.minidb")
    states = []
    for moment in (2_000_000_000, 2_000_000_100, 2_000_000_050, 1_000_000_000, 2_000_000_200):
        now[0] = moment
        notes.insert({"at": moment})
        kept = keeping.history()
        assert kept is not None
        states.append((kept.committed_at, dumped(keeping)))
    moments = [moment for moment, _ in states]
    assert moments == sorted(set(moments))
    assert moments[3] - moments[1] == datetime.timedelta(microseconds=2)
    rest = keeping.backup(tmp_path / "rest.minidb", since=whole)
    for committed_at, state in states:
        assert restored(paths(whole, rest), tmp_path / "copy", at=committed_at) == state
    before_last = datetime.datetime.fromtimestamp(2_000_000_199, UTC)
    assert restored(paths(whole, rest), tmp_path / "copy", at=before_last) == states[3][1]


def test_a_quiet_database_is_restored_to_the_moment_of_its_newest_backup(keeping: MiniDB, tmp_path: Path) -> None:
    whole = keeping.backup(tmp_path / "whole.minidb")
    keeping.get_table("notes").insert({"a": 1})
    time.sleep(1.1)  # times of backups are in whole seconds
    rest = keeping.backup(tmp_path / "rest.minidb", since=whole)
    at = datetime.datetime.fromisoformat(rest.created_at)
    assert restored(paths(whole, rest), tmp_path / "copy", at=at) == dumped(keeping)
    with pytest.raises(BackupError, match="reach no further"):
        MiniDB.restore(paths(whole, rest), tmp_path / "copy", at=at + datetime.timedelta(seconds=1))


def test_what_lies_before_or_after_the_backups_is_refused(keeping: MiniDB, tmp_path: Path) -> None:
    notes = keeping.get_table("notes")
    notes.insert({"a": 1})
    whole = keeping.backup(tmp_path / "whole.minidb")
    notes.insert({"a": 2})
    rest = keeping.backup(tmp_path / "rest.minidb", since=whole)
    for at in (0, datetime.datetime(2020, 1, 1, tzinfo=UTC)):
        with pytest.raises(BackupError, match="committed later"):
            MiniDB.restore(paths(whole, rest), tmp_path / "copy", at=at)
    for at in (3, datetime.datetime(2100, 1, 1, tzinfo=UTC)):
        with pytest.raises(BackupError, match="reach no further"):
            MiniDB.restore(paths(whole, rest), tmp_path / "copy", at=at)
    assert not (tmp_path / "copy").exists()
    for wrong in (True, -1, "2", 1.5, datetime.datetime(2100, 1, 1)):  # that is what is refused
        with pytest.raises(InvalidOptionError):
            MiniDB.restore(paths(whole, rest), tmp_path / "copy", at=wrong)  # type: ignore[arg-type]  # refused


# --- chains -----------------------------------------------------------------------------------------------------------


def chain_of(database: MiniDB, folder: Path, length: int) -> list[str]:
    """Make a whole backup and increments that follow it, with a commit before each."""
    made: list[Manifest] = []
    for number in range(length):
        database.get_table("notes").insert({"step": number})
        made.append(database.backup(folder / f"{number}.minidb", since=made[-1] if made else None))
    return paths(*made)


def test_gaps_and_wrong_orders_are_refused(keeping: MiniDB, tmp_path: Path) -> None:
    chain = chain_of(keeping, tmp_path, 4)
    for wrong, reason in (
        ([0, 2], "missing"),
        ([0, 1, 3], "missing"),
        ([0, 3], "missing"),
        ([0, 2, 1, 3], "missing"),
        ([1], "must come first"),
        ([1, 2, 3], "must come first"),
        ([0, 0], "whole backup"),
        ([0, 1, 2, 1], "is there already"),
    ):
        with pytest.raises(BackupError, match=reason) as refused:
            MiniDB.restore([chain[place] for place in wrong], tmp_path / "copy")
        assert refused.value.path in chain
        assert not (tmp_path / "copy").exists()
    with pytest.raises(InvalidOptionError):
        MiniDB.restore([], tmp_path / "copy")
    assert restored(chain, tmp_path / "copy") == dumped(keeping)


def test_increments_may_overlap(keeping: MiniDB, tmp_path: Path) -> None:
    chain = chain_of(keeping, tmp_path, 3)
    keeping.get_table("notes").insert({"last": 1})
    long = keeping.backup(tmp_path / "long.minidb", since=chain[0])
    for sources in (
        [*chain, *paths(long, long)],
        [chain[0], *paths(long)],
        [*chain, *paths(long)],
        [*chain[:2], *paths(long)],
    ):
        assert restored(sources, tmp_path / "copy") == dumped(keeping)


def test_backups_of_two_databases_cannot_be_mixed(keeping: MiniDB, tmp_path: Path) -> None:
    chain = chain_of(keeping, tmp_path, 3)
    (tmp_path / "other").mkdir()
    with MiniDB(":memory:") as other:
        fill(other)
        other.start_history()
        others = chain_of(other, tmp_path / "other", 3)
        for mixed in ([chain[0], others[1]], [*chain[:2], others[2]], [others[0], *chain[1:]]):
            with pytest.raises(BackupError, match="another database"):
                MiniDB.restore(mixed, tmp_path / "copy")
        with pytest.raises(BackupError, match="another database"):
            other.backup(tmp_path / "x.minidb", since=chain[2])
    assert not (tmp_path / "x.minidb").exists()


def test_a_restored_database_goes_on_and_one_that_went_on_apart_is_refused(keeping: MiniDB, tmp_path: Path) -> None:
    chain = chain_of(keeping, tmp_path, 2)
    for name in ("first", "second"):
        MiniDB.restore(chain, tmp_path / name)
    with MiniDB(tmp_path / "first") as first, MiniDB(tmp_path / "second") as second:
        made = []
        for database in (first, second):
            database.get_table("notes").insert({"by": database.location})
            made.append(database.backup(f"{database.location}.minidb", since=chain[1]))
        increments = paths(*made)
        assert restored([*chain, increments[0]], tmp_path / "copy") == dumped(first)
        assert restored([*chain, increments[1]], tmp_path / "copy") == dumped(second)
        first.get_table("notes").insert({"more": 1})
        more = first.backup(tmp_path / "more.minidb", since=increments[0])
        with pytest.raises(BackupError, match="another database"):
            MiniDB.restore([*chain, increments[1], *paths(more)], tmp_path / "copy")
        long = first.backup(tmp_path / "long.minidb", since=chain[1])
        with pytest.raises(BackupError, match="another database"):  # though it overlaps
            MiniDB.restore([*chain, increments[1], *paths(long)], tmp_path / "copy")
        with pytest.raises(BackupError, match="another database"):
            second.backup(tmp_path / "x.minidb", since=increments[0])


def test_a_history_that_was_begun_anew_does_not_follow(keeping: MiniDB, tmp_path: Path) -> None:
    whole = keeping.backup(tmp_path / "whole.minidb")
    keeping.stop_history()
    with pytest.raises(BackupError, match="keeps no history"):
        keeping.backup(tmp_path / "x.minidb", since=whole)
    plain = keeping.backup(tmp_path / "plain.minidb")
    keeping.start_history()
    with pytest.raises(BackupError, match="another database"):
        keeping.backup(tmp_path / "x.minidb", since=whole)
    with pytest.raises(BackupError, match="kept no history"):
        keeping.backup(tmp_path / "x.minidb", since=plain)
    rest = keeping.backup(tmp_path / "rest.minidb", since=keeping.backup(tmp_path / "new.minidb"))
    with pytest.raises(BackupError, match="kept no history"):
        MiniDB.restore(paths(plain, rest), tmp_path / "copy")
    with pytest.raises(BackupError, match="kept no history"):
        MiniDB.restore(tmp_path / "plain.minidb", tmp_path / "copy", at=0)


def test_a_trimmed_history_leads_on_from_what_was_kept(keeping: MiniDB, tmp_path: Path) -> None:
    notes = keeping.get_table("notes")
    first = keeping.backup(tmp_path / "first.minidb")
    notes.insert({"a": 1})
    second = keeping.backup(tmp_path / "second.minidb", since=first)
    notes.insert({"a": 2})
    assert second.commit == 1
    assert keeping.trim_history(second.commit) == 1
    assert keeping.trim_history(second.commit) == 0
    kept = keeping.history()
    assert kept is not None
    assert (kept.after, kept.commit, kept.commits) == (1, 2, 1)
    with pytest.raises(BackupError, match="begins after 1"):
        keeping.backup(tmp_path / "x.minidb", since=first)
    third = keeping.backup(tmp_path / "third.minidb", since=second)
    assert restored(paths(first, second, third), tmp_path / "copy") == dumped(keeping)
    assert keeping.trim_history(10**6) == 1
    assert keeping.verify().ok
    notes.insert({"a": 3})
    fourth = keeping.backup(tmp_path / "fourth.minidb", since=third)
    assert restored(paths(first, second, third, fourth), tmp_path / "copy") == dumped(keeping)


def test_a_history_is_trimmed_by_time(keeping: MiniDB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_MOST_TRIMMED", 3)
    for _ in range(10):
        keeping.get_table("notes").insert({})
    middle = keeping.history()
    assert middle is not None
    for _ in range(5):
        keeping.get_table("notes").insert({})
    assert keeping.trim_history(datetime.datetime(2020, 1, 1, tzinfo=UTC)) == 0
    assert keeping.trim_history(middle.committed_at) == 10
    assert keeping.verify().ok
    assert keeping.trim_history(datetime.datetime(2100, 1, 1, tzinfo=UTC)) == 5


def test_the_history_is_asked_for_rightly(database: MiniDB) -> None:
    assert database.history() is None
    with pytest.raises(UsageError, match="keeps no history"):
        database.trim_history(1)
    database.stop_history()
    database.start_history()
    database.start_history()
    with database.begin_transaction():
        for call in (database.start_history, database.stop_history, lambda: database.trim_history(1)):
            with pytest.raises(UsageError, match="inside a transaction"):
                call()
    for wrong in (True, "1", datetime.datetime(2024, 1, 1)):  # that is what is refused
        with pytest.raises(InvalidOptionError):
            database.trim_history(wrong)  # type: ignore[arg-type]  # refused


def test_a_history_outlives_compacting(keeping_folder: MiniDB, tmp_path: Path) -> None:
    whole = keeping_folder.backup(tmp_path / "whole.minidb")
    keeping_folder.get_table("notes").insert({"a": 1})
    keeping_folder.compact()
    keeping_folder.get_table("notes").insert({"a": 2})
    rest = keeping_folder.backup(tmp_path / "rest.minidb", since=whole)
    assert restored(paths(whole, rest), tmp_path / "copy") == dumped(keeping_folder)


def test_a_server_keeps_a_history_too(postgres_url: str, tmp_path: Path) -> None:
    with MiniDB(postgres_url) as database:
        fill(database)
        database.start_history()
        whole = database.backup(tmp_path / "whole.minidb")
        states = {newest(database): dumped(database)}
        for _ in everything(database):
            states[newest(database)] = dumped(database)
        rest = database.backup(tmp_path / "rest.minidb", since=whole)
        assert database.verify().ok
        for number in (0, 7, 13, 15):
            MiniDB.restore(paths(whole, rest), tmp_path / "copy", at=number)
            with MiniDB(tmp_path / "copy") as copy:
                assert copy.verify().ok
                # The ids that a server gives out have gaps, which a dump of it tells of, too.
                assert without_last_ids(dumped(copy)) == without_last_ids(states[number])
            shutil.rmtree(tmp_path / "copy")


def without_last_ids(dump: bytes) -> list[bytes]:
    return [line.partition(b', "last_id"')[0].partition(b',"last_id"')[0] for line in dump.splitlines()]


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_leads_to_any_moment_by_itself(keeping_folder: MiniDB, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    states = {}
    for number in range(7):
        keeping_folder.get_table("notes").insert({"step": number})
        keeping_folder.backup(folder, incremental=number != 4, keep=2)
        states[newest(keeping_folder)] = dumped(keeping_folder)
    kinds = ["increment" in name for name in sorted(names_in(folder))]
    assert kinds == [False, True, True, True, False, True, True]
    for number, state in states.items():
        assert restored(folder, tmp_path / "copy", at=number) == state
    assert restored(folder, tmp_path / "copy") == dumped(keeping_folder)
    next(folder.glob("*-000003-*")).unlink()
    for number in (3, 4):
        with pytest.raises(BackupError, match="missing"):
            MiniDB.restore(folder, tmp_path / "copy", at=number)
    for number in (1, 2, 5, 6, 7):
        assert restored(folder, tmp_path / "copy", at=number) == states[number]


def test_increments_go_with_the_whole_backup_that_they_follow(keeping_folder: MiniDB, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    for number in range(9):
        keeping_folder.get_table("notes").insert({"step": number})
        keeping_folder.backup(folder, incremental=number % 3 != 0, keep=2)
    assert [name.split("-")[1] for name in sorted(names_in(folder))] == [f"{number:06d}" for number in range(4, 10)]
    assert restored(folder, tmp_path / "copy") == dumped(keeping_folder)


def test_folders_that_lead_nowhere_are_refused(keeping_folder: MiniDB, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackupError, match="no backup in the folder"):
        MiniDB.restore(tmp_path / "empty", tmp_path / "copy")
    folder = tmp_path / "backups"
    keeping_folder.get_table("notes").insert({})
    keeping_folder.backup(folder, incremental=True)
    with pytest.raises(BackupError, match="as old as that"):
        MiniDB.restore(folder, tmp_path / "copy", at=0)
    with MiniDB(":memory:") as other:
        other.backup(folder)
    with pytest.raises(BackupError, match="of 2 databases"):
        MiniDB.restore(folder, tmp_path / "copy")
    for target in (io.BytesIO(), folder / next(iter(names_in(folder)))):
        with pytest.raises(InvalidOptionError, match="folder"):
            keeping_folder.backup(target, incremental=True)
    assert not (tmp_path / "copy").exists()


def test_a_first_incremental_backup_of_a_database_without_history_is_whole(database: MiniDB, tmp_path: Path) -> None:
    assert not database.backup(tmp_path / "backups", incremental=True).is_increment
    with pytest.raises(BackupError, match="kept no history"):
        database.backup(tmp_path / "backups", incremental=True)


# --- damaged and hostile increments -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain_bytes() -> tuple[bytes, bytes]:
    """A whole backup and its increment."""
    with MiniDB(":memory:") as database:
        fill(database)
        database.start_history()
        parts = [io.BytesIO(), io.BytesIO()]
        whole = database.backup(parts[0])
        for _ in everything(database):
            pass
        database.backup(parts[1], since=whole)
        return parts[0].getvalue(), parts[1].getvalue()


def restore_both(whole: bytes, increment: bytes, path: Path) -> Manifest:
    return MiniDB.restore([io.BytesIO(whole), io.BytesIO(increment)], path)


def test_cut_and_flipped_increments_are_refused(chain_bytes: tuple[bytes, bytes], tmp_path: Path) -> None:
    whole, increment = chain_bytes
    for size in (0, 10, 300, 512, len(increment) // 2, len(increment) - 1):
        with pytest.raises(BackupError, match="damaged at byte"):
            restore_both(whole, increment[:size], tmp_path / "copy")
    chance = random.Random(20261123)
    for _ in range(20):
        spoilt = bytearray(increment)
        spoilt[chance.randrange(len(increment))] ^= 1 << chance.randrange(8)
        with pytest.raises(BackupError, match="damaged at byte"):
            restore_both(whole, bytes(spoilt), tmp_path / "copy")
    assert names_in(tmp_path) == set()
    restore_both(whole, increment, tmp_path / "copy")  # the control


START = Point(0, 1_000_000, Chain(b"c" * 16))


def forged(
    changes: list[StoredChanges],
    *,
    keys: list[bytes] | None = None,
    since: Point | None = None,
    until: Point | None = None,
    chain: bytes | None = None,
    contents: Contents | None = None,
) -> bytes:
    """Make an increment with right checksums, and right chains, of whatever changes."""
    since = START if since is None else since
    last, pairs = since.chain, []
    for number, one in enumerate(changes, since.number + 1):
        data = encode_changes(one)
        last = next_chain(last, data) if chain is None else Chain(chain)
        pairs.append((record_key(number) if keys is None else keys[number - since.number - 1], last + data))
    if until is None:
        until = Point(since.number + len(changes), changes[-1].time_us if changes else since.time_us, last)
    manifest = Manifest(
        tables={} if contents is None else contents.tables,
        mappings={} if contents is None else contents.mappings,
        minidb_version="1",
        engine="lmdb",
        created_at="2024-02-29T12:00:00+00:00",
        spaces={HISTORY: len(pairs)},
        history=until,
        since=since,
    )
    written = io.BytesIO()
    writer = Writer(written.write, manifest)
    writer.begin_space(HISTORY)
    if pairs:
        writer._frame(b"P", encode_pairs(pairs))
    writer.end()
    return written.getvalue()


def changes(time_us: int = 2_000_000, **parts: Any) -> StoredChanges:
    return StoredChanges(**{"time_us": time_us, "dropped": [], "created": [], "cleared": [], "items": {}, **parts})


@pytest.fixture(scope="module")
def base(chain_bytes: tuple[bytes, bytes]) -> bytes:
    """The whole backup, with ``START`` as its newest commit."""
    reader = Reader(io.BytesIO(chain_bytes[0]).read, None)
    manifest = reader.header()
    manifest.history = START
    written = io.BytesIO()
    writer = Writer(written.write, manifest)
    for space, pages in reader.spaces(manifest.spaces):
        writer.begin_space(space)
        for page in pages:
            writer.pairs(page)
    writer.end()
    return written.getvalue()


HOSTILE = [
    forged([changes(dropped=["catalog"])]),
    forged([changes(dropped=["sequences"])]),
    forged([changes(dropped=["rows/99"])]),
    forged([changes(dropped=["../rows/1"])]),
    forged([changes(created=["rows/1"])]),
    forged([changes(created=["history"])]),
    forged([changes(created=["index/77"])]),
    forged([changes(created=["../../etc/passwd"])]),
    forged([changes(created=["rows/1\n"])]),
    forged([changes(created=[f"rows/{number}" for number in range(1000, 6000)])]),
    forged([changes(created=["rows/77"])]),  # of no table
    forged([changes(dropped=["rows/1"])]),  # of a table
    forged([changes(items={"rows/1": {b"": b"x"}})]),
    forged([changes(items={"rows/1": {b"k" * 512: b"x"}})]),
    forged([changes(items={"rows/1": {b"k": b"x"}})]),  # no row
    forged([changes(items={"catalog": {b"k": b"x"}})]),
    forged([changes(cleared=["catalog"])]),
    forged([changes(time_us=1_000_000)]),  # not later
    forged([changes()], chain=b"x" * 16),
    forged([changes()], chain=b"x" * 3),
    forged([changes()], keys=[record_key(2)]),
    forged([changes()], keys=[record_key(1, 1)]),
    forged([changes()], keys=[b"\x02"]),
    forged([changes()], keys=[b"\x00"]),
    forged([changes(), changes(3_000_000)], keys=[record_key(1), record_key(1, 2)]),
    forged([changes()], until=Point(2, 3_000_000, Chain(b"x" * 16))),
    forged([], until=Point(1, 3_000_000, Chain(b"x" * 16))),
    forged([changes()], since=Point(0, 1_000_000, Chain(b"d" * 16))),
]


@pytest.mark.parametrize("increment", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_increment_is_refused_and_leaves_nothing(base: bytes, tmp_path: Path, increment: bytes) -> None:
    with pytest.raises(BackupError):
        restore_both(base, increment, tmp_path / "copy")
    assert names_in(tmp_path) == set()


def test_an_increment_that_is_forged_rightly_is_restored(base: bytes, tmp_path: Path) -> None:
    """The control of the test above."""
    contents = read_manifest(io.BytesIO(base))
    contents.tables["people"] = 0
    done = [changes(cleared=["rows/1"]), changes(3_000_000, items={"index/2": {b"k": b"x"}})]
    increment = forged(done, contents=contents)
    assert restore_both(base, increment, tmp_path / "copy").tables["people"] == 0


@pytest.mark.parametrize(
    "header",
    [
        {"since": {"commit": 5, "time_us": 1, "chain": "00" * 16}},
        {"since": {"commit": -1, "time_us": 1, "chain": "00" * 16}},
        {"since": {"commit": 0, "time_us": 1, "chain": "00"}},
        {"since": {"commit": 0, "time_us": 1, "chain": "xx" * 16}},
        {"since": {"commit": 0, "time_us": 10**30, "chain": "00" * 16}},
        {"since": {"commit": "0", "time_us": 1, "chain": "00" * 16}},
        {"since": []},
        {"history": None},
        {"spaces": {"history": 1, "rows/1": 0}},
        {"spaces": {}},
        {"since": None},
        {"created_at": "then"},
    ],
)
def test_a_header_that_no_increment_has_is_refused(tmp_path: Path, base: bytes, header: dict[str, Any]) -> None:
    class Forged(Manifest):
        def to_document(self) -> dict[str, object]:
            return {**document, **header}

    document = read_manifest(io.BytesIO(forged([changes()]))).to_document()
    written = io.BytesIO()
    Writer(written.write, Forged(minidb_version="", engine="", created_at="")).end()
    with pytest.raises(BackupError, match="header"):
        restore_both(base, written.getvalue(), tmp_path / "copy")


# --- verify -----------------------------------------------------------------------------------------------------------


def spoil_history(database: MiniDB, spoil: Callable[[Any], None]) -> list[str]:
    """Write into the history behind the database's back; return what verify says of it."""
    transaction = database.engine.begin_write(10)
    try:
        spoil(transaction)
        transaction.commit()
    finally:
        transaction.close()
    return [finding.code for finding in database.verify().findings]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda transaction: transaction.delete_many(HISTORY, [record_key(2)]),
        lambda transaction: transaction.delete_many(HISTORY, [record_key(3)]),
        lambda transaction: transaction.put_many(HISTORY, {record_key(2): b"x"}),
        lambda transaction: transaction.put_many(HISTORY, {record_key(2): bytes(40)}),
        lambda transaction: transaction.put_many(HISTORY, {b"\x00": b"x"}),
        lambda transaction: transaction.delete_many(HISTORY, [b"\x01"]),
        lambda transaction: transaction.put_many(HISTORY, {b"\x03": b"x"}),
        lambda transaction: transaction.clear(HISTORY),
    ],
)
def test_verify_sees_a_history_that_is_damaged(keeping: MiniDB, spoil: Callable[[Any], None]) -> None:
    for _ in range(3):
        keeping.get_table("notes").insert({})
    assert keeping.verify().ok
    assert spoil_history(keeping, spoil) == ["history-damaged"]


def test_verify_sees_a_history_that_is_missing_or_too_much(keeping: MiniDB) -> None:
    assert spoil_history(keeping, lambda transaction: transaction.drop_space(HISTORY)) == ["space-missing"]
    keeping.start_history()  # does nothing
    assert spoil_history(keeping, history.begin) == []
    keeping.stop_history()
    assert spoil_history(keeping, history.begin) == ["space-unknown"]
