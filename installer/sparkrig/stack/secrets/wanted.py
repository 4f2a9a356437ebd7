"""Which Secrets a stack wants, and where. Pure; references only, never values.

A pull secret that ``global.imagePullSecrets`` names goes wherever the stack has pods: the namespaces
of its components and those that their charts make. Any other Secret goes to the components that the
stack file names for it, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sparkrig.catalog.catalog import Catalog
from sparkrig.models.component import Component
from sparkrig.models.json import JsonDict, JsonObject, texts_at
from sparkrig.models.problem import Problem, Severity
from sparkrig.models.secret import DesiredSecret, SecretField, SecretSpec
from sparkrig.yaml.merge import MergedValues
from sparkrig.yaml.nodes import ListNode, MapNode, Node, ScalarNode, find
from sparkrig.yaml.schema import did_you_mean

if TYPE_CHECKING:
    from sparkrig.stack.file import StackFile

PULL: Final = "kubernetes.io/dockerconfigjson"
OPAQUE: Final = "Opaque"
_TYPES: Final = {"dockerconfigjson": PULL, "data": OPAQUE}


def secret_specs(document: MapNode, folder: Path) -> tuple[SecretSpec, ...]:
    """What the ``secrets`` section describes; what is wrong in it is left out, and a problem elsewhere.

    ``folder`` is the stack file's: files are relative to it.
    """
    section = document.get("secrets")
    found = []
    for name, entry in section.entries.items() if isinstance(section, MapNode) else ():
        for kind, type_ in _TYPES.items():
            node = find(entry.node, (kind,))
            if isinstance(node, MapNode):
                registry = _text(node.get("registry"))
                fields = tuple(_fields(node, folder))
                found.append(SecretSpec(name, type_, fields, registry, folder.absolute(), entry.position))
                break
    return tuple(found)


def _fields(node: MapNode, folder: Path) -> Iterator[SecretField]:
    for key, entry in node.entries.items():
        if key == "registry":
            continue
        if isinstance(entry.node, MapNode):
            yield SecretField(key, reference(entry.node.value, folder), entry.position)
        elif text := _text(entry.node):
            yield SecretField(key, {"text": text}, entry.position)


def reference(data: JsonObject, folder: Path) -> JsonDict:
    """A reference as written, its file made absolute."""
    path = data.get("fromFile")
    return {**data, "fromFile": str(folder.absolute() / path)} if isinstance(path, str) else dict(data)


def _text(node: Node | None) -> str:
    return node.value if isinstance(node, ScalarNode) and isinstance(node.value, str) else ""


def desired_secrets(
    file: StackFile,
    catalog: Catalog,
    components: Mapping[str, Component],
    values: Mapping[str, MergedValues],
    problems: list[Problem],
) -> tuple[DesiredSecret, ...]:
    """Every Secret with the namespaces it goes to, those without one left out.

    ``components`` are those that are on, with their merged ``values``.
    """
    pulled = texts_at(file.globals, "imagePullSecrets")
    found = []
    for spec in file.secrets:
        entry = find(file.document, ("secrets", spec.name))
        named = _texts(find(entry, ("components",)))
        problems += [_unknown(file, spec, index, name, catalog) for index, name in _not_in(named, catalog.components)]
        readers = tuple(name for name in named if name in components)
        spaces = dict.fromkeys(components[name].namespace for name in readers)
        made: list[tuple[str, str]] = []
        if spec.name in pulled:
            if spec.type != PULL:
                problems.append(_no_pull_secret(file, spec, pulled.index(spec.name)))
            spaces |= dict.fromkeys(component.namespace for component in components.values())
            made = [pair for component in components.values() for pair in _made(component, values)]
        spaces |= dict.fromkeys(_texts(find(entry, ("namespaces",))))
        if not (spaces or made or named):
            problems.append(_nowhere(file, spec))
        made = [pair for pair in dict.fromkeys(made) if pair[1] not in spaces]
        if spaces or made:
            found.append(DesiredSecret(spec, tuple(spaces), tuple(made), readers))
    return tuple(found)


def read_by(component: str, secrets: Iterable[DesiredSecret]) -> tuple[str, ...]:
    """Names of the Secrets that a component's pods read."""
    return tuple(secret.spec.name for secret in secrets if component in secret.components)


def _made(component: Component, values: Mapping[str, MergedValues]) -> Iterator[tuple[str, str]]:
    root = values[component.name].root if component.name in values else None
    for path in component.secret_namespaces:
        for namespace in _at(root, path.replace("[]", ".[]").split(".")):
            yield component.name, namespace


def _at(node: Node | None, steps: Sequence[str]) -> Iterator[str]:
    if not steps:
        yield from [_text(node)] if _text(node) else []
    elif steps[0] == "[]":
        for item in node.items if isinstance(node, ListNode) else ():
            yield from _at(item, steps[1:])
    elif isinstance(node, MapNode):
        yield from _at(node.get(steps[0]), steps[1:])


def _texts(node: Node | None) -> list[str]:
    return [_text(item) for item in node.items if _text(item)] if isinstance(node, ListNode) else []


def _not_in(names: Sequence[str], known: Container[str]) -> list[tuple[int, str]]:
    return [(index, name) for index, name in enumerate(names) if name not in known]


def _unknown(file: StackFile, spec: SecretSpec, index: int, name: str, catalog: Catalog) -> Problem:
    close = did_you_mean(name, catalog.components)
    return Problem(
        Severity.ERROR,
        "unknown-component",
        f"there is no component '{name}' in the catalogue",
        file.place("secrets", spec.name, "components", index),
        label=f"did you mean '{close}'?" if close else None,
        hint=None if close else f"the catalogue has {', '.join(sorted(catalog.components))}",
    )


def _no_pull_secret(file: StackFile, spec: SecretSpec, index: int) -> Problem:
    return Problem(
        Severity.ERROR,
        "no-pull-secret",
        f"secret '{spec.name}' holds no registry credentials, so no image can be pulled with it",
        file.place("global", "imagePullSecrets", index),
        hint=f"describe it with `dockerconfigjson` at {file.place('secrets', spec.name)}",
    )


def _nowhere(file: StackFile, spec: SecretSpec) -> Problem:
    return Problem(
        Severity.WARNING,
        "unused-secret",
        f"secret '{spec.name}' goes nowhere: nothing says who reads it",
        file.place("secrets", spec.name),
        hint="name them in its `components`, or it in global.imagePullSecrets",
    )
