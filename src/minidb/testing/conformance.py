"""The conformance checks of the engine port: what ``engines.port`` guarantees, as code that needs no test runner."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from minidb.encoding.pairs import unpack_pairs
from minidb.engines.port import CATALOG, Engine, Pair, ReadTransaction, Space, WriteTransaction
from minidb.exceptions import ConflictError, WriteTimeoutError
from minidb.testing.building import check_a_state_has_a_number_of_its_own, check_sorted_pairs_are_written_as_any
from minidb.testing.expectation import expect
from minidb.testing.recording import check_a_recorder_is_told_what_is_committed_and_no_undone_savepoint

A: Final = Space("a")
B: Final = Space("b")
SEED: Final = 20261123


@contextmanager
def reading(engine: Engine) -> Iterator[ReadTransaction]:
    """Yield a snapshot for the block."""
    snapshot = engine.begin_read()
    try:
        yield snapshot
    finally:
        snapshot.close()


@contextmanager
def writing(engine: Engine, timeout_s: float = 10) -> Iterator[WriteTransaction]:
    """Yield a write transaction for the block and commit it, or roll back if the block raises."""
    transaction = engine.begin_write(timeout_s)
    try:
        yield transaction
        transaction.commit()
    finally:
        transaction.close()


def pairs(
    transaction: ReadTransaction,
    space: Space,
    start: bytes | None = None,
    stop: bytes | None = None,
    *,
    reverse: bool = False,
    limit: int | None = None,
) -> list[Pair]:
    """Return all pairs of a scan, having checked that no list of it is empty and that other scans agree."""
    pages = list(transaction.scan(space, start, stop, reverse=reverse, limit=limit))
    assert all(pages), "a scan yields lists of at least one pair"
    found = [pair for page in pages for pair in page]
    if limit is None and start is None and stop is None and not reverse and transaction.scan_packed is not None:
        packed = list(transaction.scan_packed(space) or ())
        if packed:
            unpacked = [unpack_pairs(data) for _, data in packed]
            expect([pair for some in unpacked for pair in some], found, "scan_packed yields the pairs that scan yields")
            expect([count for count, _ in packed], list(map(len, unpacked)), "it says how many they are")
            assert all(len(data) <= 1024 * 1024 for _, data in packed), "it yields at most 1 MiB at a time"
    if limit is None:
        keys = [key for page in transaction.scan_keys(space, start, stop, reverse=reverse) for key in page]
        expect(keys, [key for key, _ in found], "scan_keys yields the keys that scan yields")
        if reverse and start is None and stop is None:
            expect(transaction.last_key(space), next(iter(keys), None), "the last key is the first one backwards")
    return found


def _fill(engine: Engine, space: Space, items: dict[bytes, bytes]) -> None:
    with writing(engine) as transaction:
        transaction.create_space(space)
        transaction.put_many(space, items)


def _numbered(count: int) -> dict[bytes, bytes]:
    return {b"k%06d" % number: b"v%d" % number for number in range(count)}


# --- reading and order ------------------------------------------------------------------------------------------------


def check_a_new_engine_has_an_empty_catalog(engine: Engine) -> None:
    with reading(engine) as snapshot:
        expect(snapshot.spaces(), [CATALOG], "the catalog is the only space")
        expect(snapshot.count(CATALOG), 0, "the catalog exists and is empty")
        expect(pairs(snapshot, CATALOG), [], "the catalog exists and is empty")
        expect(snapshot.get(CATALOG, b"x"), None, "an absent key is None")


def check_reads_return_what_was_written(engine: Engine) -> None:
    items = {b"": b"", b"one": b"1", b"empty": b"", b"nul\x00nul": b"\x00", b"\xff\xff": b"\xff" * 3}
    del items[b""]  # no engine need take an empty key
    _fill(engine, A, items)
    with reading(engine) as snapshot:
        for key, value in items.items():
            expect(snapshot.get(A, key), value, "get returns the value")
            expect(snapshot.getter(A)(key), value, "so does a getter")
        asked = [b"one", b"absent", b"\xff\xff", b"one"]
        expect(snapshot.get_many(A, asked), [b"1", None, b"\xff" * 3, b"1"], "get_many keeps the order asked")
        expect(snapshot.get_many(A, []), [], "get_many of nothing is nothing")
        expect(snapshot.count(A), len(items), "count is the number of keys")


def check_scans_are_in_the_order_of_bytes(engine: Engine) -> None:
    keys = [bytes([first, second]) for first in (0, 1, 127, 128, 254, 255) for second in (0, 1, 128, 255)]
    keys += [b"\x00", b"\x80", b"\xff", b"\x00\x00\x00", b"\xff\xff\xff"]
    shuffled = keys.copy()
    random.Random(SEED).shuffle(shuffled)  # noqa: S311  # a test's order
    _fill(engine, A, {key: key for key in shuffled})
    with reading(engine) as snapshot:
        expect([key for key, _ in pairs(snapshot, A)], sorted(keys), "forwards")
        expect([key for key, _ in pairs(snapshot, A, reverse=True)], sorted(keys, reverse=True), "backwards")


def check_ranges_hold_their_start_and_not_their_stop(engine: Engine) -> None:
    items = {bytes([2 * number]): b"" for number in range(1, 100)}
    _fill(engine, A, items)
    bounds = [None, b"\x00", b"\x02", b"\x03", b"\x64", b"\x64\x00", b"\xc6", b"\xc7", b"\xff\xff"]
    with reading(engine) as snapshot:
        for start in bounds:
            for stop in bounds:
                wanted = [
                    key for key in sorted(items) if (start is None or key >= start) and (stop is None or key < stop)
                ]
                for reverse in (False, True):
                    found = [key for key, _ in pairs(snapshot, A, start, stop, reverse=reverse)]
                    expect(found, wanted[::-1] if reverse else wanted, f"[{start!r}, {stop!r}) reverse={reverse}")


def check_long_scans_are_whole_and_limits_hold(engine: Engine) -> None:
    items = _numbered(5000)
    _fill(engine, A, items)
    ordered = sorted(items.items())
    with reading(engine) as snapshot:
        expect(pairs(snapshot, A), ordered, "a scan of many lists is whole")
        expect(pairs(snapshot, A, reverse=True), ordered[::-1], "and so is one backwards")
        for limit in (0, 1, 63, 64, 65, 1000, 4999, 5000, 6000):
            expect(pairs(snapshot, A, limit=limit), ordered[:limit], f"limit={limit}")
            expect(pairs(snapshot, A, reverse=True, limit=limit), ordered[::-1][:limit], f"limit={limit} backwards")


def check_a_first_page_is_as_long_as_asked(engine: Engine) -> None:
    items = _numbered(5000)
    _fill(engine, A, items)
    added, removed = {b"k000000 and more": b"1"}, [b"k000001", b"k004998"]
    with reading(engine) as snapshot:
        _expect_first_pages(snapshot, items)
    with writing(engine) as transaction:
        _expect_first_pages(transaction, items)
        transaction.put_many(A, added)
        transaction.delete_many(A, removed)
        _expect_first_pages(transaction, {key: value for key, value in (items | added).items() if key not in removed})


def _expect_first_pages(transaction: ReadTransaction, wanted: dict[bytes, bytes]) -> None:
    for reverse in (False, True):
        ordered = sorted(wanted.items(), reverse=reverse)
        for first_page in (1, 2, 100, 5000, 6000):
            what = f"first_page={first_page}, reverse={reverse}"
            pages = list(transaction.scan(A, reverse=reverse, first_page=first_page))
            expect([pair for page in pages for pair in page], ordered, what)
            keys = list(transaction.scan_keys(A, reverse=reverse, first_page=first_page))
            expect([key for page in keys for key in page], [key for key, _ in ordered], what)
            for first in (pages[0], keys[0]):
                assert len(first) <= first_page, f"{what}: the first list has {len(first)}"


def check_a_scan_may_be_left_half_way(engine: Engine) -> None:
    _fill(engine, A, _numbered(3000))
    with reading(engine) as snapshot:
        scan = snapshot.scan(A)
        first = next(scan)
        del scan
        expect(first[0], (b"k000000", b"v0"), "the first list")
        expect(len(pairs(snapshot, A)), 3000, "the snapshot goes on")


def check_keys_and_values_may_be_large(engine: Engine) -> None:
    longest = engine.capabilities.max_key_bytes
    assert longest >= 511, "a key of 511 bytes is allowed everywhere"
    items = {b"x" * longest: b"\x01" * 10_000_000, b"y": b"\x02" * 100_000}
    _fill(engine, A, items)
    with reading(engine) as snapshot:
        for key, value in items.items():
            assert snapshot.get(A, key) == value, "a large value comes back"
    with writing(engine) as transaction:
        transaction.put_many(A, {b"y": b"small"})
    with reading(engine) as snapshot:
        expect(snapshot.get(A, b"y"), b"small", "a large value may be replaced by a small one")


# --- isolation --------------------------------------------------------------------------------------------------------


def check_a_snapshot_never_changes(engine: Engine) -> None:
    _fill(engine, A, {b"kept": b"old", b"gone": b"old"})
    with reading(engine) as before:
        with writing(engine) as transaction:
            transaction.put_many(A, {b"kept": b"new", b"more": b"new"})
            transaction.delete_many(A, [b"gone"])
        expect(pairs(before, A), [(b"gone", b"old"), (b"kept", b"old")], "an open snapshot sees no later commit")
        expect(before.count(A), 2, "nor in its count")
        with writing(engine) as transaction:
            transaction.drop_space(A)
        expect(before.spaces(), [A, CATALOG], "nor a drop of the space in the names of all")
        expect(before.get(A, b"gone"), b"old", "nor in what it held")
        with writing(engine) as transaction:
            transaction.create_space(A)
            transaction.put_many(A, {b"gone": b"again"})
        expect(pairs(before, A), [(b"gone", b"old"), (b"kept", b"old")], "nor that it was made again")
    with reading(engine) as after:
        expect(pairs(after, A), [(b"gone", b"again")], "a new snapshot sees all")


def check_writes_are_seen_by_their_transaction_alone(engine: Engine) -> None:
    _fill(engine, A, {b"a": b"1"})
    with writing(engine) as transaction:
        get = transaction.getter(A)
        transaction.put_many(A, {b"b": b"2"})
        transaction.delete_many(A, [b"a"])
        expect(pairs(transaction, A), [(b"b", b"2")], "a transaction reads its own writes")
        expect([get(b"a"), get(b"b")], [None, b"2"], "so does a getter made before them")
        with reading(engine) as snapshot:
            expect(pairs(snapshot, A), [(b"a", b"1")], "nobody else does before the commit")
    with reading(engine) as snapshot:
        expect(pairs(snapshot, A), [(b"b", b"2")], "everybody does after it")


def check_a_rollback_leaves_nothing(engine: Engine) -> None:
    _fill(engine, A, {b"a": b"1"})
    transaction = engine.begin_write(10)
    transaction.put_many(A, {b"a": b"2", b"b": b"2"})
    transaction.create_space(B)
    transaction.put_many(B, {b"x": b"y"})
    transaction.close()
    transaction.close()
    with reading(engine) as snapshot:
        expect(pairs(snapshot, A), [(b"a", b"1")], "a closed transaction has changed nothing")
    with writing(engine) as again:
        again.create_space(B)  # not there, so it can be made
        expect(again.get_many(B, [b"x", b"y"]), [None, None], "nor anything in it")
        expect(pairs(again, B), [], "nor made a space")


def check_writers_wait_for_one_another_and_no_longer_than_said(engine: Engine) -> None:
    if engine.capabilities.has_many_writers:
        return
    _fill(engine, A, {})
    outcome: list[object] = []

    def write_from_another_thread() -> None:
        try:
            engine.begin_write(0.05).close()
        except WriteTimeoutError as error:
            outcome.append(error.facts.get("pid"))

    with writing(engine) as holder:
        thread = threading.Thread(target=write_from_another_thread)
        thread.start()
        thread.join()
        assert outcome, "a second writer is refused when its time is over"
        assert outcome[0] is not None, "and is told who holds the lock"
        try:
            engine.begin_write(60).close()
        except WriteTimeoutError:
            pass
        else:
            raise AssertionError("a thread that would wait for itself is refused")
        holder.put_many(A, {b"still": b"usable"})
    outcome.clear()
    thread = threading.Thread(target=write_from_another_thread)
    thread.start()
    thread.join()
    expect(outcome, [], "the lock is free after the commit")


def check_concurrent_increments_are_not_lost(engine: Engine) -> None:
    _fill(engine, A, {b"counter": b"0"})
    conflicts = [ConflictError] if engine.capabilities.has_many_writers else []

    def increment() -> None:
        done = 0
        while done < 25:
            with suppress(*conflicts), writing(engine, timeout_s=60) as transaction:
                transaction.put_many(A, {b"counter": b"%d" % (int(transaction.get(A, b"counter") or 0) + 1)})
                transaction.commit()
                done += 1

    threads = [threading.Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as snapshot:
        expect(snapshot.get(A, b"counter"), b"100", "every increment is there")


def check_a_sync_returns_and_changes_nothing(engine: Engine) -> None:
    _fill(engine, A, {b"a": b"1"})
    engine.sync()
    with writing(engine) as transaction:
        transaction.put_many(A, {b"b": b"2"})
        engine.sync()
    with reading(engine) as snapshot:
        expect(pairs(snapshot, A), [(b"a", b"1"), (b"b", b"2")], "a transaction that is open goes on")


# --- writes -----------------------------------------------------------------------------------------------------------


def check_insert_many_never_overwrites(engine: Engine) -> None:
    _fill(engine, A, {b"b": b"old"})
    with writing(engine) as transaction:
        transaction.put_many(A, {b"d": b"mine"})
        written = transaction.insert_many(A, {b"a": b"new", b"b": b"new", b"c": b"new", b"d": b"new"})
        expect(written, [True, False, True, False], "it says which were new")
        wanted = [(b"a", b"new"), (b"b", b"old"), (b"c", b"new"), (b"d", b"mine")]
        expect(pairs(transaction, A), wanted, "and writes only those")
    with reading(engine) as snapshot:
        expect(pairs(snapshot, A), wanted, "also once committed")


def check_deletes_may_name_absent_keys(engine: Engine) -> None:
    _fill(engine, A, {b"a": b"1", b"b": b"2"})
    with writing(engine) as transaction:
        transaction.put_many(A, {b"c": b"3"})
        transaction.delete_many(A, [b"absent", b"c", b"a", b"a"])
        expect(pairs(transaction, A), [(b"b", b"2")], "before the commit")
    with reading(engine) as snapshot:
        expect(pairs(snapshot, A), [(b"b", b"2")], "after it")


def check_clear_removes_every_key(engine: Engine) -> None:
    _fill(engine, A, _numbered(3000))
    with writing(engine) as transaction:
        transaction.put_many(A, {b"before": b""})
        transaction.clear(A)
        expect((pairs(transaction, A), transaction.count(A)), ([], 0), "nothing is left")
        transaction.put_many(A, {b"after": b"1"})
        transaction.delete_many(A, [b"k000001", b"absent"])
        expect((pairs(transaction, A), transaction.count(A)), ([(b"after", b"1")], 1), "but what came later")
    with reading(engine) as snapshot:
        expect((pairs(snapshot, A), snapshot.count(A)), ([(b"after", b"1")], 1), "also once committed")


def check_spaces_come_and_go(engine: Engine) -> None:
    names = [Space(f"space/{number}") for number in range(70)]
    with writing(engine) as transaction:
        for name in names:
            transaction.create_space(name)
            transaction.put_many(name, {b"name": name.encode()})
    with writing(engine) as transaction:
        for name in names[::2]:
            transaction.drop_space(name)
        transaction.create_space(names[0])
        expect(pairs(transaction, names[0]), [], "a space that is made again is empty")
        transaction.create_space(A)
        transaction.drop_space(A)
        there = sorted({CATALOG, *names} - set(names[2::2]))
        expect(transaction.spaces(), there, "a transaction names the spaces as it has left them")
    with reading(engine) as snapshot:
        expect(snapshot.spaces(), there, "all spaces are named, in their order")
        expect(pairs(snapshot, names[0]), [], "also once committed")
        for name in names[1::2]:
            expect(pairs(snapshot, name), [(b"name", name.encode())], "no space has another one's keys")


def check_the_generation_follows_the_catalog(engine: Engine) -> None:
    def generation() -> int:
        with reading(engine) as snapshot:
            return snapshot.generation

    seen = [generation()]
    expect(generation(), seen[0], "two snapshots of one state share it")
    _fill(engine, A, {b"a": b"1"})
    seen.append(generation())
    with writing(engine) as transaction:
        expect(transaction.generation, seen[-1], "a write transaction has that of its beginning")
        transaction.put_many(A, {b"a": b"2"})
        expect(transaction.generation, seen[-1], "and keeps it")
    expect(generation(), seen[-1], "writing to another space does not change it")
    with writing(engine) as transaction:
        transaction.put_many(CATALOG, {b"x": b"y"})
    seen.append(generation())
    with writing(engine) as transaction:
        transaction.drop_space(A)
    seen.append(generation())
    expect(len(set(seen)), 4, "each change of the catalog or the spaces gives another one")
    transaction = engine.begin_write(10)
    transaction.put_many(CATALOG, {b"z": b"z"})
    transaction.close()
    expect(generation(), seen[-1], "a rollback changes nothing")


# --- the write buffer, seen from outside ------------------------------------------------------------------------------


def check_scans_merge_what_was_written(engine: Engine) -> None:
    items = _numbered(3000)
    _fill(engine, A, items)
    changed = {b"k000000": b"first", b"k001500": b"middle", b"k0015005": b"between", b"zzz": b"last", b"a": b"ahead"}
    gone = [b"k000001", b"k002999", b"k000100"]
    wanted = {**items, **changed}
    for key in gone:
        del wanted[key]
    with writing(engine) as transaction:
        transaction.put_many(A, changed)
        transaction.delete_many(A, gone)
        _expect_same(transaction, wanted)
        transaction.put_many(A, {b"late": b"1"})  # after a scan: whatever the scan prepared must still be right
        transaction.delete_many(A, [b"a"])
        wanted[b"late"] = b"1"
        del wanted[b"a"]
        _expect_same(transaction, wanted)


def _expect_same(transaction: ReadTransaction, wanted: dict[bytes, bytes]) -> None:
    ordered = sorted(wanted.items())
    expect(pairs(transaction, A), ordered, "forwards")
    expect(pairs(transaction, A, reverse=True), ordered[::-1], "backwards")
    expect(transaction.count(A), len(wanted), "the count")
    for limit in (1, 2, 5, 2000):
        expect(pairs(transaction, A, limit=limit), ordered[:limit], f"limit={limit}")
    low, high = b"k0009", b"k001501"
    inside = [pair for pair in ordered if low <= pair[0] < high]
    expect(pairs(transaction, A, low, high), inside, "a range")
    expect(pairs(transaction, A, low, high, reverse=True), inside[::-1], "a range backwards")


def check_a_scan_does_not_see_what_is_written_while_it_runs(engine: Engine) -> None:
    _fill(engine, A, _numbered(3000))
    with writing(engine) as transaction:
        seen = 0
        for page in transaction.scan(A):
            for key, value in page:
                seen += 1
                transaction.put_many(A, {key: value + b"!", b"x" + key: value})
        expect(seen, 3000, "a loop that writes ahead of itself ends")
        expect(transaction.count(A), 6000, "and has written")


def check_savepoints_nest(engine: Engine) -> None:
    _fill(engine, A, {b"a": b"0"})
    with writing(engine) as transaction:
        transaction.put_many(A, {b"a": b"1"})
        transaction.savepoint()
        transaction.put_many(A, {b"a": b"2", b"b": b"2"})
        transaction.savepoint()
        transaction.delete_many(A, [b"a"])
        transaction.put_many(A, {b"c": b"3"})
        expect(pairs(transaction, A), [(b"b", b"2"), (b"c", b"3")], "the innermost writes are seen")
        transaction.rollback_to_savepoint()
        expect(pairs(transaction, A), [(b"a", b"2"), (b"b", b"2")], "and undone alone")
        transaction.savepoint()
        transaction.put_many(A, {b"d": b"4"})
        transaction.release()
        transaction.release()
        transaction.savepoint()
        transaction.clear(A)
        transaction.put_many(A, {b"only": b"5"})
        expect(pairs(transaction, A), [(b"only", b"5")], "a clear inside a savepoint")
        transaction.rollback_to_savepoint()
        wanted = [(b"a", b"2"), (b"b", b"2"), (b"d", b"4")]
        expect(pairs(transaction, A), wanted, "is undone too")
        transaction.savepoint()
        transaction.clear(A)
        transaction.put_many(A, {b"kept": b"6"})
        transaction.release()
        assert not transaction.is_doomed, "a small transaction can always go back"
    with reading(engine) as snapshot:
        expect(pairs(snapshot, A), [(b"kept", b"6")], "what was released is committed")


def check_spaces_obey_savepoints(engine: Engine) -> None:
    _fill(engine, A, {b"a": b"1"})
    with writing(engine) as transaction:
        transaction.savepoint()
        transaction.drop_space(A)
        transaction.create_space(B)
        transaction.rollback_to_savepoint()
        expect(transaction.spaces(), [A, CATALOG], "what was made and dropped is undone")
        expect(pairs(transaction, A), [(b"a", b"1")], "a drop is undone")
        transaction.savepoint()
        transaction.create_space(B)
        transaction.put_many(B, {b"b": b"2"})
        transaction.savepoint()
        transaction.drop_space(B)
        transaction.release()
        transaction.release()
        transaction.savepoint()
        transaction.drop_space(A)
        transaction.release()
        transaction.create_space(A)
    with reading(engine) as snapshot:
        expect(pairs(snapshot, A), [], "dropped inside a savepoint, then made again")
    with writing(engine) as transaction:
        transaction.create_space(B)
        expect(pairs(transaction, B), [], "made and dropped again: it never was")


def check_random_work_agrees_with_a_dict(engine: Engine) -> None:
    chance = random.Random(SEED)  # noqa: S311  # a test's choices, the same each time
    committed: dict[bytes, bytes] = {}
    _fill(engine, A, {})
    for _ in range(60):
        transaction = engine.begin_write(10)
        states = [dict(committed)]
        for _ in range(chance.randrange(1, 25)):
            _step(chance, transaction, states)
        if chance.random() < 0.7:
            while len(states) > 1:
                transaction.release()
                states[-2:] = [states[-1]]
            transaction.commit()
            committed = states[0]
        transaction.close()
        with reading(engine) as snapshot:
            expect(pairs(snapshot, A), sorted(committed.items()), "committed data")
            expect(snapshot.count(A), len(committed), "the count")


def _step(chance: random.Random, transaction: WriteTransaction, states: list[dict[bytes, bytes]]) -> None:
    state = states[-1]
    keys = [b"%03d" % chance.randrange(300) for _ in range(chance.randrange(1, 40))]
    match chance.randrange(9):
        case 0 | 1 | 2:
            items = {key: b"%d" % chance.randrange(1000) for key in keys}
            transaction.put_many(A, items)
            state.update(items)
        case 3 | 4:
            transaction.delete_many(A, keys)
            for key in keys:
                state.pop(key, None)
        case 5:
            low, high = sorted(chance.sample(range(310), 2))
            start, stop = b"%03d" % low, b"%03d" % high
            inside = sorted(pair for pair in state.items() if start <= pair[0] < stop)
            expect(pairs(transaction, A, start, stop), inside, "a range")
            expect(pairs(transaction, A, start, stop, reverse=True), inside[::-1], "a range backwards")
            expect(transaction.count(A), len(state), "the count")
        case 6:
            transaction.savepoint()
            states.append(dict(state))
        case 7 if len(states) > 1:
            if chance.random() < 0.5:
                transaction.release()
                states[-2:] = [states[-1]]
            else:
                transaction.rollback_to_savepoint()
                states.pop()
        case 8 if chance.random() < 0.2:
            transaction.clear(A)
            state.clear()
        case _:
            expect(transaction.get_many(A, keys), [state.get(key) for key in keys], "get_many")


CONTRACT_CHECKS: Final[tuple[Callable[[Engine], None], ...]] = (
    check_a_new_engine_has_an_empty_catalog,
    check_reads_return_what_was_written,
    check_scans_are_in_the_order_of_bytes,
    check_ranges_hold_their_start_and_not_their_stop,
    check_long_scans_are_whole_and_limits_hold,
    check_a_first_page_is_as_long_as_asked,
    check_a_scan_may_be_left_half_way,
    check_keys_and_values_may_be_large,
    check_a_snapshot_never_changes,
    check_writes_are_seen_by_their_transaction_alone,
    check_a_rollback_leaves_nothing,
    check_writers_wait_for_one_another_and_no_longer_than_said,
    check_concurrent_increments_are_not_lost,
    check_a_sync_returns_and_changes_nothing,
    check_insert_many_never_overwrites,
    check_sorted_pairs_are_written_as_any,
    check_deletes_may_name_absent_keys,
    check_clear_removes_every_key,
    check_spaces_come_and_go,
    check_the_generation_follows_the_catalog,
    check_a_state_has_a_number_of_its_own,
    check_scans_merge_what_was_written,
    check_a_scan_does_not_see_what_is_written_while_it_runs,
    check_savepoints_nest,
    check_spaces_obey_savepoints,
    check_a_recorder_is_told_what_is_committed_and_no_undone_savepoint,
    check_random_work_agrees_with_a_dict,
)
