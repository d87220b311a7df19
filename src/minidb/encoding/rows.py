"""The bytes of a row.

    row      := head body checksum
    head     := 0x01 schema_version              the body is an array: the fields in schema order
              | 0x02 schema_version              the body is a map: a table without a schema, column name to value
    schema_version := 2 bytes, unsigned, big endian
    body     := msgpack                          values as in ``encoding.values``
    checksum := CRC-32 of head and body, begun from the head's constant, exclusive-or the head as a number, big endian;
                4 bytes, little endian

The CRC-32 of any bytes followed by their own CRC-32 in this order is one constant. The head in it makes that another
constant for each head, so that one comparison, without cutting the row up, tells a whole row of the right schema
version from everything else. A row that fails it is ``ChecksumError`` or ``UnsupportedFormatError``, never a value.

Begun from its head's constant, the CRC-32 of a whole row ends at that constant, from which the next row can go on: so
one CRC-32 checks any number of rows, joined. What is wrong in one of them is carried through all that follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from struct import Struct
from typing import Annotated, Any, Final, NewType, cast
from zlib import crc32

import msgspec

from minidb.encoding.values import unwrap, wrap
from minidb.exceptions import ChecksumError, CorruptionError, UnsupportedFormatError

Record = NewType("Record", object)
"""A row as it was read, for ``RowCodec.columns_of``: what costs least to make, and no concern of the caller's."""

# Stored on disk: never renumber.
ARRAY_FORMAT: Final = 0x01
MAP_FORMAT: Final = 0x02

LARGEST_SCHEMA_VERSION: Final = 0xFFFF
HEAD_BYTES: Final = 3
CHECKSUM_BYTES: Final = 4
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, TypeError, RecursionError)
"""What msgspec raises for bytes that no row has. UnicodeDecodeError is for text, TypeError for keys that are maps."""

_pack_checksum = Struct("<I").pack
_write = msgspec.msgpack.Encoder().encode
_read_array = msgspec.msgpack.Decoder(list[object], ext_hook=unwrap).decode
_read_map = msgspec.msgpack.Decoder(dict[str, object], ext_hook=unwrap).decode

Restore = Callable[[list[object]], list[object]]
Upgrade = Callable[[list[object]], list[object]]
"""Makes the stored values of a row of an older schema version those that it has now."""


KEY: Final = "_key"
COLUMNS: Final = "_columns"
"""Fields that each struct has behind its columns, for whoever makes rows of them. Its columns begin with no "_"."""

NO_VALUE: Final[Any] = Annotated[int, msgspec.Meta(gt=0, lt=0)]  # Any: a type form
"""The type that these fields have to the decoder. No value is of it: a stored row has its columns and no more."""

_asdict: Final = msgspec.structs.asdict

set_attribute: Final[Callable[[Any, str, object], None]] = msgspec.structs.force_setattr  # Any: a struct
"""Sets one of these fields, past the class's own idea of assignments."""


def columns_of_struct(record: Any) -> dict[str, Any]:
    """Return the columns of a struct, as a new dict."""
    columns = _asdict(record)
    del columns[KEY], columns[COLUMNS]
    return columns


BODY: Final = slice(HEAD_BYTES, -CHECKSUM_BYTES)
_body_of: Final = itemgetter(BODY)


def _struct_reader(struct: type[msgspec.Struct]) -> Callable[[bytes], msgspec.Struct]:
    return msgspec.msgpack.Decoder(struct, ext_hook=unwrap).decode


def _can_be_attribute(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_")


class RowCodec:
    """Writes and reads the rows of one schema version. Immutable; safe from any thread."""

    __slots__ = (
        "_has_structs",
        "_head",
        "_is_map",
        "_mask",
        "_names",
        "_older",
        "_restore",
        "_struct",
        "_wrapped_positions",
        "columns_of",
        "read_body",
        "whole",
    )

    columns_of: Callable[[Record], dict[str, Any]]  # Any: a column has the type that its field declares
    """Returns the columns of a record, by name: a new dict, or the record's own where a table has no schema."""

    def __init__(
        self,
        schema_version: int,
        names: Sequence[str] | None,
        *,
        wrapped_positions: Sequence[int] = (),
        restore: Restore | None = None,
        struct_base: type | None = None,
        upgrades: Mapping[int, Upgrade] | None = None,
        record_type: type[msgspec.Struct] | None = None,
    ) -> None:
        """``names`` are the columns in schema order; None for a table without a schema.

        ``wrapped_positions`` are those of values that msgpack cannot write as they are. ``restore`` puts what a user is
        given in the place of what is stored, where the two differ. ``struct_base`` is what records derive from, where
        the columns can be attributes of a struct. ``upgrades`` are for rows of older schema versions, by these.
        ``record_type`` is the struct of stored values, in schema order, that records are to be, for a caller that makes
        rows of them itself.
        """
        self._names = names
        self._is_map = names is None
        self._head = _head(MAP_FORMAT if names is None else ARRAY_FORMAT, schema_version)
        self._mask = _mask(self._head)
        self.whole = _whole_row_crc(self._head)
        self._wrapped_positions = tuple(wrapped_positions)
        self._restore = restore
        self._older = {
            head: (_whole_row_crc(head), upgrade)
            for head, upgrade in ((_head(ARRAY_FORMAT, version), one) for version, one in (upgrades or {}).items())
        }
        self._has_structs = False
        self._struct: Callable[..., object] | None = None
        if names is None:
            self.read_body = cast("Callable[[bytes], Record]", _read_map)
            self.columns_of = cast("Callable[[Record], dict[str, Any]]", dict)
        elif record_type is not None:
            self.read_body = cast("Callable[[bytes], Record]", _struct_reader(record_type))
            self._struct = lambda *values: msgspec.convert(values, record_type)  # which may take no values in order
            self.columns_of = cast("Callable[[Record], dict[str, Any]]", _asdict)
        elif restore is None and struct_base is not None and all(map(_can_be_attribute, names)):
            # A struct is read as fast as a list, its columns are attributes, and it makes its dict in half the time.
            fields: list[tuple[str, Any, Any]] = [*((name, Any, msgspec.NODEFAULT) for name in names)]
            fields += [(KEY, NO_VALUE, None), (COLUMNS, NO_VALUE, None)]
            struct = msgspec.defstruct(
                "Row",
                fields,
                bases=(struct_base, msgspec.Struct),
                array_like=True,
                gc=False,
                eq=False,
                forbid_unknown_fields=True,
            )
            self._has_structs = True
            self._struct = struct
            self.read_body = cast("Callable[[bytes], Record]", _struct_reader(struct))
            self.columns_of = columns_of_struct
        else:
            self.read_body = cast("Callable[[bytes], Record]", self._read_restored)
            self.columns_of = self._zip

    # --- writing ------------------------------------------------------------------------------------------------------

    def encode(self, values: Sequence[object] | Mapping[str, object]) -> bytes:
        """Return the bytes of a row. Raises ``UnicodeEncodeError`` for text with a lone surrogate."""
        if self._is_map:
            data = self._head + _write(wrap(values))
        else:
            if self._wrapped_positions:
                values = self._wrap(cast("Sequence[object]", values))
            try:
                data = self._head + _write(values)
            except OverflowError:  # an integer that 64 bits do not hold
                data = self._head + _write(wrap(values))
        return data + (crc32(data, self.whole) ^ self._mask).to_bytes(CHECKSUM_BYTES, "little")

    def encode_many(self, rows: Sequence[Sequence[object] | Mapping[str, object]]) -> list[bytes]:
        """Return the bytes of many rows: ``encode`` of each."""
        if self._wrapped_positions or self._is_map:
            return list(map(self.encode, rows))
        head, mask, whole, write, checksum, pack_checksum = (
            self._head,
            self._mask,
            self.whole,
            _write,
            crc32,
            _pack_checksum,
        )
        try:
            return [(data := head + write(values)) + pack_checksum(checksum(data, whole) ^ mask) for values in rows]
        except OverflowError:
            return list(map(self.encode, rows))

    def _wrap(self, values: Sequence[object]) -> list[object]:
        wrapped = list(values)
        for position in self._wrapped_positions:
            wrapped[position] = wrap(wrapped[position])
        return wrapped

    # --- reading ------------------------------------------------------------------------------------------------------

    def decode(self, data: bytes) -> Any:  # Any: a list of values or a dict of columns, as the table has it
        """Return the stored values of a row: a list in schema order, or a dict for a table without a schema.

        Raises ``ChecksumError`` for damaged bytes, ``UnsupportedFormatError`` for a schema version that is not known.
        """
        if crc32(data, self.whole) != self.whole or len(data) < HEAD_BYTES + CHECKSUM_BYTES:
            return self._older_values(data)
        try:
            return (_read_map if self._is_map else self._read_values)(data[HEAD_BYTES:-CHECKSUM_BYTES])
        except UNREADABLE as error:
            raise CorruptionError("A stored row cannot be read") from error

    def decode_many(self, rows: Sequence[bytes]) -> list[Any]:  # Any: as in ``decode``
        """Return the stored values of many rows: ``decode`` of each."""
        if crc32(b"".join(rows), self.whole) == self.whole:
            try:
                return list(map(_read_map if self._is_map else self._read_values, map(_body_of, rows)))
            except (*UNREADABLE, CorruptionError):
                pass  # told below, for the row that it is
        return list(map(self.decode, rows))

    def decode_record(self, data: bytes) -> Record:
        """Return a row as a user is given it. Raises as ``decode``."""
        if crc32(data, self.whole) == self.whole:
            try:
                return self.read_body(data[BODY])
            except UNREADABLE as error:
                raise CorruptionError("A stored row cannot be read") from error
        return self._record_of(self._older_values(data))

    def decode_records(self, rows: Sequence[bytes]) -> list[Record]:
        """Return many rows. Raises as ``decode``."""
        # One check of all, and a loop in C: 0.3 µs a row less than a call of ``decode_record`` for each.
        joined = b"".join(rows)
        try:
            if crc32(joined, self.whole) == self.whole:
                return list(map(self.read_body, map(_body_of, rows)))
            if self._older and rows:  # nearly always rows that were written together are of one version
                whole, upgrade = self._older.get(rows[0][:HEAD_BYTES], (0, None))
                if upgrade is not None and crc32(joined, whole) == whole:
                    return list(map(self._record_of, map(upgrade, map(_read_array, map(_body_of, rows)))))
        except (*UNREADABLE, CorruptionError):
            pass  # told below, for the row that it is
        return list(map(self.decode_record, rows))

    def column_reader(self, positions: Sequence[int]) -> Callable[[Sequence[bytes]], list[Any]]:  # Any: stored values
        """Return a function from rows to their stored values at some positions: of one the value, of more a tuple.

        What stands behind the last of these is passed over. REQUIRES a table with a schema. It raises as ``decode``.
        """
        names = [f"column{position}" for position in range(max(positions) + 1)]
        struct = msgspec.defstruct("Columns", [(name, Any) for name in names], array_like=True, gc=False)
        read, pick = _struct_reader(struct), attrgetter(*(names[position] for position in positions))
        pick_from = itemgetter(*positions)

        def columns(rows: Sequence[bytes]) -> list[Any]:  # Any: as above
            if crc32(b"".join(rows), self.whole) == self.whole:
                try:
                    return list(map(pick, map(read, map(_body_of, rows))))  # loops in C: 0.3 µs a row, ``decode`` 1.7
                except UNREADABLE:
                    pass  # told below
            return [pick_from(self.decode(row)) for row in rows]

        return columns

    def _older_values(self, data: bytes) -> list[object]:
        """Return the stored values of a row that is not of this schema version, as if it had been written with it."""
        head = data[:HEAD_BYTES]
        whole, upgrade = self._older.get(head) or (_whole_row_crc(head), None)
        if len(data) < HEAD_BYTES + CHECKSUM_BYTES or crc32(data, whole) != whole:
            raise ChecksumError("A stored row fails its checksum", hint="stop writing and restore a backup")
        if upgrade is None:
            raise UnsupportedFormatError("A row has a format or schema version that this table does not know")
        try:
            return upgrade(_read_array(data[HEAD_BYTES:-CHECKSUM_BYTES]))
        except UNREADABLE as error:
            raise CorruptionError("A stored row cannot be read") from error

    def _record_of(self, values: list[object]) -> Record:
        if self._struct is not None:
            return Record(self._struct(*values))
        return Record(values if self._restore is None else self._restore(values))

    @property
    def has_structs(self) -> bool:
        """Whether records are structs, which derive from the ``struct_base``."""
        return self._has_structs

    def getter(self, name: str) -> Callable[[Record], Any]:
        """Return a function from a record to the value of a column as a user is given it; None where it has none."""
        if self._names is None:
            return lambda record: cast("dict[str, Any]", record).get(name)
        if self._has_structs:
            return attrgetter(name)
        position = self._names.index(name)
        return lambda record: cast("list[Any]", record)[position]

    def _read_values(self, body: bytes) -> list[object]:
        assert self._names is not None, "a table without a schema has its own way"
        values = _read_array(body)
        if len(values) != len(self._names):
            raise CorruptionError("A stored row has more or fewer columns than its schema")
        return values

    def _read_restored(self, body: bytes) -> list[object]:
        values = self._read_values(body)
        return values if self._restore is None else self._restore(values)

    def _zip(self, record: Record) -> dict[str, Any]:
        assert self._names is not None, "a table without a schema has its own way"
        return dict(zip(self._names, cast("list[object]", record)))  # noqa: B905  # strict takes half as long again


def _head(row_format: int, schema_version: int) -> bytes:
    return bytes((row_format,)) + schema_version.to_bytes(HEAD_BYTES - 1, "big")


def _mask(head: bytes) -> int:
    return int.from_bytes(head, "big")


def _whole_row_crc(head: bytes) -> int:
    """Return the CRC-32 that every whole row with this head has, its checksum included."""
    return crc32(head + (crc32(head) ^ _mask(head)).to_bytes(CHECKSUM_BYTES, "little"))


def schema_version_of(data: bytes) -> int:
    """Return the schema version that a row was written with."""
    return int.from_bytes(data[1:HEAD_BYTES], "big")


_DOCUMENT_CODEC: Final = RowCodec(0, None)


def encode_document(document: Mapping[str, object]) -> bytes:
    """Return the bytes of a catalog entry: a map row of schema version 0."""
    return _DOCUMENT_CODEC.encode(document)


def decode_document(data: bytes) -> dict[str, Any]:  # Any: each reader checks the shape it expects
    """Return what ``encode_document`` was given."""
    document = _DOCUMENT_CODEC.decode(data)
    if not isinstance(document, dict):
        raise CorruptionError("An entry of the catalog is not a map")
    return document
