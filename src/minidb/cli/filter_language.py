"""The language of filters on the command line: ``age >= 18 and city = 'Paris'``. It says what ``minidb.where`` says.

    filter     = every { "or" every }
    every      = one { "and" one }
    one        = "not" one | "(" filter ")" | comparison
    comparison = path operator value
               | path [ "not" ] "in" "(" value { "," value } ")"
               | path [ "not" ] "between" value "and" value
               | path ( "startswith" | "contains" ) value
               | path "is" [ "not" ] "null"
    operator   = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">="
    path       = name { "." name }                      names that are no words stand in backticks: `first name`
    value      = number | 'text' | "text" | true | false | null

A text is read as the type of its field: ``day >= '2024-01-31'``. Words of the language may be in capitals. Python's
``name.startswith('A')`` and ``x in [1, 2]`` are understood as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from minidb import Condition, where
from minidb.cli.cells import BAD_TEXT, AnyField, json_converter_of, parser_of
from minidb.exceptions import UsageError
from minidb.schema import EnumField, IntegerField, ListField, Schema
from minidb.structs import Struct

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
    | (?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
    | (?P<quoted>`[^`]+`)
    | (?P<name>[^\W\d]\w*)
    | (?P<sign><=|>=|==|!=|<>|[=<>().,\[\]])
    )""",
    re.VERBOSE,
)

_COMPARISONS: Final[Mapping[str, Callable[[where[Any], object], Condition]]] = {
    "=": lambda path, value: path == value,
    "==": lambda path, value: path == value,
    "!=": lambda path, value: path != value,
    "<>": lambda path, value: path != value,
    "<": lambda path, value: path < value,
    "<=": lambda path, value: path <= value,
    ">": lambda path, value: path > value,
    ">=": lambda path, value: path >= value,
}
WORDS: Final = ("and", "or", "not", "in", "between", "startswith", "contains", "is", "null", "true", "false")
"""The words of the language."""

_CONSTANTS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None, "none": None}
_NEVER_TEXT: Final = frozenset({"integer", "float", "boolean"})
_METHODS: Final = ("startswith", "contains")
_OPERATORS_TOLD: Final = "an operator such as =, <, in, between, startswith, contains or is null"


class FilterError(UsageError):
    """A filter says nothing. Facts: ``filter``, and ``column``, where it goes wrong, from 1."""


class _Token(Struct, frozen=True):
    kind: str
    text: str
    place: int
    """Where it begins in the filter, from 0."""


def parse_filter(text: str, schema: Schema | None) -> Condition:
    """Return the condition that a filter says, for a table of a schema. Raises ``FilterError``.

    Where ids are automatic and no field is named so, ``id`` is the id.
    """
    return _Parser(text, schema).parse()


class _Parser:
    def __init__(self, text: str, schema: Schema | None) -> None:
        self._text = text
        self._fields: Mapping[str, AnyField] | None = None if schema is None else schema.fields
        if schema is not None and not schema.primary_key:
            self._fields = {"id": IntegerField(), **schema.fields}
        self._tokens = self._tokenize()
        self._next = 0

    def parse(self) -> Condition:
        condition = self._filter()
        if self._token.kind != "end":
            raise self._unexpected(self._token, "'and', 'or' or the end")
        return condition

    # --- tokens -------------------------------------------------------------------------------------------------------

    def _tokenize(self) -> list[_Token]:
        tokens: list[_Token] = []
        place, end = 0, len(self._text.rstrip())
        while place < end:
            match = _TOKEN.match(self._text, place)
            if match is None or match.lastgroup is None:
                place += len(self._text[place:]) - len(self._text[place:].lstrip())
                is_open = self._text[place] in "'\"`"
                raise self._error("The text has no end" if is_open else "This sign means nothing", place)
            tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            place = match.end()
        return [*tokens, _Token("end", "", end)]

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += token.kind != "end"
        return token

    def _takes(self, *words: str) -> str | None:
        """Take the next token if it is one of some words or signs, and return which."""
        token = self._token
        word = token.text.lower() if token.kind in ("name", "sign") else ""
        if word not in words:
            return None
        self._next += 1
        return word

    def _expect(self, word: str) -> None:
        if self._takes(word) is None:
            raise self._unexpected(self._token, f"{word!r}")

    # --- conditions ---------------------------------------------------------------------------------------------------

    def _filter(self) -> Condition:
        condition = self._every()
        while self._takes("or"):
            condition |= self._every()
        return condition

    def _every(self) -> Condition:
        condition = self._one()
        while self._takes("and"):
            condition &= self._one()
        return condition

    def _one(self) -> Condition:
        if self._takes("not"):
            return ~self._one()
        if self._takes("("):
            condition = self._filter()
            self._expect(")")
            return condition
        return self._comparison()

    def _comparison(self) -> Condition:
        names, method = self._path()
        path = where(names[0])
        for name in names[1:]:
            path = path[name]
        if method is not None:
            self._expect("(")
            value = self._value(names, is_item=method == "contains")
            self._expect(")")
            return path.startswith(value) if method == "startswith" else path.contains(value)  # type: ignore[arg-type]  # the table tells what fits
        if operator := self._takes(*_COMPARISONS):
            return _COMPARISONS[operator](path, self._value(names))
        if self._takes("is"):
            is_negated = self._takes("not")
            if not self._takes("null", "none"):
                raise self._unexpected(self._token, "'null' or 'not null'")
            return ~path.is_null() if is_negated else path.is_null()
        is_negated = self._takes("not")
        condition = self._word_comparison(path, names)
        return ~condition if is_negated else condition

    def _word_comparison(self, path: where[Any], names: list[str]) -> Condition:  # Any: a file of text has no types
        match self._takes("in", "between", *_METHODS):
            case "in":
                return path.in_(self._values(names))
            case "between":
                low = self._value(names)
                self._expect("and")
                return path.between(low, self._value(names))
            case "startswith":
                return path.startswith(self._value(names))  # type: ignore[arg-type]  # the table tells what fits
            case "contains":
                return path.contains(self._value(names, is_item=True))
        raise self._unexpected(self._token, _OPERATORS_TOLD)

    def _path(self) -> tuple[list[str], str | None]:
        """Return the names of a path, and the method that is called on it."""
        first = self._token
        names = [self._name()]
        if self._fields is not None and names[0] not in self._fields:
            raise self._error(
                f"There is no field {names[0]!r}", first.place, hint=f"there are {', '.join(self._fields)}"
            )
        while self._takes("."):
            following = self._tokens[self._next + 1] if self._token.kind != "end" else self._token
            if following.text == "(" and (method := self._takes(*_METHODS)):
                return names, method
            names.append(self._name())
        return names, None

    def _name(self) -> str:
        token = self._take()
        if token.kind not in ("name", "quoted"):
            raise self._unexpected(token, "the name of a field")
        return token.text.strip("`")

    # --- values -------------------------------------------------------------------------------------------------------

    def _values(self, names: list[str]) -> list[object]:
        opening = self._takes("(", "[")
        if opening is None:
            raise self._unexpected(self._token, "values in parentheses")
        closing = ")" if opening == "(" else "]"
        values = [self._value(names)]
        while self._takes(","):
            values.append(self._value(names))
        self._expect(closing)
        return values

    def _value(self, names: list[str], *, is_item: bool = False) -> object:
        token = self._take()
        if token.kind == "name" and token.text.lower() in _CONSTANTS:
            return _CONSTANTS[token.text.lower()]
        if token.kind == "name":
            raise self._error(f"A text stands in quotes: '{token.text}'", token.place)
        if token.kind not in ("number", "text"):
            raise self._unexpected(token, "a value")
        field = self._field(names, is_item=is_item)
        if token.kind == "text":
            return self._typed(token, field)
        if field is not None and field.kind == "decimal":
            return parser_of(field)(token.text)
        return float(token.text) if set(token.text) & set(".eE") else int(token.text)

    def _typed(self, token: _Token, field: AnyField | None) -> object:
        text = _unquote(token.text)
        if field is None:
            return text
        try:
            value = json_converter_of(field)(text)
        except BAD_TEXT as error:
            raise self._error(f"This text is not {field.noun}", token.place) from error
        if value is text and field.kind in _NEVER_TEXT:
            raise self._error(f"This text is not {field.noun}", token.place)
        return value

    def _field(self, names: list[str], *, is_item: bool) -> AnyField | None:
        field = None if self._fields is None or len(names) > 1 else self._fields[names[0]]
        if is_item and isinstance(field, ListField):
            field = field.item
        return None if isinstance(field, EnumField) else field

    # --- errors -------------------------------------------------------------------------------------------------------

    def _unexpected(self, token: _Token, expected: str) -> FilterError:
        found = "the end" if token.kind == "end" else repr(token.text)
        return self._error(f"Here {expected} should stand, not {found}", token.place)

    def _error(self, message: str, place: int, hint: str | None = None) -> FilterError:
        return FilterError(message, hint=hint, filter=self._text, column=place + 1)


def _unquote(text: str) -> str:
    quote = text[0]
    inner = text[1:-1]
    if "\\" not in inner:
        return inner.replace(quote * 2, quote)
    try:
        return str(ast.literal_eval(f"{quote}{inner.replace(quote * 2, chr(92) + quote)}{quote}"))
    except (SyntaxError, ValueError):
        return inner
