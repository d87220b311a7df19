"""The shim of ``shim.c``, seen from Python: how it is built, put under a program, and told what to do from inside.

A program is *under the shim* if it was started with ``environment(library)``; only there ``Shim`` can be made.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import minidb

REPOSITORY = Path(__file__).parents[2]
SOURCE = Path(minidb.__file__).parents[1]
"""The folder from which minidb is imported: ``src``, or ``site-packages`` where it is installed."""

FAST_FOLDER: Final = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # folders made there are private
"""Where files live in memory; None where there is no such place. What is tested here does not depend on a real disk."""

KILL: Final = -1
SHORT: Final = -2
"""Actions beside the errors: the process dies before the call; half of the first piece is written."""

_KINDS: Final = ("write", "flush")


def build(folder: Path) -> Path:
    """Compile the shim and return the library. Raises ``FileNotFoundError`` where there is no C compiler."""
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-shared"]
    subprocess.run(["cc", *flags, "-o", library, source, "-ldl", "-lpthread"], check=True, timeout=120)
    return library


def environment(library: Path | None = None) -> dict[str, str]:
    """Return the environment of a program of these tests, under the shim or not."""
    preload = {} if library is None else {"LD_PRELOAD": str(library)}
    return {**os.environ, "PYTHONPATH": str(SOURCE), **preload}


class Shim:
    """The shim of this process, watching one folder. Safe from any thread."""

    def __init__(self, folder: Path, trace: Path | None = None) -> None:
        """Begin to watch, and with a ``trace`` to record. Raises ``AttributeError`` in a process not under the shim."""
        self._library = ctypes.CDLL(None)
        self._mark = self._library.shim_mark
        self._mark.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
        self._library.shim_fault.argtypes = (ctypes.c_int, ctypes.c_long, ctypes.c_long, ctypes.c_int)
        self._library.shim_calls.restype = ctypes.c_long
        self._library.shim_room.argtypes = (ctypes.c_long,)
        self._library.shim_watch(
            os.fsencode(folder.absolute()), b"" if trace is None else os.fsencode(trace.absolute())
        )

    def mark(self, entry: dict[str, object]) -> None:
        """Write an entry of a ledger into the trace, at the place that it has among the calls."""
        text = json.dumps(entry).encode()
        self._mark(text, len(text))

    @contextmanager
    def fault(self, kind: Literal["write", "flush"], first: int, action: int, *, count: int = 1) -> Iterator[None]:
        """Let ``count`` calls meet an action, from the ``first`` one on, counted from now and from 1.

        ``action`` is an errno, ``KILL`` or ``SHORT``.
        """
        number = _KINDS.index(kind)
        self._library.shim_fault(number, first, first + count, action)
        try:
            yield
        finally:
            self._library.shim_fault(number, 0, 0, 0)

    def fault_from_now(self, kind: Literal["write", "flush"], first: int, action: int) -> None:
        """Let the call with this number, counted from now and from 1, meet an action. It may be long until then."""
        self._library.shim_fault(_KINDS.index(kind), first, first + 1, action)

    def kill(self) -> None:
        """Die, as by ``kill -9``, where no other thread is in the middle of a call that is recorded."""
        self._library.shim_kill()

    def calls(self, kind: Literal["write", "flush"]) -> int:
        """Return the number of calls since the last fault began or ended."""
        return int(self._library.shim_calls(_KINDS.index(kind)))

    def limit_room(self, size_bytes: int | None) -> None:
        """Let the files grow by so many bytes together from now on, as on a nearly full disk. None: no limit."""
        self._library.shim_room(-1 if size_bytes is None else size_bytes)
