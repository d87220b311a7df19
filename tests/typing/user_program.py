"""A user's program: MiniDB's public names, as widely as a program would use them.

``test_typing.py`` runs it, and has mypy and pyright, both strict, read it against the package's own annotations.
"""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Iterator, MutableMapping
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, assert_type

from minidb import Index, MiniDB, Page, PersistentMapping, Row, where
from minidb.exceptions import (
    ConflictError,
    FieldError,
    MiniDBError,
    RowNotFoundError,
    SchemaValidationError,
    TableNotFoundError,
    UniqueViolationError,
)
from minidb.schema import (
    BooleanField,
    BytesField,
    DateField,
    DateTimeField,
    DecimalField,
    DictField,
    EnumField,
    FloatField,
    IntegerField,
    JSONField,
    ListField,
    Schema,
    StringField,
    TimeField,
    UUIDField,
)


class Plan(enum.Enum):
    """An enumeration whose members rows can hold."""

    FREE = "free"
    PAID = "paid"


def is_no_placeholder(value: object) -> bool:
    return value != "changeme"


EVERYTHING = Schema(
    name=StringField(required=True, min_length=1, max_length=100, pattern=r"[^/]*", validators=(is_no_placeholder,)),
    age=IntegerField(min_value=0, max_value=150, index=True),
    score=FloatField(default=0.0),
    active=BooleanField(default=True),
    avatar=BytesField(max_length=1024),
    joined=DateTimeField(timezone=True, default_factory=lambda: datetime.datetime.now(datetime.UTC)),
    birthday=DateField(nullable=True),
    wakes=TimeField(),
    balance=DecimalField(max_digits=12, decimal_places=2),
    token=UUIDField(unique=True, default_factory=uuid.uuid4),
    plan=EnumField(Plan, default=Plan.FREE),
    level=EnumField(["low", "high"]),
    tags=ListField(StringField(max_length=20), default_factory=list),
    settings=DictField(),
    document=JSONField(),
)

COUNTRIES = Schema(code=StringField(primary_key=True, min_length=2, max_length=2), name=StringField(required=True))


def names_of(rows: Iterator[Row]) -> list[str]:
    return [str(row.columns["name"]) for row in rows]


def use_rows(db: MiniDB) -> None:
    users = db.create_table("users", schema=EVERYTHING)
    ada = users.insert(Row(name="Ada", age=36, balance=Decimal("12.50"), birthday=datetime.date(1815, 12, 10)))
    bob = users.insert({"name": "Bob", "age": 41, "tags": ["new"]})
    ids = users.insert_many(Row(name=f"user {number}", age=number) for number in range(3))
    assert_type(len(ids), int)

    row = users.query(ada)
    assert_type(row, Row)
    assert_type(row.columns, dict[str, Any])
    assert row.id == ada
    assert row["name"] == row.name == "Ada"
    assert row.columns["plan"] is Plan.FREE

    assert_type(users.get(10**9), Row | None)
    assert_type(users.get_many([ada, bob, *ids]), list[Row | None])
    assert_type(users.update(bob, age=42), Row)
    users.replace(bob, Row(name="Bob", age=43))
    users.delete(bob)
    assert_type(users.delete_many(ids), int)
    assert_type(users.count(), int)
    assert ada in users
    assert len(users) == 1
    assert names_of(users.scan(reverse=True, limit=10)) == names_of(iter(users)) == ["Ada"]
    assert users[ada] == users.query(ada)

    try:
        users.query(bob)
    except RowNotFoundError as error:
        assert_type(error.message, str)
        assert_type(error.hint, str | None)


def use_keys(db: MiniDB) -> None:
    countries = db.create_table("countries", COUNTRIES, if_not_exists=True)
    countries.insert(Row(code="FR", name="France"))
    countries.upsert(Row(code="FR", name="République française"))
    countries.upsert({"code": "SE", "name": "Sverige"})
    assert names_of(countries.scan("FR", "SE")) == ["République française"]
    assert_type(EVERYTHING.primary_key, tuple[str, ...])


def use_indexes(db: MiniDB) -> None:
    index = db.create_index("users", "name", unique=True)
    assert_type(index.name, str)
    assert_type(index.fields, tuple[str, ...])
    assert_type(index.unique, bool)
    assert_type(db.query_by_index("users", "name", "Ada"), list[Row])
    try:
        db.get_table("users").insert(Row(name="Ada"))
    except UniqueViolationError:
        pass
    else:
        raise AssertionError("a taken name was inserted")
    assert index in db.indexes("users")
    tagged = db.create_index("users", "tags", where=where("age") >= 18, progress=tell)
    assert_type(tagged, Index)
    assert_type(tagged.each, str | None)
    assert tagged.where is not None
    assert str(tagged.where) == "age >= 18"
    db.drop_index("users", index.name)


def tell(done: int, total: int) -> None:
    assert done <= total


def use_queries(db: MiniDB) -> None:
    users = db.get_table("users")
    query = users.find(where("age") >= 18, where("tags").contains("new") | (where("name") != "")).order_by("-age")
    page: Page[Row] = query.page(10)
    assert_type(page.rows, list[Row])
    assert_type(page.token, str | None)
    rows, token = query.page(10, after=page.token)
    assert_type(rows, list[Row])
    assert_type(token, str | None)
    figures = query.aggregate(people="count", oldest=("max", "age"))
    assert_type(figures, Row)
    assert figures.people == query.count()
    groups = query.group_by("active", "level").aggregate(people="count", total=("sum", "balance"))
    assert_type(groups, list[Row])
    assert_type(query.group_by("active").count(), list[Row])
    oldest: int | None = query.max("age")
    mean: float | None = query.avg("age")
    total: Decimal = query.sum("balance")
    first: str | None = query.min("name")
    assert (oldest, mean, total, first) == (36, 36.0, Decimal("12.50"), "Ada")


def use_transactions(db: MiniDB) -> None:
    users = db.get_table("users")
    with db.begin_transaction() as transaction:
        users.insert(Row(name="Carl"))
        transaction.rollback()
    with db.begin_transaction(read_only=True):
        assert users.count() == 1

    def add_and_count() -> int:
        users.insert(Row(name="Dora"))
        return users.count()

    @db.transactional
    def rename(old: str, new: str) -> bool:
        for row in db.query_by_index("users", "age", 36):
            users.update(row.id, name=str(row.columns["name"]).replace(old, new))
        return True

    assert_type(db.run(add_and_count), int)
    assert_type(rename("Ada", "Ada L."), bool)
    assert issubclass(ConflictError, MiniDBError)

    with db.connection_pool.get_connection(timeout_s=1.0) as connection, connection.begin_transaction():
        assert connection.get_table("users").count() == 2
    db.connection_pool.resize(3)


def use_errors(db: MiniDB) -> None:
    try:
        db.get_table("no such table")
    except TableNotFoundError as error:
        assert "no such table" in str(error)
    try:
        db.get_table("users").insert(Row(name="", age=-1))
    except SchemaValidationError as error:
        assert_type(error.errors, tuple[FieldError, ...])
        assert [(bad.field, bad.code) for bad in error.errors] == [("name", "min_length"), ("age", "min_value")]


def use_tables(db: MiniDB) -> None:
    notes = db.table("notes")
    notes.insert(Row(text="anything goes"))
    db.rename_table("notes", "remarks")
    assert_type(db.table_names(), list[str])
    assert "remarks" in db
    db.get_table("remarks").clear()
    db.drop_table("remarks")


def use_mappings(db: MiniDB) -> None:
    cache: PersistentMapping[str, int] = db.mapping("cache")
    cache["a"] = 1
    assert_type(cache["a"], int)
    assert_type(cache.get("b"), int | None)
    assert_type(cache.get("b", 0), int)
    assert_type(cache.get("b", "none"), int | str)
    assert_type(cache.setdefault("b", 2), int)
    assert_type(cache.increment("b"), int)
    assert_type(cache.pop("b"), int)
    assert_type(cache.pop("b", None), int | None)
    cache.update({"c": 3}, d=4)
    cache.update([("e", 5)])
    cache.update(f=6)
    assert_type(cache.get_many(["a", "x"]), dict[str, int])
    assert_type(list(cache), list[str])
    assert_type(list(cache.irange("b", reverse=True)), list[str])
    assert_type(list(reversed(cache.values())), list[int])
    assert_type(list(cache.items()), list[tuple[str, int]])
    assert_type(cache.popitem(last=False), tuple[str, int])
    assert_type(db.mapping_names(), list[str])

    weights: PersistentMapping[tuple[str, int], float] = db.mapping("weights")
    assert_type(weights.increment(("a", 1), 0.5), float)
    balances: PersistentMapping[uuid.UUID, Decimal] = db.mapping("balances")
    assert_type(balances.increment(uuid.UUID(int=1), Decimal("1.5")), Decimal)

    plain: MutableMapping[str, int] = cache
    assert plain == {"c": 3, "d": 4, "e": 5, "f": 6}
    db.drop_mapping("cache")


def main() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "database"
        with MiniDB(path, max_connections=4, pool_timeout_s=1, write_timeout_s=1, durability="relaxed") as db:
            use_rows(db)
            use_keys(db)
            use_indexes(db)
            use_queries(db)
            use_transactions(db)
            use_errors(db)
            use_tables(db)
            use_mappings(db)
        db.close()
    with MiniDB(":memory:") as db:
        use_rows(db)


if __name__ == "__main__":
    main()
