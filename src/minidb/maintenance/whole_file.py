"""A file that gets its name only when it is whole: written beside it, flushed, and moved as the last step."""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from minidb.exceptions import BackupError

_BUFFER_BYTES: Final = 64 * 1024
"""For short writes; a longer one goes to the file without being copied."""

_BLOCK_BYTES: Final = 512 * 1024
"""Written at a time, while the next ones are made."""

_PART: Final = ".part"
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


class WholeFile:
    """A file being written, mode 0600. Leaving its block without ``finish`` leaves nothing of it.

    What stands at its name is replaced, itself and not what it may be a link to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}{_PART}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self._part, flags, 0o600)
            os.fchmod(descriptor, 0o600)  # whatever the umask
        except OSError as error:
            raise cannot_write(path, error) from error
        self.file = os.fdopen(descriptor, "w+b", buffering=_BUFFER_BYTES)
        self._pending: _Beside | None = None
        self._unsent: list[bytes] = []
        self._unsent_bytes = self._written_bytes = 0
        self._is_flushed = False

    def write(self, data: bytes) -> None:
        """Write; another thread does it, a block after the other, while the caller makes the next one."""
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        if self._unsent_bytes >= _BLOCK_BYTES:
            self._send()

    def _send(self) -> None:
        self._wait()
        data, self._unsent, self._unsent_bytes = self._unsent, [], 0
        self._begin(partial(self._write_block, data))

    def _begin(self, call: Callable[[], None]) -> None:
        self._pending = _Beside(call)
        self._pending.begin()

    def _wait(self) -> None:
        """Wait for what the other thread does, and raise what it raised."""
        if self._pending is not None:
            self._pending.wait()  # where a signal's handler raises, it is still waited for by the end
            pending, self._pending = self._pending, None
            if pending.error is not None:
                raise pending.error

    def _write_block(self, data: list[bytes]) -> None:
        for some in data:
            self.file.write(some)
        self.file.flush()
        if hasattr(os, "posix_fadvise"):
            begin, self._written_bytes = self._written_bytes, self.file.tell()
            # The host begins to put on disk what is there, so that less is left to the flush. As Linux does it, this
            # waits for nothing, and keeps what is not on disk yet.
            os.posix_fadvise(self.file.fileno(), begin, self._written_bytes - begin, os.POSIX_FADV_DONTNEED)

    def flush(self) -> None:
        """Make what has been written survive a power failure."""
        self.file.flush()
        os.fsync(self.file.fileno())

    @contextmanager
    def flushing(self) -> Iterator[Callable[[int], bytes]]:
        """Flush while the block runs, and yield what reads the file from its beginning. Nothing is written any more."""
        self._send()
        self._wait()
        self._begin(self.flush)
        descriptor, position = self.file.fileno(), 0

        def read(size: int) -> bytes:
            nonlocal position
            data = os.pread(descriptor, size, position)
            position += len(data)
            return data

        yield read
        self._wait()
        self._is_flushed = True

    def finish(self, *, may_replace: bool = True) -> bool:
        """Flush, and give the file its name. Without ``may_replace``, return False where something has it."""
        if not self._is_flushed:
            self._send()
            self._wait()
            self.flush()
        if not may_replace:
            try:
                os.link(self._part, self.path)
                self._part.unlink()
            except FileExistsError:
                return False
            except OSError as error:  # a file system without links, where nothing better can be had
                if error.errno not in _NO_LINKS or os.path.lexists(self.path):
                    raise
                may_replace = True
        if may_replace:
            self._part.replace(self.path)
        flush_folder(self.path.parent)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pending is not None:
            self._pending.wait()
        try:
            self.file.close()
        except OSError:  # a full disk again, for what is still in the buffer of a file that is given up
            if error is None:
                raise
        finally:
            self._part.unlink(missing_ok=True)


class _Beside:
    """A call that runs in a thread of its own.

    Where none can be had, whoever begins it runs it: from some moment of a program's end on, which is when a backup may
    be made last of all, no version of Python lets a pool take work, and some of them no thread begin.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        self._call = call
        self._is_over = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="minidb-file")

    def begin(self) -> None:
        try:
            self._thread.start()
        except RuntimeError:
            self._run()

    def _run(self) -> None:
        with self._lock:
            if self._is_over:
                return
            try:
                self._call()
            except BaseException as error:  # noqa: BLE001  # whoever waits raises it
                self.error = error

    def wait(self) -> None:
        """Return when it has run, or will not, as a signal's handler has raised while it began. May be called again."""
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._is_over = True


def flush_folder(path: Path) -> None:
    """Make the names in a folder survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path | None, error: OSError) -> BackupError:
    """Return the error for a file that the host does not let us write."""
    where = "" if path is None else f": {path}"
    return BackupError(
        f"The file cannot be written{where}: {error.strerror or type(error).__name__}",
        hint="nothing is left of it; see that there is room and that the folder may be written",
        path=None if path is None else str(path),
    )
