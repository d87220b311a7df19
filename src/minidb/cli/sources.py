"""Files of rows: CSV, TSV, JSON and JSON Lines, read in batches and in constant memory, as often as one likes.

Standard input is first copied to a temporary file: whoever infers types reads twice.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import shutil
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from minidb.exceptions import UsageError
from minidb.structs import Struct

if TYPE_CHECKING:
    import _csv

BATCH_ROWS: Final = 5000
_CHUNK: Final = 1 << 16  # characters of a JSON text
_DELIMITERS: Final = {"csv": ",", "tsv": "\t"}
_FORMATS: Final = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".json": "json"} | dict.fromkeys(
    (".nl", ".jsonl", ".ndjson"), "nl"
)

FORMATS: Final = ("csv", "tsv", "json", "nl")


class Unreadable(Struct, frozen=True):
    """What stands in the place of a row that is no JSON object."""

    reason: str
    text: str


class Batch(Struct, frozen=True):
    """Some rows of a file, and the line on which each ends, from 1."""

    lines: list[int]
    rows: list[object]
    """Of a file with a header lists of texts, else dicts. An ``Unreadable`` is neither."""


class Source(ABC):
    """A file of rows."""

    def __init__(self, name: str, file: IO[bytes], encoding: str, null_texts: Sequence[str] = ("",)) -> None:
        self.name = name
        self.encoding = encoding
        self.null_texts = frozenset(null_texts)
        self._file = file
        self.size_bytes = file.seek(0, io.SEEK_END)

    @property
    def position_bytes(self) -> int:
        """How much of the file has been read since ``batches`` was called."""
        return self._file.tell()

    @property
    def names(self) -> list[str] | None:
        """The names of the columns, if the file has a header."""
        return None

    @abstractmethod
    def batches(self, rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Yield the rows from the beginning, so many at a time."""

    @contextmanager
    def _text(self) -> Iterator[io.TextIOWrapper]:
        self._file.seek(0)
        encoding = "utf-8-sig" if self.encoding.lower() in ("utf-8", "utf8") else self.encoding
        text = io.TextIOWrapper(self._file, encoding, newline="")
        try:
            yield text
        except UnicodeError as error:
            self._file.seek(0)
            likely = "utf-16" if self._file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "latin-1"
            raise UsageError(
                f"{self.name} is no text in {self.encoding}", hint=f"say which encoding it has: --encoding {likely}"
            ) from error
        finally:
            if not self._file.closed:  # else the text would close it
                text.detach()


class DelimitedSource(Source):
    """CSV and TSV: the first line has the names of the columns."""

    def __init__(
        self, name: str, file: IO[bytes], encoding: str, null_texts: Sequence[str] = ("",), *, delimiter: str
    ) -> None:
        super().__init__(name, file, encoding, null_texts)
        self.delimiter = delimiter
        csv.field_size_limit(2**31 - 1)
        with self._text() as text:
            reader = self._reader(text)
            with self._telling(reader):
                self._names = next(reader, [])
        twice = sorted({one for one in self._names if self._names.count(one) > 1})
        if not self._names or not all(self._names) or twice:
            raise UsageError(
                f"The first line of {name} has a column twice: {twice[0]}"
                if twice and twice[0]
                else f"The first line of {name} does not name every column",
                hint="the first line must hold the names of the columns",
            )

    @property
    def names(self) -> list[str]:
        return self._names

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[Batch]:
        with self._text() as text:
            reader = self._reader(text)
            next(reader)
            numbered = ((reader.line_num, row) for row in reader if row)  # an empty line is no row
            while True:
                with self._telling(reader):
                    batch = list(islice(numbered, rows))
                if not batch:
                    return
                lines, found = zip(*batch, strict=True)
                yield Batch(list(lines), list(found))

    def _reader(self, text: io.TextIOWrapper) -> _csv.Reader:
        # Strictly: otherwise a quote that is not closed would take all lines behind it into one cell.
        return csv.reader(text, delimiter=self.delimiter, strict=True)

    @contextmanager
    def _telling(self, reader: _csv.Reader) -> Iterator[None]:
        try:
            yield
        except csv.Error as error:
            is_open = "unexpected end" in str(error)
            reason = "a quote is not closed" if is_open else "something follows the quote that ends a cell"
            raise UsageError(
                f"{self.name} is no CSV, up to line {reader.line_num}: {reason}",
                hint='a quote inside a cell is doubled: "so ""it"" is"',
            ) from error


class JsonSource(Source):
    """JSON Lines, or objects in one JSON array."""

    def __init__(
        self, name: str, file: IO[bytes], encoding: str, null_texts: Sequence[str] = ("",), *, is_lines: bool
    ) -> None:
        super().__init__(name, file, encoding, null_texts)
        self.is_lines = is_lines

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[Batch]:
        with self._text() as text:
            numbered = _json_lines(text) if self.is_lines else _json_array(text, self.name)
            while batch := list(islice(numbered, rows)):
                lines, found = zip(*batch, strict=True)
                yield Batch(list(lines), list(found))


@contextmanager
def open_source(
    path: str,
    *,
    form: str | None = None,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    null_texts: Sequence[str] = ("",),
) -> Iterator[Source]:
    """Open a file of rows; ``-`` is standard input. Without a format, the name's end or the first character decides."""
    with ExitStack() as stack:
        if path == "-":
            name = "standard input"
            file: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(sys.stdin.buffer, file)
        else:
            name = path
            file = stack.enter_context(Path(path).open("rb"))
        found = form or _FORMATS.get(Path(path).suffix.lower()) or _guess(file)
        if found not in FORMATS:
            raise UsageError(f"There is no format {found!r}", hint=f"the formats are {', '.join(FORMATS)}")
        try:
            "".encode(encoding)
        except LookupError as error:
            raise UsageError(f"There is no encoding {encoding!r}") from error
        if found in _DELIMITERS:
            sign = delimiter or _DELIMITERS[found]
            if len(sign) != 1:
                raise UsageError("The delimiter must be one character")
            yield DelimitedSource(name, file, encoding, null_texts, delimiter=sign)
        else:
            yield JsonSource(name, file, encoding, null_texts, is_lines=found == "nl")


def _guess(file: IO[bytes]) -> str:
    file.seek(0)
    start = file.read(_CHUNK).removeprefix(b"\xef\xbb\xbf").lstrip()
    first_line = start.partition(b"\n")[0]
    if start[:1] == b"{":  # an object that goes on in the next line is not in JSON Lines
        return "nl" if len(first_line) == len(start) or first_line.rstrip().endswith(b"}") else "json"
    if start[:1] == b"[":
        return "json"
    return "tsv" if b"\t" in first_line and b"," not in first_line else "csv"


def _json_lines(text: io.TextIOWrapper) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text, start=1):
        if not line.isspace():
            try:
                yield number, _row(json.loads(line), line)
            except (ValueError, RecursionError) as error:
                yield number, Unreadable(f"is no JSON: {_reason(error)}", line)


def _json_array(text: io.TextIOWrapper, name: str) -> Iterator[tuple[int, object]]:
    """Yield the elements of an array, or a single object, holding no more than one of them and a chunk in memory."""
    decoder = json.JSONDecoder()
    buffer = text.read(_CHUNK).lstrip()
    line = 1
    is_array = buffer.startswith("[")
    buffer = buffer[is_array:]
    while True:
        stripped = buffer.lstrip(" \t\r\n,")
        line += buffer.count("\n", 0, len(buffer) - len(stripped))
        buffer = stripped
        if not buffer and (more := text.read(_CHUNK)):
            buffer = more
            continue
        if not buffer or (is_array and buffer.startswith("]")):
            if not buffer and is_array:
                raise UsageError(f"The array in {name} has no end", line=line)
            return
        try:
            value, end = decoder.raw_decode(buffer)
        except RecursionError as error:
            raise UsageError(f"{name} is no JSON from line {line} on: {_reason(error)}", line=line) from error
        except ValueError as error:
            more = text.read(max(_CHUNK, len(buffer)))  # as much again: an element is decoded a few times, not often
            if not more:
                raise UsageError(f"{name} is no JSON from line {line} on: {_reason(error)}", line=line) from error
            buffer += more
            continue
        line += buffer.count("\n", 0, end)
        yield line, _row(value, buffer[:end])
        buffer = buffer[end:]


def _row(value: object, text: str) -> object:
    return value if isinstance(value, dict) else Unreadable("is no JSON object", text.rstrip("\n"))


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return error.msg.lower() if isinstance(error, json.JSONDecodeError) else "it cannot be read"
