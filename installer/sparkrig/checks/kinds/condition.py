"""``condition``: objects of one kind say that they are well, about what they are now, and go on saying so."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from typing import Final

from sparkrig.checks.kinds.base import REAL_PODS, Context, Depth, Kind, NotYet, Wrong
from sparkrig.checks.kinds.logs import explained
from sparkrig.checks.kinds.matching import error_text, shown
from sparkrig.checks.kinds.node_states import judged
from sparkrig.defaults import CONDITION_WINDOW_S, CONTROLLER_SETTLE_S
from sparkrig.kube.client import KindNotServed
from sparkrig.models.component import ReadinessRule
from sparkrig.models.json import (
    JsonDict,
    JsonObject,
    annotations_of,
    dig,
    mapping_at,
    mapping_or_none,
    mappings_at,
    name_of,
    namespace_of,
    text_at,
    text_or_none,
)
from sparkrig.models.objects import Judgement, Readiness
from sparkrig.readiness import judge
from sparkrig.readiness.fields import condition
from sparkrig.readiness.freshness import held_s, tells, unseen
from sparkrig.readiness.nodes import node_states
from sparkrig.readiness.operands import owned_by, rollout

LOOK_S: Final = 1.0
"""How often a condition is looked at while it is seen whether it holds."""

Item = JsonDict


def ask(context: Context) -> str:
    """All objects that ``name`` or ``selector`` picks, or all of the kind, must meet the rule; none is a failure.

    After a change (``context.gate``) they must go on doing so for ``window`` seconds, and a state without
    ``observedGeneration`` must be newer than the last rollout of the release's Deployments: its controller is one.
    """
    rule = _rule(context.parameters)
    began = time.monotonic()
    while True:
        found, message = _look(context, rule)
        window = _window_s(context, rule, found) if context.gate else 0.0
        left = window - _held_s(context, found, time.monotonic() - began)
        if left <= 0:
            return message
        context.say(f"{message}, watched for {left:.0f} s more")
        if context.left_s() <= left:
            raise NotYet(f"{message}, but not for {window:.0f} s")
        context.pause(min(left, LOOK_S))


def _window_s(context: Context, rule: ReadinessRule, found: Sequence[Item]) -> float:
    """As the check says; else only for a status that does not name its generation, and never most of the timeout."""
    if "window" in context.parameters:
        return float(text_at(context.parameters, "window"))
    told = all(tells(item) or _told(item, rule) for item in found)
    return 0.0 if told else min(CONDITION_WINDOW_S, context.spec.timeout_s / 4)


def _rule(parameters: JsonObject) -> ReadinessRule:
    group, kind = text_at(parameters, "apiVersion").rpartition("/")[0], text_at(parameters, "kind")
    settle = float(text_at(parameters, "settle") or CONTROLLER_SETTLE_S)
    failed = mapping_or_none(parameters, "failed")
    return ReadinessRule(group, kind, mapping_at(parameters, "ready"), failed, settle_s=settle)


def _look(context: Context, rule: ReadinessRule) -> tuple[list[Item], str]:
    """The objects and what they say, when all of them are well."""
    parameters = context.parameters
    version = text_at(parameters, "apiVersion").rpartition("/")[2]
    found = _found(context, _collection(context, rule.group, version, rule.kind, parameters.get("allNamespaces")))
    if not found:
        raise NotYet(f"there is no {rule.kind}{_which(parameters)}")
    now = context.api.now()
    # The controllers of Kubernetes' own kinds are none of the release's Deployments.
    restarted = _restarted(context) if context.gate and needs(parameters) else None
    verdicts = [(item, _judged(item, rule, now, restarted)) for item in found]
    unwell = [(item, verdict) for item, verdict in verdicts if verdict.readiness is not Readiness.READY]
    said = [_unwell(rule.kind, item, verdict) for item, verdict in unwell[:4]]
    nodes = _nodes(context, said)
    if unwell:
        told = explained(context, parameters.get("pods"), namespace_of(unwell[0][0]))
        raise NotYet("; ".join([*said, *nodes]) + told)
    if open_ := [*_operands(context, found), *nodes]:
        raise NotYet(f"{rule.kind} {name_of(found[0])}: {verdicts[0][1].message}, but {'; '.join(open_[:4])}")
    item, verdict = verdicts[0]
    which = f"{rule.kind} {name_of(item)}" if len(found) == 1 else f"{len(found)} {rule.kind}"
    return found, f"{which}: {verdict.message}"


def _judged(item: Item, rule: ReadinessRule, now: datetime.datetime, restarted: datetime.datetime | None) -> Judgement:
    verdict = judge(item, (rule,), now=now)
    if verdict.readiness is not Readiness.READY or restarted is None or tells(item) or _told(item, rule):
        return verdict
    why = unseen(item, now, rule.settle_s, restarted)
    return Judgement(Readiness.PROGRESSING, f"{verdict.message}, but {why}") if why else verdict


def _told(item: Item, rule: ReadinessRule) -> bool:
    """Whether the condition itself names the generation that it is about, or nothing is read that a controller says."""
    if "path" in rule.ready and not str(rule.ready["path"]).startswith("status."):
        return True
    named = text_at(rule.ready, "condition")
    return ((condition(item, named) or {}) if named else {}).get("observedGeneration") is not None


def _restarted(context: Context) -> datetime.datetime | None:
    """When the newest rollout of a Deployment of the release ended; its first one changes nothing that was before."""
    refs = [ref for ref in context.subject.state.inventory if (ref.group, ref.kind) == ("apps", "Deployment")]
    if not refs:
        return None
    context.cluster.watch.ensure(refs, context.left_s())
    ends = []
    for found in filter(None, map(context.cluster.watch.get, refs)):
        revision = annotations_of(found).get("deployment.kubernetes.io/revision", "1")
        rolled = condition(found, "Progressing") or {}
        ended = text_at(rolled, "lastUpdateTime")
        if revision != "1" and rolled.get("reason") == "NewReplicaSetAvailable" and ended:
            ends.append(datetime.datetime.fromisoformat(ended))
    return max(ends, default=None)


def _held_s(context: Context, found: Sequence[Item], watched_s: float) -> float:
    """For how long all of them have been as they are: by their own stamps, else as long as this check has looked."""
    now = context.api.now()
    stamps = [held_s(item, now) for item in found]
    return min((watched_s if held is None else max(held, 0.0) for held in stamps), default=watched_s)


def _nodes(context: Context, objects: Sequence[str]) -> list[str]:
    """What the controller still has to do on nodes; its resource may be ready before that.

    Raises:
        Wrong: it has given up on one; says what is wrong with the ``objects`` first.
    """
    if not context.parameters.get("nodeStates"):
        return []
    states = node_states(context.api.list("/api/v1/nodes"), context.subject.node_states)
    try:
        said = judged(context, states)
    except Wrong as error:
        raise Wrong("; ".join([*objects, str(error)])) from error
    return [said] if said else []


def _operands(context: Context, found: Sequence[Item]) -> list[str]:
    """What the objects' controller made for them and that is not rolled out."""
    uids = {dig(item, "metadata", "uid") for item in found}
    lines = []
    for each in mappings_at(context.parameters, "operands"):
        group, _, version = text_at(each, "apiVersion").rpartition("/")
        items = context.api.list(_collection(context, group, version, text_at(each, "kind"), everywhere=False))
        lines += [line for item in items if owned_by(item, uids) and (line := rollout(item, context.api.now()))]
    return lines


def _collection(context: Context, group: str, version: str, kind: str, everywhere: object) -> str:
    try:
        info = context.api.resource_of(group, version, kind)
    except KindNotServed as error:
        raise NotYet(error.message) from error
    return info.collection("" if everywhere else context.namespace)


def _unwell(kind: str, item: JsonObject, verdict: Judgement) -> str:
    error = error_text(item) if verdict.readiness is Readiness.FAILED else ""
    said = f": {shown(error)}" if error and shown(error) not in verdict.message else ""
    return f"{kind} {name_of(item)}: {verdict.message}{said}"


def _found(context: Context, collection: str) -> list[Item]:
    name = context.parameters.get("name")
    # Listed also by name: in all namespaces together nothing can be read by one.
    by_name = f"metadata.name={name}" if name is not None else None
    return context.api.list(
        collection, label_selector=text_or_none(context.parameters, "selector"), field_selector=by_name
    )


def _which(parameters: JsonObject) -> str:
    if "name" in parameters:
        return f" {parameters['name']}"
    return f" with {parameters['selector']}" if "selector" in parameters else ""


def needs(parameters: JsonObject) -> Sequence[str]:
    """A custom resource's status is written by a pod; that of Kubernetes' own kinds by real controllers."""
    group = str(parameters.get("apiVersion", "")).rpartition("/")[0]
    own = "." not in group or (group.endswith(".k8s.io") and group.split(".")[0] in OWN)
    return () if own else (REAL_PODS,)


OWN = frozenset({"apiextensions", "apiregistration", "networking", "storage", "scheduling", "certificates"})

KIND = Kind(ask, Depth.FAST, needs)
