"""Pages: what each costs, what they share, and tokens that show nothing and cannot be made up."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.api.conftest import Reopen
from tests.query.people import PEOPLE
from tests.query.test_plan import examined

from minidb import MiniDB, Page, Query, Row, Table, where
from minidb.exceptions import PageTokenError, SchemaValidationError, UsageError
from minidb.schema import DictField, IntegerField, JSONField, ListField, Schema, StringField

PAGE_OF_ENGINE = 1_024
"""Rows that an engine hands on at a time, at most."""


def walk(query: Query[Row], size: int, after: str | None = None) -> list[Row]:
    """Return the rows of all pages from a token on."""
    rows: list[Row] = []
    while True:
        page = query.page(size, after=after)
        rows += page.rows
        after = page.token
        assert len(page.rows) <= size
        if after is None:
            return rows
        assert len(page.rows) == size


@pytest.fixture
def few(database: MiniDB) -> Table[Row]:
    """A table of a hundred and twenty rows: ``number`` from 0 on, indexed, and ``tens`` of it."""
    table = database.create_table("few", Schema(number=IntegerField(index=True), tens=IntegerField()))
    table.insert_many({"number": number, "tens": number // 10} for number in range(120))
    return table


@pytest.fixture
def items(database: MiniDB) -> Table[Row]:
    """A table of rows that tie, with a compound index, one on elements and a partial one."""
    table = database.create_table(
        "items", Schema(shelf=IntegerField(), rank=IntegerField(), name=StringField(), tags=ListField(StringField()))
    )
    database.create_index("items", "shelf", "rank")
    database.create_index("items", "shelf", "tags", "rank")
    database.create_index("items", "name", name="front", where=where("shelf") == 0)
    table.insert_many(
        {"shelf": n % 3, "rank": n * 7 % 10, "name": f"n{n:03}", "tags": ["odd"] * (n % 2) + ["all", "t" * 300 + "a"]}
        for n in range(100)
    )
    return table


# --- what the pages are -----------------------------------------------------------------------------------------------

QUERIES: dict[str, Callable[[Table[Row]], Query[Row]]] = {
    "everything": lambda table: table.find(),
    "by an index": lambda table: table.find().order_by("shelf", "rank"),
    "downwards": lambda table: table.find().order_by("-shelf", "-rank"),
    "mixed": lambda table: table.find().order_by("-shelf", "rank"),
    "sorted": lambda table: table.find(where("rank") > 3).order_by("-name"),
    "with ties": lambda table: table.find().order_by("shelf"),
    "with ties, downwards": lambda table: table.find().order_by("-rank"),
    "of a range": lambda table: table.find(where("shelf") > 0),
    "of elements": lambda table: table.find(where("tags").contains("odd"), shelf=1),
    "of elements of several": lambda table: table.find(where("tags").contains("odd"), where("shelf").in_([0, 2])),
    "of long elements": lambda table: table.find(where("tags").contains("t" * 300 + "a"), shelf=1).order_by("-rank"),
    "of a partial index": lambda table: table.find(shelf=0).order_by("-name"),
    "of a union": lambda table: table.find((where("shelf") == 0) | (where("shelf") == 2)),
    "of a union, sorted": lambda table: table.find((where("shelf") == 0) | (where("shelf") == 2)).order_by("rank"),
    "of none": lambda table: table.find(where("shelf") > 9),
}


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("size", [1, 7, 33, 50, 101])
def test_the_pages_are_the_rows_in_their_order(items: Table[Row], name: str, size: int) -> None:
    query = QUERIES[name](items)
    rows = walk(query, size)
    assert {row.id for row in rows} == {row.id for row in query}
    assert len(rows) == query.count()
    assert [row.id for row in rows] == [row.id for row in query.page(200).rows]
    for order in query._order[:1]:
        values = [row[order[0]] for row in rows]
        assert values == sorted(values, reverse=order[1])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_last_page_that_is_full_is_followed_by_none(database: MiniDB, size: int) -> None:
    table = database.create_table("rows", Schema(n=IntegerField(index=True)))
    table.insert_many({"n": n} for n in range(6))
    for query in (table.find(), table.find().order_by("n"), table.find().order_by("-n")):
        page, pages = query.page(size), 1
        while page.token is not None:
            page, pages = query.page(size, after=page.token), pages + 1
            assert len(page.rows) == size
        assert pages == 6 // size


def test_an_empty_table_has_one_page_of_nothing(database: MiniDB) -> None:
    table = database.create_table("rows")
    assert table.find().page(1) == Page([], None)
    assert table.find().order_by("-x").page(10) == ([], None)


def test_what_changes_behind_or_before_a_page_changes_no_other(few: Table[Row]) -> None:
    query = few.find(where("number") >= 100).order_by("number")
    page = query.page(10)
    few.find(where("number").between(105, 112)).delete()
    few.insert_many([{"number": 101}, {"number": 113}])
    assert [row.number for row in query.page(4, after=page.token).rows] == [113, 113, 114, 115]


def test_the_last_row_of_a_page_may_go_or_move(few: Table[Row]) -> None:
    for query in (few.find().order_by("number"), few.find(), few.find(where("tens") > 0).order_by("tens")):
        page = query.page(10)
        last = page.rows[-1].number
        following = query.page(3, after=page.token).rows
        few.delete(page.rows[-1].id)
        assert query.page(3, after=page.token).rows == following
        again = few.insert({"number": last, "tens": last // 10})
        assert again not in [row.id for row in page.rows]
    query = few.find().order_by("number")
    page = query.page(10)
    few.find(number=9).update(number=-1)
    assert [row.number for row in query.page(2, after=page.token).rows] == [10, 11]


def test_pages_see_what_their_write_transaction_has_not_committed(database: MiniDB, few: Table[Row]) -> None:
    with database.begin_transaction() as transaction:
        few.insert_many({"number": number} for number in (-3, -2, -1))
        few.find(number=1).delete()
        query = few.find().order_by("number")
        page = query.page(2)
        assert [row.number for row in page.rows] == [-3, -2]
        assert [row.number for row in query.page(4, after=page.token).rows] == [-1, 0, 2, 3]
        transaction.rollback()
    assert [row.number for row in query.page(3, after=page.token).rows] == [0, 1, 2]


def test_a_page_of_a_read_only_database(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        database.create_table("rows", PEOPLE).insert_many({"name": f"p{n}", "age": n} for n in range(9))
        token = database.get_table("rows").find().order_by("age").page(4).token
    with MiniDB(database_path, read_only=True) as database:
        query = database.get_table("rows").find().order_by("age")
        assert [row.age for row in query.page(3, after=token).rows] == [4, 5, 6]
        assert [row.age for row in walk(query, 2)] == list(range(9))


def test_values_too_long_for_an_index_are_paged_in_order(database: MiniDB) -> None:
    table = database.create_table("long", Schema(text=StringField(index=True), n=IntegerField()))
    database.create_index("long", "text", "n")
    texts = ["", *("x" * 120 + str(n) for n in range(30)), "x" * 108, "y"]
    table.insert_many({"text": text, "n": n % 2} for n, text in enumerate(texts[::-1]))
    for size in (1, 2, 5, 40):
        assert [row.text for row in walk(table.find().order_by("text"), size)] == sorted(texts)
        assert [row.text for row in walk(table.find().order_by("-text"), size)] == sorted(texts, reverse=True)
        prefix = walk(table.find(where("text").startswith("x" * 115)).order_by("-text", "-n"), size)
        assert [row.text for row in prefix] == sorted(texts[1:31], reverse=True)


# --- what a page costs ------------------------------------------------------------------------------------------------

CHEAP: dict[str, Callable[[Table[Row]], Query[Row]]] = {
    "in order of ids": lambda table: table.find(),
    "by an index": lambda table: table.find().order_by("number"),
    "by an index, downwards": lambda table: table.find().order_by("-number"),
    "by a compound index": lambda table: table.find(kind=1).order_by("number"),
    "by what an index has": lambda table: table.find(kind=1),
    "by several values": lambda table: table.find(where("kind").in_([0, 1])),
    "of elements between fields": lambda table: table.find(where("tags").contains("a"), where("kind").in_([0, 1])),
    "of elements": lambda table: table.find(where("tags").contains("a"), kind=1).order_by("-number"),
    "of some rows": lambda table: table.find(where("number") >= 10, where("code") >= 0).order_by("code"),
}


@pytest.mark.parametrize("name", CHEAP)
def test_a_later_page_costs_what_the_first_one_costs(
    location: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with MiniDB(location, durability="none", slow_query_ms=0) as database:
        table = database.create_table(
            "rows",
            Schema(
                number=IntegerField(index=True), kind=IntegerField(), code=IntegerField(), tags=ListField(StringField())
            ),
        )
        database.create_index("rows", "kind", "number")
        database.create_index("rows", "kind", "tags", "number")
        database.create_index("rows", "code", name="some", where=where("number") >= 10)
        table.insert_many({"number": n, "kind": n % 2, "code": n // 2, "tags": ["a", "b"]} for n in range(6_000))
        query = CHEAP[name](table)
        token, costs, seen = None, list[int](), 0
        while seen < 2_500:
            page = query.page(250, after=token)
            seen += len(page.rows)
            costs.append(examined(partial(query.page, 250, after=token), caplog))
            token = page.token
        assert max(costs) <= PAGE_OF_ENGINE
        assert sum(costs) <= len(costs) * PAGE_OF_ENGINE


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_with_any_bit_flipped_is_refused(few: Table[Row]) -> None:
    query = few.find().order_by("tens")
    token = query.page(3).token
    assert token is not None
    for place in range(len(token)):
        for bit in range(8):
            changed = token[:place] + chr(ord(token[place]) ^ 1 << bit) + token[place + 1 :]
            with pytest.raises(PageTokenError):
                query.page(3, after=changed)


def test_a_token_cut_or_lengthened_is_refused(few: Table[Row]) -> None:
    query = few.find().order_by("tens")
    token = query.page(3).token
    assert token is not None
    for length in range(len(token)):
        for part in (token[:length], token[length + 1 :]):
            with pytest.raises(PageTokenError):
                query.page(3, after=part)
    # What decoders of base64 pass over.
    for more in (
        token + "=",
        token + "==",
        token + "\n",
        " " + token,
        token[:5] + "!" + token[5:],
        token + "A",
        token * 2,
    ):
        with pytest.raises(PageTokenError) as caught:
            query.page(3, after=more)
    assert caught.value.hint == "begin with the first page"
    assert token not in str(caught.value)


def test_what_is_no_token_is_refused(few: Table[Row]) -> None:
    wrong: list[Any] = [
        "",
        "no token",
        "é",
        "\ud800",
        "A" * 100_000,
        b"bytes",
        3,
        True,
        1.5,
        [],
        ("a",),
    ]  # Any: wrong
    for after in wrong:
        with pytest.raises(PageTokenError):
            few.find().page(3, after=after)


def test_a_token_of_another_query_is_refused(database: MiniDB, few: Table[Row]) -> None:
    def token_of(query: Query[Row]) -> str:
        token = query.page(3).token
        assert token is not None
        return token

    query = few.find(where("number") >= 5).order_by("tens")
    token = token_of(query)
    other = database.create_table("others", Schema(number=IntegerField(index=True), tens=IntegerField()))
    other.insert_many({"number": number, "tens": 0} for number in range(10))
    for wrong in (
        few.find().order_by("tens"),
        few.find(where("number") >= 6).order_by("tens"),
        few.find(where("number") > 5).order_by("tens"),
        few.find(where("tens") >= 5).order_by("tens"),
        few.find(where("number") >= 5).order_by("-tens"),
        few.find(where("number") >= 5).order_by("number"),
        few.find(where("number") >= 5).order_by("tens", "number"),
        few.find(where("number") >= 5),
        few.find((where("number") >= 5) | (where("tens") == 1)).order_by("tens"),
        other.find(where("number") >= 5).order_by("tens"),
    ):
        with pytest.raises(PageTokenError, match="another query"):
            wrong.page(3, after=token)
        with pytest.raises(PageTokenError, match="another query"):
            query.page(3, after=token_of(wrong))
    assert query.page(1, after=token).rows  # of another size: the same query


def test_a_token_of_another_database_or_of_a_table_before_is_refused(database: MiniDB) -> None:
    def make(made_in: MiniDB) -> Query[Row]:
        table = made_in.create_table("rows", Schema(n=IntegerField(index=True)))
        table.insert_many({"n": n} for n in range(9))
        return table.find().order_by("n")

    query = make(database)
    with MiniDB(":memory:") as another:
        token = make(another).page(3).token
    with pytest.raises(PageTokenError):
        query.page(3, after=token)
    token = query.page(3).token
    database.drop_table("rows")
    query = make(database)
    with pytest.raises(PageTokenError):
        query.page(3, after=token)


def test_a_token_outlives_the_program_and_indexes(reopen: Reopen) -> None:
    def query(database: MiniDB) -> Query[Row]:
        return database.get_table("rows").find(where("n") >= 2).order_by("n")

    database = reopen()
    database.create_table("rows", Schema(n=IntegerField(), m=IntegerField())).insert_many(
        {"n": n // 2, "m": -n} for n in range(30)
    )
    whole = [row.id for row in query(database).page(30).rows]
    token = query(database).page(5).token
    changes: list[Callable[[MiniDB], object]] = [
        lambda database: database.create_index("rows", "n"),
        lambda database: database.create_index("rows", "n", "m"),
        lambda database: database.drop_index("rows", "n"),
        lambda database: database.create_index("rows", "m", name="some", where=where("n") >= 2),
        lambda database: database.drop_index("rows", "n_m"),
        lambda database: database.drop_index("rows", "some"),
    ]
    for change in changes:
        database = reopen()
        change(database)
        for size in (1, 4, 100):
            assert [row.id for row in walk(query(database), size, token)] == whole[5:]


def test_a_token_made_along_an_index_outlives_it(database: MiniDB) -> None:
    table = database.create_table("rows", Schema(n=IntegerField(), m=IntegerField()))
    table.insert_many({"n": n % 5, "m": -n} for n in range(50))
    for order in ((), ("n",), ("-n",)):
        database.create_index("rows", "n", "m")
        query = table.find(where("n") > 0).order_by(*order)
        whole = [row.id for row in query.page(50).rows]
        token = query.page(7).token
        database.drop_index("rows", "n_m")
        assert [row.id for row in walk(query, 3, token)] == whole[7:]
        database.create_index("rows", "n")
        assert [row.id for row in walk(query, 3, token)] == whole[7:]
        database.drop_index("rows", "n")


def test_a_token_shows_no_value(database: MiniDB) -> None:
    table = database.create_table("secrets", Schema(secret=StringField(index=True)))
    table.insert_many({"secret": f"very secret value {n}"} for n in range(9))
    for query in (table.find().order_by("secret"), table.find(where("secret") >= "very s"), table.find()):
        tokens = []
        for size in (1, 2, 3):
            token = query.page(size).token
            assert token is not None
            tokens.append(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        for data in tokens:
            for part in (b"very", b"secret", b"value", b"query", b"order", b"key"):
                assert part not in data
        # Neighbours share no more than chance has it, so that two tokens tell no more than one.
        assert sum(one == other for one, other in zip(tokens[0], tokens[1], strict=False)) < 16


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_size_that_is_none_is_refused(few: Table[Row]) -> None:
    wrong: list[Any] = [0, -1, True, 1.5, "3", None]  # Any: wrong on purpose
    for size in wrong:
        with pytest.raises(UsageError, match="page size"):
            few.find().page(size)


def test_limit_and_offset_are_refused(few: Table[Row]) -> None:
    for query in (few.find().limit(3), few.find().limit(0), few.find().offset(1)):
        with pytest.raises(UsageError, match="limit or offset"):
            query.page(3)
    assert len(few.find().limit(None).offset(0).page(3).rows) == 3


def test_fields_that_there_are_not_are_refused(few: Table[Row]) -> None:
    for query in (few.find().order_by("nubmer"), few.find(nubmer=3)):
        with pytest.raises(SchemaValidationError, match="number"):
            query.page(3)


def test_lists_and_maps_have_an_order_in_pages_too(database: MiniDB) -> None:
    table = database.create_table("rows", Schema(l=ListField(), d=DictField(), j=JSONField()))
    table.insert_many({"l": [{"a": n}, n], "d": {"b": n % 3}, "j": {"a": [n]}} for n in range(10))
    for order in ("l", "-d", "j"):
        assert len({row.id for row in walk(table.find().order_by(order), 3)}) == 10
    assert [row.j["a"] for row in table.find().order_by("-j").page(2).rows] == [[9], [8]]
