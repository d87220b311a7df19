"""Writing back what a file has in memory in small portions, before it is flushed.

A checkpoint flushes all that the commits since the last one have changed: some 36 kB each. Flushed at once, that keeps
the disk busy for about 20 ms, and a commit that wants its record flushed meanwhile waits for all of it. In portions,
with pauses, a commit waits for one of them. Nothing is promised by it: the flush that follows waits for all that is
left, and it is the one to tell of a disk that fails.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from typing import Final

PORTION_BYTES: Final = 256 * 1024
MOST_PORTIONS: Final = 4096
"""Of a large file they are larger: to ask for one that holds nothing new takes a microsecond, too."""

SHORTEST_PAUSE_S: Final = 0.00003
"""What took no longer had nothing to write."""

_AND_WAIT: Final = 1 | 2 | 4
"""The kernel's flags: wait for what is being written, write the rest, and wait for that."""

_Function = Callable[[int, int, int, int], int]


def gently(descriptor: int, is_hurried: Callable[[], bool]) -> None:
    """Write back what has changed of a file, with a pause after each portion as long as that took.

    Returns early once it is hurried, and at once where the system knows no such call.
    """
    function = _sync_file_range()
    if function is None:
        return
    size_bytes = os.fstat(descriptor).st_size
    portion_bytes = max(PORTION_BYTES, size_bytes // MOST_PORTIONS)
    for start in range(0, size_bytes, portion_bytes):
        if is_hurried():
            return
        began = time.perf_counter()
        function(descriptor, start, portion_bytes, _AND_WAIT)
        took_s = time.perf_counter() - began
        if took_s > SHORTEST_PAUSE_S:
            time.sleep(took_s)


@cache
def _sync_file_range() -> _Function | None:
    import ctypes  # takes some ms, and whoever only reads needs none of it

    try:
        function = ctypes.CDLL(None).sync_file_range
    except AttributeError:  # only Linux has it
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    function.restype = ctypes.c_int
    result: _Function = function
    return result
