"""Mappings: CPython's own tests of the mapping protocol, and what a mapping that stays owes beyond them."""

from __future__ import annotations

import datetime
import itertools
import math
import os
import subprocess
import sys
import unittest
import uuid
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

# CPython's own. A Python without them cannot say whether this is a mapping, and fails here.
from test import mapping_tests  # type: ignore[import-not-found]  # typeshed does not know CPython's tests
from tests.api.conftest import Reopen
from tests.api.consistency import InconsistentError, check_consistency

import minidb
from minidb import MiniDB, PersistentMapping, Row
from minidb.encoding.keys import encode_values
from minidb.encoding.rows import encode_document
from minidb.engines.port import CATALOG, Space
from minidb.exceptions import (
    CatalogError,
    ChecksumError,
    CorruptionError,
    DatabaseClosedError,
    KeyTooLargeError,
    MappingNotFoundError,
    ReadOnlyError,
    SchemaDefinitionError,
    SchemaValidationError,
    TableNotFoundError,
    TransactionClosedError,
)

UTC = datetime.UTC
SOURCE = Path(minidb.__file__).parents[1]

Cache = PersistentMapping[Any, Any]


@pytest.fixture
def cache(database: MiniDB) -> Cache:
    return database.mapping("cache")


Result = TypeVar("Result")


def in_a_thread(call: Callable[[], Result]) -> Result:
    """Return what a call returns in another thread, which takes part in no transaction of this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(call).result(timeout=60)


def codes(error: SchemaValidationError) -> list[tuple[str, str]]:
    return [(bad.field, bad.code) for bad in error.errors]


def check_refused(cache: Cache, put: Callable[[], object], *expected: tuple[str, str]) -> None:
    """Require that an item is refused for these reasons, and that nothing was written."""
    before = dict(cache)
    with pytest.raises(SchemaValidationError) as refused:
        put()
    assert codes(refused.value) == list(expected)
    assert dict(cache) == before


# --- CPython's own tests ----------------------------------------------------------------------------------------------

LEFT_OUT = {
    "test_constructor": "a mapping is made by db.mapping",
    "test_fromkeys": "the same",
    "test_copy": "dict(mapping) is the copy",
    "test_repr": "a mapping may be large: its repr names it",
    "test_repr_deep": "the same, and no mapping can lie in another",
    "test_mutatingiteration": "an iteration reads one snapshot: writing meanwhile is no mistake",
    "test_eq": "its keys are objects that cannot be stored",
}
"""Of CPython's tests, those that no mapping that stays can pass."""

PARTS_LEFT_OUT = {
    "test_setdefault": "it changes a list that setdefault returned, and such a list is a copy",
    "test_getitem": "its keys are objects that cannot be stored",
    "test_pop": "the same",
    "test_popitem": "it calls copy, and expects the order of insertion",
}
"""Those that go too far at their end only: of them the test of a base class runs."""

CLASSES = (mapping_tests.BasicTestMappingProtocol, mapping_tests.TestHashMappingProtocol)
PROTOCOL_TESTS = sorted(name for name in dir(CLASSES[-1]) if name.startswith("test_"))


def protocol_test(database: MiniDB, name: str) -> unittest.TestCase:
    """Return one of CPython's tests, to be run on mappings of a database."""
    numbers = itertools.count()
    base = CLASSES[0] if name in PARTS_LEFT_OUT else CLASSES[-1]

    class Protocol(base):  # type: ignore[misc, valid-type]  # chosen above: no type checker can know it
        def _reference(self) -> dict[Any, Any]:
            """Return items that are invariant by storage: a tuple, which CPython's has, comes back as a list."""
            return {"1": "2", "key1": "value1", "key2": [1, 2, 3]}

        def type2test(self) -> Cache:
            return database.mapping(f"mapping {next(numbers)}")

    return Protocol(name)


@pytest.mark.parametrize("name", [name for name in PROTOCOL_TESTS if name not in LEFT_OUT])
def test_a_mapping_passes_the_mapping_tests_of_cpython(database: MiniDB, name: str) -> None:
    result = unittest.TestResult()
    protocol_test(database, name).run(result)
    assert result.testsRun == 1
    assert not result.skipped
    for _, traceback in [*result.failures, *result.errors]:
        pytest.fail(traceback)


def test_what_is_left_out_of_the_tests_of_cpython_is_there() -> None:
    assert LEFT_OUT.keys() | PARTS_LEFT_OUT.keys() <= set(PROTOCOL_TESTS)
    assert len(PROTOCOL_TESTS) - len(LEFT_OUT) >= 12


def test_the_reading_tests_of_cpython_find_a_mapping_that_lies(database: MiniDB) -> None:
    class Liar(PersistentMapping[Any, Any]):
        def __len__(self) -> int:
            return 1

    test = protocol_test(database, "test_len")
    test.type2test = lambda: Liar(database, database.mapping("lies").name)  # type: ignore[attr-defined]  # see above
    result = unittest.TestResult()
    test.run(result)
    assert result.failures


# --- one item ---------------------------------------------------------------------------------------------------------


def test_what_was_put_is_there_and_what_was_not_is_a_key_error(cache: Cache) -> None:
    cache["a"] = 1
    assert cache["a"] == 1
    with pytest.raises(KeyError) as missing:
        cache["b"]
    assert missing.value.args == ("b",)
    with pytest.raises(KeyError):
        del cache["b"]


def test_a_value_may_be_none_and_is_not_taken_for_a_missing_one(cache: Cache) -> None:
    cache["a"] = None
    assert cache["a"] is None
    assert "a" in cache
    assert cache.get("a", 1) is None
    assert cache.setdefault("a", 1) is None
    assert cache.get_many(["a", "b"]) == {"a": None}
    assert cache.pop("a", 1) is None
    assert cache.get("a", 1) == 1


def test_pop_takes_the_value_or_the_default(cache: Cache) -> None:
    cache["a"] = 1
    assert cache.pop("a") == 1
    assert cache.pop("a", None) is None
    with pytest.raises(KeyError) as missing:
        cache.pop("a")
    assert missing.value.args == ("a",)


def test_popitem_takes_the_last_in_order_or_the_first(cache: Cache) -> None:
    cache.update(b=2, c=3, a=1)
    assert cache.popitem() == ("c", 3)
    assert cache.popitem(last=False) == ("a", 1)
    assert cache.popitem() == ("b", 2)
    with pytest.raises(KeyError):
        cache.popitem()


def test_setdefault_returns_what_is_stored(cache: Cache) -> None:
    assert cache.setdefault("a", (1, 2)) == [1, 2]
    assert cache.setdefault("a", 5) == [1, 2]
    assert cache.setdefault("b") is None


def test_setdefault_on_a_key_that_is_there_needs_no_writer(database: MiniDB, cache: Cache) -> None:
    cache["a"] = 1
    with database.begin_transaction(read_only=True):
        assert cache.setdefault("a", 2) == 1
        with pytest.raises(ReadOnlyError):
            cache.setdefault("b", 2)


def test_increment_begins_at_the_default_and_returns_the_sum(cache: Cache) -> None:
    assert cache.increment("n") == 1
    assert cache.increment("n", 5) == 6
    assert cache.increment("m", -1, default=10) == 9
    assert cache.increment("x", 0.5) == 0.5
    assert cache.increment("d", Decimal("0.10"), Decimal("1.50")) == Decimal("1.60")
    assert cache.increment("n", 2**70) == 6 + 2**70
    assert cache["n"] == 6 + 2**70


@pytest.mark.parametrize("stored", ["text", True, None, [1]])
def test_increment_refuses_what_is_no_number(cache: Cache, stored: object) -> None:
    cache["n"] = stored
    check_refused(cache, lambda: cache.increment("n"), ("value", "type"))


def test_increment_refuses_numbers_that_cannot_be_added(cache: Cache) -> None:
    cache["n"] = Decimal(1)
    check_refused(cache, lambda: cache.increment("n", 0.5), ("value", "type"))
    check_refused(cache, lambda: cache.increment("n", True), ("value", "type"))


# --- many items -------------------------------------------------------------------------------------------------------


def test_update_is_one_commit_or_none(database: MiniDB, cache: Cache) -> None:
    cache["a"] = 0

    def pairs() -> Iterator[tuple[str, int]]:
        for number in range(2500):
            yield f"{number:05}", number
            # A reader of its own sees nothing of an update that is not over.
            if number == 2400:
                seen.append(in_a_thread(lambda: dict(cache)))

    seen: list[object] = []
    cache.update(pairs())
    assert seen == [{"a": 0}]
    assert len(cache) == 2501

    def broken() -> Iterator[tuple[str, int]]:
        for number in range(1500):
            yield f"x{number}", number
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cache.update(broken())
    assert len(cache) == 2501
    with database.begin_transaction():
        cache["kept"] = 1
        with pytest.raises(RuntimeError):
            cache.update(broken())
    assert len(cache) == 2502


def test_update_takes_what_dict_update_takes(cache: Cache) -> None:
    cache.update({"a": 1}, b=2)
    cache.update([("c", 3)], a=4)
    cache.update(iter([("d", 5)]))
    cache.update()
    assert dict(cache) == {"a": 4, "b": 2, "c": 3, "d": 5}
    with pytest.raises(ValueError, match="values to unpack"):
        cache.update([("a", 1), ("b", 1, 1)])  # type: ignore[list-item]  # wrong on purpose
    assert cache["a"] == 4


def test_update_from_a_mapping_of_the_same_database_reads_its_snapshot(database: MiniDB, cache: Cache) -> None:
    cache.update((number, number) for number in range(1200))
    copy = database.mapping("copy")
    copy.update(cache)
    assert copy == cache
    copy.update((key + 1200, value) for key, value in copy.items())
    assert len(copy) == 2400
    with database.begin_transaction():
        copy.update((key + 2400, value) for key, value in copy.items())
    assert list(copy) == list(range(4800))


def test_an_update_whose_pairs_drop_the_mapping_says_so(database: MiniDB, cache: Cache) -> None:
    def pairs() -> Iterator[tuple[int, int]]:
        yield 1, 1
        database.drop_mapping("cache")

    with pytest.raises(MappingNotFoundError), database.begin_transaction():
        cache.update(pairs())
    assert len(cache) == 0


def test_get_many_returns_those_that_are_there_in_the_order_asked(cache: Cache) -> None:
    cache.update(a=1, b=2, c=3)
    assert list(cache.get_many(["c", "x", "a", "c"]).items()) == [("c", 3), ("a", 1)]
    assert cache.get_many([]) == {}
    assert cache.get_many(cache.irange("b")) == {"b": 2, "c": 3}
    assert cache.get_many(iter([object(), math.nan, "a"])) == {"a": 1}
    with pytest.raises(TypeError, match="unhashable"):
        cache.get_many([[]])


def test_clear_leaves_an_empty_mapping(database: MiniDB, cache: Cache) -> None:
    cache.update(a=1, b=2)
    cache.clear()
    assert not cache
    assert database.mapping_names() == ["cache"]


# --- views and order --------------------------------------------------------------------------------------------------


def test_the_views_are_in_order_and_can_be_reversed(cache: Cache) -> None:
    cache.update([(2, "b"), (10, "c"), (1, "a")])
    assert list(cache) == list(cache.keys()) == [1, 2, 10]
    assert list(cache.values()) == ["a", "b", "c"]
    assert list(cache.items()) == [(1, "a"), (2, "b"), (10, "c")]
    assert list(reversed(cache)) == list(reversed(cache.keys())) == [10, 2, 1]
    assert list(reversed(cache.values())) == ["c", "b", "a"]
    assert list(reversed(cache.items())) == [(10, "c"), (2, "b"), (1, "a")]
    assert len(cache.keys()) == len(cache.values()) == len(cache.items()) == 3
    assert (2, "b") in cache.items()
    assert (2, "c") not in cache.items()
    assert "c" in cache.values()
    assert "d" not in cache.values()
    assert cache.keys() & {1, 3} == {1}
    assert cache.items() - {(1, "a")} == {(2, "b"), (10, "c")}
    assert repr(cache) in repr(cache.keys())


@pytest.mark.parametrize("view", ["keys", "values", "items"])
def test_an_iteration_reads_one_snapshot_lazily(cache: Cache, view: str) -> None:
    cache.update((number, number) for number in range(5000))
    iterator = iter(getattr(cache, view)())
    first = next(iterator)
    in_a_thread(cache.clear)
    cache["new"] = 1
    assert len([first, *iterator]) == 5000
    assert list(cache) == ["new"]


def test_an_iteration_inside_a_transaction_ends_with_it(database: MiniDB, cache: Cache) -> None:
    cache.update(a=1, b=2)
    with database.begin_transaction():
        cache["c"] = 3
        iterator = iter(cache)
        assert next(iterator) == "a"
        cache["d"] = 4
        assert next(iterator) == "b"
        other = iter(cache.items())
        assert [next(other) for _ in range(4)][-1] == ("d", 4)
    with pytest.raises(TransactionClosedError):
        next(iterator)


def test_an_iteration_of_a_closed_database_ends(location: str) -> None:
    with MiniDB(location, durability="none") as database:
        cache = database.mapping("cache")
        cache.update(a=1, b=2)
        iterator = iter(cache)
        next(iterator)
    with pytest.raises(DatabaseClosedError):
        next(iterator)
    with pytest.raises(DatabaseClosedError):
        cache["a"]
    with pytest.raises(DatabaseClosedError):
        cache["a"] = 2


RANGES: list[tuple[int | None, int | None]] = [
    (None, None),
    (2, None),
    (None, 5),
    (2, 5),
    (3, 3),
    (5, 2),
    (-7, 99),
    (99, None),
]


@pytest.mark.parametrize(("start", "stop"), RANGES)
def test_irange_gives_the_keys_from_start_to_before_stop(cache: Cache, start: int | None, stop: int | None) -> None:
    cache.update((number, str(number)) for number in (0, 2, 3, 5, 8))
    expected = [
        number for number in (0, 2, 3, 5, 8) if (start is None or number >= start) and (stop is None or number < stop)
    ]
    assert list(cache.irange(start, stop)) == expected
    assert list(cache.irange(start, stop, reverse=True)) == expected[::-1]


def test_irange_bounds_need_not_be_keys_but_must_be_such_as_keys_can_be(cache: Cache) -> None:
    cache.update(dict.fromkeys(["a", "b", "b" * 500, "c"]))
    assert list(cache.irange("aa", "bb")) == ["b"]
    assert list(cache.irange("b" * 10_000)) == ["c"]
    assert list(cache.irange(None, "b" * 10_000)) == ["a", "b", "b" * 500]
    with pytest.raises(SchemaValidationError):
        list(cache.irange(object()))
    with pytest.raises(SchemaValidationError):
        list(cache.irange(stop=math.nan))


def test_irange_over_the_first_parts_of_tuples(cache: Cache) -> None:
    keys = [("ada", 1), ("ada", 2), ("ada", 10), ("bob", 1)]
    cache.update(dict.fromkeys(keys))
    assert list(cache.irange(("ada",), ("bob",))) == keys[:3]
    assert list(cache.irange(("ada", 2), ("ada", 10))) == [("ada", 2)]


# --- keys -------------------------------------------------------------------------------------------------------------

KEYS: list[object] = [
    None,
    -math.inf,
    -(2**100),
    -1.5,
    0,
    1,
    1.5,
    2**53,
    2**53 + 1,
    2**64,
    1e300,
    2**2000,
    math.inf,
    "",
    "a",
    "a\x00b",
    "a\x01",
    "ab",
    "é",
    "\U0001f600",
    b"",
    b"a\x00",
    b"a\xff",
    datetime.date(1815, 12, 10),
    datetime.date(2024, 2, 29),
    datetime.datetime(2024, 2, 29, 12, 30, 0, 1),
    datetime.datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
    datetime.time(12, 30),
    Decimal("-1.5"),
    Decimal("0.1"),
    Decimal(1),
    Decimal("1E+50"),
    uuid.UUID(int=0),
    uuid.UUID(int=2**128 - 1),
    (),
    (1,),
    (1, "a"),
    (1.5,),
    (2,),
    ("a", (1, (b"x", None))),
]
"""Of every type, in the order in which a mapping has them."""


def test_keys_of_every_type_stand_in_their_order(cache: Cache) -> None:
    cache.update((key, repr(key)) for key in reversed(KEYS))
    assert list(cache) == KEYS
    assert [cache[key] for key in KEYS] == list(cache.values()) == list(map(repr, KEYS))
    assert all(key in cache for key in KEYS)
    for key in KEYS:
        del cache[key]
    assert not cache


class Letter(StrEnum):
    A = "a"


class Number(IntEnum):
    ONE = 1


EQUAL_KEYS: list[tuple[object, object]] = [
    (1, 1.0),
    (1, True),
    (0, False),
    (0, -0.0),
    ((1, "a"), (True, "a")),
    ((0, (2.0,)), (-0.0, (2,))),
    (2**60, float(2**60)),
    ("a", Letter.A),
    (1, Number.ONE),
    (
        datetime.datetime(2024, 1, 1, 12, tzinfo=UTC),
        datetime.datetime(2024, 1, 1, 14, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    ),
    (Decimal("1.0"), Decimal(1)),
]


@pytest.mark.parametrize(("one", "other"), EQUAL_KEYS)
def test_keys_that_are_equal_are_one_key(cache: Cache, one: object, other: object) -> None:
    assert len({one: 1, other: 2}) == 1
    cache[one] = 1
    assert cache[other] == 1
    cache[other] = 2
    assert list(cache.items()) == [(one, 2)]
    assert cache.get_many([one, other]) == {one: 2}


def test_a_decimal_equals_no_number_and_a_datetime_no_date(cache: Cache) -> None:
    cache.update([(1, "number"), (Decimal(1), "decimal"), ("1", "text"), (b"1", "bytes")])
    cache.update([(datetime.date(2024, 1, 1), 1), (datetime.datetime(2024, 1, 1), 2)])
    assert len(cache) == 6


class Colour(Enum):
    RED = "red"


UNFIT_KEYS: list[object] = [
    object(),
    frozenset({1}),
    1j,
    Colour.RED,
    datetime.time(12, tzinfo=UTC),
    "\ud800",
    math.nan,
    Decimal("NaN"),
    (1, object()),
    (1, math.nan),
    ((("\ud800",),),),
]


@pytest.mark.parametrize("key", UNFIT_KEYS, ids=lambda key: type(key).__name__)
def test_what_can_be_no_key_is_refused_when_put_and_otherwise_not_there(cache: Cache, key: object) -> None:
    check_refused(cache, lambda: cache.__setitem__(key, 1), ("key", "unstorable"))
    check_refused(cache, lambda: cache.setdefault(key, 1), ("key", "unstorable"))
    check_refused(cache, lambda: cache.update([("fine", 1), (key, 1)]), ("key", "unstorable"))
    check_refused(cache, lambda: cache.increment(key), ("key", "unstorable"))
    assert key not in cache
    assert cache.get(key, 1) == cache.pop(key, 1) == 1
    with pytest.raises(KeyError):
        cache[key]
    with pytest.raises(KeyError):
        del cache[key]


def test_a_key_nested_too_deep_is_refused(cache: Cache) -> None:
    key: object = ()
    for _ in range(63):
        key = (key,)
    cache[key] = 1
    assert list(cache) == [key]
    check_refused(cache, lambda: cache.__setitem__((key,), 1), ("key", "unstorable"))
    assert (key,) not in cache


@pytest.mark.parametrize("key", [[], {}, set(), bytearray(b"a"), (1, [])], ids=repr)
def test_what_is_not_hashable_is_a_type_error_as_in_a_dict(cache: Cache, key: object) -> None:
    for call in (
        lambda: cache.__setitem__(key, 1),
        lambda: cache[key],
        lambda: key in cache,
        lambda: cache.get(key),
        lambda: cache.pop(key, None),
        lambda: cache.__delitem__(key),
        lambda: cache.setdefault(key, 1),
    ):
        with pytest.raises(TypeError, match="unhashable"):
            call()


def test_a_key_that_is_too_long_names_its_size_and_the_limit(cache: Cache) -> None:
    cache["k" * 509] = 1
    assert cache["k" * 509] == 1
    with pytest.raises(KeyTooLargeError) as refused:
        cache["k" * 510] = 1
    assert (refused.value.mapping, refused.value.size_bytes, refused.value.limit_bytes) == ("cache", 512, 511)
    assert "k" * 510 not in cache
    assert "kkk" not in str(refused.value)
    assert len(cache) == 1


scalars = (
    st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.dates()
    | st.decimals(allow_nan=False)
    | st.uuids()
)
keys = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)


@given(st.lists(st.tuples(st.integers() | st.floats(allow_nan=False), st.integers()), max_size=30))
def test_numbers_are_ordered_as_a_sorted_dict_has_them(items: list[tuple[float, int]]) -> None:
    with MiniDB(":memory:") as database:
        cache: PersistentMapping[float, int] = database.mapping("cache")
        cache.update(items)
        assert list(cache.items()) == sorted(dict(items).items())


@given(st.dictionaries(keys, st.integers(), max_size=10))
def test_a_mapping_equals_the_dict_it_was_updated_from(items: dict[Any, int]) -> None:
    # A Decimal that equals a number is another key here and the same in a dict: such dicts are left out.
    with MiniDB(":memory:") as database:
        cache: PersistentMapping[Any, int] = database.mapping("cache")
        cache.update(items)
        assert cache == items
        assert {key: cache[key] for key in items} == items
        assert list(reversed(cache)) == list(cache)[::-1]


# --- values -----------------------------------------------------------------------------------------------------------

VALUES: list[object] = [
    None,
    True,
    0,
    -(2**63),
    2**64,
    -(2**200),
    1.5,
    math.inf,
    "",
    "é\U0001f600\x00",
    b"\x00\xff",
    datetime.datetime(2024, 2, 29, 12, 30, 0, 1, tzinfo=UTC),
    datetime.datetime(2024, 2, 29, 12, 30),
    datetime.date(1, 1, 1),
    datetime.time(23, 59, 59, 999999),
    Decimal("1.50"),
    Decimal("-Infinity"),
    uuid.UUID(int=5),
    [1, [2, {"a": [None]}]],
    {"a": {"b": b"c"}, "": 2**70},
    {1: "a", 1.5: "b", None: "c", b"k": {True: 1}, 2**64 - 1: 0},
    set(),
    {1, "a", None, 2**80, Decimal("1.50"), uuid.UUID(int=7), datetime.date(2024, 1, 1)},
    frozenset({b"a", frozenset({1, frozenset()}), (1, ("a", None))}),
    [{"tags": {"x", "y"}}, {"more": frozenset({datetime.datetime(2024, 1, 1, tzinfo=UTC)})}],
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_of_every_type_come_back_as_they_were(cache: Cache, value: object) -> None:
    cache["a"] = value
    assert cache["a"] == value
    assert type(cache["a"]) is type(value)
    assert next(iter(cache.values())) == value
    assert str(cache["a"]) == str(value) or isinstance(value, set | frozenset)


def test_nan_and_tuples_and_subclasses_come_back_as_the_plain_values_they_are(cache: Cache) -> None:
    cache.update(nan=math.nan, tuple=(1, (2,)), enum=Number.ONE, array=bytearray(b"a"))
    assert math.isnan(cache["nan"])
    assert cache["tuple"] == [1, [2]]
    assert type(cache["enum"]) is int
    assert cache["array"] == b"a"


def test_a_value_is_a_copy(cache: Cache) -> None:
    value = {"a": [1]}
    cache["k"] = value
    value["a"].append(2)
    cache["k"]["a"].append(3)
    assert cache["k"] == {"a": [1]}


def test_equal_sets_have_equal_bytes(database: MiniDB, cache: Cache) -> None:
    # 0 and 8 collide in a small table of hashes: these two sets iterate in different orders.
    one, other = {0, 8}, {8, 0}
    assert list(one) != list(other)
    cache.update(one=one, other=other)
    stored = stored_values(database, cache)
    assert stored[0] == stored[1]


UNFIT_VALUES: list[tuple[object, str]] = [
    (object(), "value"),
    ([1, {"a": object()}], "value[1].a"),
    ({1: object()}, "value[…]"),
    ({(1,): 1}, "value"),
    ({2**64: 1}, "value"),
    ({object()}, "value[*]"),
    ({"a": {1, (2, 1j)}}, "value.a[*][1]"),
    (Decimal("NaN"), "value"),
    (datetime.time(12, tzinfo=UTC), "value"),
    (Colour.RED, "value"),
]


@pytest.mark.parametrize(("value", "path"), UNFIT_VALUES)
def test_a_value_that_cannot_be_stored_is_refused_before_a_byte_is_written(
    cache: Cache, value: object, path: str
) -> None:
    cache["a"] = 1
    with pytest.raises(SchemaValidationError) as refused:
        cache["a"] = value
    assert [bad.field for bad in refused.value.errors] == [path]
    assert refused.value.mapping == "cache"
    with pytest.raises(SchemaValidationError):
        cache.update([("b", 2), ("c", value)])
    assert dict(cache) == {"a": 1}


def test_every_fault_of_an_item_is_told_at_once(cache: Cache) -> None:
    value = ["\ud800", {"\ud800": 1}, object()]
    expected = [("key", "unstorable"), ("value[0]", "unicode"), ("value[1]", "unicode"), ("value[2]", "unstorable")]
    check_refused(cache, lambda: cache.__setitem__(object(), value), *expected)


def test_a_value_nested_too_deep_or_in_itself_is_refused(cache: Cache) -> None:
    deep: object = frozenset()
    for _ in range(63):
        deep = frozenset({deep})
    cache["a"] = deep
    assert cache["a"] == deep
    check_refused(cache, lambda: cache.__setitem__("b", {deep}), ("value" + "[*]" * 64, "unstorable"))
    itself: list[object] = []
    itself.append(itself)
    check_refused(cache, lambda: cache.__setitem__("b", itself), ("value[0]", "unstorable"))


def test_a_set_of_dicts_that_are_hashable_is_refused(cache: Cache) -> None:
    class Frozen(dict[str, int]):
        def __hash__(self) -> int:  # type: ignore[override]  # what is tested
            return 1

    check_refused(cache, lambda: cache.__setitem__("a", {Frozen(a=1)}), ("value", "unstorable"))


def test_a_table_takes_no_sets(database: MiniDB) -> None:
    with pytest.raises(SchemaValidationError):
        database.table("notes").insert({"tags": {"a"}})


def test_big_values_come_back(cache: Cache) -> None:
    value = {"bytes": os.urandom(5_000_000), "list": list(range(100_000))}
    cache["big"] = value
    assert cache["big"] == value
    assert cache.popitem() == ("big", value)


# --- transactions -----------------------------------------------------------------------------------------------------


def test_calls_inside_a_transaction_take_part_in_it(database: MiniDB, cache: Cache) -> None:
    users = database.create_table("users")
    with pytest.raises(RuntimeError), database.begin_transaction():
        user_id = users.insert(Row(name="Ada"))
        cache["ada"] = user_id
        assert cache["ada"] == user_id
        assert in_a_thread(lambda: "ada" in cache) is False
        raise RuntimeError
    assert "ada" not in cache
    with database.begin_transaction():
        cache["ada"] = users.insert(Row(name="Ada"))
    assert users.query(cache["ada"]).name == "Ada"


def test_a_savepoint_undoes_its_part(database: MiniDB, cache: Cache) -> None:
    cache["a"] = 1
    with database.begin_transaction():
        cache["a"] = 2
        with database.begin_transaction() as savepoint:
            cache.update(a=3, b=3)
            assert cache.popitem() == ("b", 3)
            cache.clear()
            cache.increment("n")
            assert list(cache) == ["n"]
            savepoint.rollback()
        assert dict(cache) == {"a": 2}
    assert dict(cache) == {"a": 2}


def test_a_read_only_transaction_sees_one_snapshot_and_writes_nothing(database: MiniDB, cache: Cache) -> None:
    cache["a"] = 1
    with database.begin_transaction(read_only=True):
        in_a_thread(lambda: cache.update(a=2, b=2))
        assert dict(cache) == {"a": 1}
        for write in (
            lambda: cache.update(a=3),
            lambda: cache.pop("a"),
            cache.popitem,
            lambda: cache.increment("a"),
            cache.clear,
            lambda: database.mapping("new"),
            lambda: database.drop_mapping("cache"),
        ):
            with pytest.raises(ReadOnlyError):
                write()
        assert database.mapping("cache") == {"a": 1}
    assert dict(cache) == {"a": 2, "b": 2}


def test_a_mapping_made_in_a_transaction_goes_with_it(database: MiniDB) -> None:
    with database.begin_transaction() as transaction:
        cache = database.mapping("cache")
        cache["a"] = 1
        assert database.mapping_names() == ["cache"]
        transaction.rollback()
    assert database.mapping_names() == []
    with pytest.raises(MappingNotFoundError):
        cache["a"]
    assert dict(database.mapping("cache")) == {}
    assert dict(cache) == {}


def test_reads_and_writes_need_one_connection_and_give_it_back(location: str) -> None:
    with MiniDB(location, durability="none", max_connections=1, pool_timeout_s=0.1) as database:
        cache = database.mapping("cache")
        cache.update(a=1, b=2)
        for key in cache:
            cache[key] = cache.increment(key) + len(cache)
        assert dict(cache) == {"a": 4, "b": 5}
        assert in_a_thread(lambda: cache["a"]) == 4


# --- the catalog ------------------------------------------------------------------------------------------------------


def test_mappings_are_no_tables(database: MiniDB, cache: Cache) -> None:
    cache["a"] = 1
    database.create_table("users")
    database.mapping("another")
    assert database.table_names() == ["users"]
    assert database.mapping_names() == ["another", "cache"]
    assert "cache" not in database
    assert database.mapping("cache") == {"a": 1}
    assert cache.name == "cache"
    assert "'cache'" in repr(cache)


def test_a_name_is_of_a_table_or_of_a_mapping(database: MiniDB) -> None:
    database.mapping("cache")
    database.create_table("users")
    calls: list[Callable[[], object]] = [
        lambda: database.mapping("users"),
        lambda: database.drop_mapping("users"),
        lambda: database.create_table("cache"),
        lambda: database.table("cache"),
        lambda: database.rename_table("users", "cache"),
    ]
    for call in calls:
        with pytest.raises(CatalogError) as refused:
            call()
        assert " is a " in str(refused.value)
    calls = [
        lambda: database.get_table("cache"),
        lambda: database.drop_table("cache"),
        lambda: database.create_index("cache", "name"),
    ]
    for call in calls:
        with pytest.raises(TableNotFoundError, match=r"it is a mapping: db\.mapping\('cache'\)"):
            call()
    assert (database.table_names(), database.mapping_names()) == (["users"], ["cache"])


def test_a_dropped_mapping_is_gone_and_its_name_free(database: MiniDB, cache: Cache) -> None:
    cache["a"] = 1
    database.drop_mapping("cache")
    for call in (
        lambda: cache["a"],
        lambda: cache.__setitem__("a", 1),
        lambda: list(cache),
        lambda: len(cache),
        lambda: database.drop_mapping("cache"),
    ):
        with pytest.raises(MappingNotFoundError) as missing:
            call()
        assert missing.value.mapping == "cache"
    database.create_table("cache").insert(Row(a=1))
    database.drop_table("cache")
    assert dict(database.mapping("cache")) == {}


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 256, 5, None, []], ids=repr)
def test_a_name_that_no_mapping_can_have_is_refused(database: MiniDB, name: Any) -> None:
    with pytest.raises(SchemaDefinitionError, match="name of a mapping"):
        database.mapping(name)


def test_a_mapping_is_there_when_the_database_is_opened_again(reopen: Reopen) -> None:
    reopen().mapping("cache").update((key, repr(key)) for key in KEYS)
    cache = reopen().mapping("cache")
    assert list(cache.items()) == [(key, repr(key)) for key in KEYS]
    cache["value"] = VALUES[:-1]
    assert reopen().mapping("cache")["value"] == VALUES[:-1]
    database = reopen()
    database.drop_mapping("cache")
    assert reopen().mapping_names() == []


def test_a_mapping_of_a_read_only_database_can_be_read(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        database.mapping("cache")["a"] = 1
    with MiniDB(database_path, read_only=True, durability="none") as database:
        cache = database.mapping("cache")
        assert cache["a"] == 1
        with pytest.raises(ReadOnlyError):
            cache["a"] = 2
        with pytest.raises(ReadOnlyError):
            database.mapping("new")


# --- bytes ------------------------------------------------------------------------------------------------------------


def space_of(database: MiniDB, cache: Cache) -> Space:
    snapshot = database.engine.begin_read()
    try:
        return database.catalog_of(snapshot).mapping(cache.name).space
    finally:
        snapshot.close()


def stored_values(database: MiniDB, cache: Cache) -> list[bytes]:
    snapshot = database.engine.begin_read()
    try:
        return [data for page in snapshot.scan(space_of(database, cache)) for _, data in page]
    finally:
        snapshot.close()


def overwrite(database: MiniDB, space: Space, key: bytes, data: bytes) -> None:
    transaction = database.engine.begin_write(1.0)
    transaction.put_many(space, {key: data})
    transaction.commit()


def test_every_flipped_bit_of_a_value_is_a_checksum_error(database: MiniDB, cache: Cache) -> None:
    cache["key"] = ["value"]
    (data,) = stored_values(database, cache)
    for bit in range(len(data) * 8):
        damaged = (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")
        overwrite(database, space_of(database, cache), encode_values(["key"]), damaged)
        for read in (
            lambda: cache["key"],
            lambda: list(cache.values()),
            lambda: list(cache.items()),
            lambda: cache.get_many(["key"]),
            cache.popitem,
        ):
            with pytest.raises(ChecksumError) as error:
                read()
            assert (error.value.mapping, error.value.key) == ("cache", "key")
    overwrite(database, space_of(database, cache), encode_values(["key"]), data)
    assert dict(cache) == {"key": ["value"]}


def test_a_key_that_is_no_key_is_corruption(database: MiniDB, cache: Cache) -> None:
    cache["a"] = 1
    (data,) = stored_values(database, cache)
    overwrite(database, space_of(database, cache), encode_values(["a", "b"]), data)
    with pytest.raises(CorruptionError):
        list(cache)
    with pytest.raises(CorruptionError):
        check_consistency(database)
    cache.clear()
    overwrite(database, space_of(database, cache), b"\x30", data)  # an integer, which no key holds but as a number
    assert list(cache) == [0]
    with pytest.raises(InconsistentError):
        check_consistency(database)
    cache.clear()


def test_a_definition_that_cannot_be_read_is_corruption(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        overwrite(database, CATALOG, encode_values(("mapping", 1)), encode_document({"id": 1}))
    with pytest.raises(CorruptionError):
        MiniDB(database_path)


# --- processes --------------------------------------------------------------------------------------------------------

INCREMENTER = """
import sys
from minidb import MiniDB
with MiniDB(sys.argv[1], durability="none") as database:
    cache = database.mapping("cache")
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(500):
        cache.increment("shared")
        cache.increment(("own", sys.argv[2]), 2)
"""

TAKER = """
import sys
from minidb import MiniDB
with MiniDB(sys.argv[1], durability="none") as database:
    queue = database.mapping("cache")
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        try:
            key, value = queue.popitem(last=False)
        except KeyError:
            break
        print(key)
"""


def run_at_once(program: str, path: Path) -> list[list[str]]:
    """Run two processes that begin at the same moment; return the lines that each printed."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )
        for number in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return outputs


def test_two_processes_that_increment_at_once_lose_nothing(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        cache = database.mapping("cache")
        run_at_once(INCREMENTER, database_path)
        assert dict(cache) == {"shared": 1000, ("own", "0"): 1000, ("own", "1"): 1000}


def test_two_processes_that_take_items_at_once_get_different_ones(database_path: Path) -> None:
    with MiniDB(database_path, durability="none") as database:
        cache = database.mapping("cache")
        cache.update((number, None) for number in range(400))
        outputs = [list(map(int, lines)) for lines in run_at_once(TAKER, database_path)]
        assert sorted([*outputs[0], *outputs[1]]) == list(range(400))
        assert all(taken == sorted(taken) for taken in outputs)
        assert not cache


def test_a_mapping_is_a_mutable_mapping(cache: Cache) -> None:
    assert isinstance(cache, MutableMapping)
    with pytest.raises(TypeError, match="unhashable"):
        hash(cache)
