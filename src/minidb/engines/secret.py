"""Text that is shown nowhere: not by ``repr``, and so in no log and in no traceback that shows what is local."""

from __future__ import annotations


class Secret:
    """Text with a password in it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text. What it is given to must not keep it in a frame that may raise."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"
