"""``crds``: the CustomResourceDefinitions are established and served, and they are those that were applied."""

from __future__ import annotations

from collections.abc import Iterable

from sparkrig.checks.kinds.base import Context, Depth, Kind, NotYet, Wrong, no_needs
from sparkrig.kube.client import KubeApi
from sparkrig.models.json import mapping_at, mappings_at, name_of, sequence_at, texts_at
from sparkrig.models.objects import Readiness
from sparkrig.plan.crds.drift import CRDS, find_drift
from sparkrig.readiness import judge

CRD = "crd:"


def ask(context: Context) -> str:
    """Of ``names``; without them of those that its release brought, else of those that the component provides."""
    names = _names(context)
    if not names:
        raise Wrong("no CRD is known to belong to this component")
    served = _served(context.api, {name.partition(".")[2] for name in names})
    wrong = [f"{name}{why}" for name in names if name not in served and (why := _lacks(context.api, name))]
    if wrong:
        raise NotYet("; ".join(wrong))
    if changed := [name for name in _changed(context) if name.partition(" ")[0] in names]:
        raise Wrong("; ".join(changed))
    return f"{len(names)} established"


def _served(api: KubeApi, groups: Iterable[str]) -> set[str]:
    """The CRDs whose objects can be made, by discovery: a few small documents, where a CRD is up to a megabyte.

    A CRD that was accepted and later asks for a name that is taken goes on being served under its accepted names.
    """
    found = set()
    for group in groups:
        for version in mappings_at(api.get(f"/apis/{group}", missing_ok=True), "versions"):
            answer = api.get(f"/apis/{version['groupVersion']}", missing_ok=True)
            # One that is being deleted is listed to the end, and takes no new objects.
            found |= {
                f"{kind['name']}.{group}"
                for kind in mappings_at(answer, "resources")
                if "create" in sequence_at(kind, "verbs")
            }
    return found


def _lacks(api: KubeApi, name: str) -> str:
    item = api.get(f"{CRDS}/{name}", missing_ok=True)
    if item is None:
        return " does not exist"
    verdict = judge(item)
    return "" if verdict.readiness is Readiness.READY else f": {verdict.message}"


def _changed(context: Context) -> list[str]:
    """The component's CRDs that exist and are not as sparkrig applied them, each with what became of it."""
    if not context.subject.state.crd_digests:
        return []
    there = {name_of(item): mapping_at(item, "metadata") for item in context.api.list(CRDS, metadata_only=True)}
    states = [subject.state for subject in context.cluster.subjects]
    drift = find_drift(states, there, lambda _name: "").get(context.subject.component, ())
    return [f"{one.name} {one.why}" for one in drift if one.what == "changed"]


def _names(context: Context) -> list[str]:
    if "names" in context.parameters:
        return list(texts_at(context.parameters, "names"))
    state = context.subject.state
    provided = [name.removeprefix(CRD) for name in context.subject.provides if name.startswith(CRD)]
    inventory = [ref.name for ref in state.inventory if ref.kind == "CustomResourceDefinition"]
    # What the catalogue promises is that of its version: a stack file may ask for one with fewer CRDs.
    return list(dict.fromkeys([*(state.crds or provided), *inventory]))


KIND = Kind(ask, Depth.FAST, no_needs)
