"""Whether a custom resource of a manifest would be taken by a CRD that is not in the cluster yet. Pure.

The API server can only be asked about the CRDs that it has. Judged is what ``crd_use`` judges: types, nulls,
enums, patterns, limits, required fields, and versions that are not served; rules in CEL are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sparkrig.models.objects import ObjectRef
from sparkrig.plan.crds.safety import Path, Schema, properties, shown, values_schema
from sparkrig.plan.crds.use import fits

OWN = ("apiVersion", "kind", "metadata", "status")


def unfit(objects: Iterable[Mapping[str, Any]], crds: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """What the CRDs would refuse of custom resources, a sentence each; objects of other kinds say nothing."""
    specs = {(crd["spec"]["group"], crd["spec"]["names"]["kind"]): crd["spec"] for crd in crds}
    found = []
    for item in objects:
        group, _, version = str(item.get("apiVersion", "")).rpartition("/")
        spec = specs.get((group, str(item.get("kind"))))
        if spec is not None:
            metadata = item.get("metadata") or {}
            ref = ObjectRef(group, version, str(item["kind"]), str(metadata.get("namespace") or ""), metadata["name"])
            found += [f"{ref}: {text}" for text in _unfit(item, spec, version)]
    return tuple(found)


def _unfit(item: Mapping[str, Any], spec: Mapping[str, Any], version: str) -> Iterator[str]:
    known = next((v for v in spec["versions"] if v["name"] == version and v.get("served")), None)
    if known is None:
        yield f"{spec['group']}/{version} would not be served any more"
        return
    schema = (known.get("schema") or {}).get("openAPIV3Schema") or {}
    for path, message in violations(item, schema, OWN):
        yield f"{shown(path)}: {message}"


def violations(value: Any, schema: Schema, own: tuple[str, ...] = (), path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every place where a schema refuses a value; ``own`` are fields at the top that are not judged."""
    if not fits(value, schema):
        yield path, f"the CRD would refuse {'null' if value is None else _short(value)}"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            steps = (*path[:-1], f"{path[-1]}[{index}]") if path else (f"[{index}]",)
            yield from violations(item, schema.get("items") or {}, path=steps)
    elif isinstance(value, Mapping):
        known, rest = properties(schema), values_schema(schema)
        for key, item in value.items():
            below = known.get(key, rest)
            if key not in own and below is not None:
                yield from violations(item, below, path=(*path, str(key)))
        for name in schema.get("required") or ():
            if name not in own and name not in value and "default" not in (known.get(name) or {}):
                yield (*path, name), "the CRD would require it"


def _short(value: Any) -> str:
    """Its type: values of manifests may be secret."""
    kinds = {bool: "this boolean", int: "this number", float: "this number", str: "this text", list: "this list"}
    return kinds.get(type(value), "this object")
