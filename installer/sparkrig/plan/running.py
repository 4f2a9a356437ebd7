"""Which custom resources are at work when their controller is removed, and what becomes of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sparkrig.models.component import ReadinessRule, RunningRule
from sparkrig.models.objects import ObjectRef, Readiness
from sparkrig.readiness.custom import by_rule

SHOWN: Final = 5
"""Custom resources of a kind that are named before the rest is counted."""


@dataclass(frozen=True, slots=True)
class Running:
    """The custom resources of a kind that are at work."""

    kind: str
    refs: tuple[ObjectRef, ...]
    without: str
    """What becomes of them without their controller."""
    crd: str = ""
    unread: str = ""
    """Why they could not be listed."""


def at_work(obj: Mapping[str, Any], rule: RunningRule) -> bool:
    """Whether a custom resource is at work: none of the rule's ``rests`` holds."""
    tests = (ReadinessRule(rule.group, rule.kind, test) for test in rule.rests)
    return not any(by_rule(obj, test).readiness is Readiness.READY for test in tests)


def running_lines(
    found: Iterable[Running], going: Collection[ObjectRef], purged: Collection[str] = ()
) -> tuple[str, ...]:
    """What a plan says below the component whose controller goes.

    ``going`` are objects that go with the removed releases, ``purged`` CRDs that go with all of their objects.
    """
    keys = {(ref.group, ref.kind, ref.namespace, ref.name) for ref in going}
    lines = []
    for one in found:
        if one.unread:
            lines.append(f"{one.kind} objects could not be listed, so some may be running: {one.unread}")
        ended = [r for r in one.refs if one.crd in purged or (r.group, r.kind, r.namespace, r.name) in keys]
        left = [ref for ref in one.refs if ref not in ended]
        if ended:
            lines.append(f"deletes {_counted(one.kind, ended)}")
        if left:
            lines.append(f"leaves {_counted(one.kind, left)} without a controller: {one.without}")
    return tuple(lines)


def _counted(kind: str, refs: list[ObjectRef]) -> str:
    names = ", ".join(f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name for ref in refs[:SHOWN])
    more = f" and {len(refs) - SHOWN} more" if len(refs) > SHOWN else ""
    return f"{len(refs)} running {kind}{'s' if len(refs) != 1 else ''} ({names}{more})"
