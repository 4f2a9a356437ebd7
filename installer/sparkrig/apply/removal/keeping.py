"""Gives up the claim on a release that stays in the cluster, and takes it back. Changes labels, nothing else.

Who owns a release is said by the label on its newest Secret. So that one is changed first when it is given up, and
last when it is taken back: a run that dies between the two leaves a release that was given up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sparkrig.defaults import LABEL_FORMER, LABEL_STACK
from sparkrig.kube.client import KubeApi
from sparkrig.kube.errors import Conflict, NotFoundApi
from sparkrig.models.json import dig, labels_of, name_of
from sparkrig.models.operation import ClaimRelease, KeepRelease
from sparkrig.plan.keeping import secret_places
from sparkrig.secrets.cluster import SecretBook

Say = Callable[[str], None]


def give_up(api: KubeApi, stack: str, operation: KeepRelease, say: Say) -> None:
    """Makes a release, its Helm history and its Secrets nobody's. What somebody else claimed meanwhile stays his."""
    say("giving up the claim on it; nothing of it is changed")
    secrets = [f"/api/v1/namespaces/{ref.namespace}/secrets/{ref.name}" for ref in operation.objects]
    for path in [*_release_secrets(api, stack, operation), *secrets]:
        _relabel(api, path, {LABEL_STACK: (stack, None), LABEL_FORMER: (None, stack)})


def take_back(api: KubeApi, stack: str, operation: ClaimRelease, say: Say) -> None:
    """Makes a release that was given up, its Helm history and its Secrets the stack's again."""
    say("taking it back")
    secrets = _secrets(api, stack, operation)
    for path in [*secrets, *reversed(_release_secrets(api, stack, operation))]:
        _relabel(api, path, {LABEL_STACK: (None, stack), LABEL_FORMER: (stack, None)})


def _release_secrets(api: KubeApi, stack: str, operation: KeepRelease | ClaimRelease) -> list[str]:
    """Paths of Helm's Secrets of a release that are or were the stack's, the newest first."""
    path = f"/api/v1/namespaces/{operation.namespace}/secrets"
    found = api.list(path, label_selector=f"owner=helm,name={operation.release}", metadata_only=True)
    ours = [item for item in found if stack in _owners(labels_of(item))]
    return [f"{path}/{name_of(item)}" for item in sorted(ours, key=lambda item: -int(labels_of(item)["version"]))]


def _owners(labels: Mapping[str, str]) -> tuple[str | None, ...]:
    return labels.get(LABEL_STACK), labels.get(LABEL_FORMER)


def _secrets(api: KubeApi, stack: str, operation: ClaimRelease) -> list[str]:
    """Paths of the Secrets that were given up with a release."""
    there = SecretBook(stack, api).there(former=True)
    places = secret_places(operation.state, there) if operation.state else []
    return [f"/api/v1/namespaces/{namespace}/secrets/{name}" for namespace, name in places]


def _relabel(api: KubeApi, path: str, changes: dict[str, tuple[str | None, str | None]]) -> None:
    """Changes labels from one value to another where they have the one; what is gone stays gone."""
    wanted = {name: new for name, (_, new) in changes.items()}
    while (found := api.get(path, missing_ok=True)) is not None:
        labels, version = labels_of(found), dig(found, "metadata", "resourceVersion")
        if any(labels.get(name) != old for name, (old, _) in changes.items()):
            return
        try:  # the version makes sure that it is still what was looked at
            api.patch(path, {"metadata": {"resourceVersion": version, "labels": wanted}})
            return
        except NotFoundApi:
            return
        except Conflict:  # somebody else wrote it, such as the operation beside this one: look again
            continue
