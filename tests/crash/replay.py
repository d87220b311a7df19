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
from collections.abc import Callable, Iterator
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


@dataclass(slots=True, eq=False)
class _File:
    certain: bytearray = field(default_factory=bytearray)
    uncertain: list[_Write] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Folder:
    """What is in it by name: as programs see it, and as it lasts. A folder made anew in its place is another one."""

    seen: _Names = field(default_factory=dict)
    lasting: _Names = field(default_factory=dict)


_Names = dict[str, _File | _Folder]


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """Of names: ``what`` is taken away under the one that it had, and given the other, where there is one."""

    what: _File | _Folder
    source: tuple[_Folder, str] | None
    target: tuple[_Folder, str] | None

    @property
    def folder(self) -> _Folder:
        """The folder with whose flush the change lasts."""
        place = self.target or self.source
        assert place is not None, "a change takes or gives a name"
        return place[0]

    def do(self, names_of: Callable[[_Folder], _Names]) -> None:
        """Do it, as far as what it changes is there."""
        if self.source is not None:
            folder, name = self.source
            is_there = names_of(folder).pop(name, None) is not None
            if not is_there:
                return
        if self.target is not None:
            folder, name = self.target
            names_of(folder)[name] = self.what


class Disk:
    """The disk under one folder, from when it was empty."""

    def __init__(self, root: Path, root_inode: int, *, ignores_flushes: bool = False) -> None:
        """``ignores_flushes`` is the negative control: a disk that lies, and flushes nothing when told to."""
        self._path = str(root)
        self._root = _Folder()
        self._ignores_flushes = ignores_flushes
        self._files: dict[int, _File] = {}  # by inode, which is used again when they are gone
        self._folders: dict[int, _Folder] = {root_inode: self._root}
        self._changes: list[_Change] = []  # that do not last yet, in their order

    def adopt(self) -> None:
        """Take what is in the real folder for what is surely on this disk, before anything is done to it."""
        for path in sorted(Path(self._path).rglob("*")):
            what = _Folder() if path.is_dir() else _File(bytearray(path.read_bytes()))
            if isinstance(what, _Folder):
                self._folders[path.stat().st_ino] = what
            else:
                self._files[path.stat().st_ino] = what
            place = self._place(str(path))
            assert place is not None, "it has a name"
            place[0].seen[place[1]] = place[0].lasting[place[1]] = what

    def do(self, event: Event) -> None:
        """Follow an event that is being done: a write may still be torn, even if it does not return before it lasts."""
        match event.kind:
            case "create":
                self._folders.pop(event.inode, None)
                self._files[event.inode] = file = _File()
                self._change(file, None, event.path)
            case "mkdir":
                self._folders[event.inode] = folder = _Folder()
                self._change(folder, None, event.path)
            case "rename":
                self._change(self._at(event.path), event.path, event.target)
            case "link":
                self._change(self._at(event.path), None, event.target)
            case "unlink" | "rmdir":
                self._change(self._at(event.path), event.path, None)
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

    def _at(self, path: str) -> _File | _Folder:
        place: _File | _Folder = self._root
        for name in path.removeprefix(self._path).split("/")[1:]:
            assert isinstance(place, _Folder), f"what is in a file? {path}"
            place = place.seen[name]
        return place

    def _place(self, path: str | None) -> tuple[_Folder, str] | None:
        if path is None:
            return None
        parent, _, name = path.rpartition("/")
        folder = self._at(parent)
        assert isinstance(folder, _Folder), f"what is in a file? {path}"
        return folder, name

    def _change(self, what: _File | _Folder, source: str | None, target: str | None) -> None:
        change = _Change(what, self._place(source), self._place(target))
        change.do(lambda folder: folder.seen)
        self._changes.append(change)

    def _flush(self, inode: int) -> None:
        if inode in self._folders:
            folder = self._folders[inode]
            for change in self._changes:
                if change.folder is folder:
                    change.do(lambda folder: folder.lasting)
            self._changes = [change for change in self._changes if change.folder is not folder]
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
        names: dict[_Folder, _Names] = {}

        def names_of(folder: _Folder) -> _Names:
            return names.setdefault(folder, dict(folder.lasting))

        for change in self._changes:
            if draw.random() < kept_names:
                change.do(names_of)
        contents: dict[_File, bytes] = {}  # a file has one, under however many names
        image: Image = {}
        below = [(self._path, self._root)]
        while below:
            parent, folder = below.pop()
            for name, what in sorted(names_of(folder).items()):
                path = f"{parent}/{name}"
                if isinstance(what, _Folder):
                    image[path] = None
                    below.append((path, what))
                else:
                    if what not in contents:
                        contents[what] = self._content(what, draw, kept_share)
                    image[path] = contents[what]
        return image

    def _content(self, file: _File, draw: random.Random, kept_share: float) -> bytes:
        if not file.uncertain:
            return bytes(file.certain)
        content = bytearray(file.certain)
        _write_all(content, (piece for write in file.uncertain for piece in _survivors(write, draw, kept_share)))
        return bytes(content)


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


def lay_out(image: Image, root: Path, folder: Path) -> None:
    """Make the files of an image of ``root`` in another folder."""
    for path, content in image.items():
        place = folder / Path(path).relative_to(root)
        if content is None:
            place.mkdir()
        else:
            place.write_bytes(content)
