"""JSON as Python reads it, and readers of it that tolerate what is missing or malformed.

An object of Kubernetes is what the API server, Helm or a person sent: any field may be absent, null or of the wrong
type. The readers return an empty value of the right type then, so that their callers need no checks of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
JsonObject: TypeAlias = Mapping[str, JsonValue]
JsonDict: TypeAlias = dict[str, JsonValue]
"""An object that its maker may still change."""
Manifest: TypeAlias = JsonObject
"""An object of Kubernetes."""

_EMPTY: JsonObject = {}


def dig(item: JsonValue, *path: str) -> JsonValue:
    """Return what is found by following the keys, None where it is missing."""
    for key in path:
        if not isinstance(item, Mapping):
            return None
        item = item.get(key)
    return item


def mapping_at(item: JsonValue, *path: str) -> JsonObject:
    """Return the object at the path, empty where there is none."""
    found = dig(item, *path)
    return found if isinstance(found, Mapping) else _EMPTY


def mapping_or_none(item: JsonValue, *path: str) -> JsonObject | None:
    """Return the object at the path, None where there is none."""
    found = dig(item, *path)
    return found if isinstance(found, Mapping) else None


def sequence_at(item: JsonValue, *path: str) -> Sequence[JsonValue]:
    """Return the list at the path, empty where there is none."""
    found = dig(item, *path)
    return found if isinstance(found, list | tuple) else ()


def mappings_at(item: JsonValue, *path: str) -> Sequence[JsonObject]:
    """Return the objects in the list at the path."""
    return [each for each in sequence_at(item, *path) if isinstance(each, Mapping)]


def texts_at(item: JsonValue, *path: str) -> Sequence[str]:
    """Return the items of the list at the path as text."""
    return [str(each) for each in sequence_at(item, *path)]


def text_at(item: JsonValue, *path: str, default: str = "") -> str:
    """Return the value at the path as text, the default where it is missing."""
    found = dig(item, *path)
    return default if found is None else str(found)


def text_or_none(item: JsonValue, *path: str) -> str | None:
    """Return the value at the path as text, None where it is missing."""
    found = dig(item, *path)
    return None if found is None else str(found)


def number_at(item: JsonValue, *path: str, default: int = 0) -> int:
    """Return the whole number at the path, the default where there is none; the API server leaves zeros out."""
    found = dig(item, *path)
    try:
        return int(found) if isinstance(found, int | float | str) else default
    except ValueError:
        return default


def text_map_at(item: JsonValue, *path: str) -> Mapping[str, str]:
    """Return the object at the path with its values as text, such as labels."""
    return {key: text_at(found) for key, found in mapping_at(item, *path).items()}


def name_of(item: JsonValue) -> str:
    """Return the name of an object of Kubernetes."""
    return text_at(item, "metadata", "name")


def namespace_of(item: JsonValue) -> str:
    """Return the namespace of an object of Kubernetes, empty where it names none."""
    return text_at(item, "metadata", "namespace")


def labels_of(item: JsonValue) -> Mapping[str, str]:
    """Return the labels of an object of Kubernetes."""
    return text_map_at(item, "metadata", "labels")


def annotations_of(item: JsonValue) -> Mapping[str, str]:
    """Return the annotations of an object of Kubernetes."""
    return text_map_at(item, "metadata", "annotations")


def owners_of(item: JsonValue) -> Sequence[JsonObject]:
    """Return the owner references of an object of Kubernetes."""
    return mappings_at(item, "metadata", "ownerReferences")


def conditions_of(item: JsonValue) -> Sequence[JsonObject]:
    """Return the conditions in the status of an object of Kubernetes."""
    return mappings_at(item, "status", "conditions")


def containers_of(pod_spec: JsonValue) -> Sequence[JsonObject]:
    """Return all containers of a pod's spec in the order in which they start."""
    return [*mappings_at(pod_spec, "initContainers"), *mappings_at(pod_spec, "containers")]
