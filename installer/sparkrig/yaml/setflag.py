"""Helm's ``--set`` syntax: ``a.b[0].c=1,d={x,y}``. Pure.

Parsing gives assignments; assigning works on the merged tree of the layers before. Stricter than
Helm in one point: an empty key (``a..b=1``, ``=1``) is an error here, where Helm drops it silently
or not, depending on what is there already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sparkrig.models.json import JsonValue
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.yaml.nodes import Entry, ListNode, MapNode, Node, Path, ScalarNode, Step, show_path

MAX_INDEX = 65_536
"""Helm's largest list index; a larger one would fill memory with nulls."""
MAX_LEVELS = 30
"""Helm's deepest path."""

_INTEGER = re.compile(r"[+-]?[0-9]+")


class FlagError(ValueError):
    """What a flag asks for cannot be done."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Assignment:
    """One ``path=value`` of a flag."""

    path: Path
    node: Node
    position: Position
    """``file`` is the flag as the person wrote it (``--set a=1``), ``column`` counts in its argument."""
    flag: str
    """``--set`` and the path, for ``Problem.where``."""


def parse_set(
    argument: str, *, flag: str = "--set", strings: bool = False
) -> tuple[tuple[Assignment, ...], list[Problem]]:
    """Read one argument of ``--set`` (with ``strings``: of ``--set-string``). Problems name the flag."""
    try:
        return tuple(_Reader(argument, flag, strings).assignments()), []
    except FlagError as error:
        where = f"{flag} {argument}"
        return (), [Problem(Severity.ERROR, "set-syntax", str(error), where=where, hint=error.hint)]


def assign(root: Node, assignment: Assignment) -> Node:
    """A new tree with the assignment done. Raises FlagError where a value on the way is no map or no list."""
    return _assign(root, assignment.path, 0, assignment)


def is_flag(position: Position | None) -> bool:
    """True for a place on the command line instead of in a file."""
    return position is not None and position.file.startswith("--")


def typed(text: str) -> str | int | bool | None:
    """The value of a ``--set`` text: true, false, null and integers; all else, ``012`` and ``1.5`` too, is text."""
    folded = text.lower() if text.isascii() else text
    if folded in ("true", "false"):
        return folded == "true"
    if folded == "null":
        return None
    if text == "0":
        return 0
    if text[:1] != "0" and text.isascii() and _INTEGER.fullmatch(text) and len(text) <= 4000:
        number = int(text)
        if -(1 << 63) <= number < 1 << 63:
            return number
    return text


class _Reader:
    def __init__(self, argument: str, flag: str, strings: bool) -> None:
        self.text, self.flag, self.strings = argument, flag, strings
        self.at = 0

    def assignments(self) -> Iterator[Assignment]:
        if not self.text:
            raise FlagError("nothing is set", "write path=value")
        while self.at < len(self.text):
            start = self.at
            path = self.path()
            begin = self.at
            node = self.value(begin)
            position = self.position(start, max(1, begin - 1 - start))
            yield Assignment(path, node, position, f"{self.flag} {show_path(path)}")

    def position(self, start: int, length: int) -> Position:
        return Position(f"{self.flag} {self.text}", 1, start + 1, length)

    def path(self) -> Path:
        steps: list[Step] = []
        levels = 0
        while True:
            key, stop = self.until("=[,.")
            if stop in ("", ","):
                raise FlagError(f"'{key}' has no value", "write path=value; a comma inside a value is written '\\,'")
            if not key:
                raise FlagError(f"empty key in '{self.text}'", "a dot inside a key is written '\\.'")
            steps.append(key)
            while stop == "[":
                steps.append(self.index())
                stop = self.text[self.at : self.at + 1]
                self.at += 1
                if stop not in ("[", ".", "="):
                    raise FlagError(f"expected '=', '.' or '[' after the index in '{self.text}'")
            if stop == "=":
                return tuple(steps)
            levels += 1
            if levels > MAX_LEVELS:
                raise FlagError(f"the path has more than {MAX_LEVELS} levels")

    def index(self) -> int:
        text, stop = self.until("]")
        if stop != "]" or not (text.isascii() and _INTEGER.fullmatch(text)):
            raise FlagError(f"'[{text}{stop}' is not a list index", "an index is a number from 0")
        if text.startswith("-") and text.strip("-0"):
            raise FlagError(f"index {text} is negative", "an index is a number from 0")
        if len(text) > 20 or int(text) > MAX_INDEX:
            raise FlagError(f"index {text} is beyond {MAX_INDEX}")
        return int(text)

    def value(self, begin: int) -> Node:
        if self.text[begin : begin + 1] != "{":
            text, _ = self.until(",")
            return self.leaf(text, begin)
        self.at += 1
        items: list[Node] = []
        while True:
            start = self.at
            text, stop = self.until(",}")
            if not stop:
                raise FlagError("the list does not end with '}'", "to start a text with '{', write '\\{'")
            items.append(self.leaf(text, start))
            if stop == "}":
                break
        length = self.at - begin
        if self.text[self.at : self.at + 1] == ",":
            self.at += 1
        return ListNode(tuple(items), self.position(begin, length))

    def leaf(self, text: str, start: int) -> ScalarNode:
        value = text if self.strings else typed(text)
        return ScalarNode(value, self.position(start, max(1, len(text))), text, plain=not self.strings)

    def until(self, stops: str) -> tuple[str, str]:
        """Text up to one of ``stops`` with escapes resolved, and the stop itself ('' at the end)."""
        out: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char in stops:
                return "".join(out), char
            if char == "\\":
                char = self.text[self.at : self.at + 1]
                self.at += 1
            out.append(char)
        return "".join(out), ""


def _assign(node: Node | None, path: Path, depth: int, what: Assignment) -> Node:
    if depth == len(path):
        return what.node
    step = path[depth]
    if isinstance(step, str):
        return _into_map(node, step, path, depth, what)
    items = _items(node, path, depth)
    below = items[step] if step < len(items) else None
    if isinstance(path[depth + 1] if depth + 1 < len(path) else None, str) and not isinstance(below, MapNode):
        below = None  # Helm makes a fresh map of a list item that is none
    elif isinstance(below, ScalarNode) and below.value is None:
        below = None
    items += [ScalarNode(None, what.position)] * (step + 1 - len(items))
    items[step] = _assign(below, path, depth + 1, what)
    return ListNode(tuple(items), node.position if node else what.position)


def _into_map(node: Node | None, key: str, path: Path, depth: int, what: Assignment) -> MapNode:
    if node is None:
        entries: dict[str, Entry] = {}
    elif isinstance(node, MapNode):
        entries = dict(node.entries)
    else:
        raise _conflict(node, path[:depth], "a map", f"key '{key}'")
    below = entries.get(key)
    entries[key] = Entry(key, what.position, _assign(below.node if below else None, path, depth + 1, what))
    return MapNode(entries, node.position if node else what.position)


def _items(node: Node | None, path: Path, depth: int) -> list[Node]:
    if node is None:
        return []
    if isinstance(node, ListNode):
        return list(node.items)
    raise _conflict(node, path[:depth], "a list", f"item [{path[depth]}]")


def _conflict(node: Node, path: Path, wanted: str, step: str) -> FlagError:
    found: JsonValue = {"map": "a map", "list": "a list"}.get(node.kind)
    if isinstance(node, ScalarNode):
        found = "null" if node.value is None else repr(node.value)
    return FlagError(
        f"{show_path(path)} is {found}, not {wanted}: {step} cannot be set in it",
        f"it comes from {node.position}" if not is_flag(node.position) else f"it comes from {node.position.file}",
    )
