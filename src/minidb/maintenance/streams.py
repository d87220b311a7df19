"""Where a dump or a backup goes to and comes from: a path, or a file object that the caller opened."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from minidb.exceptions import BackupError, InvalidOptionError
from minidb.maintenance.whole_file import WholeFile, cannot_write

Target = str | os.PathLike[str] | BinaryIO | TextIO
"""A path, or a file object: binary, or for a dump text too."""

Source = Target

Write = Callable[[bytes], object]
Read = Callable[[int], bytes]


def is_path(place: object) -> bool:
    """Tell a path from a file object."""
    return isinstance(place, str | os.PathLike)


def as_path(place: object) -> Path:
    """Return a path, absolute. Raises ``InvalidOptionError``."""
    text = os.fspath(cast("str | os.PathLike[str]", place))
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidOptionError("The path of a file must be text, not empty, without NUL", option="path")
    return Path(text).expanduser().absolute()


@contextmanager
def writing(target: Target) -> Iterator[Write]:
    """Yield what writes bytes to a target. A path has its file when the block has ended well, and not before."""
    try:
        if is_path(target):
            with WholeFile(as_path(target)) as file:
                yield file.write
                file.finish()
        else:
            yield writer_of(target)
            flush(target)
    except OSError as error:
        raise cannot_write(as_path(target) if is_path(target) else None, error) from error


def writer_of(target: Any, *, may_be_text: bool = True) -> Write:  # Any: a file object of whatever class
    """Return what writes all of some bytes to a file object."""
    if isinstance(target, io.TextIOBase):
        if not may_be_text:
            raise InvalidOptionError("The target must be a binary file object, not a text file", option="target")
        return lambda data: target.write(data.decode("utf-8"))
    if not hasattr(target, "write"):
        raise InvalidOptionError("The target must be a path or a file object that can be written", option="target")

    def write(data: bytes) -> None:
        remaining = memoryview(data)
        while remaining:
            written = target.write(remaining)
            if not isinstance(written, int) or written >= len(remaining):
                return
            remaining = remaining[written:]  # as an unbuffered file does that is interrupted

    return write


def flush(target: Any) -> None:  # Any: as above
    """Hand on what a file object has in its buffer."""
    if hasattr(target, "flush"):
        target.flush()


@contextmanager
def opened(source: Source) -> Iterator[Any]:  # Any: as above
    """Yield the file object of a source, opening and closing it where it is a path."""
    if not is_path(source):
        if not hasattr(source, "read"):
            raise InvalidOptionError("The source must be a path or a file object that can be read", option="source")
        yield source
        return
    path = as_path(source)
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupError(f"The file cannot be read: {path}: {error.strerror}", path=str(path)) from error
    with file:
        yield file


def name_of(source: Source) -> str | None:
    """Return the path of a source, for errors; None for a file object."""
    return str(as_path(source)) if is_path(source) else None
