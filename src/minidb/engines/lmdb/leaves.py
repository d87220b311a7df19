"""The pairs of a space in the form in which LMDB's leaf pages hold them: a copy of bytes, and no object for each pair.

To ask LMDB for pair after pair takes 130 ns each; a page of some 70 takes 1,300. The tree is walked here, down from the
root that LMDB itself names, and only below a snapshot: while it lasts, no page that it reaches is written again. What
is read, LMDB has written to the file, whether the disk has it or not.

    page   := number(8) unused(2) flags(2) lower(2) upper(2) offset(2)* gap node*
    node   := low(2) middle(2) high(2) key_bytes(2) key value?       at each offset, in the order of the keys
    record := page_bytes(4) flags(2) depth(2) branch(8) leaf(8) overflow(8) entries(8) root(8)    of a named database

Offsets end at ``lower``, nodes begin at ``upper``. In a branch, low, middle and high are the number of a page; in a
leaf, low and middle are the bytes of the value. The gap is cut out: it may have remains of what was deleted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from struct import Struct, unpack_from
from typing import Final, NamedTuple

from minidb.engines.lmdb.commit_log.meta_pages import IS_SUPPORTED
from minidb.exceptions import CorruptionError

_IS_SUPPORTED: Final = IS_SUPPORTED and sys.byteorder == "little"
"""Whether this machine lays pages out as above, and as ``encoding.pairs`` reads them."""

_RECORD: Final = Struct("<IHHQQQQQ")
_PAGE_HEAD: Final = Struct("<QHHHH")
_PAGE_BYTES: Final = Struct("<I")
_BRANCH_NODE: Final = Struct("<IH")
_BRANCH, _LEAF = 0x01, 0x02
_MOST_LEVELS: Final = 32
"""LMDB itself goes no deeper."""

_PACKED_BYTES: Final = 128 * 1024
"""Read and packed at a time: what is longer takes memory anew from the host each time, and twice as long."""

_NEAR_PAGES: Final = 8
"""To read a page too many takes less than one call more."""


class Tree(NamedTuple):
    """Where the pairs of a space are."""

    page_bytes: int
    depth: int
    root: int


def tree_of(record: bytes | None, page_bytes: int) -> Tree | None:
    """Return what the record of a named database says; None where there is more than leaves, as for long values."""
    if not _IS_SUPPORTED or record is None or len(record) != _RECORD.size:
        return None
    _, flags, depth, _, _, overflow_pages, _, root = _RECORD.unpack(record)
    return None if flags or overflow_pages or depth > _MOST_LEVELS else Tree(page_bytes, depth, root)


def packed(descriptor: int, tree: Tree) -> Iterator[tuple[int, bytes]]:
    """Yield all pairs, some at a time: how many, and they. Raises ``CorruptionError`` and ``OSError``."""
    size, head_bytes = tree.page_bytes, _PAGE_HEAD.size
    leaves = _leaves(descriptor, tree, [tree.root], tree.depth)
    while some := list(islice(leaves, _PACKED_BYTES // size)):
        parts: list[bytes | memoryview] = [_PAGE_BYTES.pack(size)]
        count = 0
        for data, places in _read(descriptor, tree, some, _LEAF):
            begin = end = 0
            for at, lower, upper in places:
                count += (lower - head_bytes) >> 1
                if at != end:
                    parts.append(data[begin:end])
                    begin = at
                # From a page's nodes to the next one's offsets is one piece: half as many as two of each page.
                parts.append(data[begin : at + lower])
                begin, end = at + upper, at + size
            parts.append(data[begin:end])
        yield count, b"".join(parts)


def _leaves(descriptor: int, tree: Tree, numbers: Sequence[int], depth: int) -> Iterator[int]:
    """Yield the numbers of the leaf pages below some pages, in the order of their keys."""
    if depth < 2:
        yield from numbers if depth else ()
        return
    head_bytes, unpack = _PAGE_HEAD.size, _BRANCH_NODE.unpack_from
    for data, places in _read(descriptor, tree, numbers, _BRANCH):
        for at, lower, _ in places:
            offsets = unpack_from(f"<{(lower - head_bytes) >> 1}H", data, at + head_bytes)
            if max(offsets) > tree.page_bytes - _BRANCH_NODE.size:
                raise _damage()
            nodes = [unpack(data, at + offset) for offset in offsets]
            yield from _leaves(descriptor, tree, [low | high << 32 for low, high in nodes], depth - 1)


def _read(
    descriptor: int, tree: Tree, numbers: Sequence[int], kind: int
) -> Iterator[tuple[memoryview, list[tuple[int, int, int]]]]:
    """Yield bytes with some of the pages in them; of each, where it begins, and its lower and upper bound."""
    size, head_bytes, unpack = tree.page_bytes, _PAGE_HEAD.size, _PAGE_HEAD.unpack_from
    for run in _runs(numbers, _PACKED_BYTES // size):
        first = run[0]
        try:
            data = os.pread(descriptor, (run[-1] + 1 - first) * size, first * size)
        except OverflowError:  # the number of a page has eight bytes
            raise _damage() from None
        if len(data) < (run[-1] + 1 - first) * size:
            raise _damage()
        places = []
        for number in run:
            at = (number - first) * size
            found, _, flags, lower, upper = unpack(data, at)
            if found != number or flags != kind or lower & 1 or not head_bytes < lower <= upper <= size:
                raise _damage()
            places.append((at, lower, upper))
        yield memoryview(data), places


def _runs(numbers: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """Yield the numbers in parts, each of pages that are read by one call: over no more than ``most`` pages."""
    begin = 0
    for place in range(1, len(numbers) + 1):
        if (
            place == len(numbers)
            or not 0 < numbers[place] - numbers[place - 1] <= _NEAR_PAGES
            or numbers[place] - numbers[begin] >= most
        ):
            yield numbers[begin:place]
            begin = place


def _damage() -> CorruptionError:
    return CorruptionError("A page of the data file is damaged", hint="stop writing and restore a backup")
