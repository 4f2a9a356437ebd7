"""Turns a ``component.yaml`` that met the schema into a record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, cast

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
from sparkrig.models.problem import Position

CHECK_TIMEOUT_S: Final = 60.0
"""A check asks what is ready already; a minute is for a first inference or a small Spark job."""

State = Literal["true", "false", "auto"]
Data = Mapping[str, Any]


def state_of(value: object) -> State:
    """``true``, ``false`` or ``auto`` as the records spell it."""
    return cast(State, str(value).lower())


def component_from(data: Data, folder: Path, position: Position) -> Component:
    """The record of a component; ``data`` must meet ``component.schema.json``."""
    meta, release, crds = data["metadata"], data.get("release", {}), data.get("crds", {})
    name = meta["name"]
    return Component(
        name=name,
        folder=folder,
        description=meta["description"],
        homepage=meta["homepage"],
        licence=meta["licence"],
        chart=_chart(data["chart"], folder),
        release=release.get("name", name),
        namespace=release.get("namespace", name),
        namespace_labels=release.get("namespaceLabels", {}),
        enabled=state_of(data.get("enabled", True)),
        auto_fact=data.get("autoFact"),
        profiles={profile: state_of(state) for profile, state in data.get("profiles", {}).items()},
        needs=tuple(data.get("needs", ())),
        uses=tuple(data.get("uses", ())),
        provides=tuple(data.get("provides", ())),
        requires=data.get("requires", {}),
        facts=tuple(FactRule(r["fact"], r["equals"], r["set"], r["reason"]) for r in data.get("facts", ())),
        globals=tuple(GlobalRule(**rule) for rule in data.get("globals", ())),
        crd_owner=CrdOwner(crds.get("owner", "none")),
        crd_off_values=crds.get("switchOff", {}),
        crd_labels=crds.get("labels", {}),
        rollback=data.get("rollback", "reversible"),
        disturbs=data.get("disturbs"),
        disturbs_pods=_disturbed(data.get("disturbsPods")),
        blocked_rollbacks=tuple(BlockedRollback(**pair) for pair in data.get("blockedRollbacks", ())),
        keep=tuple(data.get("keep", ())),
        readiness=tuple(_readiness(rule) for rule in data.get("readiness", ())),
        checks=tuple(_check(check) for check in data.get("checks", ())),
        images=tuple(data.get("images", ())),
        security_exceptions=tuple(SecurityException(**e) for e in data.get("podSecurity", {}).get("exceptions", ())),
        urls=tuple(data.get("urls", ())),
        timeout_s=float(data.get("timeout", READY_TIMEOUT_S)),
        renamed_values=tuple(data.get("renamed", ())),
        position=position,
        secret_namespaces=tuple(data.get("secretNamespaces", ())),
        detect=tuple(_detect(name, rule) for rule in data.get("detect", ())),
        follows=tuple(FollowRule(**rule) for rule in data.get("follows", ())),
        leaves=tuple(data.get("leaves", ())),
        node_states=tuple(_node_state(rule) for rule in data.get("nodeStates", ())),
        node_leftovers=_node_leftovers(data["nodeLeftovers"]) if "nodeLeftovers" in data else None,
        running=tuple(_running(rule) for rule in data.get("running", ())),
    )


def _detect(component: str, rule: Data) -> DetectRule:
    return DetectRule(
        component=component,
        name=rule["name"],
        crds=tuple(rule.get("crds", ())),
        image=rule.get("image"),
        ingress_controller=rule.get("ingressController"),
        api_service=rule.get("apiService"),
        fact=rule.get("fact"),
        stands_in=rule.get("standsIn", False),
    )


def _disturbed(data: Data | str | None) -> DisturbedPods | None:
    if data is None:
        return None
    if isinstance(data, str):
        return DisturbedPods((data,))
    return DisturbedPods(
        resources=tuple(data["resources"]),
        drivers=tuple(data.get("drivers", ())),
        changes=tuple(_disturbing(change) for change in data.get("changes", ())),
        removal=data.get("removal"),
        when=data.get("when"),
    )


def _disturbing(change: Data) -> DisturbingChange:
    return DisturbingChange(
        change["group"], change["kind"], tuple(change["paths"]), change["does"], tuple(change.get("ignore", ()))
    )


def _chart(chart: Data, folder: Path) -> ChartRef:
    path = chart.get("path")
    return ChartRef(
        name=chart["name"],
        version=chart["version"],
        repository=chart.get("repository"),
        path=(folder / path).resolve() if path is not None else None,
    )


def _readiness(rule: Data) -> ReadinessRule:
    return ReadinessRule(
        rule["group"],
        rule["kind"],
        rule["ready"],
        rule.get("failed"),
        optional=rule.get("optional", False),
        real_pods="real-pods" in rule.get("needs", ()),
        settle_s=float(rule.get("settle", CONTROLLER_SETTLE_S)),
    )


def _node_state(rule: Data) -> NodeStateRule:
    return NodeStateRule(rule["label"], rule["what"], tuple(rule["done"]), tuple(rule.get("failed", ())))


def _node_leftovers(data: Data) -> NodeLeftovers:
    return NodeLeftovers(tuple(data.get("labels", ())), tuple(data.get("annotations", ())), tuple(data["managers"]))


def _running(rule: Data) -> RunningRule:
    return RunningRule(rule["group"], rule["kind"], tuple(rule["rests"]), rule["without"])


def _check(check: Data) -> CheckSpec:
    return CheckSpec(
        name=check["name"],
        kind=check["kind"],
        gate=check.get("gate", True),
        timeout_s=float(check.get("timeout", CHECK_TIMEOUT_S)),
        needs=tuple(check.get("needs", ())),
        hint=check.get("hint", ""),
        parameters=check.get("with", {}),
        when=check.get("when"),
    )
