"""What a chart says about values without setting them: keys in comments, names that its templates read. Pure.

Many charts document an optional key by a commented line in values.yaml, and read some that they
document nowhere. Both count as known: a key is only reported when nothing in the chart speaks of it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sparkrig.models.problem import Position
from sparkrig.yaml.nodes import Entry, MapNode, Path

MAX_WORDS_BYTES: Final = 8 << 20
"""Of templates so much is searched; the largest public chart has 3 MiB of them."""

_COMMENT = re.compile(r"^(\s*)(#+)(\s*)(?:-\s+)?(?:\"([^\"]+)\"|'([^']+)'|([A-Za-z_][\w./-]*))\s*:(?:\s|$)")
_READ = re.compile(r"\.([A-Za-z_]\w*)")
_HEAD = re.compile(r"(?:(?<![\w)\]$])|\$\w*|\))\.([A-Za-z_]\w*)")
_CHAIN = re.compile(r"(?:\.[A-Za-z_]\w*){2,}")
_WHOLE = re.compile(r"\.([A-Za-z_]\w*)(?![\w.])")
_RANGED = re.compile(r"\brange\b[^}\n]*?\.([A-Za-z_]\w*)\s*(?:-?\}\}|\||\))")
_QUOTED = re.compile(r"[\"'`]([A-Za-z_][\w./-]*)[\"'`]")
_INDEXED = re.compile(r"\bindex\s+(\$?[\w.$]+)((?:\s+\"[^\"]+\")+)")
_IN_TEMPLATES = (".yaml", ".yml", ".tpl", ".txt", ".json", ".jsonnet", ".conf", ".toml")
_IN_FILES = (*_IN_TEMPLATES, ".py", ".sh", ".ini", ".cfg", ".lua")


@dataclass(frozen=True, slots=True)
class Words:
    """Names that templates (and the scripts a chart carries) read."""

    read: frozenset[str] = field(default_factory=frozenset)
    """``.name`` behind whatever, and names in quotes."""
    anywhere: frozenset[str] = field(default_factory=frozenset)
    """``.name`` and ``$x.name``, where nobody sees of what, and names in quotes."""
    pairs: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    """``.parent.name``."""
    whole: frozenset[str] = field(default_factory=frozenset)
    """``.name`` with nothing behind it: what may be handed on as it is."""
    ranged: frozenset[str] = field(default_factory=frozenset)
    """Maps (or lists) that a template walks through: their keys are the user's."""

    def reads(self, parent: str, key: str) -> bool:
        """True when a template reads ``key`` right below ``parent`` (``Values`` for the top)."""
        return (parent, key) in self.pairs


def words_of(files: Mapping[str, bytes]) -> Words:
    """The names in a chart's templates and other files; values, CRDs and the chart's documents are left out."""
    read: set[str] = set()
    anywhere: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    whole: set[str] = set()
    ranged: set[str] = set()
    left = MAX_WORDS_BYTES
    for name, content in files.items():
        if not _is_searched(name) or left <= 0:
            continue
        left -= len(content)
        text = content.decode("utf-8", "replace")
        read.update(_READ.findall(text))
        quoted = _QUOTED.findall(text)
        read.update(quoted)
        anywhere.update(quoted)
        anywhere.update(_HEAD.findall(text))
        whole.update(_WHOLE.findall(text))
        ranged.update(_RANGED.findall(text))
        for chain in _CHAIN.findall(text):
            steps = chain.split(".")[1:]
            pairs.update(itertools.pairwise(steps))
        for start, keys in _INDEXED.findall(text):
            steps = [start.rpartition(".")[2], *re.findall(r'"([^"]+)"', keys)]
            pairs.update(itertools.pairwise(steps))
            whole.add(steps[-1])
    return Words(frozenset(read), frozenset(anywhere), frozenset(pairs), frozenset(whole), frozenset(ranged))


def _is_searched(name: str) -> bool:
    if name.startswith("templates/"):
        return name.endswith(_IN_TEMPLATES)
    return "/" in name and not name.startswith("crds/") and name.endswith(_IN_FILES)


def commented_keys(text: str, root: MapNode, file: str) -> dict[Path, dict[str, Position]]:
    """Keys in comments, by the map that they would be in if the ``#`` were taken away.

    Which map that is, is told by the column: of the ``#``, or of the key behind it. A word in prose
    that looks like a key (``Note: …``) becomes one too; that costs nothing, since nobody sets it.
    """
    at_line: dict[int, tuple[int, Path]] = {}
    columns: dict[Path, int] = {}
    _places(root, (), at_line, columns)
    stack: list[tuple[int, Path]] = []
    found: dict[Path, dict[str, Position]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        here = at_line.get(number)
        if here is not None:
            while stack and stack[-1][0] >= here[0]:
                stack.pop()
            stack.append(here)
            continue
        match = _COMMENT.match(line) if "#" in line else None
        if match is None:
            continue
        key = match[4] or match[5] or match[6]
        column = len(match[1]) + 1
        at_text = match.start(6 if match[6] else 4 if match[4] else 5) + 1
        fitting = {column, at_text, at_text - 1, at_text - 2}
        position = Position(file, number, at_text, len(key))
        for path in ((), *(path for _, path in stack)):
            if columns.get(path) in fitting:
                found.setdefault(path, {}).setdefault(key, position)
    return found


def _places(node: MapNode, path: Path, at_line: dict[int, tuple[int, Path]], columns: dict[Path, int]) -> None:
    for key, entry in node.entries.items():
        _place(entry, (*path, key), at_line, columns)
        columns.setdefault(path, entry.position.column)


def _place(entry: Entry, path: Path, at_line: dict[int, tuple[int, Path]], columns: dict[Path, int]) -> None:
    at_line.setdefault(entry.position.line, (entry.position.column, path))
    if isinstance(entry.node, MapNode):
        _places(entry.node, path, at_line, columns)
