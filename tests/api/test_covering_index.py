"""Covering indexes: their entries hold the rows, whatever becomes of these, and queries read nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.api.consistency import InconsistentError, check_consistency

from minidb import MiniDB, Row, Table, where
from minidb.exceptions import CorruptionError, IndexExistsError, SchemaDefinitionError
from minidb.schema import IntegerField, ListField, Schema, StringField

PEOPLE = Schema(name=StringField(), city=StringField(), age=IntegerField(), tags=ListField(StringField(), default=[]))


@pytest.fixture(params=["without a schema", "with a schema"])
def people(request: pytest.FixtureRequest, database: MiniDB) -> Iterator[Table[Row]]:
    """A table with covering indexes on one field, on two, and on some of its rows."""
    table = database.create_table("people", PEOPLE if request.param == "with a schema" else None)
    database.create_index("people", "city", include="*")
    database.create_index("people", "age", "name", include="*")
    database.create_index("people", "name", name="adults", where=where("age") >= 18, include="*")
    table.insert_many(
        [
            {"name": "Ada", "city": "London", "age": 36, "tags": ["maths"]},
            {"name": "Alan", "city": "London", "age": 41, "tags": ["maths", "chess"]},
            {"name": "Grace", "city": "New York", "age": 85, "tags": []},
        ]
    )
    table.insert({"name": "Blaise", "city": "Paris", "age": 16, "tags": []})
    yield table
    check_consistency(database)


def lose_the_rows(database: MiniDB, table: str) -> None:
    """Delete all rows and leave their entries: whoever looks for a row finds none."""
    transaction = database.engine.begin_write(5)
    try:
        transaction.clear(database.catalog_of(transaction).definition(table).space)
        transaction.commit()
    finally:
        transaction.close()


@pytest.mark.parametrize("schema", [None, PEOPLE])
def test_a_query_by_a_covering_index_reads_nothing_but_the_index(schema: Schema | None, location: str) -> None:
    with MiniDB(location, durability="none") as database:
        table = database.create_table("people", schema)
        database.create_index("people", "city", include="*")
        database.create_index("people", "age")
        columns = {"name": "Ada", "city": "London", "age": 36, "tags": []}
        table.insert(columns)
        lose_the_rows(database, "people")
        (row,) = table.find(city="London")
        assert (row.id, row.columns) == (1, columns)
        assert table.find(where("city") > "K").order_by("-city").limit(1).all() == [row]
        assert table.find(where("city") > "K", name="Ada").aggregate(ages=("sum", "age")).ages == 36
        assert database.query_by_index("people", "city", "London") == [row]
        with pytest.raises(CorruptionError):
            table.find(age=36).all()
        with pytest.raises(InconsistentError):
            check_consistency(database)


def test_explain_names_it(people: Table[Row]) -> None:
    assert people.find(city="London").explain().tree.endswith("covering index city of people: city == 'London'")


def test_of_two_indexes_that_find_the_same_the_covering_one_is_taken(people: Table[Row]) -> None:
    people.database.create_index("people", "city", name="plain")
    people.database.create_index("people", "age", name="first")
    assert "covering index city" in people.find(city="London").explain().tree
    assert "covering index age_name" in people.find(where("age") > 1).order_by("age").explain().tree


@pytest.mark.parametrize(
    "change",
    [
        lambda people: people.update(1, tags=["new"]),  # no indexed field
        lambda people: people.update(1, city="Paris"),
        lambda people: people.update(1, age=17),  # out of the partial one
        lambda people: people.update(1, name="Ada"),  # no change at all
        lambda people: people.replace(1, {"name": "Bob", "city": "Rome", "age": 20, "tags": []}),
        lambda people: people.update_many([(1, {"city": "Rome"}), (2, {"tags": []})]),
        lambda people: people.delete(1),
        lambda people: people.find(city="London").update(age=50),
        lambda people: people.find(city="London").delete(),
        lambda people: people.clear(),
    ],
)
def test_it_has_the_rows_as_they_are_after_any_change(
    people: Table[Row], change: Callable[[Table[Row]], object]
) -> None:
    change(people)
    check_consistency(people.database)
    by_id = {row.id: row for row in people.scan()}
    for city in ("London", "Paris", "Rome", "New York"):
        assert people.find(city=city).all() == [row for row in by_id.values() if row.city == city]
    assert people.database.verify().ok


def test_a_change_that_is_rolled_back_is_not_in_it(people: Table[Row]) -> None:
    with people.database.begin_transaction() as transaction:
        people.update(1, tags=["new"])
        assert people.find(city="London").order_by("name").first().tags == ["new"]  # type: ignore[union-attr]  # it is there
        transaction.rollback()
    assert people.find(city="London", name="Ada").one().tags == ["maths"]


def test_an_upsert_rewrites_it(database: MiniDB) -> None:
    table = database.create_table(
        "people", Schema(name=StringField(primary_key=True), city=StringField(), age=IntegerField())
    )
    database.create_index("people", "city", include="*")
    table.upsert({"name": "Ada", "city": "London", "age": 36})
    table.upsert({"name": "Ada", "city": "London", "age": 37})
    assert table.find(city="London").all() == [table.query("Ada")]


def test_on_the_elements_of_a_list_each_entry_has_the_row(database: MiniDB) -> None:
    table = database.create_table("people", PEOPLE)
    database.create_index("people", "tags", include="*")
    table.insert({"name": "Alan", "tags": ["maths", "chess"]})
    table.update(1, city="London", tags=["chess", "running"])
    assert [table.find(where("tags").contains(tag)).count() for tag in ("maths", "chess", "running")] == [0, 1, 1]
    lose_the_rows(database, "people")
    assert table.find(where("tags").contains("running")).one().city == "London"
    database.drop_table("people")


def test_values_that_are_cut_are_told_apart_by_the_row_in_the_entry(people: Table[Row]) -> None:
    beginning = "x" * 300
    people.insert_many({"name": "X", "city": beginning + end, "age": 1, "tags": []} for end in "cab")
    assert people.find(city=beginning + "a").one().city == beginning + "a"
    assert [row.city[-1] for row in people.find(where("city") >= "x").order_by("city")] == ["a", "b", "c"]
    assert [row.city for row in people.database.query_by_index("people", "city", beginning + "b")] == [beginning + "b"]


def test_pages_by_it_hold_every_row_once(people: Table[Row]) -> None:
    query, found, token = people.find(where("age") > 0).order_by("age"), list[int](), None
    while True:
        page = query.page(1, after=token)
        found += [row.age for row in page.rows]
        if page.token is None:
            break
        token = page.token
    assert found == [16, 36, 41, 85]


def test_it_is_made_of_rows_that_are_there(people: Table[Row]) -> None:
    index = people.database.create_index("people", "name", name="later", include="*")
    assert index.include == "*"
    assert repr(index) == "<index 'later' of table 'people' on name, with the rows>"
    with people.database.begin_transaction():
        people.database.create_index("people", "name", name="inside", include="*")


def test_a_unique_index_cannot_be_covering(people: Table[Row]) -> None:
    with pytest.raises(SchemaDefinitionError, match="cannot include rows"):
        people.database.create_index("people", "name", unique=True, include="*")


@pytest.mark.parametrize("include", [["age"], "age", "", True])
def test_it_includes_whole_rows_or_nothing(people: Table[Row], include: object) -> None:
    with pytest.raises(SchemaDefinitionError, match="whole rows or nothing") as caught:
        people.database.create_index("people", "name", include=include)  # type: ignore[arg-type]  # what is tested
    assert caught.value.hint == "write include='*'"


def test_an_index_that_is_not_covering_is_another_one(people: Table[Row]) -> None:
    with pytest.raises(IndexExistsError):
        people.database.create_index("people", "city")


def test_it_follows_a_change_of_the_schema(database: MiniDB) -> None:
    table = database.create_table("people", Schema(name=StringField(), city=StringField(), age=IntegerField()))
    database.create_index("people", "city", include="*")
    table.insert({"name": "Ada", "city": "London", "age": 36})
    changed = Schema(town=StringField(renamed_from="city"), name=StringField(), score=IntegerField(default=7))
    table = database.table("people", changed, drop_fields=["age"])
    table.insert({"name": "Alan", "town": "London"})
    assert [row.columns for row in table.find(town="London")] == [
        {"town": "London", "name": "Ada", "score": 7},
        {"town": "London", "name": "Alan", "score": 7},
    ]
    assert database.verify().ok


def test_it_is_the_index_that_a_schema_asks_for_later(database: MiniDB) -> None:
    database.table("t", Schema(city=StringField())).insert(Row(city="Oslo"))
    database.create_index("t", "city", include="*")
    table = database.table("t", Schema(city=StringField(index=True)))
    assert [(index.name, index.include) for index in database.indexes("t")] == [("city", "*")]
    assert table.find(city="Oslo", require_index=True).count() == 1
    check_consistency(database)


def test_it_is_covering_wherever_the_database_goes(people: Table[Row], tmp_path: Path) -> None:
    database = people.database
    database.backup(tmp_path / "backup")
    MiniDB.restore(tmp_path / "backup", tmp_path / "restored")
    database.dump(tmp_path / "dump")
    MiniDB.load(tmp_path / "dump", tmp_path / "loaded")
    database.copy(tmp_path / "copied")
    for place in ("restored", "loaded", "copied"):
        with MiniDB(tmp_path / place, durability="none") as other:
            assert other.indexes("people") == database.indexes("people")
            assert all(index.include == "*" for index in other.indexes("people"))
            check_consistency(other)
            lose_the_rows(other, "people")
            assert [row.name for row in other.get_table("people").find(city="London")] == ["Ada", "Alan"]
