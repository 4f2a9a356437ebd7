"""Keeps Helm's history and ours in step.

Helm is told to prune nothing (``--history-max 0``); what goes is decided here: every Helm revision
that a kept stack revision may return to stays, older ones go, and a removed release whose history was
kept is purged when no kept revision contains it. So every revision offered for rollback can be rolled
back, whatever number of Helm revisions a run made.

Deletes Helm's release Secrets of this stack's releases, and revisions and stored CRDs of this stack only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sparkrig.helm.storage.releases import HelmSecret
from sparkrig.history.crds import CrdStore
from sparkrig.history.store import History, RevisionInfo
from sparkrig.kube.client import KubeApi
from sparkrig.models.revision import Revision, RevisionStatus

GOOD = (RevisionStatus.DEPLOYED, RevisionStatus.SUPERSEDED)
"""Statuses of a revision that can be returned to."""


def surplus(infos: Sequence[RevisionInfo], keep: int) -> tuple[RevisionInfo, ...]:
    """The stack revisions that go so that ``keep`` remain: the oldest, never the newest good one."""
    good = [info.number for info in infos if info.status in GOOD]
    protected = good[-1] if good else None
    going = [info for info in infos[:-1] if info.number != protected]
    return tuple(going[: max(0, len(infos) - max(1, keep))])


def unneeded(secrets: Iterable[HelmSecret], kept: Iterable[Revision]) -> tuple[HelmSecret, ...]:
    """The Helm revisions that no kept stack revision may return to.

    The newest revision of a release and the newest deployed one always stay, except of a release
    that is uninstalled and in no kept revision: all of its history goes.
    """
    needed: dict[tuple[str, str], int] = {}
    for revision in kept:
        for state in (*revision.after, *revision.before):
            key = (state.namespace, state.release)
            needed[key] = min(state.helm_revision, needed.get(key, state.helm_revision))
    groups: dict[tuple[str, str], list[HelmSecret]] = {}
    for secret in secrets:
        groups.setdefault((secret.namespace, secret.release), []).append(secret)
    return tuple(secret for key, group in groups.items() for secret in _unneeded(group, needed.get(key)))


def _unneeded(group: list[HelmSecret], oldest: int | None) -> list[HelmSecret]:
    newest = max(group, key=lambda secret: secret.revision)
    if oldest is None:
        return group if newest.status == "uninstalled" else []
    return [s for s in group if s.revision < oldest and s is not newest and s.status != "deployed"]


def prune(api: KubeApi, history: History, secrets: Iterable[HelmSecret], keep: int) -> tuple[int, ...]:
    """Deletes what goes and returns the numbers of the stack revisions that went."""
    infos = history.infos()
    going = surplus(infos, keep)
    staying = [history.read(info) for info in infos if info not in going]
    for secret in unneeded(secrets, staying):
        api.delete(secret.path)
    for info in going:
        history.delete(info)
    CrdStore(api, history.stack).prune(state for kept in staying for state in (*kept.after, *kept.before, *kept.kept))
    return tuple(info.number for info in going)


def offered(infos: Iterable[RevisionInfo], current: int) -> tuple[int, ...]:
    """Numbers of the revisions that ``rollback`` may return to, newest first."""
    return tuple(
        info.number for info in sorted(infos, key=lambda i: -i.number) if info.status in GOOD and info.number != current
    )


def helm_revisions(secrets: Iterable[HelmSecret]) -> Mapping[tuple[str, str], frozenset[int]]:
    """(namespace, release) -> the Helm revisions that exist."""
    found: dict[tuple[str, str], set[int]] = {}
    for secret in secrets:
        found.setdefault((secret.namespace, secret.release), set()).add(secret.revision)
    return {key: frozenset(revisions) for key, revisions in found.items()}
