"""The negative control: databases whose bytes do not agree are found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.api.consistency import InconsistentError, check_consistency

from minidb import MiniDB, where
from minidb.encoding.integers import encode_integer
from minidb.engines.port import WriteTransaction
from minidb.exceptions import ChecksumError
from minidb.schema import IntegerField, ListField, Schema, StringField
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import SEQUENCES
from minidb.tables.session import WriteSession

PEOPLE = Schema(
    email=StringField(unique=True), city=StringField(index=True), age=IntegerField(), tags=ListField(StringField())
)

Damage = Callable[[WriteTransaction, TableBinding], None]


def drop_an_entry(transaction: WriteTransaction, table: TableBinding) -> None:
    (page,) = transaction.scan(table.index("city").space)
    transaction.delete_many(table.index("city").space, [page[0][0]])


def drop_a_unique_entry(transaction: WriteTransaction, table: TableBinding) -> None:
    (page,) = transaction.scan(table.index("email").space)
    transaction.delete_many(table.index("email").space, [page[0][0]])


def drop_a_row(transaction: WriteTransaction, table: TableBinding) -> None:
    transaction.delete_many(table.space, [encode_integer(1)])


def lead_an_entry_to_another_row(transaction: WriteTransaction, table: TableBinding) -> None:
    (page,) = transaction.scan(table.index("email").space)
    transaction.put_many(table.index("email").space, {page[0][0]: page[1][1]})


def change_a_row_without_its_entries(transaction: WriteTransaction, table: TableBinding) -> None:
    row = table.encode(("new@example.com", "Oslo", 1, None))
    transaction.put_many(table.space, {encode_integer(1): row})


def flip_a_bit_of_a_row(transaction: WriteTransaction, table: TableBinding) -> None:
    data = transaction.get(table.space, encode_integer(1))
    assert data is not None
    transaction.put_many(table.space, {encode_integer(1): data[:5] + bytes((data[5] ^ 1,)) + data[6:]})


def store_a_row_that_the_schema_refuses(transaction: WriteTransaction, table: TableBinding) -> None:
    row = table.codec.encode(("ada@example.com", "London", "36", ["a", "b"]))
    transaction.put_many(table.space, {encode_integer(1): row})


def drop_an_entry_of_an_element(transaction: WriteTransaction, table: TableBinding) -> None:
    (page,) = transaction.scan(table.index("tags").space)
    transaction.delete_many(table.index("tags").space, [page[1][0]])


def add_an_entry_of_an_element_that_is_not_there(transaction: WriteTransaction, table: TableBinding) -> None:
    entry, value = table.index("tags").entry(("new",), encode_integer(1))
    transaction.put_many(table.index("tags").space, {entry: value})


def drop_an_entry_of_some_rows(transaction: WriteTransaction, table: TableBinding) -> None:
    (page,) = transaction.scan(table.index("grown").space)
    transaction.delete_many(table.index("grown").space, [page[0][0]])


def add_an_entry_of_a_row_that_is_left_out(transaction: WriteTransaction, table: TableBinding) -> None:
    entry, value = table.index("grown").entry(("London",), encode_integer(1))
    transaction.put_many(table.index("grown").space, {entry: value})


def leave_a_sequence_behind(transaction: WriteTransaction, _: TableBinding) -> None:
    transaction.put_many(SEQUENCES, {encode_integer(99): encode_integer(1)})


@pytest.mark.parametrize(
    "damage",
    [
        drop_an_entry,
        drop_a_unique_entry,
        drop_a_row,
        lead_an_entry_to_another_row,
        change_a_row_without_its_entries,
        flip_a_bit_of_a_row,
        store_a_row_that_the_schema_refuses,
        drop_an_entry_of_an_element,
        add_an_entry_of_an_element_that_is_not_there,
        drop_an_entry_of_some_rows,
        add_an_entry_of_a_row_that_is_left_out,
        leave_a_sequence_behind,
    ],
)
def test_a_database_that_is_not_consistent_is_found(location: str, damage: Damage) -> None:
    with MiniDB(location, durability="none") as database:
        people = database.create_table("people", PEOPLE)
        database.create_index("people", "tags")
        database.create_index("people", "city", name="grown", where=where("age") > 50)
        people.insert({"email": "ada@example.com", "city": "London", "age": 36, "tags": ["a", "b"]})
        people.insert({"email": "kurt@example.com", "city": "Vienna", "age": 71})
        check_consistency(database)
        with database.begin_transaction() as transaction:
            session = transaction.writing()
            assert isinstance(session, WriteSession)
            damage(session.bytes, session.catalog.table("people"))
        with pytest.raises((InconsistentError, ChecksumError, ValueError)):
            check_consistency(database)
