"""What a server-side dry run found, and what it means for the plan. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import ChangeRelease, Operation, RollbackRelease, WriteRelease
from sparkrig.models.plan import Change, Plan
from sparkrig.plan.diff.changes import ABSENT
from sparkrig.plan.diff.revisions import FieldChange
from sparkrig.plan.server.answers import Contested, Refused

VALUE: Final = 60
"""Characters of a value that are shown."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """An object whose change a webhook stops, because it does not answer or because it says no."""

    ref: ObjectRef
    webhook: str
    message: str
    denied: bool
    """The webhook answered, and refused."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the API server says of one release's change."""

    component: str
    contested: tuple[Contested, ...] = ()
    refused: tuple[Refused, ...] = ()
    """Objects that cannot be changed that way."""
    rejected: tuple[Refused, ...] = ()
    """Objects that the API server takes in no way; only looked for on the way back."""
    leftovers: tuple[ObjectRef, ...] = ()
    """Jobs and Pods of earlier hooks whose delete policy lets them stand in for the new ones."""
    blocked: tuple[Blocked, ...] = ()
    unseen: tuple[str, ...] = ()
    """What could not be asked about, and why."""
    slow: tuple[ObjectRef, ...] = ()
    """Objects on which the API server took long, or did not answer."""
    weight_s: float | None = None
    """Rough seconds that the change will take."""
    effects: tuple[str, ...] | None = None
    """What the change does to running pods of others; None where that was not looked at."""
    one_way: tuple[str, ...] = ()
    """Why no rollback leads back over this change."""
    unrendered: str = ""
    """Why the chart cannot be rendered with its values."""


def with_rehearsals(plan: Plan, found: Iterable[Rehearsal]) -> Plan:
    """The plan with what is taken, recreated and cleared away, in its operations and in what is shown."""
    by_component = {one.component: one for one in found}
    operations: list[Operation] = []
    lines: dict[str, tuple[str, ...]] = {}
    for operation in plan.operations:
        if isinstance(operation, WriteRelease) and operation.component in by_component:
            rehearsal = by_component[operation.component]
            prepared = _prepared(operation, rehearsal)
            lines[operation.component] = _lines(prepared, rehearsal)
            operations.append(prepared)
        else:
            operations.append(operation)
    changes = tuple(_with_lines(change, lines.get(change.component, ())) for change in plan.changes)
    return replace(plan, operations=tuple(operations), changes=changes)


def recreates(operation: WriteRelease) -> bool:
    """True where the policy lets objects be made anew that cannot be changed."""
    source = operation.state if isinstance(operation, RollbackRelease) else operation.desired
    return source.immutable == "recreate"


def _prepared(operation: WriteRelease, found: Rehearsal) -> WriteRelease:
    anew = [one for one in found.refused if recreates(operation) and one.recreatable]
    return replace(
        operation,
        recreated=tuple(one.ref for one in anew),
        reselected=tuple(one.ref for one in anew if one.reselects),
        leftovers=found.leftovers,
        weight_s=found.weight_s,
        effects=found.effects if found.effects is not None else operation.effects,
    )


def _with_lines(change: Change, lines: tuple[str, ...]) -> Change:
    return replace(change, details=(*change.details, *lines)) if lines else change


def _lines(operation: WriteRelease, found: Rehearsal) -> tuple[str, ...]:
    takes = isinstance(operation, ChangeRelease) and operation.desired.conflicts == "take"
    lines = []
    if found.unrendered:
        lines.append(f"! cannot be rendered: {found.unrendered}   {operation.component} is refused")
    for contested in found.contested:
        for field in contested.fields:
            told = contested_text(contested.ref, field)
            lines.append(f"takes back {told}" if takes else f"! conflict: {told}   {operation.component} is refused")
    for refused in found.refused:
        if refused.ref in operation.recreated:
            lines.append(f"recreates {refused.ref}, {_effect(refused)}: {refused_text(refused)}")
        else:
            lines.append(
                f"! cannot be changed: {refused.ref}: {refused_text(refused)}   {operation.component} is refused"
            )
    lines += [f"removes {ref}, left by an earlier hook" for ref in found.leftovers]
    lines += [f"? {text}" for text in found.unseen]
    lines += [f"! no rollback and no automatic return over this change: {text}" for text in found.one_way]
    return tuple(lines)


def _effect(refused: Refused) -> str:
    if refused.ref.kind == "StatefulSet":
        return "its volumes stay and its pods start anew" if refused.reselects else "its pods and volumes stay"
    return {"Deployment": "its pods start anew", "DaemonSet": "its pods start anew"}.get(
        refused.ref.kind, "deleted and made anew"
    )


def contested_text(ref: ObjectRef, field: FieldChange) -> str:
    """``Deployment x/y: spec.replicas is 3, set by kubectl (scale); the chart says 1``."""
    since = f" since {field.since}" if field.since else ""
    return (
        f"{ref}: {field.path} is {value_text(field.after)}, set by {field.owner}{since}; "
        f"the chart says {value_text(field.before)}"
    )


def refused_text(refused: Refused) -> str:
    """``spec.clusterIP: may not change once set; …``."""
    return "; ".join(f"{field}: {message}" if field else message for field, message in refused.fields)


def value_text(value: Any) -> str:
    """A value in a line of text."""
    if value is ABSENT:
        return "absent"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= VALUE else f"{text[: VALUE - 1]}…"


def advice(refused: Refused, component: str, policy: Mapping[str, str]) -> str:
    """What can be done about an object that cannot be changed; ``policy`` is the component's entry in the stack."""
    if refused.ref.kind == "PersistentVolumeClaim":
        return "keep the value as it was; a volume is replaced by hand: copy the data, delete the claim, run up"
    if not refused.recreatable:
        return "keep the value as it was, or delete the object by hand once you know what its deletion takes with it"
    if policy.get("immutable") == "recreate":
        return ""
    key = f"components.{component}.immutable"
    return f"keep the value as it was, or let it be made anew ({_effect(refused)}): {key}: recreate"
