"""The steps of a read and of an insert can be timed, and the page that tells their times names just these."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bench import steps

PAGE = Path(__file__).parents[2] / "docs" / "design" / "performance.md"


def test_the_page_tells_each_step_that_is_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "_CALLS", 2)
    monkeypatch.setattr(steps, "_ROUNDS", 1)
    monkeypatch.setattr(steps, "_ROWS", 100_000)  # there must be the row that is read
    steps.main()
    timed = re.findall(r"^  (.+?)  +[-0-9,]+ ns$", capsys.readouterr().out, flags=re.MULTILINE)
    told = re.findall(r"^\| (.+?) \| [0-9,]+ \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert told == timed
