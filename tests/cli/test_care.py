"""The verbs that look after a database."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli.conftest import ENVIRONMENT, Run, run_on_terminal
from tests.postgres_server import Server

from minidb import MiniDB
from minidb.engines.memory import MemoryEngine
from minidb.engines.port import CATALOG
from minidb.testing import ENGINE_CHECKS


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


def test_a_backup_is_restored(run: Run, shop: str) -> None:
    with MiniDB(shop) as database:
        database.mapping("settings")["colour"] = "green"
    told = "1 table with 4 rows, 1 mapping with 1 item"
    assert run("backup", shop, "shop.minidb").lines[0].startswith(f"{told} backed up to ")
    assert run("restore", "new.db", "shop.minidb").lines == [f"{told} restored to new.db"]
    assert run("rows", "new.db", "users").out == run("rows", shop, "users").out
    assert run("restore", "new.db", "shop.minidb").code == 1
    ended = run("restore", "new.db", "shop.minidb", "--overwrite")
    assert ended.code == 1
    assert "Nobody can be asked" in ended.err
    assert run("restore", "new.db", "shop.minidb", "--overwrite", "--yes").code == 0


def test_backups_in_a_folder_are_kept_by_number(run: Run, shop: str, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    for _ in range(3):
        assert run("backup", shop, "backups", "--compress", "--keep", "2").code == 0
    assert len(list((tmp_path / "backups").iterdir())) == 2


def test_increments_lead_back_to_a_moment(run: Run, shop: str) -> None:
    assert json.loads(run("history", "show", shop, "--json").out)["kept"] is False
    assert run("backup", shop, "whole.minidb").code == 0
    assert run("backup", shop, "whole.minidb", "--incremental").code == 1  # no folder
    assert run("history", "start", shop).code == 0
    assert run("backup", shop, "backups", "--incremental").code == 0
    with MiniDB(shop) as database:
        ids = [row.id for row in database.get_table("users").scan()]
    for row_id in ids[:2]:
        assert run("delete", shop, "users", "--id", str(row_id), "--yes").code == 0
    assert run("backup", shop, "backups", "--incremental").lines[0].startswith("commits 1 to 2 backed up to ")
    for moment, rows in (("0", 4), ("1", 3), ("2", 2)):
        ended = run("restore", f"at{moment}.db", "backups", "--at", moment)
        assert ended.lines[0].startswith(f"1 table with {rows} rows")
    assert run("restore", "at3.db", "backups", "--at", "3").code == 1
    assert run("restore", "at3.db", "backups", "--at", "yesterday").code == 1
    assert run("restore", "at3.db", "backups", "--at", "2000-01-01").code == 1
    shown = json.loads(run("history", "show", shop, "--json").out)
    assert (shown["commits"], shown["commit"]) == (2, 2)
    assert run("restore", "then.db", "backups", "--at", shown["committed_at"]).code == 0
    assert run("history", "trim", shop, "1").lines == ["1 commit deleted from the history"]
    assert run("backup", shop, "one.minidb", "--since", "whole.minidb").code == 1
    assert run("history", "stop", shop).code == 1
    assert run("history", "stop", shop, "--yes").code == 0
    assert json.loads(run("history", "show", shop, "--json").out)["kept"] is False


def test_a_backup_goes_through_a_pipe(shop: str, tmp_path: Path) -> None:
    command = (
        f"{sys.executable} -m minidb backup {shop} - | {sys.executable} -m minidb restore new.db -"
        f" && {sys.executable} -m minidb dump new.db | {sys.executable} -m minidb load newer.db -"
    )
    completed = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=False
    )
    assert (completed.returncode, completed.stderr) == (0, b"")
    with MiniDB(tmp_path / "newer.db") as database:
        assert len(database.get_table("users")) == 4


def test_a_dump_is_loaded_and_a_copy_is_the_same(run: Run, shop: str) -> None:
    assert run("dump", shop, "shop.jsonl").lines == ["1 table with 4 rows dumped to shop.jsonl"]
    assert run("load", "loaded.db", "shop.jsonl").lines == ["1 table with 4 rows loaded into loaded.db"]
    assert run("copy", shop, "copied.db").lines == ["1 table with 4 rows copied to copied.db"]
    assert run("dump", shop).out == run("dump", "loaded.db").out == run("dump", "copied.db").out
    assert run("copy", shop, "copied.db").code == 1


def test_what_is_no_backup_is_refused(run: Run, shop: str) -> None:
    assert run("restore", "new.db", "users.csv").code == 1
    assert run("load", "new.db", "users.csv").code == 1
    assert run("backup", shop, "no/such/folder/x").code == 1


def test_compact_gives_space_back(run: Run, shop: str) -> None:
    with MiniDB(shop) as database:
        many = database.create_table("many")
        many.insert_many({"text": "x" * 100} for _ in range(20_000))
        many.clear()
    before, now = re.findall(r"([\d,]+) bytes", run("compact", shop).lines[0])
    assert int(now.replace(",", "")) < int(before.replace(",", ""))
    assert len(run("rows", shop, "users").lines) == 5


@pytest.mark.parametrize("location", [".", ":memory:"])
def test_an_engine_conforms(run: Run, tmp_path: Path, location: str) -> None:
    results = json.loads(run("conformance", location, "--json").out)
    assert len(results) == len(ENGINE_CHECKS)
    assert all(one["ok"] for one in results)
    assert list(tmp_path.iterdir()) == []


def test_a_server_conforms_and_is_left_as_it_was(run: Run, postgres_url: str, postgres_server: Server) -> None:
    results = json.loads(run("conformance", postgres_url, "--json").out)
    assert len(results) == len(ENGINE_CHECKS)
    assert all(one["ok"] for one in results)
    with postgres_server.connect() as connection:
        found = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'minidb_conformance%'")
        assert found.fetchall() == []


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
