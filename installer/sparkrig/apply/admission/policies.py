"""Waits until the admission policies of a cluster are in force, also about custom resources that are new.

An API server takes up policies once a second: what is created right behind a policy passes it by. And it reads the
schemas of custom resources anew every five seconds for policies that change objects. Until then each object
of a new kind that a policy is about is refused: "Resource kind ... not found. There can be a delay between when
CustomResourceDefinitions are created and when they are available" (docs/adr/0029).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sparkrig.apply.admission.probes import Cluster, NotProbed, dry_run, namespaces_of, read_cluster
from sparkrig.defaults import POLICY_REFRESH_S
from sparkrig.errors import AccessDenied, SparkrigError
from sparkrig.helm.errors import UNKNOWN_SCHEMA
from sparkrig.kube.client import KubeApi
from sparkrig.kube.discovery import ResourceInfo
from sparkrig.kube.errors import ConnectionLost
from sparkrig.models.json import mapping_at, name_of, sequence_at, text_at
from sparkrig.models.objects import Judgement, ObjectRef
from sparkrig.plan.server.webhook_probe import namespace_for, resources_of
from sparkrig.readiness import is_custom_group
from sparkrig.readiness.fields import progressing

GROUP: Final = "admissionregistration.k8s.io"
POLICY, BINDING = "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"
PLURAL: Final = "mutatingadmissionpolicies"
VERSIONS: Final = ("v1", "v1beta1", "v1alpha1")
KINDS: Final = (POLICY, BINDING, "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
Object = Mapping[str, Any]


class Policies:
    """The policies about the custom resources of one release, or the policies that it brings."""

    def __init__(self, api: KubeApi, inventory: Sequence[ObjectRef], crds: Sequence[str]) -> None:
        """``crds`` are names of the CRDs that the release brings."""
        self._api = api
        self._crds = frozenset(crds)
        own = [ref for ref in inventory if ref.group == GROUP and ref.kind in KINDS]
        self._taken_up = time.monotonic() + POLICY_REFRESH_S if own else 0.0
        self._newest = own[-1] if own else None
        self._own = frozenset(ref.name for ref in own if ref.kind in (POLICY, BINDING))
        self._places = namespaces_of(inventory)
        self._done = not (self._crds or self._own)

    def silent(self, within_s: float) -> dict[ObjectRef, Judgement]:
        """The first policy that is not in force, or refuses objects of a new kind, with the reason; empty once all are.

        What may not be read is taken as it is: helm's own attempt shows it, and is made again.
        """
        if self._newest and time.monotonic() < self._taken_up:
            return {self._newest: progressing("the API server takes up policies once a second")}
        if self._done:
            return {}
        try:
            refused = self._refused(within_s)
        except (AccessDenied, NotProbed):
            refused = {}
        except ConnectionLost as error:
            refused = {ObjectRef(GROUP, "v1", POLICY, "", "*"): progressing(f"does not answer yet: {error.message}")}
        self._done = not refused
        return refused

    def _refused(self, within_s: float) -> dict[ObjectRef, Judgement]:
        cluster: Cluster | None = None
        version = self._version()
        for ref, hook in self._hooks(version) if version else ():
            cluster = cluster or read_cluster(self._api, self._places)
            namespace = namespace_for(hook, cluster.namespaces, self._places)
            for resource in self._kinds(cluster, hook, own=ref.name in self._own):
                body = cluster.probe_of(hook, resource, namespace)
                if body and (why := self._refusal(resource, body, within_s)):
                    return {ref: progressing(f"does not answer yet: {why}")}
        return {}

    def _kinds(self, cluster: Cluster, hook: Object, *, own: bool) -> list[ResourceInfo]:
        """The custom kinds to ask about: those that the release brings, and all of a policy that it brings."""
        crds = set(self._crds)
        if own:
            crds |= {f"{info.plural}.{info.group}" for info in cluster.served if is_custom_group(info.group)}
        named = [rule for rule in hook["rules"] if {"CREATE", "*"} & set(rule.get("operations") or ())]
        groups = {group for rule in named for group in rule.get("apiGroups") or ()}
        about = sorted(crd for crd in crds if "*" in groups or crd.partition(".")[2] in groups)
        return resources_of(hook, [info for crd in about for info in cluster.kinds_of(crd)])

    def _version(self) -> str:
        """The version in which the API server has such policies; empty where it has none."""
        if (GROUP, PLURAL) not in self._api.discovery.plurals():  # as first read: kinds of its own do not come and go
            return ""
        served = self._api.discovery.served()
        return next((version for version in VERSIONS if (GROUP, version, POLICY) in served), "")

    def _hooks(self, version: str) -> Iterator[tuple[ObjectRef, Object]]:
        """Each policy that is bound and must succeed, with what it is asked about in the form of a webhook."""
        root = f"/apis/{GROUP}/{version}"
        policies = {name_of(item): item for item in self._api.list(f"{root}/{PLURAL}")}
        for binding in self._api.list(f"{root}/mutatingadmissionpolicybindings") if policies else ():
            name = text_at(binding, "spec", "policyName")
            spec = mapping_at(policies.get(name), "spec")
            if not spec or spec.get("failurePolicy", "Fail") != "Fail":
                continue
            limits = [mapping_at(spec, "matchConstraints"), mapping_at(binding, "spec", "matchResources")]
            rules = {"rules": sequence_at(limits[0], "resourceRules")}
            selectors = {key: _both([mapping_at(limit, key) for limit in limits]) for key in _SELECTORS}
            yield ObjectRef(GROUP, version, POLICY, "", name), {**rules, **selectors}

    def _refusal(self, resource: ResourceInfo, body: Object, within_s: float) -> str:
        """What the API server says of an object whose schema it has not read yet; empty for every other answer."""
        try:
            dry_run(self._api, resource, body, within_s)
        except ConnectionLost:
            raise
        except SparkrigError as error:
            return error.message if UNKNOWN_SCHEMA in error.message.lower() else ""
        return ""


_SELECTORS: Final = ("namespaceSelector", "objectSelector")


def _both(selectors: Sequence[Object]) -> Object:
    """The label selector that selects what all of ``selectors`` select."""
    return {
        "matchLabels": {key: value for each in selectors for key, value in (each.get("matchLabels") or {}).items()},
        "matchExpressions": [line for each in selectors for line in each.get("matchExpressions") or ()],
    }
