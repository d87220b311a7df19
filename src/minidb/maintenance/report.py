"""What ``verify`` has found: the report that a person reads, and a program too."""

from __future__ import annotations

from typing import Any, Final

from minidb.structs import Struct, field

MOST_FINDINGS: Final = 1000
"""Findings that a report keeps. Of more it knows the number only: a ruined disk must not fill the memory."""


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that is wrong.

    ``code`` is a stable word such as ``"row-damaged"``, ``message`` a sentence without values, ``hint`` what to do. The
    other facts are None where they do not apply; ``id`` is that of the row, or the key of the mapping's item, and
    ``key`` the bytes that it, or an index entry, is stored at.
    """

    code: str
    message: str
    hint: str
    table: str | None = None
    index: str | None = None
    mapping: str | None = None
    id: object = None
    key: bytes | None = None

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        """Return the facts that apply, for JSON: bytes in hexadecimal, ids that JSON has no type for as their repr."""
        facts = {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "table": self.table,
            "index": self.index,
            "mapping": self.mapping,
            "id": self.id if isinstance(self.id, str | int | float | None) else repr(self.id),
            "key": None if self.key is None else self.key.hex(),
        }
        return {name: value for name, value in facts.items() if value is not None}

    def __str__(self) -> str:
        where = [
            f"{what} {value!r}"
            for what, value in (("table", self.table), ("index", self.index), ("mapping", self.mapping))
            if value is not None
        ]
        if self.id is not None:
            where.append(f"id {self.id!r}" if self.mapping is None else f"key {self.id!r}")
        elif self.key is not None:
            where.append(f"key {self.key.hex()}")
        place = f"{', '.join(where)}: " if where else ""
        return f"[{self.code}] {place}{self.message} ({self.hint})"


class Salvaged(Struct, kw_only=True):
    """What a new database has of a damaged one, and what it lacks."""

    path: str = ""
    """Where the new database is."""

    tables: dict[str, int] = field(default_factory=dict)
    """The rows that it has, by table."""

    mappings: dict[str, int] = field(default_factory=dict)
    """The items that it has, by mapping."""

    lost_rows: dict[str, int] = field(default_factory=dict)
    """The rows that could not be read, by table, where there are any."""

    lost_items: dict[str, int] = field(default_factory=dict)
    """The items that could not be read, by mapping, where there are any."""

    lost_definitions: int = 0
    """Tables, mappings and indexes whose definition could not be read or used."""

    remaining: list[Finding] = field(default_factory=list)
    """What is wrong with the new database, such as rows that do not fit their schema: they are kept."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost."""
        return not (self.lost_rows or self.lost_items or self.lost_definitions)

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        """Return the facts for JSON."""
        return {
            "path": self.path,
            "tables": dict(self.tables),
            "mappings": dict(self.mappings),
            "lost_rows": dict(self.lost_rows),
            "lost_items": dict(self.lost_items),
            "lost_definitions": self.lost_definitions,
            "remaining": [finding.to_dict() for finding in self.remaining],
        }

    def __str__(self) -> str:
        kept = (
            f"salvaged into {self.path}: {len(self.tables)} tables with {sum(self.tables.values())} rows, "
            f"{len(self.mappings)} mappings with {sum(self.mappings.values())} items"
        )
        lost = [f"{count} rows of table {name!r}" for name, count in self.lost_rows.items()]
        lost += [f"{count} items of mapping {name!r}" for name, count in self.lost_items.items()]
        if self.lost_definitions:
            lost.append(f"{self.lost_definitions} definitions")
        lines = [kept, f"lost: {', '.join(lost) or 'nothing'}"]
        if self.remaining:
            lines += ["still wrong in it:", *map(str, self.remaining)]
        return "\n".join(lines)


class VerifyReport(Struct, kw_only=True):
    """What was examined, and what is wrong with it. ``str()`` of it is for people, ``to_dict()`` for JSON.

    True in a condition if nothing is wrong.
    """

    tables: dict[str, int] = field(default_factory=dict)
    """The rows that were read, by table."""

    indexes: dict[str, int] = field(default_factory=dict)
    """The entries that were read, by ``table.index``."""

    building: dict[str, int] = field(default_factory=dict)
    """The entries that indexes have which are still being built, by ``table.index``. They may lack some: no finding."""

    mappings: dict[str, int] = field(default_factory=dict)
    """The items that were read, by mapping."""

    findings: list[Finding] = field(default_factory=list)
    """The first ``MOST_FINDINGS`` of them."""

    finding_count: int = 0
    """How many there were."""

    salvaged: Salvaged | None = None
    """What was made of the database, where ``repair`` was asked for."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.finding_count == 0

    def add(self, finding: Finding) -> None:
        """Take in a finding."""
        self.finding_count += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)

    def to_dict(self) -> dict[str, Any]:  # Any: JSON
        """Return the report for JSON."""
        report = {
            "ok": self.ok,
            "tables": dict(self.tables),
            "indexes": dict(self.indexes),
            "building": dict(self.building),
            "mappings": dict(self.mappings),
            "finding_count": self.finding_count,
            "findings": [finding.to_dict() for finding in self.findings],
        }
        return report if self.salvaged is None else {**report, "salvaged": self.salvaged.to_dict()}

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        rows, entries, items = (sum(one.values()) for one in (self.tables, self.indexes, self.mappings))
        examined = (
            f"{len(self.tables)} tables with {rows} rows, {len(self.indexes)} indexes with {entries} entries, "
            f"{len(self.mappings)} mappings with {items} items"
        )
        if self.building:
            examined += f"; still being built: {', '.join(sorted(self.building))}"
        salvaged = "" if self.salvaged is None else f"\n{self.salvaged}"
        if self.ok:
            return f"ok: {examined}{salvaged}"
        lines = [f"{self.finding_count} findings in {examined}", *map(str, self.findings)]
        if self.finding_count > len(self.findings):
            lines.append(f"… and {self.finding_count - len(self.findings)} more")
        return "\n".join(lines) + salvaged
