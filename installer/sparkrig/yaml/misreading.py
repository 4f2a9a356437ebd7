"""Scalars that Helm reads otherwise than a person would. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparkrig.yaml.nodes import ScalarNode
from sparkrig.yaml.scalars import EXACT_INT

_PLAIN_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_PLAIN_FLOAT = re.compile(r"[+-]?[0-9]+\.[0-9]*[1-9]")
_OCTAL = re.compile(r"[+-]?0[0-7_]+")
_TRUTH = ("true", "false")


@dataclass(frozen=True, slots=True)
class Misreading:
    """What Helm makes of a plain scalar."""

    text: str
    reads: str
    """Continues "Helm reads 1.10 as": ``the number 1.1``, ``true``."""
    always: bool
    """True where even the person who wants a number gets another one."""
    remedy: str = "put it in quotes if it is meant as text"
    reason: str | None = None
    """Why, where that is not plain from the reading."""

    @property
    def message(self) -> str:
        """One clause."""
        return f"Helm reads {self.text} as {self.reads}"


def misreading(node: ScalarNode) -> Misreading | None:
    """How Helm's reading of an unquoted scalar differs from its text; None where it does not."""
    if not node.plain or node.value is None or isinstance(node.value, str):
        return None
    text = node.text
    if isinstance(node.value, bool):
        return None if text.lower() in _TRUTH else Misreading(text, str(node.value).lower(), False)
    number = node.value
    if isinstance(number, int) and _PLAIN_INTEGER.fullmatch(text):
        if abs(number) >= EXACT_INT and int(float(number)) != number:
            why = "Helm holds every number as a float of 64 bits, which keeps 15 digits"
            return Misreading(text, f"the number {int(float(number))}", True, "put it in quotes", why)
        return None
    if _PLAIN_FLOAT.fullmatch(text) and repr(number) == text.removeprefix("+"):
        return None
    if _OCTAL.fullmatch(text) and text.lstrip("+-0_"):
        why = "a number with a zero in front is octal; without the zero it is what it looks like"
        return Misreading(text, f"the number {number}", True, reason=why)
    return Misreading(text, f"the number {number}", False)
