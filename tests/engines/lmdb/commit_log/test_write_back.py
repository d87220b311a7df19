from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidb import MiniDB, Row
from minidb.engines.lmdb.commit_log import commits, write_back
from minidb.engines.lmdb.commit_log.write_back import PORTION_BYTES, gently

Asked = list[tuple[int, int]]
"""Start and size of each portion, in bytes."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    portions: Asked = []

    def note(_descriptor: int, start: int, size: int, _flags: int) -> int:
        portions.append((start, size))
        return 0

    monkeypatch.setattr(write_back, "_sync_file_range", lambda: note)
    return portions


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


def test_the_kernel_takes_the_call(descriptor: int) -> None:
    os.pwrite(descriptor, bytes(3 * PORTION_BYTES), 0)
    function = write_back._sync_file_range()
    assert function is not None
    assert function(descriptor, 0, PORTION_BYTES, write_back._AND_WAIT) == 0
    gently(descriptor, lambda: False)


def test_every_byte_is_in_one_portion(descriptor: int, asked: Asked) -> None:
    size = 5 * PORTION_BYTES + 1
    os.ftruncate(descriptor, size)
    gently(descriptor, lambda: False)
    assert [start for start, _ in asked] == list(range(0, size, PORTION_BYTES))
    assert {length for _, length in asked} == {PORTION_BYTES}


def test_a_large_file_takes_no_more_portions_than_that(descriptor: int, asked: Asked) -> None:
    size = 100 * write_back.MOST_PORTIONS * PORTION_BYTES  # all of it a hole
    os.ftruncate(descriptor, size)
    gently(descriptor, lambda: False)
    assert len(asked) == write_back.MOST_PORTIONS
    assert sum(length for _, length in asked) == size


def test_it_ends_when_it_is_hurried(descriptor: int, asked: Asked) -> None:
    os.ftruncate(descriptor, 5 * PORTION_BYTES)
    gently(descriptor, lambda: len(asked) == 2)
    assert len(asked) == 2


def test_a_system_without_the_call_does_without(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_back, "_sync_file_range", lambda: None)
    gently(descriptor, lambda: pytest.fail("there is nothing to do"))


def test_who_waits_for_a_checkpoint_hurries_it(database_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    has_begun, was_hurried = threading.Event(), threading.Event()

    def wait_until_hurried(_descriptor: int, is_hurried: object) -> None:
        assert callable(is_hurried)
        has_begun.set()
        while not is_hurried():
            threading.Event().wait(0.001)
        was_hurried.set()

    monkeypatch.setattr(commits, "MOST_COMMITS", 3)
    monkeypatch.setattr(write_back, "gently", wait_until_hurried)
    with MiniDB(database_path) as database:
        people = database.create_table("people")
        for number in range(3):
            people.insert(Row(name=str(number)))
        assert has_begun.wait(30)
        database.create_table("others")  # which is no record in the log, and so takes the lock of checkpoints
        assert was_hurried.wait(30)
