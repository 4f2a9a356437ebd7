"""Where a value comes from: every layer that speaks of it, what won, what it beat. Pure.

Values are concealed here, so that no report can show a secret by mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from sparkrig.catalog.catalog import CRD_FACT, Catalog
from sparkrig.models.cluster import ClusterFacts
from sparkrig.models.component import Component, FollowRule
from sparkrig.models.json import JsonObject, JsonValue
from sparkrig.models.problem import Position
from sparkrig.stack.explain.chart import ChartDefaults
from sparkrig.stack.explain.comments import comment_at
from sparkrig.stack.explain.schema import ValueDoc, document, schema_at
from sparkrig.stack.explain.secrets import conceal, is_hidden
from sparkrig.stack.follows import FOLLOWS
from sparkrig.stack.layers import COMPONENT_LAYER, CRDS_LAYER, STACK_LAYER
from sparkrig.yaml.merge import Layer, MergedValues, merge
from sparkrig.yaml.nodes import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Path,
    ScalarNode,
    Step,
    find,
    parse_path,
    show_path,
    to_python,
)
from sparkrig.yaml.secret_names import is_secret_name
from sparkrig.yaml.setflag import Assignment

Role = Literal["wins", "beaten", "merges", "part", "removes"]
"""``merges``: one of several maps that became one; ``part``: changed an item of a list; ``removes``: a null."""
State = Literal["set", "removed", "unset"]

_EMPTY = MapNode({}, Position("", 1, 1))
GLOBAL_LAYER = "global"


@dataclass(frozen=True, slots=True)
class Said:
    """What one layer says about a path."""

    layer: str
    position: Position | None
    """None for a flag."""
    where: str
    """The place as it is shown: ``stack.yaml:14:7`` or ``--set web.replicas=3``."""
    value: JsonValue
    """Concealed."""
    role: Role
    why: str | None
    """The rule that made it, or the comment beside it."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value below a map that is explained."""

    path: str
    value: JsonValue
    said: Said | None


@dataclass(frozen=True, slots=True)
class MayBe:
    """A rule of the component that would speak of the path if a fact of the cluster were known."""

    fact: str
    equals: JsonValue
    value: JsonValue
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """All there is to say about one value path."""

    component: str
    path: str
    """With the component in front, as a person writes it."""
    state: State
    value: JsonValue
    said: tuple[Said, ...]
    """Strongest first."""
    leaves: tuple[Leaf, ...]
    """Of a map: the values in it."""
    doc: ValueDoc | None
    may_be: tuple[MayBe, ...]
    chart_note: str | None
    """Why the chart's own default is not in ``said``; None where it was looked at."""

    @property
    def hidden(self) -> bool:
        """Whether something is not shown because it is, or may be, a secret."""
        return is_hidden(self.value) or any(is_hidden(said.value) for said in self.said)


@dataclass(frozen=True)
class Subject:
    """One component's values, ready to be asked."""

    component: Component
    layers: tuple[Layer, ...]
    """Without the chart's, weakest first."""
    defaults: ChartDefaults
    own_chart: bool
    schema: JsonObject | None
    texts: Mapping[str, str] = field(default_factory=dict)
    """Shown name -> text of the files that the layers come from."""
    facts: ClusterFacts = field(default_factory=ClusterFacts)

    @property
    def name(self) -> str:
        """The component's name."""
        return self.component.name

    @property
    def default_layers(self) -> tuple[Layer, ...]:
        """What Helm starts from: the chart's values, which for a chart of our own are the component's."""
        own = tuple(layer for layer in self.layers if self.own_chart and layer.name == COMPONENT_LAYER)
        return (*self.defaults.layers, *own)

    @property
    def handed_layers(self) -> tuple[Layer, ...]:
        """What is handed to Helm, weakest first."""
        return tuple(layer for layer in self.layers if not (self.own_chart and layer.name == COMPONENT_LAYER))

    @cached_property
    def values(self) -> MapNode:
        """The values that the chart's templates see, as far as the chart's defaults are known."""
        return self.values_with(self.handed_layers)

    def values_with(self, layers: Sequence[Layer]) -> MapNode:
        """The values that these layers alone would give."""
        handed = merge(layers).root
        return _laid(self._defaults, handed) if self._defaults.entries else handed

    @cached_property
    def _defaults(self) -> MapNode:
        return merge(self.default_layers).root

    def conceal(self, path: Path, value: JsonValue) -> JsonValue:
        """``value`` of ``path`` without its secrets; who stands beside it counts, in any layer."""
        roots = [self.values, *(layer.root for layer in (*self.default_layers, *self.layers) if layer.root is not None)]
        for depth, step in enumerate(path):
            if step == "value" and any(is_named_secret(find(root, path[:depth])) for root in roots):
                return conceal((*path, "password"), value)
        return conceal(path, value, self.schema)

    @property
    def knows_defaults(self) -> bool:
        """Whether the chart's defaults are among the layers."""
        return self.own_chart or self.defaults.looked


def subject(
    component: Component,
    layers: Sequence[Layer],
    catalog: Catalog,
    defaults: ChartDefaults,
    texts: Mapping[str, str],
    facts: ClusterFacts,
) -> Subject:
    """A component of the catalogue with its layers (``stack.layers``), ready to be asked."""
    files = catalog.files[component.name]
    schema = files.schema
    return Subject(
        component,
        tuple(layers),
        defaults,
        files.own_chart,
        schema if isinstance(schema, Mapping) else None,
        {**texts, **defaults.texts},
        facts,
    )


def is_users(layer: Layer) -> bool:
    """Whether the user wrote the layer: the stack file, a values file, ``--values``, ``--set``."""
    if layer.root is None or layer.name == layer.file or layer.name.startswith("--values "):
        return True
    return layer.name in (STACK_LAYER, GLOBAL_LAYER)


def read_steps(text: str, *roots: Node) -> Path:
    """A path as written; ``list.0`` counts as ``list[0]`` where one of ``roots`` has a list there.

    Raises:
        ValueError: it is not a path.
    """
    steps: list[Step] = []
    for step in parse_path(text):
        number = isinstance(step, str) and step.isdecimal()
        in_list = any(isinstance(find(root, steps), ListNode) for root in roots)
        steps.append(int(step) if number and in_list else step)
    return tuple(steps)


def explain(subject: Subject, path: Path) -> Explanation:
    """Everything that is known about one path, which may be one that nothing sets."""
    node = find(subject.values, path)
    said = what_was_said(subject, path, node)
    null = bool(said) and said[0].role == "removes"
    return Explanation(
        component=subject.name,
        path=f"{subject.name}.{show_path(path)}",
        state="set" if node is not None else "removed" if null else "unset",
        value=conceal_at(subject, path, node),
        said=said,
        leaves=tuple(_leaves_of(subject, path, node)) if isinstance(node, MapNode) else (),
        doc=documented(subject, path),
        may_be=tuple(_may_be(subject, path)),
        chart_note=None if subject.own_chart else subject.defaults.note,
    )


def conceal_at(subject: Subject, path: Path, node: Node | None) -> JsonValue:
    """The node as plain Python without its secrets; None where there is none."""
    return None if node is None else subject.conceal(path, to_python(node))


def documented(subject: Subject, path: Path) -> ValueDoc | None:
    """What our schema says about the path, else the chart's, else the comment in the chart's values."""
    if subject.schema is not None:
        doc = document(schema_at(subject.schema, path), "sparkrig")
        if doc is not None and doc.description:
            return doc
    for prefix, schema in subject.defaults.schemas:
        if path[: len(prefix)] == prefix and len(path) > len(prefix):
            doc = document(schema_at(schema, path[len(prefix) :]), "chart")
            if doc is not None:
                return doc
    return document(schema_at(subject.schema, path), "sparkrig") if subject.schema is not None else None


def what_was_said(subject: Subject, path: Path, node: Node | None) -> tuple[Said, ...]:
    """Every layer's word about ``path``, strongest first; ``node`` is what is effective there."""
    defaults = [one for layer in subject.default_layers for one in _said(subject, layer, path)]
    handed = [one for layer in subject.handed_layers for one in _said(subject, layer, path)]
    # An item that is set in a list which only the chart has makes a new list: Helm merges none.
    if not any(one.role != "part" for one in handed):
        handed = [replace(one, role="beaten") for one in handed]
    return tuple(_with_roles([*defaults, *handed][::-1], node))


def _said(subject: Subject, layer: Layer, path: Path) -> Iterator[Said]:
    if layer.root is not None:
        for _, position, value in MergedValues(_EMPTY, (Layer(layer.name, layer.file, layer.root),)).origins(path):
            why = _why(subject, layer, path, position)
            shown = subject.conceal(path, value)
            yield Said(layer.name, position, str(position), shown, "beaten", why)
    for assignment in layer.assignments:
        one = Layer(layer.name, None, None, (assignment,))
        for _, _, value in MergedValues(_EMPTY, (one,)).origins(path):
            part = len(assignment.path) > len(path) and isinstance(assignment.path[len(path)], int)
            where = _flag(subject, assignment)
            shown = subject.conceal(path, value)
            yield Said(layer.name, None, where, shown, "part" if part else "beaten", None)


def _flag(subject: Subject, assignment: Assignment) -> str:
    """The one assignment, and not the argument it stood in: that may hold others, and secrets."""
    value = subject.conceal(assignment.path, to_python(assignment.node))
    return f"--set {subject.name}.{show_path(assignment.path)}={flag_value(value)}"


def flag_value(value: JsonValue) -> str:
    """A value in the syntax of ``--set``."""
    if isinstance(value, list):
        return "{" + ",".join(flag_value(item) for item in value) + "}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _with_roles(said: Sequence[Said], node: Node | None) -> Iterator[Said]:
    open_ = True
    for one in said:
        role: Role = "beaten"
        if open_ and node is None:
            # A default that is null takes nothing away: it is how a chart says that there is none.
            took = one.value is None and any(weaker.value is not None for weaker in said)
            role, open_ = ("removes" if took else "beaten"), False
        elif open_ and isinstance(node, MapNode):
            open_ = isinstance(one.value, Mapping)
            role = "merges" if open_ else "beaten"
        elif open_ and one.role == "part" and isinstance(node, ListNode):
            role = "part"
        elif open_:
            role, open_ = "wins", False
        yield replace(one, role=role)


def _why(subject: Subject, layer: Layer, path: Path, position: Position) -> str | None:
    component = subject.component
    if layer.name == CRDS_LAYER:
        return "keeps one owner of the component's CRDs; it cannot be changed"
    if layer.name.startswith("fact "):
        for rule in component.facts:
            if layer.name == f"fact {rule.fact}" and any(_related(parse_path(dotted), path) for dotted in rule.set):
                return f"{rule.fact} is {flag_value(rule.equals)}: {rule.reason}"
    if layer.name.startswith(FOLLOWS):
        rules = [rule for rule in component.follows if layer.name == FOLLOWS + rule.component and _follows(rule, path)]
        return "; ".join(f"{rule.component}.{rule.value}: {rule.reason}" for rule in rules) or None
    if layer.name == GLOBAL_LAYER:
        keys = [rule.key for rule in component.globals if _related(parse_path(rule.path), path)]
        return ", ".join(f"global.{key}" for key in dict.fromkeys(keys)) or None
    return None if is_users(layer) else comment_at(subject.texts.get(position.file, ""), position)


def _follows(rule: FollowRule, path: Path) -> bool:
    return any(_related(parse_path(dotted), path) for dotted in ([rule.path] if rule.path else rule.set))


def _related(rule: Path, path: Path) -> bool:
    length = min(len(rule), len(path))
    return rule[:length] == path[:length]


def _may_be(subject: Subject, path: Path) -> Iterator[MayBe]:
    for rule in subject.component.facts:
        known = rule.fact.startswith(CRD_FACT) or subject.facts.values.get(rule.fact) is not None
        for dotted, value in rule.set.items():
            if not known and _related(parse_path(dotted), path):
                yield MayBe(rule.fact, rule.equals, subject.conceal(parse_path(dotted), value), rule.reason)


def _leaves_of(subject: Subject, path: Path, node: MapNode) -> Iterator[Leaf]:
    for below, leaf in leaf_nodes(node):
        if not below:
            continue
        whole = (*path, *below)
        said = what_was_said(subject, whole, leaf)
        winner = next((one for one in said if one.role in ("wins", "part", "merges")), None)
        yield Leaf(show_path(below), subject.conceal(whole, to_python(leaf)), winner)


def leaf_nodes(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Scalars, lists and empty maps of a tree, with their paths."""
    if isinstance(node, MapNode) and node.entries:
        for key, entry in node.entries.items():
            yield from leaf_nodes(entry.node, (*path, key))
    else:
        yield path, node


def paths_of(layer: Layer) -> Iterator[tuple[Path, Node]]:
    """What a layer sets."""
    if isinstance(layer.root, MapNode):
        yield from ((path, node) for path, node in leaf_nodes(layer.root) if path)
    for assignment in layer.assignments:
        yield assignment.path, assignment.node


def _laid(weak: Node, strong: Node) -> MapNode:
    """Helm's last step: the given values over the chart's defaults, a null takes a default out."""
    assert isinstance(weak, MapNode)  # noqa: S101  (the root of values, or checked below)
    assert isinstance(strong, MapNode)  # noqa: S101
    entries: dict[str, Entry] = {}
    for key, entry in weak.entries.items():
        over = strong.entries.get(key)
        if over is None:
            if not _is_null(entry.node):
                entries[key] = Entry(key, entry.position, _without_null_defaults(entry.node), entry.text)
        elif isinstance(entry.node, MapNode) and isinstance(over.node, MapNode):
            entries[key] = Entry(key, over.position, _laid(entry.node, over.node), over.text)
        elif not _is_null(over.node):
            entries[key] = over
    entries.update((key, entry) for key, entry in strong.entries.items() if key not in weak.entries)
    return MapNode(entries, strong.position)


def _without_null_defaults(node: Node) -> Node:
    return _laid(node, MapNode({}, node.position)) if isinstance(node, MapNode) else node


def is_named_secret(node: Node | None) -> bool:
    """Whether a map says with ``name`` that its ``value`` is a secret, as environment variables do."""
    name = node.get("name") if isinstance(node, MapNode) else None
    return isinstance(name, ScalarNode) and isinstance(name.value, str) and is_secret_name(name.value)


def _is_null(node: Node | None) -> bool:
    return isinstance(node, ScalarNode) and node.value is None
