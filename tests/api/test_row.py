"""Rows: columns by name, an id, and a value's ways to be compared, copied and shown."""

from __future__ import annotations

import copy
import pickle
from collections import ChainMap, OrderedDict, UserDict, defaultdict
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

import pytest

from minidb import MiniDB, Row
from minidb.schema import EnumField, IntegerField, JSONField, Schema, StringField
from minidb.tables.row import columns_of


class Colour(Enum):
    RED = "red"


Make = Callable[[MiniDB, dict[str, Any]], Row]  # Any: columns are of any type, here and below


def as_copied(database: MiniDB, columns: dict[str, Any]) -> Row:
    return copy.deepcopy(as_stored_with_a_schema(database, columns))


def as_stored_without_a_schema(database: MiniDB, columns: dict[str, Any]) -> Row:
    table = database.create_table("rows")
    return table[table.insert(columns)]


def as_stored_with_a_schema(database: MiniDB, columns: dict[str, Any]) -> Row:
    table = database.create_table("rows", Schema({name: JSONField() for name in columns}))
    return table[table.insert(columns)]


def as_stored_with_members(database: MiniDB, columns: dict[str, Any]) -> Row:
    """A table whose rows are read in another way, since one of its columns holds members of an Enum class."""
    fields = {name: JSONField() for name in columns}
    table = database.create_table("rows", Schema({**fields, "colour": EnumField(Colour)}))
    row = table[table.insert(columns)]
    del row.columns["colour"]
    return row


def as_scanned(database: MiniDB, columns: dict[str, Any]) -> Row:
    table = database.create_table("rows")
    table.insert(columns)
    (row,) = table.scan()
    return row


MAKERS: list[Make] = [
    as_copied,
    as_stored_without_a_schema,
    as_stored_with_a_schema,
    as_stored_with_members,
    as_scanned,
]


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest, database: MiniDB) -> Callable[..., Row]:
    """Makes a row of columns, in each of the ways that there are; its id is 1."""

    def make_row(**columns: Any) -> Row:  # Any: columns are of any type
        return request.param(database, columns)  # type: ignore[no-any-return]  # a parameter of pytest has no type

    return make_row


# --- columns and id ---------------------------------------------------------------------------------------------------


def test_columns_are_a_dict_in_their_order(make: Callable[..., Row]) -> None:
    row = make(b=1, a="text", c=None)
    assert row.columns == {"b": 1, "a": "text", "c": None}
    assert list(row.columns) == ["b", "a", "c"]


def test_a_row_has_the_id_that_it_is_stored_under(make: Callable[..., Row]) -> None:
    row = make(a=1)
    assert row.id == 1
    assert row.id == 1  # the second time from where the first one left it


def test_a_row_that_is_not_stored_has_no_id() -> None:
    assert Row(a=1).id is None


def test_inserting_a_row_gives_it_no_id(database: MiniDB) -> None:
    row = Row(a=1)
    database.create_table("rows").insert(row)
    assert row.id is None


def test_a_column_is_an_attribute_and_an_item(make: Callable[..., Row]) -> None:
    row = make(name="Ada", age=36)
    assert (row.name, row["age"]) == ("Ada", 36)


def test_a_column_that_there_is_not_is_an_attribute_error(make: Callable[..., Row]) -> None:
    row = make(name="Ada")
    with pytest.raises(AttributeError, match="no column 'age'") as caught:
        _ = row.age
    assert (caught.value.name, caught.value.obj) == ("age", row)
    assert not hasattr(row, "age")
    assert getattr(row, "age", 1) == 1


def test_a_column_that_there_is_not_is_a_key_error(make: Callable[..., Row]) -> None:
    with pytest.raises(KeyError, match="age"):
        _ = make(name="Ada")["age"]


@pytest.mark.parametrize("name", ["id", "columns", "keys"])
def test_a_column_named_as_something_of_a_row_is_an_item(make: Callable[..., Row], name: str) -> None:
    row = make(**{name: "a value", "other": 2})
    assert row[name] == "a value"
    assert row.columns == {name: "a value", "other": 2}
    assert row.id == 1
    assert dict(row) == row.columns
    assert copy.deepcopy(row) == row


@pytest.mark.parametrize("name", ["id_of", "keep_columns", "set_key", "mro", "name", "struct"])
def test_a_column_named_as_something_inside_is_an_attribute_all_the_same(make: Callable[..., Row], name: str) -> None:
    row = make(**{name: "a value"})
    assert (row[name], getattr(row, name), row.columns, row.id) == ("a value", "a value", {name: "a value"}, 1)


@pytest.mark.parametrize(
    "name", ["self", "class", "None", "_columns", "_key", "_id", "__len__", "__class__", "a b", "ﬁ"]
)
def test_a_column_may_have_any_name(make: Callable[..., Row], name: str) -> None:
    row = make(**{name: "a value"})
    assert row[name] == "a value"
    assert row.columns == {name: "a value"}
    assert pickle.loads(pickle.dumps(row)) == row  # noqa: S301  what this test has made itself


def test_a_column_may_be_called_as_its_id_is(database: MiniDB) -> None:
    table = database.create_table("rows", Schema(id=StringField(primary_key=True)))
    table.insert(Row(id="a"))
    assert (table["a"].id, table["a"]["id"]) == ("a", "a")


def test_a_changed_column_is_changed_in_the_row(make: Callable[..., Row]) -> None:
    row = make(a=1, b=2)
    row.columns["a"] = "new"
    del row.columns["b"]
    row.columns["c"] = 3
    assert (row["a"], row.c, dict(row)) == ("new", 3, {"a": "new", "c": 3})
    assert "b" not in row
    assert row == Row(a="new", c=3)


def test_columns_may_be_changed_in_the_row_alone(database: MiniDB) -> None:
    table = database.create_table("rows")
    row_id = table.insert({"tags": ["a"]})
    row = table[row_id]
    row.columns["tags"].append("b")
    row.columns["new"] = 1
    assert row.columns == {"tags": ["a", "b"], "new": 1}
    assert row.new == 1
    assert table[row_id].columns == {"tags": ["a"]}


def test_the_columns_of_a_row_belong_to_it_alone() -> None:
    columns = {"a": 1}
    row = Row(**columns)
    row.columns["a"] = 2
    assert columns == {"a": 1}


def test_an_attribute_cannot_be_set_since_nothing_would_be_stored(make: Callable[..., Row]) -> None:
    row = make(name="Ada")
    for attribute in ("name", "columns", "id", "new"):
        with pytest.raises(AttributeError):
            setattr(row, attribute, "Bob")
    assert (row.name, row.columns, row.id) == ("Ada", {"name": "Ada"}, 1)


# --- as a mapping -----------------------------------------------------------------------------------------------------


def test_a_row_is_unpacked_as_a_mapping_is(make: Callable[..., Row]) -> None:
    row = make(b=1, a=2)
    assert dict(row) == {"b": 1, "a": 2}
    assert {**row} == {"b": 1, "a": 2}
    assert list(row) == list(row.keys()) == ["b", "a"]


def test_a_row_contains_the_names_of_its_columns(make: Callable[..., Row]) -> None:
    row = make(a=None)
    assert "a" in row
    assert "b" not in row
    assert None not in row
    assert len(row) == 1


def test_a_row_without_columns_is_a_row(database: MiniDB) -> None:
    table = database.create_table("rows")
    row = table[table.insert({})]
    assert (row.columns, len(row), list(row), repr(row)) == ({}, 0, [], "Row()")


def test_names_are_offered_to_who_types(make: Callable[..., Row]) -> None:
    assert {"name", "age", "columns", "id"} <= set(dir(make(name="Ada", age=36)))


# --- as a value -------------------------------------------------------------------------------------------------------


def test_rows_are_equal_if_their_columns_are(make: Callable[..., Row]) -> None:
    row = make(a=1, b=[2])
    assert row == Row(b=[2], a=1)
    assert row != Row(a=1)


def test_rows_may_be_equal_under_different_ids(database: MiniDB) -> None:
    table = database.create_table("rows")
    table.insert_many([{"a": 1}, {"a": 1}])
    assert table[1] == table[2] == Row(a=1)


def test_a_row_is_no_dict(make: Callable[..., Row]) -> None:
    row = make(a=1)
    assert row != {"a": 1}
    assert row.__eq__({"a": 1}) is NotImplemented


def test_a_row_has_no_hash(make: Callable[..., Row]) -> None:
    with pytest.raises(TypeError):
        hash(make(a=1))


def test_a_row_is_shown_as_it_would_be_made(make: Callable[..., Row]) -> None:
    assert repr(make(name="Ada", age=36)) == "Row(name='Ada', age=36)"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_row_is_pickled_with_its_columns_and_id(make: Callable[..., Row], protocol: int) -> None:
    row = make(name="Ada", tags=["a"])
    again = pickle.loads(pickle.dumps(row, protocol))  # noqa: S301  what this test has made itself
    assert (again.columns, again.id, isinstance(again, Row)) == (row.columns, 1, True)


def test_a_row_is_pickled_without_its_database(database: MiniDB) -> None:
    table = database.create_table("rows", Schema(name=StringField()))
    table.insert({"name": "a"})
    assert len(pickle.dumps(table[1])) < 150


def test_a_copy_has_columns_of_its_own(make: Callable[..., Row]) -> None:
    row = make(tags=["a"])
    again = copy.copy(row)
    again.columns["new"] = 1
    again.columns["tags"].append("b")
    assert row.columns == {"tags": ["a", "b"]}
    assert again.id == 1


def test_a_deep_copy_shares_nothing(make: Callable[..., Row]) -> None:
    row = make(tags=["a"])
    again = copy.deepcopy(row)
    again.columns["tags"].append("b")
    assert row.columns == {"tags": ["a"]}
    assert again.id == 1


def test_every_row_is_a_row(make: Callable[..., Row]) -> None:
    assert isinstance(make(a=1), Row)
    assert isinstance(Row(a=1), Row)


# --- what is taken for a row ------------------------------------------------------------------------------------------

MAPPINGS: list[Mapping[str, Any]] = [
    {"a": 1, "b": "two"},
    OrderedDict(a=1, b="two"),
    defaultdict(int, a=1, b="two"),
    MappingProxyType({"a": 1, "b": "two"}),
    UserDict(a=1, b="two"),
    ChainMap({"a": 1}, {"b": "two"}),
]


@pytest.mark.parametrize("schema", [None, Schema(a=IntegerField(), b=StringField(), c=StringField())])
@pytest.mark.parametrize("given", MAPPINGS, ids=lambda given: type(given).__name__)
def test_every_mapping_is_taken_for_a_row(database: MiniDB, given: Mapping[str, Any], schema: Schema | None) -> None:
    table = database.create_table("rows", schema)
    ids = [table.insert(given), *table.insert_many([given]), table.upsert(given)]
    for row in table.get_many(ids):
        assert row is not None
        assert {name: value for name, value in row.columns.items() if value is not None} == {"a": 1, "b": "two"}


@pytest.mark.parametrize(
    "given", [None, 1, "text", b"ab", [("a", 1)], {"a"}, object(), Row], ids=lambda given: type(given).__name__
)
def test_nothing_else_is_taken_for_a_row(given: Any) -> None:  # Any: whatever a program gives
    with pytest.raises(TypeError, match=f"not as {type(given).__name__}"):
        columns_of(given)


def test_a_row_that_was_read_can_be_inserted_again(database: MiniDB) -> None:
    table = database.create_table("rows")
    first = table[table.insert({"a": 1})]
    again = table[table.insert(first)]
    assert (again.id, again) == (2, first)


def test_a_row_is_replaced_by_one_that_is_not_stored(make: Callable[..., Row]) -> None:
    row = make(name="Ada", age=36)
    changed = row.__replace__(age=37)
    assert (changed.columns, changed.id) == ({"name": "Ada", "age": 37}, None)
    assert row.columns == {"name": "Ada", "age": 36}


def test_rich_shows_a_row_as_its_columns(make: Callable[..., Row]) -> None:
    from rich.pretty import pretty_repr

    row = make(name="Ada", age=36)
    assert pretty_repr(row).endswith("Row(name='Ada', age=36)")


def test_a_column_may_have_any_name_that_the_class_knows(database: MiniDB) -> None:
    table = database.create_table("rows", Schema(of=IntegerField(), columns=IntegerField(), id=IntegerField()))
    row = table[table.insert({"of": 1, "columns": 2, "id": 3})]
    assert (row.of, row["columns"], row["id"], row.id) == (1, 2, 3, 1)
