"""The layers of values of each component, weakest first. Opens the values files that the input names.

component, crds, profile, facts, follows, global, stack file, ``valuesFiles``, ``--values``, ``--set``: maps
merge, everything else replaces, as Helm does it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from sparkrig.catalog.catalog import Catalog
from sparkrig.catalog.sources import SourceTexts
from sparkrig.models.component import Component, FactRule, GlobalRule
from sparkrig.models.json import JsonObject, JsonValue
from sparkrig.models.problem import Position, Problem, Severity
from sparkrig.models.release import Overrides
from sparkrig.stack.file import NamedFile, StackFile
from sparkrig.stack.follows import follow_layers
from sparkrig.yaml.load import Loaded
from sparkrig.yaml.merge import Layer, MergedValues, merge, merge_nodes
from sparkrig.yaml.nodes import Entry, MapNode, Node, ScalarNode, node_from, parse_path, place
from sparkrig.yaml.schema import did_you_mean
from sparkrig.yaml.setflag import Assignment, parse_set

COMPONENT_LAYER: Final = "component"
CRDS_LAYER: Final = "crds"
STACK_LAYER: Final = "stack file"

Problems = list[Problem]


@dataclass(frozen=True, slots=True)
class Flags:
    """``Overrides``, read: the layers that they add to each component."""

    layers: Mapping[str, tuple[Layer, ...]] = field(default_factory=dict)

    def of(self, component: str) -> tuple[Layer, ...]:
        """The layers for one component, weakest first."""
        return self.layers.get(component, ())


def read_flags(overrides: Overrides, catalog: Catalog, sources: SourceTexts, problems: Problems) -> Flags:
    """Read ``--values`` files and ``--set`` arguments."""
    files: dict[str, list[Layer]] = {}
    for argument in overrides.values:
        where = f"--values {argument}"
        name, equals, path = argument.partition("=")
        if not (name and equals and path):
            message = f"--values wants COMPONENT=FILE, found '{argument}'"
            hint = "name the component that the values are for, e.g. --values web=web.yaml"
            problems.append(Problem(Severity.ERROR, "bad-flag", message, where=where, hint=hint))
        elif name not in catalog.components:
            problems.append(unknown_component(name, catalog, where=where))
        else:
            loaded = _from_flag(sources.load_values(Path(path)), where)
            problems.extend(loaded.problems)
            if loaded.document is not None:
                files.setdefault(name, []).append(Layer(where, sources.shown(Path(path)), loaded.document))
    assignments: dict[str, list[Assignment]] = {}
    for argument in overrides.sets:
        parsed, wrong = parse_set(argument)
        problems.extend(wrong)
        for assignment in parsed:
            _sort_in(assignment, catalog, assignments, problems)
    for name, given in assignments.items():
        files.setdefault(name, []).append(Layer("--set", None, None, tuple(given)))
    return Flags({name: tuple(layers) for name, layers in files.items()})


def _from_flag(loaded: Loaded, where: str) -> Loaded:
    """A file that a flag names and that is not there is the flag's mistake."""
    return Loaded(
        loaded.document,
        tuple(replace(p, position=None, where=where) if p.code in _NOT_READ else p for p in loaded.problems),
    )


_NOT_READ: Final = ("no-file", "unreadable-file")


def _sort_in(assignment: Assignment, catalog: Catalog, found: dict[str, list[Assignment]], problems: Problems) -> None:
    name, *below = assignment.path
    where = assignment.position.file
    if name not in catalog.components:
        problems.append(unknown_component(str(name), catalog, where=where, position=assignment.position))
    elif not below or isinstance(below[0], int):
        message = f"{where} sets all of {name}, expected a value of it"
        hint = f"write --set {name}.PATH=VALUE"
        problems.append(Problem(Severity.ERROR, "bad-flag", message, assignment.position, where, hint=hint))
    else:
        found.setdefault(str(name), []).append(replace(assignment, path=tuple(below)))


def unknown_component(
    name: str, catalog: Catalog, *, position: Position | None = None, where: str | None = None
) -> Problem:
    """A component that is in no catalogue folder."""
    close = did_you_mean(name, catalog.components)
    return Problem(
        Severity.ERROR,
        "unknown-component",
        f"there is no component '{name}' in the catalogue",
        position,
        where,
        label=f"did you mean '{close}'?" if close else None,
        hint=None if close else f"the catalogue has {', '.join(sorted(catalog.components))}",
    )


@dataclass(frozen=True, slots=True)
class LayerSource:
    """Where the layers of any component come from."""

    file: StackFile
    catalog: Catalog
    sources: SourceTexts
    flags: Flags
    fact: Callable[[str], JsonValue]
    """Fact name -> its value, None where it is unknown."""
    on: Collection[str] = ()
    """The components that are on: only these are followed by others."""
    _merged: dict[str, MergedValues] = field(default_factory=dict)

    def layers(self, component: Component, problems: Problems) -> list[Layer]:
        """All layers of one component, weakest first; what cannot be read is a problem and left out."""
        entry = self.file.components.get(component.name)
        found = self._shipped(component, problems)
        found += self._derived(component)
        found += follow_layers(component, self.merged)
        found += self._from_globals(component)
        if entry is not None and entry.values is not None:
            found.append(Layer(STACK_LAYER, self.file.file, entry.values))
        for named in entry.values_files if entry else ():
            found += self._values_file(named, problems)
        found += self.flags.of(component.name)
        return found

    def merged(self, name: str) -> MergedValues | None:
        """The merged values of a component that is on, else None. What is wrong with them is not said here."""
        if name not in self.on:
            return None
        if name not in self._merged:
            self._merged[name] = merge(self.layers(self.catalog.components[name], []))
        return self._merged[name]

    def _shipped(self, component: Component, problems: Problems) -> list[Layer]:
        files, profile = self.catalog.files[component.name], self.file.profile
        found = _file_layer(COMPONENT_LAYER, files.shown("values.yaml"), files.values, problems)
        if component.crd_off_values:
            root = self._settings(component, ("crds", "switchOff"), component.crd_off_values)
            found.append(Layer(CRDS_LAYER, root.position.file, root))
        shown = files.shown(f"profiles/{profile}.yaml")
        return found + _file_layer(f"profile {profile}", shown, files.profile(profile), problems)

    def _derived(self, component: Component) -> list[Layer]:
        found = []
        for index, rule in enumerate(component.facts):
            if self._holds(rule):
                root = self._settings(component, ("facts", index, "set"), rule.set)
                found.append(Layer(f"fact {rule.fact}", root.position.file, root))
        return found

    def _holds(self, rule: FactRule) -> bool:
        value = self.fact(rule.fact)
        return value is not None and value == rule.equals and isinstance(value, bool) == isinstance(rule.equals, bool)

    def _settings(self, component: Component, path: tuple[str | int, ...], settings: JsonObject) -> Node:
        """A tree for ``dotted path: value`` lines of component.yaml, each standing at its line."""
        document = self.catalog.documents[component.name]
        root: Node = MapNode({}, place(document, path))
        for dotted, value in settings.items():
            root = merge_nodes(root, _nested(dotted, value, place(document, (*path, dotted))))
        return root

    def _from_globals(self, component: Component) -> list[Layer]:
        root: Node | None = None
        for rule in component.globals:
            value = self.file.globals.get(rule.key)
            if value is None or value == []:
                continue
            position = self.file.place("global", rule.key)
            node = _nested(rule.path, global_value(rule, value, self.file.name), position)
            root = node if root is None else merge_nodes(root, node)
        return [] if root is None else [Layer("global", self.file.file, root)]

    def _values_file(self, named: NamedFile, problems: Problems) -> list[Layer]:
        shown = self.sources.shown(named.path)
        loaded = self.sources.load_values(named.path)
        for problem in loaded.problems:
            here = problem.code in _NOT_READ
            hint = "a values file is looked for beside the stack file" if problem.code == "no-file" else None
            problems.append(replace(problem, position=named.position, hint=hint) if here else problem)
        return [] if loaded.document is None else [Layer(shown, shown, loaded.document)]


def _file_layer(name: str, shown: str, loaded: Loaded | None, problems: Problems) -> list[Layer]:
    if loaded is None:
        return []
    problems.extend(loaded.problems)
    return [] if loaded.document is None else [Layer(name, shown, loaded.document)]


def global_value(rule: GlobalRule, value: JsonValue, stack: str) -> JsonValue:
    """What a key of ``global`` becomes under a rule of component.yaml."""
    if rule.each is not None:
        items = value if isinstance(value, list) else [value]
        return [_filled(rule.each, {"item": str(item), "value": str(item), "stack": stack}) for item in items]
    return value if rule.template is None else _filled(rule.template, {"value": str(value), "stack": stack})


def _filled(template: JsonValue, words: Mapping[str, str]) -> JsonValue:
    if isinstance(template, Mapping):
        return {key: _filled(value, words) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, words) for value in template]
    if isinstance(template, str):
        for word, text in words.items():
            template = template.replace(f"{{{word}}}", text)
    return template


def _nested(dotted: str, value: JsonValue, position: Position) -> Node:
    node = node_from(value, position)
    for step in reversed(parse_path(dotted)):
        node = MapNode({str(step): Entry(str(step), position, node)}, position)
    return node


def without_nulls(node: Node) -> Node:
    """The tree as Helm sees it after a null has deleted a default: map entries that are null are gone."""
    if not isinstance(node, MapNode):
        return node
    kept = {}
    for key, entry in node.entries.items():
        if isinstance(entry.node, ScalarNode) and entry.node.value is None:
            continue
        below = without_nulls(entry.node)
        kept[key] = entry if below is entry.node else replace(entry, node=below)
    unchanged = len(kept) == len(node.entries) and all(kept[k] is node.entries[k] for k in kept)
    return node if unchanged else MapNode(kept, node.position)
