"""The verbs that look after a database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli.conftest import Run, run_on_terminal

from minidb import MiniDB
from minidb.engines.memory import MemoryEngine
from minidb.engines.port import CATALOG
from minidb.testing import conformance


def test_verify_tells_that_all_is_well(run: Run, shop: str, tmp_path: Path) -> None:
    assert run("verify", shop).lines[0].startswith("ok: 1 tables with 4 rows")
    assert json.loads(run("verify", shop, "--json").out)["ok"] is True
    code, text = run_on_terminal(tmp_path, "verify", shop)
    assert code == 0
    assert "ok: 1 tables" in text


def test_verify_tells_what_is_damaged(run: Run, shop: str) -> None:
    with MiniDB(shop) as database:
        snapshot = database.engine.begin_read()
        try:
            catalog = database.catalog_of(snapshot)
            space = catalog.definition("users").space
            key, value = next(iter(snapshot.scan(space)))[0]
        finally:
            snapshot.close()
        transaction = database.engine.begin_write(10)
        transaction.put_many(space, {key: value[:-1] + bytes([value[-1] ^ 1])})
        transaction.commit()
        transaction.close()
    ended = run("verify", shop)
    assert ended.code == 1
    assert "row-damaged" in ended.out
    report = json.loads(run("verify", shop, "--json").out)
    assert (report["ok"], report["findings"][0]["code"]) == (False, "row-damaged")


@pytest.mark.parametrize("location", [".", ":memory:"])
def test_an_engine_conforms(run: Run, tmp_path: Path, location: str) -> None:
    results = json.loads(run("conformance", location, "--json").out)
    assert len(results) == len(conformance.ENGINE_CHECKS)
    assert all(one["ok"] for one in results)
    assert list(tmp_path.iterdir()) == []


class ForgetfulEngine(MemoryEngine):
    """An engine that has something in its catalog from the beginning."""

    def __init__(self) -> None:
        super().__init__()
        transaction = self.begin_write(10)
        transaction.put_many(CATALOG, {b"x": b""})
        transaction.commit()
        transaction.close()


def test_an_engine_that_does_not_conform_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def forgetful_engines(_: str) -> Iterator[type[MemoryEngine]]:
        yield ForgetfulEngine

    monkeypatch.setattr("minidb.testing.fresh_engines", forgetful_engines)
    ended = run("conformance", ":memory:")
    assert ended.code == 1
    assert "a new engine has an empty catalog\tfalse\tthe catalog exists and is empty" in ended.out
    assert "failed" in ended.err


def test_conformance_needs_a_folder(run: Run) -> None:
    ended = run("conformance", "nowhere")
    assert ended.code == 1
    assert "No such file or directory" in ended.err
