"""``${…}`` in checks and URLs of a component: what is only known of a deployed release. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparkrig.models.json import JsonObject, JsonValue
from sparkrig.readiness.fields import value_at

REFERENCE: Final = re.compile(r"\$\{(?P<name>[^}:]+)(?::-(?P<default>[^}]*))?\}")
NAMES: Final = ("component", "release", "namespace", "stack", "name")
VALUES: Final = "values."


class Unknown(Exception):
    """A reference to what is not there."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What ``${…}`` can refer to.

    ``component``, ``release``, ``namespace`` and ``stack``; ``name``, for the object that the check makes; and
    ``values.PATH`` of the release's values (a number in the path is a place in a list). ``${…:-text}`` gives what holds
    where the value is not set: a chart's own defaults are not among the values.
    """

    component: str
    release: str
    namespace: str
    stack: str
    values: JsonObject
    name: str = ""

    def expand(self, node: JsonValue) -> JsonValue:
        """Return ``node`` with every reference replaced. A text that is one reference becomes the value itself.

        Raises:
            Unknown: a reference without a default to what is not there.
        """
        if isinstance(node, Mapping):
            return {key: self.expand(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return [self.expand(item) for item in node]
        if not isinstance(node, str):
            return node
        whole = REFERENCE.fullmatch(node)
        if whole:
            return self._value(whole)
        return REFERENCE.sub(lambda match: str(self._value(match)), node)

    def _value(self, match: re.Match[str]) -> JsonValue:
        name, default = match["name"], match["default"]
        found = value_at(self.values, name.removeprefix(VALUES)) if name.startswith(VALUES) else self._plain(name)
        if found not in (None, ""):
            return found
        if default is None:
            raise Unknown(f"{name} is not set for {self.component}")
        return default

    def _plain(self, name: str) -> str | None:
        return str(getattr(self, name)) if name in NAMES else None


def references(node: JsonValue) -> list[str]:
    """Every name that is referred to in ``node``."""
    if isinstance(node, Mapping):
        return [name for value in node.values() for name in references(value)]
    if isinstance(node, list | tuple):
        return [name for item in node for name in references(item)]
    return [match["name"] for match in REFERENCE.finditer(node)] if isinstance(node, str) else []
