"""Why helm failed, in more than helm's own words: hooks with their pods, webhooks that do not answer.

Only looks, after a failure; what cannot be looked at is left out, because an explanation must not hide
the failure itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sparkrig.errors import SparkrigError
from sparkrig.helm.errors import HelmError
from sparkrig.helm.storage.releases import read_release
from sparkrig.kube.client import KubeApi
from sparkrig.kube.http import Request as HttpRequest
from sparkrig.kube.webhooks import read_admission
from sparkrig.models.json import mappings_at, name_of, number_at, text_at
from sparkrig.models.objects import ObjectRef, refs_of
from sparkrig.plan.server.webhooks import (
    Admission,
    Answers,
    Request,
    Silent,
    asked_about,
    silent_webhooks,
    webhook_named,
)
from sparkrig.readiness.explain import explain_pods
from sparkrig.yaml.plain import objects

LOG_LINES: Final = 8
"""Last lines of a hook's log that are shown."""
LOG_S: Final = 5.0
"""For one log: a kubelet that does not answer must not hold up the report."""
SHOWN: Final = 3
"""Pods of a hook, and webhooks, that are shown."""
_WEBHOOK: Final = re.compile(r'failed calling webhook \\?"(?P<name>[^"\\]+)')
_RUNNING: Final = ("Failed", "Running", "Unknown")
"""Phases of a hook that did not succeed."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The Helm revision that the failed helm wrote."""

    created: str
    """By the API server's clock, before any hook ran."""
    manifests: tuple[Mapping[str, Any], ...]
    hooks: tuple[Mapping[str, Any], ...]
    namespace: str

    def stopped_hooks(self) -> tuple[ObjectRef, ...]:
        """The hooks that were begun and did not succeed."""
        texts = [str(h.get("manifest", "")) for h in self.hooks if (h.get("last_run") or {}).get("phase") in _RUNNING]
        return refs_of([item for text in texts for item in objects(text)], self.namespace)


def last_attempt(api: KubeApi, release: str, namespace: str) -> Attempt | None:
    """What the newest Helm revision of a release says; None where it cannot be read."""
    try:
        path = f"/api/v1/namespaces/{namespace}/secrets"
        found = api.list(path, label_selector=f"owner=helm,name={release}", metadata_only=True)
        newest = max(found, key=lambda item: number_at(item, "metadata", "labels", "version"), default=None)
        if newest is None:
            return None
        revision = number_at(newest, "metadata", "labels", "version")
        held = read_release(api, namespace, release, revision)
    except (SparkrigError, KeyError, ValueError):
        return None
    return Attempt(
        created=text_at(newest, "metadata", "creationTimestamp"),
        manifests=tuple(objects(str(held.get("manifest", "")))),
        hooks=tuple(mappings_at(held, "hooks")),
        namespace=namespace,
    )


def old_hooks(api: KubeApi, attempt: Attempt) -> tuple[ObjectRef, ...]:
    """The hooks that failed because an object of the same name was there before this attempt began."""
    found = []
    for ref in attempt.stopped_hooks():
        live = _get(api, ref) if ref.kind in ("Job", "Pod") else None
        metadata = (live or {}).get("metadata") or {}
        hook = "helm.sh/hook" in (metadata.get("annotations") or {})
        if hook and str(metadata.get("creationTimestamp")) < attempt.created:
            found.append(ref)
    return tuple(found)


def explained(api: KubeApi, attempt: Attempt | None, error: HelmError) -> HelmError:
    """The error with what a person would look up next."""
    if attempt is None or error.code not in ("failed", "timeout", "webhook"):
        return error
    lines = [line for ref in attempt.stopped_hooks()[:SHOWN] for line in _hook_lines(api, ref)]
    silent = _silent(api, attempt, error) if error.code != "failed" else ()
    lines += [one.text() for one in silent[:SHOWN]]
    if not lines:
        return error
    hint = silent[0].hint if silent else error.hint
    told = HelmError(error.message, code=error.code, hint=hint, detail=(*lines, *error.detail))
    told.__cause__ = error
    return told


# ------------------------------------------------------------------ hooks


def _hook_lines(api: KubeApi, ref: ObjectRef) -> list[str]:
    live = _get(api, ref)
    if live is None:
        return [f"hook {ref}: its delete policy removed it, so there is nothing left to look at"]
    pods = _pods(api, ref) if ref.kind == "Job" else [live] if ref.kind == "Pod" else []
    conditions = (live.get("status") or {}).get("conditions") or ()
    why = next((f": {c.get('reason')}, {c.get('message')}" for c in conditions if c.get("type") == "Failed"), "")
    lines = [f"hook {ref}{why}"] if why or pods or ref.kind == "Job" else []
    newest = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
    told = explain_pods(newest, _events(api, ref.namespace)) if newest else []
    lines += [f"  {line}" for line in told[:SHOWN]]
    for pod in newest[:1]:
        text = _log(api, ref.namespace, name_of(pod))
        last = [line for line in text.splitlines() if line.strip()][-LOG_LINES:]
        if last:
            lines += [f"  last lines of the log of pod {name_of(pod)}:", *(f"    {line}" for line in last)]
    if not newest and ref.kind == "Job":
        lines.append("  it has no pod any more")
    return lines


def _pods(api: KubeApi, ref: ObjectRef) -> list[dict[str, Any]]:
    try:
        return api.list(
            f"/api/v1/namespaces/{ref.namespace}/pods", label_selector=f"batch.kubernetes.io/job-name={ref.name}"
        )
    except SparkrigError:
        return []


def _events(api: KubeApi, namespace: str) -> list[dict[str, Any]]:
    try:
        return api.list(f"/api/v1/namespaces/{namespace}/events")
    except SparkrigError:
        return []


def _log(api: KubeApi, namespace: str, pod: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
    request = HttpRequest("GET", path, params={"tailLines": str(LOG_LINES)}, accept="text/plain, */*")
    try:
        response = api.transport().open_stream(request, LOG_S)
        try:
            return response.read().decode("utf-8", "replace")
        finally:
            response.close()
    except SparkrigError:
        return ""  # simulated pods have no log


def _get(api: KubeApi, ref: ObjectRef) -> dict[str, Any] | None:
    try:
        return api.get(api.path_of(ref), missing_ok=True)
    except SparkrigError:
        return None


# ------------------------------------------------------------------ webhooks


def _silent(api: KubeApi, attempt: Attempt, error: HelmError) -> Sequence[Silent]:
    """The webhooks that do not answer, of those that are asked about the release's objects."""
    read = read_admission(api)
    answers = {name: Answers(one.asked, one.seconds, one.failed_open) for name, one in read.answers.items()}
    admission = Admission(read.configurations, read.services, read.slices, read.namespaces, answers)
    requests = list(_requests(api, attempt))
    named = dict.fromkeys(m["name"] for line in (error.message, *error.detail) for m in _WEBHOOK.finditer(line))
    hooks = [one for name in named for one in webhook_named(admission, name, asked_about(admission, name, requests))]
    others = [one for one in silent_webhooks(admission, requests) if one.name not in named]
    return (*hooks, *others)


def _requests(api: KubeApi, attempt: Attempt) -> list[Request]:
    found = []
    hooks = [item for h in attempt.hooks for item in objects(str(h.get("manifest", "")))]
    for item in (*attempt.manifests, *hooks):
        (ref,) = refs_of([item], attempt.namespace)
        try:
            info = api.resource_of(ref.group, ref.version, ref.kind)
        except SparkrigError:
            continue
        place = ref if info.namespaced else ObjectRef(ref.group, ref.version, ref.kind, "", ref.name)
        found.append(Request(place, info.plural, (item.get("metadata") or {}).get("labels") or {}))
    return found
