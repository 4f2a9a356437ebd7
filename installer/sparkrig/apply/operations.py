"""What each operation of a plan does to the cluster."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from sparkrig.apply.clearing import clear_the_way
from sparkrig.apply.crds.apply import Applied, apply_crds, wanted_crds
from sparkrig.apply.crds.owners import crds_of, pass_on
from sparkrig.apply.failures import explained, last_attempt, old_hooks
from sparkrig.apply.inventory import inventory, leaving
from sparkrig.apply.outage import is_back, tells_outage
from sparkrig.apply.read_back import refuse_dropped
from sparkrig.apply.removal.claims import let_go
from sparkrig.apply.removal.delete import delete_all, is_custom, make_namespace, vacate, with_finalizers
from sparkrig.apply.removal.keeping import give_up, take_back
from sparkrig.apply.turns import Turns
from sparkrig.apply.waiting import Waiter
from sparkrig.defaults import (
    CRDS_AT_ONCE,
    FIELD_MANAGER,
    LABEL_STACK,
    NAMESPACE_SETTLE_S,
    SCHEMA_REFRESH_S,
    SCHEMA_TRIES,
)
from sparkrig.errors import OperationError
from sparkrig.helm.client import HelmClient, validates_fields
from sparkrig.helm.errors import HelmError
from sparkrig.helm.storage.recovery import newest_revision, recover
from sparkrig.history.crds import CrdStore
from sparkrig.kube.client import KubeApi
from sparkrig.models.component import ReadinessRule
from sparkrig.models.objects import ObjectRef
from sparkrig.models.plan import Action, Operation
from sparkrig.models.release import DesiredRelease, ReleaseState
from sparkrig.plan.crds.safety import strategy
from sparkrig.plan.removal import CLAIM, DELETE_S
from sparkrig.secrets.cluster import SecretBook
from sparkrig.secrets.rolling import roll
from sparkrig.yaml.plain import objects

CRDS_LONGEST_S = 120.0
"""How long a CRD may take until it is served, whatever the timeout of its component."""
Say = Callable[[str], None]
T = TypeVar("T")


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
        self._stack = stack
        self._rules = rules
        self._allow_crd_change = allow_crd_change
        self.changed_crds: tuple[str, ...] = ()
        """CRDs that existed before and are different now."""
        self._api = api
        self._helm = helm
        self._waiter = waiter
        self._applied: dict[str, ReleaseState] = {}
        self._uninstalled: set[str] = set()
        """Components whose release a recovery marked so, to be installed anew."""
        self._crds: dict[str, Applied] = {}
        self._crd_store = CrdStore(api, stack)
        self._converted: dict[str, list[str]] = {}
        """Component -> its CRDs whose custom resources a webhook converts."""
        self._crd_turns = Turns(CRDS_AT_ONCE)
        self._crd_ranks = itertools.count()
        self._book = SecretBook(stack, api)
        self._marks: dict[str, str] = {}

    async def run(
        self, operation: Operation, say: Say, let_through: Callable[[], None] = lambda: None
    ) -> ReleaseState | None:
        """Does one operation; returns the release's new state where it changed one.

        ``let_through`` is called where what needs the operation may start before it has ended.

        Raises:
            SparkrigError: it failed; the message is for a person.
        """
        match operation.action:
            case Action.NAMESPACE:
                await self._namespace(operation, say)
            case Action.RECOVER:
                await self._recover(operation, say)
            case Action.CRDS:
                return await self._apply_crds(operation, say)
            case Action.INSTALL | Action.UPGRADE | Action.REPAIR:
                return await self._install(operation, say)
            case Action.WAIT:
                await self._wait(operation, say, let_through)
            case Action.SECRETS:
                await asyncio.to_thread(self._secrets, operation)
            case Action.ROLL:
                return await asyncio.to_thread(self._roll, operation, say)
            case Action.DELETE:
                await asyncio.to_thread(self._delete, operation, operation.objects, say)
            case Action.VACATE:
                if why := await asyncio.to_thread(vacate, self._api, self._stack, operation, say, _owner(operation)):
                    say(f"kept: {why}")
            case Action.UNINSTALL:
                await self._uninstall(operation, say)
            case Action.KEEP:
                await asyncio.to_thread(give_up, self._api, self._stack, operation, say)
            case Action.CLAIM:
                await asyncio.to_thread(take_back, self._api, self._stack, operation, say)
            case Action.ROLLBACK:
                return await self._rollback(operation, say)
        return None

    async def _namespace(self, operation: Operation, say: Say) -> None:
        labels = {**operation.labels, LABEL_STACK: self._stack, "app.kubernetes.io/managed-by": FIELD_MANAGER}
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": operation.namespace, "labels": labels},
        }
        await asyncio.to_thread(make_namespace, self._api, self._stack, manifest, say)

    def _secrets(self, operation: Operation) -> None:
        if operation.secret is None:
            self._book.remove(operation.secret_name, operation.namespaces)
        else:
            self._marks[operation.secret_name] = self._book.apply(operation.secret, operation.namespaces)

    def _marks_of(self, desired: DesiredRelease) -> dict[str, str]:
        """What the release's Secrets hold: as applied by this run, else as planned."""
        return {name: self._marks.get(name, mark) for name, mark in desired.secrets.items()}

    def _roll(self, operation: Operation, say: Say) -> ReleaseState:
        desired = _desired(operation)
        state = self._applied.get(operation.component) or operation.state
        if state is None:
            raise OperationError(f"{operation.id}: no record of what to restart")
        marks = self._marks_of(desired)
        rolled = roll(self._api, state, operation.rolled, marks)
        say(f"restarting {', '.join(map(str, rolled))}" if rolled else "nothing reads what changed")
        state = self._applied[operation.component] = replace(state, secrets=marks)
        return state

    async def _recover(self, operation: Operation, say: Say) -> None:
        wanted = operation.action is not Action.UNINSTALL
        recovered = await recover(self._api, operation.release, operation.namespace, wanted=wanted)
        if recovered is not None:
            say(recovered.reason)
            if recovered.after == "uninstalled":
                self._uninstalled.add(operation.component)

    async def _apply_crds(self, operation: Operation, say: Say) -> ReleaseState | None:
        """Applies the CRDs of the chart, or without a chart those that the release recorded."""
        # Operations begin with the longest path: the CRDs that most of the run waits for are applied before others.
        turn = partial(self._crd_turns.at, next(self._crd_ranks))
        wanted = await asyncio.to_thread(wanted_crds, operation, self._crd_store)
        if not wanted:
            return None
        self._converted[operation.component] = [
            str(crd["metadata"]["name"]) for crd in wanted if strategy(crd.get("spec") or {}) == "Webhook"
        ]
        keeping = asyncio.create_task(asyncio.to_thread(self._crd_store.keep, wanted))
        timeout_s = min(CRDS_LONGEST_S, operation.timeout_s)
        try:
            applied = await apply_crds(self._api, self._waiter, wanted, timeout_s=timeout_s, say=say, turn=turn)
        finally:
            await keeping
        self._crds[operation.component] = applied
        self.changed_crds += applied.changed
        desired, state = operation.desired, operation.state
        if desired is None or state is None or desired.digest != state.digest:
            return None  # what is recorded of a release that changes comes with the release
        state = replace(state, crds=tuple(sorted({*state.crds, *applied.names})), crd_digests=applied.digests)
        self._applied[operation.component] = state
        return state

    async def _install(self, operation: Operation, say: Say) -> ReleaseState:
        desired = _desired(operation)
        say(f"helm: {desired.chart.name} {desired.chart.version}")
        # Only once: later, objects that somebody else made are a conflict like any other.
        adopting = desired.adopt and operation.state is None
        # A repair brings back what the record says, also where somebody changed it meanwhile.
        forced = adopting or operation.action is Action.REPAIR or desired.conflicts == "take"
        if operation.state is not None:
            self._waiter.expect(operation.state.inventory)
        await asyncio.to_thread(pass_on, self._api, operation, say)
        await clear_the_way(self._api, self._waiter, operation, say)
        result = await self._with_help(
            operation,
            say,
            lambda: self._helm.install_or_upgrade(
                desired,
                stack=self._stack,
                deadline_s=operation.timeout_s,
                take_ownership=adopting,
                force_conflicts=forced,
                replace=operation.component in self._uninstalled
                or (operation.action is Action.INSTALL and operation.helm_revision is not None),
                server_validates=validates_fields(self._api.version()),
            ),
        )
        # Once, and beside the other releases: the manifest of a large chart takes a third of a second to read.
        manifests = await asyncio.to_thread(objects, result.manifest)
        state = await asyncio.to_thread(self._state, operation, desired, result.revision, manifests)
        await asyncio.to_thread(refuse_dropped, self._api, manifests, state.inventory, self._allow_crd_change)
        self._applied[operation.component] = state
        return state

    async def _with_help(self, operation: Operation, say: Say, call: Callable[[], Awaitable[T]]) -> T:
        """A helm call; once more where an old hook stood in its way, and with its reason where it fails.

        Raises:
            HelmError: with the failed hooks' pods, and with the webhooks that do not answer.
        """
        try:
            return await self._over_an_outage(operation, say, call)
        except HelmError as error:
            attempt = await asyncio.to_thread(last_attempt, self._api, operation.release, operation.namespace)
            old = await asyncio.to_thread(old_hooks, self._api, attempt) if attempt and error.code == "failed" else ()
            if not old:
                raise await asyncio.to_thread(explained, self._api, attempt, error) from error
        await clear_the_way(self._api, self._waiter, replace(operation, recreated=(), leftovers=old), say)
        await recover(self._api, operation.release, operation.namespace, wanted=True)
        try:
            return await call()
        except HelmError as error:
            attempt = await asyncio.to_thread(last_attempt, self._api, operation.release, operation.namespace)
            raise await asyncio.to_thread(explained, self._api, attempt, error) from error

    async def _over_an_outage(self, operation: Operation, say: Say, call: Callable[[], Awaitable[T]]) -> T:
        """A helm call; once more where the API server was away meanwhile and is back in ``API_OUTAGE_S``.

        helm itself gives up at the first refused connection.
        """
        began = time.monotonic()
        call = partial(self._until_schemas_are_known, operation, say, call)
        try:
            return await call()
        except HelmError as error:
            # helm tells a lost API server in many words, a hook that it lost sight of among them.
            away = tells_outage(error) or self._api.transport().failed_at > began
            if not away or not await asyncio.to_thread(is_back, self._api, say):
                raise
        await self._recover(operation, say)
        say("helm once more: the API server was away")
        return await call()

    async def _until_schemas_are_known(self, operation: Operation, say: Say, call: Callable[[], Awaitable[T]]) -> T:
        """A helm call; again while an admission policy refuses custom resources because their CRD is too new.

        ``Waiter.until_ready`` has asked each policy that a dry run can ask, at one API server.
        """
        for _ in range(SCHEMA_TRIES - 1):
            try:
                return await call()
            except HelmError as error:
                if error.code != "schema":
                    raise
            say("helm once more: the API server reads the schemas of new CRDs")
            await asyncio.sleep(SCHEMA_REFRESH_S)
            await self._recover(operation, say)
        return await call()

    def _state(
        self, operation: Operation, desired: DesiredRelease, revision: int, manifests: Sequence[dict[str, Any]]
    ) -> ReleaseState:
        refs = inventory(self._api, manifests, desired.namespace)
        applied = self._crds.get(operation.component)
        return ReleaseState(
            component=desired.component,
            release=desired.release,
            namespace=desired.namespace,
            chart=desired.chart.name,
            version=desired.chart.version,
            chart_digest=desired.chart.digest,
            stand_in=desired.chart.stand_in,
            digest=desired.digest,
            helm_revision=revision,
            inventory=refs,
            crds=crds_of(self._api, desired, refs, applied.names if applied else ()),
            values=desired.values,
            keep=desired.keep,
            needs=desired.needs,
            timeout_s=desired.timeout_s,
            rollback=desired.rollback,
            namespace_labels=dict(desired.namespace_labels),
            secrets=self._marks_of(desired),
            immutable=desired.immutable,
            leaves=desired.leaves,
            crd_digests=applied.digests if applied else {},
        )

    async def _rollback(self, operation: Operation, say: Say) -> ReleaseState:
        """Back to a Helm revision; fields that others changed meanwhile are taken back."""
        state = operation.state
        if state is None:
            raise OperationError(f"{operation.id}: the plan does not say what to return to")
        say(f"helm rollback to revision {state.helm_revision}")
        self._waiter.expect(state.inventory)
        await asyncio.to_thread(pass_on, self._api, operation, say)
        await clear_the_way(self._api, self._waiter, operation, say)
        await self._with_help(
            operation,
            say,
            lambda: self._helm.rollback(
                operation.release,
                operation.namespace,
                state.helm_revision,
                deadline_s=operation.timeout_s,
                force_conflicts=True,
            ),
        )
        newest = partial(newest_revision, self._api, operation.release, operation.namespace)
        made = await asyncio.to_thread(newest, after=operation.newest_revision)
        returned = replace(state, helm_revision=made)
        self._applied[operation.component] = returned
        return returned

    async def _wait(self, operation: Operation, say: Say, let_through: Callable[[], None]) -> None:
        state = self._applied.get(operation.component) or operation.state
        if state is None:
            raise OperationError(f"{operation.id}: no record of what to wait for")
        rules = operation.desired.readiness if operation.desired else self._rules(operation.component)
        await self._waiter.until_ready(
            state.inventory,
            rules,
            timeout_s=operation.timeout_s,
            say=say,
            when_ready=let_through,
            converted=self._converted.get(operation.component, ()),
            crds=self._crds[operation.component].names if operation.component in self._crds else (),
        )

    async def _uninstall(self, operation: Operation, say: Say) -> None:
        await self._recover(operation, say)
        going = await asyncio.to_thread(leaving, self._api, operation)
        held = await asyncio.to_thread(with_finalizers, self._api, [ref for ref in going if is_custom(ref)])
        if held:  # Helm deletes the controller first, and then nobody would take the finalizers off
            await asyncio.to_thread(self._delete, operation, held, say)
        say("helm uninstall")
        await self._over_an_outage(operation, say, partial(self._uninstall_release, operation))
        await self._waiter.until_gone(going, timeout_s=operation.timeout_s, say=say)
        if operation.objects:  # only now: whoever makes them is gone
            await self._waiter.until_pods_ended(going, timeout_s=NAMESPACE_SETTLE_S, say=say)
            await asyncio.to_thread(self._delete, operation, operation.objects, say)

    async def _uninstall_release(self, operation: Operation) -> None:
        release, deadline_s = operation.release, operation.timeout_s
        keep = operation.keep_history
        await self._helm.uninstall(release, operation.namespace, keep_history=keep, deadline_s=deadline_s)

    def _delete(self, operation: Operation, refs: Sequence[ObjectRef], say: Say) -> None:
        timeout_s = min(operation.timeout_s, DELETE_S)

        def free(left: Collection[ObjectRef]) -> None:
            claims = [ref for ref in left if ref.kind == CLAIM]
            let_go(self._api, self._stack, claims, whole_namespaces="Namespace" in operation.purged)

        delete_all(self._api, refs, timeout_s=timeout_s, say=say, owner=_owner(operation), free=free)


def _owner(operation: Operation) -> Callable[[ObjectRef], str]:
    """Whose controller takes finalizers off a custom resource: that of the component that brought its CRD."""
    crds = operation.state.crds if operation.state is not None else None
    groups = {name.partition(".")[2] for name in crds} if crds is not None else None

    def owner(ref: ObjectRef) -> str:
        known = is_custom(ref) and (groups is None or ref.group in groups) and operation.action is not Action.VACATE
        return operation.component if known else ""

    return owner


def _desired(operation: Operation) -> DesiredRelease:
    if operation.desired is None:
        raise OperationError(f"{operation.id}: the plan does not say what is wanted")
    return operation.desired
