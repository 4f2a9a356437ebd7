"""``crds``: the CustomResourceDefinitions are established, and the API server serves them."""

from __future__ import annotations

from sparkrig.model import Readiness
from sparkrig.readiness import judge
from sparkrig.verify.checks.base import Context, Depth, Kind, NotYet, Wrong, no_needs

PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRD = "crd:"


def ask(context: Context) -> str:
    """Of ``names``; without them of those that its release brought, else of those that the component provides."""
    names = _names(context)
    if not names:
        raise Wrong("no CRD is known to belong to this component")
    found = {item["metadata"]["name"]: item for item in (context.api.get(f"{PATH}/{n}", missing_ok=True) for n in names)
             if item}  # fmt: skip
    wrong = [f"{name} does not exist" for name in names if name not in found]
    for name, item in found.items():
        verdict = judge(item)
        if verdict.readiness is not Readiness.READY:
            wrong.append(f"{name}: {verdict.message}")
    if wrong:
        raise NotYet("; ".join(wrong))
    return f"{len(names)} established"


def _names(context: Context) -> list[str]:
    if "names" in context.parameters:
        return list(context.parameters["names"])
    state = context.subject.state
    provided = [name.removeprefix(CRD) for name in context.subject.provides if name.startswith(CRD)]
    inventory = [ref.name for ref in state.inventory if ref.kind == "CustomResourceDefinition"]
    # What the catalogue promises is that of its version: a stack file may ask for one with fewer CRDs.
    return list(dict.fromkeys([*(state.crds or provided), *inventory]))


KIND = Kind(ask, Depth.FAST, no_needs)
