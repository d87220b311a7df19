from hypothesis import given
from hypothesis import strategies as st

from minidb.engines.lmdb.commit_log.records import decode, encode
from minidb.engines.write_buffer import SpaceChanges

Items = dict[bytes, bytes | None]

items = st.dictionaries(st.binary(min_size=1, max_size=20), st.none() | st.binary(max_size=50))


def changes(items: Items, *, clears: bool = False) -> SpaceChanges:
    made = SpaceChanges(hides_below=clears)
    made.items = items
    return made


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.booleans(), items), max_size=4))
def test_what_was_encoded_is_decoded(spaces: list[tuple[int, bool, Items]]) -> None:
    encoded = encode([(slot, changes(items, clears=clears)) for slot, clears, items in spaces])
    decoded = [(slot, change.hides_below, change.items) for slot, change in decode(encoded)]
    assert decoded == spaces


def test_the_bytes_of_an_example() -> None:
    encoded = encode([(7, changes({b"a": b"xy", b"gone": None, b"bc": b""}, clears=True))])
    head = b"\7\0\0\0\1\0\0\0\1\0\0\0\2\0\0\0"
    sizes = b"\4\0\0\0\1\0\0\0\2\0\0\0\2\0\0\0\0\0\0\0"
    assert encoded == head + sizes + b"gone" + b"a" + b"bc" + b"xy"
