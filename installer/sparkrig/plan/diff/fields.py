"""Field by field: how two manifests differ, and how a live object differs from its manifest. Pure.

A live object carries more than its manifest says (defaults, what controllers write) and says some of it
otherwise (canonical quantities, ``stringData`` as ``data``), so it is compared only in what the
manifest sets. The merge keys of lists are those of the Kubernetes API.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

from sparkrig.models.objects import ObjectRef
from sparkrig.plan.diff.changes import ABSENT
from sparkrig.readiness import is_custom_group


@dataclass(frozen=True, slots=True)
class Item:
    """A step to an item of a list that the API merges by keys, e.g. the container of a name."""

    keys: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        return "/".join(str(value) for _, value in self.keys)


Step: TypeAlias = str | int | Item
Path: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs. ``ABSENT`` where a side lacks it."""

    path: Path
    before: Any
    after: Any


def path_text(path: Path) -> str:
    r"""``spec.containers[main].args[0]``; a dot inside a key is written ``\.``."""
    text = ""
    for step in path:
        if isinstance(step, str):
            key = step.replace(".", "\\.")
            text += f".{key}" if text else key
        else:
            text += f"[{step}]"
    return text


def value_at(document: Any, path: Path) -> Any:
    """What is at a path; ``ABSENT`` where there is nothing."""
    for step in path:
        if isinstance(step, Item):
            document = next((item for item in _maps(document) if _has(item, step)), ABSENT)
        elif isinstance(step, int):
            inside = isinstance(document, list) and step < len(document)
            document = document[step] if inside else ABSENT
        else:
            document = document.get(step, ABSENT) if isinstance(document, Mapping) else ABSENT
    return document


def with_value(document: Any, path: Path, value: Any) -> Any:
    """A copy with another value at a path that is there; the parts that stay are shared."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(document, Mapping) and isinstance(step, str) and step in document:
        return {**document, step: with_value(document[step], rest, value)}
    if isinstance(document, list) and not isinstance(step, str):
        chosen = [i == step if isinstance(step, int) else _has(item, step) for i, item in enumerate(document)]
        return [with_value(item, rest, value) if yes else item for item, yes in zip(document, chosen, strict=True)]
    return document


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """How two manifests of one object differ."""
    return tuple(_Comparison(before, live=False).maps(comparable(before), comparable(after), ()))


def drifted_fields(manifest: Mapping[str, Any], live: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What the manifest sets and the live object has differently: ``before`` is the manifest's."""
    wanted, there = _desired(manifest), comparable(live)
    if _holds(wanted, there):  # so it is for nearly every object
        return ()
    return tuple(_Comparison(manifest, live=True).maps(wanted, there, ()))


def changed_values(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """How two sets of chart values differ; lists as a whole, because Helm replaces them."""
    return tuple(_values(before, after, ()))


def _values(before: Mapping[str, Any], after: Mapping[str, Any], path: Path) -> Iterator[Difference]:
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key, ABSENT), after.get(key, ABSENT)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _values(old, new, (*path, key))
        elif not _identical(old, new):
            yield Difference((*path, key), old, new)


def comparable(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object as it is compared: without status and server-side metadata, a Secret's texts encoded."""
    found = {key: value for key, value in item.items() if key != "status"}
    metadata = item.get("metadata") or {}
    found["metadata"] = {key: metadata[key] for key in ("labels", "annotations", "finalizers") if metadata.get(key)}
    if is_secret(item):
        texts = found.pop("stringData", None) or {}
        encoded = {key: base64.b64encode(str(text).encode()).decode() for key, text in texts.items()}
        if texts or found.get("data"):
            found["data"] = {**(found.get("data") or {}), **encoded}
    return found


def is_secret(item: Mapping[str, Any]) -> bool:
    """True for a Secret of the core API."""
    return item.get("kind") == "Secret" and item.get("apiVersion") == "v1"


def key_of(ref: ObjectRef) -> tuple[str, str, str, str]:
    """What makes an object the same one in another revision: its API version may change."""
    return ref.group, ref.kind, ref.namespace, ref.name


# ------------------------------------------------------------------ comparing

_MERGED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "resourceClaims": ("name",),
    "webhooks": ("name",),
    "secrets": ("name",),
}
"""Field -> the keys by which the API merges its items (x-kubernetes-list-map-keys)."""
_PORTS: Final = frozenset({"port", "targetPort", "containerPort", "hostPort", "nodePort", "number"})
_QUANTITIES: Final = frozenset(
    {"limits", "requests", "hard", "capacity", "default", "defaultRequest", "max", "min", "podFixed"}
)
"""Maps of resource name to quantity."""
_QUANTITY: Final = frozenset({"sizeLimit", "divisor", "averageValue", "value", "storage"})
_ASSIGNED: Final = frozenset({"clusterIP", "nodePort", "healthCheckNodePort", "volumeName", "nodeName", "caBundle"})
"""Empty in a manifest, these mean that the cluster, or a controller, fills them in."""
_UNITS: Final = {
    unit: Decimal(base) ** power
    for units, base, power_of in (
        (("n", "u", "m"), 10, (-9, -6, -3)),
        (("", "k", "M", "G", "T", "P", "E"), 10, (0, 3, 6, 9, 12, 15, 18)),
        (("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 2, (10, 20, 30, 40, 50, 60)),
    )
    for unit, power in zip(units, power_of, strict=True)
}
_AMOUNT: Final = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?")


class _Comparison:
    def __init__(self, manifest: Mapping[str, Any], *, live: bool) -> None:
        group, _, _ = str(manifest.get("apiVersion", "")).rpartition("/")
        self._live = live
        self._kind = str(manifest.get("kind"))
        self._builtin = not is_custom_group(group)
        self._encoded = self._kind in ("Secret", "ConfigMap") and not group

    def maps(self, before: Mapping[str, Any], after: Mapping[str, Any], path: Path) -> Iterator[Difference]:
        keys = before if self._live else dict.fromkeys((*before, *after))
        for key in keys:
            yield from self._values(before.get(key, ABSENT), after.get(key, ABSENT), (*path, key))

    def _values(self, before: Any, after: Any, path: Path) -> Iterator[Difference]:
        before, after = (ABSENT if value is None else value for value in (before, after))
        if before is ABSENT and (after is ABSENT or self._live):
            return
        if self._live and self._unset(before, after, path):
            return
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from self.maps(before, after, path)
        elif isinstance(before, list) and isinstance(after, list):
            yield from self._lists(before, after, path)
        elif not self._same(before, after, path):
            yield Difference(path, before, after)

    def _unset(self, before: Any, after: Any, path: Path) -> bool:
        """A zero value that the server leaves out, or fills in itself."""
        if after is ABSENT:
            return _is_zero(before)
        if path[-1] not in _ASSIGNED:
            return False
        return _is_zero(before) or (isinstance(before, str) and _decoded(before).strip() == b"")

    def _lists(self, before: list[Any], after: list[Any], path: Path) -> Iterator[Difference]:
        keyed = self._keyed(before, after, path)
        if keyed is not None:
            old, new = keyed
            for item in old if self._live else dict.fromkeys((*old, *new)):
                yield from self._values(old.get(item, ABSENT), new.get(item, ABSENT), (*path, item))
        elif path == ("metadata", "finalizers") and self._live:
            if not set(before) <= set(after):
                yield Difference(path, before, after)
        elif len(before) == len(after) and any(isinstance(item, Mapping) for item in before):
            for index, (old_item, new_item) in enumerate(zip(before, after, strict=True)):
                yield from self._values(old_item, new_item, (*path, index))
        elif len(before) != len(after) or not all(map(_identical, before, after)):
            yield Difference(path, before, after)

    def _keyed(self, before: list[Any], after: list[Any], path: Path) -> tuple[dict[Item, Any], dict[Item, Any]] | None:
        names = self._merged_by(path, (*before, *after))
        if not names:
            return None
        both = []
        for items in (before, after):
            by_key = {_item(item, names): item for item in items if isinstance(item, Mapping)}
            if len(by_key) != len(items):
                return None
            both.append(by_key)
        return both[0], both[1]

    def _merged_by(self, path: Path, items: Sequence[Any]) -> tuple[str, ...]:
        if not self._builtin:
            return ()  # of a custom resource only its CRD knows
        if path[-1] == "ports":
            if all("containerPort" in item for item in _maps(items)):
                return "containerPort", "protocol"
            return ("port", "protocol") if self._kind == "Service" else ()
        return _MERGED_BY.get(path[-1], ()) if isinstance(path[-1], str) else ()

    def _same(self, before: Any, after: Any, path: Path) -> bool:
        if _identical(before, after):
            return True
        if ABSENT in (before, after) or isinstance(before, Mapping | list) or isinstance(after, Mapping | list):
            return False
        if not self._builtin:
            return False
        if path[-1] in _PORTS:
            return str(before) == str(after)
        if path[-1] in _QUANTITY or (len(path) > 1 and path[-2] in _QUANTITIES):
            amount = _amount(before)
            return amount is not None and amount == _amount(after)
        if self._encoded and path[0] in ("data", "binaryData") and (self._kind == "Secret" or path[0] == "binaryData"):
            return _decoded(str(before)) == _decoded(str(after))
        return False


def _desired(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest without what it hands over to a controller."""
    found = comparable(manifest)
    if manifest.get("kind") == "ClusterRole" and manifest.get("aggregationRule"):
        found.pop("rules", None)
    return found


def _holds(wanted: Any, there: Any) -> bool:
    """Whether ``there`` says all of ``wanted`` in the same words. False proves nothing: there are others."""
    if isinstance(wanted, dict):
        if not isinstance(there, dict):
            return False
        for key, value in wanted.items():  # a loop: this runs for each field of a stack
            if value is not None and not _holds(value, there.get(key, ABSENT)):
                return False
        return True
    if isinstance(wanted, list):
        return isinstance(there, list) and len(wanted) == len(there) and all(map(_holds, wanted, there))
    return type(wanted) is type(there) and bool(wanted == there)


def _identical(before: Any, after: Any) -> bool:
    """Equal, without Python's True == 1, at any depth."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before.keys() == after.keys() and all(_identical(before[key], after[key]) for key in before)
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(_identical, before, after))
    return isinstance(before, bool) is isinstance(after, bool) and bool(before == after)


def _is_zero(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_zero(item) for item in value.values())
    return value is None or value is False or value in ("", 0, [])


def _item(item: Mapping[str, Any], names: Sequence[str]) -> Item:
    return Item(tuple((name, item.get(name, "TCP" if name == "protocol" else None)) for name in names))


def _has(item: Any, step: Item) -> bool:
    return isinstance(item, Mapping) and _item(item, [name for name, _ in step.keys]) == step


def _maps(items: Any) -> list[Mapping[str, Any]]:
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list | tuple) else []


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error):
        return text.encode()


def _amount(value: Any) -> Decimal | None:
    match = None if isinstance(value, bool) else _AMOUNT.fullmatch(str(value).strip())
    if match is None:
        return None
    try:
        return Decimal(match[1]) * _UNITS[match[2] or ""]
    except InvalidOperation:
        return None
