"""Where MiniDB says what it does: the loggers of Python's ``logging``, which is not imported for that.

It takes 3 of the 45 ms that importing MiniDB takes. A program that has not imported it cannot have asked to be told,
and MiniDB is silent until it is asked: nobody misses what is not said to him.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

_DEBUG, _INFO, _WARNING, _ERROR = 10, 20, 30, 40  # as logging has them


class Logger:
    """``logging.getLogger(name)``, from the moment when somebody has imported ``logging``. Safe from any thread."""

    __slots__ = ("_name", "_real")

    def __init__(self, name: str) -> None:
        self._name = name
        self._real: logging.Logger | None = None

    def debug(self, message: str, *arguments: object, extra: Mapping[str, object] | None = None) -> None:
        self._say(_DEBUG, message, arguments, extra)

    def info(self, message: str, *arguments: object, extra: Mapping[str, object] | None = None) -> None:
        self._say(_INFO, message, arguments, extra)

    def warning(self, message: str, *arguments: object, extra: Mapping[str, object] | None = None) -> None:
        self._say(_WARNING, message, arguments, extra)

    def error(self, message: str, *arguments: object, extra: Mapping[str, object] | None = None) -> None:
        self._say(_ERROR, message, arguments, extra)

    @property
    def is_debugging(self) -> bool:
        """Whether what ``debug`` says is heard."""
        real = self._real or self._find()
        return real is not None and real.isEnabledFor(_DEBUG)

    def _say(self, level: int, message: str, arguments: tuple[object, ...], extra: Mapping[str, object] | None) -> None:
        real = self._real or self._find()
        if real is not None:
            real.log(level, message, *arguments, extra=extra, stacklevel=3)  # the caller's line, not this one

    def _find(self) -> logging.Logger | None:
        module = sys.modules.get("logging")
        if module is None or not hasattr(module, "NullHandler"):  # which another thread is just importing
            return None
        above = module.getLogger("minidb")
        if not above.handlers:  # else warnings would be printed where nobody has said what becomes of them
            above.addHandler(module.NullHandler())
        self._real = module.getLogger(self._name)
        return self._real
