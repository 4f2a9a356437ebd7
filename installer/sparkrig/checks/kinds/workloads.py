"""``workloads``: every object of the release is there and ready."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet, Wrong, no_needs
from sparkrig.models.json import dig, name_of, text_at, texts_at
from sparkrig.models.objects import ObjectRef, Readiness
from sparkrig.readiness import NO_CONTEXT, judge
from sparkrig.readiness import Context as Surroundings
from sparkrig.readiness.custom import excused, rule_for

SHOWN = 4
SCALED = ("Deployment", "StatefulSet", "ReplicaSet")


def ask(context: Context) -> str:
    """With ``kinds`` only objects of those kinds count; none of them is a failure.

    A workload scaled to 0 is ready and runs nothing: that is said, and with ``scaledToZero: refused`` it fails.
    """
    kinds = texts_at(context.parameters, "kinds")
    everything = "kinds" not in context.parameters
    wanted = [ref for ref in context.subject.state.inventory if everything or ref.kind in kinds]
    if not wanted:
        raise Wrong(f"the release has no {' or '.join(kinds)}" if kinds else "the release has no objects at all")
    context.cluster.watch.ensure(wanted, context.left_s())
    around = _around(context, wanted)
    ready, optional, unwell = 0, 0, []
    empty = [f"{ref.kind} {ref.name}" for ref in wanted if _is_empty(context, ref)]
    if empty and context.parameters.get("scaledToZero") == "refused":
        unwell.append(
            f"{', '.join(empty[:SHOWN])} {'is' if len(empty) == 1 else 'are'} scaled to 0, so nothing of it runs"
        )
    for ref in wanted:
        readiness, line = _look(context, ref, around)
        ready += readiness is Readiness.READY
        if line:
            unwell.append(line)
        elif readiness not in (Readiness.READY, Readiness.NOT_JUDGED):
            optional += 1  # not counted, as `status` does not
    if unwell:
        more = f"; and {len(unwell) - SHOWN} more" if len(unwell) > SHOWN else ""
        raise NotYet("; ".join(unwell[:SHOWN]) + more)
    if not ready:
        raise Wrong(f"none of the release's {len(wanted)} objects says that it is ready")
    waiting = f", {optional} optional not ready" if optional else ""
    scaled = f", {len(empty)} scaled to 0: {', '.join(empty[:SHOWN])}" if empty else ""
    return f"{ready}/{ready} objects ready{waiting}{scaled}"


def _is_empty(context: Context, ref: ObjectRef) -> bool:
    found = context.cluster.watch.get(ref) if ref.kind in SCALED else None
    return found is not None and dig(found, "spec", "replicas") == 0


def _around(context: Context, wanted: Sequence[ObjectRef]) -> Surroundings:
    """A claim of a class that binds late waits for its first pod, and is none the worse for it."""
    if not any(ref.kind == "PersistentVolumeClaim" for ref in wanted):
        return NO_CONTEXT
    classes = context.api.list("/apis/storage.k8s.io/v1/storageclasses")
    return Surroundings({name_of(item): text_at(item, "volumeBindingMode", default="Immediate") for item in classes})


def _look(context: Context, ref: ObjectRef, around: Surroundings) -> tuple[Readiness, str]:
    """The readiness of one object, and what is wrong with it; empty for what is not in the way."""
    rules = context.subject.rules
    rule = rule_for(ref.group, ref.kind, rules)
    optional = rule is not None and rule.optional
    found = context.cluster.watch.get(ref)
    if found is None:
        return Readiness.PROGRESSING, "" if optional else f"{ref} does not exist"
    verdict = judge(found, rules, now=context.api.now(), context=around)
    if verdict.readiness in (Readiness.READY, Readiness.NOT_JUDGED):
        return verdict.readiness, ""
    # After a change what is optional is not waited for here; the component's own checks wait for what matters of it.
    passes = context.gate and optional and verdict.readiness is not Readiness.FAILED
    if passes or excused(rule, verdict, simulated=context.cluster.facts.simulated):
        return verdict.readiness, ""
    return verdict.readiness, f"{ref}: {verdict.message}"


KIND = Kind(ask, Depth.FAST, no_needs)
