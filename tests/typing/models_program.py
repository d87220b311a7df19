"""A user's program with models of each kind: what a table's methods return, to mypy and to pyright.

``test_typing.py`` runs it, too.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired, TypedDict, assert_type

import attrs
import msgspec
import pydantic

from minidb import MiniDB, Page, Query, Row, Table, where
from minidb.schema import Column, ModelSchema, Schema, StringField, schema_of


class Plan(enum.Enum):
    """An enumeration whose members rows can hold."""

    FREE = "free"
    PAID = "paid"


@dataclass
class Address:
    """What a column of a user holds."""

    street: str
    city: str = "Paris"


@dataclass
class User:
    """A dataclass."""

    name: Annotated[str, Column(unique=True, max_length=100)]
    age: Annotated[int, msgspec.Meta(ge=0)] = 0
    plan: Plan = Plan.FREE
    tags: list[str] = field(default_factory=list[str])
    address: Address | None = None
    id: int | None = None


class Event(msgspec.Struct):
    """A Struct."""

    name: Annotated[str, Column(index=True)]
    at: datetime.datetime | None = None
    id: int | None = None


class Note(TypedDict):
    """A TypedDict."""

    text: Annotated[str, Column(index=True)]
    stars: NotRequired[int]
    id: NotRequired[int]


@attrs.define
class Tool:
    """An attrs class, with a primary key."""

    code: Annotated[str, Column(primary_key=True)]
    weight: float = 0.0


class Guest(pydantic.BaseModel):
    """A pydantic model."""

    name: Annotated[str, Column(index=True)]
    nights: int = pydantic.Field(default=1, ge=1)
    id: int | None = None


def use_dataclass(db: MiniDB) -> None:
    users = db.table("users", User)
    assert_type(users, Table[User])
    ada = users.insert(User(name="Ada", age=36))
    users.insert_many([User(name="Bob"), User(name="Carl", address=Address("Elm"))])
    assert_type(users.query(ada), User)
    assert_type(users[ada], User)
    assert_type(users.get(ada), User | None)
    assert_type(users.get(ada, default=3), User | int)
    assert_type(users.get_many([ada]), list[User | None])
    assert_type(users.update(ada, age=37), User)
    assert_type(users.replace(ada, User(name="Ada", age=38)), User)
    users.upsert(users.query(ada))
    users.upsert_many(list(users))
    assert_type(iter(users), Iterator[User])
    assert_type(users.scan(), Iterator[User])
    assert_type(users.query_by_index("name", "Ada"), list[User])
    assert_type(db.query_by_index(users, "name", "Ada"), list[User])
    query = users.find(age=38)
    assert_type(query, Query[User])
    assert_type(query.order_by("name").limit(3), Query[User])
    assert_type(query.all(), list[User])
    assert_type(query.first(), User | None)
    assert_type(query.one(), User)
    assert_type(iter(query), Iterator[User])
    page = query.page(10)
    assert_type(page, Page[User])
    assert_type(page.rows, list[User])
    for user in query:
        assert_type(user.name, str)
        assert_type(user.address, Address | None)
    grown = users.find((users.where(lambda user: user.age) >= 18) & (users.where(lambda user: user.name) != "Bob"))
    assert_type(grown.all(), list[User])
    assert_type(users.where(lambda user: user.age), where[int])
    assert users.find(users.where(lambda user: user.age).between(30, 40)).count() == 1
    assert query.one() == User(name="Ada", age=38, id=ada)
    assert type(query.one()) is User


def use_struct(db: MiniDB) -> None:
    events = db.create_table("events", Event)
    assert_type(events, Table[Event])
    event_id = events.insert(Event(name="start"))
    assert_type(events.query(event_id), Event)
    assert_type(events.get(event_id), Event | None)
    assert_type(events.find().all(), list[Event])
    assert_type(events.find().page(3).rows, list[Event])
    assert_type([event.at for event in events], list[datetime.datetime | None])
    assert events.query_by_index("name", "start") == [Event(name="start", id=event_id)]


def use_typed_dict(db: MiniDB) -> None:
    notes = db.table("notes", Note)
    assert_type(notes, Table[Note])
    note_id = notes.insert({"text": "remember the milk"})
    notes.insert_many([Note(text="and the bread", stars=3)])
    assert_type(notes.query(note_id), Note)
    assert_type(notes.get(note_id), Note | None)
    assert_type(notes.find().first(), Note | None)
    assert_type(notes.find().page(3).rows, list[Note])
    assert_type([note["text"] for note in notes], list[str])
    assert notes.query(note_id) == {"text": "remember the milk", "id": note_id}


def use_attrs(db: MiniDB) -> None:
    tools = db.table("tools", Tool)
    assert_type(tools, Table[Tool])
    tools.insert(Tool("hammer", 1.5))
    assert_type(tools.query("hammer"), Tool)
    assert_type(tools.get("hammer"), Tool | None)
    assert_type(tools.find().one(), Tool)
    assert_type(tools.find().page(3).rows, list[Tool])
    assert_type([tool.weight for tool in tools], list[float])
    assert tools["hammer"] == Tool("hammer", 1.5)


def use_pydantic(db: MiniDB) -> None:
    guests = db.table("guests", Guest)
    assert_type(guests, Table[Guest])
    guest_id = guests.insert(Guest(name="Ada"))
    assert_type(guests.query(guest_id), Guest)
    assert_type(guests.get(guest_id), Guest | None)
    assert_type(guests.find().all(), list[Guest])
    assert_type(guests.find().page(3).rows, list[Guest])
    assert_type([guest.nights for guest in guests], list[int])
    assert guests.query(guest_id) == Guest(name="Ada", id=guest_id)


def use_schemas(db: MiniDB) -> None:
    schema = schema_of(User)
    assert_type(schema, ModelSchema[User])
    assert_type(schema.model, type[User])
    assert_type(db.table("users", schema), Table[User])
    plain = db.table("plain", Schema(name=StringField()))
    assert_type(plain, Table[Row])
    plain.insert({"name": "Ada"})
    plain.insert(Row(name="Ada"))
    assert_type(plain.find().first(), Row | None)
    assert_type(db.get_table("users"), Table[Row])
    columns: dict[str, Any] = db.get_table("users").find(name="Ada").one().columns
    assert columns["plan"] is Plan.FREE


def main() -> None:
    with MiniDB(":memory:") as db:
        use_dataclass(db)
        use_struct(db)
        use_typed_dict(db)
        use_attrs(db)
        use_pydantic(db)
        use_schemas(db)


if __name__ == "__main__":
    main()
