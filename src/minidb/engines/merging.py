"""Merging what a write transaction has changed into what it reads, for ``write_buffer``."""

from __future__ import annotations

from collections.abc import Iterator

from minidb.engines.port import Pair


def merge(pages: Iterator[list[Pair]], overlay: list[tuple[bytes, bytes | None]], *, reverse: bool) -> Iterator[Pair]:
    """Merge buffered changes, which win, into pairs of the same order."""
    place = 0
    for page in pages:
        for pair in page:
            key = pair[0]
            while place < len(overlay) and (overlay[place][0] > key if reverse else overlay[place][0] < key):
                changed, value = overlay[place]
                if value is not None:
                    yield changed, value
                place += 1
            if place < len(overlay) and overlay[place][0] == key:
                value = overlay[place][1]
                place += 1
                if value is not None:
                    yield key, value
            else:
                yield pair
    for changed, value in overlay[place:]:
        if value is not None:
            yield changed, value
