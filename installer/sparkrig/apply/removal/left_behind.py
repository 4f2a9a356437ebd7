"""What a removal leaves behind without anybody who looks after it, and what can be taken along.

Reads for the plan; ``finish_nodes`` alone writes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from sparkrig.apply.removal.contents import custom_resources
from sparkrig.errors import AccessDenied
from sparkrig.kube.client import KubeApi
from sparkrig.models.component import Component
from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import DeleteObjects, UninstallRelease
from sparkrig.models.plan import Change, Plan
from sparkrig.models.release import ReleaseState
from sparkrig.readiness.nodes import NodeMarks, NodeState, node_marks, node_states

NODES = "/api/v1/nodes"
SHOWN = 5


def with_warnings(api: KubeApi, plan: Plan, components: Mapping[str, Component], purge: Collection[str] = ()) -> Plan:
    """The plan with a line below each removed component whose nodes or custom resources nobody goes on with."""
    removed = [o for o in plan.operations if isinstance(o, UninstallRelease)]
    deleted = [ref for o in plan.operations if isinstance(o, DeleteObjects) for ref in o.objects]
    lines = {
        operation.component: [
            *_node_lines(unfinished_nodes(api, [operation.component], components)),
            *([] if "crds" in purge else _finalizer_lines(api, operation.state, deleted)),
        ]
        for operation in removed
    }
    changes = tuple(
        replace(change, details=(*change.details, *lines[change.component])) if lines.get(change.component) else change
        for change in plan.changes
    )
    return replace(plan, changes=changes)


def unfinished_nodes(api: KubeApi, names: Collection[str], components: Mapping[str, Component]) -> list[NodeState]:
    """The nodes on which the components' programs are at work; none where nodes may not be read."""
    rules = [rule for name in names if name in components for rule in components[name].node_states]
    if not rules:
        return []
    try:
        return node_states(api.list(NODES), rules)
    except AccessDenied:
        return []


def left_on_nodes(api: KubeApi, names: Collection[str], components: Mapping[str, Component]) -> list[NodeMarks]:
    """Labels and annotations of the components' programs on nodes."""
    rules = [found for name in names if name in components and (found := components[name].node_leftovers)]
    return node_marks(api.list(NODES), rules) if rules else []


def with_marks(plan: Plan, marks: Sequence[NodeMarks]) -> Plan:
    """The plan with a line about what a purge takes from nodes."""
    if not marks:
        return plan
    lines = tuple(f"{mark.node}: {', '.join((*mark.labels, *mark.annotations))}" for mark in marks[:SHOWN])
    more = (f"and {len(marks) - SHOWN} more nodes",) if len(marks) > SHOWN else ()
    return replace(plan, changes=(*plan.changes, Change("nodes", "-", marks_text(marks), (*lines, *more))))


def marks_text(marks: Sequence[NodeMarks]) -> str:
    """How many labels and annotations there are, on how many nodes."""
    labels, annotations = sum(len(mark.labels) for mark in marks), sum(len(mark.annotations) for mark in marks)
    counted = [_count(number, word) for number, word in ((labels, "label"), (annotations, "annotation")) if number]
    return f"{' and '.join(counted)} on {_count(len(marks), 'node')}"


def finish_nodes(
    api: KubeApi,
    names: Collection[str],
    components: Mapping[str, Component],
    *,
    clear: bool,
    note: Callable[[str], None],
) -> None:
    """After a removal: says which nodes stay cordoned, and with ``clear`` takes off what is left on nodes.

    Raises:
        AccessDenied: nodes may not be changed.
    """
    for state in unfinished_nodes(api, names, components):
        if state.cordoned:
            what = f"{state.rule.what} at {state.value}"
            note(f"node {state.node} stays cordoned ({what}); next: kubectl uncordon {state.node}")
    marks = left_on_nodes(api, names, components) if clear else []
    for mark in marks:
        metadata = {"labels": dict.fromkeys(mark.labels), "annotations": dict.fromkeys(mark.annotations)}
        api.patch(f"{NODES}/{mark.node}", {"metadata": metadata})
    if marks:
        note(f"removed {marks_text(marks)}")


def _node_lines(states: Sequence[NodeState]) -> list[str]:
    if not states:
        return []
    lines = [f"! {state.text}" for state in states[:SHOWN]]
    if len(states) > SHOWN:
        lines.append(f"! and {len(states) - SHOWN} more nodes")
    return [*lines, "! nobody goes on with these nodes after the removal: wait until they are done, or uncordon them"]


def _finalizer_lines(api: KubeApi, state: ReleaseState, deleted: Sequence[ObjectRef]) -> list[str]:
    """Custom resources that stay, with finalizers that only the removed controller takes off."""
    if not state.crds:
        return []
    going = {(ref.group, ref.kind, ref.namespace, ref.name) for ref in (*state.inventory, *deleted)}
    readable = custom_resources(api, state.crds, if_readable=True)
    found = [content for contents in readable.values() for content in contents]
    held = [
        content
        for content in found
        if content.metadata.get("finalizers")
        and (content.ref.group, content.ref.kind, content.ref.namespace, content.ref.name) not in going
    ]
    lines = [f"! keeps {c.ref} with finalizer {', '.join(c.metadata['finalizers'])}" for c in held[:SHOWN]]
    if len(held) > SHOWN:
        lines.append(f"! and {len(held) - SHOWN} more with finalizers")
    if held:
        lines.append("! without its controller none of them can be deleted: delete them first, or use --purge crds")
    return lines


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
