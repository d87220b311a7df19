"""Counts are read from callgrind's files, compared with the last ones from the same Python, and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from bench import hot_paths, instructions


def write_counts(output: Path, *totals: int) -> None:
    for place, total in enumerate(totals, 1):
        # What is before a section, and then the section.
        output.with_name(f"{output.name}.{2 * place - 1}").write_text("desc: Trigger: setup\nsummary: 999999\n")
        output.with_name(f"{output.name}.{2 * place}").write_text(f"desc: Trigger: section\nsummary: {total}\n")


def test_counts_are_by_call_and_without_the_loop(tmp_path: Path) -> None:
    output = tmp_path / "counts"
    write_counts(output, 5_000, 250_000, 90_000)
    sections = [(hot_paths.NOTHING, 100), ("point_read", 100), ("insert", 10)]
    assert instructions.per_call(sections, output) == {"point_read": 2_450, "insert": 8_950}


def test_marks_that_were_not_found_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(instructions.NotCountedError, match="marks"):
        instructions.per_call([(hot_paths.NOTHING, 100)], tmp_path / "counts")


def test_a_change_is_told_against_the_last_counts_of_the_same_python(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    entries = [
        {"date": "2026-01-01", "commit": "a", "python": "this", "counts": {"point_read": 100}},
        {"date": "2026-01-02", "commit": "b", "python": "this", "counts": {"point_read": 200}},
        {"date": "2026-01-03", "commit": "c", "python": "another", "counts": {"point_read": 1}},
    ]
    history.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    before = instructions.last_with("this", history)
    first, read, insert = instructions.compared({"point_read": 210, "insert": 7}, before)
    assert "2026-01-02" in first
    assert read.split() == ["point_read", "210", "+5.0%"]
    assert insert.split() == ["insert", "7", "new"]
    assert instructions.last_with("no other", history) is None


@pytest.mark.parametrize("options", [[], ["--look"]])
def test_one_command_counts_compares_and_adds_a_line(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    history = tmp_path / "history.jsonl"
    for counted in (1000, 1100):
        monkeypatch.setattr(instructions, "count", lambda counted=counted: {"point_read": counted})
        assert instructions.main([*options, "--history", str(history)]) == 0
    assert ("+10.0%" in capsys.readouterr().out) == (not options)
    entries = [json.loads(line) for line in history.read_text().splitlines()] if history.exists() else []
    assert [entry["counts"] for entry in entries] == ([] if options else [{"point_read": 1000}, {"point_read": 1100}])
    assert all(set(entry) == {"date", "commit", "python", "counts"} for entry in entries)


def test_without_valgrind_nothing_is_counted_and_no_line_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert instructions.main(["--history", str(tmp_path / "history.jsonl")]) == 1
    assert "valgrind is not installed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_every_path_does_what_its_name_says() -> None:
    results: dict[str, object] = {}

    def note(name: str, calls: int, call: Callable[[], object]) -> None:
        assert calls > 0
        results[name] = call()

    hot_paths.walk(note)
    assert list(results) == [
        *(hot_paths.NOTHING, "point_read", "point_read_in_transaction", "query_by_index", "find_and_limit"),
        *("insert_in_transaction", "insert_and_commit"),
    ]
    assert results["point_read"] == results["point_read_in_transaction"]
    assert results["insert_and_commit"] == int(str(results["insert_in_transaction"])) + 1
    assert 0 < len(list(results["find_and_limit"])) <= 5  # type: ignore[call-overload]  # a list of rows
    assert len(list(results["query_by_index"])) > 5  # type: ignore[call-overload]  # the same


def test_the_history_holds_every_path_that_is_counted_now() -> None:
    lines = instructions.HISTORY.read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert all(set(entry) == {"date", "commit", "python", "counts"} for entry in entries)
    names: list[str] = []
    hot_paths.walk(lambda name, calls, call: names.append(name))  # noqa: ARG005  # it asks for the names only
    assert list(entries[-1]["counts"]) == names[1:]
