"""Writes docs/reference/command-line.md from the commands themselves; a test asks whether it is current.

python -m tests.docs.command_line
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from minidb.cli.main import app

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"
PREFACE = Path(__file__).with_name("command_line_preface.md")

Command = Any  # Any: a command of click, which typer may vendor


def render() -> str:
    """Return the page."""
    group: Command = typer.main.get_command(app)
    lines = [*PREFACE.read_text().splitlines(), ""]
    panels: dict[str, list[str]] = {"A tour": []}
    for name, command in group.commands.items():
        panel = command.rich_help_panel if isinstance(command.rich_help_panel, str) else "A tour"
        panels.setdefault(panel, []).extend(_describe(f"minidb {name}", command))
    for panel, section in panels.items():
        lines += [f"## {panel}", "", *section]
    return "\n".join(lines).rstrip() + "\n"


def _describe(name: str, command: Command) -> Iterator[str]:
    if hasattr(command, "commands"):
        for inner_name, inner in command.commands.items():
            yield from _describe(f"{name} {inner_name}", inner)
        return
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    yield from (f"### `{name}`", "", *inspect.cleandoc(command.help).splitlines(), "")
    yield from ("```text", " ".join([name, "[OPTIONS]", *map(_usage_of, arguments)]), "```", "")
    options = [one for one in command.params if one.param_type_name == "option" and one.name != "help"]
    for one in arguments:
        yield f"- `{_usage_of(one)}`: {one.help}"
    for one in options:
        value = "" if one.is_flag else f" {one.metavar or 'TEXT'}"
        default = f" Default: `{one.default}`." if one.default not in (None, False, (), []) else ""
        yield f"- `{', '.join(one.opts)}{value}`: {one.help}{default}"
    yield ""


def _usage_of(argument: Command) -> str:
    word = argument.metavar or argument.name.upper()
    return word if argument.required or word.startswith("[") else f"[{word}]"


if __name__ == "__main__":
    PAGE.write_text(render())
