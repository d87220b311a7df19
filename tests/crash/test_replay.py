"""What a disk may hold after a power failure, in small traces whose outcomes can be listed."""

from __future__ import annotations

import random
from pathlib import Path

from tests.crash.replay import SECTOR_BYTES, Disk, Image, lay_out
from tests.crash.trace import Event

ROOT = Path("/root")
ROOT_INODE = 1
FILE = "/root/file"

CREATE = Event("create", inode=2, path=FILE)
FLUSH = Event("flush", inode=2)
FLUSH_ROOT = Event("flush", inode=ROOT_INODE)


def write(data: bytes, offset: int = 0, *, is_synced: bool = False) -> Event:
    return Event("write", inode=2, offset=offset, data=data, is_synced=is_synced)


def disk_after(*events: Event, ignores_flushes: bool = False) -> Disk:
    disk = Disk(ROOT, ROOT_INODE, ignores_flushes=ignores_flushes)
    for event in events:
        disk.do(event)
        disk.land(event)
    return disk


def outcomes(disk: Disk) -> set[bytes | None]:
    """Return what may be in the file; None: no file."""
    return {image.get(FILE) for image in disk.images(random.Random(1), 300)}


def test_what_was_flushed_with_its_name_is_there() -> None:
    disk = disk_after(CREATE, write(b"abc"), FLUSH, FLUSH_ROOT)
    assert disk.is_certain
    assert outcomes(disk) == {b"abc"}


def test_a_flushed_file_whose_name_was_not_flushed_may_be_gone() -> None:
    assert outcomes(disk_after(CREATE, write(b"abc"), FLUSH)) == {b"abc", None}


def test_a_write_that_was_not_flushed_may_be_gone() -> None:
    disk = disk_after(CREATE, write(b"abc"), FLUSH, FLUSH_ROOT, write(b"xy"))
    assert outcomes(disk) == {b"abc", b"xyc"}


def test_writes_that_were_not_flushed_need_not_keep_their_order() -> None:
    disk = disk_after(CREATE, FLUSH, FLUSH_ROOT, write(b"a"), write(b"b", 1))
    assert outcomes(disk) == {b"", b"a", b"\0b", b"ab"}


def test_a_write_may_be_torn_between_sectors_and_nowhere_else() -> None:
    old, new = b"o" * 2 * SECTOR_BYTES, b"n" * 2 * SECTOR_BYTES
    disk = disk_after(CREATE, write(old), FLUSH, FLUSH_ROOT, write(new))
    half_old, half_new = old[:SECTOR_BYTES], new[:SECTOR_BYTES]
    assert outcomes(disk) == {old, new, half_old + half_new, half_new + half_old}


def test_a_synced_write_lasts_when_it_has_returned_and_not_before() -> None:
    disk = disk_after(CREATE, write(b"a"), FLUSH, FLUSH_ROOT)
    event = write(b"b", is_synced=True)
    disk.do(event)
    assert outcomes(disk) == {b"a", b"b"}
    disk.land(event)
    assert outcomes(disk) == {b"b"}


def test_a_synced_write_takes_no_earlier_one_with_it() -> None:
    disk = disk_after(CREATE, FLUSH, FLUSH_ROOT, write(b"a"), write(b"b", 1, is_synced=True))
    assert outcomes(disk) == {b"\0b", b"ab"}


def test_a_truncation_that_was_not_flushed_may_be_gone() -> None:
    disk = disk_after(CREATE, write(b"abc"), FLUSH, FLUSH_ROOT, Event("truncate", inode=2, offset=1))
    assert outcomes(disk) == {b"abc", b"a"}


def test_a_rename_lasts_once_its_folder_is_flushed_and_is_never_half() -> None:
    made = (Event("create", inode=2, path="/root/new"), write(b"abc"), FLUSH, FLUSH_ROOT)
    rename = Event("rename", path="/root/new", target=FILE)
    names = {tuple(image) for image in disk_after(*made, rename).images(random.Random(1), 50)}
    assert names == {("/root/new",), (FILE,)}
    assert outcomes(disk_after(*made, rename, FLUSH_ROOT)) == {b"abc"}


def test_what_is_in_a_folder_is_gone_with_the_folders_name() -> None:
    folder = Event("mkdir", inode=3, path="/root/folder")
    file = Event("create", inode=2, path="/root/folder/file")
    flushed = (folder, file, write(b"abc"), FLUSH, Event("flush", inode=3))
    images: list[Image] = list(disk_after(*flushed).images(random.Random(1), 50))
    assert {} in images
    assert {"/root/folder": None, "/root/folder/file": b"abc"} in images
    assert list(disk_after(*flushed, FLUSH_ROOT).images(random.Random(1), 50)) == [images[1]]


def test_a_disk_that_lies_flushes_nothing() -> None:
    disk = disk_after(CREATE, write(b"a", is_synced=True), FLUSH, FLUSH_ROOT, ignores_flushes=True)
    assert outcomes(disk) == {None, b"", b"a"}


def test_a_renamed_folder_takes_along_what_is_in_it() -> None:
    folder = (Event("mkdir", inode=3, path="/root/a"), Event("create", inode=2, path="/root/a/file"))
    made = (*folder, write(b"abc"), FLUSH, Event("flush", inode=3), FLUSH_ROOT)
    rename = Event("rename", path="/root/a", target="/root/b")
    names = {tuple(image) for image in disk_after(*made, rename).images(random.Random(1), 50)}
    assert names == {("/root/a", "/root/a/file"), ("/root/b", "/root/b/file")}


def test_a_folder_made_anew_has_nothing_of_the_one_before() -> None:
    made = (Event("mkdir", inode=3, path="/root/a"), Event("create", inode=2, path="/root/a/old"))
    lasting = (*made, Event("flush", inode=3), FLUSH_ROOT)
    removed = (Event("unlink", path="/root/a/old"), Event("rmdir", path="/root/a"))
    disk = disk_after(*lasting, *removed, Event("mkdir", inode=4, path="/root/a"), FLUSH_ROOT)
    assert next(iter(disk.images(random.Random(1), 0))) == {"/root/a": None}


def test_a_file_has_its_old_content_under_its_old_name_also_when_its_inode_is_used_again() -> None:
    old = (
        Event("create", inode=2, path="/root/old"),
        write(b"abc"),
        FLUSH,
        FLUSH_ROOT,
        Event("unlink", path="/root/old"),
    )
    disk = disk_after(*old, CREATE, write(b"xyz"), FLUSH)
    assert {image.get("/root/old") for image in disk.images(random.Random(1), 50)} == {b"abc", None}


def test_a_link_lasts_once_its_folder_is_flushed() -> None:
    made = (Event("create", inode=2, path="/root/new"), write(b"abc"), FLUSH, FLUSH_ROOT)
    moved = (Event("link", path="/root/new", target=FILE), Event("unlink", path="/root/new"))
    names = {tuple(image) for image in disk_after(*made, *moved).images(random.Random(1), 50)}
    assert names == {("/root/file", "/root/new"), ("/root/file",), ("/root/new",), ()}
    assert outcomes(disk_after(*made, *moved, FLUSH_ROOT)) == {b"abc"}


def test_an_image_is_laid_out_as_files(tmp_path: Path) -> None:
    lay_out({"/root/folder": None, "/root/folder/file": b"abc"}, ROOT, tmp_path)
    assert (tmp_path / "folder" / "file").read_bytes() == b"abc"
