"""Indexes on the elements of lists and on some of the rows, and their making: as a person uses them."""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.conftest import Reopen
from tests.api.consistency import check_consistency
from tests.encoding.test_values import ClockThatGoesBack

from minidb import MiniDB, Row, Table, where
from minidb.exceptions import (
    IndexExistsError,
    IndexNotFoundError,
    SchemaDefinitionError,
    SchemaValidationError,
    UniqueViolationError,
    UsageError,
)
from minidb.schema import DateTimeField, DictField, EnumField, IntegerField, ListField, Schema, StringField
from minidb.tables import index_build

ARTICLES = Schema(
    title=StringField(),
    tags=ListField(StringField(nullable=True), default=[]),
    links=ListField(IntegerField(), unique=True),
    state=StringField(default="draft"),
    slug=StringField(),
)


@pytest.fixture
def articles(database: MiniDB) -> Iterator[Table[Row]]:
    """A table with an index on elements, a unique one, a partial and a unique partial one."""
    table = database.create_table("articles", ARTICLES)
    database.create_index("articles", "tags")
    database.create_index("articles", "title", name="drafts", where=where("state") == "draft")
    database.create_index("articles", "slug", unique=True, where=where("state").in_(["live", "featured"]))
    yield table
    check_consistency(database)


def clock_that_goes_back() -> dt.datetime:
    """Return the first of two moments that a clock shows alike."""
    return dt.datetime(2024, 10, 27, 2, 30, tzinfo=ClockThatGoesBack())


def ids_by(database: MiniDB, index: str, value: object) -> list[int]:
    return [row.id for row in database.query_by_index("articles", index, value)]


# --- on the elements of a list ----------------------------------------------------------------------------------------


def test_a_row_is_found_by_each_of_its_elements(database: MiniDB, articles: Table[Row]) -> None:
    articles.insert_many([{"tags": ["a", "b", "a"]}, {"tags": []}, {"tags": None}, {"tags": ["b", None]}, {}])
    articles.insert({"tags": ["x" * 300, "x" * 300 + "y", "a"]})
    assert [ids_by(database, "tags", tag) for tag in ("a", "b", "c", "")] == [[1, 6], [1, 4], [], []]
    assert [ids_by(database, "tags", tag) for tag in ("x" * 300, "x" * 300 + "y", "x" * 301)] == [[6], [6], []]
    assert ids_by(database, "tags", None) == [4]
    query = articles.find(where("tags").contains("b"))
    assert sorted(row.id for row in query) == [1, 4]
    assert "index tags of articles: tags.contains('b')" in query.explain().tree
    assert query.explain().examined == query.count() == 2


def test_changing_elements_changes_entries(database: MiniDB, articles: Table[Row]) -> None:
    row_id = articles.insert({"tags": ["a", "b"], "links": [1, 2]})
    for tags, links in (
        (["b", "a"], [2, 1]),  # the same ones: no entry changes
        (["b", "c"], [2, 3]),
        (["c"] * 3, [3, 3]),
        ([], []),
        (None, None),
        (["x" * 200, "x" * 201], [1]),
        (["x" * 201, "a"], [1, 2]),
    ):
        articles.update(row_id, tags=tags, links=links)
        check_consistency(database)
        assert [ids_by(database, "tags", tag) != [] for tag in ("a", "b", "c")] == [
            tag in (tags or []) for tag in ("a", "b", "c")
        ]
    articles.replace(row_id, {"tags": ["b"]})
    assert (ids_by(database, "tags", "b"), ids_by(database, "tags", "a")) == ([1], [])
    articles.delete(row_id)
    assert ids_by(database, "tags", "b") == []


def test_a_taken_element_is_refused_and_its_holder_told(articles: Table[Row]) -> None:
    articles.insert_many([{"links": [1, 2]}, {"links": [3]}, {"links": [4, 4]}, {"links": []}, {}])
    calls: list[Callable[[], object]] = [
        lambda: articles.insert({"links": [9, 3]}),
        lambda: articles.update(1, links=[2, 1, 3]),
        lambda: articles.replace(3, {"links": [3]}),
        lambda: articles.insert_many([{"links": [8]}, {"links": [7, 3]}]),
        lambda: articles.find(where("links").contains(4)).update(links=[3, 4]),
    ]
    for call in calls:
        with pytest.raises(UniqueViolationError) as caught:
            call()
        error = caught.value
        assert (error.index, error.fields, error.value, error.id) == ("links", ("links",), 3, 2)
        assert "3" not in str(error)
    with pytest.raises(UniqueViolationError) as caught:
        articles.insert_many([{"links": [20]}, {"links": [21, 20, 20]}])
    assert caught.value.value == 20
    assert caught.value.id >= 6  # that of the row before it, behind a gap where many write at once
    assert articles.count() == 5
    articles.update(2, links=[30])
    articles.insert({"links": [9, 3]})


def test_a_unique_index_with_fields_around_the_list(database: MiniDB, articles: Table[Row]) -> None:
    database.create_index("articles", "title", "tags", "slug", unique=True)
    articles.insert({"title": "t", "tags": ["a", "b"], "slug": "s"})
    articles.insert_many([{"title": "t", "tags": ["a"], "slug": "z"}, {"title": "u", "tags": ["a"], "slug": "s"}])
    articles.insert_many([{"title": "t", "tags": ["a"]}, {"title": "t", "tags": [None], "slug": "s"}] * 2)  # nulls
    with pytest.raises(UniqueViolationError) as caught:
        articles.insert({"title": "t", "tags": ["c", "b"], "slug": "s"})
    assert (caught.value.value, caught.value.id) == (("t", "b", "s"), 1)
    assert ids_by(database, "title_tags_slug", ("t", "a", "s")) == [1]
    assert ids_by(database, "title_tags_slug", ("t", "a", None)) == [4, 6]
    with pytest.raises(SchemaValidationError):
        ids_by(database, "title_tags_slug", ("t", ["a"], "s"))


def test_elements_that_repeat_forbid_a_unique_index(database: MiniDB, articles: Table[Row]) -> None:
    articles.insert_many({"tags": [f"t{n}", f"u{n}"]} for n in range(1_500))
    articles.insert({"tags": ["new", "t3"]})
    with pytest.raises(UniqueViolationError) as caught:
        database.create_index("articles", "tags", name="each_once", unique=True)
    assert (caught.value.value, caught.value.id) == ("t3", 4)
    assert "each_once" not in [index.name for index in database.indexes("articles")]


def test_elements_of_other_types_are_found(database: MiniDB) -> None:
    moment = DateTimeField(timezone=True)
    schema = Schema(
        level=ListField(EnumField(["low", "high"])), at=ListField(moment), any=ListField(), maps=ListField(DictField())
    )
    table = database.create_table("rows", schema)
    for name in schema.fields:
        database.create_index("rows", name)
    first = clock_that_goes_back()
    anything: list[Any] = [1, True, "1", None, 2.5, [1], {"a": 1}, b"1", "x" * 200, 1.0]  # Any: of every type
    table.insert({"level": ["low"], "at": [first, first.replace(fold=1)], "any": anything, "maps": [{"b": 2}]})
    for name, elements in (
        ("level", ["low"]),
        ("at", [first, first.replace(fold=1)]),
        ("any", anything),
        ("maps", [{"b": 2}]),
    ):
        for element in elements:
            assert [row.id for row in database.query_by_index("rows", name, element)] == [1]
            if element is not None:
                assert table.find(where(name).contains(element), require_index=True).count() == 1
    assert database.query_by_index("rows", "any", False) == []
    check_consistency(database)
    table.delete(1)
    check_consistency(database)


def test_an_element_of_another_type_is_refused(database: MiniDB, articles: Table[Row]) -> None:
    for value in (3, ["a"], b"a", True):
        with pytest.raises(SchemaValidationError):
            ids_by(database, "tags", value)
        with pytest.raises(SchemaValidationError):
            articles.find(where("tags").contains(value)).all()


@pytest.mark.usefixtures("articles")
def test_two_lists_in_an_index_are_refused(database: MiniDB) -> None:
    with pytest.raises(SchemaDefinitionError, match="one field of lists") as caught:
        database.create_index("articles", "tags", "title", "links")
    assert (caught.value.field, caught.value.hint) == ("links", "make an index on each")
    assert len(database.indexes("articles")) == 4


def test_without_a_schema_a_list_is_one_value(database: MiniDB) -> None:
    table = database.create_table("articles")
    database.create_index("articles", "tags")
    table.insert_many([{"tags": ["a", "b"]}, {"tags": "a"}])
    assert (ids_by(database, "tags", ["a", "b"]), ids_by(database, "tags", "a")) == ([1], [2])
    query = table.find(where("tags").contains("a"))
    assert ([row.id for row in query], "table scan" in query.explain().tree) == ([1, 2], True)


# --- on some of the rows ----------------------------------------------------------------------------------------------


def test_a_row_moves_into_and_out_of_a_partial_index(database: MiniDB, articles: Table[Row]) -> None:
    row_id = articles.insert({"title": "t"})
    for changes, expected in (
        ({"state": "live"}, []),
        ({"title": "u"}, []),
        ({"state": "draft"}, [row_id]),
        ({"state": None}, []),
        ({"state": "draft", "title": "v"}, []),
    ):
        articles.update(row_id, **changes)
        check_consistency(database)
        assert ids_by(database, "drafts", "t") + ids_by(database, "drafts", "u") == expected
    assert ids_by(database, "drafts", "v") == [row_id]
    articles.find(state="draft").update(state="live")
    assert ids_by(database, "drafts", "v") == []


def test_a_unique_partial_index_is_unique_among_its_rows(database: MiniDB, articles: Table[Row]) -> None:
    articles.insert_many([{"slug": "s"}, {"slug": "s"}, {"slug": "s", "state": "live"}, {"state": "live"}])
    articles.insert({"state": "live"})  # a null is no value
    calls: list[Callable[[], object]] = [
        lambda: articles.insert({"slug": "s", "state": "featured"}),
        lambda: articles.insert_many([{"slug": "r", "state": "live"}, {"slug": "s", "state": "live"}]),
        lambda: articles.update(1, state="live"),
        lambda: articles.update(4, slug="s"),
        lambda: articles.find(slug="s").update(state="featured"),
    ]
    for call in calls:
        with pytest.raises(UniqueViolationError) as caught:
            call()
        assert (caught.value.index, caught.value.value) == ("slug", "s")
        check_consistency(database)
    assert articles.count() == 5
    articles.update(3, state="draft")
    articles.update(1, state="live")
    assert ids_by(database, "slug", "s") == [1]
    assert articles.find(where("state") == "live", slug="s", require_index=True).one().id == 1
    assert articles.find(slug="s").count() == 3  # not by the index, which lacks two of them


def test_a_query_takes_a_partial_index_only_if_it_has_every_row(database: MiniDB) -> None:
    table = database.create_table("rows", Schema(n=IntegerField(), m=IntegerField()))
    table.insert_many({"n": n % 10, "m": n} for n in range(50))
    database.create_index("rows", "m", name="some", where=where("n") > 5)
    for condition, takes in (
        (where("n") > 5, True),
        (where("n") == 7, True),
        (where("n").in_([8, 6]), True),
        ((where("n") > 6) & (where("m") < 20), True),
        ((where("n") == 9) | (where("n") == 6), True),
        (~~(where("n") > 7), True),
        (where("n") > 4, False),
        (where("n") >= 5, False),
        (where("m") == 7, False),
        ((where("n") > 6) | (where("m") == 2), False),
        (~(where("n") > 5), False),
    ):
        query = table.find(condition)
        assert ("index some of rows (where n > 5)" in query.explain().tree) == takes, str(condition)
        indexed = sorted(row.id for row in query)
        database.drop_index("rows", "some")
        assert sorted(row.id for row in query) == indexed
        assert query.count() == len(indexed)
        database.create_index("rows", "m", name="some", where=where("n") > 5)


def test_what_is_true_of_a_moment_stays_true_when_it_is_stored(database: MiniDB) -> None:
    first = clock_that_goes_back()
    second = first.replace(fold=1)
    table = database.create_table("rows", Schema(at=DateTimeField(timezone=True)))
    for name, condition in (
        ("from", where("at") >= second),
        ("until", where("at") < second),
        ("at", where("at") == first),
        ("others", where("at") != second),
    ):
        database.create_index("rows", "at", name=name, where=condition)
    for at in (first, second):
        table.insert({"at": at})
    check_consistency(database)
    table.update(1, at=second)
    check_consistency(database)
    table.update(2, at=first)
    table.delete(1)
    check_consistency(database)
    assert [[row.id for row in database.query_by_index("rows", name, first)] for name in ("from", "until", "at")] == [
        [],
        [2],
        [2],
    ]


@pytest.mark.usefixtures("articles")
def test_a_where_that_is_no_condition_is_refused(database: MiniDB) -> None:
    wrong: list[Any] = ["age > 3", 3, True, lambda _: True]  # Any: wrong on purpose
    for condition in wrong:
        with pytest.raises(UsageError, match="must be a condition"):
            database.create_index("articles", "title", where=condition)


@pytest.mark.usefixtures("articles")
def test_a_where_that_does_not_fit_the_table_is_refused(database: MiniDB) -> None:
    for condition in (where("stat") == "draft", where("state") == 3, where("tags").contains(3), where("state") > None):
        with pytest.raises(SchemaValidationError) as caught:
            database.create_index("articles", "title", where=condition)
        assert caught.value.table == "articles"
    with pytest.raises(UsageError, match="text"):
        where("map")[3]  # type: ignore[index]  # wrong on purpose
    assert len(database.indexes("articles")) == 4


# --- what is stored ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("articles")
def test_an_index_tells_what_it_is(database: MiniDB) -> None:
    assert [repr(index) for index in database.indexes("articles")] == [
        "<index 'links' of table 'articles' on each of links, unique>",
        "<index 'tags' of table 'articles' on each of tags>",
        "<index 'drafts' of table 'articles' on title, where state == 'draft'>",
        "<index 'slug' of table 'articles' on slug, unique, where state in ['live', 'featured']>",
    ]
    links, _, drafts, slug = database.indexes("articles")
    assert (links.each, drafts.each, drafts.fields) == ("links", None, ("title",))
    assert (str(drafts.where), links.where) == ("state == 'draft'", None)
    assert len({links, drafts, slug, *database.indexes("articles")}) == 4


def test_another_program_knows_the_elements_and_the_conditions(reopen: Reopen, database_path: Path) -> None:
    def make(database: MiniDB) -> None:
        database.create_index("articles", "tags", "title")
        database.create_index("articles", "title", name="drafts", where=where("state") == "draft")
        database.create_index(
            "articles", "slug", unique=True, where=(where("state") != "draft") & where("tags").contains("a")
        )

    database = reopen()
    table = database.create_table("articles", ARTICLES)
    make(database)
    table.insert_many([{"title": "t", "tags": ["a", "b"], "links": [1, 2]}, {"title": "t", "state": "live"}])
    before = [repr(index) for index in database.indexes("articles")]
    database = reopen()
    assert [repr(index) for index in database.indexes("articles")] == before
    make(database)  # as a program does at each start
    with pytest.raises(IndexExistsError):
        database.create_index("articles", "title", name="drafts", where=where("state") == "live")
    table = database.get_table("articles")
    with pytest.raises(UniqueViolationError):
        table.insert({"links": [2]})
    table.insert({"title": "u", "tags": ["b"], "state": "draft"})
    assert ids_by(database, "tags_title", ("b", "t")) == [1]
    assert ids_by(database, "drafts", "u") == [3]
    assert [ids_by(database, "links", link) for link in (1, 2, 3)] == [[1], [1], []]
    code = (
        "import sys; from minidb import MiniDB, where\n"
        "with MiniDB(sys.argv[1], durability='none') as db:\n"
        "    articles = db.get_table('articles')\n"
        "    articles.insert({'title': 'v', 'tags': ['c', 'c'], 'slug': 's'})\n"
        "    articles.update(2, tags=['a'], slug='s')\n"
        "    print([row.id for row in db.query_by_index('articles', 'tags_title', ('c', 'v'))])\n"
        "    print(articles.find(where('state') == 'draft', title='v').explain().tree)\n"
        "    print([index.each for index in db.indexes('articles')])\n"
    )
    database.close()
    done = subprocess.run(
        [sys.executable, "-c", code, database_path], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.splitlines() == [
        "[4]",
        "index drafts of articles (where state == 'draft'): title == 'v', state == 'draft'",
        "['links', 'tags', None, None]",
    ], done.stderr
    with pytest.raises(UniqueViolationError) as caught:
        reopen().get_table("articles").update(4, state="live", tags=["c", "a"])
    assert (caught.value.index, caught.value.id) == ("slug", 2)


# --- making one -------------------------------------------------------------------------------------------------------


@pytest.fixture
def single_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each transaction of a build take a batch of rows."""
    monkeypatch.setattr(index_build, "MOST_BATCHES", 1)
    monkeypatch.setattr(index_build, "FEW_BATCHES", 1)


@pytest.mark.usefixtures("single_batches")
def test_progress_is_told_until_all_is_done(database: MiniDB) -> None:
    table = database.create_table("rows", Schema(n=IntegerField()))
    told: list[tuple[int, int]] = []
    database.create_index("rows", "n", name="of_none", progress=lambda done, total: told.append((done, total)))
    assert told == []
    table.insert_many({"n": n} for n in range(2_500))
    database.create_index("rows", "n", progress=lambda done, total: told.append((done, total)))
    assert told == [(1_000, 2_500), (2_000, 2_500), (2_500, 2_500)]


class Stopped(BaseException):
    """What no ``except Exception`` catches, as Ctrl-C."""


@pytest.mark.parametrize("raised", [RuntimeError, Stopped])
@pytest.mark.parametrize("is_inside", [False, True])
def test_progress_that_raises_leaves_no_index(database: MiniDB, raised: type[BaseException], is_inside: bool) -> None:
    table = database.create_table("rows", Schema(n=IntegerField(), m=ListField(IntegerField())))
    table.insert_many({"n": n, "m": [n, -n]} for n in range(2_500))

    def stop(done: int, _: int) -> None:
        if done > 1_000:
            raise raised("enough")

    def make() -> None:
        with pytest.raises(raised, match="enough"):
            database.create_index("rows", "m", unique=True, where=where("n") > 10, progress=stop)
        assert database.indexes("rows") == []
        table.insert({"n": 11, "m": [11]})
        assert table.find(where("m").contains(11)).count() == 2

    if is_inside:
        with database.begin_transaction():
            table.insert({"n": -1})
            make()
        assert table.count() == 2_502
    else:
        make()
    check_consistency(database)
    database.create_index("rows", "m")
    check_consistency(database)


@pytest.mark.usefixtures("single_batches")
def test_progress_may_write_rows(database: MiniDB) -> None:
    table = database.create_table("rows", Schema(n=IntegerField()))
    table.insert_many({"n": n} for n in range(2_500))

    def write(done: int, _: int) -> None:
        if done == 1_000:
            table.insert({"n": 10_000})  # a row that is still to come
            table.delete(1)
            table.update(2, n=-2)
            table.update(2_000, n=-2_000)
            table.delete(2_400)

    database.create_index("rows", "n", unique=True, progress=write)
    check_consistency(database)
    assert [database.query_by_index("rows", "n", n)[0].id for n in (-2, -2_000, 10_000)] == [2, 2_000, 2_501]
    with pytest.raises(UniqueViolationError):
        table.insert({"n": 10_000})


@pytest.mark.usefixtures("single_batches")
def test_readers_see_no_half_of_an_index(database: MiniDB) -> None:
    table = database.create_table("rows", Schema(n=IntegerField()))
    table.insert_many({"n": n % 100} for n in range(3_000))
    seen: list[tuple[int, bool]] = []

    def read(_: int, __: int) -> None:
        def ask() -> None:
            query = table.find(n=7)
            seen.append((query.count(), "table scan" in query.explain().tree))
            seen.append((len(query.all()), [index.is_building for index in database.indexes("rows")] == [True]))

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
        with pytest.raises(IndexNotFoundError):
            database.query_by_index("rows", "n", 7)

    database.create_index("rows", "n", progress=read)
    assert seen[:4] == [(30, True)] * 4
    assert table.find(n=7, require_index=True).count() == 30


BUILD = """
import os, signal, sys
from minidb import MiniDB, where
from minidb.tables import index_build

index_build.MOST_BATCHES = 3
index_build.FEW_BATCHES = 1

def progress(done, total):
    if sys.argv[2] == "die" and done * 2 >= total:
        os.kill(os.getpid(), signal.SIGKILL)

with MiniDB(sys.argv[1]) as db:
    db.create_index("rows", "tags", "n", where=where("n") >= 10, progress=progress)
print("done")
"""


def test_a_program_killed_while_it_makes_an_index_leaves_one_that_nobody_reads(database_path: Path) -> None:
    def build(how: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", BUILD, database_path, how], capture_output=True, text=True, check=False, timeout=120
        )

    with MiniDB(database_path, durability="none") as database:
        table = database.create_table("rows", Schema(n=IntegerField(), tags=ListField(StringField())))
        table.insert_many({"n": n, "tags": [f"t{n % 7}", "all"]} for n in range(6_000))
    killed = build("die")
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, ""), killed.stderr
    with MiniDB(database_path, durability="none") as database:
        table = database.get_table("rows")
        assert [index.is_building for index in database.indexes("rows")] == [True]
        assert "being built" in repr(database.indexes("rows")[0])
        assert database.verify().building.keys() == {"rows.tags_n"}
        assert table.count() == 6_000
        assert table.find(where("tags").contains("t3")).count() == 857
        table.insert({"n": 1, "tags": ["all"]})
        table.delete(6_001)
    done = build("live")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    with MiniDB(database_path, durability="none") as database:
        table = database.get_table("rows")
        query = table.find(where("tags").contains("t3"), where("n") >= 10, require_index=True)
        assert query.count() == 856
        (index,) = database.indexes("rows")
        assert (index.name, index.each) == ("tags_n", "tags")
        check_consistency(database)
