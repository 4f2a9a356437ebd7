"""The values that a component folder sets, layer by layer, with every path in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

Path_ = tuple[str, ...]

SAMPLES: Final[dict[str, Any]] = {
    "domain": "lab.example.org",
    "storageClass": "fast",
    "imageRegistry": "registry.example.org/mirror",
    "imagePullSecrets": ["pull"],
}
"""A value for each key of the stack file's ``global`` section."""


def split_path(text: str) -> Path_:
    r"""``a.b\.c`` -> ``("a", "b.c")``."""
    return tuple(part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", text))


def join_path(path: Path_) -> str:
    """The reverse of split_path."""
    return ".".join(part.replace(".", "\\.") for part in path)


def merge(weak: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    """Helm's merge: maps merge, everything else replaces, null stays."""
    result = dict(weak)
    for key, value in strong.items():
        below = result.get(key)
        result[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def put(document: dict[str, Any], path: Path_, value: Any) -> None:
    """Sets a value, making the maps on the way."""
    for part in path[:-1]:
        document = document.setdefault(part, {})
    document[path[-1]] = value


def without(document: Mapping[str, Any], path: Path_) -> dict[str, Any]:
    """A copy in which ``path`` and the maps that it leaves empty are gone."""
    result = dict(document)
    if len(path) == 1:
        del result[path[0]]
        return result
    below = without(result[path[0]], path[1:])
    if below:
        result[path[0]] = below
    else:
        del result[path[0]]
    return result


def value_paths(document: Mapping[str, Any], prefix: Path_ = ()) -> Iterator[Path_]:
    """Paths of everything that is set: scalars, lists and empty maps."""
    for key, value in document.items():
        if isinstance(value, dict) and value:
            yield from value_paths(value, (*prefix, key))
        else:
            yield (*prefix, key)


def wrap(template: Any, item: Any) -> Any:
    """Puts an item into the ``each`` of a global rule."""
    if isinstance(template, dict):
        return {key: wrap(value, item) for key, value in template.items()}
    return str(template).replace("{item}", str(item))


def global_value(rule: Mapping[str, Any], value: Any) -> Any:
    """What a global rule writes for a value of the stack's ``global`` section."""
    if "template" in rule:
        return rule["template"].replace("{value}", str(value)).replace("{stack}", "lab")
    if "each" in rule:
        return [wrap(rule["each"], item) for item in (value if isinstance(value, list) else [value])]
    return value


@dataclass(frozen=True)
class Folder:
    """One component folder for an upstream chart."""

    path: Path
    component: Mapping[str, Any]
    values: Mapping[str, Any]
    profiles: Mapping[str, Mapping[str, Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    globals: Mapping[str, Any] = field(default_factory=dict)
    follows: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The component's name."""
        return str(self.component["metadata"]["name"])

    @property
    def off(self) -> dict[Path_, Any]:
        """The values that switch the chart's own ways to apply CRDs off."""
        return {
            split_path(key): value for key, value in (self.component.get("crds", {}).get("switchOff") or {}).items()
        }


def read_yaml(file: Path) -> dict[str, Any]:
    """One YAML file; an empty one is an empty map."""
    return yaml.safe_load(file.read_text(encoding="utf-8")) or {} if file.exists() else {}


def read_folder(folder: Path) -> Folder:
    """Reads the layers of one component folder; facts, globals and what follows others, as if all of them applied."""
    component = read_yaml(folder / "component.yaml")
    facts: dict[str, Any] = {}
    for rule in component.get("facts") or ():
        for path, value in rule["set"].items():
            put(facts, split_path(path), value)
    globals_: dict[str, Any] = {}
    for rule in component.get("globals") or ():
        put(globals_, split_path(rule["path"]), global_value(rule, SAMPLES[rule["key"]]))
    follows: dict[str, Any] = {}
    for rule in component.get("follows") or ():
        for path, value in (rule.get("set") or {}).items():
            put(follows, split_path(path), value)
        if "path" in rule:  # what the other component says there; any value will do
            put(follows, split_path(rule["path"]), ["followed"] if "[]" in rule["value"] else "followed")
    profiles = {file.stem: read_yaml(file) for file in sorted(folder.glob("profiles/*.yaml"))}
    return Folder(folder, component, read_yaml(folder / "values.yaml"), profiles, facts, globals_, follows)


def upstream_folders(catalog: Path) -> list[Folder]:
    """The folders of a catalogue that hold values for a chart made elsewhere."""
    files = sorted(catalog.glob("*/component.yaml"))
    return [read_folder(file.parent) for file in files if not (file.parent / "Chart.yaml").exists()]
