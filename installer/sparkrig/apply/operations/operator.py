"""Finds the handler of each operation by its type."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import assert_never

from sparkrig.apply.operations.context import Context, LetThrough, Say
from sparkrig.apply.operations.crds import apply_crds
from sparkrig.apply.operations.helm_calls import recover_release
from sparkrig.apply.operations.releases import change_release, roll_back
from sparkrig.apply.operations.removals import delete_objects, uninstall, vacate_namespace
from sparkrig.apply.operations.secrets import apply_secret, restart_pods
from sparkrig.apply.operations.waits import wait_ready, wait_restored
from sparkrig.apply.removal.delete import make_namespace
from sparkrig.apply.removal.keeping import give_up, take_back
from sparkrig.apply.waiting import Waiter
from sparkrig.defaults import FIELD_MANAGER, LABEL_STACK
from sparkrig.helm.client import HelmClient
from sparkrig.kube.client import KubeApi
from sparkrig.models.component import ReadinessRule
from sparkrig.models.operation import (
    ApplyCrds,
    ApplySecret,
    ClaimRelease,
    CreateNamespace,
    DeleteObjects,
    InstallRelease,
    KeepRelease,
    Operation,
    RecoverRelease,
    RemoveSecret,
    RepairRelease,
    RestartPods,
    RestoreCrds,
    RollbackRelease,
    UninstallRelease,
    UpgradeRelease,
    VacateNamespace,
    WaitReady,
    WaitRestored,
)
from sparkrig.models.release import ReleaseState


class Operator:
    """Performs operations with one Helm client, one API connection and one set of watches."""

    def __init__(
        self,
        stack: str,
        api: KubeApi,
        helm: HelmClient,
        waiter: Waiter,
        rules: Callable[[str], tuple[ReadinessRule, ...]] = lambda _component: (),
        allow_crd_change: Sequence[str] = (),
    ) -> None:
        """``rules`` gives the readiness rules of a component that is named by a record alone."""
        self._context = Context(stack, api, helm, waiter, rules, allow_crd_change)

    @property
    def changed_crds(self) -> tuple[str, ...]:
        """CRDs that existed before and are different now."""
        return self._context.changed_crds

    async def run(self, operation: Operation, say: Say, let_through: LetThrough = lambda: None) -> ReleaseState | None:
        """Does one operation; returns the release's new state where it changed one.

        ``let_through`` is called where what needs the operation may start before it has ended.

        Raises:
            SparkrigError: it failed; the message is for a person.
        """
        context = self._context
        match operation:
            case CreateNamespace():
                await asyncio.to_thread(self._create_namespace, operation, say)
            case RecoverRelease():
                await recover_release(context, operation, say)
            case ApplyCrds() | RestoreCrds():
                return await apply_crds(context, operation, say)
            case InstallRelease() | UpgradeRelease() | RepairRelease():
                return await change_release(context, operation, say)
            case RollbackRelease():
                return await roll_back(context, operation, say)
            case WaitReady():
                await wait_ready(context, operation, say, let_through)
            case WaitRestored():
                await wait_restored(context, operation, say, let_through)
            case ApplySecret():
                await asyncio.to_thread(apply_secret, context, operation)
            case RemoveSecret():
                await asyncio.to_thread(context.book.remove, operation.name, operation.namespaces)
            case RestartPods():
                return await asyncio.to_thread(restart_pods, context, operation, say)
            case UninstallRelease():
                await uninstall(context, operation, say)
            case DeleteObjects():
                await asyncio.to_thread(delete_objects, context, operation, say)
            case VacateNamespace():
                await asyncio.to_thread(vacate_namespace, context, operation, say)
            case KeepRelease():
                await asyncio.to_thread(give_up, context.api, context.stack, operation, say)
            case ClaimRelease():
                await asyncio.to_thread(take_back, context.api, context.stack, operation, say)
            case _:
                assert_never(operation)
        return None

    def _create_namespace(self, operation: CreateNamespace, say: Say) -> None:
        stack = self._context.stack
        labels = {**operation.labels, LABEL_STACK: stack, "app.kubernetes.io/managed-by": FIELD_MANAGER}
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": operation.namespace, "labels": labels},
        }
        make_namespace(self._context.api, stack, manifest, say)
