"""Why something ended as it did, in parts that ``output/`` puts together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is the matter, what else is known of it, and what to do next."""

    message: str
    """One or more whole lines."""
    detail: tuple[str, ...] = ()
    """Further lines, such as the last output of a tool."""
    hint: str | None = None
    """What to do next."""

    @property
    def text(self) -> str:
        """All of it as one text. JSON documents and recorded revisions hold this form."""
        return "\n".join((self.message, *self.detail, *((f"next: {self.hint}",) if self.hint else ())))


def text_of(explanations: Iterable[Explanation]) -> str:
    """Several explanations as one text; empty without any."""
    return "\n".join(one.text for one in explanations)
