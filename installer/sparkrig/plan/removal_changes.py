"""The lines that a ``down`` shows of what goes and what stays. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import DeleteObjects
from sparkrig.models.plan import Change
from sparkrig.models.release import ReleaseState
from sparkrig.plan.running import running_lines
from sparkrig.plan.survey import CLAIM, Shared, Survey

SHOWN: Final = 10
"""Names below one line of the plan before the rest is counted."""


def purged_changes(survey: Survey, data: Sequence[DeleteObjects], purge: Collection[str]) -> list[Change]:
    """What a purge takes, counted before it is asked for."""
    changes: list[Change] = []
    for operation in data:
        number = len(operation.objects)
        if operation.component == "CRDs":
            count = sum(len(survey.custom_resources[ref.name]) for ref in operation.objects)
            text = f"{number} CRD{'s' if number != 1 else ''} with {_count(count)}"
            changes.append(Change("CRDs", "-", text, _purged_crds(survey, operation)))
        else:
            changes.append(_purged_claims(operation))
    if "crds" in purge:
        changes += [
            Change(f"CRD {name}", "=", f"kept: {other.who} uses it", _theirs(survey.custom_resources[name], other))
            for name, other in sorted(survey.shared_crds.items())
        ]
    if "history" in purge and survey.revisions:
        number = survey.revisions
        text = f"{number} revision{'s' if number != 1 else ''} and Helm's history: no rollback any more"
        changes.append(Change("history", "-", text))
    return changes


def _purged_crds(survey: Survey, operation: DeleteObjects) -> tuple[str, ...]:
    """Every CRD with custom resources, those with the most first; those without any are counted."""
    counts = {ref.name: len(survey.custom_resources[ref.name]) for ref in operation.objects}
    used = sorted((name for name, count in counts.items() if count), key=lambda name: (-counts[name], name))
    lines = [f"{name}: {_count(counts[name])}" for name in used]
    if empty := len(counts) - len(used):
        lines.append(f"{empty} {'more ' if used else ''}without custom resources")
    return tuple(lines)


def _purged_claims(operation: DeleteObjects) -> Change:
    claims = [f"{ref.namespace}/{ref.name}" for ref in operation.objects if ref.kind == CLAIM]
    pods = [f"pod {ref.namespace}/{ref.name}" for ref in operation.objects if ref.kind != CLAIM]
    text = f"{len(claims)} volume claim{'s' if len(claims) != 1 else ''}"
    if pods:
        text += f", and {len(pods)} finished pod{'s that hold' if len(pods) != 1 else ' that holds'} them"
    return Change("claims", "-", text, (*_short(claims), *_short(pods)))


def _theirs(everything: Sequence[ObjectRef], other: Shared) -> tuple[str, ...]:
    names = _short([f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name for ref in other.objects])
    counted = f"all of its {_count(len(everything))} stay"
    return (f"{counted}, {len(other.objects)} of them theirs: {', '.join(names)}",) if names else (counted,)


def with_running(change: Change, survey: Survey, states: Sequence[ReleaseState], purge: Collection[str]) -> Change:
    """A component's line with the custom resources that are at work while their controller is removed."""
    found = survey.running.get(change.component, ())
    going = {ref for state in states for ref in state.inventory if ref.kind not in state.keep}
    purged = [name for name in survey.custom_resources if name not in survey.shared_crds] if "crds" in purge else []
    return replace(change, details=(*change.details, *running_lines(found, going, purged)))


def without_kept(change: Change, purge: Collection[str]) -> Change:
    """A component's line without what it says of keeping what is purged."""
    gone = {"crds": "CRDs", "claims": CLAIM, "namespaces": "Namespace"}
    words = [word for name, word in gone.items() if name in purge]
    kept = tuple(line for line in change.details if not (line.startswith("keeps ") and _only(line, words)))
    return replace(change, details=kept)


def _only(line: str, words: Sequence[str]) -> bool:
    if " CRDs and their custom resources" in line:
        return "CRDs" in words
    return all(kind in words for kind in line.removeprefix("keeps ").split(", "))


def _count(number: int) -> str:
    return f"{number} custom resource{'s' if number != 1 else ''}"


def _short(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(lines) if len(lines) <= SHOWN else (*lines[:SHOWN], f"and {len(lines) - SHOWN} more")


def listed(refs: Sequence[ObjectRef], shown: int = SHOWN) -> str:
    """``Kind name`` of the first objects, and how many more there are."""
    more = f" and {len(refs) - shown} more" if len(refs) > shown else ""
    return ", ".join(f"{ref.kind} {ref.name}" for ref in refs[:shown]) + more
