"""What a check of the conformance suite expects."""

from __future__ import annotations


def expect(actual: object, expected: object, guarantee: str) -> None:
    """Raise ``AssertionError`` unless the two are equal."""
    assert actual == expected, f"{guarantee}: expected {_short(expected)}, got {_short(actual)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
