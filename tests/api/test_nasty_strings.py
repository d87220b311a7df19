"""Five thousand strings that have broken programs, as values and as names, on every engine.

Each is stored and comes back as it was, or is refused by name; none reaches a server as a part of a statement, and none
stands in a message or a log.
"""

from __future__ import annotations

import logging
import random
import uuid
from urllib.parse import quote

import pytest
from tests.postgres_server import Server

from minidb import MiniDB, Row, where
from minidb.exceptions import (
    CatalogError,
    InvalidOptionError,
    MiniDBError,
    SchemaError,
    UniqueViolationError,
    UsageError,
)
from minidb.schema import Schema, StringField

PRINTED = r"""
' " ` '' "" \ \' -- /* */ ; # ( ) [ ] { } {0} {x!r} % %% %s %b %(x)s %n $1 $$ $body$ ? :x @ & | < > = ! ~ ^
';DROP_TABLE_users;-- 'OR'1'='1 1;SELECT/**/pg_sleep(10) x';COMMIT;-- ');DELETE/**/FROM/**/space_1;-- E'\x27' U&'\0027'
UNION select NULL null None nil true undefined NaN inf -0 1e309 0x10 a A 0 \x00 \u0000 \N{DIGIT_ONE}
minidb pg_catalog information_schema state spaces catalog rows/1 index/1 __class__ id
../../etc/passwd /dev/null C:\con file:// postgresql://a:b@c/d <script> ${jndi:x} `id` $(id)
é ß ﬁ İ 漢字 עברית العربية 🎉
"""
"""Such as can be printed, and hold no space."""

OTHERS = [
    *("\x00", "\x01", "\x1b[31m", "\x7f", "\x80", "\r", "\n", "\r\n", "\t", "\v", "\f", "\u2028", "\ufeff", "\u200b"),
    *("e\u0301", "\u0131", "\u202e", "\u2066", "\u200d", "\U0010ffff", "\ufffe", " ", "  ", "\u00a0", "\u3000", ""),
    *("'; DROP TABLE users; --", "' OR '1'='1", "1; SELECT pg_sleep(10)", "\\'; COMMIT; --", "DELETE FROM space_1"),
]
FRAGMENTS = [*PRINTED.split(), *OTHERS]


def nasty_strings(count: int, *, seed: int = 20261123) -> list[str]:
    """Return so many different strings: the fragments, and several of them joined."""
    chance = random.Random(seed)
    found = dict.fromkeys(FRAGMENTS)
    while len(found) < count:
        found["".join(chance.choices(FRAGMENTS, k=chance.randrange(2, 7)))] = None
    return list(found)[:count]


VALUES = nasty_strings(5_000)
NAMES = [name for name in nasty_strings(400, seed=1) if name != "id"]
TEXTS = Schema(text=StringField(index=True, unique=True), note=StringField())


@pytest.mark.slow
def test_five_thousand_nasty_values_come_back_as_they_were(database: MiniDB) -> None:
    table = database.create_table("texts", TEXTS)
    mapping = database.mapping("items")
    ids = list(table.insert_many({"text": text, "note": text[::-1]} for text in VALUES))
    mapping.update({text: [text] for text in VALUES})
    assert [(row.text, row.note) for row in table.scan()] == [(text, text[::-1]) for text in VALUES]
    assert dict(mapping) == {text: [text] for text in VALUES}
    assert mapping.get_many(VALUES) == {text: [text] for text in VALUES}
    for row_id, text in random.Random(1).sample(list(zip(ids, VALUES, strict=True)), 300):
        assert table.query(row_id).text == text
        assert [row.id for row in database.query_by_index("texts", "text", text)] == [row_id]
        assert [row.id for row in table.find(where("text") == text)] == [row_id]
        assert row_id in [row.id for row in table.find(where("note") == text[::-1])]
        assert mapping[text] == [text]
    with database.begin_transaction():
        for row_id, text in zip(ids[:200], VALUES[:200], strict=True):
            table.update(row_id, note=text + text)
            del mapping[text]
    assert [table.query(row_id).note for row_id in ids[:200]] == [text + text for text in VALUES[:200]]
    assert len(mapping) == len(VALUES) - 200


def test_nasty_names_of_tables_and_mappings_stay_names(database: MiniDB) -> None:
    canary = database.create_table("the canary", TEXTS)
    canary.insert(Row(text="sings"))
    tables, mappings = {"the canary"}, set()
    with database.begin_transaction():
        for number, name in enumerate(NAMES):
            try:
                if number % 2:
                    database.create_table(name).insert(Row(text=name))
                    tables.add(name)
                else:
                    database.mapping(name)[name] = name
                    mappings.add(name)
            except (CatalogError, SchemaError):
                continue
    assert len(tables) + len(mappings) > len(NAMES) / 3
    assert database.table_names() == sorted(tables)
    assert database.mapping_names() == sorted(mappings)
    for name in tables - {"the canary"}:
        assert [row.columns["text"] for row in database.get_table(name).scan()] == [name]
    for name in mappings:
        assert dict(database.mapping(name)) == {name: name}
    assert [row.text for row in canary.scan()] == ["sings"]


def test_nasty_names_of_fields_and_indexes_stay_names(database: MiniDB) -> None:
    fields = []
    for name in NAMES:
        try:
            Schema(**{name: StringField()})
        except SchemaError:
            continue
        fields.append(name)
    assert len(fields) > len(NAMES) / 3
    for start in range(0, len(fields), 60):
        some = fields[start : start + 60]
        table = database.create_table(f"t{start}", Schema(**{name: StringField() for name in some}))
        columns = {name: name + "!" for name in some}
        row_id = table.insert(columns)
        assert table.query(row_id).columns == columns
        for name in some[:3]:
            try:
                index = database.create_index(f"t{start}", name, name=f"{name}\u00b7")
            except MiniDBError as refused:
                assert isinstance(refused, CatalogError | SchemaError | UsageError)  # noqa: PT017  # one of these, or none
                continue
            assert [row.id for row in database.query_by_index(f"t{start}", index.name, name + "!")] == [row_id]


def test_no_nasty_value_stands_in_a_message_or_a_log(database: MiniDB, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    table = database.create_table("texts", TEXTS)
    long = [text for text in VALUES if len(text) > 12][:150]
    table.insert_many({"text": text} for text in long)
    for text in long:
        with pytest.raises(UniqueViolationError) as refused:
            table.insert(Row(text=text))
        shown = str(refused.value) + repr(refused.value) + caplog.text
        assert text not in shown


@pytest.mark.slow
def test_nasty_names_of_schemas_are_one_schema_each_or_refused(postgres_server: Server) -> None:
    def schemas() -> set[str]:
        with postgres_server.connect() as connection:
            return {str(name) for (name,) in connection.execute("SELECT nspname FROM pg_namespace").fetchall()}

    before = schemas()
    opened = set()
    mark = uuid.uuid4().hex[:8]
    try:
        for name in (f"{name}{mark}" for name in NAMES[:120]):
            try:
                MiniDB(postgres_server.url(quote(name, safe="")), durability="none").close()
            except InvalidOptionError:
                continue
            opened.add(name)
        assert schemas() - before >= opened
        assert {name for name in schemas() - before if mark in name} == opened
        assert len(opened) > 40
    finally:
        for name in opened:
            postgres_server.drop(name)
