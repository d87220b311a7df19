"""Export to Parquet: types are kept, and without pyarrow a sentence says what is missing."""

from __future__ import annotations

import importlib
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from tests.cli.conftest import Run

from minidb import MiniDB
from minidb.schema import (
    BooleanField,
    BytesField,
    DateField,
    DateTimeField,
    DecimalField,
    FloatField,
    IntegerField,
    ListField,
    Schema,
    StringField,
    TimeField,
)

SCHEMA = Schema(
    s=StringField(),
    i=IntegerField(),
    f=FloatField(),
    b=BooleanField(),
    y=BytesField(),
    day=DateField(),
    at=DateTimeField(timezone=True),
    local=DateTimeField(timezone=False),
    t=TimeField(),
    d=DecimalField(),
    tags=ListField(),
)
ROW: dict[str, Any] = {
    "s": "日本",
    "i": -5,
    "f": 0.1,
    "b": True,
    "y": b"\0\xff",
    "day": date(2024, 2, 29),
    "at": datetime(2024, 1, 1, 10, tzinfo=UTC),
    "local": datetime(2024, 1, 1, 10, 0, 0, 5),
    "t": time(10, 30),
    "d": Decimal("1.50"),
    "tags": ["a", 1],
}


@pytest.fixture
def table(run: Run) -> None:  # noqa: ARG001  # it chooses the folder
    with MiniDB("x.db") as database:
        found = database.create_table("t", SCHEMA)
        found.insert(ROW)
        found.insert({})


@pytest.mark.usefixtures("table")
def test_parquet_keeps_the_types(run: Run) -> None:
    assert run("export", "x.db", "t", "t.parquet").lines == ["2 rows of t exported to t.parquet"]
    parquet: Any = importlib.import_module("pyarrow.parquet")
    rows = parquet.read_table("t.parquet").to_pylist()
    assert rows == [{**ROW, "d": "1.50", "tags": '["a", 1]'}, dict.fromkeys(ROW)]


@pytest.mark.usefixtures("table")
def test_a_value_too_large_for_parquet_leaves_no_file(run: Run) -> None:
    with MiniDB("x.db") as database:
        database.get_table("t").insert({"i": 2**70})
    ended = run("export", "x.db", "t", "t.parquet")
    assert ended.code == 1
    assert "Parquet cannot hold a value of the table" in ended.err
    assert run("export", "x.db", "t", "-", "--format", "parquet").code == 1


@pytest.mark.usefixtures("table")
def test_without_pyarrow_a_sentence_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ended = run("export", "x.db", "t", "t.parquet")
    assert ended.code == 1
    assert ended.err == (
        "Error: Parquet is written by pyarrow, which is not installed\nHint: pip install 'minidb-kv[parquet]'\n"
    )
