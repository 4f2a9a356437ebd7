"""Waits until every object of a release is ready, has failed for good, or time is up.

Looks only; by watch, not by polling. What a person would look up next (events, container states,
image errors) is fetched once, when there is something to explain.
"""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sparkrig.apply.admission.refusals import Refusals
from sparkrig.defaults import STABLE_WINDOW_S, WEBHOOK_RETRY_S
from sparkrig.errors import AccessDenied, OperationError, SparkrigError
from sparkrig.kube.client import KubeApi
from sparkrig.kube.watch import ObjectWatch
from sparkrig.kube.webhooks import are_called
from sparkrig.models.component import ReadinessRule
from sparkrig.models.json import dig, mapping_at, name_of, text_at
from sparkrig.models.objects import Judgement, ObjectRef, Readiness
from sparkrig.readiness import NO_CONTEXT, Context, judge, judge_workload, needs_window
from sparkrig.readiness.explain import explain_owners, explain_pods
from sparkrig.readiness.pods import pods_under

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")
"""Kinds whose pods tell more than their own status."""

CRD = "CustomResourceDefinition"
WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
POD = ObjectRef("", "v1", "Pod", "", "*")
BETWEEN = (
    *(("apps", f"{kind}s") for kind in ("replicaset", "deployment", "statefulset", "daemonset")),
    ("batch", "jobs"),
)
REPLICA_SET = ObjectRef("apps", "v1", "ReplicaSet", "", "*")

CATCH_UP_S = 0.5
CATCH_UPS = 5
"""How often a watch that lags behind is waited for; an object that is written all the time is never caught up with."""

WORTH_ASKING_S = 0.5
"""Less of the window than this is not worth a request, or a word."""

_WEBHOOK_HINT = (
    "look at the pods of the webhook's Service and at their logs, then run `sparkrig up` again; "
    "deleting the webhook configuration only hides it"
)

GONE = Judgement(Readiness.PROGRESSING, "does not exist", unset=True)


class Waiter:
    """Judges the objects of releases as their watch reports them."""

    def __init__(self, api: KubeApi, watch: ObjectWatch) -> None:
        self._api = api
        self._watch = watch
        self._webhooks_called: bool | None = None

    async def until_ready(
        self,
        inventory: Sequence[ObjectRef],
        rules: Sequence[ReadinessRule],
        *,
        timeout_s: float,
        say: Callable[[str], None],
        when_ready: Callable[[], None] = lambda: None,
        converted: Sequence[str] = (),
        crds: Sequence[str] = (),
    ) -> None:
        """Returns when all of the inventory is ready and, where its kind flaps, has stayed so.

        A webhook is ready once it has answered. Nobody can see that in the object, so it is asked last: the admission
        webhooks of the inventory, and those that convert the custom resources of the CRDs ``converted``. So are
        admission policies about the custom resources of the release, whose CRDs outside the inventory are ``crds``.

        ``when_ready`` is called each time all of it has become ready, before it is seen whether it stays so: a
        release that needs this one need not wait for that (docs/adr/0021).

        Raises:
            OperationError: an object failed for good, or ``timeout_s`` seconds passed; the message
                names each object that is not ready and why.
        """
        import asyncio  # here and below: `status` only judges, and does not wait

        from sparkrig.apply.admission.policies import Policies
        from sparkrig.apply.admission.webhooks import Webhooks

        context = await asyncio.to_thread(self._look_around, inventory, bool(converted))
        converted = [*converted, *self._converted(inventory)]
        optional = {(rule.group, rule.kind) for rule in rules if rule.optional}
        webhooks = Webhooks(self._api, inventory, say, converted)
        policies = Policies(self._api, inventory, [*crds, *(ref.name for ref in inventory if ref.kind == CRD)])
        refusals = Refusals(self._api, self._watch)
        began = time.monotonic()
        deadline = began + timeout_s
        steady, patience = 0.0, CATCH_UPS
        while True:
            verdicts = self.judge_all(inventory, rules, context)
            open_ = {ref: j for ref, j in verdicts.items() if _holds_up(ref, j, optional)}
            failed = {ref: j for ref, j in open_.items() if j.readiness is Readiness.FAILED}
            failed = failed or await asyncio.to_thread(refusals.lasting, open_)
            now = time.monotonic()
            silent: Mapping[ObjectRef, Judgement] = {}
            if failed:
                raise await self._error("failed", failed)
            if not open_ and not steady:
                since = await asyncio.to_thread(self._steady_since, inventory, began)
                if since is None and patience:
                    patience -= 1
                    await self._watch.wait_change(CATCH_UP_S)
                    continue
                if context.webhooks_served:
                    asked = self._configurations(inventory)
                    silent = await asyncio.to_thread(webhooks.silent, asked, deadline - now)
                silent = silent or await asyncio.to_thread(policies.silent, deadline - now)
            if not open_ and not silent:
                window = STABLE_WINDOW_S if any(needs_window(ref.kind) for ref in inventory) else 0.0
                if not steady:
                    when_ready()
                    steady = since or now
                    if (more := window - (now - steady)) >= WORTH_ASKING_S:
                        say(f"ready, watched for {more:.0f} s more")
                left = window - (now - steady)
                if left <= 0:
                    return
                try:
                    await self._watch.wait_change(left)
                except asyncio.CancelledError:  # the run ends: it was ready, and the next run looks again
                    return
                continue
            steady = 0.0
            say(_waiting_for(open_ or silent, len(inventory)))
            if now >= deadline:
                raise await self._error(f"not ready after {timeout_s:.0f} s", open_ or silent)
            if silent:  # no watch shows when it answers
                await asyncio.sleep(min(WEBHOOK_RETRY_S, deadline - now))
            else:
                await self._watch.wait_change(min(5.0, deadline - now))

    def expect(self, inventory: Sequence[ObjectRef]) -> None:
        """Begins to watch what will be waited for, and returns at once: the lists come in while helm works."""
        self._watch.follow(_with_pods(inventory))

    def _steady_since(self, inventory: Sequence[ObjectRef], began: float) -> float | None:
        """Since when the flapping kinds of a ready inventory have been as they are; now, where that is not certain.

        A workload whose pods come and go changes its own status each time, so one that was not written since has been
        ready since. The watch may lag behind what was changed just now: what it has is held against the API server,
        where it is from before the wait began, or is to spare the window. None where it does lag behind: then what it
        calls ready may be what was there before the change.
        """
        now = time.monotonic()
        seen = {ref: self._watch.since(ref) for ref in inventory if needs_window(ref.kind)}
        known = {ref: at for ref, at in seen.items() if at is not None}
        if not seen or len(known) < len(seen):
            return now
        latest = max(known.values())
        steady = now - latest >= WORTH_ASKING_S
        try:
            current = all(self._is_current(ref) for ref, at in known.items() if steady or at <= began)
        except SparkrigError:
            return now
        if not current:
            return None
        return latest if steady else now

    def _is_current(self, ref: ObjectRef) -> bool:
        seen, live = self._watch.get(ref), self._api.get(self._api.path_of(ref), missing_ok=True)
        return seen is not None and live is not None and resource_version(seen) == resource_version(live)

    async def until_gone(self, inventory: Sequence[ObjectRef], *, timeout_s: float, say: Callable[[str], None]) -> None:
        """Returns when none of the inventory exists any more.

        Raises:
            OperationError: something is still there after ``timeout_s`` seconds; names each object
                with the finalizers that hold it.
        """
        import asyncio

        await asyncio.to_thread(self._watch.ensure, inventory)
        deadline = time.monotonic() + timeout_s
        while left := [ref for ref in inventory if self._watch.get(ref) is not None]:
            say(f"waiting for {len(left)} objects to go: {left[0]}")
            if time.monotonic() >= deadline:
                raise OperationError(
                    f"{len(left)} objects are still there after {timeout_s:.0f} s",
                    detail=[f"{ref}{_finalizers(self._watch.get(ref))}" for ref in left[:10]],
                    hint="a finalizer waits for its controller; see that it runs, or remove the finalizer by hand",
                )
            await self._watch.wait_change(min(5.0, deadline - time.monotonic()))

    async def until_pods_ended(
        self, inventory: Sequence[ObjectRef], *, timeout_s: float, say: Callable[[str], None]
    ) -> None:
        """Returns when the pods of removed workloads have ended, or after ``timeout_s`` seconds, which is no error.

        Their workload is gone before they are, and until then they may make again what is deleted.
        """
        import asyncio

        workloads = [ref for ref in inventory if ref.kind in WORKLOADS]
        await asyncio.to_thread(self._watch.ensure, _with_pods(workloads))
        deadline = time.monotonic() + timeout_s
        while (left := self._pods_of(workloads)) and time.monotonic() < deadline:
            say(f"waiting for {len(left)} pods to end: {left[0]}")
            await self._watch.wait_change(min(5.0, deadline - time.monotonic()))

    def _pods_of(self, workloads: Sequence[ObjectRef]) -> list[str]:
        known = {(ref.namespace, ref.kind, ref.name) for ref in workloads}
        return [
            name_of(pod)
            for namespace in sorted({ref.namespace for ref in workloads})
            for pod in self._watch.all_of("", "v1", "Pod", namespace)
            if dig(pod, "status", "phase") not in ("Succeeded", "Failed")
            and any((namespace, *owner) in known for owner in _workloads_of(pod))
        ]

    def judge_all(
        self, inventory: Sequence[ObjectRef], rules: Sequence[ReadinessRule], context: Context = NO_CONTEXT
    ) -> dict[ObjectRef, Judgement]:
        """The readiness of each object, as the watch last saw it.

        A workload's pods are looked at too where they are watched (``until_ready``): a pod that
        failed for good ends the wait minutes before the workload's own status says so.
        """
        now = self._api.now()
        return {ref: self._judge(ref, rules, context, now) for ref in inventory}

    def _judge(
        self, ref: ObjectRef, rules: Sequence[ReadinessRule], context: Context, now: datetime.datetime
    ) -> Judgement:
        found = self._watch.get(ref)
        if found is None:
            return GONE
        if ref.kind not in WORKLOADS:
            return judge(found, rules, now=now, context=context)
        pods = self._watch.all_of("", "v1", "Pod", ref.namespace)
        replica_sets = self._watch.all_of("apps", "v1", "ReplicaSet", ref.namespace)
        return judge_workload(found, pods, replica_sets, now=now)

    def _look_around(self, inventory: Sequence[ObjectRef], converted: bool) -> Context:
        """Watches the objects and the pods behind them, and reads what their readiness depends on."""
        self._watch.ensure(_with_pods(inventory))
        kinds = {ref.kind for ref in inventory}
        context = NO_CONTEXT
        if "PersistentVolumeClaim" in kinds:
            classes = self._api.list("/apis/storage.k8s.io/v1/storageclasses")
            modes = {name_of(item): text_at(item, "volumeBindingMode", default="Immediate") for item in classes}
            context = replace(context, binding_modes=modes)
        if converted or kinds.intersection(WEBHOOKS) or self._converted(inventory):
            if self._webhooks_called is None:
                self._webhooks_called = are_called(self._api)
            context = replace(context, webhooks_served=self._webhooks_called)
        return context

    def _converted(self, inventory: Sequence[ObjectRef]) -> list[str]:
        """The CRDs of an inventory whose custom resources a webhook converts."""
        from sparkrig.plan.crds.safety import strategy

        crds = ((ref.name, self._watch.get(ref) or {}) for ref in inventory if ref.kind == CRD)
        return [name for name, found in crds if strategy(mapping_at(found, "spec")) == "Webhook"]

    def _configurations(self, inventory: Sequence[ObjectRef]) -> dict[ObjectRef, Mapping[str, Any]]:
        """The webhook configurations of an inventory, as the watch last saw them."""
        seen = {ref: self._watch.get(ref) for ref in inventory if ref.kind in WEBHOOKS}
        return {ref: found for ref, found in seen.items() if found is not None}

    async def _error(self, what: str, verdicts: Mapping[ObjectRef, Judgement]) -> OperationError:
        import asyncio

        explained = await asyncio.to_thread(self._explain, list(verdicts))
        by_webhook = any(ref.kind in (*WEBHOOKS, CRD) and "webhook" in j.message for ref, j in verdicts.items())
        hint = _WEBHOOK_HINT if by_webhook else None
        return unready("objects", what, verdicts, explained, hint)

    def _explain(self, refs: Sequence[ObjectRef]) -> list[str]:
        """What the pods behind the given workloads say; best effort, an explanation must not fail a run."""
        lines: list[str] = []
        names = [ref.name for ref in refs]
        roots = [found for ref in refs if (found := self._watch.get(ref)) is not None]
        for namespace in sorted({ref.namespace for ref in refs if ref.namespace})[:3]:
            try:
                pods = self._api.list(f"/api/v1/namespaces/{namespace}/pods")
                between = self._between(namespace)
                events = self._api.list(f"/api/v1/namespaces/{namespace}/events")
            except SparkrigError as error:
                lines.append(f"(cannot look at the pods of {namespace}: {error.message})")
                continue
            lines += explain_pods(pods_under(roots, between, pods), events)
            lines += explain_owners(names, events)
        return lines[:12]

    def _between(self, namespace: str) -> list[dict[str, Any]]:
        """What may stand between an object and its pods; a kind that may not be read hides the pods behind it."""
        found: list[dict[str, Any]] = []
        for group, plural in BETWEEN:
            with contextlib.suppress(AccessDenied):
                found += self._api.list(f"/apis/{group}/v1/namespaces/{namespace}/{plural}", metadata_only=True)
        return found


def _workloads_of(pod: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Kind and name of the workloads that a pod names as its owners, which may be gone already.

    A ReplicaSet is called after its Deployment, with a hash of the template behind the last hyphen.
    """
    owners = [(owner["kind"], owner["name"]) for owner in pod["metadata"].get("ownerReferences") or ()]
    return owners + [("Deployment", name.rpartition("-")[0]) for kind, name in owners if kind == "ReplicaSet"]


def unready(
    things: str,
    what: str,
    verdicts: Mapping[ObjectRef, Judgement],
    explained: Sequence[str] = (),
    hint: str | None = None,
) -> OperationError:
    """The error for ``things`` (a plural noun) that ``what`` befell: each with why, and what explains it."""
    lines = [f"{ref}: {judgement.message}" for ref, judgement in verdicts.items()]
    if len(lines) == 1:
        return OperationError(f"{lines[0]} ({what})", detail=explained, hint=hint)
    return OperationError(f"{len(lines)} {things} {what}", detail=[*lines[:10], *explained], hint=hint)


def resource_version(item: Mapping[str, Any]) -> Any:
    """What the API server calls this state of an object."""
    return item["metadata"].get("resourceVersion")


def _with_pods(inventory: Sequence[ObjectRef]) -> list[ObjectRef]:
    """The objects, and for the kinds behind them all of those in their namespaces."""
    namespaces = {ref.namespace for ref in inventory if ref.kind in WORKLOADS}
    return [*inventory, *(replace(ref, namespace=name) for ref in (POD, REPLICA_SET) for name in namespaces)]


def _holds_up(ref: ObjectRef, judgement: Judgement, optional: set[tuple[str, str]]) -> bool:
    """An optional object is not waited for, whatever it says; the checks after the change do that. A failure counts."""
    if judgement.readiness in (Readiness.READY, Readiness.NOT_JUDGED):
        return False
    return judgement.readiness is Readiness.FAILED or (ref.group, ref.kind) not in optional


def _waiting_for(verdicts: Mapping[ObjectRef, Judgement], total: int) -> str:
    ref, judgement = next(iter(verdicts.items()))
    more = f" and {len(verdicts) - 1} more" if len(verdicts) > 1 else ""
    return f"waiting: {ref.kind} {ref.name} {judgement.message}{more} ({total - len(verdicts)}/{total} ready)"


def _finalizers(found: Mapping[str, Any] | None) -> str:
    finalizers = ((found or {}).get("metadata") or {}).get("finalizers") or []
    return f" (finalizers: {', '.join(finalizers)})" if finalizers else ""
