"""All that a report of an error may show, to look for a secret in it."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType
from typing import Final

SECRET: Final = "S3cr3tOfMine"  # noqa: S105  # so that it is looked for
TESTS: Final = Path(__file__).parents[2]


def all_that_is_shown(error: BaseException) -> str:
    """Return everything that a report of an error may hold, of the frames of the package and what it uses."""
    shown: list[str] = []
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is None:
            continue
        shown += [str(one), repr(one), repr(one.args), repr(vars(one)), *locals_of(one.__traceback__)]
        shown += traceback.format_exception(one)
        pending += [one.__cause__, one.__context__]
    return "\n".join(shown)


def locals_of(frames: TracebackType | None) -> list[str]:
    shown = []
    while frames is not None:
        if not Path(frames.tb_frame.f_code.co_filename).is_relative_to(TESTS):
            shown += [f"{name} = {value!r}" for name, value in frames.tb_frame.f_locals.items()]
        frames = frames.tb_next
    return shown
