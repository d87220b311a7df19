"""Types found in texts: only those that give the very same text again."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidb.cli.cells import json_converter_of, parser_of, text_of
from minidb.cli.inference import Column, schema_of, type_name_of
from minidb.exceptions import UsageError


def type_of(*texts: str) -> str:
    column = Column("x")
    column.see_texts(texts, set(texts))
    return column.type_name


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "-20", "12345678901234567890123"], "integer"),
        (["007"], "string"),
        (["+1"], "string"),
        (["1", " 2"], "string"),
        (["1_000"], "string"),
        (["1.5", "0.1", "1e-05"], "float"),
        (["1.5", "1e5"], "string"),
        (["1.50", "2.25"], "decimal"),
        (["41", "39.02"], "decimal"),
        (["1", "2.0"], "decimal"),
        (["nan"], "string"),
        (["inf", "1.5"], "string"),
        (["true", "false"], "boolean"),
        (["True"], "string"),
        (["yes"], "string"),
        (["2024-02-29"], "date"),
        (["2024-02-30"], "string"),
        (["20240229"], "integer"),
        (["2024-01-01T10:00:00", "2024-01-01T10:00:00.250000"], "datetime"),
        (["2024-01-01T10:00:00Z"], "moment"),
        (["2024-01-01T10:00:00+00:00"], "string"),
        (["0001-01-01T00:00:00+05:00"], "string"),
        (["2024-01-01T10:00:00", "2024-01-01T10:00:00Z"], "string"),
        (["10:30:00"], "time"),
        (["10:30:00+00:00"], "string"),
        (["12345678-1234-5678-1234-567812345678"], "uuid"),
        (["12345678123456781234567812345678"], "integer"),
        ([], "string"),
        (["1", "x"], "string"),
    ],
)
def test_a_type_is_taken_where_it_gives_the_same_text(texts: list[str], expected: str) -> None:
    assert type_of(*texts) == expected


def test_a_type_fits_every_batch() -> None:
    column = Column("x")
    for batch in (["1", "2"], [], ["3.5"], ["4"]):
        column.see_texts(batch, set(batch))
    assert column.type_name == "decimal"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], "integer"),
        ([1, 2.5], "float"),
        ([2**60 + 1, 0.5], "json"),
        ([True], "boolean"),
        ([True, 1], "json"),
        (["1", "2"], "string"),
        (["2024-01-01"], "date"),
        (["2024-01-01", 5], "json"),
        ([[1], []], "list"),
        ([{}], "dict"),
        ([[], {}], "json"),
    ],
)
def test_json_says_most_types_itself(values: list[object], expected: str) -> None:
    column = Column("x")
    column.see_json(values)
    assert column.type_name == expected


def test_types_may_be_given() -> None:
    columns = [Column("a"), Column("b")]
    schema = schema_of(columns, types={"b": "moment"}, primary_key=["a"])
    assert [type_name_of(field) for field in schema.fields.values()] == ["string", "moment"]
    assert schema.primary_key == ("a",)
    with pytest.raises(UsageError, match="There is no column 'c'"):
        schema_of(columns, types={"c": "integer"}, primary_key=[])


CELLS = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.decimals(allow_nan=False).map(str),
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.uuids().map(str),
    st.text("0123456789.-+eE_ TZ:", min_size=1),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
)


@given(st.lists(CELLS, min_size=1, max_size=5))
def test_whatever_is_inferred_gives_the_same_text_again(texts: list[str]) -> None:
    column = Column("x")
    column.see_texts(texts, set(texts))
    field = schema_of([column], types={}, primary_key=[]).fields["x"]
    assert [text_of(parser_of(field)(text)) for text in texts] == texts


@given(st.lists(CELLS, min_size=1, max_size=5))
def test_a_cell_of_csv_is_the_text(texts: list[str]) -> None:
    column = Column("x")
    column.see_texts(texts, set(texts))
    field = schema_of([column], types={}, primary_key=[]).fields["x"]
    values = [json_converter_of(field)(parser_of(field)(text)) for text in texts]
    file = io.StringIO(newline="")
    csv.writer(file).writerow(map(text_of, values))
    assert next(csv.reader(io.StringIO(file.getvalue(), newline=""))) == texts
