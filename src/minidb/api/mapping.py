"""A mapping: a dict that stays, ordered by its keys.

Inside a transaction each call takes part in it. Outside, each call is a transaction of its own: it reads one snapshot
or commits durably. Views and iterators read one snapshot, page by page, however long they take.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, cast, overload

from minidb.api.streaming import stream
from minidb.engines.port import ReadTransaction
from minidb.tables import mappings
from minidb.tables.catalog import Catalog
from minidb.tables.mappings import MappingBinding
from minidb.tables.session import WriteSession

if TYPE_CHECKING:
    from minidb.api.database import MiniDB

K = TypeVar("K")
V = TypeVar("V")
Default = TypeVar("Default")
Item = TypeVar("Item")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
V_co = TypeVar("V_co", covariant=True)

_MISSING: Final = object()

if TYPE_CHECKING:

    class _HasKeysAndItems(Protocol[K, V_co]):
        """What ``dict.update`` takes besides pairs."""

        def keys(self) -> Iterable[K]: ...
        def __getitem__(self, key: K, /) -> V_co: ...


class PersistentMapping(MutableMapping[K, V]):
    """A mapping of a database, by its name. Safe from any thread; valid for as long as the mapping is there.

    Got from ``db.mapping``, and annotated by its user, who knows what it holds:

    >>> cache: PersistentMapping[str, int] = db.mapping("cache")

    Keys are str, bytes, int, float, None, date, datetime, time, Decimal, UUID, and tuples of them; keys that are equal
    are one key, as in a dict (``1``, ``1.0``, ``True``), but for ``Decimal``, which equals no number here. A whole
    number comes back as an int, an aware datetime in UTC, a Decimal without trailing zeros. Keys stand in their order;
    those of different types in the order of ``docs/design/key-format.md``.

    Values are None, bool, int, float, str, bytes, date, datetime, time, Decimal, UUID, and lists, tuples, dicts, sets
    and frozensets of them. They are copies: to change one, put it again. A tuple comes back as a list.

    Putting what cannot be stored raises ``SchemaValidationError``, or ``KeyTooLargeError`` for a key of more than
    511 bytes, and nothing is written. Every method raises ``MappingNotFoundError`` once the mapping was dropped.
    """

    __slots__ = ("_database", "_name")

    def __init__(self, database: MiniDB, name: str) -> None:
        self._database = database
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    # --- one item -----------------------------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> V:
        found = self._read(mappings.find, key)
        if found is None:
            raise KeyError(key)
        return cast("V", found[0])

    def __setitem__(self, key: K, value: V) -> None:
        self._write(mappings.put, key, value)

    def __delitem__(self, key: K) -> None:
        if not self._write(mappings.delete, key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self._read(mappings.contains, key)

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, /, default: V) -> V: ...
    @overload
    def get(self, key: K, /, default: Default) -> V | Default: ...
    def get(self, key: K, /, default: object = None) -> object:
        """Return the value of a key, or ``default``."""
        found = self._read(mappings.find, key)
        return default if found is None else found[0]

    @overload
    def pop(self, key: K, /) -> V: ...
    @overload
    def pop(self, key: K, /, default: V) -> V: ...
    @overload
    def pop(self, key: K, /, default: Default) -> V | Default: ...
    def pop(self, key: K, /, default: object = _MISSING) -> object:
        """Remove a key and return its value, in one transaction; ``default``, or ``KeyError``, if it is absent."""
        found = self._write(mappings.take, key)
        if found is not None:
            return found[0]
        if default is _MISSING:
            raise KeyError(key)
        return default

    def popitem(self, *, last: bool = True) -> tuple[K, V]:
        """Remove the last item in order, or the first, and return it. Raises ``KeyError`` if there is none.

        Of several processes that call it at once, each gets another item.
        """
        item = self._write(mappings.take_end, last=last)
        if item is None:
            raise KeyError("The mapping is empty")
        return item

    @overload
    def setdefault(self: PersistentMapping[K, Default | None], key: K, default: None = None, /) -> Default | None: ...
    @overload
    def setdefault(self, key: K, default: V, /) -> V: ...
    def setdefault(self, key: Any, default: Any = None, /) -> Any:  # Any: as the overloads say
        """Return the value of a key, having put ``default`` if it was absent. Writes nothing if it is there."""
        found = self._read(mappings.find, key)
        if found is not None:
            return found[0]
        return self._write(mappings.put_if_absent, key, default)

    @overload
    def increment(self: PersistentMapping[K, int], key: K, by: int = 1, default: int = 0) -> int: ...
    @overload
    def increment(self: PersistentMapping[K, float], key: K, by: float = 1, default: float = 0) -> float: ...
    @overload
    def increment(self: PersistentMapping[K, Decimal], key: K, by: Decimal, default: Decimal = ...) -> Decimal: ...
    def increment(self, key: K, by: Any = 1, default: Any = 0) -> Any:  # Any: as the overloads say
        """Add to the number of a key, which is ``default`` if it is absent, and return the sum.

        One transaction: whatever threads and processes do it at once, nothing is lost. Raises
        ``SchemaValidationError`` if these are no numbers that can be added.
        """
        return self._write(mappings.increment, key, by, default)

    # --- many items ---------------------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[K]) -> dict[K, V]:
        """Return those of the keys that are there, in the order asked, with their values: all of one snapshot."""
        return self._read(mappings.find_many, list(keys))

    @overload
    def update(self, items: _HasKeysAndItems[K, V], /) -> None: ...
    @overload
    def update(self: PersistentMapping[str, V], items: _HasKeysAndItems[str, V], /, **named: V) -> None: ...
    @overload
    def update(self, items: Iterable[tuple[K, V]], /) -> None: ...
    @overload
    def update(self: PersistentMapping[str, V], items: Iterable[tuple[str, V]], /, **named: V) -> None: ...
    @overload
    def update(self: PersistentMapping[str, V], /, **named: V) -> None: ...
    # Any: as the overloads say. pyright refuses them even where they are copied from typeshed's MutableMapping.
    def update(self, items: Any = (), /, **named: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Put many items, from a mapping or from pairs of any length, in one transaction: all of them, or none.

        Inside a transaction this is a savepoint of it; see ``Table.insert_many`` for one that is too large.
        """
        pairs = _pairs(items, named)
        with self._database.begin_transaction():  # and no call of its own, which may be repeated: pairs are used up
            self._write(mappings.put_many, pairs)

    def clear(self) -> None:
        """Remove every item."""
        self._write(mappings.clear)

    # --- all items ----------------------------------------------------------------------------------------------------

    def keys(self) -> MappingKeys[K]:
        """Return a view of the keys, in order. Each iteration of it reads one snapshot."""
        return MappingKeys(self)

    def values(self) -> MappingValues[V]:
        """Return a view of the values, in the order of their keys. Each iteration of it reads one snapshot."""
        return MappingValues(self)

    def items(self) -> MappingItems[K, V]:
        """Return a view of the items, in the order of their keys. Each iteration of it reads one snapshot."""
        return MappingItems(self)

    def irange(self, start: K | None = None, stop: K | None = None, *, reverse: bool = False) -> Iterator[K]:
        """Iterate over the keys of ``[start, stop)`` in order, or from their end; None is the open end.

        All of one snapshot: outside a transaction, of the moment when the first is asked for. ``get_many`` takes what
        this returns. Raises ``SchemaValidationError`` for a bound that can be no key.
        """
        return self._stream(mappings.scan_keys, start, stop, reverse=reverse)

    def iterate_values(self, *, reverse: bool = False) -> Iterator[V]:
        """What iterating over ``values()`` does."""
        return self._stream(mappings.scan_values, reverse=reverse)

    def iterate_items(self, *, reverse: bool = False) -> Iterator[tuple[K, V]]:
        """What iterating over ``items()`` does."""
        return self._stream(mappings.scan_items, reverse=reverse)

    def __iter__(self) -> Iterator[K]:
        return self.irange()

    def __reversed__(self) -> Iterator[K]:
        return self.irange(reverse=True)

    def __len__(self) -> int:
        return self._read(mappings.count)

    def __repr__(self) -> str:
        return f"<mapping {self._name!r} of {self._database.location!r}>"

    # --- inside -------------------------------------------------------------------------------------------------------

    def _read(
        self,
        operation: Callable[Concatenate[ReadTransaction, MappingBinding, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        with self._database.snapshot(None) as (snapshot, catalog):
            return operation(snapshot, catalog.mapping(self._name), *arguments, **named)

    def _write(
        self,
        operation: Callable[Concatenate[WriteSession, MappingBinding, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        def write(session: WriteSession) -> Result:
            return operation(session, session.catalog.mapping(self._name), *arguments, **named)

        transaction = self._database.current_transaction()
        return self._database.write_alone(None, write) if transaction is None else write(transaction.writing())

    def _stream(
        self,
        operation: Callable[Concatenate[ReadTransaction, MappingBinding, Parameters], Iterator[Iterable[Item]]],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Iterator[Item]:
        def pages(snapshot: ReadTransaction, catalog: Catalog) -> Iterator[Iterable[Item]]:
            return operation(snapshot, catalog.mapping(self._name), *arguments, **named)

        return stream(self._database, None, pages)


class MappingKeys(KeysView[K]):
    """The keys of a mapping, in order."""

    __slots__ = ("_source",)

    def __init__(self, source: PersistentMapping[K, Any]) -> None:  # Any: whatever its values are
        super().__init__(source)
        self._source = source

    def __reversed__(self) -> Iterator[K]:
        return reversed(self._source)


class MappingValues(ValuesView[V]):
    """The values of a mapping, in the order of their keys."""

    __slots__ = ("_source",)

    def __init__(self, source: PersistentMapping[Any, V]) -> None:  # Any: whatever its keys are
        super().__init__(source)
        self._source = source

    def __contains__(self, value: object) -> bool:
        return any(value is one or value == one for one in self)

    def __iter__(self) -> Iterator[V]:
        return self._source.iterate_values()

    def __reversed__(self) -> Iterator[V]:
        return self._source.iterate_values(reverse=True)


class MappingItems(ItemsView[K, V]):
    """The items of a mapping, in the order of their keys."""

    __slots__ = ("_source",)

    def __init__(self, source: PersistentMapping[K, V]) -> None:
        super().__init__(source)
        self._source = source

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._source.iterate_items()

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        return self._source.iterate_items(reverse=True)


def _pairs(items: Any, named: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:  # Any: as the overloads of update say
    if isinstance(items, Mapping):
        yield from items.items()
    elif hasattr(items, "keys"):
        for key in items.keys():  # noqa: SIM118  # it need not be iterable itself
            yield key, items[key]
    else:
        for key, value in items:
            yield key, value
    yield from named.items()
