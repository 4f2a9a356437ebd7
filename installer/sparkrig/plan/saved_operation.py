"""An operation in the file of a saved plan. Pure.

The form is flat and has the same names in every kind of operation. It has no words, times or weights, and not what
earlier hooks left, which goes by itself when its time is over. Of records it has digests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, assert_never

from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import (
    ApplyCrds,
    ApplySecret,
    ClaimRelease,
    CreateNamespace,
    DeleteObjects,
    HelmWrite,
    InstallRelease,
    KeepRelease,
    Operation,
    RecoverRelease,
    ReleaseOperation,
    RemoveSecret,
    RepairRelease,
    RestartPods,
    RestoreCrds,
    RollbackRelease,
    UninstallRelease,
    UpgradeRelease,
    VacateNamespace,
    WaitReady,
    WaitRestored,
)


def operation_form(operation: Operation, looks: Collection[str]) -> dict[str, Any]:
    """What of an operation decides what it does. Empty values are left out, and so are needs among ``looks``."""
    form: dict[str, Any] = {
        "id": operation.id,
        "action": operation.action.value,
        "component": operation.component,
        "needs": [need for need in operation.needs if need not in looks],
        # Every operation has these two, so that files of earlier versions still compare as equal.
        "newest_revision": 0,
        "keep_history": True,
    }
    form |= {key: value for key, value in _fields(operation).items() if value not in (None, "", [], {})}
    return form


def _fields(operation: Operation) -> dict[str, Any]:
    """What only this kind of operation has."""
    match operation:
        case CreateNamespace():
            return {**_place(operation), "labels": {str(key): value for key, value in operation.labels.items()}}
        case RecoverRelease():
            digest = operation.desired.digest if operation.desired else None
            return {**_place(operation), "helm_revision": operation.helm_revision, "digest": digest}
        case ApplyCrds() | WaitReady():
            return {**_place(operation), "digest": operation.desired.digest}
        case InstallRelease() | UpgradeRelease() | RepairRelease():
            written = _written(operation)
            return {**written, "helm_revision": operation.helm_revision, "digest": operation.desired.digest}
        case RollbackRelease():
            newest = {"newest_revision": operation.newest_revision}
            back = {"helm_revision": operation.state.helm_revision, "to": operation.state.digest}
            return {**_written(operation), **newest, **back}
        case RestoreCrds() | WaitRestored():
            return {**_place(operation), "helm_revision": operation.state.helm_revision}
        case RestartPods():
            return {**_place(operation), "rolled": [*operation.secrets], "digest": operation.desired.digest}
        case ApplySecret():
            return {"secret_name": operation.secret.name, "namespaces": [*operation.namespaces]}
        case RemoveSecret():
            return {"secret_name": operation.name, "namespaces": [*operation.namespaces]}
        case UninstallRelease():
            kept = {"keep_history": operation.keep_history, "purged": [*operation.purged]}
            removed = {"helm_revision": operation.helm_revision, "objects": _texts(operation.objects)}
            return {**_place(operation), **removed, **kept}
        case DeleteObjects():
            return {"objects": _texts(operation.objects), "purged": _purged(operation.whole_namespaces)}
        case VacateNamespace():
            kept = {"keep_history": operation.keep_history, "purged": _purged(operation.whole_namespace)}
            return {"namespace": operation.namespace, "objects": _texts(operation.hooks), **kept}
        case KeepRelease():
            return {**_place(operation), "objects": _texts(operation.objects)}
        case ClaimRelease():
            return _place(operation)
        case _:
            assert_never(operation)


def _place(operation: ReleaseOperation) -> dict[str, Any]:
    return {"release": operation.release, "namespace": operation.namespace}


def _written(operation: HelmWrite) -> dict[str, Any]:
    anew = {"recreated": _texts(operation.recreated), "reselected": _texts(operation.reselected)}
    return {**_place(operation), **anew}


def _texts(refs: Iterable[ObjectRef]) -> list[str]:
    return [str(ref) for ref in refs]


def _purged(whole_namespaces: bool) -> list[str]:
    return ["Namespace"] if whole_namespaces else []
