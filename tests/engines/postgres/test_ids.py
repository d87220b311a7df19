"""Ids are allotted outside of transactions: unique whoever takes them, and with gaps."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from minidb import MiniDB, Row
from minidb.exceptions import UniqueViolationError
from minidb.schema import IntegerField, Schema, StringField

NOTES = Schema(text=StringField(unique=True), age=IntegerField(index=True))


def test_one_program_counts_from_1_without_gaps(postgres_url: str) -> None:
    with MiniDB(postgres_url, durability="none") as database:
        notes = database.create_table("notes", NOTES)
        assert [notes.insert({}) for _ in range(70)] == list(range(1, 71))
        assert notes.insert_many([{}] * 2500) == range(71, 2571)


def test_an_id_is_never_given_out_again(postgres_url: str) -> None:
    with MiniDB(postgres_url, durability="none") as database:
        notes = database.create_table("notes", NOTES)
        ids: list[int] = list(notes.insert_many([{"text": "taken"}, {}, {}]))
        notes.delete(ids[-1])
        with pytest.raises(UniqueViolationError):
            notes.insert_many([*[{}] * 10, {"text": "taken"}])
        with pytest.raises(UniqueViolationError):
            notes.insert({"text": "taken"})
        ids.append(notes.insert({}))
        with database.begin_transaction() as transaction:
            notes.clear()
            notes.insert({})
            transaction.rollback()
        ids += [notes.insert({}), *notes.insert_many([{}, {}])]
        notes.clear()
        ids.append(notes.insert({}))
    with MiniDB(postgres_url, durability="none") as database:
        notes = database.get_table("notes")
        ids += [notes.insert({}), notes.insert({})]
        database.rename_table("notes", "remarks")
        ids.append(database.get_table("remarks").insert({}))
        assert sorted(set(ids)) == ids
        database.drop_table("remarks")
        assert database.create_table("notes").insert({}) == 1


def test_two_programs_that_insert_at_once_share_no_id_and_do_not_conflict(postgres_url: str) -> None:
    with MiniDB(postgres_url, durability="none") as one, MiniDB(postgres_url, durability="none") as two:
        one.create_table("notes", Schema(age=IntegerField(index=True)))
        with one.begin_transaction(), ThreadPoolExecutor(1) as thread:
            first = one.get_table("notes").insert_many([{"age": 1}] * 20)
            second = thread.submit(two.get_table("notes").insert_many, [{"age": 1}] * 20).result(timeout=60)
        assert not set(first) & set(second)
        assert len(two.query_by_index("notes", "age", 1)) == 40


def test_a_forked_child_takes_ids_of_its_own(postgres_url: str) -> None:
    with MiniDB(postgres_url, durability="none") as database:
        notes = database.create_table("notes", NOTES)
        before = [notes.insert({}) for _ in range(6)]  # so that a part of a block is left
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for _ in range(20):
                    notes.insert(Row(age=1))
                status = 0
            finally:
                os._exit(status)
        mine = [notes.insert({}) for _ in range(20)]
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        found = [row.id for row in notes]
        assert len(found) == len(set(found)) == 46
        assert set(before) | set(mine) < set(found)


def test_ids_that_another_server_may_not_know_of_are_forgotten(postgres_url: str) -> None:
    """As after a failover: what tells servers apart changes, and the next connection leads to the other one."""
    with MiniDB(postgres_url, durability="none") as database:
        notes = database.create_table("notes", NOTES)
        ids = [notes.insert({}) for _ in range(8)]  # the last one begins a block of 8
        connections = database.engine._connections  # type: ignore[attr-defined]  # of this engine
        connections.forget_idle()
        connections._server = "another"
        ids += [notes.insert({}), notes.insert({})]
        assert ids == [*range(1, 9), 16, 17]
