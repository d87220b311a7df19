"""The checks of joined scans: where an engine offers them, they find what two steps find."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Final

from minidb.engines.port import Engine, Joined, ReadTransaction, Reference, Space, WriteTransaction
from minidb.testing.expectation import expect

_ENTRIES: Final = {Reference.VALUE: Space("by value"), Reference.KEY_END: Space("by key end")}
_ROWS: Final = Space("rows")

_ROW_KEYS: Final = [
    *(b"%05d" % number for number in range(700)),
    *(bytes([first]) for first in (0, 1, 127, 128, 254, 255)),
    b"\x00\x00\x00",
    b"\xff\xff\x01\xff",
    *(b"long" + bytes([size % 256]) * size for size in (250, 251, 252, 253, 260, 379)),
]
"""Of 1 to 383 bytes: the length of the longest takes two."""

_ABSENT: Final = {b"00003", b"00299", b"\x00", b"long" + bytes([251]) * 251}
"""Those at which there is nothing."""


def check_joined_scans_find_what_two_steps_find(engine: Engine) -> None:
    _fill(engine)
    transaction = engine.begin_read()
    try:
        for reference, space in _ENTRIES.items():
            for start, stop in (
                (None, None),
                (b"a", b"b"),
                (b"b0", None),
                (None, b"a"),
                (b"a00003", b"a00004"),
                (b"x", b"z"),
            ):
                for reverse in (False, True):
                    _expect_same(transaction, reference, start, stop, reverse=reverse)
            _expect_first_pages(transaction, reference, space)
    finally:
        transaction.close()


def check_joined_scans_show_what_their_transaction_has_written(engine: Engine) -> None:
    _fill(engine)
    with _writing(engine) as transaction:
        _expect_all(transaction)
        transaction.put_many(_ROWS, {b"00001": b"new", b"00003": b"no longer absent"})
        transaction.delete_many(_ROWS, [b"00002", b"00300"])
        _expect_all(transaction)
        transaction.savepoint()
        transaction.put_many(_ROWS, {b"00001": b"newest", b"00002": b"again"})
        _expect_all(transaction)
        transaction.release()
        _expect_all(transaction)
        transaction.clear(_ROWS)
        transaction.put_many(_ROWS, {b"00005": b"alone"})
        _expect_all(transaction)


def _expect_all(transaction: ReadTransaction) -> None:
    for reference in _ENTRIES:
        _expect_same(transaction, reference, None, None)
        _expect_same(transaction, reference, b"b", None, reverse=True)


def check_joined_scans_see_no_entries_that_are_written_while_they_run(engine: Engine) -> None:
    _fill(engine)
    for reference, space in _ENTRIES.items():
        with _writing(engine) as transaction:
            before = _two_steps(transaction, reference, None, None, reverse=False)
            scan = transaction.scan_joined
            pages = None if scan is None else scan(space, _ROWS, reference, first_page=10)
            if scan is None or pages is None:
                continue
            found: list[Joined] = []
            for page in pages:
                found += page
                transaction.put_many(space, {b"z" + key: b"00001" for key, _, _ in page})
                transaction.delete_many(space, [key for key, _, _ in page])
                transaction.put_many(_ROWS, {b"\xff": b"newer"})
            expect([line[:2] for line in found], [line[:2] for line in before], "the pairs are those of the beginning")
            newer = {value for _, named, value in found[10:] if named == b"\xff"}
            expect(newer, {b"newer"}, "the values are those of the moment")
            refused = scan(space, _ROWS, reference)
            expect(refused, None, "a space that the transaction has written to is not scanned so")


def _fill(engine: Engine) -> None:
    with _writing(engine) as transaction:
        transaction.create_space(_ROWS)
        transaction.put_many(
            _ROWS, {key: b"" if key == b"00007" else key * 2 for key in _ROW_KEYS if key not in _ABSENT}
        )
        for reference, space in _ENTRIES.items():
            transaction.create_space(space)
            items = [_entry(reference, before, key) for before in (b"a", b"b\x00") for key in _ROW_KEYS]
            transaction.put_many(space, dict(items))


def _entry(reference: Reference, before: bytes, row_key: bytes) -> tuple[bytes, bytes]:
    if reference is Reference.VALUE:
        return before + row_key, row_key
    size = len(row_key)
    return before + row_key + (bytes([size]) if size < 255 else size.to_bytes(2, "big") + b"\xff"), b""


def _two_steps(
    transaction: ReadTransaction, reference: Reference, start: bytes | None, stop: bytes | None, *, reverse: bool
) -> list[Joined]:
    """Return what a joined scan finds, by one of the pairs and a look at each of the keys."""
    pages = transaction.scan(_ENTRIES[reference], start, stop, reverse=reverse)
    entries = list(chain.from_iterable(pages))
    if reference is Reference.VALUE:
        named = [value for _, value in entries]
    else:
        named = [
            key[-3 - int.from_bytes(key[-3:-1]) : -3] if key[-1] == 255 else key[-1 - key[-1] : -1]
            for key, _ in entries
        ]
    values = transaction.get_many(_ROWS, named)
    return [(key, one, value) for (key, _), one, value in zip(entries, named, values, strict=True)]


def _expect_same(
    transaction: ReadTransaction,
    reference: Reference,
    start: bytes | None,
    stop: bytes | None,
    *,
    reverse: bool = False,
) -> None:
    scan = transaction.scan_joined
    pages = None if scan is None else scan(_ENTRIES[reference], _ROWS, reference, start, stop, reverse=reverse)
    if pages is None:
        return
    found = list(pages)
    assert all(found), "a joined scan yields lists of at least one"
    wanted = _two_steps(transaction, reference, start, stop, reverse=reverse)
    what = f"{reference.name} of [{start!r}, {stop!r}) reverse={reverse}"
    expect(list(chain.from_iterable(found)), wanted, what)


def _expect_first_pages(transaction: ReadTransaction, reference: Reference, space: Space) -> None:
    wanted = _two_steps(transaction, reference, None, None, reverse=True)
    for first_page in (1, 2, 100, 5000):
        scan = transaction.scan_joined
        pages = None if scan is None else scan(space, _ROWS, reference, reverse=True, first_page=first_page)
        if pages is None:
            continue
        found = list(pages)
        expect(list(chain.from_iterable(found)), wanted, f"first_page={first_page}")
        assert len(found[0]) <= first_page, f"first_page={first_page}: the first list has {len(found[0])}"


@contextmanager
def _writing(engine: Engine) -> Iterator[WriteTransaction]:
    transaction = engine.begin_write(10)
    try:
        yield transaction
        transaction.commit()
    finally:
        transaction.close()


JOINING_CHECKS: Final = (
    check_joined_scans_find_what_two_steps_find,
    check_joined_scans_show_what_their_transaction_has_written,
    check_joined_scans_see_no_entries_that_are_written_while_they_run,
)
