"""Wrong on purpose, never run: to mypy and pyright the lines marked ``# wrong`` are errors, and no others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NotRequired, TypedDict

import attrs
import msgspec
import pydantic

from minidb import MiniDB, Page, Row, Table
from minidb.schema import Column


@dataclass
class User:
    """A dataclass."""

    name: Annotated[str, Column(max_length=100)]
    age: int = 0
    id: int | None = None


class Event(msgspec.Struct):
    """A Struct."""

    name: str
    id: int | None = None


class Note(TypedDict):
    """A TypedDict."""

    text: str
    id: NotRequired[int]


@attrs.define
class Tool:
    """An attrs class."""

    code: Annotated[str, Column(primary_key=True)]


class Guest(pydantic.BaseModel):
    """A pydantic model."""

    name: str
    id: int | None = None


db = MiniDB("mydb")
users = db.table("users", User)
users.insert(User(name="Ada"))
users.insert(Event(name="start"))  # wrong
users.insert({"name": "Ada"})  # wrong
users.insert(Row(name="Ada"))  # wrong
users.insert_many([Event(name="start")])  # wrong
users.replace(1, Event(name="start"))  # wrong
users.upsert(Event(name="start"))  # wrong
users.upsert_many([Event(name="start")])  # wrong
users.query(1).nmae  # wrong
users.query(1).name
users.get(1).name  # wrong
users.find().first().name  # wrong
users.find().one().name
name: int = users.find().one().name  # wrong
page: Page[Event] = users.find().page(3)  # wrong
page_of_users: Page[User] = users.find().page(3)
others: Table[Event] = users  # wrong
for user in users:
    user.nmae  # wrong
    user.name
users.find(users.where(lambda user: user.age) >= 18)
users.find(users.where(lambda user: user.age) >= "18")  # wrong
users.find(users.where(lambda user: user.age) == "18")  # wrong
users.find(users.where(lambda user: user.age).in_(["18"]))  # wrong
users.find(users.where(lambda user: user.aeg) >= 18)  # wrong
events = db.table("events", Event)
events.insert(User(name="Ada"))  # wrong
events.query(1).text  # wrong
events.query(1).name
notes = db.table("notes", Note)
notes.insert({"text": 3})  # wrong
notes.insert({"txt": "remember the milk"})  # wrong
notes.insert({"text": "remember the milk"})
notes.query(1)["txt"]  # wrong
notes.query(1)["text"]
tools = db.table("tools", Tool)
tools.insert(User(name="Ada"))  # wrong
tools.query("hammer").weight  # wrong
tools.query("hammer").code
guests = db.table("guests", Guest)
guests.insert(User(name="Ada"))  # wrong
guests.query(1).nights  # wrong
guests.query(1).name
db.table("users", User(name="Ada"))  # wrong
Column(primary=True)  # wrong
Column(unique="yes")  # wrong
Column(unique=True)
