"""Says in a person's words what a plan does to a component. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sparkrig.models.objects import Readiness
from sparkrig.models.operation import Action
from sparkrig.models.plan import Change
from sparkrig.models.release import DesiredRelease, ObservedRelease, ReleaseState
from sparkrig.models.state import ObservedState
from sparkrig.plan.crds.drift import shown
from sparkrig.stack.explain.secrets import conceal
from sparkrig.yaml.secret_names import HIDDEN, with_texts_covered

GONE = ("uninstalled",)
"""Helm's statuses of a release whose objects are gone; only its history is left."""
SHOWN = 6
"""Value changes listed before the rest is counted."""


Defaults = tuple[Mapping[str, Any], Mapping[str, Any]]
"""The default values of the chart that is installed and of the one that is wanted, as far as they are known."""


def describe_change(
    desired: DesiredRelease,
    state: ReleaseState | None,
    found: ObservedRelease | None,
    action: Action,
    reason: str,
    defaults: Defaults = ({}, {}),
    *,
    at_work: bool = False,
) -> Change:
    """One line for the plan, with the changed values below it. ``at_work``: another run of the stack goes on."""
    version = desired.chart.version
    if action is Action.INSTALL:
        return Change(desired.component, "+", f"{version}  {reason}")
    if action is Action.REPAIR:
        return Change(desired.component, "!", f"{version}  repair: {reason}")
    if found and found.status.startswith(("pending", "uninstalling")):
        then = "; up --wait-lock waits for that run" if at_work else ": recover, then upgrade"
        return Change(desired.component, "^", f"{version}  {reason}{then}")
    if state is None:
        return Change(desired.component, "~", f"{version}  {reason}")
    return Change(desired.component, "~", _what(desired, state, reason), tuple(_details(desired, state, defaults)))


def describe_trouble(component: str, observed: ObservedState) -> Change | None:
    """The line for an unchanged release that is not well, or None when it is."""
    missing = observed.missing.get(component, ())
    unwell = [j for j in observed.live.get(component, ()) if j.readiness is not Readiness.NOT_JUDGED]
    if missing:
        names = tuple(str(ref) for ref in missing[:SHOWN])
        more = (f"and {len(missing) - SHOWN} more",) if len(missing) > SHOWN else ()
        text = f"unchanged, but {len(missing)} of its objects {'are' if len(missing) > 1 else 'is'} missing"
        crds = shown(observed.crd_drift.get(component, ()), SHOWN)
        return Change(component, "!", text, (*names, *more, *crds, "next: sparkrig up --repair"))
    drift = observed.crd_drift.get(component, ())
    if drift:
        text = f"unchanged, but {len(drift)} of its CRDs {'are' if len(drift) > 1 else 'is'} not as recorded"
        return Change(component, "!", text, (*shown(drift, SHOWN), "next: sparkrig up --repair"))
    if unwell:
        return Change(component, "!", "unchanged, but not ready", tuple(j.message for j in unwell[:SHOWN]))
    return None


def describe_crd_repair(desired: DesiredRelease, observed: ObservedState) -> Change:
    """The line for a release whose CRDs alone are applied again."""
    drift = observed.crd_drift[desired.component]
    text = f"{desired.chart.version}  repair: {len(drift)} CRD{'s are' if len(drift) > 1 else ' is'} not as recorded"
    return Change(desired.component, "!", text, shown(drift, SHOWN))


def _what(desired: DesiredRelease, state: ReleaseState, reason: str) -> str:
    if state.digest == desired.digest:
        return f"{desired.chart.version}  {reason}"
    if state.version != desired.chart.version:
        return f"{state.version} -> {desired.chart.version}"
    if state.chart_digest != desired.chart.digest:
        return f"{state.version}  the chart's files changed"
    if state.values != desired.values:
        return f"{state.version}  values"
    return f"{state.version}  namespace labels, CRD owner or needs changed"


def needs_defaults(desired: DesiredRelease, state: ReleaseState) -> bool:
    """True where a value is set on one side only, so that a chart's default tells what it is on the other."""
    return any(ABSENT in (old, new) for _, old, new in value_changes(state.values, desired.values))


def _details(desired: DesiredRelease, state: ReleaseState, defaults: Defaults) -> Iterator[str]:
    changes = [leaf for change in value_changes(state.values, desired.values) for leaf in _leaves(*change)]
    for path, old, new in changes[:SHOWN]:
        yield f"{path}  {_side(path, old, defaults[0])} -> {_side(path, new, defaults[1])}"
    if len(changes) > SHOWN:
        yield f"and {len(changes) - SHOWN} more values"


def _leaves(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """A map that only one side has, as the single values in it."""
    there = new if old is ABSENT else old
    if ABSENT not in (old, new) or not isinstance(there, Mapping) or not there:
        yield path, old, new
        return
    for key, value in there.items():
        inner = (ABSENT, value) if old is ABSENT else (value, ABSENT)
        yield from _leaves(f"{path}.{_escaped(str(key))}", *inner)


def _side(path: str, value: Any, defaults: Mapping[str, Any]) -> str:
    if value is not ABSENT:
        return _concealed(path, value)
    found = value_at(defaults, path)
    return "(none)" if found is None else f"{_concealed(path, found)} (chart default)"


ABSENT = object()
"""Stands for a path that is not there; ``None`` is a value."""


def value_changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every leaf path that differs, as (dotted path, old, new); ``ABSENT`` where there is none."""
    for key in sorted({*old, *new}):
        path = f"{prefix}{_escaped(key)}"
        before, after = old.get(key, ABSENT), new.get(key, ABSENT)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from value_changes(before, after, f"{path}.")
        elif before is ABSENT or after is ABSENT or type(before) is not type(after) or before != after:
            yield path, before, after


def _escaped(key: str) -> str:
    return key.replace(".", "\\.")


def _concealed(path: str, value: Any) -> str:
    """A value as the plan may show it: plans are printed in logs and saved in files."""
    keys = [key.replace("\0", ".") for key in path.replace("\\.", "\0").split(".")]
    return _short(value if value is ABSENT else with_texts_covered(conceal(keys, value), HIDDEN))


def _short(value: Any) -> str:
    if value is ABSENT:
        return "(none)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def value_at(values: Mapping[str, Any], path: str) -> Any:
    r"""The value at a dotted path (``\\.`` for a dot inside a key), or None where there is none."""
    found: Any = values
    for key in path.replace("\\.", "\0").split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(key.replace("\0", "."))
    return found


def applies(when: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether ``{value: PATH, equals: V, default: D}`` holds of some values."""
    found = value_at(values, when["value"])
    return bool((when.get("default") if found is None else found) == when["equals"])
