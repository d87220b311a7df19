"""The prompt of the shell on a terminal, by prompt_toolkit: completion, history, colours.

Importing it needs the extra ``shell``; ``shell`` does without.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.output import ColorDepth

from minidb import MiniDB
from minidb.cli.filter_language import WORDS
from minidb.exceptions import MiniDBError

_BEGUN: Final = re.compile(r"[\w.\\-]*$")
_PARTS: Final = re.compile(
    rf"(?P<verb>^\s*[\\.]?[\w-]+)|(?P<text>'[^']*'?)|(?P<word>\b(?:{'|'.join(WORDS)})\b)"
    r"|(?P<number>\b\d[\d.]*\b)|(?P<option>(?<!\S)--?[a-z][\w-]*)|\w+|."
)
_COLOURS: Final = {
    "verb": "bold ansiblue",
    "text": "ansigreen",
    "word": "ansimagenta",
    "number": "ansicyan",
    "option": "ansiyellow",
    "": "",
}
META: Final = (".help", ".timing", ".quit", "\\explain")

Command = Any  # Any: a command of click, which typer may vendor


def make_prompt(program: Command, path: str) -> Callable[[str], str]:
    """Return what reads a line."""
    session: PromptSession[str] = PromptSession(
        history=FileHistory(str(_history_file())),
        completer=ShellCompleter(program, path),
        complete_while_typing=False,
        lexer=ShellLexer(),
        color_depth=ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None,
    )
    return session.prompt


def _history_file() -> Path:
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "minidb"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / "shell-history"


class ShellLexer(Lexer):
    """The colours of a line."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """Return what gives the coloured parts of a line by its number."""
        return lambda number: [
            (_COLOURS[part.lastgroup or ""], part[0]) for part in _PARTS.finditer(document.lines[number])
        ]


class ShellCompleter(Completer):
    """Proposes verbs, then tables, then fields and options."""

    def __init__(self, program: Command, path: str) -> None:
        self._program = program
        self._path = path

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:  # noqa: ARG002  # its interface
        """Yield what may stand at the cursor."""
        text = document.text_before_cursor
        match = _BEGUN.search(text)
        begun = "" if match is None else match[0]
        words = text[: len(text) - len(begun)].replace('"', " ").split()
        for proposal in self._proposals(words, begun):
            if proposal.startswith(begun):
                yield Completion(proposal, start_position=-len(begun))

    def _proposals(self, words: list[str], begun: str) -> list[str]:
        if not words:
            return sorted(name for name in self._program.commands if name != "shell") + list(META)
        if words[0] == "\\explain":
            words = ["query", *words[1:]]
        command = self._program.commands.get(words[0])
        rest = words[1:]
        if hasattr(command, "commands"):
            if not rest:
                return sorted(command.commands)
            command, rest = command.commands.get(rest[0]), rest[1:]
        if command is None:
            return []
        if begun.startswith("-"):
            fields = self._fields_of(rest[0]) if rest else []
            return [name for one in command.params for name in one.opts if name.startswith("--")] + [
                f"-{name}" for name in fields
            ]
        takes_table = any(one.name == "table" for one in command.params)
        return [] if not takes_table else self._fields_of(rest[0]) + list(WORDS) if rest else self._tables()

    def _tables(self) -> list[str]:
        try:
            with MiniDB(self._path, read_only=True) as database:
                return database.table_names() + database.mapping_names()
        except MiniDBError:
            return []

    def _fields_of(self, table: str) -> list[str]:
        try:
            with MiniDB(self._path, read_only=True) as database:
                schema = database.get_table(table).schema
                if schema is None:
                    return []
                return list(schema.fields if schema.primary_key else {"id": None, **schema.fields})
        except MiniDBError:
            return []
