"""One model in each kind of class: the same columns, declared five times, and as a plain schema."""

from __future__ import annotations

import datetime
import enum
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import annotated_types
import attrs
import msgspec
import pydantic

from minidb.schema import (
    Column,
    DateField,
    DateTimeField,
    DecimalField,
    DictField,
    EnumField,
    FloatField,
    IntegerField,
    ListField,
    ObjectField,
    Schema,
    StringField,
    TimeField,
    UUIDField,
)


class Plan(enum.Enum):
    FREE = "free"
    PAID = "paid"


Name = Annotated[str, Column(unique=True, max_length=100)]
Age = Annotated[int, annotated_types.Ge(0), annotated_types.Lt(150)]
City = Annotated[str, msgspec.Meta(max_length=20)]
Balance = Annotated[Decimal, Column(max_digits=8, decimal_places=2)]


@dataclass
class DataclassAddress:
    city: City
    since: datetime.date | None = None


@dataclass
class DataclassPerson:
    name: Name
    age: Age
    plan: Plan = Plan.FREE
    level: Literal["low", "high"] | None = None
    score: float = 0.0
    tags: list[str] = field(default_factory=list)
    marks: tuple[int, ...] = ()
    home: DataclassAddress | None = None
    former: list[DataclassAddress] = field(default_factory=list)
    born: datetime.date | None = None
    seen: datetime.datetime | None = None
    wakes: datetime.time | None = None
    balance: Balance | None = None
    key: uuid.UUID | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    id: int | None = None


class StructAddress(msgspec.Struct):
    city: City
    since: datetime.date | None = None


class StructPerson(msgspec.Struct):
    name: Name
    age: Age
    plan: Plan = Plan.FREE
    level: Literal["low", "high"] | None = None
    score: float = 0.0
    tags: list[str] = []
    marks: tuple[int, ...] = ()
    home: StructAddress | None = None
    former: list[StructAddress] = []
    born: datetime.date | None = None
    seen: datetime.datetime | None = None
    wakes: datetime.time | None = None
    balance: Balance | None = None
    key: uuid.UUID | None = None
    settings: dict[str, Any] = {}
    id: int | None = None


@attrs.define
class AttrsAddress:
    city: City
    since: datetime.date | None = None


@attrs.define
class AttrsPerson:
    name: Name
    age: Age
    plan: Plan = Plan.FREE
    level: Literal["low", "high"] | None = None
    score: float = 0.0
    tags: list[str] = attrs.field(factory=list)
    marks: tuple[int, ...] = ()
    home: AttrsAddress | None = None
    former: list[AttrsAddress] = attrs.field(factory=list)
    born: datetime.date | None = None
    seen: datetime.datetime | None = None
    wakes: datetime.time | None = None
    balance: Balance | None = None
    key: uuid.UUID | None = None
    settings: dict[str, Any] = attrs.field(factory=dict)
    id: int | None = None


class PydanticAddress(pydantic.BaseModel):
    city: str = pydantic.Field(max_length=20)
    since: datetime.date | None = None


class PydanticPerson(pydantic.BaseModel):
    name: Annotated[str, Column(unique=True)] = pydantic.Field(max_length=100)
    age: int = pydantic.Field(ge=0, lt=150)
    plan: Plan = Plan.FREE
    level: Literal["low", "high"] | None = None
    score: float = 0.0
    tags: list[str] = pydantic.Field(default_factory=list)
    marks: tuple[int, ...] = ()
    home: PydanticAddress | None = None
    former: list[PydanticAddress] = pydantic.Field(default_factory=list)
    born: datetime.date | None = None
    seen: datetime.datetime | None = None
    wakes: datetime.time | None = None
    balance: Annotated[Decimal, pydantic.Field(max_digits=8, decimal_places=2)] | None = None
    key: uuid.UUID | None = None
    settings: dict[str, Any] = pydantic.Field(default_factory=dict)
    id: int | None = None


class AddressDict(TypedDict):
    city: City
    since: datetime.date | None


class PersonDict(TypedDict):
    name: Name
    age: Age
    plan: Plan
    level: Literal["low", "high"] | None
    score: float
    tags: list[str]
    marks: tuple[int, ...]
    home: AddressDict | None
    former: list[AddressDict]
    born: datetime.date | None
    seen: datetime.datetime | None
    wakes: datetime.time | None
    balance: Balance | None
    key: uuid.UUID | None
    settings: dict[str, Any]
    id: NotRequired[int]


ADDRESS = Schema(city=StringField(required=True, max_length=20), since=DateField())

PERSON = Schema(
    name=StringField(required=True, unique=True, max_length=100),
    age=IntegerField(required=True, min_value=0, max_value=149),
    plan=EnumField(Plan, nullable=False, default=Plan.FREE),
    level=EnumField(["low", "high"]),
    score=FloatField(nullable=False, default=0.0),
    tags=ListField(StringField(), nullable=False, default=[]),
    marks=ListField(IntegerField(), nullable=False, default=[]),
    home=ObjectField(ADDRESS),
    former=ListField(ObjectField(ADDRESS), nullable=False, default=[]),
    born=DateField(),
    seen=DateTimeField(),
    wakes=TimeField(),
    balance=DecimalField(max_digits=8, decimal_places=2),
    key=UUIDField(),
    settings=DictField(nullable=False, default={}),
)

Kind = tuple[type[Any], type[Any]]
"""A model, and the model of the addresses in it."""

KINDS: dict[str, Kind] = {
    "dataclass": (DataclassPerson, DataclassAddress),
    "struct": (StructPerson, StructAddress),
    "attrs": (AttrsPerson, AttrsAddress),
    "pydantic": (PydanticPerson, PydanticAddress),
    "typed dict": (PersonDict, AddressDict),
}

PLAIN: dict[str, Any] = {
    "age": 36,
    "plan": Plan.PAID,
    "level": "high",
    "score": 1.5,
    "tags": ["a", "b"],
    "marks": (1, 2, 3),
    "born": datetime.date(1815, 12, 10),
    "seen": datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC),
    "wakes": datetime.time(7, 30),
    "balance": Decimal("12.50"),
    "key": uuid.UUID(int=7),
    "settings": {"dark": True},
}


def full_person(kind: Kind, name: str = "Ada", **changes: Any) -> Any:
    """Return a person with a value in every column but the id."""
    person, address = kind
    day = datetime.date(1835, 1, 1)
    homes = {"home": address(city="London", since=day), "former": [address(city="Paris", since=None)]}
    return person(name=name, **{**PLAIN, **homes, **changes})


def empty_person(kind: Kind, name: str = "Bob") -> Any:
    """Return a person with nothing in every column that may be empty."""
    empty: dict[str, Any] = dict.fromkeys(["level", "home", "born", "seen", "wakes", "balance", "key"])
    containers = {"tags": [], "marks": (), "former": [], "settings": {}, "plan": Plan.FREE, "score": 0.0}
    return kind[0](name=name, age=0, **empty, **containers)


def with_id(person: Any, row_id: int) -> Any:
    """Return a person as it is when it is read."""
    if isinstance(person, dict):
        return {**person, "id": row_id}
    person.id = row_id
    return person
