"""Keys that nothing in a chart knows: the typo that Helm swallows. Pure.

A key is known when our schema, the chart's, the tree of the chart's values.yaml (subcharts' trees in
it), or a comment in it has it. Otherwise it depends on the map it is in. A map that is empty in
values.yaml, or of which some default is never read by name in any template, is handed on whole (labels,
a pod's securityContext, a program's configuration): anything may be in it, and only a near miss of a key
that is there is worth a warning. In any other map templates read each key by its name; one that no
template names has no effect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sparkrig.models.json import JsonObject
from sparkrig.models.problem import Problem, Severity
from sparkrig.stack.lint.chart_values import GLOBAL, ChartDefaults
from sparkrig.stack.lint.chart_values_schema import Piece
from sparkrig.yaml.nodes import Entry, MapNode, Node, Path, ScalarNode, to_python
from sparkrig.yaml.phrases import describe, found, path_text
from sparkrig.yaml.schema import did_you_mean
from sparkrig.yaml.setflag import is_flag

NEAR: Final = 0.84
"""How alike a key must be to one that is there, in a map that takes any: one letter in about seven."""

_NAMES_OF_OPEN_MAPS = re.compile(r"(?i)(?:labels|annotations|selector|limits|requests|data|env|extraenv|headers)$")


@dataclass(frozen=True, slots=True)
class _Place:
    """A map of the values, and what is known of it."""

    path: Path
    node: MapNode
    default: Node | None
    schemas: tuple[Piece, ...]
    """Schemas that speak of this map, ours first."""


def unknown_keys(
    values: MapNode,
    defaults: ChartDefaults,
    subject: str,
    ours: JsonObject | None,
    skip: Sequence[Path] = (),
    *,
    doubtful: bool = False,
) -> list[Problem]:
    """Keys of ``values`` that nothing knows. Below the paths in ``skip`` nothing is looked at.

    With ``doubtful`` also those that some template mentions in another place, and that resemble nothing.
    """
    finder = _Finder(defaults, subject, frozenset(skip), doubtful)
    schemas = () if ours is None else (Piece(ours, ours),)
    return list(finder.walk(_Place((), values, defaults.tree, schemas)))


class _Finder:
    def __init__(self, defaults: ChartDefaults, subject: str, skip: frozenset[Path], doubtful: bool) -> None:
        self.defaults, self.subject, self.skip, self.doubtful = defaults, subject, skip, doubtful
        self.roots = {schema.path: schema.schema for schema in defaults.schemas}

    def walk(self, place: _Place) -> Iterator[Problem]:
        root = self.roots.get(place.path)
        if root is not None:
            place = replace(place, schemas=(*place.schemas, Piece(root, root)))
        for key, entry in place.node.entries.items():
            path = (*place.path, key)
            if path in self.skip or (key == GLOBAL and place.path in self.defaults.subcharts):
                continue
            said = [schema.below(key) for schema in place.schemas]
            default = place.default.get(key) if isinstance(place.default, MapNode) else None
            inner = tuple(below for below in said if isinstance(below, Piece))
            if default is not None or any(said) or key in self.defaults.commented.get(place.path, ()):
                if isinstance(entry.node, MapNode) and (default is not None or inner):
                    yield from self.walk(_Place(path, entry.node, default, inner))
                continue
            problem = self.judge(place, key, entry)
            if problem is not None:
                yield problem

    def judge(self, place: _Place, key: str, entry: Entry) -> Problem | None:
        default, path = place.default, place.path
        if not isinstance(default, MapNode) or not default.entries:
            return None
        words = self.defaults.words(path)
        inside = self.defaults.inside(path)
        parent = str(inside[-1]) if inside else "Values"
        if words.reads(parent, key):
            return None
        siblings = self.siblings(place)
        close = did_you_mean(key, siblings)
        mentioned = key in words.anywhere
        if self.is_open(place, parent):
            if mentioned or close is None or not _is_near(key, close):
                return None
            return self.problem(place, key, entry, close, Severity.WARNING)
        if mentioned and close is None and not self.doubtful:
            return None
        certain = not mentioned and (close is not None or parent not in words.whole)
        return self.problem(place, key, entry, close, Severity.ERROR if certain else Severity.WARNING)

    def siblings(self, place: _Place) -> list[str]:
        default = place.default
        names = dict.fromkeys(default.entries if isinstance(default, MapNode) else ())
        for schema in place.schemas:
            names.update(dict.fromkeys(schema.keys()))
        names.update(dict.fromkeys(k for k in self.defaults.commented.get(place.path, ()) if k[:1].islower()))
        return list(names)

    def is_open(self, place: _Place, parent: str) -> bool:
        """True for a map that templates hand on whole, so that any key in it may be right."""
        default = place.default
        assert isinstance(default, MapNode)  # noqa: S101  (the caller looked)
        if place.path and _NAMES_OF_OPEN_MAPS.search(parent):
            return True
        words = self.defaults.words(place.path)
        if place.path and (parent in words.ranged or parent == GLOBAL):
            return True
        keys = [key for key in default.entries if (*place.path, key) not in self.defaults.subcharts]
        return bool(place.path) and any(not self.defaults.mentioned_above(place.path, key) for key in keys)

    def problem(self, place: _Place, key: str, entry: Entry, close: str | None, severity: Severity) -> Problem:
        name = path_text(self.subject, place.path)
        chart = f"chart {self.defaults.name} {self.defaults.version}"
        message = f"{name} has no value '{key}'"
        if severity is Severity.WARNING:
            message = f"{name} has no value '{key}' that {chart} is known to read"
        position = entry.position
        label = f"did you mean '{close}'?" if close else None
        return Problem(
            severity,
            "unknown-key",
            message,
            position,
            position.file if is_flag(position) else None,
            label,
            self.hint(place, key, close),
        )

    def hint(self, place: _Place, key: str, close: str | None) -> str | None:
        if close is not None:
            for schema in place.schemas:
                said = describe(path_text(self.subject, (*place.path, close)), schema.direct(close))
                if said:
                    return said
            return self.default_of((*place.path, close))
        elsewhere = list(_paths_of(self.defaults.tree, key, ()))
        if 0 < len(elsewhere) <= 3:
            paths = ", ".join(path_text(self.subject, path) for path in elsewhere)
            return f"this key is known at {paths}"
        known = sorted(self.siblings(place))
        return f"{path_text(self.subject, place.path)} knows {', '.join(known[:12])}" + (
            " and more" if len(known) > 12 else ""
        )

    def default_of(self, path: Path) -> str | None:
        node = self.defaults.find(path)
        name = path_text(self.subject, path)
        parent = self.defaults.find(path[:-1])
        entry = parent.entries.get(str(path[-1])) if isinstance(parent, MapNode) else None
        if node is None or entry is None:
            position = self.defaults.commented.get(path[:-1], {}).get(str(path[-1]))
            return f"{name}: in a comment at {position}" if position else None
        value = to_python(node)
        default = found(value) if not isinstance(node, ScalarNode) or value != "" else "empty"
        return f"{name}: default {default} ({entry.position})"


def _is_near(key: str, other: str) -> bool:
    import difflib

    folded, known = key.lower(), other.lower()
    return folded == known or difflib.SequenceMatcher(None, folded, known).ratio() >= NEAR


def _paths_of(node: Node, key: str, path: Path) -> Iterator[Path]:
    if isinstance(node, MapNode):
        for name, entry in node.entries.items():
            if name == key:
                yield (*path, name)
            yield from _paths_of(entry.node, key, (*path, name))
