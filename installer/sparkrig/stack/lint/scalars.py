"""Warns of scalars that Helm reads otherwise than a person would: ``1.10``, ``012``, ``1e3``, ``on``. Pure.

Only where the value is not obviously meant: ``on`` for a boolean, ``1_000`` for a number and ``0644``
for a file's mode are. What a schema refuses anyway gets the same explanation there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sparkrig.models.problem import Problem, Severity
from sparkrig.yaml.misreading import misreading
from sparkrig.yaml.nodes import Entry, ListNode, MapNode, Node, Path, ScalarNode
from sparkrig.yaml.phrases import path_text

Types = Callable[[Path], frozenset[str]]
"""Path -> the JSON types that a schema or a default names for it; empty when nobody knows."""

_MODE = re.compile(r"(?i)mode$|umask$")
_MODE_TEXT = re.compile(r"0?[0-7]{3,4}")


def misread_scalars(values: Node, subject: str, types: Types) -> list[Problem]:
    """A warning for each scalar and key of ``values`` that Helm reads as something else."""
    return list(_walk(values, (), subject, types))


def _walk(node: Node, path: Path, subject: str, types: Types) -> Iterator[Problem]:
    if isinstance(node, MapNode):
        for key, entry in node.entries.items():
            yield from _key(entry, path, subject)
            yield from _walk(entry.node, (*path, key), subject, types)
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from _walk(item, (*path, index), subject, types)
    elif isinstance(node, ScalarNode):
        yield from _scalar(node, path, subject, types)


def _key(entry: Entry, path: Path, subject: str) -> Iterator[Problem]:
    if entry.text:
        message = f"{path_text(subject, path)}: Helm reads the key {entry.text} as '{entry.key}'"
        yield Problem(Severity.WARNING, "misread-scalar", message, entry.position, label="put the key in quotes")


def _scalar(node: ScalarNode, path: Path, subject: str, types: Types) -> Iterator[Problem]:
    misread = misreading(node)
    if misread is None or _is_meant(node, path, misread.always, types(path)):
        return
    yield Problem(
        Severity.WARNING,
        "misread-scalar",
        f"{path_text(subject, path)}: {misread.message}",
        node.position,
        label=misread.remedy,
        hint=misread.reason,
    )


def _is_meant(node: ScalarNode, path: Path, always: bool, expected: frozenset[str]) -> bool:
    if "string" in expected and len(expected) == 1:
        return False
    if isinstance(node.value, bool):
        return "boolean" in expected
    key = next((step for step in reversed(path) if isinstance(step, str)), "")
    if _MODE.search(key) and _MODE_TEXT.fullmatch(node.text):
        return True
    return not always and bool(expected & {"number", "integer"})
