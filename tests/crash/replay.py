"""What a disk may hold after a power failure, at any point of a trace.

The rules are POSIX's own, which are stricter than any file system: what was not flushed may be there or not, each
512-byte sector by itself; a name (made, moved or removed) lasts only once its folder was flushed, whatever was flushed
of the file itself. Two things are taken as given: a sector is written whole, as LMDB itself takes it, and a rename is
done or not, but never half.

``Disk`` follows the trace. After each event ``images`` yields what may be left: all that was not flushed is lost, all
of it is there, or any part of it, drawn at random.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.trace import Event

SECTOR_BYTES = 512

Image = dict[str, bytes | None]
"""The content of each file by its path; None for a folder. Parents stand before what is in them."""


@dataclass(slots=True)
class _Write:
    """A write, or for no data a truncation to ``offset``, that was not flushed with its file."""

    offset: int
    data: bytes | None
    has_landed: bool = False
    """Written with O_DSYNC, which has returned: it is there, though what was written before it need not be."""


@dataclass(slots=True)
class _File:
    certain: bytearray = field(default_factory=bytearray)
    uncertain: list[_Write] = field(default_factory=list)


class Disk:
    """The disk under one folder, from when it was empty."""

    def __init__(self, root: Path, root_inode: int, *, ignores_flushes: bool = False) -> None:
        """``ignores_flushes`` is the negative control: a disk that lies, and flushes nothing when told to."""
        self._root = str(root)
        self._ignores_flushes = ignores_flushes
        self._files: dict[int, _File] = {}
        self._folders: dict[int, str] = {root_inode: self._root}
        self._names: dict[str, int | None] = {}  # those that last; None for a folder
        self._changes: list[Event] = []  # of names that do not last yet, in their order

    def do(self, event: Event) -> None:
        """Follow an event that is being done: a write may still be torn, even if it does not return before it lasts."""
        if event.kind == "rename" and event.path in self._folders.values():
            raise ValueError(f"what becomes of a renamed folder is not modelled: {event.path}")
        match event.kind:
            case "create":
                self._files[event.inode] = _File()
                self._changes.append(event)
            case "mkdir":
                self._folders[event.inode] = event.path
                self._changes.append(event)
            case "rename" | "unlink" | "rmdir":
                self._changes.append(event)
            case "write":
                self._files[event.inode].uncertain.append(_Write(event.offset, event.data))
            case "truncate":
                self._files[event.inode].uncertain.append(_Write(event.offset, None))
            case "flush" if not self._ignores_flushes:
                self._flush(event.inode)

    def land(self, event: Event) -> None:
        """Follow the return of the call of which ``do`` was told last."""
        if event.is_synced and not self._ignores_flushes:
            self._files[event.inode].uncertain[-1].has_landed = True

    def _flush(self, inode: int) -> None:
        if inode in self._folders:
            folder = self._folders[inode]
            lasting = [change for change in self._changes if _parent(change.target or change.path) == folder]
            self._changes = [change for change in self._changes if change not in lasting]
            for change in lasting:
                _rename(self._names, change)
        else:
            file = self._files[inode]
            _write_all(file.certain, file.uncertain)
            file.uncertain.clear()

    @property
    def is_certain(self) -> bool:
        """Whether there is only one thing that it can hold."""
        return not self._changes and not any(file.uncertain for file in self._files.values())

    def images(self, draw: random.Random, variants: int) -> Iterator[Image]:
        """Yield what may be there if the power fails now: two extremes and ``variants`` drawn ones."""
        yield self._image(draw, 0, 0)
        if not self.is_certain:
            yield self._image(draw, 1, 1)
            for _ in range(variants):
                yield self._image(draw, draw.choice((0, 0.1, 0.5, 0.9, 1)), draw.choice((0, 0.5, 1, 1)))

    def _image(self, draw: random.Random, kept_share: float, kept_names: float) -> Image:
        names = dict(self._names)
        for change in self._changes:
            if draw.random() < kept_names:
                _rename(names, change)
        image: Image = {}
        for path in sorted(names):
            parent = _parent(path)
            if parent != self._root and parent not in image:
                continue  # its folder's own name is lost, and with it all that is below
            inode = names[path]
            image[path] = None if inode is None else self._content(self._files[inode], draw, kept_share)
        return image

    def _content(self, file: _File, draw: random.Random, kept_share: float) -> bytes:
        if not file.uncertain:
            return bytes(file.certain)
        content = bytearray(file.certain)
        _write_all(content, (piece for write in file.uncertain for piece in _survivors(write, draw, kept_share)))
        return bytes(content)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _survivors(write: _Write, draw: random.Random, kept_share: float) -> Iterator[_Write]:
    """Yield what is left of a write: all, nothing, or some of its sectors."""
    if write.has_landed or kept_share == 1:
        yield write
    elif kept_share == 0:
        return
    elif write.data is None or draw.random() < 0.5:  # half of them are not torn
        if draw.random() < kept_share:
            yield write
    else:
        end = write.offset + len(write.data)
        start = write.offset
        while start < end:
            stop = min(end, start - start % SECTOR_BYTES + SECTOR_BYTES)
            if draw.random() < kept_share:
                yield _Write(start, write.data[start - write.offset : stop - write.offset])
            start = stop


def _write_all(content: bytearray, writes: Iterator[_Write] | list[_Write]) -> None:
    for write in writes:
        if len(content) < write.offset:
            content.extend(bytes(write.offset - len(content)))
        if write.data is None:
            del content[write.offset :]
        else:
            content[write.offset : write.offset + len(write.data)] = write.data


def _rename(names: dict[str, int | None], change: Event) -> None:
    """Do a change of names, as far as what it changes is there."""
    match change.kind:
        case "create":
            names[change.path] = change.inode
        case "mkdir":
            names[change.path] = None
        case "rename" if change.path in names:
            names[change.target] = names.pop(change.path)
        case "unlink" | "rmdir":
            names.pop(change.path, None)


def lay_out(image: Image, root: Path, folder: Path) -> None:
    """Make the files of an image of ``root`` in another folder."""
    for path, content in image.items():
        place = folder / Path(path).relative_to(root)
        if content is None:
            place.mkdir()
        else:
            place.write_bytes(content)
