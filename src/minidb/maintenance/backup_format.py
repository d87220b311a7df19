"""The bytes of a backup: what one snapshot holds, in frames that each have a checksum.

    backup  := magic header (space (pairs | packed)*)* end
    magic   := 89 "MiniDB" 0d 0a 1a 0a                 a transfer as text would change it
    header, space, pairs, packed, end := frame
    frame   := kind length checksum body
    kind    := "H" | "S" | "P" | "Q" | "E"             1 byte
    length  := 4 bytes, unsigned, little endian        of the body
    checksum := CRC-32 of kind, length and body; 4 bytes, little endian

    header  := JSON                                    see ``manifest``
    space   := UTF-8                                   the name of the space whose pairs follow
    pairs   := msgpack                                 as in ``encoding.pairs``, keys rising through all of a space
    packed  := pages                                   the same in another form, as in ``encoding.pairs``
    end     := SHA-256 of kind, length and checksum of all frames before, which stand for the bodies

The spaces follow in the order of the header, each with just as many pairs as it says, and nothing follows the end. The
whole may be compressed by gzip, which a reader sees by its first bytes.

The spaces are the catalog, and those of rows, mappings and ids given out; in an increment it is the history alone, the
records of the commits since an earlier backup (see ``tables.history``). Index entries are not in it: a restore makes
them of the rows, so that none can be wrong. Whatever form pairs have, a restore reads them here, and hands no byte of a
page to an engine. So a backup of one engine is restored into any, and a hostile one can do no more than have the wrong
keys and values: every frame is checked before it is used, and what is restored is verified.

Format 1 is this one without ``packed``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from operator import lt
from struct import Struct
from typing import Final
from zlib import crc32

from minidb.encoding.pairs import ONE_PAIR, decode_pairs, encode_pairs, unpack_pairs
from minidb.engines.port import Pair, Space
from minidb.exceptions import BackupError, CorruptionError
from minidb.maintenance.compression import LARGEST_RATIO, UnpacksTooMuchError, decompressing
from minidb.maintenance.manifest import Manifest
from minidb.maintenance.streams import Read, Source, Write, name_of, opened

# Stored in every backup: never change.
MAGIC: Final = b"\x89MiniDB\r\n\x1a\n"
_HEAD: Final = Struct("<cII")
_HEADER, _SPACE, _PAIRS, _PACKED, _END = b"H", b"S", b"P", b"Q", b"E"
_UNCHECKED_HEAD: Final = Struct("<cI")  # what stands before the checksum

SPLIT_BYTES: Final = 1024 * 1024
"""A longer frame of pairs holds one only: so short pairs cannot take a thousand times their bytes in memory."""

LARGEST_VALUE_BYTES: Final = 1024 * 1024 * 1024
"""A frame is not longer, whatever its length says, but for the key and a few bytes."""

_LARGEST_FRAME_BYTES: Final = LARGEST_VALUE_BYTES + 1024
_LARGEST_HEADER_BYTES: Final = 64 * 1024 * 1024
_LARGEST_KEY_BYTES: Final = 511
_CHUNK_BYTES: Final = 1024 * 1024
_MOST_PAIRS: Final = 4096


# --- writing ----------------------------------------------------------------------------------------------------------


class Writer:
    """Writes a backup, frame by frame."""

    def __init__(self, write: Write, manifest: Manifest) -> None:
        self._write = write
        self._heads = sha256()
        self._fitting = _MOST_PAIRS  # so many make a frame that is not too long: most likely the next one, too
        self.size_bytes = 0
        self._put(MAGIC)
        self._frame(_HEADER, json.dumps(manifest.to_document(), ensure_ascii=False).encode())

    def begin_space(self, space: Space) -> None:
        """Say which space the next pairs are of."""
        self._frame(_SPACE, space.encode())

    def pairs(self, pairs: list[Pair]) -> None:
        """Write pairs, in the order of their keys. Raises ``BackupError`` for a value that is too large."""
        while pairs:
            some = pairs[: self._fitting]
            body = encode_pairs(some)
            if len(body) > SPLIT_BYTES and len(some) > 1:
                self._fitting = len(some) // 2
                continue
            if len(body) > _LARGEST_FRAME_BYTES:
                raise BackupError(
                    f"A value takes more than {LARGEST_VALUE_BYTES} bytes, which no backup can hold", path=None
                )
            self._frame(_PAIRS, body)
            pairs = pairs[len(some) :]
            if len(body) < SPLIT_BYTES // 4:
                self._fitting = min(2 * self._fitting, _MOST_PAIRS)

    def packed(self, body: bytes) -> None:
        """Write pairs that an engine has packed, in the order of their keys."""
        self._frame(_PACKED, body)

    def end(self) -> str:
        """Write the last frame; return the SHA-256 in it, in hexadecimal."""
        digest = self._heads.digest()
        self._frame(_END, digest)
        return digest.hex()

    def _frame(self, kind: bytes, body: bytes) -> None:
        checksum = crc32(body, crc32(_UNCHECKED_HEAD.pack(kind, len(body))))
        head = _HEAD.pack(kind, len(body), checksum)
        self._heads.update(head)
        self._put(head)
        self._put(body)

    def _put(self, data: bytes) -> None:
        self._write(data)
        self.size_bytes += len(data)


def is_whole(read: Read, digest: str) -> bool:
    """Read a backup that was just written, and tell whether it is the one that ends with a digest.

    It does less than ``Reader``, which believes nothing, at a third of the cost.
    """
    heads, end = sha256(), b""
    if _read_exactly(read, len(MAGIC)) != MAGIC:
        return False
    while head := _read_exactly(read, _HEAD.size):
        if len(head) < _HEAD.size or end:
            return False
        kind, length, checksum = _HEAD.unpack(head)
        body = _read_exactly(read, length)
        if crc32(body, crc32(head[: _UNCHECKED_HEAD.size])) != checksum:
            return False
        if kind == _END:
            end = body
        else:
            heads.update(head)
    return end == heads.digest() == bytes.fromhex(digest)


def _read_exactly(read: Read, size: int) -> bytes:
    """Return so many bytes, or what there is up to the end."""
    data = read(size)
    while len(data) < size and (more := read(min(size - len(data), _CHUNK_BYTES))):
        data += more
    return data


# --- reading ----------------------------------------------------------------------------------------------------------


class Reader:
    """Reads a backup from its beginning to its end, and believes nothing that it has not checked.

    Whatever is wrong is a ``BackupError`` that says where: at which byte, uncompressed, and in which space.
    """

    def __init__(self, read: Read, path: str | None) -> None:
        self._read = read
        self._path = path
        self._heads = sha256()
        self._frame_at = 0
        self._space: Space | None = None
        self.position = 0
        """The bytes read so far."""

    def header(self) -> Manifest:
        """Read what the backup says of itself. Called first."""
        if self._take(len(MAGIC)) != MAGIC:
            raise self.refusal("it does not begin as a backup of MiniDB")
        body = self._expect(_HEADER, _LARGEST_HEADER_BYTES)
        try:
            manifest = Manifest.from_document(json.loads(body))
        except CorruptionError as error:
            raise self.refusal(error.message) from error
        except (ValueError, RecursionError) as error:
            raise self.refusal("the header is no JSON") from error
        manifest.path = self._path
        return manifest

    def spaces(self, counts: Mapping[Space, int]) -> Iterator[tuple[Space, Iterator[list[Pair]]]]:
        """Yield each space with its pairs, which are to be read to their end before the next."""
        for space, count in counts.items():
            self._space = space
            if self._expect(_SPACE, _CHUNK_BYTES) != space.encode():
                raise self.refusal("another space follows than the header says")
            yield space, self._pairs(count)
        self._space = None

    def _pairs(self, count: int) -> Iterator[list[Pair]]:
        last = b""
        while count > 0:
            kind, body = self._next(_PAIRS + _PACKED, _LARGEST_FRAME_BYTES)
            if len(body) > SPLIT_BYTES and (kind == _PACKED or body[0] != ONE_PAIR):
                raise self.refusal("a frame is longer than one of several pairs may be")
            try:
                pairs = decode_pairs(body) if kind == _PAIRS else unpack_pairs(body)
            except CorruptionError as error:
                raise self.refusal(error.message) from error
            count -= len(pairs)
            if not pairs or count < 0:
                raise self.refusal("a space has more or fewer pairs than the header says")
            keys = [key for key, _ in pairs]
            if not all(map(lt, [last, *keys], keys)) or max(map(len, keys)) > _LARGEST_KEY_BYTES:
                raise self.refusal("keys stand in a wrong order, or are too long")
            last = keys[-1]
            yield pairs

    def end(self) -> str:
        """Read the last frame, and that nothing follows; return the SHA-256 in it, in hexadecimal."""
        digest = self._heads.digest()
        if self._expect(_END, len(digest)) != digest:
            raise self.refusal("the SHA-256 of the whole is another one")
        self._frame_at = self.position
        if self._read_some(1):
            raise self.refusal("something follows its end")
        return digest.hex()

    def _expect(self, kind: bytes, most_bytes: int) -> bytes:
        """Return the body of the next frame, which must be of a kind."""
        return self._next(kind, most_bytes)[1]

    def _next(self, kinds: bytes, most_bytes: int) -> tuple[bytes, bytes]:
        """Return kind and body of the next frame, which must be of one of the kinds."""
        self._frame_at = self.position
        head = self._take(_HEAD.size)
        found, length, checksum = _HEAD.unpack(head)
        if found not in kinds or length > most_bytes:
            raise self.refusal("a frame begins as none can begin there")
        body = self._take(length)
        if crc32(body, crc32(head[: _UNCHECKED_HEAD.size])) != checksum:
            raise self.refusal("a frame fails its checksum")
        self._heads.update(head)
        return found, body

    def _take(self, size: int) -> bytes:
        """Return the next bytes, read in parts: a length is no reason to take so much memory at once."""
        parts: list[bytes] = []
        missing = size
        while missing > 0:
            part = self._read_some(min(missing, _CHUNK_BYTES))
            if not part:
                raise self.refusal("it ends before its end")
            parts.append(part)
            missing -= len(part)
        self.position += size
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_some(self, size: int) -> bytes:
        try:
            data = self._read(size)
        except UnpacksTooMuchError as error:
            refusal = self.refusal(f"it unpacks to more than {LARGEST_RATIO} times its size")
            refusal.hint = "if it is right so, say by max_size_bytes how much it may take"
            raise refusal from error
        except (OSError, EOFError, ValueError) as error:
            raise self.refusal("it cannot be read, or cannot be decompressed") from error
        if not isinstance(data, bytes) or len(data) > size:
            raise self.refusal("it is to be read from a binary file, and this is none")
        return data

    def unfit(self, reason: str) -> BackupError:
        """Return the error for a backup that is whole, and yet no use where it is given."""
        return BackupError(
            f"The backup cannot be used here: {reason}",
            hint="give a whole backup and all the increments that follow it, in their order",
            path=self._path,
        )

    def refusal(self, reason: str) -> BackupError:
        """Return the error for what was read last."""
        where = "" if self._space is None else f", in space {self._space}"
        return BackupError(
            f"The backup is damaged at byte {self._frame_at}{where}: {reason[:1].lower()}{reason[1:]}",
            hint="use another backup",
            path=self._path,
            position=self._frame_at,
            space=self._space,
        )


def read_manifest(source: Source) -> Manifest:
    """Return what a backup says of itself, having read no more than that. Raises ``BackupError``."""
    with opened(source) as file:
        return Reader(decompressing(file.read), name_of(source)).header()
