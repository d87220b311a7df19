"""YCSB's core workloads A to F: records of 1 kB by a key of text, some asked for much more often than others.

As in YCSB: 10 fields of 100 letters; keys in no order of their inserts; records drawn by Zipf's law with 0.99, in D
the latest most often; a read reads all fields, an update writes one; scans are 1 to 100 records long. The database
holds no more than ``MAX_RECORDS`` records. What each operation is, and what is stored at the end, is foretold without a
database.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import accumulate
from typing import Final

from bench import workloads
from bench.adapters.port import Ability, Fields, Records, Terms
from bench.answers import require

MAX_RECORDS: Final = 100_000
MAX_SCAN: Final = 100
FIELDS: Final = 10
FIELD_LENGTH: Final = 100

_SEED: Final = 7_919
_ZIPF: Final = 0.99
_TEXTS: Final = 1009
"""Prime, so that records repeat late."""

_SCATTER: Final = 0x9E3779B97F4A7C15
"""Odd: multiplied by it, modulo 2**64, no two numbers become one."""


class Kind(IntEnum):
    """What an operation does."""

    READ = 0
    UPDATE = 1
    INSERT = 2
    SCAN = 3
    MODIFY = 4


MIXES: Final[dict[str, dict[Kind, float]]] = {
    "A": {Kind.READ: 0.5, Kind.UPDATE: 0.5},
    "B": {Kind.READ: 0.95, Kind.UPDATE: 0.05},
    "C": {Kind.READ: 1.0},
    "D": {Kind.READ: 0.95, Kind.INSERT: 0.05},
    "E": {Kind.SCAN: 0.95, Kind.INSERT: 0.05},
    "F": {Kind.READ: 0.5, Kind.MODIFY: 0.5},
}

Operation = tuple[Kind, str, int, str]
"""What is done, to which key; the place of the field or the number of records; the field's new text."""


def _draw_texts() -> tuple[str, ...]:
    draw = random.Random(_SEED)  # noqa: S311  # the same records in each process, no secret
    return tuple("".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=FIELD_LENGTH)) for _ in range(_TEXTS))


TEXTS: Final = _draw_texts()


def key_of(number: int) -> str:
    """Return the key of a record."""
    return f"user{number * _SCATTER % 2**64:020}"


def fields_of(number: int) -> Fields:
    """Return the fields that a record is inserted with."""
    return tuple(TEXTS[(number * 7 + place * 13) % _TEXTS] for place in range(FIELDS))


class Store:
    """The records of a rival, what they must be, and the operations on both."""

    def __init__(self, records: Records, terms: Terms, count: int) -> None:
        self._records = records
        self._terms = terms
        self._count = min(count, MAX_RECORDS)
        self._draw = random.Random(_SEED)  # noqa: S311  # the same operations in each process, no secret
        self._weights = list(accumulate((rank + 1) ** -_ZIPF for rank in range(self._count)))
        self._written: dict[str, list[str]] = {}

    def load(self) -> float:
        """Insert all records; return how many a second."""
        gc.collect()
        start = time.perf_counter()
        self._records.load((key_of(number), fields_of(number)) for number in range(self._count))
        return self._count / (time.perf_counter() - start)

    def check(self) -> None:
        """Check what was loaded and each kind of operation, on few records. Raises ``WrongAnswerError``."""
        records = self._records
        for number in range(0, self._count, max(1, self._count // 50)):
            require(records.plain(records.read(key_of(number))) == fields_of(number), "a record")
        if Ability.RECORD_RANGES not in self._terms.lacks:
            in_order = sorted(range(self._count), key=key_of)
            for at in (0, self._count // 2, self._count - 3):
                found = [records.plain(answer) for answer in records.scan(key_of(in_order[at]), 10)]
                require(found == [fields_of(number) for number in in_order[at : at + 10]], "a range of records")

    def measure(self, letter: str, operations: int) -> float:
        """Do the workload of this letter; return how many operations a second. Raises ``WrongAnswerError``."""
        drawn = list(self._operations(letter, operations))
        inserted = {key: fields_of(number) for key, number in self._inserted(drawn)}
        gc.collect()
        start = time.perf_counter()
        _do(self._records, drawn, inserted)
        elapsed_s = time.perf_counter() - start
        self._note(drawn, inserted)
        return operations / elapsed_s

    def check_written(self) -> None:
        """Check that each record holds what was written last. Raises ``WrongAnswerError``."""
        for key, fields in self._written.items():
            require(self._records.plain(self._records.read(key)) == tuple(fields), "a record that was written")

    def _operations(self, letter: str, operations: int) -> Iterator[Operation]:
        draw, count = self._draw, len(self._weights)
        mix = MIXES[letter]
        kinds = draw.choices(list(mix), list(mix.values()), k=operations)
        ranks = draw.choices(range(count), cum_weights=self._weights, k=operations)
        for kind, rank in zip(kinds, ranks, strict=True):
            if kind is Kind.INSERT:
                yield kind, key_of(self._count), self._count, ""
                self._count += 1
            else:
                # The most wanted ones are the latest, or stand anywhere: 7,919 shares no factor with a round number.
                number = self._count - 1 - rank if letter == "D" else rank * 7919 % count
                what = draw.randint(1, MAX_SCAN) if kind is Kind.SCAN else draw.randrange(FIELDS)
                yield kind, key_of(number), what, draw.choice(TEXTS)

    @staticmethod
    def _inserted(drawn: Sequence[Operation]) -> Iterator[tuple[str, int]]:
        return ((key, number) for kind, key, number, _ in drawn if kind is Kind.INSERT)

    def _note(self, drawn: Sequence[Operation], inserted: dict[str, Fields]) -> None:
        numbers = {key_of(number): number for number in range(self._count)}
        for kind, key, place, text in drawn:
            if kind is Kind.INSERT:
                self._written[key] = list(inserted[key])
            elif kind in {Kind.UPDATE, Kind.MODIFY}:
                self._written.setdefault(key, list(fields_of(numbers[key])))[place] = text


def _do(records: Records, operations: Sequence[Operation], inserted: dict[str, Fields]) -> None:
    read, update, insert, scan = records.read, records.update, records.insert, getattr(records, "scan", None)
    for kind, key, what, text in operations:
        if kind is Kind.READ:
            read(key)
        elif kind is Kind.UPDATE:
            update(key, what, text)
        elif kind is Kind.INSERT:
            insert(key, inserted[key])
        elif kind is Kind.MODIFY:
            read(key)
            update(key, what, text)
        else:
            assert scan is not None, "a rival that lacks ranges is not asked for them"
            scan(key, what)


def measure(records: Records, terms: Terms, count: int, wanted: set[str]) -> dict[str, float]:
    """Return the figures of the wanted workloads on new records. Raises ``WrongAnswerError``."""
    store = Store(records, terms, count)
    samples = {workloads.YCSB_LOAD.name: store.load()}
    store.check()
    for letter, workload in workloads.YCSB.items():
        if workload.name in wanted and workload.needs not in terms.lacks:
            operations = (2_000 if letter == "E" else 10_000) if count >= 10_000 else 100
            samples[workload.name] = store.measure(letter, max(100, round(operations * terms.share)))
    store.check_written()
    return samples
