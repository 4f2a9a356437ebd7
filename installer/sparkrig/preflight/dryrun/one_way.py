"""Changes over which no rollback leads back: known from the catalog, or seen in the CRDs. Writes nothing."""

from __future__ import annotations

from sparkrig.helm.charts.archive import crds as chart_crds
from sparkrig.helm.storage.recovery import stored_manifest
from sparkrig.kube.client import KubeApi
from sparkrig.models.component import BlockedRollback, Component, CrdOwner
from sparkrig.models.json import JsonObject
from sparkrig.models.operation import ChangeRelease, UpgradeRelease
from sparkrig.plan.crds.fit import unfit
from sparkrig.plan.diff.changes import applies
from sparkrig.preflight.ranges import within
from sparkrig.yaml.plain import objects


def blocked_pair(component: Component | None, newer: str, older: str, values: JsonObject) -> BlockedRollback | None:
    """The entry of ``blockedRollbacks`` that stops a return from chart version ``newer`` to ``older``.

    ``values`` are those that are returned to.
    """
    for pair in component.blocked_rollbacks if component else ():
        if within(newer, pair.newer) and within(older, pair.older) and (not pair.when or applies(pair.when, values)):
            return pair
    return None


def one_way(api: KubeApi, component: Component | None, operation: ChangeRelease) -> tuple[str, ...]:
    """Why an upgrade could not be rolled back, a sentence each; empty where nothing speaks against it.

    Custom resources as they are now are judged by the CRDs that the upgrade brings: a rollback leaves these.
    CRDs among the chart's templates come back with it.
    """
    desired, state = operation.desired, operation.state
    if not isinstance(operation, UpgradeRelease) or state is None:
        return ()
    pair = blocked_pair(component, desired.chart.version, state.version, state.values)
    if pair is not None:
        return (f"{pair.reason}; instead: {pair.instead}",)
    if desired.crd_owner not in (CrdOwner.US, CrdOwner.HOOK) or state.chart_digest == desired.chart.digest:
        return ()
    text = stored_manifest(api, operation.release, operation.namespace, state.helm_revision)
    return unfit(objects(text), chart_crds(desired.chart.path, desired.values))
