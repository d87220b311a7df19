"""Wrong on purpose, never run: to mypy and pyright the lines marked ``# wrong`` are errors, and no others."""

from __future__ import annotations

from minidb import MiniDB, PersistentMapping, Row, where
from minidb.exceptions import FieldError, SchemaValidationError
from minidb.schema import EnumField, IntegerField, ListField, Schema, StringField

db = MiniDB(3)  # wrong
db = MiniDB("mydb", max_connection=3)  # wrong
db = MiniDB("mydb", max_connections="three")  # wrong
db = MiniDB("mydb", durability="sometimes")  # wrong
db = MiniDB("mydb", max_connections=3, durability="none")

StringField(max_length="long")  # wrong
StringField(True)  # wrong
IntegerField(pattern="[0-9]+")  # wrong
ListField(str)  # wrong
EnumField(3)  # wrong
schema = Schema(name=StringField, age=IntegerField())  # wrong
schema = Schema(name=StringField(), age=IntegerField())

users = db.create_table("users", schema=StringField())  # wrong
users = db.create_table("users", schema=schema)
users.insert("Ada")  # wrong
user_id = users.insert(Row(name="Ada", age=36))
users.query()  # wrong
users.get(user_id).columns  # wrong
users.query(user_id).columns
users.scan(limit="ten")  # wrong
number: str = users.count()  # wrong
number_of_users: int = users.count()

db.create_index("users", 3)  # wrong
db.query_by_index("users", "name")  # wrong
db.create_index("users", "name", where="age > 3")  # wrong
db.create_index("users", "name", where=where("age") > 3)
db.create_index("users", "name", progress=3)  # wrong
query = users.find(where("age") > 3)
query.page("ten")  # wrong
query.page(10, after=3)  # wrong
query.page(10).next  # wrong
token: int = query.page(10).token  # wrong
query.aggregate(people=3)  # wrong
query.aggregate(oldest=("max", "age", "name"))  # wrong
query.aggregate(people="count", oldest=("max", "age"))
query.group_by(3)  # wrong
query.group_by("age").aggregate(people=["count"])  # wrong
query.group_by("age").sum("age")  # wrong
query.sum()  # wrong
where("settings")[3]  # wrong
db.no_such_method()  # wrong
with db.begin_transaction(read_only=True) as transaction:
    transaction.commit(3)  # wrong
db.run(3)  # wrong
result: str = db.run(lambda: 3)  # wrong

try:
    users.insert(Row(name="Ada"))
except SchemaValidationError as error:
    first: FieldError = error.errors[0]
    first.code = "required"  # wrong
    first.no_such_fact  # wrong

cache: PersistentMapping[str, int] = db.mapping("cache")
cache[1] = 1  # wrong
cache["a"] = "one"  # wrong
cache.update({"a": "one"})  # wrong
cache.increment("a", "one")  # wrong
cache.irange("a", "b", True)  # wrong
words: PersistentMapping[str, str] = db.mapping("words")
words.increment("a")  # wrong
number: int = words["a"]  # wrong
