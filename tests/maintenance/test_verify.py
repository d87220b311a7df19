"""Verify finds each kind of damage, and never calls a good database bad."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.maintenance.conftest import fill

from minidb import MiniDB
from minidb.encoding.integers import encode_integer
from minidb.encoding.keys import encode_values
from minidb.encoding.rows import RowCodec, decode_document, encode_document
from minidb.engines.port import CATALOG, Space, WriteTransaction
from minidb.exceptions import DatabaseClosedError
from minidb.maintenance.report import MOST_FINDINGS, Finding, VerifyReport
from minidb.tables.binding import TableBinding
from minidb.tables.catalog import SEQUENCES
from minidb.tables.index_entries import IndexBinding, row_key_of

Damage = Callable[["Planter"], None]


class Planter:
    """Writes past the tables, straight into an engine's spaces."""

    def __init__(self, database: MiniDB, transaction: WriteTransaction) -> None:
        self.bytes = transaction
        self._catalog = database.catalog_of(transaction)

    def table(self, name: str) -> TableBinding:
        return self._catalog.table(name)

    def index(self, table: str, name: str) -> IndexBinding:
        return self.table(table).index(name)

    def mapping_space(self, name: str) -> Space:
        return self._catalog.mapping(name).space

    def put(self, space: Space, key: bytes, value: bytes) -> None:
        self.bytes.put_many(space, {key: value})

    def delete(self, space: Space, key: bytes) -> None:
        self.bytes.delete_many(space, [key])

    def pairs(self, space: Space) -> list[tuple[bytes, bytes]]:
        return [pair for page in self.bytes.scan(space) for pair in page]

    def change_table(self, table: str, **changes: Any) -> None:
        """Change the stored definition of a table."""
        key = encode_values(("table", self.table(table).definition.id))
        document = decode_document(self.bytes.get(CATALOG, key) or b"")
        self.put(CATALOG, key, encode_document({**document, **changes}))


def plant(database: MiniDB, damage: Damage) -> None:
    transaction = database.engine.begin_write(5)
    try:
        damage(Planter(database, transaction))
        transaction.commit()
    finally:
        transaction.close()


def codes(report: VerifyReport) -> set[str]:
    return {finding.code for finding in report.findings}


# --- good databases ---------------------------------------------------------------------------------------------------


def test_a_good_database_is_called_good(database: MiniDB) -> None:
    report = database.verify()
    assert report.findings == []
    assert report.ok
    assert report
    assert report.tables == {"people": 299, "parts": 40, "notes": 3, "empty": 0}
    assert report.indexes == {
        "people.name": 299,
        "people.email": 299,
        "people.role": 299,
        "people.role_age": 299,
        "notes.tag": 3,
        "parts.tags": 40,
        "parts.recent": 20,
    }
    assert report.mappings == {"cache": 5, "nothing": 0}
    assert str(report) == "ok: 4 tables with 342 rows, 7 indexes with 1259 entries, 2 mappings with 5 items"


def test_a_new_database_is_called_good(location: str) -> None:
    with MiniDB(location, durability="none") as database:
        assert database.verify().to_dict() == {
            "ok": True,
            "tables": {},
            "indexes": {},
            "building": {},
            "mappings": {},
            "finding_count": 0,
            "findings": [],
        }


def test_a_database_that_has_been_through_much_is_called_good(database: MiniDB) -> None:
    people = database.get_table("people")
    people.delete_many(range(1, 200, 3))
    people.update(299, email="new@example.org", name="x" * 40)
    people.insert({"name": "after"})
    database.drop_index("people", "name")
    database.rename_table("notes", "old notes")
    database.drop_table("parts")
    database.drop_mapping("nothing")
    database.get_table("empty").insert({"a": 1})
    database.get_table("empty").clear()
    report = database.verify()
    assert report.findings == []
    assert report.tables == {"people": 299 - 67 + 1, "old notes": 3, "empty": 0}


def test_a_value_overwritten_by_a_shorter_one_in_one_transaction_is_no_damage(database: MiniDB) -> None:
    # It keeps its pages in LMDB, which LMDB's own verifier calls damage.
    notes = database.get_table("notes")
    with database.begin_transaction():
        row_id = notes.insert({"text": "x" * 9000})
        notes.update(row_id, text="y" * 200)
    assert database.verify().ok


def test_verify_sees_what_is_committed_and_nothing_else(database: MiniDB) -> None:
    with database.begin_transaction():
        database.get_table("empty").insert({"a": 1})
        assert database.verify().tables["empty"] == 0
    assert database.verify().tables["empty"] == 1


def test_a_good_database_is_called_good_while_others_write(database: MiniDB) -> None:
    stop = threading.Event()

    def write() -> None:
        people = database.get_table("people")
        while not stop.is_set():
            row_id = people.insert({"name": "busy", "role": "admin"})
            people.update(row_id, name="still busy")
            people.delete(row_id)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            assert database.verify().findings == []
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@given(
    st.lists(
        st.fixed_dictionaries({}, optional={"a": st.none() | st.integers() | st.text(max_size=200), "b": st.floats()}),
        max_size=20,
    )
)
def test_whatever_rows_there_are_a_good_database_is_called_good(rows: list[dict[str, Any]]) -> None:
    with MiniDB(":memory:") as database:
        table = database.create_table("any")
        database.create_index("any", "a")
        database.create_index("any", "b", "a")
        table.insert_many(rows)
        assert database.verify().findings == []


# --- damaged ones -----------------------------------------------------------------------------------------------------


def cut_a_row(planter: Planter) -> None:
    key, data = planter.pairs(planter.table("people").space)[7]
    planter.put(planter.table("people").space, key, data[:-1])


def flip_a_bit_of_a_row(planter: Planter) -> None:
    key, data = planter.pairs(planter.table("people").space)[7]
    planter.put(planter.table("people").space, key, data[:9] + bytes([data[9] ^ 4]) + data[10:])


def store_a_row_that_does_not_fit(planter: Planter) -> None:
    table = planter.table("people")
    values = list(table.values(planter.bytes.get(table.space, encode_integer(9)) or b""))
    values[2] = -1
    planter.put(table.space, encode_integer(9), table.encode(values))


def store_a_row_with_too_few_columns(planter: Planter) -> None:
    table = planter.table("people")
    planter.put(table.space, encode_integer(9), RowCodec(1, ("name", "email")).encode(["a", None]))


def store_a_row_of_another_schema_version(planter: Planter) -> None:
    planter.put(planter.table("people").space, encode_integer(9), RowCodec(7, ("name",)).encode(["a"]))


def move_a_row_to_another_key(planter: Planter) -> None:
    space = planter.table("parts").space
    key, data = planter.pairs(space)[3]
    planter.delete(space, key)
    planter.put(space, encode_values(("another key",)), data)


def put_a_row_at_a_key_that_is_no_id(planter: Planter) -> None:
    space = planter.table("empty").space
    planter.put(space, b"\xff\xff", RowCodec(0, None).encode({"a": 1}))


def put_a_row_at_a_negative_id(planter: Planter) -> None:
    planter.put(planter.table("empty").space, encode_integer(-3), RowCodec(0, None).encode({"a": 1}))


def delete_an_entry(planter: Planter) -> None:
    space = planter.index("people", "name").space
    planter.delete(space, planter.pairs(space)[100][0])


def delete_an_entry_of_a_unique_index(planter: Planter) -> None:
    space = planter.index("people", "email").space
    planter.delete(space, planter.pairs(space)[-1][0])


def delete_a_row_and_leave_its_entries(planter: Planter) -> None:
    planter.delete(planter.table("people").space, encode_integer(5))


def add_an_entry_of_a_row_that_is_not_there(planter: Planter) -> None:
    index = planter.index("people", "name")
    planter.put(index.space, *index.entry(("nobody",), encode_integer(10_000)))


def add_an_entry_with_another_value(planter: Planter) -> None:
    index = planter.index("notes", "tag")
    planter.put(index.space, *index.entry(("another",), encode_integer(1)))


def swap_an_entry_for_one_with_another_value(planter: Planter) -> None:
    index = planter.index("people", "role")
    key, _ = planter.pairs(index.space)[150]
    planter.delete(index.space, key)
    planter.put(index.space, *index.entry(("nobody",), row_key_of(key)))


def add_an_entry_that_is_none(planter: Planter) -> None:
    planter.put(planter.index("people", "name").space, b"\x00", b"")


def add_an_entry_of_a_unique_index_that_names_no_key(planter: Planter) -> None:
    planter.put(planter.index("people", "email").space, b"\x50a\x00", b"")


def give_an_ordinary_entry_a_value(planter: Planter) -> None:
    space = planter.index("people", "name").space
    planter.put(space, planter.pairs(space)[0][0], b"x")


def let_a_covering_entry_keep_an_older_row(planter: Planter) -> None:
    space = planter.index("parts", "recent").space
    (key, _), (_, other), *_ = planter.pairs(space)
    planter.put(space, key, other)


def let_a_unique_entry_name_another_row(planter: Planter) -> None:
    space = planter.index("people", "email").space
    key, _ = planter.pairs(space)[-1]
    planter.put(space, key, encode_integer(1))


def store_a_value_twice_that_must_be_unique(planter: Planter) -> None:
    table = planter.table("people")
    first = list(table.values(planter.bytes.get(table.space, encode_integer(2)) or b""))
    planter.put(table.space, encode_integer(3), table.encode(first))


def delete_the_entry_of_an_element(planter: Planter) -> None:
    space = planter.index("parts", "tags").space
    planter.delete(space, planter.pairs(space)[0][0])


def add_the_entry_of_an_element_that_is_not_in_the_list(planter: Planter) -> None:
    index = planter.index("parts", "tags")
    planter.put(index.space, *index.entry(("old",), planter.pairs(planter.table("parts").space)[1][0]))


def add_an_entry_of_a_row_that_a_partial_index_leaves_out(planter: Planter) -> None:
    table, index = planter.table("parts"), planter.index("parts", "recent")
    key, data = next(pair for pair in planter.pairs(table.space) if not index.entries_of(table.values(pair[1]), *pair))
    planter.put(index.space, *index.entry((table.values(data)[1],), key))


def damage_an_item(planter: Planter) -> None:
    space = planter.mapping_space("cache")
    key, data = planter.pairs(space)[1]
    planter.put(space, key, data[:-2] + b"\x00\x00")


def put_an_item_at_a_key_that_is_none(planter: Planter) -> None:
    space = planter.mapping_space("cache")
    planter.put(space, b"\xfe", planter.pairs(space)[0][1])


def put_an_item_at_a_key_spelled_otherwise(planter: Planter) -> None:
    space = planter.mapping_space("cache")
    planter.put(space, encode_values((3,)), planter.pairs(space)[0][1])  # an integer; a mapping's key is a number


def damage_a_definition(planter: Planter) -> None:
    planter.put(CATALOG, encode_values(("table", planter.table("notes").definition.id)), b"\x02\x00\x00garbage")


def leave_out_a_part_of_a_definition(planter: Planter) -> None:
    table = planter.table("notes").definition.id
    planter.put(CATALOG, encode_values(("table", table)), encode_document({"id": table, "name": "notes"}))


def index_a_field_that_is_not_there(planter: Planter) -> None:
    index = planter.index("people", "name").definition
    planter.change_table("people", indexes=[{**index.to_document(), "fields": ["nothing"]}])


def move_a_definition(planter: Planter) -> None:
    table = planter.table("notes").definition
    planter.delete(CATALOG, encode_values(("table", table.id)))
    planter.put(CATALOG, encode_values(("table", table.id + 100)), encode_document(table.to_document()))


def add_an_entry_of_the_catalog_that_is_none(planter: Planter) -> None:
    planter.put(CATALOG, encode_values(("tabld", 1)), encode_document({"id": 1}))


def forget_a_table(planter: Planter) -> None:
    planter.delete(CATALOG, encode_values(("table", planter.table("notes").definition.id)))


def drop_the_space_of_a_table(planter: Planter) -> None:
    planter.bytes.drop_space(planter.table("notes").space)


def drop_the_space_of_an_index(planter: Planter) -> None:
    planter.bytes.drop_space(planter.index("people", "name").space)


def drop_the_space_of_a_mapping(planter: Planter) -> None:
    planter.bytes.drop_space(planter.mapping_space("cache"))


def name_a_table_as_another(planter: Planter) -> None:
    planter.change_table("notes", name="people")


def give_two_tables_one_space(planter: Planter) -> None:
    copied = {**planter.table("notes").definition.to_document(), "indexes": [], "name": "copy"}
    copied["indexes"] = [{**planter.index("people", "name").definition.to_document()}]
    copied["id"] = 90
    planter.put(CATALOG, encode_values(("table", 90)), encode_document(copied))
    planter.bytes.create_space(Space("rows/90"))


def set_the_next_id_back(planter: Planter) -> None:
    planter.put(CATALOG, encode_values(("next id",)), encode_document({"next": 2}))


def keep_an_id_for_no_table(planter: Planter) -> None:
    planter.put(SEQUENCES, encode_integer(77), encode_integer(5))


def keep_an_id_that_is_none(planter: Planter) -> None:
    planter.put(SEQUENCES, encode_integer(planter.table("people").definition.id), b"x")


DAMAGES: list[tuple[Damage, set[str]]] = [
    (cut_a_row, {"row-damaged"}),
    (flip_a_bit_of_a_row, {"row-damaged"}),
    (store_a_row_that_does_not_fit, {"row-invalid", "entry-missing", "entry-stray"}),
    (store_a_row_with_too_few_columns, {"row-damaged"}),
    (store_a_row_of_another_schema_version, {"row-damaged"}),
    (move_a_row_to_another_key, {"row-key-wrong", "entry-missing", "entry-stray"}),
    (delete_the_entry_of_an_element, {"entry-missing"}),
    (add_the_entry_of_an_element_that_is_not_in_the_list, {"entry-stray"}),
    (add_an_entry_of_a_row_that_a_partial_index_leaves_out, {"entry-stray"}),
    (put_a_row_at_a_key_that_is_no_id, {"row-key-wrong"}),
    (put_a_row_at_a_negative_id, {"row-key-wrong"}),
    (delete_an_entry, {"entry-missing"}),
    (delete_an_entry_of_a_unique_index, {"entry-missing"}),
    (delete_a_row_and_leave_its_entries, {"entry-stray"}),
    (add_an_entry_of_a_row_that_is_not_there, {"entry-stray"}),
    (add_an_entry_with_another_value, {"entry-stray"}),
    (swap_an_entry_for_one_with_another_value, {"entry-missing", "entry-stray"}),
    (add_an_entry_that_is_none, {"entry-stray"}),
    (add_an_entry_of_a_unique_index_that_names_no_key, {"entry-stray"}),
    (give_an_ordinary_entry_a_value, {"entry-wrong", "entry-stray"}),
    (let_a_covering_entry_keep_an_older_row, {"entry-wrong", "entry-stray"}),
    (let_a_unique_entry_name_another_row, {"entry-wrong", "entry-stray"}),
    (store_a_value_twice_that_must_be_unique, {"entry-wrong", "entry-missing", "entry-stray"}),
    (damage_an_item, {"item-damaged"}),
    (put_an_item_at_a_key_that_is_none, {"item-key-wrong"}),
    (put_an_item_at_a_key_spelled_otherwise, {"item-key-wrong"}),
    (damage_a_definition, {"definition-damaged", "space-unknown"}),
    (leave_out_a_part_of_a_definition, {"definition-damaged", "space-unknown"}),
    (index_a_field_that_is_not_there, {"definition-damaged", "space-unknown"}),
    (move_a_definition, {"definition-damaged", "space-unknown"}),
    (add_an_entry_of_the_catalog_that_is_none, {"definition-damaged"}),
    (forget_a_table, {"space-unknown"}),
    (drop_the_space_of_a_table, {"space-missing"}),
    (drop_the_space_of_an_index, {"space-missing"}),
    (drop_the_space_of_a_mapping, {"space-missing"}),
    (name_a_table_as_another, {"name-taken", "space-unknown"}),
    (give_two_tables_one_space, {"id-taken", "next-id-wrong", "entry-stray"}),
    (set_the_next_id_back, {"next-id-wrong"}),
    (keep_an_id_for_no_table, {"sequence-wrong"}),
    (keep_an_id_that_is_none, {"sequence-wrong"}),
]


@pytest.mark.parametrize(("damage", "expected"), DAMAGES, ids=[damage.__name__ for damage, _ in DAMAGES])
def test_each_kind_of_damage_is_found(database: MiniDB, damage: Damage, expected: set[str]) -> None:
    assert database.verify().ok  # the control
    plant(database, damage)
    report = database.verify()
    assert not report.ok
    assert codes(report) == expected
    assert json.loads(json.dumps(report.to_dict()))["finding_count"] == len(report.findings)
    for finding in report.findings:
        assert finding.hint
        assert finding.code in str(report)


def test_a_finding_names_the_place(database: MiniDB) -> None:
    plant(database, flip_a_bit_of_a_row)
    plant(database, delete_an_entry)
    damaged, missing = database.verify().findings
    assert (damaged.code, damaged.table, damaged.id, damaged.key) == ("row-damaged", "people", 8, encode_integer(8))
    assert (missing.code, missing.table, missing.index) == ("entry-missing", "people", "name")
    name = database.get_table("people").get(missing.id)
    assert name is not None
    assert name["name"] not in str(missing)


def test_ids_that_json_has_no_word_for_are_told_all_the_same() -> None:
    finding = Finding(code="item-damaged", message="m", hint="h", mapping="cache", id=(1, b"x"), key=b"\x01")
    facts = {"id": "(1, b'x')", "key": "01", "mapping": "cache"}
    assert finding.to_dict() == {"code": "item-damaged", "message": "m", "hint": "h", **facts}
    assert str(finding) == "[item-damaged] mapping 'cache', key (1, b'x'): m (h)"


def test_of_very_many_findings_the_first_are_kept_and_all_are_counted(database: MiniDB) -> None:
    index = "name"

    def add_entries(planter: Planter) -> None:
        binding = planter.index("people", index)
        rows = range(10_000, 10_000 + 2 * MOST_FINDINGS)
        planter.bytes.put_many(
            binding.space, dict(binding.entry((f"nobody {row}",), encode_integer(row)) for row in rows)
        )

    plant(database, add_entries)
    report = database.verify()
    assert report.finding_count == 2 * MOST_FINDINGS
    assert len(report.findings) == MOST_FINDINGS
    assert str(report).endswith(f"… and {MOST_FINDINGS} more")


# --- bits in the file -------------------------------------------------------------------------------------------------


def flip(path: Path, place: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))


def test_each_bit_flipped_in_the_bytes_of_a_row_is_found(database_path: Path) -> None:
    text = "a text that stands in the file once"
    with MiniDB(database_path, durability="none") as database:
        fill(database)
        row_id = database.get_table("notes").insert({"text": text})
        stored = database.get_table("notes")
        snapshot = database.engine.begin_read()
        try:
            catalog = database.catalog_of(snapshot)
            data = snapshot.get(catalog.table(stored.name).space, encode_integer(row_id))
        finally:
            snapshot.close()
    assert data is not None
    file = database_path / "data.mdb"
    start = file.read_bytes().rindex(data)
    found = 0
    for place in range(start, start + len(data)):
        flip(file, place, place % 8)
        with MiniDB(database_path) as database:
            report = database.verify()
        flip(file, place, place % 8)
        assert {(finding.code, finding.id) for finding in report.findings} == {("row-damaged", row_id)}
        found += 1
    assert found == len(data)
    with MiniDB(database_path) as database:  # the control: all bits are back
        assert database.verify().ok


# --- progress ---------------------------------------------------------------------------------------------------------


def test_progress_counts_all_that_there_is(database: MiniDB) -> None:
    told: list[tuple[int, int]] = []
    report = database.verify(progress=lambda done, total: told.append((done, total)))
    everything = sum((*report.tables.values(), *report.indexes.values(), *report.mappings.values()))
    assert told == sorted(told)
    assert told[-1] == (everything, everything)
    assert len(told) > 5


def test_what_progress_raises_stops_the_call_and_leaves_nothing_open(database: MiniDB) -> None:
    class StopError(Exception):
        pass

    def stop(*_: int) -> None:
        raise StopError

    with pytest.raises(StopError):
        database.verify(progress=stop)
    assert database.connection_pool.stats()["pool_available"] == database.connection_pool.stats()["pool_size"]
    assert database.verify().ok


def test_a_closed_database_is_not_verified(database: MiniDB) -> None:
    database.close()
    with pytest.raises(DatabaseClosedError):
        database.verify()


def test_stats_count_the_items_of_mappings(database: MiniDB) -> None:
    assert database.stats()["mappings"] == {"cache": 5, "nothing": 0}
