import errno
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidb.engines.lmdb.commit_log.log import KEPT_BYTES, STEP_BYTES, Log, Place


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with closing(Log(tmp_path)) as made:
        yield made


def begin(log: Log, segment: int, transaction_id: int) -> Place:
    place = log.begin_segment(segment, transaction_id)
    log.start_at(place)
    return place


def write(log: Log, segment: int, transaction_id: int, changes: bytes) -> None:
    assert log.find(segment, transaction_id)
    log.append(transaction_id, changes)


def replayed(log: Log, start: Place) -> list[tuple[int, bytes]]:
    return [(place.transaction_id, changes) for changes, place in log.all_records(start)]


def test_what_was_appended_is_replayed_through_the_segments(log: Log) -> None:
    start = begin(log, 0, 4)
    write(log, 0, 5, b"five")
    write(log, 0, 6, b"six")
    begin(log, 1, 6)
    write(log, 1, 7, b"seven")
    assert replayed(log, start) == [(5, b"five"), (6, b"six"), (7, b"seven")]


def test_another_process_goes_on_where_this_one_ended(log: Log, tmp_path: Path) -> None:
    start = begin(log, 0, 4)
    write(log, 0, 5, b"five")
    with closing(Log(tmp_path)) as other:
        write(other, 0, 6, b"six")
        write(log, 0, 7, b"seven")
        other.begin_segment(1, 7)
        write(other, 1, 8, b"eight")
    write(log, 1, 9, b"nine")
    assert [number for number, _ in replayed(log, start)] == [5, 6, 7, 8, 9]


def test_a_record_whose_transaction_never_came_about_is_overwritten(log: Log, tmp_path: Path) -> None:
    start = begin(log, 0, 4)
    write(log, 0, 5, b"five")
    with closing(Log(tmp_path)) as killed:
        write(killed, 0, 6, b"a long record that nobody has seen")
    with closing(Log(tmp_path)) as other:
        write(other, 0, 6, b"six")
        assert replayed(other, start) == [(5, b"five"), (6, b"six")]
    write(log, 0, 6, b"VI")
    assert replayed(log, start) == [(5, b"five"), (6, b"VI")]


def test_a_record_whose_transaction_never_came_about_is_none_before_the_next_segment_either(log: Log) -> None:
    start = begin(log, 0, 4)
    write(log, 0, 5, b"five")
    write(log, 0, 6, b"nobody has seen it, nor written over it")
    begin(log, 1, 5)
    write(log, 1, 6, b"six")
    assert replayed(log, start) == [(5, b"five"), (6, b"six")]
    write(log, 1, 7, b"seven")
    assert replayed(log, start) == [(5, b"five"), (6, b"six"), (7, b"seven")]


def test_a_segment_that_was_begun_and_never_used_ends_none(log: Log, tmp_path: Path) -> None:
    start = begin(log, 0, 4)
    write(log, 0, 5, b"five")
    with closing(Log(tmp_path)) as killed:
        killed.begin_segment(1, 5)
    write(log, 0, 6, b"six")
    assert replayed(log, start) == [(5, b"five"), (6, b"six")]
    begin(log, 1, 6)
    write(log, 1, 7, b"seven")
    assert replayed(log, start) == [(5, b"five"), (6, b"six"), (7, b"seven")]


def test_a_transaction_that_changed_nothing_leaves_its_place_to_the_next(log: Log) -> None:
    start = begin(log, 0, 4)
    write(log, 0, 5, b"five")
    write(log, 0, 6, b"nothing")
    write(log, 0, 6, b"six")
    write(log, 0, 7, b"seven")
    assert replayed(log, start) == [(5, b"five"), (6, b"six"), (7, b"seven")]


def test_a_gap_before_a_record_is_told(log: Log) -> None:
    start = begin(log, 0, 4)
    write(log, 0, 5, b"five")
    assert not log.find(0, 8)
    assert not log.find(1, 6)
    log.begin_segment(1, 7)
    assert log.find(1, 8)
    assert replayed(log, start) == [(5, b"five")]


def test_what_is_left_of_an_earlier_segment_is_no_record(log: Log) -> None:
    begin(log, 0, 0)
    write(log, 0, 1, b"old")
    write(log, 0, 2, b"older")
    start = begin(log, 2, 0)
    assert replayed(log, start) == []
    write(log, 2, 1, b"new")
    assert replayed(log, start) == [(1, b"new")]


def test_a_record_that_is_taken_back_is_gone(log: Log) -> None:
    start = begin(log, 0, 4)
    write(log, 0, 5, b"five")
    write(log, 0, 6, b"six")
    log.take_back()
    assert replayed(log, start) == [(5, b"five")]
    write(log, 0, 6, b"VI")
    assert replayed(log, start) == [(5, b"five"), (6, b"VI")]


def test_files_grow_in_steps_and_are_cut_when_they_are_used_again(log: Log, tmp_path: Path) -> None:
    begin(log, 0, 0)
    write(log, 0, 1, b"a")
    assert (tmp_path / "minidb.log.0").stat().st_size == STEP_BYTES
    write(log, 0, 2, bytes(KEPT_BYTES))
    assert (tmp_path / "minidb.log.0").stat().st_size > KEPT_BYTES
    log.begin_segment(2, 2)
    assert (tmp_path / "minidb.log.0").stat().st_size == KEPT_BYTES
    assert log.size_bytes() == KEPT_BYTES + (tmp_path / "minidb.log.1").stat().st_size


def test_a_record_that_did_not_fit_is_none(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    start = begin(log, 0, 4)
    write(log, 0, 5, b"five")

    def fail(descriptor: int, data: bytes, offset: int) -> int:
        monkeypatch.undo()
        os.pwrite(descriptor, data[: len(data) // 2], offset)
        raise OSError(errno.ENOSPC, "made to fail by a test")

    assert log.find(0, 6)
    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(OSError, match="made to fail"):
        log.append(6, b"six, and what else there is")
    assert replayed(log, start) == [(5, b"five")]
    write(log, 0, 6, b"six")
    assert replayed(log, start) == [(5, b"five"), (6, b"six")]


@settings(max_examples=100)
@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8), st.data())
def test_any_damage_ends_the_log_there_and_makes_up_nothing(
    tmp_path_factory: pytest.TempPathFactory, records: list[bytes], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("log")
    with closing(Log(folder)) as log:
        start = begin(log, 0, 0)
        for number, changes in enumerate(records, start=1):
            write(log, 0, number, changes)
        end = log.end
        assert end is not None
        at = data.draw(st.integers(start.offset, end.offset - 1))
        with (folder / "minidb.log.0").open("r+b", buffering=0) as file:
            file.seek(at)
            damaged = file.read(1)[0] ^ data.draw(st.integers(1, 255))
            file.seek(at)
            file.write(bytes([damaged]))
        found = replayed(log, start)
        assert found == list(enumerate(records, start=1))[: len(found)]
        assert len(found) < len(records)
