"""Random histories of a table: its schema changes, and its rows must follow a model of plain dicts.

Every change is either applied, and then every row that was there reads as the model says, is valid under the new schema
and stands in every index; or it is refused by name, and then nothing has changed. Which of the two it must be is
decided here by the kind of the change, and not by asking what is tested.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.api.consistency import check_consistency

from minidb import MiniDB
from minidb.exceptions import SchemaMismatchError
from minidb.schema import FloatField, IntegerField, Schema, StringField
from minidb.schema.field import UNSET, AnyField

NAMES = st.sampled_from("abcdefgh")
CLASSES: dict[str, type[Any]] = {"integer": IntegerField, "float": FloatField, "string": StringField}
KINDS = st.sampled_from(sorted(CLASSES))
SMALL = st.integers(min_value=0, max_value=9)
LIMITS = {"integer": "max_value", "float": "max_value", "string": "max_length"}

Options = dict[str, Any]
Fields = dict[str, Options]
"""Of each field its options, and under ``kind`` its type."""


def schema_of(fields: Fields) -> Schema:
    made: dict[str, AnyField] = {}
    for name, options in fields.items():
        made[name] = CLASSES[options["kind"]](**{key: value for key, value in options.items() if key != "kind"})
    return Schema(made)


def value_of(kind: str, number: int) -> Any:
    return {"integer": number, "float": number + 0.5, "string": "x" * number}[kind]


class EvolutionMachine(RuleBasedStateMachine):
    """One table, ``t``; ``self.rows`` is what it must hold, by id."""

    location: str | None = ":memory:"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.rows: dict[int, dict[str, Any]] = {}
        self.fields: Fields = {}
        self.past: set[str] = set()
        self.next_id = 1

    @initialize(kind=KINDS, number=SMALL)
    def create(self, kind: str, number: int) -> None:
        self.database = MiniDB(self.place(), durability="none")
        self.fields = {"a": {"kind": kind, LIMITS[kind]: 9}, "b": {"kind": "integer", "index": True}}
        self.schema = schema_of(self.fields)
        self.table = self.database.create_table("t", self.schema)
        self.insert(number)

    def place(self) -> str:
        return ":memory:" if self.location is not None else str(Path(self.folder) / "database")

    def teardown(self) -> None:
        if hasattr(self, "database"):
            assert self.database.verify().ok
            self.database.close()
        shutil.rmtree(self.folder)

    # --- what must hold -----------------------------------------------------------------------------------------------

    def applied(self, fields: Fields, *, is_said: bool = False, **options: Any) -> bool:
        """Open the table with other fields; return whether it has them now.

        It has not where it had them before, and nothing says that it is to have them again: then it is as if an older
        program had come, which may read, and not write.
        """
        schema = schema_of(fields)
        plain = {
            name: {key: value for key, value in one.items() if key != "renamed_from"} for name, one in fields.items()
        }
        if schema.row_identity != self.schema.row_identity and schema.row_identity in self.past and not is_said:
            self.database.table("t", schema, **options)
            self.rows_are_those_of_the_model()
            with pytest.raises(SchemaMismatchError, match="may only read it"):
                self.table.clear()
            self.database.table("t", self.schema)
            return False
        self.past.add(self.schema.row_identity)
        self.database.table("t", schema, **options)
        self.fields, self.schema = plain, schema_of(plain)
        return True

    def refused(self, fields: Fields, field: str, code: str) -> None:
        schema = schema_of(fields)
        if schema.row_identity in self.past:
            return  # an older program's: see ``applied``
        with pytest.raises(SchemaMismatchError) as caught:
            self.database.table("t", schema)
        assert (field, code) in {(one.field, one.code) for one in caught.value.differences}
        assert all(one.message in str(caught.value) for one in caught.value.differences)
        assert all(one.hint in str(caught.value) for one in caught.value.differences)

    @invariant()
    def rows_are_those_of_the_model(self) -> None:
        found = {row.id: row.columns for row in self.table}
        assert found == self.rows
        assert all(type(found[key][name]) is type(row[name]) for key, row in self.rows.items() for name in row)
        assert [list(row) for row in found.values()] == [list(self.fields)] * len(found)
        check_consistency(self.database)  # checks each row by the schema that the table has now, and each index

    # --- rows ---------------------------------------------------------------------------------------------------------

    def row_of(self, number: int) -> dict[str, Any]:
        row = {name: value_of(one["kind"], number % 10) for name, one in self.fields.items()}
        for name, one in self.fields.items():
            limit = one.get(LIMITS[one["kind"]])
            if limit is not None:
                row[name] = value_of(one["kind"], min(number, limit - (one["kind"] == "float")))
        return row

    @rule(number=SMALL)
    def insert(self, number: int) -> None:
        row = self.row_of(number)
        assert self.table.insert(row) == self.next_id
        self.rows[self.next_id] = row
        self.next_id += 1

    @rule()
    def insert_with_defaults(self) -> None:
        row = {
            name: options.get("default", self.row_of(1)[name] if options.get("required") else None)
            for name, options in self.fields.items()
        }
        given = {name for name, options in self.fields.items() if options.get("required") and "default" not in options}
        self.table.insert({name: row[name] for name in given})
        self.rows[self.next_id] = row
        self.next_id += 1

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), number=SMALL)
    def update(self, data: st.DataObject, number: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.rows)))
        name = data.draw(st.sampled_from(sorted(self.fields)))
        value = self.row_of(number)[name]
        self.table.update(key, **{name: value})
        self.rows[key][name] = value

    @precondition(lambda self: len(self.rows) > 1)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.rows)[:-1]))
        self.table.delete(key)
        del self.rows[key]

    # --- changes that are applied -------------------------------------------------------------------------------------

    @rule(name=NAMES, kind=KINDS, default=st.none() | SMALL, is_indexed=st.booleans(), is_first=st.booleans())
    def add(self, name: str, kind: str, default: int | None, is_indexed: bool, is_first: bool) -> None:
        if name in self.fields:
            return
        options: Options = {"kind": kind, "index": is_indexed}
        if default is not None:
            options |= {"default": value_of(kind, default), "required": True}
        added: Fields = {name: options}
        if self.applied({**added, **self.fields} if is_first else {**self.fields, **added}):
            new = {name: options.get("default")}
            for key, row in self.rows.items():
                self.rows[key] = {**new, **row} if is_first else {**row, **new}

    @precondition(lambda self: len(self.fields) > 1)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.fields)))
        kept = {one: options for one, options in self.fields.items() if one != name}
        self.refused(kept, name, "missing")
        assert self.applied(kept, is_said=True, drop_fields=[name])
        for row in self.rows.values():
            del row[name]

    @rule(data=st.data(), new=NAMES)
    def rename(self, data: st.DataObject, new: str) -> None:
        old = data.draw(st.sampled_from(sorted(self.fields)))
        if new in self.fields:
            return
        renamed = {new if one == old else one: dict(options) for one, options in self.fields.items()}
        renamed[new]["renamed_from"] = old
        assert self.applied(renamed, is_said=True)
        for key, row in self.rows.items():
            self.rows[key] = {new if one == old else one: value for one, value in row.items()}

    @rule(data=st.data())
    def reorder(self, data: st.DataObject) -> None:
        order = data.draw(st.permutations(sorted(self.fields)))
        if self.applied({name: self.fields[name] for name in order}):
            for key, row in self.rows.items():
                self.rows[key] = {name: row[name] for name in order}

    @rule(data=st.data())
    def loosen(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.fields)))
        options = dict(self.fields[name])
        limit = LIMITS[options["kind"]]
        if options.get("required") and data.draw(st.booleans()):
            options["required"] = False
        if limit in options:
            options[limit] += 1
            if data.draw(st.booleans()):
                del options[limit]
        self.applied(self.with_options(name, options))

    @rule(data=st.data())
    def index(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.fields)))
        assert self.applied(self.with_options(name, {**self.fields[name], "index": True}))
        assert any(index.fields == (name,) for index in self.database.indexes("t"))

    @rule(data=st.data())
    def make_floats(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.fields)))
        options = {**self.fields[name], "kind": "float"}
        if self.fields[name]["kind"] != "integer":
            return
        if options.get("default") is not None:
            options["default"] = float(options["default"])
        if self.applied(self.with_options(name, options)):
            for row in self.rows.values():
                row[name] = None if row[name] is None else float(row[name])

    @rule()
    def open_again(self) -> None:
        if self.location is None:
            self.database.close()
            self.database = MiniDB(self.place(), durability="none")
        self.table = self.database.table("t", self.schema)

    # --- changes that are refused -------------------------------------------------------------------------------------

    @rule(data=st.data(), kind=KINDS)
    def retype(self, data: st.DataObject, kind: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.fields)))
        if (self.fields[name]["kind"], kind) not in {("integer", "float"), (kind, kind)}:
            self.refused(self.with_options(name, {"kind": kind}), name, "type")

    @rule(data=st.data(), limit=SMALL)
    def tighten(self, data: st.DataObject, limit: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.fields)))
        options = {key: value for key, value in self.fields[name].items() if key not in {"default", "required"}}
        option = LIMITS[options["kind"]]
        tight = {**options, option: min(limit, options.get(option, 10) - 1)}
        self.refused(self.with_options(name, tight), name, "tightened")

    @rule(data=st.data())
    def require(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.fields)))
        if not self.fields[name].get("required"):
            strict = {**self.fields[name], "required": True, "default": UNSET}
            self.refused(self.with_options(name, strict), name, "nullable")

    @rule(name=NAMES, kind=KINDS)
    def add_without_a_value(self, name: str, kind: str) -> None:
        if name not in self.fields:
            self.refused({**self.fields, name: {"kind": kind, "required": True}}, name, "required")

    def with_options(self, name: str, options: Options) -> Fields:
        return {one: options if one == name else other for one, other in self.fields.items()}


class FolderEvolutionMachine(EvolutionMachine):
    """The same in a folder, which is closed and opened again."""

    location = None


TestEvolution = EvolutionMachine.TestCase
TestEvolution.settings = settings(max_examples=60, stateful_step_count=30)
TestEvolutionInAFolder = FolderEvolutionMachine.TestCase
TestEvolutionInAFolder.settings = settings(max_examples=20, stateful_step_count=25)
