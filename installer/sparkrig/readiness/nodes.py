"""How far controllers are with the nodes they work on, as they note it in labels. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sparkrig.models.component import NodeLeftovers, NodeStateRule
from sparkrig.models.json import labels_of, mapping_at, name_of, sequence_at, text_at
from sparkrig.models.objects import Judgement, Readiness
from sparkrig.readiness.fields import Object, spec


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node with which a controller has begun and not ended."""

    node: str
    rule: NodeStateRule
    value: str
    cordoned: bool

    @property
    def failed(self) -> bool:
        """True when the controller has given up on the node."""
        return self.value in self.rule.failed

    @property
    def text(self) -> str:
        """One line: which node, what is done to it, how far that is."""
        cordoned = ", and the node is cordoned" if self.cordoned else ""
        return f"node {self.node}: {self.rule.what}: {self.rule.label} is {self.value}{cordoned}"

    @property
    def judgement(self) -> Judgement:
        """The state as that of an object."""
        hint = f"next: kubectl describe node {self.node}"
        if self.failed and self.cordoned:
            hint += f"; when it is mended: kubectl uncordon {self.node}"
        return Judgement(Readiness.FAILED if self.failed else Readiness.PROGRESSING, f"{self.text}\n{hint}")


def node_states(nodes: Iterable[Object], rules: Sequence[NodeStateRule]) -> list[NodeState]:
    """Each node on which something is under way, or has failed; the failed ones first."""
    found = [
        NodeState(name_of(node), rule, str(value), is_cordoned(node))
        for node in nodes
        for rule in rules
        if (value := _labels(node).get(rule.label)) and value not in rule.done
    ]
    return sorted(found, key=lambda state: (not state.failed, state.node))


def labelled(nodes: Iterable[Object], rules: Sequence[NodeStateRule]) -> int:
    """How many nodes have one of the labels."""
    return sum(any(_labels(node).get(rule.label) for rule in rules) for node in nodes)


def is_cordoned(node: Object) -> bool:
    """True when new pods are kept from the node."""
    return bool(spec(node).get("unschedulable"))


def _labels(node: Object) -> Object:
    return labels_of(node)


@dataclass(frozen=True, slots=True)
class NodeMarks:
    """What a component's programs have written on one node."""

    node: str
    labels: tuple[str, ...]
    annotations: tuple[str, ...]


def node_marks(nodes: Iterable[Object], rules: Sequence[NodeLeftovers]) -> list[NodeMarks]:
    """The nodes with labels and annotations by the rules, written by one of their managers and nobody else."""
    found = []
    for node in nodes:
        labels = _left(node, "labels", [(rule.labels, rule.managers) for rule in rules])
        annotations = _left(node, "annotations", [(rule.annotations, rule.managers) for rule in rules])
        if labels or annotations:
            found.append(NodeMarks(name_of(node), labels, annotations))
    return found


def _left(node: Object, part: str, rules: Sequence[tuple[Sequence[str], Sequence[str]]]) -> tuple[str, ...]:
    there = mapping_at(node, "metadata", part)
    return tuple(
        key
        for key in sorted(there)
        if any(
            any(fnmatchcase(key, pattern) for pattern in patterns) and _all_match(_writers(node, part, key), managers)
            for patterns, managers in rules
        )
    )


def _writers(node: Object, part: str, key: str) -> list[str]:
    entries = sequence_at(node, "metadata", "managedFields")
    return [
        text_at(entry, "manager")
        for entry in entries
        if f"f:{key}" in mapping_at(entry, "fieldsV1", "f:metadata", f"f:{part}")
    ]


def _all_match(writers: Sequence[str], patterns: Sequence[str]) -> bool:
    return bool(writers) and all(any(fnmatchcase(writer, pattern) for pattern in patterns) for writer in writers)
