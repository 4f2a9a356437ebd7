"""What a plan does about Secrets: where they are applied, removed, and what restarts for them. Pure.

Values play no part: a Secret is compared by the fingerprint it carries in the cluster and the one
that its sources have now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from sparkrig.models.operation import (
    ApplySecret,
    ChangeRelease,
    Operation,
    RemoveSecret,
    RestartPods,
    Wait,
)
from sparkrig.models.plan import Change
from sparkrig.models.release import DesiredRelease, ReleaseState, ResolvedStack
from sparkrig.models.revision import Revision
from sparkrig.models.secret import DesiredSecret
from sparkrig.models.state import ObservedState

TIMEOUT_S = 120.0
"""Reading what a person may have to unlock, then some requests."""


def changed_secrets(desired: DesiredRelease, state: ReleaseState) -> tuple[str, ...]:
    """Secrets that the release's pods read and that hold something else than when they were started."""
    return tuple(name for name, mark in desired.secrets.items() if mark and state.secrets.get(name) != mark)


def roll_operation(
    desired: DesiredRelease, state: ReleaseState, names: tuple[str, ...], needs: tuple[str, ...]
) -> RestartPods:
    """Restarts what reads the Secrets that changed."""
    return RestartPods(
        id=f"roll/{desired.component}",
        component=desired.component,
        needs=needs,
        release=desired.release,
        namespace=desired.namespace,
        reason=f"{_words(names)} changed",
        timeout_s=desired.timeout_s,
        desired=desired,
        state=state,
        secrets=names,
    )


def with_secrets(
    resolved: ResolvedStack,
    observed: ObservedState,
    operations: Sequence[Operation],
    *,
    staying: Collection[tuple[str, str]] = (),
) -> tuple[list[Operation], list[Change]]:
    """The operations, with those that apply and remove Secrets, and what to show of them.

    ``staying`` are (namespace, name) of Secrets that are given up with what reads them.
    """
    linked = list(operations)
    changes: list[Change] = []
    for secret in resolved.secrets:
        made = list(_applying(secret, observed, linked))
        linked = [*(_after(operation, made) for operation in linked), *made]
        if made:
            changes.append(_change(secret, observed, made))
    wanted = wanted_places(resolved)
    gone = [place for place in observed.secrets if place not in wanted and place not in staying]
    removed = removals(gone, linked, reason="no longer in the stack")
    return [*linked, *removed], changes + removed_changes(removed)


def wanted_places(resolved: ResolvedStack) -> frozenset[tuple[str, str]]:
    """(namespace, name) of every Secret that the stack wants."""
    return frozenset((space, secret.spec.name) for secret in resolved.secrets for space in _everywhere(secret))


def removals(places: Iterable[tuple[str, str]], operations: Sequence[Operation], *, reason: str) -> list[RemoveSecret]:
    """Removes Secrets, after everything else is done: what still reads them is gone or restarted by then."""
    spaces: dict[str, list[str]] = {}
    for namespace, name in sorted(places):
        spaces.setdefault(name, []).append(namespace)
    needs = tuple(operation.id for operation in operations if not isinstance(operation, ApplySecret | RemoveSecret))
    return [
        RemoveSecret(
            id=f"secrets/-{name}",
            component=f"secret {name}",
            needs=needs,
            reason=reason,
            timeout_s=TIMEOUT_S,
            name=name,
            namespaces=tuple(namespaces),
        )
        for name, namespaces in spaces.items()
    ]


def removed_changes(operations: Iterable[RemoveSecret]) -> list[Change]:
    """What to show of Secrets that are removed."""
    return [Change(one.component, "-", f"removed from {_places(one.namespaces)}") for one in operations]


def _everywhere(secret: DesiredSecret) -> tuple[str, ...]:
    return (*secret.namespaces, *(namespace for _, namespace in secret.made))


def _applying(secret: DesiredSecret, observed: ObservedState, operations: Sequence[Operation]) -> Iterator[ApplySecret]:
    """First where the namespaces are there or made by us, then in those that charts make."""
    known = {operation.id for operation in operations}
    early = [
        namespace
        for namespace in (*secret.namespaces, *(n for _, n in secret.made if n in observed.namespaces))
        if _differs(secret, namespace, observed)
    ]
    first = f"secrets/{secret.spec.name}"
    if early:
        needs = tuple(f"namespace/{n}" for n in early if f"namespace/{n}" in known)
        yield _apply(secret, first, needs, early)
    late: dict[str, list[str]] = {}
    for component, namespace in secret.made:
        if namespace not in observed.namespaces:
            late.setdefault(component, []).append(namespace)
    for component, namespaces in late.items():
        change = next((o for o in operations if o.component == component and isinstance(o, ChangeRelease)), None)
        if change is not None:  # else the chart is not touched, and its namespace is missing: that is said elsewhere
            needs = (change.id, *((first,) if early else ()))
            yield _apply(secret, f"{first}/{component}", needs, namespaces)


def _differs(secret: DesiredSecret, namespace: str, observed: ObservedState) -> bool:
    found = observed.secrets.get((namespace, secret.spec.name))
    return not found or found != secret.fingerprint


def _after(operation: Operation, made: Sequence[ApplySecret]) -> Operation:
    """A release is changed once its Secrets are there, and ready once those of its own namespaces are."""
    needs = []
    for secret in made:
        late = any(need.partition("/")[0] in ("install", "upgrade", "repair") for need in secret.needs)
        if not late and isinstance(operation, ChangeRelease | RestartPods) and operation.namespace in secret.namespaces:
            needs.append(secret.id)
        if late and isinstance(operation, Wait) and secret.id.endswith(f"/{operation.component}"):
            needs.append(secret.id)
    return replace(operation, needs=(*operation.needs, *needs)) if needs else operation


def _apply(secret: DesiredSecret, identity: str, needs: tuple[str, ...], namespaces: Sequence[str]) -> ApplySecret:
    return ApplySecret(
        id=identity,
        component=f"secret {secret.spec.name}",
        needs=needs,
        reason=_why(secret),
        timeout_s=TIMEOUT_S,
        secret=secret.spec,
        namespaces=tuple(namespaces),
    )


def _why(secret: DesiredSecret) -> str:
    return "its content changed" if secret.fingerprint else "new"


def _change(secret: DesiredSecret, observed: ObservedState, made: Sequence[ApplySecret]) -> Change:
    places = tuple(namespace for operation in made for namespace in operation.namespaces)
    there = any((namespace, secret.spec.name) in observed.secrets for namespace in places)
    return Change(f"secret {secret.spec.name}", "~" if there else "+", f"{secret.spec.type} in {_places(places)}")


def _places(namespaces: Sequence[str]) -> str:
    return ", ".join(namespaces)


def _words(names: Sequence[str]) -> str:
    return f"secret{'s' if len(names) > 1 else ''} {', '.join(names)}"


def as_started(states: Iterable[ReleaseState], now: Iterable[ReleaseState]) -> tuple[ReleaseState, ...]:
    """States of an earlier revision, with what the Secrets hold now: no rollback brings back a Secret's content."""
    marks = {state.component: state.secrets for state in now}
    return tuple(
        replace(
            state,
            secrets={name: marks.get(state.component, {}).get(name, mark) for name, mark in state.secrets.items()},
        )
        for state in states
    )


def lost_secrets(target: Revision, there: Mapping[tuple[str, str], str]) -> tuple[tuple[str, str, str], ...]:
    """(component, namespace, name) of Secrets that the revision's pods read and that are gone."""
    return tuple(
        (state.component, state.namespace, name)
        for state in target.after
        for name in state.secrets
        if (state.namespace, name) not in there
    )


def fingerprinted(resolved: ResolvedStack, marks: Mapping[str, str]) -> ResolvedStack:
    """The stack with what its Secrets hold now."""
    return replace(
        resolved,
        secrets=tuple(replace(secret, fingerprint=marks[secret.spec.name]) for secret in resolved.secrets),
        releases=tuple(
            replace(release, secrets={name: marks[name] for name in release.secrets}) for release in resolved.releases
        ),
    )
