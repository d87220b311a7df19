"""Page tokens: where a page ended, sealed so that it can be handed to a stranger and be trusted when it comes back.

    token    := base64url(tag sealed), without padding
    tag      := the first 16 bytes of HMAC-SHA-256(secret, document)
    sealed   := document, each bit flipped where SHAKE-256(secret, tag) has a one
    document := {query, order, key, way, at}

The tag proves that this database made the token, and for this query: whatever else is sent is refused. The document is
hidden as well, since it holds values of the page's last row. The same position has the same token.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b, shake_256
from typing import Final, NoReturn

from minidb.conditions.document import to_document
from minidb.conditions.predicate import Condition
from minidb.encoding.rows import decode_document, encode_document
from minidb.exceptions import PageTokenError
from minidb.query.plan import Order
from minidb.structs import Struct

_TAG_BYTES: Final = 16


class Position(Struct, frozen=True):
    """Where a page ended."""

    order: Order
    """The order that the pages are in, before that of the rows' keys."""

    key: bytes
    """What the last row has been sorted by."""

    way: int
    """The id of the index, or of the table, whose keys lead on to the next page; 0 if none does."""

    at: bytes
    """The key, in there, of the last row."""


def query_mark(table_id: int, condition: Condition | None, order: Order) -> bytes:
    """Return what tells a query from others."""
    where = None if condition is None else to_document(condition)
    document = {"table": table_id, "where": where, "order": [list(one) for one in order]}
    return blake2b(encode_document(document), digest_size=_TAG_BYTES).digest()


def seal(position: Position, mark: bytes, secret: bytes) -> str:
    """Return the token for a position in the pages of a query."""
    document = encode_document(
        {
            "query": mark,
            "order": [list(one) for one in position.order],
            "key": position.key,
            "way": position.way,
            "at": position.at,
        }
    )
    tag = _tag(document, secret)
    return _spelled(tag + _flipped(document, tag, secret))


def unseal(token: object, mark: bytes, secret: bytes) -> Position:
    """Return the position of a token. Raises ``PageTokenError`` for what is not a token of this query."""
    if not isinstance(token, str) or not token.isascii():
        _refuse()
    try:
        data = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except binascii.Error:
        _refuse()
    if _spelled(data) != token:  # the decoder is lenient: it passes over what it does not know
        _refuse()
    tag, sealed = data[:_TAG_BYTES], data[_TAG_BYTES:]
    document = _flipped(sealed, tag, secret)
    if not hmac.compare_digest(tag, _tag(document, secret)):
        _refuse()
    facts = decode_document(document)
    if facts["query"] != mark:
        raise PageTokenError(
            "The page token belongs to another query",
            hint="ask for the next page with the conditions and the order of the first one",
        )
    order = tuple((name, is_descending) for name, is_descending in facts["order"])
    return Position(order, facts["key"], facts["way"], facts["at"])


def _refuse() -> NoReturn:
    raise PageTokenError(
        "The page token is none that this database has given out, or was changed", hint="begin with the first page"
    )


def _spelled(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _tag(document: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, document, "sha256")[:_TAG_BYTES]


def _flipped(data: bytes, tag: bytes, secret: bytes) -> bytes:
    stream = shake_256(secret + tag).digest(len(data))
    return (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(data), "big")
