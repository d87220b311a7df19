"""Other programs' data comes along: what is in it afterwards is what was in it before, or the user is told."""

from __future__ import annotations

import dbm.dumb
import json
import pickle
import shelve
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import lmdb
import pytest
from tests.cli.conftest import Run

from minidb import MiniDB
from minidb.exceptions import UniqueViolationError

SHOP = """
    CREATE TABLE customers (
        id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT, born DATE, is_new BOOLEAN, photo BLOB
    );
    CREATE TABLE "order lines" (
        "order" INTEGER NOT NULL, line INTEGER NOT NULL, customer INTEGER REFERENCES customers (id),
        price REAL, amount NUMERIC, note, at TIMESTAMP,
        PRIMARY KEY ("order", line)
    ) WITHOUT ROWID;
    CREATE TABLE log (text TEXT, level INTEGER);
    CREATE TABLE empty (a INTEGER, b VARCHAR(10), c BLOB, d DOUBLE);
    CREATE INDEX customers_by_name ON customers (name, born DESC);
    CREATE INDEX lines_by_customer ON "order lines" (customer);
    CREATE UNIQUE INDEX lines_once ON "order lines" (at, customer);
    CREATE INDEX new_customers ON customers (name) WHERE is_new;
    CREATE INDEX by_lower ON customers (lower(name));
    CREATE VIEW names AS SELECT name FROM customers;
    INSERT INTO customers VALUES
        (7, 'a@x', 'Ada', '1815-12-10', 1, x'00ff'), (9, 'b@x', '日本', NULL, 0, NULL),
        (2, 'c@x', NULL, '2000-02-29', NULL, x'');
    INSERT INTO "order lines" VALUES
        (1, 1, 7, 1.5, 1, 'x', '2024-01-01T10:00:00'), (1, 2, 7, 2, 0.5, 5, NULL), (2, 1, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO log VALUES ('one', 1), ('two', NULL), ('one', 1);
"""


@pytest.fixture
def sqlite_file(run: Run, tmp_path: Path) -> Path:  # noqa: ARG001  # it chooses the folder
    path = tmp_path / "old shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SHOP)
    return path


def exported(run: Run, table: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("export", "new.db", table).lines]


def test_an_sqlite_file_loses_nothing(run: Run, sqlite_file: Path) -> None:
    ended = run("import", "sqlite", "new.db", sqlite_file.name)
    assert ended.lines == [
        "table customers: 3 rows",
        "table order lines: 3 rows",
        "table log: 3 rows",
        "table empty: 0 rows",
    ]
    with closing(sqlite3.connect(sqlite_file)) as connection, MiniDB("new.db") as database:
        connection.row_factory = sqlite3.Row
        for table, key in (("customers", "id"), ("order lines", '"order", line'), ("log", "rowid"), ("empty", "rowid")):
            expected = [dict(row) for row in connection.execute(f'SELECT * FROM "{table}" ORDER BY {key}')]  # noqa: S608
            found = [row.columns for row in database.get_table(table)]
            for row in found:
                for name, value in row.items():
                    if isinstance(value, date):
                        row[name] = value.isoformat()
            assert found == expected


def test_an_sqlite_file_keeps_types_keys_and_indexes(run: Run, sqlite_file: Path) -> None:
    ended = run("import", "sqlite", "new.db", sqlite_file.name)
    assert ended.err.splitlines() == [
        "Note: index by_lower of customers is on an expression, and was left out",
        "Note: the foreign key of order lines (customer) to customers (id) is not checked any more",
        "Note: view names was left out",
    ]
    assert json.loads(run("schema", "show", "new.db", "customers").out) == {
        "id": {"type": "integer", "required": True, "primary_key": True},
        "email": {"type": "string", "required": True},
        "name": "string",
        "born": "date",
        "is_new": "boolean",
        "photo": "bytes",
    }
    kinds = {
        name: one if isinstance(one, str) else one["type"]
        for name, one in json.loads(run("schema", "show", "new.db", "order lines").out).items()
    }
    assert kinds == {
        "order": "integer",
        "line": "integer",
        "customer": "integer",
        "price": "float",
        "amount": "float",
        "note": "json",
        "at": "datetime",
    }
    indexes = [
        (one["table"], one["index"], one["fields"], one["unique"])
        for one in json.loads(run("index", "list", "new.db", "--json").out)
    ]
    assert sorted(indexes) == [
        ("customers", "customers_by_name", "name, born", False),
        ("customers", "email", "email", True),
        ("customers", "new_customers", "name", False),
        ("order lines", "lines_by_customer", "customer", False),
        ("order lines", "lines_once", "at, customer", True),
    ]


TASKS = """
    CREATE TABLE tasks (
        id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL DEFAULT 'it''s new', state TEXT DEFAULT ('open'),
        weight REAL DEFAULT 1, is_done BOOLEAN DEFAULT 0, day DATE DEFAULT '2024-01-31', icon BLOB DEFAULT x'00ff',
        made DATETIME DEFAULT CURRENT_TIMESTAMP, level INTEGER DEFAULT -5 CHECK (level < 9), any DEFAULT NULL,
        twice INTEGER GENERATED ALWAYS AS (level * 2) STORED, mixed, FOREIGN KEY (id, level) REFERENCES others
    );
    INSERT INTO tasks (id, title, made, mixed) VALUES (3, 'a', '2024-01-01 10:00:00', 1), (5, 'b', NULL, 'x');
    INSERT INTO tasks (id, state, weight, is_done, day, icon, level, made)
        VALUES (8, NULL, NULL, 1, NULL, NULL, NULL, '2024-01-02 10:00:00');
    CREATE UNIQUE INDEX open_titles ON tasks (title) WHERE state = 'open' AND "level" IS NOT NULL;
    CREATE INDEX done ON tasks (day DESC) WHERE is_done = 1;
    CREATE INDEX done_too ON tasks (day) WHERE [is_done];
    CREATE INDEX heavy ON tasks (weight) WHERE weight > 0.5 OR day BETWEEN '2024-01-01' AND '2024-12-31';
    CREATE INDEX others ON tasks (weight) WHERE state <> 'open';
    CREATE INDEX not_open ON tasks (weight) WHERE NOT state = 'open';
    CREATE INDEX odd ON tasks (weight) WHERE mixed > 3;
    CREATE INDEX long ON tasks (weight) WHERE length(title) > 3;
    CREATE INDEX by_title ON tasks (title COLLATE NOCASE);
    CREATE TABLE pairs (a TEXT, b INTEGER, c, PRIMARY KEY (b, a)) WITHOUT ROWID;
    INSERT INTO pairs VALUES ('x', 2, NULL), ('a', 2, 'c'), ('z', 1, 'c');
    CREATE TABLE "select" ("group" TEXT PRIMARY KEY, "日本 😀" TEXT, "a""b`c" TEXT);
    INSERT INTO "select" VALUES ('ß', '👩‍👩‍👧', 'q'), (NULL, '', NULL);
"""


def test_defaults_and_partial_indexes_of_sqlite_come_along(run: Run, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "tasks.sqlite")) as connection:
        connection.executescript(TASKS)
    ended = run("import", "sqlite", "new.db", "tasks.sqlite")
    assert ended.lines == ["table tasks: 3 rows", "table pairs: 3 rows", "table select: 2 rows"]
    assert ended.err.splitlines() == [
        "Note: the default of tasks.made was left out: CURRENT_TIMESTAMP",
        "Note: index others of tasks, WHERE state <> 'open', was left out: SQLite takes nulls in it otherwise",
        "Note: index not_open of tasks, WHERE NOT state = 'open', was left out: SQLite takes nulls in it otherwise",
        "Note: index odd of tasks, WHERE mixed > 3, was left out: a column of it holds values of several types",
        "Note: index long of tasks, WHERE length(title) > 3, was left out: MiniDB has no such condition",
        "Note: index by_title of tasks compares texts letter by letter now, capitals too",
        "Note: the foreign key of tasks (id, level) to others is not checked any more",
        "Note: the CHECK of tasks is not made any more",
        "Note: tasks.twice was generated, and is a column like any other now",
        "Note: the primary key of pairs is in the order of its columns now",
        "Note: the primary key of select has nulls, so select has automatic ids",
    ]
    with MiniDB("new.db") as database, closing(sqlite3.connect(tmp_path / "tasks.sqlite")) as connection:
        tasks = database.get_table("tasks")
        for name, row in zip((3, 5, 8), connection.execute("SELECT * FROM tasks ORDER BY id"), strict=True):
            found = [str(value) if isinstance(value, date) else value for value in tasks.query(name).columns.values()]
            assert found == list(row)
        assert {one.name: str(one.where) for one in database.indexes("tasks") if one.where is not None} == {
            "open_titles": "state == 'open' and level != None",
            "done": "is_done == True",
            "done_too": "is_done == True",
            "heavy": "weight > 0.5 or (day >= datetime.date(2024, 1, 1) and day <= datetime.date(2024, 12, 31))",
        }
        fresh = tasks.query(tasks.insert({"id": 9, "title": "t"}))
        assert (fresh.state, fresh.weight, fresh.is_done, fresh.level) == ("open", 1.0, False, -5)
        assert (fresh.day, fresh.icon, fresh.made) == (date(2024, 1, 31), b"\x00\xff", None)
        with pytest.raises(UniqueViolationError):
            tasks.insert({"id": 10, "title": "t"})
        tasks.insert({"id": 10, "title": "t", "state": "shut"})
        assert [row.columns for row in database.get_table("select")] == [
            {"group": "ß", "日本 😀": "👩‍👩‍👧", 'a"b`c': "q"},
            {"group": None, "日本 😀": "", 'a"b`c': None},
        ]
        assert database.get_table("pairs").query(("a", 2)).c == "c"
        assert database.verify().ok


def test_an_import_into_a_database_that_is_there_is_one_transaction(run: Run, sqlite_file: Path) -> None:
    with closing(sqlite3.connect(sqlite_file)) as connection:
        connection.executescript("CREATE TABLE zodd (a); INSERT INTO zodd VALUES (1), (x'00')")
    with MiniDB("new.db") as database:
        database.create_table("mine").insert({"a": 1})
    assert run("import", "sqlite", "new.db", sqlite_file.name).code == 1
    with MiniDB("new.db") as database:
        assert database.table_names() == ["mine"]
    assert run("import", "sqlite", "new.db", sqlite_file.name, "--table", "log").code == 0
    with MiniDB("new.db") as database:
        assert (database.table_names(), database.verify().ok) == (["log", "mine"], True)


def test_only_some_tables_of_an_sqlite_file(run: Run, sqlite_file: Path) -> None:
    assert run("import", "sqlite", "new.db", sqlite_file.name, "--table", "log").lines == ["table log: 3 rows"]
    assert "There is no table named 'lgo'" in run("import", "sqlite", "x.db", sqlite_file.name, "--table", "lgo").err


def test_an_import_that_fails_leaves_nothing(run: Run, sqlite_file: Path) -> None:
    with closing(sqlite3.connect(sqlite_file)) as connection:
        connection.executescript("CREATE TABLE odd (a); INSERT INTO odd VALUES (1), (x'00')")
    ended = run("import", "sqlite", "new.db", sqlite_file.name)
    assert ended.code == 1
    assert "Column 'a' of 'odd' holds blobs and values of other types" in ended.err
    assert [path.name for path in sqlite_file.parent.iterdir()] == [sqlite_file.name]


def test_nothing_is_mixed_with_what_is_there(run: Run, sqlite_file: Path) -> None:
    assert run("import", "sqlite", "new.db", sqlite_file.name, "--table", "log").code == 0
    ended = run("import", "sqlite", "new.db", sqlite_file.name, "--table", "log")
    assert (ended.code, "already a table or a mapping named 'log'" in ended.err) == (1, True)
    assert run("query", "new.db", "log", "--count").lines == ["3"]
    with dbm.dumb.open("log", "c") as store:
        store["a"] = "1"
    assert run("import", "dbm", "new.db", "log").code == 1
    assert run("import", "dbm", "new.db", "log", "--name", "other").code == 0
    assert run("import", "dbm", "new.db", "log", "--name", "other").code == 1


def test_a_shelf_of_objects_is_told(run: Run, tmp_path: Path) -> None:
    with shelve.open(tmp_path / "shelf") as shelf:  # noqa: S301  # of this test
        shelf["plain"] = 1
    with dbm.open(str(tmp_path / "shelf"), "w") as store:
        store["odd"] = b"c__main__\nOwn\n."
    ended = run("import", "shelve", "new.db", "shelf", "--unpickle")
    assert (ended.code, "A value cannot be unpickled" in ended.err) == (1, True)
    assert "classes are not imported" in ended.err
    assert not (tmp_path / "new.db").exists()


def test_a_primary_key_with_nulls_is_an_index(run: Run, sqlite_file: Path) -> None:
    with closing(sqlite3.connect(sqlite_file)) as connection:
        connection.executescript("CREATE TABLE odd (a TEXT PRIMARY KEY); INSERT INTO odd VALUES ('x'), (NULL), (NULL)")
    ended = run("import", "sqlite", "new.db", sqlite_file.name, "--table", "odd")
    assert "the primary key of odd has nulls" in ended.err
    assert run("rows", "new.db", "odd").lines == ["id\ta", "1\tx", "2\t", "3\t"]
    assert run("index", "list", "new.db", "odd").lines[1:] == ["odd\ta\ta\ttrue"]


@pytest.mark.parametrize("kind", ["sqlite", "tinydb", "dbm", "lmdb", "diskcache"])
def test_what_is_no_such_file_is_refused(run: Run, tmp_path: Path, kind: str) -> None:
    (tmp_path / "x").write_text("nothing of the sort")
    ended = run("import", kind, "new.db", "x")
    assert ended.code == 1
    assert ended.err.startswith("Error: ")
    assert run("import", kind, "new.db", "absent").code == 1


def test_tinydb_keeps_its_documents_and_their_numbers(run: Run, tmp_path: Path) -> None:
    documents = {"1": {"name": "Ada", "tags": ["x"]}, "5": {"name": "Bob", "age": 3, "day": "2024-01-01"}}
    (tmp_path / "tiny.json").write_text(json.dumps({"_default": documents, "empty": {}}))
    assert run("import", "tinydb", "new.db", "tiny.json").lines == ["table _default: 2 rows", "table empty: 0 rows"]
    assert exported(run, "_default") == [
        {"doc_id": 1, "name": "Ada", "tags": ["x"], "age": None, "day": None},
        {"doc_id": 5, "name": "Bob", "tags": None, "age": 3, "day": "2024-01-01"},
    ]


def test_dbm_becomes_a_mapping_of_bytes(run: Run, tmp_path: Path) -> None:
    with dbm.dumb.open(str(tmp_path / "settings"), "c") as store:
        store[b"a"] = b"1"
        store[b"\xff"] = b"\0"
    assert run("import", "dbm", "new.db", "settings").lines == ["mapping settings: 2 items"]
    with MiniDB("new.db") as database:
        assert dict(database.mapping("settings")) == {b"a": b"1", b"\xff": b"\0"}
    assert run("rows", "new.db", "settings").lines == ["key\tvalue", "YQ==\tMQ==", "/w==\tAA=="]


class Own:
    """A class that the database knows nothing of."""


def test_a_shelf_is_unpickled_only_when_told(run: Run) -> None:
    with shelve.open("shelf") as shelf:  # noqa: S301  # this test's own
        shelf["a"] = [1, {"x": date(2024, 1, 1)}]
        shelf["b"] = datetime(2024, 1, 1, tzinfo=UTC)
    ended = run("import", "shelve", "new.db", "shelf")
    assert ended.code == 1
    assert "--unpickle" in ended.err
    assert run("import", "shelve", "new.db", "shelf", "--unpickle").lines == ["mapping shelf: 2 items"]
    with MiniDB("new.db") as database:
        assert dict(database.mapping("shelf")) == {
            "a": [1, {"x": date(2024, 1, 1)}],
            "b": datetime(2024, 1, 1, tzinfo=UTC),
        }
    with shelve.open("shelf") as shelf:  # noqa: S301  # this test's own
        shelf["own"] = Own()
    ended = run("import", "shelve", "other.db", "shelf", "--unpickle")
    assert ended.code == 1
    assert "An item near the key 'own' cannot be stored" in ended.err


CACHE = """
    CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, expire_time REAL,
        access_time REAL, access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0,
        filename TEXT, value BLOB)
"""


def make_cache(folder: Path, rows: list[tuple[Any, ...]]) -> None:
    """Write what diskcache 5.6 writes: key, raw, expire_time, mode, filename, value."""
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / "cache.db")) as connection:
        connection.execute(CACHE)
        insert = "INSERT INTO Cache (key, raw, expire_time, mode, filename, value) VALUES (?, ?, ?, ?, ?, ?)"
        connection.executemany(insert, rows)
        connection.commit()


PLAIN: list[tuple[Any, ...]] = [
    ("text", 1, None, 1, None, "x"),
    (5, 1, 4e9, 1, None, 2.5),
    (b"bytes", 1, None, 1, None, b"\0"),
    ("old", 1, 5.0, 1, None, "expired"),
    ("file", 1, None, 3, "ab/c.val", None),
    ("binary", 1, None, 2, "ab/d.val", None),
]


@pytest.mark.parametrize("shard", ["", "000"])
def test_a_diskcache_becomes_a_mapping(run: Run, tmp_path: Path, shard: str) -> None:
    folder = tmp_path / "cache" / shard
    make_cache(folder, PLAIN)
    (folder / "ab").mkdir()
    (folder / "ab" / "c.val").write_text("日本", encoding="utf-8")
    (folder / "ab" / "d.val").write_bytes(b"\xff")
    ended = run("import", "diskcache", "new.db", "cache")
    assert ended.lines == ["mapping cache: 5 items"]
    assert "1 expired items" in ended.err
    with MiniDB("new.db") as database:
        assert dict(database.mapping("cache")) == {
            "text": "x",
            5: 2.5,
            b"bytes": b"\0",
            "file": "日本",
            "binary": b"\xff",
        }


def test_a_diskcache_is_unpickled_only_when_told(run: Run, tmp_path: Path) -> None:
    make_cache(tmp_path / "cache", [(pickle.dumps((1, "a")), 0, None, 4, None, pickle.dumps({"x": [1]}))])
    ended = run("import", "diskcache", "new.db", "cache")
    assert ended.code == 1
    assert "--unpickle" in ended.err
    assert run("import", "diskcache", "new.db", "cache", "--unpickle", "--name", "c").lines == ["mapping c: 1 item"]
    with MiniDB("new.db") as database:
        assert dict(database.mapping("c")) == {(1, "a"): {"x": [1]}}


@pytest.mark.parametrize("is_folder", [True, False])
def test_lmdb_databases_become_mappings(run: Run, tmp_path: Path, is_folder: bool) -> None:
    with lmdb.open(str(tmp_path / "old.lmdb"), subdir=is_folder, max_dbs=3) as old:
        named = old.open_db(b"named")
        multiple = old.open_db(b"multiple", dupsort=True)
        with old.begin(write=True) as transaction:
            transaction.put(b"plain", b"1")
            transaction.put(b"a", b"2", db=named)
            for value in (b"x", b"y"):
                transaction.put(b"k", value, db=multiple)
            transaction.put(b"l", b"z", db=multiple)
    assert run("import", "lmdb", "new.db", "old.lmdb").lines == [
        "mapping multiple: 2 items",
        "mapping named: 1 item",
        "mapping main: 1 item",
    ]
    with MiniDB("new.db") as database:
        assert dict(database.mapping("main")) == {b"plain": b"1"}
        assert dict(database.mapping("named")) == {b"a": b"2"}
        assert dict(database.mapping("multiple")) == {b"k": [b"x", b"y"], b"l": [b"z"]}
    assert run("import", "lmdb", "one.db", "old.lmdb", "--table", "named").lines == ["mapping named: 1 item"]
