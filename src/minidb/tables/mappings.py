"""Mappings: keys and values without columns, each mapping in a space of its own.

Every check comes before the first byte is written. Functions that write many items may fail after some were written:
their caller undoes the transaction or the savepoint around them. ``api.mapping`` calls this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from minidb.encoding.items import (
    decode_item_key,
    decode_item_value,
    decode_item_values,
    encode_item_key,
    encode_item_value,
)
from minidb.encoding.keys import KeyBytes
from minidb.engines.port import ReadTransaction, WriteTransaction
from minidb.exceptions import ChecksumError, FieldError, KeyTooLargeError, SchemaValidationError
from minidb.schema.storable import copy_item_value, is_plain
from minidb.tables.definitions import MappingDefinition
from minidb.tables.index_entries import LARGEST_KEY_BYTES

if TYPE_CHECKING:
    from minidb.tables.session import WriteSession

BATCH_ITEMS: Final = 1000
"""Items that ``put_many`` encodes and hands on at a time."""

Found = tuple[Any] | None  # Any: a value is what the mapping's user says; a tuple, since it may be None


class MappingBinding:
    """How the items of one mapping are checked, written and read. Immutable; safe from any thread."""

    __slots__ = ("definition", "name", "space")

    def __init__(self, definition: MappingDefinition) -> None:
        self.definition = definition
        self.name = definition.name
        self.space = definition.space

    def item(self, key: object, value: object) -> tuple[bytes, bytes]:
        """Return the bytes of an item, or raise ``SchemaValidationError`` or ``KeyTooLargeError``."""
        errors: list[FieldError] = []
        key_bytes = self._encode_key(key, errors)
        plain = value if is_plain(value) else copy_item_value(value, "value", errors)
        if errors:
            raise self.refusal(errors)
        if len(key_bytes) > LARGEST_KEY_BYTES:
            raise KeyTooLargeError(
                f"A key of mapping {self.name!r} needs {len(key_bytes)} bytes, and {LARGEST_KEY_BYTES} are allowed",
                hint="use a digest of it as the key, and keep the whole in the value",
                mapping=self.name,
                field="key",
                size_bytes=len(key_bytes),
                limit_bytes=LARGEST_KEY_BYTES,
            )
        return key_bytes, encode_item_value(plain)

    def key_to_find(self, key: object) -> bytes | None:
        """Return the bytes of a key, or None if no item can have it. Raises what ``hash(key)`` raises, as a dict."""
        try:
            key_bytes = encode_item_key(key)
        except TypeError:
            hash(key)
            return None
        except ValueError:
            return None
        return key_bytes if len(key_bytes) <= LARGEST_KEY_BYTES else None

    def bound(self, key: object) -> bytes:
        """Return where a range begins or stops, or raise ``SchemaValidationError`` for what can be no key."""
        errors: list[FieldError] = []
        key_bytes = self._encode_key(key, errors)
        if errors:
            raise self.refusal(errors)
        # No encoding begins another, so cutting a bound where the longest key ends leaves it between the same two.
        return key_bytes[:LARGEST_KEY_BYTES]

    def value(self, key_bytes: bytes, data: bytes) -> Any:  # Any: as in Found
        """Return the value that was found at a key."""
        try:
            return decode_item_value(data)
        except ChecksumError as error:
            raise self._damaged(key_bytes) from error

    def values(self, keys: list[bytes], data: list[bytes]) -> list[Any]:  # Any: as in Found
        """Return the values that were found at keys."""
        try:
            return decode_item_values(data)
        except ChecksumError:
            return list(map(self.value, keys, data))  # raises for the item that it was

    def refusal(self, errors: list[FieldError]) -> SchemaValidationError:
        """Return the error for a key or a value that cannot be stored."""
        return SchemaValidationError(
            f"Mapping {self.name!r} cannot store this", errors=errors, table=None, row_number=None, mapping=self.name
        )

    def _encode_key(self, key: object, errors: list[FieldError]) -> KeyBytes:
        try:
            return encode_item_key(key)
        except TypeError:
            hash(key)  # what is not hashable is refused in a dict's own words
            message = f"must be of a type that keys can have, or a tuple of such, and this {type(key).__name__} is not"
        except UnicodeEncodeError:
            message = "must not contain a lone surrogate"
        except ValueError:
            message = "must not be or contain NaN, nor tuples nested too deep"
        errors.append(FieldError("key", "unstorable", message, key))
        return KeyBytes(b"")

    def _damaged(self, key_bytes: bytes) -> ChecksumError:
        return ChecksumError(
            f"A stored item of mapping {self.name!r} fails its checksum",
            hint="stop writing and restore a backup",
            mapping=self.name,
            key=decode_item_key(key_bytes),
        )


# --- reading ----------------------------------------------------------------------------------------------------------


def find(transaction: ReadTransaction, mapping: MappingBinding, key: object) -> Found:
    """Return the value of a key, in a tuple, or None."""
    key_bytes = mapping.key_to_find(key)
    data = None if key_bytes is None else transaction.get(mapping.space, key_bytes)
    return None if key_bytes is None or data is None else (mapping.value(key_bytes, data),)


def find_many(transaction: ReadTransaction, mapping: MappingBinding, keys: list[Any]) -> dict[Any, Any]:
    """Return the keys that are there, in the order asked, with their values."""
    asked = [(key, key_bytes) for key in keys if (key_bytes := mapping.key_to_find(key)) is not None]
    wanted = sorted({key_bytes for _, key_bytes in asked})
    stored = dict(zip(wanted, transaction.get_many(mapping.space, wanted), strict=True))
    return {key: mapping.value(key_bytes, data) for key, key_bytes in asked if (data := stored[key_bytes]) is not None}


def contains(transaction: ReadTransaction, mapping: MappingBinding, key: object) -> bool:
    """Tell whether there is an item of a key, without reading its value."""
    key_bytes = mapping.key_to_find(key)
    return key_bytes is not None and transaction.get(mapping.space, key_bytes) is not None


def count(transaction: ReadTransaction, mapping: MappingBinding) -> int:
    """Return the number of items."""
    return transaction.count(mapping.space)


def scan_keys(
    transaction: ReadTransaction, mapping: MappingBinding, start: object, stop: object, *, reverse: bool
) -> Iterator[Iterable[Any]]:
    """Yield the keys of ``[start, stop)`` in order, in pages. None is the open end."""
    first = None if start is None else mapping.bound(start)
    last = None if stop is None else mapping.bound(stop)
    if reverse:
        for page in transaction.scan(mapping.space, first, last, reverse=True):
            yield map(decode_item_key, [key for key, _ in page])
    else:
        for keys in transaction.scan_keys(mapping.space, first, last):
            yield map(decode_item_key, keys)


def scan_values(transaction: ReadTransaction, mapping: MappingBinding, *, reverse: bool) -> Iterator[Iterable[Any]]:
    """Yield the values, in the order of their keys, in pages."""
    for page in transaction.scan(mapping.space, reverse=reverse):
        yield mapping.values([key for key, _ in page], [data for _, data in page])


def scan_items(
    transaction: ReadTransaction, mapping: MappingBinding, *, reverse: bool
) -> Iterator[Iterable[tuple[Any, Any]]]:  # Any: as in Found
    """Yield pairs of key and value, in the order of the keys, in pages."""
    for page in transaction.scan(mapping.space, reverse=reverse):
        keys = [key for key, _ in page]
        yield zip(map(decode_item_key, keys), mapping.values(keys, [data for _, data in page]), strict=True)


# --- writing ----------------------------------------------------------------------------------------------------------


def put(session: WriteSession, mapping: MappingBinding, key: object, value: object) -> None:
    """Put an item, over the one of this key that is there."""
    session.bytes.put_many(mapping.space, dict((mapping.item(key, value),)))


def put_many(session: WriteSession, mapping: MappingBinding, items: Iterable[tuple[object, object]]) -> None:
    """Put items from any iterable, in constant memory."""
    remaining = iter(items)
    while batch := list(islice(remaining, BATCH_ITEMS)):
        mapping = session.catalog.mapping(mapping.name)  # the iterable may have dropped it
        session.bytes.put_many(mapping.space, dict([mapping.item(key, value) for key, value in batch]))


def put_if_absent(session: WriteSession, mapping: MappingBinding, key: object, value: object) -> Any:
    """Return the value of a key, having put this one if there was none."""
    found = find(session.bytes, mapping, key)
    if found is not None:
        return found[0]
    key_bytes, data = mapping.item(key, value)
    session.bytes.put_many(mapping.space, {key_bytes: data})
    return mapping.value(key_bytes, data)


def take(session: WriteSession, mapping: MappingBinding, key: object) -> Found:
    """Delete the item of a key; return its value, in a tuple, or None."""
    found = find(session.bytes, mapping, key)
    if found is not None:
        delete(session, mapping, key)
    return found


def take_end(session: WriteSession, mapping: MappingBinding, *, last: bool) -> tuple[Any, Any] | None:
    """Delete the last item in order, or the first, and return it; None if there is none."""
    for page in session.bytes.scan(mapping.space, reverse=last, limit=1):
        key_bytes, data = page[0]
        item = decode_item_key(key_bytes), mapping.value(key_bytes, data)
        session.bytes.delete_many(mapping.space, [key_bytes])
        return item
    return None


def delete(session: WriteSession, mapping: MappingBinding, key: object) -> bool:
    """Delete the item of a key; return whether there was one."""
    key_bytes = mapping.key_to_find(key)
    if key_bytes is None or session.bytes.get(mapping.space, key_bytes) is None:
        return False
    session.bytes.delete_many(mapping.space, [key_bytes])
    return True


def increment(session: WriteSession, mapping: MappingBinding, key: object, by: object, default: object) -> Any:
    """Add to the number of a key, which is ``default`` if it is absent; put and return the sum."""
    found = find(session.bytes, mapping, key)
    number = default if found is None else found[0]
    total = _sum(mapping, number, by)
    put(session, mapping, key, total)
    return total


def clear(session: WriteSession, mapping: MappingBinding) -> None:
    """Delete every item."""
    transaction: WriteTransaction = session.bytes
    transaction.clear(mapping.space)


def _sum(mapping: MappingBinding, number: object, by: object) -> object:
    if _is_number(number) and _is_number(by):
        try:
            return number + by
        except TypeError:  # a float and a Decimal
            pass
    errors = [FieldError("value", "type", "must be, with what is added to it, numbers that can be added", number)]
    raise mapping.refusal(errors)


def _is_number(value: object) -> TypeGuard[Any]:  # Any: which pairs can be added, no type says
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
