"""PyYAML's event parser behind one door: errors become one class, marks become positions. Pure.

libyaml's parser (PyYAML's ``CParser``) is used where PyYAML was built with it: it is thirty times
faster than the Python one, its marks count characters just as well, and it treats tabs as Helm's
parser does, which the Python one does not.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import yaml

from sparkrig.models.problem import Position

_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAK = re.compile("\r\n|\n|\r")
_ODD_BREAK = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")


class SyntaxFailure(Exception):
    """The text is not YAML; ``message`` says why, ``index`` is a character offset in the whole text."""

    def __init__(self, message: str, index: int, hint: str | None = None, code: str = "yaml-syntax") -> None:
        super().__init__(message)
        self.message, self.index, self.hint, self.code = message, index, hint, code


@dataclass(frozen=True, slots=True)
class Chunk:
    """One YAML document's text inside a file."""

    text: str
    index: int
    """Offset of its first character in the file."""
    line: int
    """Number of lines of the file before it."""


class Source:
    """A file's text and the way from offsets to positions.

    Lines end where editors end them (LF, CRLF, CR); YAML 1.1 also breaks lines at NEL, LS and PS,
    so in a text that holds one of those, positions are computed from offsets and not taken from the parser.
    """

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self._odd = _ODD_BREAK.search(text) is not None
        self._starts: list[int] | None = None

    @property
    def starts(self) -> list[int]:
        """Offset of each line's first character."""
        if self._starts is None:
            self._starts = [0, *(match.end() for match in _LINE_BREAK.finditer(self.text))]
        return self._starts

    def at(self, index: int, length: int = 1) -> Position:
        """The position of an offset; ``length`` is cut at the end of the line."""
        starts = self.starts
        index = min(max(index, 0), len(self.text))
        line = bisect.bisect_right(starts, index)
        return Position(self.file, line, index - starts[line - 1] + 1, self._cut(index, length))

    def span(self, chunk: Chunk, first: yaml.Event, last: yaml.Event) -> Position:
        """The position of what two events enclose; several lines are shown by the first of them."""
        start, end = _marks(first, last)
        begin = chunk.index + start.index
        length = end.index - start.index
        if self._odd:
            return self.at(begin, length)
        if end.line != start.line:
            length = self._cut(begin, length)
        return Position(self.file, chunk.line + start.line + 1, start.column + 1, max(1, length))

    def value_span(self, chunk: Chunk, first: yaml.Event, last: yaml.Event) -> Position:
        """Like ``span``, without the anchor and the tag in front of the value."""
        start, end = _marks(first, last)
        begin, finish = chunk.index + start.index, chunk.index + end.index
        match = _PROPERTIES.match(self.text, begin, finish)
        skip = match.end() if match and match.end() < finish else begin
        return self.at(skip, finish - skip)

    def _cut(self, index: int, length: int) -> int:
        match = _LINE_BREAK.search(self.text, index, index + length)
        if match is not None:
            length = len(self.text[index : match.start()].rstrip())
        return max(1, length)


def check_characters(source: Source) -> None:
    """Raise SyntaxFailure at the first character that YAML does not allow."""
    match = _NOT_YAML.search(source.text)
    if match is not None:
        raise SyntaxFailure(
            f"character U+{ord(match[0]):04X} is not allowed in YAML",
            match.start(),
            'write it as an escape in a double-quoted string, e.g. "\\x07"',
            "control-character",
        )


def split(text: str) -> Iterator[Chunk | SyntaxFailure]:
    """The documents of a text, cut at lines that begin with ``---`` as Helm cuts them, before parsing."""
    if not text.startswith("---") and "\n---" not in text:
        yield Chunk(text, 0, 0)
        return
    begin = index = begin_line = 0
    for number, line in enumerate(_lines(text)):
        if line.startswith("---"):
            rest = line[3:].strip()
            if rest and not rest.startswith("#"):
                yield SyntaxFailure(
                    "only a comment may follow '---' on its line",
                    index + 3 + len(line[3:]) - len(line[3:].lstrip()),
                    "start the document's content on the next line: Helm refuses it here",
                )
                return
            if index > begin:
                yield Chunk(text[begin:index], begin, begin_line)
            # Helm keeps a separator that nothing precedes; either way the document starts behind it.
            begin, begin_line = index + len(line), number + 1
        index += len(line)
    if index > begin:
        yield Chunk(text[begin:], begin, begin_line)


def offset(event: yaml.Event) -> int:
    """Where an event begins in its document."""
    return event.start_mark.index if event.start_mark is not None else 0


def _marks(first: yaml.Event, last: yaml.Event) -> tuple[_Mark, _Mark]:
    if first.start_mark is None or last.end_mark is None:  # only events that no parser made have none
        raise ValueError("an event without a position")
    return first.start_mark, last.end_mark


class _Mark(Protocol):
    """A place in a text, as both parsers of PyYAML give it."""

    @property
    def index(self) -> int: ...
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


def events(chunk: Chunk) -> Iterator[yaml.Event]:
    """The parser's events. Raises SyntaxFailure."""
    loader: yaml.CSafeLoader | yaml.SafeLoader | None = None
    last = 0
    try:
        loader = (yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)(chunk.text)
        while (event := loader.get_event()) is not None:
            last = event.end_mark.index if event.end_mark is not None else last
            yield event
    except yaml.MarkedYAMLError as error:
        raise _failure(error, chunk, last) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise SyntaxFailure(str(error).splitlines()[0], chunk.index + last) from None
    finally:
        if loader is not None:
            loader.dispose()


_SAID_BETTER = (
    ("a tab character where an indentation", "a tab is used for indentation", "YAML indents with spaces"),
    ("a tab character that violates", "a tab is used for indentation", "YAML indents with spaces"),
    ("cannot start any token", "a value cannot start with this character", "put the value in quotes"),
    (
        "mapping values are not allowed",
        "a 'key: value' is not allowed here",
        "a value that holds ': ' needs quotes; otherwise look at the indentation",
    ),
    ("could not find expected ':'", "a key is not followed by ':'", "every line of a map is 'key: value'"),
    ("did not find expected key", "expected a key here", "look at the indentation and the quotes above"),
    ("expected <block end>", "expected a key here", "look at the indentation and the quotes above"),
    ("did not find expected '-' indicator", "expected a list item ('- …') here", "look at the indentation"),
    ("block sequence entries are not allowed", "a list item is not allowed here", "put the list on its own lines"),
    ("sequence entries are not allowed", "a list item is not allowed here", "put the list on its own lines"),
    ("found unexpected end of stream", "the text ends inside a quoted string", "the closing quote is missing"),
    ("undefined tag handle", "a tag uses a handle that is not defined", None),
    (
        "did not find expected <document start>",
        "expected the start of a document here",
        "Helm reads no %YAML or %TAG directives, and nothing after '...'",
    ),
    (
        "unknown escape character",
        "an escape in a double-quoted string is unknown",
        "write a backslash as '\\\\', or use single quotes",
    ),
)


def _failure(error: yaml.MarkedYAMLError, chunk: Chunk, last: int) -> SyntaxFailure:
    mark = error.problem_mark or error.context_mark
    index = mark.index if mark is not None else last
    reason = error.problem or error.context or "this is not YAML"
    if chunk.text[index : index + 1] == "\t" and "cannot start any token" in reason:
        return SyntaxFailure("a tab is used for indentation", chunk.index + index, "YAML indents with spaces")
    if "did not find expected node content" in reason:
        return SyntaxFailure("expected a value here", chunk.index + index)
    if "expected ',' or" in reason:
        start = error.context_mark
        opened = f" (opened in line {chunk.line + start.line + 1})" if start is not None else ""
        bracket = "]" if "']'" in reason else "}"
        return SyntaxFailure(f"expected ',' or '{bracket}'{opened}", chunk.index + index)
    if "maximum nesting depth" in reason:  # PyYAML has a limit of its own since 6.0.4, and looks ahead of its events
        return SyntaxFailure("nested too deep", chunk.index + index, code="too-deep")
    for theirs, ours, hint in _SAID_BETTER:
        if theirs in reason:
            return SyntaxFailure(ours, chunk.index + index, hint)
    return SyntaxFailure(reason, chunk.index + index)


def _lines(text: str) -> Iterator[str]:
    """Lines by LF alone, as Helm's splitter counts them."""
    return iter(re.findall("[^\n]*\n|[^\n]+", text))
