"""What a schema says of whole rows: stamps and versions, computed values, and checks across fields.

A row goes through it in one direction: stamps and the version are filled in -> every field is checked -> computed
values are made of the checked ones -> the checks see the whole row. Called by ``RowChecker`` where a schema has any.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from minidb.exceptions import FieldError
from minidb.schema.field import Errors, name_of
from minidb.schema.schema import Schema

ROW = "row"
"""What stands in the place of a field in the errors of checks."""


def now() -> datetime.datetime:
    """Return the time for stamps."""
    return datetime.datetime.now(datetime.UTC)


class Rules:
    """The rules of one schema. Immutable; safe from any thread."""

    __slots__ = ("_checks", "_computed", "_names", "_restore", "_shape", "_stamps", "_version", "made")

    made: frozenset[str]
    """The fields whose values are never taken from the program."""

    def __init__(self, schema: Schema, restore: Callable[[list[object]], list[object]] | None) -> None:
        """``restore`` is that of ``RowChecker``."""
        self._names = tuple(schema.fields)
        self._restore = restore
        places_of = {role: self._names.index(name) for role, name in schema.roles.items()}
        self._version = places_of.pop("version", None)
        self._stamps = places_of
        self._computed = tuple(
            (place, name, field) for place, (name, field) in enumerate(schema.fields.items()) if field.computed
        )
        self._checks = schema.checks
        self._shape = schema.shape
        self.made = frozenset(name for name, field in schema.fields.items() if field.is_made)

    @property
    def is_needed(self) -> bool:
        """Whether there is any rule."""
        return bool(self.made or self._checks or self.runs_code)

    @property
    def is_code_alone(self) -> bool:
        """Whether all there is is the code of a model, which runs when the program makes an object."""
        return not (self.made or self._checks)

    @property
    def runs_code(self) -> bool:
        return self._shape is not None and self._shape.runs_code

    @property
    def has_stamps(self) -> bool:
        """Whether a row depends on the one whose place it takes."""
        return bool(self._stamps) or self._version is not None

    def stamped(self, columns: Mapping[str, object], old: Sequence[object] | None) -> Mapping[str, object]:
        """Return the columns with stamps and version. ``old`` are the stored values that a row replaces."""
        if not self.has_stamps:
            return columns
        return {**columns, **{self._names[place]: value for place, value in self._made_of(old).items()}}

    def restamped(self, values: Sequence[object], old: Sequence[object]) -> list[object]:
        """Return the checked values of a row that, as it turned out, takes the place of another one."""
        new = self._made_of(old)
        return [new.get(place, value) for place, value in enumerate(values)]

    def _made_of(self, old: Sequence[object] | None) -> dict[int, object]:
        made: dict[int, object] = {}
        if self._version is not None:
            version = 0 if old is None else old[self._version]
            made[self._version] = (version if isinstance(version, int) else 0) + 1
        if self._stamps:
            before = [] if old is None else [old[place] for place in self._stamps.values()]
            # A clock that was set back must not make a row older than it was.
            moment = max([now(), *(one for one in before if isinstance(one, datetime.datetime))])
            for stamp, place in self._stamps.items():
                made[place] = moment if old is None or stamp != "created" else old[place]
        return made

    def finish(self, values: Sequence[object], errors: Errors) -> Sequence[object]:
        """Return the values to store of a row whose fields were checked; with errors, they mean nothing."""
        if not self._computed and not self._checks and not self.runs_code:
            return values
        stored = list(values)
        restored = list(values) if self._restore is None else self._restore(list(values))
        columns = dict(zip(self._names, restored, strict=True))
        for place, name, field in self._computed:
            made = _compute(field.computed, columns, name, errors)
            columns[name] = field.check(made, name, errors)
            stored[place] = None if columns[name] is None else field.to_stored(columns[name])
        if not errors and (self._checks or self.runs_code):
            self._run_checks(columns, errors)
        return stored

    def _run_checks(self, columns: dict[str, Any], errors: Errors) -> None:
        row: object = MappingProxyType(columns)
        if self._shape is not None:
            row = self._shape.make_checked(columns, ROW, errors)
            if errors:
                return
        for check in self._checks:
            try:
                answer = check(row)
            except (ValueError, AssertionError) as refusal:
                errors.append(FieldError(ROW, "check", str(refusal) or f"was refused by {name_of(check)}"))
            else:
                if answer is not None and not answer:
                    errors.append(FieldError(ROW, "check", f"was refused by {name_of(check)}"))


def _compute(
    compute: Callable[[Mapping[str, Any]], Any] | None, columns: dict[str, Any], name: str, errors: Errors
) -> object:
    assert compute is not None, "the field is computed"
    try:
        return compute(MappingProxyType(columns))
    except (ValueError, AssertionError) as refusal:
        errors.append(FieldError(name, "computed", str(refusal) or f"could not be computed by {name_of(compute)}"))
        return None
