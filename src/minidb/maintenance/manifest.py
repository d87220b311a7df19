"""What a backup says of itself: its header.

    header := {"minidb": "backup", "format": 2, "minidb_version": text, "engine": text, "created_at": ISO 8601,
               "tables": {name: rows}, "mappings": {name: items}, "spaces": {name: pairs},
               "history": point | null, "since": point | null}
    point  := {"commit": number, "time_us": microseconds since 1970, "chain": hexadecimal}

``history`` is the newest commit that the backup holds, where the database keeps a history. ``since`` is there in an
increment only, whose one space is the history: the commit that its records follow.
"""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any, Final

from minidb.engines.port import Space
from minidb.exceptions import CorruptionError
from minidb.maintenance.contents import Contents
from minidb.structs import field

if TYPE_CHECKING:
    from minidb.tables.history import Point

FORMAT: Final = 2

_KNOWN_FORMATS: Final = (1, FORMAT)

_MOST_SPACES: Final = 4096  # as many as an engine holds
_SPACE_NAME: Final = r"catalog|sequences|(rows|mapping)/[0-9]{1,20}"
_LARGEST: Final = 2**63 - 1


class Manifest(Contents, kw_only=True):
    """What a backup says of itself, in its header."""

    minidb_version: str
    engine: str
    """The engine that it was made from. It can be restored into any."""

    created_at: str
    """When the backup began: ISO 8601, UTC."""

    spaces: dict[Space, int] = field(default_factory=dict)
    """The pairs of each space, in the order in which they follow."""

    history: Point | None = None
    """The newest commit that it holds, where the database keeps a history."""

    since: Point | None = None
    """The commit that an increment follows; None for a whole backup."""

    path: str | None = None
    """Where it is; None if it went to a file object. Not part of the backup."""

    size_bytes: int = 0
    """How many bytes it has, uncompressed. Not part of the header."""

    sha256: str = ""
    """The SHA-256 in its last frame, in hexadecimal: it stands for all that it holds. Not part of the header."""

    @property
    def commit(self) -> int | None:
        """The number of the newest commit that it holds; None where the database keeps no history."""
        return None if self.history is None else self.history.number

    @property
    def committed_at(self) -> datetime.datetime | None:
        """When that commit was made, in UTC."""
        return None if self.history is None else moment_of(self.history.time_us)

    @property
    def is_increment(self) -> bool:
        """Whether it holds only what was committed since an earlier backup."""
        return self.since is not None

    @property
    def until_us(self) -> int:
        """The moment up to which it holds all that was committed, in microseconds since 1970."""
        made = int(datetime.datetime.fromisoformat(self.created_at).timestamp()) * 1_000_000
        return made if self.history is None else max(made, self.history.time_us)

    def to_document(self) -> dict[str, object]:
        """Return the header of the backup, for JSON."""
        return {
            "minidb": "backup",
            "format": FORMAT,
            "minidb_version": self.minidb_version,
            "engine": self.engine,
            "created_at": self.created_at,
            "tables": self.tables,
            "mappings": self.mappings,
            "spaces": self.spaces,
            "history": _to_document(self.history),
            "since": _to_document(self.since),
        }

    @classmethod
    def from_document(cls, document: Any) -> Manifest:  # Any: checked here
        """Return what a header says. Raises ``CorruptionError``."""
        if not isinstance(document, dict) or document.get("minidb") != "backup":
            raise CorruptionError("The header is none of a backup of MiniDB")
        if document.get("format") not in _KNOWN_FORMATS:
            raise CorruptionError("The backup has a format that this version does not know")
        texts = {name: document.get(name) for name in ("minidb_version", "engine", "created_at")}
        counts = {name: document.get(name) for name in ("tables", "mappings", "spaces")}
        if not all(isinstance(text, str) for text in texts.values()) or not all(map(_is_counts, counts.values())):
            raise CorruptionError("The header lacks a part, or has one of a wrong kind")
        history, since = (_from_document(document.get(name)) for name in ("history", "since"))
        manifest = cls(**texts, **counts, history=history, since=since)  # type: ignore[arg-type]  # checked above
        if not manifest._has_right_spaces():
            raise CorruptionError("The header names a space as no space is named")
        if since is not None and (history is None or since.number > history.number):
            raise CorruptionError("The header says of an increment what none can say")
        try:
            _ = manifest.until_us
        except (ValueError, OverflowError) as error:
            raise CorruptionError("The header has a time that is none") from error
        return manifest

    def _has_right_spaces(self) -> bool:
        if self.is_increment:
            from minidb.tables.history import HISTORY

            return list(self.spaces) == [HISTORY]
        return len(self.spaces) <= _MOST_SPACES and all(map(is_kept, self.spaces))


def is_kept(space: Space) -> bool:
    """Tell whether a whole backup holds a space."""
    return re.fullmatch(_SPACE_NAME, space) is not None


def moment_of(time_us: int) -> datetime.datetime:
    """Return the moment of a time in microseconds since 1970."""
    return datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(microseconds=time_us)


def _is_counts(counts: object) -> bool:
    return isinstance(counts, dict) and all(type(count) is int and count >= 0 for count in counts.values())


def _to_document(point: Point | None) -> dict[str, object] | None:
    if point is None:
        return None
    return {"commit": point.number, "time_us": point.time_us, "chain": point.chain.hex()}


def _from_document(document: object) -> Point | None:
    from minidb.tables.history import CHAIN_BYTES, Chain, Point

    if document is None:
        return None
    try:
        match document:
            case {"commit": int(number), "time_us": int(time_us), "chain": str(chain)}:
                point = Point(number, time_us, Chain(bytes.fromhex(chain)))
                moment_of(time_us)
                if len(point.chain) == CHAIN_BYTES and 0 <= number < _LARGEST and time_us >= 0:
                    return point
    except (ValueError, OverflowError):
        pass
    raise CorruptionError("The header names a commit as none is named")
