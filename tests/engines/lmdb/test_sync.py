from pathlib import Path

import lmdb
import pytest

from minidb import MiniDB, Row
from minidb.engines.lmdb.engine import LmdbEngine
from minidb.engines.lmdb.environment import Environment
from minidb.engines.port import CATALOG
from minidb.exceptions import DatabaseClosedError, EngineError, EngineUnavailableError
from minidb.options import Durability, Options
from minidb.testing.conformance import writing


class Raw:
    """Stands for LMDB's environment: notes flushes, and fails if told."""

    def __init__(self) -> None:
        self.forced: list[bool] = []
        self.failure: lmdb.Error | None = None

    def sync(self, force: bool) -> None:
        self.forced.append(force)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> Raw:
    made = Raw()
    real = Environment.sync

    def sync(self: Environment) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(self, "live", lambda: made)
            real(self)

    monkeypatch.setattr(Environment, "sync", sync)
    return made


@pytest.mark.parametrize(("durability", "forced"), [("full", []), ("relaxed", [True]), ("none", [True])])
def test_a_sync_flushes_where_commits_do_not(
    database_path: Path, raw: Raw, durability: Durability, forced: list[bool]
) -> None:
    with MiniDB(database_path, durability=durability, commit_log=False) as database:
        database.create_table("people").insert(Row(name="Ada"))
        database.sync()
    assert raw.forced == forced


def test_a_sync_is_real(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        people = database.create_table("people")
        with database.begin_transaction():
            people.insert(Row(name="Ada"))
            database.sync()
        assert people.count() == 1
    with MiniDB(database_path, read_only=True) as database:
        database.sync()
    with pytest.raises(DatabaseClosedError):
        database.sync()


def test_after_a_sync_that_failed_nothing_is_written_until_it_is_opened_again(database_path: Path, raw: Raw) -> None:
    engine = LmdbEngine(database_path, Options(durability="none"))
    raw.failure = lmdb.Error("made to fail by a test")
    with pytest.raises(EngineError):
        engine.sync()
    raw.failure = None
    with pytest.raises(EngineUnavailableError, match="open it again"):
        engine.begin_write(1)
    with pytest.raises(EngineUnavailableError):
        engine.sync()  # what was dropped is not written by asking again
    engine.close()
    engine = LmdbEngine(database_path, Options(durability="none"))
    with writing(engine) as transaction:
        transaction.put_many(CATALOG, {b"a": b""})
    engine.sync()
    engine.close()
