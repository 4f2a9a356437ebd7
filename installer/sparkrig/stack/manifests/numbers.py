"""Finds whole numbers of values that a chart wrote as ``1.048576e+08`` into a text. Pure.

Helm holds every number as a float64, and a template that writes one of a million or more into a text writes it with an
exponent. A field that is a number takes that; a program that reads the text mostly does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sparkrig.models.json import JsonObject, JsonValue
from sparkrig.yaml.nodes import ListNode, MapNode, Node, Path, ScalarNode, show_path, to_python

LEAST: Final = 1_000_000
_EXPONENT: Final = re.compile(r"(?<![\w.+-])-?\d(?:\.\d+)?e\+\d{2,3}(?![\w.])")


@dataclass(frozen=True, slots=True)
class Rounded:
    """A whole number that reached an object with an exponent."""

    path: Path
    """Of the value."""
    node: ScalarNode
    value: int
    text: str
    """As it was written."""
    where: str
    """``ConfigMap x: data.conf``."""


def rounded(objects: Sequence[JsonObject], values: Node) -> list[Rounded]:
    """Each large whole number of the values that stands with an exponent in a text of an object, once."""
    numbers = {number: (path, node) for path, node, number in _numbers(values, ())}
    if not numbers:
        return []
    found: dict[Path, Rounded] = {}
    for item in objects:
        if item.get("kind") == "Secret":  # what it holds is in no message
            continue
        metadata = item.get("metadata")
        name = metadata.get("name", "") if isinstance(metadata, Mapping) else ""
        for at, text in _texts(item, ()):
            for match in _EXPONENT.finditer(text):
                number = float(match[0])
                if number.is_integer() and int(number) in numbers:
                    path, node = numbers[int(number)]
                    where = f"{item.get('kind')} {name}: {show_path(at)}"
                    found.setdefault(path, Rounded(path, node, int(number), match[0], where))
    return list(found.values())


def _numbers(node: Node, path: Path) -> Iterator[tuple[Path, ScalarNode, int]]:
    if isinstance(node, MapNode):
        for key, entry in node.entries.items():
            yield from _numbers(entry.node, (*path, key))
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from _numbers(item, (*path, index))
    elif isinstance(node, ScalarNode):
        value = to_python(node)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= LEAST:
            yield path, node, value


def _texts(value: JsonValue, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        if "e+" in value:
            yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
