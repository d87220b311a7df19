"""Tables whose rows are objects of a model: the same verbs, and what comes back is of the model's class."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired, TypedDict

import attrs
import msgspec
import pydantic
import pytest
from tests.api.conftest import Reopen
from tests.schema.person_models import (
    KINDS,
    PERSON,
    DataclassAddress,
    DataclassPerson,
    Kind,
    Plan,
    StructPerson,
    empty_person,
    full_person,
    with_id,
)

from minidb import MiniDB, Row, Table, where
from minidb.exceptions import (
    RowExistsError,
    RowNotFoundError,
    SchemaMismatchError,
    SchemaValidationError,
    TableExistsError,
    UniqueViolationError,
    UsageError,
)
from minidb.schema import Column, IntegerField, Schema, schema_of

Person = Any  # an object of one of five classes


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """A kind of model."""
    return KINDS[request.param]


@pytest.fixture
def people(database: MiniDB, kind: Kind) -> Table[Person]:
    """An empty table of a model of each kind, on each engine."""
    return database.create_table("people", kind[0])


def class_of(kind: Kind) -> type:
    return dict if issubclass(kind[0], dict) else kind[0]


def get(person: Person, name: str) -> Any:
    return person[name] if isinstance(person, dict) else getattr(person, name)


# --- what goes in comes out -------------------------------------------------------------------------------------------


def test_a_row_comes_back_as_it_was_with_its_id(people: Table[Person], kind: Kind) -> None:
    full, empty = people.insert(full_person(kind)), people.insert(empty_person(kind))
    for row_id, given in [(full, full_person(kind)), (empty, empty_person(kind))]:
        found = people.query(row_id)
        assert type(found) is class_of(kind)
        assert found == with_id(given, row_id)
        assert people[row_id] == people.get(row_id) == found


def test_every_way_of_reading_gives_objects(database: MiniDB, people: Table[Person], kind: Kind) -> None:
    ids = people.insert_many(full_person(kind, name=f"person {number}") for number in range(5))
    expected = [with_id(full_person(kind, name=f"person {place}"), row_id) for place, row_id in enumerate(ids)]
    assert list(people) == list(people.scan()) == people.find().all() == list(people.find()) == expected
    assert list(people.scan(reverse=True, limit=2)) == expected[:2:-1]
    assert people.get_many([ids[1], 10**9]) == [expected[1], None]
    assert people.find(name="person 3").first() == people.find(name="person 3").one() == expected[3]
    assert people.find(name="nobody").first() is None
    page = people.find().order_by("-name").page(2)
    assert page.rows == expected[:2:-1]
    assert people.find().order_by("-name").page(9, after=page.token).rows == expected[2::-1]
    by_index = people.query_by_index("name", "person 3")
    assert by_index == database.query_by_index(people, "name", "person 3") == [expected[3]]
    everything = [*people, *people.find(), *people.find().all(), *page.rows, *by_index]
    assert {type(one) for one in everything} == {class_of(kind)}
    with database.begin_transaction():
        assert list(people) == people.find().all() == list(people.find()) == expected


def test_writing_a_row_returns_an_object(people: Table[Person], kind: Kind) -> None:
    row_id = people.insert(full_person(kind))
    assert people.update(row_id, age=40, plan=Plan.FREE) == with_id(full_person(kind, age=40, plan=Plan.FREE), row_id)
    replaced = people.replace(row_id, full_person(kind, name="Eve"))
    assert replaced == people[row_id] == with_id(full_person(kind, name="Eve"), row_id)
    assert people.find(name="Eve").update(age=50) == 1
    assert people.update_many({row_id: {"level": "low"}}) == 1
    assert people[row_id] == with_id(full_person(kind, name="Eve", age=50, level="low"), row_id)
    with pytest.raises(RowNotFoundError):
        people.update(10**9, age=3)


def test_queries_see_what_is_stored(people: Table[Person], kind: Kind) -> None:
    people.insert(full_person(kind))
    people.insert(empty_person(kind))
    assert people.find(plan=Plan.PAID).count() == people.find(where("plan") == "paid").count() == 1
    assert people.find(where("home")["city"] == "London").count() == 1
    assert people.find(where("home")["city"].startswith("Par")).count() == 0
    assert people.find(where("tags").contains("a")).count() == 1
    assert people.find(where("home") == None).count() == 1  # noqa: E711  # builds a condition
    assert people.find().max("age") == 36
    assert people.find().max("plan") is Plan.PAID
    assert [group.plan for group in people.find().group_by("plan").count()] == [Plan.FREE, Plan.PAID]
    with pytest.raises(SchemaValidationError, match=r"home\.town: is no key of home"):
        people.find(where("home")["town"] == "London").count()
    with pytest.raises(SchemaValidationError, match=r"home\.city: must be a string, not int"):
        people.find(where("home")["city"] == 3).count()


# --- what is checked --------------------------------------------------------------------------------------------------


def test_every_bad_column_is_told_at_once(people: Table[Person], kind: Kind) -> None:
    person, address = kind
    home: Any = {"city": "much too long for a city's name"} if issubclass(address, dict) else address(city="x")
    bad = full_person(kind, name="x" * 101, age=-1, tags=[3]) if not issubclass(person, pydantic.BaseModel) else None
    if bad is None:  # whose objects are checked as they are made, but not as they are changed
        bad = full_person(kind)
        bad.name, bad.age, bad.tags = "x" * 101, -1, [3]
    if isinstance(bad, dict):
        bad["home"] = home
    else:
        home.city = "much too long for a city's name"
        bad.home = home
    codes = {"name": "max_length", "age": "min_value", "tags[0]": "type", "home.city": "max_length"}
    if issubclass(address, dict):
        codes["home.since"] = "required"
    with pytest.raises(SchemaValidationError) as caught:
        people.insert(bad)
    assert {error.field: error.code for error in caught.value.errors} == codes
    with pytest.raises(SchemaValidationError) as caught:
        people.insert_many([full_person(kind), bad])
    assert caught.value.row_number == 1
    assert {error.field for error in caught.value.errors} == set(codes)
    assert len(people) == 0


def test_unique_values_are_unique(people: Table[Person], kind: Kind) -> None:
    people.insert(full_person(kind))
    with pytest.raises(UniqueViolationError):
        people.insert(full_person(kind))
    assert people.query_by_index("name", "Ada") == list(people)


def test_what_is_no_row_is_refused(people: Table[Person]) -> None:
    wrong: Any = object()
    with pytest.raises(TypeError, match="A row is given as"):
        people.insert(wrong)


def test_a_mapping_is_a_row_too(people: Table[Person], kind: Kind) -> None:
    given: Any = {"name": "Ada", "age": 3, "plan": "paid", "home": {"city": "Rome", "since": None}}
    empty = empty_person(kind)
    columns = empty if isinstance(empty, dict) else {name: get(empty, name) for name in PERSON.fields}
    row_id = people.insert({**columns, **given})
    assert get(people[row_id], "plan") is Plan.PAID
    assert get(people[row_id], "home") == kind[1](city="Rome", since=None)
    row: Any = Row(**{**columns, "name": "Bob"})
    assert get(people[people.insert(row)], "name") == "Bob"


# --- ids --------------------------------------------------------------------------------------------------------------


def test_inserting_an_object_that_has_an_id_is_refused(people: Table[Person], kind: Kind) -> None:
    row_id = people.insert(full_person(kind))
    for insert in [people.insert, lambda row: people.insert_many([full_person(kind, name="Eve"), row])]:
        with pytest.raises(SchemaValidationError) as caught:
            insert(people[row_id])
        (error,) = caught.value.errors
        assert (error.field, error.code) == ("id", "automatic_id")
    assert caught.value.row_number == 1
    assert len(people) == 1


def test_upsert_goes_by_the_id_of_the_object(people: Table[Person], kind: Kind) -> None:
    row_id = people.upsert(full_person(kind))
    found = people[row_id]
    changed = {**found, "age": 99} if isinstance(found, dict) else copy.copy(found)
    if not isinstance(changed, dict):
        changed.age = 99
    assert people.upsert(changed) == row_id
    assert people.upsert_many([changed, full_person(kind, name="Eve")])[0] == row_id
    assert get(people[row_id], "age") == 99
    assert len(people) == 2
    people.delete(row_id)
    with pytest.raises(RowNotFoundError):
        people.upsert(changed)


@dataclass(frozen=True)
class Stock:
    shelf: Annotated[int, Column(primary_key=True)]
    code: Annotated[str, Column(primary_key=True)]
    amount: int = 0


def test_a_model_may_have_a_primary_key(database: MiniDB) -> None:
    stock = database.table("stock", Stock)
    assert stock.insert(Stock(1, "a")) == (1, "a")
    assert stock.upsert(Stock(1, "a", 5)) == (1, "a")
    assert stock[1, "a"] == Stock(1, "a", 5)
    assert stock.insert_many([Stock(2, "b"), Stock(0, "c")]) == [(2, "b"), (0, "c")]
    assert [one.shelf for one in stock] == [0, 1, 2]
    with pytest.raises(RowExistsError):
        stock.insert(Stock(1, "a"))


class InTheMiddle(msgspec.Struct, kw_only=True, frozen=True):
    id: int | None = None
    name: str
    age: int = 0


@dataclass(kw_only=True)
class First:
    id: int | None = None
    name: str


@dataclass
class Second:
    name: str
    id: int | None = None
    age: int = 0


@dataclass(slots=True, frozen=True)
class OneColumn:
    name: str


class Tagged(msgspec.Struct, tag=True, rename="camel", array_like=True, omit_defaults=True):
    first_name: str
    id: int | None = None


@attrs.define(kw_only=True)
class Hidden:
    name: str = attrs.field(alias="called")
    id: int | None = None


class Aliased(pydantic.BaseModel):
    name: str = pydantic.Field(alias="Name")
    id: int | None = None
    model_config = pydantic.ConfigDict(populate_by_name=True)


class Private(pydantic.BaseModel):
    name: str
    id: int | None = None
    _seen: list[str] = pydantic.PrivateAttr(default_factory=list)


@pytest.mark.parametrize(
    "given",
    [
        InTheMiddle(name="a", age=3),
        First(name="a"),
        Second("a", age=3),
        OneColumn("a"),
        Tagged("a"),
        Hidden(called="a"),
        Aliased(Name="a"),
        Private(name="a"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_models_of_unusual_shapes_come_back_whole(database: MiniDB, given: Any) -> None:
    table = database.table("rows", type(given))
    row_id = table.insert(given)
    table.insert_many([given, given])
    for found in [table.query(row_id), *table]:
        assert type(found) is type(given)
        columns = {name: getattr(found, name) for name in table.schema.fields} if table.schema is not None else {}
        assert columns == {name: getattr(given, name) for name in columns}
        assert columns
        assert pickle.loads(pickle.dumps(found)) == copy.copy(found) == found  # noqa: S301  # its own bytes
    if hasattr(given, "id"):
        assert [one.id for one in table] == sorted({one.id for one in table})
        assert table.query(row_id).id == row_id


class Optional(TypedDict, total=False):
    name: str
    age: int | None
    id: NotRequired[int]


def test_a_key_that_a_typed_dict_lacks_is_lacking_when_it_is_read(database: MiniDB) -> None:
    table = database.table("rows", Optional)
    row_id = table.insert({"name": "a"})
    assert table.query(row_id) == {"name": "a", "id": row_id}
    assert list(table) == [{"name": "a", "id": row_id}]
    assert table.update(row_id, age=3) == {"name": "a", "age": 3, "id": row_id}


# --- the code of a model ----------------------------------------------------------------------------------------------


@dataclass
class Booking:
    start: int
    stop: int
    id: int | None = None
    length: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.start > self.stop:
            raise ValueError("must not stop before it starts")
        self.length = self.stop - self.start


class StructBooking(msgspec.Struct):
    start: int
    stop: int
    id: int | None = None

    def __post_init__(self) -> None:
        if self.start > self.stop:
            raise ValueError("must not stop before it starts")


@attrs.define
class AttrsBooking:
    start: int
    stop: int = attrs.field()
    id: int | None = None

    @stop.validator  # pyright: ignore[reportAttributeAccessIssue]  # it sees the type of the value
    def _check_stop(self, _: object, value: int) -> None:
        if self.start > value:
            raise ValueError("must not stop before it starts")


class PydanticBooking(pydantic.BaseModel):
    start: int
    stop: int
    id: int | None = None

    @pydantic.model_validator(mode="after")
    def _check_order(self) -> PydanticBooking:
        if self.start > self.stop:
            raise ValueError("must not stop before it starts")
        return self


BOOKINGS: list[Any] = [Booking, StructBooking, AttrsBooking, PydanticBooking]


@pytest.mark.parametrize("model", BOOKINGS)
def test_what_the_code_of_a_model_refuses_is_not_written(database: MiniDB, model: Any) -> None:
    table = database.table("bookings", model)
    row_id = table.insert(model(start=1, stop=5))
    ways: list[Callable[[], object]] = [
        lambda: table.update(row_id, start=9),
        lambda: table.find().update(start=9),
        lambda: table.replace(row_id, {"start": 9, "stop": 5}),
        lambda: table.insert({"start": 9, "stop": 5}),
        lambda: table.insert_many([{"start": 9, "stop": 5}]),
    ]
    for way in ways:
        with pytest.raises(SchemaValidationError) as caught:
            way()
        (error,) = caught.value.errors
        assert (error.field, error.code) == ("row", "model")
        assert error.message.endswith("must not stop before it starts")
    assert [(one.start, one.stop) for one in table] == [(1, 5)]
    assert table.update(row_id, start=2) == table[row_id]


def test_a_row_that_the_model_no_longer_accepts_is_told_apart_from_damage(database: MiniDB) -> None:
    plain = database.create_table(
        "bookings", Schema(start=IntegerField(required=True), stop=IntegerField(required=True))
    )
    row_id = plain.insert({"start": 9, "stop": 5})
    table = database.table("bookings", StructBooking)
    for read in [lambda: table.query(row_id), table.find().all]:
        with pytest.raises(SchemaMismatchError, match="is none that StructBooking accepts") as caught:
            read()
        assert isinstance(caught.value.__cause__, ValueError)
    assert plain.query(row_id).columns == {"start": 9, "stop": 5}


@dataclass
class WithSalary(DataclassPerson):
    salary: int = 0


def test_an_object_of_a_class_with_more_columns_is_refused_and_not_cut(database: MiniDB) -> None:
    people = database.table("people", DataclassPerson)
    with pytest.raises(SchemaValidationError) as caught:
        people.insert(WithSalary("Ada", 36, salary=100))
    assert [(error.field, error.code) for error in caught.value.errors] == [("salary", "unknown_field")]


class Named(StructPerson):
    def title(self) -> str:
        return f"Dr {self.name}"


def test_an_object_of_a_class_with_the_same_columns_is_a_row(database: MiniDB) -> None:
    people = database.table("people", StructPerson)
    assert people.query(people.insert(Named("Ada", 36))) == StructPerson("Ada", 36, id=1)


# --- models and schemas -----------------------------------------------------------------------------------------------


def test_a_table_of_a_model_and_one_of_rows_are_the_same_table(database: MiniDB) -> None:
    people = database.table("people", DataclassPerson)
    row_id = people.insert(DataclassPerson("Ada", 36, home=DataclassAddress("London")))
    for rows in [database.get_table("people"), database.table("people", PERSON)]:
        row = rows.query(row_id)
        assert isinstance(row, Row)
        assert (row.id, row.name, row.plan) == (row_id, "Ada", Plan.FREE)
    assert database.get_table("people").find().one().columns["home"] == {"city": "London", "since": None}
    struct = database.table("people", StructPerson).query(row_id)
    assert isinstance(struct, StructPerson)
    assert database.get_table("people").schema == schema_of(DataclassPerson)
    assert people.query(row_id) == DataclassPerson("Ada", 36, home=DataclassAddress("London"), id=row_id)
    database.create_index("people", "age")
    assert people.query_by_index("age", 36) == [people.query(row_id)]


def test_a_model_of_another_schema_is_refused(database: MiniDB) -> None:
    database.create_table("people", Schema(name=IntegerField(required=True)))
    with pytest.raises(SchemaMismatchError) as caught:
        database.table("people", OneColumn)
    assert len(caught.value.differences) == 1
    with pytest.raises(TableExistsError):
        database.create_table("people", OneColumn)


@dataclass
class Wider:
    name: str
    tags: list[str] = field(default_factory=list)
    age: int | None = None
    id: int | None = None


class WiderStruct(msgspec.Struct, kw_only=True):
    age: int = 7
    name: str
    id: int | None = None


def test_rows_that_are_older_than_the_model_are_objects_of_it(database: MiniDB) -> None:
    old = database.table("rows", OneColumn)
    old.insert_many([OneColumn("a"), OneColumn("b")])
    rows = database.table("rows", Wider)
    assert list(rows) == [Wider("a", id=1), Wider("b", id=2)]
    rows.insert(Wider("c", ["x"], 3))
    assert rows.query(1) == Wider("a", id=1)
    assert rows.update(2, age=5) == Wider("b", age=5, id=2)
    with pytest.raises(SchemaMismatchError, match="no longer has the schema of OneColumn"):
        old.insert(OneColumn("d"))


def test_rows_that_are_older_than_a_struct_are_objects_of_it(database: MiniDB) -> None:
    database.table("rows", OneColumn).insert_many([OneColumn("a"), OneColumn("b")])
    rows = database.table("rows", WiderStruct)
    assert list(rows) == [WiderStruct(name="a", id=1), WiderStruct(name="b", id=2)]
    assert rows.find(where("age") == 7).count() == 2
    assert rows.query(1) == WiderStruct(name="a", id=1)


def test_a_table_that_became_another_one_is_no_longer_the_models(database: MiniDB) -> None:
    table = database.table("rows", OneColumn)
    table.insert(OneColumn("a"))
    database.drop_table("rows")
    database.create_table("rows", Schema(name=IntegerField()))
    with pytest.raises(SchemaMismatchError, match="no longer has the schema of OneColumn"):
        table.insert(OneColumn("a"))
    database.drop_table("rows")
    database.create_table("rows", OneColumn)
    assert table.query(table.insert(OneColumn("b"))) == OneColumn("b")


def test_models_are_read_by_a_program_that_does_not_have_them(reopen: Reopen) -> None:
    for kind in KINDS.values():
        database = reopen()
        row_id = database.table("people", kind[0]).insert(full_person(kind))
        row = reopen().get_table("people").query(row_id)
        assert (row.plan, row.home, row.marks) == ("paid", {"city": "London", "since": row.home["since"]}, [1, 2, 3])
        again = reopen().table("people", kind[0])
        assert again.query(row_id) == with_id(full_person(kind), row_id)
        reopen().drop_table("people")


def test_one_table_of_a_model_serves_many_threads(database: MiniDB) -> None:
    people = database.table("people", StructPerson)
    people.insert_many(StructPerson(f"p{number}", number % 100) for number in range(200))
    found: list[Mapping[str, object]] = []

    def read() -> None:
        for _ in range(20):
            rows = people.find(where("age") < 50).all()
            assert {type(row) for row in rows} == {StructPerson}
            assert all(people.query(row.id) == row for row in rows[:5])
        found.append({})

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4


def test_a_found_object_is_the_programs_own(database: MiniDB) -> None:
    people = database.table("people", DataclassPerson)
    row_id = people.insert(DataclassPerson("Ada", 36, tags=["a"]))
    found = people.query(row_id)
    found.tags.append("b")
    found.age = 99
    assert people.query(row_id) == DataclassPerson("Ada", 36, tags=["a"], id=row_id)
    assert dataclasses.asdict(found)["tags"] == ["a", "b"]


# --- conditions -------------------------------------------------------------------------------------------------------


def test_a_function_that_reads_a_field_names_it(database: MiniDB) -> None:
    people = database.table("people", DataclassPerson)
    people.insert(DataclassPerson("Ada", 36, home=DataclassAddress("London"), tags=["a"]))
    people.insert(DataclassPerson("Bob", 17))
    grown = people.where(lambda person: person.age) >= 18
    assert str(grown) == "age >= 18"
    assert people.find(grown).one().name == "Ada"
    assert people.find(people.where(lambda person: person.tags).contains("a")).one().name == "Ada"
    assert people.find(people.where(lambda person: person.plan) == Plan.FREE).count() == 2
    city: Any = lambda person: person.home.city  # noqa: E731  # for type checkers, home may be None
    assert people.find(people.where(city) == "London").one().name == "Ada"
    dicts = database.table("dicts", Optional)
    name: Any = lambda row: row["name"]  # noqa: E731  # to type checkers, the key may be missing
    assert str(dicts.where(name) == "a") == "name == 'a'"
    plain = database.get_table("people")
    assert plain.find(plain.where(lambda row: row.age) < 18).one().name == "Bob"


@pytest.mark.parametrize(
    "read",
    [
        lambda _: 3,
        lambda person: person,
        lambda person: person.age + 1,
        lambda person: person.age > 1,
        lambda person: person.name.lower(),
        lambda person: person.name or person.age,
        lambda person: list(person.tags),
        lambda person: person.tags[0],
        lambda person: len(person.name),
    ],
)
def test_a_function_that_does_more_than_to_read_a_field_is_refused(database: MiniDB, read: Any) -> None:
    people = database.table("people", DataclassPerson)
    with pytest.raises(UsageError, match="must do no more than to read one field"):
        people.where(read)
