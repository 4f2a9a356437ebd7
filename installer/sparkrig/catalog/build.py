"""Turns a ``component.yaml`` that met the schema into a record. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, cast

from sparkrig.defaults import CONTROLLER_SETTLE_S, READY_TIMEOUT_S
from sparkrig.models.component import (
    BlockedRollback,
    ChartRef,
    CheckSpec,
    Component,
    CrdOwner,
    DetectRule,
    DisturbedPods,
    DisturbingChange,
    FactRule,
    FollowRule,
    GlobalRule,
    NodeLeftovers,
    NodeStateRule,
    ReadinessRule,
    RunningRule,
    SecurityException,
)
from sparkrig.models.json import (
    JsonObject,
    JsonValue,
    mapping_at,
    mapping_or_none,
    mappings_at,
    sequence_at,
    text_at,
    text_map_at,
    text_or_none,
    texts_at,
)
from sparkrig.models.problem import Position

CHECK_TIMEOUT_S: Final = 60.0
"""A check asks what is ready already; a minute is for a first inference or a small Spark job."""

State = Literal["true", "false", "auto"]
Data = JsonObject


def state_of(value: object) -> State:
    """``true``, ``false`` or ``auto`` as the records spell it."""
    return cast(State, str(value).lower())


def component_from(data: Data, folder: Path, position: Position) -> Component:
    """The record of a component; ``data`` must meet ``component.schema.json``."""
    meta, release, crds = mapping_at(data, "metadata"), mapping_at(data, "release"), mapping_at(data, "crds")
    name = text_at(meta, "name")
    return Component(
        name=name,
        folder=folder,
        description=text_at(meta, "description"),
        homepage=text_at(meta, "homepage"),
        licence=text_at(meta, "licence"),
        chart=_chart(mapping_at(data, "chart"), folder),
        release=text_at(release, "name", default=name),
        namespace=text_at(release, "namespace", default=name),
        namespace_labels=text_map_at(release, "namespaceLabels"),
        enabled=state_of(data.get("enabled", True)),
        auto_fact=text_or_none(data, "autoFact"),
        profiles={profile: state_of(state) for profile, state in mapping_at(data, "profiles").items()},
        needs=_texts(data, "needs"),
        uses=_texts(data, "uses"),
        provides=_texts(data, "provides"),
        requires=mapping_at(data, "requires"),
        facts=tuple(map(_fact, mappings_at(data, "facts"))),
        globals=tuple(map(_global, mappings_at(data, "globals"))),
        crd_owner=CrdOwner(text_at(crds, "owner", default="none")),
        crd_off_values=mapping_at(crds, "switchOff"),
        crd_labels=text_map_at(crds, "labels"),
        rollback="forward-only" if data.get("rollback") == "forward-only" else "reversible",
        disturbs=text_or_none(data, "disturbs"),
        disturbs_pods=_disturbed(data.get("disturbsPods")),
        blocked_rollbacks=tuple(map(_blocked, mappings_at(data, "blockedRollbacks"))),
        keep=_texts(data, "keep"),
        readiness=tuple(map(_readiness, mappings_at(data, "readiness"))),
        checks=tuple(map(_check, mappings_at(data, "checks"))),
        images=_texts(data, "images"),
        security_exceptions=tuple(
            SecurityException(**text_map_at(each)) for each in mappings_at(data, "podSecurity", "exceptions")
        ),
        urls=tuple(mappings_at(data, "urls")),
        timeout_s=_seconds(data, "timeout", READY_TIMEOUT_S),
        renamed_values=tuple(map(text_map_at, mappings_at(data, "renamed"))),
        position=position,
        secret_namespaces=_texts(data, "secretNamespaces"),
        detect=tuple(_detect(name, rule) for rule in mappings_at(data, "detect")),
        follows=tuple(map(_follow, mappings_at(data, "follows"))),
        leaves=tuple(mappings_at(data, "leaves")),
        node_states=tuple(map(_node_state, mappings_at(data, "nodeStates"))),
        node_leftovers=_node_leftovers(mapping_at(data, "nodeLeftovers")) if "nodeLeftovers" in data else None,
        running=tuple(map(_running, mappings_at(data, "running"))),
    )


def _texts(data: Data, key: str) -> tuple[str, ...]:
    return tuple(texts_at(data, key))


def _seconds(data: Data, key: str, default: float) -> float:
    return float(text_at(data, key) or default)


def _fact(rule: Data) -> FactRule:
    return FactRule(text_at(rule, "fact"), rule["equals"], mapping_at(rule, "set"), text_at(rule, "reason"))


def _global(rule: Data) -> GlobalRule:
    return GlobalRule(text_at(rule, "key"), text_at(rule, "path"), text_or_none(rule, "template"), rule.get("each"))


def _blocked(pair: Data) -> BlockedRollback:
    newer, older, reason, instead = (text_at(pair, key) for key in ("newer", "older", "reason", "instead"))
    return BlockedRollback(newer, older, reason, instead, mapping_or_none(pair, "when"))


def _follow(rule: Data) -> FollowRule:
    return FollowRule(
        component=text_at(rule, "component"),
        value=text_at(rule, "value"),
        reason=text_at(rule, "reason"),
        path=text_or_none(rule, "path"),
        same=bool(rule.get("same")),
        equals=rule.get("equals"),
        set=mapping_at(rule, "set"),
    )


def _detect(component: str, rule: Data) -> DetectRule:
    return DetectRule(
        component=component,
        name=text_at(rule, "name"),
        crds=_texts(rule, "crds"),
        image=text_or_none(rule, "image"),
        ingress_controller=text_or_none(rule, "ingressController"),
        api_service=text_or_none(rule, "apiService"),
        fact=text_or_none(rule, "fact"),
        stands_in=bool(rule.get("standsIn")),
    )


def _disturbed(data: JsonValue) -> DisturbedPods | None:
    if data is None:
        return None
    if isinstance(data, str):
        return DisturbedPods((data,))
    return DisturbedPods(
        resources=tuple(texts_at(data, "resources")),
        drivers=tuple(texts_at(data, "drivers")),
        changes=tuple(map(_disturbing, mappings_at(data, "changes"))),
        removal=text_or_none(data, "removal"),
        when=mapping_or_none(data, "when"),
    )


def _disturbing(change: Data) -> DisturbingChange:
    group, kind, does = (text_at(change, key) for key in ("group", "kind", "does"))
    return DisturbingChange(group, kind, _texts(change, "paths"), does, _texts(change, "ignore"))


def _chart(chart: Data, folder: Path) -> ChartRef:
    path = text_or_none(chart, "path")
    return ChartRef(
        name=text_at(chart, "name"),
        version=text_at(chart, "version"),
        repository=text_or_none(chart, "repository"),
        path=(folder / path).resolve() if path is not None else None,
    )


def _readiness(rule: Data) -> ReadinessRule:
    return ReadinessRule(
        text_at(rule, "group"),
        text_at(rule, "kind"),
        mapping_at(rule, "ready"),
        mapping_or_none(rule, "failed"),
        optional=bool(rule.get("optional")),
        real_pods="real-pods" in sequence_at(rule, "needs"),
        settle_s=_seconds(rule, "settle", CONTROLLER_SETTLE_S),
    )


def _node_state(rule: Data) -> NodeStateRule:
    return NodeStateRule(text_at(rule, "label"), text_at(rule, "what"), _texts(rule, "done"), _texts(rule, "failed"))


def _node_leftovers(data: Data) -> NodeLeftovers:
    return NodeLeftovers(_texts(data, "labels"), _texts(data, "annotations"), _texts(data, "managers"))


def _running(rule: Data) -> RunningRule:
    rests = tuple(mappings_at(rule, "rests"))
    return RunningRule(text_at(rule, "group"), text_at(rule, "kind"), rests, text_at(rule, "without"))


def _check(check: Data) -> CheckSpec:
    return CheckSpec(
        name=text_at(check, "name"),
        kind=text_at(check, "kind"),
        gate=bool(check.get("gate", True)),
        timeout_s=_seconds(check, "timeout", CHECK_TIMEOUT_S),
        needs=_texts(check, "needs"),
        hint=text_at(check, "hint"),
        parameters=mapping_at(check, "with"),
        when=mapping_or_none(check, "when"),
    )
