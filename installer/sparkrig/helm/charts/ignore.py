"""Which files of a chart folder helm leaves out: ``.helmignore`` as helm reads it. Pure.

The rules are Helm's, not git's: the first rule that decides wins, a negated rule leaves out whatever
does *not* match it, ``**`` is refused, ``*`` and ``?`` stop at a slash. Only the file at the top of
the chart counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from sparkrig.helm.errors import ChartError


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    negated: bool
    folders_only: bool
    whole_path: bool

    def matches(self, name: str) -> bool:
        return self.pattern.fullmatch(name if self.whole_path else name.rpartition("/")[2]) is not None


class IgnoreRules:
    """The rules of one ``.helmignore``; ``text`` None when there is no such file."""

    def __init__(self, text: str | None, where: str = ".helmignore") -> None:
        lines = (text or "").removeprefix("\ufeff").splitlines()
        rules = (_rule(line.strip(), f"{where}:{number}") for number, line in enumerate(lines, start=1))
        self._rules = [rule for rule in (*rules, _rule("templates/.?*", where)) if rule is not None]

    def ignores(self, name: str, *, folder: bool) -> bool:
        """True for a name (relative, with slashes) that helm leaves out; of an ignored folder, all of it."""
        for rule in self._rules:
            if rule.negated:
                if (rule.folders_only and not folder) or not rule.matches(name):
                    return True
            elif (folder or not rule.folders_only) and rule.matches(name):
                return True
        return False


def _rule(line: str, where: str) -> _Rule | None:
    if not line or line.startswith("#"):
        return None
    if "**" in line:
        raise ChartError(f"{where}: helm does not support ** ({line})")
    negated = line.startswith("!")
    pattern = line.removeprefix("!")
    folders_only = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    return _Rule(_compile(pattern.removeprefix("/"), where), negated, folders_only, whole_path="/" in pattern)


@lru_cache(maxsize=256)
def _compile(pattern: str, where: str) -> re.Pattern[str]:
    """Translates the pattern language of Go's ``filepath.Match``."""
    out: list[str] = []
    rest = pattern
    while rest:
        character, rest = rest[0], rest[1:]
        if character == "*":
            out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "[":
            end = _end_of_class(rest)
            if end < 0:
                raise ChartError(f"{where}: the [ in {pattern!r} is not closed")
            out.append(_class(rest[:end]))
            rest = rest[end + 1 :]
        elif character == "\\" and rest:
            out.append(re.escape(rest[0]))
            rest = rest[1:]
        else:
            out.append(re.escape(character))
    return re.compile("".join(out), re.DOTALL)


def _end_of_class(text: str) -> int:
    index = 1 if text.startswith("^") else 0
    index += 1  # a class has at least one member, so a bracket there is one
    while index < len(text):
        if text[index] == "\\":
            index += 2
        elif text[index] == "]":
            return index
        else:
            index += 1
    return -1


def _class(members: str) -> str:
    negated = members.startswith("^")
    inner = re.sub(r"\\(.)", r"\1", members.removeprefix("^"))
    escaped = re.sub(r"([\\\]\[^&~|])", r"\\\1", inner)
    return f"(?!/)[{'^' if negated else ''}{escaped}]"
