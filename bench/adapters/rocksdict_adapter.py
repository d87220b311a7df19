"""rocksdict, RocksDB for Python: keys and values of bytes, in order. Rows, ids and indexes are made by hand.

Raw mode, rows packed by msgspec; several writes go in one batch, which is a transaction; a durable one is synced.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import version
from itertools import islice, takewhile
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from bench import rows
from bench.adapters.port import Ability, Answer, Fields, Terms
from bench.rows import Values

rocksdict: Any = import_module("rocksdict")  # Any: types are checked where it is not installed

_ID: Final = struct.Struct(">Q")
_pack_id = _ID.pack
_pack_age = struct.Struct(">B").pack
_Checked = tuple[
    Annotated[str, msgspec.Meta(min_length=1, max_length=rows.MAX_NAME_LENGTH)],
    Annotated[int, msgspec.Meta(ge=0)],
    str,
    float,
    bool,
]
_Record = tuple[str, str, str, str, str, str, str, str, str, str]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Values).decode
_decode_record = msgspec.msgpack.Decoder(_Record).decode


def _row_id(key: bytes) -> int:
    row_id: int = _ID.unpack(key[-_ID.size :])[0]
    return row_id


def _open(folder: Path, *, read_only: bool = False, is_durable: bool = True) -> Any:  # Any: rocksdict's database
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)  # noqa: FBT003  # theirs takes no other
    access = rocksdict.AccessType.read_only() if read_only else rocksdict.AccessType.read_write()
    database = rocksdict.Rdict(str(folder / "rocks"), options, access_type=access)
    if not read_only:
        database.set_write_options(_write_options(is_durable=is_durable))
    return database


def _write_options(*, is_durable: bool) -> Any:  # Any: rocksdict's options
    options = rocksdict.WriteOptions()
    options.sync = is_durable
    return options


class Adapter:
    """rocksdict."""

    version = f"rocksdict {version('rocksdict')}"
    terms = Terms(lacks={Ability.BACKUP: "a checkpoint links its files, and copies none"})
    imports = "rocksdict"

    def __init__(self, folder: Path, *, create: bool, read_only: bool = False) -> None:
        self._database = _open(folder, read_only=read_only)
        self._writes = _write_options(is_durable=True)
        self._lock = threading.Lock()
        last = None if create else next(self._database.keys(backwards=True, from_key=b"v"), None)
        self._next_id = 1 if last is None else _row_id(last) + 1
        # What an entry of an index holds: None where there is no such index.
        self._has_ages = not create and next(self._database.keys(from_key=b"a"), b"")[:1] == b"a"
        self._is_covered = not create and bool(next(self._database.items(from_key=b"c"), (b"", b""))[1])

    def close(self) -> None:
        self._database.close()

    def plain(self, answer: Answer) -> tuple[int, Values]:
        row_id, values = answer
        return row_id, values

    def _put(self, batch: Any, key: bytes, values: Values) -> None:  # Any: rocksdict's batch
        data = _encode(msgspec.convert(values, _Checked))
        _, age, city, _, _ = values
        batch.put(b"u" + key, data)
        batch.put(b"c" + city.encode() + key, data if self._is_covered else b"")
        if self._has_ages:
            batch.put(b"a" + _pack_age(age) + key, data if self._is_covered else b"")

    def insert_all(self, count: int) -> int:
        first_id = self._next_id
        batch = rocksdict.WriteBatch(raw_mode=True)
        for row_id, values in enumerate(rows.tuples(count), first_id):
            self._put(batch, _pack_id(row_id), values)
        self._database.write(batch, self._writes)
        self._next_id += count
        return first_id

    def read_each(self, ids: Sequence[int]) -> list[Answer]:
        get = self._database.get
        return [(row_id, _decode(get(b"u" + _pack_id(row_id)))) for row_id in ids]

    def read_in_transaction(self, ids: Sequence[int]) -> list[Answer]:
        snapshot = self._database.snapshot()
        return [(row_id, _decode(snapshot[b"u" + _pack_id(row_id)])) for row_id in ids]

    def _entries(self, start: bytes, stop: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        # Its own upper bound leaves out some keys in raw mode.
        return takewhile(lambda entry: entry[0] < stop, islice(self._database.items(from_key=start), limit))

    def _rows(self, entries: Iterable[tuple[bytes, bytes]]) -> list[Answer]:
        if self._is_covered:
            return [(_row_id(key), _decode(data)) for key, data in entries]
        keys = [key[-_ID.size :] for key, _ in entries]
        found = self._database.get([b"u" + key for key in keys])
        return [(_row_id(key), _decode(data)) for key, data in zip(keys, found, strict=True)]

    def rows_in_city(self, city: str) -> Sequence[Answer]:
        return self.find_in_city(city)

    def touch_rows_in_city(self, city: str) -> float:
        total = 0.0
        for _, (name, age, where, score, active) in self.find_in_city(city):
            total += len(name) + age + len(where) + score + active
        return total

    def scan(self) -> tuple[int, int]:
        count = ages = 0
        for key, data in self._entries(b"u", b"v"):
            _row_id(key)
            _, age, _, _, _ = _decode(data)
            count += 1
            ages += age
        return count, ages

    def update_each(self, changes: Sequence[tuple[int, str]]) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        get = self._database.get
        for row_id, city in changes:
            key = _pack_id(row_id)
            name, age, old_city, score, active = _decode(get(b"u" + key))
            batch.delete(b"c" + old_city.encode() + key)
            self._put(batch, key, (name, age, city, score, active))
        self._database.write(batch, self._writes)

    update_many = update_each  # there is one way to change many

    def insert_each(self, first: int, count: int) -> None:
        for values in rows.tuples(count, first):
            with self._lock:
                row_id = self._next_id
                self._next_id += 1
            batch = rocksdict.WriteBatch(raw_mode=True)
            self._put(batch, _pack_id(row_id), values)
            self._database.write(batch, self._writes)  # those of several threads share a flush

    insert_beside_others = insert_each

    def relax(self) -> None:
        self._writes = _write_options(is_durable=False)

    def index_ages(self) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, data in self._entries(b"u", b"v"):
            batch.put(b"a" + _pack_age(_decode(data)[1]) + key[1:], data if self._is_covered else b"")
        self._database.write(batch, self._writes)
        self._has_ages = True

    def cover(self) -> None:
        self._is_covered = True
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, data in self._entries(b"u", b"v"):
            batch.put(b"c" + _decode(data)[2].encode() + key[1:], data)
        self._database.write(batch, self._writes)
        self.index_ages()

    def find_in_city(self, city: str, limit: int | None = None) -> Sequence[Answer]:
        start = b"c" + city.encode()
        return self._rows(self._entries(start, start + b"\xff", limit))  # no id begins with this byte

    def count_in_city(self, city: str) -> int:
        start = b"c" + city.encode()
        return sum(1 for _ in self._entries(start, start + b"\xff"))

    def find_by_ages(self, low: int, high: int, limit: int) -> Sequence[Answer]:
        return self._rows(self._entries(b"a" + _pack_age(low), b"a" + _pack_age(high + 1), limit))

    def first_by_age(self, limit: int) -> Sequence[Answer]:
        return self._rows(self._entries(b"a", b"b", limit))

    def last_by_age(self, limit: int) -> Sequence[Answer]:
        return self._rows(islice(self._database.items(backwards=True, from_key=b"b"), limit))


class Records:
    """rocksdict."""

    def __init__(self, folder: Path) -> None:
        self._database = _open(folder, is_durable=False)

    def close(self) -> None:
        self._database.close()

    def load(self, records: Iterable[tuple[str, Fields]]) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, fields in records:
            batch.put(key.encode(), _encode(msgspec.convert(fields, _Record)))
        self._database.write(batch)

    def plain(self, answer: Answer) -> Fields:
        return tuple(answer)

    def read(self, key: str) -> Answer:
        return _decode_record(self._database.get(key.encode()))

    def update(self, key: str, place: int, value: str) -> None:
        fields = [*_decode_record(self._database.get(key.encode()))]
        fields[place] = value
        self.insert(key, tuple(fields))

    def insert(self, key: str, fields: Fields) -> None:
        self._database.put(key.encode(), _encode(msgspec.convert(fields, _Record)))

    def scan(self, key: str, count: int) -> Sequence[Answer]:
        return [_decode_record(data) for data in islice(self._database.values(from_key=key.encode()), count)]
