"""Components that are taken out of the stack and stay in the cluster (``--keep``), and their way back. Pure.

To keep one is to give up its claim: Helm's release Secrets, and the Secrets that the stack made for it, lose the
stack's label and get one that says whose they were. No object of the release is touched. From then on it is a
release of somebody else, except that the stack it came from may take it back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from sparkrig.models.objects import ObjectRef
from sparkrig.models.operation import Action, ClaimRelease, CreateNamespace, KeepRelease, Operation
from sparkrig.models.plan import Change, OperationResult, OperationStatus
from sparkrig.models.release import DesiredRelease, ObservedRelease, ReleaseState
from sparkrig.models.revision import Revision
from sparkrig.models.state import ObservedState

_GONE: Final = "uninstalled"
KEEP_S: Final = 120.0
"""A request for each Helm revision and Secret."""


def is_given_up(found: ObservedRelease | None, stack: str) -> bool:
    """Whether a release was the stack's, was left in place, and nobody claimed it since."""
    return found is not None and found.status != _GONE and found.stack is None and found.former == stack


def is_foreign(found: ObservedRelease | None, stack: str) -> bool:
    """Whether a release that the stack's records name is not the stack's, nor was given up by it."""
    return found is not None and found.status != _GONE and found.stack != stack and not is_given_up(found, stack)


def stays(state: ReleaseState, stack: str, observed: ObservedState, keep: Collection[str] = ()) -> bool:
    """Whether what the stack does not want is left in place: asked for, begun by a run that died, or not its own."""
    found = observed.releases.get((state.namespace, state.release))
    if found is None or found.status == _GONE:
        return False
    return state.component in keep or is_given_up(found, stack) or is_foreign(found, stack)


def still_kept(observed: ObservedState, stack: str) -> tuple[ReleaseState, ...]:
    """What earlier revisions gave up and nobody has claimed or removed since."""
    states = observed.last.kept if observed.last else ()
    return tuple(s for s in states if is_given_up(observed.releases.get((s.namespace, s.release)), stack))


def keepings(
    stack: str,
    staying: Iterable[ReleaseState],
    kept: Iterable[ReleaseState],
    observed: ObservedState,
    wanted: Collection[tuple[str, str]] = (),
) -> list[KeepRelease]:
    """Gives up the releases that stay, each with the stack's Secrets around it that are not ``wanted``.

    ``kept`` were given up before: a Secret that they read, and that the rest of the stack needed until now,
    stays with them.
    """
    ours = [s for s in staying if not is_foreign(observed.releases.get((s.namespace, s.release)), stack)]
    fresh = {(s.namespace, s.release) for s in ours}
    operations: list[KeepRelease] = []
    taken: set[tuple[str, str]] = set()
    for state in (*ours, *(s for s in kept if (s.namespace, s.release) not in fresh)):
        places = [p for p in secret_places(state, observed.secrets) if p not in wanted and p not in taken]
        taken.update(places)
        if places or (state.namespace, state.release) in fresh:
            secrets = tuple(ObjectRef("", "v1", "Secret", *place) for place in places)
            operations.append(_keep(state, secrets))
    return operations


def last_of_all(giving: Iterable[KeepRelease], operations: Iterable[Operation]) -> list[KeepRelease]:
    """The operations that give something up, after everything else: a run that fails has given up nothing."""
    needs = tuple(operation.id for operation in operations)
    return [replace(operation, needs=needs) for operation in giving]


def secret_places(state: ReleaseState, there: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(namespace, name) of the Secrets around a release: in its namespace and in those that its chart makes."""
    spaces = {state.namespace, *(ref.name for ref in state.inventory if (ref.group, ref.kind) == ("", "Namespace"))}
    return sorted(place for place in there if place[0] in spaces)


def claim(release: ReleaseState | DesiredRelease, state: ReleaseState | None) -> ClaimRelease:
    """Takes a release back that was given up, with the Secrets that were given up with it.

    ``state`` is None where no record names it.
    """
    return ClaimRelease(
        id=f"{Action.CLAIM}/{release.component}",
        component=release.component,
        release=release.release,
        namespace=release.namespace,
        reason="it was left in place, and is of this stack again",
        timeout_s=KEEP_S,
        state=state,
    )


def recorded_of(desired: DesiredRelease, kept: Iterable[ReleaseState]) -> ReleaseState | None:
    """What was recorded of a release when it was given up."""
    key = (desired.namespace, desired.release)
    return next((replace(s, component=desired.component) for s in kept if (s.namespace, s.release) == key), None)


def taken_back(state: ReleaseState) -> Change:
    """The plan's line for a release that nothing but its claim changes of."""
    return Change(state.component, "+", f"{state.version}  taken back as it is")


def kept_change(state: ReleaseState, observed: ObservedState, stack: str) -> Change:
    """The plan's line for a component that stays."""
    found = observed.releases.get((state.namespace, state.release))
    if found is not None and is_foreign(found, stack):
        owner = f"of stack {found.stack}" if found.stack else "somebody else's"
        text = f"{state.version}  left alone: release {state.namespace}/{state.release} is {owner}"
        return Change(state.component, ">", text)
    text = f"{state.version}  left in place, no more of this stack"
    kept = f"release {state.namespace}/{state.release}, its objects and its Secrets stay as they are"
    return Change(state.component, ">", text, (kept,))


def kept_after(before: Iterable[ReleaseState], results: Iterable[OperationResult]) -> tuple[ReleaseState, ...]:
    """What is left in place after operations ran: what is given up comes to it, what is taken back goes."""
    kept = {(state.namespace, state.release): state for state in before}
    for result in results:
        if result.status is not OperationStatus.DONE:
            continue
        match operation := result.operation:
            case KeepRelease():
                kept[operation.namespace, operation.release] = operation.state
            case ClaimRelease():
                kept.pop((operation.namespace, operation.release), None)
            case _:
                continue
    return tuple(kept.values())


def foreign_returns(target: Revision, observed: ObservedState) -> tuple[str, ...]:
    """Releases of a revision that a return would have to take from somebody else, a line each."""
    return tuple(
        f"{state.component}: release {state.namespace}/{state.release} "
        + (f"belongs to stack {found.stack}" if found.stack else "is a person's or another tool's by now")
        for state in target.after
        if (found := observed.releases.get((state.namespace, state.release))) is not None
        and is_foreign(found, target.stack)
    )


def after_claims(operations: Iterable[Operation], components: Collection[str]) -> list[Operation]:
    """The operations; none changes a component before it is the stack's again."""
    return [
        replace(operation, needs=(*operation.needs, f"{Action.CLAIM.value}/{operation.component}"))
        if operation.component in components and not isinstance(operation, ClaimRelease | CreateNamespace)
        else operation
        for operation in operations
    ]


def _keep(state: ReleaseState, secrets: tuple[ObjectRef, ...]) -> KeepRelease:
    return KeepRelease(
        id=f"{Action.KEEP}/{state.component}",
        component=state.component,
        release=state.release,
        namespace=state.namespace,
        reason="it stays, no more of this stack",
        timeout_s=KEEP_S,
        state=state,
        objects=secrets,
    )
