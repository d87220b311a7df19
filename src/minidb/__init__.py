"""MiniDB: a typed, transactional key-value database for Python programs. No server, no SQL, no tuning.

>>> from minidb import MiniDB, Row
>>> from minidb.schema import IntegerField, Schema, StringField
>>> db = MiniDB("mydb")
>>> users = db.create_table("users", schema=Schema(name=StringField(required=True), age=IntegerField(min_value=0)))
>>> users.query(users.insert(Row(name="Ada", age=36))).columns
{'name': 'Ada', 'age': 36}
"""

from minidb.api.database import MiniDB
from minidb.api.history import History
from minidb.api.index import Index
from minidb.api.mapping import PersistentMapping
from minidb.api.migrations import Migrations, MigrationStep
from minidb.api.pool import Connection, ConnectionPool
from minidb.api.query import Page, Query
from minidb.api.table import Table
from minidb.api.transaction import Transaction
from minidb.conditions.predicate import Condition, where
from minidb.maintenance.compact import CompactReport
from minidb.maintenance.contents import Contents
from minidb.maintenance.manifest import Manifest
from minidb.maintenance.report import Finding, Salvaged, VerifyReport
from minidb.tables.row import Row
from minidb.version import __version__

__all__ = [
    "CompactReport",
    "Condition",
    "Connection",
    "ConnectionPool",
    "Contents",
    "Finding",
    "History",
    "Index",
    "Manifest",
    "MigrationStep",
    "Migrations",
    "MiniDB",
    "Page",
    "PersistentMapping",
    "Query",
    "Row",
    "Salvaged",
    "Table",
    "Transaction",
    "VerifyReport",
    "__version__",
    "where",
]
