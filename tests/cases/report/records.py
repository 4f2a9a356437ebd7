"""Records for the tests of the reports: one small stack, as it could come out of the other stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sparkrig.models.chart import Chart, ChartOrigin
from sparkrig.models.check import CheckResult, CheckStatus, VerifyResult
from sparkrig.models.component import CrdOwner
from sparkrig.models.explanation import Explanation
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import (
    Action,
    CreateNamespace,
    InstallRelease,
    Operation,
    RestoreCrds,
    UninstallRelease,
    UpgradeRelease,
    WaitReady,
)
from sparkrig.models.plan import ApplyResult, Change, OperationResult, OperationStatus, Plan
from sparkrig.models.release import DesiredRelease, ReleaseState
from sparkrig.models.revision import OperationRecord, Revision, RevisionStatus
from sparkrig.models.status import ComponentStatus, StackStatus

REASONS = {Action.INSTALL: "new", Action.UPGRADE: "changed", Action.WAIT: "until it is ready"}
KINDS: dict[Action, Callable[..., Operation]] = {
    Action.NAMESPACE: partial(CreateNamespace, labels={}),
    Action.CRDS: RestoreCrds,
    Action.INSTALL: InstallRelease,
    Action.UPGRADE: partial(UpgradeRelease, helm_revision=3),
    Action.UNINSTALL: partial(UninstallRelease, helm_revision=3),
    Action.WAIT: WaitReady,
}
NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


def desired(component: str, version: str) -> DesiredRelease:
    chart = Chart(component, version, version, "sha256:00", Path("/charts") / component, ChartOrigin.REPOSITORY)
    return DesiredRelease(
        component=component,
        release=component,
        namespace=component,
        namespace_labels={},
        chart=chart,
        values={"password": "s3cret"},
        needs=(),
        crd_needs=(),
        crd_owner=CrdOwner.NONE,
        crd_labels={},
        rollback="reversible",
        keep=(),
        timeout_s=600.0,
        digest="sha256:11",
    )


def state(component: str, version: str, *, stand_in: bool = False) -> ReleaseState:
    return ReleaseState(
        component=component,
        release=component,
        namespace=component,
        chart=component,
        version=version,
        chart_digest="sha256:00",
        stand_in=stand_in,
        digest="sha256:11",
        helm_revision=3,
        inventory=(ObjectRef("apps", "v1", "Deployment", component, component),),
    )


def operation(action: Action, component: str, needs: Iterable[str] = (), version: str = "1.0.0") -> Operation:
    about: dict[str, Any] = {}
    if action in {Action.INSTALL, Action.UPGRADE, Action.WAIT}:
        about = {"desired": desired(component, version)}
    elif action in {Action.CRDS, Action.UNINSTALL}:
        about = {"state": state(component, version)}
    return KINDS[action](
        id=f"{action.value}/{component}",
        component=component,
        needs=tuple(needs),
        release=component,
        namespace=component,
        reason=REASONS.get(action, "because"),
        timeout_s=600.0,
        **about,
    )


def plan() -> Plan:
    """operator and proxy at once; hub after proxy; the operator's CRDs early; five unchanged."""
    operations = (
        operation(Action.NAMESPACE, "proxy"),
        operation(Action.CRDS, "spark-operator"),
        operation(Action.INSTALL, "proxy", ["namespace/proxy", "crds/spark-operator"], "41.3.0"),
        operation(Action.UPGRADE, "spark-operator", ["crds/spark-operator"], "2.5.2"),
        operation(Action.WAIT, "proxy", ["install/proxy"]),
        operation(Action.WAIT, "spark-operator", ["upgrade/spark-operator"]),
        operation(Action.UPGRADE, "hub", ["wait/proxy"], "4.4.0"),
        operation(Action.WAIT, "hub", ["upgrade/hub"]),
        operation(Action.UNINSTALL, "metrics-server", ["wait/hub"]),
    )
    changes = (
        Change("proxy", "+", "41.3.0  new"),
        Change("spark-operator", "~", "2.5.1 -> 2.5.2", ('spark.jobNamespaces  ["default"] -> ["default", "etl"]',)),
        Change("hub", "~", "4.4.0  values", ("hub.replicas  1 -> 2", "and 7 more values")),
        Change("metrics-server", "-", "removed 0.8.0", ("keeps PersistentVolumeClaim",)),
        *(Change(f"other-{number}", "=", "unchanged") for number in range(5)),
    )
    return Plan("lab", "up", 7, operations, changes, (state("other-0", "1.0.0"),))


def empty_plan(*, unhealthy: bool = False) -> Plan:
    trouble = Change(
        "hub", "!", "unchanged, but 1 of its objects is missing", ("Deployment hub/hub", "next: sparkrig up --repair")
    )
    changes = (Change("proxy", "=", "unchanged"), trouble if unhealthy else Change("hub", "=", "unchanged"))
    return Plan("lab", "up", 7, (), changes, (state("proxy", "41.3.0"), state("hub", "4.4.0")))


FAILURE = Explanation(
    "Deployment spark-operator-webhook: ImagePullBackOff",
    ('  pod spark-operator-webhook-6d5f-x2x on node a: "manifest unknown: ghcr.io/kubeflow/controller:2.5.9"',),
    "check spark-operator.image.tag (stack.yaml:25:9)",
)


def result(statuses: dict[str, OperationStatus], *, interrupted: bool = False) -> ApplyResult:
    """Every operation of ``plan()`` done, but those named."""
    messages = {OperationStatus.FAILED: (FAILURE,), OperationStatus.SKIPPED: (Explanation("not started"),)}
    results = []
    for item in plan().operations:
        status = statuses.get(item.id, OperationStatus.DONE)
        seconds = 0.0 if status is OperationStatus.SKIPPED else 61.0
        results.append(OperationResult(item, status, seconds, messages.get(status, ())))
    return ApplyResult(tuple(results), (state("proxy", "41.3.0"),), interrupted)


def status() -> StackStatus:
    return StackStatus(
        stack="lab",
        cluster="sim-lab",
        kubernetes="1.36.3",
        revision=8,
        status=RevisionStatus.DEPLOYED,
        when="2026-05-04T10:00:00Z",
        who="ops",
        message="spark 2.5.2",
        simulated=True,
        components=(
            ComponentStatus("proxy", "41.3.0-standin", True, 3, 3, (), (), "https://proxy.lab.example.org", 2),
            ComponentStatus(
                "gpu-operator",
                "26.3.3",
                False,
                11,
                11,
                (),
                (),
                None,
                1,
                not_judged=2,
                notes=("ClusterPolicy policy: status.state is not set yet (optional)",),
                changed="2026-05-03T09:00:00Z",
            ),
            ComponentStatus(
                "triton",
                "0.4.0",
                False,
                2,
                3,
                (),
                ("pod triton-1 Pending: 0/3 nodes have a free nvidia.com/gpu\n  asked for 8, free 1",),
                "https://triton.lab.example.org",
                5,
                namespace="triton",
            ),
            ComponentStatus(
                "hub", "4.4.0", False, 3, 4, (ObjectRef("apps", "v1", "Deployment", "hub", "hub"),), (), None, 1
            ),
            ComponentStatus("db", "1.0.0", False, 0, 2, (), (), None, 1, namespace="db"),
        ),
        gpus_allocated=15,
        gpus_allocatable=16,
        gpu_nodes=2,
    )


def checks(*, simulated: bool = False, required: bool = False) -> VerifyResult:
    why = "needs real pods, and this cluster is simulated" if simulated else "the cluster has no GPU"

    def check(component: str, name: str, kind: str, status: CheckStatus, message: str, **more: Any) -> CheckResult:
        expected = more.pop("expected", status is not CheckStatus.SKIP)
        return CheckResult(component, name, status, message, kind=kind, simulated=simulated, expected=expected, **more)

    passed, skipped, failed = CheckStatus.PASS, CheckStatus.SKIP, CheckStatus.FAIL
    results = [
        check("proxy", "workloads", "workloads", passed, "8/8 objects ready", seconds=0.21),
        check("gpu-operator", "allocatable", "node-allocatable", skipped, why, expected=required),
    ]
    if not simulated:
        results += [
            check(
                "hub",
                "page",
                "http",
                failed,
                'Service hub/proxy-public:80 (pod proxy-1) does not answer: "dial tcp: connection refused" <&>',
                hint="kubectl -n hub logs deployment/proxy",
                seconds=5.4,
            ),
            check("hub", "login", "http", CheckStatus.WARN, "answers after 4 s", gate=False, seconds=4.0),
        ]
    left = () if simulated else ("Job hub/check-cuda-1a2b3c",)
    return VerifyResult("lab", "kind-lab", 8, tuple(results), "1.36.3", simulated, 6.2, left_out=2, swept=left)


def revisions() -> list[Revision]:
    base = Revision(
        stack="lab",
        number=5,
        status=RevisionStatus.SUPERSEDED,
        action="up",
        who="ops",
        message="",
        summary="first install: proxy, hub",
        started="2026-04-22T12:00:00Z",
        finished="2026-04-22T12:02:20Z",
        sparkrig="0.1.0",
        profile="standard",
        stack_file="secret text",
        before=(),
        after=(state("proxy", "41.3.0", stand_in=True), state("hub", "4.4.0")),
    )
    failed = (
        OperationRecord("upgrade/proxy", "done", 3.0),
        OperationRecord("wait/hub", "failed", 240.0, FAILURE.text),
        OperationRecord("wait/db", "failed", 240.0, "also"),
    )
    return [
        base,
        replace(
            base,
            number=6,
            status=RevisionStatus.ROLLED_BACK,
            who="ci@build-host-17.example.org",
            message="new driver",
            summary="gpu-operator 26.3.3 -> 26.7.0",
            started="2026-05-01T11:00:00Z",
            finished="2026-05-01T11:04:02Z",
            operations=failed,
        ),
        replace(
            base,
            number=8,
            status=RevisionStatus.PENDING,
            message="",
            summary="",
            started="2026-05-04T11:59:55Z",
            finished=None,
            after=(),
        ),
        replace(
            base,
            number=7,
            status=RevisionStatus.DEPLOYED,
            message="",
            summary="spark-operator 2.5.1 -> 2.5.2, triton replicas 2 -> 3, +cert-manager",
            started="2026-05-04T09:12:00Z",
            finished="2026-05-04T09:13:48Z",
            after=(state("proxy", "41.3.0"),),
        ),
    ]
