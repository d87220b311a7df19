"""Every statement, in every dialect, as it was reviewed. After a change, delete the golden file and run twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidb.engines.port import Reference
from minidb.engines.postgres.dialect import COCKROACHDB, DIALECTS, POSTGRESQL, YUGABYTEDB, Dialect, dialect_of
from minidb.engines.postgres.statements import Statements

HERE = Path(__file__).parent
NASTY_SCHEMA = 'shop"; DROP OWNED BY public; --%'


def all_statements(dialect: Dialect, schema: str) -> list[str]:
    statements = Statements(dialect, schema)
    lines: list[str] = []
    for name, value in sorted(vars(statements).items()):
        if name in ("dialect", "schema"):
            continue
        if name == "probe":
            lines += [f"probe.{part}: {getattr(value, part)}" for part in value.__slots__]
        elif isinstance(value, tuple):
            lines += [f"{name}[{number}]: {one}" for number, one in enumerate(value)]
        else:
            lines.append(f"{name}: {value}")
    space = statements.space(7)
    lines += [f"space.{name}: {getattr(space, name)}" for name in sorted(space.__slots__) if not name.startswith("_")]
    for columns in ("key", "key, value"):
        for reverse in (False, True):
            for has_stop in (False, True):
                page = space.page(columns, reverse=reverse, has_stop=has_stop)
                lines.append(f"space.page({columns}, reverse={reverse}, has_stop={has_stop}): {page}")
    for reference in Reference:
        for reverse in (False, True):
            for has_stop in (False, True):
                page = space.joined_page(statements.space(8), reference, reverse=reverse, has_stop=has_stop)
                lines.append(f"space.joined_page({reference.name}, reverse={reverse}, has_stop={has_stop}): {page}")
    lines += [f"make_space[{number}]: {one}" for number, one in enumerate(statements.make_space(7))]
    lines.append(f"drop_space: {statements.drop_space(7)}")
    lines += [f"setting {name} = {value}" for name, value in sorted(dialect.settings.items())]
    return lines


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_the_statements_are_those_that_were_reviewed(dialect: Dialect) -> None:
    golden = HERE / f"golden_{dialect.name}.sql"
    found = "".join(f"{line}\n" for line in all_statements(dialect, "minidb"))
    if not golden.exists():
        golden.write_text(found)
        pytest.fail(f"{golden.name} was absent and has been written: read it")
    assert found == golden.read_text()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_schema_is_an_identifier_and_never_text(dialect: Dialect) -> None:
    quoted = '"' + NASTY_SCHEMA.replace('"', '""') + '"'
    for line in all_statements(dialect, NASTY_SCHEMA):
        assert "DROP OWNED" not in line.replace("%%", "%").replace(quoted, "")


def test_the_server_is_known_by_what_it_says() -> None:
    assert dialect_of("PostgreSQL 18.6 on x86_64-pc-linux-gnu") is POSTGRESQL
    assert dialect_of("CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu, built 2024/05/15)") is COCKROACHDB
    assert dialect_of("PostgreSQL 15.2-YB-2.25.0.0-b0 on x86_64-pc-linux-gnu") is YUGABYTEDB
