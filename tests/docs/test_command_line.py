"""The reference of the command line says what the commands say."""

from __future__ import annotations

from tests.docs import command_line


def test_the_reference_is_current() -> None:
    current = command_line.render()
    assert command_line.PAGE.read_text() == current, "write it anew: python -m tests.docs.command_line"


def test_every_verb_has_an_example() -> None:
    sections = command_line.PAGE.read_text().split("\n### ")[1:]
    assert len(sections) >= 15
    for section in sections:
        assert "```console\n$ minidb " in section, section.splitlines()[0]
