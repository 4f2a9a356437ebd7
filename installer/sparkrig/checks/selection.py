"""Which checks a run asks, and which of them must be answered. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from sparkrig.checks.kinds import KINDS
from sparkrig.checks.kinds.base import Depth, Subject
from sparkrig.errors import NotFound
from sparkrig.models.component import CheckSpec

ALL = "all"


@dataclass(frozen=True, slots=True)
class Selection:
    """What ``verify`` was asked for.

    ``only`` and ``require`` hold names of components, of checks, of kinds, or ``component/check``; ``require`` also
    ``all``. What is named in either is asked whatever it costs.
    """

    only: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    depth: Depth = Depth.NORMAL
    gate_only: bool = False

    def takes(self, subject: Subject, spec: CheckSpec) -> bool:
        """True when the check is asked."""
        if self.gate_only:
            return spec.gate
        named = any(_is(word, subject, spec) for word in self.only)
        if self.only:
            return named
        return named or self.must(subject, spec) or KINDS[spec.kind].depth <= self.depth

    def must(self, subject: Subject, spec: CheckSpec) -> bool:
        """True when it must be answered, whatever it needs."""
        return ALL in self.require or any(_is(word, subject, spec) for word in self.require)


def check_names(selection: Selection, subjects: Sequence[Subject]) -> None:
    """Refuses names that name nothing.

    Raises:
        NotFound: with the nearest name there is.
    """
    pairs = [(subject, spec) for subject in subjects for spec in subject.checks]
    for option, words in (("--only", selection.only), ("--require", selection.require)):
        for word in words:
            if (option, word) == ("--require", ALL) or any(_is(word, *pair) for pair in pairs):
                continue
            if word in {subject.component for subject in subjects}:
                raise NotFound(f"{option} {word}: this component has no checks")
            known = sorted({n for subject, spec in pairs for n in _names(subject, spec)})
            close = difflib.get_close_matches(word, known, n=1)
            kind = f"; {word} is a kind of check that nothing in this stack uses" if word in KINDS else ""
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
            raise NotFound(f"{option} {word}: no check is called so{kind}", hint=hint)


def _names(subject: Subject, spec: CheckSpec) -> tuple[str, ...]:
    return (subject.component, spec.name, spec.kind, f"{subject.component}/{spec.name}")


def _is(word: str, subject: Subject, spec: CheckSpec) -> bool:
    return word in _names(subject, spec)
