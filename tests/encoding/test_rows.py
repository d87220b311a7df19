"""The bytes of a row: round trip, damage of every kind, and the bytes that are on disk."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zlib import crc32

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.encoding.test_values import integers, plain, storable, texts

from minidb.encoding.rows import (
    ARRAY_FORMAT,
    LARGEST_SCHEMA_VERSION,
    MAP_FORMAT,
    RowCodec,
    decode_document,
    encode_document,
    schema_version_of,
)
from minidb.exceptions import ChecksumError, CorruptionError, UnsupportedFormatError

GOLDEN = Path(__file__).with_name("golden_rows.txt")
ROW_FORMAT = Path(__file__).parents[2] / "docs" / "design" / "row-format.md"

MAP = RowCodec(0, None)


class StructBase:
    """What structs of records derive from."""

    __slots__ = ()


def codec_of_structs(*names: str) -> RowCodec:
    codec = RowCodec(1, names, struct_base=StructBase)
    assert codec.has_structs
    return codec


CODECS: dict[str, Callable[[int], RowCodec]] = {
    "structs": lambda width: RowCodec(
        1, [f"c{n}" for n in range(width)], wrapped_positions=range(width), struct_base=StructBase
    ),
    "lists": lambda width: RowCodec(
        1, [f"c {n}" for n in range(width)], wrapped_positions=range(width), struct_base=StructBase
    ),
}
"""Codecs of arrays; whether the names can be attributes decides how a record is read."""


def checksummed(head: bytes, body: bytes) -> bytes:
    mask = int.from_bytes(head, "big")
    whole = crc32(head + (crc32(head) ^ mask).to_bytes(4, "little"))
    return head + body + (crc32(head + body, whole) ^ mask).to_bytes(4, "little")


# --- round trip -------------------------------------------------------------------------------------------------------


@given(st.dictionaries(texts, storable, max_size=5))
def test_a_row_of_a_table_without_a_schema_comes_back_as_it_was(columns: dict[str, object]) -> None:
    assert plain(MAP.decode(MAP.encode(columns))) == plain(columns)


@given(st.dictionaries(texts, storable, max_size=5))
def test_a_record_of_a_table_without_a_schema_has_its_columns(columns: dict[str, object]) -> None:
    assert plain(MAP.columns_of(MAP.decode_record(MAP.encode(columns)))) == plain(columns)


@pytest.mark.parametrize("names", CODECS)
@given(values=st.lists(storable, max_size=5))
def test_the_values_of_a_row_come_back_as_they_were(names: str, values: list[object]) -> None:
    codec = CODECS[names](len(values))
    assert plain(codec.decode(codec.encode(values))) == plain(values)


@pytest.mark.parametrize("names", CODECS)
@given(values=st.lists(storable, max_size=5))
def test_a_record_has_the_columns_by_name(names: str, values: list[object]) -> None:
    codec = CODECS[names](len(values))
    columns = codec.columns_of(codec.decode_record(codec.encode(values)))
    assert list(columns) == list(codec._names or ())
    assert plain(list(columns.values())) == plain(values)


@given(st.lists(st.tuples(integers, texts), max_size=8))
@example([(1, "a"), (2**64, "b"), (-(2**63) - 1, "c")])
def test_integers_of_any_size_need_no_wrapped_position(rows: list[tuple[int, str]]) -> None:
    codec = RowCodec(1, ("number", "text"))
    assert [tuple(codec.decode(data)) for data in codec.encode_many(rows)] == rows


@pytest.mark.parametrize("wrapped", [(), (0,), (0, 1)])
@given(rows=st.lists(st.tuples(integers, texts), max_size=5))
def test_many_rows_have_the_bytes_of_each(wrapped: Sequence[int], rows: list[tuple[int, str]]) -> None:
    codec = RowCodec(1, ("number", "text"), wrapped_positions=wrapped)
    assert codec.encode_many(rows) == [codec.encode(row) for row in rows]


@given(st.lists(st.dictionaries(texts, storable, max_size=3), max_size=4))
def test_many_rows_of_a_table_without_a_schema_have_the_bytes_of_each(rows: list[dict[str, object]]) -> None:
    assert MAP.encode_many(rows) == [MAP.encode(row) for row in rows]


@given(st.lists(st.tuples(integers, texts), max_size=5))
def test_many_records_are_those_of_each(rows: list[tuple[int, str]]) -> None:
    codec = RowCodec(1, ("number", "text"))
    records = codec.decode_records(codec.encode_many(rows))
    assert [codec.columns_of(record) for record in records] == [
        {"number": number, "text": text} for number, text in rows
    ]


def test_the_record_of_checked_values_is_the_one_that_a_reader_finds() -> None:
    codec = RowCodec(1, ("when",), wrapped_positions=[0])
    moment = dt.datetime(2024, 2, 29, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert codec.columns_of(codec.decode_record(codec.encode((moment,))))["when"].tzinfo is dt.UTC


@pytest.mark.parametrize("name", ["class", "None", "self", "_private", "__class__", "\ufb01", "mro", "a b", 'a"\\'])
def test_a_column_may_have_any_name(name: str) -> None:
    codec = RowCodec(1, (name, "other"), struct_base=StructBase)
    assert codec.columns_of(codec.decode_record(codec.encode((1, 2)))) == {name: 1, "other": 2}


def test_two_names_that_python_would_take_for_one_stay_two_columns() -> None:
    codec = RowCodec(1, ("fi", "\ufb01"), struct_base=StructBase)
    assert codec.columns_of(codec.decode_record(codec.encode((1, 2)))) == {"fi": 1, "\ufb01": 2}


def test_restore_is_for_records_and_not_for_stored_values() -> None:
    codec = RowCodec(1, ("number", "text"), restore=lambda values: [values[0], f"restored {values[1]}"])
    data = codec.encode((1, "a"))
    assert codec.decode(data) == [1, "a"]
    assert codec.columns_of(codec.decode_record(data)) == {"number": 1, "text": "restored a"}


@pytest.mark.parametrize("codec", [codec_of_structs("number"), RowCodec(1, ("a number",)), MAP])
def test_the_columns_of_a_record_are_a_dict_of_their_own(codec: RowCodec) -> None:
    record = codec.decode_record(codec.encode({"number": 1} if codec is MAP else (1,)))
    codec.columns_of(record).clear()
    assert list(codec.columns_of(record).values()) == [1]


@pytest.mark.parametrize("codec", [RowCodec(1, ("text",)), RowCodec(1, ("text",), wrapped_positions=[0])])
def test_a_lone_surrogate_is_refused(codec: RowCodec) -> None:
    with pytest.raises(UnicodeEncodeError):
        codec.encode(("\ud800",))
    with pytest.raises(UnicodeEncodeError):
        codec.encode_many([("fine",), ("\udfff",)])


@pytest.mark.parametrize("columns", [{"text": "\ud800"}, {"\ud800": 1}, {"deep": [{"\ud800": 1}]}])
def test_a_lone_surrogate_is_refused_without_a_schema(columns: dict[str, object]) -> None:
    with pytest.raises(UnicodeEncodeError):
        MAP.encode(columns)


# --- versions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 1, 255, 256, LARGEST_SCHEMA_VERSION])
def test_a_row_says_which_schema_version_wrote_it(version: int) -> None:
    assert schema_version_of(RowCodec(version, ("number",)).encode((1,))) == version


def read_in_every_way(codec: RowCodec, data: bytes) -> list[Callable[[], object]]:
    return [
        lambda: codec.decode(data),
        lambda: codec.decode_record(data),
        lambda: codec.decode_records([data]),
    ]


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        (RowCodec(2, ("number",)), RowCodec(1, ("number",))),
        (RowCodec(1, ("number",)), RowCodec(256, ("number",))),
        (RowCodec(0, ("number",)), MAP),
        (MAP, RowCodec(0, ("number",))),
    ],
)
def test_a_row_of_another_version_or_format_is_refused(writer: RowCodec, reader: RowCodec) -> None:
    data = writer.encode({"number": 1} if writer is MAP else (1,))
    for read in read_in_every_way(reader, data):
        with pytest.raises(UnsupportedFormatError):
            read()


# --- damage -----------------------------------------------------------------------------------------------------------


def golden_rows() -> list[tuple[bytes, str]]:
    lines = [line for line in GOLDEN.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return [(bytes.fromhex(spelled), text) for spelled, text in (line.split(" = ", 1) for line in lines)]


WORDS: dict[str, object] = {
    "array": lambda version, *values: (version, values),
    "map": lambda version, **columns: (version, columns),
    "datetime": dt,
    "Decimal": Decimal,
    "UUID": UUID,
    "inf": math.inf,
    "nan": math.nan,
}


def from_golden(text: str) -> tuple[RowCodec, Any]:  # Any: a tuple of values or a dict of columns
    """Return the codec of a line of the golden file, and what it encodes there."""
    version, row = eval(text, {"__builtins__": {}}, dict(WORDS))  # noqa: S307  our own file, and reprs are Python
    if isinstance(row, dict):
        return RowCodec(version, None), row
    names = [f"column{number}" for number in range(len(row))]
    return RowCodec(version, names, wrapped_positions=range(len(row))), row


@pytest.mark.parametrize(("data", "text"), golden_rows(), ids=lambda part: part if isinstance(part, str) else "")
def test_every_single_bit_that_flips_is_a_checksum_error(data: bytes, text: str) -> None:
    codec, _ = from_golden(text)
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        for read in read_in_every_way(codec, bytes(damaged)):
            with pytest.raises(ChecksumError):
                read()


def test_every_row_that_is_cut_short_is_a_checksum_error() -> None:
    for data, text in golden_rows():
        codec, _ = from_golden(text)
        for size in range(len(data)):
            with pytest.raises(ChecksumError):
                codec.decode(data[:size])


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_a_row_with_bytes_around_it_is_never_read(before: bytes, after: bytes) -> None:
    data = before + MAP.encode({"number": 1}) + after
    if before or after:
        with pytest.raises(CorruptionError):
            MAP.decode(data)


def test_zeros_are_no_row() -> None:
    """Four zeros are an empty row with its right checksum, as a page that was never written would have them."""
    for size in range(64):
        with pytest.raises(CorruptionError):
            MAP.decode(bytes(size))


def test_one_damaged_row_among_many_is_found() -> None:
    rows = MAP.encode_many([{"number": number} for number in range(100)])
    rows[57] = rows[57][:-1] + bytes((rows[57][-1] ^ 1,))
    with pytest.raises(ChecksumError):
        MAP.decode_records(rows)


def test_columns_of_many_rows_are_those_of_each() -> None:
    codec = RowCodec(1, ("a", "b b", "c"))
    rows = codec.encode_many([(number, [number], f"{number}") for number in range(100)])
    assert codec.column_reader([1])(rows) == [[number] for number in range(100)]
    assert codec.column_reader([2, 0])(rows) == [(f"{number}", number) for number in range(100)]
    assert codec.column_reader([0])([]) == []
    assert codec.decode_many(rows) == list(map(codec.decode, rows))
    rows[57] = rows[57][:-1] + bytes((rows[57][-1] ^ 1,))
    for read in (codec.column_reader([0]), codec.decode_many):
        with pytest.raises(ChecksumError):
            read(rows)


def test_many_rows_of_a_table_without_a_schema_are_those_of_each() -> None:
    columns: list[dict[str, object]] = [{"number": number} for number in range(100)]
    assert MAP.decode_many(MAP.encode_many(columns)) == columns


HEADS: Mapping[str, tuple[RowCodec, bytes]] = {
    "map": (MAP, bytes((MAP_FORMAT, 0, 0))),
    "structs": (codec_of_structs("a", "b"), bytes((ARRAY_FORMAT, 0, 1))),
    "lists": (RowCodec(1, ("a b", "b")), bytes((ARRAY_FORMAT, 0, 1))),
    "restored": (RowCodec(1, ("a", "b"), restore=lambda values: values), bytes((ARRAY_FORMAT, 0, 1))),
}

bodies = st.binary(max_size=24) | (st.lists(storable, max_size=3) | st.dictionaries(texts, storable, max_size=3)).map(
    lambda value: MAP.encode({"value": value})[10:-4]
)


@pytest.mark.parametrize("kind", HEADS)
@given(body=bodies)
@example(body=b"")
@example(body=b"\xc0")
@example(body=b"\x92\xa1\xff\x01")  # text that is no UTF-8
@example(body=b"\x81\x80\x01")  # a map with a map for a key
@example(body=b"\x81\x01\x01")  # a map with a number for a key
@example(body=b"\x91\x01")
@example(body=b"\x93\x01\x02\x03")
@example(body=b"\x91" * 5000)
def test_bytes_that_nobody_wrote_are_corruption_even_under_a_right_checksum(kind: str, body: bytes) -> None:
    codec, head = HEADS[kind]
    data = checksummed(head, body)
    try:
        columns = codec.columns_of(codec.decode_record(data))
        assert len(codec.decode(data)) == len(columns)
    except CorruptionError:
        for read in read_in_every_way(codec, data):
            with pytest.raises(CorruptionError):
                read()


@pytest.mark.parametrize("kind", ["structs", "lists", "restored"])
@pytest.mark.parametrize("values", [[], [1], [1, 2, 3], [1, 2, b"key"], [1, 2, 3, 4]])
def test_a_row_of_more_or_fewer_columns_than_its_schema_is_corruption(kind: str, values: list[int]) -> None:
    codec, head = HEADS[kind]
    for read in read_in_every_way(codec, checksummed(head, msgspec.msgpack.encode(values))):
        with pytest.raises(CorruptionError):
            read()


@pytest.mark.parametrize("value", [[], 1, None, "text"])
def test_a_row_that_should_be_a_map_and_is_none_is_corruption(value: object) -> None:
    data = checksummed(bytes((MAP_FORMAT, 0, 0)), msgspec.msgpack.encode(value))
    for read in read_in_every_way(MAP, data):
        with pytest.raises(CorruptionError):
            read()


# --- on disk ----------------------------------------------------------------------------------------------------------


def test_the_golden_rows_are_still_written_byte_for_byte() -> None:
    lines = golden_rows()
    assert len(lines) > 40
    written = []
    for _, text in lines:
        codec, row = from_golden(text)
        written.append((codec.encode(row).hex(" "), text))
    assert written == [(data.hex(" "), text) for data, text in lines]


def test_the_golden_rows_are_still_read() -> None:
    for data, text in golden_rows():
        codec, row = from_golden(text)
        assert plain(codec.decode(data)) == plain(row), text


def test_the_example_of_the_document_is_what_the_code_writes() -> None:
    block = re.search(r"```text\n(01 00 01 .*?)```", ROW_FORMAT.read_text("utf-8"), re.DOTALL)
    assert block is not None
    spelled = "".join(re.match(r"(?:[0-9a-f]{2} )*[0-9a-f]{2}\b", line)[0] for line in block[1].splitlines())  # type: ignore[index]  # each line begins with bytes
    assert bytes.fromhex(spelled) == RowCodec(1, ("name", "age")).encode(("Ada", 36))


# --- older schema versions --------------------------------------------------------------------------------------------

PAST = RowCodec(1, ("a", "b"))
PRESENT = {
    "structs": RowCodec(3, ("b", "c"), struct_base=StructBase, upgrades={1: lambda values: [values[1], "new"]}),
    "lists": RowCodec(3, ("b b", "c"), upgrades={1: lambda values: [values[1], "new"]}),
    "restored": RowCodec(
        3, ("b", "c"), restore=lambda values: values[::-1], upgrades={1: lambda values: [values[1], "new"]}
    ),
}


@pytest.mark.parametrize("present", PRESENT.values(), ids=PRESENT)
def test_rows_of_an_older_version_are_read_as_if_they_were_of_the_present_one(present: RowCodec) -> None:
    old, new = PAST.encode((1, 2)), present.encode((2, "new"))
    assert present.decode(old) == present.decode(new) == [2, "new"]
    expected = present.columns_of(present.decode_record(new))
    for rows in ([old], [new], [old] * 3, [old, new], [new, old, old], []):
        assert present.column_reader([1])(rows) == ["new"] * len(rows)
        assert present.decode_many(rows) == [[2, "new"]] * len(rows)
        assert present.column_reader([0, 1])(rows) == [(2, "new")] * len(rows)
        assert [present.columns_of(record) for record in present.decode_records(rows)] == [expected] * len(rows)


@pytest.mark.parametrize("present", PRESENT.values(), ids=PRESENT)
def test_a_damaged_row_of_an_older_version_is_never_a_value(present: RowCodec) -> None:
    whole = PAST.encode((1, 2))
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        for read in (present.decode, present.decode_record):
            with pytest.raises(CorruptionError):
                read(bytes(damaged))
        for rows in ([bytes(damaged), whole], [whole, bytes(damaged)]):
            with pytest.raises(CorruptionError):
                present.decode_records(rows)


def test_a_version_of_which_nothing_is_known_is_not_read() -> None:
    for version in (0, 2, 4):
        with pytest.raises(UnsupportedFormatError):
            PRESENT["structs"].decode(RowCodec(version, ("a", "b")).encode((1, 2)))
    with pytest.raises(UnsupportedFormatError):
        PRESENT["structs"].decode(RowCodec(1, None).encode({"a": 1}))


# --- documents --------------------------------------------------------------------------------------------------------


def test_a_document_comes_back_as_it_was() -> None:
    document = {"format": 1, "fields": [{"name": "age", "limit": 2**70}], "none": None}
    assert decode_document(encode_document(document)) == document


def test_a_damaged_document_is_a_checksum_error() -> None:
    data = bytearray(encode_document({"format": 1}))
    data[5] ^= 1
    with pytest.raises(ChecksumError):
        decode_document(bytes(data))


def test_a_row_of_values_is_no_document() -> None:
    with pytest.raises(CorruptionError):
        decode_document(RowCodec(0, ("number",)).encode((1,)))
