"""Automatic ids in queries: ``id`` is compared, sorted by and paged along as a field is, and stored nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from minidb import Condition, MiniDB, Row, Table, where
from minidb.exceptions import SchemaDefinitionError, SchemaValidationError
from minidb.schema import IntegerField, ListField, Schema, StringField

ID = where("id")
A = where("a")
TAGS = where("tags")


@pytest.fixture
def table(database: MiniDB) -> Table[Row]:
    made = database.create_table(
        "t", Schema(a=IntegerField(index=True), tags=ListField(IntegerField(), index=True), b=IntegerField())
    )
    made.insert_many({"a": n % 7 if n % 5 else None, "tags": [n % 3, n % 4], "b": n % 2} for n in range(200))
    made.delete_many([3, 50, 51, 200])
    return made


QUESTIONS: list[tuple[Condition, Callable[[Row], bool]]] = [
    (ID == 5, lambda row: row.id == 5),
    (ID >= 190, lambda row: row.id >= 190),
    ((ID >= 10) & (ID < 20) & (A == 3), lambda row: 10 <= row.id < 20 and row.a == 3),
    (ID.in_([3, 4, 5, 999, -1, 2**70]), lambda row: row.id in (4, 5)),
    (ID != 5, lambda row: row.id != 5),
    (~(ID > 5), lambda row: row.id <= 5),
    ((ID < 4) | (A == 6), lambda row: row.id < 4 or row.a == 6),
    ((ID == 7) | (ID == 9), lambda row: row.id in (7, 9)),
    ((ID == 7) | (where("b") == 1), lambda row: row.id == 7 or row.b == 1),
    (ID < -3, lambda _: False),
    (ID.is_null(), lambda _: False),
    (~ID.is_null(), lambda _: True),
    (ID.between(100, 110) & TAGS.contains(2), lambda row: 100 <= row.id <= 110 and 2 in row.tags),
    (TAGS.contains(2) & (ID > 190), lambda row: 2 in row.tags and row.id > 190),
]


def paged(table: Table[Row], condition: Condition, order: str) -> list[int]:
    ids: list[int] = []
    token: str | None = None
    while True:
        page = table.find(condition).order_by(order).page(7, after=token)
        ids += [row.id for row in page.rows]
        token = page.token
        if token is None:
            return ids


@pytest.mark.parametrize(("condition", "is_wanted"), QUESTIONS, ids=[str(one) for one, _ in QUESTIONS])
def test_ids_are_asked_for_as_fields_are(
    table: Table[Row], condition: Condition, is_wanted: Callable[[Row], bool]
) -> None:
    wanted = [row.id for row in table if is_wanted(row)]
    query = table.find(condition)
    assert sorted(row.id for row in query) == wanted
    assert query.count() == len(wanted)
    assert [row.id for row in query.order_by("id")] == wanted
    assert [row.id for row in query.order_by("-id").limit(3)] == wanted[::-1][:3]
    assert [row.id for row in query.order_by("b", "-id")] == sorted(wanted, key=lambda one: (table[one].b, -one))
    assert paged(table, condition, "id") == wanted
    assert paged(table, condition, "-id") == wanted[::-1]
    assert sorted(paged(table, condition, "a")) == wanted


def test_a_range_of_ids_reads_no_other_rows(table: Table[Row]) -> None:
    assert table.find(ID >= 190).explain().examined == 10
    assert table.find(id=5, b=0).explain().examined == 1
    assert table.find().order_by("-id").limit(2).explain().examined == 2
    assert table.find(id=5).exists()


def test_rows_are_changed_by_their_ids(table: Table[Row]) -> None:
    assert table.find(ID > 195).update(a=99) == 4
    assert table.find(a=99).count() == 4
    assert table.find((ID > 195) & (A == 99)).delete() == 4
    assert max(row.id for row in table) == 195


@pytest.mark.parametrize("condition", [ID == "5", ID == True, ID.startswith("5"), ID.contains(5), ID["x"] == 5])  # noqa: E712  # builds a condition
def test_what_no_id_can_be_is_refused(table: Table[Row], condition: Condition) -> None:
    with pytest.raises(SchemaValidationError, match="compared with integers"):
        table.find(condition).all()


def test_an_id_is_no_column(database: MiniDB, table: Table[Row]) -> None:
    with pytest.raises(SchemaDefinitionError):
        database.create_index("t", "id")
    with pytest.raises(SchemaValidationError):
        database.create_index("t", "a", name="part", where=ID > 5)
    for figure in (lambda: table.find().max("id"), lambda: table.find().group_by("id").aggregate(n="count")):
        with pytest.raises(SchemaValidationError, match="no field of the table"):
            figure()


def test_where_there_is_a_field_or_a_column_of_that_name_it_is_meant(database: MiniDB) -> None:
    own = database.create_table("own", Schema(id=StringField(index=True)))
    own.insert({"id": "x"})
    assert own.find(id="x").count() == 1
    keyed = database.create_table("keyed", Schema(name=StringField(primary_key=True)))
    with pytest.raises(SchemaValidationError, match="no field of the table"):
        keyed.find(id=1).all()
    loose = database.create_table("loose")
    loose.insert({"id": 5})
    assert (loose.find(id=5).count(), loose.find(id=1).count()) == (1, 0)
