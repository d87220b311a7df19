"""Every engine passes the public conformance suite, unchanged."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.memory import MemoryEngine, _MemorySnapshot
from minidb.engines.port import Engine, Get, Joined, ReadTransaction, Reference, Space
from minidb.engines.postgres.engine import PostgresEngine
from minidb.engines.secret import Secret
from minidb.options import Options
from minidb.tables.index_entries import row_keys_of
from minidb.testing import ENGINE_CHECKS, check_engine
from minidb.testing.conformance import check_a_snapshot_never_changes, pairs, reading, writing
from minidb.testing.joining import JOINING_CHECKS, check_joined_scans_find_what_two_steps_find
from minidb.testing.newest import check_a_read_in_one_step_is_of_the_newest_state_or_tells_nothing

OpenEngine = Callable[..., Engine]

ENGINES: dict[str, Callable[[Path], Engine]] = {
    "memory": lambda _: MemoryEngine(),
    "lmdb": lambda path: LmdbEngine(path, Options()),
}
"""Those on one machine, where one writes at a time."""


@pytest.fixture
def open_lmdb(database_path: Path) -> OpenEngine:
    return partial(LmdbEngine, database_path)


@pytest.fixture
def open_postgres(postgres_url: str) -> OpenEngine:
    return partial(PostgresEngine, Secret(postgres_url))


@pytest.fixture
def open_memory() -> OpenEngine:
    return lambda _: MemoryEngine()


@pytest.mark.parametrize("check", ENGINE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("engine", ["memory", "lmdb", "postgres"])
def test_engine_passes(engine: str, check: Callable[[Engine], None], request: pytest.FixtureRequest) -> None:
    opened = request.getfixturevalue(f"open_{engine}")(Options())
    try:
        check(opened)
    finally:
        opened.close()


@pytest.mark.parametrize(
    "check",
    [check for check in ENGINE_CHECKS if "savepoint" not in check.__name__ and "random" not in check.__name__],
    ids=lambda check: check.__name__,
)
@pytest.mark.parametrize("engine", ["lmdb", "postgres"])
def test_an_engine_that_spills_at_once_keeps_every_guarantee_but_the_way_back(
    engine: str, check: Callable[[Engine], None], request: pytest.FixtureRequest
) -> None:
    opened = request.getfixturevalue(f"open_{engine}")(Options(durability="none"), spill_bytes=1)
    try:
        check(opened)
    finally:
        opened.close()


@pytest.mark.parametrize("name", ENGINES)
def test_each_commit_is_seen_whole_by_all_who_come_after_it(name: str, database_path: Path) -> None:
    """Many threads commit and roll back at once."""
    engine = ENGINES[name](database_path)
    order_of, place_of, order_key = Space("order"), Space("place"), b"order"
    with writing(engine) as transaction:
        transaction.create_space(order_of)
        transaction.create_space(place_of)

    def append(letter: str) -> None:
        for number in range(15):
            mark = f"{letter}{number:02}".encode()
            undone = engine.begin_write(60)
            undone.put_many(order_of, {order_key: b"", mark: b""})
            undone.close()
            with writing(engine, timeout_s=60) as transaction:
                before = transaction.get(order_of, order_key) or b""
                transaction.put_many(order_of, {order_key: before + mark})
                transaction.put_many(place_of, {mark: b"%06d" % (len(before) // 3)})
            with reading(engine) as snapshot:
                order = snapshot.get(order_of, order_key) or b""
                marks = [order[place : place + 3] for place in range(0, len(order), 3)]
                assert mark in marks, "who was told that it is committed sees it"
                found = sorted((place, key) for key, place in pairs(snapshot, place_of))
                assert [key for _, key in found] == marks, "a snapshot has all of a commit and all before it"

    with ThreadPoolExecutor(6) as executor:
        list(executor.map(append, "abcdef"))
    engine.close()


def test_check_engine_runs_every_check_on_a_new_engine() -> None:
    made: list[Engine] = []

    def make_engine() -> Engine:
        made.append(MemoryEngine())
        return made[-1]

    check_engine(make_engine)
    assert len(made) == len(ENGINE_CHECKS)


def test_check_engine_names_the_guarantee_that_an_engine_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: an engine whose snapshots see later commits."""
    keep = MemoryEngine.begin_read

    def begin_read_without_protection(self: MemoryEngine) -> object:
        snapshot = keep(self)
        self._snapshots = set()  # so that a commit changes the shared spaces in place
        return snapshot

    monkeypatch.setattr(MemoryEngine, "begin_read", begin_read_without_protection)
    with pytest.raises(AssertionError, match=check_a_snapshot_never_changes.__name__):
        check_engine(MemoryEngine)


def joined_in_two_steps(
    self: ReadTransaction,
    space: Space,
    joined: Space,
    reference: Reference,
    start: bytes | None = None,
    stop: bytes | None = None,
    *,
    reverse: bool = False,
    first_page: int | None = None,
) -> Iterator[list[Joined]]:
    """The offer of an engine, made by hand."""
    for page in self.scan(space, start, stop, reverse=reverse, first_page=first_page):
        keys, named = [key for key, _ in page], [value for _, value in page]
        if reference is Reference.KEY_END:
            named = row_keys_of(keys)
        yield list(zip(keys, named, self.get_many(joined, named), strict=True))


@pytest.mark.parametrize("check", JOINING_CHECKS, ids=lambda check: check.__name__)
def test_an_engine_may_offer_joined_scans(check: Callable[[Engine], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_MemorySnapshot, "scan_joined", joined_in_two_steps)
    check(MemoryEngine())


def test_joined_scans_that_leave_out_what_names_nothing_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: as an inner join would."""

    def joined_inside(self: ReadTransaction, *ranged: Any, **options: Any) -> Iterator[list[Joined]]:
        for page in joined_in_two_steps(self, *ranged, **options):
            yield [line for line in page if line[2] is not None]

    monkeypatch.setattr(_MemorySnapshot, "scan_joined", joined_inside)
    with pytest.raises(AssertionError, match=check_joined_scans_find_what_two_steps_find.__name__):
        check_engine(MemoryEngine)


def test_a_read_in_one_step_that_looks_at_no_generation_is_found(
    database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getter_of_any(self: Engine, _: int, space: Space) -> Get:
        def get(key: bytes) -> bytes | None:
            with reading(self) as snapshot:
                return snapshot.get(space, key)

        return get

    monkeypatch.setattr(LmdbEngine, "newest_getter", getter_of_any)
    engine = LmdbEngine(database_path, Options())
    with pytest.raises(AssertionError, match="of another generation nothing is told"):
        check_a_read_in_one_step_is_of_the_newest_state_or_tells_nothing(engine)
    engine.close()
