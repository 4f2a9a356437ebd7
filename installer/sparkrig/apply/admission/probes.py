"""Makes up the dry runs that ask admission webhooks and policies: of which kind, in which namespace."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparkrig.defaults import API_READ_TIMEOUT_S
from sparkrig.errors import AccessDenied
from sparkrig.kube.client import KubeApi
from sparkrig.kube.discovery import ResourceInfo
from sparkrig.models.json import JsonObject, dig, labels_of, mapping_at, mappings_at, name_of, text_at
from sparkrig.models.objects import ObjectRef
from sparkrig.plan.crds.drift import CRDS
from sparkrig.plan.server.webhook_probe import namespace_for, probe, resources_of
from sparkrig.readiness import is_custom_group

Object = Mapping[str, Any]


class NotProbed(Exception):
    """Why a webhook or policy could not be asked."""


@dataclass(slots=True)
class Cluster:
    """What is read once for everything that is asked in one round."""

    api: KubeApi
    served: Sequence[ResourceInfo]
    namespaces: Mapping[str, Mapping[str, str]]
    """Name -> labels."""
    preferred: Sequence[str]
    """Namespaces to ask in first."""
    _crds: dict[str, Object | None] = field(default_factory=dict)

    def probe_for(self, hook: Object) -> tuple[ResourceInfo, dict[str, Any]]:
        """An object that the webhook is asked about, and where it would be created.

        Raises:
            NotProbed: there is none.
        """
        namespace = namespace_for(hook, self.namespaces, self.preferred)
        for resource in resources_of(hook, self.served):
            if found := self.probe_of(hook, resource, namespace):
                return resource, found
        raise NotProbed("no object was found that it would be asked about")

    def probe_of(self, hook: Object, resource: ResourceInfo, namespace: str | None) -> dict[str, Any] | None:
        """An object of one kind that the webhook is asked about; None where none can be made up."""
        if resource.namespaced and namespace is None:
            return None
        schema = self._schema(resource) if is_custom_group(resource.group) else None
        if is_custom_group(resource.group) and schema is None:
            return None
        return probe(hook, resource, namespace or "", f"sparkrig-probe-{secrets.token_hex(4)}", schema)

    def kinds_of(self, crd: str) -> list[ResourceInfo]:
        """What a CRD serves; from the CRD itself, since discovery may lag behind one that is new."""
        spec = mapping_at(self._crd(crd), "spec")
        return [kind_of(spec, version) for version in mappings_at(spec, "versions") if version.get("served")]

    def _crd(self, name: str) -> Object | None:
        """A CRD; None where there is none that can be read."""
        if name not in self._crds:
            try:
                self._crds[name] = self.api.get(f"{CRDS}/{name}", missing_ok=True)
            except AccessDenied:
                self._crds[name] = None
        return self._crds[name]

    def _schema(self, resource: ResourceInfo) -> Object | None:
        """What the resource's CRD requires of its objects; None where no CRD can be read."""
        versions = ((self._crd(f"{resource.plural}.{resource.group}") or {}).get("spec") or {}).get("versions") or ()
        found = next((v for v in versions if v.get("name") == resource.version and v.get("served")), None)
        return None if found is None else (found.get("schema") or {}).get("openAPIV3Schema") or {}


def kind_of(spec: JsonObject, version: JsonObject) -> ResourceInfo:
    """What a version of a CRD defines; ``spec`` is the CRD's."""
    kind, plural = text_at(spec, "names", "kind"), text_at(spec, "names", "plural")
    namespaced = spec.get("scope") == "Namespaced"
    return ResourceInfo(text_at(spec, "group"), text_at(version, "name"), kind, plural, namespaced)


def dry_run(
    api: KubeApi, resource: ResourceInfo, body: Object, within_s: float, longest_s: float = API_READ_TIMEOUT_S
) -> None:
    """Creates an object in a dry run, which stores nothing, in at most the shorter of the two times.

    Raises:
        SparkrigError: what the API server said, or that it did not answer in time.
    """
    path = resource.collection(text_at(body, "metadata", "namespace"))
    limit = min(longest_s, max(1.0, within_s))
    api.request("POST", path, body=dict(body), params={"dryRun": "All"}, timeout_s=limit)


def read_cluster(api: KubeApi, preferred: Sequence[str]) -> Cluster:
    """What the cluster serves now, and its namespaces.

    Raises:
        NotProbed: the namespaces may not be listed.
    """
    try:
        spaces = api.list("/api/v1/namespaces", metadata_only=True)
    except AccessDenied as error:
        raise NotProbed(error.message) from error
    alive = [item for item in spaces if not dig(item, "metadata", "deletionTimestamp")]
    return Cluster(api, api.discovery.fresh(), {name_of(each): labels_of(each) for each in alive}, preferred)


def namespaces_of(inventory: Sequence[ObjectRef]) -> list[str]:
    """The namespaces of a release's objects, in their order."""
    return list(dict.fromkeys(ref.namespace for ref in inventory if ref.namespace))
