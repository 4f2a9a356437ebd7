"""Restarts the pods that read a Secret which changed.

The way of ``kubectl rollout restart``: an annotation of the pod template, here with the fingerprints
of what the pods were started with. It belongs to our field manager, so Helm's server-side apply
neither sees nor removes it, and it needs nothing of the chart. Pull secrets are no reason to restart:
the kubelet reads them when it pulls, and pods that run have their images.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from sparkrig.kube.client import KubeApi
from sparkrig.models.json import JsonObject, containers_of, mapping_at, mappings_at, text_at
from sparkrig.models.objects import ObjectRef
from sparkrig.models.release import ReleaseState

ANNOTATION: Final = "sparkrig.dev/secrets"
KINDS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet"})


def roll(api: KubeApi, state: ReleaseState, names: Collection[str], marks: Mapping[str, str]) -> list[ObjectRef]:
    """Restarts the release's workloads whose pods read one of the Secrets; returns those.

    ``marks`` are the fingerprints of all Secrets that the release's pods read. Doing it again with the
    same ones restarts nothing.
    """
    rolled = []
    for ref in state.inventory:
        if ref.group != "apps" or ref.kind not in KINDS:
            continue
        live = api.get(api.path_of(ref), missing_ok=True)
        read = secrets_of(mapping_at(live, "spec", "template", "spec"))
        if read.isdisjoint(names):
            continue
        text = ",".join(f"{name}={marks[name]}" for name in sorted(read & marks.keys()))
        api.apply(
            {
                "apiVersion": ref.api_version,
                "kind": ref.kind,
                "metadata": {"name": ref.name, "namespace": ref.namespace},
                "spec": {"template": {"metadata": {"annotations": {ANNOTATION: text}}}},
            }
        )
        rolled.append(ref)
    return rolled


def secrets_of(pod: JsonObject) -> frozenset[str]:
    """Names of the Secrets that a pod's containers get: by variables, and by volumes."""
    return frozenset(name for part in (*map(_variables, containers_of(pod)), _volumes(pod)) for name in part if name)


def _variables(container: JsonObject) -> Iterator[str]:
    for variable in mappings_at(container, "env"):
        yield text_at(variable, "valueFrom", "secretKeyRef", "name")
    for source in mappings_at(container, "envFrom"):
        yield text_at(source, "secretRef", "name")


def _volumes(pod: JsonObject) -> Iterator[str]:
    for volume in mappings_at(pod, "volumes"):
        yield text_at(volume, "secret", "secretName")
        for source in mappings_at(volume, "projected", "sources"):
            yield text_at(source, "secret", "name")
