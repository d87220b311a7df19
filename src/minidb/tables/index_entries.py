"""Index entries: which ones a row has. Pure functions of a definition and values.

    entry      := fields row_key trailer -> nothing           an ordinary index
                | fields -> row_key                           a unique one
                | fields row_key trailer -> row               a covering one: the row's bytes, as they stand at its key
                | fields row_key trailer -> row_key           a unique one, where a field is null: nulls do not collide
    fields     := encoded_value*                              as in ``encoding.keys``, at most LARGEST_UNCUT_BYTES
                | prefix digest                               longer ones: cut there, then 16 bytes of BLAKE2b of all
    trailer    := length                                      of row_key, so that it is found from the end
    length     := 1 byte below 255 | 2 bytes, big endian, then 255

A row has one entry; in an index on the elements of a list, one for each of its different elements; in a partial index
none if the condition does not hold for it.

No ``fields`` are a proper prefix of others. Cut ones are all of one length; and one that is not cut, which is at most
as long as the prefix in a cut one, would have to be a proper prefix of the whole encoding that was cut.

Two different rows may have equal ``fields`` where they were cut, if only in theory: a reader that meets cut fields
compares the row itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import is_, itemgetter
from typing import Any, Final

from minidb.encoding.keys import encode_value
from minidb.encoding.untyped import encode_untyped
from minidb.engines.port import Pair, Space
from minidb.tables.definitions import IndexDefinition

# Stored on disk: never change.
LARGEST_KEY_BYTES: Final = 511
LARGEST_ROW_KEY_BYTES: Final = 383
LARGEST_FIELDS_BYTES: Final = LARGEST_KEY_BYTES - LARGEST_ROW_KEY_BYTES - 3
_DIGEST_BYTES: Final = 16
LARGEST_UNCUT_BYTES: Final = LARGEST_FIELDS_BYTES - _DIGEST_BYTES
_LONG_TRAILER: Final = 0xFF
_LONG_TRAILER_BYTES: Final = 3

_MOST_CACHED: Final = 10_000
_BATCHES_PASSED_BY: Final = 16
"""Batches of rows of which nothing is kept, after one of mostly new values."""

Values = Sequence[object]


class IndexBinding:
    """An index, bound to the columns of its table. Safe from any thread."""

    __slots__ = (
        "_cache",
        "_encode",
        "_is_plain",
        "_position",
        "_test",
        "definition",
        "each",
        "is_building",
        "is_covering",
        "is_longest_at_ends",
        "positions",
        "space",
        "unique",
    )

    def __init__(
        self,
        definition: IndexDefinition,
        positions: Sequence[int],
        *,
        is_typed: bool,
        test: Callable[[Values], bool] | None = None,
        is_longest_at_ends: bool = False,
    ) -> None:
        """``positions`` are those of the index's fields among the values that the functions here are given.

        ``is_typed``: every field has one type, as a schema says. Else numbers of both kinds share one order. ``test``
        tells for the values of a row whether the index's condition holds. ``is_longest_at_ends``: of any entries in
        order none is cut unless the first or the last one is, as of one number that is never null.
        """
        self.definition = definition
        self.space: Space = definition.space
        self.unique = definition.unique
        self.is_building = definition.is_building
        self.is_covering = definition.is_covering
        self.positions = tuple(positions)
        self.each = None if definition.each is None else definition.fields.index(definition.each)
        """The place, among the fields, of the one whose elements have an entry each."""
        self.is_longest_at_ends = is_longest_at_ends
        self._test = test
        self._is_plain = test is None and self.each is None
        self._position = self.positions[0] if len(self.positions) == 1 and is_typed and self._is_plain else None
        self._encode: Callable[[object], bytes] = encode_value if is_typed else encode_untyped  # type: ignore[assignment]  # the schema admits indexable values only
        self._cache = _EncodedFields(self)

    @property
    def is_plain(self) -> bool:
        """Whether each row has one entry, made of the index's fields and the key."""
        return self._is_plain

    def fields_of(self, values: Values) -> tuple[object, ...]:
        """Return the indexed columns of a row."""
        return tuple([values[position] for position in self.positions])

    def all_fields_of(self, values: Values) -> list[tuple[object, ...]]:
        """Return what a row has entries for: its indexed values, once for each element of a list, or not at all."""
        if self._test is not None and not self._test(values):
            return []
        fields = self.fields_of(values)
        place = self.each
        if place is None:
            return [fields]
        elements = fields[place]
        if elements is None:
            return []
        assert isinstance(elements, list | tuple), "the schema says so"
        different = {encode_untyped(element): element for element in elements}
        return [(*fields[:place], element, *fields[place + 1 :]) for element in different.values()]

    def encode_fields(self, fields: Iterable[object]) -> bytes:
        """Return the part of an entry that stands for the fields."""
        encoded = self.encode_whole(fields)
        return encoded if len(encoded) <= LARGEST_UNCUT_BYTES else _cut(encoded)

    def encode_whole(self, fields: Iterable[object]) -> bytes:
        """Return the encoding of the fields, however long. It is the same for fields that are the same to the index."""
        if self.each is None:
            return b"".join(map(self._encode, fields))
        return b"".join([self.encode_field(place, value) for place, value in enumerate(fields)])

    def encode_field(self, place: int, value: object) -> bytes:
        """Return the encoding of the value of one of the fields, or of an element where the index has these."""
        return encode_untyped(value) if place == self.each else self._encode(value)

    def entry(self, fields: Sequence[object], row_key: bytes, data: bytes = b"") -> Pair:
        """Return the entry of a row with these indexed values. REQUIRES its ``data`` if it is covering."""
        encoded = self.encode_fields(fields)
        if not self.unique:
            return encoded + row_key + trailer(row_key), data if self.is_covering else b""
        if None in fields:
            return encoded + row_key + trailer(row_key), row_key
        return encoded, row_key

    def entries_of(self, values: Values, row_key: bytes, data: bytes) -> list[Pair]:
        """Return the entries of a row, whose bytes are ``data``."""
        if self._position is not None and not self.unique:  # half the time, by what ``_EncodedFields`` keeps
            self._cache.trim()
            key = self._cache[values[self._position]] + row_key + _TRAILERS[len(row_key)]
            return [(key, data if self.is_covering else b"")]
        if self._is_plain:
            return [self.entry(self.fields_of(values), row_key, data)]
        return [self.entry(fields, row_key, data) for fields in self.all_fields_of(values)]

    def has_same_entries(self, old: Values, new: Values) -> bool:
        """Tell whether a row keeps its entries, as its indexed values are the same objects. It may when this is False.

        Compared by ``==`` values could be equal and yet have other bytes. An update of one column leaves all others as
        they are; that its entries need not be made twice is worth 4 µs an index.
        """
        if not self._is_plain or self.is_covering:
            return False
        return all(map(is_, self.fields_of(old), self.fields_of(new)))

    def entries(self, rows: Sequence[Values], row_keys: Sequence[bytes], data: Sequence[bytes]) -> list[Pair]:
        """Return the entries of many rows, in their order."""
        if self._position is not None and not self.unique:
            keys = self.entry_keys(rows, row_keys)
            return list(zip(keys, data, strict=True)) if self.is_covering else [(key, b"") for key in keys]
        if self._position is not None:
            return self.entries_of_fields(list(map(itemgetter(self._position), rows)), row_keys, data)
        each = zip(rows, row_keys, data, strict=True)
        if self._is_plain:
            return [self.entry(self.fields_of(values), key, one) for values, key, one in each]
        return [pair for values, key, one in each for pair in self.entries_of(values, key, one)]

    def entries_of_fields(self, fields: Sequence[Any], row_keys: Sequence[bytes], data: Sequence[bytes]) -> list[Pair]:
        """Return the entries of many rows, from the values of the field, or, of several, tuples of them.

        REQUIRES that it ``is_plain``.
        """
        if self._position is not None and self.unique and None not in fields:
            return list(zip(self._encode_many(fields), row_keys, strict=True))
        each = zip(fields) if len(self.positions) == 1 else fields  # one iterable
        return [self.entry(one, key, row) for one, key, row in zip(each, row_keys, data, strict=True)]

    def items(self, rows: Sequence[Values], row_keys: Sequence[bytes], data: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the same, by their keys. REQUIRES an index that is not unique."""
        if self.is_covering or self._position is None:
            return dict(self.entries(rows, row_keys, data))
        return dict.fromkeys(self.entry_keys(rows, row_keys), b"")

    def entry_keys(self, rows: Sequence[Values], row_keys: Sequence[bytes]) -> list[bytes]:
        """Return the keys of the entries of many rows, in their order. REQUIRES an index that is not unique."""
        if self._position is None:
            return [key for key, _ in self.entries(rows, row_keys, [b""] * len(rows))]
        return self.entry_keys_of_fields(map(itemgetter(self._position), rows), row_keys)

    def entry_keys_of_fields(self, fields: Iterable[Any], row_keys: Sequence[bytes]) -> list[bytes]:
        """Return the same, from the fields, as ``entries_of_fields``. REQUIRES that it ``is_plain``, and not unique."""
        encoded = self._encode_many(fields)
        sizes = set(map(len, row_keys))
        if len(sizes) == 1:  # as automatic ids nearly always have
            end = _TRAILERS[sizes.pop()]
            return [one + key + end for one, key in zip(encoded, row_keys)]  # noqa: B905  # slow
        return [one + key + _TRAILERS[len(key)] for one, key in zip(encoded, row_keys, strict=True)]

    def _encode_many(self, fields: Iterable[Any]) -> list[bytes]:
        encode = self._encode
        if len(self.positions) > 1:
            return _cut_long([b"".join(map(encode, one)) for one in fields])
        cache = self._cache
        if cache.batches_passed_by > 0:
            cache.batches_passed_by -= 1
            return _cut_long(list(map(encode, fields)))
        # Often there are few different values: each is encoded once. Where most are new, that only costs (a row of
        # few values: 0.14 µs; of different ones: 0.92 µs, and 0.27 when they are not kept).
        cache.trim()
        cache.misses = 0
        encoded = list(map(cache.__getitem__, fields))
        if cache.misses > len(encoded) // 2:
            cache.batches_passed_by = _BATCHES_PASSED_BY
        return encoded


class _EncodedFields(dict[object, bytes]):
    """Encoded values of an index on one typed field. Values of one type that are equal are encoded alike.

    Kept are none that are equal and yet two moments, as those of an hour that a clock goes through twice, and none that
    are long: thousands of these would fill the memory.
    """

    def __init__(self, index: IndexBinding) -> None:
        self._index = index
        # Guesses at what comes next, which threads may spoil for one another.
        self.misses = 0
        self.batches_passed_by = 0

    def __missing__(self, value: object) -> bytes:
        self.misses += 1
        encoded = self._index.encode_fields((value,))
        if type(value) is not datetime and not is_cut(encoded):
            self[value] = encoded
        return encoded

    def trim(self) -> None:
        """Forget all once there are many: different values would only fill memory."""
        if len(self) > _MOST_CACHED:
            self.clear()


def is_cut(encoded_fields: bytes) -> bool:
    """Tell whether fields of this encoding were cut, so that the row must be compared."""
    return len(encoded_fields) > LARGEST_UNCUT_BYTES


def trailer(row_key: bytes) -> bytes:
    """Return the bytes that end an entry whose key holds a row key."""
    return _TRAILERS[len(row_key)]


def row_key_of(entry_key: bytes) -> bytes:
    """Return the row key that an entry's key holds."""
    size = entry_key[-1]
    if size != _LONG_TRAILER:
        return entry_key[-1 - size : -1]
    size = int.from_bytes(entry_key[-_LONG_TRAILER_BYTES:-1], "big")
    return entry_key[-_LONG_TRAILER_BYTES - size : -_LONG_TRAILER_BYTES]


def row_keys_of(entry_keys: Sequence[bytes], *, fields_bytes: int | None = None) -> list[bytes]:
    """Return the row keys of many entries: ``row_key_of`` each, at less than half the cost.

    ``fields_bytes`` is the size of the fields of every entry, where that is known and no trailer is a long one.
    """
    if fields_bytes is not None:
        return list(map(itemgetter(slice(fields_bytes, -1)), entry_keys))  # a loop in C
    sizes = set(map(_LAST_BYTE, entry_keys))
    if len(sizes) == 1 and (size := next(iter(sizes))) != _LONG_TRAILER:
        return list(map(itemgetter(slice(-1 - size, -1)), entry_keys))  # two loops in C: half the time of one here
    if _LONG_TRAILER not in sizes:
        return [key[-1 - key[-1] : -1] for key in entry_keys]  # written out: 0.08 µs a row
    return list(map(row_key_of, entry_keys))


_LAST_BYTE: Final = itemgetter(-1)


def _cut_long(encoded: list[bytes]) -> list[bytes]:
    if max(map(len, encoded), default=0) <= LARGEST_UNCUT_BYTES:
        return encoded
    return [one if len(one) <= LARGEST_UNCUT_BYTES else _cut(one) for one in encoded]


def _cut(encoded: bytes) -> bytes:
    from hashlib import blake2b  # here, as it takes 3 ms, and few values are cut

    digest = blake2b(encoded, digest_size=_DIGEST_BYTES).digest()
    return encoded[:LARGEST_UNCUT_BYTES] + digest


_TRAILERS: Final = [
    bytes((size,)) if size < _LONG_TRAILER else size.to_bytes(2, "big") + bytes((_LONG_TRAILER,))
    for size in range(LARGEST_ROW_KEY_BYTES + 1)
]
