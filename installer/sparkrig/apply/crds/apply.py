"""Applies a chart's CRDs by server-side apply and waits until the server serves them.

Owner of the CRDs whose component says ``crds.owner: us``. One field manager, no
last-applied annotation, several at once. One that is as this chart was
applied before costs nothing. ``crd_review`` has looked at what a change would do before this runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, assert_never

from sparkrig.apply.crds.migration import migrate, recreate
from sparkrig.apply.crds.serving import Serving
from sparkrig.apply.waiting import Waiter
from sparkrig.defaults import FIELD_MANAGER, LABEL_COMPONENT
from sparkrig.helm.charts.archive import crds as chart_crds
from sparkrig.history.crds import CrdStore
from sparkrig.kube.client import KubeApi
from sparkrig.models.json import dig, mapping_at, name_of
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import ApplyCrds, RestoreCrds
from sparkrig.plan.crds.drift import CRDS, DIGEST, applies, is_as_applied, other_managers
from sparkrig.plan.crds.safety import HOPELESS, dangers, stored_versions
from sparkrig.plan.survey import CRD

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
RELEASE: Final = "meta.helm.sh/release-name"
NAMESPACE: Final = "meta.helm.sh/release-namespace"
"""How Helm marks what it has."""
KEEP: Final = "helm.sh/resource-policy"
KEPT: Final = "keep"
"""A Helm release that had the CRD before us leaves it when its next manifest lacks it."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying a chart's CRDs did."""

    names: tuple[str, ...]
    changed: tuple[str, ...]
    """Those that existed before with another spec."""
    digests: Mapping[str, str]
    """Name -> digest of what was applied."""


async def apply_crds(
    api: KubeApi,
    waiter: Waiter,
    wanted: Sequence[Mapping[str, Any]],
    *,
    timeout_s: float,
    say: Say,
    turn: Callable[[], AbstractAsyncContextManager[None]],
) -> Applied:
    """Applies the CRDs (from ``labelled``) that are not as wanted, and returns once what all of them define is served.

    Each is applied in its ``turn``, which lasts until it is served. One that is as wanted may still not be served: a
    run that died behind its first write leaves it so.

    No stack label is set: a CRD outlives the stack that brought it and may serve several.

    Raises:
        OperationError: one cannot be applied, its custom resources cannot be rewritten in its new storage
            version, or it is not served after ``timeout_s`` seconds.
    """
    there = await asyncio.to_thread(installed, api)
    todo = [dict(crd) for crd in wanted if not is_current(there.get(name_of(crd)), crd)]
    current = [crd for crd in wanted if is_current(there.get(name_of(crd)), crd)]
    changed: list[str] = []
    leaving: list[ObjectRef] = []
    serving = Serving(api, timeout_s=timeout_s, say=say)
    done = 0

    async def one(crd: dict[str, Any]) -> None:
        nonlocal done
        name = name_of(crd)
        async with turn():
            different, after = await asyncio.to_thread(_apply, api, crd, say)
            changed.extend([name] if different else [])
            done += 1
            say(f"applied {done}/{len(todo)} CRDs")
            if after["metadata"].get("deletionTimestamp"):
                leaving.append(ObjectRef(*CRD, "", name))
            else:
                await serving.until_served(crd)

    work = [*(one(crd) for crd in todo), *(serving.until_served(crd) for crd in current)]
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    if leaving:
        await waiter.until_ready(leaving, (), timeout_s=timeout_s, say=say)
    digests = {name_of(crd): digest_of(crd) for crd in wanted}
    return Applied(tuple(sorted(digests)), tuple(sorted(changed)), digests)


def installed(api: KubeApi) -> dict[str, dict[str, Any]]:
    """Name -> metadata of every CRD in the cluster; one metadata-only LIST."""
    return {name_of(item): dict(mapping_at(item, "metadata")) for item in api.list(CRDS, metadata_only=True)}


def is_current(metadata: Mapping[str, Any] | None, crd: Mapping[str, Any]) -> bool:
    """Whether the CRD with that metadata is as ``crd`` (from ``labelled``) was applied, and nobody changed it since."""
    return is_as_applied(metadata, digest_of(crd))


def wanted_crds(operation: ApplyCrds | RestoreCrds, store: CrdStore) -> list[dict[str, Any]]:
    """What a CRDs operation applies: the CRDs of the chart, or those that the release recorded.

    Raises:
        OperationError: the recorded ones are gone.
    """
    match operation:
        case ApplyCrds(desired=desired):
            found = chart_crds(desired.chart.path, desired.values)
            return [labelled(crd, operation.component, desired.crd_labels) for crd in found]
        case RestoreCrds(state=state):
            return store.read(state) if state.crd_digests else []
        case _:
            assert_never(operation)


def digest_of(crd: Mapping[str, Any]) -> str:
    """The digest that ``labelled`` wrote on a CRD."""
    return str(crd["metadata"]["annotations"][DIGEST])


def owners(metadata: Mapping[str, Any], component: str) -> tuple[str, ...]:
    """Who else applies that CRD, in a person's words; empty when nobody but us and this component does."""
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    found = []
    if RELEASE in annotations:
        found.append(f"Helm release {annotations.get(NAMESPACE)}/{annotations[RELEASE]}")
    found += [f"field manager {manager}" for manager in sorted(other_managers(metadata))]
    if labels.get(LABEL_COMPONENT, component) != component:
        found.append(f"component {labels[LABEL_COMPONENT]}")
    return tuple(found)


def _apply(api: KubeApi, crd: dict[str, Any], say: Say) -> tuple[bool, dict[str, Any]]:
    """Applies one CRD; whether it existed and its spec is another one now, and how it is now."""
    path = f"{CRDS}/{name_of(crd)}"
    before = api.get(path, missing_ok=True)
    if before is not None:
        if any(danger.code in HOPELESS for danger in dangers(before, crd)):
            recreate(api, before, say)
        if dig(before, "spec", "preserveUnknownFields"):
            # Left by v1beta1; nobody else would take it away.
            crd = {**crd, "spec": {**crd["spec"], "preserveUnknownFields": False}}
        new = {version["name"] for version in crd["spec"]["versions"]}
        if any(version not in new for version in stored_versions(before)):
            migrate(api, before, crd, say)
    after = _sole_owner(api, path, api.apply(crd, force=True))
    return before is not None and dig(before, "metadata", "generation") != dig(after, "metadata", "generation"), after


def _sole_owner(api: KubeApi, path: str, crd: dict[str, Any]) -> dict[str, Any]:
    """Takes a CRD that somebody else applied over for good: two managers of one CRD undo each other's work.

    Who owns single fields (a certificate's injector, the API server's status) keeps them.
    """
    metadata = crd["metadata"]
    strangers = other_managers(metadata)
    left = [key for key in (LAST_APPLIED, RELEASE, NAMESPACE) if key in (metadata.get("annotations") or {})]
    if not strangers and not left:
        return crd
    kept = [e for e in metadata["managedFields"] if e.get("manager") == FIELD_MANAGER or not applies(e)]
    operations: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "replace", "path": "/metadata/managedFields", "value": kept},
    ]
    operations += [{"op": "remove", "path": f"/metadata/annotations/{key.replace('/', '~1')}"} for key in left]
    return api.patch(path, operations, kind="json")


def labelled(crd: Mapping[str, Any], component: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """The CRD as we apply it: our labels and its digest added, what a server writes taken out.

    The result shares its spec with ``crd``: a large chart has megabytes of schemas.
    """
    metadata = {key: value for key, value in crd["metadata"].items() if key != "creationTimestamp"}
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        **labels,
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
        LABEL_COMPONENT: component,
    }
    result = {**{key: value for key, value in crd.items() if key != "status"}, "metadata": metadata}
    text = json.dumps(result, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    metadata["annotations"] = {**(metadata.get("annotations") or {}), KEEP: KEPT, DIGEST: digest}
    return result
