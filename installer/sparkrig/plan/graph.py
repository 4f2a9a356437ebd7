"""The plan's graph: checked, ordered, weighed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from sparkrig.models.operation import Action, HelmWrite, Operation, RollbackRelease

WEIGHT_S: Mapping[Action, float] = {
    Action.RECOVER: 1.0,
    Action.NAMESPACE: 0.1,
    Action.CRDS: 1.5,
    Action.INSTALL: 3.0,
    Action.UPGRADE: 3.0,
    Action.REPAIR: 3.0,
    Action.ROLLBACK: 3.0,
    Action.UNINSTALL: 2.0,
    Action.WAIT: 5.0,
    Action.SECRETS: 0.5,
    Action.ROLL: 0.5,
    Action.DELETE: 2.0,
    Action.VACATE: 5.0,
    Action.KEEP: 0.5,
    Action.CLAIM: 0.5,
}
"""Rough seconds of each action; only their order matters, for starting the longest path first."""
HELM_S = 0.5
OBJECT_S = 0.02
HOOK_S = 0.4
"""Helm makes hooks one after the other, and waits for each: a dozen, some of them Jobs, are most of a large install."""


def helm_s(objects: int, hooks: int) -> float:
    """Rough seconds that helm takes to install or upgrade a release of so many objects and hooks."""
    return HELM_S + objects * OBJECT_S + hooks * HOOK_S


def ordered(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """The operations, each after what it needs; ties keep the given order.

    Raises:
        ValueError: an operation needs an unknown one, or the needs form a cycle (a defect of the
            planner, never of the input: cycles of components are reported by the catalogue).
    """
    by_id = {operation.id: operation for operation in operations}
    for operation in operations:
        unknown = [need for need in operation.needs if need not in by_id]
        if unknown:
            raise ValueError(f"{operation.id} needs unknown operations: {', '.join(unknown)}")
    sorter = TopologicalSorter({operation.id: operation.needs for operation in operations})
    try:
        return tuple(by_id[name] for name in sorter.static_order())
    except CycleError as error:
        raise ValueError(f"operations form a cycle: {' -> '.join(error.args[1])}") from error


def remaining_path_s(operations: Sequence[Operation]) -> dict[str, float]:
    """For each operation id, the weight in seconds of the longest path that starts with it."""
    remaining: dict[str, float] = {}
    followers: dict[str, list[str]] = {operation.id: [] for operation in operations}
    for operation in operations:
        for need in operation.needs:
            followers[need].append(operation.id)
    for operation in reversed(ordered(operations)):
        after = max((remaining[name] for name in followers[operation.id]), default=0.0)
        remaining[operation.id] = _own_s(operation) + after
    return remaining


def _own_s(operation: Operation) -> float:
    if isinstance(operation, HelmWrite) and operation.weight_s is not None:
        return operation.weight_s
    if isinstance(operation, RollbackRelease):
        return helm_s(len(operation.state.inventory), 0)
    return WEIGHT_S[operation.action]
