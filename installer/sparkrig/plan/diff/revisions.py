"""How two revisions of a stack differ, and how the live cluster differs from one. Pure.

What may not be shown is masked here, so that no report can forget it. A field that the chart makes up
anew at each rendering (a password, a checksum over it) says nothing about the stack: it is left out
where two renderings prove it, and named as not judged where there is no chart to prove it with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import ReleaseState
from sparkrig.plan.diff.changes import ABSENT
from sparkrig.plan.diff.fields import (
    Difference,
    Path,
    changed_fields,
    changed_values,
    is_secret,
    key_of,
    path_text,
    with_value,
)
from sparkrig.plan.diff.masking import masked_object, masked_values, shown_differences
from sparkrig.plan.ownership import owner_of

Manifests = Mapping[ObjectRef, Mapping[str, Any]]
"""The objects of one revision of a release."""
Unstable = Mapping[tuple[str, str, str, str], frozenset[Path]]
"""Object -> paths that differ between two renderings of the same chart with the same values."""
LEFT_OUT: Final = "<made anew at each rendering>"


@dataclass(frozen=True, slots=True)
class Parts:
    """What is compared."""

    values: bool = True
    charts: bool = True
    manifests: bool = True


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs, masked. ``ABSENT`` where a side lacks it."""

    path: str
    before: Any
    after: Any
    owner: str = ""
    """Who wrote the live value, as the API server noted it."""
    since: str | None = None
    """RFC 3339 time of that."""
    judged: bool = True
    """False where the chart may have made it up anew, and was not there to tell."""


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One object that differs."""

    ref: ObjectRef
    change: Literal["added", "removed", "changed", "missing", "unknown"]
    """``missing``: recorded and not in the cluster. ``unknown``: could not be looked at; ``note`` says why."""
    fields: tuple[FieldChange, ...] = ()
    before: Mapping[str, Any] | None = None
    """The masked manifest, for showing with context; None on a side that has none."""
    after: Mapping[str, Any] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ComponentChange:
    """How one component differs."""

    component: str
    change: Literal["added", "removed", "changed", "unchanged"]
    version: str
    """The chart's version, of the side that has it; the newer one where both have."""
    chart: tuple[FieldChange, ...] = ()
    values: tuple[FieldChange, ...] = ()
    values_before: Mapping[str, Any] = field(default_factory=dict)
    """All values, masked, for showing with context."""
    values_after: Mapping[str, Any] = field(default_factory=dict)
    objects: tuple[ObjectChange, ...] = ()
    left_out: tuple[str, ...] = ()
    """``Kind name: path`` of fields that were proven to be made anew at each rendering."""
    notes: tuple[str, ...] = ()
    """What could not be compared, and why."""


@dataclass(frozen=True, slots=True)
class StackChange:
    """How two sides of a stack differ. ``after`` None is the live cluster."""

    stack: str
    before: int
    after: int | None
    components: tuple[ComponentChange, ...]
    notes: tuple[str, ...] = ()

    @property
    def different(self) -> bool:
        """True when anything differs; what could not be compared does not."""
        return any(component.change != "unchanged" for component in self.components)


# ------------------------------------------------------------------ two revisions


def compare_states(
    before: ReleaseState | None,
    after: ReleaseState | None,
    parts: Parts,
    *,
    manifests: tuple[Manifests | None, Manifests | None] = (None, None),
    unstable: Unstable | None = None,
    schema: Mapping[str, Any] | None = None,
) -> ComponentChange:
    """How one component differs between two revisions; one side may lack it.

    ``manifests`` None means not to be had (or not wanted); ``unstable`` None that no rendering was
    possible. ``schema`` is that of the component's values, which may name secrets.
    """
    state = after or before
    if state is None:
        raise ValueError("a component that neither revision has")
    objects, left_out = _objects(*manifests, unstable) if parts.manifests else ((), ())
    chart = _charts(before, after) if parts.charts else ()
    old, new = (s.values if s else {} for s in (before, after))
    values, shown_old, shown_new = _values(old, new, schema) if parts.values else ((), {}, {})
    change: Literal["added", "removed", "changed", "unchanged"] = "changed"
    if before is None or after is None:
        change = "added" if before is None else "removed"
    elif not (chart or values or objects):
        change = "unchanged"
    return ComponentChange(
        component=state.component,
        change=change,
        version=state.version,
        chart=chart,
        values=values,
        values_before=shown_old,
        values_after=shown_new,
        objects=objects,
        left_out=left_out,
    )


def unstable_fields(first: Manifests, second: Manifests) -> Unstable:
    """The fields that differ between two renderings of the same."""
    again = {key_of(ref): item for ref, item in second.items()}
    found = {}
    for ref, item in first.items():
        other = again.get(key_of(ref))
        paths = frozenset(d.path for d in changed_fields(item, other)) if other is not None else frozenset()
        if paths:
            found[key_of(ref)] = paths
    return found


def differing(before: Manifests, after: Manifests) -> bool:
    """Whether some object that both have differs, so that it is worth asking what is unstable."""
    others = {key_of(ref): item for ref, item in after.items()}
    return any(key_of(ref) in others and changed_fields(item, others[key_of(ref)]) for ref, item in before.items())


def _objects(
    before: Manifests | None, after: Manifests | None, unstable: Unstable | None
) -> tuple[tuple[ObjectChange, ...], tuple[str, ...]]:
    old, new = ({key_of(ref): (ref, item) for ref, item in (side or {}).items()} for side in (before, after))
    changes, left_out = [], []
    for key in dict.fromkeys((*old, *new)):
        if key not in new:
            ref, item = old[key]
            changes.append(ObjectChange(ref, "removed", before=masked_object(item)))
        elif key not in old:
            ref, item = new[key]
            changes.append(ObjectChange(ref, "added", after=masked_object(item)))
        else:
            change, unjudged = _object(new[key][0], old[key][1], new[key][1], unstable)
            left_out += unjudged
            changes += [change] if change else []
    return tuple(changes), tuple(left_out)


def _object(
    ref: ObjectRef, before: Mapping[str, Any], after: Mapping[str, Any], unstable: Unstable | None
) -> tuple[ObjectChange | None, list[str]]:
    differences = changed_fields(before, after)
    if not differences:
        return None, []
    noise = (unstable or {}).get(key_of(ref), frozenset())
    left = [d for d in differences if any(d.path[: len(path)] == path for path in noise)]
    differences = tuple(d for d in differences if d not in left)
    told = [f"{ref}: {path_text(d.path)}" for d in left]
    if not differences:
        return None, told
    shown_before, shown_after = masked_object(before), masked_object(after)
    for difference in left:
        shown_before = with_value(shown_before, difference.path, LEFT_OUT)
        shown_after = with_value(shown_after, difference.path, LEFT_OUT)
    shown, marked = shown_differences(differences, shown_before, shown_after)
    fields = tuple(
        FieldChange(path_text(path), old, new, judged=unstable is not None or not _may_be_made_up(after, path))
        for path, old, new in shown
    )
    return ObjectChange(ref, "changed", fields, shown_before, marked), told


def _may_be_made_up(item: Mapping[str, Any], path: Path) -> bool:
    """Whether it is of the kind of things that charts make up: passwords, and checksums over them."""
    return (is_secret(item) and path[0] == "data") or any(isinstance(s, str) and "checksum" in s for s in path)


def _charts(before: ReleaseState | None, after: ReleaseState | None) -> tuple[FieldChange, ...]:
    fields = {"chart": "chart", "version": "version", "digest": "chart_digest"}
    found = []
    for name, attribute in fields.items():
        old, new = (getattr(state, attribute) if state else ABSENT for state in (before, after))
        if old != new:
            found.append(FieldChange(name, old, new))
    return tuple(found)


def _values(
    before: Mapping[str, Any], after: Mapping[str, Any], schema: Mapping[str, Any] | None
) -> tuple[tuple[FieldChange, ...], Mapping[str, Any], Mapping[str, Any]]:
    old, new = masked_values(before, schema), masked_values(after, schema)
    shown, marked = shown_differences(changed_values(before, after), old, new)
    return tuple(FieldChange(path_text(path), was, now) for path, was, now in shown), old, marked


# ------------------------------------------------------------------ a revision and the live cluster


def compare_live(
    state: ReleaseState,
    objects: Sequence[ObjectChange],
    *,
    moved: ReleaseState | None = None,
    parts: Parts,
    notes: Iterable[str] = (),
    schema: Mapping[str, Any] | None = None,
) -> ComponentChange:
    """How one recorded component differs from the cluster.

    ``objects`` are the drifted ones; ``moved`` is what Helm holds now where somebody else used Helm
    on the release: its chart and its values.
    """
    change = compare_states(state, moved or state, Parts(parts.values, parts.charts, manifests=False), schema=schema)
    really = [one for one in objects if one.change != "unknown"]
    different = change.change != "unchanged" or really
    return replace(
        change,
        change="changed" if different else "unchanged",
        objects=tuple(objects),
        notes=(*change.notes, *notes),
    )


def describe_drift(
    ref: ObjectRef, manifest: Mapping[str, Any], live: Mapping[str, Any], differences: Sequence[Difference]
) -> ObjectChange | None:
    """The differences of a live object from its manifest, masked, with who wrote what is there."""
    if not differences:
        return None
    shown, _ = shown_differences(differences, masked_object(manifest), masked_object(live))
    fields = []
    for path, old, new in shown:
        who = owner_of(live, path)
        fields.append(FieldChange(path_text(path), old, new, who.manager, who.time))
    return ObjectChange(ref, "changed", tuple(fields))
