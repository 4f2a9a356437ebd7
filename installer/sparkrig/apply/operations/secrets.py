"""Applies Secrets of the stack, and restarts what reads them."""

from __future__ import annotations

from dataclasses import replace

from sparkrig.apply.operations.context import Context, Say
from sparkrig.models.operation import ApplySecret, RestartPods
from sparkrig.models.release import ReleaseState
from sparkrig.secrets.rolling import roll


def apply_secret(context: Context, operation: ApplySecret) -> None:
    """Applies one Secret in its namespaces, and remembers what it holds now."""
    context.marks[operation.secret.name] = context.book.apply(operation.secret, operation.namespaces)


def restart_pods(context: Context, operation: RestartPods, say: Say) -> ReleaseState:
    """Restarts the workloads of a release that read Secrets which changed; returns its state with what they hold."""
    state = context.states.get(operation.component, operation.state)
    marks = context.marks_of(operation.desired)
    rolled = roll(context.api, state, operation.secrets, marks)
    say(f"restarting {', '.join(map(str, rolled))}" if rolled else "nothing reads what changed")
    state = context.states[operation.component] = replace(state, secrets=marks)
    return state
