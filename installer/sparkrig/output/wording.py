"""What an operation does and did, in a person's words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sparkrig.models.operation import Action, ChangeRelease, Operation

_DOING: Final[Mapping[Action, str]] = {
    Action.RECOVER: "recovering the release",
    Action.NAMESPACE: "making the namespace",
    Action.CRDS: "applying CRDs",
    Action.INSTALL: "installing",
    Action.UPGRADE: "upgrading to",
    Action.REPAIR: "repairing",
    Action.ROLLBACK: "rolling back",
    Action.UNINSTALL: "removing",
    Action.WAIT: "waiting until ready",
    Action.SECRETS: "applying",
    Action.ROLL: "restarting what reads a changed Secret",
    Action.DELETE: "removing",
    Action.VACATE: "removing what nobody uses",
    Action.KEEP: "leaving it in place",
    Action.CLAIM: "taking it back",
    Action.CHECK: "checking",
}

_DID: Final[Mapping[Action, str]] = {
    Action.RECOVER: "release recovered",
    Action.NAMESPACE: "namespace made",
    Action.CRDS: "CRDs applied",
    Action.INSTALL: "installed",
    Action.UPGRADE: "upgraded to",
    Action.REPAIR: "repaired",
    Action.ROLLBACK: "rolled back",
    Action.UNINSTALL: "removed",
    Action.WAIT: "ready",
    Action.SECRETS: "applied",
    Action.ROLL: "restarted",
    Action.DELETE: "removed",
    Action.VACATE: "done with",
    Action.KEEP: "left in place",
    Action.CLAIM: "taken back",
    Action.CHECK: "checked",
}


def doing(operation: Operation) -> str:
    """``installing 2.5.2``: what a running operation does, until it says more itself."""
    return _with_version(_DOING[operation.action], operation)


def did(operation: Operation) -> str:
    """``installed 2.5.2``: what an operation that is done did."""
    return _with_version(_DID[operation.action], operation)


def did_all(operations: Sequence[Operation]) -> str:
    """``installed 2.5.2, ready``: what a component's operations did together, small ones left out."""
    small = {Action.RECOVER, Action.NAMESPACE, Action.CRDS}
    large = [operation for operation in operations if operation.action not in small]
    return ", ".join(did(operation) for operation in large or operations)


def _with_version(words: str, operation: Operation) -> str:
    if isinstance(operation, ChangeRelease):
        return f"{words} {operation.desired.chart.version}"
    return words
