"""The mixed workloads do what they say, and records that are lost or wrong are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from bench import adapters, readers, workloads, ycsb
from bench.adapters.minidb_adapter import Records as MiniDBRecords
from bench.adapters.port import Answer, Fields, Records, Terms
from bench.adapters.sqlite3_adapter import Records as SqliteRecords
from bench.answers import WrongAnswerError
from bench.ycsb import Kind

COUNT = 200
ALL = {workload.name for workload in workloads.MIXED}


class CountsCalls(SqliteRecords):
    calls: Counter[str]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.calls = Counter()

    def read(self, key: str) -> Answer:
        self.calls["read"] += 1
        return super().read(key)

    def update(self, key: str, place: int, value: str) -> None:
        self.calls["update"] += 1
        super().update(key, place, value)


@pytest.mark.parametrize(("letter", "least_reads", "writes"), [("A", 400, True), ("C", 1000, False), ("F", 1000, True)])
def test_a_mix_has_the_operations_that_it_names(letter: str, least_reads: int, writes: bool, tmp_path: Path) -> None:
    records = CountsCalls(tmp_path)
    store = ycsb.Store(records, Terms(), COUNT)
    store.load()
    store.measure(letter, 1000)
    assert records.calls["read"] >= least_reads
    assert (records.calls["update"] > 0) == writes
    store.check_written()
    records.close()


def test_mixes_add_up() -> None:
    assert {letter: sum(mix.values()) for letter, mix in ycsb.MIXES.items()} == dict.fromkeys(workloads.YCSB, 1.0)


def test_keys_differ_and_stand_in_no_order() -> None:
    keys = [ycsb.key_of(number) for number in range(1000)]
    assert len(set(keys)) == 1000
    assert keys != sorted(keys)
    assert {len(key) for key in keys} == {24}
    assert all(len(fields) == 10 and {*map(len, fields)} == {100} for fields in map(ycsb.fields_of, range(100)))


def test_some_records_are_asked_for_much_more_often_and_in_d_the_latest(tmp_path: Path) -> None:
    store = ycsb.Store(MiniDBRecords(tmp_path), Terms(), COUNT)
    asked = Counter(key for kind, key, _, _ in store._operations("B", 2000) if kind is Kind.READ)
    assert asked.most_common(1)[0][1] > 10 * 2000 / COUNT
    latest = {ycsb.key_of(number) for number in range(COUNT // 2, COUNT + 1000)}
    of_d = [key in latest for kind, key, _, _ in islice(store._operations("D", 300), 200) if kind is Kind.READ]
    assert sum(of_d) > len(of_d) * 0.7
    store._records.close()


class LosesUpdates(SqliteRecords):
    def update(self, key: str, place: int, value: str) -> None:
        pass


class UpdatesAnotherField(MiniDBRecords):
    def update(self, key: str, place: int, value: str) -> None:
        super().update(key, (place + 1) % 10, value)


class LosesInserts(SqliteRecords):
    def insert(self, key: str, fields: Fields) -> None:
        super().insert(key, fields[::-1])


class ReadsPartly(SqliteRecords):
    def read(self, key: str) -> Answer:
        return super().read(key)[:9]


class ScansTooFew(MiniDBRecords):
    def scan(self, key: str, count: int) -> list[Answer]:
        return list(super().scan(key, count - 1))


@pytest.mark.parametrize("kind", [LosesUpdates, UpdatesAnotherField, LosesInserts, ReadsPartly, ScansTooFew])
def test_records_that_are_wrong_are_found(kind: Callable[[Path], Records], tmp_path: Path) -> None:
    records = kind(tmp_path)
    with pytest.raises(WrongAnswerError):
        ycsb.measure(records, Terms(), COUNT, ALL)
    records.close()


def test_processes_read_at_once(tmp_path: Path) -> None:
    rival = adapters.load_rival("sqlite3")(tmp_path, create=True)
    first_id = rival.insert_all(COUNT)
    rival.close()
    assert readers.read_in_processes("sqlite3", tmp_path, COUNT, first_id, 2) > 0


def test_a_process_that_reads_other_rows_ends_the_measurement(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rival = adapters.load_rival("sqlite3")(tmp_path, create=True)
    first_id = rival.insert_all(COUNT)
    rival.close()
    with pytest.raises(RuntimeError, match="ended early"):
        readers.read_in_processes("sqlite3", tmp_path, COUNT - 10, first_id + 10, 1)
    assert "WrongAnswerError" in capfd.readouterr().err
